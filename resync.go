package mirror

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/store"
)

// allTables stands for all tables. No table can have such a name: SQL Server
// refuses the character.
const allTables = "\x00all"

// AllTables returns a list that stands for every table that the metadata table
// has a row for. An empty list never does.
func AllTables() []string { return []string{allTables} }

// ResetOptions configure [Mirror.ResetTables]. The zero value of each field is
// its default.
type ResetOptions struct {
	// Truncate also empties the tables in the same transaction, which spares
	// the next cycle the wipe of a large table. Until that cycle is through
	// the tables are empty for everyone, and Undo cannot bring rows back.
	// Default: the rows stay until the next cycle.
	Truncate bool

	// DryRun returns the Receipt of what would be done and does nothing. The
	// writes to the metadata table are tried, in a transaction that is rolled
	// back, so what refuses them is found. Rows are not deleted and tables not
	// dropped for it.
	DryRun bool
}

// ResetTables restarts the synchronization of tables: it sets their LSN to -1,
// so that the next cycle of the Mirroring Task wipes and repopulates them. It
// does so for all of them in one transaction, or for none.
//
// Names match as SQL Server's default collation matches them, and a name that
// is given twice counts once. A name that neither the mirror nor its metadata
// table knows is an *Error with ErrTableNotFound that names every such table
// and the closest known one. An empty list is ErrNoTables; see [AllTables].
// A table without a metadata row needs no reset, because the next cycle sends
// everything anyway; it is left alone, and the Receipt says so. Without a metadata table the
// error is ErrNoMetadata; a table with several metadata rows, one that another row
// may mean, too, one whose LSN a constraint does not let be -1, and one where a
// trigger changes what was written are ErrMetadata.
// With ErrOutcomeUnknown the Receipt comes along: it records what was done if it
// was done, and its Outcome says that this is not known.
//
// The rule is the vendor's: SuperOffice documentation, "Database mirroring",
// restarting synchronization.
func (m *Mirror) ResetTables(ctx context.Context, tables []string, opts *ResetOptions) (receipt *Receipt, err error) {
	var o ResetOptions
	if opts != nil {
		o = *opts
	}
	defer func() { m.logChange(ctx, string(OperationReset), o.DryRun, receipt, err) }()
	if len(tables) == 0 {
		return nil, fmt.Errorf("reset tables of %s: %w: name them, or pass AllTables()", m.contextID, ErrNoTables)
	}
	actions := []Action{ActionResetLSN}
	if o.Truncate {
		actions = append(actions, ActionTruncate)
	}
	return m.resync(ctx, &resync{op: OperationReset, names: tables, actions: actions, dryRun: o.DryRun})
}

// HardResetOptions configure [Mirror.HardReset]. The zero value of each field
// is its default, but Confirm is required.
type HardResetOptions struct {
	// Confirm must be the context identifier.
	Confirm string

	// Tables are the tables whose metadata rows are deleted.
	// Default: the whole metadata table is taken away.
	Tables []string

	// DropData also drops the tables named by Tables, with their rows, which
	// Undo cannot bring back.
	DropData bool

	// NoUndo allows a hard reset that Undo could not take back at all: of a
	// metadata row with values of a type that is not read, or of a metadata
	// table that can be neither renamed nor created anew. Default: it is
	// ErrCannotUndo, which says why.
	NoUndo bool

	// DryRun returns the Receipt of what would be done and does nothing, as
	// that of ResetOptions does. It needs no confirmation.
	DryRun bool
}

