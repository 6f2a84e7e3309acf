package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/examples/internal/customers"
	"github.com/so-mirror/mirror/htmlreport"
)

func (a *app) planCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "plan [REPORT.json]",
		GroupID: groupLook,
		Short:   "Say which tables have to be reset, and what that costs",
		Long: `Plan shows the smallest set of resets that repairs what a comparison found. It takes the
report of compare or recheck, or compares first, and writes to neither database. The plan is
kept in the state directory for apply, or in the file of --save.

It ends with the exit codes of compare: 3 when there is something to do, 5 when it is not
known yet, 4 or 0 when there is nothing to do.`,
		Example: example("mirrorctl plan --source customer.db --mirror mirror.db",
			"mirrorctl plan report.json --save plan.json"),
		Args: cobra.MaximumNArgs(1),
	}
	how := a.compareFlags(c)
	var save string
	c.Flags().StringVar(&save, "save", "", "keep the plan in this `file`, for apply")
	a.htmlFlag(c)
	a.dryRunFlag(c)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 {
			if err := notComparing(cmd, "a report", "max-row-share"); err != nil {
				return err
			}
			report, err := a.reportFor(args[0])
			if err != nil {
				return err
			}
			return a.showPlan(a.planView(cmd, report, how, report.ContextID, args[0]), save)
		}
		return a.with(cmd.Context(), need{source: true}, func(t *target) error {
			report, err := a.compare(cmd.Context(), t, how)
			if err != nil {
				return err
			}
			return a.showPlan(a.planView(cmd, report, how, t.context, ""), save)
		})
	}
	return c
}

// reportFor reads a report, which must be of the customer who was named, if one was.
func (a *app) reportFor(path string) (*mirror.Report, error) {
	report, err := readReport(a, path)
	if err != nil {
		return nil, err
	}
	return report, a.ofCustomer("report", path, report.ContextID)
}

// ofCustomer refuses a document of another customer than the one who was named.
func (a *app) ofCustomer(kind, path, contextID string) error {
	if !customers.IsContext(contextID) {
		return refusef("read %s %s: it is none, or was damaged: %q is no context identifier", kind, path, contextID)
	}
	p, err := a.place()
	if err == nil && p.Context != "" && !sameContext(p.Context, contextID) {
		return refusef("%s is the %s of %s, and not of %s", path, kind, contextID, p.Context)
	}
	return err
}

// planView looks at the plan of a report, which is in a file or was just made.
func (a *app) planView(cmd *cobra.Command, r *mirror.Report, how *comparison, contextID, path string) *planView {
	code, reason := judge(r, how.maxRowShare)
	v := &planView{a: a, cmd: cmd, plan: r.Plan(), code: code, reason: reason}
	v.of = &view{a: a, cmd: cmd, r: r, plan: v.plan, code: code, context: contextID, report: path, planned: true}
	return v
}

// planView is a plan as people read it.
type planView struct {
	a      *app
	cmd    *cobra.Command
	plan   *mirror.Plan
	of     *view // the report that it is made of
	code   int
	reason error
	file   string // where it is kept, or ""
}

// showPlan keeps a plan, shows it, and ends with its exit code.
func (a *app) showPlan(v *planView, save string) error {
	var err error
	if v.of.report == "" || v.of.r.Incomplete {
		if err := a.saveReport(v.of, ""); err != nil {
			return err
		}
	}
	switch {
	case save != "":
		if err := writeFile(save, v.plan); err != nil {
			return fmt.Errorf("save the plan: %w", err)
		}
		v.file = save
	case !v.plan.Empty() && v.code != exitRefused:
		if v.file, err = a.state().keep(keptPlans, v.plan.ContextID, "plan", a.now(), v.plan); err != nil {
			a.warn("the plan cannot be kept: %v", err)
		}
	}
	if err := a.show(v.plan, v.write); err != nil {
		return err
	}
	if err := a.writeHTML(func(w io.Writer) error { return htmlreport.WritePlan(w, v.plan, v.of.r) }); err != nil {
		return err
	}
	return a.ended(v.code, v.reason)
}

// ended is how a command ends that looked at a report.
func (a *app) ended(code int, reason error) error {
	if reason != nil && (code == exitError || code == exitRefused || a.json()) {
		a.complain(reason)
	}
	if code == exitDone {
		return nil
	}
	return verdict(code)
}

