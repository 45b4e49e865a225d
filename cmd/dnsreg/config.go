package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Check or print the configuration that serve would use",
	}
	cmd.AddCommand(configCheckCommand(), configPrintCommand())
	return cmd
}

func configCheckCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "check",
		Short:   "Say what is wrong with the configuration, if anything is",
		Example: "  dnsreg config check --config /etc/dnsreg/dnsreg.yaml",
		Args:    arguments(),
	}
	flags := configFlags(cmd)
	cmd.RunE = verb(func(cmd *cobra.Command, _ []string) error {
		cfg, err := flags.Load()
		if err != nil {
			return err
		}
		// The parts have rules of their own, and the token file is read here.
		if _, err := newDaemon(cfg.Config, sockets{}, newLogger(cfg.Log, cmd.ErrOrStderr())); err != nil {
			return err
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), "the configuration is valid")
		return err
	})
	return cmd
}

func configPrintCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "print",
		Short: "Print the configuration as YAML, with the source of each value",
		Args:  arguments(),
	}
	flags := configFlags(cmd)
	cmd.RunE = verb(func(cmd *cobra.Command, _ []string) error {
		cfg, err := flags.Load()
		if err != nil {
			return err
		}
		return cfg.Print(cmd.OutOrStdout())
	})
	return cmd
}
