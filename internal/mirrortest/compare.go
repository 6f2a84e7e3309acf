package mirrortest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store"
)

// compare compares source with the store and demands that the counts add up.
func (t *env) compare(source store.Source, opts *mirror.CompareOptions) *mirror.Report {
	t.Helper()
	r, err := t.mirror(nil).Compare(t.Context(), source, opts)
	require.NoError(t, err)
	for _, tr := range r.Tables {
		if tr.Verdict == mirror.VerdictDifferent && r.Depth == mirror.DepthRows {
			require.Equal(t, tr.SourceRows-tr.Missing, tr.MirrorRows-tr.Extra-tr.Duplicate, "counts of %s add up", tr.Table)
		}
	}
	return r
}

type counts struct{ missing, extra, changed, duplicate int64 }

func countsOf(tr *mirror.TableReport) counts {
	return counts{tr.Missing, tr.Extra, tr.Changed, tr.Duplicate}
}

func verdicts(r *mirror.Report) map[string]mirror.Verdict {
	m := map[string]mirror.Verdict{}
	for _, tr := range r.Tables {
		m[tr.Table] = tr.Verdict
	}
	return m
}

func steps(p *mirror.Plan) map[string]mirror.Step {
	m := map[string]mirror.Step{}
	for _, t := range p.Tables {
		m[t.Table] = t.Step
	}
	return m
}

