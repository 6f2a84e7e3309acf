package cycle

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

const metaName = "Cust10195_mirroring"

// world is a customer with a mirror.
type world struct {
	t        *testing.T
	customer *Customer
	db       *memory.Store // below the customer
	mirror   store.Store
	task     *Task
}

func newWorld(t *testing.T, tables ...memory.Table) *world {
	t.Helper()
	return newWorldWith(t, memory.New(), tables...)
}

func newWorldWith(t *testing.T, m store.Store, tables ...memory.Table) *world {
	t.Helper()
	db := memory.New(tables...)
	c := NewCustomer("Cust10195", db)
	return &world{t: t, customer: c, db: db, mirror: m, task: &Task{Customer: c, Mirror: m}}
}

func contact(rows ...store.Row) memory.Table {
	return memory.Table{
		Name:    "contact",
		Columns: []string{"contact_id int", "name nvarchar(219) null"},
		Key:     []string{"contact_id"},
		Rows:    rows,
	}
}

func person(rows ...store.Row) memory.Table {
	return memory.Table{
		Name:    "person",
		Columns: []string{"person_id int", "lastname nvarchar(99) null"},
		Key:     []string{"person_id"},
		Rows:    rows,
	}
}

func (w *world) run() *Result {
	w.t.Helper()
	res, err := w.task.Run(w.t.Context())
	require.NoError(w.t, err)
	return res
}

func (w *world) table(s store.Source, name string) (store.Table, bool) {
	w.t.Helper()
	tables, err := s.Tables(w.t.Context())
	require.NoError(w.t, err)
	for _, t := range tables {
		if t.Name == name {
			return t, true
		}
	}
	return store.Table{}, false
}

func (w *world) must(s store.Source, name string) store.Table {
	w.t.Helper()
	t, ok := w.table(s, name)
	require.True(w.t, ok, "table %s", name)
	return t
}

func (w *world) version() store.LSN {
	w.t.Helper()
	v, err := w.customer.Version(w.t.Context())
	require.NoError(w.t, err)
	return v
}

// minValid finds the table as SQL Server does, whatever the case of its name.
func (w *world) minValid(table string) store.LSN {
	w.t.Helper()
	v, err := w.customer.MinValidVersion(w.t.Context(), store.Table{Name: table, Key: []string{"id"}})
	require.NoError(w.t, err)
	return v
}

// rows returns all rows of a table as text, in key order.
func (w *world) rows(s store.Source, name string) []string {
	w.t.Helper()
	t := w.must(s, name)
	all := []string{}
	for batch, err := range s.Rows(w.t.Context(), store.Query{Table: t, Key: t.Key}) {
		require.NoError(w.t, err)
		for _, r := range batch {
			all = append(all, text(r))
		}
	}
	return all
}

func text(r store.Row) string {
	values := make([]any, len(r))
	for i, v := range r {
		values[i] = v
		if b, ok := v.([]byte); ok {
			values[i] = string(b)
		}
	}
	return strings.TrimSuffix(fmt.Sprintln(values...), "\n")
}

func (w *world) requireSame(tables ...string) {
	w.t.Helper()
	for _, name := range tables {
		require.ElementsMatch(w.t, w.rows(w.customer, name), w.rows(w.mirror, name), name)
	}
}

// metaRows returns the metadata table as "name lsn".
func (w *world) metaRows() []string {
	w.t.Helper()
	t := w.must(w.mirror, metaName)
	all := []string{}
	for batch, err := range w.mirror.Rows(w.t.Context(), store.Query{Table: t, Columns: []string{"tablename", "LSN"}, Key: t.Key}) {
		require.NoError(w.t, err)
		for _, r := range batch {
			all = append(all, fmt.Sprintf("%v %v", r[0], r[1]))
		}
	}
	return all
}

func (w *world) update(s store.Store, fn func(tx store.Tx) error) {
	w.t.Helper()
	require.NoError(w.t, s.Update(w.t.Context(), fn))
}

func (w *world) insert(s store.Store, table string, rows ...store.Row) {
	w.t.Helper()
	t := w.must(s, table)
	w.update(s, func(tx store.Tx) error { return tx.Insert(w.t.Context(), t, t.ColumnNames(), rows) })
}

