package heartbeat

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/dnsreg/dnsreg/store"
)

// Greatest sizes of what is read of a reply, in octets.
const (
	maxReply   = 64 << 20 // a list of everything
	maxProblem = 256 << 10
)

// request is one call of the API.
type request struct {
	method, path string
	body         []byte // JSON; nil for none
	ifMatch      string
}

// call makes one call and decodes its reply into reply. It returns the status, 0 where there was no reply.
func (c *Client) call(ctx context.Context, req request, reply any) (int, error) {
	status, err := c.roundTrip(ctx, req, reply)
	if err == nil {
		return status, nil
	}
	return status, fmt.Errorf("%s %s%s: %w", req.method, c.base, req.path, err)
}

func (c *Client) roundTrip(ctx context.Context, req request, reply any) (int, error) {
	r, err := c.newRequest(ctx, req)
	if err != nil {
		return 0, err
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return 0, unreachable(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusCreated {
		body, err := readAtMost(resp.Body, maxProblem)
		if err != nil {
			body = nil // the status says enough
		}
		return resp.StatusCode, problemError(resp, body)
	}
	body, err := readAtMost(resp.Body, maxReply)
	if err != nil {
		return resp.StatusCode, unreachable(ctx, err)
	}
	err = json.Unmarshal(body, reply)
	if r, ok := reply.(completer); ok && err == nil {
		err = r.complete(resp.Header)
	}
	if err != nil {
		err = fmt.Errorf("the reply is not dnsreg's: %w", err)
	}
	return resp.StatusCode, err
}

// completer is a reply of which the JSON is not all there is to know.
type completer interface {
	complete(header http.Header) error
}

func (c *Client) newRequest(ctx context.Context, req request) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, req.method, c.base+req.path, bytes.NewReader(req.body))
	if err != nil {
		return nil, err
	}
	if req.body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if req.ifMatch != "" {
		r.Header.Set("If-Match", req.ifMatch)
	}
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	// Every call is idempotent: the nil key lets net/http try again, without sending the header, on a connection that
	// the server had closed.
	r.Header["Idempotency-Key"] = nil
	return r, nil
}

// unreachableError says that there was no reply from the server.
type unreachableError struct{ cause error }

// Error returns the cause without the method and URL that net/http puts in front of it.
func (e *unreachableError) Error() string {
	return fmt.Sprintf("no reply from the server: %v", e.cause)
}

// Unwrap returns the cause.
func (e *unreachableError) Unwrap() error { return e.cause }

// Is reports whether target is store.ErrUnavailable, which to a caller is the same: the call may or may not have taken
// effect.
func (e *unreachableError) Is(target error) bool { return target == store.ErrUnavailable }

// unreachable says why there was no reply: the caller's context, or the server.
func unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if u := (*url.Error)(nil); errors.As(err, &u) {
		err = u.Err
	}
	return &unreachableError{cause: err}
}

var errLongReply = errors.New("the reply is too long")

// readAtMost reads all of r, or fails where there are more than limit octets.
func readAtMost(r io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = errLongReply
	}
	return data, err
}
