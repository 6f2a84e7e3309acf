package mirror

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/so-mirror/mirror/internal/metadata"
	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/store"
)

// Undo takes back what a receipt records, all of it or nothing: it puts the previous
// LSNs back, or the metadata rows, or the metadata table with everything that belongs
// to it, but for Receipt.NotUndone. Call it before the next cycle begins.
//
// What can no longer be undone is an *Error with ErrCannotUndo that names each table
// and the reason: its rows were truncated or dropped, its metadata row or LSN moved
// on, its columns changed, or it no longer has the number of rows that it had, which
// means that a cycle has begun to wipe it. The number of rows is all that can be
// checked of the data: when a cycle may have begun, Compare afterwards. A receipt of
// another customer, of another version or of a dry run is ErrInvalidDocument, one of
// another database ErrWrongDatabase.
func (m *Mirror) Undo(ctx context.Context, receipt *Receipt) (err error) {
	doing := "undo of " + m.contextID
	defer func() { m.logChange(ctx, "undo", false, receipt, err) }()
	if err := m.CheckReceipt(receipt); err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	if err := m.checkDatabase(ctx, "receipt", receipt.Mirror); err != nil {
		return store.WrapError(ctx, err, doing)
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
			refused.refuse(rt.Table, reason)
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

// restoreRows puts LSNs and metadata rows back.
func (m *Mirror) restoreRows(ctx context.Context, tx store.Tx, tables []store.Table, receipt *Receipt) error {
	md, err := m.readMetadata(ctx, tx, tables)
	if err != nil {
		return err
	}
	refused := &Error{Op: "undo", ContextID: m.contextID, Err: ErrCannotUndo}
	for _, rt := range receipt.Tables {
		t, ok, err := findTable(tables, rt.Table)
		if err != nil {
			return err
		}
		if !ok {
			t = store.Table{Name: rt.Table}
		}
		reason := ""
		switch {
		case slices.Contains(rt.Actions, ActionResetLSN):
			reason, err = m.restoreLSN(ctx, tx, md, md.Of(t), rt.Metadata[0])
		case slices.Contains(rt.Actions, ActionDeleteMetadata) && len(md.Of(t)) > 0:
			reason = "has a metadata row again: it was undone already, or a cycle has begun"
		case slices.Contains(rt.Actions, ActionDeleteMetadata):
			for _, row := range rt.Metadata {
				if err = metadata.Insert(ctx, tx, md.Table, row); err != nil {
					break
				}
			}
		}
		if err != nil {
			return fmt.Errorf("%s: %w", text.Name(rt.Table), err)
		}
		if reason != "" {
			refused.refuse(rt.Table, reason)
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
		if reason := md.NotWritten(rt.Table, rt.Metadata); reason != "" {
			refused.refuse(rt.Table, reason)
		}
	}
	return refused.orNil()
}

// restoreLSN puts the LSN of the metadata row back that was there before, or says
// why not. Rows are those that the table has now.
func (m *Mirror) restoreLSN(ctx context.Context, tx store.Tx, md *metadata.Table, rows []*metadata.Row, before []store.Cell) (reason string, err error) {
	if len(rows) != 1 {
		return fmt.Sprintf("has %d metadata rows now", len(rows)), nil
	}
	row := rows[0]
	if row.LSN == nil || *row.LSN != store.ResendAll {
		if metadata.SameCells(before, row.Cells) {
			return fmt.Sprintf("has its previous LSN %s: there is nothing to undo", store.FormatLSN(row.LSN)), nil
		}
		return fmt.Sprintf("has LSN %s now: a cycle has run, or it was written otherwise", store.FormatLSN(row.LSN)), nil
	}
	var was store.Cell
	reset := slices.Clone(before)
	for i, c := range reset {
		if c.Column == md.LSNColumn.Name {
			was, reset[i].Value = c, int64(store.ResendAll)
		}
	}
	if !m.names.SameRow(reset, row.Cells) {
		return "has another metadata row now", nil
	}
	return "", md.Set(ctx, tx, row.Cells, was)
}

// takeAway renames the metadata table, or drops it. What an earlier hard reset
// kept makes room. Deleting its rows instead would leave a table that a cycle does
// not create, and so one that it may take for valid.
func (m *Mirror) takeAway(ctx context.Context, r *resync, tx store.Tx, t store.Table, receipt *Receipt) error {
	if r.drop {
		if r.dryRun {
			return nil
		}
		return tx.Drop(ctx, t)
	}
	renamer, ok := tx.(store.Renamer)
	if !ok {
		return errNoRename
	}
	if old, ok := m.names.FindKept(r.tables); ok {
		if err := tx.Drop(ctx, old); err != nil {
			return err
		}
	}
	err := renamer.Rename(ctx, t, receipt.Kept)
	if errors.Is(err, errors.ErrUnsupported) {
		return fmt.Errorf("%w: %w", errNoRename, err)
	}
	return err
}

// tryCreate finds out whether Undo could create the metadata table, in a
// transaction that is rolled back.
func (m *Mirror) tryCreate(ctx context.Context, r *resync) (reason string, err error) {
	t, err := m.findMetadata(r.tables)
	if err != nil {
		return "", err
	}
	t.Name = m.names.Kept()
	if _, taken := m.names.FindKept(r.tables); taken {
		t.Name += "_"
	}
	created := false
	err = m.store.Update(ctx, func(tx store.Tx) error {
		created = false
		err := tx.Create(ctx, t)
		created = err == nil
		return errors.Join(err, errDryRun)
	})
	switch {
	case created && errors.Is(err, errDryRun):
		return "", nil
	case err == nil || ctx.Err() != nil || store.IsTransient(err):
		return "", err
	default:
		return text.Err(err).Error(), nil
	}
}

// losses writes down what Undo will not bring back, and refuses what it could
// not take back at all.
func (m *Mirror) losses(r *resync, md *metadata.Table, receipt *Receipt) error {
	var truncated, dropped, rows int64
	deleted := false
	for _, rt := range receipt.Tables {
		switch {
		case slices.Contains(rt.Actions, ActionDrop):
			dropped++
			rows += rt.Rows
		case slices.Contains(rt.Actions, ActionTruncate):
			truncated++
			rows += rt.Rows
		}
		deleted = deleted || slices.Contains(rt.Actions, ActionDeleteMetadata)
	}
	say := func(format string, args ...any) {
		receipt.NotUndone = append(receipt.NotUndone, fmt.Sprintf(format, args...))
	}
	if truncated > 0 {
		say("%s of the truncated tables: the next cycle sends them", text.Rows(rows))
	}
	if dropped > 0 {
		say("the dropped tables with %s, indexes, foreign keys, triggers and permissions: the next cycle creates columns, key and rows", text.Rows(rows))
	}
	whole := receipt.Metadata != nil
	if whole && !r.drop {
		receipt.Kept = m.names.Kept()
		if old, ok := m.names.FindKept(r.tables); ok {
			if _, err := m.names.Define(old); err != nil {
				return m.cannotUndo(string(r.op), old.Name,
					"is in the way: the metadata table would get that name, and what has it is no metadata table: give it another one")
			}
			say("what the hard reset before this one kept: %s is dropped", text.Name(old.Name))
		}
		return nil
	}
	if !deleted && !whole {
		return nil
	}
	receipt.Lost = md.Lost
	var never []string
	for _, c := range md.Table.Columns {
		name := text.Name(c.Name)
		switch {
		case c.Type.Name == "rowversion" && !whole:
			say("the value of column %s of the metadata rows, which the database makes anew", name)
		case slices.Contains(md.Lost, c.Name):
			never = append(never, fmt.Sprintf("column %s is %s, whose values are not read", name, text.Name(c.Type.String())))
		case whole && (c.Generated || c.Type.Kind() == store.KindOther):
			never = append(never, fmt.Sprintf("column %s is made by the database, and how is not known", name))
		}
	}
	if whole {
		say("IDENTITY, UNIQUE, CHECK, foreign keys, indexes, triggers and permissions of the metadata table: this database cannot rename it, so Undo creates its columns, key and rows alone")
		if r.noCreate != "" && len(never) == 0 {
			never = append(never, r.noCreate)
		}
	}
	if len(never) == 0 {
		return nil
	}
	reason := strings.Join(never, "; ")
	say("any of it: %s", reason)
	if r.dryRun || r.noUndo {
		return nil
	}
	return m.cannotUndo(string(r.op), receipt.MetadataTable, "could not be put back: "+reason+": set NoUndo to do it all the same")
}

func (m *Mirror) cannotUndo(op, table, reason string) error {
	return &Error{Op: op, ContextID: m.contextID, Err: ErrCannotUndo, Tables: []TableError{{Table: table, Reason: reason}}}
}

// bringBack gives the metadata table that a hard reset kept its name again.
func (m *Mirror) bringBack(ctx context.Context, tx store.Tx, tables []store.Table, receipt *Receipt) error {
	refuse := func(reason string) error { return m.cannotUndo("undo", receipt.MetadataTable, reason) }
	if _, err := m.findMetadata(tables); err == nil {
		return refuse("exists again: it was undone already, or a cycle has begun")
	}
	t, ok := m.names.FindKept(tables)
	if !ok {
		return refuse(fmt.Sprintf("is gone: the table %s that it was kept as was dropped", m.names.Kept()))
	}
	md, err := m.readMetadataFrom(ctx, tx, t, tables)
	if err != nil {
		return err
	}
	var was [][]store.Cell
	for _, rt := range receipt.Tables {
		was = append(was, rt.Metadata...)
	}
	if !m.names.SameRows(was, md.AllCells()) {
		return refuse(fmt.Sprintf("has other rows now, as %s: that is of another hard reset, or was written to", m.names.Kept()))
	}
	renamer, ok := tx.(store.Renamer)
	if !ok {
		return refuse("cannot be renamed with this store: rename " + m.names.Kept() + " by hand")
	}
	if err := renamer.Rename(ctx, t, receipt.MetadataTable); err != nil {
		return err
	}
	return m.checkBack(ctx, tx)
}

// recreateMetadata puts a dropped metadata table back.
func (m *Mirror) recreateMetadata(ctx context.Context, tx store.Tx, tables []store.Table, receipt *Receipt) error {
	refuse := func(reason string) error { return m.cannotUndo("undo", receipt.MetadataTable, reason) }
	if _, err := m.findMetadata(tables); err == nil {
		return refuse("exists again: it was undone already, or a cycle has begun")
	}
	for _, c := range receipt.Metadata.Columns {
		if c.Generated || c.Type.Kind() == store.KindOther {
			return refuse(fmt.Sprintf("had a column %s that cannot be put back", text.Name(c.Name)))
		}
	}
	if err := tx.Create(ctx, *receipt.Metadata); err != nil {
		return err
	}
	for _, rt := range receipt.Tables {
		for _, row := range rt.Metadata {
			if err := metadata.Insert(ctx, tx, *receipt.Metadata, row); err != nil {
				return fmt.Errorf("%s: %w", text.Name(rt.Table), err)
			}
		}
	}
	return m.checkBack(ctx, tx)
}

// checkBack demands that a metadata table which was put back is one.
func (m *Mirror) checkBack(ctx context.Context, tx store.Tx) error {
	if tables, err := tx.Tables(ctx); err != nil {
		return err
	} else if _, err = m.readMetadata(ctx, tx, tables); err != nil {
		return fmt.Errorf("%w: its metadata table is not one: %w", errInvalidReceipt, err)
	}
	return nil
}
