package redisstore

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/dnsreg/dnsreg/store"
)

// look is one look at Redis: what meta holds, and which server holds it.
type look struct {
	format, epoch, home string
	rev, base           store.Revision
	tick                string // when leases were last watched, by Redis' clock
	restored, restoring string
	retention           time.Duration
	server              info
}

// metaFields are the fields of meta that a look reads, in the order of readMeta.
func metaFields() []string {
	return []string{"format", "epoch", "home", "rev", "base", "tick", "restored", "restoring", "retention"}
}

// look reads meta and INFO on one connection, so that both are of the same server. While the zone's slot is on its way
// to another node of a Cluster, keys may be on either: then meta is read wherever it is, and that its history is the one
// it was is taken on trust until the slot has arrived.
func (m *mirror) look(ctx context.Context) (look, error) {
	m.detour = false
	l, err := m.lookAtServer(ctx)
	if _, moving := redis.IsAskError(err); !moving {
		return l, err
	}
	m.disconnect()
	m.detour = true
	ctx, cancel := call(ctx)
	defer cancel()
	fields, err := m.store.redis.HMGet(ctx, m.store.keys.meta, metaFields()...).Result()
	if err != nil {
		return look{}, fmt.Errorf("look at a slot on the move: %w", err)
	}
	l = readMeta(fields)
	l.server = info{home: l.home, role: "master"}
	return l, nil
}

func (m *mirror) lookAtServer(ctx context.Context) (look, error) {
	ctx, cancel := call(ctx)
	defer cancel()
	conn, err := m.connection(ctx)
	if err != nil {
		return look{}, err
	}
	pipe := conn.Pipeline()
	meta := pipe.HMGet(ctx, m.store.keys.meta, metaFields()...)
	info := pipe.Do(ctx, "info", "server", "replication", "memory")
	if _, err := pipe.Exec(ctx); err != nil {
		return look{}, fmt.Errorf("look at the revision: %w", err)
	}
	said, err := info.Text()
	if err != nil {
		return look{}, fmt.Errorf("look at the server: %w", err)
	}
	l := readMeta(meta.Val())
	l.server = parseInfo(said)
	switch {
	case l.server.role != "master":
		return look{}, errNotMaster
	case l.format != "" && l.format != format:
		return look{}, fmt.Errorf("%w: %q, not %q", errFormat, l.format, format)
	}
	return l, l.server.checkVersion()
}

// readMeta reads the values of metaFields.
func readMeta(values []any) look {
	fields := make(map[string]string)
	for i, field := range metaFields()[:len(values)] {
		fields[field], _ = values[i].(string)
	}
	return look{
		format:    fields["format"],
		epoch:     fields["epoch"],
		home:      fields["home"],
		rev:       revision(fields["rev"]),
		base:      revision(fields["base"]),
		tick:      fields["tick"],
		restored:  fields["restored"],
		restoring: fields["restoring"],
		retention: time.Duration(revision(fields["retention"])) * time.Millisecond,
	}
}

// revision reads a revision, 0 where there is none.
func revision(s string) store.Revision {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0
	}
	return store.Revision(n)
}

// intact reports whether the data has the history that its epoch is a promise of, as far as this server can know.
func (m *mirror) intact(l look) bool {
	return l.epoch != "" && l.home == l.server.home && (l.epoch != m.epoch || l.rev >= m.rev)
}

// connection returns the mirror's connection to the master of the zone's slot.
func (m *mirror) connection(ctx context.Context) (redis.Cmdable, error) {
	if m.detour {
		return m.store.redis, nil
	}
	if m.conn == nil {
		node, err := m.store.redis.master(ctx)
		if err != nil {
			return nil, fmt.Errorf("find the master: %w", err)
		}
		m.conn, m.dialled = node.Conn(), node.Options()
	}
	return m.conn, nil
}

// disconnect gives the connection up, after an error on it.
func (m *mirror) disconnect() {
	if m.conn != nil {
		_ = m.conn.Close() // nothing was lost that the next look does not find
		m.conn = nil
		m.store.redis.reload(context.Background())
	}
}

// denied reports whether err says that Redis' user may not do what was tried.
func denied(err error) bool {
	return err != nil && (redis.IsPermissionError(err) || strings.Contains(err.Error(), "NOPERM"))
}
