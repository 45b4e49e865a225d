package main

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set by the linker, see the Makefile; nothing else writes it.
var version string

// buildVersion returns the version that the linker was given, or that of the module.
func buildVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}

// build is what version prints.
type build struct {
	Version  string `json:"version"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func versionCommand() *cobra.Command {
	var out format
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  arguments(),
		RunE: verb(func(cmd *cobra.Command, _ []string) error {
			b := build{buildVersion(), runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}
			return out.print(cmd.OutOrStdout(), b, table{rows: [][]string{{"dnsreg " + b.Version + " " + b.Go + " " + b.Platform}}})
		}),
	}
	addFormat(cmd, &out)
	return cmd
}
