package main

import (
	"context"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dnsreg/dnsreg/heartbeat"
	"github.com/dnsreg/dnsreg/store"
)

func instancesCommand() *cobra.Command {
	var flags httpFlags
	var out format
	cmd := &cobra.Command{
		Use:     "instances SERVICE",
		Short:   "List the live instances of a service",
		Example: "  dnsreg instances web\n  dnsreg instances _dns._udp -o json",
		Args:    arguments("SERVICE"),
	}
	cmd.RunE = verb(func(cmd *cobra.Command, args []string) error {
		service, err := store.ParseService(args[0])
		if err != nil {
			return err
		}
		return flags.call(cmd.Context(), func(ctx context.Context, client *heartbeat.Client) error {
			reply, err := client.Service(ctx, service)
			if err != nil {
				return err
			}
			return out.print(cmd.OutOrStdout(), reply, instancesTable(reply))
		})
	})
	flags.add(cmd)
	addFormat(cmd, &out)
	return cmd
}

func instancesTable(service heartbeat.Service) table {
	t := table{header: []string{"ID", "STATE", "ADDRESS", "PRIORITY", "WEIGHT", "LEASE", "TXT"}}
	for _, in := range service.Instances {
		lease := ""
		if in.Lease != nil {
			lease = in.Lease.Remaining.String()
		}
		t.rows = append(t.rows, []string{
			in.ID, string(in.State), hostPorts(in.Host, in.Addresses, in.Port),
			number(in.Priority), number(in.Weight), lease, strings.Join(in.TXT, " "),
		})
	}
	return t
}

func number(n uint16) string { return strconv.Itoa(int(n)) }

// hostPorts returns each address with the port, or the host's name where it has none.
func hostPorts(host string, addresses []netip.Addr, port uint16) string {
	if len(addresses) == 0 {
		return net.JoinHostPort(strings.TrimSuffix(host, "."), number(port))
	}
	texts := make([]string, len(addresses))
	for i, a := range addresses {
		texts[i] = netip.AddrPortFrom(a, port).String()
	}
	return strings.Join(texts, " ")
}
