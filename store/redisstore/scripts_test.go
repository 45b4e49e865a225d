package redisstore_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dnsreg/dnsreg/internal/redistest"
	"github.com/dnsreg/dnsreg/store"
	"github.com/dnsreg/dnsreg/store/redisstore"
)

// lab runs scripts on a server of its own, in an epoch called "e".
type lab struct {
	testing.TB
	server *redistest.Server
	redisstore.Keys
}

func newLab(t testing.TB) *lab {
	l := &lab{t, redistest.Start(t), redisstore.NewKeys("lab", zone)}
	l.run("init", []string{l.Meta()}, "", "e", 0, "home", 60_000)
	return l
}

// run runs a script and returns its reply as one text.
func (l *lab) run(script string, keys []string, args ...any) string {
	l.Helper()
	reply, err := redisstore.Script(l.Context(), l.server.Client(), script, keys, args...)
	if err != nil {
		l.Fatal(err)
	}
	return fmt.Sprint(reply)
}

func (l *lab) expect(got, want string) {
	l.Helper()
	if got != want {
		l.Fatalf("got %s, want %s", got, want)
	}
}

func (l *lab) rev() int {
	l.Helper()
	n, err := strconv.Atoi(fmt.Sprint(l.server.Do("HGET", l.Meta(), "rev")))
	if err != nil {
		l.Fatal(err)
	}
	return n
}

// register registers instances of one service in one call.
func (l *lab) register(all ...store.Instance) string {
	return l.registerIn([]store.Service{web}, all...)
}

// The scripts are told of other times than those that pass while a machine stands still.
const (
	lasting = int64(time.Hour / time.Millisecond)   // of leases
	gap     = int64(time.Minute / time.Millisecond) // without a tick
	reapFor = int64(time.Minute / time.Millisecond) // a reaper's term
)

// registerIn registers instances of services in turn in one call.
func (l *lab) registerIn(services []store.Service, all ...store.Instance) string {
	keys, args := []string{l.Meta(), l.ChangeLog()}, []any{"e", 1, 39}
	for i, in := range all {
		service := services[i%len(services)]
		keys = append(keys, l.Rec(service), l.Lease(service, in.ID), l.Tomb(service, in.ID))
		args = append(args, string(service), in.Key(), in.Canonical(), lasting, redisstore.LeaseText(in.TTL, in.ETag()), 1)
	}
	return l.run("register", keys, args...)
}

func (l *lab) deregister(id string) string {
	return l.run("deregister",
		[]string{l.Meta(), l.ChangeLog(), l.Rec(web), l.Ops(web), l.Lease(web, id), l.Tomb(web, id)},
		"e", 1, string(web), id, 60_000, 120_000)
}

func (l *lab) overlay(id, state, weight string) string {
	return l.run("overlay", []string{l.Meta(), l.ChangeLog(), l.Rec(web), l.Ops(web), l.Rec(web.Sibling())},
		"e", 1, string(web), id, state, weight, 1, string(web.Sibling()), 39)
}

func (l *lab) remove(ids ...string) string {
	keys, args := []string{l.Meta(), l.ChangeLog()}, []any{"e", 1, gap}
	for _, id := range ids {
		keys = append(keys, l.Rec(web), l.Ops(web), l.Lease(web, id))
		args = append(args, string(web), id)
	}
	return l.run("remove", keys, args...)
}

func (l *lab) restore(in store.Instance, overlay, restored string) string {
	return l.run("restore", []string{l.Meta(), l.ChangeLog(), l.Rec(web), l.Ops(web), l.Tomb(web, in.ID)},
		"e", restored, string(web), in.Key(), in.Canonical(), overlay)
}

func (l *lab) tick(caller string) string {
	return l.run("tick", []string{l.Meta()}, "e", 1, caller, reapFor, gap, 0)
}

// unhold ends the hold that every epoch begins with, and says that leases were watched all along.
func (l *lab) unhold() {
	l.server.Do("HSET", l.Meta(), "hold_since", 0, "tick", time.Now().UnixMilli())
}

// kill ends a lease.
func (l *lab) kill(id string) { l.server.Do("DEL", l.Lease(web, id)) }

