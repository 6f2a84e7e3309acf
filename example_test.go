package mirror_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/journal"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/cycle"
	"github.com/so-mirror/mirror/store/memory"
)

// exampleDatabases returns the customer's database, and a mirror in which one
// company has an old name and one is missing. In earnest they are stores of
// SQL databases, such as those of package sqlite.
func exampleDatabases() (customersDatabase, mirrorsDatabase *memory.Store) {
	contact := func(rows ...store.Row) memory.Table {
		return memory.Table{Name: "contact", Columns: []string{"contact_id int", "name nvarchar(219)"}, Key: []string{"contact_id"}, Rows: rows}
	}
	person := memory.Table{Name: "person", Columns: []string{"person_id int", "lastname nvarchar(99)"}, Key: []string{"person_id"},
		Rows: []store.Row{{1, "Åse"}}}
	lsns := memory.Metadata("Cust10195", map[string]store.LSN{"contact": 81200, "person": 81200})
	return memory.New(contact(store.Row{1, "Alfa"}, store.Row{2, "Beta"}, store.Row{3, "Gamma"}), person),
		memory.New(contact(store.Row{1, "Alfa"}, store.Row{2, "Betta"}), person, lsns)
}

// tracked turns on change tracking for the customer's database. Nothing was
// changed there after the LSNs of the example's mirror.
func tracked(database store.Store) *cycle.Customer {
	customer := cycle.NewCustomer("Cust10195", database)
	customer.Restore(81200)
	return customer
}

// exampleClock keeps the output of the examples as it is.
type exampleClock struct{}

func (exampleClock) Now() time.Time { return time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC) }

func (exampleClock) Sleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }

