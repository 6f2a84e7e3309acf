package mirrortest

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/cycle"
)

// Steps plays each kind of damage that a cycle can repair against two tasks, one
// that notices everything and one that does no more than is documented. It follows
// the plans until contact is repaired, and demands that they take the steps that
// they are to take, and that no milder one would have done.
func Steps(t *testing.T, open Open) {
	for _, d := range damages() {
		t.Run(d.name, func(t *testing.T) {
			for _, literal := range []bool{false, true} {
				want, name := d.noticing, "a task that notices"
				if literal {
					want, name = d.literal, "a literal task"
				}
				t.Run(name, func(t *testing.T) {
					w := newDamaged(t, open, d, literal)
					require.Equal(t, want, w.follow())
				})
			}
			last := len(rungs) - 1
			for ; last > 0 && rungs[last].name != d.literal[len(d.literal)-1]; last-- {
			}
			for i, r := range rungs[:last+1] {
				t.Run("alone: "+r.name, func(t *testing.T) {
					w := newDamaged(t, open, d, true)
					repaired := r.do(w) == nil
					if d.meanwhile != nil {
						d.meanwhile(w)
					}
					for range 2 {
						if _, err := w.task.Run(t.Context()); err != nil {
							repaired = false
						}
					}
					require.Equal(t, i == last, repaired && w.compare().Table("contact").Verdict == mirror.VerdictIdentical)
				})
			}
		})
	}
}

// rungs are what can be done about contact, from the mildest on.
var rungs = []struct {
	name string
	do   func(w *damaged) error
}{
	{"nothing", func(*damaged) error { return nil }},
	{"reset", func(w *damaged) error {
		_, err := w.mirror.ResetTables(w.Context(), []string{"contact"}, nil)
		return err
	}},
	{"hard-reset", func(w *damaged) error {
		_, err := w.mirror.HardReset(w.Context(), &mirror.HardResetOptions{Confirm: ContextID, Tables: []string{"contact"}})
		return err
	}},
	{"hard-reset, drop", func(w *damaged) error {
		_, err := w.mirror.HardReset(w.Context(), &mirror.HardResetOptions{Confirm: ContextID, Tables: []string{"contact"}, DropData: true})
		return err
	}},
}

// damage is one kind.
type damage struct {
	name      string
	harm      func(w *damaged)
	meanwhile func(w *damaged) // what happens before the next cycle

	// The steps that plans take until all is well.
	noticing, literal []string
}

func damages() []damage {
	reset := []string{"reset"}
	waits, drops := []string{"nothing"}, []string{"nothing", "reset", "hard-reset, drop"}
	other := func(change func(tb *table)) func(w *damaged) {
		return func(w *damaged) {
			tb := contact(w.rows("contact")...)
			change(&tb)
			w.update(w.store, func(tx store.Tx) error { return tx.Drop(w.Context(), w.table("contact")) })
			w.load(w.store, tb)
		}
	}
	return []damage{
		{name: "a changed row", noticing: reset, literal: reset, harm: func(w *damaged) {
			w.set(w.store, "contact", 3, "tampered")
		}},
		{name: "a lost row", noticing: reset, literal: reset, harm: func(w *damaged) {
			w.remove(w.store, 3)
		}},
		{name: "an extra row", noticing: reset, literal: reset, harm: func(w *damaged) {
			w.update(w.store, func(tx store.Tx) error {
				return tx.Insert(w.Context(), w.table("contact"), []string{"contact_id"}, []store.Row{{99}})
			})
		}},
		{name: "the source was restored, and passes the LSN", noticing: reset, literal: reset, harm: func(w *damaged) {
			w.set(w.customer, "contact", 3, "lost by it")
			w.cycle()
			v, err := w.customer.Version(w.Context())
			require.NoError(w, err)
			w.set(w.database, "contact", 3, "Ærlig 3")
			w.customer.Restore(int64(v) - 1)
		}, meanwhile: func(w *damaged) {
			for n := range 3 {
				w.set(w.customer, "person", 1, fmt.Sprint("after it ", n))
			}
		}},
		{name: "an expired LSN", noticing: reset, literal: reset, harm: func(w *damaged) {
			w.set(w.store, "contact", 3, "tampered")
			w.set(w.customer, "person", 1, "moves the version")
			v, err := w.customer.Version(w.Context())
			require.NoError(w, err)
			w.customer.Forget(int64(v))
		}},
		{name: "a missing table", noticing: reset, literal: reset, harm: func(w *damaged) {
			w.update(w.store, func(tx store.Tx) error { return tx.Drop(w.Context(), w.table("contact")) })
		}},
		{name: "several metadata rows", noticing: []string{"hard-reset"}, literal: []string{"hard-reset"}, harm: func(w *damaged) {
			w.set(w.store, "contact", 3, "tampered")
			w.update(w.store, func(tx store.Tx) error {
				return tx.Insert(w.Context(), w.table(mirror.MetadataTableName(ContextID)), []string{"tablename", "LSN"}, []store.Row{{"CONTACT", 1}})
			})
		}},
		{name: "a column of another type", noticing: waits, literal: drops, harm: other(func(tb *table) { tb.columns[1] = col("name", "nvarchar(500)") })},
		{name: "an extra column", noticing: waits, literal: drops, harm: other(func(tb *table) {
			tb.columns = append(tb.columns, col("own", "int"))
			for i := range tb.rows {
				tb.rows[i] = append(tb.rows[i], nil)
			}
		})},
		{name: "a missing column", noticing: waits, literal: drops, harm: other(func(tb *table) {
			tb.columns = tb.columns[:2]
			for i := range tb.rows {
				tb.rows[i] = tb.rows[i][:2]
			}
		})},
		{name: "a missing key, and a changed row", noticing: waits, literal: drops, harm: other(func(tb *table) {
			tb.key = nil
			tb.rows[3][1] = "tampered"
		})},
	}
}