func TestScriptsRefuseAnotherEpoch(t *testing.T) {
	l := newLab(t)
	l.register(instance("a"))
	before := fmt.Sprint(l.server.Do("HGETALL", l.Meta()), l.server.Do("KEYS", "*"))
	for script, keys := range map[string]int{
		"join": 1, "register": 5, "renew": 3, "deregister": 6, "overlay": 5, "tick": 1, "remove": 5, "settle": 1, "clamp": 2, "trim": 3, "restore": 5,
	} {
		all := append([]string{l.Meta(), l.ChangeLog()}, slices.Repeat([]string{"{lab}"}, 6)...)
		if got := l.run(script, all[:keys], "other", 1, "x", "x", 1, "x", 1, "x", 1); got != "[NOEPOCH]" {
			t.Errorf("%s: %s", script, got)
		}
	}
	l.expect(fmt.Sprint(l.server.Do("HGETALL", l.Meta()), l.server.Do("KEYS", "*")), before)
}

// TestScriptsRefuseALesserRevision: a caller that has seen more than Redis has must not write before it knows why.
func TestScriptsRefuseALesserRevision(t *testing.T) {
	l := newLab(t)
	l.register(instance("a"))
	before := fmt.Sprint(l.server.Do("HGETALL", l.Meta()), l.server.Do("KEYS", "*"))
	for script, keys := range map[string]int{"register": 5, "deregister": 6, "overlay": 5, "tick": 1, "remove": 5, "settle": 1} {
		all := append([]string{l.Meta(), l.ChangeLog()}, slices.Repeat([]string{"{lab}"}, 6)...)
		if got := l.run(script, all[:keys], "e", l.rev()+1, "x", "x", "x", 1, "x", 1, "x", 1); got != "[NOEPOCH]" {
			t.Errorf("%s: %s", script, got)
		}
	}
	l.expect(fmt.Sprint(l.server.Do("HGETALL", l.Meta()), l.server.Do("KEYS", "*")), before)
}

func TestScriptInit(t *testing.T) {
	l := newLab(t)
	first := l.rev()
	if now := int(time.Now().Unix()); first < now+1<<20-5 || first > now+1<<20+5 {
		t.Fatalf("first revision %d at %d", first, now)
	}
	l.expect(l.run("init", []string{l.Meta()}, "", "late", 0, "home", 60_000), "[OK]")
	l.expect(fmt.Sprint(l.server.Do("HGET", l.Meta(), "epoch")), "e")
	l.expect(l.run("init", []string{l.Meta()}, "e", "next", 1<<40, "home2", 60_000), "[OK]")
	l.expect(fmt.Sprint(l.server.Do("HMGET", l.Meta(), "epoch", "home", "rev", "base")), fmt.Sprintf("[next home2 %d %d]", 1<<40+1<<20, 1<<40+1<<20))
}

func TestScriptRenew(t *testing.T) {
	l := newLab(t)
	renew := func() string { return l.run("renew", []string{l.Meta(), l.Rec(web), l.Lease(web, "a")}, "e", "a") }
	l.expect(renew(), "[OK ]")
	in := instance("a", ttl(24*time.Hour))
	l.register(in)
	l.expect(renew(), fmt.Sprintf("[OK %s]", redisstore.LeaseText(in.TTL, in.ETag())))
	if left, _ := l.server.Do("PTTL", l.Lease(web, "a")).(int64); left <= lasting {
		t.Fatalf("%d ms left", left)
	}
	l.server.Do("DEL", l.Rec(web))
	l.expect(renew(), "[OK ]")
	l.expect(fmt.Sprint(l.server.Do("EXISTS", l.Lease(web, "a"))), "0")
}

