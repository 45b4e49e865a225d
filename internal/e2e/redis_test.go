package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/internal/redistest"
)

// healing bounds waits for what a recovery of Redis brings back, on a machine that does much else.
const healing = 30 * time.Second

// ready waits until a server says that it is.
func (s *server) ready(t testing.TB) {
	t.Helper()
	within(t, healing, "the server is ready", func() bool {
		status, _ := s.call(t, http.MethodGet, "/readyz", "")
		return status == http.StatusOK
	})
}

// ask sends one query with EDNS and returns the reply.
func (s *server) ask(t testing.TB, name string, qtype uint16) *dns.Msg {
	t.Helper()
	query := new(dns.Msg).SetQuestion(name, qtype).SetEdns0(1232, false)
	reply, _, err := (&dns.Client{Timeout: patience}).Exchange(query, s.dns)
	if err != nil {
		t.Fatal(err)
	}
	return reply
}

// extended returns the extended errors of a reply (RFC 8914).
func extended(reply *dns.Msg) []uint16 {
	var codes []uint16
	for _, option := range reply.IsEdns0().Option {
		if ede, ok := option.(*dns.EDNS0_EDE); ok {
			codes = append(codes, ede.InfoCode)
		}
	}
	return codes
}

// unavailable makes a call that a server has to refuse for want of its store, soon and with the time of the next try.
func (s *server) unavailable(t testing.TB, method, path, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.http+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	sent := time.Now()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	took := time.Since(sent)
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
		t.Errorf("%s %s: status %d, Retry-After %q; want 503 with one", method, path, resp.StatusCode, resp.Header.Get("Retry-After"))
	}
	if took > patience/2 { // 1.1 s is promised; the bound leaves room for a busy machine
		t.Errorf("%s %s: refused after %v", method, path, took)
	}
	t.Logf("%s %s: refused after %v", method, path, took.Round(time.Millisecond))
}

const (
	webName = "_web._tcp." + zone
	web1    = "/v1/services/web/instances/web-1"
	webBody = `{"addresses":["10.0.0.1"],"port":80,"ttl":"1h"}`
)

// TestTwoServersOneRedis registers through one server and asks the other, and the other way round.
func TestTwoServersOneRedis(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	a, b := serve(t, "--store", redis.URL()), serve(t, "--store", redis.URL())
	a.ready(t)
	b.ready(t)
	for _, pair := range [][2]*server{{a, b}, {b, a}} {
		here, there := pair[0], pair[1]
		here.put(t, "web", "web-1", webBody)
		if got := dig(t, here, webName, "PTR"); !slices.Equal(got, []string{"web-1." + webName}) {
			t.Errorf("the server that registered it answers %q at once", got)
		}
		within(t, patience, "the other server answers", func() bool {
			return slices.Equal(dig(t, there, webName, "PTR"), []string{"web-1." + webName})
		})
		if status, reply := there.call(t, http.MethodPost, web1+"/heartbeat", ""); status != http.StatusOK {
			t.Errorf("heartbeat to the other server: %d: %s", status, reply)
		}
		if status, reply := there.call(t, http.MethodDelete, web1, ""); status != http.StatusOK {
			t.Errorf("DELETE at the other server: %d: %s", status, reply)
		}
		if got := there.ask(t, webName, dns.TypePTR).Rcode; got != dns.RcodeNameError {
			t.Errorf("after the DELETE it answers %s at once", dns.RcodeToString[got])
		}
		within(t, patience, "the first server has it gone", func() bool { return here.ask(t, webName, dns.TypePTR).Rcode == dns.RcodeNameError })
	}
	within(t, patience, "both servers show one serial", func() bool {
		serial := func(s *server) uint32 { return s.ask(t, zone, dns.TypeSOA).Answer[0].(*dns.SOA).Serial }
		return serial(a) == serial(b)
	})
}

