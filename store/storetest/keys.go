package storetest

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
)

// keyContracts: a [store.KeyReader] delivers each row of the keys once, no other
// one, and in the order of the keys, whatever the engine takes for equal.
func keyContracts() []contract {
	cs := []contract{
		{"found", keysFound},
		{"none", keysNone},
		{"many", keysMany},
		{"columns", keysColumns},
		{"as-rows", keysAsRows},
		{"composite", keysComposite},
		{"composite-many", keysCompositeMany},
		{"repeated", keysRepeated},
		{"spelled", keysSpelled},
		{"verbatim", keysVerbatim},
		{"given-twice", keysGivenTwice},
		{"refused", keysRefused},
		{"kept-batches", keysKeptBatches},
		{"break", keysBreak},
		{"missing-table", keysMissing},
		{"unknown-column", keysUnknownColumn},
		{"cancelled", keysCancelled},
		{"cancelled-midway", keysMidway},
	}
	for _, c := range orderCases {
		cs = append(cs, contract{"kind-" + c.name, c.checkKeys})
		if !slices.Contains([]string{"nul-character", "long-text", "nvarchar-max"}, c.name) { // which not every index holds
			cs = append(cs, contract{"index-" + c.name, c.checkIndexedKeys})
		}
	}
	return cs
}

// noKeyReader says why a Source is not held to the contracts of a KeyReader, ""
// if it is.
func noKeyReader(t *env) string {
	if _, ok := t.src.(store.KeyReader); !ok {
		return "not a KeyReader"
	}
	return ""
}

// keyed is a Source whose Rows are those of some keys.
type keyed struct {
	store.Source
	keys []store.Row
}

func (k keyed) Rows(ctx context.Context, q store.Query) iter.Seq2[[]store.Row, error] {
	return k.Source.(store.KeyReader).RowsAt(ctx, q, k.keys)
}

// collectAt returns copies of the rows of keys, as collect does.
func (t *env) collectAt(ctx context.Context, q store.Query, keys ...store.Row) ([]store.Row, error) {
	return collect(ctx, keyed{t.src, keys}, q)
}

// expectAt reads the rows of keys and compares them with those of rows, which
// are all of the table as expect wants them. It sorts the keys.
func (t *env) expectAt(q store.Query, rows []store.Row, keys ...store.Row) {
	t.Helper()
	columns, at := columnsOf(t, q.Table, q.Key), positions(t, q.Table, q.Key)
	compare := func(a, b store.Row) int { return store.CompareKeys(columns, a, b) }
	keys = slices.Clone(keys)
	slices.SortFunc(keys, compare)
	keys = slices.CompactFunc(keys, func(a, b store.Row) bool { return compare(a, b) == 0 })
	var want []store.Row
	for _, r := range rows {
		key := pick(at, r)
		if _, found := slices.BinarySearchFunc(keys, key, compare); found && !slices.Contains(key, nil) {
			want = append(want, r)
		}
	}
	expect(t, keyed{t.src, keys}, q, want)
}

// ids are keys of one number each.
func ids(numbers ...int64) []store.Row {
	keys := make([]store.Row, len(numbers))
	for i, n := range numbers {
		keys[i] = store.Row{n}
	}
	return keys
}

// keysFound: whether there is a row before, behind or beside a key counts for
// nothing.
func keysFound(t *env) {
	rows := gaps(60)
	tab := t.load(people(), rows...)
	q := store.Query{Table: tab, Key: []string{"id"}}
	all := make([]int64, 125)
	for i := range all {
		all[i] = int64(i - 2)
	}
	for _, keys := range [][]int64{
		{2}, {120}, {60}, {1}, {-7}, {121}, {2, 120}, {2, 4, 6}, {3, 5, 7}, {1, 2, 3}, {58, 59, 60, 61, 62}, {-2147483648, 2147483647}, {118, 119, 120, 121, 122}, all,
	} {
		t.expectAt(q, rows, ids(keys...)...)
	}
	for _, r := range rows {
		t.expectAt(q, rows, r[:1])
	}
	t.expectAt(store.Query{Table: tab, Key: []string{"name"}}, rows, store.Row{"name 7"}, store.Row{"name 70"}, store.Row{"name 60"}, store.Row{"name"})
}

func keysNone(t *env) {
	tab := t.load(people(), peopleRows(3)...)
	empty := people()
	empty.Name = "empty"
	empty = t.load(empty)
	for _, tab := range []store.Table{tab, empty} {
		t.expectAt(store.Query{Table: tab, Key: []string{"id"}}, nil)
	}
	t.expectAt(store.Query{Table: empty, Key: []string{"id"}}, nil, ids(1, 2, 3)...)
}

