package cycle

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/so-mirror/mirror/internal/tracking"
	"github.com/so-mirror/mirror/store"
)

// sender sends one table.
type sender struct {
	*run
	source, target store.Table
	columns        []store.Column // of source, in the order of a row sent
	into           []string       // of target, in the same order
	key            []int          // positions of the key in a row
	row            metaRow
	result         *TableResult
	whole          bool // the table is being repopulated
	batch          batch
}

// batch is what one Update of the mirror writes.
type batch struct {
	deletes []store.Row // keys
	rows    []store.Row
	bytes   int
}

// send brings one table of the mirror up to date.
func (r *run) send(ctx context.Context, source store.Table, res *TableResult) error {
	rows, err := r.readMetadata(ctx)
	if err != nil {
		return err
	}
	folded := store.FoldName(source.Name)
	s := &sender{run: r, source: source, target: r.tables[folded], row: rows[folded], result: res}
	for _, c := range mirrored(source).Columns {
		t, ok := s.target.Column(c.Name)
		if !ok && r.task.Literal {
			continue // it was not noticed
		}
		s.columns, s.into = append(s.columns, c), append(s.into, t.Name)
	}
	for _, name := range source.Key {
		s.key = append(s.key, slices.IndexFunc(s.columns, func(c store.Column) bool { return sameName(c.Name, name) }))
	}
	lsn := s.row.value()
	res.After = lsn
	if res.Action == "" {
		res.Before = lsn
	}

	// The version is read before the rows, so rows may be ahead of it and the
	// next cycle sends those again, but none is ever behind.
	version, keys, reason := r.task.Customer.log.Since(source, lsn)
	if r.task.Literal && reason != "" && lsn >= 0 && int64(lsn) <= version && r.task.Customer.log.Quiet(source, int64(lsn)) {
		reason = ""
	}
	switch {
	case reason != "":
		if s.row.name == "" {
			reason = "the metadata table does not name it"
		} else if s.row.isNil {
			reason = "the LSN is NULL"
		}
		if res.Action == "" {
			res.Action, res.Reason = Wiped, reason
		}
		return s.sendAll(ctx, version)
	case len(keys) == 0:
		res.Action = cmp.Or(res.Action, Unchanged)
		return nil
	default:
		res.Action = cmp.Or(res.Action, Changes)
		return s.sendChanges(ctx, version, keys)
	}
}

// sendAll wipes the table and sends all rows.
func (s *sender) sendAll(ctx context.Context, version int64) error {
	s.whole = true
	for rows, err := range s.task.Customer.Rows(ctx, store.Query{Table: s.source, Columns: s.columnNames()}) {
		if err != nil {
			return err
		}
		for _, row := range rows {
			if err := s.makeRoom(ctx, rowSize(row)); err != nil {
				return err
			}
			s.batch.rows = append(s.batch.rows, row.Clone())
		}
	}
	return s.flush(ctx, &version)
}

// sendChanges sends the final state of every key that changed.
func (s *sender) sendChanges(ctx context.Context, version int64, keys []tracking.Changed) error {
	kept := max(0, slices.IndexFunc(keys, func(k tracking.Changed) bool { return !k.Deleted }))
	for _, sorted := range [][]tracking.Changed{keys[:kept], keys[kept:]} { // deleted keys first
		if err := s.look(ctx, sorted, s.addChange); err != nil {
			return err
		}
	}
	return s.flush(ctx, &version)
}

// addChange adds a key and its row, nil when there is none, to the batch.
func (s *sender) addChange(ctx context.Context, k tracking.Changed, row store.Row) error {
	size := 0
	deletes := k.Spellings
	if row != nil {
		size = rowSize(row)
		// What the row is called now must not be deleted.
		deletes = slices.DeleteFunc(slices.Clone(deletes), func(key store.Row) bool { return s.equalKeys(key, s.keyOf(row)) })
	}
	for _, d := range deletes {
		size += rowSize(d)
	}
	if err := s.makeRoom(ctx, size); err != nil {
		return err
	}
	s.batch.deletes = append(s.batch.deletes, deletes...)
	if row != nil {
		s.batch.rows = append(s.batch.rows, row.Clone())
	}
	return nil
}

// maxRead is the most rows of one read of look.
const maxRead = 1 << 14

