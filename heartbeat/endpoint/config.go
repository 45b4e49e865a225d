package endpoint

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
)

// check returns an error that names every field that is wrong.
func (c *Config) check() error {
	var errs []error
	require := func(ok bool, field string, value any, rule string) {
		if !ok {
			errs = append(errs, fmt.Errorf("%s %q: %s", field, fmt.Sprint(value), rule))
		}
	}
	c.checkZones(require)
	require(c.AnswerTTL > 0, "dns.ttl", c.AnswerTTL, "must be more than 0")
	require(c.Capacity >= 0, "capacity", c.Capacity, "must not be negative")
	require(c.Timeout >= 0, "timeout", c.Timeout, "must not be negative")
	require(c.Drain >= 0, "drain", c.Drain, "must not be negative")
	for i, p := range c.TrustedProxies {
		require(p.IsValid(), fmt.Sprintf("http.trusted_proxies[%d]", i), p, "must be a prefix such as 10.0.0.0/8")
	}
	for i, address := range c.Listen {
		require(isHostPort(address), fmt.Sprintf("http.listen[%d]", i), address, "must be host:port")
	}
	return errors.Join(append(errs, c.checkAuth())...)
}

// checkAuth refuses what would let anybody in without the operator's having said so.
func (c *Config) checkAuth() error {
	switch {
	case c.AuthMode != "" && c.AuthMode != AuthNone && c.AuthMode != AuthToken:
		return fmt.Errorf(`auth.mode %q: must be "none" or "token"`, c.AuthMode)
	case c.AuthMode == AuthToken && len(c.Tokens) == 0:
		return errors.New(`auth.mode "token": must go with at least one token in auth.tokens`)
	case c.AuthMode == AuthNone && len(c.Tokens) > 0:
		return errors.New(`auth.mode "none": must not go with auth.tokens, which would not be asked for`)
	case c.AuthMode == "" && len(c.Tokens) == 0:
		return c.checkLoopback()
	}
	return nil
}

// checkLoopback refuses addresses that others can reach.
func (c *Config) checkLoopback() error {
	var errs []error
	for _, address := range c.Listen {
		if isHostPort(address) && !isLoopback(address) {
			errs = append(errs, fmt.Errorf(`http.listen %q: must be a loopback address unless auth.tokens is set or auth.mode is "none"`, address))
		}
	}
	return errors.Join(errs...)
}

func isHostPort(address string) bool {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}

// isLoopback reports whether a host:port is reached from this host alone. Of names only localhost is taken for that
// (RFC 6761 section 6.3): any other is what its resolver says today.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}
