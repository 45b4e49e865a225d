package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/dnsreg/dnsreg/heartbeat"
	"github.com/dnsreg/dnsreg/store"
)

func drainCommand() *cobra.Command {
	var flags httpFlags
	var out format
	var wait, undo bool
	cmd := &cobra.Command{
		Use:   "drain SERVICE ID",
		Short: "Take an instance out of the answers and keep it registered",
		Long: `Take an instance out of the answers and keep it registered. Resolvers may use what they know for a
while; with --wait the command returns when none does any more and the instance can be stopped.`,
		Example: "  dnsreg drain web web-1 --wait && systemctl stop web",
		Args:    arguments("SERVICE", "ID"),
	}
	cmd.RunE = verb(func(cmd *cobra.Command, args []string) error {
		service, err := store.ParseService(args[0])
		if err != nil {
			return err
		}
		state := store.Draining
		if undo {
			state = store.Up
		}
		return flags.call(cmd.Context(), func(ctx context.Context, client *heartbeat.Client) error {
			change, err := client.SetState(ctx, service, args[1], state)
			if err != nil {
				return err
			}
			if err := out.print(cmd.OutOrStdout(), change, changeTable(service, args[1], change)); err != nil {
				return err
			}
			if wait && change.SafeAt != nil {
				return settle(ctx, change)
			}
			return nil
		})
	})
	flags.add(cmd)
	addFormat(cmd, &out)
	cmd.Flags().BoolVar(&wait, "wait", false, "return when no cache holds the instance any more")
	cmd.Flags().BoolVar(&undo, "undo", false, "have the instance answered again")
	cmd.MarkFlagsMutuallyExclusive("wait", "undo")
	return cmd
}

func changeTable(service store.Service, id string, change heartbeat.Change) table {
	line := fmt.Sprintf("%s of %s is %s", id, service, change.State)
	if change.SafeAt != nil {
		line += "; no cache holds it after " + clock(*change.SafeAt)
	}
	return table{rows: [][]string{{line}}}
}

// settle returns nil when no cache holds the instance any more, or the reason why ctx ended before.
func settle(ctx context.Context, change heartbeat.Change) error {
	timer := time.NewTimer(change.Settles())
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait until %s: %w", clock(*change.SafeAt), context.Cause(ctx))
	}
}
