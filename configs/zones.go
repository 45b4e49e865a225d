package configs

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/dnsreg/dnsreg/internal/dnssd"
)

// Bounds of what one server answers for.
const (
	MaxZones   = 64 // Zone.Others and the default one together
	MaxReverse = 64 // prefixes of one zone
)

// Zones returns every zone that is served, the default one first.
func (c Config) Zones() []Zone {
	first := c.Zone
	first.Others = nil
	return append([]Zone{first}, c.Zone.Others...)
}

// othersKey is the key of the zones beside the default one.
const othersKey = "zone.others"

// otherFields are the keys of a zone that each of the others has too, behind "zone.".
func otherFields() []field {
	return slices.DeleteFunc(ownFields(), func(f field) bool { return f.Name == nameKey })
}

const nameKey = "zone.name"

// otherKind is a zone beside the default one: its name in text, and behind it what it has otherwise than a zone of which
// no more is said, as in "lab.internal?mailbox=ops@example.net&reverse=10.1.0.0/16,10.2.0.0/16". In values %, & and ; are
// percent-encoded. In the file a mapping stands for it.
func otherKind() kind[Zone] {
	return kind[Zone]{
		name: "zone", between: ";",
		parse: parseOther, format: formatOther, node: otherNode, element: otherText,
	}
}

func parseOther(s string) (Zone, error) {
	name, query, _ := strings.Cut(s, "?")
	c := Config{Zone: Zone{Name: name}}
	if _, err := dnssd.ParseZone(name); err != nil {
		return c.Zone, err
	}
	texts, err := parseQuery(query)
	if err != nil {
		return c.Zone, err
	}
	for _, f := range otherFields() {
		key := strings.TrimPrefix(f.Name, "zone.")
		text, given := texts[key]
		if !given {
			continue
		}
		if faults := f.set(&c, text); len(faults) > 0 {
			return c.Zone, fmt.Errorf("%s %q %s", key, faults[0].value, faults[0].rule)
		}
	}
	return c.Zone, nil
}

// parseQuery returns the values behind a zone's name by their keys.
func parseQuery(query string) (map[string]string, error) {
	texts := make(map[string]string)
	for part := range strings.SplitSeq(query, "&") {
		if part == "" {
			continue
		}
		key, value, _ := strings.Cut(part, "=")
		if !slices.Contains(otherNames(), key) || key == "name" {
			return nil, errors.New(key + " " + unknownKey(key, otherNames()[1:]))
		}
		if _, twice := texts[key]; twice {
			return nil, fmt.Errorf("%s %s", key, errTwice)
		}
		texts[key] = unescapeValue(value)
	}
	return texts, nil
}

// otherNames returns the keys in a mapping that stands for a zone, its name first.
func otherNames() []string {
	var names []string
	for _, f := range ownFields() {
		names = append(names, strings.TrimPrefix(f.Name, "zone."))
	}
	return names
}

func formatOther(z Zone) string {
	c, none := Config{Zone: z}, Config{}
	texts := map[string]string{"name": z.Name}
	for _, f := range otherFields() {
		if text := f.text(&c); text != f.text(&none) {
			texts[strings.TrimPrefix(f.Name, "zone.")] = text
		}
	}
	return joinOther(texts)
}

func escapeValue(s string) string {
	return strings.NewReplacer("%", "%25", "&", "%26", ";", "%3B").Replace(s)
}

func unescapeValue(s string) string {
	return strings.NewReplacer("%25", "%", "%26", "&", "%3B", ";", "%3b", ";").Replace(s)
}

func otherNode(z Zone) *yaml.Node {
	c := Config{Zone: z}
	node := &yaml.Node{Kind: yaml.MappingNode}
	for _, f := range ownFields() {
		node.Content = append(node.Content, plain(strings.TrimPrefix(f.Name, "zone.")), f.node(&c))
	}
	return node
}

// otherText returns the text form of a mapping of a zone's keys.
func otherText(n *yaml.Node) (string, []fault) {
	table := make(map[string]field)
	for _, f := range ownFields() {
		table[strings.TrimPrefix(f.Name, "zone.")] = f
	}
	texts, faults := memberTexts(n, otherNames(), func(key string, value *yaml.Node) (string, []fault) {
		if isNull(resolve(value)) {
			return "", nil
		}
		return leafText(value, table[key].separator, table[key].element)
	})
	return joinOther(texts), faults
}

// joinOther returns the text form of a zone whose keys have these texts.
func joinOther(texts map[string]string) string {
	var parts []string
	for _, key := range otherNames() {
		if key != "name" && texts[key] != "" {
			parts = append(parts, key+"="+escapeValue(texts[key]))
		}
	}
	if len(parts) == 0 {
		return texts["name"]
	}
	return texts["name"] + "?" + strings.Join(parts, "&")
}

// reverseKind is a prefix that a reverse zone can have.
func reverseKind() kind[netip.Prefix] {
	k := prefixKind()
	parse := k.parse
	k.parse = func(s string) (netip.Prefix, error) {
		prefix, err := parse(s)
		if err == nil {
			_, err = dnssd.ReverseZone(prefix)
		}
		return prefix, err
	}
	return k
}

// checkZones checks what holds between zones, and within each between its values.
func (c Config) checkZones(require func(ok bool, key, value, rule string)) {
	zones := c.Zones()
	require(len(zones) <= MaxZones, othersKey, fmt.Sprint(len(zones)-1), fmt.Sprintf("must be at most %d zones", MaxZones-1))
	names, prefixes := make(map[string]bool), make(map[netip.Prefix]bool)
	for i, z := range zones {
		key := ZoneKey(i)
		name, err := dnssd.ParseZone(z.Name)
		if err != nil {
			continue // of which its own field tells
		}
		require(!names[name], key+".name", z.Name, "must not be named twice")
		names[name] = true
		z.checkNameServers(key, name, require)
		z.checkTransfer(key, c.DNS.Keys != "", require)
		require(len(z.Reverse) <= MaxReverse, key+".reverse", fmt.Sprint(len(z.Reverse)), fmt.Sprintf("must be at most %d prefixes", MaxReverse))
		for _, prefix := range z.Reverse {
			require(!prefixes[prefix], key+".reverse", prefix.String(), "must not be named twice, nor by two zones")
			prefixes[prefix] = true
		}
	}
	checkNesting(zones, require)
}

// checkNesting checks that no zone takes the services out of another.
func checkNesting(zones []Zone, require func(ok bool, key, value, rule string)) {
	for i, z := range zones {
		for _, other := range zones {
			require(!inServices(other, z), ZoneKey(i)+".name", z.Name, "must not lie among the services of "+other.Name)
		}
	}
}

// inServices reports whether a zone lies where another one has its services.
func inServices(outer, inner Zone) bool {
	outerName, errOuter := dnssd.ParseZone(outer.Name)
	innerName, errInner := dnssd.ParseZone(inner.Name)
	return errOuter == nil && errInner == nil && dnssd.InServices(outerName, innerName)
}

// ZoneKey returns what the keys of a zone begin with, by its place in Config.Zones.
func ZoneKey(i int) string {
	if i == 0 {
		return "zone"
	}
	return fmt.Sprintf("%s[%d]", othersKey, i-1)
}