// keysMany has more keys than a statement has parameters. Half of them are there.
func keysMany(t *env) {
	rows := gaps(4000)
	tab := t.load(people(), rows...)
	q := store.Query{Table: tab, Key: []string{"id"}}
	for _, step := range []int64{1, 2, 3} {
		var keys []store.Row
		for id := int64(-10); id < 8010; id += step {
			keys = append(keys, store.Row{id})
		}
		t.expectAt(q, rows, keys...)
	}
	for _, n := range []int{1, 3, 4, 5, 16, 17, 127, 128, 129, 255, 256, 257, 899, 900, 901, 999, 1000, 1001, 1023, 1024, 1025, 2047, 2048, 2049, 2097, 2098, 2099} {
		keys := make([]store.Row, n)
		for i := range keys {
			keys[i] = rows[i][:1]
		}
		got, err := t.collectAt(t.Context(), store.Query{Table: tab, Columns: []string{"id"}, Key: []string{"id"}}, keys...)
		require.NoError(t, err, "%d keys", n)
		requireRows(t, tab.Columns[:1], keys, got)
	}
}

// keysColumns: the key need not be read, and what is read comes as it is asked for.
func keysColumns(t *env) {
	def := table("wide", []string{"b"}, notNull("a", "int"), notNull("b", "nvarchar(10)"), nullable("c", "bit"), nullable("d", "float"),
		nullable("n", "int"), nullable("k0", "int"), nullable("t", "nvarchar(10)"), nullable("r", "int")) // names that a statement could use itself
	rows := []store.Row{
		{int64(1), "x", true, 0.5, int64(7), int64(3), "t", nil}, {int64(2), "w", nil, 1.5, int64(2), int64(2), "r", int64(1)},
		{int64(3), "v", false, nil, int64(0), int64(1), "n", int64(2)}, {int64(4), "y", true, 2.5, nil, nil, nil, nil},
	}
	tab := t.load(def, rows...)
	for _, columns := range [][]string{nil, {"a"}, {"a", "c"}, {"a", "d", "c"}, {"a", "d", "c", "b"}, {"a", "r", "t", "k0", "n"}} {
		t.expectAt(store.Query{Table: tab, Columns: columns, Key: []string{"a"}}, rows, ids(2, 3, 5)...)
		t.expectAt(store.Query{Table: tab, Columns: columns, Key: []string{"b"}}, rows, store.Row{"v"}, store.Row{"x"}, store.Row{"z"})
		t.expectAt(store.Query{Table: tab, Columns: columns, Key: []string{"k0", "n"}}, rows, store.Row{int64(3), int64(7)}, store.Row{int64(2), int64(3)}, store.Row{int64(1), int64(0)})
	}
	got, err := t.collectAt(t.Context(), store.Query{Table: tab, Columns: []string{"d", "b"}, Key: []string{"a"}}, ids(1, 2, 3)...)
	require.NoError(t, err)
	requireRows(t, columnsOf(t, tab, []string{"d", "b"}), []store.Row{{0.5, "x"}, {1.5, "w"}, {nil, "v"}}, got)
}

// keysComposite: the values of a key belong together, and the order is that of
// the query's key.
func keysComposite(t *env) {
	def := table("composite", []string{"s", "d", "b"},
		notNull("id", "int"), notNull("d", "decimal(9,2)"), notNull("s", "nvarchar(10)"), notNull("b", "bit"))
	var rows []store.Row
	for _, d := range []driver.Value{[]byte("10.00"), []byte("-2.50"), []byte("9.00")} {
		for _, s := range []driver.Value{"b", "ab", "B", "a", ""} {
			for _, b := range []driver.Value{true, false} {
				rows = append(rows, store.Row{int64(len(rows)), d, s, b})
			}
		}
	}
	stored := slices.DeleteFunc(slices.Clone(rows), func(r store.Row) bool { return r[0].(int64)%3 == 1 })
	tab := t.load(def, stored...)
	for _, key := range [][]string{tab.Key, {"b", "s", "d"}, {"d", "b", "s"}, {"s", "d"}, {"d"}, {"b", "d"}} {
		q := store.Query{Table: tab, Key: key}
		at := positions(t, tab, key)
		var all []store.Row
		for i, r := range rows {
			all = append(all, pick(at, r))
			if i%4 == 0 {
				t.expectAt(q, stored, pick(at, r))
			}
		}
		t.expectAt(q, stored, all...)
		t.expectAt(q, stored, all[0], all[7], all[8], all[29])
	}

	pairs := table("pairs", []string{"a", "b"}, notNull("id", "int"), notNull("a", "int"), notNull("b", "int"))
	rows = nil
	for i := range int64(49) {
		rows = append(rows, store.Row{i, i % 7, i / 7})
	}
	tab = t.load(pairs, rows...)
	for _, key := range [][]string{{"a", "b"}, {"b", "a"}, {"b"}} {
		at := positions(t, tab, key)
		t.expectAt(store.Query{Table: tab, Key: key}, rows, pick(at, rows[8]), pick(at, rows[15]), pick(at, rows[30]), pick(at, rows[48]))
	}
}

