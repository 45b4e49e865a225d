package resolverclient

import (
	"cmp"
	"math/rand/v2"
	"slices"
)

// ordered returns a copy of the endpoints in an order drawn as RFC 2782 says.
func (s *set) ordered() []Endpoint {
	out := slices.Clone(s.endpoints)
	for rest := out; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].Priority == rest[0].Priority {
			n++
		}
		drawOrder(rest[:n])
		rest = rest[n:]
	}
	return out
}

// drawOrder puts the endpoints of one priority into an order drawn by weight: as RFC 2782's rounds over running sums
// do, each place goes to a remaining endpoint with a chance in proportion to its weight, and to one of weight 0 with
// the chance 1 in (sum of the remaining weights + 1).
//
// Instead of a sum per place, which is quadratic, each weight w draws an exponential variate of rate w: sorted, they
// have the order of draws without replacement (Efraimidis and Spirakis 2006). Those of weight 0 are merged in after.
func drawOrder(class []Endpoint) {
	if len(class) < 2 {
		return
	}
	type drawn struct {
		endpoint Endpoint
		at       float64
	}
	var weighted []drawn
	var zero []Endpoint
	sum := 0
	for _, e := range class {
		if e.Weight == 0 {
			zero = append(zero, e)
			continue
		}
		sum += int(e.Weight)
		weighted = append(weighted, drawn{e, rand.ExpFloat64() / float64(e.Weight)})
	}
	slices.SortFunc(weighted, func(a, b drawn) int { return cmp.Compare(a.at, b.at) })
	rand.Shuffle(len(zero), func(i, j int) { zero[i], zero[j] = zero[j], zero[i] })
	for i := range class {
		if len(weighted) == 0 || len(zero) > 0 && rand.IntN(sum+1) == 0 {
			class[i], zero = zero[0], zero[1:]
			continue
		}
		class[i] = weighted[0].endpoint
		sum -= int(class[i].Weight)
		weighted = weighted[1:]
	}
}
