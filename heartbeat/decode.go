package heartbeat

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/dnsreg/dnsreg/store"
)

// SyntaxError says that a body is not of the form that its call wants: not JSON, or JSON with a field that is unknown,
// repeated or of another type.
type SyntaxError struct {
	Field string // "port", "instances[3].id"; "body" for the whole
	Value string // as the body has it, cut to 64 octets: `"80"`, `null`; empty where the rule is about something else
	Rule  string // "must be a number"
}

// Error returns field, value and rule.
func (e *SyntaxError) Error() string {
	if e.Value == "" {
		return fmt.Sprintf("%s %s", e.Field, e.Rule)
	}
	return fmt.Sprintf("%s %s: %s", e.Field, e.Value, e.Rule)
}

// decoder reads one JSON value as its caller expects it, token by token, so that nothing unexpected is ever built in
// memory: a body nests no deeper than the form does. Values that are of the right type but break a rule are collected,
// so that all of them are reported at once.
type decoder struct {
	data    []byte
	tokens  *json.Decoder
	path    string // of the value being read
	start   int64  // of the last token, with what stands before it
	invalid []store.FieldError
}

// member is one field that an object may have, and what reads its value.
type member struct {
	name string
	read func() error
}

// decode reads data with read, which leaves nothing of it unread.
func decode(data []byte, read func(d *decoder) error) error {
	d := &decoder{data: data, tokens: json.NewDecoder(bytes.NewReader(data))}
	d.tokens.UseNumber()
	if err := read(d); err != nil {
		return err
	}
	if _, err := d.tokens.Token(); !errors.Is(err, io.EOF) {
		return d.syntax("must end after the JSON value")
	}
	if len(d.invalid) > 0 {
		return &store.InvalidError{Fields: d.invalid}
	}
	return nil
}

func (d *decoder) syntax(rule string) error { return &SyntaxError{Field: d.field(), Rule: rule} }

// field returns what errors call the value being read.
func (d *decoder) field() string {
	if d.path == "" {
		return "body"
	}
	return cut(d.path)
}

// cut shortens a text of the caller's to what is worth showing.
func cut(s string) string { return store.NewFieldError("", s, "").Value }

// require notes a rule that value, in the caller's words, breaks.
func (d *decoder) require(value, rule string) {
	d.invalid = append(d.invalid, store.NewFieldError(d.path, value, rule))
}

// token returns the next token, whose text has passed the rules that encoding/json does not enforce.
func (d *decoder) token() (json.Token, error) {
	d.start = d.tokens.InputOffset()
	token, err := d.tokens.Token()
	if err != nil {
		return nil, d.broken(err)
	}
	if _, ok := token.(string); ok {
		raw := d.raw()
		switch {
		case !utf8.Valid(raw):
			return nil, d.mismatch("must be valid UTF-8")
		case hasLoneSurrogate(raw):
			return nil, d.mismatch(`must be valid UTF-8: a \u escape is half of a surrogate pair`)
		}
	}
	return token, nil
}

// raw returns the last token as the body has it.
func (d *decoder) raw() []byte {
	return bytes.TrimLeft(d.data[d.start:d.tokens.InputOffset()], ",: \t\r\n")
}

// mismatch is the error of a value that is not what rule asks for. Of an object or array only the brackets are shown.
func (d *decoder) mismatch(rule string) error {
	shown := string(d.raw())
	switch {
	case shown == "{":
		shown = "{…}"
	case shown == "[":
		shown = "[…]"
	case !utf8.ValidString(shown):
		shown = strconv.Quote(strings.Trim(shown, `"`))
	}
	return &SyntaxError{Field: d.field(), Value: cut(shown), Rule: rule}
}

// broken says in the caller's words why there is no further token.
func (d *decoder) broken(err error) error {
	switch {
	case len(bytes.TrimSpace(d.data)) == 0:
		return d.syntax("must not be empty")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return d.syntax("ends too early: the JSON is cut off")
	default:
		return d.syntax(fmt.Sprintf("must be JSON: %v near octet %d", err, d.tokens.InputOffset()))
	}
}

