package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/dnsreg/dnsreg/heartbeat"
	"github.com/dnsreg/dnsreg/store"
)

// instanceFlags are the flags that make up an instance.
type instanceFlags struct {
	id, host               string
	addresses              addressList
	port, priority, weight uint16Flag
	txt, subtypes          []string
	ttl                    ttlFlag
}

func (f *instanceFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	f.port.min = 1
	f.weight.n = store.DefaultWeight
	flags.StringVar(&f.id, "id", "", "id of the instance, unique in its service (required)")
	flags.Var(&f.port, "port", "port that it listens on (required)")
	flags.Var(&f.addresses, "address", "its IP address, once for each (default: the one that this call comes from)")
	flags.StringVar(&f.host, "host", "", "its host label, or an external host name that ends in a dot (default: made from the id)")
	flags.Var(&f.priority, "priority", "instances of the lowest priority are used first")
	flags.Var(&f.weight, "weight", "share among those of equal priority")
	flags.StringArrayVar(&f.txt, "txt", nil, `"key", "key=" or "key=value", once for each`)
	flags.StringArrayVar(&f.subtypes, "subtype", nil, "DNS-SD subtype, once for each")
	f.ttl = ttlFlag(store.DefaultTTL)
	flags.Var(&f.ttl, "ttl", "how long it lives without a heartbeat, 1s to 24h")
	for _, name := range []string{"id", "port"} {
		_ = cmd.MarkFlagRequired(name) // it can only fail for a flag that does not exist
	}
}

func (f *instanceFlags) instance() store.Instance {
	return store.Instance{
		ID: f.id, Host: f.host, Addresses: f.addresses, Port: f.port.n, Priority: f.priority.n, Weight: f.weight.n,
		TXT: f.txt, Subtypes: f.subtypes, TTL: time.Duration(f.ttl),
	}
}

func registerCommand() *cobra.Command {
	var instance instanceFlags
	var flags httpFlags
	var out format
	var once bool
	cmd := &cobra.Command{
		Use:   "register SERVICE",
		Short: "Register an instance and keep it registered",
		Long: `Register an instance and keep it registered by heartbeats until SIGTERM or SIGINT, then deregister it. With
--once, register it and leave the heartbeats to somebody else.`,
		Example: "  dnsreg register web --id web-1 --port 8080 --txt version=1.2",
		Args:    arguments("SERVICE"),
	}
	cmd.RunE = verb(func(cmd *cobra.Command, args []string) error {
		service, err := store.ParseService(args[0])
		if err != nil {
			return err
		}
		r := registrar{
			entry: heartbeat.Entry{Service: service, Instance: instance.instance()},
			out:   out, stdout: cmd.OutOrStdout(), stderr: cmd.ErrOrStderr(),
		}
		if once {
			return flags.call(cmd.Context(), r.once)
		}
		client, err := flags.client()
		if err != nil {
			return err
		}
		return r.stay(cmd.Context(), client, flags.timeout)
	})
	instance.add(cmd)
	flags.add(cmd)
	addFormat(cmd, &out)
	cmd.Flags().BoolVar(&once, "once", false, "register and return, without heartbeats")
	return cmd
}

// registrar registers one instance and says so.
type registrar struct {
	entry          heartbeat.Entry
	out            format
	stdout, stderr io.Writer
	told           bool // that it is registered
}

// once registers the instance and returns.
func (r *registrar) once(ctx context.Context, client *heartbeat.Client) error {
	reply, err := client.Register(ctx, r.entry.Service, r.entry.Instance)
	if err != nil {
		return err
	}
	return r.print(reply)
}

// gaveUp is why stay ends by itself.
type gaveUp struct{ error }

