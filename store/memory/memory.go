// Package memory is a [store.Store] in memory, for unit tests of code that
// uses the library. Tables are seeded from Go literals, faults and delays are
// injected by method and call, and the result is read back without SQL:
//
//	store := memory.New(memory.Table{
//		Name:    "contact",
//		Columns: []string{"contact_id int", "name nvarchar(219) null"},
//		Key:     []string{"contact_id"},
//		Rows:    []store.Row{{1, "Alfa"}, {2, nil}},
//	})
//
// Changes are tracked, as in a customer's database, after [Store.TrackChanges].
//
// It holds callers to the contracts of [store.Store] where an engine might
// let them pass: tables and columns are found only by the name that Tables
// returned, a batch is overwritten when the next one is asked for, and a
// transaction in which a method failed cannot be committed.
//
// Unlike SQL Server, primary keys are unique by [store.CompareKeys], so keys
// that differ by case or trailing blanks are two keys.
package memory

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"

	"github.com/so-mirror/mirror/internal/superoffice"
	"github.com/so-mirror/mirror/internal/tracking"
	"github.com/so-mirror/mirror/store"
)

// batchRows is small so that the tables of tests cross the borders of batches.
const batchRows = 16

// Store is a store.Store in memory. Make it with New. It is safe for
// concurrent use: readers see the tables as they were when they began to read.
type Store struct {
	id     string
	writer chan struct{} // holds one token while somebody writes

	mu     sync.Mutex
	db     database      // committed; replaced, never changed
	log    *tracking.Log // nil: changes are not tracked
	has    []store.Object
	calls  []Call
	counts map[Method]int
	faults []fault
}

var (
	_ store.Store       = (*Store)(nil)
	_ store.Identifier  = (*Store)(nil)
	_ store.Inventorier = (*Store)(nil)
)

// Identity implements store.Identifier: each Store is a database of its own.
func (s *Store) Identity(ctx context.Context) (store.Identity, error) {
	return store.Identity{Engine: "memory", ID: s.id}, ctx.Err()
}

// New returns a store with these tables. So that it fits into one line of a
// test, it panics when a literal is wrong; [Store.Seed] returns the error.
func New(tables ...Table) *Store {
	s := &Store{id: "memory " + rand.Text(), writer: make(chan struct{}, 1), counts: map[Method]int{}}
	if err := s.Seed(tables...); err != nil {
		panic("memory.New: " + err.Error())
	}
	return s
}

// Seed adds tables and replaces those that have the same name, as
// store.FoldName folds names. On an error it changes nothing. It waits for a
// running Update to end, so it must not be called from within one.
func (s *Store) Seed(tables ...Table) error {
	s.writer <- struct{}{}
	defer func() { <-s.writer }()
	db := maps.Clone(s.committed())
	if db == nil {
		db = database{}
	}
	seen := map[tableID]bool{}
	for _, lit := range tables {
		t, err := lit.compile()
		if err != nil {
			return fmt.Errorf("seed %s: %w", store.Table{Schema: lit.Schema, Name: lit.Name}, err)
		}
		id := idOf(t.def)
		if seen[id] {
			return fmt.Errorf("seed %s: the table is given twice", t.def)
		}
		seen[id] = true
		db[id] = t
	}
	s.commit(db)
	return nil
}

// Table returns a copy of a table and its rows: in the order of the primary
// key, or as they were inserted when the table has none. The name may have the
// schema before it, and case does not count. It returns false when there is no
// such table, or one in each of several schemas.
func (s *Store) Table(name string) (store.Table, []store.Row, bool) {
	folded := store.FoldName(name)
	var found []*table
	for _, t := range s.committed() {
		if store.FoldName(t.def.Name) == folded || store.FoldName(t.def.String()) == folded {
			found = append(found, t)
		}
	}
	if len(found) != 1 {
		return store.Table{}, nil, false
	}
	rows := make([]store.Row, len(found[0].rows))
	for i, row := range found[0].rows {
		rows[i] = row.Clone()
	}
	return cloneDef(found[0].def), rows, true
}

// SetObjects says what the database has besides tables: whatever the test needs,
// in place of what was there.
func (s *Store) SetObjects(objects ...store.Object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.has = cloneObjects(objects)
}

// Objects implements store.Inventorier: what SetObjects was given.
func (s *Store) Objects(ctx context.Context) ([]store.Object, error) {
	if _, err := s.begin(ctx, Objects, ""); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return cloneObjects(s.has), nil
}