func TestScriptDeregister(t *testing.T) {
	l := newLab(t)
	l.register(instance("a", ttl(time.Hour)))
	l.overlay("a", "draining", "")
	rev := l.rev()
	life := func() int64 { n, _ := l.server.Do("PTTL", l.Tomb(web, "a")).(int64); return n }
	l.expect(l.deregister("a"), fmt.Sprintf("[OK %d 1]", rev+1))
	l.expect(fmt.Sprint(l.server.Do("EXISTS", l.Rec(web), l.Ops(web), l.Lease(web, "a"))), "0")
	if got := life(); got < 2*3_600_000-5000 {
		t.Fatalf("a tombstone of %d ms for a ttl of an hour", got)
	}
	l.server.Do("PEXPIRE", l.Tomb(web, "a"), 60_000)
	l.expect(l.deregister("a"), fmt.Sprintf("[OK %d 0]", rev+1))
	if got := life(); got < 2*3_600_000-5000 {
		t.Fatalf("told again, a tombstone of %d ms", got)
	}
	l.server.Do("DEL", l.Tomb(web, "a"))
	l.expect(l.deregister("a"), fmt.Sprintf("[OK %d 0]", rev+2))
	if got := life(); got > 120_000 || got < 110_000 {
		t.Fatalf("a tombstone of %d ms for an unknown one", got)
	}
}

func TestScriptOverlay(t *testing.T) {
	l := newLab(t)
	l.expect(l.overlay("a", "draining", ""), "[UNKNOWN]")
	l.register(instance("a"))
	rev := l.rev()
	l.expect(l.overlay("a", "draining", ""), fmt.Sprintf("[OK %d]", rev+1))
	l.expect(l.overlay("a", "", "5"), fmt.Sprintf("[OK %d]", rev+2))
	l.expect(l.overlay("a", "draining", "5"), fmt.Sprintf("[OK %d]", rev+2))
	l.expect(l.overlay("a", "", ""), fmt.Sprintf("[OK %d]", rev+2))
	l.expect(fmt.Sprint(l.server.Do("HGET", l.Ops(web), "a")), "draining:5")
}

func TestScriptTick(t *testing.T) {
	l := newLab(t)
	hold := func() string { return fmt.Sprint(l.server.Do("HGET", l.Meta(), "hold_since")) }
	l.unhold()
	l.expect(l.tick("x"), "[OK]")
	l.expect(l.tick("y"), "[BUSY]")
	l.expect(l.tick("x"), "[OK]")
	l.expect(hold(), "0")
	for _, tick := range []any{time.Now().UnixMilli() - gap - 1000, time.Now().Add(time.Hour).UnixMilli(), nil} {
		l.unhold()
		if l.server.Do("HSET", l.Meta(), "tick", fmt.Sprint(tick)); tick == nil {
			l.server.Do("HDEL", l.Meta(), "tick")
		}
		l.tick("x")
		if hold() == "0" {
			t.Errorf("tick at %v: no hold", tick)
		}
	}
	l.unhold()
	l.expect(l.run("tick", []string{l.Meta()}, "e", 1, "y", reapFor, gap, 1), "[BUSY]")
	l.expect(hold(), "0")
	l.expect(l.run("tick", []string{l.Meta()}, "e", 1, "x", 0, gap, 0), "[OK]")
	l.expect(l.run("tick", []string{l.Meta()}, "e", 1, "y", reapFor, gap, 1), "[OK]")
	if hold() == "0" {
		t.Error("the caller wants a hold, and there is none")
	}
}

func TestScriptRemove(t *testing.T) {
	l := newLab(t)
	for _, id := range []string{"a", "b", "c"} {
		l.register(instance(id, ttl(time.Minute)))
	}
	l.overlay("a", "draining", "")
	l.kill("a")
	l.tick("x")
	if got := l.remove("a"); got == "[OK -1]" {
		t.Fatal("removed during the hold of a new epoch")
	}
	l.unhold()
	rev := l.rev()
	got := strings.Fields(strings.Trim(l.remove("a", "b", "nobody"), "[]"))
	if got[1] != "-1" || got[2] == "-1" || got[3] != "-1" {
		t.Fatalf("got %v", got)
	}
	if l.rev() != rev+1 || fmt.Sprint(l.server.Do("HKEYS", l.Rec(web))) == "[]" || fmt.Sprint(l.server.Do("EXISTS", l.Ops(web))) != "0" {
		t.Fatalf("revision %d after %d, records %v", l.rev(), rev, l.server.Do("HKEYS", l.Rec(web)))
	}
	l.kill("b")
	l.server.Do("HSET", l.Meta(), "tick", time.Now().UnixMilli()-gap-1000)
	if got := l.remove("b"); got == "[OK -1]" {
		t.Fatal("removed after a time without ticks")
	}
}

