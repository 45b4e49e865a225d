// Package stats sums up repeated measurements.
package stats

import (
	"cmp"
	"slices"
)

// Spread is the median of some values and the range that they lie in.
type Spread struct {
	Median, Min, Max float64
}

// Of returns the spread of values, zero for none.
func Of(values []float64) Spread {
	if len(values) == 0 {
		return Spread{}
	}
	sorted := slices.Sorted(slices.Values(values))
	mid := len(sorted) / 2
	median := sorted[mid]
	if len(sorted)%2 == 0 {
		median = (sorted[mid-1] + sorted[mid]) / 2
	}
	return Spread{Median: median, Min: sorted[0], Max: sorted[len(sorted)-1]}
}

// By returns the spread of one figure of samples.
func By[S any](samples []S, figure func(S) float64) Spread {
	values := make([]float64, len(samples))
	for i, s := range samples {
		values[i] = figure(s)
	}
	return Of(values)
}

// Ratio returns the spread of the ratios of values that were measured in the same round, as far as both have them.
func Ratio(values, base []float64) Spread {
	ratios := make([]float64, min(len(values), len(base)))
	for i := range ratios {
		ratios[i] = values[i] / base[i]
	}
	return Of(ratios)
}

// Best returns the least of the values of each round.
func Best[T cmp.Ordered](rounds ...[]T) []T {
	var best []T
	for i := 0; ; i++ {
		var least []T
		for _, values := range rounds {
			if i < len(values) {
				least = append(least, values[i])
			}
		}
		if len(least) == 0 {
			return best
		}
		best = append(best, slices.Min(least))
	}
}