// TestStartsWithoutRedis starts a server while Redis is down: it runs, says so, and heals when Redis comes.
func TestStartsWithoutRedis(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	redis.Kill()
	s := serve(t, "--store", redis.URL())
	if status, reply := s.call(t, http.MethodGet, "/livez", ""); status != http.StatusOK {
		t.Errorf("livez: %d: %s", status, reply)
	}
	status, reply := s.call(t, http.MethodGet, "/readyz", "")
	if status != http.StatusServiceUnavailable || !strings.Contains(reply, "its content here is lost, bell down, reaper ") {
		t.Errorf("readyz: %d: %s", status, reply)
	}
	for _, name := range []string{webName, "web." + zone} {
		if got := s.ask(t, name, dns.TypeA); got.Rcode != dns.RcodeServerFailure {
			t.Errorf("%s: %s, want SERVFAIL", name, dns.RcodeToString[got.Rcode])
		}
	}
	s.unavailable(t, http.MethodPut, web1, webBody)
	s.unavailable(t, http.MethodPost, web1+"/heartbeat", "")
	s.unavailable(t, http.MethodDelete, web1, "")
	redis.Restart()
	s.ready(t)
	s.put(t, "web", "web-1", webBody)
	if got := dig(t, s, webName, "PTR"); !slices.Equal(got, []string{"web-1." + webName}) {
		t.Errorf("once Redis is there the answer is %q", got)
	}
	if n := strings.Count(s.log.String(), `"store":"redis://127.0.0.1:`); n != 1 {
		t.Errorf("the log names the store %d times, want once", n)
	}
	within(t, patience, "the log tells that the store was out of reach and is synced", func() bool {
		text := s.log.String()
		return strings.Contains(text, `"msg":"store out of reach"`) && strings.Contains(text, `"msg":"store synced"`)
	})
	s.logsChanges(t, "store ")
}

// logsChanges holds that messages with a beginning are logged when something has changed, and so never twice in a row.
func (s *server) logsChanges(t testing.TB, beginning string) {
	t.Helper()
	last := ""
	for text := range strings.Lines(s.log.String()) {
		var line struct{ Msg, Error string }
		if err := json.Unmarshal([]byte(text), &line); err != nil || !strings.HasPrefix(line.Msg, beginning) {
			continue
		}
		if line.Msg+line.Error == last {
			t.Errorf("logged twice: %s", text)
		}
		last = line.Msg + line.Error
	}
}

// TestRedisOutOfReach kills or hangs Redis under a server: calls are refused, and DNS goes on, marked as stale.
func TestRedisOutOfReach(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name       string
		fail, heal func(*redistest.Server)
	}{
		{"killed", (*redistest.Server).Kill, (*redistest.Server).Restart},
		{"hung", (*redistest.Server).Stop, (*redistest.Server).Cont},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			redis := redistest.Start(t)
			s := serve(t, "--store", redis.URL())
			s.ready(t)
			s.put(t, "web", "web-1", webBody)
			tt.fail(redis)
			s.unavailable(t, http.MethodPut, web1, webBody) // what is refused may yet take effect: so it is nothing new
			s.unavailable(t, http.MethodPost, web1+"/heartbeat", "")
			answered := func() *dns.Msg {
				reply := s.ask(t, webName, dns.TypeSRV)
				if reply.Rcode != dns.RcodeSuccess || len(reply.Answer) != 1 {
					t.Fatalf("while Redis is out of reach: %v", reply)
				}
				return reply
			}
			within(t, healing, "answers are marked as stale", func() bool {
				return slices.Equal(extended(answered()), []uint16{dns.ExtendedErrorCodeStaleAnswer})
			})
			if status, reply := s.call(t, http.MethodGet, "/readyz", ""); status != http.StatusServiceUnavailable || !strings.Contains(reply, "stale") {
				t.Errorf("readyz: %d: %s", status, reply)
			}
			tt.heal(redis)
			within(t, healing, "answers are not marked any more", func() bool { return len(extended(answered())) == 0 })
			s.ready(t)
			answered()
		})
	}
}

