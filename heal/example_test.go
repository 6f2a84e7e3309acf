package heal_test

import (
	"context"
	"fmt"
	"time"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/heal"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/cycle"
	"github.com/so-mirror/mirror/store/memory"
)

// cycleClock is a clock that keeps the output of the example as it is. A cycle
// comes while it sleeps.
type cycleClock struct{ task *cycle.Task }

func (cycleClock) Now() time.Time { return time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC) }

func (c cycleClock) Sleep(ctx context.Context, _ time.Duration) error {
	_, err := c.task.Run(ctx)
	return err
}

// Compare, reset what has diverged, wait for the cycle, and compare again.
func ExampleRun() {
	ctx := context.Background()
	contact := memory.Table{Name: "contact", Columns: []string{"contact_id int", "name nvarchar(219)"}, Key: []string{"contact_id"},
		Rows: []store.Row{{1, "Alfa"}, {2, "Beta"}, {3, "Gamma"}}}
	person := memory.Table{Name: "person", Columns: []string{"person_id int", "lastname nvarchar(99)"}, Key: []string{"person_id"},
		Rows: []store.Row{{1, "Åse"}}}
	source := cycle.NewCustomer("Cust10195", memory.New(contact, person))
	st := memory.New()
	task := &cycle.Task{Customer: source, Mirror: st}
	if _, err := task.Run(ctx); err != nil {
		fmt.Println(err)
		return
	}
	err := st.Update(ctx, func(tx store.Tx) error {
		contact, _, _ := st.Table("contact")
		_, err := tx.Delete(ctx, contact, []store.Cell{{Column: "contact_id", Value: 2}})
		return err
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	// In earnest cycles come by themselves. Here one comes while Run sleeps.
	m, _ := mirror.New("Cust10195", st, &mirror.Options{Clock: cycleClock{task}})
	healing, err := heal.Run(ctx, m, source, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, round := range healing.Rounds {
		fmt.Println(round.Report.Summary())
	}
	fmt.Println("healed:", healing.Healed)

	// Output:
	// 1 identical, 1 different.
	// 2 identical.
	// healed: true
}
