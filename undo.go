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
// another customer, of another version or of a dry run is ErrInvalidDocument.
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