// HardReset makes the next cycle start from nothing: it takes the metadata
// table away, so that the whole mirror is repopulated, or with Tables deletes the
// metadata rows of these tables and with DropData drops them too. All of it
// happens in one transaction, or nothing.
//
// The metadata table is renamed and not dropped, to Receipt.Kept, so that Undo
// can bring it back with everything that belongs to it. To a cycle it is gone:
// there is no table of its name, and none whose name ends like that of a metadata
// table. The next hard reset drops what the one before kept. Deleting all of its
// rows instead would leave a table that a cycle does not create, and so one that
// it may take for valid. Where the engine cannot rename it, it is dropped, and
// Receipt.NotUndone says what Undo does not bring back of it.
//
// When Confirm is not the context identifier the error is ErrNotConfirmed. For
// names see [Mirror.ResetTables]; several metadata rows of one table are all
// deleted. Without a metadata table the error is ErrNoMetadata.
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
	if o.Tables == nil {
		if o.DropData {
			return nil, fmt.Errorf("hard reset of %s: %w: DropData drops the tables in Tables: name them, or pass AllTables()",
				m.contextID, ErrNoTables)
		}
		return m.resync(ctx, &resync{op: OperationHardReset, dryRun: o.DryRun, noUndo: o.NoUndo})
	}
	if len(o.Tables) == 0 {
		return nil, fmt.Errorf("hard reset of %s: %w: name them, pass AllTables(), or leave Tables nil for the whole mirror",
			m.contextID, ErrNoTables)
	}
	actions := []Action{ActionDeleteMetadata}
	if o.DropData {
		actions = append(actions, ActionDrop)
	}
	return m.resync(ctx, &resync{op: OperationHardReset, names: o.Tables, actions: actions, dryRun: o.DryRun, noUndo: o.NoUndo})
}

