package redisstore_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dnsreg/dnsreg/store/redisstore"
)

// TestBatchDoesNotHoldItsCaller: a batch that is on its way for others too ends when Redis has answered or its own time
// is over, and whoever had it sent leaves when the caller's time is over.
func TestBatchDoesNotHoldItsCaller(t *testing.T) {
	b := redisstore.NewBatches(1)
	ctx, cancel := context.WithCancel(t.Context())
	first, second := make(chan error, 1), make(chan error, 1)
	go func() { first <- b.Do(ctx, 1) }()
	<-b.Sending // the first caller's batch is on its way, and stays so
	cancel()
	if err := receive(t, first); !errors.Is(err, context.Canceled) {
		t.Errorf("the caller whose time is over: %v", err)
	}

	go func() { second <- b.Do(t.Context(), 1) }()
	b.Answer <- nil // Redis answers the first batch
	<-b.Sending     // and only then the second goes
	b.Answer <- nil
	if err := receive(t, second); err != nil {
		t.Errorf("the one behind: %v", err)
	}
}

// TestBatchDrain: the store ends only when no batch is on its way, even one whose caller has left.
func TestBatchDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := redisstore.NewBatches(2)
		ctx, cancel := context.WithCancel(t.Context())
		left, drained := make(chan error, 1), make(chan error)
		go func() { left <- b.Do(ctx, 1) }()
		<-b.Sending
		cancel()
		<-left
		go func() { b.Drain(); close(drained) }()
		synctest.Wait()
		select {
		case <-drained:
			t.Error("drained while a batch is on its way")
		default:
		}
		b.Answer <- nil
		<-drained
	})
}

// TestBatchFailureLeavesNothingBehind: what nobody waits for, since an item before it has failed, is not sent.
func TestBatchFailureLeavesNothingBehind(t *testing.T) {
	b := redisstore.NewBatches(1)
	failure := errors.New("failure")
	first, second := make(chan error, 1), make(chan error, 1)
	go func() { first <- b.Do(t.Context(), 3) }()
	<-b.Sending
	b.Answer <- failure
	if err := receive(t, first); !errors.Is(err, failure) {
		t.Errorf("the one that failed: %v", err)
	}
	go func() { second <- b.Do(t.Context(), 1) }()
	<-b.Sending
	b.Answer <- nil
	if err := receive(t, second); err != nil {
		t.Errorf("the one behind: %v", err)
	}
}

// TestBatchResultThatIsKnown: a call whose result is there when its time is over returns the result.
func TestBatchResultThatIsKnown(t *testing.T) {
	b := redisstore.NewBatches(1)
	ctx, cancel := context.WithCancel(t.Context())
	b.Settled = cancel
	got := make(chan error, 1)
	go func() { got <- b.Do(ctx, 1) }()
	<-b.Sending
	b.Answer <- nil
	if err := receive(t, got); err != nil {
		t.Errorf("settled, but returned %v", err)
	}
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
