package store

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Canonical returns the one byte form of a normalized instance: JSON of format 1, as encoding/json writes it without
// spaces, whose bytes never change for the same content (golden vectors in testdata). Two instances are the same content
// exactly if their canonical forms are equal.
func (i Instance) Canonical() []byte {
	b := make([]byte, 0, 256)
	b = appendText(append(b, `{"v":1,"id":`...), i.ID)
	b = appendText(append(b, `,"host":`...), i.Host)
	b = appendList(append(b, `,"addresses":`...), i.Addresses, appendAddress)
	b = strconv.AppendUint(append(b, `,"port":`...), uint64(i.Port), 10)
	b = strconv.AppendUint(append(b, `,"priority":`...), uint64(i.Priority), 10)
	b = strconv.AppendUint(append(b, `,"weight":`...), uint64(i.Weight), 10)
	b = appendList(append(b, `,"txt":`...), i.TXT, appendText)
	b = appendList(append(b, `,"subtypes":`...), i.Subtypes, appendText)
	b = strconv.AppendInt(append(b, `,"ttl_ms":`...), i.TTL.Milliseconds(), 10)
	return append(b, '}')
}

// appendText appends s as JSON.
func appendText(b []byte, s string) []byte {
	for i := range len(s) {
		if mayBeEscaped(s[i]) {
			text, _ := json.Marshal(s) // a string always encodes
			return append(b, text...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// mayBeEscaped reports whether encoding/json may write a character in another way than as it is.
func mayBeEscaped(c byte) bool {
	return c < 0x20 || c > 0x7e || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&'
}

func appendAddress(b []byte, a netip.Addr) []byte {
	if a.Zone() != "" || !a.IsValid() {
		text, _ := json.Marshal(a) // an address always encodes
		return append(b, text...)
	}
	b = a.AppendTo(append(b, '"'))
	return append(b, '"')
}

func appendList[T any](b []byte, list []T, element func([]byte, T) []byte) []byte {
	b = append(b, '[')
	for i, e := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = element(b, e)
	}
	return append(b, ']')
}

// ETag returns the name of the instance's content: the [ETagOf] its canonical form.
func (i Instance) ETag() string { return ETagOf(i.Canonical()) }

// ETagOf returns the first 16 octets of the SHA-256 of a canonical form, in hex.
func ETagOf(canonical []byte) string {
	sum := sha256.Sum256(canonical)
	return hex.EncodeToString(sum[:16])
}

var errCanonical = errors.New("not an instance in canonical form")

// ParseCanonical is the inverse of [Instance.Canonical] and takes nothing else: whatever it accepts has just these bytes
// as its canonical form. Texts without escapes share the record's memory. It checks none of [Rules].
func ParseCanonical(record string) (Instance, error) {
	p := parser{rest: record}
	in := Instance{
		ID:        textAfter(&p, `{"v":1,"id":`),
		Host:      textAfter(&p, `,"host":`),
		Addresses: listAfter(&p, `,"addresses":`, (*parser).address),
		Port:      uint16(p.numberAfter(`,"port":`, 1<<16-1)),
		Priority:  uint16(p.numberAfter(`,"priority":`, 1<<16-1)),
		Weight:    uint16(p.numberAfter(`,"weight":`, 1<<16-1)),
		TXT:       listAfter(&p, `,"txt":`, (*parser).text),
		Subtypes:  listAfter(&p, `,"subtypes":`, (*parser).text),
		TTL:       time.Duration(p.numberAfter(`,"ttl_ms":`, uint64(MaxTTL.Milliseconds()))) * time.Millisecond,
	}
	p.expect("}")
	if p.failed || p.rest != "" || in.ID == "" || in.Port == 0 || in.TTL < MinTTL {
		return Instance{}, fmt.Errorf("%w: %.200q", errCanonical, record)
	}
	if in.Host == in.ID {
		in.Host = in.ID // one text for both
	}
	return in, nil
}

// parser reads canonical JSON off the front of rest. Once it has failed it stays so.
type parser struct {
	rest   string
	failed bool
}

func (p *parser) expect(literal string) {
	rest, ok := strings.CutPrefix(p.rest, literal)
	if !ok {
		p.failed = true
		return
	}
	p.rest = rest
}

func textAfter(p *parser, literal string) string {
	p.expect(literal)
	return p.text()
}

// listAfter reads an array, nil where it is empty.
func listAfter[T any](p *parser, literal string, element func(*parser) T) []T {
	p.expect(literal)
	p.expect("[")
	if strings.HasPrefix(p.rest, "]") {
		p.expect("]")
		return nil
	}
	list := make([]T, 0, p.elements())
	for !p.failed {
		list = append(list, element(p))
		if strings.HasPrefix(p.rest, "]") {
			p.expect("]")
			return list
		}
		p.expect(",")
	}
	return nil
}

// elements guesses how many elements the array has that has just begun, by the commas up to its end.
func (p *parser) elements() int {
	end := strings.IndexByte(p.rest, ']')
	return 1 + strings.Count(p.rest[:max(end, 0)], `","`)
}

func (p *parser) address() netip.Addr {
	text := p.text()
	address, err := netip.ParseAddr(text)
	if err != nil || address.String() != text {
		p.failed = true
	}
	return address
}

// numberAfter reads a number without sign or leading zeros.
func (p *parser) numberAfter(literal string, limit uint64) uint64 {
	p.expect(literal)
	end := 0
	for end < len(p.rest) && p.rest[end] >= '0' && p.rest[end] <= '9' {
		end++
	}
	n, err := strconv.ParseUint(p.rest[:end], 10, 64)
	if err != nil || n > limit || end > 1 && p.rest[0] == '0' {
		p.failed = true
	}
	p.rest = p.rest[end:]
	return n
}

// text reads a string.
func (p *parser) text() string {
	p.expect(`"`)
	for i := 0; i < len(p.rest) && !p.failed; i++ {
		switch c := p.rest[i]; {
		case c == '"':
			s := p.rest[:i]
			p.rest = p.rest[i+1:]
			return s
		case mayBeEscaped(c):
			return p.escaped()
		}
	}
	p.failed = true
	return ""
}

// escaped reads the rest of a string that has characters which encoding/json may write in more than one way, and holds
// it to the one that it chooses.
func (p *parser) escaped() string {
	end := 0
	for end < len(p.rest) && p.rest[end] != '"' {
		if p.rest[end] == '\\' {
			end++
		}
		end++
	}
	if end >= len(p.rest) {
		p.failed = true
		return ""
	}
	literal := `"` + p.rest[:end+1]
	var s string
	err := json.Unmarshal([]byte(literal), &s)
	again, _ := json.Marshal(s) // a string always encodes
	if err != nil || string(again) != literal {
		p.failed = true
	}
	p.rest = p.rest[end+1:]
	return s
}
