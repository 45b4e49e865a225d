package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
)

// onlyVerbs has cmd, and every command below it that does nothing itself, refuse what is not one of its verbs. Cobra by
// itself shows help and reports success.
func onlyVerbs(cmd *cobra.Command) {
	for _, c := range cmd.Commands() {
		onlyVerbs(c)
	}
	if cmd.Runnable() {
		return
	}
	cmd.SuggestionsMinimumDistance = 2
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return unknownVerb{args[0], cmd.SuggestionsFor(args[0])}
		}
		return nil
	}
	// Help goes to standard error: a script that lost its verb should not go on.
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cmd.SetOut(cmd.ErrOrStderr())
		return errors.Join(cmd.Help(), errors.New("a verb is missing"))
	}
}

// unknownVerb is the error of a verb that does not exist, with the ones that look like it.
type unknownVerb struct {
	name    string
	similar []string
}

func (e unknownVerb) Error() string { return fmt.Sprintf("unknown verb %q", e.name) }

// helpCommand is "help VERB…", the same as "VERB… --help".
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [VERB]...",
		Short: "Help about any verb",
		RunE: func(cmd *cobra.Command, args []string) error {
			target, rest, err := cmd.Root().Find(args)
			switch {
			case err != nil:
				return err
			case len(rest) > 0:
				return unknownVerb{rest[0], target.SuggestionsFor(rest[0])}
			}
			return target.Help()
		},
	}
}
