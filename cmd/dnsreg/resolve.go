package main

import (
	"context"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dnsreg/dnsreg/heartbeat"
	"github.com/dnsreg/dnsreg/resolverclient"
	"github.com/dnsreg/dnsreg/store"
)

// maxCount bounds --count, so that a slip of the finger does not run for hours.
const maxCount = 10_000_000

// resolution is what resolve prints.
type resolution struct {
	Name      string             `json:"name"`
	TTL       heartbeat.Duration `json:"ttl"` // of the answer, from now on
	Strategy  string             `json:"strategy,omitempty"`
	Endpoints []endpointShare    `json:"endpoints"` // in the order in which to try them
}

// endpointShare is one endpoint and, where picks were made, how many of them it got.
type endpointShare struct {
	Target    string       `json:"target"`
	Port      uint16       `json:"port"`
	Priority  uint16       `json:"priority"`
	Weight    uint16       `json:"weight"`
	Addresses []netip.Addr `json:"addresses"`
	Picked    *int         `json:"picked,omitempty"`
}

func resolveCommand() *cobra.Command {
	var flags dnsFlags
	var out format
	var strategyName string
	var count int
	cmd := &cobra.Command{
		Use:   "resolve SERVICE",
		Short: "Find a service through DNS, as the Go client sees it",
		Long: `Find a service through DNS, as the Go client sees it, in the order of RFC 2782. With --count, pick an
instance that many times by a strategy and print how often each was picked.`,
		Example: "  dnsreg resolve web\n  dnsreg resolve web --strategy weighted-round-robin --count 1000",
		Args:    arguments("SERVICE"),
	}
	cmd.RunE = verb(func(cmd *cobra.Command, args []string) error {
		strategy, err := resolverclient.ParseStrategy(strategyName)
		if err != nil {
			return usageError{err}
		}
		if count < 0 || count > maxCount {
			return usagef("--count %d: must be 0 to %d", count, maxCount)
		}
		if err := checkServiceArgument(args[0]); err != nil {
			return err
		}
		return flags.call(cmd.Context(), func(ctx context.Context, client *resolverclient.Client) error {
			found, err := resolve(ctx, client, args[0], strategy, count)
			if err != nil {
				return err
			}
			return out.print(cmd.OutOrStdout(), found, found.table())
		})
	})
	flags.add(cmd)
	addFormat(cmd, &out)
	cmd.Flags().StringVar(&strategyName, "strategy", resolverclient.WeightedRandom.String(), "how to pick: "+strings.Join(strategies(), ", "))
	completeWords(cmd, "strategy", strategies())
	cmd.Flags().IntVar(&count, "count", 0, "how often to pick; 0 prints the order of RFC 2782 alone")
	return cmd
}

// strategies returns the names of all strategies there are.
func strategies() []string {
	var names []string
	for s := resolverclient.Strategy(0); ; s++ {
		if _, err := resolverclient.ParseStrategy(s.String()); err != nil {
			return names
		}
		names = append(names, s.String())
	}
}

// checkServiceArgument checks a service, or lets pass an absolute name, which need not be one of ours.
func checkServiceArgument(s string) error {
	if strings.HasSuffix(s, ".") {
		return nil
	}
	_, err := store.ParseService(s)
	return err
}

// resolve looks a service up and picks one of its endpoints count times.
func resolve(
	ctx context.Context, client *resolverclient.Client, service string, strategy resolverclient.Strategy, count int,
) (resolution, error) {
	answer, err := client.Lookup(ctx, service)
	if err != nil {
		return resolution{}, err
	}
	found := resolution{Name: answer.Name, TTL: heartbeat.Duration(answer.TTL.Round(time.Millisecond))}
	if count == 0 {
		found.add(answer.Endpoints, nil)
		return found, nil
	}
	balancer, err := client.Balancer(service, strategy)
	if err != nil {
		return resolution{}, err
	}
	found.Strategy = strategy.String()
	endpoints := answer.Endpoints
	picks := make(map[string]int)
	for _, e := range endpoints {
		picks[endpointKey(e)] = 0
	}
	for range count {
		picked, err := balancer.Pick(ctx)
		if err != nil {
			return resolution{}, err
		}
		picked.Done(nil)
		key := endpointKey(picked.Endpoint)
		if _, known := picks[key]; !known { // it came while this ran
			endpoints = append(endpoints, picked.Endpoint)
		}
		picks[key]++
	}
	found.add(endpoints, picks)
	return found, nil
}

// endpointKey is what tells endpoints apart.
func endpointKey(e resolverclient.Endpoint) string { return e.Target + ":" + strconv.Itoa(int(e.Port)) }

func (r *resolution) add(endpoints []resolverclient.Endpoint, picks map[string]int) {
	r.Endpoints = make([]endpointShare, len(endpoints))
	for i, e := range endpoints {
		r.Endpoints[i] = endpointShare{
			Target: e.Target, Port: e.Port, Priority: e.Priority, Weight: e.Weight, Addresses: append([]netip.Addr{}, e.Addresses...),
		}
		if picks != nil {
			n := picks[endpointKey(e)]
			r.Endpoints[i].Picked = &n
		}
	}
}

func (r *resolution) table() table {
	t := table{header: []string{"TARGET", "ADDRESS", "PRIORITY", "WEIGHT"}}
	if r.Strategy != "" {
		t.header = append(t.header, "PICKED")
	}
	for _, e := range r.Endpoints {
		row := []string{e.Target, hostPorts(e.Target, e.Addresses, e.Port), number(e.Priority), number(e.Weight)}
		if e.Picked != nil {
			row = append(row, strconv.Itoa(*e.Picked))
		}
		t.rows = append(t.rows, row)
	}
	return t
}
