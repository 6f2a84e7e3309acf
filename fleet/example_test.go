package fleet_test

import (
	"context"
	"fmt"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/fleet"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/cycle"
	"github.com/so-mirror/mirror/store/memory"
)

// One summary over the mirrors of many customers.
func ExampleFleet() {
	contact := func(second string) memory.Table {
		return memory.Table{Name: "contact", Columns: []string{"contact_id int", "name nvarchar(219)"}, Key: []string{"contact_id"},
			Rows: []store.Row{{1, "Alfa"}, {2, second}}}
	}
	person := memory.Table{Name: "person", Columns: []string{"person_id int", "lastname nvarchar(99)"}, Key: []string{"person_id"},
		Rows: []store.Row{{1, "Åse"}}}
	open := func(id string) fleet.Member {
		return fleet.Member{ContextID: id, Open: func(context.Context) (*fleet.Connection, error) {
			source := cycle.NewCustomer("Cust10195", memory.New(contact("Beta"), person))
			source.Restore(81200)
			lsns := memory.Metadata("Cust10195", map[string]store.LSN{"contact": 81200, "person": 81200})
			m, err := mirror.New("Cust10195", memory.New(contact("Betta"), person, lsns), nil)
			return &fleet.Connection{Mirror: m, Source: source}, err
		}}
	}
	all := &fleet.Fleet{Members: []fleet.Member{open("Cust10195"), open("Cust10196")}}
	var summary fleet.Summary
	for result := range all.Compare(context.Background(), nil) {
		summary.Add(result)
	}
	fmt.Print(&summary)

	// Unordered output:
	// Members: 2, failed: 1, to reset: 1
	// Tables: 1 identical, 1 different.
	//   Cust10195: to reset: contact
	//   Cust10196: open: it returned the mirror of "Cust10195"
}