func (w *world) set(s store.Store, table string, where, set []store.Cell) int64 {
	w.t.Helper()
	t := w.must(s, table)
	var n int64
	w.update(s, func(tx store.Tx) (err error) {
		n, err = tx.Set(w.t.Context(), t, where, set)
		return err
	})
	return n
}

func (w *world) delete(s store.Store, table string, where []store.Cell) int64 {
	w.t.Helper()
	t := w.must(s, table)
	var n int64
	w.update(s, func(tx store.Tx) (err error) {
		n, err = tx.Delete(w.t.Context(), t, where)
		return err
	})
	return n
}

func (w *world) setLSN(table string, lsn any) {
	w.t.Helper()
	require.EqualValues(w.t, 1, w.set(w.mirror, metaName, cells("tablename", table), cells("LSN", lsn)))
}

func (w *world) drop(s store.Store, table string) {
	w.t.Helper()
	t := w.must(s, table)
	w.update(s, func(tx store.Tx) error { return tx.Drop(w.t.Context(), t) })
}

func cells(pairs ...any) []store.Cell {
	var c []store.Cell
	for i := 0; i < len(pairs); i += 2 {
		c = append(c, store.Cell{Column: pairs[i].(string), Value: pairs[i+1]})
	}
	return c
}

func requireTable(t *testing.T, r *Result, name string, action Action, inserted, updated, deleted int64) TableResult {
	t.Helper()
	got, ok := r.Table(name)
	require.True(t, ok, "no result for %s in:\n%s", name, r)
	require.Equal(t, action, got.Action, got)
	require.Equal(t, []int64{inserted, updated, deleted}, []int64{got.Inserted, got.Updated, got.Deleted}, got)
	return got
}

func TestFirstCycleCreatesEverything(t *testing.T) {
	w := newWorld(t, contact(store.Row{1, "a"}, store.Row{2, nil}), person())
	res := w.run()

	require.True(t, res.MetadataCreated)
	requireTable(t, res, "contact", Created, 2, 0, 0)
	requireTable(t, res, "person", Created, 0, 0, 0)
	w.requireSame("contact", "person")
	require.Equal(t, []string{"contact 1", "person 1"}, w.metaRows())
	require.Equal(t, []string{"contact_id"}, w.must(w.mirror, "contact").Key)
	for _, row := range w.rows(w.mirror, metaName) {
		require.Regexp(t, `^\w+ 1 [0-9a-f]{64}$`, row, "with a schema hash")
	}
	require.Contains(t, res.String(), "2 inserted, 0 updated, 0 deleted; 0 of 2 tables unchanged")

	res = w.run()
	require.False(t, res.MetadataCreated)
	requireTable(t, res, "contact", Unchanged, 0, 0, 0)
	requireTable(t, res, "person", Unchanged, 0, 0, 0)
}

func TestOnlyChangesAreSent(t *testing.T) {
	w := newWorld(t, contact(store.Row{1, "a"}, store.Row{2, "b"}, store.Row{3, "c"}), person(store.Row{1, "x"}))
	w.run()
	// A row that only the mirror has shows that the table was not wiped.
	w.insert(w.mirror, "contact", store.Row{99, "stray"})

	w.insert(w.customer, "contact", store.Row{4, "d"}, store.Row{5, "e"})
	w.set(w.customer, "contact", cells("name", "b"), cells("name", "B"))
	w.delete(w.customer, "contact", cells("contact_id", 3))
	w.delete(w.customer, "contact", cells("contact_id", 5))
	res := w.run()

	got := requireTable(t, res, "contact", Changes, 1, 1, 1)
	require.Equal(t, store.LSN(1), got.Before)
	require.Equal(t, store.LSN(5), got.After)
	requireTable(t, res, "person", Unchanged, 0, 0, 0)
	require.Equal(t, []string{"1 a", "2 B", "4 d", "99 stray"}, w.rows(w.mirror, "contact"))
	require.Equal(t, []string{"contact 5", "person 1"}, w.metaRows(), "the LSN of a quiet table does not move")
}

