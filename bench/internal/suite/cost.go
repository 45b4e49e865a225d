package suite

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"github.com/dnsreg/dnsreg/bench/internal/load"
	"github.com/dnsreg/dnsreg/bench/internal/peer"
	"github.com/dnsreg/dnsreg/bench/internal/proc"
	"github.com/dnsreg/dnsreg/bench/internal/subject"
	"github.com/dnsreg/dnsreg/bench/internal/zone"
)

// Fact is a figure that is not a row.
type Fact struct {
	Text, Value string
}

// Changes returns what one change of content costs in a service of each size.
func Changes(ctx context.Context, sizes ...int) ([]Fact, error) {
	if err := proc.Pin(serverCore); err != nil {
		return nil, err
	}
	var facts []Fact
	for _, n := range sizes {
		e, err := subject.NewEmbedded("127.0.0.1:0", zone.Zone{Services: 1, Instances: n})
		if err != nil {
			return facts, err
		}
		cost, err := e.ChangeCost(ctx, 1000)
		if err != nil {
			return facts, err
		}
		micros := func(d time.Duration) string { return fmt.Sprintf("%.1f µs", float64(d.Nanoseconds())/1e3) }
		facts = append(facts, Fact{
			Text:  fmt.Sprintf("one change in a service of %s instances: the change / the next SRV answer over TCP / that answer again", count(n)),
			Value: micros(cost.Change) + " / " + micros(cost.Answer) + " / " + micros(cost.Again),
		})
	}
	return facts, nil
}

// Heap returns the size of the embedded server's heap after a collection, once every service of a zone has been asked
// for SRV.
func Heap(ctx context.Context, dir string, z zone.Zone) (Fact, error) {
	place := peer.Place{Dir: filepath.Join(dir, "heap"), Cores: serverCores(1)}
	if err := os.Mkdir(place.Dir, 0o700); err != nil {
		return Fact{}, err
	}
	server, err := peer.Embed(ctx, place, z, 0)
	if err != nil {
		return Fact{}, err
	}
	defer server.Stop()
	mix, err := z.Mix(zone.Query{Kind: zone.SRV})
	if err != nil {
		return Fact{}, err
	}
	for asked := uint64(0); asked < uint64(z.Services); {
		// The order of names is the same every time, so that one run has to reach the end of them.
		const rate = 20_000
		d := time.Duration(z.Services+rate/10) * time.Second / rate
		result, err := load.Run(ctx, load.Spec{Server: server.Addr, Mix: mix, Duration: d, Rate: rate})
		if err != nil {
			return Fact{}, err
		}
		asked = result.Answered
	}
	octets, err := heap(ctx, server.Control)
	return Fact{
		Text:  fmt.Sprintf("heap after GC, %s services of %d, each asked for SRV", count(z.Services), z.Instances),
		Value: fmt.Sprintf("%.0f MiB", float64(octets)/(1<<20)),
	}, err
}

// heap collects the garbage of an embedded server and returns what is left.
func heap(ctx context.Context, control string) (uint64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, control+"/debug/pprof/heap?gc=1&debug=1", nil)
	if err != nil {
		return 0, err
	}
	reply, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer reply.Body.Close()
	text, err := io.ReadAll(reply.Body)
	if err != nil {
		return 0, err
	}
	return parseHeap(string(text))
}

// parseHeap returns HeapAlloc of a heap profile in text form.
func parseHeap(text string) (uint64, error) {
	match := regexp.MustCompile(`(?m)^# HeapAlloc = (\d+)$`).FindStringSubmatch(text)
	if match == nil {
		return 0, fmt.Errorf("no HeapAlloc in a heap profile of %d octets", len(text))
	}
	return strconv.ParseUint(match[1], 10, 64)
}
