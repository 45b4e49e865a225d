package endpoint

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/dnsreg/dnsreg/heartbeat"
	"github.com/dnsreg/dnsreg/store"
)

// problems is the one table from errors to replies; the first that matches counts.
var problems = []struct {
	is     error
	status int
	kind   string
	title  string
}{
	{store.ErrGone, http.StatusNotFound, heartbeat.TypeGone, "Lease gone"},
	{store.ErrUnknown, http.StatusNotFound, heartbeat.TypeUnknown, "Unknown"},
	{errNoService, http.StatusNotFound, heartbeat.TypeUnknown, "Unknown"},
	{errNoZone, http.StatusNotFound, heartbeat.TypeUnknown, "Unknown"},
	{store.ErrDeregistered, http.StatusGone, heartbeat.TypeDeregistered, "Deregistered"},
	{store.ErrConflict, http.StatusPreconditionFailed, heartbeat.TypeConflict, "Another content is stored"},
	{store.ErrFull, http.StatusConflict, heartbeat.TypeFull, "Limit reached"},
	{store.ErrUnavailable, http.StatusServiceUnavailable, heartbeat.TypeUnavailable, "Unavailable"},
	{context.DeadlineExceeded, http.StatusServiceUnavailable, heartbeat.TypeUnavailable, "Unavailable"},
	{context.Canceled, http.StatusServiceUnavailable, heartbeat.TypeUnavailable, "Unavailable"},
	{errTooLarge, http.StatusRequestEntityTooLarge, heartbeat.TypeBlank, ""},
	{errSlow, http.StatusRequestTimeout, heartbeat.TypeBlank, ""},
}

// retryAfter is what a 503 asks for, in seconds.
const retryAfter = "1"

// caching is the Cache-Control of every reply: whoever keeps one asks whether it still holds.
const caching = "no-cache"

// maxErrors bounds the fields that one reply lists.
const maxErrors = 32

var (
	errTooLarge  = errors.New("the body is larger than this call takes")
	errSlow      = fmt.Errorf("the body must arrive whole within %s", readTimeout)
	errNoService = errors.New("the service has no live instance")
	errNoZone    = errors.New("there is no such zone here")
)

// statusError is a reply that says no more than its status, and one header where that has to go with it.
type statusError struct {
	status        int
	detail        string
	header, value string
}

// Error returns the detail.
func (e *statusError) Error() string { return e.detail }

// fail answers with the problem that err stands for.
func (s *Server) fail(w http.ResponseWriter, err error) {
	p := problemOf(err)
	if status := (*statusError)(nil); errors.As(err, &status) && status.header != "" {
		w.Header().Set(status.header, status.value)
	}
	if p.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", retryAfter)
	}
	if p.Status == http.StatusInternalServerError {
		s.log.Error("http call failed", "error", err)
		s.mistaken(w)
		return
	}
	s.problem(w, p)
}

// mistaken answers that the fault is the server's own, of which its log says more.
func (s *Server) mistaken(w http.ResponseWriter) {
	s.problem(w, heartbeat.Problem{Type: heartbeat.TypeBlank, Status: http.StatusInternalServerError, Detail: "the server's log says more"})
}

func (s *Server) problem(w http.ResponseWriter, p heartbeat.Problem) {
	if p.Title == "" {
		p.Title = http.StatusText(p.Status)
	}
	s.write(w, p.Status, heartbeat.ProblemMedia, p)
}

// problemOf returns the problem that err stands for.
func problemOf(err error) heartbeat.Problem {
	p := heartbeat.Problem{Type: heartbeat.TypeBlank, Status: http.StatusInternalServerError, Detail: err.Error()}
	var syntax *heartbeat.SyntaxError
	var invalid *store.InvalidError
	var status *statusError
	switch {
	case errors.As(err, &syntax):
		p.Status, p.Title = http.StatusBadRequest, "Malformed request"
		p.Errors = []heartbeat.ProblemField{heartbeat.ProblemField(*syntax)}
	case errors.As(err, &invalid):
		return invalidProblem(invalid)
	case errors.As(err, &status):
		p.Status = status.status
	default:
		for _, known := range problems {
			if errors.Is(err, known.is) {
				p.Status, p.Type, p.Title = known.status, known.kind, known.title
				break
			}
		}
	}
	return p
}

func invalidProblem(err *store.InvalidError) heartbeat.Problem {
	err = &store.InvalidError{Fields: err.Fields[:min(len(err.Fields), maxErrors)]}
	p := heartbeat.Problem{
		Type:   heartbeat.TypeInvalid,
		Title:  "A rule is broken",
		Status: http.StatusUnprocessableEntity,
		Detail: err.Error(),
	}
	for _, f := range err.Fields {
		p.Errors = append(p.Errors, heartbeat.ProblemField(f))
	}
	return p
}

// write answers with value as JSON.
func (s *Server) write(w http.ResponseWriter, status int, media string, value any) {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		s.log.Error("encode reply", "error", err)
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", media)
	h.Set("Content-Length", strconv.Itoa(body.Len()))
	h.Set("Cache-Control", caching)
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	if _, err := w.Write(body.Bytes()); err != nil {
		s.log.Debug("write reply", "error", err) // the caller has gone
	}
}

// ok answers a call that succeeded.
func (s *Server) ok(w http.ResponseWriter, status int, value any) error {
	s.write(w, status, "application/json", value)
	return nil
}