func TestDenseAndSparseChanges(t *testing.T) {
	w := newWorld(t, manyContacts(1000))
	w.run()
	table := w.must(w.customer, "contact")
	w.update(w.customer, func(tx store.Tx) error {
		for i := range 1000 {
			var err error
			switch {
			case i%3 == 0 && i < 300, i >= 990:
				_, err = tx.Delete(t.Context(), table, cells("contact_id", i))
			case i < 400, i == 650, i == 700, i == 980:
				_, err = tx.Set(t.Context(), table, cells("contact_id", i), cells("name", "new"))
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	w.db.ResetCalls()
	requireTable(t, w.run(), "contact", Changes, 0, 303, 110)
	reads := 0
	for _, call := range w.db.Calls() {
		if call.Method == memory.Rows {
			reads++
		}
	}
	require.Less(t, reads, 40, "413 keys")
	w.requireSame("contact")
}

func TestWipe(t *testing.T) {
	cases := []struct {
		name   string
		spoil  func(w *world)
		reason string
	}{
		{"LSN is -1", func(w *world) { w.setLSN("contact", -1) }, "the LSN is -1"},
		{"row is gone", func(w *world) { w.delete(w.mirror, metaName, cells("tablename", "contact")) }, "the metadata table does not name it"},
		{"LSN is ahead", func(w *world) { w.setLSN("contact", 100) }, "the LSN 100 is ahead of the source, which is at 3"},
		{"LSN is older than what is tracked", func(w *world) { w.setLSN("contact", 0) }, "the LSN 0 is older than the tracked changes, which begin at 1"},
		{"tracking expired", func(w *world) { w.setLSN("contact", 1); w.customer.Forget(2) }, "the LSN 1 is older than the tracked changes, which begin at 2"},
		{"customer truncated", func(w *world) {
			w.update(w.customer, func(tx store.Tx) error { return tx.Truncate(t.Context(), w.must(tx, "contact")) })
			w.insert(w.customer, "contact", store.Row{7, "new"})
		}, "the LSN 3 is older than the tracked changes, which begin at 4"},
		{"customer created the table anew", func(w *world) {
			table := w.must(w.customer, "contact")
			w.update(w.customer, func(tx store.Tx) error {
				if err := tx.Drop(t.Context(), table); err != nil {
					return err
				}
				return tx.Create(t.Context(), table)
			})
		}, "the LSN 3 is older than the tracked changes, which begin at 4"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, contact(store.Row{1, "a"}), person(store.Row{1, "x"}))
			w.insert(w.customer, "contact", store.Row{2, "b"})
			w.insert(w.customer, "contact", store.Row{3, "c"})
			w.run()
			w.insert(w.mirror, "contact", store.Row{99, "stray"})
			w.insert(w.mirror, "person", store.Row{99, "stray"})
			c.spoil(w)
			res := w.run()

			n := int64(len(w.rows(w.customer, "contact")))
			got := requireTable(t, res, "contact", Wiped, n, 0, 0)
			require.Equal(t, c.reason, got.Reason)
			require.Equal(t, w.version(), got.After)
			w.requireSame("contact")
			requireTable(t, res, "person", Unchanged, 0, 0, 0)
			require.Contains(t, w.rows(w.mirror, "person"), "99 stray")
		})
	}
}

// A literal task notices nothing but what the source's changes and the metadata
// row tell.
func TestLiteral(t *testing.T) {
	for _, c := range []struct {
		name   string
		spoil  func(w *world)
		action Action
		same   bool // contact is as at the source afterwards
	}{
		{"a quiet table whose LSN is too old", func(w *world) { w.insert(w.customer, "person", store.Row{2, "y"}); w.customer.Forget(2) }, Unchanged, false},
		{"a table whose LSN is too old, and that changed", func(w *world) {
			w.setLSN("contact", 0)
			w.insert(w.customer, "contact", store.Row{2, "b"})
		}, Wiped, true},
		{"a table that was truncated at the source", func(w *world) {
			w.update(w.customer, func(tx store.Tx) error { return tx.Truncate(t.Context(), w.must(tx, "contact")) })
		}, Wiped, true},
		{"a table that is gone", func(w *world) { w.drop(w.mirror, "contact") }, Created, false},
		{"a table that is gone, and has no metadata row", func(w *world) {
			w.drop(w.mirror, "contact")
			w.delete(w.mirror, metaName, cells("tablename", "contact"))
		}, Created, true},
		{"LSN is -1", func(w *world) { w.setLSN("contact", -1) }, Wiped, true},
		{"LSN is ahead", func(w *world) { w.setLSN("contact", 100) }, Wiped, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, contact(store.Row{1, "a"}), person(store.Row{1, "x"}))
			w.task.Literal = true
			w.run()
			w.insert(w.mirror, "contact", store.Row{99, "stray"})
			c.spoil(w)
			res, ok := w.run().Table("contact")
			require.True(t, ok)
			require.Equal(t, c.action, res.Action)
			require.Equal(t, c.same, res.Inserted > 0 || len(w.rows(w.customer, "contact")) == 0)
			require.Equal(t, c.same, fmt.Sprint(w.rows(w.customer, "contact")) == fmt.Sprint(w.rows(w.mirror, "contact")))
		})
	}
}

