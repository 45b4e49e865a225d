package dnsserver

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
)

var errSecret = errors.New("must be 32 hex digits")

// ParseCookieSecrets reads a file of secrets for Config.CookieSecrets: one or two lines of 32 hex digits, the one in use
// first. Empty lines and those that begin with "#" do not count. Its error names the line and never what is in it.
func ParseCookieSecrets(r io.Reader) ([]CookieSecret, error) {
	var secrets []CookieSecret
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimSpace(lines.Text())
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		secret, err := hex.DecodeString(text)
		if err != nil || len(secret) != len(CookieSecret{}) {
			return nil, fmt.Errorf("line %d: %w", n, errSecret)
		}
		secrets = append(secrets, CookieSecret(secret))
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read secrets: %w", err)
	}
	if len(secrets) == 0 || len(secrets) > maxSecrets {
		return nil, fmt.Errorf("%d secrets, must be one or two", len(secrets))
	}
	return secrets, nil
}
