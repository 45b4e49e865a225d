package configs

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// field is one row of the table: a key, and how its text gets into a Config and out of it. A value is text in every
// source; the elements of a list stand between separators.
type field struct {
	Key
	separator string                             // of a list's elements; empty: no list
	element   func(*yaml.Node) (string, []fault) // text of an element that is a YAML mapping; nil: none can be
	set       func(*Config, string) []fault      // leaves the Config alone where there is a fault
	text      func(*Config) string               // what set takes
	node      func(*Config) *yaml.Node           // the same for the printed file, without secrets
}

// fault is a value, or an element of a list, that breaks a rule. Its at is what follows the key: "[0].name".
type fault struct{ at, value, rule string }

// kind is a type of values. A value is valid exactly if the text that format makes of it parses.
type kind[T any] struct {
	name    string
	values  []string                           // all there are, where they can be listed
	between string                             // separates the elements of a list; empty: ","
	parse   func(string) (T, error)            // the error is the rule
	format  func(T) string                     // inverse of parse
	show    func(string) string                // hides what is secret in a value; nil: nothing is
	node    func(T) *yaml.Node                 // nil: a string
	element func(*yaml.Node) (string, []fault) // see field
}

// one returns the field of a key with a single value.
func one[T any](name string, k kind[T], place func(*Config) *T, usage string) field {
	f := field{Key: Key{Name: name, Type: k.name, Usage: usage, Values: k.values}}
	f.set = func(c *Config, text string) []fault {
		v, err := k.parse(text)
		if err != nil {
			return []fault{{value: k.shown(text), rule: err.Error()}}
		}
		*place(c) = v
		return nil
	}
	f.text = func(c *Config) string { return k.format(*place(c)) }
	f.node = func(c *Config) *yaml.Node { return k.scalar(*place(c)) }
	return f.withDefault()
}

// list returns the field of a key with any number of values.
func list[T any](name string, k kind[T], place func(*Config) *[]T, usage string) field {
	if k.between == "" {
		k.between = ","
	}
	f := field{Key: Key{Name: name, Type: k.name + k.between + "...", Usage: usage, Values: k.values}}
	f.separator, f.element = k.between, k.element
	f.set = func(c *Config, text string) []fault {
		values, faults := k.parseAll(text)
		if len(faults) == 0 {
			*place(c) = values
		}
		return faults
	}
	f.text = func(c *Config) string {
		var texts []string
		for _, v := range *place(c) {
			texts = append(texts, k.format(v))
		}
		return strings.Join(texts, k.between)
	}
	f.node = func(c *Config) *yaml.Node {
		n := &yaml.Node{Kind: yaml.SequenceNode}
		for _, v := range *place(c) {
			n.Content = append(n.Content, k.scalar(v))
		}
		return n
	}
	return f.withDefault()
}

// alias gives the key a second flag.
func (f field) alias(flag string) field {
	f.Alias = flag
	return f
}

func (f field) withDefault() field {
	c := Default()
	f.Default = f.text(&c)
	return f
}

// parseAll parses the elements of a list, of which an empty text has none.
func (k kind[T]) parseAll(text string) (values []T, faults []fault) {
	if text == "" {
		return nil, nil
	}
	for element := range strings.SplitSeq(text, k.between) {
		element = strings.TrimSpace(element)
		v, err := k.parse(element)
		if err != nil {
			faults = append(faults, fault{value: k.shown(element), rule: err.Error()})
		}
		values = append(values, v)
	}
	return values, faults
}

// shown returns text as it may be printed, without secrets and cut to a length that is worth showing.
func (k kind[T]) shown(text string) string {
	if k.show != nil {
		text = k.show(text)
	}
	const worth = 64
	if len(text) > worth {
		text = strings.ToValidUTF8(text[:worth], "") + "…"
	}
	return text
}

func (k kind[T]) scalar(v T) *yaml.Node {
	if k.node != nil {
		return k.node(v)
	}
	text := k.format(v)
	if k.show != nil {
		text = k.show(text)
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}
}
