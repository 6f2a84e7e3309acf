package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/so-mirror/mirror"
)

func (a *app) applyCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "apply [PLAN.json]",
		GroupID: groupChange,
		Short:   "Carry out a plan: reset what no cycle repairs",
		Long: `Apply carries out a plan in one transaction, if nothing has moved since the comparison.
Without a plan it compares first. It shows the plan, and asks on a terminal; elsewhere a plan
that was not given as a file needs --confirm.

Hard resets, and tables that are truncated or dropped, want the context identifier typed, or
--confirm. The receipt is kept in the state directory: undo takes back what it records.`,
		Example: example("mirrorctl apply plan.json --mirror mirror.db",
			"mirrorctl apply --source customer.db --mirror mirror.db --context Cust10195 --confirm Cust10195"),
		Args: cobra.MaximumNArgs(1),
	}
	how, opts := a.compareFlags(c), &mirror.ApplyOptions{}
	c.Flags().Lookup("table").Usage = "take these tables alone; `name` or pattern such as 'app*', may be repeated"
	f := c.Flags()
	f.BoolVar(&opts.Unknown, "unknown", false, "also reset tables of which it is not known yet whether they need it")
	f.BoolVar(&opts.Force, "force", false, "reset the tables of --table even where the plan has no step for them")
	f.BoolVar(&opts.HardReset, "hard-reset", false, "hard reset, and drop, the tables whose columns or key differ")
	f.BoolVar(&opts.SkipMoved, "skip-moved", false, "leave tables alone that were sent or reset since the comparison, and do the rest")
	f.BoolVar(&opts.NoUndo, "no-undo", false, "allow a hard reset that undo could not take back at all")
	tableShareFlag(c, &opts.MaxTableShare)
	a.confirmFlag(c)
	a.dryRunFlag(c)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		job := &applying{a: a, cmd: cmd, how: how, opts: opts}
		if len(args) == 1 {
			if err := notComparing(cmd, "a plan", "max-row-share", "table"); err != nil {
				return err
			}
			plan, err := readDocument[mirror.Plan](a, args[0], "plan")
			if err != nil {
				return err
			}
			if err := a.ofCustomer("plan", args[0], plan.ContextID); err != nil {
				return err
			}
			job.plan, job.file = plan, args[0]
		}
		return a.with(cmd.Context(), need{source: job.plan == nil, change: true}, func(t *target) error {
			return job.run(cmd.Context(), t)
		})
	}
	return c
}

// applying is an apply under way.
type applying struct {
	a    *app
	cmd  *cobra.Command
	how  *comparison
	opts *mirror.ApplyOptions
	plan *mirror.Plan
	file string    // of the plan, "" when it was made just now
	made *planView // just now
}

func (j *applying) run(ctx context.Context, t *target) error {
	a := j.a
	if j.plan == nil {
		report, err := a.compare(ctx, t, j.how)
		if err != nil {
			return err
		}
		v := a.planView(j.cmd, report, j.how, t.context, "")
		if v.code == exitRefused || v.code == exitError || report.Incomplete {
			return a.showPlan(v, "")
		}
		j.plan, j.made = v.plan, v
	}
	if j.file != "" {
		if err := t.sameDatabase(ctx, j.file, j.plan.Mirror); err != nil {
			return err
		}
	}
	if err := j.choose(); err != nil {
		return err
	}
	j.opts.MaxRowShare, j.opts.DryRun = j.how.maxRowShare, a.flags.dryRun
	if !j.acts() {
		if _, err := t.m.Apply(ctx, j.plan, &mirror.ApplyOptions{DryRun: true}); err != nil && !errors.Is(err, mirror.ErrNothingToDo) {
			return err // it is no plan of this mirror
		}
		return j.nothing()
	}
	if err := j.show(); err != nil {
		return err
	}
	if err := a.confirmed(ctx, t.context, j.consent(), j.question()); err != nil {
		return err
	}
	if a.flags.confirm != "" || j.consent() == consentTyped {
		j.opts.Confirm = t.context
	}
	receipt, err := t.m.Apply(ctx, j.plan, j.opts)
	if errors.Is(err, mirror.ErrNothingToDo) {
		return j.nothing()
	}
	err = a.changed(t, j.plan, receipt, err)
	if err == nil && j.made != nil && j.made.code == exitIncomplete {
		return a.ended(j.made.code, j.made.reason)
	}
	return err
}

