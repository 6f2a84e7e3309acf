package mirrortest

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store"
)

// compareRowScenarios are about which rows are found to differ.
func compareRowScenarios() []scenario {
	loose := func(rows ...store.Row) table { // contact as a mirror that lost its key
		tb := contact(rows...)
		tb.key = nil
		return tb
	}
	keyless := func(rows ...store.Row) table {
		return table{name: "log", columns: []store.Column{col("what", "nvarchar(20)"), col("weight", "float")}, rows: rows}
	}
	return []scenario{
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
	}
}
