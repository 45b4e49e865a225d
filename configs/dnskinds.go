package configs

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

var errIdentity = errors.New("must be up to 128 printable ASCII characters")

// identityKind is a short text that clients are told; empty is allowed.
func identityKind() kind[string] {
	return textKind("text", func(s string) error {
		const longest = 128
		if len(s) > longest || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
			return errIdentity
		}
		return nil
	})
}

// rangeKind is a number within bounds, or 0 for none.
func rangeKind(low, high int) kind[int] {
	k := countKind()
	k.parse = func(s string) (int, error) {
		n, err := strconv.Atoi(s)
		if err != nil || n != 0 && (n < low || n > high) {
			return 0, fmt.Errorf("must be a whole number from %d to %d, or 0", low, high)
		}
		return n, nil
	}
	return k
}
