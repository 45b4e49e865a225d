package configs

import (
	"fmt"
	"slices"
	"strings"
)

// Problem says which key broke which rule, with which value, and where that came from.
type Problem struct {
	Key    string // "dns.ttl", "http.listen[1]"; a variable's name where that is what is wrong
	Value  string // as it was written, but for secrets; empty where a key itself is wrong
	Rule   string // "must be debug, info, warn or error"
	Source string // "--dns-ttl", "DNSREG_DNS_TTL", "dnsreg.yaml:7" or "default"
}

// String returns the problem in one line.
func (p Problem) String() string {
	s := p.Key
	if p.Value != "" {
		s += fmt.Sprintf(" %q", p.Value)
	}
	s += ": " + p.Rule
	if p.Source != "" {
		s += " (" + p.Source + ")"
	}
	return s
}

// Error lists everything that is wrong with a configuration.
type Error struct {
	Problems []Problem
}

// Error returns all problems in one line.
func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "; ")
}

// FileError says that the configuration file, or a file that a key names, cannot be read or does not hold what it should.
type FileError struct {
	Err error // "auth.tokens: open /etc/dnsreg/tokens: no such file or directory"
}

// Error returns the text of Err.
func (e *FileError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *FileError) Unwrap() error { return e.Err }

// problems collects what is wrong.
type problems []Problem

// err returns what was collected as an error, nil if nothing was.
func (p problems) err() error {
	if len(p) == 0 {
		return nil
	}
	return &Error{Problems: p}
}

// report notes the faults of one key.
func (p *problems) report(key, source string, faults []fault) {
	for _, f := range faults {
		*p = append(*p, Problem{Key: key + f.at, Value: f.value, Rule: f.rule, Source: source})
	}
}

const errTwice = "must not be there twice"

// unknownKey returns the rule that an unknown name breaks, with the known name that is nearest to it: one that has more
// words, as DNSREG_ZONE_NAME has to DNSREG_ZONE, or else one that differs by the fewest letters.
func unknownKey(name string, known []string) string {
	const rule = "is unknown; the nearest key is "
	longer := func(k string) bool { return strings.HasPrefix(strings.ToLower(k), strings.ToLower(name)+"_") }
	if i := slices.IndexFunc(known, longer); i >= 0 {
		return rule + known[i]
	}
	return rule + slices.MinFunc(known, func(a, b string) int { return distance(name, a) - distance(name, b) })
}

// distance returns how many characters must be inserted, deleted or replaced to make b of a (Levenshtein).
// Case counts for nothing: whoever shouts is corrected all the same.
func distance(a, b string) int {
	a, b = strings.ToLower(a), strings.ToLower(b)
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
