package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/dnsreg/dnsreg/heartbeat"
	"github.com/dnsreg/dnsreg/store"
)

func deregisterCommand() *cobra.Command {
	var flags httpFlags
	var out format
	cmd := &cobra.Command{
		Use:     "deregister SERVICE ID",
		Short:   "Remove an instance",
		Example: "  dnsreg deregister web web-1",
		Args:    arguments("SERVICE", "ID"),
	}
	cmd.RunE = verb(func(cmd *cobra.Command, args []string) error {
		service, err := store.ParseService(args[0])
		if err != nil {
			return err
		}
		return flags.call(cmd.Context(), func(ctx context.Context, client *heartbeat.Client) error {
			removal, err := client.Deregister(ctx, service, args[1])
			if err != nil {
				return err
			}
			line := fmt.Sprintf("deregistered %s of %s; no cache holds it after %s", args[1], service, clock(removal.SafeAt))
			return out.print(cmd.OutOrStdout(), removal, table{rows: [][]string{{line}}})
		})
	})
	flags.add(cmd)
	addFormat(cmd, &out)
	return cmd
}

// clock returns a time as people read it, in UTC to the second; a part of a second counts as a whole one.
func clock(t time.Time) string {
	return t.Add(time.Second - 1).UTC().Format(time.RFC3339)
}
