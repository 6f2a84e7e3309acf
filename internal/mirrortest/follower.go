package mirrortest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/cycle"
	"github.com/so-mirror/mirror/store/memory"
)

// Follower is a customer with a mirror that a cycle has filled.
type Follower struct {
	T        *testing.T
	Customer *cycle.Customer
	Store    *memory.Store
	Task     *cycle.Task
}

// Follow has a first cycle fill the mirror of a customer with 10 contacts and a
// person.
func Follow(t *testing.T) *Follower {
	t.Helper()
	var rows []store.Row
	for i := range 10 {
		rows = append(rows, store.Row{i, fmt.Sprint("Company ", i)})
	}
	f := &Follower{T: t, Store: memory.New()}
	f.Customer = cycle.NewCustomer(ContextID, memory.New(Companies(rows...),
		memory.Table{Name: "person", Columns: []string{"person_id int", "lastname nvarchar(99)"}, Key: []string{"person_id"}, Rows: []store.Row{{1, "Åse"}}}))
	f.Task = &cycle.Task{Customer: f.Customer, Mirror: f.Store}
	f.Cycle()
	return f
}

// Cycle has the Mirroring Task run once.
func (f *Follower) Cycle() {
	f.T.Helper()
	_, err := f.Task.Run(f.T.Context())
	require.NoError(f.T, err)
}

// Touch changes a row of a store: a person's name at the source makes the LSN of
// person move, for instance.
func (f *Follower) Touch(st store.Store, table string, id int, name string) {
	f.T.Helper()
	require.NoError(f.T, st.Update(f.T.Context(), func(tx store.Tx) error {
		def := Definition(f.T, tx, table)
		_, err := tx.Set(f.T.Context(), def, []store.Cell{{Column: def.Columns[0].Name, Value: int64(id)}}, []store.Cell{{Column: def.Columns[1].Name, Value: name}})
		return err
	}))
}

// Insert adds rows to contact.
func (f *Follower) Insert(st store.Store, rows ...store.Row) {
	f.T.Helper()
	require.NoError(f.T, st.Update(f.T.Context(), func(tx store.Tx) error {
		def := Definition(f.T, tx, "contact")
		return tx.Insert(f.T.Context(), def, def.ColumnNames(), rows)
	}))
}

// Remove deletes a row of contact.
func (f *Follower) Remove(st store.Store, id int) {
	f.T.Helper()
	require.NoError(f.T, st.Update(f.T.Context(), func(tx store.Tx) error {
		_, err := tx.Delete(f.T.Context(), Definition(f.T, tx, "contact"), []store.Cell{{Column: "contact_id", Value: int64(id)}})
		return err
	}))
}

// Definition returns what a source says of one of its tables.
func Definition(t *testing.T, src store.Source, name string) store.Table {
	t.Helper()
	tables, err := src.Tables(t.Context())
	require.NoError(t, err)
	for _, table := range tables {
		if table.Name == name {
			return table
		}
	}
	require.Fail(t, "no table "+name)
	return store.Table{}
}

// SetLSN sets the LSN of contact; nil deletes its metadata row.
func (f *Follower) SetLSN(v any) {
	f.T.Helper()
	require.NoError(f.T, f.Store.Update(f.T.Context(), func(tx store.Tx) (err error) {
		metadata := Definition(f.T, tx, mirror.MetadataTableName(ContextID))
		row := []store.Cell{{Column: "tablename", Value: "contact"}}
		if v == nil {
			_, err = tx.Delete(f.T.Context(), metadata, row)
		} else {
			_, err = tx.Set(f.T.Context(), metadata, row, []store.Cell{{Column: "LSN", Value: v}})
		}
		return err
	}))
}

// Forget ends the retention of all changes; the LSN of contact is then too old.
func (f *Follower) Forget() {
	f.Touch(f.Customer, "contact", 9, "Company 9")
	v, err := f.Customer.Version(f.T.Context())
	require.NoError(f.T, err)
	f.Customer.Forget(int64(v))
}

// NoTracking is a customer without change tracking.
type NoTracking struct{ *cycle.Customer }

// Version is not supported.
func (NoTracking) Version(context.Context) (store.LSN, error) { return 0, errors.ErrUnsupported }

// Reading is a source during whose reading of contact something happens.
type Reading struct {
	NoTracking
	Do func()
}

// Rows implements [store.Source].
func (s Reading) Rows(ctx context.Context, q store.Query) iter.Seq2[[]store.Row, error] {
	if q.Table.Name == "contact" {
		s.Do()
	}
	return s.NoTracking.Rows(ctx, q)
}

// Companies is a table contact of a key and a name.
func Companies(rows ...store.Row) memory.Table {
	return memory.Table{Name: "contact", Columns: []string{"contact_id int", "name nvarchar(20)"}, Key: []string{"contact_id"}, Rows: rows}
}
