package mirror

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"cmp"
	"slices"

	"github.com/so-mirror/mirror/internal/match"
	"github.com/so-mirror/mirror/internal/metadata"
	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/store"
)

// ResetOptions configure [Mirror.ResetTables]. Zero values are defaults.
type ResetOptions struct {
	// All resets every table that the metadata table has a row for. The list of
	// tables is then empty. Default: the tables of the list.
	All bool

	// Truncate also empties the tables in the same transaction, which spares the next
	// cycle the wipe of a large table. Until that cycle is through the tables are empty
	// for everyone, and Undo cannot bring rows back. Default: the rows stay.
	Truncate bool

	// DryRun returns the Receipt of what would be done and does nothing. Writes to the
	// metadata table are tried, in a transaction that is rolled back, so that what
	// refuses them is found. No rows are deleted and no tables dropped for it.
	DryRun bool
}

// ResetTables restarts the synchronization of tables: it sets their LSN to -1,
// so that the next cycle of the Mirroring Task wipes and repopulates them. It does so
// for all of them in one transaction, or for none. The rule is the vendor's:
// SuperOffice documentation, "Database mirroring", restarting synchronization.
//
// Names match as SQL Server's default collation matches them, and a name that is
// given twice counts once. A table without a metadata row needs no reset, because
// the next cycle sends everything anyway; it is left alone, and the Receipt says so.
//
// A name that neither the mirror nor its metadata table knows is an *Error with
// store.ErrTableNotFound, which has the closest known one. An empty list without All
// is ErrNoTables, a mirror without a metadata table ErrNoMetadata. A table with several
// metadata rows, one that another row may mean, too, one whose LSN a constraint does
// not let be -1, and one where a trigger changes what was written are ErrMetadata. With
// store.ErrOutcomeUnknown the Receipt of what was done, if it was done, comes along.
func (m *Mirror) ResetTables(ctx context.Context, tables []string, opts *ResetOptions) (receipt *Receipt, err error) {
	var o ResetOptions
	if opts != nil {
		o = *opts
	}
	defer func() { m.logChange(ctx, string(OperationReset), o.DryRun, receipt, err) }()
	switch {
	case o.All && len(tables) > 0:
		return nil, fmt.Errorf("reset tables of %s: All is set and tables are named: leave one of them out", m.contextID)
	case !o.All && len(tables) == 0:
		return nil, fmt.Errorf("reset tables of %s: %w: name them, or set All", m.contextID, ErrNoTables)
	}
	actions := []Action{ActionResetLSN}
	if o.Truncate {
		actions = append(actions, ActionTruncate)
	}
	return m.resync(ctx, &resync{op: OperationReset, names: tables, all: o.All, actions: actions, dryRun: o.DryRun})
}

// HardResetOptions configure [Mirror.HardReset]. Zero values are defaults, but
// Confirm is required.
type HardResetOptions struct {
	Confirm string // must be the context identifier

	// Tables are the tables whose metadata rows are deleted, or All that have one. The
	// metadata table stays then. Default: it is taken away as a whole.
	Tables []string
	All    bool

	// DropData also drops the tables of Tables or All, with their rows, which Undo
	// cannot bring back. Default: they stay.
	DropData bool

	// NoUndo allows a hard reset that Undo could not take back at all: of a metadata
	// row with values of a type that is not read, or of a metadata table that can be
	// neither renamed nor created anew. Default: it is ErrCannotUndo, which says why.
	NoUndo bool

	DryRun bool // as in ResetOptions; it needs no confirmation
}

