package resolverclient_test

import (
	"fmt"
	"testing"

	"github.com/dnsreg/dnsreg/resolverclient"
)

func TestPlanTurns(t *testing.T) {
	for _, tt := range []struct {
		name    string
		weights []uint64
		limit   int
		want    string
	}{
		{"spread evenly", []uint64{5, 1, 1}, 100, "[0 0 0 1 2 0 0]"},
		{"halves", []uint64{2, 2}, 100, "[0 1]"},
		{"zero", []uint64{0, 1}, 100, "[1]"},
		{"scaled down", []uint64{65535, 13107}, 6, "[0 0 0 1 0 0]"},
		{"more than 32 bits hold", []uint64{655350, 655350}, 1, "[0 1]"},
		{"the light ones keep a turn", []uint64{65535, 1, 1}, 4, "[0 0 1 2 0 0]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := fmt.Sprint(resolverclient.PlanTurns(tt.weights, tt.limit)); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// No endpoint waits longer for its turn than its weight calls for, give or take one interval.
func TestPlanTurnsIsSmooth(t *testing.T) {
	weights := []uint64{1, 2, 7, 13, 50}
	round := resolverclient.PlanTurns(weights, 1000)
	for i, w := range weights {
		last, longest := -1, 0
		for at := range 2 * len(round) {
			if round[at%len(round)] == int32(i) {
				if last >= 0 {
					longest = max(longest, at-last)
				}
				last = at
			}
		}
		if even := float64(len(round)) / float64(w); float64(longest) > even+float64(len(weights)) {
			t.Errorf("weight %d waits %d turns, evenly it would be %.1f", w, longest, even)
		}
	}
}