// The main job: find what no cycle will repair, and have it sent again.
func Example() {
	ctx := context.Background()
	database, store := exampleDatabases()
	source := tracked(database) // as the customer's SQL Server does

	m, err := mirror.New("Cust10195", store, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	report, err := m.Compare(ctx, source, nil)
	if err == nil {
		err = report.Err()
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	plan := report.Plan()
	for _, t := range plan.Tables {
		fmt.Printf("%s: %s, %s\n", t.Table, t.Step, t.Reason)
	}
	if !plan.Empty() {
		if _, err := m.Apply(ctx, plan, nil); err != nil {
			fmt.Println(err)
			return
		}
	}
	lsn, _ := store.LSN("Cust10195", "contact")
	fmt.Println("LSN of contact:", lsn)

	// Output:
	// contact: reset, 2 rows diverged
	// LSN of contact: -1
}

// A row that waits for the next cycle is no reason for a reset; one that was
// changed in the mirror is.
func ExampleMirror_Compare_pending() {
	ctx := context.Background()
	database, _ := exampleDatabases()
	source := cycle.NewCustomer("Cust10195", database) // tracks changes
	st := memory.New()
	task := &cycle.Task{Customer: source, Mirror: st}
	rename := func(s store.Store, id int64, name string) error {
		return s.Update(ctx, func(tx store.Tx) error {
			_, err := tx.Set(ctx, store.Table{Name: "contact", Columns: []store.Column{
				{Name: "contact_id", Type: store.MustType("int")}, {Name: "name", Type: store.MustType("nvarchar(219)")},
			}}, []store.Cell{{Column: "contact_id", Value: id}}, []store.Cell{{Column: "name", Value: name}})
			return err
		})
	}
	if _, err := task.Run(ctx); err != nil {
		fmt.Println(err)
		return
	}
	if err := errors.Join(rename(source, 1, "Alfa AS"), rename(st, 2, "Betta")); err != nil {
		fmt.Println(err)
		return
	}

	m, _ := mirror.New("Cust10195", st, nil)
	report, err := m.Compare(ctx, source, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, d := range report.Table("contact").Differences {
		fmt.Println(d.Key[0], d.State)
	}

	// Output:
	// contact_id=1 pending
	// contact_id=2 diverged
}

// A plan can be reviewed, kept as JSON, and applied later.
func ExampleMirror_Apply() {
	ctx := context.Background()
	database, store := exampleDatabases()
	m, _ := mirror.New("Cust10195", store, &mirror.Options{Clock: exampleClock{}})
	report, err := m.Compare(ctx, tracked(database), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	plan := report.Plan()
	fmt.Print(plan)
	receipt, err := m.Apply(ctx, plan, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("reset:", receipt.Tables[0].Table)
	_, err = m.Apply(ctx, plan, nil)
	fmt.Println(errors.Is(err, mirror.ErrMoved))

	// Output:
	// Plan for Cust10195, from the comparison of 2026-02-03 04:05:06 UTC
	//   TABLE    STEP   ROWS  MB  BATCHES  CYCLES  REASON
	//   contact  reset     3  <1        1       1  2 rows diverged
	// Meanwhile
	//   contact: as it is until the next cycle, then empty until it is populated
	// reset: contact
	// true
}

// What a process that died was about to do is known from its journal.
func ExampleMirror_Reconcile() {
	ctx := context.Background()
	_, st := exampleDatabases()
	path := filepath.Join(os.TempDir(), fmt.Sprintf("mirror-example-%d.jsonl", os.Getpid()))
	defer os.Remove(path)
	file, err := journal.Open(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer file.Close()
	m, _ := mirror.New("Cust10195", st, &mirror.Options{Journal: file})

	st.FailAfterCommit(1, store.ErrOutcomeUnknown) // the connection breaks during the commit
	_, err = m.ResetTables(ctx, []string{"contact"}, nil)
	fmt.Println(errors.Is(err, store.ErrOutcomeUnknown))

	entries, err := file.Entries()
	if err != nil {
		fmt.Println(err)
		return
	}
	found, err := m.Reconcile(ctx, entries)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(found[0].Receipt.Operation, found[0].Outcome)
	fmt.Println("undone:", m.Undo(ctx, found[0].Receipt) == nil)

	// Output:
	// true
	// reset tables done
	// undone: true
}

// Without change tracking, what differs is read again after each cycle.
func ExampleMirror_Recheck() {
	ctx := context.Background()
	source, st := exampleDatabases()
	m, _ := mirror.New("Cust10195", st, nil)
	report, err := m.Compare(ctx, source, nil)
	if err != nil {
		fmt.Println(err)
		return
	}

	// A cycle brings the company that was missing. Two moves of the LSN would
	// be proof enough that the other difference stays; here one is.
	missing := memory.Table{Name: "contact", Columns: []string{"contact_id int", "name nvarchar(219)"}, Key: []string{"contact_id"},
		Rows: []store.Row{{1, "Alfa"}, {2, "Betta"}, {3, "Gamma"}}}
	if err := st.Seed(missing, memory.Metadata("Cust10195", map[string]store.LSN{"contact": 81300, "person": 81200})); err != nil {
		fmt.Println(err)
		return
	}
	report, err = m.Recheck(ctx, source, report, &mirror.RecheckOptions{Cycles: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, d := range report.Table("contact").Differences {
		fmt.Println(d.Key[0], d.State)
	}

	// Output:
	// contact_id=2 diverged
	// contact_id=3 arrived
}

func ExampleMirror_Status() {
	_, store := exampleDatabases()
	m, _ := mirror.New("Cust10195", store, nil)

	status, err := m.Status(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = status.WriteText(os.Stdout)

	// Output:
	// Mirror of Cust10195
	//   TABLE    STATE   ROWS    LSN
	//   contact  synced     2  81200
	//   person   synced     1  81200
}

func ExampleMirror_Compare() {
	source, store := exampleDatabases()
	m, _ := mirror.New("Cust10195", store, &mirror.Options{Clock: exampleClock{}})

	report, err := m.Compare(context.Background(), source, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = report.WriteText(os.Stdout)

	// Output:
	// Comparison of Cust10195 by rows, 2026-02-03 04:05:06 UTC, took 0s
	// Source: a database that its tables do not identify, memory
	// Mirror: the mirror of Cust10195, memory
	// Scope: 2 of 2 tables compared, with all columns
	//   TABLE    VERDICT    SOURCE  MIRROR  MISSING  CHANGED  TIME
	//   contact  different       3       2        1        1    0s  2 unknown
	//   person   identical       1       1        -        -    0s
	//
	// contact
	//   columns: name in 1 row
	//   changed   contact_id=2
	//             name: source "Beta", mirror "Betta"
	//   missing   contact_id=3
	//
	// 1 identical, 1 different.
	// Whether 2 rows that differ wait for the next cycle is not known: compare again after it (Recheck).
}

// A reset needs names; those that a comparison found come from Report.Stale.
func ExampleMirror_ResetTables() {
	ctx := context.Background()
	database, store := exampleDatabases()
	m, _ := mirror.New("Cust10195", store, &mirror.Options{Clock: exampleClock{}})

	report, err := m.Compare(ctx, tracked(database), nil)
	if err == nil {
		err = report.Err()
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	receipt, err := m.ResetTables(ctx, report.Stale(), nil)
	if errors.Is(err, mirror.ErrNothingToDo) {
		fmt.Println("nothing to reset")
		return
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = receipt.WriteText(os.Stdout)

	// Output:
	// reset tables of Cust10195: done, 2026-02-03 04:05:06 UTC
	//   TABLE    ACTIONS    ROWS  PREVIOUS LSN
	//   contact  reset-lsn     2         81200
}

// A name that is not known changes nothing, and the error says which was meant.
func ExampleMirror_ResetTables_unknown() {
	_, st := exampleDatabases()
	m, _ := mirror.New("Cust10195", st, nil)

	_, err := m.ResetTables(context.Background(), []string{"contact", "persom"}, nil)
	fmt.Println(err)
	fmt.Println(errors.Is(err, store.ErrTableNotFound))

	// Output:
	// reset tables of Cust10195: table not found: "persom" (did you mean "person"?)
	// true
}

// Everything is sent again. What would be done can be read before it is done.
func ExampleMirror_HardReset() {
	ctx := context.Background()
	_, store := exampleDatabases()
	m, _ := mirror.New("Cust10195", store, &mirror.Options{Clock: exampleClock{}})

	plan, err := m.HardReset(ctx, &mirror.HardResetOptions{DryRun: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = plan.WriteText(os.Stdout)

	_, err = m.HardReset(ctx, &mirror.HardResetOptions{Confirm: "Cust10195"})
	if err != nil {
		fmt.Println(err)
		return
	}
	status, _ := m.Status(ctx)
	fmt.Println(status.State)

	// Output:
	// hard reset of Cust10195: dry run, nothing was changed, 2026-02-03 04:05:06 UTC
	//   rename Cust10195_mirroring to before_hard_reset_Cust10195: the next cycle creates it anew and populates everything
	//   TABLE    ACTIONS          ROWS  PREVIOUS LSN
	//   contact  delete-metadata     2         81200
	//   person   delete-metadata     1         81200
	// awaiting-first-cycle
}

// Until the next cycle begins, the receipt of a reset takes it back.
func ExampleMirror_Undo() {
	ctx := context.Background()
	_, store := exampleDatabases()
	m, _ := mirror.New("Cust10195", store, nil)
	show := func() {
		lsn, _ := store.LSN("Cust10195", "contact")
		fmt.Println("LSN of contact:", lsn)
	}

	receipt, err := m.ResetTables(ctx, []string{"contact"}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	show()
	if err := m.Undo(ctx, receipt); err != nil {
		fmt.Println(err)
		return
	}
	show()

	// Output:
	// LSN of contact: -1
	// LSN of contact: 81200
}

// A unit test of code that resets tables: the database fails in the middle, and
// the test looks at what is left.
func Example_unitTest() {
	ctx := context.Background()
	_, store := exampleDatabases()
	m, _ := mirror.New("Cust10195", store, nil)

	lost := errors.New("connection lost")
	store.FailAt(memory.Truncate, 1, lost)
	_, err := m.ResetTables(ctx, []string{"contact"}, &mirror.ResetOptions{Truncate: true})

	fmt.Println(err)
	fmt.Println(errors.Is(err, lost))
	lsn, _ := store.LSN("Cust10195", "contact")
	_, rows, _ := store.Table("contact")
	fmt.Printf("LSN %d, %d rows\n", lsn, len(rows))

	// Output:
	// reset tables of Cust10195: contact: connection lost
	// true
	// LSN 81200, 2 rows
}
