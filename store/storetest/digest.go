package storetest

import (
	"context"
	"database/sql/driver"
	"fmt"
	"math"
	"slices"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
)

// digestContracts: a [store.Digester] counts every row once, finds the keys
// between ranges, and its sums differ when a value does.
func digestContracts() []contract {
	cs := []contract{
		{"scheme", digestScheme},
		{"empty-table", digestEmpty},
		{"every", digestEvery},
		{"limit", digestLimit},
		{"bounds", digestBounds},
		{"cuts", digestCuts},
		{"many-cuts", digestManyCuts},
		{"columns", digestColumns},
		{"no-columns", digestNoColumns},
		{"columns-apart", digestColumnsApart},
		{"types-apart", digestTypesApart},
		{"order-of-rows", digestOrderOfRows},
		{"repeated-rows", digestRepeatedRows},
		{"long-values", digestLongValues},
		{"wide-rows", digestWideRows},
		{"missing-table", digestMissing},
		{"unknown-column", digestUnknownColumn},
		{"cancelled", digestCancelled},
	}
	for _, name := range []string{
		"int", "bool", "float", "decimal", "case", "trailing-blanks", "non-ascii", "surrogates", "varchar", "guid", "bytes-zeros", "datetime", "datetimeoffset",
	} {
		i := slices.IndexFunc(orderCases, func(c orderCase) bool { return c.name == name })
		cs = append(cs, contract{"key-" + name, orderCases[i].checkDigest})
	}
	cs = append(cs, contract{"key-composite", digestCompositeKey})
	for _, g := range digestValues {
		cs = append(cs, contract{"values-" + g.name, g.check})
	}
	return cs
}

// noDigester says why a Source is not held to the contracts of a Digester, ""
// if it is.
func noDigester(t *env) string {
	if d, ok := t.src.(store.Digester); !ok || d.DigestScheme() == "" {
		return "not a Digester"
	}
	return ""
}

// every calls DigestEvery, which has to succeed.
func (t *env) every(q store.Query, n int64) []store.Digest {
	t.Helper()
	digests, err := t.src.(store.Digester).DigestEvery(t.Context(), q, n)
	require.NoError(t, err, "DigestEvery %d rows of %s", n, q.Table)
	return digests
}

// at calls DigestAt, which has to succeed.
func (t *env) at(q store.Query, cuts ...store.Row) []store.Digest {
	t.Helper()
	digests, err := t.src.(store.Digester).DigestAt(t.Context(), q, cuts)
	require.NoError(t, err, "DigestAt %d keys of %s", len(cuts), q.Table)
	require.Len(t, digests, len(cuts)+1, "digests between %d keys", len(cuts))
	for _, d := range digests {
		require.Nil(t, d.First, "First of DigestAt")
	}
	return digests
}

// keysIn returns the keys within the bounds of q, in their order. Rows are all
// rows of the table in full.
func keysIn(t *env, q store.Query, rows []store.Row) (columns []store.Column, keys []store.Row) {
	t.Helper()
	columns = columnsOf(t, q.Table, q.Key)
	at := positions(t, q.Table, q.Key)
	for _, r := range rows {
		key := pick(at, r)
		if (q.From == nil || store.CompareKeys(columns, key, q.From) >= 0) && (q.Before == nil || store.CompareKeys(columns, key, q.Before) < 0) {
			keys = append(keys, key)
		}
	}
	slices.SortStableFunc(keys, func(a, b store.Row) int { return store.CompareKeys(columns, a, b) })
	return columns, keys
}