// stay keeps the instance registered until ctx ends and deregisters it. It gives up if it is not registered within
// limit, where that is not 0.
func (r *registrar) stay(ctx context.Context, client *heartbeat.Client, limit time.Duration) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	inTime := func() {}
	if limit > 0 {
		late := gaveUp{fmt.Errorf("%w: not registered within %v", errTimedOut, limit)}
		timer := time.AfterFunc(limit, func() { cancel(late) })
		inTime = func() { timer.Stop() }
	}
	defer inTime()
	handler := slog.NewTextHandler(r.stderr, nil)
	agent, err := heartbeat.NewAgent(heartbeat.AgentConfig{
		Client:  client,
		Entries: []heartbeat.Entry{r.entry},
		Logger:  slog.New(troubleOnly{handler}),
		Notify: func(e heartbeat.Event) {
			if e.Registration == nil {
				if heartbeat.Denied(e.Err) && !r.told { // the token was read once: no later try would be another
					cancel(gaveUp{e.Err})
				}
				return
			}
			inTime()
			if err := r.tell(*e.Registration, slog.New(handler)); err != nil {
				cancel(gaveUp{err})
			}
		},
	})
	if err != nil {
		return err
	}
	err = agent.Run(ctx)
	var reason gaveUp
	if errors.As(context.Cause(ctx), &reason) {
		err = errors.Join(reason.error, err)
	}
	return err
}

// tell prints the first registration, and logs the later ones.
func (r *registrar) tell(reply heartbeat.Registration, log *slog.Logger) error {
	if r.told {
		log.Info("registered again", "revision", reply.Revision)
		return nil
	}
	r.told = true
	return r.print(reply)
}

// troubleOnly is a handler that leaves out what is said in other words anyway.
type troubleOnly struct{ slog.Handler }

// Enabled reports whether level is that of trouble.
func (h troubleOnly) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn
}

// print says that the instance is registered, and what the server has to say about it.
func (r *registrar) print(reply heartbeat.Registration) error {
	for _, warning := range reply.Warnings {
		if _, err := fmt.Fprintln(r.stderr, "dnsreg: warning: "+warning); err != nil {
			return err
		}
	}
	line := fmt.Sprintf("registered %s with a lease of %v", reply.DNS.Instance, reply.Lease.TTL)
	return r.out.print(r.stdout, reply, table{rows: [][]string{{line}}})
}

// uint16Flag is a number up to 65535. It is a pflag.Value.
type uint16Flag struct{ n, min uint16 }

// Set takes the number's text.
func (f *uint16Flag) Set(text string) error {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n < uint64(f.min) {
		return fmt.Errorf("must be %d to 65535", f.min)
	}
	f.n = uint16(n)
	return nil
}

// String returns the number.
func (f *uint16Flag) String() string { return number(f.n) }

// Type returns what help shows for the value.
func (f *uint16Flag) Type() string { return "number" }

// ttlFlag is the length of a lease. It is a pflag.Value.
type ttlFlag time.Duration

// Set takes a duration other than 0, which further on would stand for the default.
func (f *ttlFlag) Set(text string) error {
	ttl, err := time.ParseDuration(text)
	if err != nil || ttl == 0 {
		return errors.New("must be a duration of 1s to 24h, such as 30s")
	}
	*f = ttlFlag(ttl)
	return nil
}

// String returns the duration.
func (f *ttlFlag) String() string { return time.Duration(*f).String() }

// Type returns what help shows for the value.
func (f *ttlFlag) Type() string { return "duration" }

// addressList is the addresses of an instance. It is a pflag.Value.
type addressList []netip.Addr

// Set takes one more address.
func (l *addressList) Set(text string) error {
	a, err := netip.ParseAddr(text)
	if err != nil {
		return errors.New("must be an IP address")
	}
	*l = append(*l, a)
	return nil
}

// String returns the addresses.
func (l *addressList) String() string {
	if len(*l) == 0 {
		return ""
	}
	return fmt.Sprint([]netip.Addr(*l))
}

// Type returns what help shows for the value.
func (l *addressList) Type() string { return "ip" }
