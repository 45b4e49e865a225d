package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

var errFlags = errors.New("redis does not ring the bell")

const flagsKey = "notify-keyspace-events"

// ensureFlags has Redis publish what the bell listens to: keyspace events (K) of sorted sets (z) and of expiry (x).
// Class g is left out on purpose: with it every heartbeat would be an event.
func (s *Store) ensureFlags(ctx context.Context, node *redis.Client) error {
	set, err := node.ConfigGet(ctx, flagsKey).Result()
	if err != nil {
		return fmt.Errorf("read %s: %w", flagsKey, err)
	}
	missing := missingFlags(set[flagsKey])
	if missing == "" {
		return nil
	}
	if s.config.Notify == NotifyCheck {
		return fmt.Errorf("%w: %s lacks %s", errFlags, flagsKey, missing)
	}
	if err := node.ConfigSet(ctx, flagsKey, set[flagsKey]+missing).Err(); err != nil {
		return fmt.Errorf("add %s to %s: %w", missing, flagsKey, err)
	}
	s.logger.Info("flags added", "option", flagsKey, "were", set[flagsKey], "added", missing)
	return nil
}

// missingFlags returns the flags that the bell needs and set lacks. A stands for all classes that matter here.
func missingFlags(set string) string {
	missing := ""
	for _, flag := range "Kzx" {
		if !strings.ContainsRune(set, flag) && (flag == 'K' || !strings.ContainsRune(set, 'A')) {
			missing += string(flag)
		}
	}
	return missing
}
