package endpoint

import (
	"bufio"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// Bounds of a token, in characters, and of a token file, in lines.
const (
	minToken  = 16
	maxToken  = 1024
	maxTokens = 10_000
)

// Token is a bearer token and the name of who holds it. Only the token's SHA-256 is kept, so that it cannot be printed.
type Token struct {
	Name string
	hash [sha256.Size]byte
}

// ParseTokens reads a token file: one "name:token" a line, empty lines and lines that begin with "#" apart. A name may
// stand twice, so that its token can be changed without a gap; a token may not. Its error names every line that is
// wrong, and never a token.
func ParseTokens(r io.Reader) ([]Token, error) {
	file := tokenFile{seen: make(map[[sha256.Size]byte]bool)}
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		if err := file.add(strings.TrimSpace(lines.Text())); err != nil {
			file.errs = append(file.errs, fmt.Errorf("line %d: %w", n, err))
		}
	}
	if err := lines.Err(); err != nil {
		file.errs = append(file.errs, fmt.Errorf("read tokens: %w", err))
	}
	if err := errors.Join(file.errs...); err != nil {
		return nil, err
	}
	return file.tokens, nil
}

// tokenFile is what has been read of a token file.
type tokenFile struct {
	tokens []Token
	seen   map[[sha256.Size]byte]bool
	errs   []error
}

// add reads one line.
func (f *tokenFile) add(line string) error {
	if line == "" || line[0] == '#' {
		return nil
	}
	token, err := parseToken(line)
	switch {
	case err != nil:
		return err
	case f.seen[token.hash]:
		return errors.New("the token must not stand twice")
	case len(f.tokens) == maxTokens:
		return fmt.Errorf("at most %d tokens are allowed", maxTokens)
	}
	f.seen[token.hash] = true
	f.tokens = append(f.tokens, token)
	return nil
}

func parseToken(line string) (Token, error) {
	name, secret, ok := strings.Cut(line, ":")
	switch {
	case !ok || name == "" || strings.ContainsFunc(name, notVisible):
		return Token{}, errors.New(`must be "name:token", the name of printable ASCII without spaces`)
	case len(secret) < minToken || len(secret) > maxToken:
		return Token{}, fmt.Errorf("the token must be %d to %d characters", minToken, maxToken)
	case strings.ContainsFunc(secret, notVisible):
		return Token{}, errors.New("the token must be printable ASCII without spaces")
	}
	return Token{Name: name, hash: sha256.Sum256([]byte(secret))}, nil
}

func notVisible(r rune) bool { return r <= ' ' || r > '~' }

// challenge is what a 401 says in WWW-Authenticate (RFC 6750 section 3).
const challenge = `Bearer realm="dnsreg"`

// authorize checks the request's token where one is needed.
func (s *Server) authorize(r *http.Request) error {
	if len(s.tokens) == 0 || r.URL.Path == livez || r.URL.Path == readyz {
		return nil
	}
	header := r.Header.Get("Authorization")
	if header == "" {
		return unauthorized("a bearer token is needed", challenge)
	}
	scheme, secret, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") || !known(s.tokens, strings.TrimSpace(secret)) {
		return unauthorized("the token is not known here", challenge+`, error="invalid_token"`)
	}
	return nil
}

func unauthorized(detail, challenge string) error {
	return &statusError{http.StatusUnauthorized, detail, "WWW-Authenticate", challenge}
}

// known reports whether secret is one of tokens, in a time that tells nothing about how much of it is right.
func known(tokens []Token, secret string) bool {
	hash := sha256.Sum256([]byte(secret))
	found := 0
	for i := range tokens {
		found |= subtle.ConstantTimeCompare(hash[:], tokens[i].hash[:])
	}
	return found == 1
}
