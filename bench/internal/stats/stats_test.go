package stats_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dnsreg/dnsreg/bench/internal/stats"
)

func TestOf(t *testing.T) {
	for _, test := range []struct {
		name string
		in   []float64
		want stats.Spread
	}{
		{"none", nil, stats.Spread{}},
		{"one", []float64{3}, stats.Spread{Median: 3, Min: 3, Max: 3}},
		{"even", []float64{4, 1, 3, 2}, stats.Spread{Median: 2.5, Min: 1, Max: 4}},
		{"odd", []float64{9, 1, 2}, stats.Spread{Median: 2, Min: 1, Max: 9}},
	} {
		in := append([]float64(nil), test.in...)
		if diff := cmp.Diff(test.want, stats.Of(test.in)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
		if diff := cmp.Diff(in, test.in); diff != "" {
			t.Errorf("%s: the values were changed:\n%s", test.name, diff)
		}
	}
}

func TestBy(t *testing.T) {
	got := stats.By([]string{"a", "ccc", "bb"}, func(s string) float64 { return float64(len(s)) })
	if want := (stats.Spread{Median: 2, Min: 1, Max: 3}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestRatioIsByRound: the ratio of medians would be 1 here.
func TestRatioIsByRound(t *testing.T) {
	got := stats.Ratio([]float64{1, 2, 3}, []float64{2, 8, 1})
	if want := (stats.Spread{Median: 0.5, Min: 0.25, Max: 3}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := stats.Ratio([]float64{1, 2}, []float64{4}); got.Max != 0.25 {
		t.Errorf("of unequal lengths: %v", got)
	}
}

func TestBest(t *testing.T) {
	for _, test := range []struct {
		name string
		in   [][]float64
		want []float64
	}{
		{"none", nil, nil},
		{"one", [][]float64{{3, 1}}, []float64{3, 1}},
		{"two", [][]float64{{3, 1}, {2, 4}}, []float64{2, 1}},
		{"unequal", [][]float64{{3}, {2, 4}}, []float64{2, 4}},
	} {
		if diff := cmp.Diff(test.want, stats.Best(test.in...)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}
