package main

import (
	"log/slog"

	"github.com/dnsreg/dnsreg/configs"
)

// Main is the whole program.
func Main() { main() }

// Daemon is daemon.
type Daemon = daemon

// NewDaemon is newDaemon.
func NewDaemon(cfg configs.Config, log *slog.Logger) (*Daemon, error) { return newDaemon(cfg, log) }
