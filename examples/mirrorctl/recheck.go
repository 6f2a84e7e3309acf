package main

import (
	"slices"

	"github.com/spf13/cobra"

	"github.com/so-mirror/mirror"
)

func (a *app) recheckCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "recheck [REPORT.json]",
		GroupID: groupLook,
		Short:   "Read what differed once more, after a cycle",
		Long: `Recheck reads the keys that differed in a report once more: what is equal by now was only
pending, and what is still the same after enough cycles no cycle brings. It is for sources that
track no changes; run it after each cycle until nothing is unknown. The new report is kept like
that of compare, whose exit codes it has: 0 when all that differed has arrived. Without a file
it takes the last report that was kept of the customer.`,
		Example: example("mirrorctl recheck --source customer.db --mirror mirror.db --context Cust10195",
			"mirrorctl recheck report.json --source customer.db --mirror mirror.db --save report.json"),
		Args: cobra.MaximumNArgs(1),
	}
	how, opts := &comparison{}, &mirror.RecheckOptions{}
	f := c.Flags()
	f.StringVar(&how.save, "save", "", "keep the new report in this `file`")
	f.IntVar(&opts.Cycles, "cycles", 0, "`number` of cycles after which what is still the same is not coming: 2 unless set")
	f.DurationVar(&opts.After, "after", 0, "`duration` since the comparison after which that is so, cycles or not; not at all unless set")
	rowShareFlag(c, &how.maxRowShare)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		var report *mirror.Report
		if len(args) == 1 { // before databases are opened; it tells the customer, too
			var err error
			if report, err = a.reportFor(args[0]); err != nil {
				return err
			}
		}
		return a.with(cmd.Context(), need{source: true}, func(t *target) (err error) {
			if report == nil {
				if report, err = a.lastReport(t); err != nil {
					return err
				}
			}
			report, err := t.m.Recheck(cmd.Context(), t.source, report, opts)
			if err != nil {
				return err
			}
			return a.showReport(cmd, t, report, how)
		})
	}
	return c
}

// lastReport reads the last report that was kept of a customer.
func (a *app) lastReport(t *target) (*mirror.Report, error) {
	kept := a.state().kept(keptReports, t.context)
	if len(kept) == 0 {
		return nil, usagef("recheck what? No report of %s is kept in %s: name its file, or compare first", t.context, a.state().dir)
	}
	path := kept[len(kept)-1]
	a.note("Report: %s", path)
	return readReport(a, path)
}

// arrivedRows is how many differing rows of a table a recheck found equal.
func arrivedRows(t *mirror.TableReport) (n int64) {
	for _, d := range t.Differences {
		if d.State == mirror.DiffArrived {
			n += d.Rows
		}
	}
	return n
}

// arrived reports whether all rows of a table that differed are equal by now.
func arrived(t *mirror.TableReport) bool {
	n := arrivedRows(t)
	return t.Verdict == mirror.VerdictPending && t.LSNState == "" && n > 0 && n == t.DifferingRows()
}

// byNow is a report in which a table of which all has arrived is identical.
func byNow(r *mirror.Report) *mirror.Report {
	now := *r
	now.Tables = slices.Clone(r.Tables)
	for i := range now.Tables {
		if t := &now.Tables[i]; arrived(t) {
			t.Verdict = mirror.VerdictIdentical
		}
	}
	return &now
}

// besides says what is with the tables that differ and of which nothing is proven.
func (v *view) besides(p *page) {
	acting, pending := v.acting(), v.pending()
	late := len(v.differing()) - len(pending)
	for _, t := range acting {
		if !slices.Contains(pending, t) {
			late--
		}
	}
	if late > 0 {
		p.line("What differs in %s besides may only be late.", plural(late, "table"))
	}
	if len(pending) > 0 {
		p.line("The next cycle brings what is missing in %s besides.", plural(len(pending), "table"))
	}
}

// pending returns the tables whose differing rows all come with the next cycle.
func (v *view) pending() (tables []string) {
	for _, t := range byNow(v.r).Tables {
		if t.Verdict == mirror.VerdictPending {
			tables = append(tables, t.Table)
		}
	}
	return tables
}

// arrived returns the tables that differed, and are identical by now.
func (v *view) arrived() (tables []string) {
	for i := range v.r.Tables {
		if t := &v.r.Tables[i]; arrived(t) {
			tables = append(tables, t.Table)
		}
	}
	return tables
}