// hasLoneSurrogate reports whether a valid JSON string has a \u escape that is half of a surrogate pair, which
// encoding/json replaces without a word.
func hasLoneSurrogate(raw []byte) bool {
	for len(raw) > 0 {
		i := bytes.IndexByte(raw, '\\')
		if i < 0 || i+1 >= len(raw) {
			return false
		}
		raw = raw[i:]
		r, ok := unicodeEscape(raw)
		switch {
		case !ok:
			raw = raw[2:]
		case !utf16.IsSurrogate(r):
			raw = raw[6:]
		default:
			low, _ := unicodeEscape(raw[6:])
			if utf16.DecodeRune(r, low) == utf8.RuneError {
				return true
			}
			raw = raw[12:]
		}
	}
	return false
}

// unicodeEscape returns the code unit of the \u escape at the front of raw.
func unicodeEscape(raw []byte) (rune, bool) {
	if len(raw) < 6 || raw[0] != '\\' || raw[1] != 'u' {
		return 0, false
	}
	v, err := strconv.ParseUint(string(raw[2:6]), 16, 16)
	return rune(v), err == nil
}

// object reads an object that has no other fields than members, each at most once.
func (d *decoder) object(members ...member) error {
	if err := d.open('{', "must be an object"); err != nil {
		return err
	}
	outer := d.path
	seen := make([]bool, len(members))
	for {
		token, err := d.token()
		if err != nil {
			return err
		}
		name, ok := token.(string)
		if !ok { // the closing brace: nothing else is valid here
			return nil
		}
		d.path = join(outer, name)
		if err := d.member(members, seen, name); err != nil {
			return err
		}
		d.path = outer
	}
}

func join(outer, name string) string {
	if outer == "" {
		return name
	}
	return outer + "." + name
}

func (d *decoder) member(members []member, seen []bool, name string) error {
	for i, m := range members {
		switch {
		case m.name != name:
		case seen[i]:
			return d.syntax("must not be given twice")
		default:
			seen[i] = true
			return m.read()
		}
	}
	return d.unknown(members, name)
}

func (d *decoder) unknown(members []member, name string) error {
	names := make([]string, len(members))
	for i, m := range members {
		if strings.EqualFold(m.name, name) {
			return d.syntax(fmt.Sprintf("must be written %q: field names are case-exact", m.name))
		}
		names[i] = m.name
	}
	return d.syntax("is not a field of this call: it must be one of " + strings.Join(names, ", "))
}

// array reads an array, calling each for each of its elements.
func (d *decoder) array(each func(i int) error) error {
	if err := d.open('[', "must be an array"); err != nil {
		return err
	}
	outer := d.path
	for i := 0; d.tokens.More(); i++ {
		d.path = fmt.Sprintf("%s[%d]", outer, i)
		if err := each(i); err != nil {
			return err
		}
	}
	d.path = outer
	_, err := d.token() // the closing bracket, or why there is none
	return err
}

func (d *decoder) open(delim json.Delim, rule string) error {
	token, err := d.token()
	if err == nil && token != delim {
		err = d.mismatch(rule)
	}
	return err
}

// text reads a string.
func (d *decoder) text() (string, error) {
	token, err := d.token()
	if err != nil {
		return "", err
	}
	s, ok := token.(string)
	if !ok {
		return "", d.mismatch("must be a string")
	}
	return s, nil
}

// number reads a number that has to be whole and from least to 65535.
func (d *decoder) number(least int64) (uint16, error) {
	token, err := d.token()
	if err != nil {
		return 0, err
	}
	literal, ok := token.(json.Number)
	if !ok {
		return 0, d.mismatch("must be a number")
	}
	v, err := strconv.ParseInt(literal.String(), 10, 64)
	switch {
	case errors.Is(err, strconv.ErrSyntax):
		d.require(literal.String(), fmt.Sprintf("must be a whole number, %d to 65535", least))
	case err != nil || v < least || v > 65535:
		d.require(literal.String(), fmt.Sprintf("must be %d to 65535", least))
	default:
		return uint16(v), nil
	}
	return 0, nil
}

// intoText returns a reader of a string, for a member.
func (d *decoder) intoText(to *string) func() error {
	return func() (err error) {
		*to, err = d.text()
		return err
	}
}

// intoTexts returns a reader of an array of strings.
func (d *decoder) intoTexts(to *[]string) func() error {
	return func() error {
		return d.array(func(int) error {
			s, err := d.text()
			*to = append(*to, s)
			return err
		})
	}
}

// intoNumber returns a reader of a whole number from least to 65535.
func (d *decoder) intoNumber(least int64, to *uint16) func() error {
	return func() (err error) {
		*to, err = d.number(least)
		return err
	}
}
