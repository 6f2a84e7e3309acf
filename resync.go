package mirror

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/store"
)

// ResetOptions configure [Mirror.ResetTables]. The zero value of each field is
// its default.
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
// so that the next cycle of the Mirroring Task wipes and repopulates them. It
// does so for all of them in one transaction, or for none.
//
// Names match as SQL Server's default collation matches them, and a name that is
// given twice counts once. A table without a metadata row needs no reset, because
// the next cycle sends everything anyway; it is left alone, and the Receipt says so.
//
// A name that neither the mirror nor its metadata table knows is an *Error with
// store.ErrTableNotFound that names every such table and the closest known one. An
// empty list without All is ErrNoTables, a mirror without a metadata table
// ErrNoMetadata. A table with several metadata rows, one that another row may mean,
// too, one whose LSN a constraint does not let be -1, and one where a trigger changes
// what was written are ErrMetadata. With store.ErrOutcomeUnknown the Receipt of what
// was done, if it was done, comes along.
//
// The rule is the vendor's: SuperOffice documentation, "Database mirroring",
// restarting synchronization.
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

// HardResetOptions configure [Mirror.HardReset]. The zero value of each field
// is its default, but Confirm is required.
type HardResetOptions struct {
	// Confirm must be the context identifier.
	Confirm string

	// Tables are the tables whose metadata rows are deleted; All is every table that
	// has one. The metadata table then stays.
	// Default: the whole metadata table is taken away.
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
// metadata rows of these tables and with DropData drops them too. All of it
// happens in one transaction, or nothing.
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
//
// The rule is the vendor's: SuperOffice documentation, "Database mirroring",
// hard reset.
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

// errMoved means that a cycle changed a metadata row between our reading and
// our writing it.
var errMoved = errors.New("the LSN moved while it was being reset")

var (
	// errDryRun rolls back what was only tried.
	errDryRun = errors.New("only tried")

	// errNoRename means that this metadata table cannot be renamed here.
	errNoRename = errors.New("the metadata table cannot be renamed")
)

// attempts bounds how often an operation starts over after errMoved.
const attempts = 3

// resync plans and carries out an operation. Rows are counted before the
// transaction begins, so that no lock is held while a large table is scanned.
func (m *Mirror) resync(ctx context.Context, r *resync) (*Receipt, error) {
	doing := string(r.op) + " of " + m.contextID
	receipt, err := m.resyncOnce(ctx, r)
	if errors.Is(err, errNoRename) {
		r.drop = true
		if r.noCreate, err = m.tryCreate(ctx, r); err == nil {
			receipt, err = m.resyncOnce(ctx, r)
		}
	}
	for n := 1; errors.Is(err, errMoved) && n < attempts; n++ {
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

// plan writes the receipt of what the operation is about to do, as src shows
// the metadata table: the store, or the transaction that will do it.
func (m *Mirror) plan(ctx context.Context, r *resync, src store.Source) (*Receipt, error) {
	md, err := m.readMetadata(ctx, src, r.tables)
	if err != nil {
		return nil, err
	}
	receipt := &Receipt{
		Version: receiptVersion, ContextID: m.contextID, Operation: r.op, DryRun: r.dryRun,
		Time: m.clock.Now().UTC(), MetadataTable: md.table.Name,
	}
	if r.whole() {
		receipt.Metadata = &md.table
		for i := range md.rows {
			row := &md.rows[i]
			rt := ReceiptTable{Table: row.table, LSN: row.lsn, Metadata: [][]store.Cell{md.cells(row)}, Actions: []Action{ActionDeleteMetadata}, Note: row.problem}
			if row.means.Name != "" && store.FoldName(row.means.Name) != store.FoldName(row.table) {
				rt.Table = row.means.Name
			}
			if err := describeTable(ctx, r, src, md, rt.Table, &rt); err != nil {
				return nil, err
			}
			receipt.Tables = append(receipt.Tables, rt)
		}
		return receipt, m.losses(r, md, receipt)
	}
	moved := &Error{Op: string(r.op), ContextID: m.contextID, Err: ErrMoved}
	targets, err := m.resolve(r, md)
	var unknown *Error
	if errors.As(err, &unknown) && r.markGone(unknown) {
		targets, err = m.resolve(r, md)
	}
	if err != nil {
		return nil, err
	}
	for _, name := range r.names {
		if r.gone[name] {
			moved.Tables = append(moved.Tables, TableError{Table: name, Reason: "is gone since the plan was made: compare again"})
			receipt.Tables = append(receipt.Tables, ReceiptTable{Table: name, Note: "left alone: it is gone"})
		}
	}
	receipt.Tables = append(receipt.Tables, r.twins...)
	refused := &Error{Op: string(r.op), ContextID: m.contextID, Err: ErrMetadata}
	if r.all {
		for i := range md.rows {
			if row := &md.rows[i]; row.table != "" && row.means.Name == "" {
				refused.Tables = append(refused.Tables, TableError{Table: row.table, Reason: md.lone(i)})
			}
		}
	}
	left := 0
	for _, target := range targets {
		rt := ReceiptTable{Table: target.Name}
		if doubt := md.doubt(target); doubt != "" {
			refused.Tables = append(refused.Tables, TableError{Table: target.Name, Reason: doubt})
			continue
		}
		actions := r.actions
		if r.steps != nil {
			step := r.stepOf(target)
			rt.Note = r.left[store.FoldName(step.Table)]
			if actions = step.Step.actions(step.Drop); rt.Note == "" && step.Metadata != "" && step.Metadata != md.fingerprint(target) {
				moved.Tables = append(moved.Tables, TableError{Table: target.Name, Reason: "has another metadata row than the plan saw: compare again"})
				rt.Note = "left alone: its metadata row is not the one that the plan saw"
				rt.LSN = md.lsnOf(target)
				for _, i := range md.rowsOf(target) {
					rt.Metadata = append(rt.Metadata, md.cells(&md.rows[i]))
				}
				receipt.Tables = append(receipt.Tables, rt)
				continue
			}
			if rt.Note != "" {
				actions = nil
				left--
			}
		}
		left++
		if err := describeTable(ctx, r, src, md, target.Name, &rt); err != nil {
			return nil, err
		}
		rows := md.rowsOf(target)
		if len(rows) == 1 {
			rt.LSN, rt.Note = md.rows[rows[0]].lsn, cmp.Or(rt.Note, md.rows[rows[0]].problem)
		}
		if len(rows) > 1 && rt.Note == "" && !slices.Contains(actions, ActionDeleteMetadata) {
			_, err := md.row(target)
			refused.Tables = append(refused.Tables, TableError{Table: target.Name, Reason: err.Error()})
			continue
		}
		for _, i := range rows {
			rt.Metadata = append(rt.Metadata, md.cells(&md.rows[i]))
		}
		if _, err := store.Normalize(md.lsn.Type, int64(store.ResendAll)); err != nil && len(rows) > 0 && slices.Contains(actions, ActionResetLSN) {
			refused.Tables = append(refused.Tables, TableError{Table: target.Name, Reason: fmt.Sprintf(
				"cannot get LSN -1, because column %q is %s: HardReset of that table deletes its metadata row instead", text.Name(md.lsn.Name), md.lsn.Type)})
			continue
		}
		for _, a := range actions {
			onData := a == ActionTruncate || a == ActionDrop
			if len(rt.Metadata) > 0 && (rt.Present || !onData) {
				rt.Actions = append(rt.Actions, a)
			}
		}
		if len(rt.Metadata) == 0 {
			rt.Note = "left alone: it has no metadata row, so the next cycle sends all of its rows anyway"
		}
		receipt.Tables = append(receipt.Tables, rt)
	}
	switch {
	case len(moved.Tables) > 0 && (!r.skipMoved || left == 0):
		return nil, moved
	case len(refused.Tables) > 0:
		return nil, refused
	default:
		return receipt, m.losses(r, md, receipt)
	}
}

// markGone notes tables that a plan saw, and that neither the mirror nor its
// metadata table has any more. It reports whether unknown names only such.
func (r *resync) markGone(unknown *Error) bool {
	gone := map[string]bool{}
	for _, t := range unknown.Tables {
		if step, ok := r.steps[store.FoldName(t.Table)]; !ok || step.Metadata == "" || t.Reason != "" {
			return false
		}
		gone[t.Table] = true
	}
	r.gone = gone
	return true
}

// stepOf returns the plan's step for a table.
func (r *resync) stepOf(t store.Table) PlanTable {
	if step, ok := r.steps[store.FoldName(t.Name)]; ok {
		return step
	}
	return r.steps[store.FoldName(t.String())]
}

// describeTable notes what the table is before the operation.
func describeTable(ctx context.Context, r *resync, src store.Source, md *metadata, name string, rt *ReceiptTable) error {
	t, ok, err := findTable(r.tables, name)
	if err != nil && r.whole() { // the whole metadata table goes, whichever of the two it is
		rt.Note, err = cmp.Or(rt.Note, "it "+err.Error()), nil
	}
	if err != nil || !ok {
		return err
	}
	folded := store.FoldName(t.Name)
	rows, counted := r.counts[folded]
	// A number of rows from before a cycle or a reset would let Undo put an LSN
	// back whose rows are gone.
	if sum := md.fingerprint(t); !counted || r.seen[folded] != sum {
		r.seen[folded] = sum
		if rows, err = src.Count(ctx, t); err != nil && !unreadable(t) {
			return err
		}
		r.counts[folded] = rows
	}
	rt.Present, rt.Rows, rt.Schema = true, rows, fingerprint(t)
	return nil
}

// findTable finds a table by its name with or without its schema. Two tables
// of one name are an error, because the metadata table does not tell them apart.
func findTable(tables []store.Table, name string) (store.Table, bool, error) {
	folded := store.FoldName(name)
	var found []store.Table
	for _, t := range tables {
		if store.FoldName(t.Name) == folded || t.Schema != "" && store.FoldName(t.String()) == folded {
			found = append(found, t)
		}
	}
	if len(found) == 0 {
		return store.Table{}, false, nil
	}
	for _, t := range tables {
		if t.String() != found[0].String() && store.FoldName(t.Name) == store.FoldName(found[0].Name) {
			return store.Table{}, false, fmt.Errorf("stands for both %s and %s: give the store one schema", found[0], t)
		}
	}
	return found[0], true, nil
}

// resolve turns the caller's names into tables, each once. One that does not
// exist but has a metadata row has nothing but its name.
func (m *Mirror) resolve(r *resync, md *metadata) ([]store.Table, error) {
	var known []string
	for _, t := range r.tables {
		if store.FoldName(t.Name) != store.FoldName(md.table.Name) && !isKept(t.Name) {
			known = append(known, t.Name)
		}
	}
	for _, row := range md.rows {
		if row.means.Name != "" && row.means.Columns == nil {
			known = append(known, row.means.Name)
		}
	}
	var targets []store.Table
	seen := map[string]bool{}
	refused := &Error{Op: string(r.op), ContextID: m.contextID, Err: store.ErrTableNotFound}
	r.twins = nil
	add := func(name string, named bool) {
		t, ok, err := findTable(r.tables, name)
		if err != nil && !named {
			r.twins = append(r.twins, ReceiptTable{Table: name, Note: "left alone: it " + err.Error()})
			return
		}
		if err != nil {
			refused.Tables = append(refused.Tables, TableError{Table: name, Reason: err.Error()})
			return
		}
		if !ok || isKept(t.Name) {
			if t, ok = md.meant(name); !ok {
				refused.Tables = append(refused.Tables, m.unknownTable(name, known, "HardReset without Tables takes it away", "name the prefix in CompareOptions.SchemaPrefixes where only the source has it"))
				return
			}
		}
		folded := store.FoldName(t.Name)
		if folded == store.FoldName(md.table.Name) {
			refused.Tables = append(refused.Tables, TableError{Table: name, Reason: "is the metadata table: HardReset without Tables takes it away"})
			return
		}
		if !seen[folded] {
			seen[folded] = true
			targets = append(targets, t)
		}
	}
	for _, name := range r.names {
		if r.gone[name] {
			continue
		}
		add(name, true)
	}
	for _, row := range md.rows {
		if r.all && row.means.Name != "" && store.FoldName(row.means.Name) != store.FoldName(md.table.Name) { // a row about itself
			add(row.means.Name, false)
		}
	}
	if len(refused.Tables) > 0 {
		return nil, refused
	}
	return targets, nil
}
