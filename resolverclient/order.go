package resolverclient

import (
	"cmp"
	"math/rand/v2"
	"slices"
)

// ordered returns a copy of the endpoints in an order drawn as RFC 2782 says.
func (s *set) ordered() []Endpoint {
	out := make([]Endpoint, 0, len(s.endpoints))
	for _, class := range s.classes() {
		for _, i := range drawOrder(class) {
			out = append(out, class[i])
		}
	}
	return out
}

// drawOrder returns the indices of the endpoints of one priority in an order drawn by weight: as RFC 2782's rounds over
// running sums do, each place goes to a remaining endpoint with a chance in proportion to its weight, and to one of
// weight 0 with the chance 1 in (sum of the remaining weights + 1).
//
// Instead of a sum per place, which is quadratic, each weight w draws an exponential variate of rate w: sorted, they
// have the order of draws without replacement (Efraimidis and Spirakis 2006). Those of weight 0 are merged in after.
func drawOrder(class []Endpoint) []int {
	type drawn struct {
		at    float64
		index int
	}
	var zero []int
	weighted := make([]drawn, 0, len(class))
	sum := 0
	for i, e := range class {
		if e.Weight == 0 {
			zero = append(zero, i)
			continue
		}
		sum += int(e.Weight)
		weighted = append(weighted, drawn{rand.ExpFloat64() / float64(e.Weight), i})
	}
	slices.SortFunc(weighted, func(a, b drawn) int { return cmp.Compare(a.at, b.at) })
	rand.Shuffle(len(zero), func(i, j int) { zero[i], zero[j] = zero[j], zero[i] })
	order := make([]int, len(class))
	for at := range order {
		if len(weighted) == 0 || len(zero) > 0 && rand.IntN(sum+1) == 0 {
			order[at], zero = zero[0], zero[1:]
			continue
		}
		order[at] = weighted[0].index
		sum -= int(class[order[at]].Weight)
		weighted = weighted[1:]
	}
	return order
}
