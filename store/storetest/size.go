package storetest

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/dnsreg/dnsreg/store"
)

func sizeTests() []test {
	return []test{
		{"a service too large for DNS stays as it was", sizeRegister},
		{"so it does when a replacement is too large", sizeReplace},
		{"addresses count together with the sibling's", sizeSibling},
		{"a weight can make a service too large", sizeOverlay},
	}
}

// fill registers what next makes until the store says that the service is full, and returns how many it took.
func (e *env) fill(service store.Service, next func(i int) store.Instance) int {
	e.Helper()
	for i := range 1000 {
		switch r, err := e.Register(e.Context(), service, next(i)); {
		case errors.Is(err, store.ErrFull):
			return i
		case err != nil:
			e.Fatalf("register %s %d: %v", service, i, err)
		default:
			e.at(r.Revision)
		}
	}
	e.Fatalf("%s never is full", service)
	return 0
}

// wide makes an instance with 1,300 octets of TXT of its own.
func wide(i int) store.Instance {
	return instance(fmt.Sprintf("i%d", i), func(in *store.Instance) {
		for k := range 5 {
			in.TXT = append(in.TXT, fmt.Sprintf("%d=%0255d", k, i)[:255])
		}
		in.TXT = append(in.TXT, fmt.Sprintf("z=%017d", i))
	})
}

func sizeRegister(e *env) {
	const fit = 49 // × (12 + 1,300) octets
	e.unknown(web, fmt.Sprintf("i%d", fit))
	if n := e.fill(web, wide); n != fit {
		e.Fatalf("full with %d instances, want %d", n, fit)
	}
	check := e.unchanged(web)
	if _, err := e.Register(e.Context(), web, wide(fit)); !errors.Is(err, store.ErrFull) {
		e.Fatalf("one more: error %v", err)
	}
	e.renewal(web, wide(fit).ID, store.ErrDeregistered)
	check()
	e.end(web, wide(0).ID)
	e.put(web, wide(fit))
	e.renewal(web, wide(fit).ID, nil)
}

func sizeReplace(e *env) {
	n := e.fill(web, wide)
	small := e.put(web, instance("small"))
	check := e.unchanged(web)
	large := wide(n)
	large.ID = "small"
	if _, err := e.Register(e.Context(), web, large); !errors.Is(err, store.ErrFull) {
		e.Fatalf("a replacement that is too large: error %v", err)
	}
	if _, err := e.renew(web, "small", small.Instance.ETag()); err != nil {
		e.Fatalf("renew the old content: %v", err)
	}
	check()
}

// broad makes an instance with 16 IPv6 addresses of its own.
func broad(i int) store.Instance {
	return instance(fmt.Sprintf("i%d", i), func(in *store.Instance) {
		in.Addresses = nil
		for k := range store.MaxAddresses {
			in.Addresses = append(in.Addresses, netip.AddrFrom16([16]byte{0: 0xfd, 13: byte(i >> 8), 14: byte(i), 15: byte(k)}))
		}
	})
}

func sizeSibling(e *env) {
	const half = 80
	for i := range half {
		e.put(web, broad(i))
	}
	const fit = 65 // (80 + 65) × 16 × (12 + 16) octets
	if n := e.fill(web.Sibling(), func(i int) store.Instance { return broad(half + i) }); n != fit {
		e.Fatalf("full with %d instances, want %d", n, fit)
	}
	check := e.unchanged(web)
	if _, err := e.Register(e.Context(), web, broad(half+fit)); !errors.Is(err, store.ErrFull) {
		e.Fatalf("one more on the other side: error %v", err)
	}
	check()
	e.put("_api._tcp", broad(half+fit))
}

// sizeOverlay fills a service with SRV records of some 250 octets, and sets a weight that splits one of them in two.
func sizeOverlay(e *env) {
	host := func(i int) func(*store.Instance) {
		return func(in *store.Instance) {
			in.Host, in.Addresses = fmt.Sprintf("%063d.%063d.%063d.h%057d.", i, i, i, i), nil
		}
	}
	n := e.fill(web, func(i int) store.Instance { return instance(fmt.Sprintf("i%d", i), host(i)) })
	e.put(web, instance("twin", host(0)))
	check := e.unchanged(web)
	if _, err := e.SetOverlay(e.Context(), web, "twin", weight(7)); !errors.Is(err, store.ErrFull) {
		e.Fatalf("split one of %d SRV records: error %v", n, err)
	}
	check()
	if live := e.live(web, "twin"); live.Overlay != (store.Overlay{}) {
		e.Fatalf("overlay %+v after it was refused", live.Overlay)
	}
	e.set(web, "twin", draining())
	e.end(web, "i1")
	e.set(web, "twin", weight(7))
}
