package store

import (
	"fmt"
	"strconv"
	"strings"
)

// FieldError says which field of an input broke which rule, and with which value.
type FieldError struct {
	Field string // as the HTTP API names it: "port", "txt[2]"
	Value string // in the caller's words, cut to 64 octets
	Rule  string // "must be 1 to 65535"
}

// InvalidError lists everything that is wrong with an input, in the order of its fields.
type InvalidError struct {
	Fields []FieldError
}

// Error returns all fields in one line.
func (e *InvalidError) Error() string {
	parts := make([]string, len(e.Fields))
	for i, f := range e.Fields {
		parts[i] = fmt.Sprintf("%s %q: %s", f.Field, f.Value, f.Rule)
	}
	return strings.Join(parts, "; ")
}

// NewFieldError returns a FieldError with value cut to the length that is worth showing.
func NewFieldError(field, value, rule string) FieldError {
	const shown = 64
	if len(value) > shown {
		value = strings.ToValidUTF8(value[:shown], "") + "…"
	}
	return FieldError{Field: field, Value: value, Rule: rule}
}

func fieldError(field, value string, err error) FieldError {
	return NewFieldError(field, value, err.Error())
}

// problems collects the fields that are wrong.
type problems []FieldError

// check notes err, if there is one, against a field.
func (p *problems) check(field, value string, err error) {
	if err != nil {
		*p = append(*p, fieldError(field, value, err))
	}
}

// require notes rule against a field unless ok.
func (p *problems) require(ok bool, field string, value any, rule string) {
	if !ok {
		*p = append(*p, NewFieldError(field, fmt.Sprint(value), rule))
	}
}

// atMost notes a number beyond a limit against a field: "must be at most 16 strings".
func (p *problems) atMost(limit, n int, field, unit string) {
	if n > limit {
		*p = append(*p, NewFieldError(field, strconv.Itoa(n), strings.TrimSpace(fmt.Sprintf("must be at most %d %s", limit, unit))))
	}
}

// each notes what is wrong with the elements of a list.
func (p *problems) each(field string, list []string, check func(string) error) {
	for i, s := range list {
		if err := check(s); err != nil {
			p.check(fmt.Sprintf("%s[%d]", field, i), s, err)
		}
	}
}

// err returns what was collected as an error, nil if nothing was.
func (p problems) err() error {
	if len(p) == 0 {
		return nil
	}
	return &InvalidError{Fields: p}
}
