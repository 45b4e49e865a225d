package bench_test

import (
	"context"
	"strconv"
	"testing"

	"github.com/go-kit/kit/endpoint"
	"github.com/go-kit/kit/sd"
	"github.com/go-kit/kit/sd/lb"
)

// goKit is the load balancers of go-kit.
func goKit() []subject {
	return []subject{
		{"go-kit/round-robin", func(_ testing.TB, n int) chooser { return goKitOver(lb.NewRoundRobin(fixed(n))) }},
		{"go-kit/random", func(_ testing.TB, n int) chooser { return goKitOver(lb.NewRandom(fixed(n), 1)) }},
	}
}

// fixed is n endpoints, which say their numbers.
func fixed(n int) sd.FixedEndpointer {
	out := make(sd.FixedEndpointer, n)
	for i := range out {
		out[i] = func(context.Context, any) (any, error) { return strconv.Itoa(i), nil }
	}
	return out
}

func goKitOver(b lb.Balancer) chooser {
	var picked [batch]endpoint.Endpoint
	return chooser{
		choose: func(place int) (err error) {
			picked[place], err = b.Endpoint()
			return err
		},
		end: func(int) {},
		which: func(place int) string {
			name, _ := picked[place](context.Background(), nil)
			return name.(string)
		},
	}
}
