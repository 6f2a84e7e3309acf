package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // Windows has no zones of its own

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/heal"
	"github.com/so-mirror/mirror/store"
)

// patience is how a command waits for cycles.
type patience struct {
	poll, every, late time.Duration
	night, zone       string
	cycles, again     int
}

// patienceFlags adds the flags of waiting.
func patienceFlags(c *cobra.Command, w *patience, again int) {
	f := c.Flags()
	f.DurationVar(&w.poll, "poll", 30*time.Second, "time between two looks at the mirror")
	f.DurationVar(&w.every, "every", 20*time.Minute, "time between the beginnings of two cycles")
	f.DurationVar(&w.late, "late", time.Hour, "by how much a cycle may be late")
	f.StringVar(&w.night, "night", "23:00-06:00", "`times` between which no cycle begins, or none")
	f.StringVar(&w.zone, "time-zone", "UTC", "`zone` of the times of --night, such as Europe/Oslo")
	f.IntVar(&w.cycles, "max-cycles", 3, "give up when so many cycles failed to come")
	f.IntVar(&w.again, "reset-again", again, "how often a reset is repeated that a running cycle overwrote")
}

// options returns what package heal waits by.
func (w patience) options() (*heal.WaitOptions, error) {
	s := heal.Schedule{Every: w.every, Late: w.late}
	if w.poll <= 0 || w.every <= 0 || w.late <= 0 || w.cycles <= 0 || w.again < 0 {
		return nil, usagef("--poll, --every, --late and --max-cycles are more than 0, and --reset-again is not negative")
	}
	zone, err := time.LoadLocation(w.zone)
	if err != nil {
		return nil, usagef("--time-zone %q: want such as UTC or Europe/Oslo: %w", w.zone, err)
	}
	s.Location = zone
	if s.NightFrom, s.NightTo, err = nightOf(w.night); err != nil {
		return nil, err
	}
	return &heal.WaitOptions{Schedule: s, Poll: w.poll, MaxCycles: w.cycles, ResetAgain: w.again}, nil
}

// nightOf reads such as 23:00-06:00.
func nightOf(s string) (from, to time.Duration, err error) {
	if s == "none" {
		return time.Hour, time.Hour, nil
	}
	first, last, _ := strings.Cut(s, "-")
	var times [2]time.Duration
	for i, clock := range []string{first, last} {
		t, err := time.Parse("15:04", strings.TrimSpace(clock))
		if err != nil {
			return 0, 0, usagef("--night %q: want such as 23:00-06:00, or none", s)
		}
		times[i] = time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute
	}
	if times[0] == 0 && times[1] == 0 {
		return time.Hour, time.Hour, nil // to package heal this is its default
	}
	return times[0], times[1], nil
}

func (a *app) waitCommand() *cobra.Command {
	var w patience
	var report string
	c := &cobra.Command{
		Use:     "wait [RECEIPT]",
		GroupID: groupLook,
		Short:   "Wait until cycles have populated what was reset",
		Long: `Wait follows the tables of a receipt from their LSN of -1, through being wiped and filled,
until each has a valid LSN again. Without a receipt it takes the last one that was kept of
this customer; --table takes some of its tables, or any without a receipt.

A cycle that was running while a table was reset can write its own LSN over the -1, so that
nothing is populated. With --source, and the --report that led to the reset, that is found out.

Exit codes: 0 populated, or no reset is open, 3 a reset was overwritten, 6 it was taken back,
7 no cycle came, 1 an error, or interrupted by Ctrl-C: what was reset stays reset.`,
		Example: example("mirrorctl wait --mirror mirror.db --context Cust10195",
			"mirrorctl wait receipt.json --mirror mirror.db --night 01:30-03:00 --time-zone Europe/Oslo"),
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := w.options()
			if err != nil {
				return err
			}
			if report != "" {
				if o.Report, err = readReport(a, report); err != nil {
					return err
				}
			}
			return a.wait(cmd, args, o)
		},
	}
	patienceFlags(c, &w, 0)
	a.tableFlag(c, "wait for this table")
	c.Flags().StringVar(&report, "report", "", "`file` with the report that led to the reset")
	return c
}

