package cycle

import (
	"context"
	"slices"

	"github.com/so-mirror/mirror/internal/tracking"
	"github.com/so-mirror/mirror/store"
)

// reader reads the rows of one of the customer's tables.
type reader struct {
	customer *Customer
	source   store.Table
	columns  []store.Column // of source, in the order of a row
	key      []int          // positions of the key in a row
}

func newReader(c *Customer, source store.Table, columns []store.Column, key []string) reader {
	r := reader{customer: c, source: source, columns: columns}
	for _, name := range key {
		r.key = append(r.key, slices.IndexFunc(columns, func(c store.Column) bool { return sameName(c.Name, name) }))
	}
	return r
}

// readChanged reads the final state of every key that changed, deleted keys first:
// the keys that are gone, and the row, nil when there is none. The row is valid
// until found returns.
func (r *reader) readChanged(ctx context.Context, keys []tracking.Changed, found func(ctx context.Context, deletes []store.Row, row store.Row) error) error {
	kept := max(0, slices.IndexFunc(keys, func(k tracking.Changed) bool { return !k.Deleted }))
	each := func(ctx context.Context, k tracking.Changed, row store.Row) error {
		deletes := k.Spellings
		if row != nil { // what it is called now must not be deleted
			deletes = slices.DeleteFunc(slices.Clone(deletes), func(key store.Row) bool { return r.equalKeys(key, r.keyOf(row)) })
		}
		return found(ctx, deletes, row)
	}
	for _, sorted := range [][]tracking.Changed{keys[:kept], keys[kept:]} {
		if err := r.look(ctx, sorted, each); err != nil {
			return err
		}
	}
	return nil
}

// maxRead is the most rows of one read of look.
const maxRead = 1 << 14

// look finds the customer's rows with the keys, which are in order. It reads
// one row where the changes are far apart, and longer and longer runs where
// they are dense: a read can cost a scan where no index has the order.
func (r *reader) look(ctx context.Context, keys []tracking.Changed, found func(context.Context, tracking.Changed, store.Row) error) error {
	columns := tracking.KeyColumns(r.source)
	for limit := int64(1); len(keys) > 0; {
		before, read := len(keys), int64(0)
		q := store.Query{Table: r.source, Columns: r.columnNames(), Key: r.source.Key, From: keys[0].Spellings[0], Limit: limit}
		for rows, err := range r.customer.Rows(ctx, q) {
			if err != nil {
				return err
			}
			for _, row := range rows {
				read++
				// Keys before the row have none, the row's own key has it.
				for len(keys) > 0 {
					n := store.CompareKeys(columns, keys[0].Spellings[0], r.keyOf(row))
					if n > 0 {
						break
					}
					var its store.Row
					if n == 0 {
						its = row
					}
					if err := found(ctx, keys[0], its); err != nil {
						return err
					}
					keys = keys[1:]
				}
				if len(keys) == 0 {
					return nil
				}
			}
		}
		if read < limit { // the end of the table
			for _, k := range keys {
				if err := found(ctx, k, nil); err != nil {
					return err
				}
			}
			return nil
		}
		if hits := int64(before - len(keys)); hits >= limit/2 {
			limit = min(2*limit, maxRead)
		} else {
			limit = max(limit/2, 1)
		}
	}
	return nil
}

func (r *reader) columnNames() []string {
	names := make([]string, len(r.columns))
	for i, c := range r.columns {
		names[i] = c.Name
	}
	return names
}

func (r *reader) keyOf(row store.Row) store.Row {
	key := make(store.Row, len(r.key))
	for i, at := range r.key {
		key[i] = row[at]
	}
	return key
}

func (r *reader) equalKeys(a, b store.Row) bool {
	for i, at := range r.key {
		if t := r.columns[at].Type; !store.EqualValues(t, t, a[i], b[i]) {
			return false
		}
	}
	return true
}