func TestMetadataDroppedRepopulatesAll(t *testing.T) {
	w := newWorld(t, contact(store.Row{1, "a"}), person(store.Row{1, "x"}))
	w.run()
	w.insert(w.mirror, "contact", store.Row{99, "stray"})
	w.drop(w.mirror, metaName)
	res := w.run()

	require.True(t, res.MetadataCreated)
	got := requireTable(t, res, "contact", Wiped, 1, 0, 0)
	require.Equal(t, store.ResendAll, got.Before)
	requireTable(t, res, "person", Wiped, 1, 0, 0)
	w.requireSame("contact", "person")
}

func TestHardResetOfOneTable(t *testing.T) {
	w := newWorld(t, contact(store.Row{1, "a"}), person(store.Row{1, "x"}))
	w.run()
	w.delete(w.mirror, metaName, cells("tablename", "contact"))
	w.drop(w.mirror, "contact")
	res := w.run()

	requireTable(t, res, "contact", Created, 1, 0, 0)
	requireTable(t, res, "person", Unchanged, 0, 0, 0)
	w.requireSame("contact")
	require.Equal(t, []string{"contact 1", "person 1"}, w.metaRows())
}

func TestVanishedTableIsDropped(t *testing.T) {
	w := newWorld(t, contact(store.Row{1, "a"}), person(store.Row{1, "x"}))
	w.run()
	w.update(w.mirror, func(tx store.Tx) error {
		return tx.Create(t.Context(), store.Table{Name: "partners_own", Columns: []store.Column{{Name: "id", Type: store.MustType("int")}}})
	})
	w.drop(w.customer, "person")
	res := w.run()

	requireTable(t, res, "person", Dropped, 0, 0, 0)
	_, there := w.table(w.mirror, "person")
	require.False(t, there)
	_, there = w.table(w.mirror, "partners_own")
	require.True(t, there, "a table that never came from the customer stays")
	require.Equal(t, []string{"contact 1"}, w.metaRows())

	t.Run("a skipped one stays", func(t *testing.T) {
		w.t = t
		w.drop(w.customer, "contact")
		w.task.SkipTables = []string{" Contact"}
		w.run()
		require.Equal(t, []string{"1 a"}, w.rows(w.mirror, "contact"))
		require.Equal(t, []string{"contact 1"}, w.metaRows())
	})
}

func TestBlockedAndSkippedAreNotSent(t *testing.T) {
	blocked := contact(store.Row{1, "secret"})
	blocked.Name = "Credentials"
	meta := contact(store.Row{1, "not a metadata table"})
	meta.Name = strings.ToLower(metaName)
	w := newWorld(t, contact(store.Row{1, "a"}), person(store.Row{1, "x"}), blocked, meta)
	w.task.SkipTables = []string{"PERSON"}
	res := w.run()

	require.Len(t, res.Tables, 1)
	tables, err := w.mirror.Tables(t.Context())
	require.NoError(t, err)
	names := []string{}
	for _, table := range tables {
		names = append(names, table.Name)
	}
	require.ElementsMatch(t, []string{"contact", metaName}, names)
}

func TestTablesThatCannotBeMirrored(t *testing.T) {
	other := contact()
	other.Schema, other.Name = "other", "CONTACT"
	cases := []struct {
		name   string
		tables []memory.Table
		want   string
	}{
		{"one name in two schemas", []memory.Table{contact(), other}, `the customer has two tables named "contact"`},
		{"only computed columns", []memory.Table{{Name: "t", Columns: []string{"c int generated"}}}, "table t has no column that can be mirrored"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := newWorld(t, c.tables...).task.Run(t.Context())
			require.EqualError(t, err, c.want)
		})
	}
}