func (a *app) wait(cmd *cobra.Command, args []string, o *heal.WaitOptions) error {
	p, err := a.place()
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	return a.with(ctx, need{source: p.Source.Where != "", change: o.ResetAgain > 0}, func(t *target) error {
		receipt, path, err := a.awaited(t, args)
		if err != nil {
			return err
		}
		if len(a.flags.tables) > 0 {
			if o.Tables, err = chosenOf(ctx, t, receipt, a.flags.tables); err != nil {
				return err
			}
		}
		o.Source, o.Progress = t.source, a.waits()
		a.cycleHint(t)()
		report, err := heal.Wait(ctx, t.m, receipt, o)
		a.progress().end()
		if report == nil {
			return err
		}
		a.resetByReceipts(t, report)
		for _, r := range report.Receipts {
			if _, kerr := a.receipt(r); kerr != nil {
				err = errors.Join(err, kerr)
			}
		}
		if serr := a.show(report, func(p *page) { p.waiting(report) }); serr != nil {
			return errors.Join(err, serr)
		}
		if errors.Is(err, context.Canceled) {
			words := []string{"wait"}
			if path != "" {
				words = append(words, path)
			}
			return fmt.Errorf("%w: what was reset stays reset, whoever waits. Go on by: %s", err,
				append(a.commandLine(a.where(t.context), words...), a.again(cmd)...))
		}
		return err
	})
}

// awaited returns the receipt of what is waited for, and its file. It is nil where
// --table alone says it.
func (a *app) awaited(t *target, args []string) (*mirror.Receipt, string, error) {
	path := ""
	switch {
	case len(args) > 0:
		path = args[0]
	case len(a.flags.tables) > 0:
		return nil, "", nil // resetByReceipts looks for one where it matters
	default:
		kept := a.state().kept(keptReceipts, t.context)
		if len(kept) == 0 {
			return nil, "", usagef("wait for what? No receipt of %s is kept in %s: name its file, or tables by --table", t.context, a.state().dir)
		}
		path = kept[len(kept)-1]
		a.note("Receipt: %s", path)
	}
	receipt, err := readDocument[mirror.Receipt](a, path, "receipt")
	if err == nil && a.state().tookBack(receipt) {
		return nil, "", refusef("%s was taken back by undo: there is nothing to wait for", path)
	}
	return receipt, path, err
}

// tookBack reports whether a receipt is marked as taken back.
func (s state) tookBack(r *mirror.Receipt) bool {
	return r.ID != "" && receiptIn(s.undone(r.ContextID), r.ID) != ""
}

// resetByReceipts calls tables populated that a kept receipt says were reset: a cycle has
// done so before anybody waited.
func (a *app) resetByReceipts(t *target, r *heal.WaitReport) {
	if !slices.ContainsFunc(r.Tables, func(t heal.WaitTable) bool { return t.State == heal.WaitNotRequested }) {
		return
	}
	for _, path := range a.state().kept(keptReceipts, t.context) {
		receipt, err := readDocument[mirror.Receipt](a, path, "receipt")
		if err != nil {
			continue // undo and reconcile say so
		}
		acted := actedOn(receipt)
		for i := range r.Tables {
			now := &r.Tables[i]
			if now.State == heal.WaitNotRequested && slices.ContainsFunc(acted, func(name string) bool { return sameName(name, now.Table) }) {
				now.State, now.Proof = heal.WaitPopulated, "it was reset on "+receipt.Time.UTC().Format(timeFormat)+", and has a valid LSN since"
			}
		}
	}
}

// chosenOf returns the tables of --table, out of a receipt or of the mirror.
func chosenOf(ctx context.Context, t *target, receipt *mirror.Receipt, patterns []string) ([]string, error) {
	var names []string
	if receipt != nil {
		for _, table := range receipt.Tables {
			names = append(names, table.Table)
		}
		return chosen(patterns, names)
	}
	s, err := t.m.Status(ctx)
	if err != nil {
		return nil, err
	}
	for _, table := range s.Tables {
		names = append(names, table.Table)
	}
	return chosen(patterns, names)
}

// waits returns what shows how far tables have come: bars on a terminal, elsewhere a line
// when something changed.
func (a *app) waits() func(*heal.WaitReport) {
	said := ""
	if a.errTerm || a.flags.quiet {
		return func(r *heal.WaitReport) {
			if now := tablesOf(r); now != said { // the bars have those alone that are being filled
				said = now
				a.note("Waiting for %s", now)
			}
			a.waited(r)
		}
	}
	return func(r *heal.WaitReport) {
		if now := whereTablesAre(r); now != said {
			said = now
			a.note("%s  %s", r.Time.Local().Format(time.TimeOnly), now)
		}
	}
}

