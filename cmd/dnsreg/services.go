package main

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/dnsreg/dnsreg/heartbeat"
)

func servicesCommand() *cobra.Command {
	var flags httpFlags
	var out format
	cmd := &cobra.Command{
		Use:   "services",
		Short: "List the services that have a live instance",
		Args:  arguments(),
	}
	cmd.RunE = verb(func(cmd *cobra.Command, _ []string) error {
		return flags.call(cmd.Context(), func(ctx context.Context, client *heartbeat.Client) error {
			list, err := client.Services(ctx)
			if err != nil {
				return err
			}
			return out.print(cmd.OutOrStdout(), list, servicesTable(list))
		})
	})
	flags.add(cmd)
	addFormat(cmd, &out)
	return cmd
}

func servicesTable(list heartbeat.Services) table {
	t := table{header: []string{"SERVICE", "INSTANCES", "REVISION"}}
	for _, s := range list.Services {
		t.rows = append(t.rows, []string{string(s.Service), strconv.Itoa(s.Instances), strconv.FormatUint(uint64(s.Revision), 10)})
	}
	return t
}
