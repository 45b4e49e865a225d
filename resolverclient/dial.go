package resolverclient

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
)

// DialContext connects to an instance of a service, in the form that net/http, database drivers and others take:
// address is the service, or the service, a colon and a port, which is ignored: SRV records have the true one. An
// address whose host is an IP address or "localhost" is dialled as it is. Instances that do not accept are passed over
// as [Client.Do] does; each connection attempt may take [Config.ConnectTimeout].
func (c *Client) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	dialer := &net.Dialer{Timeout: c.cfg.ConnectTimeout}
	if _, err := netip.ParseAddr(host); err == nil || strings.EqualFold(strings.TrimSuffix(host, "."), "localhost") {
		return dialer.DialContext(ctx, network, address)
	}
	var conn net.Conn
	err = c.Do(ctx, host, func(ctx context.Context, e Endpoint) error {
		var err error
		conn, err = dialEndpoint(ctx, dialer, network, e)
		return err
	})
	if err != nil {
		return nil, err
	}
	return conn, nil
}

// dialEndpoint tries the addresses of an endpoint in turn.
func dialEndpoint(ctx context.Context, dialer *net.Dialer, network string, e Endpoint) (net.Conn, error) {
	var errs []error
	for _, addr := range e.AddrPorts() {
		conn, err := dialer.DialContext(ctx, network, addr.String())
		if err == nil {
			return conn, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}