func cloneObjects(objects []store.Object) []store.Object {
	objects = slices.Clone(objects)
	for i, o := range objects {
		objects[i].Uses = slices.Clone(o.Uses)
	}
	return objects
}

// LSN returns the LSN that the metadata table of contextID has for a table.
// Case does not count. It returns false when there is no metadata table, no
// row for the table, or no LSN in that row.
func (s *Store) LSN(contextID, table string) (store.LSN, bool) {
	def, rows, ok := s.Table(superoffice.MetadataTable(contextID))
	if !ok {
		return 0, false
	}
	fold := func(name string) func(store.Column) bool {
		return func(c store.Column) bool { return store.FoldName(c.Name) == store.FoldName(name) }
	}
	name, lsn := slices.IndexFunc(def.Columns, fold("tablename")), slices.IndexFunc(def.Columns, fold("LSN"))
	if name < 0 || lsn < 0 {
		return 0, false
	}
	for _, row := range rows {
		if text, ok := row[name].(string); ok && store.FoldName(text) == store.FoldName(table) {
			n, ok := row[lsn].(int64)
			return store.LSN(n), ok
		}
	}
	return 0, false
}

func (s *Store) committed() database {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.db
}

func (s *Store) commit(db database) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.db = db
}

// Tables implements store.Source. The order is that of the names.
func (s *Store) Tables(ctx context.Context) ([]store.Table, error) {
	if _, err := s.begin(ctx, Tables, ""); err != nil {
		return nil, err
	}
	return s.committed().list(), nil
}

// Count implements store.Source.
func (s *Store) Count(ctx context.Context, t store.Table) (int64, error) {
	if _, err := s.begin(ctx, Count, t.String()); err != nil {
		return 0, err
	}
	return s.committed().count(t)
}

// Rows implements store.Source. The call happens when the iteration begins:
// that is when it is recorded, fails, and takes its snapshot.
func (s *Store) Rows(ctx context.Context, q store.Query) iter.Seq2[[]store.Row, error] {
	return func(yield func([]store.Row, error) bool) {
		current := func() (database, error) { return s.committed(), nil }
		if err := s.stream(ctx, q, current, yield); err != nil {
			yield(nil, err)
		}
	}
}

// Update implements store.Store. Only one Update runs at a time; waiting for
// another ends when ctx is done. An Update or Seed called by fn would wait for
// itself: use the Tx.
func (s *Store) Update(ctx context.Context, fn func(tx store.Tx) error) error {
	if _, err := s.begin(ctx, Update, ""); err != nil {
		return err
	}
	select {
	case s.writer <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-s.writer }()
	if err := ctx.Err(); err != nil { // select does not prefer it
		return err
	}
	x := &tx{store: s, db: maps.Clone(s.committed())}
	defer func() { x.done = true }()
	if err := fn(x); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if x.failed != nil {
		return fmt.Errorf("commit: a method of the transaction had failed: %w", x.failed)
	}
	after, err := s.begin(ctx, Commit, "")
	if err != nil {
		return err
	}
	before := s.committed()
	s.mu.Lock()
	s.db = x.db
	if s.log != nil { // together: no row can be read whose change is not logged
		s.log.Add(events(before, x.db, x.anew))
	}
	s.mu.Unlock()
	return after.err
}

// stream reads q from what current returns, and asks current again before each
// batch whether reading may go on. It returns the error to yield, nil when the
// consumer stopped.
func (s *Store) stream(ctx context.Context, q store.Query, current func() (database, error), yield func([]store.Row, error) bool) error {
	if _, err := current(); err != nil {
		return err
	}
	after, err := s.begin(ctx, Rows, q.Table.String())
	if err != nil {
		return err
	}
	db, err := current()
	if err != nil {
		return err
	}
	rows, columns, err := db.query(q)
	if err != nil {
		return fmt.Errorf("read rows of %s: %w", q.Table, err)
	}
	if after.err != nil {
		rows = rows[:min(after.rows, len(rows))]
	}
	stopped := false
	err = batches(ctx, rows, columns, func() error { _, err := current(); return err }, func(batch []store.Row, err error) bool {
		stopped = !yield(batch, err)
		return !stopped
	})
	if err != nil || stopped {
		return err
	}
	return after.err
}