// checkEvery compares what DigestEvery says of q with rows, and has DigestAt say
// the same of the ranges that it cut.
func checkEvery(t *env, q store.Query, rows []store.Row, n int64) {
	t.Helper()
	columns, keys := keysIn(t, q, rows)
	all := len(keys)
	if q.Limit > 0 {
		keys = keys[:min(q.Limit, int64(all))]
	}
	about := fmt.Sprintf("every %d rows of %s by %q from %s before %s limit %d", n, q.Table, q.Key, show(q.From), show(q.Before), q.Limit)
	got := t.every(q, n)
	var cuts []store.Row
	next := 0
	for i, d := range got {
		require.Less(t, next, len(keys), "digest %d is one too many: %s", i, about)
		want := int(min(n, int64(len(keys)-next)))
		require.EqualValues(t, want, d.Rows, "rows of digest %d: %s", i, about)
		require.Empty(t, diffRow(columns, keys[next], d.First), "first key of digest %d: %s", i, about)
		require.Equal(t, q.Columns != nil && len(q.Columns) == 0, d.Sum == "", "sum of digest %d is %q: %s", i, d.Sum, about)
		if next > 0 {
			cuts = append(cuts, d.First)
		}
		next += want
	}
	require.Equal(t, len(keys), next, "rows in all: %s", about)

	at := t.at(q, cuts...)
	if q.Limit > 0 {
		require.EqualValues(t, all, total(at), "DigestAt knows no limit: %s", about)
		return
	}
	for i, d := range got {
		require.Equal(t, store.Digest{Rows: d.Rows, Sum: d.Sum}, at[i], "digest %d once more: %s", i, about)
	}
}

func total(digests []store.Digest) (rows int64) {
	for _, d := range digests {
		rows += d.Rows
	}
	return rows
}

// checkCuts compares the numbers of rows that DigestAt says with rows.
func checkCuts(t *env, q store.Query, rows []store.Row, cuts ...store.Row) {
	t.Helper()
	columns, keys := keysIn(t, q, rows)
	want := make([]int64, len(cuts)+1)
	for _, key := range keys {
		n := 0
		for n < len(cuts) && store.CompareKeys(columns, cuts[n], key) <= 0 {
			n++
		}
		want[n]++
	}
	for i, d := range t.at(q, cuts...) {
		about := fmt.Sprintf("range %d of %s by %q from %s before %s", i, q.Table, q.Key, show(q.From), show(q.Before))
		require.Equal(t, want[i], d.Rows, "rows of %s", about)
		require.Equal(t, want[i] == 0, d.Sum == "", "sum of %s is %q, of %d rows", about, d.Sum, want[i])
	}
}

func digestScheme(t *env) {
	d := t.src.(store.Digester)
	before := d.DigestScheme()
	require.NotEmpty(t, before)
	t.every(store.Query{Table: t.load(people(), peopleRows(3)...), Key: []string{"id"}}, 2)
	require.Equal(t, before, d.DigestScheme(), "after the first digest")
}

func digestEmpty(t *env) {
	tab := t.load(people())
	for _, q := range []store.Query{
		{Table: tab, Key: []string{"id"}},
		{Table: tab, Key: []string{"id"}, Columns: []string{}},
		{Table: tab, Key: []string{"name"}, From: store.Row{"a"}, Limit: 10},
	} {
		require.Empty(t, t.every(q, 10))
	}
	q := store.Query{Table: tab, Key: []string{"id"}}
	checkCuts(t, q, nil)
	checkCuts(t, q, nil, store.Row{int64(1)}, store.Row{int64(2)})
}

func digestEvery(t *env) {
	rows := gaps(60)
	tab := t.load(people(), rows...)
	for _, n := range []int64{1, 7, 59, 60, 61, math.MaxInt64} {
		checkEvery(t, store.Query{Table: tab, Key: []string{"id"}}, rows, n)
	}
	for _, n := range []int64{1, 13} {
		checkEvery(t, store.Query{Table: tab, Key: []string{"name"}}, rows, n)
		checkEvery(t, store.Query{Table: tab, Key: []string{"name"}, Columns: []string{"age"}}, rows, n)
	}
	for _, n := range []int64{0, -1} {
		_, err := t.src.(store.Digester).DigestEvery(t.Context(), store.Query{Table: tab, Key: []string{"id"}}, n)
		require.Error(t, err, "ranges of %d rows", n)
	}
}

