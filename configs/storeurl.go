package configs

import (
	"errors"
	"net/url"
	"slices"
	"strings"
)

// Schemes of a store's URL.
const (
	memoryURL = "memory:"
	redisURL  = "redis://"
	redissURL = "rediss://" // with TLS
)

var errStore = errors.New(`must be "memory:" or the URL of a Redis, such as redis://host:6379/0 or rediss:// for TLS`)

// Memory reports whether leases are kept in this process.
func (s Store) Memory() bool { return s.URL == memoryURL }

// TLS reports whether the connections to the store are encrypted.
func (s Store) TLS() bool { return strings.HasPrefix(s.URL, redissURL) }

// ShownURL returns URL without what may be secret in it.
func (s Store) ShownURL() string { return redact(s.URL) }

// storeKind is the URL of a store. What follows the scheme of a Redis is for the store to judge.
func storeKind() kind[string] {
	k := textKind("url", func(s string) error {
		isRedis := strings.HasPrefix(s, redisURL) || strings.HasPrefix(s, redissURL)
		if s != memoryURL && (!isRedis || strings.HasSuffix(s, "://")) {
			return errStore
		}
		return nil
	})
	k.show = redact
	return k
}

// redact hides the passwords of a URL, and whatever might be a part of one that was not written as it should have been.
func redact(s string) string {
	scheme, rest, found := strings.Cut(s, "://")
	switch {
	case !found && !strings.Contains(s, "@"):
		return s
	case !found:
		scheme, _, _ = strings.Cut(s, ":")
		return scheme + ":…"
	}
	rest, query, hasQuery := strings.Cut(rest, "?")
	if strings.Contains(query, "@") {
		return scheme + "://…" // a question mark in a password
	}
	user, rest, hasUser := cutLast(rest, "@")
	shown := scheme + "://"
	if hasUser {
		shown += redactUser(user) + "@"
	}
	shown += rest
	if hasQuery {
		shown += "?" + redactQuery(query)
	}
	return shown
}

// cutLast splits s around the last separator; without one, all of it is after.
func cutLast(s, separator string) (before, after string, found bool) {
	i := strings.LastIndex(s, separator)
	if i < 0 {
		return "", s, false
	}
	return s[:i], s[i+len(separator):], true
}

const hidden = "xxxxx"

// redactUser hides the password of user:password, and all of a user without one: that is a password in the wrong place.
func redactUser(user string) string {
	name, _, found := strings.Cut(user, ":")
	if !found || name != url.PathEscape(name) {
		return hidden
	}
	return name + ":" + hidden
}

// redactQuery hides every value but those that are known to be no secret.
func redactQuery(query string) string {
	parameters := strings.Split(query, "&")
	for i, p := range parameters {
		name, value, found := strings.Cut(p, "=")
		switch {
		case !found:
			parameters[i] = "…"
		case value != "" && !slices.Contains([]string{"master", "sentinel_username"}, name):
			parameters[i] = name + "=" + hidden
		}
	}
	return strings.Join(parameters, "&")
}
