package resolverclient_test

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dnsreg/dnsreg/resolverclient"
)

// pipeSpy is a body that is written while it is read, and notes that it was closed.
type pipeSpy struct {
	*io.PipeReader
	closed atomic.Int32
}

func (s *pipeSpy) Close() error {
	s.closed.Add(1)
	return s.PipeReader.Close()
}

// pipeBody returns a body and what fills it.
func pipeBody() (*pipeSpy, *io.PipeWriter) {
	r, w := io.Pipe()
	return &pipeSpy{PipeReader: r}, w
}

// secure runs a server of HTTP/1 or, with two, of HTTP/2, not registered yet, and returns its address.
func (w *webs) secure(two bool, h http.HandlerFunc) string {
	w.Helper()
	s := httptest.NewUnstartedServer(h)
	s.EnableHTTP2 = two
	s.StartTLS()
	w.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// secureTransport returns a transport to servers of [webs.secure].
func (w *webs) secureTransport(cfg resolverclient.Config) *resolverclient.Transport {
	w.Helper()
	cfg.Servers, cfg.Strategy = []string{w.addr}, resolverclient.RoundRobin
	t := newClient(w, cfg).NewTransport(&http.Transport{
		ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // no certificate names web
	})
	w.Cleanup(t.CloseIdleConnections)
	return t
}

// protocols are the cases of [webs.secure].
var protocols = []struct {
	name string
	two  bool
}{{"HTTP/1.1", false}, {"HTTP/2.0", true}}

// An instance that replies before it has read the body keeps it, though another that refused it asked for its end.
func TestTransportLeavesTheBodyToADuplexInstance(t *testing.T) {
	for _, tt := range protocols {
		t.Run(tt.name, func(t *testing.T) {
			w := newWebs(t)
			duplex := w.secure(tt.two, func(rw http.ResponseWriter, r *http.Request) {
				c := http.NewResponseController(rw)
				if err := c.EnableFullDuplex(); err != nil && !tt.two {
					t.Error(err)
				}
				rw.WriteHeader(http.StatusOK)
				_ = c.Flush()
				_, _ = io.Copy(rw, r.Body)
			})
			w.register(nowhere, duplex)
			transport := w.secureTransport(resolverclient.Config{EjectAfter: -1, EjectShare: -1})
			for range 4 { // every other one is refused first
				body, pipe := pipeBody()
				req := request(t, http.MethodPost, body)
				req.URL.Scheme = "https"
				resp, err := transport.RoundTrip(req)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := io.WriteString(pipe, "octets"); err != nil {
					t.Error(err)
				}
				pipe.Close()
				got, err := io.ReadAll(resp.Body)
				if string(got) != "octets" || err != nil {
					t.Errorf("got %q, %v", got, err)
				}
				resp.Body.Close()
				eventually(t, "the body closed", func() bool { return body.closed.Load() > 0 })
				if n := body.closed.Load(); n != 1 {
					t.Errorf("closed %d times", n)
				}
			}
		})
	}
}

// An instance that cuts off uploads is kept out: that the body is closed under its reader then is no fault of the caller's.
func TestTransportEjectsWhoCutsOffUploads(t *testing.T) {
	const after = 3
	cut := map[bool]http.HandlerFunc{
		false: func(rw http.ResponseWriter, r *http.Request) {
			_, _ = r.Body.Read(make([]byte, 4))
			conn, _, err := http.NewResponseController(rw).Hijack()
			if err == nil {
				conn.Close()
			}
		},
		true: func(_ http.ResponseWriter, r *http.Request) {
			_, _ = r.Body.Read(make([]byte, 4))
			panic(http.ErrAbortHandler)
		},
	}
	for _, tt := range protocols {
		t.Run(tt.name, func(t *testing.T) {
			w := newWebs(t)
			var met atomic.Int32
			bad := w.secure(tt.two, func(rw http.ResponseWriter, r *http.Request) {
				met.Add(1)
				cut[tt.two](rw, r)
			})
			good := w.secure(tt.two, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
			w.register(bad, good)
			c := &http.Client{Transport: w.secureTransport(resolverclient.Config{EjectAfter: after, EjectFor: time.Hour})}
			var uploads sync.WaitGroup
			defer uploads.Wait()
			for range 20 {
				body, pipe := pipeBody()
				uploads.Go(func() { upload(pipe) })
				req := request(t, http.MethodPost, body)
				req.URL.Scheme = "https"
				_, _, _ = fetch(t, c, req)
				body.Close() // where it was not, the upload ends here
			}
			if n := met.Load(); n != after {
				t.Errorf("the one that cuts uploads off got %d of 20, want %d and then none", n, after)
			}
		})
	}
}

// upload writes until the pipe is closed, but for no more than a few thousand octets.
func upload(pipe *io.PipeWriter) {
	for range 1000 {
		if _, err := io.WriteString(pipe, "half"); err != nil {
			return
		}
	}
	pipe.Close()
}

// A reply without a body ends its call, for some callers close none.
func TestTransportEndsCallsWithoutABody(t *testing.T) {
	for _, tt := range protocols {
		for _, method := range []string{http.MethodHead, http.MethodGet} {
			t.Run(tt.name+" "+method, func(t *testing.T) {
				w := newWebs(t)
				w.register(w.secure(tt.two, func(rw http.ResponseWriter, r *http.Request) {
					if r.Method == http.MethodHead {
						rw.Header().Set("Content-Length", "5")
						return
					}
					rw.WriteHeader(http.StatusNoContent)
				}))
				transport := w.secureTransport(resolverclient.Config{})
				req := request(t, method, nil)
				req.URL.Scheme = "https"
				resp, err := transport.RoundTrip(req)
				if err != nil || resp.Proto != tt.name {
					t.Fatalf("got %v, %v", resp, err)
				}
				if n := transport.Outstanding(); n != 0 {
					t.Errorf("%d calls under way after a reply that has no body", n)
				}
			})
		}
	}
}

// That a reply says it has no body does not take the context from under a stream that is still to end.
func TestTransportReadsAHedgedReplyOfNothing(t *testing.T) {
	w := newWebs(t)
	replied := make(chan struct{})
	w.register(w.secure(true, func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Length", "0")
		_ = http.NewResponseController(rw).Flush()
		<-replied
	}))
	req := request(t, http.MethodGet, nil)
	req.URL.Scheme = "https"
	resp, err := w.secureTransport(resolverclient.Config{HedgeAfter: time.Hour}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	close(replied)
	if body, err := io.ReadAll(resp.Body); len(body) != 0 || err != nil {
		t.Errorf("got %q, %v", body, err)
	}
	resp.Body.Close()
}
