package storetest

import (
	"database/sql/driver"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
)

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
