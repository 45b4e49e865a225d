package redisstore_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/dnsreg/dnsreg/store"
)

func TestScriptRegister(t *testing.T) {
	l := newLab(t)
	rev := l.rev()
	l.expect(l.register(instance("a")), fmt.Sprintf("[OK %d 0]", rev+1))
	l.expect(l.register(instance("a")), fmt.Sprintf("[OK %d 1]", rev+1))
	l.kill("a")
	l.expect(l.register(instance("a")), fmt.Sprintf("[OK %d 0]", rev+1))
	l.expect(l.register(instance("a", port(81))), fmt.Sprintf("[OK %d 1]", rev+2))
	l.expect(fmt.Sprint(l.server.Do("ZSCORE", l.ChangeLog(), string(web))), fmt.Sprint(rev+2))
	for i := range 38 {
		l.register(instance(fmt.Sprintf("fill%d", i)))
	}
	l.expect(l.register(instance("more")), fmt.Sprintf("[OK %d -1]", l.rev())) // the 40th, judged at revision 1
	l.expect(l.register(instance("a", port(81))), fmt.Sprintf("[OK %d 1]", l.rev()))
}

// TestScriptRegisterMany: one call for many instances has what as many calls would have, with one bell, and what is wrong
// with one instance's keys is told of that one alone.
func TestScriptRegisterMany(t *testing.T) {
	l := newLab(t)
	rev, bells := l.rev(), l.bells()
	l.register(instance("old"))
	l.server.Do("HSET", l.Lease(web, "odd"), "a", "hash")
	got := l.register(instance("a"), instance("old"), instance("odd"), instance("A", port(81)), instance("b"))
	l.expect(got, fmt.Sprintf("[OK %d 0 %d 1 WRONGTYPE Operation against a key holding the wrong kind of value 0 %d 1 %d 0]",
		rev+2, rev+2, rev+3, rev+4))
	l.expect(fmt.Sprint(l.server.Do("ZSCORE", l.ChangeLog(), string(web))), fmt.Sprint(rev+4))
	l.expect(fmt.Sprint(l.rev()), fmt.Sprint(rev+4))
	l.expect(fmt.Sprintf("%v of %v", l.server.Do("HEXISTS", l.Rec(web), "odd"), l.server.Do("HLEN", l.Rec(web))), "0 of 3")
	if n := bells(); n != 2 {
		t.Errorf("%d bells, want one for each call", n)
	}
}

// TestScriptRegisterFillsService: instances that come in one call count for those behind them.
func TestScriptRegisterFillsService(t *testing.T) {
	l := newLab(t)
	all := make([]store.Instance, 41)
	for i := range all {
		all[i] = instance(fmt.Sprintf("i%d", i))
	}
	rev := l.rev()
	got := strings.Fields(l.register(all...))
	l.expect(strings.Join(got[len(got)-6:], " "), fmt.Sprintf("%d 0 %d -1 %d -1]", rev+39, rev+39, rev+39))
}

// TestScriptRegisterCountsSibling: the instances of the same name over the other protocol count too, before the call and
// in it.
func TestScriptRegisterCountsSibling(t *testing.T) {
	l := newLab(t)
	for i := range 38 {
		l.server.Do("HSET", l.Rec(web.Sibling()), fmt.Sprintf("udp%d", i), "a record")
	}
	l.server.Do("ZADD", l.ChangeLog(), 2, string(web.Sibling()))
	rev := l.rev()
	l.expect(l.register(instance("a"), instance("b")), fmt.Sprintf("[OK %d 0 %d -1]", rev+1, rev+1))
	l.server.Do("HSET", l.Rec(web.Sibling()), "more", "a record")
	l.server.Do("ZADD", l.ChangeLog(), rev+7, string(web.Sibling()))
	l.expect(l.register(instance("b")), fmt.Sprintf("[OK %d -1]", rev+7))
}

// TestScriptRegisterSiblingsTogether: where a call brings instances of both protocols in turn, those of either count for
// those behind them of the other.
func TestScriptRegisterSiblingsTogether(t *testing.T) {
	l := newLab(t)
	all := make([]store.Instance, 42)
	for i := range all {
		all[i] = instance(fmt.Sprintf("i%d", i))
	}
	rev := l.rev()
	got := strings.Fields(l.registerIn([]store.Service{web, web.Sibling()}, all...))
	l.expect(strings.Join(got[len(got)-8:], " "), fmt.Sprintf("%d 0 %d -1 %d -1 %d -1]", rev+39, rev+39, rev+39, rev+39))
	l.expect(fmt.Sprint(l.server.Do("HLEN", l.Rec(web)), l.server.Do("HLEN", l.Rec(web.Sibling()))), "20 19")
}

// TestScriptRegisterHeld: a record whose lease has ended, as during a hold, is renewed without a change where it is the
// same, and replaced where it is not.
func TestScriptRegisterHeld(t *testing.T) {
	l := newLab(t)
	l.register(instance("a"), instance("b"))
	l.kill("a")
	l.kill("b")
	rev := l.rev()
	l.expect(l.register(instance("a"), instance("b", port(81)), instance("a")), fmt.Sprintf("[OK %d 0 %d 0 %d 1]", rev, rev+1, rev+1))
	l.expect(fmt.Sprint(l.server.Do("HGET", l.Rec(web), "b")), string(instance("b", port(81)).Canonical()))
	l.expect(fmt.Sprint(l.server.Do("EXISTS", l.Lease(web, "a"), l.Lease(web, "b"))), "2")
}

// TestScriptRegisterOddRecords: where what should hold a service's records holds something else, no lease is opened that
// would have no record, and a tombstone stays.
func TestScriptRegisterOddRecords(t *testing.T) {
	l := newLab(t)
	l.server.Do("SET", l.Rec(web), "text")
	l.server.Do("SET", l.Tomb(web, "a"), "1000")
	l.expect(l.register(instance("a")), "[OK WRONGTYPE Operation against a key holding the wrong kind of value 0]")
	l.expect(fmt.Sprint(l.server.Do("EXISTS", l.Lease(web, "a")), l.server.Do("EXISTS", l.Tomb(web, "a"))), "0 1")
}

// bells begins to count what the bell hears, and returns a function that counts up to now.
func (l *lab) bells() func() int {
	l.Helper()
	l.server.Set("notify-keyspace-events", "Kzx")
	sub := l.server.Client().Subscribe(l.Context(), "__keyspace@0__:"+l.ChangeLog(), "done")
	l.Cleanup(func() { _ = sub.Close() })
	if _, err := sub.Receive(l.Context()); err != nil {
		l.Fatal(err)
	}
	return func() int {
		l.server.Do("PUBLISH", "done", "")
		for n := 0; ; n++ {
			message, err := sub.ReceiveMessage(l.Context())
			if err != nil {
				l.Fatal(err)
			}
			if message.Channel == "done" {
				return n
			}
		}
	}
}