// damaged is a customer with a mirror that a cycle has filled, and that was
// damaged then.
type damaged struct {
	*env
	damage   damage
	database store.Store
	customer *cycle.Customer
	task     *cycle.Task
	mirror   *mirror.Mirror
	touched  int
}

func newDamaged(t *testing.T, open Open, d damage, literal bool) *damaged {
	t.Helper()
	w := &damaged{env: &env{T: t, openSource: open, store: open(t)}, damage: d}
	var contacts []store.Row
	for n := range 10 {
		contacts = append(contacts, store.Row{n, fmt.Sprint("Ærlig ", n), day})
	}
	w.database = w.source(contact(contacts...), person(store.Row{1, "Åse"}))
	w.customer = cycle.NewCustomer(ContextID, w.database)
	w.task = &cycle.Task{Customer: w.customer, Mirror: w.store, Literal: literal}
	w.mirror = w.env.mirror(nil)
	w.cycle()
	d.harm(w)
	return w
}

func (w *damaged) cycle() {
	w.Helper()
	_, err := w.task.Run(w.Context())
	require.NoError(w, err)
}

func (w *damaged) compare() *mirror.Report {
	w.Helper()
	r, err := w.mirror.Compare(w.Context(), w.customer, nil)
	require.NoError(w, err)
	return r
}

func (w *damaged) update(store store.Store, fn func(tx store.Tx) error) {
	w.Helper()
	require.NoError(w, store.Update(w.Context(), fn))
}

// set gives a row of contact or person another name.
func (w *damaged) set(st store.Store, name string, id int, value string) {
	w.Helper()
	tb := w.table(name)
	w.update(st, func(tx store.Tx) error {
		_, err := tx.Set(w.Context(), tb, []store.Cell{{Column: name + "_id", Value: id}}, []store.Cell{{Column: tb.Columns[1].Name, Value: value}})
		return err
	})
}

func (w *damaged) remove(st store.Store, id int) {
	w.Helper()
	w.update(st, func(tx store.Tx) error {
		_, err := tx.Delete(w.Context(), w.table("contact"), []store.Cell{{Column: "contact_id", Value: id}})
		return err
	})
}

// follow does what the plans say, with a cycle after each, until contact is
// identical, and returns the steps.
func (w *damaged) follow() (steps []string) {
	w.Helper()
	report := w.compare()
	require.NotEqual(w, mirror.VerdictIdentical, report.Table("contact").Verdict)
	recheck := func() {
		w.Helper()
		again, err := w.mirror.Recheck(w.Context(), w.customer, report, nil)
		require.NoError(w, err)
		report = again
	}
	for range 12 {
		step := "nothing"
		plan := report.Plan()
		if !plan.Empty() {
			receipt, err := w.mirror.Apply(w.Context(), plan, &mirror.ApplyOptions{Tables: []string{"contact"}, Confirm: ContextID})
			require.NoError(w, err)
			require.Len(w, receipt.Tables, 1)
			for _, t := range plan.Tables {
				if t.Table == "contact" {
					step = string(t.Step)
					if t.Drop {
						step += ", drop"
					}
				}
			}
			recheck()
		}
		if len(steps) == 0 || steps[len(steps)-1] != step {
			steps = append(steps, step)
		}
		if w.damage.meanwhile != nil {
			w.damage.meanwhile(w)
		}
		w.touched++
		w.set(w.customer, "person", 1, fmt.Sprint("changes ", w.touched)) // so that LSNs move
		w.cycle()
		if w.compare().Table("contact").Verdict == mirror.VerdictIdentical {
			return steps
		}
		recheck()
	}
	require.Fail(w, "contact was not repaired", "steps %v\n%s", steps, report)
	return nil
}
