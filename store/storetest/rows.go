package storetest

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
)

// rowContracts: Rows delivers what a [store.Query] asks for, in batches.
func rowContracts() []contract {
	return []contract{
		{"empty-table", emptyTable},
		{"batches", batches},
		{"unordered", unordered},
		{"columns", columnSubset},
		{"unknown-column", unknownColumn},
		{"from", fromBound},
		{"before", beforeBound},
		{"from-and-before", bothBounds},
		{"composite-bounds", compositeBounds},
		{"null-bounds", nullBounds},
		{"limit", limit},
		{"lifetime", lifetime},
		{"kept-batches", keptBatches},
		{"break", breakEarly},
		{"resume", resume},
		{"missing-table", rowsMissing},
	}
}

func emptyTable(t *env) {
	tab := t.load(people())
	for _, q := range []store.Query{
		{Table: tab},
		{Table: tab, Key: []string{"id"}},
		{Table: tab, Key: []string{"id"}, From: store.Row{int64(1)}, Limit: 10},
	} {
		require.Empty(t, t.read(q))
	}
}

// batches reads more rows than fit into any batch.
func batches(t *env) {
	rows := peopleRows(5000)
	tab := t.load(people(), rows...)
	expect(t, t.src, store.Query{Table: tab, Key: []string{"id"}}, rows)
}

func unordered(t *env) {
	rows := peopleRows(2500)
	tab := t.load(people(), rows...)
	expect(t, t.src, store.Query{Table: tab}, rows)
	t.update(func(tx store.Tx) error {
		return create(t.Context(), tx, table("no key", nil, people().Columns...), append(rows, rows...))
	})
	require.Len(t, t.read(store.Query{Table: t.find("no key")}), 5000, "rows of a table without a key, each twice")
}

func columnSubset(t *env) {
	def := table("wide", []string{"b"},
		notNull("a", "int"), notNull("b", "nvarchar(10)"), nullable("c", "bit"), nullable("d", "float"))
	rows := []store.Row{
		{int64(1), "x", true, 0.5}, {int64(2), "w", nil, 1.5}, {int64(3), "v", false, nil},
	}
	tab := t.load(def, rows...)
	for _, columns := range [][]string{
		{"a"}, {"a", "c"}, {"a", "d", "c"}, {"a", "d", "c", "b"}, {"a", "b", "c", "d"},
	} {
		for _, key := range [][]string{nil, {"a"}, {"b"}, {"c", "b"}, {"d"}} {
			expect(t, t.src, store.Query{Table: tab, Columns: columns, Key: key}, rows)
		}
	}
	// A key that is neither read nor the primary key bounds the rows all the same.
	got := t.read(store.Query{Table: tab, Columns: []string{"d", "b"}, Key: []string{"a"}, From: store.Row{int64(2)}})
	requireRows(t, columnsOf(t, tab, []string{"d", "b"}), []store.Row{{1.5, "w"}, {nil, "v"}}, got)
}

func unknownColumn(t *env) {
	tab := t.load(people(), peopleRows(3)...)
	for name, q := range map[string]store.Query{
		"Columns": {Table: tab, Columns: []string{"id", "shoe"}},
		"Key":     {Table: tab, Key: []string{"shoe"}},
	} {
		rows, err := collect(t.Context(), t.src, q)
		require.Error(t, err, "a column that does not exist in %s", name)
		require.Empty(t, rows)
	}
}

// gaps returns rows of people with the ids 2, 4, ..., 2n.
func gaps(n int) []store.Row {
	rows := peopleRows(n)
	for i := range rows {
		rows[i][0] = int64(2 * (i + 1))
	}
	return rows
}

func fromBound(t *env) {
	rows := gaps(1500)
	tab := t.load(people(), rows...)
	for _, from := range []int64{-1, 0, 1, 2, 3, 1999, 2000, 2001, 3000, 3001} {
		expect(t, t.src, store.Query{Table: tab, Key: []string{"id"}, From: store.Row{from}}, rows)
	}
}

func beforeBound(t *env) {
	rows := gaps(1500)
	tab := t.load(people(), rows...)
	for _, before := range []int64{-1, 2, 3, 4, 1999, 2000, 2001, 3000, 3001} {
		expect(t, t.src, store.Query{Table: tab, Key: []string{"id"}, Before: store.Row{before}}, rows)
	}
}

