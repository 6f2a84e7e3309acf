package metadata

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/so-mirror/mirror/store"
)

// ErrLSNMoved means that a cycle changed a metadata row between the reading of it
// and the writing.
var ErrLSNMoved = errors.New("the LSN moved while it was being reset")

// Set writes one cell of the metadata row that was read as row.
func (d Definition) Set(ctx context.Context, tx store.Tx, row []store.Cell, cell store.Cell) error {
	n, err := tx.Set(ctx, d.Table, d.key(row), []store.Cell{cell})
	if err == nil && n != 1 {
		return ErrLSNMoved
	}
	return err
}

// RequestAll sets the LSN of the metadata row that was read as row to -1.
func (d Definition) RequestAll(ctx context.Context, tx store.Tx, row []store.Cell) error {
	return d.Set(ctx, tx, row, store.Cell{Column: d.LSNColumn.Name, Value: int64(store.ResendAll)})
}

// Delete deletes all metadata rows of one table.
func (d Definition) Delete(ctx context.Context, tx store.Tx, rows [][]store.Cell) error {
	var deleted int64
	for i, row := range rows {
		where := d.key(row)
		twin := func(other []store.Cell) bool { return SameCells(where, d.key(other)) }
		if slices.ContainsFunc(rows[:i], twin) {
			continue // deleted together with its twin
		}
		n, err := tx.Delete(ctx, d.Table, where)
		if err != nil {
			return err
		}
		deleted += n
	}
	if deleted != int64(len(rows)) {
		return ErrLSNMoved
	}
	return nil
}

// key returns the cells of a metadata row that find it as long as its LSN has not
// moved.
func (d Definition) key(row []store.Cell) []store.Cell {
	var cells []store.Cell
	for _, c := range row {
		if c.Column == d.TableColumn.Name || c.Column == d.LSNColumn.Name {
			cells = append(cells, c)
		}
	}
	return cells
}

// Insert puts a whole row into a metadata table.
func Insert(ctx context.Context, tx store.Tx, t store.Table, row []store.Cell) error {
	columns := make([]string, len(row))
	values := make(store.Row, len(row))
	for i, c := range row {
		columns[i], values[i] = c.Column, c.Value
	}
	return tx.Insert(ctx, t, columns, []store.Row{values})
}

// NotWritten says that a table does not have the number of metadata rows, or a
// single one not the LSN, that was just written, "" when it has.
func (md *Table) NotWritten(table string, written [][]store.Cell) string {
	is := md.Cells(table)
	if len(is) != len(written) {
		return fmt.Sprintf("has %d metadata rows after a write that leaves %d: a trigger of the metadata table changes that", len(is), len(written))
	}
	if len(is) != 1 {
		return ""
	}
	now, want := md.lsnCell(is[0]), md.lsnCell(written[0])
	if SameCells([]store.Cell{now}, []store.Cell{want}) {
		return ""
	}
	return fmt.Sprintf("has LSN %s after it was set to %s: a trigger of the metadata table changes it", now.Text(), want.Text())
}

// lsnCell returns the LSN of a metadata row as a number, or why it is none.
func (d Definition) lsnCell(row []store.Cell) store.Cell {
	i := slices.IndexFunc(row, func(c store.Cell) bool { return store.FoldName(c.Column) == store.FoldName(d.LSNColumn.Name) })
	if i < 0 {
		return store.Cell{}
	}
	n, problem := readLSN(row[i].Value)
	if n == nil {
		return store.Cell{Value: row[i].Value, Column: problem}
	}
	return store.Cell{Value: int64(*n)}
}
