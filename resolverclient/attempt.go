package resolverclient

import (
	"context"
	"errors"
	"fmt"
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
	held    *heldBody // the request's own body, once it was handed on

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
	a.closeBody()
	if err == nil {
		a.keep(nil)
		return resp, nil
	}
	if a.spare != nil {
		return a.spare, nil
	}
	return nil, err
}

// closeBody ends the use of the request's own body.
func (a *attempt) closeBody() {
	switch {
	case a.held != nil:
		a.held.end()
	case a.req.Body != nil:
		a.req.Body.Close()
	}
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
		p.Done(context.Canceled) // says nothing of the instance
		pool.released()
		return nil, false, err
	}
	resp, err = pool.RoundTrip(req)
	if err != nil {
		p.Done(a.blame(ctx, err, time.Since(start)))
		pool.released()
		return nil, a.mayRepeat(ctx, err), err
	}
	fault := a.unavailable(resp)
	done := sync.OnceFunc(func() {
		p.Done(fault)
		pool.released()
	})
	track(resp, done)
	if resp.ContentLength == 0 { // nothing to read; its stream may still have to end, which takes the context
		done()
	}
	if fault == nil || !a.mayRepeat(ctx, fault) {
		return resp, false, nil
	}
	a.keep(resp)
	return nil, true, fault
}

// blame returns the part of an error that speaks against the instance.
func (a *attempt) blame(ctx context.Context, err error, took time.Duration) error {
	if a.held != nil && a.held.failed() {
		return context.Canceled
	}
	return outrun(ctx, err, took, a.service.cfg().HedgeAfter)
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
	req := a.req.WithContext(ctx)
	if a.req.GetBody == nil { // such a request is never hedged: this is its only goroutine
		if a.held == nil {
			a.held = &heldBody{ReadCloser: a.req.Body}
		}
		a.held.hand()
		req.Body = a.held
		return req, nil
	}
	var err error
	if req.Body, err = a.req.GetBody(); err != nil {
		return nil, fmt.Errorf("read the body again: %w", err)
	}
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
	switch {
	case ctx.Err() != nil:
		return false
	case a.held != nil: // who was connected may go on to read it
		return IsConnectError(err) && a.held.whole()
	}
	return IsConnectError(err) || a.idempotent()
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
