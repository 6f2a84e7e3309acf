// Quickstart plays the library's whole procedure on files in a temporary
// directory: a customer's database and its mirror, a cycle of the Mirroring
// Task, a mirror that went wrong, and what repairs it.
//
//	go run ./examples/quickstart [-rows N] [-json] [-keep]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/internal/crm"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/cycle"
	"github.com/so-mirror/mirror/store/sqlite"
)

const contextID = "Cust10195"

// tables are what the customer has. The last one is never mirrored.
var tables = []string{"contact", "person", "appointment", "sale", "project", "document", "text", "country", "saleHist", "traveltransactionlog"}

// minRows is how many contacts it takes for every kind of damage.
const minRows = 50

func main() {
	// Every end of the terminal removes the temporary directory.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	signal.Ignore(syscall.SIGPIPE) // writing then returns an error instead
	os.Exit(exitCode(run(ctx, os.Args[1:], os.Stdout, os.Stderr)))
}

// errUsage means that the arguments are wrong and that the usage was printed.
var errUsage = errors.New("usage")

func exitCode(err error) int {
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, errUsage):
		return 2
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(os.Stderr, "quickstart: interrupted")
		return 130
	default:
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		return 1
	}
}

func run(ctx context.Context, args []string, out *os.File, errOut io.Writer) (err error) {
	flags := flag.NewFlagSet("quickstart", flag.ContinueOnError)
	flags.SetOutput(errOut)
	rows := flags.Int("rows", 2000, "number of contacts, at least 50; the other tables grow with it")
	asJSON := flags.Bool("json", false, "print the reports of the comparisons as a stream of JSON, and nothing else")
	keep := flags.Bool("keep", false, "stop when the mirror is damaged, and keep the database files to try a program of your own on them")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return errUsage
	}
	if *rows < minRows || flags.NArg() > 0 {
		if flags.NArg() > 0 {
			fmt.Fprintf(errOut, "unexpected argument %q\n", flags.Arg(0))
		} else {
			fmt.Fprintf(errOut, "-rows %d: want at least %d\n", *rows, minRows)
		}
		flags.Usage()
		return errUsage
	}
	dir, err := os.MkdirTemp("", "mirror-quickstart-")
	if err != nil {
		return err
	}
	if !*keep {
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	d := &demo{out: newPrinter(out, *asJSON), asJSON: *asJSON, json: out}
	d.keep = *keep
	err = d.play(ctx, dir, *rows)
	d.out.erase()
	if *keep {
		fmt.Fprintf(errOut, "\nThe databases of %s stay in %s: run your program there.\n", contextID, dir)
	}
	return errors.Join(err, d.out.err)
}

// demo is one run of the quickstart.
type demo struct {
	out    *printer
	json   io.Writer
	asJSON bool
	keep   bool

	mirrorStore store.Store
	customer    *cycle.Customer
	mirror      *mirror.Mirror
}

func (d *demo) play(ctx context.Context, dir string, rows int) error {
	customerStore, err := sqlite.Create(ctx, filepath.Join(dir, "customer.db"))
	if err != nil {
		return err
	}
	defer customerStore.Close()
	mirrorStore, err := sqlite.Create(ctx, filepath.Join(dir, "mirror.db"))
	if err != nil {
		return err
	}
	defer mirrorStore.Close()
	d.mirrorStore = mirrorStore
	d.mirror, err = mirror.New(contextID, d.mirrorStore, &mirror.Options{Progress: d.out.progress})
	if err != nil {
		return err
	}

	d.out.heading("A customer's database and its mirror")
	started := time.Now()
	for _, t := range tables {
		d.out.status("making %s", t)
		if err := crm.Load(ctx, customerStore, crm.Options{Contacts: rows}, t); err != nil {
			return err
		}
	}
	d.customer = cycle.NewCustomer(contextID, customerStore)
	d.out.line("%d tables with %s contacts, made in %s", len(tables), count(int64(rows)), since(started))
	if err := d.cycle(ctx); err != nil {
		return err
	}
	if err := d.status(ctx); err != nil {
		return err
	}

	d.out.heading("The customer works on, and the mirror goes wrong")
	if err := d.work(ctx); err != nil {
		return err
	}
	if err := d.damage(ctx); err != nil {
		return err
	}
	if err := d.status(ctx); err != nil {
		return err
	}
	report, err := d.compare(ctx)
	if err != nil || d.keep {
		return err
	}

	d.out.heading("Plan what has to be reset, apply it, then the next cycle")
	plan := report.Plan()
	d.out.text(plan)
	d.out.line("")
	receipt, err := d.mirror.Apply(ctx, plan, nil)
	if err != nil {
		return err
	}
	d.out.text(receipt)
	if err := d.cycle(ctx); err != nil {
		return err
	}
	if err := d.expectIdentical(ctx); err != nil {
		return err
	}

	d.out.heading("A hard reset, taken back, and made again, then the next cycle")
	receipt, err = d.mirror.HardReset(ctx, &mirror.HardResetOptions{Confirm: contextID})
	if err != nil {
		return err
	}
	if err := d.mirror.Undo(ctx, receipt); err != nil {
		return err
	}
	d.out.line("Undo: the metadata table is back, with %d rows", len(receipt.Tables))
	receipt, err = d.mirror.HardReset(ctx, &mirror.HardResetOptions{Confirm: contextID})
	if err != nil {
		return err
	}
	d.out.text(receipt)
	if err := d.cycle(ctx); err != nil {
		return err
	}
	return d.expectIdentical(ctx)
}

// cycle plays one cycle of the Mirroring Task.
func (d *demo) cycle(ctx context.Context) error {
	started := time.Now()
	task := &cycle.Task{Customer: d.customer, Mirror: d.mirrorStore, Progress: func(table string, rows int64) {
		d.out.status("sending %s, %s rows", table, count(rows))
	}}
	result, err := task.Run(ctx)
	if err != nil {
		return err
	}
	inserted, updated, deleted := result.Totals()
	d.out.line("\nCycle of the Mirroring Task: %s inserted, %s updated, %s deleted, took %s",
		count(inserted), count(updated), count(deleted), since(started))
	quiet := 0
	for _, t := range result.Tables {
		if t.Action == cycle.Unchanged {
			quiet++
			continue
		}
		d.out.line("  %-12s %s", t.Table, strings.TrimSuffix(fmt.Sprintf("%s: %s", t.Action, t.Reason), ": "))
	}
	if quiet > 0 {
		d.out.line("  %d tables had nothing to send", quiet)
	}
	return nil
}

func (d *demo) status(ctx context.Context) error {
	st, err := d.mirror.Status(ctx)
	if err != nil {
		return err
	}
	d.out.line("")
	d.out.text(st)
	return nil
}

func (d *demo) compare(ctx context.Context) (*mirror.Report, error) {
	report, err := d.mirror.Compare(ctx, d.customer, &mirror.CompareOptions{MaxSamples: 2})
	if err != nil {
		return nil, err
	}
	d.out.line("")
	d.out.text(report)
	if d.asJSON {
		err = report.WriteJSON(d.json)
	}
	return report, err
}

func (d *demo) expectIdentical(ctx context.Context) error {
	report, err := d.compare(ctx)
	if err == nil && !report.Identical() {
		err = fmt.Errorf("the mirror still differs: %s", report.Summary())
	}
	return err
}

func since(t time.Time) time.Duration { return time.Since(t).Round(time.Millisecond) }
