package main

import (
	"io/fs"
	"log/slog"

	"github.com/dnsreg/dnsreg/configs"
)

// Main is the whole program.
func Main() { main() }

// Daemon is daemon.
type Daemon = daemon

// NewDaemon is newDaemon.
func NewDaemon(cfg configs.Config, log *slog.Logger) (*Daemon, error) {
	return newDaemon(cfg, sockets{}, log)
}

// GroupMemory is groupMemory.
func GroupMemory(root fs.FS) int64 { return groupMemory(root) }

// LimitMemory is limitMemory.
func LimitMemory(root fs.FS) int64 { return limitMemory(root) }