// choose takes the tables of --table. In a comparison that was made just now they are all
// that was compared.
func (j *applying) choose() (err error) {
	if j.file == "" && !j.opts.Force {
		return nil
	}
	var names []string
	for _, t := range j.plan.Tables {
		names = append(names, t.Table)
	}
	j.opts.Tables, err = expand("--table", j.a.flags.tables, names)
	return err
}

// chosen returns the steps that were chosen.
func (j *applying) chosen() (tables []mirror.PlanTable) {
	for _, t := range j.plan.Tables {
		if j.opts.Tables == nil || slices.ContainsFunc(j.opts.Tables, func(name string) bool { return sameName(name, t.Table) }) {
			tables = append(tables, t)
		}
	}
	return tables
}

// acts reports whether there is something to do.
func (j *applying) acts() bool {
	return j.opts.Tables != nil || j.opts.HardReset || !j.plan.Empty() || j.opts.Unknown && j.plan.Has(mirror.StepUnknown)
}

// nothing ends an apply without anything to do.
func (j *applying) nothing() error {
	if j.made != nil {
		if err := j.a.saveReport(j.made.of, ""); err != nil {
			return err
		}
	}
	err := j.a.show(jsonOf(change{Plan: j.plan}), func(p *page) {
		p.plan(j.plan)
		if j.made != nil {
			j.made.of.next(p)
		}
		p.planTables(j.plan)
	})
	if err == nil && j.made != nil {
		return j.a.ended(j.made.code, j.made.reason)
	}
	if err == nil && j.plan.Has(mirror.StepUnknown) {
		return verdict(exitUnknown)
	}
	return err
}

// untilThen is what a table looks like that is reset.
const untilThen = "as it is until the next cycle, then empty until it is populated"

// intended is the plan as it will be carried out, by what was asked for.
func (j *applying) intended() *mirror.Plan {
	plan := *j.plan
	plan.Tables = j.chosen()
	for i := range plan.Tables {
		t := &plan.Tables[i]
		switch {
		case t.Schema && j.opts.HardReset:
			t.Step, t.Drop, t.Meanwhile = mirror.StepHardReset, true, "gone from now on, until the next cycle has created and populated it"
		case t.Step == mirror.StepUnknown && j.opts.Unknown, t.Step == mirror.StepNone && j.opts.Force && j.opts.Tables != nil:
			t.Step, t.Meanwhile = mirror.StepReset, untilThen
			if known, _, ok := strings.Cut(t.Reason, ": "); ok && strings.Contains(t.Reason, "after the next cycle") {
				t.Reason = known + ": asked for by --unknown" // it is not waited for
			}
		}
	}
	for _, name := range j.opts.Tables {
		if j.opts.Force && !slices.ContainsFunc(plan.Tables, func(t mirror.PlanTable) bool { return sameName(name, t.Table) }) {
			plan.Tables = append(plan.Tables, mirror.PlanTable{Table: name, Step: mirror.StepReset, Reason: "asked for by --force", Meanwhile: untilThen})
		}
	}
	return &plan
}

// show shows the plan, besides the document where that is the result.
func (j *applying) show() error {
	p, plan := j.a.page(), j.intended()
	p.plan(plan)
	p.planTables(plan)
	out := j.a.out
	if j.a.json() {
		out = j.a.err
	}
	_, err := fmt.Fprint(out, p.String()+"\n")
	return err
}

// lasting reports whether something is done that cannot be taken back so easily.
func (j *applying) lasting() bool {
	plan := j.intended()
	return plan.Has(mirror.StepHardReset) || plan.Has(mirror.StepTruncate)
}

func (j *applying) consent() consent {
	switch {
	case j.lasting():
		return consentTyped
	case j.file != "" && !j.a.inTerm:
		return consentNone // it was reviewed, and named
	default:
		return consentYes
	}
}

func (j *applying) question() string {
	if j.lasting() {
		return "Tables of " + j.plan.ContextID + " are hard reset or truncated, which cannot be taken back as a whole"
	}
	return "Tables of " + j.plan.ContextID + " are reset"
}
