package dnsserver

import (
	"bufio"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"

	"github.com/dnsreg/dnsreg/internal/dnssd"
)

// Key is a secret that the server shares with somebody, who signs messages with it (TSIG, RFC 8945).
type Key struct {
	Name      string    // in presentation form, at most 100 octets on the wire; the same on both sides
	Algorithm string    // "hmac-sha256", "hmac-sha384" or "hmac-sha512"
	Secret    KeySecret // 16 to 1024 octets
}

// KeySecret is the secret of a Key.
type KeySecret []byte

// String keeps the secret out of logs.
func (KeySecret) String() string { return "(secret)" }

// GoString does so for %#v.
func (KeySecret) GoString() string { return "(secret)" }

// Bounds of a key. The longest name and the longest algorithm still leave room for a truncated reply in 512 octets.
const (
	maxKeys      = 64
	maxKeyName   = 100
	minKeySecret = 16
	maxKeySecret = 1024
)

var (
	errKeyLine      = errors.New("must be a name, an algorithm and a secret in base64")
	errKeyName      = errors.New("name must be labels of letters, digits, hyphens and underscores, at most 100 octets in all")
	errKeyAlgorithm = errors.New("algorithm must be hmac-sha256, hmac-sha384 or hmac-sha512")
	errKeySecret    = errors.New("secret must be 16 to 1024 octets")
	errKeyTwice     = errors.New("name must not be given twice")
)

// ParseKeys reads a file of keys for Config.Keys: lines of a name, an algorithm and a secret in base64, with spaces
// between them. Empty lines and those that begin with "#" do not count. Its error names the line and never a secret.
func ParseKeys(r io.Reader) ([]Key, error) {
	var keys []Key
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimSpace(lines.Text())
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		key, err := parseKey(text)
		if err == nil {
			_, err = newTSIGKeys(append(keys, key))
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		keys = append(keys, key)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read keys: %w", err)
	}
	return keys, nil
}

func parseKey(line string) (Key, error) {
	fields := strings.Fields(line)
	if len(fields) != 3 {
		return Key{}, errKeyLine
	}
	secret, err := base64.StdEncoding.DecodeString(fields[2])
	if err != nil {
		return Key{}, errKeyLine
	}
	return Key{Name: fields[0], Algorithm: dnssd.Fold(fields[1]), Secret: secret}, nil
}

// tsigKey is a Key as it is used. It is immutable.
type tsigKey struct {
	name      []byte // in wire form, small letters
	algorithm []byte // the same
	hash      func() hash.Hash
	size      int // octets of a MAC
	secret    []byte
}

// tsigKeys is the keys of a server by their names in wire form.
type tsigKeys map[string]*tsigKey

// newTSIGKeys returns the keys of a config, or the first rule that one of them breaks.
func newTSIGKeys(keys []Key) (tsigKeys, error) {
	if len(keys) > maxKeys {
		return nil, fmt.Errorf("%d keys, must be at most %d", len(keys), maxKeys)
	}
	all := make(tsigKeys, len(keys))
	for _, k := range keys {
		key, err := newTSIGKey(k)
		if err != nil {
			return nil, err
		}
		if all[string(key.name)] != nil {
			return nil, fmt.Errorf("key %q: %w", k.Name, errKeyTwice)
		}
		all[string(key.name)] = key
	}
	return all, nil
}

func newTSIGKey(k Key) (*tsigKey, error) {
	name, err := keyName(k.Name)
	if err != nil {
		return nil, err
	}
	key := &tsigKey{name: name, secret: k.Secret}
	switch k.Algorithm {
	case "hmac-sha256":
		key.hash, key.size = sha256.New, sha256.Size
	case "hmac-sha384":
		key.hash, key.size = sha512.New384, sha512.Size384
	case "hmac-sha512":
		key.hash, key.size = sha512.New, sha512.Size
	default:
		return nil, fmt.Errorf("key %q: %w", k.Name, errKeyAlgorithm)
	}
	if len(k.Secret) < minKeySecret || len(k.Secret) > maxKeySecret {
		return nil, fmt.Errorf("key %q: %w", k.Name, errKeySecret)
	}
	key.algorithm, err = wireName(k.Algorithm)
	return key, err
}

// keyName returns the name of a key in wire form.
func keyName(name string) ([]byte, error) {
	wire, err := wireName(dnssd.Fold(name))
	odd := strings.ContainsFunc(name, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.", r))
	})
	if err != nil || odd || len(wire) == 1 || len(wire) > maxKeyName {
		return nil, fmt.Errorf("key %.64q: %w", name, errKeyName)
	}
	return wire, nil
}

// SameName reports whether two keys' names, in presentation form, are one and the same.
func SameName(a, b string) bool {
	first, errA := keyName(a)
	second, errB := keyName(b)
	return errA == nil && errB == nil && string(first) == string(second)
}

// named returns the key of a name in presentation form, nil if there is none.
func (k tsigKeys) named(name string) *tsigKey {
	wire, err := keyName(name)
	if err != nil {
		return nil
	}
	return k[string(wire)]
}
