package endpoint

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

var (
	errPeer      = errors.New("the caller has no IP address")
	errForwarded = errors.New("the X-Forwarded-For header does not name the caller")
)

// callerAddr returns the caller's address: the peer's, or, where the peer is a trusted proxy, the right-most address of
// X-Forwarded-For that is not one. What stands left of that is the caller's own claim. Where all are trusted proxies it
// is the left-most, and the peer's where there is no such header: a proxy's host may register something too.
func callerAddr(r *http.Request, trusted []netip.Prefix) (netip.Addr, error) {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}, errPeer
	}
	caller := peer.Addr().Unmap()
	if !isTrusted(caller, trusted) {
		return caller, nil
	}
	header := strings.Join(r.Header.Values("X-Forwarded-For"), ",")
	if strings.TrimSpace(header) == "" {
		return caller, nil
	}
	for _, hop := range slices.Backward(strings.Split(header, ",")) {
		caller, err = parseHop(strings.TrimSpace(hop))
		if err != nil {
			return netip.Addr{}, err
		}
		if !isTrusted(caller, trusted) {
			break
		}
	}
	return caller, nil
}

// parseHop reads one entry of X-Forwarded-For: an address, with a port where the proxy adds one.
func parseHop(hop string) (netip.Addr, error) {
	if addr, err := netip.ParseAddr(strings.Trim(hop, "[]")); err == nil {
		return addr.Unmap(), nil
	}
	if addr, err := netip.ParseAddrPort(hop); err == nil {
		return addr.Addr().Unmap(), nil
	}
	return netip.Addr{}, fmt.Errorf("%w: %.64q", errForwarded, hop)
}

func isTrusted(addr netip.Addr, trusted []netip.Prefix) bool {
	return slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(addr.WithZone("")) })
}
