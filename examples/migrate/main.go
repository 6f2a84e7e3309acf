// Migrate checks whether a replica of SuperOffice's newer client is good enough to
// take the place of an old mirror.
//
// Without arguments it plays the whole migration on files in a temporary directory:
// an old mirror and a new replica side by side, a check that says no-go, the
// re-synchronization, a check that says go, the swap of the two names, the check
// after it, and the way back. It takes a few seconds, because its clock is simulated.
//
//	go run ./examples/migrate
//
// With two databases it checks these, and writes to neither. Each is a SQLite file, or
// a connection string of SQL Server such as sqlserver://user:password@host?database=name:
//
//	go run ./examples/migrate -reference OLD -replica NEW -json before.json
//
// A database that is not named is taken from the environment, from MIGRATE_REFERENCE
// and MIGRATE_REPLICA, so that no password stands on the command line. Beside an old
// mirror a check can take 90 minutes, because it waits for cycles: see -max-wait.
//
// With -resync and the base URL of the client's API it also asks the client to
// re-synchronize the tables that are wrong, with the token in MIGRATE_TOKEN, and looks
// on until they are equal. The client truncates them at once.
//
// After the swap of the names, -before proves that it happened:
//
//	go run ./examples/migrate -reference NEW -replica OLD -before before.json -json after.json
//
// The exit code says what came of it: 0 go, 3 no-go, 4 not yet, 1 an error, 2 wrong
// arguments, 130 interrupted. go run itself makes 1 of each that is not 0; build the
// program to see them.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/replica"
)

func main() {
	// Every end of the terminal removes the temporary directory.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	signal.Ignore(syscall.SIGPIPE) // writing then returns an error instead
	p := &program{out: os.Stdout, errOut: os.Stderr, env: os.Getenv}
	os.Exit(p.exitCode(p.run(ctx, os.Args[1:])))
}

// program is one run of the command.
type program struct {
	out, errOut io.Writer
	env         func(string) string
	clock       mirror.Clock // nil for the system's
}

const usage = `Usage:
  migrate                                  play the migration on files, in seconds
  migrate -reference OLD -replica NEW      is NEW good? Only reads, unless -resync is given

OLD and NEW are SQLite files or such as sqlserver://user:password@host?database=name,
by default what the environment has in MIGRATE_REFERENCE and MIGRATE_REPLICA.
Exit code: 0 go, 3 no-go, 4 not yet, 1 an error, 2 wrong arguments, 130 interrupted.

`

var (
	errUsage  = errors.New("usage") // the arguments are wrong, and the usage was printed
	errNoGo   = errors.New("no-go")
	errNotYet = errors.New("not yet")
)

func (p *program) exitCode(err error) int {
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, errUsage):
		return 2
	case errors.Is(err, errNoGo):
		return 3
	case errors.Is(err, errNotYet):
		return 4
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(p.errOut, "migrate: interrupted")
		return 130
	default:
		fmt.Fprintln(p.errOut, "migrate:", err)
		return 1
	}
}

func (p *program) run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("migrate", flag.ContinueOnError)
	flags.SetOutput(p.errOut)
	flags.Usage = func() {
		fmt.Fprint(p.errOut, usage)
		flags.PrintDefaults()
	}
	var o replica.Options
	c := &command{program: p, opts: &o}
	flags.StringVar(&c.reference, "reference", "", "`database` to compare with: the old mirror, the customer's database or, with -as-of, a backup")
	flags.StringVar(&c.replica, "replica", "", "`database` to check: the replica of the newer client")
	flags.StringVar(&c.json, "json", "", "`file` to keep the report in, as evidence")
	flags.StringVar(&c.before, "before", "", "`file` with the report of the check before the swap: prove that the names were swapped since")
	flags.StringVar(&c.client, "resync", "", "base `URL` of the client: have it re-synchronize what is wrong, which truncates tables at once, and look on; the token is "+envToken)
	flags.StringVar(&o.ContextID, "context", "", "context `identifier` of the customer, where the old mirror's database has several")
	flags.DurationVar(&o.MaxWait, "max-wait", 0, "how long rows that differ are read again: default 90m beside an old mirror, otherwise 5 intervals; a negative one reads once")
	flags.DurationVar(&o.Interval, "interval", 0, "commit interval of the newer client: default 1m")
	flags.BoolVar(&o.RoundedTimes, "rounded-times", false, "accept times that differ by the rounding of milliseconds")
	flags.Func("skip", "`tables` to leave out, with commas between them", func(s string) error {
		o.SkipTables = append(o.SkipTables, strings.Split(s, ",")...)
		return nil
	})
	flags.Func("as-of", "`time` of the backup that is the reference, such as 2026-02-03T12:00:00Z", func(s string) (err error) {
		o.AsOf, err = time.Parse(time.RFC3339, s)
		return err
	})
	keep := flags.String("keep", "", "new `directory` in which the story stops when the replica is bad, and leaves its files to try this command on")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return errUsage
	}
	wrong := func(says string) error {
		fmt.Fprintln(p.errOut, says)
		flags.Usage()
		return errUsage
	}
	if flags.NArg() > 0 { // it may hold a password
		return wrong("a database is named by -reference or -replica; there are arguments without either (a path with blanks goes in quotes)")
	}
	if flags.NFlag() == 0 || *keep != "" {
		if flags.NFlag() > 1 {
			return wrong("-keep is for the story, which takes no other argument")
		}
		if *keep != "" || p.env(envReference) == "" && p.env(envReplica) == "" {
			return p.story(ctx, *keep)
		}
	}
	if c.reference == "" {
		c.reference = p.env(envReference)
	}
	if c.replica == "" {
		c.replica = p.env(envReplica)
	}
	if c.reference == "" || c.replica == "" {
		return wrong("two databases are needed: -reference and -replica, or " + envReference + " and " + envReplica)
	}
	return c.run(ctx)
}
