package resolverclient_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dnsreg/dnsreg/resolverclient"
)

func TestNewNamesEveryWrongField(t *testing.T) {
	_, err := resolverclient.New(resolverclient.Config{
		Servers: []string{"10.0.0.1", "10.0.0.1:0", ":53", "10.0.0.1:53"}, Zone: "local.",
		Timeout: -1, Attempts: -1, LookupTimeout: -1, MaxEntries: -1, MinTTL: time.Minute, MaxTTL: time.Second,
		NegativeTTL: -1, Idle: -1, Tries: -1, Strategy: 99, HedgeAfter: -1, RetryStatuses: []int{200, 503},
		EjectMost: 1, EjectShare: 2,
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, text := range []string{
		`Servers "10.0.0.1": must`, `Servers "10.0.0.1:0": must`, `Servers ":53": must`, `Zone "local.": must`,
		"Timeout -1ns: must", "Attempts -1: must", "LookupTimeout -1ns: must", "MaxEntries -1: must",
		"MaxTTL 1s: must", "NegativeTTL -1ns: must", "Idle -1ns: must", "Tries -1: must", "Strategy 99: is not",
		"HedgeAfter -1ns: must", "RetryStatuses 200: must", "EjectMost 1: must", "EjectShare 2: must",
	} {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%q does not say %q", err, text)
		}
	}
	if strings.Contains(err.Error(), `"10.0.0.1:53"`) {
		t.Errorf("%q blames a good server", err)
	}
}

func TestServersOfResolvConf(t *testing.T) {
	for _, tt := range []struct {
		name, file string
		want       string
	}{
		{"two servers", "# a comment\nsearch example.com\nnameserver 192.0.2.1\nnameserver 2001:db8::1\n", "192.0.2.1:53 [2001:db8::1]:53"},
		{"none", "search example.com\n", "127.0.0.1:53"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "resolv.conf")
			if err := os.WriteFile(path, []byte(tt.file), 0o600); err != nil {
				t.Fatal(err)
			}
			var asked []string
			c := newClient(t, resolverclient.Config{
				ResolvConf: path, Attempts: 1,
				Dial: func(_ context.Context, _, address string) (net.Conn, error) {
					asked = append(asked, address)
					return nil, errors.New("no network here")
				},
			})
			_, err := c.Lookup(t.Context(), "web")
			if got := strings.Join(asked, " "); got != tt.want || err == nil {
				t.Errorf("asked %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}

func TestResolvConfThatCannotBeRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none")
	_, err := resolverclient.New(resolverclient.Config{ResolvConf: path})
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "ResolvConf") || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v, want an error about ResolvConf %s", err, path)
	}
}

func TestParseStrategy(t *testing.T) {
	for _, name := range []string{"weighted-random", "random", "round-robin", "weighted-round-robin", "least-outstanding"} {
		s, err := resolverclient.ParseStrategy(name)
		if err != nil || s.String() != name {
			t.Errorf("%s: got %v, %v", name, s, err)
		}
	}
	_, err := resolverclient.ParseStrategy("rr")
	if err == nil || !strings.Contains(err.Error(), "weighted-random, random, round-robin") {
		t.Errorf("got %v, want an error that lists the strategies", err)
	}
	if got := resolverclient.Strategy(99).String(); got != "Strategy(99)" {
		t.Errorf("got %q", got)
	}
}
