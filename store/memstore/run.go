package memstore

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"time"

	"github.com/dnsreg/dnsreg/store"
)

// idle stands for "nothing is due".
const idle = time.Duration(math.MaxInt64)

// sweepBatch bounds how many leases one hold of the lock looks at.
const sweepBatch = 1024

// Run ends leases, tombstones and what Changes remembers, each as it falls due, until ctx ends; then it returns nil. It
// runs in the caller's goroutine and starts no other but the one that writes Config.SnapshotFile, where there is one:
// regularly, and once more before Run returns. A second call at the same time returns an error at once.
func (s *Store) Run(ctx context.Context) error {
	if !s.running.CompareAndSwap(false, true) {
		return errors.New("memstore: run: already running")
	}
	defer s.running.Store(false)
	defer s.keep(ctx)()
	for {
		s.report(s.sweep())
		select {
		case <-ctx.Done():
			return nil
		case <-s.alarm.C:
		}
	}
}

// wakeBy has Run sweep again at due at the latest.
func (s *Store) wakeBy(due time.Duration) {
	if due < s.alarmAt {
		s.setAlarm(due)
	}
}

func (s *Store) setAlarm(due time.Duration) {
	s.alarmAt = due
	s.alarm.Reset(due - s.now().at)
}

// sweep ends what is due, sets the alarm for what comes next and returns the leases that it ended.
func (s *Store) sweep() []*lease {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	s.tombs.trim(now.at)
	s.log.trim(now.at - s.retention)
	ended := s.expire(now)
	s.setAlarm(min(s.due.first(), s.tombs.queue.first(), s.log.oldest(s.retention)))
	return ended
}

// expire takes the instances whose leases have ended out of the registry, up to a batch of them, in one view.
func (s *Store) expire(now moment) []*lease {
	ended := s.takeDue(now.at)
	if len(ended) == 0 {
		return nil
	}
	byService := make(map[store.Service][]string)
	for _, l := range ended {
		byService[l.name.service] = append(byService[l.name.service], l.name.key)
	}
	revision := s.View().Revision()
	snapshots := make([]*store.Snapshot, 0, len(byService))
	for service, keys := range byService {
		revision += store.Revision(len(keys))
		snapshots = append(snapshots, without(s.View().Service(service), revision, keys...))
	}
	s.publish(revision, now, snapshots...)
	s.counters.Expiries += uint64(len(ended))
	return ended
}

// takeDue drops the leases that have ended, and puts the renewed ones among what it looks at in their new places.
func (s *Store) takeDue(now time.Duration) []*lease {
	var ended []*lease
	for range sweepBatch {
		if s.due.first() > now {
			break
		}
		l := s.due[0]
		if l.deadline > now {
			s.due.move(l, l.deadline)
			continue
		}
		s.drop(l)
		ended = append(ended, l)
	}
	return ended
}

// report logs the leases that a sweep ended: one line, and one each at debug level.
func (s *Store) report(ended []*lease) {
	if len(ended) == 0 {
		return
	}
	first := ended[0].name
	s.logger.Info("leases expired", "count", len(ended), "service", first.service, "id", first.key)
	if !s.logger.Enabled(context.Background(), slog.LevelDebug) {
		return
	}
	for _, l := range ended {
		s.logger.Debug("lease expired", "service", l.name.service, "id", l.name.key, "ttl", l.ttl)
	}
}
