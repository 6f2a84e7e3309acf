package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"github.com/so-mirror/mirror/examples/internal/customers"
	"github.com/so-mirror/mirror/htmlreport"
	"github.com/so-mirror/mirror/replica"
	"github.com/so-mirror/mirror/store"
)

// validation is a check of a replica, as it was asked for.
type validation struct {
	reference, replica string
	save, before       string // files
	asOf               string
	skip               []string
	opts               replica.Options
}

func (a *app) validateCommand() *cobra.Command {
	var v validation
	c := &cobra.Command{
		Use:     "validate",
		GroupID: groupLook,
		Short:   "Say whether a replica of the newer client is as good as the old mirror",
		Long: `Validate compares the replica that the newer client fills with a reference: the old mirror,
the customer's database or, with --as-of, a restored backup. Both keep moving meanwhile, so
rows that differ are read again until they are equal or proven wrong on one side; beside an
old mirror that can take 90 minutes. It only reads.

After the names of the two databases were swapped, --before proves that they were, and that
the replica is good in its new place. The reference is the old mirror then, too.

Exit codes: 0 go, 3 no-go, 5 not known yet.`,
		Example: example("mirrorctl validate --reference old.db --replica new.db --save before.json",
			"mirrorctl validate --reference customer.db --replica new.db --max-wait 10m"),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.validate(cmd.Context(), v) },
	}
	f := c.Flags()
	f.StringVar(&v.reference, "reference", "", "`database` to compare with; by default that of --mirror")
	f.StringVar(&v.replica, "replica", "", "`database` to check; by default the replica in the file of --config")
	f.StringVar(&v.save, "save", "", "keep the report in this `file`, as evidence")
	f.StringVar(&v.before, "before", "", "`file` with the report from before the swap of the names")
	f.StringVar(&v.asOf, "as-of", "", "`time` of the backup that is the reference, such as 2026-02-03T12:00:00Z")
	f.DurationVar(&v.opts.MaxWait, "max-wait", 0, "how long rows that differ are read again; a negative one reads once (default: 90m beside an old mirror, else 5 intervals)")
	f.DurationVar(&v.opts.Interval, "interval", 0, "commit interval of the newer client (default 1m)")
	f.BoolVar(&v.opts.RoundedTimes, "rounded-times", false, "accept times that differ by the rounding of milliseconds")
	f.StringArrayVar(&v.skip, "skip-table", nil, "leave out a `table` that the customer excludes; may be repeated")
	f.StringArrayVar(&v.opts.IgnoreColumns, "ignore-column", nil, "leave out a `column`, such as updated or contact.updated, may be repeated")
	a.tableFlag(c, "check only this table")
	a.htmlFlag(c)
	return c
}

// The environment's names of the databases of validate.
const (
	envReference = "MIRRORCTL_REFERENCE"
	envReplica   = "MIRRORCTL_REPLICA"
)

func (a *app) validate(ctx context.Context, v validation) error {
	p, err := a.place()
	if err != nil {
		return err
	}
	reference := customers.Database{Where: cmp.Or(v.reference, a.env(envReference))}
	if reference.Where == "" {
		reference = p.Mirror
	}
	p.Replica.Where = cmp.Or(v.replica, a.env(envReplica))
	if err := p.entry.FillReplica(&p.Customer, a.environment()); err != nil {
		return err
	}
	switch {
	case reference.Where == "":
		return usagef("compare with what? Name the old mirror by --reference, %s or --mirror", envReference)
	case p.Replica.Where == "":
		return usagef("which replica? Name its database by --replica or %s, or under replica in a file with --config", envReplica)
	}
	if v.asOf != "" {
		if v.opts.AsOf, err = time.Parse(time.RFC3339, v.asOf); err != nil {
			return usagef("--as-of %q: want a time such as 2026-02-03T12:00:00Z", v.asOf)
		}
	}
	var before *replica.Report
	if v.before != "" {
		if before, err = readDocument[replica.Report](a, v.before, "report from before the swap"); err != nil {
			return err
		}
	}
	if err := unused(v.save); err != nil { // before hours are spent on what cannot be kept
		return err
	}
	v.opts.ContextID, v.opts.SkipTables, v.opts.Clock = p.Context, either(v.skip, p.Compare.SkipTables), a.clock
	report, err := a.checkReplica(ctx, reference, p.Replica, v.opts)
	if report == nil {
		return err
	}
	if err == nil && before != nil {
		if err := report.CheckSwap(before); err != nil {
			return refusef("%w", err) // and no report, which could be read as a go for this
		}
		a.note("The names were swapped.")
	}
	if werr := a.show(report, func(p *page) { p.validation(report) }); werr != nil || err != nil {
		return errors.Join(err, werr) // what was stopped is no evidence
	}
	if v.save != "" {
		if err := writeFile(v.save, report); err != nil {
			return fmt.Errorf("keep the report: %w", err)
		}
		a.note("Report: %s", v.save)
	}
	if err := a.writeHTML(func(w io.Writer) error { return htmlreport.WriteValidation(w, report) }); err != nil {
		return err
	}
	switch report.Decision {
	case replica.Go:
		return nil
	case replica.NoGo:
		return verdict(exitDiffers)
	default:
		return verdict(exitUnknown)
	}
}

// unused refuses a file that is there already: a report is evidence.
func unused(path string) error {
	if path == "" {
		return nil
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return refusef("--save %s is there already: name another file", path)
	}
	if info, err := os.Stat(filepath.Dir(path)); err != nil || !info.IsDir() {
		return refusef("--save %s: there is no directory %s: make it, or name another file", path, filepath.Dir(path))
	}
	return nil
}

// checkReplica opens both databases and compares them.
func (a *app) checkReplica(ctx context.Context, old, checked customers.Database, opts replica.Options) (_ *replica.Report, err error) {
	var t target
	defer func() { err = errors.Join(err, t.Close()) }()
	reference, err := a.openSource(ctx, &t, old)
	if err != nil {
		return nil, fmt.Errorf("reference: %w", err)
	}
	its, err := a.openSource(ctx, &t, checked)
	if err != nil {
		return nil, fmt.Errorf("replica: %w", err)
	}
	if len(a.flags.tables) > 0 {
		if opts.Tables, err = a.tablesOfReplica(ctx, reference, its); err != nil {
			return nil, err
		}
	}
	if !a.flags.quiet {
		opts.Progress = a.checked
		defer a.progress().end()
	}
	return replica.Check(ctx, reference, its, &opts)
}

// tablesOfReplica finds what --table means in the old mirror's names. A table that only
// the replica has is named as it is there.
func (a *app) tablesOfReplica(ctx context.Context, reference, its store.Source) ([]string, error) {
	var names []string
	for _, s := range []store.Source{reference, its} {
		tables, err := s.Tables(ctx)
		if err != nil {
			return nil, err
		}
		for _, t := range tables {
			names = append(names, t.Name)
		}
	}
	return chosen(a.flags.tables, names)
}

func (p *page) validation(r *replica.Report) {
	first, rest, _ := strings.Cut(r.String(), "\n")
	p.wrap(map[replica.Decision]text.Colors{replica.Go: good, replica.NoGo: bad, replica.NotYet: odd}[r.Decision], "", first)
	p.WriteString(p.clean(inFlags(rest)))
}
