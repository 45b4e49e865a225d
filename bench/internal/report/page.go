package report

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// The section of the page that is written here lies between these lines. What is around them is left alone.
const (
	begin = "<!-- bench-dns: begin; written by make bench-dns -->\n"
	end   = "<!-- bench-dns: end -->\n"
)

// Save writes the tables into performance.md and the plot into img/ of a folder.
func (r *Report) Save(dir string) error {
	if err := os.MkdirAll(filepath.Join(dir, "img"), 0o755); err != nil {
		return err
	}
	if err := r.plot(filepath.Join(dir, plotPath)); err != nil {
		return fmt.Errorf("plot: %w", err)
	}
	path := filepath.Join(dir, "performance.md")
	page, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		page, err = []byte("# Performance\n\n"+begin+end), nil
	}
	if err != nil {
		return err
	}
	page, err = splice(page, r.markdown())
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.WriteFile(path, page, 0o644)
}

// splice puts text in place of what is between the markers.
func splice(page, text []byte) ([]byte, error) {
	head, rest, found := bytes.Cut(page, []byte(begin))
	_, tail, closed := bytes.Cut(rest, []byte(end))
	if !found || !closed {
		return nil, errors.New("the lines that mark the measured section are missing")
	}
	return slices.Concat(head, []byte(begin), text, []byte(end), tail), nil
}

func (r *Report) markdown() []byte {
	var text bytes.Buffer
	fmt.Fprintf(&text, "\n%s\n\n%s\n\n", r.Machine, r.Method)
	fmt.Fprintf(&text, "![CPU per query of each server](%s)\n", filepath.ToSlash(plotPath))
	for _, t := range r.tables() {
		fmt.Fprintf(&text, "\n### %s\n\n", t.title)
		writeRow(&text, t.head)
		writeRow(&text, slices.Repeat([]string{"---"}, len(t.head)))
		for _, row := range t.rows {
			writeRow(&text, row)
		}
	}
	if r.Profile != "" {
		fmt.Fprintf(&text, "\n### %s\n\n```\n%s```\n", profileTitle, r.Profile)
	}
	text.WriteString("\n")
	return text.Bytes()
}

func writeRow(w *bytes.Buffer, cells []string) {
	fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | "))
}
