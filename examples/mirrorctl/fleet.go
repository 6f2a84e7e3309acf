package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/examples/internal/customers"
	"github.com/so-mirror/mirror/fleet"
)

// fleetRun is how a fleet is looked at.
type fleetRun struct {
	command     string // status, compare or plan
	shard       string
	concurrency int
	timeout     time.Duration
	how         *comparison // nil for status
	save        string
}

const fleetHelp = `The file of --config says who the customers are: see "mirrorctl help config". A few are looked
at the same time, a line comes as soon as one is done, and one that fails stops no other.
What needs a hand first stands at the end. The exit code is the first one of 6, 1, 7, 3, 5, 4
that a customer has.

With --shard 3/8 it is the third of eight parts of the customers, so that eight machines share
the work. Which part a customer is in depends on the context identifier alone: the first 8 bytes
of the SHA-256 of it in lower case, as a big-endian number, modulo 8. Without --shard it is what
JOB_COMPLETION_INDEX, from 0 on, and MIRRORCTL_SHARDS say: kubernetes.yaml beside the
program's source is a job that sets them.`

func (a *app) fleetCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "fleet",
		GroupID: groupMany,
		Short:   "Look at the mirrors of many customers",
		Long:    "Fleet does for many customers what status, compare and plan do for one.\n\n" + fleetHelp,
		Example: example("mirrorctl fleet status --config fleet.yaml", "mirrorctl fleet compare --config fleet.yaml --shard 3/8"),
		Args:    knownCommand,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(
		a.manyCommand("status", "Say what the mirrors' databases say about themselves",
			"Status lists in which state each mirror is. It needs no source. RESET counts the tables whose\nreset is requested, ODD those without a table, without a metadata row, or with one that cannot\nbe right."),
		a.manyCommand("compare", "Compare mirrors with their customers' databases, row by row",
			"Compare reads both databases of each customer, and writes to none. DIFFER counts the tables that\nare not alike, ROWS the rows that differ, and PENDING those of them that the next cycle brings."),
		a.manyCommand("plan", "Say which tables of which customers have to be reset",
			"Plan compares, and says of each customer which tables have to be reset. The plans are kept in\nthe state directory for apply, or in the directory of --save. ROWS are those that are sent again."),
	)
	return c
}

func (a *app) manyCommand(name, short, long string) *cobra.Command {
	m := &fleetRun{command: name}
	c := &cobra.Command{
		Use: name, Short: short, Long: long + "\n\n" + fleetHelp, Args: cobra.NoArgs,
		Example: example("mirrorctl fleet "+name+" --config fleet.yaml", "mirrorctl fleet "+name+" --config fleet.yaml --shard 3/8 --concurrency 8 -o json"),
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.fleet(cmd.Context(), m) },
	}
	f := c.Flags()
	f.StringVar(&m.shard, "shard", "", "look at a `part` of the customers alone, such as 3/8")
	f.IntVar(&m.concurrency, "concurrency", 0, "`number` of customers that are looked at the same time: 4 unless set")
	f.DurationVar(&m.timeout, "timeout", 0, "`duration` that one customer may take, such as 30m: no limit unless set")
	if name != "status" {
		m.how = a.compareManyFlags(c)
	}
	a.htmlFlag(c)
	if name == "plan" {
		f.StringVar(&m.save, "save", "", "keep the plans in this `directory`, each as CONTEXT.json")
		a.dryRunFlag(c)
	}
	return c
}

// fleet looks at all customers and shows what it finds as it comes.
func (a *app) fleet(ctx context.Context, m *fleetRun) error {
	if err := a.checkMany(m); err != nil {
		return err
	}
	part, err := a.shard(m.shard)
	if err != nil {
		return err
	}
	places, err := a.places(m, part)
	if err != nil {
		return err
	}
	all := &fleet.Fleet{Concurrency: cmp.Or(m.concurrency, a.config.Concurrency), Timeout: cmp.Or(m.timeout, a.config.Timeout)}
	for _, p := range places {
		all.Members = append(all.Members, fleet.Member{ContextID: p.Context, Open: func(ctx context.Context) (*fleet.Connection, error) {
			return a.connection(ctx, p, m.how)
		}})
	}
	out, err := a.findings(ctx, m, part, places)
	if err != nil {
		return err
	}
	defer a.progress().end()
	a.looked("", 0, len(places), out.began)
	for r := range m.results(ctx, all) {
		if err := out.add(r); err != nil {
			return err
		}
	}
	return out.finish()
}

func (m *fleetRun) results(ctx context.Context, all *fleet.Fleet) iter.Seq[fleet.Result] {
	if m.how == nil {
		return all.Status(ctx)
	}
	return all.Compare(ctx, nil) // each member has options of its own
}