// HardReset makes the next cycle start from nothing: it takes the metadata
// table away, so that the whole mirror is repopulated, or with Tables deletes the
// metadata rows of these tables and with DropData drops them too. All of it happens
// in one transaction, or nothing. The rule is the vendor's: SuperOffice documentation,
// "Database mirroring", hard reset.
//
// The metadata table is renamed and not dropped, to Receipt.Kept, so that Undo can
// bring it back with everything that belongs to it. To a cycle it is gone, as its
// name is no longer that of a metadata table. The next hard reset drops what the one
// before kept. Where the engine cannot rename it, it is dropped, and
// Receipt.NotUndone says what Undo does not bring back of it.
//
// When Confirm is not the context identifier the error is ErrNotConfirmed; without a
// metadata table it is ErrNoMetadata. For names see [Mirror.ResetTables]; several
// metadata rows of one table are all deleted.
func (m *Mirror) HardReset(ctx context.Context, opts *HardResetOptions) (receipt *Receipt, err error) {
	var o HardResetOptions
	if opts != nil {
		o = *opts
	}
	defer func() { m.logChange(ctx, string(OperationHardReset), o.DryRun, receipt, err) }()
	if !o.DryRun && o.Confirm != m.contextID {
		return nil, fmt.Errorf("hard reset of %s: %w: HardResetOptions.Confirm is %q and must be %q",
			m.contextID, ErrNotConfirmed, text.Clip(o.Confirm, text.MaxName), m.contextID)
	}
	if o.All && o.Tables != nil {
		return nil, fmt.Errorf("hard reset of %s: All is set and tables are named: leave one of them out", m.contextID)
	}
	if o.Tables == nil && !o.All {
		if o.DropData {
			return nil, fmt.Errorf("hard reset of %s: %w: DropData drops the tables in Tables: name them, or set All",
				m.contextID, ErrNoTables)
		}
		return m.resync(ctx, &resync{op: OperationHardReset, dryRun: o.DryRun, noUndo: o.NoUndo})
	}
	if len(o.Tables) == 0 && !o.All {
		return nil, fmt.Errorf("hard reset of %s: %w: name them, set All, or leave Tables nil for the whole mirror",
			m.contextID, ErrNoTables)
	}
	actions := []Action{ActionDeleteMetadata}
	if o.DropData {
		actions = append(actions, ActionDrop)
	}
	return m.resync(ctx, &resync{op: OperationHardReset, names: o.Tables, all: o.All, actions: actions, dryRun: o.DryRun, noUndo: o.NoUndo})
}

// resync is one ResetTables or HardReset.
type resync struct {
	op      Operation
	names   []string // nil: the whole metadata table, unless all is set
	all     bool     // every table that has a metadata row
	actions []Action
	dryRun  bool
	noUndo  bool
	mirror  *store.Identity // nil: not asked for yet

	drop     bool   // the metadata table cannot be renamed
	noCreate string // and why Undo could not create it anew, or ""

	steps     map[string]PlanTable // of Apply, by folded name; otherwise nil
	skipMoved bool
	gone      map[string]bool   // names of tables of the plan that are gone
	left      map[string]string // why Apply leaves tables alone, by folded name

	twins  []ReceiptTable    // of all tables those whose names fold alike, which nobody can tell apart
	tables []store.Table     // the catalogue when the operation began
	counts map[string]int64  // rows by folded name, once counted
	seen   map[string]string // and the metadata rows at that time
}

// whole reports whether the metadata table itself is taken away.
func (r *resync) whole() bool { return r.names == nil && !r.all }

var (
	// errDryRun rolls back what was only tried.
	errDryRun = errors.New("only tried")

	// errNoRename means that this metadata table cannot be renamed here.
	errNoRename = errors.New("the metadata table cannot be renamed")
)

// attempts bounds how often an operation starts over after metadata.ErrLSNMoved.
const attempts = 3

// resync plans and carries out an operation. Rows are counted before the
// transaction begins, so that no lock is held while a large table is scanned.
func (m *Mirror) resync(ctx context.Context, r *resync) (*Receipt, error) {
	doing := string(r.op) + " of " + m.contextID
	if r.mirror == nil {
		is, err := store.IdentityOf(ctx, m.store)
		if err != nil {
			return nil, store.WrapError(ctx, err, doing)
		}
		r.mirror = &is
	}
	receipt, err := m.resyncOnce(ctx, r)
	if errors.Is(err, errNoRename) {
		r.drop = true
		if r.noCreate, err = m.tryCreate(ctx, r); err == nil {
			receipt, err = m.resyncOnce(ctx, r)
		}
	}
	for n := 1; errors.Is(err, metadata.ErrLSNMoved) && n < attempts; n++ {
		receipt, err = m.resyncOnce(ctx, r)
	}
	var refusal *Error
	if errors.As(err, &refusal) {
		return nil, err
	}
	if err != nil {
		return receipt, store.WrapError(ctx, err, doing)
	}
	return receipt, nil
}