func bothBounds(t *env) {
	rows := gaps(20)
	tab := t.load(people(), rows...)
	for from := int64(1); from < 8; from++ {
		for before := int64(1); before < 10; before++ {
			expect(t, t.src, store.Query{Table: tab, Key: []string{"id"},
				From: store.Row{from}, Before: store.Row{before}}, rows)
		}
	}
}

func compositeBounds(t *env) {
	def := table("composite", []string{"a", "b", "c"},
		notNull("id", "int"), notNull("b", "nvarchar(10)"), notNull("a", "int"), notNull("c", "datetime"))
	var rows []store.Row
	for _, a := range []int64{-1, 3, 7} {
		for _, b := range []string{"a", "A", "m"} {
			for _, c := range []string{"2024-01-01T00:00:00Z", "2024-01-01T00:00:00.003Z"} {
				rows = append(rows, store.Row{int64(len(rows)), b + fmt.Sprint(a), a, at(c)})
			}
		}
	}
	tab := t.load(def, rows...)
	key := []string{"a", "b", "c"}
	expect(t, t.src, store.Query{Table: tab, Key: key}, rows)
	for _, a := range []int64{-2, 3, 7, 8} {
		for _, b := range []string{"", "a3", "b", "m7", "z"} {
			for _, c := range []string{"2023-01-01T00:00:00Z", "2024-01-01T00:00:00.003Z", "2025-01-01T00:00:00Z"} {
				bound := store.Row{a, b, at(c)}
				expect(t, t.src, store.Query{Table: tab, Key: key, From: bound}, rows)
				expect(t, t.src, store.Query{Table: tab, Key: key, Before: bound}, rows)
			}
		}
	}
	expect(t, t.src, store.Query{Table: tab, Key: key,
		From: store.Row{int64(-1), "m-1", at("2024-01-01T00:00:00.003Z")}, Before: store.Row{int64(7), "A7", at("2024-01-01T00:00:00.003Z")}, Limit: 4}, rows)
}

func nullBounds(t *env) {
	def := table("nulls", []string{"id"}, notNull("id", "int"), nullable("a", "int"), nullable("b", "nvarchar(10)"))
	var rows []store.Row
	as, bs := []driver.Value{nil, int64(-1), int64(0), int64(1)}, []driver.Value{nil, "", " ", "x"}
	for _, a := range as {
		for _, b := range bs {
			rows = append(rows, store.Row{int64(len(rows)), a, b})
		}
	}
	tab := t.load(def, rows...)
	for _, a := range as {
		expect(t, t.src, store.Query{Table: tab, Key: []string{"a"}, From: store.Row{a}}, rows)
		expect(t, t.src, store.Query{Table: tab, Key: []string{"a"}, Before: store.Row{a}}, rows)
		for _, b := range bs {
			expect(t, t.src, store.Query{Table: tab, Key: []string{"a", "b"}, From: store.Row{a, b}}, rows)
			expect(t, t.src, store.Query{Table: tab, Key: []string{"b", "a"}, From: store.Row{b, a}}, rows)
			expect(t, t.src, store.Query{Table: tab, Key: []string{"a", "b"}, Before: store.Row{a, b}}, rows)
			expect(t, t.src, store.Query{Table: tab, Key: []string{"a", "b"},
				From: store.Row{nil, " "}, Before: store.Row{a, b}}, rows)
		}
	}
}

func limit(t *env) {
	rows := gaps(3000)
	tab := t.load(people(), rows...)
	for _, n := range []int64{1, 2, 99, 100, 101, 999, 1000, 1001, 2999, 3000, 3001} {
		expect(t, t.src, store.Query{Table: tab, Key: []string{"id"}, Limit: n}, rows)
		expect(t, t.src, store.Query{Table: tab, Key: []string{"name"}, Limit: n}, rows)
		expect(t, t.src, store.Query{Table: tab, Key: []string{"id"}, From: store.Row{int64(6)}, Limit: n}, rows)
		expect(t, t.src, store.Query{Table: tab, Key: []string{"id"}, Before: store.Row{int64(2001)}, Limit: n}, rows)
	}
	require.Len(t, t.read(store.Query{Table: tab, Limit: 7}), 7, "limit without an order")
}

