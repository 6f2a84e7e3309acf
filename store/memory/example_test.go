package memory_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store/memory"
)

// resend is code under test: it has one table sent again, and empties it.
func resend(ctx context.Context, store mirror.Store, metadata, table mirror.Table) error {
	return store.Update(ctx, func(tx mirror.Tx) error {
		_, err := tx.Set(ctx, metadata,
			[]mirror.Cell{{Column: "tablename", Value: table.Name}},
			[]mirror.Cell{{Column: "LSN", Value: int64(mirror.ResendAll)}})
		if err != nil {
			return err
		}
		return tx.Truncate(ctx, table)
	})
}

func Example() {
	ctx := context.Background()
	store := memory.New(
		memory.Metadata("Cust10195", map[string]mirror.LSN{"contact": 42}),
		memory.Table{
			Name:    "contact",
			Columns: []string{"contact_id int", "name nvarchar(219) null"},
			Key:     []string{"contact_id"},
			Rows:    []mirror.Row{{1, "Alfa"}, {2, nil}},
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
		Rows:    []mirror.Row{{1, "Alfa"}, {2, "Beta"}},
	}
	source := memory.New(contact)
	source.TrackChanges(812, 1) // nothing has changed since version 1
	contact.Rows = contact.Rows[:1]
	store := memory.New(contact, memory.Metadata("Cust10195", map[string]mirror.LSN{"contact": 812}))
	m, _ := mirror.New("Cust10195", store, nil)

	report, err := m.Compare(ctx, source, nil)
	fmt.Println(report.Table("contact").Verdict, report.Stale(), err)

	_ = store.Update(ctx, func(tx mirror.Tx) error { // the mirror has all rows again
		return tx.Insert(ctx, mirror.Table{Name: "contact"}, []string{"contact_id", "name"}, []mirror.Row{{2, "Beta"}})
	})
	_ = source.Update(ctx, func(tx mirror.Tx) error { // version 813
		return tx.Insert(ctx, mirror.Table{Name: "contact"}, []string{"contact_id", "name"}, []mirror.Row{{3, "Gamma"}})
	})
	report, err = m.Compare(ctx, source, nil)
	fmt.Println(report.Table("contact").Verdict, report.Stale(), err)

	// Output:
	// different [contact] <nil>
	// pending [] <nil>
}

// A reset whose intent cannot be written down does not happen.
func ExampleJournal() {
	ctx := context.Background()
	store := memory.New(
		memory.Table{Name: "contact", Columns: []string{"contact_id int"}, Key: []string{"contact_id"}},
		memory.Metadata("Cust10195", map[string]mirror.LSN{"contact": 812}))
	journal := &memory.Journal{}
	m, _ := mirror.New("Cust10195", store, &mirror.Options{Journal: journal})

	journal.FailAt(1, errors.New("disk full"))
	_, err := m.ResetTables(ctx, []string{"contact"}, nil)
	lsn, _ := store.LSN("Cust10195", "contact")
	fmt.Println(errors.Is(err, mirror.ErrJournal), lsn)

	_, err = m.ResetTables(ctx, []string{"contact"}, nil)
	entries, _ := journal.Entries()
	fmt.Println(err, entries[0].Event, entries[1].Event)

	// Output:
	// true 812
	// <nil> intent done
}
