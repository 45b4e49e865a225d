package redisstore

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// target is what a URL names.
type target struct {
	addresses          []string // host:port
	database           int
	username, password string
	tls                bool
	master             string // of a Sentinel's; the addresses are those of Sentinels then
	sentinelUsername   string
	sentinelPassword   string
}

// cluster reports whether the addresses are nodes of a Cluster.
func (t target) cluster() bool { return t.master == "" && len(t.addresses) > 1 }

// parseURL reads redis://[user[:password]@]host[:port][,host[:port]…][/database][?master=NAME], and the same with
// rediss for TLS. Several addresses are nodes of a Cluster, or Sentinels where a master is named; their own user is
// sentinel_username and sentinel_password in the query. Its error never holds a part of the URL: that may be secret.
func parseURL(s string) (target, error) {
	var t target
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok || scheme != "redis" && scheme != "rediss" {
		return t, errors.New("must begin with redis:// or rediss://")
	}
	t.tls = scheme == "rediss"
	rest, query, _ := strings.Cut(rest, "?")
	authority, database, _ := strings.Cut(rest, "/")
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		if err := t.parseUser(authority[:at]); err != nil {
			return t, err
		}
		authority = authority[at+1:]
	}
	if err := errors.Join(t.parseAddresses(authority), t.parseDatabase(database), t.parseQuery(query)); err != nil {
		return t, err
	}
	if t.cluster() && t.database != 0 {
		return t, errors.New("must name no database but 0: a Cluster has no other")
	}
	if len(t.addresses) == 1 && t.master == "" && (t.sentinelUsername != "" || t.sentinelPassword != "") {
		return t, errors.New("must name a master along with a Sentinel's user")
	}
	return t, nil
}

func (t *target) parseUser(s string) error {
	user, password, ok := strings.Cut(s, ":")
	var err1, err2 error
	t.username, err1 = url.PathUnescape(user)
	t.password, err2 = url.PathUnescape(password)
	if err1 != nil || err2 != nil {
		return errors.New("must have its user and password percent-encoded")
	}
	if !ok && user != "" {
		return errors.New("must have a password behind its user")
	}
	return nil
}

func (t *target) parseAddresses(s string) error {
	for address := range strings.SplitSeq(s, ",") {
		host, port := address, "6379"
		if h, p, err := net.SplitHostPort(address); err == nil {
			host, port = h, p
		} else {
			host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
		}
		n, err := strconv.ParseUint(port, 10, 16)
		if host == "" || err != nil || n == 0 || strings.ContainsAny(host, " @[]/") {
			return errors.New("must name its servers as host:port, separated by commas")
		}
		t.addresses = append(t.addresses, net.JoinHostPort(host, port))
	}
	return nil
}

func (t *target) parseDatabase(s string) error {
	if s == "" {
		return nil
	}
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return errors.New("must have the number of a database behind the slash")
	}
	t.database = int(n)
	return nil
}

func (t *target) parseQuery(query string) error {
	values, err := url.ParseQuery(query)
	if err != nil {
		return errors.New("must have a well-formed query")
	}
	for key, field := range map[string]*string{
		"master": &t.master, "sentinel_username": &t.sentinelUsername, "sentinel_password": &t.sentinelPassword,
	} {
		*field = values.Get(key)
		if slices.Contains(values[key], "") || len(values[key]) > 1 {
			return fmt.Errorf("must give %s once, with a value", key)
		}
		delete(values, key)
	}
	if len(values) > 0 {
		return errors.New("must have no parameters but master, sentinel_username and sentinel_password")
	}
	return nil
}