func manyContacts(n int) memory.Table {
	var rows []store.Row
	for i := range n {
		rows = append(rows, store.Row{i, "0123456789"})
	}
	return contact(rows...)
}

func TestBatches(t *testing.T) {
	w := newWorld(t, manyContacts(10))
	w.task.BatchSize = 60 // three rows of 20 bytes
	type batch struct {
		last bool
		lsn  string
	}
	var seen []batch
	var progress []int64
	w.task.BeforeCommit = func(_ string, last bool) { seen = append(seen, batch{last, strings.Join(w.metaRows(), ",")}) }
	w.task.Progress = func(_ string, rows int64) { progress = append(progress, rows) }
	got := requireTable(t, w.run(), "contact", Created, 10, 0, 0)

	require.Equal(t, 4, got.Batches)
	require.Equal(t, []batch{{false, ""}, {false, ""}, {false, ""}, {true, ""}}, seen, "only the last batch writes the LSN")
	require.Equal(t, []int64{3, 6, 9, 10}, progress)
	w.requireSame("contact")

	w.task.BeforeCommit = nil
	w.set(w.customer, "contact", cells("name", "0123456789"), cells("name", "changed  ."))
	got = requireTable(t, w.run(), "contact", Changes, 0, 10, 0)
	require.Greater(t, got.Batches, 1)
	w.requireSame("contact")
}

func TestInterruption(t *testing.T) {
	t.Run("while populating", func(t *testing.T) {
		w := newWorld(t, manyContacts(10), person(store.Row{1, "x"}))
		w.task.BatchSize = 60
		w.task.FailAfterBatches = 2
		res, err := w.task.Run(t.Context())
		require.ErrorIs(t, err, ErrInterrupted)
		require.Empty(t, res.Tables)
		require.Len(t, w.rows(w.mirror, "contact"), 6)
		require.Empty(t, w.metaRows())

		w.task.FailAfterBatches = 0
		res = w.run()
		requireTable(t, res, "contact", Wiped, 10, 0, 0)
		w.requireSame("contact", "person")
	})
	t.Run("while sending changes", func(t *testing.T) {
		w := newWorld(t, manyContacts(10))
		w.run()
		w.set(w.customer, "contact", cells("name", "0123456789"), cells("name", "0123456780"))
		w.task.BatchSize = 100
		w.task.FailAfterBatches = 1
		_, err := w.task.Run(t.Context())
		require.ErrorIs(t, err, ErrInterrupted)
		require.Equal(t, []string{"contact 1"}, w.metaRows(), "the LSN does not move")
		require.Contains(t, w.rows(w.mirror, "contact"), "0 0123456780", "what was committed stays")

		w.task.FailAfterBatches = 0
		requireTable(t, w.run(), "contact", Changes, 0, 10, 0)
		w.requireSame("contact")
	})
	t.Run("before a table that was created is populated", func(t *testing.T) {
		w := newWorld(t, contact(store.Row{1, "a"}), person(store.Row{1, "x"}))
		w.run()
		w.drop(w.mirror, "person") // its metadata row stays, with an LSN that is valid
		w.insert(w.customer, "contact", store.Row{2, "b"})
		w.task.FailAfterBatches = 1
		res, err := w.task.Run(t.Context())
		require.ErrorIs(t, err, ErrInterrupted)
		requireTable(t, res, "contact", Changes, 1, 0, 0)

		requireTable(t, w.run(), "person", Wiped, 1, 0, 0)
		w.requireSame("contact", "person")
	})
	t.Run("a wipe is not forgotten when the source catches up", func(t *testing.T) {
		w := newWorld(t, manyContacts(10))
		w.run()
		w.setLSN("contact", 3)
		w.task.BatchSize = 60
		w.task.FailAfterBatches = 1
		_, err := w.task.Run(t.Context())
		require.ErrorIs(t, err, ErrInterrupted)

		for i := range 4 { // version 5: the LSN 3 would be valid now
			w.insert(w.customer, "contact", store.Row{100 + i, "n"})
		}
		w.task.FailAfterBatches = 0
		requireTable(t, w.run(), "contact", Wiped, 14, 0, 0)
		w.requireSame("contact")
	})
}

