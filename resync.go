package mirror

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/so-mirror/mirror/internal/metadata"
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

// plan writes the receipt of what the operation is about to do, as src shows
// the metadata table: the store, or the transaction that will do it.
func (m *Mirror) plan(ctx context.Context, r *resync, src store.Source) (*Receipt, error) {
	md, err := m.readMetadata(ctx, src, r.tables)
	if err != nil {
		return nil, err
	}
	d := &draft{
		resync: r, m: m, src: src, md: md,
		receipt: &Receipt{
			Version: receiptVersion, ContextID: m.contextID, Operation: r.op, DryRun: r.dryRun,
			Time: m.clock.Now().UTC(), MetadataTable: md.Table.Name,
		},
		moved:   &Error{Op: string(r.op), ContextID: m.contextID, Err: ErrMoved},
		refused: &Error{Op: string(r.op), ContextID: m.contextID, Err: ErrMetadata},
	}
	if r.whole() {
		err = d.addAll(ctx)
	} else {
		err = d.addNamed(ctx)
	}
	if err != nil {
		return nil, err
	}
	return d.receipt, m.losses(r, md, d.receipt)
}

// draft is a receipt in the making.
type draft struct {
	*resync
	m       *Mirror
	src     store.Source
	md      *metadata.Table
	receipt *Receipt

	moved   *Error // tables that are not what a plan saw
	refused *Error // and those with another reason against them
	todo    int    // tables that are neither moved nor left alone on purpose
}

// addAll adds the metadata table, and the table of each of its rows.
func (d *draft) addAll(ctx context.Context) error {
	d.receipt.Metadata = &d.md.Table
	for _, row := range d.md.Rows {
		rt := ReceiptTable{Table: row.Name, LSN: row.LSN, Metadata: [][]store.Cell{row.Cells}, Actions: []Action{ActionDeleteMetadata}, Note: row.Problem}
		if row.Means.Name != "" && store.FoldName(row.Means.Name) != store.FoldName(row.Name) {
			rt.Table = row.Means.Name
		}
		if err := d.describe(ctx, &rt); err != nil {
			return err
		}
		d.receipt.Tables = append(d.receipt.Tables, rt)
	}
	return nil
}

// addNamed adds the tables that the caller named, or all that have a metadata row.
func (d *draft) addNamed(ctx context.Context) error {
	targets, err := d.m.resolve(d.resync, d.md)
	var unknown *Error
	if errors.As(err, &unknown) && d.markGone(unknown) {
		targets, err = d.m.resolve(d.resync, d.md)
	}
	if err != nil {
		return err
	}
	for _, name := range d.names {
		if d.gone[name] {
			d.moved.refuse(name, "is gone since the plan was made: compare again")
			d.receipt.Tables = append(d.receipt.Tables, ReceiptTable{Table: name, Note: "left alone: it is gone"})
		}
	}
	d.receipt.Tables = append(d.receipt.Tables, d.twins...)
	for _, row := range d.md.Rows {
		if d.all && row.Name != "" && row.Means.Name == "" {
			d.refused.refuse(row.Name, d.md.Stray(row))
		}
	}
	for _, target := range targets {
		if err := d.add(ctx, target); err != nil {
			return err
		}
	}
	if len(d.moved.Tables) > 0 && (!d.skipMoved || d.todo == 0) {
		return d.moved
	}
	return d.refused.orNil()
}