func digestLimit(t *env) {
	rows := gaps(30)
	tab := t.load(people(), rows...)
	for _, limit := range []int64{1, 9, 10, 11, 29, 30, 31} {
		checkEvery(t, store.Query{Table: tab, Key: []string{"id"}, Limit: limit}, rows, 10)
		checkEvery(t, store.Query{Table: tab, Key: []string{"name"}, From: store.Row{"name 2"}, Limit: limit}, rows, 10)
	}
	checkEvery(t, store.Query{Table: tab, Key: []string{"id"}, Before: store.Row{int64(9)}, Limit: 3}, rows, 2)
}

func digestBounds(t *env) {
	rows := gaps(12)
	tab := t.load(people(), rows...)
	for _, from := range []store.Row{nil, {int64(1)}, {int64(6)}, {int64(7)}, {int64(99)}} {
		for _, before := range []store.Row{nil, {int64(25)}, {int64(12)}, {int64(7)}, {int64(1)}} {
			checkEvery(t, store.Query{Table: tab, Key: []string{"id"}, From: from, Before: before}, rows, 3)
		}
	}
}

// digestCuts: a row belongs to the range that begins with its key, whether
// there is a row with the key of a cut or not.
func digestCuts(t *env) {
	rows := gaps(12)
	tab := t.load(people(), rows...)
	key := func(ids ...int64) (keys []store.Row) {
		for _, id := range ids {
			keys = append(keys, store.Row{id})
		}
		return keys
	}
	for _, cuts := range [][]store.Row{
		nil, key(2), key(1), key(24), key(25), key(6), key(7), key(6, 6), key(6, 7, 8), key(-5, -4, 12, 13, 90, 91), key(2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24),
	} {
		q := store.Query{Table: tab, Key: []string{"id"}}
		checkCuts(t, q, rows, cuts...)
		q.From = store.Row{int64(6)}
		checkCuts(t, q, rows, cuts...)
		q.Before = store.Row{int64(14)}
		checkCuts(t, q, rows, cuts...)
		q.From = nil
		checkCuts(t, q, rows, cuts...)
	}
	q := store.Query{Table: tab, Key: []string{"id"}}
	for name, cuts := range map[string][]store.Row{"descending": key(7, 6), "wide": {{int64(1), int64(2)}}} {
		_, err := t.src.(store.Digester).DigestAt(t.Context(), q, cuts)
		require.Error(t, err, "cuts that are %s", name)
	}
}

// digestManyCuts has more of them than a statement has parameters.
func digestManyCuts(t *env) {
	def := table("many cuts", []string{"a", "b"}, notNull("b", "int"), notNull("a", "int"))
	rows := make([]store.Row, 1300)
	for i := range rows {
		rows[i] = store.Row{int64(i % 7), int64(i / 7)}
	}
	tab := t.load(def, rows...)
	checkEvery(t, store.Query{Table: tab, Key: tab.Key}, rows, 2)
}

// checkDigest has the values of an order case as keys, which are unique.
func (c orderCase) checkDigest(t *env) {
	def := table("keys", []string{"id"}, notNull("id", "int"), notNull("k", c.typ))
	var rows []store.Row
	for i, literal := range c.values {
		rows = append(rows, store.Row{int64(i), normalize(t, def.Columns[1].Type, literal)})
	}
	tab := t.load(def, rows...)
	q := store.Query{Table: tab, Key: []string{"k"}}
	for _, n := range []int64{1, 2, 5} {
		checkEvery(t, q, rows, n)
	}
	_, keys := keysIn(t, q, rows)
	for _, key := range []store.Row{keys[0], keys[len(keys)/2], keys[len(keys)-1]} {
		checkCuts(t, q, rows, key)
	}
	q.From, q.Before = keys[len(keys)/4], keys[len(keys)-1]
	checkEvery(t, q, rows, 2)
}