func TestSchemaChange(t *testing.T) {
	column := func(name, typ string, nullable bool) store.Column {
		return store.Column{Name: name, Type: store.MustType(typ), Nullable: nullable}
	}
	id, name := column("contact_id", "int", false), column("name", "nvarchar(219)", true)
	cases := []struct {
		name    string
		columns []store.Column
		key     []string
		reason  string
	}{
		{"added column", []store.Column{id, name, column("code", "int", true)}, []string{"contact_id"}, "column code was added"},
		{"removed column", []store.Column{id}, []string{"contact_id"}, "column name was removed"},
		{"other type", []store.Column{id, column("name", "nvarchar(300)", true)}, []string{"contact_id"}, "column name changed from nvarchar(219) to nvarchar(300)"},
		{"other nullability", []store.Column{id, column("name", "nvarchar(219)", false)}, []string{"contact_id"}, "column name changed whether it can be NULL"},
		{"other key", []store.Column{id, column("name", "nvarchar(219)", true)}, nil, "the primary key changed from (contact_id) to ()"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, contact(store.Row{1, "a"}))
			w.run()
			old := w.must(w.customer, "contact")
			w.update(w.customer, func(tx store.Tx) error {
				return errors.Join(tx.Drop(t.Context(), old),
					tx.Create(t.Context(), store.Table{Name: "contact", Columns: c.columns, Key: c.key}))
			})
			table := w.must(w.customer, "contact")
			w.update(w.customer, func(tx store.Tx) error {
				row := store.Row{7, "seven", 70}[:len(c.columns)]
				return tx.Insert(t.Context(), table, table.ColumnNames(), []store.Row{row})
			})
			got := requireTable(t, w.run(), "contact", Recreated, 1, 0, 0)
			require.Equal(t, c.reason+": dropped, created anew, repopulated", got.Reason)
			require.Equal(t, store.LSN(1), got.Before)
			require.Equal(t, table.Columns, w.must(w.mirror, "contact").Columns)
			w.requireSame("contact")
			require.Equal(t, []string{"contact 3"}, w.metaRows())
			requireTable(t, w.run(), "contact", Unchanged, 0, 0, 0)
		})
	}
	t.Run("case of a column name is no change", func(t *testing.T) {
		w := newWorldWith(t, memory.New(memory.Table{
			Name: "CONTACT", Columns: []string{"Name nvarchar(219) null", "CONTACT_ID int"}, Key: []string{"CONTACT_ID"},
		}), contact(store.Row{1, "a"}))
		requireTable(t, w.run(), "contact", Wiped, 1, 0, 0)
		require.Equal(t, []string{"a 1"}, w.rows(w.mirror, "CONTACT"))
		w.insert(w.customer, "contact", store.Row{2, "b"})
		w.set(w.customer, "contact", cells("contact_id", 1), cells("name", "A"))
		requireTable(t, w.run(), "contact", Changes, 1, 1, 0)
		require.Equal(t, []string{"A 1", "b 2"}, w.rows(w.mirror, "CONTACT"))
	})
	t.Run("what the mirror cannot hold is left out", func(t *testing.T) {
		m := mirrored(store.Table{Name: "t", Schema: "crm7", Key: []string{"id"}, Columns: []store.Column{
			{Name: "id", Type: store.MustType("int"), Default: "((0))"},
			{Name: "full", Type: store.MustType("nvarchar(10)"), Generated: true},
			{Name: "stamp", Type: store.MustType("timestamp")},
			{Name: "odd", Type: store.Type{Name: "dbo.udt"}},
			{Name: "at", Type: store.MustType("datetime"), Default: "(getdate())"},
			{Name: "text", Type: store.MustType("nvarchar(10)"), Default: "(N'it''s')"},
		}})
		require.Equal(t, store.Table{Name: "t", Key: []string{"id"}, Columns: []store.Column{
			{Name: "id", Type: store.MustType("int"), Default: "((0))"},
			{Name: "at", Type: store.MustType("datetime")},
			{Name: "text", Type: store.MustType("nvarchar(10)"), Default: "(N'it''s')"},
		}}, m)
	})
}