// add adds one table, or what stands in its way.
func (d *draft) add(ctx context.Context, target store.Table) error {
	if doubt := d.md.Doubt(target); doubt != "" {
		d.refused.refuse(target.Name, doubt)
		return nil
	}
	rt := ReceiptTable{Table: target.Name, Metadata: d.md.Cells(target.Name)}
	actions := d.actions
	if d.steps != nil {
		step := d.stepOf(target)
		actions, rt.Note = step.Step.actions(step.Drop), d.left[store.FoldName(step.Table)]
		if rt.Note != "" {
			actions = nil
		} else if step.Metadata != "" && step.Metadata != d.md.Sum(target) {
			d.moved.refuse(target.Name, "has another metadata row than the plan saw: compare again")
			rt.LSN, rt.Note = d.md.LSN(target), "left alone: its metadata row is not the one that the plan saw"
			d.receipt.Tables = append(d.receipt.Tables, rt)
			return nil
		}
	}
	if rt.Note == "" {
		d.todo++
	}
	if err := d.describe(ctx, &rt); err != nil {
		return err
	}
	row, err := d.md.Row(target)
	if row != nil {
		rt.LSN, rt.Note = row.LSN, cmp.Or(rt.Note, row.Problem)
	}
	if err != nil && rt.Note == "" && !slices.Contains(actions, ActionDeleteMetadata) {
		d.refused.refuse(target.Name, err.Error())
		return nil
	}
	hasRow := len(rt.Metadata) > 0
	if _, err := store.Normalize(d.md.LSNColumn.Type, int64(store.ResendAll)); err != nil && hasRow && slices.Contains(actions, ActionResetLSN) {
		d.refused.refuse(target.Name, fmt.Sprintf(
			"cannot get LSN -1, because column %q is %s: HardReset of that table deletes its metadata row instead", text.Name(d.md.LSNColumn.Name), d.md.LSNColumn.Type))
		return nil
	}
	for _, a := range actions {
		onData := a == ActionTruncate || a == ActionDrop
		if hasRow && (rt.Present || !onData) {
			rt.Actions = append(rt.Actions, a)
		}
	}
	if !hasRow {
		rt.Note = "left alone: it has no metadata row, so the next cycle sends all of its rows anyway"
	}
	d.receipt.Tables = append(d.receipt.Tables, rt)
	return nil
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

// describe notes what the table is before the operation.
func (d *draft) describe(ctx context.Context, rt *ReceiptTable) error {
	t, ok, err := findTable(d.tables, rt.Table)
	if err != nil && d.whole() { // the whole metadata table goes, whichever of the two it is
		rt.Note, err = cmp.Or(rt.Note, "it "+err.Error()), nil
	}
	if err != nil || !ok {
		return err
	}
	folded := store.FoldName(t.Name)
	rows, counted := d.counts[folded]
	// A number of rows from before a cycle or a reset would let Undo put an LSN
	// back whose rows are gone.
	if sum := d.md.Sum(t); !counted || d.seen[folded] != sum {
		d.seen[folded] = sum
		if rows, err = d.src.Count(ctx, t); err != nil && !unreadable(t) {
			return err
		}
		d.counts[folded] = rows
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
func (m *Mirror) resolve(r *resync, md *metadata.Table) ([]store.Table, error) {
	var known []string
	for _, t := range r.tables {
		if store.FoldName(t.Name) != store.FoldName(md.Table.Name) && !metadata.IsKept(t.Name) {
			known = append(known, t.Name)
		}
	}
	for _, row := range md.Rows {
		if row.IsAbsent() {
			known = append(known, row.Means.Name)
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
			refused.refuse(name, err.Error())
			return
		}
		if !ok || metadata.IsKept(t.Name) {
			if t, ok = md.Meant(name); !ok {
				refused.Tables = append(refused.Tables, m.unknownTable(name, known, "HardReset without Tables takes it away", "name the prefix in CompareOptions.SchemaPrefixes where only the source has it"))
				return
			}
		}
		folded := store.FoldName(t.Name)
		if folded == store.FoldName(md.Table.Name) {
			refused.refuse(name, "is the metadata table: HardReset without Tables takes it away")
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
	for _, row := range md.Rows {
		if r.all && row.Means.Name != "" && store.FoldName(row.Means.Name) != store.FoldName(md.Table.Name) { // a row about itself
			add(row.Means.Name, false)
		}
	}
	return targets, refused.orNil()
}
