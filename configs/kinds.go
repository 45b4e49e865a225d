package configs

import (
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/dnsreg/dnsreg/internal/dnssd"
)

// Rules that a value can break. Each text is shown as it stands.
var (
	errListen  = errors.New("must be an IP address and a port, such as 127.0.0.1:8053, or :8053 for every address")
	errTTL     = errors.New("must be a duration of whole seconds from 1s to 24h, such as 5s or 1m30s")
	errMailbox = errors.New("must be a mail address, such as hostmaster@example.net")
	errBool    = errors.New("must be true or false")
	errCount   = errors.New("must be a whole number of 1 or more")
	errPrefix  = errors.New("must be an IP address or a prefix, such as 10.0.0.0/8")
	errLevel   = errors.New("must be debug, info, warn or error")
)

// Bounds of a TTL. Zero is out: a resolver may then ask for each use anew, and some never cache at all.
const (
	minTTL = time.Second
	maxTTL = 24 * time.Hour
)

// plain returns the node of a value that is no string to YAML: true, 5.
func plain(text string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Value: text} }

// textKind is a type whose values are kept as they were written.
func textKind(name string, check func(string) error) kind[string] {
	return kind[string]{
		name:   name,
		format: func(s string) string { return s },
		parse:  func(s string) (string, error) { return s, check(s) },
	}
}

// listenKind is an address to listen on. A host name is not taken: it would need DNS to start DNS.
func listenKind() kind[string] {
	return textKind("ip:port", func(s string) error {
		if strings.HasPrefix(s, ":") {
			s = "0.0.0.0" + s
		}
		if _, err := netip.ParseAddrPort(s); err != nil {
			return errListen
		}
		return nil
	})
}

func ttlKind() kind[time.Duration] {
	return kind[time.Duration]{name: "duration", format: time.Duration.String, parse: func(s string) (time.Duration, error) {
		d, err := time.ParseDuration(s)
		if err != nil || d < minTTL || d > maxTTL || d%time.Second != 0 {
			return 0, errTTL
		}
		return d, nil
	}}
}

func zoneKind() kind[string] {
	return textKind("name", func(s string) error {
		_, err := dnssd.ParseZone(s)
		return err
	})
}

// mailboxKind is a mail address that an SOA record can carry (RFC 1035 section 8); empty is allowed.
func mailboxKind() kind[string] {
	return textKind("mailbox", func(s string) error {
		local, domain, found := strings.Cut(s, "@")
		switch {
		case s == "":
			return nil
		case !found, local == "", strings.ContainsFunc(local, notPrintable), !isHostName(domain):
			return errMailbox
		}
		if _, err := dnssd.Split(dnssd.Escape(local) + "." + domain); err != nil {
			return errMailbox
		}
		return nil
	})
}

func notPrintable(r rune) bool { return r <= ' ' || r > '~' }

// isHostName reports whether s is one or more host labels, with or without a dot at the end.
func isHostName(s string) bool {
	labels, err := dnssd.Split(s)
	return err == nil && len(labels) > 0 && !slices.ContainsFunc(labels, func(l string) bool {
		return dnssd.CheckHostLabel(l) != nil
	})
}

func boolKind() kind[bool] {
	return kind[bool]{
		name: "bool", values: []string{"true", "false"}, format: strconv.FormatBool,
		node: func(v bool) *yaml.Node { return plain(strconv.FormatBool(v)) },
		parse: func(s string) (bool, error) {
			if s != "true" && s != "false" {
				return false, errBool
			}
			return s == "true", nil
		},
	}
}

func countKind() kind[int] {
	return kind[int]{
		name: "number", format: strconv.Itoa,
		node: func(v int) *yaml.Node { return plain(strconv.Itoa(v)) },
		parse: func(s string) (int, error) {
			n, err := strconv.Atoi(s)
			if err != nil || n < 1 {
				return 0, errCount
			}
			return n, nil
		},
	}
}

// prefixKind is a range of addresses; a single address is a range of one.
func prefixKind() kind[netip.Prefix] {
	return kind[netip.Prefix]{name: "prefix", format: netip.Prefix.String, parse: func(s string) (netip.Prefix, error) {
		if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
			return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), nil
		}
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return netip.Prefix{}, errPrefix
		}
		return p.Masked(), nil
	}}
}

func wordKind(words ...string) kind[string] {
	last := len(words) - 1
	rule := errors.New("must be " + strings.Join(words[:last], ", ") + " or " + words[last])
	k := textKind("word", func(s string) error {
		if !slices.Contains(words, s) {
			return rule
		}
		return nil
	})
	k.values = words
	return k
}

// pathKind is the path of a file, which is read by whoever needs it; empty is allowed.
func pathKind() kind[string] {
	return textKind("path", func(string) error { return nil })
}

func levelKind() kind[slog.Level] {
	word := func(l slog.Level) string { return strings.ToLower(l.String()) }
	levels := []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}
	words := make([]string, len(levels))
	for i, l := range levels {
		words[i] = word(l)
	}
	return kind[slog.Level]{name: "word", values: words, format: word, parse: func(s string) (slog.Level, error) {
		i := slices.Index(words, s)
		if i < 0 {
			return 0, errLevel
		}
		return levels[i], nil
	}}
}
