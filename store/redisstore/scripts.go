package redisstore

import (
	"context"
	"crypto/sha1"
	"embed"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

//go:embed scripts/*.lua
var sources embed.FS

// script is one of the scripts in the folder of that name, which say what they do, take and return.
type script struct {
	name, source, sha string
	readOnly          bool
	many              bool // takes several calls at once: those that are alike in sharedKeys and sharedArgs
}

// scripts are all scripts, loaded by New.
type scripts struct {
	begin, join, register, renew, deregister, overlay *script
	tick, remove, clamp, trim, restore, delta, settle *script
}

func loadScripts() (*scripts, error) {
	s := new(scripts)
	for file, target := range map[string]**script{
		"init": &s.begin, "join": &s.join, "register": &s.register, "renew": &s.renew, "deregister": &s.deregister,
		"overlay": &s.overlay, "tick": &s.tick, "remove": &s.remove, "clamp": &s.clamp, "trim": &s.trim,
		"restore": &s.restore, "delta": &s.delta, "settle": &s.settle,
	} {
		source, err := sources.ReadFile("scripts/" + file + ".lua")
		if err != nil {
			return nil, err
		}
		sum := sha1.Sum(source) // the name that Redis gives a script
		*target = &script{
			name:     file,
			source:   string(source),
			sha:      hex.EncodeToString(sum[:]),
			readOnly: strings.HasPrefix(string(source), "#!lua flags=no-writes"),
		}
	}
	s.register.many = true
	return s, nil
}

// run runs the script and returns its reply. Redis forgets scripts when it restarts and does not replicate them, so that
// the source is sent again where it is not known.
func (s *script) run(ctx context.Context, c redis.Cmdable, keys []string, args ...any) ([]any, error) {
	byHash, bySource := c.EvalSha, c.Eval
	if s.readOnly {
		byHash, bySource = c.EvalShaRO, c.EvalRO
	}
	cmd := byHash(ctx, s.sha, keys, args...)
	if redis.HasErrorPrefix(cmd.Err(), "NOSCRIPT") {
		cmd = bySource(ctx, s.source, keys, args...)
	}
	reply, err := cmd.Slice()
	if err != nil {
		return nil, fmt.Errorf("script %s: %w", s.name, err)
	}
	if len(reply) == 0 {
		return nil, fmt.Errorf("script %s: empty reply", s.name)
	}
	return reply, nil
}

// Statuses that scripts return first.
const (
	statusOK      = "OK"
	statusNoEpoch = "NOEPOCH"
	statusChanged = "CHANGED"
	statusUnknown = "UNKNOWN"
	statusBusy    = "BUSY"
)

// text returns element i of a reply as a string, empty where it is none.
func text(reply []any, i int) string {
	if i >= len(reply) {
		return ""
	}
	s, _ := reply[i].(string)
	return s
}

// number returns element i of a reply as an integer, 0 where it is none.
func number(reply []any, i int) int64 {
	if i >= len(reply) {
		return 0
	}
	n, _ := reply[i].(int64)
	return n
}
