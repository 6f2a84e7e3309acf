package mirrortest

import (
	"fmt"
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store"
)

// compareTableScenarios are about which tables and columns are compared.
func compareTableScenarios() []scenario {
	return []scenario{
		{name: "tables that one side lacks", run: func(t *env) {
			t.load(t.store, contact(), table{name: "own_notes", columns: []store.Column{notNull("id", "int")}, rows: []store.Row{{1}}},
				metadata("contact", 5, "person", 6, "own_notes", 7))
			sale := table{name: "sale", columns: []store.Column{notNull("sale_id", "int")}, rows: []store.Row{{1}, {2}}}
			blocked := table{name: "Registry", columns: []store.Column{notNull("id", "int")}}
			skipped := table{name: "email", columns: []store.Column{notNull("id", "int")}}
			r := t.compare(t.source(contact(), person(store.Row{1, "A"}), sale, blocked, skipped), &mirror.CompareOptions{SkipTables: []string{"EMAIL"}})
			require.Equal(t, map[string]mirror.Verdict{
				"contact": mirror.VerdictIdentical, "person": mirror.VerdictMissing, "sale": mirror.VerdictMissing,
				"own_notes": mirror.VerdictExtra, "Registry": mirror.VerdictNotMirrored, "email": mirror.VerdictNotMirrored,
			}, verdicts(r))
			require.EqualValues(t, 2, r.Table("sale").SourceRows)
			require.EqualValues(t, 1, r.Table("own_notes").MirrorRows)
			require.Equal(t, "never mirrored: internal", r.Table("registry").Reason)
			require.Equal(t, []string{"person"}, r.Stale(), "sale has no metadata row: the next cycle sends it by itself")
			require.False(t, r.Identical())
		}},
		{name: "named tables", run: func(t *env) {
			t.load(t.store, contact(), person())
			src := t.source(contact(), person(store.Row{1, "A"}))
			r := t.compare(src, &mirror.CompareOptions{Tables: []string{"CONTACT", "contact"}})
			require.Equal(t, map[string]mirror.Verdict{"contact": mirror.VerdictIdentical}, verdicts(r))
			_, err := t.mirror(nil).Compare(t.Context(), src, &mirror.CompareOptions{Tables: []string{"contact", "parson"}})
			require.ErrorIs(t, err, store.ErrTableNotFound)
			require.ErrorContains(t, err, `"parson" (did you mean "person"?)`)
		}},
		{name: "schema prefixes", run: func(t *env) {
			a, b := contact(store.Row{1, "a", nil}), contact(store.Row{1, "a", nil})
			a.name, b.name = "crm7.contact", "dbo.Contact"
			t.load(t.store, b)
			r := t.compare(t.source(a), &mirror.CompareOptions{SchemaPrefixes: []string{"CRM7.", "dbo."}})
			require.Equal(t, map[string]mirror.Verdict{"dbo.Contact": mirror.VerdictIdentical}, verdicts(r))
			twin := contact()
			twin.name = "contact"
			r = t.compare(t.source(a, twin), &mirror.CompareOptions{SchemaPrefixes: []string{"crm7.", "dbo."}})
			require.Equal(t, mirror.VerdictIncomparable, r.Table("dbo.Contact").Verdict)
			require.ErrorContains(t, r.Err(), "the source has two tables of one name")
		}},
		{name: "many tables at once", run: func(t *env) {
			var tables []table
			for i := range 12 {
				tb := contact(store.Row{1, "a", nil}, store.Row{2, fmt.Sprint(i), day})
				tb.name = fmt.Sprintf("t%02d", i)
				tables = append(tables, tb)
			}
			t.load(t.store, tables...)
			r := t.compare(t.source(tables...), &mirror.CompareOptions{Tuning: mirror.Tuning{Concurrency: 5}})
			require.True(t, r.Identical(), "%s", r)
			require.Len(t, r.Tables, 12)
		}},
		{name: "depths", run: func(t *env) {
			t.load(t.store, contact(store.Row{1, "a", nil}), person())
			src := t.source(contact(store.Row{1, "b", nil}), person(store.Row{1, "A"}))
			require.Equal(t, map[string]mirror.Verdict{"contact": mirror.VerdictIdentical, "person": mirror.VerdictIdentical},
				verdicts(t.compare(src, &mirror.CompareOptions{Depth: mirror.DepthSchema})))
			require.Equal(t, map[string]mirror.Verdict{"contact": mirror.VerdictIdentical, "person": mirror.VerdictDifferent},
				verdicts(t.compare(src, &mirror.CompareOptions{Depth: mirror.DepthCount})))
			_, err := t.mirror(nil).Compare(t.Context(), src, &mirror.CompareOptions{Depth: "deep"})
			require.ErrorContains(t, err, `unknown depth "deep"`)
		}},
		{name: "schema differences", run: func(t *env) {
			mir := contact(store.Row{1, "a", day})
			mir.columns = []store.Column{col("updated", "datetime"), notNull("CONTACT_ID", "bigint"), col("own", "int"), col("fax", "nvarchar(9)")}
			mir.key = []string{"CONTACT_ID"}
			mir.rows = []store.Row{{day, 1, 5, "123"}, {nil, 2, nil, "5"}}
			t.load(t.store, mir, metadata("contact", 8))
			src := contact()
			src.columns = append(slices.Clone(src.columns), col("fax", "int"))
			src.rows = []store.Row{{1, "a", day, 123}, {2, "b", day, 5}}
			r := t.compare(t.source(src), nil)
			tr := r.Table("contact")
			require.Equal(t, mirror.VerdictSchemaDiffers, tr.Verdict)
			require.Equal(t, []mirror.SchemaDifference{
				{Column: "contact_id", What: "type", Source: "int", Mirror: "bigint"},
				{Column: "name", What: "missing column", Source: "nvarchar(219) null"},
				{Column: "fax", What: "type", Source: "int", Mirror: "nvarchar(9)"},
				{Column: "own", What: "extra column", Mirror: "int null"},
			}, tr.Schema)
			require.Equal(t, []mirror.Omission{
				{Column: "name", Reason: "not in the mirror"},
				{Column: "fax", Reason: "int cannot be compared with nvarchar(9)"},
				{Column: "own", Reason: "not at the source"},
			}, tr.NotCompared)
			require.Equal(t, counts{changed: 1}, countsOf(tr), "the columns of both sides are compared all the same")
			require.Empty(t, r.Stale(), "the next cycle may mend the columns")
			require.Equal(t, map[string]mirror.Step{"contact": mirror.StepUnknown}, steps(r.Plan()))
		}},
		{name: "loose types", run: func(t *env) {
			mir := contact(store.Row{1, "a", time.Date(2026, 2, 3, 4, 5, 6, 6_666_700, time.UTC)})
			mir.columns = []store.Column{notNull("contact_id", "bigint"), col("name", "nvarchar(max)"), notNull("updated", "datetime2(7)")}
			t.load(t.store, mir)
			r := t.compare(t.source(contact(store.Row{1, "a", day})), &mirror.CompareOptions{LooseTypes: true})
			require.Equal(t, mirror.VerdictIdentical, r.Table("contact").Verdict, "%s", r)
		}},
		{name: "key column that the mirror lacks", run: func(t *env) {
			mir := table{name: "contact", columns: []store.Column{col("name", "nvarchar(219)")}, rows: []store.Row{{"a"}}}
			t.load(t.store, mir)
			tr := t.compare(t.source(contact()), nil).Table("contact")
			require.Equal(t, mirror.VerdictSchemaDiffers, tr.Verdict)
			require.Equal(t, "key column contact_id is not comparable on both sides", tr.Reason)
			require.EqualValues(t, 1, tr.MirrorRows)
			require.Contains(t, tr.NotCompared, mirror.Omission{Column: "name", Reason: "the rows cannot be compared"})
		}},
		{name: "key that cannot be compared", run: func(t *env) {
			odd := table{name: "odd", columns: []store.Column{notNull("k", "sql_variant"), col("v", "int")}, key: []string{"k"}}
			t.load(t.store, odd)
			r := t.compare(t.source(odd), nil)
			require.Equal(t, mirror.VerdictIncomparable, r.Table("odd").Verdict)
			require.Equal(t, "key column k is not comparable on both sides", r.Table("odd").Reason)
			require.ErrorContains(t, r.Err(), "odd: key column k is not comparable on both sides")
		}},
		{name: "ignored columns", run: func(t *env) {
			t.load(t.store, contact(store.Row{1, "a", nil}))
			src := t.source(contact(store.Row{1, "b", day}))
			tr := t.compare(src, &mirror.CompareOptions{IgnoreColumns: []string{"Updated", "contact.NAME", "person.contact_id"}}).Table("contact")
			require.Equal(t, mirror.VerdictIdentical, tr.Verdict)
			require.Equal(t, []mirror.Omission{{Column: "name", Reason: "ignored by request", Requested: true}, {Column: "updated", Reason: "ignored by request", Requested: true}}, tr.NotCompared)
		}},
		{name: "nothing compared proves nothing", run: func(t *env) {
			r := t.compare(t.source(contact()), &mirror.CompareOptions{SkipTables: []string{"contact"}})
			require.False(t, r.Identical())
			_, err := t.mirror(nil).Compare(t.Context(), t.source(contact()), &mirror.CompareOptions{Tables: []string{}})
			require.ErrorIs(t, err, mirror.ErrNoTables)
		}},
		{name: "options that fit nothing are warned of", run: func(t *env) {
			t.load(t.store, contact(), metadata())
			r := t.compare(t.source(contact()), &mirror.CompareOptions{SkipTables: []string{"nope"}, IgnoreColumns: []string{"contact.nam", "contact.name"}})
			require.Equal(t, []string{`SkipTables: neither side has a table "nope"`, `IgnoreColumns: neither side has a column "contact.nam"`}, r.Warnings)
		}},
		{name: "metadata of another customer is warned of", run: func(t *env) {
			t.Log("a table with the columns of a metadata table is a mistake, one with its name alone a warning, and neither is both")
			t.load(t.store, contact(), table{name: "Cust9_mirroring", columns: metadata().columns})
			r := t.compare(t.source(contact()), nil)
			require.Len(t, r.Mistakes, 1)
			require.Contains(t, r.Mistakes[0], "but Cust9_mirroring: is the context identifier right?")
			require.Empty(t, r.Warnings)
			require.NotContains(t, r.String(), "populates everything")
			st, err := t.mirror(nil).Status(t.Context())
			require.NoError(t, err)
			require.Equal(t, r.Mistakes, st.Mistakes)
			require.Empty(t, st.Warnings)

			require.NoError(t, t.store.Update(t.Context(), func(tx store.Tx) error {
				return tx.Drop(t.Context(), t.table("Cust9_mirroring"))
			}))
			t.load(t.store, table{name: "Cust9_mirroring", columns: contact().columns})
			warning := []string{"there is a table Cust9_mirroring: is the context identifier right?"}
			require.Equal(t, warning, t.compare(t.source(contact()), nil).Warnings)
			st, err = t.mirror(nil).Status(t.Context())
			require.NoError(t, err)
			require.Equal(t, warning, st.Warnings)
			require.NoError(t, st.Err())
		}},
	}
}