func compareScenarios() []scenario {
	keyless := func(rows ...store.Row) table {
		return table{name: "log", columns: []store.Column{col("what", "nvarchar(20)"), col("weight", "float")}, rows: rows}
	}
	loose := func(rows ...store.Row) table { // contact as a mirror that lost its key
		tb := contact(rows...)
		tb.key = nil
		return tb
	}
	list := []scenario{
		{name: "identical", run: func(t *env) {
			rows := []store.Row{{1, "Ærlig AS", day}, {2, "", nil}, {3, nil, day}}
			t.load(t.store, contact(rows...), person(), metadata("contact", 5, "person", 5))
			r := t.compare(t.source(contact(rows...), person()), nil)
			require.True(t, r.Identical())
			require.Empty(t, r.Stale())
			require.Equal(t, lsn(5), r.Table("CONTACT").LSN)
			require.EqualValues(t, 3, r.Table("contact").SourceRows)
			require.EqualValues(t, 3, r.Table("contact").MirrorRows)
			require.Equal(t, []string{"contact_id"}, r.Table("contact").Key)
		}},
		{name: "missing, extra and changed rows", run: func(t *env) {
			t.load(t.store, contact(store.Row{2, "b", day}, store.Row{3, "c", day}, store.Row{4, "", nil}, store.Row{9, "x", nil}),
				metadata("contact", 5))
			r := t.compare(t.source(contact(store.Row{1, "a", nil}, store.Row{2, "B", day}, store.Row{3, "c", day},
				store.Row{4, nil, day}, store.Row{5, "e", nil})), nil)
			tr := r.Table("contact")
			require.Equal(t, mirror.VerdictDifferent, tr.Verdict)
			require.Equal(t, counts{missing: 2, extra: 1, changed: 2}, countsOf(tr))
			require.Equal(t, []mirror.ColumnCount{{Column: "name", Rows: 2}, {Column: "updated", Rows: 1}}, tr.ChangedColumns)
			require.Empty(t, r.Stale(), "nothing is known of rows that may wait for a cycle")
			require.Equal(t, map[string]mirror.Step{"contact": mirror.StepUnknown}, steps(r.Plan()))
			text := r.String()
			for _, want := range []string{
				"missing   contact_id=1\n", "missing   contact_id=5\n", "extra     contact_id=9\n",
				"changed   contact_id=2\n            name: source \"B\", mirror \"b\"\n",
				"            name: source NULL, mirror \"\"\n            updated: source 2026-02-03 04:05:06.007, mirror NULL\n",
			} {
				require.Contains(t, text, want)
			}
		}},
		{name: "every row differs across batches", run: func(t *env) {
			var a, b []store.Row
			for i := range 1500 {
				a = append(a, store.Row{i, fmt.Sprint("a", i), day})
				b = append(b, store.Row{i, fmt.Sprint("b", i), day})
			}
			t.load(t.store, contact(b...))
			tr := t.compare(t.source(contact(a...)), nil).Table("contact")
			require.Equal(t, counts{changed: 1500}, countsOf(tr))
			require.Len(t, tr.Samples, 10)
			require.Contains(t, t.compare(t.source(contact(a...)), &mirror.CompareOptions{MaxSamples: 3}).String(), "and 1,497 more\n")
			require.Empty(t, t.compare(t.source(contact(a...)), &mirror.CompareOptions{MaxSamples: -1}).Table("contact").Samples)
		}},
		{name: "one side is empty", run: func(t *env) {
			t.load(t.store, contact(), person(store.Row{1, "A"}))
			r := t.compare(t.source(contact(store.Row{1, "a", nil}), person()), nil)
			require.Equal(t, counts{missing: 1}, countsOf(r.Table("contact")))
			require.Equal(t, counts{extra: 1}, countsOf(r.Table("person")))
		}},
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
		{name: "duplicate keys in the mirror", run: func(t *env) {
			t.load(t.store, loose(store.Row{1, "a", nil}, store.Row{1, "a", nil}, store.Row{1, "old", nil}, store.Row{2, "b", nil},
				store.Row{3, "x", nil}, store.Row{3, "y", nil}, store.Row{4, "d", nil}, store.Row{4, "d", nil}))
			src := t.source(contact(store.Row{1, "a", nil}, store.Row{2, "b", nil}, store.Row{3, "c", nil}))
			tr := t.compare(src, nil).Table("contact")
			require.Equal(t, mirror.VerdictSchemaDiffers, tr.Verdict)
			require.Equal(t, []mirror.SchemaDifference{{What: "primary key", Source: "contact_id"}}, tr.Schema)
			require.Equal(t, counts{extra: 2, changed: 1, duplicate: 3}, countsOf(tr))
		}},
		{name: "duplicate keys across batches", run: func(t *env) {
			var rows []store.Row
			for range 700 {
				rows = append(rows, store.Row{7, "same", nil})
			}
			t.load(t.store, loose(rows...))
			tr := t.compare(t.source(contact(store.Row{7, "same", nil}, store.Row{8, "next", nil})), nil).Table("contact")
			require.Equal(t, counts{missing: 1, duplicate: 699}, countsOf(tr))
		}},
		{name: "too many different rows with one key", run: func(t *env) {
			var rows []store.Row
			for i := range 1200 {
				rows = append(rows, store.Row{7, fmt.Sprint(i), nil})
			}
			t.load(t.store, loose(rows...))
			tr := t.compare(t.source(contact(store.Row{7, "x", nil})), nil).Table("contact")
			require.Equal(t, mirror.VerdictSchemaDiffers, tr.Verdict)
			require.Equal(t, counts{changed: 1, duplicate: 1199}, countsOf(tr), "what there is no room for is counted all the same")
			require.EqualValues(t, 1200, tr.MirrorRows)
			require.Empty(t, tr.NotCompared)
		}},
		{name: "no primary key: a multiset", run: func(t *env) {
			t.load(t.store, keyless(store.Row{"b", 2.0}, store.Row{"a", 1.0}, store.Row{"a", 1.0}, store.Row{"c", nil}))
			same := t.compare(t.source(keyless(store.Row{"a", 1.0}, store.Row{"c", nil}, store.Row{"b", 2.0}, store.Row{"a", 1.0})), nil).Table("log")
			require.Equal(t, mirror.VerdictIdentical, same.Verdict)
			require.True(t, same.Keyless)
			differ := t.compare(t.source(keyless(store.Row{"a", 1.0}, store.Row{"b", 2.5}, store.Row{nil, 1.0})), nil).Table("log")
			require.Equal(t, mirror.VerdictDifferent, differ.Verdict)
			require.Equal(t, counts{missing: 2, extra: 3}, countsOf(differ))
		}},
		{name: "no primary key: zeros of either sign", run: func(t *env) {
			minus := math.Copysign(0, -1)
			t.load(t.store, keyless(store.Row{"a", 0.0}, store.Row{"a", minus}, store.Row{"a", minus}))
			tr := t.compare(t.source(keyless(store.Row{"a", minus}, store.Row{"a", 0.0}, store.Row{"a", 0.0})), nil).Table("log")
			require.Equal(t, counts{missing: 1, extra: 1}, countsOf(tr))
		}},
		{name: "NULL in a key", run: func(t *env) {
			nullable := func(rows ...store.Row) table {
				tb := loose(rows...)
				tb.columns = slices.Clone(tb.columns)
				tb.columns[0].Nullable = true
				return tb
			}
			t.load(t.store, nullable(store.Row{nil, "a", nil}, store.Row{1, "b", nil}))
			tr := t.compare(t.source(contact(store.Row{1, "b", nil})), nil).Table("contact")
			require.Equal(t, mirror.VerdictSchemaDiffers, tr.Verdict)
			require.Equal(t, counts{extra: 1}, countsOf(tr))
			require.Contains(t, tr.Schema, mirror.SchemaDifference{Column: "contact_id", What: "nullability", Source: "not null", Mirror: "null"})
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
		{name: "times of two types in a composite key", run: func(t *env) {
			at := func(typ string) table {
				return table{name: "at", columns: []store.Column{notNull("at", typ), notNull("id", "int")}, key: []string{"at", "id"}}
			}
			t.load(t.store, at("datetime"))
			tr := t.compare(t.source(at("datetime2(6)")), &mirror.CompareOptions{LooseTypes: true}).Table("at")
			require.Equal(t, mirror.VerdictIncomparable, tr.Verdict)
			require.Equal(t, "column at of the key is datetime2(6) at the source and datetime in the mirror", tr.Reason)
		}},
		{name: "times of two types", run: func(t *env) {
			t.Log("a step of datetime is 1/300 s: one step is a difference, less is not, and the report says so")
			start := time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
			tick := func(n int) time.Time { return start.Add(time.Duration(n) * time.Second / 300).Round(time.Millisecond) }
			tables := func(typ string, row func(name string, n int) time.Time) (list []table) {
				for _, name := range []string{"same", "next", "near"} {
					tb := table{name: name, columns: []store.Column{notNull("id", "int"), col("at", typ)}, key: []string{"id"}}
					for n := range 30 {
						tb.rows = append(tb.rows, store.Row{n, row(name, n)})
					}
					list = append(list, tb)
				}
				return list
			}
			t.load(t.store, tables("datetime", func(_ string, n int) time.Time { return tick(n) })...)
			for _, typ := range []string{"datetime2(3)", "datetime2(6)"} {
				r := t.compare(t.source(tables(typ, func(name string, n int) time.Time {
					switch name {
					case "next":
						return tick(n + 1)
					case "near":
						return tick(n).Add(time.Millisecond)
					default:
						return tick(n)
					}
				})...), &mirror.CompareOptions{LooseTypes: true})
				for name, want := range map[string]int64{"same": 0, "next": 30, "near": 0} {
					tr := r.Table(name)
					require.Equal(t, counts{changed: want}, countsOf(tr), "%s, %s: %s", typ, name, r)
					warning := "column at is " + typ + " at the source and datetime in the mirror: it is compared in steps of 1/300 s, and a smaller difference is not seen"
					require.Equal(t, warning, tr.Warning)
					require.Contains(t, r.String(), warning)
				}
			}
		}},
		{name: "a source that panics fails its table", run: func(t *env) {
			t.load(t.store, contact(store.Row{1, "a", nil}), person())
			src := failing{Store: t.source(contact(store.Row{1, "a", nil}), person()), table: "contact", panics: true}
			r := t.compare(src, nil)
			require.Equal(t, map[string]mirror.Verdict{"contact": mirror.VerdictFailed, "person": mirror.VerdictIdentical}, verdicts(r))
			require.Equal(t, "source: panic: out of paper", r.Table("contact").Reason)
		}},
		{name: "ignored columns", run: func(t *env) {
			t.load(t.store, contact(store.Row{1, "a", nil}))
			src := t.source(contact(store.Row{1, "b", day}))
			tr := t.compare(src, &mirror.CompareOptions{IgnoreColumns: []string{"Updated", "contact.NAME", "person.contact_id"}}).Table("contact")
			require.Equal(t, mirror.VerdictIdentical, tr.Verdict)
			require.Equal(t, []mirror.Omission{{Column: "name", Reason: "ignored by request", Requested: true}, {Column: "updated", Reason: "ignored by request", Requested: true}}, tr.NotCompared)
		}},
		{name: "composite key in key order", run: func(t *env) {
			link := func(rows ...store.Row) table {
				return table{name: "link", columns: []store.Column{notNull("a", "int"), notNull("b", "nvarchar(10)"), col("c", "int")},
					key: []string{"b", "a"}, rows: rows}
			}
			t.load(t.store, link(store.Row{2, "x", 1}, store.Row{1, "y", 2}, store.Row{1, "x", 3}))
			tr := t.compare(t.source(link(store.Row{2, "x", 1}, store.Row{1, "x", 3}, store.Row{1, "Y", 2})), nil).Table("link")
			require.Equal(t, counts{missing: 1, extra: 1}, countsOf(tr))
			require.Equal(t, []string{"b", "a"}, tr.Key)
		}},
		{name: "one table's failure does not stop the others", run: func(t *env) {
			boom := errors.New("disk on fire")
			t.load(t.store, contact(store.Row{1, "a", nil}), person(store.Row{1, "A"}))
			src := failing{Store: t.source(contact(store.Row{1, "a", nil}), person(store.Row{1, "A"})), table: "contact", err: boom}
			r := t.compare(src, nil)
			require.Equal(t, map[string]mirror.Verdict{"contact": mirror.VerdictFailed, "person": mirror.VerdictIdentical}, verdicts(r))
			require.ErrorIs(t, r.Table("contact").Err, boom)
			require.Contains(t, r.Table("contact").Reason, "disk on fire")
			require.False(t, r.Identical())
			require.Empty(t, r.Stale())
		}},
		{name: "rows out of order", run: func(t *env) {
			rows := []store.Row{{1, "a", nil}, {2, "b", nil}, {3, "c", nil}}
			t.load(t.store, contact(rows...))
			src := failing{Store: t.source(contact(rows...)), table: "contact", reverse: true}
			tr := t.compare(src, nil).Table("contact")
			require.Equal(t, mirror.VerdictFailed, tr.Verdict)
			require.ErrorIs(t, tr.Err, store.ErrOrder)
		}},
		{name: "canceled midway", run: func(t *env) {
			var rows []store.Row
			for i := range 2000 {
				rows = append(rows, store.Row{i, "a", nil})
			}
			t.load(t.store, contact(rows...), person(store.Row{1, "A"}))
			src := t.source(contact(rows...), person(store.Row{1, "A"}))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			m := t.mirror(&mirror.Options{Progress: func(p mirror.Progress) {
				if p.Rows > 0 {
					cancel()
				}
			}})
			r, err := m.Compare(ctx, src, &mirror.CompareOptions{Concurrency: 1})
			require.Equal(t, context.Canceled, err)
			require.True(t, r.Incomplete)
			require.Equal(t, mirror.VerdictUnfinished, r.Table("contact").Verdict)
			require.Contains(t, r.String(), "Incomplete")
		}},
		{name: "canceled before", run: func(t *env) {
			t.load(t.store, contact())
			_, err := t.mirror(nil).Compare(canceled(t), t.source(contact()), nil)
			require.Equal(t, context.Canceled, err)
		}},
		{name: "progress", run: func(t *env) {
			t.load(t.store, contact(store.Row{1, "a", nil}), person())
			var last mirror.Progress
			m := t.mirror(&mirror.Options{Progress: func(p mirror.Progress) { last = p }})
			_, err := m.Compare(t.Context(), t.source(contact(store.Row{1, "a", nil}), person()), &mirror.CompareOptions{Concurrency: 1})
			require.NoError(t, err)
			require.Equal(t, 2, last.TablesDone)
			require.Equal(t, 2, last.Tables)
		}},
		{name: "many tables at once", run: func(t *env) {
			var tables []table
			for i := range 12 {
				tb := contact(store.Row{1, "a", nil}, store.Row{2, fmt.Sprint(i), day})
				tb.name = fmt.Sprintf("t%02d", i)
				tables = append(tables, tb)
			}
			t.load(t.store, tables...)
			r := t.compare(t.source(tables...), &mirror.CompareOptions{Concurrency: 5})
			require.True(t, r.Identical(), "%s", r)
			require.Len(t, r.Tables, 12)
		}},
		{name: "a report survives JSON", run: func(t *env) {
			mir := contact(store.Row{1, "a", day}, store.Row{2, "b", nil})
			mir.columns = []store.Column{mir.columns[0], col("name", "nvarchar(max)"), mir.columns[2]}
			t.load(t.store, mir, metadata("contact", 5))
			src := mir
			src.rows = []store.Row{{1, strings.Repeat("ø", 3000), nil}}
			r := t.compare(t.source(src), nil)
			var b bytes.Buffer
			require.NoError(t, r.WriteJSON(&b))
			var back mirror.Report
			require.NoError(t, json.Unmarshal(b.Bytes(), &back))
			require.Equal(t, r.Stale(), back.Stale())
			require.Equal(t, 6000, back.Tables[0].Samples[0].Columns[0].Source.Size)
			again, err := json.Marshal(back)
			require.NoError(t, err)
			require.JSONEq(t, b.String(), string(again))
		}},
	}
	for _, c := range []struct {
		name string
		typ  string
		a, b any
	}{
		{"case", "nvarchar(20)", "abc", "ABC"},
		{"trailing blank", "nvarchar(20)", "abc", "abc "},
		{"NULL and empty", "nvarchar(20)", nil, ""},
		{"empty and blank", "nvarchar(20)", "", " "},
		{"surrogates", "nvarchar(20)", "\U0001F600", "\U0001F601"},
		{"composed", "nvarchar(20)", "\u00e9", "e\u0301"},
		{"float bits", "float", 0.1, math.Nextafter(0.1, 1)},
		{"zeros", "float", 0.0, math.Copysign(0, -1)},
		{"datetime step", "datetime", day, day.Add(3 * time.Millisecond)},
		{"decimal", "decimal(38,10)", "1234567890123456789012345678.0000000001", "1234567890123456789012345678.0000000002"},
		{"bytes", "varbinary(10)", []byte{0}, []byte{0, 0}},
		{"NULL and no byte", "varbinary(10)", nil, []byte{}},
		{"offset", "datetimeoffset(0)", day.Truncate(time.Second), day.Truncate(time.Second).In(time.FixedZone("", 3600))},
		{"past 255", "nvarchar(max)", strings.Repeat("x", 9000) + "a", strings.Repeat("x", 9000) + "b"},
		{"no code page", "nvarchar(20)", "株", "式"},
	} {
		list = append(list, scenario{name: "values that only look alike, " + c.name, run: func(t *env) {
			value := func(v any) table {
				return table{name: "v", columns: []store.Column{notNull("id", "int"), col("v", c.typ)}, key: []string{"id"}, rows: []store.Row{{1, v}}}
			}
			t.load(t.store, value(c.a))
			require.Equal(t, mirror.VerdictIdentical, t.compare(t.source(value(c.a)), nil).Table("v").Verdict)
			require.Equal(t, counts{changed: 1}, countsOf(t.compare(t.source(value(c.b)), nil).Table("v")))
		}})
	}
	// SQL Server pads keys with blanks or zeros, so those differ by more.
	for _, c := range []struct {
		name string
		typ  string
		keys []any
	}{
		{"strings", "nvarchar(20)", []any{"a", "A", "á", "Z", "z", "", "\uFF21", "\U0001F600", "ß", "ss"}},
		{"bytes", "varbinary(8)", []any{[]byte{}, []byte{1}, []byte{1, 1}, []byte{0xff}, []byte("a")}},
		{"decimals", "decimal(20,3)", []any{"-10.5", "-9", "0", "0.001", "9.5", "10", "12345678901234567.123"}},
		{"GUIDs", "uniqueidentifier", []any{"00000000-0000-0000-0000-0000000000FF", "FF000000-0000-0000-0000-000000000000",
			"00000000-0000-0000-FF00-000000000000", "00000000-FF00-0000-0000-000000000001"}},
		{"times", "datetime", []any{day, day.Add(3 * time.Millisecond), day.AddDate(-200, 0, 0)}},
	} {
		list = append(list, scenario{name: "keys that only look alike, " + c.name, run: func(t *env) {
			keys := func(keys []any) table {
				tb := table{name: "k", columns: []store.Column{notNull("k", c.typ), col("v", "int")}, key: []string{"k"}}
				for i, k := range keys {
					tb.rows = append(tb.rows, store.Row{k, i})
				}
				return tb
			}
			t.load(t.store, keys(c.keys))
			tr := t.compare(t.source(keys(c.keys)), nil).Table("k")
			require.Equal(t, mirror.VerdictIdentical, tr.Verdict, tr.Reason)
			less := keys(c.keys)
			less.rows = less.rows[1:]
			require.Equal(t, counts{extra: 1}, countsOf(t.compare(t.source(less), nil).Table("k")))
		}})
	}
	return list
}

// failing is a source whose rows of one table cannot be read, or come in the
// wrong order.
type failing struct {
	store.Store
	table   string
	err     error
	reverse bool
	panics  bool
}

func (f failing) Identity(ctx context.Context) (store.Identity, error) {
	return identityOf(ctx, f.Store)
}

func (f failing) Rows(ctx context.Context, q store.Query) iter.Seq2[[]store.Row, error] {
	rows := f.Store.Rows(ctx, q)
	if q.Table.Name != f.table {
		return rows
	}
	return func(yield func([]store.Row, error) bool) {
		for batch, err := range rows {
			if f.panics {
				panic("out of paper")
			}
			if f.reverse {
				slices.Reverse(batch)
			}
			if !yield(batch, err) {
				return
			}
		}
		if f.err != nil {
			yield(nil, f.err)
		}
	}
}
