package heartbeat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/dnsreg/dnsreg/internal/dnssd"
	"github.com/dnsreg/dnsreg/store"
)

// Config says where a [Client] finds its server.
type Config struct {
	Server     string       // "http://127.0.0.1:8054", a path in front of the API's included where a proxy needs one
	Zone       string       // that the calls are about; empty: the server's default zone
	Token      string       // bearer token; empty for none
	HTTPClient *http.Client // nil: one with a timeout of 10 s. Redirects are never followed
}

// Client makes the calls of the HTTP API. It is safe for concurrent use.
//
// Its errors are those of package store where the reply stands for one, with errors.Is and errors.As, and always a
// [*ProblemError] where there was a reply. A server that is out of reach is [store.ErrUnavailable]; when the context
// ended first, the error is the context's.
type Client struct {
	base  string
	root  string // of the paths of the zone
	token string
	http  *http.Client
}

// NewClient returns a client, or an error that names every field of cfg that is wrong.
func NewClient(cfg Config) (*Client, error) {
	root, err := rootOf(cfg.Zone)
	errs := []error{checkServer(cfg.Server), err}
	if strings.ContainsFunc(cfg.Token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		errs = append(errs, errors.New("token: must be printable ASCII without spaces"))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	client := http.Client{Timeout: 10 * time.Second}
	if cfg.HTTPClient != nil {
		client = *cfg.HTTPClient
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{base: strings.TrimRight(cfg.Server, "/"), root: root, token: cfg.Token, http: &client}, nil
}

// rootOf returns what the paths of a zone begin with.
func rootOf(zone string) (string, error) {
	if zone == "" {
		return "/v1", nil
	}
	canonical, err := dnssd.ParseZone(zone)
	if err != nil {
		return "", fmt.Errorf("zone %q: %w", zone, err)
	}
	return "/v1/zones/" + strings.TrimSuffix(canonical, "."), nil
}

func checkServer(server string) error {
	u, err := url.Parse(server)
	switch {
	case err == nil && u.User != nil: // the text may hold a password
		return errors.New("server: must not hold a user or password: use a token")
	case err != nil, u.Scheme != "http" && u.Scheme != "https", u.Host == "", u.RawQuery != "", u.Fragment != "":
		return fmt.Errorf("server %q: must be a URL such as http://127.0.0.1:8054", server)
	}
	return nil
}

// Register registers an instance, replaces or renews it. Weight is taken as it stands: an unset one is 0, not
// [store.DefaultWeight]. A TTL of 0 is left out, and is [store.DefaultTTL] on the server.
func (c *Client) Register(ctx context.Context, service store.Service, in store.Instance) (Registration, error) {
	body, err := Record{Instance: in}.Encode()
	if err != nil {
		return Registration{}, err
	}
	var r Registration
	status, err := c.callOn(ctx, service, in.ID, request{method: http.MethodPut, body: body}, &r)
	r.Created = status == http.StatusCreated
	return r, err
}

// Heartbeat renews one lease. An etag that is not empty is the content that the caller believes to be stored. It
// fails with [store.ErrGone] or [store.ErrConflict] when the instance is to be registered again and with
// [store.ErrDeregistered] when it is to stop.
func (c *Client) Heartbeat(ctx context.Context, service store.Service, id, etag string) (Lease, error) {
	req := request{method: http.MethodPost, path: "/heartbeat"}
	if etag != "" {
		req.ifMatch = `"` + etag + `"`
	}
	var r Renewal
	_, err := c.callOn(ctx, service, id, req, &r)
	return r.Lease, err
}

// Beat is the result of one item of [Client.HeartbeatAll]: the lease, or one of the errors of [Client.Heartbeat].
type Beat struct {
	Lease Lease
	Err   error
}

// HeartbeatAll renews at most [MaxBatch] leases in one call and returns their results in the same order.
func (c *Client) HeartbeatAll(ctx context.Context, renewals []store.Renewal) ([]Beat, error) {
	form := batchForm{Instances: make([]renewalForm, len(renewals))}
	for i, r := range renewals {
		form.Instances[i] = renewalForm(r)
	}
	body, err := json.Marshal(form)
	if err != nil {
		return nil, fmt.Errorf("encode batch: %w", err)
	}
	var reply Batch
	if _, err := c.call(ctx, request{method: http.MethodPost, path: c.root + "/heartbeats", body: body}, &reply); err != nil {
		return nil, err
	}
	if len(reply.Instances) != len(renewals) {
		return nil, fmt.Errorf("batch of heartbeats: %d results to %d renewals", len(reply.Instances), len(renewals))
	}
	beats := make([]Beat, len(renewals))
	for i, r := range reply.Instances {
		beats[i] = r.beat()
	}
	return beats, nil
}

func (r BatchResult) beat() Beat {
	switch {
	case r.Result == ResultRenewed && r.Lease != nil && r.Lease.check() == nil:
		return Beat{Lease: *r.Lease}
	case r.Result == ResultGone:
		return Beat{Err: store.ErrGone}
	case r.Result == ResultChanged:
		return Beat{Err: store.ErrConflict}
	case r.Result == ResultDeregistered:
		return Beat{Err: store.ErrDeregistered}
	}
	return Beat{Err: fmt.Errorf("heartbeat of %q: unknown result %q", r.ID, r.Result)}
}

// Deregister removes an instance. It fails with [store.ErrUnknown] when there was none, which the server remembers as
// deregistered all the same.
func (c *Client) Deregister(ctx context.Context, service store.Service, id string) (Removal, error) {
	var r Removal
	_, err := c.callOn(ctx, service, id, request{method: http.MethodDelete}, &r)
	return r, err
}

// SetState sets an instance's state as its operator.
func (c *Client) SetState(ctx context.Context, service store.Service, id string, state store.State) (Change, error) {
	return c.setOverlay(ctx, service, id, Overlay{State: &state})
}

// SetWeight sets an instance's weight as its operator. The registrar's own counts again only after the instance's end.
func (c *Client) SetWeight(ctx context.Context, service store.Service, id string, weight uint16) (Change, error) {
	return c.setOverlay(ctx, service, id, Overlay{Weight: &weight})
}

func (c *Client) setOverlay(ctx context.Context, service store.Service, id string, o Overlay) (Change, error) {
	var r Change
	body, err := json.Marshal(o)
	if err != nil {
		return r, fmt.Errorf("encode overlay: %w", err)
	}
	_, err = c.callOn(ctx, service, id, request{method: http.MethodPatch, body: body}, &r)
	return r, err
}

// Services returns the services that have a live instance.
func (c *Client) Services(ctx context.Context) (Services, error) {
	var r Services
	_, err := c.call(ctx, request{method: http.MethodGet, path: c.root + "/services"}, &r)
	return r, err
}

// Service returns one service with its live instances. It fails with [store.ErrUnknown] when there is none.
func (c *Client) Service(ctx context.Context, service store.Service) (Service, error) {
	var r Service
	_, err := c.call(ctx, request{method: http.MethodGet, path: c.servicePath(service)}, &r)
	return r, err
}

// Instance returns one live instance. It fails with [store.ErrUnknown] when there is none.
func (c *Client) Instance(ctx context.Context, service store.Service, id string) (Detail, error) {
	var r Detail
	_, err := c.callOn(ctx, service, id, request{method: http.MethodGet}, &r)
	return r, err
}

func (c *Client) servicePath(service store.Service) string {
	return c.root + "/services/" + segment(string(service))
}

// callOn makes a call on an instance, to which the request's path is added. Without an id there is no such path.
func (c *Client) callOn(ctx context.Context, service store.Service, id string, req request, reply any) (int, error) {
	if err := checkID(id); err != nil {
		return 0, err
	}
	req.path = c.servicePath(service) + "/instances/" + segment(id) + req.path
	return c.call(ctx, req, reply)
}

// checkID refuses the empty id, an *store.InvalidError. All else about ids is the server's to say.
func checkID(id string) error {
	if id != "" {
		return nil
	}
	return &store.InvalidError{Fields: []store.FieldError{store.NewFieldError("id", id, "must not be empty")}}
}

// segment escapes one segment of a path, dots included where anything between could take them for directories.
func segment(s string) string {
	if strings.Trim(s, ".") == "" {
		return strings.ReplaceAll(s, ".", "%2E")
	}
	return url.PathEscape(s)
}