func TestCompositeKey(t *testing.T) {
	w := newWorld(t, memory.Table{
		Name:    "link",
		Columns: []string{"note nvarchar(20) null", "b nvarchar(10)", "a int"},
		Key:     []string{"a", "b"},
		Rows:    []store.Row{{"n1", "x", 1}, {"n2", "y", 1}, {"n3", "x", 2}, {"n4", "X", 2}},
	})
	w.run()
	w.set(w.customer, "link", cells("a", 1, "b", "y"), cells("note", "changed"))
	w.delete(w.customer, "link", cells("a", 2, "b", "x"))
	w.insert(w.customer, "link", store.Row{"n5", "x ", 1})
	requireTable(t, w.run(), "link", Changes, 1, 1, 1)
	w.requireSame("link")

	require.EqualValues(t, 3, w.delete(w.customer, "link", cells("a", 1)), "by a part of the key")
	requireTable(t, w.run(), "link", Changes, 0, 0, 3)
	w.requireSame("link")
}

func TestKeyOnlyTable(t *testing.T) {
	w := newWorld(t, memory.Table{Name: "pair", Columns: []string{"a int", "b int"}, Key: []string{"a", "b"}, Rows: []store.Row{{1, 1}}})
	w.run()
	w.set(w.customer, "pair", cells("a", 1, "b", 1), cells("b", 1))
	w.insert(w.customer, "pair", store.Row{1, 2})
	requireTable(t, w.run(), "pair", Changes, 1, 1, 0)
	w.requireSame("pair")
}

func TestUpdateOfAKey(t *testing.T) {
	t.Run("to a free one", func(t *testing.T) {
		w := newWorld(t, contact(store.Row{1, "a"}, store.Row{2, "b"}))
		w.run()
		w.set(w.customer, "contact", cells("contact_id", 1), cells("contact_id", 9))
		requireTable(t, w.run(), "contact", Changes, 1, 0, 1)
		require.Equal(t, []string{"2 b", "9 a"}, w.rows(w.mirror, "contact"))
	})
	t.Run("found by another column", func(t *testing.T) {
		w := newWorld(t, contact(store.Row{1, nil}, store.Row{2, "b"}))
		w.run()
		w.set(w.customer, "contact", cells("name", nil), cells("contact_id", 9))
		requireTable(t, w.run(), "contact", Changes, 1, 0, 1)
		require.Equal(t, []string{"2 b", "9 <nil>"}, w.rows(w.mirror, "contact"))
	})
	t.Run("to another spelling of the same number", func(t *testing.T) {
		w := newWorld(t, memory.Table{Name: "price", Columns: []string{"id decimal(9,2)", "n int"}, Key: []string{"id"}, Rows: []store.Row{{"1.5", 1}}})
		w.run()
		w.delete(w.customer, "price", cells("id", "1.5"))
		w.insert(w.customer, "price", store.Row{"1.50", 2})
		requireTable(t, w.run(), "price", Changes, 0, 1, 0)
		require.Len(t, w.rows(w.mirror, "price"), 1)
	})
}

func TestMetadataOfOthers(t *testing.T) {
	newMeta := func(columns ...string) memory.Table {
		return memory.Table{Name: "cust10195_MIRRORING", Columns: columns}
	}
	t.Run("found by folded names, other columns untouched", func(t *testing.T) {
		meta := newMeta("Note nvarchar(10) null", "TableName nvarchar(128)", "lsn bigint null", "SchemaHash nvarchar(64) null")
		meta.Rows = []store.Row{{"keep", "CONTACT", nil, "h1"}, {"too", "person", 0, "h2"}}
		w := newWorldWith(t, memory.New(meta, contact(), person()), contact(store.Row{1, "a"}), person())
		res := w.run()
		require.False(t, res.MetadataCreated)
		got := requireTable(t, res, "contact", Wiped, 1, 0, 0)
		require.Equal(t, "the LSN is NULL", got.Reason)
		require.Equal(t, store.ResendAll, got.Before)
		require.Equal(t, []string{"keep CONTACT 1 h1", "too person 1 h2"}, w.rows(w.mirror, "cust10195_MIRRORING"))
	})
	t.Run("other names", func(t *testing.T) {
		meta := memory.Table{Name: "sync", Columns: []string{"tbl nvarchar(128)", "ver bigint"}, Rows: []store.Row{{"contact", -1}}}
		w := newWorldWith(t, memory.New(meta), contact(store.Row{1, "a"}), person())
		w.task.MetadataTable, w.task.TableColumn, w.task.LSNColumn = "Sync", "TBL", "VER"
		w.run()
		require.Equal(t, []string{"contact 1", "person 1"}, w.rows(w.mirror, "sync"))
	})
	for name, meta := range map[string]memory.Table{
		"no LSN column":       newMeta("tablename nvarchar(128)"),
		"LSN is text":         newMeta("tablename nvarchar(128)", "LSN nvarchar(20)"),
		"no tablename column": newMeta("LSN bigint"),
		"two rows of a table": {Name: metaName, Columns: []string{"tablename nvarchar(128)", "LSN bigint"}, Rows: []store.Row{{"contact", 1}, {"Contact", 1}}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorldWith(t, memory.New(meta), contact())
			_, err := w.task.Run(t.Context())
			require.ErrorIs(t, err, ErrMetadata)
		})
	}
}

