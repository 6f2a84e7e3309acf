package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/so-mirror/mirror/store"
)

// work changes rows at the customer after the last cycle: the mirror lags, and
// nothing is wrong with that.
func (d *demo) work(ctx context.Context) error {
	list, err := d.customer.Tables(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(list, func(t store.Table) bool { return t.Name == "document" })
	keys, err := d.keys(ctx, list[i], 30)
	if err != nil {
		return err
	}
	err = d.customer.Update(ctx, func(tx store.Tx) error {
		for _, key := range keys {
			if _, err := tx.Set(ctx, list[i], key, []store.Cell{{Column: "name", Value: "Renamed.docx"}}); err != nil {
				return err
			}
		}
		return nil
	})
	d.out.line("  document     the customer renamed %s: the next cycle brings them", count(int64(len(keys))))
	return err
}

// damage breaks the mirror in each of the ways that Compare can tell.
func (d *demo) damage(ctx context.Context) error {
	d.out.status("damaging the mirror")
	tables := map[string]store.Table{}
	list, err := d.mirrorStore.Tables(ctx)
	if err != nil {
		return err
	}
	for _, t := range list {
		tables[t.Name] = t
	}
	lost, err := d.keys(ctx, tables["contact"], 25)
	if err != nil {
		return err
	}
	stale, err := d.keys(ctx, tables["person"], 40)
	if err != nil {
		return err
	}
	extra, err := d.all(ctx, tables["appointment"])
	if err != nil {
		return err
	}
	projects, err := d.all(ctx, tables["project"])
	if err != nil {
		return err
	}
	err = d.mirrorStore.Update(ctx, func(tx store.Tx) error {
		for _, key := range lost {
			if _, err := tx.Delete(ctx, tables["contact"], key); err != nil {
				return err
			}
		}
		for _, key := range stale {
			if _, err := tx.Set(ctx, tables["person"], key, []store.Cell{{Column: "title", Value: "Trainee"}}); err != nil {
				return err
			}
		}
		if err := insertCopy(ctx, tx, tables["appointment"], extra); err != nil {
			return err
		}
		if err := tx.Drop(ctx, tables["sale"]); err != nil {
			return err
		}
		return changeColumn(ctx, tx, tables["project"], projects)
	})
	if err != nil {
		return err
	}
	d.out.line("  contact      %s rows are lost", count(int64(len(lost))))
	d.out.line("  person       %s rows are stale", count(int64(len(stale))))
	d.out.line("  appointment  1 row is there that the customer does not have")
	d.out.line("  sale         the table is gone")
	d.out.line("  project      the column name has another type")
	return nil
}

// keys returns the keys of every nth row.
func (d *demo) keys(ctx context.Context, t store.Table, n int) ([][]store.Cell, error) {
	var keys [][]store.Cell
	i := 0
	for batch, err := range d.mirrorStore.Rows(ctx, store.Query{Table: t, Columns: t.Key, Key: t.Key}) {
		if err != nil {
			return nil, err
		}
		for _, row := range batch {
			if i%n == n/2 {
				keys = append(keys, []store.Cell{{Column: t.Key[0], Value: row[0]}})
			}
			i++
		}
	}
	return keys, nil
}

func (d *demo) all(ctx context.Context, t store.Table) ([]store.Row, error) {
	var rows []store.Row
	for batch, err := range d.mirrorStore.Rows(ctx, store.Query{Table: t, Key: t.Key}) {
		if err != nil {
			return nil, err
		}
		for _, row := range batch {
			rows = append(rows, row.Clone())
		}
	}
	return rows, nil
}

// insertCopy inserts a copy of the last row under the next key.
func insertCopy(ctx context.Context, tx store.Tx, t store.Table, rows []store.Row) error {
	if len(rows) == 0 {
		return fmt.Errorf("table %s is empty", t)
	}
	row := rows[len(rows)-1].Clone()
	row[0] = row[0].(int64) + 1
	return tx.Insert(ctx, t, t.ColumnNames(), []store.Row{row})
}

// changeColumn makes the table anew with a longer name column.
func changeColumn(ctx context.Context, tx store.Tx, t store.Table, rows []store.Row) error {
	if err := tx.Drop(ctx, t); err != nil {
		return err
	}
	changed := t
	changed.Columns = append([]store.Column(nil), t.Columns...)
	for i, c := range changed.Columns {
		if c.Name == "name" {
			changed.Columns[i].Type = store.MustType("nvarchar(500)")
		}
	}
	if err := tx.Create(ctx, changed); err != nil {
		return err
	}
	return tx.Insert(ctx, changed, changed.ColumnNames(), rows)
}
