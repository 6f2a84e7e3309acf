package cycle

import (
	"cmp"
	"context"
	"time"

	"github.com/so-mirror/mirror/internal/tracking"
	"github.com/so-mirror/mirror/store"
)

// sender sends one table.
type sender struct {
	*run
	reader
	writer
	row    metaRow
	result *TableResult
	whole  bool // the table is being repopulated
	batch  batch
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
	s := &sender{run: r, row: rows[folded], result: res}
	target := r.tables[folded]
	var columns []store.Column
	var into []string
	for _, c := range mirrored(source).Columns {
		t, ok := target.Column(c.Name)
		if !ok && r.task.Literal {
			continue // it was not noticed
		}
		columns, into = append(columns, c), append(into, t.Name)
	}
	s.reader = newReader(r.task.Customer, source, columns, source.Key)
	s.writer = writer{target: target, into: into, at: s.key}
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
	if err := s.readChanged(ctx, keys, s.addChange); err != nil {
		return err
	}
	return s.flush(ctx, &version)
}

// addChange adds the keys that are gone and the row, nil when there is none, to
// the batch.
func (s *sender) addChange(ctx context.Context, deletes []store.Row, row store.Row) error {
	size := 0
	if row != nil {
		size = rowSize(row)
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
	return s.insert(ctx, tx, s.batch.rows)
}

func (s *sender) writeChanges(ctx context.Context, tx store.Tx, n *TableResult) error {
	var err error
	if n.Deleted, err = s.delete(ctx, tx, s.batch.deletes); err != nil {
		return err
	}
	n.Inserted, n.Updated, err = s.upsert(ctx, tx, s.batch.rows)
	return err
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
