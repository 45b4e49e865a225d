package configs

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxFile bounds a configuration file in octets, so that a path to something endless is an error.
const maxFile = 1 << 20

// document is what a configuration file says: the text of the keys that it sets, and the line of each.
type document struct {
	path     string
	values   map[string]string
	lines    map[string]int
	problems problems
}

// readFile reads the configuration file at path; an empty path is an empty file. The error is about the file as a whole, a
// [*FileError].
func readFile(path string) (*document, error) {
	d := &document{path: path, values: make(map[string]string), lines: make(map[string]int)}
	if path == "" {
		return d, nil
	}
	data, err := readAll(path)
	if err != nil {
		return nil, &FileError{fmt.Errorf("read configuration file: %w", err)}
	}
	if err := d.parse(data); err != nil {
		return nil, &FileError{fmt.Errorf("read configuration file %s: %w", path, err)}
	}
	return d, nil
}

func readAll(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read from
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("%s: more than %d octets", path, maxFile)
	}
	return data, err
}

func (d *document) parse(data []byte) error {
	var root, more yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	switch err := decoder.Decode(&root); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return err
	}
	if err := decoder.Decode(&more); !errors.Is(err, io.EOF) {
		return errors.New("must be one YAML document")
	}
	table := make(map[string]field)
	for _, f := range fields() {
		table[f.Name] = f
	}
	d.section(root.Content[0], "", table)
	return nil
}

// section reads the mapping n, whose keys all begin with prefix.
func (d *document) section(n *yaml.Node, prefix string, table map[string]field) {
	n = resolve(n)
	switch {
	case isNull(n):
		return
	case n.Kind != yaml.MappingNode:
		whole := cmp.Or(strings.TrimSuffix(prefix, "."), "the file")
		d.report(whole, n, []fault{{value: n.Value, rule: "must be a mapping of keys"}})
		return
	}
	for key, value := range pairs(n) {
		name := prefix + key.Value
		f, known := table[name]
		_, twice := d.lines[name]
		switch {
		case twice:
			d.report(name, key, []fault{{rule: errTwice}})
			continue
		case known:
			d.leaf(f, value)
		case slices.Contains(names(), name): // a section
			d.section(value, name+".", table)
		default:
			d.report(name, key, []fault{{rule: unknownKey(name, names())}})
		}
		d.lines[name] = key.Line
	}
}

func (d *document) leaf(f field, n *yaml.Node) {
	if isNull(n) {
		return
	}
	text, faults := leafText(n, f.separator, f.element)
	d.report(f.Name, n, faults)
	if len(faults) == 0 {
		d.values[f.Name] = text
	}
}

func (d *document) report(key string, n *yaml.Node, faults []fault) {
	d.problems.report(key, d.source(n.Line), faults)
}

func (d *document) source(line int) string { return fmt.Sprintf("%s:%d", d.path, line) }

// leafText returns the text form of a value. The separator is empty where it must not be a list; element turns a
// list's mappings into text.
func leafText(n *yaml.Node, separator string, element func(*yaml.Node) (string, []fault)) (string, []fault) {
	n = resolve(n)
	switch {
	case n.Kind == yaml.ScalarNode:
		return n.Value, nil
	case n.Kind != yaml.SequenceNode:
		return "", []fault{{rule: "must not be a mapping"}}
	case separator == "":
		return "", []fault{{rule: "must be one value, not a list"}}
	}
	var faults []fault
	texts := make([]string, len(n.Content))
	for i, item := range n.Content {
		item = resolve(item)
		read := element
		if item.Kind != yaml.MappingNode || element == nil {
			read = func(n *yaml.Node) (string, []fault) { return leafText(n, "", nil) }
		}
		text, wrong := read(item)
		for _, f := range wrong {
			f.at = fmt.Sprintf("[%d]%s", i, f.at)
			faults = append(faults, f)
		}
		texts[i] = text
	}
	return strings.Join(texts, separator), faults
}

// memberTexts returns what read makes of the values of a mapping, by their keys, which must be among known.
func memberTexts(n *yaml.Node, known []string, read func(key string, value *yaml.Node) (string, []fault)) (map[string]string, []fault) {
	var faults []fault
	texts := make(map[string]string)
	for key, value := range pairs(n) {
		name := key.Value
		if !slices.Contains(known, name) {
			faults = append(faults, fault{at: "." + name, rule: unknownKey(name, known)})
			continue
		}
		text, wrong := read(name, value)
		if _, twice := texts[name]; twice {
			wrong = []fault{{rule: errTwice}}
		}
		for _, f := range wrong {
			f.at = "." + name + f.at
			faults = append(faults, f)
		}
		texts[name] = text
	}
	return texts, faults
}

// pairs iterates over the keys and values of a mapping.
func pairs(n *yaml.Node) iter.Seq2[*yaml.Node, *yaml.Node] {
	return func(yield func(*yaml.Node, *yaml.Node) bool) {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if !yield(n.Content[i], n.Content[i+1]) {
				return
			}
		}
	}
}

// resolve returns what n stands for, if it is an alias.
func resolve(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// names returns the sections and the keys, in the order of the table.
func names() []string {
	var all []string
	for _, f := range fields() {
		section, _, _ := strings.Cut(f.Name, ".")
		all = append(all, section, f.Name)
	}
	return all
}