// checkMany refuses what means nothing for many customers.
func (a *app) checkMany(m *fleetRun) error {
	switch {
	case a.config == nil:
		return usagef("which customers? Name their file by --config or %s", envConfig)
	case !a.config.Fleet:
		return usagef("%s has no members, so it is about one customer: list customers under \"members:\", or run %s",
			a.config.Name, a.commandLine([]string{"--config " + quoted(a.config.Name)}, m.command))
	case a.flags.source != "" || a.flags.mirror != "":
		return usagef("a fleet's databases are those of its file: leave --source and --mirror out")
	case m.concurrency < 0 || m.timeout < 0:
		return usagef("--concurrency and --timeout: want more than 0")
	case m.how != nil:
		return a.checkWords()
	}
	return nil
}

// places are where the databases of a part of the customers are: all of them are known
// before the first one is opened.
func (a *app) places(m *fleetRun, part shard) (places []place, err error) {
	entries := a.config.Entries()
	if id := a.flags.context; id != "" {
		e, err := a.config.Pick(id)
		if err != nil {
			return nil, err
		}
		entries = []customers.Entry{e}
	}
	for _, e := range entries {
		if !part.has(e.Context()) {
			continue
		}
		p := place{member: true}
		err := e.Fill(&p.Customer, a.environment())
		switch {
		case err != nil:
			return nil, err
		case p.Mirror.Where == "":
			return nil, e.Errorf("%s has no mirror", p.Context)
		case p.Source.Where == "" && m.how != nil:
			return nil, e.Errorf("%s has no source to compare with", p.Context)
		}
		a.secrets.AddOf(p.Mirror.Where)
		a.secrets.AddOf(p.Source.Where)
		places = append(places, p)
	}
	return places, nil
}

// connection opens one customer.
func (a *app) connection(ctx context.Context, p place, how *comparison) (*fleet.Connection, error) {
	t, err := a.open(ctx, p, need{source: how != nil})
	if err != nil {
		return nil, err
	}
	c := &fleet.Connection{Mirror: t.m, Source: t.source, Close: t.Close}
	if how != nil {
		if c.Compare, err = a.options(ctx, t, how); err != nil {
			return nil, errors.Join(err, t.Close())
		}
	}
	return c, nil
}

// The words of a fleet's exit codes.
var resultWords = map[int]string{
	exitDone: "identical", exitError: "failed", exitDiffers: "differs", exitPending: "pending",
	exitUnknown: "not-known-yet", exitRefused: "refused", exitIncomplete: "incomplete",
}

// severity orders exit codes, the worst first.
var severity = []int{exitRefused, exitError, exitIncomplete, exitDiffers, exitUnknown, exitPending, exitDone}

// finding is what was found out about one customer.
type finding struct {
	ContextID string         `json:"contextId"`
	Result    string         `json:"result"`
	ExitCode  int            `json:"exitCode"`
	Seconds   float64        `json:"seconds"`
	Error     string         `json:"error,omitempty"`
	Status    *mirror.Status `json:"status,omitempty"`
	Report    *mirror.Report `json:"report,omitempty"`
	Plan      *mirror.Plan   `json:"plan,omitempty"`
	PlanFile  string         `json:"planFile,omitempty"`
}

const notLookedAt = "not-looked-at"

// finding judges a result as the command for one customer does.
func (a *app) finding(ctx context.Context, m *fleetRun, r fleet.Result) finding {
	f := finding{ContextID: r.ContextID, Seconds: r.Elapsed.Seconds(), Status: r.Status, Report: r.Report, Plan: r.Plan}
	err := r.Err
	switch {
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return finding{ContextID: r.ContextID, Result: notLookedAt, ExitCode: exitIncomplete}
	case errors.Is(err, context.DeadlineExceeded):
		f.ExitCode, err = exitIncomplete, fmt.Errorf("it took longer than the timeout: %w", err)
	case r.Report != nil && r.Plan != nil:
		var closing error
		if reportErr := r.Report.Err(); reportErr == nil {
			closing = r.Err // what is left is that of closing
		}
		if f.ExitCode, err = judge(r.Report, m.how.maxRowShare); err == nil && closing != nil {
			f.ExitCode, err = exitError, closing
		}
	case err != nil:
		if f.ExitCode = codeOf(err); f.ExitCode == exitUsage {
			f.ExitCode = exitError // the command itself was understood
		}
	}
	if f.Result = resultWords[f.ExitCode]; m.how == nil && f.ExitCode == exitDone {
		f.Result = string(r.Status.State)
	}
	if err != nil {
		f.Error = a.harmless(err)
	}
	return f
}

// withoutName is an error without the "comparison of Cust1: " at its beginning.
func withoutName(says, contextID string) string {
	if before, after, ok := strings.Cut(says, contextID+": "); ok && !strings.Contains(before, ": ") {
		return after
	}
	return says
}

// saidError is an error that says something else.
type saidError struct {
	error
	says string
}

func (e saidError) Error() string { return e.says }

func (e saidError) Unwrap() error { return e.error }
