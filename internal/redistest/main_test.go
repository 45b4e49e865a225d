package redistest_test

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain lets go-redis dial a server that is gone once more: that ends within a second of the client's Close.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
}