func (m *Mirror) resyncOnce(ctx context.Context, r *resync) (*Receipt, error) {
	var err error
	if r.tables, err = m.store.Tables(ctx); err != nil {
		return nil, err
	}
	r.counts, r.seen = map[string]int64{}, map[string]string{}
	receipt, err := m.plan(ctx, r, m.store)
	if err != nil {
		return nil, err
	}
	journal := journaled{m: m}
	err = m.store.Update(ctx, func(tx store.Tx) error {
		// What was read outside may be old by now; the counts alone stay.
		if receipt, err = m.plan(ctx, r, tx); err != nil {
			return err
		}
		if err := m.apply(ctx, r, tx, receipt); err != nil {
			return err
		}
		if r.dryRun {
			return errDryRun
		}
		receipt.ID = receipt.fingerprint()
		return journal.intend(ctx, receipt)
	})
	if r.dryRun && errors.Is(err, errDryRun) {
		return receipt, nil
	}
	done := err == nil
	err = journal.end(ctx, err)
	switch {
	case errors.Is(err, store.ErrOutcomeUnknown):
		unknown := *receipt // the journal has the other one
		unknown.Outcome = OutcomeUnknown
		receipt = &unknown
	case !done:
		return nil, err
	}
	return receipt, err
}

// logChange writes the record of an attempt to change the mirror: done, refused
// before anything was touched, failed and rolled back, or unknown. A dry run is
// no attempt. Names and errors are what the caller gets anyway; values of rows
// and connection strings are in neither.
func (m *Mirror) logChange(ctx context.Context, operation string, dryRun bool, receipt *Receipt, err error) {
	if dryRun {
		return
	}
	level, outcome := slog.LevelInfo, "done"
	switch {
	case err == nil:
	case errors.Is(err, store.ErrOutcomeUnknown):
		level, outcome = slog.LevelError, "unknown"
	case errors.Is(err, errUnrecorded):
		level = slog.LevelWarn
	case refused(err):
		level, outcome = slog.LevelWarn, "refused"
	default:
		level, outcome = slog.LevelError, "failed"
	}
	attrs := []slog.Attr{slog.String("context_id", m.contextID), slog.String("outcome", outcome)}
	if receipt != nil {
		attrs = append(attrs, slog.String("receipt", text.Clip(receipt.ID, text.MaxName)), slog.Int("tables", len(receipt.Tables)), slog.Bool("metadata_dropped", receipt.Metadata != nil))
	}
	if err != nil {
		attrs = append(attrs, slog.String("error", text.Err(err).Error()))
	}
	m.log.LogAttrs(context.WithoutCancel(ctx), level, operation, attrs...)
}

// refused reports whether an operation was not begun.
func refused(err error) bool {
	var refusal *Error
	if errors.As(err, &refusal) {
		return true
	}
	for _, sentinel := range []error{ErrWrongDatabase, ErrTooMuch, ErrNotConfirmed, ErrNoTables, ErrNothingToDo, errInvalidPlan, errInvalidReceipt, ErrNoMetadata, ErrReplica, ErrMetadata} {
		if errors.Is(err, sentinel) {
			return true
		}
	}
	return false
}

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
// ErrWrongDatabase when it is of another database, or was made with a mistake about the
// databases; a [LimitError] when it resets too much; ErrNotConfirmed for hard resets
// alone without the right Confirm; ErrNothingToDo without a step to do.
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
	is, err := store.IdentityOf(ctx, m.store)
	if err == nil {
		err = m.sameDatabase("plan", plan.Mirror, is)
	}
	if err != nil {
		return nil, store.WrapError(ctx, err, doing)
	}
	chosen, err := m.choose(plan, o)
	if err != nil {
		return nil, err
	}
	r := &resync{op: OperationApply, mirror: &is, steps: chosen, skipMoved: o.SkipMoved, dryRun: o.DryRun, noUndo: o.NoUndo, left: map[string]string{}}
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
				closest = match.Closest(name, plan.names())
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
