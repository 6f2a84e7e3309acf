package memory_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

// resend is code under test: it has one table sent again, and empties it.
func resend(ctx context.Context, st store.Store, metadata, table store.Table) error {
	return st.Update(ctx, func(tx store.Tx) error {
		_, err := tx.Set(ctx, metadata,
			[]store.Cell{{Column: "tablename", Value: table.Name}},
			[]store.Cell{{Column: "LSN", Value: int64(store.ResendAll)}})
		if err != nil {
			return err
		}
		return tx.Truncate(ctx, table)
	})
}

func Example() {
	ctx := context.Background()
	store := memory.New(
		memory.Metadata("Cust10195", map[string]store.LSN{"contact": 42}),
		memory.Table{
			Name:    "contact",
			Columns: []string{"contact_id int", "name nvarchar(219) null"},
			Key:     []string{"contact_id"},
			Rows:    []store.Row{{1, "Alfa"}, {2, nil}},
		})
	metadata, _, _ := store.Table("Cust10195_mirroring")
	contact, _, _ := store.Table("contact")
	show := func(err error) {
		lsn, _ := store.LSN("Cust10195", "contact")
		_, rows, _ := store.Table("contact")
		fmt.Printf("LSN %d, %d rows, error: %v\n", lsn, len(rows), err)
	}

	store.FailAt(memory.Truncate, 1, errors.New("connection lost"))
	show(resend(ctx, store, metadata, contact))
	show(resend(ctx, store, metadata, contact))

	// Output:
	// LSN 42, 2 rows, error: connection lost
	// LSN -1, 0 rows, error: <nil>
}

// A row that the mirror lacks, and that did not change since the mirror's LSN, is
// one that no cycle will bring.
func ExampleStore_TrackChanges() {
	ctx := context.Background()
	contact := memory.Table{
		Name:    "contact",
		Columns: []string{"contact_id int", "name nvarchar(219)"},
		Key:     []string{"contact_id"},
		Rows:    []store.Row{{1, "Alfa"}, {2, "Beta"}},
	}
	source := memory.New(contact)
	source.TrackChanges(812, 1) // nothing has changed since version 1
	contact.Rows = contact.Rows[:1]
	st := memory.New(contact, memory.Metadata("Cust10195", map[string]store.LSN{"contact": 812}))
	m, _ := mirror.New("Cust10195", st, nil)

	report, err := m.Compare(ctx, source, nil)
	fmt.Println(report.Table("contact").Verdict, report.Stale(), err)

	_ = st.Update(ctx, func(tx store.Tx) error { // the mirror has all rows again
		return tx.Insert(ctx, store.Table{Name: "contact"}, []string{"contact_id", "name"}, []store.Row{{2, "Beta"}})
	})
	_ = source.Update(ctx, func(tx store.Tx) error { // version 813
		return tx.Insert(ctx, store.Table{Name: "contact"}, []string{"contact_id", "name"}, []store.Row{{3, "Gamma"}})
	})
	report, err = m.Compare(ctx, source, nil)
	fmt.Println(report.Table("contact").Verdict, report.Stale(), err)

	// Output:
	// different [contact] <nil>
	// pending [] <nil>
}
