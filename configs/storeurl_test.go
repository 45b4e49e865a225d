package configs_test

import (
	"strings"
	"testing"

	"github.com/dnsreg/dnsreg/configs"
)

func TestShownURL(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"memory", "memory:", "memory:"},
		{"no secret", "redis://host:6379/0", "redis://host:6379/0"},
		{"cluster", "redis://a:1,b:2,c:3", "redis://a:1,b:2,c:3"},
		{"sentinel", "redis://a:1,b:2/3?master=m", "redis://a:1,b:2/3?master=m"},
		{"password", "redis://:hunter2@host", "redis://:xxxxx@host"},
		{"user and password", "rediss://user:hunter2@a:1,b:2/0?master=m", "rediss://user:xxxxx@a:1,b:2/0?master=m"},
		{"user alone", "redis://hunter2@host", "redis://xxxxx@host"},
		{"a broken escape", "rediss://hunter2%zz@host", "rediss://xxxxx@host"},
		{"an at sign in the password", "redis://:hunt@er2@host", "redis://:xxxxx@host"},
		{"a slash in the password", "redis://:hun/ter2@host/0", "redis://:xxxxx@host/0"},
		{"a question mark in the password", "redis://:hun?ter2@host", "redis://…"},
		{"two at signs and a question mark", "redis://a@b:hun?ter2@host", "redis://…"},
		{"sentinel's password", "redis://a?master=m&sentinel_username=u&sentinel_password=hunter2", "redis://a?master=m&sentinel_username=u&sentinel_password=xxxxx"},
		{"a parameter that is none", "redis://a?hunter2", "redis://a?…"},
		{"a parameter without value", "redis://a?password=", "redis://a?password="},
		{"no slashes", "redis:hunter2@host", "redis:…"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := (configs.Store{URL: tt.in}).ShownURL(); got != tt.want {
				t.Errorf("%s is shown as %s, want %s", tt.in, got, tt.want)
			}
		})
	}
}

// secretURLs hold the secret hunter2, in its place or in another.
func secretURLs() []string {
	return []string{
		"redis://:hunter2@host:6379/0", "redis://user:hunter2@host", "rediss://hunter2%zz@host", "redis:hunter2@host",
		"redis://u:hunter2@h:x/", "redis://a:1?master=m&sentinel_password=hunter2", "redis://:hunter2?@host", "REDIS://:hunter2@host",
	}
}

func TestSecretsStayOut(t *testing.T) {
	for _, url := range secretURLs() {
		e, err := load(t, "--store", url, "--log-format=unknown")
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("--store %s: error %v, want one without the password", url, err)
		}
		if e != nil {
			t.Errorf("--store %s: loaded in spite of the error", url)
		}
		e, err = load(t, "--store", url)
		switch {
		case err != nil && !strings.HasPrefix(problems(t, err), "store.url "):
			t.Errorf("--store %s: error %v, want one of store.url", url, err)
		case err == nil && strings.Contains(printed(t, e), "hunter2"):
			t.Errorf("--store %s: the password is printed", url)
		case err == nil && e.Store.URL != url:
			t.Errorf("--store %s: loaded as %s", url, e.Store.URL)
		}
	}
}

func TestStoreKeysFitTheStore(t *testing.T) {
	const unless = "must be empty unless store.url begins with rediss://"
	tests := []struct {
		name string
		in   []string
		want string
	}{
		{"snapshot file", []string{"--store-snapshot-file=f"}, ""},
		{"TLS", []string{"--store=rediss://h", "--store-tls-ca=a", "--store-tls-cert=c", "--store-tls-key=k"}, ""},
		{"TLS of the system", []string{"--store=rediss://h"}, ""},
		{
			"snapshot file of a Redis",
			[]string{"--store=redis://h", "--store-snapshot-file=f"},
			`store.snapshot_file "f": must be empty unless store.url is memory: (--store-snapshot-file)`,
		},
		{"CA without TLS", []string{"--store=redis://h", "--store-tls-ca=a"}, `store.tls_ca "a": ` + unless + " (--store-tls-ca)"},
		{
			"certificate in memory",
			[]string{"--store-tls-cert=c", "--store-tls-key=k"},
			`store.tls_cert "c": ` + unless + " (--store-tls-cert)\n" + `store.tls_key "k": ` + unless + " (--store-tls-key)",
		},
		{"certificate without key", []string{"--store=rediss://h", "--store-tls-cert=c"}, "store.tls_key: must go with store.tls_cert (default)"},
		{"key without certificate", []string{"--store=rediss://h", "--store-tls-key=k"}, "store.tls_cert: must go with store.tls_key (default)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := load(t, tt.in...)
			if got := problems(t, err); got != tt.want {
				t.Errorf("problems:\n%s\nwant:\n%s", got, tt.want)
			}
		})
	}
}

func TestStoreKinds(t *testing.T) {
	tests := []struct {
		in          string
		memory, tls bool
	}{
		{"memory:", true, false},
		{"redis://h", false, false},
		{"rediss://h", false, true},
	}
	for _, tt := range tests {
		s := configs.Store{URL: tt.in}
		if s.Memory() != tt.memory || s.TLS() != tt.tls {
			t.Errorf("%s: memory %t, TLS %t", tt.in, s.Memory(), s.TLS())
		}
	}
}
