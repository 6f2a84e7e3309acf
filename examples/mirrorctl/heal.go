package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/heal"
	"github.com/so-mirror/mirror/htmlreport"
	"github.com/so-mirror/mirror/store"
)

// healing is a heal, as it was asked for.
type healing struct {
	compare *comparison
	wait    patience
	opts    heal.Options
}

func (a *app) healCommand() *cobra.Command {
	var h healing
	c := &cobra.Command{
		Use:     "heal",
		GroupID: groupChange,
		Short:   "Compare, reset what needs it, wait for cycles, until nothing is left to repair",
		Long: `Heal compares the mirror with the customer's database, resets the tables that are proven to
need it, waits until the Mirroring Task has populated them, and compares again. It can take
hours, and goes on where cycles come late. What needs a hard reset it leaves to you.

Without --confirm it shows on a terminal what it found, and asks. --dry-run ends there.

Exit codes: 0 healed, 3 tables still differ, 5 it is not known whether they need a reset,
6 refused, 7 no cycle came or not everything was compared, 1 an error, or interrupted by Ctrl-C:
what was reset stays reset.`,
		Example: example("mirrorctl heal --source customer.db --mirror mirror.db --context Cust10195 --dry-run",
			"mirrorctl heal --source customer.db --mirror mirror.db --context Cust10195 --confirm Cust10195"),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.heal(cmd, h) },
	}
	h.compare = a.compareFlags(c)
	for _, one := range []string{"resume", "since", "since-rows", "max-duration"} { // of a single comparison
		_ = c.Flags().MarkHidden(one)
	}
	patienceFlags(c, &h.wait, 1)
	f := c.Flags()
	f.IntVar(&h.opts.Rounds, "rounds", 2, "how often tables are reset")
	f.IntVar(&h.opts.Rechecks, "rechecks", 4, "how many cycles are waited for to find out what they bring")
	f.BoolVar(&h.opts.Unknown, "unknown", false, "also reset the tables of which that is not known then")
	tableShareFlag(c, &h.opts.MaxTableShare)
	a.confirmFlag(c)
	a.dryRunFlag(c)
	a.htmlFlag(c)
	return c
}

func (a *app) heal(cmd *cobra.Command, h healing) error {
	ctx := cmd.Context()
	wait, err := h.wait.options()
	if err != nil {
		return err
	}
	if h.compare.resume != "" || h.compare.since != "" || h.compare.maxDuration != 0 || h.compare.sinceRows != 0 {
		return usagef("heal makes several comparisons: --resume, --since, --since-rows and --max-duration are for compare")
	}
	if h.opts.Rounds <= 0 || h.opts.Rechecks <= 0 {
		return usagef("--rounds and --rechecks are more than 0")
	}
	hint := func() {}
	a.clock = telling{a.systemClock(), a, wait.Poll, func() { hint() }}
	return a.with(ctx, need{source: true, change: true}, func(t *target) error {
		if h.opts.Compare, err = a.options(ctx, t, h.compare); err != nil {
			return err
		}
		if goOn, err := a.mayHeal(cmd, t, h); !goOn {
			return err
		}
		var unkept error
		hint = a.cycleHint(t)
		wasReset, keep := false, a.keeping(&unkept)
		a.onChange = func(e mirror.JournalEntry) {
			wasReset = wasReset || e.Event == mirror.JournalDone
			keep(e)
		}
		shows := a.waits()
		wait.Progress = func(r *heal.WaitReport) {
			hint()
			shows(r)
		}
		h.opts.Wait, h.opts.MaxRowShare = wait, h.compare.maxRowShare
		report, err := heal.Run(ctx, t.m, t.source, &h.opts)
		a.progress().end()
		if report == nil {
			return err
		}
		err = errors.Join(err, unkept)
		shown := a.show(report, func(p *page) { p.healed(report) })
		if shown = errors.Join(shown, a.writeHTML(func(w io.Writer) error { return htmlreport.WriteHeal(w, report) })); shown != nil {
			return errors.Join(err, shown)
		}
		switch {
		case errors.Is(err, context.Canceled) && !errors.Is(err, store.ErrOutcomeUnknown):
			what := "nothing was reset"
			if wasReset {
				what = "what was reset stays reset"
			}
			return fmt.Errorf("%w: %s. Go on by: %s", err, what,
				append(a.commandLine(a.where(t.context), "heal"), a.again(cmd)...))
		case err != nil:
			return err
		}
		return a.healVerdict(report, h.compare.maxRowShare)
	})
}

