package resolverclient

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

const (
	// saveChange is how soon a changed set is written, and saveSame how soon an answer that was merely confirmed.
	saveChange, saveSame = time.Second, 10 * time.Minute
)

// errSnapshot says that an answer was read from [Config.SnapshotFile].
var errSnapshot = errors.New("the answer is from the snapshot file")

// snapshot keeps the answers of a client in a file, for the next start. It is nil where there is none.
type snapshot struct {
	client *Client

	mu    sync.Mutex // guards what follows; not held while the file is written
	kept  map[question]savedAnswer
	timer *time.Timer
	due   time.Time // when it fires; zero where nothing is to be written
}

// openSnapshot reads the file of a client. A file that cannot be read is reported, and no reason not to start.
func openSnapshot(c *Client) *snapshot {
	if c.cfg.SnapshotFile == "" {
		return nil
	}
	s := &snapshot{client: c, kept: map[question]savedAnswer{}}
	answers, err := readSnapshot(c.cfg.SnapshotFile)
	now := time.Now()
	for _, a := range answers {
		switch bad := a.check(now); {
		case bad != nil:
			err = cmp.Or(err, fmt.Errorf("answer for %q: %w", a.Name, bad)) // the first stands for all
		case now.Sub(a.Seen) <= c.cfg.SnapshotMaxAge && len(s.kept) < c.cfg.MaxEntries:
			s.kept[a.question()] = a
		}
	}
	if err != nil {
		c.cfg.Logger.Warn("snapshot not read", slog.String("file", c.cfg.SnapshotFile), slog.Any("error", err))
	}
	return s
}

// restore returns the state in which an entry starts: with the answer of the file, where it has one, as a stale one that
// the first caller looks up again.
func (s *snapshot) restore(q question) *state {
	if s == nil {
		return &state{lapsed: true}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok := s.kept[q]
	if !ok {
		return &state{lapsed: true}
	}
	err := fmt.Errorf("%w: seen %s", errSnapshot, a.Seen.Format(time.RFC3339))
	return &state{set: a.set(), err: err, expires: time.Now(), lapsed: true}
}

// answered takes note that a server answered a question: what the file says of it no longer counts. The file is written
// soon, or in a while where nothing changed.
func (s *snapshot) answered(q question, changed bool) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.kept, q)
	after := saveSame
	if changed {
		after = saveChange
	}
	due := time.Now().Add(after)
	switch {
	case s.timer == nil:
		s.timer = time.AfterFunc(after, s.tick)
	case s.due.IsZero() || due.Before(s.due):
		s.timer.Reset(after)
	default:
		return
	}
	s.due = due
}

// tick is the timer.
func (s *snapshot) tick() {
	if !s.client.begin() {
		return // Close writes
	}
	defer s.client.running.Done()
	if err := s.save(); err != nil {
		s.client.cfg.Logger.Warn("snapshot not written", slog.Any("error", err))
	}
}

// close writes what is still to be written. It is called when nothing else of the client runs.
func (s *snapshot) close() error {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	if s.timer != nil {
		s.timer.Stop()
	}
	s.mu.Unlock()
	return s.save()
}

// save writes the file where there is news: the answers in the cache and, of those read at the start, the ones that were
// not asked for again, the most recent first.
func (s *snapshot) save() error {
	s.mu.Lock()
	if s.due.IsZero() {
		s.mu.Unlock()
		return nil
	}
	s.due = time.Time{}
	now := time.Now()
	var answers []savedAnswer
	for _, a := range s.kept {
		if now.Sub(a.Seen) <= s.client.cfg.SnapshotMaxAge {
			answers = append(answers, a)
		}
	}
	s.mu.Unlock()
	answers = append(answers, s.client.cache.answers(now)...)
	slices.SortFunc(answers, func(a, b savedAnswer) int { return b.Seen.Compare(a.Seen) })
	wire, written, err := encodeSnapshot(answers[:min(len(answers), s.client.cfg.MaxEntries)])
	if err == nil {
		err = writeSnapshot(s.client.cfg.SnapshotFile, wire)
	}
	if err != nil {
		return fmt.Errorf("write snapshot %s: %w", s.client.cfg.SnapshotFile, err)
	}
	if written < len(answers) {
		s.client.cfg.Logger.Warn("snapshot cut", slog.Int("answers", len(answers)), slog.Int("written", written))
	}
	return nil
}

// answers returns what servers have said, to be saved.
func (c *cache) answers(now time.Time) (out []savedAnswer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for asked, slot := range c.entries {
		s := slot.entry.state.Load()
		if s.set == nil || errors.Is(s.err, errSnapshot) {
			continue
		}
		seen := s.expires
		if now.Before(seen) {
			seen = now
		}
		out = append(out, saveAnswer(asked, s.set, seen))
	}
	return out
}
