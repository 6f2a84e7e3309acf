// Mirrorctl finds out whether a mirror of SuperOffice CRM Online still is what the
// customer's database is, and repairs it.
//
//	go run ./examples/mirrorctl demo                     # a damaged mirror, and what one does about it
//	go install github.com/so-mirror/mirror/examples/mirrorctl@latest
//	mirrorctl compare --source customer.db --mirror mirror.db --context Cust10195
//
// Every command has a --help with examples; docs/commands.md has them all. The
// JSON schemas of what -o json writes are in schema, and kubernetes.yaml spreads a fleet
// over machines. It is built on the library's exported API alone.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/examples/internal/customers"
	"github.com/so-mirror/mirror/store/cycle"
)

func main() {
	// The first signal ends a command cleanly, the second one at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	context.AfterFunc(ctx, stop)
	signal.Ignore(syscall.SIGPIPE) // writing then returns an error instead
	os.Exit(newApp().run(ctx, os.Args[1:]))
}

// app is one run of the program, and what it meets outside.
type app struct {
	in       io.Reader
	out, err io.Writer // results, and all else
	env      func(string) string
	clock    mirror.Clock // nil for the system's

	inTerm           bool // somebody can be asked
	outTerm, errTerm bool // these are terminals
	width            int  // of the terminal, in columns

	flags   flags
	running *cobra.Command
	secrets customers.Secrets // that no message may show

	config   *customers.File // nil without --config
	stateDir string          // of that file

	stopped  rollingCheckpoint         // of the comparison that was stopped
	live     *cycle.Customer           // what the demo has in place of a source
	onChange func(mirror.JournalEntry) // is told what the journal is

	progressOnce  sync.Once
	shownProgress *progress
}

func newApp() *app {
	a := &app{
		in: os.Stdin, out: os.Stdout, err: os.Stderr, env: os.Getenv,
		inTerm:  term.IsTerminal(int(os.Stdin.Fd())),
		outTerm: term.IsTerminal(int(os.Stdout.Fd())), errTerm: term.IsTerminal(int(os.Stderr.Fd())),
	}
	a.width = a.columns()
	return a
}

// run runs the command of the arguments and returns the exit code.
func (a *app) run(ctx context.Context, args []string) int {
	root := a.root()
	root.SetArgs(args)
	return a.exitCode(root.ExecuteContext(ctx))
}