func digestCompositeKey(t *env) {
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
	tab := t.load(def, rows...)
	for _, key := range [][]string{tab.Key, {"b", "s", "d"}, {"d", "b", "s"}} {
		q := store.Query{Table: tab, Key: key}
		checkEvery(t, q, rows, 1)
		checkEvery(t, q, rows, 4)
		_, keys := keysIn(t, q, rows)
		checkCuts(t, q, rows, keys[3], keys[17], keys[28])
		q.From, q.Before = keys[5], keys[len(keys)-5]
		checkEvery(t, q, rows, 3)
		checkCuts(t, q, rows, keys[3], keys[17], keys[28])
	}
}

// digestSpelledKeys: rows whose keys are equal, though the engine takes them for
// two, are never cut apart, whatever the size of a range and the limit.
func digestSpelledKeys(t *env) {
	tab := t.load(table("spelled", []string{"k"}, notNull("k", "decimal(9,2)"), nullable("v", "int")))
	t.update(func(tx store.Tx) error {
		var rows []store.Row
		for _, text := range []string{"1", "2", "2.0", "3", "4", "4.0", "4.00", "5", "5.0", "6"} {
			rows = append(rows, store.Row{store.Verbatim{Value: text}, 1})
		}
		return tx.Insert(t.Context(), tab, tab.ColumnNames(), rows)
	})
	const all = 10
	columns := columnsOf(t, tab, tab.Key)
	for n := int64(1); n <= all+1; n++ {
		for limit := int64(0); limit <= all+1; limit++ {
			about := fmt.Sprintf("every %d rows, limit %d", n, limit)
			got := t.every(store.Query{Table: tab, Key: tab.Key, Limit: limit}, n)
			want := int64(all)
			if limit > 0 {
				want = min(all, limit)
			}
			require.Equal(t, want, total(got), about)
			var cuts []store.Row
			for i, d := range got {
				if i > 0 {
					require.Negative(t, store.CompareKeys(columns, got[i-1].First, d.First), about)
					cuts = append(cuts, d.First)
				}
			}
			at := t.at(store.Query{Table: tab, Key: tab.Key}, cuts...)
			for i, d := range got[:len(got)-1] {
				require.Equal(t, store.Digest{Rows: d.Rows, Sum: d.Sum}, at[i], "digest %d: %s", i, about)
			}
		}
	}
}

// digestRefused calls both methods and returns their errors.
func digestRefused(t *env, ctx context.Context, q store.Query) []error {
	t.Helper()
	d := t.src.(store.Digester)
	every, err1 := d.DigestEvery(ctx, q, 2)
	at, err2 := d.DigestAt(ctx, q, []store.Row{{int64(2)}})
	require.Empty(t, every)
	require.Empty(t, at)
	return []error{err1, err2}
}

func digestMissing(t *env) {
	t.load(people(), peopleRows(1)...)
	other := people()
	other.Name = "nobody"
	for _, err := range digestRefused(t, t.Context(), store.Query{Table: other, Key: []string{"id"}}) {
		require.ErrorIs(t, err, store.ErrTableNotFound)
	}
}

func digestUnknownColumn(t *env) {
	tab := t.load(people(), peopleRows(3)...)
	for name, q := range map[string]store.Query{
		"Columns": {Table: tab, Columns: []string{"id", "shoe"}, Key: []string{"id"}},
		"Key":     {Table: tab, Key: []string{"shoe"}},
	} {
		for _, err := range digestRefused(t, t.Context(), q) {
			require.Error(t, err, "a column that does not exist in %s", name)
		}
	}
}

func digestCancelled(t *env) {
	tab := t.load(people(), peopleRows(3)...)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	q := store.Query{Table: tab, Key: []string{"id"}}
	for _, err := range digestRefused(t, ctx, q) {
		require.ErrorIs(t, err, context.Canceled)
	}
	checkEvery(t, q, peopleRows(3), 2)
}
