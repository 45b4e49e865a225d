package redisstore

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/dnsreg/dnsreg/internal/dnssd"
	"github.com/dnsreg/dnsreg/store"
)

const (
	// freeSize is how many instances a service and its sibling may have before a change, none of which is too large for
	// DNS: store.CheckSize looks at 40 and more.
	freeSize = 39
	// A service that is far from its limit may take some changes of others, unseen, beside the one that was judged.
	slackMost = 32
	slackSome = 8
)

// judged makes a change to an instance once it is known that DNS can carry what comes of its service: next makes the
// changed instance from the one there is, nil for none, and try tells Redis up to which revision that holds. Where Redis
// says that the service has changed since, it is judged anew.
func (s *Store) judged(ctx context.Context, n name, next func(*store.Live) store.Live, try func(store.Revision) (written, error)) (written, error) {
	bounded, cancel := call(ctx)
	defer cancel()
	for {
		current := s.current.Load()
		slack, err := s.judge(current.view, n, next)
		if err != nil {
			return written{}, err
		}
		w, err := try(current.applied + slack)
		if err != nil || w.status() != statusChanged {
			return w, err
		}
		if !s.shown(bounded, w.epoch, w.revision(), callTimeout) {
			return written{}, s.unavailable(ctx, "judge the size of "+string(n.service), context.DeadlineExceeded)
		}
	}
}

// judge returns how many changes of others the service can take beside this one, or the error of a service that DNS
// could not carry with it. An instance that stays as it is was judged before.
func (s *Store) judge(view *store.View, n name, next func(*store.Live) store.Live) (store.Revision, error) {
	snapshot, sibling := view.Service(n.service), view.Service(n.service.Sibling())
	old := snapshot.Find(n.key)
	live := next(old)
	if old != nil && old.Overlay.Equal(live.Overlay) && bytes.Equal(old.Canonical(), live.Canonical()) {
		return 0, nil
	}
	changed := snapshot.With(live)
	changed.Service = n.service
	zone := s.config.Rules.Zone
	if err := store.CheckSize(zone, changed, sibling); err != nil {
		return 0, err
	}
	if free := freeSize - sizeOf(changed) - sizeOf(sibling); free > 0 {
		return store.Revision(free), nil
	}
	for _, slack := range []int{slackMost, slackSome} {
		more := &store.Snapshot{Service: n.service, Instances: slices.Concat(changed.Instances, s.widest[:2*slack])}
		if store.CheckSize(zone, more, sibling) == nil {
			return store.Revision(slack), nil
		}
	}
	return 0, nil
}

func sizeOf(s *store.Snapshot) int {
	if s == nil {
		return 0
	}
	return len(s.Instances)
}

// widest returns instances that take as much of every answer as any can, in pairs, one of each address family.
func widest(pairs int) []store.Live {
	all := make([]store.Live, 0, 2*pairs)
	for i := range pairs {
		label := fmt.Sprintf("%0*d", dnssd.MaxLabel, i)
		in := store.Instance{
			ID:   label,
			Host: fmt.Sprintf("%0*d.", dnssd.MaxName-2, i), // external: taken as it stands
			Port: 1,
			TXT:  []string{strings.Repeat("x", dnssd.MaxTXT-11) + fmt.Sprintf("%010d", i)},
		}
		v6 := in
		v6.ID, v6.Host = "6"+label[1:], "6"+in.Host[1:]
		v6.TXT = nil
		for k := range store.MaxAddresses {
			in.Addresses = append(in.Addresses, netip.AddrFrom4([4]byte{0, byte(i), byte(k), 0}))
			v6.Addresses = append(v6.Addresses, netip.AddrFrom16([16]byte{14: byte(i), 15: byte(k)}))
		}
		all = append(all, store.Live{Instance: in}, store.Live{Instance: v6})
	}
	return all
}
