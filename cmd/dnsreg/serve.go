package main

import (
	"io"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/dnsreg/dnsreg/configs"
)

func serveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Answer DNS and HTTP for one zone or more",
		Long: `Answer DNS and HTTP for one zone or more until SIGTERM or SIGINT; a second signal kills. Without any flag this is
one machine's registry in memory: DNS on 127.0.0.1:8053, HTTP on 127.0.0.1:8054, zone svc.internal.

Every key a.b_c of the configuration is the flag --a-b-c, the variable DNSREG_A_B_C and a key of the file.`,
		Args: arguments(),
	}
	flags := configFlags(cmd)
	cmd.RunE = verb(func(cmd *cobra.Command, _ []string) error {
		cfg, err := flags.Load()
		if err != nil {
			return err
		}
		bound, err := inherited()
		if err != nil {
			return err
		}
		log := newLogger(cfg.Log, cmd.ErrOrStderr())
		if limit := limitMemory(os.DirFS("/")); limit > 0 {
			log.Info("memory limit of the control group", "octets", limit)
		}
		d, err := newDaemon(cfg.Config, bound, log)
		if err != nil {
			return err
		}
		if err := d.Listen(); err != nil {
			return err
		}
		return d.Run(cmd.Context())
	})
	return cmd
}

// configFlags gives a command --config and a flag for every key.
func configFlags(cmd *cobra.Command) *configs.Flags {
	flags := configs.BindFlags(cmd.Flags())
	for _, key := range configs.Keys() {
		if len(key.Values) > 0 {
			completeWords(cmd, key.Flag(), key.Values)
		}
	}
	return flags
}

// newLogger returns a logger of the form that the configuration asks for.
func newLogger(cfg configs.Log, w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: cfg.Level}
	if cfg.Format == configs.LogJSON {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
