package cycle

import (
	"context"
	"slices"

	"github.com/so-mirror/mirror/store"
)

// writer writes rows and deletes keys of one table of a mirror or a replica.
type writer struct {
	target store.Table
	into   []string // columns of target, in the order of a row
	at     []int    // positions of the key in a row
}

func (w *writer) where(key store.Row) []store.Cell {
	cells := make([]store.Cell, len(key))
	for i, at := range w.at {
		cells[i] = store.Cell{Column: w.into[at], Value: key[i]}
	}
	return cells
}

// whereRow is where of the key of a row.
func (w *writer) whereRow(row store.Row) []store.Cell {
	key := make(store.Row, len(w.at))
	for i, at := range w.at {
		key[i] = row[at]
	}
	return w.where(key)
}

func (w *writer) delete(ctx context.Context, tx store.Tx, keys []store.Row) (deleted int64, err error) {
	for _, key := range keys {
		n, err := tx.Delete(ctx, w.target, w.where(key))
		if err != nil {
			return deleted, err
		}
		deleted += n
	}
	return deleted, nil
}

// upsert updates the rows whose keys are there, and inserts the others.
func (w *writer) upsert(ctx context.Context, tx store.Tx, rows []store.Row) (inserted, updated int64, err error) {
	var inserts []store.Row
	for _, row := range rows {
		n, err := w.set(ctx, tx, row)
		if err != nil {
			return 0, 0, err
		}
		updated += n
		if n == 0 {
			inserts = append(inserts, row)
		}
	}
	return int64(len(inserts)), updated, w.insert(ctx, tx, inserts)
}

// set updates the row with the key of row, if there is one.
func (w *writer) set(ctx context.Context, tx store.Tx, row store.Row) (updated int64, err error) {
	var set []store.Cell
	for i, v := range row {
		// A table that is all key sets its key to itself.
		if !slices.Contains(w.at, i) || len(w.at) == len(row) {
			set = append(set, store.Cell{Column: w.into[i], Value: v})
		}
	}
	return tx.Set(ctx, w.target, w.whereRow(row), set)
}

func (w *writer) insert(ctx context.Context, tx store.Tx, rows []store.Row) error {
	if len(rows) == 0 {
		return nil
	}
	return tx.Insert(ctx, w.target, w.into, rows)
}