func keysCompositeMany(t *env) {
	def := table("many keys", []string{"a", "b", "c"}, notNull("id", "int"), notNull("a", "int"), notNull("b", "nvarchar(10)"), notNull("c", "int"))
	var rows, keys []store.Row
	for i := range int64(3000) {
		row := store.Row{i, i / 50, fmt.Sprint("b", i%5), i % 50}
		if i%2 == 0 {
			rows = append(rows, row)
		}
		if i%3 > 0 {
			keys = append(keys, row[1:])
		}
	}
	tab := t.load(def, rows...)
	t.expectAt(store.Query{Table: tab, Key: tab.Key}, rows, keys...)
	for i := range keys {
		keys[i] = keys[i][:2]
	}
	t.expectAt(store.Query{Table: tab, Key: tab.Key[:2]}, rows, keys...)
}

// keysRepeated: all rows of a key come, be it in a table that has none.
func keysRepeated(t *env) {
	def := table("repeated", nil, notNull("id", "int"), nullable("k", "int"), nullable("s", "nvarchar(10)"))
	var rows []store.Row
	for i := range int64(700) {
		row := store.Row{i, i % 7, fmt.Sprint("s", i%5)}
		switch i % 7 {
		case 3:
			row[1] = nil
		case 5:
			row[2] = nil
		}
		rows = append(rows, row)
	}
	tab := t.load(def, rows...)
	t.expectAt(store.Query{Table: tab, Key: []string{"k"}}, rows, ids(0, 2, 3, 5, 9)...)
	t.expectAt(store.Query{Table: tab, Key: []string{"s"}}, rows, store.Row{"s1"}, store.Row{"s4"}, store.Row{""})
	t.expectAt(store.Query{Table: tab, Key: []string{"k", "s"}}, rows, store.Row{int64(5), "s1"}, store.Row{int64(1), "s1"}, store.Row{int64(6), "s0"})
}

func keysGivenTwice(t *env) {
	rows := gaps(20)
	tab := t.load(people(), rows...)
	got, err := t.collectAt(t.Context(), store.Query{Table: tab, Key: []string{"id"}}, ids(2, 2, 3, 3, 8, 8, 8)...)
	require.NoError(t, err)
	requireRows(t, tab.Columns, []store.Row{rows[0], rows[3]}, got)
}

// keysRefused: what would leave rows out without a word is an error.
func keysRefused(t *env) {
	tab := t.load(people(), peopleRows(9)...)
	q := store.Query{Table: tab, Key: []string{"id"}}
	with := func(change func(q *store.Query)) store.Query {
		q := q
		change(&q)
		return q
	}
	for _, c := range []struct {
		name string
		q    store.Query
		keys []store.Row
	}{
		{"keys that descend", q, ids(2, 1)},
		{"a key that descends", q, ids(1, 5, 3, 7)},
		{"a key with more values than columns", q, []store.Row{{int64(1), int64(2)}}},
		{"a key without values", q, []store.Row{{}}},
		{"a key that is nil", q, []store.Row{nil}},
		{"a key that is NULL", q, []store.Row{{nil}}},
		{"a key that is NULL in part", with(func(q *store.Query) { q.Key = []string{"age", "id"} }), []store.Row{{nil, int64(1)}}},
		{"a query without a key", with(func(q *store.Query) { q.Key = nil }), ids(1)},
		{"a lower bound", with(func(q *store.Query) { q.From = store.Row{int64(1)} }), ids(1)},
		{"an upper bound", with(func(q *store.Query) { q.Before = store.Row{int64(1)} }), ids(1)},
		{"a limit", with(func(q *store.Query) { q.Limit = 5 }), ids(1)},
	} {
		rows, err := t.collectAt(t.Context(), c.q, c.keys...)
		require.Error(t, err, c.name)
		require.Empty(t, rows, c.name)
	}
	// Not in the first statement either.
	keys := make([]store.Row, 5000)
	for i := range keys {
		keys[i] = store.Row{int64(i)}
	}
	keys[4321] = store.Row{int64(9)}
	_, err := t.collectAt(t.Context(), q, keys...)
	require.Error(t, err, "a key far behind that descends")
}