func TestTableWithoutKey(t *testing.T) {
	w := newWorld(t, memory.Table{Name: "log", Columns: []string{"n int", "text nvarchar(20) null"}, Rows: []store.Row{{1, "a"}, {1, "a"}}})
	requireTable(t, w.run(), "log", Created, 2, 0, 0)
	requireTable(t, w.run(), "log", Unchanged, 0, 0, 0)

	w.insert(w.customer, "log", store.Row{1, "a"})
	requireTable(t, w.run(), "log", Wiped, 3, 0, 0)
	w.requireSame("log")
	requireTable(t, w.run(), "log", Unchanged, 0, 0, 0)

	w.set(w.customer, "log", cells("n", 1), cells("text", nil))
	requireTable(t, w.run(), "log", Wiped, 3, 0, 0)
	w.delete(w.customer, "log", cells("n", 1))
	requireTable(t, w.run(), "log", Wiped, 0, 0, 0)
	w.delete(w.customer, "log", cells("n", 1))
	requireTable(t, w.run(), "log", Unchanged, 0, 0, 0)
}

func TestRaces(t *testing.T) {
	t.Run("a reset during the cycle is lost", func(t *testing.T) {
		w := newWorld(t, contact(store.Row{1, "a"}))
		w.run()
		w.insert(w.customer, "contact", store.Row{2, "b"})
		w.task.BeforeCommit = func(string, bool) { w.setLSN("contact", -1) }
		w.run()
		require.Equal(t, []string{"contact 2"}, w.metaRows())
	})
	t.Run("a reset before the table's turn is honoured", func(t *testing.T) {
		w := newWorld(t, contact(store.Row{1, "a"}), person(store.Row{1, "x"}))
		w.run()
		w.insert(w.customer, "contact", store.Row{2, "b"})
		w.task.BeforeCommit = func(table string, _ bool) {
			if table == "contact" {
				w.setLSN("person", -1)
			}
		}
		requireTable(t, w.run(), "person", Wiped, 1, 0, 0)
	})
	t.Run("rows ahead of the LSN are sent again", func(t *testing.T) {
		w := newWorld(t, contact(store.Row{1, "a"}), person(store.Row{1, "x"}))
		w.task.BeforeCommit = func(table string, _ bool) {
			if table == "contact" {
				w.insert(w.customer, "contact", store.Row{2, "b"})
				w.set(w.customer, "person", cells("person_id", 1), cells("lastname", "y"))
			}
		}
		w.run()
		require.Equal(t, []string{"contact 1", "person 3"}, w.metaRows())
		w.task.BeforeCommit = nil
		res := w.run()
		requireTable(t, res, "contact", Changes, 1, 0, 0)
		requireTable(t, res, "person", Unchanged, 0, 0, 0)
		w.requireSame("contact", "person")
	})
}

func TestContextIsPassedThrough(t *testing.T) {
	w := newWorld(t, manyContacts(10))
	w.task.BatchSize = 60
	ctx, cancel := context.WithCancel(t.Context())
	w.task.BeforeCommit = func(string, bool) { cancel() }
	_, err := w.task.Run(ctx)
	require.Equal(t, context.Canceled, err)
	require.Empty(t, w.metaRows())
}
