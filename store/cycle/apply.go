package cycle

import (
	"context"
	"database/sql/driver"
	"slices"

	"github.com/so-mirror/mirror/store"
)

// apply writes the events that are due.
func (r *Replica) apply(ctx context.Context) error {
	due := slices.IndexFunc(r.topic.events, func(e event) bool { return e.due > r.steps })
	if due < 0 {
		due = len(r.topic.events)
	}
	events := r.topic.events[:due]
	if len(events) == 0 {
		return nil
	}
	limit := r.failAfter
	r.failAfter = -1
	for len(events) > 0 {
		n := min(len(events), r.opts.TransactionEvents)
		if limit >= 0 && (limit <= n || n == len(events)) {
			if err := r.write(ctx, events[:min(limit, n)], false); err != nil {
				return err
			}
			return ErrInterrupted
		}
		if err := r.write(ctx, events[:n], true); err != nil {
			return err
		}
		if limit >= 0 {
			limit -= n
		}
		events = events[n:]
		for _, e := range r.topic.events[:n] {
			r.topic.first[e.table.partition] = e.offset + 1
		}
		r.topic.events = r.topic.events[n:]
	}
	return nil
}

// write writes events in one transaction, and moves the offsets with them.
func (r *Replica) write(ctx context.Context, events []event, move bool) error {
	err := r.db.Update(ctx, func(tx store.Tx) error {
		offsets := map[int]int64{}
		for rest := events; len(rest) > 0; {
			n := slices.IndexFunc(rest, func(e event) bool { return e.run != rest[0].run })
			if n < 0 {
				n = len(rest)
			}
			if err := writeRun(ctx, tx, rest[:n]); err != nil {
				return err
			}
			offsets[rest[0].table.partition] = rest[n-1].offset + 1
			rest = rest[n:]
		}
		if !move {
			return nil
		}
		return r.moveOffsets(ctx, tx, offsets)
	})
	return store.WrapError(ctx, err, "write changes to the replica")
}

// writeRun writes events of one run, deletes first.
func writeRun(ctx context.Context, tx store.Tx, events []event) error {
	t := events[0].table
	if t.gone {
		return nil
	}
	if events[0].purge {
		return t.purge(ctx, tx, events[0].all)
	}
	var rows []store.Row
	for _, e := range events {
		if _, err := t.delete(ctx, tx, e.deletes); err != nil {
			return err
		}
		if e.row != nil {
			rows = append(rows, e.row)
		}
	}
	if events[0].snapshot {
		return t.fill(ctx, tx, rows)
	}
	_, _, err := t.upsert(ctx, tx, rows)
	return err
}

// fill upserts rows in key order, most of which are neighbours: what is there of
// them is read at once, and what is equal is not written.
func (t *copied) fill(ctx context.Context, tx store.Tx, rows []store.Row) error {
	key := t.keyColumns()
	last := t.keyOf(rows[len(rows)-1])
	equal := make([]func(a, b driver.Value) bool, len(t.into))
	for i, name := range t.into {
		c, _ := t.target.Column(name)
		equal[i] = store.EqualFunc(c.Type, c.Type)
	}
	q := store.Query{Table: t.target, Columns: t.into, Key: t.target.Key, From: t.keyOf(rows[0])}
	var inserts, sets []store.Row
	rest := rows
read:
	for batch, err := range tx.Rows(ctx, q) {
		if err != nil {
			return err
		}
		for _, have := range batch {
			its := t.keyOf(have)
			if store.CompareKeys(key, its, last) > 0 {
				break read
			}
			for len(rest) > 0 && store.CompareKeys(key, t.keyOf(rest[0]), its) < 0 {
				inserts, rest = append(inserts, rest[0]), rest[1:]
			}
			if len(rest) == 0 || store.CompareKeys(key, t.keyOf(rest[0]), its) > 0 {
				continue // the snapshot deletes nothing
			}
			for i, v := range rest[0] {
				if !equal[i](v, have[i]) {
					sets = append(sets, rest[0])
					break
				}
			}
			rest = rest[1:]
		}
	}
	for _, row := range sets {
		if _, err := t.set(ctx, tx, row); err != nil {
			return err
		}
	}
	return t.insert(ctx, tx, append(inserts, rest...))
}

// purge deletes the rows whose keys are not among all, which are in order.
func (t *copied) purge(ctx context.Context, tx store.Tx, all []store.Row) error {
	key := t.keyColumns()
	var gone []store.Row
	for batch, err := range tx.Rows(ctx, store.Query{Table: t.target, Columns: t.target.Key, Key: t.target.Key}) {
		if err != nil {
			return err
		}
		for _, its := range batch {
			for len(all) > 0 && store.CompareKeys(key, all[0], its) < 0 {
				all = all[1:]
			}
			if len(all) == 0 || store.CompareKeys(key, all[0], its) > 0 {
				gone = append(gone, its.Clone())
			}
		}
	}
	_, err := t.delete(ctx, tx, gone)
	return err
}