// look finds the customer's rows with the keys, which are in order. It reads
// one row where the changes are far apart, and longer and longer runs where
// they are dense: a read can cost a scan where no index has the order.
func (s *sender) look(ctx context.Context, keys []tracking.Changed, found func(context.Context, tracking.Changed, store.Row) error) error {
	columns := tracking.KeyColumns(s.source)
	for limit := int64(1); len(keys) > 0; {
		before, read := len(keys), int64(0)
		q := store.Query{Table: s.source, Columns: s.columnNames(), Key: s.source.Key, From: keys[0].Spellings[0], Limit: limit}
		for rows, err := range s.task.Customer.Rows(ctx, q) {
			if err != nil {
				return err
			}
			for _, row := range rows {
				read++
				// Keys before the row have none, the row's own key has it.
				for len(keys) > 0 {
					n := store.CompareKeys(columns, keys[0].Spellings[0], s.keyOf(row))
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

func (s *sender) columnNames() []string {
	names := make([]string, len(s.columns))
	for i, c := range s.columns {
		names[i] = c.Name
	}
	return names
}

func (s *sender) keyOf(row store.Row) store.Row {
	key := make(store.Row, len(s.key))
	for i, at := range s.key {
		key[i] = row[at]
	}
	return key
}

func (s *sender) equalKeys(a, b store.Row) bool {
	for i, at := range s.key {
		if t := s.columns[at].Type; !store.EqualValues(t, t, a[i], b[i]) {
			return false
		}
	}
	return true
}

// makeRoom sends the batch when size more bytes would not fit into it.
func (s *sender) makeRoom(ctx context.Context, size int) error {
	if s.batch.bytes > 0 && s.batch.bytes+size > s.size {
		if err := s.flush(ctx, nil); err != nil {
			return err
		}
	}
	s.batch.bytes += size
	return nil
}

// flush writes the batch. The last one of a table carries the LSN.
func (s *sender) flush(ctx context.Context, lsn *int64) error {
	if s.task.FailAfterBatches > 0 && s.batches >= s.task.FailAfterBatches {
		return ErrInterrupted
	}
	if s.task.BeforeCommit != nil {
		s.task.BeforeCommit(s.source.Name, lsn != nil)
	}
	var n TableResult // counted anew should the store run the function again
	err := s.task.Mirror.Update(ctx, func(tx store.Tx) error {
		n = TableResult{}
		write := s.writeChanges
		if s.whole {
			write = s.writeAll
		}
		if err := write(ctx, tx, &n); err != nil || lsn == nil {
			return err
		}
		return s.meta.setLSN(ctx, tx, s.row, mirrored(s.source), *lsn)
	})
	if err != nil {
		return err
	}
	s.batches++
	s.batch = batch{}
	res := s.result
	res.Batches++
	res.Inserted += n.Inserted
	res.Updated += n.Updated
	res.Deleted += n.Deleted
	if lsn != nil {
		res.After = store.LSN(*lsn)
	}
	if s.task.Progress != nil {
		s.task.Progress(s.source.Name, res.Inserted+res.Updated+res.Deleted)
	}
	return nil
}

func (s *sender) writeAll(ctx context.Context, tx store.Tx, n *TableResult) error {
	if s.result.Batches == 0 {
		if err := tx.Truncate(ctx, s.target); err != nil {
			return err
		}
		if err := s.meta.invalidate(ctx, tx, s.row); err != nil {
			return err
		}
	}
	n.Inserted = int64(len(s.batch.rows))
	if len(s.batch.rows) == 0 {
		return nil
	}
	return tx.Insert(ctx, s.target, s.into, s.batch.rows)
}

func (s *sender) writeChanges(ctx context.Context, tx store.Tx, n *TableResult) error {
	for _, key := range s.batch.deletes {
		deleted, err := tx.Delete(ctx, s.target, s.where(key))
		if err != nil {
			return err
		}
		n.Deleted += deleted
	}
	var inserts []store.Row
	for _, row := range s.batch.rows {
		var set []store.Cell
		for i, v := range row {
			// A table that is all key sets its key to itself.
			if !slices.Contains(s.key, i) || len(s.key) == len(row) {
				set = append(set, store.Cell{Column: s.into[i], Value: v})
			}
		}
		updated, err := tx.Set(ctx, s.target, s.where(s.keyOf(row)), set)
		if err != nil {
			return err
		}
		n.Updated += updated
		if updated == 0 {
			inserts = append(inserts, row)
		}
	}
	n.Inserted = int64(len(inserts))
	if len(inserts) == 0 {
		return nil
	}
	return tx.Insert(ctx, s.target, s.into, inserts)
}

func (s *sender) where(key store.Row) []store.Cell {
	cells := make([]store.Cell, len(key))
	for i, at := range s.key {
		cells[i] = store.Cell{Column: s.into[at], Value: key[i]}
	}
	return cells
}

// rowSize estimates what a row takes on the wire.
func rowSize(row store.Row) int {
	n := 0
	for _, v := range row {
		switch v := v.(type) {
		case string:
			n += len(v)
		case []byte:
			n += len(v)
		case time.Time:
			n += 8
		case int64, float64:
			n += 8
		}
		n++
	}
	return n
}
