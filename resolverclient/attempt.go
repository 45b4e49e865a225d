package resolverclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"
)

// errUnavailable is a reply of one of [Config.RetryStatuses].
var errUnavailable = errors.New("instance unavailable")

// attempt is one request on its way over instances.
type attempt struct {
	service *pools
	req     *http.Request
	sent    bool // the request's own body was handed on

	mu    sync.Mutex     // guards spare
	spare *http.Response // the last that said that its instance is unavailable
}

// run tries instances until one answers. Where each is unavailable the last one's reply is the answer.
func (a *attempt) run() (*http.Response, error) {
	call := a.inTurn
	if a.service.cfg().HedgeAfter > 0 && a.mayHedge() {
		call = a.hedged
	}
	resp, err := call()
	if a.req.Body != nil && !a.sent {
		a.req.Body.Close()
	}
	if err == nil {
		a.keep(nil)
		return resp, nil
	}
	if a.spare != nil {
		return a.spare, nil
	}
	return nil, err
}

// inTurn sends the request to one instance after the other.
func (a *attempt) inTurn() (resp *http.Response, err error) {
	ctx := a.req.Context()
	err = a.service.balancer.try(ctx, func(p Picked) (again bool, err error) {
		resp, again, err = a.once(ctx, p)
		return again, err
	})
	return resp, err
}

// hedged sends the request to one more instance each time that [Config.HedgeAfter] has passed, until one answers.
func (a *attempt) hedged() (*http.Response, error) {
	ctx := a.req.Context()
	h, err := newHedge(ctx, a.service.balancer, a.service.cfg().HedgeAfter, a.once)
	if err != nil {
		return nil, err
	}
	h.drop = func(resp *http.Response) { resp.Body.Close() }
	resp, end, err := h.run(ctx)
	switch {
	case err == nil:
		track(resp, func() { end(nil) })
	case a.spare != nil: // its context is one of those that are left
		track(a.spare, func() { end(nil) })
	default:
		end(nil)
	}
	return resp, err
}

// once sends the request to an instance. A reply that says that it is unavailable is an error where another may be
// asked.
func (a *attempt) once(ctx context.Context, p Picked) (resp *http.Response, again bool, err error) {
	start := time.Now()
	pool := a.service.get(p.Endpoint)
	req, err := a.request(ctx)
	if err != nil {
		p.Done(nil)
		return nil, false, err
	}
	resp, err = pool.RoundTrip(req)
	if err != nil {
		p.Done(outrun(ctx, err, time.Since(start), a.service.cfg().HedgeAfter))
		pool.released()
		return nil, a.mayRepeat(ctx, err), err
	}
	fault := a.unavailable(resp)
	track(resp, func() {
		p.Done(fault)
		pool.released()
	})
	if fault == nil || !a.mayRepeat(ctx, fault) {
		return resp, false, nil
	}
	a.keep(resp)
	return nil, true, fault
}

// keep holds a reply for the case that no better one comes, and closes the one held before.
func (a *attempt) keep(resp *http.Response) {
	a.mu.Lock()
	old := a.spare
	a.spare = resp
	a.mu.Unlock()
	if old != nil {
		old.Body.Close()
	}
}

// request returns the request with a context, and with a body of its own where it has one that can be had again.
func (a *attempt) request(ctx context.Context) (*http.Request, error) {
	if a.req.Body == nil || a.req.Body == http.NoBody {
		return a.in(ctx), nil
	}
	if a.req.GetBody == nil { // such a request is never hedged: this is its only goroutine
		a.sent = true
		return a.in(ctx), nil
	}
	body, err := a.req.GetBody()
	if err != nil {
		return nil, fmt.Errorf("read the body again: %w", err)
	}
	req := a.req.WithContext(ctx)
	req.Body = body
	return req, nil
}

// in returns the request in a context.
func (a *attempt) in(ctx context.Context) *http.Request {
	if ctx == a.req.Context() {
		return a.req
	}
	return a.req.WithContext(ctx)
}

// mayRepeat reports whether the request may go to another instance after an error: always where nothing was sent, and
// else where it does no harm twice.
func (a *attempt) mayRepeat(ctx context.Context, err error) bool {
	return !a.sent && ctx.Err() == nil && (IsConnectError(err) || a.idempotent())
}

// mayHedge reports whether the request may be under way twice at a time: it does no harm, and its body can be had twice.
func (a *attempt) mayHedge() bool {
	return a.idempotent() && (a.req.Body == nil || a.req.Body == http.NoBody || a.req.GetBody != nil)
}

// idempotent reports whether the request may be sent twice (RFC 9110 section 9.2.2, as net/http understands it).
func (a *attempt) idempotent() bool {
	switch a.req.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	return a.req.Header.Get("Idempotency-Key") != ""
}

// unavailable returns the error of a reply that says that this instance cannot serve now.
func (a *attempt) unavailable(resp *http.Response) error {
	if slices.Contains(a.service.cfg().RetryStatuses, resp.StatusCode) {
		return fmt.Errorf("%w: %s", errUnavailable, resp.Status)
	}
	return nil
}

// track has done called once when the reply has been read or closed.
func track(resp *http.Response, done func()) {
	if resp.StatusCode == http.StatusSwitchingProtocols { // the body is a connection, which must stay one
		done()
		return
	}
	resp.Body = &trackedBody{ReadCloser: resp.Body, done: done}
}

type trackedBody struct {
	io.ReadCloser
	once sync.Once
	done func()
}

// Read reads from the reply.
func (b *trackedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.once.Do(b.done)
	}
	return n, err
}

// Close closes the reply.
func (b *trackedBody) Close() error {
	err := b.ReadCloser.Close()
	b.once.Do(b.done)
	return err
}
