package resolverclient

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
)

// errUnavailable is a reply of 502, 503 or 504.
var errUnavailable = errors.New("instance unavailable")

// attempt is one request on its way over instances.
type attempt struct {
	service *pools
	req     *http.Request
	left    int            // tries
	resp    *http.Response // the last one
	sent    bool           // the request's own body was handed on
}

// run tries instances until one answers.
func (a *attempt) run() (*http.Response, error) {
	err := a.service.balancer.try(a.req.Context(), a.once)
	if a.req.Body != nil && !a.sent {
		a.req.Body.Close()
	}
	if a.resp != nil {
		return a.resp, nil
	}
	return nil, err
}

// once sends the request to an instance.
func (a *attempt) once(p Picked) (again bool, err error) {
	a.left--
	a.service.follow()
	pool := a.service.get(p.Endpoint)
	req, err := a.request()
	if err != nil {
		p.Done(nil)
		return false, err
	}
	resp, err := pool.RoundTrip(req)
	if err != nil {
		p.Done(err)
		pool.released()
		return a.mayRepeat(err), err
	}
	if a.resp != nil {
		a.resp.Body.Close() // of the try before, which was kept in case this one brings none
	}
	a.resp = resp
	err = unavailable(resp)
	track(resp, func() {
		p.Done(err)
		pool.released()
	})
	if err != nil && a.mayRepeat(err) && a.left > 0 {
		return true, err
	}
	return false, nil
}

// request returns the request with a body of its own where it has one that can be had again.
func (a *attempt) request() (*http.Request, error) {
	if a.req.Body == nil || a.req.Body == http.NoBody {
		return a.req, nil
	}
	if a.req.GetBody == nil {
		a.sent = true
		return a.req, nil
	}
	body, err := a.req.GetBody()
	if err != nil {
		return nil, fmt.Errorf("read the body again: %w", err)
	}
	req := *a.req
	req.Body = body
	return &req, nil
}

// mayRepeat reports whether the request may go to another instance after an error: always where nothing was sent, and
// else where it does no harm twice (RFC 9110 section 9.2.2, as net/http understands it).
func (a *attempt) mayRepeat(err error) bool {
	if a.sent || a.req.Context().Err() != nil {
		return false
	}
	if IsConnectError(err) {
		return true
	}
	switch a.req.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	return a.req.Header.Get("Idempotency-Key") != ""
}

// unavailable returns the error of a reply that says that this instance cannot serve now.
func unavailable(resp *http.Response) error {
	switch resp.StatusCode {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
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