func TestScriptRestore(t *testing.T) {
	l := newLab(t)
	l.expect(l.restore(instance("a"), "draining:", ""), "[OK 1]")
	l.expect(l.restore(instance("a"), "up:", ""), "[OK 0]")
	l.expect(fmt.Sprint(l.server.Do("HGET", l.Ops(web), "a"), l.server.Do("EXISTS", l.Lease(web, "a"))), "draining:0")
	l.register(instance("b", port(99)))
	l.expect(l.restore(instance("b"), "", ""), "[OK 0]")
	l.expect(l.restore(instance("b"), ":7", ""), "[OK 1]")
	l.deregister("c")
	l.expect(l.restore(instance("c"), "", "e"), "[OK 0]")
	l.expect(fmt.Sprint(l.server.Do("HGET", l.Meta(), "restored")), "e")
	l.expect(fmt.Sprint(l.server.Do("HEXISTS", l.Rec(web), "c")), "0")
}

func TestScriptClamp(t *testing.T) {
	l := newLab(t)
	l.register(instance("a"))
	for _, c := range []struct {
		name        string
		set         []any
		least, most int64
	}{
		{"right", []any{"PEXPIRE", l.Lease(web, "a"), 250_000}, 240_000, 250_000},
		{"far too long", []any{"PEXPIRE", l.Lease(web, "a"), 3_600_000}, 190_000, 200_000},
		{"for ever", []any{"PERSIST", l.Lease(web, "a")}, 190_000, 200_000},
	} {
		l.server.Do(c.set...)
		l.expect(l.run("clamp", []string{l.Meta(), l.Lease(web, "a")}, "e", 200_000), "[OK]")
		if left, _ := l.server.Do("PTTL", l.Lease(web, "a")).(int64); left < c.least || left > c.most {
			t.Errorf("%s: %d ms left", c.name, left)
		}
	}
}

func TestScriptTrim(t *testing.T) {
	l := newLab(t)
	trim := func(rev int) string {
		return l.run("trim", []string{l.Meta(), l.ChangeLog(), l.Rec(web)}, "e", string(web), rev)
	}
	l.register(instance("a"))
	l.expect(trim(l.rev()), "[OK 0]")
	l.deregister("a")
	l.expect(trim(l.rev()-1), "[OK 0]")
	l.expect(trim(l.rev()), "[OK 1]")
	l.expect(fmt.Sprint(l.server.Do("ZCARD", l.ChangeLog())), "0")
}

func TestScriptDelta(t *testing.T) {
	l := newLab(t)
	first := l.rev()
	delta := func(after int, limits ...any) []any {
		reply, err := redisstore.Script(t.Context(), l.server.Client(), "delta", []string{l.Meta(), l.ChangeLog()},
			append([]any{l.Rec(""), l.Ops(""), after}, limits...)...)
		if err != nil {
			t.Fatal(err)
		}
		return reply
	}
	l.register(instance("a"))
	l.overlay("a", "", "3")
	got := fmt.Sprint(delta(first, 100, 1<<20))
	l.expect(got, fmt.Sprintf("[e %d 0 [_web._tcp %d [a %s] [a :3]]]", first+2, first+2, instance("a").Canonical()))
	l.expect(fmt.Sprint(delta(first+2, 100, 1<<20)), fmt.Sprintf("[e %d 0]", first+2))
	l.server.Do("ZADD", l.ChangeLog(), first+3, "_x._tcp", first+4, "_y._tcp")
	if page := delta(first, 2, 1<<20); page[2] != int64(1) || len(page) != 5 {
		t.Errorf("a page of two services: %v", page)
	}
	if page := delta(first, 100, 10); page[2] != int64(1) || len(page) != 4 {
		t.Errorf("a page of ten octets: %v", page)
	}
}
