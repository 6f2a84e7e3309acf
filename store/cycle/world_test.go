package cycle

import (
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

func manyContacts(n int) memory.Table {
	var rows []store.Row
	for i := range n {
		rows = append(rows, store.Row{i, "0123456789"})
	}
	return contact(rows...)
}
