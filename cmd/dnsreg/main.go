// Command dnsreg is a service registry that speaks DNS: its server, and the verbs with which instances are registered
// and found.
//
// Data goes to standard output and everything else to standard error, where an error is "dnsreg: …" with a hint on the
// line below it. The exit codes are a contract, see the constants in this package.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // so that a second signal kills
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run runs the command line args until it is done or ctx ends, and returns the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(append([]string{}, args...)) // nil would mean os.Args
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	return report(stderr, cmd, err)
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "dnsreg",
		Short: "A service registry that speaks DNS",
		Long: `dnsreg is a service registry that speaks DNS: instances register over HTTP and keep their lease
alive by heartbeats, and anything with a resolver finds them.

Exit codes: 0 ok, 1 failed, 2 usage, 3 nothing found, 4 unreachable, 5 denied, 124 timed out.`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.AddCommand(
		serveCommand(),
		registerCommand(), deregisterCommand(), drainCommand(),
		servicesCommand(), instancesCommand(), resolveCommand(),
		configCommand(), versionCommand(),
	)
	root.InitDefaultCompletionCmd()
	root.SetHelpCommand(helpCommand())
	onlyVerbs(root)
	return root
}
