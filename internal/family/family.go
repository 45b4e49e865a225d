// Package family keeps a socket to the family of the address that it listens on: 0.0.0.0 is IPv4 alone, [::] is IPv6
// alone, and no address is both.
package family

import (
	"errors"
	"net"
	"net/netip"
)

// Network returns the network of a transport, "tcp" or "udp", that has the addresses of addr's family and no others:
// "tcp4". The zero address means both families.
func Network(transport string, addr netip.Addr) string {
	switch {
	case !addr.IsValid():
		return transport
	case addr.Unmap().Is4():
		return transport + "4"
	default:
		return transport + "6"
	}
}

// Plain names the transport in an error of package net without the family: "listen udp 127.0.0.1:8053: …". It returns
// any other error as it is.
func Plain(err error, transport string) error {
	var op *net.OpError
	if !errors.As(err, &op) {
		return err
	}
	named := *op
	named.Net = transport
	return &named
}
