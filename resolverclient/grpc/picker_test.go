package dnsreggrpc_test

import (
	"fmt"
	"slices"
	"testing"

	dnsreggrpc "github.com/dnsreg/dnsreg/resolverclient/grpc"
)

func TestPickerKeepsWeights(t *testing.T) {
	for _, tt := range []struct {
		weights []uint16
		picks   int // a whole number of rounds
		want    []int
	}{
		{[]uint16{1}, 3, []int{3}},
		{[]uint16{0}, 3, []int{3}},
		{[]uint16{0, 0, 0}, 9, []int{3, 3, 3}},
		{[]uint16{5, 5, 5}, 9, []int{3, 3, 3}},
		{[]uint16{1, 2, 7}, 10, []int{1, 2, 7}},
		{[]uint16{7, 2, 1}, 100, []int{70, 20, 10}},
		{[]uint16{100, 200, 700}, 1000, []int{100, 200, 700}},
		{[]uint16{1, 65535}, 65536, []int{1, 65535}},
		{[]uint16{3, 0}, 3, []int{3}},
	} {
		t.Run(fmt.Sprint(tt.weights), func(t *testing.T) {
			got := make([]int, len(tt.want))
			for _, at := range dnsreggrpc.Picks(tt.picks, tt.weights...) {
				got[at]++
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

// Turns are spread: whenever one looks, everybody has had its share, give or take less than two turns.
func TestPickerSpreadsTurns(t *testing.T) {
	for _, weights := range [][]uint16{
		{1, 2, 7}, {10, 10, 80}, {1, 1, 1, 9}, {3, 5, 7, 11, 13}, {1, 1, 1, 1, 1, 1, 1, 1, 1, 10},
	} {
		sum := 0
		for _, w := range weights {
			sum += int(w)
		}
		had := make([]int, len(weights))
		for n, at := range dnsreggrpc.Picks(10*sum, weights...) {
			had[at]++
			for i, w := range weights {
				share := float64((n+1)*int(w)) / float64(sum)
				if off := float64(had[i]) - share; off < -1.9 || off > 1.9 {
					t.Fatalf("%v: after %d picks, %d has had %d, its share is %.1f", weights, n+1, i, had[i], share)
				}
			}
		}
	}
}
