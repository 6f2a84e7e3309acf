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
	"time"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/internal/crm"
	"github.com/so-mirror/mirror/store/cycle"
	"github.com/so-mirror/mirror/store/sqlite"
)

const contextID = "Cust10195"

// tables are what the customer has. The last one is never mirrored.
var tables = []string{"contact", "person", "appointment", "sale", "project", "document", "text", "country", "saleHist", "traveltransactionlog"}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "quickstart:", err)
		}
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out *os.File) (err error) {
	flags := flag.NewFlagSet("quickstart", flag.ContinueOnError)
	rows := flags.Int("rows", 2000, "number of contacts; the other tables grow with it")
	asJSON := flags.Bool("json", false, "print the reports of the comparisons as JSON, and nothing else")
	keep := flags.Bool("keep", false, "keep the database files")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *rows < 1 || flags.NArg() > 0 {
		return errors.New("want -rows of at least 1 and no other arguments")
	}
	dir, err := os.MkdirTemp("", "mirror-quickstart-")
	if err != nil {
		return err
	}
	if !*keep {
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	d := &demo{out: newPrinter(out, *asJSON), asJSON: *asJSON, json: out}
	if *keep {
		d.out.line("The databases stay in %s", dir)
	}
	return d.play(ctx, dir, *rows)
}

// demo is one run of the quickstart.
type demo struct {
	out    *printer
	json   io.Writer
	asJSON bool

	mirrorStore mirror.Store
	customer    *cycle.Customer
	mirror      *mirror.Mirror
}

func (d *demo) play(ctx context.Context, dir string, rows int) error {
	customerDB, err := sqlite.Open(filepath.Join(dir, "customer.db"))
	if err != nil {
		return err
	}
	defer customerDB.Close()
	mirrorDB, err := sqlite.Open(filepath.Join(dir, "mirror.db"))
	if err != nil {
		return err
	}
	defer mirrorDB.Close()
	customerStore, err := sqlite.New(customerDB)
	if err != nil {
		return err
	}
	if d.mirrorStore, err = sqlite.New(mirrorDB); err != nil {
		return err
	}
	d.mirror, err = mirror.New(contextID, d.mirrorStore, &mirror.Options{Progress: d.out.progress})
	if err != nil {
		return err
	}

	d.out.heading("A customer's database and its mirror")
	started := time.Now()
	if err := crm.Load(ctx, customerStore, crm.Options{Contacts: rows}, tables...); err != nil {
		return err
	}
	d.customer = cycle.NewCustomer(contextID, customerStore)
	d.out.line("%d tables with %d contacts, made in %s", len(tables), rows, since(started))
	if err := d.cycle(ctx); err != nil {
		return err
	}
	if err := d.status(ctx); err != nil {
		return err
	}

	d.out.heading("The mirror goes wrong")
	if err := d.damage(ctx); err != nil {
		return err
	}
	if err := d.status(ctx); err != nil {
		return err
	}
	report, err := d.compare(ctx)
	if err != nil {
		return err
	}

	d.out.heading("Reset the stale tables, then the next cycle")
	receipt, err := d.mirror.ResetTables(ctx, report.Stale(), nil)
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

	d.out.heading("Hard reset, then the next cycle")
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
		d.out.status("cycle: %s, %d rows", table, rows)
	}}
	result, err := task.Run(ctx)
	if err != nil {
		return err
	}
	inserted, updated, deleted := result.Totals()
	d.out.line("\nCycle of the Mirroring Task: %d inserted, %d updated, %d deleted, took %s", inserted, updated, deleted, since(started))
	quiet := 0
	for _, t := range result.Tables {
		if t.Action == cycle.Unchanged {
			quiet++
			continue
		}
		d.out.line("  %-12s %s: %s", t.Table, t.Action, t.Reason)
	}
	if quiet > 0 {
		d.out.line("  and %d tables with nothing to send", quiet)
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

func since(t time.Time) mirror.Duration { return mirror.Duration(time.Since(t)) }
