package cycle_test

import (
	"context"
	"fmt"

	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/cycle"
	"github.com/so-mirror/mirror/store/memory"
)

// A row that was deleted while the tenant was suspended survives in the replica,
// and a re-synchronization does away with it.
func ExampleReplica() {
	ctx := context.Background()
	contact := memory.Table{
		Name:    "contact",
		Columns: []string{"contact_id int", "name nvarchar(219)"},
		Key:     []string{"contact_id"},
		Rows:    []store.Row{{1, "Alfa"}, {2, "Beta"}},
	}
	customer := cycle.NewCustomer("Cust6647", memory.New(contact))
	db := memory.New()
	client := cycle.NewReplica(customer, db, &cycle.ReplicaOptions{Delay: 1})
	show := func(when string) {
		t, rows, _ := db.Table("crm7.CONTACT")
		fmt.Printf("%s: %s has %d rows\n", when, t, len(rows))
	}

	_ = client.Provision(ctx)
	show("provisioned")
	_ = client.Step(ctx)
	_ = client.Step(ctx)
	show("two commit intervals later")

	_ = customer.Update(ctx, func(tx store.Tx) error {
		_, err := tx.Delete(ctx, store.Table{Name: "contact"}, []store.Cell{{Column: "contact_id", Value: 2}})
		return err
	})
	_ = client.RestoreTenant(ctx)
	_ = client.CatchUp(ctx)
	show("the tenant was resumed")

	_ = client.Resync(ctx, "crm7.contact")
	show("re-synchronization requested")
	_ = client.CatchUp(ctx)
	show("and done")

	// Output:
	// provisioned: crm7.CONTACT has 0 rows
	// two commit intervals later: crm7.CONTACT has 2 rows
	// the tenant was resumed: crm7.CONTACT has 2 rows
	// re-synchronization requested: crm7.CONTACT has 0 rows
	// and done: crm7.CONTACT has 1 rows
}
