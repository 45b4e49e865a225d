// Package e2e holds the tests that drive a real dnsreg process with real clients: curl, dig and its kin, Python, Node,
// Perl, the resolvers of C and Go, unbound, dnsmasq, HAProxy and Prometheus, and resolverclient with real processes of
// dnsreg, Knot and NSD. It has no code of its own.
package e2e
