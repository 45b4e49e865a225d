package endpoint_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dnsreg/dnsreg/heartbeat"
	"github.com/dnsreg/dnsreg/heartbeat/endpoint"
	"github.com/dnsreg/dnsreg/store"
	"github.com/dnsreg/dnsreg/store/memstore"
)

// putFrom registers web-1 from a body that is read as it comes.
func putFrom(h http.Handler, body io.Reader) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPut, web1, io.NopCloser(body))
	r.Host, r.ContentLength = "localhost", -1
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// readerFunc is an io.Reader.
type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

// TestBodyTooSlow holds that a body which does not arrive in time is a 408, and that nothing of it is stored.
func TestBodyTooSlow(t *testing.T) {
	s := newStore(t, memstore.Config{})
	late := readerFunc(func([]byte) (int, error) { return 0, os.ErrDeadlineExceeded })
	got := putFrom(newAPI(t, config(s)), io.MultiReader(strings.NewReader(body[:9]), late))
	if got.Code != http.StatusRequestTimeout || !strings.Contains(got.Body.String(), "the body must arrive whole within 15s") {
		t.Errorf("status %d: %s", got.Code, got.Body)
	}
	if s.View().Instances() != 0 {
		t.Error("something was registered")
	}
}

// patient is a store that notes how long its callers would wait for a registration.
type patient struct {
	endpoint.Store
	left *time.Duration
}

func (p patient) Register(ctx context.Context, service store.Service, in store.Instance) (store.Registration, error) {
	end, _ := ctx.Deadline()
	*p.left = time.Until(end)
	return p.Store.Register(ctx, service, in)
}

// TestSlowBodyIsNotASlowStore holds that the time which a body takes is not taken off the store's.
func TestSlowBodyIsNotASlowStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var left time.Duration
		cfg := config(patient{newStore(t, memstore.Config{}), &left})
		cfg.Timeout = 5 * time.Second
		slow := readerFunc(func([]byte) (int, error) { time.Sleep(2 * cfg.Timeout); return 0, io.EOF })
		got := putFrom(newAPI(t, cfg), io.MultiReader(strings.NewReader(body), slow))
		if got.Code != http.StatusCreated || left != cfg.Timeout {
			t.Errorf("status %d, %v left for the store, want %v: %s", got.Code, left, cfg.Timeout, got.Body)
		}
	})
}

// panicking is a store with a mistake in it.
type panicking struct{ endpoint.Store }

func (panicking) Register(context.Context, store.Service, store.Instance) (store.Registration, error) {
	panic("a mistake")
}

// TestPanicIsLogged holds that a mistake costs one call, which is answered, and leaves its trace in the log.
func TestPanicIsLogged(t *testing.T) {
	var log strings.Builder
	cfg := config(panicking{newStore(t, memstore.Config{})})
	cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
	a := newAPI(t, cfg)
	got := a.call(t, "PUT", web1, body)
	if p := got.problem(t); got.status != 500 || p.Type != heartbeat.TypeBlank || strings.Contains(got.body, "mistake") {
		t.Errorf("status %d: %s", got.status, got.body)
	}
	if !strings.Contains(log.String(), `msg="http call panicked" panic="a mistake"`) || !strings.Contains(log.String(), "panicking.Register") {
		t.Errorf("the log says %s", log.String())
	}
	if n := strings.Count(log.String(), "level=ERROR"); n != 1 {
		t.Errorf("%d lines of the log for one mistake:\n%s", n, log.String())
	}
	a.must(t, 200, "GET", "/livez", "")
}

// TestPanicInAReply holds that a reply which a mistake broke off is not taken for a whole one.
func TestPanicInAReply(t *testing.T) {
	cfg := config(newStore(t, memstore.Config{}))
	cfg.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "half")
		panic("a mistake")
	})
	defer func() {
		if err, ok := recover().(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
			t.Errorf("the handler ended with %v", err)
		}
	}()
	newAPI(t, cfg).call(t, "GET", "/metrics", "")
}

// TestAbortedReply holds that a handler which has net/http cut the connection has made no mistake.
func TestAbortedReply(t *testing.T) {
	var log strings.Builder
	cfg := config(newStore(t, memstore.Config{}))
	cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
	cfg.Metrics = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	defer func() {
		if p := recover(); p != http.ErrAbortHandler || strings.Contains(log.String(), "level=ERROR") {
			t.Errorf("the handler ended with %v, the log says %s", p, log.String())
		}
	}()
	newAPI(t, cfg).call(t, "GET", "/metrics", "")
}
