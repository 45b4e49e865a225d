package endpoint

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/net/netutil"
	"golang.org/x/sync/errgroup"

	"github.com/dnsreg/dnsreg/internal/family"
)

// Limits of a connection, so that slow or idle ones hold little and not for ever.
const (
	headerTimeout  = 3 * time.Second  // less than the default Drain, so that a started request ends in time
	readTimeout    = 15 * time.Second // of a whole request
	writeTimeout   = 30 * time.Second // of a whole reply, the call's own time included
	idleTimeout    = 2 * time.Minute  // longer than most heartbeat intervals
	maxHeader      = 16 << 10         // octets; net/http adds 4 KiB
	maxConnections = 16_384           // on each address; more wait to be accepted
)

// Handler returns the handler of every path. It is safe for concurrent use.
func (s *Server) Handler() http.Handler { return s.handler }

// Listen opens the addresses of Config.Listen, all or none.
func (s *Server) Listen() error {
	if len(s.cfg.Listen) == 0 {
		return errors.New("listen http: there is no address in http.listen")
	}
	if len(s.cfg.Listeners) > 0 {
		s.listeners = slices.Clone(s.cfg.Listeners)
		return nil
	}
	for _, address := range s.cfg.Listen {
		l, err := listen(address)
		if err != nil {
			s.closeListeners()
			return fmt.Errorf("http.listen %q: %w", address, err)
		}
		s.listeners = append(s.listeners, l)
	}
	return nil
}

// listen opens one address: an IP address of its own family alone, no host or a name of both.
func listen(address string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	addr, _ := netip.ParseAddr(host) // of what is none, the zero address
	l, err := net.Listen(family.Network("tcp", addr), address)
	return l, family.Plain(err, "tcp")
}

func (s *Server) closeListeners() {
	for _, l := range s.listeners {
		_ = l.Close()
	}
	s.listeners = nil
}

// URL returns the URL of the first address, or nothing before Listen.
func (s *Server) URL() string {
	if len(s.listeners) == 0 {
		return ""
	}
	return "http://" + s.listeners[0].Addr().String()
}

// Run serves until ctx ends: then /readyz says so, no connection is accepted any more, and calls that are running have
// Config.Drain to end. It returns nil after a clean stop, and may be called once, after Listen.
func (s *Server) Run(ctx context.Context) error {
	if len(s.listeners) == 0 {
		return errors.New("run http: listen first")
	}
	quiet := &silent{conns: make(map[net.Conn]bool)}
	server := &http.Server{
		Handler:           s.handler,
		ConnState:         quiet.note,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	group, running := errgroup.WithContext(ctx)
	for _, l := range s.listeners {
		group.Go(func() error {
			if err := server.Serve(netutil.LimitListener(l, maxConnections)); !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("serve http on %s: %w", l.Addr(), err)
			}
			return nil
		})
	}
	group.Go(func() error {
		<-running.Done()
		s.stopping.Store(true)
		quiet.stop()
		return s.stop(ctx, server)
	})
	return group.Wait()
}

// stop ends a server whose context has ended. Its error is not the context's: nobody's time ran out but the calls'.
func (s *Server) stop(ctx context.Context, server *http.Server) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.Drain)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		return fmt.Errorf("stop http: calls still run after %s: %v", s.cfg.Drain, errors.Join(err, server.Close()))
	}
	return nil
}