func (v *planView) write(p *page) {
	p.plan(v.plan)
	if v.file != "" && v.code != exitRefused && !v.plan.Empty() {
		where := append(v.a.where(v.plan.ContextID), v.mirror()...)
		c := append(v.a.commandLine(where, "apply", v.file), confirmFor(v.plan)...)
		v.a.todo(p, "Do it:", c)
	}
	if v.plan.Empty() || v.code == exitIncomplete || v.code == exitRefused {
		v.of.next(p)
	}
	p.planTables(v.plan)
}

// mirror is the flag that names the mirror of the report, where nothing else does and its
// name is all that it takes.
func (v *planView) mirror() []string {
	p, err := v.a.place()
	if side := v.of.r.Mirror; err == nil && p.Mirror.Where == "" && side.Engine == "SQLite" && side.Database != "" {
		return []string{"--mirror " + quoted(shortPath(side.Database))}
	}
	return nil
}

// confirmFor is the flag without which the hard resets of a plan are left alone.
func confirmFor(plan *mirror.Plan) []string {
	if plan.Has(mirror.StepHardReset) {
		return []string{"--confirm " + quoted(plan.ContextID)}
	}
	return nil
}

// plan writes what a plan amounts to.
func (p *page) plan(plan *mirror.Plan) {
	steps := map[mirror.Step]int{}
	for _, t := range plan.Tables {
		steps[t.Step]++
	}
	var parts []string
	for _, s := range []struct {
		step       mirror.Step
		one, other string
	}{
		{mirror.StepReset, "is to be reset", "are to be reset"},
		{mirror.StepTruncate, "is to be reset and truncated", "are to be reset and truncated"},
		{mirror.StepHardReset, "is to be hard reset", "are to be hard reset"},
		{mirror.StepUnknown, "may need it, which is not known yet", "may need it, which is not known yet"},
	} {
		if n := steps[s.step]; n > 0 {
			what := s.other
			if n == 1 {
				what = s.one
			}
			parts = append(parts, plural(n, "table")+" "+what)
		}
	}
	sentence, color := strings.Join(parts, ", ")+".", bad
	switch {
	case plan.Empty() && plan.Has(mirror.StepUnknown):
		sentence, color = "nothing to do yet. "+plural(steps[mirror.StepUnknown], "table")+" may need a reset, which is not known yet.", odd
	case plan.Empty():
		sentence, color = "nothing to do.", good
	}
	p.wrap(color, "", plan.ContextID+": "+sentence)
	for _, mistake := range plan.Mistakes {
		p.warn("wrong database: %s", mistake)
	}
}

// planTables writes the steps, and what they mean meanwhile.
func (p *page) planTables(plan *mirror.Plan) {
	if len(plan.Tables) == 0 {
		return
	}
	p.WriteString("\n")
	var rows []row
	for _, t := range plan.Tables {
		step, color := string(t.Step), dim
		if t.Step.Acts() {
			color = bad
		}
		if t.Drop {
			step += ", drop"
		}
		size := "-"
		switch {
		case t.Rows > 0 && t.Bytes == 0:
			size = "?" // no row was read to tell
		case t.Bytes > 0:
			size = megabytes(t.Bytes)
		}
		r := row{cells: []cell{plain(t.Table), {step, color}, plain(count(t.Rows)), plain(size), plain(count(t.Batches)), plain(count(int64(t.Cycles)))}, notes: []string{t.Reason}}
		if t.Meanwhile != "" && t.Step.Acts() {
			r.notes = append(r.notes, "meanwhile: "+t.Meanwhile)
		}
		rows = append(rows, r)
	}
	p.grid([]column{{title: "TABLE"}, {title: "STEP"}, {title: "ROWS", number: true, spare: true}, {title: "MB", number: true, spare: true}, {title: "BATCHES", number: true, spare: true}, {title: "CYCLES", number: true, spare: true}}, rows)
	p.line("Made from the comparison of %s.", plan.Time.UTC().Format(timeFormat))
	if plan.Has(mirror.StepUnknown) {
		p.line("What is not known yet is left alone, unless apply is told --unknown.")
	}
	if plan.Has(mirror.StepHardReset) {
		p.line("Hard resets want to be confirmed. What is dropped or truncated cannot be undone.")
	}
}

// megabytes is a number of bytes in units of a batch.
func megabytes(bytes int64) string {
	const mb = 1_000_000
	if bytes < mb/2 {
		return "<1"
	}
	return number((bytes + mb/2) / mb)
}
