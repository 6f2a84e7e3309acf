package mirror

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/store"
)

// Check refuses options that Apply would refuse.
func (o *ApplyOptions) Check() error { return checkShares(o.MaxRowShare, o.MaxTableShare) }

// ApplyOptions configure [Mirror.Apply]. Zero values are defaults.
type ApplyOptions struct {
	// Tables are the tables to take from the plan. One that the plan has no step for
	// is ErrNotPlanned, unless Force is set.
	// Default: every table that the plan has a step for.
	Tables []string

	// Unknown also resets the tables of StepUnknown, named or not, but for those of
	// which it is not known which metadata rows are their own.
	Unknown bool

	// Force resets tables of Tables that the plan has no step for, such as pending ones.
	Force bool

	// HardReset makes a hard reset, with drop, of every chosen table whose columns or
	// key differ (PlanTable.Schema), whatever its step is.
	HardReset bool

	// SkipMoved leaves a table alone whose metadata row is no longer what the plan
	// saw, and does the rest. Default: it is ErrMoved, and nothing is changed.
	SkipMoved bool

	// Confirm must be the context identifier for hard resets to be made. Without it
	// they are left alone, which the Receipt says.
	Confirm string

	// MaxRowShare and MaxTableShare keep a mirror from being reset because the source
	// is the wrong database: with more, Apply changes nothing and returns a [LimitError].
	// MaxRowShare is of the mirror's compared rows those that are extra, changed or
	// duplicate, pending ones included, whichever tables are chosen. Missing rows do
	// not count: a table that was emptied is a real incident. The rest of a table that
	// was Truncated is taken to differ as the rows that were read do; at DepthCount,
	// the rows count that the mirror has more than the source. MaxTableShare is of the
	// compared tables that have rows those that would really be reset. Fewer than 10
	// differing rows, missing ones included, and fewer than 6 tables never count.
	// 1 or more allows everything. Default: 0.5, that is more than half, each.
	MaxRowShare, MaxTableShare float64

	NoUndo bool // as in HardResetOptions
	DryRun bool // as in ResetOptions; it needs no confirmation
}

// Apply carries out a plan, in one transaction, and returns its Receipt. What is
// not known yet, and hard resets without Confirm, are left alone.
//
// A plan is refused, and nothing changed, with ErrMoved, which names every table that
// was sent, reset or created anew since the comparison (see ApplyOptions.SkipMoved);
// ErrInvalidDocument when it is of another customer or version, or was damaged;
// ErrWrongDatabase when it was made with a mistake about the databases; a [LimitError]
// when it resets too much; ErrNotConfirmed for hard resets alone without the right
// Confirm; ErrNothingToDo without a step to do.
func (m *Mirror) Apply(ctx context.Context, plan *Plan, opts *ApplyOptions) (*Receipt, error) {
	var o ApplyOptions
	if opts != nil {
		o = *opts
	}
	receipt, err := m.applyPlan(ctx, plan, o)
	m.logChange(ctx, string(OperationApply), o.DryRun, receipt, err)
	return receipt, err
}

func (m *Mirror) applyPlan(ctx context.Context, plan *Plan, o ApplyOptions) (*Receipt, error) {
	doing := "apply plan of " + m.contextID
	if err := plan.check(m.contextID); err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	if err := wrong(plan.Mistakes); err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	if err := checkShares(o.MaxRowShare, o.MaxTableShare); err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	chosen, err := m.choose(plan, o)
	if err != nil {
		return nil, err
	}
	r := &resync{op: OperationApply, steps: chosen, skipMoved: o.SkipMoved, dryRun: o.DryRun, noUndo: o.NoUndo, left: map[string]string{}}
	resets := int64(0)
	for folded, t := range chosen {
		r.names = append(r.names, t.Table)
		if t.Step != StepHardReset || o.DryRun || o.Confirm == m.contextID {
			resets++
			continue
		}
		r.left[folded] = fmt.Sprintf("left alone: a hard reset needs ApplyOptions.Confirm %q", m.contextID)
	}
	switch {
	case len(chosen) == 0 && plan.Has(StepUnknown):
		return nil, fmt.Errorf("%s: %w: yet: what differs is not known to need a reset: Recheck after the next cycle, or set Unknown", doing, ErrNothingToDo)
	case len(chosen) == 0:
		return nil, fmt.Errorf("%s: %w: see Plan.Empty", doing, ErrNothingToDo)
	case len(r.left) > 0 && (resets == 0 || o.Confirm != ""):
		return nil, fmt.Errorf("%s: %w: it has hard resets, ApplyOptions.Confirm is %q and must be %q",
			doing, ErrNotConfirmed, text.Clip(o.Confirm, text.MaxName), m.contextID)
	}
	if err := plan.limit("apply plan", resets, o.MaxRowShare, o.MaxTableShare); err != nil {
		return nil, err
	}
	slices.SortFunc(r.names, func(a, b string) int { return cmp.Compare(store.FoldName(a), store.FoldName(b)) })
	return m.resync(ctx, r)
}

// choose takes from a plan what the options ask for, by folded name. What is not
// known yet is a reset then.
func (m *Mirror) choose(plan *Plan, o ApplyOptions) (map[string]PlanTable, error) {
	steps, unknown := map[string]PlanTable{}, map[string]string{} // and why not
	for _, t := range plan.Tables {
		folded := store.FoldName(t.Table)
		switch {
		case t.Step == StepUnknown && t.Metadata == "": // which rows are its own nobody knows
			unknown[folded] = "cannot be reset by a plan: " + t.Reason
			continue
		case o.HardReset && t.Schema:
			t.Step, t.Drop = StepHardReset, true
		case t.Step == StepUnknown && !o.Unknown:
			unknown[folded] = "is not known yet to need a reset: Recheck after the next cycle, or set Unknown"
			continue
		case t.Step == StepUnknown:
			t.Step = StepReset
		case t.Step == StepNone:
			continue
		}
		steps[folded] = t
	}
	if o.Tables == nil {
		return steps, nil
	}
	chosen := map[string]PlanTable{}
	refused := &Error{Op: "apply plan", ContextID: m.contextID, Err: ErrNotPlanned}
	for _, name := range o.Tables {
		folded := store.FoldName(name)
		t, ok := steps[folded]
		switch {
		case m.names.IsTable(name):
			refused.Tables = append(refused.Tables, TableError{Table: name, Reason: "is the metadata table: HardReset without Tables takes it away"})
		case ok:
		case !o.Force && unknown[folded] != "":
			refused.Tables = append(refused.Tables, TableError{Table: name, Reason: unknown[folded]})
		case !o.Force:
			closest := ""
			if r := plan.table(name); r == nil {
				closest = closestName(name, plan.names())
			}
			refused.Tables = append(refused.Tables, TableError{Table: name, Reason: "has no step in the plan: set Force to reset it all the same", Closest: closest})
		default:
			t = PlanTable{Table: name, Step: StepReset}
		}
		chosen[folded] = t
	}
	if len(refused.Tables) > 0 {
		return nil, refused
	}
	return chosen, nil
}
