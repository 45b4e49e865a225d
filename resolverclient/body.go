package resolverclient

import (
	"errors"
	"io"
	"net/http"
	"sync"
)

// heldBody is the body of a request that can be read once. Where an instance could not be connected it was not read, and
// the next one has it: it is closed by the first that reads it, or when the request has ended.
type heldBody struct {
	io.ReadCloser

	mu     sync.Mutex // guards what follows
	read   bool
	broken bool // reading it failed before anybody asked to close it
	ended  bool // nobody else will have it
	asked  bool // to be closed, by the instance that has it
	closed bool
}

// hand gives the body to an instance. That the one before it asked for its end ends it no longer.
func (b *heldBody) hand() {
	b.mu.Lock()
	b.asked = false
	b.mu.Unlock()
}

// Read reads from the body.
func (b *heldBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	b.read = true
	b.mu.Unlock()
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		b.mu.Lock()
		b.broken = b.broken || !b.asked
		b.mu.Unlock()
	}
	return n, err
}

// Close closes the body unless another instance may have it.
func (b *heldBody) Close() error {
	b.mu.Lock()
	b.asked = true
	b.mu.Unlock()
	return b.settle()
}

// end says that nobody else will have the body. An instance that has it still closes it itself.
func (b *heldBody) end() {
	b.mu.Lock()
	b.ended = true
	b.mu.Unlock()
	_ = b.settle() // the reply says what became of the request
}

// settle closes the body, once, where that was asked for and nobody else may have it.
func (b *heldBody) settle() error {
	b.mu.Lock()
	due := b.asked && (b.read || b.ended) && !b.closed
	b.closed = b.closed || due
	b.mu.Unlock()
	if due {
		return b.ReadCloser.Close()
	}
	return nil
}

// failed reports whether the body could not be read to its end, which is no fault of the instance.
func (b *heldBody) failed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.broken
}

// whole reports whether the body may still be had from its start.
func (b *heldBody) whole() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.read
}

// track has done called when the reply has been read or closed, perhaps more than once.
func track(resp *http.Response, done func()) {
	// A reply that switches protocols has a connection for a body, which must stay one; some callers do not close a body
	// that has nothing to read, for which HTTP/2 has a value of its own.
	head := resp.Request != nil && resp.Request.Method == http.MethodHead
	if head || resp.StatusCode == http.StatusSwitchingProtocols || resp.Body == http.NoBody {
		done()
		return
	}
	resp.Body = &trackedBody{ReadCloser: resp.Body, done: done}
}

// trackedBody is the body of a reply.
type trackedBody struct {
	io.ReadCloser
	done func()
}

// Read reads from the reply.
func (b *trackedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.done()
	}
	return n, err
}

// Close closes the reply.
func (b *trackedBody) Close() error {
	err := b.ReadCloser.Close()
	b.done()
	return err
}
