package cycle

import (
	"context"
	"crypto/sha256"
	"database/sql/driver"
	"fmt"
	"slices"
	"time"

	"github.com/so-mirror/mirror/internal/superoffice"
	"github.com/so-mirror/mirror/internal/tracking"
	"github.com/so-mirror/mirror/store"
)

// topic holds the events that are not known to be written yet.
type topic struct {
	name   string
	first  []int64 // offset of the oldest event that is still there, by partition
	next   []int64 // offset of the next event
	events []event
	runs   int
}

// event is what happened to one key of a table, or the list of all its keys.
type event struct {
	table  *copied
	run    int // events of one have different keys, in order; a snapshot is one of its own
	offset int64
	due    int // the Step that writes it

	deletes  []store.Row // keys that are gone
	row      store.Row   // nil: none
	snapshot bool        // row is one of many neighbours
	all      []store.Row // with purge: all keys that there are, in order
	purge    bool
}

func newTopic(name string, partitions int, offset int64) topic {
	first := slices.Repeat([]int64{offset}, partitions)
	return topic{name: name, first: first, next: slices.Clone(first)}
}

// text returns the offset as the state holds it, and what stands before its
// number when it is negative.
func (t *topic) text(partition int, offset int64) string {
	prefix := fmt.Sprintf("%s:%d:", t.name, partition)
	if offset < 0 {
		return prefix
	}
	return fmt.Sprint(prefix, offset)
}

// reaches reports whether reading can go on from the offsets.
func (t *topic) reaches(offsets []int64) bool {
	for p, o := range offsets {
		if o < t.first[p] || o > t.next[p] {
			return false
		}
	}
	return true
}

// drop forgets the events before the offsets.
func (t *topic) drop(offsets []int64) {
	copy(t.first, offsets)
	t.events = slices.DeleteFunc(t.events, func(e event) bool { return e.offset < offsets[e.table.partition] })
}

// add appends events of one run, which is a new one.
func (t *topic) add(table *copied, due int, events []event) {
	t.runs++
	for _, e := range events {
		e.table, e.run, e.due, e.offset = table, t.runs, due, t.next[table.partition]
		t.next[table.partition]++
		t.events = append(t.events, e)
	}
}

// capture adds what changed, and the next part of the snapshots. Versions are read
// before rows, and rows of a snapshot before those that changed, so that the last
// event of a key is never behind what is known to be captured.
func (r *Replica) capture(ctx context.Context) error {
	source, err := r.customer.Tables(ctx)
	if err != nil {
		return store.WrapError(ctx, err, "list the customer's tables")
	}
	there := map[string]store.Table{}
	for _, t := range source {
		there[store.FoldName(t.Name)] = t
	}
	names := sortedKeys(r.tables)
	type change struct {
		version int64
		keys    []tracking.Changed
		whole   bool
	}
	changes := make(map[*copied]change, len(names))
	for _, folded := range names {
		t := r.tables[folded]
		now, ok := there[folded]
		if !ok {
			t.gone = true
			delete(r.tables, folded)
			r.snapshots = slices.DeleteFunc(r.snapshots, func(s *snapshot) bool { return s.table == t })
			continue
		}
		if column := t.missing(now); column != "" {
			return fmt.Errorf("copy %s: its column %s is gone: call Provision", now, column)
		}
		version, keys, reason := r.customer.log.Since(t.source, store.LSN(t.captured))
		changes[t] = change{version, keys, reason != ""}
	}
	if err := r.captureSnapshots(ctx); err != nil {
		return err
	}
	for _, folded := range names {
		t, ok := r.tables[folded]
		if !ok {
			continue
		}
		c := changes[t]
		if c.whole {
			err = r.captureWhole(ctx, t)
		} else {
			err = r.captureChanges(ctx, t, c.keys)
		}
		if err != nil {
			return store.WrapError(ctx, err, "read changes of "+t.source.Name)
		}
		t.captured = c.version
	}
	return nil
}

// missing returns a column that is copied and that the table now lacks, "" for
// none.
func (t *copied) missing(now store.Table) string {
	for _, c := range t.columns {
		if _, ok := now.Column(c.Name); !ok {
			return c.Name
		}
	}
	return ""
}

func (r *Replica) due() int { return r.steps + r.opts.Delay }

// captureSnapshots reads the next rows of the snapshots.
func (r *Replica) captureSnapshots(ctx context.Context) error {
	left := r.opts.SnapshotRows
	for left > 0 && len(r.snapshots) > 0 {
		s := r.snapshots[0]
		n, done, err := r.readSnapshot(ctx, s, left)
		if err != nil {
			return store.WrapError(ctx, err, "take a snapshot of "+s.table.source.Name)
		}
		left -= n
		if done {
			r.snapshots = r.snapshots[1:]
		}
	}
	return nil
}

// readSnapshot reads at most limit rows behind those that were read. Without a
// primary key a table has no place to go on from, and is read at once.
func (r *Replica) readSnapshot(ctx context.Context, s *snapshot, limit int) (n int, done bool, err error) {
	t := s.table
	if len(t.source.Key) == 0 {
		rows, err := t.readAll(ctx)
		r.topic.add(t, r.due(), r.snapshotEvents(t, rows))
		return len(rows), true, err
	}
	q := store.Query{Table: t.source, Columns: t.columnNames(), Key: t.source.Key, From: s.last, Limit: int64(limit)}
	if s.last != nil {
		q.Limit++ // the row of that key comes again
	}
	key := tracking.KeyColumns(t.source)
	read := int64(0)
	last := s.last
	var rows []store.Row
	for batch, err := range r.customer.Rows(ctx, q) {
		if err != nil {
			return 0, false, err
		}
		for _, row := range batch {
			read++
			if s.last != nil && store.CompareKeys(key, s.last, t.keyOf(row)) == 0 {
				continue
			}
			rows = append(rows, row.Clone())
			last = t.keyOf(rows[len(rows)-1])
		}
	}
	r.topic.add(t, r.due(), r.snapshotEvents(t, rows))
	s.last = last
	return len(rows), read < q.Limit, nil
}