// actedOn are the tables that something is done to.
func actedOn(r *mirror.Receipt) (tables []string) {
	if r == nil {
		return nil
	}
	for _, t := range r.Tables {
		if len(t.Actions) > 0 {
			tables = append(tables, t.Table)
		}
	}
	return tables
}

// keeping keeps each receipt as soon as its reset is done, since waiting takes hours.
func (a *app) keeping(failed *error) func(mirror.JournalEntry) {
	var receipt *mirror.Receipt
	return func(e mirror.JournalEntry) {
		switch e.Event {
		case mirror.JournalIntent:
			receipt = e.Receipt
		case mirror.JournalDone:
			a.note("Reset: %s", few(actedOn(receipt)))
			_, err := a.receipt(receipt)
			*failed = errors.Join(*failed, err)
		}
	}
}

// mayHeal finds out whether healing is wanted. Who is asked, and for a dry run, is shown
// what is found now.
func (a *app) mayHeal(cmd *cobra.Command, t *target, h healing) (bool, error) {
	const what = "Heal resets what is proven to need it, and waits for cycles"
	ctx := cmd.Context()
	if !a.flags.dryRun && (a.flags.confirm != "" || !a.inTerm || a.json()) {
		err := a.confirmed(ctx, t.context, consentYes, what)
		return err == nil, err
	}
	report, err := a.compare(ctx, t, h.compare)
	if err != nil {
		return false, err
	}
	v := a.planView(cmd, report, h.compare, t.context, "")
	err = a.showPlan(v, "")
	if a.flags.dryRun || v.code == exitDone || v.code == exitRefused {
		return false, err
	}
	err = a.confirmed(ctx, t.context, consentYes, "\n"+what)
	return err == nil, err
}

// healVerdict is the exit code of a heal that came to its end.
func (a *app) healVerdict(r *heal.Report, maxRowShare float64) error {
	if r.Healed {
		return nil
	}
	if len(r.Rounds) == 0 {
		return verdict(exitUnknown)
	}
	code, err := judge(r.Rounds[len(r.Rounds)-1].Report, maxRowShare)
	switch {
	case err != nil:
		return a.ended(code, err)
	case code == exitPending:
		return verdict(exitUnknown)
	case code == exitDone:
		return verdict(exitDiffers)
	default:
		return verdict(code)
	}
}

func (p *page) healed(r *heal.Report) {
	took := lasting(r.Finished.Sub(r.Started))
	if r.Healed {
		p.wrap(good, "", r.ContextID+": nothing is left to repair, after "+took+".")
	} else {
		p.wrap(bad, "", r.ContextID+": not everything is repaired, after "+took+".")
		p.note("%s", r.Stopped)
	}
	for i, round := range r.Rounds {
		p.heading("Round %d", i+1)
		p.line("%s", round.Report.Summary())
		if round.Plan != nil && len(round.Plan.Tables) > 0 {
			p.planTables(round.Plan)
		}
		if round.Wait != nil {
			p.WriteString("\n")
			p.waiting(round.Wait)
		}
	}
}

// telling is a clock that says until when it sleeps, when that is long.
type telling struct {
	mirror.Clock
	a    *app
	poll time.Duration
	hint func() // before it says so
}

// Sleep implements mirror.Clock.
func (c telling) Sleep(ctx context.Context, d time.Duration) error {
	if d > c.poll {
		c.hint()
		c.a.note("Some rows may come with the next cycle: they are read again at %s", c.Now().Add(d).Local().Format("15:04:05"))
	}
	return c.Clock.Sleep(ctx, d)
}

// cycleHint says once, where somebody waits, that no cycle comes to two files by itself.
func (a *app) cycleHint(t *target) func() {
	if t.place.Source.Where == "" || t.place.Source.IsURL() || t.place.Mirror.IsURL() {
		return func() {}
	}
	return sync.OnceFunc(func() {
		a.note("To files no cycle comes by itself. Play one, in another terminal: %s", a.commandLine(a.where(t.context), "cycle"))
	})
}

// systemClock is the clock of the run.
func (a *app) systemClock() mirror.Clock {
	if a.clock != nil {
		return a.clock
	}
	return system{}
}

// system is the clock of the system.
type system struct{}

// Now implements mirror.Clock.
func (system) Now() time.Time { return time.Now() }

// Sleep implements mirror.Clock.
func (system) Sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
