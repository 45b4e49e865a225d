package redisstore

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// settle finds out whether the data is on another server since its slot has moved there, which loses nothing, and says so
// in meta. It reports whether it did. The node of before tells: it lives, in the history that meta names and as a master,
// and says that the slot is not its own any more. After a failover it is dead or a replica.
func (m *mirror) settle(ctx context.Context, l look) (bool, error) {
	if !m.store.target.cluster() || m.node == nil || l.epoch != m.epoch || l.rev < m.rev || l.home != m.checked {
		return false, nil
	}
	ctx, cancel := call(ctx)
	defer cancel()
	if !m.moved(ctx, l) {
		return false, nil
	}
	_, err := m.store.scripts.settle.run(ctx, m.store.redis, []string{m.store.keys.meta}, l.epoch, uint64(m.rev), l.home, l.server.home)
	if err != nil {
		return false, fmt.Errorf("settle a slot that has moved: %w", err)
	}
	m.store.logger.Info("the slot has moved to another node", "revision", l.rev)
	return true, nil
}

// moved asks the node of before. It is asked by a client of its own, which follows no redirection.
func (m *mirror) moved(ctx context.Context, l look) bool {
	options := *m.node
	client := redis.NewClient(&options)
	defer client.Close()
	said, err := client.Do(ctx, "info", "server", "replication").Text()
	if err != nil {
		return false
	}
	if before := parseInfo(said); before.home != l.home || before.role != "master" {
		return false
	}
	_, elsewhere := redis.IsMovedError(client.HGet(ctx, m.store.keys.meta, "epoch").Err())
	return elsewhere
}