// keysKeptBatches: batches are as those of Rows, also where a statement ends.
func keysKeptBatches(t *env) {
	def := table("kept", []string{"id"}, notNull("id", "int"), notNull("s", "nvarchar(100)"), notNull("b", "varbinary(100)"))
	var rows, keys []store.Row
	for i := range int64(5000) {
		text := fmt.Sprint("number ", i)
		rows, keys = append(rows, store.Row{i, text, []byte(text)}), append(keys, store.Row{i})
	}
	tab := t.load(def, rows...)
	n := 1
	if k, ok := t.src.(store.BatchKeeper); ok {
		n += k.KeepsBatches()
	}
	var kept [][]store.Row
	var copies []store.Row
	next := 0
	for batch, err := range t.src.(store.KeyReader).RowsAt(t.Context(), store.Query{Table: tab, Key: tab.Key}, keys) {
		require.NoError(t, err)
		require.NotEmpty(t, batch)
		for _, r := range batch {
			copies = append(copies, r.Clone())
		}
		if kept = append(kept, batch); len(kept) > n {
			next += len(kept[0])
			kept = kept[1:]
		}
		from := next
		for i, b := range kept {
			require.Equal(t, copies[from:from+len(b)], b, "a batch, after %d iterations", len(kept)-1-i)
			from += len(b)
		}
	}
	requireRows(t, tab.Columns, rows, copies)
}

// keysBreak: who stops early leaves nothing locked behind.
func keysBreak(t *env) {
	rows := peopleRows(3000)
	tab := t.load(people(), rows...)
	q := store.Query{Table: tab, Key: []string{"id"}}
	keys := make([]store.Row, len(rows))
	for i := range keys {
		keys[i] = rows[i][:1]
	}
	for stop := range 12 {
		n := 0
		for _, err := range t.src.(store.KeyReader).RowsAt(t.Context(), q, keys) {
			require.NoError(t, err)
			if n == stop {
				break
			}
			n++
		}
		t.update(func(tx store.Tx) error {
			_, err := tx.Set(t.Context(), tab, cells(cell("id", 1)), cells(cell("age", stop)))
			return err
		})
		rows[0][2] = int64(stop)
	}
	t.expectAt(q, rows, keys...)
}

func keysMissing(t *env) {
	t.load(people(), peopleRows(1)...)
	other := people()
	other.Name = "nobody"
	rows, err := t.collectAt(t.Context(), store.Query{Table: other, Key: []string{"id"}}, ids(1, 2)...)
	require.ErrorIs(t, err, store.ErrTableNotFound)
	require.False(t, errors.Is(err, errors.ErrUnsupported))
	require.Empty(t, rows)
}

func keysUnknownColumn(t *env) {
	tab := t.load(people(), peopleRows(3)...)
	for name, q := range map[string]store.Query{
		"Columns": {Table: tab, Columns: []string{"id", "shoe"}, Key: []string{"id"}},
		"Key":     {Table: tab, Key: []string{"shoe"}},
	} {
		rows, err := t.collectAt(t.Context(), q, ids(1, 2)...)
		require.Error(t, err, "a column that does not exist in %s", name)
		require.Empty(t, rows)
	}
}

func keysCancelled(t *env) {
	rows := peopleRows(3)
	tab := t.load(people(), rows...)
	q := store.Query{Table: tab, Key: []string{"id"}}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, keys := range [][]store.Row{ids(1, 2), ids(9), nil} {
		got, err := t.collectAt(ctx, q, keys...)
		require.ErrorIs(t, err, context.Canceled)
		require.Empty(t, got)
	}
	t.expectAt(q, rows, ids(1, 2)...)
}

// keysMidway cancels after the first batch.
func keysMidway(t *env) {
	tab := t.load(people(), peopleRows(manyRows)...)
	keys := make([]store.Row, manyRows)
	for i := range keys {
		keys[i] = store.Row{int64(i + 1)}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 0
	var failed error
	for batch, err := range t.src.(store.KeyReader).RowsAt(ctx, store.Query{Table: tab, Key: tab.Key}, keys) {
		if failed = err; err != nil {
			break
		}
		n += len(batch)
		cancel()
	}
	require.ErrorIs(t, failed, context.Canceled, "RowsAt, cancelled after a batch")
	require.NotZero(t, n, "rows before the cancellation")
	require.Less(t, n, manyRows, "rows in spite of the cancellation")
}
