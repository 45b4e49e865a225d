package endpoint

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// onlyLoopback reports whether nothing but the listeners' addresses keeps anybody out.
func (c *Config) onlyLoopback() bool {
	return c.AuthMode == "" && len(c.Tokens) == 0 && len(c.Listen) > 0
}

// checkHost refuses requests for another host's name where only loopback keeps anybody out. A browser on this host is
// inside: a page may have the name that it came from point to this server (DNS rebinding), and then reads and writes
// here as its own origin. Its name in Host gives it away: what an IP address or localhost means nobody can change.
func (s *Server) checkHost(r *http.Request) error {
	if !s.cfg.onlyLoopback() || isLocalHost(r.Host) {
		return nil
	}
	return &statusError{
		status: http.StatusMisdirectedRequest,
		detail: fmt.Sprintf(`host %q: must be localhost or an IP address unless auth.tokens is set or auth.mode is "none"`, r.Host),
	}
}

// isLocalHost reports whether a Host header is an IP address, localhost or missing, as in HTTP/1.0, which no browser
// speaks.
func isLocalHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return host == "" || strings.EqualFold(host, "localhost") || err == nil
}
