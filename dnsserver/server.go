// Package dnsserver answers DNS queries about the services of its zones, authoritatively and from memory, over UDP and
// TCP.
//
// A [Server] pulls: for every query it takes the current [store.View] from its [Source], and so a change is answered as
// soon as the source shows it. [Server.AnswerTo] is the whole of it, bytes in and bytes out; the listeners around it only
// carry bytes, and hold back replies over UDP to who asks too much. An answer is packed when it is first asked for, once
// for each snapshot of a service, and copied into every reply. Its records are rotated by the query's id, so that clients
// that take the first one are spread.
//
// Messages are written here rather than by github.com/miekg/dns, which lends its constants and, in the tests, reads
// every reply: of a message's form only the few types of RFC 6763 are needed, and the rules for truncation, compression
// and EDNS differ from that library's. Which RFC is kept, and by which test: docs/conformance.md.
package dnsserver

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/dnsreg/dnsreg/store"
)

// Source is where answers come from. Both methods are called for every query, from many goroutines, and must not wait.
type Source interface {
	// View returns a zone's current contents, never nil.
	View() *store.View
	// Freshness says how far the view can be trusted.
	Freshness() store.Freshness
}

// Server answers for its zones. New makes one; its methods may be called from any goroutine.
type Server struct {
	zones      authorities
	chaos      chaos
	nsid       []byte // nil for none
	cookies    cookies
	keys       tsigKeys
	transfers  *transferPool
	limiter    *limiter
	maxUDPSize int
	stats      stats
	logger     *slog.Logger

	listen         []netip.AddrPort
	sockets        []Sockets // in place of listen
	udpReaders     int
	batched        bool // UDP by batchLoop, not singleLoop
	idleTimeout    time.Duration
	messageTimeout time.Duration
	stopTimeout    time.Duration
	conns          conns
	buffers        sync.Pool // of *buffer

	mu        sync.Mutex // guards listeners
	listeners []*listener
}

// New returns a server that does nothing yet but can Answer. Its error is a [*store.InvalidError] that lists every field
// of config in the wrong.
func New(config Config) (*Server, error) {
	c, listen, err := config.complete()
	if err != nil {
		return nil, err
	}
	pool, err := newTransferPool(c)
	if err != nil {
		return nil, err
	}
	zones, err := newAuthorities(c, pool)
	if err != nil {
		return nil, err
	}
	told, err := newChaos(c)
	if err != nil {
		return nil, err
	}
	return &Server{
		zones:          zones,
		chaos:          told,
		nsid:           append([]byte(nil), c.NSID...),
		cookies:        newCookies(c),
		keys:           pool.keys,
		transfers:      pool,
		limiter:        newLimiter(c),
		maxUDPSize:     c.MaxUDPSize,
		logger:         c.Logger,
		listen:         listen,
		sockets:        c.Sockets,
		udpReaders:     c.UDPReaders,
		batched:        batched,
		idleTimeout:    c.IdleTimeout,
		messageTimeout: c.MessageTimeout,
		stopTimeout:    c.StopTimeout,
		conns:          newConns(c),
		buffers:        sync.Pool{New: func() any { return new(buffer) }},
	}, nil
}

// Run serves until ctx ends. It listens first if Listen was not called. Then it stops accepting, lets the queries that
// it has read be answered, for at most Config.StopTimeout, and closes every socket. When it returns, everything that it
// started has ended; its error is that of Listen, or of closing. A server runs once.
func (s *Server) Run(ctx context.Context) error {
	if err := s.Listen(); err != nil {
		return err
	}
	s.mu.Lock()
	listeners := s.listeners
	s.mu.Unlock()

	var wg sync.WaitGroup
	for _, l := range listeners {
		for i := range s.udpReaders {
			wg.Go(func() { l.serveUDP(ctx, l.udp[i%len(l.udp)]) })
		}
		wg.Go(func() { l.serveTCP(ctx) })
	}
	for _, level := range s.zones {
		for _, a := range level.zones {
			a.follow(ctx, &wg)
		}
	}
	for _, a := range s.zones.followers() {
		wg.Go(func() { a.keepPointers(ctx) })
	}
	<-ctx.Done()
	for _, l := range listeners {
		l.stop()
	}
	s.conns.stop()
	force := time.AfterFunc(s.stopTimeout, s.conns.closeAll)
	wg.Wait()
	force.Stop()
	return closeAll(listeners)
}