// readAll reads all rows in the order of the replica's key, one for each key.
func (t *copied) readAll(ctx context.Context) ([]store.Row, error) {
	key := t.keyColumns()
	names := make([]string, len(key))
	for i, c := range key {
		names[i] = c.Name
	}
	var rows []store.Row
	for batch, err := range t.customer.Rows(ctx, store.Query{Table: t.source, Columns: t.columnNames(), Key: names}) {
		if err != nil {
			return nil, err
		}
		for _, row := range batch {
			if n := len(rows); n > 0 && store.CompareKeys(key, t.keyOf(rows[n-1]), t.keyOf(row)) == 0 {
				rows = rows[:n-1] // an upsert over the one before
			}
			rows = append(rows, row.Clone())
		}
	}
	return rows, nil
}

// keyColumns returns the customer's columns that are the key of the replica.
func (t *copied) keyColumns() []store.Column {
	key := make([]store.Column, len(t.key))
	for i, at := range t.key {
		key[i] = t.columns[at]
	}
	return key
}

func (r *Replica) snapshotEvents(t *copied, rows []store.Row) []event {
	events := make([]event, len(rows))
	for i, row := range rows {
		t.remember(row, r.steps)
		events[i] = event{row: r.onTheWire(t, row), snapshot: true}
	}
	return events
}

// captureWhole adds the rows of a table of which single changes are not known,
// and that there are no others.
func (r *Replica) captureWhole(ctx context.Context, t *copied) error {
	rows, err := t.readAll(ctx)
	if err != nil {
		return err
	}
	all := make([]store.Row, len(rows))
	for i, row := range rows {
		all[i] = t.keyOf(row)
	}
	r.topic.add(t, r.due(), []event{{all: all, purge: true}})
	r.topic.add(t, r.due(), r.snapshotEvents(t, rows))
	return nil
}

// captureChanges adds the final state of every key that changed.
func (r *Replica) captureChanges(ctx context.Context, t *copied, keys []tracking.Changed) error {
	var events []event
	err := t.readChanged(ctx, keys, func(_ context.Context, deletes []store.Row, row store.Row) error {
		e := event{deletes: deletes}
		if row != nil {
			row = row.Clone()
			e.row = r.onTheWire(t, r.withoutUnchanged(t, row))
		}
		for _, key := range deletes {
			delete(t.large, tracking.KeyText(key))
		}
		events = append(events, e)
		return nil
	})
	if err == nil {
		r.topic.add(t, r.due(), events)
	}
	return err
}

// onTheWire returns a row as it travels.
func (r *Replica) onTheWire(t *copied, row store.Row) store.Row {
	if r.opts.RoundTimes <= 0 {
		return row
	}
	for i, v := range row {
		if v, ok := v.(time.Time); ok && !slices.Contains(t.key, i) {
			row[i] = v.Truncate(r.opts.RoundTimes)
		}
	}
	return row
}

// mark stands for the value of a large column.
type mark [sha256.Size]byte

func markOf(v driver.Value) mark {
	switch v := v.(type) {
	case string:
		return sha256.Sum256([]byte(v))
	case []byte:
		return sha256.Sum256(v)
	default: // NULL
		return mark{}
	}
}

// isLarge reports whether a column of the replica is of type (max).
func (t *copied) isLarge(i int) bool {
	c, _ := t.target.Column(t.into[i])
	return c.Type.Length == store.MaxLength
}

// largeValues stand for what the large columns of a row held when it was sent.
type largeValues struct {
	marks    []mark
	snapshot int // the Step whose snapshot it was in, 0 for none
}

// remember keeps what the large columns of a row hold.
func (t *copied) remember(row store.Row, snapshot int) {
	if t.large == nil {
		return
	}
	marks := make([]mark, len(row))
	for i, v := range row {
		if t.isLarge(i) {
			marks[i] = markOf(v)
		}
	}
	t.large[tracking.KeyText(t.keyOf(row))] = largeValues{marks, snapshot}
}

// withoutUnchanged returns a row that changed, without the large values that did
// not change and that the options lose.
func (r *Replica) withoutUnchanged(t *copied, row store.Row) store.Row {
	if t.large == nil {
		return row
	}
	before := t.large[tracking.KeyText(t.keyOf(row))]
	t.remember(row, 0)
	if before.marks == nil || before.snapshot == r.steps { // the snapshot may have seen the change
		return row
	}
	sent := slices.Clone(row)
	asked := func(lost func(table, column string) bool, i int) bool {
		return lost != nil && lost(t.source.Name, t.columns[i].Name)
	}
	for i, v := range row {
		if v == nil || !t.isLarge(i) || before.marks[i] != markOf(v) {
			continue
		}
		c, _ := t.target.Column(t.into[i])
		switch {
		case asked(r.opts.NullLarge, i) && c.Nullable:
			sent[i] = nil
		case asked(r.opts.PlaceholderLarge, i) && c.Type.Kind() == store.KindBytes:
			sent[i] = []byte(superoffice.Unavailable)
		case asked(r.opts.PlaceholderLarge, i):
			sent[i] = superoffice.Unavailable
		}
	}
	return sent
}
