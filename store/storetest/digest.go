package storetest

import (
	"context"
	"database/sql/driver"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

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

// sums returns the sum of each row by itself, in the order of the ids.
func sums(t *env, tab store.Table, columns ...string) []string {
	t.Helper()
	var sums []string
	for _, d := range t.every(store.Query{Table: tab, Columns: columns, Key: []string{"id"}}, 1) {
		sums = append(sums, d.Sum)
	}
	return sums
}

// distinct checks that no two rows have one sum.
func distinct(t *env, sums []string, rows ...store.Row) {
	t.Helper()
	require.Len(t, sums, len(rows), "sums of a row each")
	for i := range sums {
		for j := range i {
			require.NotEqual(t, sums[j], sums[i], "sums of %s and of %s", show(rows[j]), show(rows[i]))
		}
	}
}

// digestColumns: a sum is that of the columns asked for, all of them when none
// are named.
func digestColumns(t *env) {
	def := table("columns", []string{"id"}, notNull("id", "int"), nullable("a", "int"), nullable("b", "nvarchar(10)"), nullable("c", "bit"))
	base := store.Row{int64(0), int64(1), "x", true}
	rows := []store.Row{base}
	for i, v := range []driver.Value{int64(2), "y", false} {
		row := slices.Clone(base)
		row[0], row[i+1] = int64(i+1), v
		rows = append(rows, row)
	}
	tab := t.load(def, rows...)
	names := []string{"a", "b", "c"}
	distinct(t, sums(t, tab, names...), rows...)
	distinct(t, sums(t, tab, "c", "a", "b"), rows...)
	for i := range names {
		others := slices.Delete(slices.Clone(names), i, i+1)
		got := sums(t, tab, others...)
		require.Equal(t, got[0], got[i+1], "sums of %q in rows that differ in %q", others, names[i])
		got = sums(t, tab, names[i])
		require.NotEqual(t, got[0], got[i+1], "sums of %q in rows that differ there", names[i])
	}
	q := store.Query{Table: tab, Key: []string{"id"}}
	whole := t.every(q, 10)
	require.Equal(t, whole[0].Sum, t.at(q)[0].Sum)
	for i, c := range tab.Columns[1:] {
		t.update(func(tx store.Tx) error {
			_, err := tx.Set(t.Context(), tab, cells(cell("id", 0)), cells(cell(c.Name, rows[i+1][i+1])))
			return err
		})
		changed := t.every(q, 10)
		require.NotEqual(t, whole[0].Sum, changed[0].Sum, "sums before and after a change of %q", c.Name)
		require.Equal(t, changed[0].Sum, t.at(q)[0].Sum)
		whole = changed
	}
}

func digestNoColumns(t *env) {
	rows := gaps(20)
	tab := t.load(people(), rows...)
	q := store.Query{Table: tab, Columns: []string{}, Key: []string{"id"}}
	checkEvery(t, q, rows, 6)
	q.Limit = 15
	checkEvery(t, q, rows, 6)
	for i, d := range t.at(q, store.Row{int64(5)}, store.Row{int64(6)}) {
		require.Equal(t, store.Digest{Rows: []int64{2, 0, 18}[i]}, d)
	}
}

// digestColumnsApart: where one value ends and the next begins counts.
func digestColumnsApart(t *env) {
	def := table("apart", []string{"id"}, notNull("id", "int"), nullable("a", "nvarchar(20)"), nullable("b", "nvarchar(20)"), nullable("c", "int"), nullable("d", "int"))
	rows := []store.Row{
		{int64(0), "ab", "c", nil, nil}, {int64(1), "a", "bc", nil, nil}, {int64(2), "abc", "", nil, nil}, {int64(3), "", "abc", nil, nil}, {int64(4), "abc", nil, nil, nil},
		{int64(5), nil, "abc", nil, nil}, {int64(6), nil, nil, int64(1), int64(23)}, {int64(7), nil, nil, int64(12), int64(3)}, {int64(8), nil, nil, int64(123), nil},
		{int64(9), nil, nil, nil, int64(123)}, {int64(10), nil, nil, nil, nil}, {int64(11), "", nil, nil, nil}, {int64(12), nil, "", nil, nil}, {int64(13), "", "", nil, nil},
		{int64(14), " ", nil, nil, nil}, {int64(15), "c", "ab", nil, nil}, {int64(16), nil, "1", int64(23), nil}, {int64(17), "1", nil, int64(23), nil},
		// What separators and marks for lengths and NULL may look like.
		{int64(18), "s2s", "", nil, nil}, {int64(19), "s", "2s", nil, nil}, {int64(20), "2sa", "b", nil, nil}, {int64(21), "1i", nil, int64(1), nil}, {int64(22), "NULL", nil, nil, nil}, {int64(23), ",", ",", nil, nil}, {int64(24), ",,", "", nil, nil},
	}
	distinct(t, sums(t, t.load(def, rows...), "a", "b", "c", "d"), rows...)
}

// digestTypesApart: values that are not equal because their kinds differ.
func digestTypesApart(t *env) {
	var all []string
	var rows []store.Row
	for i, v := range []struct {
		typ   string
		value driver.Value
	}{
		{"bit", true}, {"int", int64(1)}, {"float", 1.0}, {"decimal(9,0)", []byte("1")}, {"nvarchar(10)", "1"}, {"varbinary(10)", []byte("1")},
		{"date", at("2024-02-29T00:00:00Z")}, {"nvarchar(10)", "2024-02-29"}, {"varbinary(10)", []byte("2024-02-29")},
	} {
		row := store.Row{int64(1), v.value}
		tab := t.load(table(fmt.Sprint("v", i), []string{"id"}, notNull("id", "int"), notNull("v", v.typ)), row)
		all, rows = append(all, sums(t, tab, "v")...), append(rows, row)
	}
	distinct(t, all, rows...)
}

// pair makes two tables of one column beside the id.
func pair(t *env, name string, a, b []string) (digestA, digestB store.Digest) {
	t.Helper()
	var got []store.Digest
	for i, values := range [][]string{a, b} {
		def := table(fmt.Sprint(name, i), []string{"id"}, notNull("id", "int"), notNull("v", "nvarchar(10)"))
		var rows []store.Row
		for j, v := range values {
			rows = append(rows, store.Row{int64(j), v})
		}
		ds := t.every(store.Query{Table: t.load(def, rows...), Columns: []string{"v"}, Key: []string{"id"}}, 100)
		require.Len(t, ds, 1)
		got = append(got, ds[0])
	}
	return got[0], got[1]
}

func digestOrderOfRows(t *env) {
	a, b := pair(t, "order", []string{"a", "b", "c", "b"}, []string{"b", "c", "b", "a"})
	require.Equal(t, a.Sum, b.Sum, "sums of the same rows in another order")
}

// digestRepeatedRows: a row that is there twice does not cancel itself.
func digestRepeatedRows(t *env) {
	for i, c := range [][2][]string{
		{{"a", "a", "c"}, {"b", "b", "c"}},
		{{"a", "a", "b"}, {"a", "b", "b"}},
		{{"a", "a", "a", "a"}, {"b", "b", "b", "b"}},
		{{"a", "a"}, {"a"}},
	} {
		a, b := pair(t, fmt.Sprint("repeated", i), c[0], c[1])
		require.NotEqual(t, a.Sum, b.Sum, "sums of %q and of %q", c[0], c[1])
		require.NotEmpty(t, strings.Trim(a.Sum, "0"), "sum of %q", c[0])
	}
	if holdsAnyValue(t.st) { // elsewhere a key that is unique is so by value
		digestSpelledKeys(t)
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

// digestLongValues differ behind the first 8,000 bytes, 4,000 characters and 255 characters.
func digestLongValues(t *env) {
	def := table("long", []string{"id"}, notNull("id", "int"), nullable("s", "nvarchar(max)"), nullable("b", "varbinary(max)"), nullable("x", "nvarchar(4000)"), nullable("y", "nvarchar(4000)"))
	long := strings.Repeat("x", 9000)
	rows := []store.Row{
		{int64(0), long + "a", []byte(long), long[:4000], long[:4000]},
		{int64(1), long + "b", []byte(long), long[:4000], long[:4000]},
		{int64(2), long + "a", []byte(long + "a"), long[:4000], long[:4000]},
		{int64(3), long + "a", []byte(long), long[:3999], long[:4000]},
		{int64(4), long + "a", []byte(long), long[:4000], long[:3999] + "y"},
		{int64(5), long, []byte(long), long[:4000], long[:4000]},
	}
	tab := t.load(def, rows...)
	distinct(t, sums(t, tab, "s", "b", "x", "y"), rows...)
	distinct(t, sums(t, tab, "x", "y")[2:5], rows[2:5]...)
}

// digestWideRows have more columns than functions have arguments.
func digestWideRows(t *env) {
	const width = 150
	def := table("wide", []string{"id"}, notNull("id", "int"))
	for i := range width {
		def.Columns = append(def.Columns, notNull(fmt.Sprint("c", i), "smallint"))
	}
	var rows []store.Row
	for _, i := range []int{-1, 0, 30, 31, 32, 33, 63, 64, 99, 100, 127, 128, width - 1} {
		row := make(store.Row, width+1)
		for j := range row {
			row[j] = int64(0)
		}
		if i >= 0 {
			row[1+i] = int64(1)
		}
		row[0] = int64(len(rows))
		rows = append(rows, row)
	}
	tab := t.load(def, rows...)
	distinct(t, sums(t, tab, tab.ColumnNames()[1:]...), rows...)
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

// digestGroup is types with values that differ from each other, and from NULL.
type digestGroup struct {
	name  string
	types map[string][]any
}

var digestTexts = []any{"", " ", "  ", "a", "A", "a ", " a", "x", "x ", "b", "ab", "aB", "0", "00", "NULL", "'", "s", "1s", "\t"}

var digestValues = []digestGroup{
	{"numbers", map[string][]any{
		"bit":            {false, true},
		"tinyint":        {0, 1, 255},
		"int":            {0, 1, -1, 10, math.MaxInt32, math.MinInt32},
		"bigint":         {0, 1, -1, 256, int64(math.MaxInt64), int64(math.MaxInt64 - 1), int64(math.MinInt64), int64(1<<53 + 1), int64(1 << 53)},
		"decimal(19,4)":  {"0", "1.5", "1.51", "-1.5", "0.0001", "15", "999999999999999.9999", "999999999999999.9998"},
		"decimal(38,10)": {"0", "1.5", "0.0000000001", "9999999999999999999999999999.9999999999", "9999999999999999999999999999.9999999998"},
		"money":          {"0", "1.5", "1.51", "1.5001", "922337203685477.5807", "922337203685477.5806"},
	}},
	{"floats", map[string][]any{
		"float": {0.0, math.Copysign(0, -1), 1.0, 1.5, 0.1, math.Nextafter(0.1, 1), 1e300, -1e300, 123456789.123456789, math.Nextafter(123456789.123456789, 0)},
		"real":  {float32(0), float32(0.1), math.Nextafter32(0.1, 1), float32(16777215), float32(16777216)},
	}},
	{"text", map[string][]any{
		"nvarchar(50)": digestTexts, "nvarchar(max)": digestTexts, "varchar(50)": digestTexts, "varchar(max)": digestTexts, "text": digestTexts, "ntext": digestTexts,
		"char(3)": {"abc", "ABC", "abd"}, "nchar(3)": {"abc", "ABC", "abd"}, "xml": {"<a/>", "<b/>", "<a>1</a>"},
	}},
	{"unicode", map[string][]any{
		"nvarchar(50)": {"o", "ø", "ö", "?", "名", "前", "😀", "😃", "é", "e\u0301", "\u200b", "\ufffd", "\ue000", "\U00010000", "ﬀ", "ff", "ß", "ss", "Я", "я"},
		"ntext":        {"?", "名", "前", "😀", "😃"},
	}},
	{"nul-character", map[string][]any{"nvarchar(50)": {"a", "a\x00", "a\x00b", "\x00", ""}}},
	{"bytes", map[string][]any{
		"varbinary(50)":  {[]byte{}, []byte{0}, []byte{0, 0}, []byte{1}, []byte{1, 0}, []byte("a"), []byte("A"), []byte(" "), []byte{0xff}, []byte{0xfe}},
		"varbinary(max)": {[]byte{}, []byte{0}, []byte{0, 0}, []byte{0xff}},
		"binary(3)":      {[]byte{0, 0, 0}, []byte{0, 0, 1}, []byte{1, 0, 0}},
		"image":          {[]byte{0}, []byte{0, 0}, []byte{0xff}},
	}},
	{"times", map[string][]any{
		"date":              {at("2024-02-29T00:00:00Z"), at("2024-03-01T00:00:00Z"), at("0001-01-01T00:00:00Z"), at("9999-12-31T00:00:00Z")},
		"smalldatetime":     {at("2024-02-29T12:34:00Z"), at("2024-02-29T12:35:00Z")},
		"datetime":          {at("2024-02-29T12:34:56Z"), at("2024-02-29T12:34:56.003Z"), at("2024-02-29T12:34:56.007Z"), at("2024-02-29T00:34:56Z"), at("1753-01-01T00:00:00Z"), at("1753-01-01T00:00:00.003Z"), at("9999-12-31T23:59:59.997Z"), at("9999-12-31T23:59:59.993Z")},
		"datetime2(3)":      {at("2024-02-29T12:34:56.123Z"), at("2024-02-29T12:34:56.124Z"), at("2024-02-29T00:34:56.123Z"), at("2024-02-28T12:34:56.123Z"), at("0001-01-01T00:00:00Z"), at("9999-12-31T23:59:59.999Z")},
		"datetime2(6)":      {at("1600-02-29T12:34:56.123456Z"), at("1600-02-29T12:34:56.123457Z"), at("1600-02-29T12:34:55.123456Z"), at("1600-02-29T12:34:56.000123Z")},
		"time(3)":           {timeOfDay("12:34:56.123"), timeOfDay("12:34:56.124"), timeOfDay("00:34:56.123")},
		"datetimeoffset(3)": {at("2024-02-29T12:34:56.123Z"), at("2024-02-29T13:34:56.123+01:00"), at("2024-02-29T12:34:56.123+01:00"), at("2024-02-29T12:34:56.124Z"), at("2024-02-29T12:34:56.123-01:00")},
	}},
	{"seventh-digit", map[string][]any{
		"datetime2(7)":      {at("2024-02-29T12:34:56.1234567Z"), at("2024-02-29T12:34:56.1234568Z")},
		"time(7)":           {timeOfDay("12:34:56.1234567"), timeOfDay("12:34:56.1234568")},
		"datetimeoffset(7)": {at("2024-02-29T12:34:56.1234567+01:00"), at("2024-02-29T12:34:56.1234568+01:00")},
	}},
	{"guid", map[string][]any{"uniqueidentifier": {
		"00000000-0000-0000-0000-000000000000", "01000000-0000-0000-0000-000000000000", "00000001-0000-0000-0000-000000000000", "00000000-0000-0000-0000-000000000001"}}},
}

func (g digestGroup) check(t *env) {
	for n, typ := range slices.Sorted(maps.Keys(g.types)) {
		def := table(fmt.Sprint("v", n), []string{"id"}, notNull("id", "int"), nullable("v", typ))
		rows := []store.Row{{int64(0), nil}}
		for _, literal := range g.types[typ] {
			rows = append(rows, store.Row{int64(len(rows)), normalize(t, def.Columns[1].Type, literal)})
		}
		different := len(rows)
		for _, r := range rows[:different] {
			rows = append(rows, store.Row{int64(len(rows)), r[1]})
		}
		got := sums(t, t.load(def, rows...), "v")
		distinct(t, got[:different], rows[:different]...)
		require.Equal(t, got[:different], got[different:], "the sums of equal values of %s", typ)
	}
}
