package mirrortest

import (
	"fmt"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/cycle"
)

func procedureScenarios() []scenario {
	return []scenario{{name: "from a cycle to an undo", run: func(t *env) {
		var contacts, persons []store.Row
		for i := range 300 {
			contacts = append(contacts, store.Row{i + 1, fmt.Sprint("Ærlig ", i), day.Add(time.Duration(i) * time.Hour)})
			persons = append(persons, store.Row{i + 1, fmt.Sprint("Ångström ", i)})
		}
		sale := table{name: "sale", columns: []store.Column{notNull("sale_id", "int"), col("amount", "float")}, key: []string{"sale_id"},
			rows: []store.Row{{1, 0.1}, {2, nil}}}
		customer := cycle.NewCustomer(ContextID, t.source(contact(contacts...), person(persons...), sale))
		task := &cycle.Task{Customer: customer, Mirror: t.store, BatchSize: 10_000}
		run := func() *cycle.Result {
			t.Helper()
			result, err := task.Run(t.Context())
			require.NoError(t, err)
			return result
		}
		m := t.mirror(nil)
		identical := func() {
			t.Helper()
			require.True(t, t.compare(customer, nil).Identical(), "%s", t.compare(customer, nil))
		}

		require.True(t, run().MetadataCreated)
		identical()

		contactTable, personTable, saleTable := t.table("contact"), t.table("person"), t.table("sale")
		require.NoError(t, t.store.Update(t.Context(), func(tx store.Tx) error {
			for i := range 7 {
				if _, err := tx.Delete(t.Context(), contactTable, []store.Cell{{Column: "contact_id", Value: 40*i + 3}}); err != nil {
					return err
				}
			}
			if _, err := tx.Set(t.Context(), personTable, []store.Cell{{Column: "person_id", Value: 5}},
				[]store.Cell{{Column: "lastname", Value: "ångström 4"}}); err != nil {
				return err
			}
			if err := tx.Insert(t.Context(), personTable, []string{"person_id"}, []store.Row{{999}}); err != nil {
				return err
			}
			return tx.Drop(t.Context(), saleTable)
		}))
		report := t.compare(customer, nil)
		require.Equal(t, counts{missing: 7}, countsOf(report.Table("contact")))
		require.Equal(t, counts{changed: 1, extra: 1}, countsOf(report.Table("person")))
		require.Equal(t, mirror.VerdictMissing, report.Table("sale").Verdict)
		require.Equal(t, []string{"contact", "person", "sale"}, report.Stale())

		receipt, err := m.ResetTables(t.Context(), report.Stale(), nil)
		require.NoError(t, err)
		require.Len(t, receipt.Tables, 3)
		result := run()
		wiped, _ := result.Table("contact")
		require.Equal(t, cycle.Wiped, wiped.Action)
		identical()

		receipt, err = m.ResetTables(t.Context(), []string{"contact"}, nil)
		require.NoError(t, err)
		require.NoError(t, m.Undo(t.Context(), t.throughJSON(receipt)))
		result = run()
		quiet, _ := result.Table("contact")
		require.Equal(t, cycle.Unchanged, quiet.Action, "an undone reset sends nothing")

		receipt, err = m.HardReset(t.Context(), &mirror.HardResetOptions{Confirm: ContextID})
		require.NoError(t, err)
		require.NoError(t, m.Undo(t.Context(), t.throughJSON(receipt)))
		result = run()
		require.False(t, result.MetadataCreated)
		identical()

		_, err = m.HardReset(t.Context(), &mirror.HardResetOptions{Confirm: ContextID})
		require.NoError(t, err)
		require.True(t, run().MetadataCreated)
		identical()
		require.ErrorIs(t, m.Undo(t.Context(), receipt), mirror.ErrCannotUndo)
	}}}
}