// resync is one ResetTables or HardReset.
type resync struct {
	op      Operation
	names   []string // nil: the whole metadata table
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
		Time: m.clock().UTC(), MetadataTable: md.table.Name,
	}
	if r.names == nil {
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
	if slices.Contains(r.names, allTables) {
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
	if err != nil && r.names == nil { // the whole metadata table goes, whichever of the two it is
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
		if name != allTables {
			add(name, true)
			continue
		}
		for _, row := range md.rows {
			if row.means.Name != "" && store.FoldName(row.means.Name) != store.FoldName(md.table.Name) { // a row about itself
				add(row.means.Name, false)
			}
		}
	}
	if len(refused.Tables) > 0 {
		return nil, refused
	}
	return targets, nil
}

// apply carries out what the receipt says.
func (m *Mirror) apply(ctx context.Context, r *resync, tx store.Tx, receipt *Receipt) error {
	t, err := m.findMetadata(r.tables)
	if err != nil {
		return err
	}
	if receipt.Metadata != nil {
		return m.takeAway(ctx, r, tx, t, receipt)
	}
	name, lsn, err := m.metadataColumns(t)
	if err != nil {
		return err
	}
	// What a constraint can refuse comes first: the rest takes long.
	for _, rt := range receipt.Tables {
		for _, a := range rt.Actions {
			var err error
			refused := ""
			switch a {
			case ActionResetLSN:
				err = changeOne(tx.Set(ctx, t, keyCells(rt.Metadata[0], name, lsn), []store.Cell{{Column: lsn.Name, Value: int64(store.ResendAll)}}))
				refused = "cannot get LSN -1: %v: HardReset of that table deletes its metadata row instead, and the next cycle sends all of it"
			case ActionDeleteMetadata:
				err = m.deleteRows(ctx, tx, t, rt.Metadata, name, lsn)
				refused = "cannot lose its metadata row: %v: HardReset of the whole mirror takes the metadata table away instead"
			}
			if errors.Is(err, store.ErrConstraint) {
				return &Error{Op: string(r.op), ContextID: m.contextID, Err: ErrMetadata,
					Tables: []TableError{{Table: rt.Table, Reason: fmt.Sprintf(refused, text.Err(err))}}}
			}
			if err != nil {
				return fmt.Errorf("%s: %w", text.Name(rt.Table), err)
			}
		}
	}
	if r.dryRun {
		return m.checkWritten(ctx, r, tx, receipt)
	}
	for _, rt := range receipt.Tables {
		if len(rt.Actions) == 0 {
			continue
		}
		data, _, err := findTable(r.tables, rt.Table)
		if err != nil {
			return err
		}
		for _, a := range rt.Actions {
			var err error
			switch a {
			case ActionTruncate:
				err = tx.Truncate(ctx, data)
			case ActionDrop:
				err = tx.Drop(ctx, data)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", text.Name(rt.Table), err)
			}
		}
	}
	return m.checkWritten(ctx, r, tx, receipt)
}

// checkWritten reads the metadata rows once more, because a trigger may have
// changed what was written.
func (m *Mirror) checkWritten(ctx context.Context, r *resync, tx store.Tx, receipt *Receipt) error {
	if !slices.ContainsFunc(receipt.Tables, func(rt ReceiptTable) bool { return len(rt.Actions) > 0 }) {
		return nil
	}
	md, err := m.readMetadata(ctx, tx, r.tables)
	if err != nil {
		return err
	}
	refused := &Error{Op: string(r.op), ContextID: m.contextID, Err: ErrMetadata}
	for _, rt := range receipt.Tables {
		reason := ""
		switch {
		case slices.Contains(rt.Actions, ActionResetLSN):
			reason = md.notWritten(rt.Table, m.reset(rt.Metadata))
		case slices.Contains(rt.Actions, ActionDeleteMetadata):
			reason = md.notWritten(rt.Table, nil)
		}
		if reason != "" {
			refused.Tables = append(refused.Tables, TableError{Table: rt.Table, Reason: reason})
		}
	}
	if len(refused.Tables) > 0 {
		return refused
	}
	return nil
}

// notWritten says that a table does not have the number of metadata rows, or a
// single one not the LSN, that was just written, "" when it has.
func (md *metadata) notWritten(table string, written [][]store.Cell) string {
	is := md.cellsOf(table)
	if len(is) != len(written) {
		return fmt.Sprintf("has %d metadata rows after a write that leaves %d: a trigger of the metadata table changes that", len(is), len(written))
	}
	if len(is) != 1 {
		return ""
	}
	lsn := func(row []store.Cell) store.Cell {
		i := slices.IndexFunc(row, func(c store.Cell) bool { return store.FoldName(c.Column) == store.FoldName(md.lsn.Name) })
		if i < 0 {
			return store.Cell{}
		}
		n, problem := readLSN(row[i].Value)
		if n == nil {
			return store.Cell{Value: row[i].Value, Column: problem}
		}
		return store.Cell{Value: int64(*n)}
	}
	now, want := lsn(is[0]), lsn(written[0])
	if sameCells([]store.Cell{now}, []store.Cell{want}) {
		return ""
	}
	return fmt.Sprintf("has LSN %s after it was set to %s: a trigger of the metadata table changes it", now.Text(), want.Text())
}

// deleteRows deletes all metadata rows of one table.
func (m *Mirror) deleteRows(ctx context.Context, tx store.Tx, t store.Table, rows [][]store.Cell, name, lsn store.Column) error {
	var deleted int64
	for i, row := range rows {
		where := keyCells(row, name, lsn)
		twin := func(other []store.Cell) bool { return sameCells(where, keyCells(other, name, lsn)) }
		if slices.ContainsFunc(rows[:i], twin) {
			continue // deleted together with its twin
		}
		n, err := tx.Delete(ctx, t, where)
		if err != nil {
			return err
		}
		deleted += n
	}
	if deleted != int64(len(rows)) {
		return errMoved
	}
	return nil
}

// keyCells returns the cells of a metadata row that find it as long as its LSN
// has not moved.
func keyCells(row []store.Cell, name, lsn store.Column) []store.Cell {
	var cells []store.Cell
	for _, c := range row {
		if c.Column == name.Name || c.Column == lsn.Name {
			cells = append(cells, c)
		}
	}
	return cells
}

// changeOne makes it an error when a write did not meet exactly one row.
func changeOne(n int64, err error) error {
	if err == nil && n != 1 {
		return errMoved
	}
	return err
}

// Undo takes back what a receipt records: it puts the previous LSNs back, or
// the metadata rows, or the metadata table with everything that belongs to it.
// What it does not bring back is in Receipt.NotUndone. Call it before the next
// cycle begins.
//
// It undoes all of the receipt or nothing. What can no longer be undone is an
// *Error with ErrCannotUndo that names each table and the reason: its rows were
// truncated or dropped, its metadata row or LSN moved on, its columns changed,
// or it no longer has the number of rows that it had, which means that a cycle
// has begun to wipe it. The number of rows is all that can be checked of the
// data: when a cycle may have begun, Compare afterwards. A receipt of another
// customer, of another version or of a dry run is ErrInvalidDocument.
func (m *Mirror) Undo(ctx context.Context, receipt *Receipt) (err error) {
	doing := "undo of " + m.contextID
	defer func() { m.logChange(ctx, "undo", false, receipt, err) }()
	if err := m.CheckReceipt(receipt); err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	journal := journaled{m: m, undo: true}
	err = m.store.Update(ctx, func(tx store.Tx) error {
		if err := m.undo(ctx, tx, receipt); err != nil {
			return err
		}
		return journal.intend(ctx, receipt)
	})
	err = journal.end(ctx, err)
	var refused *Error
	if errors.As(err, &refused) {
		return err
	}
	return store.WrapError(ctx, err, doing)
}

// undo checks and writes in one transaction, so that no cycle comes between.
func (m *Mirror) undo(ctx context.Context, tx store.Tx, receipt *Receipt) error {
	tables, err := tx.Tables(ctx)
	if err != nil {
		return err
	}
	refused := &Error{Op: "undo", ContextID: m.contextID, Err: ErrCannotUndo}
	for _, rt := range receipt.Tables {
		reason, err := checkData(ctx, tx, tables, rt)
		if err != nil {
			return err
		}
		if reason == "" && len(receipt.Lost) > 0 && len(rt.Metadata) > 0 && !slices.Contains(rt.Actions, ActionResetLSN) {
			reason = "had values that cannot be put back in " + text.Name(strings.Join(receipt.Lost, ", "))
		}
		if reason != "" {
			refused.Tables = append(refused.Tables, TableError{Table: rt.Table, Reason: reason})
		}
	}
	if len(refused.Tables) > 0 {
		return refused
	}
	if receipt.Kept != "" {
		return m.bringBack(ctx, tx, tables, receipt)
	}
	if receipt.Metadata != nil {
		return m.recreateMetadata(ctx, tx, tables, receipt)
	}
	return m.restoreRows(ctx, tx, tables, receipt)
}

// checkData returns why a table is no longer what it was before the operation.
func checkData(ctx context.Context, tx store.Tx, tables []store.Table, rt ReceiptTable) (string, error) {
	if slices.Contains(rt.Actions, ActionTruncate) {
		return "was truncated: its rows come back with the next cycle", nil
	}
	if _, ok, err := findTable(tables, rt.Table); slices.Contains(rt.Actions, ActionDrop) && ok && err == nil {
		return "is there: it was not dropped, or a cycle has created it", nil
	}
	if slices.Contains(rt.Actions, ActionDrop) {
		return "was dropped: it comes back with the next cycle", nil
	}
	if len(rt.Actions) == 0 {
		return "", nil
	}
	t, ok, err := findTable(tables, rt.Table)
	switch {
	case err != nil:
		return err.Error(), nil
	case ok != rt.Present && ok:
		return "exists now: a cycle has begun, or it was undone already", nil
	case ok != rt.Present:
		return "no longer exists", nil
	case !ok:
		return "", nil
	case fingerprint(t) != rt.Schema:
		return "has other columns now", nil
	}
	if unreadable(t) { // it was not counted
		return "", nil
	}
	rows, err := tx.Count(ctx, t)
	if err != nil {
		return "", err
	}
	if rows != rt.Rows {
		return fmt.Sprintf("has %s rows now and had %s: a cycle has begun, or somebody else changed it", text.Count(rows), text.Count(rt.Rows)), nil
	}
	return "", nil
}

func insertCells(ctx context.Context, tx store.Tx, t store.Table, cells []store.Cell) error {
	columns := make([]string, len(cells))
	values := make(store.Row, len(cells))
	for i, c := range cells {
		columns[i], values[i] = c.Column, c.Value
	}
	return tx.Insert(ctx, t, columns, []store.Row{values})
}

// restoreRows puts LSNs and metadata rows back.
func (m *Mirror) restoreRows(ctx context.Context, tx store.Tx, tables []store.Table, receipt *Receipt) error {
	md, err := m.readMetadata(ctx, tx, tables)
	if err != nil {
		return err
	}
	refused := &Error{Op: "undo", ContextID: m.contextID, Err: ErrCannotUndo}
	for _, rt := range receipt.Tables {
		refuse := func(reason string) {
			refused.Tables = append(refused.Tables, TableError{Table: rt.Table, Reason: reason})
		}
		t, ok, err := findTable(tables, rt.Table)
		if err != nil {
			return err
		}
		if !ok {
			t = store.Table{Name: rt.Table}
		}
		current := md.rowsOf(t)
		switch {
		case slices.Contains(rt.Actions, ActionResetLSN):
			if len(current) != 1 {
				refuse(fmt.Sprintf("has %d metadata rows now", len(current)))
				continue
			}
			row := &md.rows[current[0]]
			if sameCells(rt.Metadata[0], md.cells(row)) && (row.lsn == nil || *row.lsn != store.ResendAll) {
				refuse(fmt.Sprintf("has its previous LSN %s: there is nothing to undo", formatLSN(row.lsn)))
				continue
			}
			if row.lsn == nil || *row.lsn != store.ResendAll {
				refuse(fmt.Sprintf("has LSN %s now: a cycle has run, or it was written otherwise", formatLSN(row.lsn)))
				continue
			}
			var was store.Cell
			previous := slices.Clone(rt.Metadata[0])
			for i, c := range previous {
				if c.Column == md.lsn.Name {
					was, previous[i].Value = c, int64(store.ResendAll)
				}
			}
			if !sameCells(m.plainLSN(previous), m.plainLSN(md.cells(row))) {
				refuse("has another metadata row now")
				continue
			}
			if err := changeOne(tx.Set(ctx, md.table, keyCells(md.cells(row), md.name, md.lsn), []store.Cell{was})); err != nil {
				return fmt.Errorf("%s: %w", text.Name(rt.Table), err)
			}
		case slices.Contains(rt.Actions, ActionDeleteMetadata):
			if len(current) > 0 {
				refuse("has a metadata row again: it was undone already, or a cycle has begun")
				continue
			}
			for _, row := range rt.Metadata {
				if err := insertCells(ctx, tx, md.table, row); err != nil {
					return fmt.Errorf("%s: %w", text.Name(rt.Table), err)
				}
			}
		}
	}
	if len(refused.Tables) > 0 {
		return refused
	}
	if md, err = m.readMetadata(ctx, tx, tables); err != nil {
		return err
	}
	for _, rt := range receipt.Tables {
		if len(rt.Actions) == 0 {
			continue
		}
		if reason := md.notWritten(rt.Table, rt.Metadata); reason != "" {
			refused.Tables = append(refused.Tables, TableError{Table: rt.Table, Reason: reason})
		}
	}
	if len(refused.Tables) > 0 {
		return refused
	}
	return nil
}

// sameCells compares two metadata rows by column.
func sameCells(a, b []store.Cell) bool {
	return slices.EqualFunc(a, b, func(x, y store.Cell) bool {
		return strings.EqualFold(x.Column, y.Column) && (store.SameValue(x.Value, y.Value) || reflect.DeepEqual(x.Value, y.Value))
	})
}
