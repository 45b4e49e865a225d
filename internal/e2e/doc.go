// Package e2e holds the tests that drive a real dnsreg process with real clients: curl, dig, nslookup, kdig, Python,
// Node and Go's resolver, and resolverclient with real processes of dnsreg, Knot and NSD. It has no code of its own.
package e2e
