package dnsserver

import (
	"crypto/rand"
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/dchest/siphash"
)

// Lengths in a COOKIE option, in octets (RFC 7873 section 4, RFC 9018 section 4).
const (
	clientCookieLen    = 8
	serverCookieLen    = 16
	minServerCookieLen = 8
	maxServerCookieLen = 32
	cookieLen          = clientCookieLen + serverCookieLen
)

// For how long a server cookie is good, before and after the time in it, and when it is made anew (RFC 9018 section 4.3),
// in seconds.
const (
	cookieAhead   = 5 * 60
	cookieLife    = 60 * 60
	cookieRenewal = 30 * 60
)

// cookieVersion is that of RFC 9018.
const cookieVersion = 1

// CookieSecret is what server cookies are made with.
type CookieSecret [16]byte

// String keeps the secret out of logs.
func (CookieSecret) String() string { return "(secret)" }

// cookie is the data of a COOKIE option with both its halves.
type cookie [cookieLen]byte

// cookies makes and checks server cookies. It is immutable.
type cookies struct {
	secrets []CookieSecret // the first makes them, each may have made one; none: there are no cookies
}

// newCookies returns the cookies of a config that has been checked.
func newCookies(c Config) cookies {
	switch {
	case c.NoCookies:
		return cookies{}
	case len(c.CookieSecrets) > 0:
		return cookies{secrets: append([]CookieSecret(nil), c.CookieSecrets...)}
	}
	var secret CookieSecret
	_, _ = rand.Read(secret[:]) // never fails
	return cookies{secrets: []CookieSecret{secret}}
}

// validCookieLen reports whether a COOKIE option may have n octets: a client's half, or that and a server's.
func validCookieLen(n int) bool {
	return n == clientCookieLen || n >= clientCookieLen+minServerCookieLen && n <= clientCookieLen+maxServerCookieLen
}

// take reads the cookie of q, if there are cookies and the client's address is known. The one to answer with is the one
// that came while that is good and fresh, else a new one (RFC 9018 section 4.3).
func (c *cookies) take(q *query) {
	if len(c.secrets) == 0 || q.cookie == nil {
		return
	}
	if !validCookieLen(len(q.cookie)) {
		q.bad = true // RFC 7873 section 5.2.2
		return
	}
	if !q.from.Addr.IsValid() {
		return
	}
	q.hasCookie = true
	now := uint32(time.Now().Unix())
	fresh := false
	if len(q.cookie) == cookieLen {
		q.proof = cookie(q.cookie)
		q.proven, fresh = c.check(&q.proof, q.from.Addr, now)
	}
	if !fresh {
		q.proof = c.bake([clientCookieLen]byte(q.cookie), q.from.Addr, now)
	}
}

// check reports whether a cookie was made here for an address and is good at a time, and whether it needs no renewal.
func (c *cookies) check(k *cookie, addr netip.Addr, now uint32) (good, fresh bool) {
	server := k[clientCookieLen:]
	age := int32(now - binary.BigEndian.Uint32(server[4:])) // in serial arithmetic (RFC 1982)
	if server[0] != cookieVersion || age < -cookieAhead || age > cookieLife {
		return false, false
	}
	for i, secret := range c.secrets {
		if secret.sum(k, addr) == binary.LittleEndian.Uint64(server[8:]) {
			return true, i == 0 && age <= cookieRenewal
		}
	}
	return false, false
}

func (c *cookies) bake(client [clientCookieLen]byte, addr netip.Addr, now uint32) cookie {
	var k cookie
	copy(k[:], client[:])
	k[clientCookieLen] = cookieVersion
	binary.BigEndian.PutUint32(k[clientCookieLen+4:], now)
	binary.LittleEndian.PutUint64(k[clientCookieLen+8:], c.secrets[0].sum(&k, addr))
	return k
}

// sum is SipHash-2-4 of a cookie up to its hash, and the client's address (RFC 9018 section 4.4). To compare two sums as
// integers takes the same time wherever they differ.
func (s *CookieSecret) sum(k *cookie, addr netip.Addr) uint64 {
	const hashed = cookieLen - 8
	var buf [hashed + 16]byte
	n := copy(buf[:], k[:hashed])
	if addr.Is4() {
		a := addr.As4()
		n += copy(buf[n:], a[:])
	} else {
		a := addr.As16()
		n += copy(buf[n:], a[:])
	}
	return siphash.Hash(binary.LittleEndian.Uint64(s[:8]), binary.LittleEndian.Uint64(s[8:]), buf[:n])
}
