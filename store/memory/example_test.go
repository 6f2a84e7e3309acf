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