// batches hands rows over, and asks before each batch whether it may go on.
func batches(ctx context.Context, rows []store.Row, columns []int, may func() error, yield func([]store.Row, error) bool) error {
	var b batch
	for chunk := range slices.Chunk(rows, batchRows) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := may(); err != nil {
			return err
		}
		if !yield(b.fill(chunk, columns), nil) {
			return nil
		}
		b.scrub()
	}
	return nil
}

// batch is the buffer that all batches of one reader are delivered in.
type batch struct {
	rows  []store.Row
	bytes [][]byte // one for each value, reused
	used  int
}

func (b *batch) fill(rows []store.Row, columns []int) []store.Row {
	for len(b.rows) < len(rows) {
		b.rows = append(b.rows, make(store.Row, len(columns)))
		b.bytes = append(b.bytes, make([][]byte, len(columns))...)
	}
	b.used = len(rows)
	for i, row := range rows {
		for j, column := range columns {
			v := row[column]
			if p, ok := v.([]byte); ok {
				buf := &b.bytes[i*len(columns)+j]
				if *buf == nil {
					*buf = make([]byte, 0, len(p)) // an empty value is not nil
				}
				*buf = append((*buf)[:0], p...)
				v = *buf
			}
			b.rows[i][j] = v
		}
	}
	return b.rows[:len(rows):len(rows)]
}

// staleValue stands in rows of a batch that is no longer valid.
const staleValue = "memory: this row was kept without Clone"

// scrub overwrites the batch, so that who kept a row of it notices.
func (b *batch) scrub() {
	for _, row := range b.rows[:b.used] {
		for j, v := range row {
			if p, ok := v.([]byte); ok {
				for k := range p {
					p[k] = '!'
				}
			}
			row[j] = staleValue
		}
	}
}

// database is one version of all tables.
type database map[tableID]*table

// tableID is a table's name, folded.
type tableID struct{ schema, name string }

func idOf(t store.Table) tableID {
	return tableID{store.FoldName(t.Schema), store.FoldName(t.Name)}
}

func (d database) list() []store.Table {
	tables := make([]store.Table, 0, len(d))
	for _, t := range d {
		tables = append(tables, cloneDef(t.def))
	}
	slices.SortFunc(tables, func(a, b store.Table) int {
		return cmp.Or(cmp.Compare(a.Schema, b.Schema), cmp.Compare(a.Name, b.Name))
	})
	return tables
}

func (d database) find(t store.Table) (*table, error) {
	found, ok := d[idOf(t)]
	switch {
	case !ok:
		return nil, store.ErrTableNotFound
	case found.def.Schema != t.Schema || found.def.Name != t.Name:
		return nil, fmt.Errorf("%w: Tables spells it %q", store.ErrTableNotFound, found.def)
	}
	return found, nil
}

func (d database) count(t store.Table) (int64, error) {
	found, err := d.find(t)
	if err != nil {
		return 0, fmt.Errorf("count rows of %s: %w", t, err)
	}
	return int64(len(found.rows)), nil
}

// query returns the rows of q, whole, and the positions of its columns.
func (d database) query(q store.Query) (rows []store.Row, columns []int, err error) {
	t, err := d.find(q.Table)
	if err != nil {
		return nil, nil, err
	}
	names := q.Columns
	if names == nil {
		names = q.Table.ColumnNames()
	}
	if len(names) == 0 {
		return nil, nil, errors.New("no columns to read")
	}
	cols, err := t.columns(names)
	if err != nil {
		return nil, nil, err
	}
	order, err := t.columns(q.Key)
	if err != nil {
		return nil, nil, err
	}
	from, err := order.bound(q.From)
	if err != nil {
		return nil, nil, fmt.Errorf("lower bound: %w", err)
	}
	before, err := order.bound(q.Before)
	if err != nil {
		return nil, nil, fmt.Errorf("upper bound: %w", err)
	}
	rows = t.rows
	if from != nil || before != nil {
		rows = nil
		for _, row := range t.rows {
			if (from == nil || order.compareBound(row, from) >= 0) &&
				(before == nil || order.compareBound(row, before) < 0) {
				rows = append(rows, row)
			}
		}
	}
	if len(q.Key) > 0 && !slices.Equal(q.Key, t.def.Key) {
		rows = slices.Clone(rows)
		slices.SortStableFunc(rows, order.compare)
	}
	if q.Limit > 0 && q.Limit < int64(len(rows)) {
		rows = rows[:q.Limit]
	}
	return rows, cols.index, nil
}