// lifetime: all values of a batch are valid together until the next step, and
// copies of them after it.
func lifetime(t *env) {
	def := table("lifetime", []string{"id"}, notNull("id", "int"), notNull("s", "nvarchar(max)"), notNull("b", "varbinary(max)"))
	var rows []store.Row
	for i := range 600 {
		s := strings.Repeat(fmt.Sprintf("%d;", i), 1+i%50)
		rows = append(rows, store.Row{int64(i), s, []byte(s)})
	}
	tab := t.load(def, rows...)
	next := 0
	var kept []store.Row
	for batch, err := range t.src.Rows(t.Context(), store.Query{Table: tab, Key: []string{"id"}}) {
		require.NoError(t, err)
		requireRows(t, tab.Columns, rows[next:min(next+len(batch), len(rows))], batch)
		next += len(batch)
		for _, r := range batch {
			kept = append(kept, r.Clone())
		}
	}
	requireRows(t, tab.Columns, rows, kept)
}

// breakEarly: whoever stops reading leaves nothing behind that stands in the
// way of others.
func breakEarly(t *env) {
	rows := peopleRows(3000)
	tab := t.load(people(), rows...)
	for range 20 {
		for batch, err := range t.src.Rows(t.Context(), store.Query{Table: tab, Key: []string{"id"}}) {
			require.NoError(t, err)
			require.NotEmpty(t, batch)
			break
		}
	}
	t.update(func(tx store.Tx) error {
		_, err := tx.Set(t.Context(), tab, cells(cell("id", 1)), cells(cell("name", "changed")))
		return err
	})
	rows[0][1] = "changed"
	expect(t, t.src, store.Query{Table: tab, Key: []string{"id"}}, rows)
}

// resume reads a table in pieces, each from where the one before it ended.
func resume(t *env) {
	rows := peopleRows(1000)
	tab := t.load(people(), rows...)
	var got []store.Row
	from := store.Row{int64(1)}
	for len(got) < len(rows) {
		piece := t.read(store.Query{Table: tab, Key: []string{"id"}, From: from, Limit: 300})
		require.NotEmpty(t, piece, "rows from %s", show(from))
		got = append(got, piece...)
		from = store.Row{piece[len(piece)-1][0].(int64) + 1}
	}
	requireRows(t, tab.Columns, rows, got)
}

func rowsMissing(t *env) {
	t.load(people(), peopleRows(1)...)
	other := people()
	other.Name = "nobody"
	for _, q := range []store.Query{
		{Table: other},
		{Table: other, Columns: []string{"name"}, Key: []string{"id"}, From: store.Row{int64(1)}, Limit: 1},
	} {
		rows, err := collect(t.Context(), t.src, q)
		require.ErrorIs(t, err, store.ErrTableNotFound)
		require.False(t, errors.Is(err, errors.ErrUnsupported))
		require.Empty(t, rows)
	}
}

// keptBatches holds a Source to what store.BatchKeeper promises.
func keptBatches(t *env) {
	keeper, ok := t.src.(store.BatchKeeper)
	if !ok || keeper.KeepsBatches() == 0 {
		return // a batch is valid until the next one, which lifetime checks
	}
	def := table("kept", []string{"id"}, notNull("id", "int"), nullable("text", "nvarchar(40)"), nullable("bytes", "varbinary(40)"), nullable("amount", "decimal(19,4)"))
	var rows []store.Row
	for i := range 5000 {
		text := fmt.Sprint("number ", i)
		rows = append(rows, store.Row{int64(i), text, []byte(text), []byte(fmt.Sprintf("%d.2500", i))})
	}
	tab := t.load(def, rows...)
	type held struct{ batch, copied []store.Row }
	var kept []held
	for batch, err := range t.src.Rows(t.Context(), store.Query{Table: tab, Key: []string{"id"}}) {
		require.NoError(t, err)
		for _, h := range kept {
			require.Equal(t, h.copied, h.batch, "a batch stays as it is for %d iterations", keeper.KeepsBatches())
		}
		h := held{batch: batch}
		for _, row := range batch {
			h.copied = append(h.copied, row.Clone())
		}
		kept = append(kept, h)
		if len(kept) > keeper.KeepsBatches() {
			kept = kept[1:]
		}
	}
}
