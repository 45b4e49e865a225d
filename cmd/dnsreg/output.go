package main

import (
	"encoding/json"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"
)

// format is how data is printed: "table", "json" or "yaml". It is a pflag.Value.
type format string

func formats() []string { return []string{"table", "json", "yaml"} }

// addFormat gives a command -o, which sets f.
func addFormat(cmd *cobra.Command, f *format) {
	*f = "table"
	cmd.Flags().VarP(f, "output", "o", "how to print: table, json or yaml")
	completeWords(cmd, "output", formats())
}

// completeWords has the shell complete a flag of the command by words.
func completeWords(cmd *cobra.Command, flag string, words []string) {
	// It can only fail for a flag that does not exist, which every test of the command would show.
	_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
}

// Set takes the format's name.
func (f *format) Set(name string) error {
	if !slices.Contains(formats(), name) {
		return usagef("must be table, json or yaml")
	}
	*f = format(name)
	return nil
}

// String returns the format's name.
func (f *format) String() string { return string(*f) }

// Type returns what help shows for the value.
func (f *format) Type() string { return "format" }

// table is data for people: a header and rows of as many cells, or lines if there is no header.
type table struct {
	header []string
	rows   [][]string
}

// print writes data as JSON or YAML of the same shape, or t.
func (f format) print(w io.Writer, data any, t table) error {
	switch f {
	case "json":
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false)
		return encoder.Encode(data)
	case "yaml":
		return printYAML(w, data)
	default:
		return t.print(w)
	}
}

func (t table) print(w io.Writer) error {
	tabs := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.DiscardEmptyColumns)
	rows := t.rows
	if t.header != nil {
		rows = append([][]string{t.header}, rows...)
	}
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, c := range row {
			cells[i] = cell(c)
		}
		if _, err := io.WriteString(tabs, strings.Join(cells, "\t")+"\n"); err != nil {
			return err
		}
	}
	return tabs.Flush()
}

// cell returns a text as it may be shown on a terminal: one with control characters is quoted, an empty one a dash.
func cell(s string) string {
	switch {
	case s == "":
		return "-"
	case strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }):
		return strconv.Quote(s)
	}
	return s
}

// printYAML writes data by way of its JSON, so that both have the same names in the same order.
func printYAML(w io.Writer, data any) error {
	text, err := json.Marshal(data)
	if err != nil {
		return err
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return err
	}
	toBlock(&doc)
	encoder := yaml.NewEncoder(w)
	encoder.SetIndent(2)
	if err := encoder.Encode(&doc); err != nil {
		return err
	}
	return encoder.Close()
}

// toBlock takes JSON's braces and quotes off a document; what needs quotes gets them back.
func toBlock(n *yaml.Node) {
	n.Style = 0
	for _, child := range n.Content {
		toBlock(child)
	}
}
