package peer

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// Figures are what a server tells of itself, by the name of the metric.
type Figures map[string]float64

// Names of figures.
const (
	Mallocs = "go_memstats_mallocs_total"    // objects allocated
	Heap    = "go_memstats_heap_alloc_bytes" // octets, garbage included
	Changes = "bench_changes_total"          // of content, by an embedded server itself
)

// Figures asks a server that has a control address. An embedded one collects its garbage first if collect is set.
func (s *Server) Figures(ctx context.Context, collect bool) (Figures, error) {
	url := s.Control + "/metrics"
	if collect {
		url += "?gc=1"
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	reply, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer reply.Body.Close()
	if reply.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", url, reply.Status)
	}
	return parseFigures(reply.Body)
}

// parseFigures reads the metrics that have no labels in the text form of Prometheus.
func parseFigures(text io.Reader) (Figures, error) {
	figures := make(Figures)
	lines := bufio.NewScanner(text)
	for lines.Scan() {
		name, value, ok := strings.Cut(lines.Text(), " ")
		if !ok || name == "#" || strings.Contains(name, "{") {
			continue
		}
		number, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return nil, fmt.Errorf("metric %s: %w", name, err)
		}
		figures[name] = number
	}
	return figures, lines.Err()
}
