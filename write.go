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
			Time: m.clock.Now().UTC(), Mirror: *r.mirror, MetadataTable: md.Table.Name,
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

// apply carries out what the receipt says.
func (m *Mirror) apply(ctx context.Context, r *resync, tx store.Tx, receipt *Receipt) error {
	t, err := m.findMetadata(r.tables)
	if err != nil {
		return err
	}
	if receipt.Metadata != nil {
		return m.takeAway(ctx, r, tx, t, receipt)
	}
	md, err := m.names.Define(t)
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
				err = md.RequestAll(ctx, tx, rt.Metadata[0])
				refused = "cannot get LSN -1: %v: HardReset of that table deletes its metadata row instead, and the next cycle sends all of it"
			case ActionDeleteMetadata:
				err = md.Delete(ctx, tx, rt.Metadata)
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
			reason = md.NotWritten(rt.Table, m.names.Reset(rt.Metadata))
		case slices.Contains(rt.Actions, ActionDeleteMetadata):
			reason = md.NotWritten(rt.Table, nil)
		}
		if reason != "" {
			refused.refuse(rt.Table, reason)
		}
	}
	return refused.orNil()
}
