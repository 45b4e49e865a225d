package redisstore

import (
	"context"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/dnsreg/dnsreg/store"
)

// listed is a service and the revision of its last change.
type listed struct {
	service  store.Service
	revision store.Revision
}

// list returns a page of the log, what changed first first.
func (m *mirror) list(ctx context.Context, after store.Revision) ([]listed, error) {
	ctx, cancel := call(ctx)
	defer cancel()
	conn, err := m.connection(ctx)
	if err != nil {
		return nil, err
	}
	page, err := conn.ZRangeByScoreWithScores(ctx, m.store.keys.log, &redis.ZRangeBy{
		Min: "(" + strconv.FormatUint(uint64(after), 10), Max: "+inf", Count: pageServices,
	}).Result()
	if err != nil {
		return nil, fmt.Errorf("list the log: %w", err)
	}
	all := make([]listed, len(page))
	for i, z := range page {
		service, _ := z.Member.(string)
		all[i] = listed{store.Service(service), store.Revision(z.Score)}
	}
	return all, nil
}

// loadServices reads services in a few round trips.
func (m *mirror) loadServices(ctx context.Context, page []listed) ([]*store.Snapshot, error) {
	sizes, err := m.sizes(ctx, page)
	if err != nil {
		return nil, err
	}
	snapshots := make([]*store.Snapshot, 0, len(page))
	for begin := 0; begin < len(page); {
		end, records := begin, int64(0)
		for end < len(page) && (end == begin || records+sizes[end] <= pageRecords) {
			records += sizes[end]
			end++
		}
		part, err := m.loadPart(ctx, page[begin:end])
		if err != nil {
			return nil, err
		}
		snapshots = append(snapshots, part...)
		begin = end
	}
	return snapshots, nil
}

func (m *mirror) sizes(ctx context.Context, page []listed) ([]int64, error) {
	sizes := make([]int64, len(page))
	err := m.pipeline(ctx, func(ctx context.Context, pipe redis.Pipeliner) func() {
		cmds := make([]*redis.IntCmd, len(page))
		for i, l := range page {
			cmds[i] = pipe.HLen(ctx, m.store.keys.rec(l.service))
		}
		return func() {
			for i, cmd := range cmds {
				sizes[i] = cmd.Val()
			}
		}
	})
	return sizes, err
}

func (m *mirror) loadPart(ctx context.Context, part []listed) ([]*store.Snapshot, error) {
	snapshots := make([]*store.Snapshot, len(part))
	err := m.pipeline(ctx, func(ctx context.Context, pipe redis.Pipeliner) func() {
		records, overlays := make([]*redis.Cmd, len(part)), make([]*redis.Cmd, len(part))
		for i, l := range part {
			records[i] = pipe.Do(ctx, "hgetall", m.store.keys.rec(l.service))
			overlays[i] = pipe.Do(ctx, "hgetall", m.store.keys.ops(l.service))
		}
		return func() {
			for i, l := range part {
				c := change{service: l.service, revision: l.revision}
				c.records, _ = records[i].Val().([]any)
				c.overlay, _ = overlays[i].Val().([]any)
				snapshots[i] = m.decode(c)
			}
		}
	})
	return snapshots, err
}

// pipeline sends what fill puts into a pipeline, and has what it returns read the replies.
func (m *mirror) pipeline(ctx context.Context, fill func(context.Context, redis.Pipeliner) func()) error {
	ctx, cancel := call(ctx)
	defer cancel()
	conn, err := m.connection(ctx)
	if err != nil {
		return err
	}
	pipe := conn.Pipeline()
	read := fill(ctx, pipe)
	if pipe.Len() == 0 {
		return nil
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("load: %w", err)
	}
	read()
	return nil
}