// TestMaxStale holds that answers end after store.max_stale, in SERVFAIL and not in NXDOMAIN.
func TestMaxStale(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	s := serve(t, "--store", redis.URL(), "--store-max-stale", "2s")
	s.ready(t)
	s.put(t, "web", "web-1", webBody)
	redis.Kill()
	within(t, healing, "the answer is SERVFAIL", func() bool {
		reply := s.ask(t, webName, dns.TypeSRV)
		if reply.Rcode == dns.RcodeServerFailure {
			return true
		}
		if reply.Rcode != dns.RcodeSuccess || len(reply.Answer) != 1 {
			t.Fatalf("before it: %v", reply)
		}
		return false
	})
}

// TestAgentsOverAnEmptiedRedis kills Redis under two servers with agents on both, and starts it again, empty. A loop of
// queries sees every service all the time, and every lease comes back.
func TestAgentsOverAnEmptiedRedis(t *testing.T) {
	t.Parallel()
	const ttl, agents = 4 * time.Second, 6
	redis := redistest.Start(t)
	servers := []*server{serve(t, "--store", redis.URL()), serve(t, "--store", redis.URL())}
	for _, s := range servers {
		s.ready(t)
	}
	for i := range agents {
		runAgent(t, servers[i%2].http, fmt.Sprintf("agent-%d", i), ttl)
	}
	for _, s := range servers {
		within(t, patience, "all agents are answered", func() bool { return len(s.ask(t, webName, dns.TypeSRV).Answer) == agents })
	}
	queries := watch(t, servers, agents)
	redis.Kill()
	within(t, healing, "the servers notice", func() bool {
		return strings.Contains(servers[0].log.String(), "store out of reach") && strings.Contains(servers[1].log.String(), "store out of reach")
	})
	redis.Restart()
	back := time.Now()
	within(t, healing, "all leases are back in Redis", func() bool {
		keys, _ := redis.Do("KEYS", "dnsreg:{"+zone+"}:lease:*").([]any)
		return len(keys) == agents
	})
	t.Logf("all leases are back %v after Redis", time.Since(back).Round(time.Millisecond))
	within(t, healing, "two leases have gone by", func() bool { return time.Since(back) > 2*ttl })
	for _, s := range servers {
		s.ready(t)
	}
	n, wrong := queries()
	for _, w := range wrong {
		t.Error(w)
	}
	if n < 50 {
		t.Errorf("only %d queries were made", n)
	}
	t.Logf("%d queries, %d of them wrong", n, len(wrong))
}

// watch asks each server for a service about 50 times a second until the returned function is called, which returns how
// many queries were made, and what was wrong with the replies that did not have all instances.
func watch(t testing.TB, servers []*server, instances int) (stop func() (int, []string)) {
	t.Helper()
	var mu sync.Mutex
	n, wrong := 0, []string(nil)
	client := dns.Client{Timeout: patience} // a machine that is busy elsewhere is not what is watched
	done := make(chan struct{})
	var asking sync.WaitGroup
	for i, s := range servers {
		asking.Go(func() {
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for {
				reply, _, err := client.Exchange(new(dns.Msg).SetQuestion(webName, dns.TypeSRV), s.dns)
				mu.Lock()
				n++
				if err != nil || reply.Rcode != dns.RcodeSuccess || len(reply.Answer) != instances {
					wrong = append(wrong, fmt.Sprintf("server %d: %v, %v", i, err, reply))
				}
				mu.Unlock()
				select {
				case <-done:
					return
				case <-tick.C:
				}
			}
		})
	}
	stop = sync.OnceValues(func() (int, []string) {
		close(done)
		asking.Wait()
		return n, wrong
	})
	t.Cleanup(func() { _, _ = stop() })
	return stop
}
