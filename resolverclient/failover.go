package resolverclient

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/miekg/dns"
)

// query asks the servers one after another, [Config.Attempts] times round, until one answers. NXDOMAIN is an answer;
// a server that refuses, fails, is lame or says nothing sensible is passed over and asked later for a while.
func (c *Client) query(ctx context.Context, q question) (*dns.Msg, error) {
	failed := make(map[*server]error, len(c.servers))
	for range c.cfg.Attempts {
		for _, s := range c.inOrder(time.Now()) {
			reply, err := s.ask(ctx, q)
			if err == nil {
				s.failed.Store(0)
				return reply, nil
			}
			failed[s] = fmt.Errorf("%s: %w", s.addr, err)
			if ctx.Err() != nil {
				return nil, c.noAnswer(q, failed)
			}
			s.failed.Store(time.Now().UnixNano())
		}
	}
	return nil, c.noAnswer(q, failed)
}

// inOrder returns the servers as configured, those that failed of late behind the others, longest ago first.
func (c *Client) inOrder(now time.Time) []*server {
	var good, late []*server
	for _, s := range c.servers {
		if s.penalised(now) {
			late = append(late, s)
		} else {
			good = append(good, s)
		}
	}
	slices.SortStableFunc(late, func(a, b *server) int { return cmp.Compare(a.failed.Load(), b.failed.Load()) })
	return append(good, late...)
}

// noAnswer joins the last failure of each server that was asked.
func (c *Client) noAnswer(q question, failed map[*server]error) error {
	var errs reasons
	for _, s := range c.servers {
		if err := failed[s]; err != nil {
			errs = append(errs, err)
		}
	}
	return fmt.Errorf("lookup %v: %w: %w", q, ErrNoAnswer, errs)
}
