package mirror

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/store"
)

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
