package endpoint

import (
	"cmp"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/dnsreg/dnsreg/heartbeat"
	"github.com/dnsreg/dnsreg/store"
)

// reading refuses calls that read where the store's content is not known, so that it is not taken for empty.
func reading(read zoneCall) zoneCall {
	return func(z *zone, w http.ResponseWriter, r *http.Request) error {
		if z.Store.Freshness() == store.Lost {
			return fmt.Errorf("%w: its content is not known", store.ErrUnavailable)
		}
		return read(z, w, r)
	}
}

// services answers GET of the list of services.
func (z *zone) services(w http.ResponseWriter, r *http.Request) error {
	view := z.Store.View()
	if notModified(w, r, view.Revision()) {
		return nil
	}
	return z.ok(w, http.StatusOK, heartbeat.Services{Services: summaries(view)})
}

func summaries(view *store.View) []heartbeat.Summary {
	list := make([]heartbeat.Summary, 0, view.Services())
	for snapshot := range view.All() {
		list = append(list, heartbeat.Summary{
			Service:   snapshot.Service,
			Instances: len(snapshot.Instances),
			Revision:  snapshot.Revision,
		})
	}
	slices.SortFunc(list, func(a, b heartbeat.Summary) int { return cmp.Compare(a.Service, b.Service) })
	return list
}

// service answers GET of one service.
func (z *zone) service(w http.ResponseWriter, r *http.Request) error {
	service, err := store.ParseService(r.PathValue("service"))
	if err != nil {
		return err
	}
	snapshot := z.Store.View().Service(service)
	if snapshot == nil {
		return fmt.Errorf("%s: %w", service, errNoService)
	}
	if notModified(w, r, snapshot.Revision) {
		return nil
	}
	leases, err := z.Store.Leases(r.Context(), service)
	if err != nil {
		return err
	}
	detail := heartbeat.Service{Service: service, Revision: snapshot.Revision, Instances: []heartbeat.Instance{}}
	now := time.Now()
	for i := range snapshot.Instances {
		detail.Instances = append(detail.Instances, z.shown(service, &snapshot.Instances[i], leases, now))
	}
	return z.ok(w, http.StatusOK, detail)
}

// instance answers GET of one instance.
func (z *zone) instance(w http.ResponseWriter, r *http.Request, service store.Service, id string) error {
	snapshot := z.Store.View().Service(service)
	live := snapshot.Find(id)
	if live == nil {
		return fmt.Errorf("%s %q: %w", service, id, store.ErrUnknown)
	}
	if notModified(w, r, snapshot.Revision) {
		return nil
	}
	leases, err := z.Store.Leases(r.Context(), service)
	if err != nil {
		return err
	}
	return z.ok(w, http.StatusOK, heartbeat.Detail{
		Service:  service,
		Revision: snapshot.Revision,
		ETag:     live.ETag(),
		Instance: z.shown(service, live, leases, time.Now()),
	})
}

// shown returns an instance as replies show it.
func (z *zone) shown(service store.Service, live *store.Live, leases map[string]store.Lease, now time.Time) heartbeat.Instance {
	in := heartbeat.Instance{
		ID:        live.ID,
		Host:      live.Host,
		Addresses: append([]netip.Addr{}, live.Addresses...),
		Port:      live.Port,
		Priority:  live.Priority,
		Weight:    live.EffectiveWeight(),
		TXT:       append([]string{}, live.TXT...),
		Subtypes:  append([]string{}, live.Subtypes...),
		TTL:       heartbeat.Duration(live.TTL),
		State:     live.State(),
		DNS:       z.names(service, &live.Instance),
	}
	if !live.Overlay.Equal(store.Overlay{}) {
		in.Overlay = &heartbeat.Overlay{State: live.Overlay.State, Weight: live.Overlay.Weight}
	}
	if lease, ok := leases[live.Key()]; ok {
		in.Lease = leaseLeft(lease, now)
	}
	return in
}

// leaseLeft returns what is left of a lease, never more than that.
func leaseLeft(lease store.Lease, now time.Time) *heartbeat.LeaseLeft {
	left := max(lease.ExpiresAt.Sub(now), 0).Truncate(100 * time.Millisecond)
	return &heartbeat.LeaseLeft{ExpiresAt: lease.ExpiresAt.UTC(), Remaining: heartbeat.Duration(left)}
}

// notModified names the revision as the reply's weak entity tag, and answers 304 where the caller has it (RFC 9110
// section 13.1.2).
func notModified(w http.ResponseWriter, r *http.Request, revision store.Revision) bool {
	tag := fmt.Sprintf(`"%d"`, revision)
	w.Header().Set("ETag", "W/"+tag)
	if !matchesAny(r.Header.Values("If-None-Match"), tag) {
		return false
	}
	w.Header().Set("Cache-Control", caching)
	w.WriteHeader(http.StatusNotModified)
	return true
}

// matchesAny reports whether a list of entity tags has tag or "*", by weak comparison (RFC 9110 section 8.8.3.2).
func matchesAny(headers []string, tag string) bool {
	for have := range strings.SplitSeq(strings.Join(headers, ","), ",") {
		have = strings.TrimPrefix(strings.TrimSpace(have), "W/")
		if have == tag || have == "*" {
			return true
		}
	}
	return false
}
