package redisstore_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/dnsreg/dnsreg/store/redisstore"
)

// TestBatchDoesNotHoldItsCaller: a batch that is on its way for others too ends when Redis has answered or its own time
// is over, and whoever had it sent leaves when the caller's time is over.
func TestBatchDoesNotHoldItsCaller(t *testing.T) {
	b := redisstore.NewBatches(1)
	ctx, cancel := context.WithCancel(t.Context())
	first, second := make(chan error, 1), make(chan error, 1)
	go func() { first <- b.Do(ctx) }()
	<-b.Sending // the first caller's batch is on its way, and stays so
	cancel()
	if err := receive(t, first); !errors.Is(err, context.Canceled) {
		t.Errorf("the caller whose time is over: %v", err)
	}

	go func() { second <- b.Do(t.Context()) }()
	b.Answer <- nil // Redis answers the first batch
	<-b.Sending     // and only then the second goes
	b.Answer <- nil
	if err := receive(t, second); err != nil {
		t.Errorf("the one behind: %v", err)
	}
	b.Drain()
}

func receive(t *testing.T, c <-chan error) error {
	t.Helper()
	select {
	case err := <-c:
		return err
	case <-time.After(10 * time.Second):
		t.Fatal("a call is held up")
		return nil
	}
}

// TestKindsOfTrouble: how often a fault that lasts is logged goes by its kind, which does not change with where in a call
// the time ran out.
func TestKindsOfTrouble(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	<-ctx.Done()
	for _, err := range []error{ctx.Err(), redisstore.ErrTimedOut("dial"), redisstore.ErrTimedOut("read")} {
		if got := redisstore.KindOf(err); got != "timeout" {
			t.Errorf("%v: %q", err, got)
		}
	}
	if got := redisstore.KindOf(errors.New("connection refused")); got != "network" {
		t.Errorf("refused: %q", got)
	}
}