func tablesOf(r *heal.WaitReport) string {
	var names []string
	for _, t := range r.Tables {
		names = append(names, t.Table)
	}
	return few(names)
}

// whereTablesAre is one line about all tables.
func whereTablesAre(r *heal.WaitReport) string {
	var parts []string
	open := false
	for _, state := range []heal.WaitState{heal.WaitPopulated, heal.WaitFilling, heal.WaitLost, heal.WaitRequested, heal.WaitNotRequested} {
		var names []string
		for _, t := range r.Tables {
			if t.State != state {
				continue
			}
			name := t.Table
			if state == heal.WaitFilling {
				name += " " + rowsOf(t)
			}
			names = append(names, name)
		}
		if names != nil {
			parts = append(parts, string(state)+": "+few(names))
			open = open || state == heal.WaitRequested
		}
	}
	if open {
		parts = append(parts, nextCycle(r))
	}
	return strings.Join(parts, "; ")
}

// lasting is a duration in whole seconds, such as 25m.
func lasting(d time.Duration) string {
	s := d.Round(time.Second).String()
	if rest, ok := strings.CutSuffix(s, "m0s"); ok {
		s = rest + "m"
	}
	if rest, ok := strings.CutSuffix(s, "h0m"); ok {
		s = rest + "h"
	}
	return s
}

func rowsOf(t heal.WaitTable) string {
	if t.Expected == 0 {
		return number(t.Rows) + " rows"
	}
	return number(t.Rows) + " of " + number(t.Expected) + " rows"
}

func nextCycle(r *heal.WaitReport) string {
	verb := "is"
	if r.Next.Before(r.Time) {
		verb = "was"
	}
	return "the next cycle " + verb + " to be expected by " + r.Next.Local().Format("15:04 MST")
}

// notReset says of tables that nothing is to be waited for.
func notReset(idle []heal.WaitTable) string {
	var names []string
	for _, t := range idle {
		names = append(names, t.Table)
	}
	lsns := "their LSNs are valid"
	if len(idle) == 1 {
		lsns = "its LSN is " + store.FormatLSN(idle[0].LSN)
	}
	return "no reset of " + few(names) + " is open, as " + lsns
}

func (p *page) waiting(r *heal.WaitReport) {
	is := func(s heal.WaitState) bool {
		return slices.ContainsFunc(r.Tables, func(t heal.WaitTable) bool { return t.State == s })
	}
	var idle []heal.WaitTable
	all, open := plural(len(r.Tables), "table"), 0
	for _, t := range r.Tables {
		switch t.State {
		case heal.WaitPopulated:
		case heal.WaitNotRequested:
			idle = append(idle, t)
		default:
			open++
		}
	}
	switch {
	case is(heal.WaitLost):
		p.wrap(bad, "", r.ContextID+": a running cycle overwrote the reset of tables. Reset them again.")
	case is(heal.WaitRequested), is(heal.WaitFilling):
		p.wrap(odd, "", fmt.Sprintf("%s: %d of %s not populated yet.", r.ContextID, open, all))
	case len(idle) > 0:
		p.wrap(odd, "", r.ContextID+": "+notReset(idle)+": there was nothing to wait for.")
	default:
		p.wrap(good, "", r.ContextID+": "+all+" populated, in "+lasting(r.Time.Sub(r.Started))+".")
	}
	colors := map[heal.WaitState]text.Colors{heal.WaitPopulated: good, heal.WaitLost: bad, heal.WaitFilling: odd, heal.WaitRequested: odd}
	var rows []row
	for _, t := range r.Tables {
		line := row{cells: []cell{plain(t.Table), {string(t.State), colors[t.State]}, plain(number(t.Rows)), plain(count(t.Expected)), plain(store.FormatLSN(t.LSN))}}
		if t.Proof != "" {
			line.notes = append(line.notes, t.Proof)
		}
		if t.Remaining > 0 {
			line.notes = append(line.notes, "about "+lasting(t.Remaining)+" left")
		}
		if t.Resets > 0 {
			line.notes = append(line.notes, "reset again: "+plural(t.Resets, "time"))
		}
		rows = append(rows, line)
	}
	p.grid([]column{{title: "TABLE"}, {title: "STATE"}, {title: "ROWS", number: true}, {title: "EXPECTED", number: true}, {title: "LSN", number: true}}, rows)
	if is(heal.WaitRequested) && !is(heal.WaitFilling) {
		next := nextCycle(r)
		p.line("%s.", strings.ToUpper(next[:1])+next[1:])
	}
}
