package resolverclient_test

import (
	"math"
	"testing"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/resolverclient"
)

// draws is how often the distribution tests draw.
const draws = 40_000

// checkShares holds counts against expected shares by Pearson's chi-square at a chance of one in a million to refuse a
// true one. A share of 0 must have a count of 0.
func checkShares(tb testing.TB, counts []int, shares []float64) {
	tb.Helper()
	total := 0
	for _, n := range counts {
		total += n
	}
	chi, free := 0.0, -1.0
	for i, n := range counts {
		want := shares[i] * float64(total)
		if want == 0 {
			if n != 0 {
				tb.Errorf("%d of the kind %d, which has no share", n, i)
			}
			continue
		}
		chi += (float64(n) - want) * (float64(n) - want) / want
		free++
	}
	// Wilson and Hilferty's approximation of the quantile, z = 4.75 for one in a million.
	limit := free * math.Pow(1-2/(9*free)+4.75*math.Sqrt(2/(9*free)), 3)
	if free > 0 && chi > limit {
		tb.Errorf("counts %v do not fit the shares %v: chi-square %.1f, at most %.1f", counts, shares, chi, limit)
	}
}

// rfc2782 returns the chance of each order of the weights under RFC 2782's rounds of running sums, where all of weight
// 0 together have the ticket 0 and without any of them there is no such ticket.
func rfc2782(weights []uint16) map[string]float64 {
	chances := map[string]float64{}
	var walk func(order string, left []int, chance float64)
	walk = func(order string, left []int, chance float64) {
		if len(left) == 0 {
			chances[order] += chance
			return
		}
		sum, zeros := 0.0, 0.0
		for _, i := range left {
			sum += float64(weights[i])
			if weights[i] == 0 {
				zeros++
			}
		}
		tickets := sum
		if zeros > 0 {
			tickets++
		}
		for k, i := range left {
			rest := append(append([]int(nil), left[:k]...), left[k+1:]...)
			share := float64(weights[i]) / tickets
			if weights[i] == 0 {
				share = 1 / zeros / tickets
			}
			walk(order+string(rune('a'+i)), rest, chance*share)
		}
	}
	all := make([]int, len(weights))
	for i := range all {
		all[i] = i
	}
	walk("", all, 1)
	return chances
}

func TestOrderIsRFC2782(t *testing.T) {
	for _, tt := range []struct {
		name    string
		weights []uint16
	}{
		{"one", []uint16{5}},
		{"equal", []uint16{1, 1, 1}},
		{"all zero", []uint16{0, 0, 0}},
		{"1 2 7", []uint16{1, 2, 7}},
		{"a zero", []uint16{0, 3}},
		{"zeros among others", []uint16{0, 1, 0, 3}},
		{"extremes", []uint16{65535, 1, 65535}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			chances := rfc2782(tt.weights)
			counts := map[string]int{}
			for range draws {
				class := make([]resolverclient.Endpoint, len(tt.weights))
				for i, w := range tt.weights {
					class[i] = resolverclient.Endpoint{Target: string(rune('a' + i)), Weight: w}
				}
				order := ""
				for _, i := range resolverclient.DrawOrder(class) {
					order += class[i].Target
				}
				counts[order]++
			}
			var got []int
			var want []float64
			rare := 0.0
			for order, chance := range chances {
				if chance*draws < 5 { // too rare for chi-square: counted together
					rare += chance
					continue
				}
				got, want = append(got, counts[order]), append(want, chance)
				delete(counts, order)
			}
			rest := 0
			for order, n := range counts {
				if chances[order] == 0 {
					t.Errorf("order %q cannot be", order)
				}
				rest += n
			}
			if rare*draws >= 5 {
				got, want = append(got, rest), append(want, rare)
			}
			checkShares(t, got, want)
		})
	}
}

func TestOrderPutsPrioritiesFirst(t *testing.T) {
	c := clientOf(t, newZone(t,
		"_web._tcp.svc.internal. 5 SRV 20 9 1 a.svc.internal.",
		"_web._tcp.svc.internal. 5 SRV 0 0 2 a.svc.internal.",
		"_web._tcp.svc.internal. 5 SRV 10 65535 3 a.svc.internal.",
		"_web._tcp.svc.internal. 5 SRV 10 0 4 a.svc.internal.",
		"_web._tcp.svc.internal. 5 SRV 0 1 5 a.svc.internal.",
		"a.svc.internal. 5 A 10.0.0.1",
	).serve)
	orders := map[[5]uint16]int{}
	for range 1000 {
		got, err := c.Lookup(t.Context(), "web")
		if err != nil || len(got.Endpoints) != 5 {
			t.Fatal(got, err)
		}
		var ports [5]uint16
		last := uint16(0)
		for i, e := range got.Endpoints {
			if e.Priority < last {
				t.Fatalf("priority %d after %d", e.Priority, last)
			}
			last, ports[i] = e.Priority, e.Port
		}
		orders[ports]++
	}
	// The two of priority 0 have even chances (1 in 1+1), of 10 almost always the heavy one leads.
	if n := orders[[5]uint16{2, 5, 3, 4, 1}]; n < 350 || n > 650 {
		t.Errorf("weight 0 came before weight 1 in %d of 1000, want about 500: %v", n, orders)
	}
	if orders[[5]uint16{2, 5, 3, 4, 1}]+orders[[5]uint16{5, 2, 3, 4, 1}] < 990 {
		t.Errorf("orders %v: weight 0 led over 65535", orders)
	}
}

// The slice of an answer is the caller's: what it does to it must not reach others.
func TestAnswersDoNotShareTheirSlice(t *testing.T) {
	queries := &counted{next: newZone(t, threeWebs()...).serve}
	c := clientOf(t, queries.serve)
	for range 2 {
		got, err := c.Lookup(t.Context(), "web")
		if err != nil {
			t.Fatal(err)
		}
		for i := range got.Endpoints {
			if got.Endpoints[i].Target == "spoiled." {
				t.Fatal("a change by one caller is seen by another")
			}
			got.Endpoints[i].Target = "spoiled."
		}
	}
	if n := queries.of(dns.TypeSRV); n != 1 {
		t.Errorf("%d queries, want 1", n)
	}
}
