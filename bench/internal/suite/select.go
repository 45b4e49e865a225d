package suite

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Select returns the scenarios whose name or group is among names, all of them if there are none. A name that fits
// nothing is an error.
func Select(all []Scenario, names []string) ([]Scenario, error) {
	if len(names) == 0 {
		return all, nil
	}
	for _, name := range names {
		if !slices.ContainsFunc(all, func(s Scenario) bool { return s.is(name) }) {
			return nil, fmt.Errorf("no scenario or group is called %q; there are %s", name, Names(all))
		}
	}
	return slices.DeleteFunc(slices.Clone(all), func(s Scenario) bool {
		return !slices.ContainsFunc(names, s.is)
	}), nil
}

func (s Scenario) is(name string) bool { return s.Name == name || s.Group == name }

// Names returns the names of scenarios, each group in front of its own.
func Names(all []Scenario) string {
	var text strings.Builder
	group := ""
	for _, s := range all {
		if s.Group != group {
			group = s.Group
			fmt.Fprintf(&text, "; %s:", group)
		}
		text.WriteString(" " + s.Name)
	}
	return strings.TrimPrefix(text.String(), "; ")
}

// groups splits scenarios by their group, in order.
func groups(list []Scenario) [][]Scenario {
	var split [][]Scenario
	for i, s := range list {
		if i == 0 || s.Group != list[i-1].Group {
			split = append(split, nil)
		}
		split[len(split)-1] = append(split[len(split)-1], s)
	}
	return split
}

// count writes n with a comma for the thousands.
func count(n int) string {
	if n < 1000 {
		return strconv.Itoa(n)
	}
	return fmt.Sprintf("%s,%03d", count(n/1000), n%1000)
}
