package mirrortest

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store"
)

// values is a table with a key and one more column of that type.
func values(typ string, values ...any) table {
	tb := table{columns: []store.Column{notNull("id", "int"), col("v", typ)}, key: []string{"id"}}
	for i, v := range values {
		tb.rows = append(tb.rows, store.Row{i + 1, v})
	}
	return tb
}

// keys is a table whose key is one column of that type.
func keys(typ string, keys ...any) table {
	tb := table{columns: []store.Column{notNull("k", typ), col("v", "int")}, key: []string{"k"}}
	for _, k := range keys {
		tb.rows = append(tb.rows, store.Row{k, 7})
	}
	return tb
}

// two are values that only look alike.
type two = [2]any

// differ are pairs of tables for values that differ, and a pair of equal tables
// for all of them.
func differ(typ string, list ...two) []pair {
	return append(differing(typ, typ, list...), alike(typ, typ, twice(list)...))
}

// twice are the values of a list, each with itself.
func twice(list []two) []two {
	var all []two
	for _, v := range list {
		all = append(all, two{v[0], v[0]}, two{v[1], v[1]})
	}
	return all
}

func differing(source, mirror string, list ...two) []pair {
	var pairs []pair
	for _, v := range list {
		pairs = append(pairs, pair{source: values(source, v[0]), mirror: values(mirror, v[1]), want: []diff{changed(int64(1), "v")}})
	}
	return pairs
}

// alike is a pair of tables with equal values of two types.
func alike(source, mirror string, list ...two) pair {
	p := pair{source: values(source), mirror: values(mirror)}
	for i, v := range list {
		p.source.rows = append(p.source.rows, mirrorRow(i, v[0]))
		p.mirror.rows = append(p.mirror.rows, mirrorRow(i, v[1]))
	}
	return p
}

func mirrorRow(values ...any) store.Row {
	row := make(store.Row, len(values))
	for i, v := range values {
		row[i] = v
	}
	return row
}

// differentKeys are pairs of tables whose only key differs, and a pair of equal
// tables with those keys of the list that can stand in one table.
func differentKeys(typ string, list ...two) []pair {
	var pairs []pair
	for _, k := range list {
		pairs = append(pairs,
			pair{source: keys(typ, k[0]), mirror: keys(typ, k[1]), want: []diff{missing(k[0]), extra(k[1])}},
			identical(keys(typ, k[0])), identical(keys(typ, k[1])))
	}
	return pairs
}

// without are a pair of equal tables with these keys, and for each key a pair
// in which the mirror lacks it.
func without(typ string, all ...any) []pair {
	pairs := []pair{identical(keys(typ, all...))}
	for i, k := range all {
		rest := append(append([]any{}, all[:i]...), all[i+1:]...)
		pairs = append(pairs, pair{source: keys(typ, all...), mirror: keys(typ, rest...), want: []diff{missing(k)}})
	}
	return pairs
}

func concat(lists ...[]pair) (all []pair) {
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

func utc(text string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		panic(err)
	}
	return t
}

// traps is the table of cases. Keys do not differ by blanks or zeros at their
// end, which SQL Server ignores, unless the case is about that.
func traps() []trap {
	rep := strings.Repeat
	minusZero := math.Copysign(0, -1)

	text := []two{
		{"株", "式"}, {"株", "?"}, {"ÿ", "?"}, {"\u00e9", "e\u0301"}, {"\u00c5", "\u212b"}, {"\U0001F600", "\U0001F601"},
		{"\U0001F600", "\ufffd"}, {"İ", "I"}, {"ı", "i"}, {"ß", "ss"}, {"ß", "\u1e9e"}, {"ﬁ", "fi"}, {"か", "カ"}, {"\uff41", "a"},
		{"a\u00adb", "ab"}, {"a\u200bb", "ab"}, {"σ", "ς"}, {"é", "e"}, {"Æ", "AE"},
	}

	ab := func(typ string, rows ...store.Row) table {
		return table{columns: []store.Column{notNull("id", "int"), col("a", typ), col("b", typ)}, key: []string{"id"}, rows: rows}
	}
	bag := func(rows ...store.Row) table {
		return table{columns: []store.Column{col("what", "nvarchar(20)"), col("n", "int")}, rows: rows}
	}
	solid := func(all ...any) table { // without NULL, so that even such rows can have digests
		tb := table{columns: []store.Column{notNull("what", "nvarchar(20)")}}
		for _, v := range all {
			tb.rows = append(tb.rows, store.Row{v})
		}
		return tb
	}
	keyless := func(tb table) table {
		tb.key = nil
		return tb
	}
	lostKey := []mirror.SchemaDifference{{What: "primary key", Source: "id"}}

	link := func(rows ...store.Row) table {
		return table{columns: []store.Column{notNull("a", "int"), col("v", "int"), notNull("b", "nvarchar(9)"), notNull("c", "int")},
			key: []string{"c", "b", "a"}, rows: rows}
	}
	links := []store.Row{{1, 0, "x", 3}, {2, 0, "x", 3}, {1, 0, "y", 2}, {3, 0, "B", 1}, {2, 0, "a", 1}, {1, 0, "x", 2}, {9, 0, "y", 1}}

	var hundreds, shifted []store.Row // shifted lacks the ends and a row between, and has others
	for i := range 700 {
		hundreds = append(hundreds, store.Row{10 * i, i % 7, i % 5})
		switch i {
		case 0, 350, 699:
		case 100:
			shifted = append(shifted, store.Row{10 * i, i%7 + 1, i % 5})
		default:
			shifted = append(shifted, store.Row{10 * i, i % 7, i % 5})
		}
	}
	shifted = append(shifted, store.Row{-1, 0, 0}, store.Row{2001, 0, 0}, store.Row{9999, 0, 0})

	var words []any
	for _, a := range []string{"a", "B", "Z", "ä", "Å", "_", "-"} {
		for _, b := range []string{"a", "B", "c", "ä", "_", "-"} {
			for _, c := range []string{"z", "Y", "a-b", "ab", "é", "株"} {
				words = append(words, a+b+c)
			}
		}
	}
	skipped := append(append([]any{}, words[1:100]...), words[101:]...)

	computed := func(rows ...store.Row) table {
		return table{columns: []store.Column{notNull("id", "int"), col("total", "int"), col("stamp", "varbinary(8)"), col("v", "int")},
			key: []string{"id"}, rows: rows}
	}

	list := []trap{
		{
			name:   "text keys in the order of a collation",
			reason: "collations order 'a', 'B' and '-' differently, and two sides in two orders make missing and extra rows of equal ones",
			pairs: concat(
				without("nvarchar(20)", "a", "B", "Z", "ä", "Å", "_", "-", "a-b", "ab", "aC", "1", "10", "2", "é", "株", "\U0001F600", "\uffe0"),
				without("varchar(20)", "a", "B", "Z", "_", "-", "a-b", "ab")),
		},
		{
			name:   "ranges of text keys",
			reason: "a range that is cut at a key has other rows in another order",
			pairs: []pair{
				identical(keys("nvarchar(20)", words...)),
				{source: keys("nvarchar(20)", words...), mirror: keys("nvarchar(20)", skipped...), want: []diff{missing(words[0]), missing(words[100])}},
			},
		},
		{
			name:   "keys that differ in case",
			reason: "a mirror whose collation ignores case has one row for two of the source",
			pairs: concat(without("nvarchar(20)", "abc", "ABC", "aBc"),
				differentKeys("nvarchar(20)", two{"abc", "ABC"}, two{"ı", "I"}, two{"é", "É"}), differentKeys("varchar(20)", two{"abc", "Abc"})),
		},
		{
			name:   "keys that differ in a blank at the end, in one table",
			reason: "SQL compares 'a' and 'a ' as equal",
			pairs:  concat(without("nvarchar(20)", "a", "a ", "a  ", ""), without("varchar(20)", "a", "a ")),
		},
		{
			name:   "keys that differ in a blank at the end, one on either side",
			reason: "a mirror that pads keys, or cuts them, has another key and not a changed row",
			pairs:  concat(differentKeys("nvarchar(20)", two{"a", "a "}, two{"", " "}), differentKeys("varchar(20)", two{"a", "a "})),
		},
		{
			name:   "keys that differ in a zero at the end, in one table",
			reason: "SQL Server compares 0x01 and 0x0100 as equal",
			pairs:  without("varbinary(8)", []byte{1}, []byte{1, 0}, []byte{1, 0, 0}, []byte{}),
		},
		{
			name:   "keys that differ in a zero at the end, one on either side",
			reason: "SQL Server compares 0x01 and 0x0100 as equal",
			pairs:  differentKeys("varbinary(8)", two{[]byte{1}, []byte{1, 0}}, two{[]byte{}, []byte{0}}),
		},
		{
			name:   "keys that look alike",
			reason: "linguistic comparison takes different characters for one",
			pairs: differentKeys("nvarchar(20)", two{"\u00e9", "e\u0301"}, two{"ß", "ss"}, two{"İ", "I"}, two{"\uff41", "a"},
				two{"a\u200bb", "ab"}, two{"\U0001F600", "\U0001F601"}, two{"株", "式"}),
		},
		{
			name:   "GUID keys",
			reason: "SQL Server orders a uniqueidentifier by its last six bytes first, and the driver swaps the first eight",
			pairs: without("uniqueidentifier", "FF000000-0000-0000-0000-000000000000", "000000FF-0000-0000-0000-000000000000",
				"00000000-FF00-0000-0000-000000000000", "00000000-00FF-0000-0000-000000000000", "00000000-0000-FF00-0000-000000000000",
				"00000000-0000-0000-FF00-000000000000", "00000000-0000-0000-00FF-000000000000", "00000000-0000-0000-0000-FF0000000000",
				"00000000-0000-0000-0000-0000000000FF", "01020304-0506-0708-090A-0B0C0D0E0F10"),
		},
		{
			name:   "GUID values",
			reason: "the driver swaps bytes, and as text case does not count",
			pairs: differ("uniqueidentifier", two{"00000000-0000-0000-0000-000000000000", nil},
				two{"01020304-0506-0708-090A-0B0C0D0E0F10", "04030201-0605-0807-090A-0B0C0D0E0F10"}),
		},
		{
			name:   "composite keys whose order is not that of the columns",
			reason: "the key's order is key_ordinal, and a merge by the columns' order loses its way",
			pairs: []pair{
				identical(link(links...)),
				{source: link(links...), mirror: link(links[1:]...), want: []diff{missing(3, "x", 1)}},
				{source: link(links[:6]...), mirror: link(append(links[:5:5], store.Row{1, 5, "x", 2})...),
					want: []diff{{kind: mirror.DiffChanged, key: store.Row{2, "x", 1}, columns: []string{"v"}}}},
				{source: link(store.Row{1, 0, "x", 2}), mirror: link(store.Row{2, 0, "x", 1}), want: []diff{missing(2, "x", 1), extra(1, "x", 2)}},
			},
		},
		{
			name:   "columns whose texts run together",
			reason: "'ab' and 'c' joined are 'a' and 'bc' joined, and NULL joined to anything vanishes",
			pairs: concat([]pair{identical(ab("nvarchar(20)", store.Row{1, nil, "x"}, store.Row{2, "x", nil}, store.Row{3, "", nil}))},
				columns(ab, "nvarchar(20)", [2]two{{"ab", "c"}, {"a", "bc"}}, [2]two{{nil, "x"}, {"x", nil}}, [2]two{{"", nil}, {nil, ""}},
					[2]two{{"a|", "b"}, {"a", "|b"}}, [2]two{{"a", "b,c"}, {"a,b", "c"}}, [2]two{{"1a", ""}, {"", "1a"}}),
				columns(ab, "varbinary(20)", [2]two{{[]byte{1, 0}, []byte{2}}, {[]byte{1}, []byte{0, 2}}}, [2]two{{[]byte{}, nil}, {nil, []byte{}}})),
		},
		{
			name:   "values that swap between columns",
			reason: "a XOR or a sum of the columns is the same",
			pairs: concat([]pair{identical(ab("int", store.Row{1, 1, 2}, store.Row{2, 2, 1}))},
				columns(ab, "int", [2]two{{1, 2}, {2, 1}}, [2]two{{1, 3}, {2, 2}}, [2]two{{nil, 0}, {0, nil}}, [2]two{{5, 5}, {6, 6}}),
				columns(ab, "nvarchar(20)", [2]two{{"x", "y"}, {"y", "x"}}),
				columns(ab, "float", [2]two{{1.0, 2.0}, {2.0, 1.0}}),
				columns(ab, "bit", [2]two{{true, false}, {false, true}})),
		},
		{
			name:   "values that swap between rows",
			reason: "a XOR or a sum of the rows is the same, and so is their number",
			pairs: []pair{
				identical(values("int", 1, 2, 3)),
				{source: values("int", 1, 2), mirror: values("int", 2, 1), want: []diff{changed(1, "v"), changed(2, "v")}},
				{source: values("int", 1, 2, 3), mirror: values("int", 2, 3, 1), want: []diff{changed(1, "v"), changed(2, "v"), changed(3, "v")}},
				{source: values("int", 1, 3), mirror: values("int", 2, 2), want: []diff{changed(1, "v"), changed(2, "v")}},
				{source: values("int", 5, 5), mirror: values("int", 6, 6), want: []diff{changed(1, "v"), changed(2, "v")}},
				{source: values("nvarchar(9)", "x", "y"), mirror: values("nvarchar(9)", "y", "x"), want: []diff{changed(1, "v"), changed(2, "v")}},
				{source: values("int", 1), mirror: values("int", 1).with(store.Row{2, 1}), want: []diff{missing(1), extra(2)}},
			},
		},
		{
			name:   "no primary key",
			reason: "rows without a key come in any order and more than once, and an even number of equal rows cancels in a XOR",
			pairs: []pair{
				identical(bag(store.Row{"b", 2}, store.Row{"a", 1}, store.Row{"a", 1}, store.Row{nil, nil}, store.Row{nil, nil}, store.Row{"", nil})),
				{source: bag(store.Row{"a", 1}, store.Row{"a", 1}), mirror: bag(store.Row{"a", 1}), want: []diff{missing("a", 1)}},
				{source: bag(store.Row{"a", 1}, store.Row{"a", 1}, store.Row{"b", 2}), mirror: bag(store.Row{"b", 2}), want: []diff{missing("a", 1).times(2)}},
				{source: bag(store.Row{"a", 1}, store.Row{"a", 1}), mirror: bag(store.Row{"b", 2}, store.Row{"b", 2}),
					want: []diff{missing("a", 1).times(2), extra("b", 2).times(2)}},
				{source: bag(store.Row{"a", 1}, store.Row{"a", 1}, store.Row{"b", 2}), mirror: bag(store.Row{"a", 1}, store.Row{"b", 2}, store.Row{"b", 2}),
					want: []diff{missing("a", 1), extra("b", 2)}},
				{source: bag(store.Row{nil, 1}), mirror: bag(store.Row{"", 1}), want: []diff{missing(nil, 1), extra("", 1)}},
				{source: bag(store.Row{"a", nil}, store.Row{"b", 1}), mirror: bag(store.Row{"a", 1}, store.Row{"b", nil}),
					want: []diff{missing("a", nil), missing("b", 1), extra("a", 1), extra("b", nil)}},
				{source: solid("a", "a", "c"), mirror: solid("b", "b", "c"), want: []diff{missing("a").times(2), extra("b").times(2)}},
				{source: solid("a", "a", "c"), mirror: solid("a", "c", "c"), want: []diff{missing("a"), extra("c")}},
				identical(solid("b", "a", "a", "b", "c")),
				{source: bag(), mirror: bag(store.Row{nil, nil}), want: []diff{extra(nil, nil)}},
				{source: bag(store.Row{"a", 1}), mirror: bag(store.Row{"A", 1}), want: []diff{missing("a", 1), extra("A", 1)}},
				{source: bag(store.Row{"a", 1}), mirror: bag(store.Row{"a ", 1}), want: []diff{missing("a", 1), extra("a ", 1)}},
			},
		},
		{
			name:   "duplicate keys in the mirror",
			reason: "a mirror that lost its key can have a row three times, which a XOR takes for once",
			pairs: []pair{
				{source: values("int", 1, 2), mirror: keyless(values("int", 1, 2)), schema: lostKey, oneWay: true},
				{source: values("int", 1, 2), mirror: keyless(values("int", 1, 2).with(store.Row{1, 1}, store.Row{1, 1}, store.Row{1, 1}, store.Row{2, 2})),
					schema: lostKey, oneWay: true, want: []diff{{kind: mirror.DiffDuplicate, key: store.Row{1}, rows: 2}}},
				{source: values("int", 1), mirror: keyless(values("int", 1).with(store.Row{1, 9}, store.Row{1, 1})),
					schema: lostKey, oneWay: true, want: []diff{{kind: mirror.DiffDuplicate, key: store.Row{1}}}},
				{source: values("int", 1), mirror: keyless(values("int", 1).with(store.Row{2, 9}, store.Row{1, 1}, store.Row{2, 9})),
					schema: lostKey, oneWay: true, want: []diff{extra(2).times(2)}},
			},
		},
		{
			name:   "computed columns and rowversion",
			reason: "every database makes their values by itself, so they differ in mirrors that are right",
			catalogue: func(c *store.Column) {
				switch c.Name {
				case "total":
					c.Generated = true
				case "stamp":
					c.Type = store.MustType("rowversion")
				}
			},
			pairs: []pair{
				{source: computed(store.Row{1, 10, []byte{1}, 5}), mirror: computed(store.Row{1, 20, []byte{2}, 5}), notCompared: leftOut},
				{source: computed(store.Row{1, 10, []byte{1}, 5}), mirror: computed(store.Row{1, 10, []byte{1}, 6}), notCompared: leftOut, want: []diff{changed(1, "v")}},
			},
		},
		{
			name:   "a column on one side",
			reason: "a comparison of all columns would differ in every row, one of the common columns in none",
			pairs: []pair{
				{
					source: ab("int", store.Row{1, 1, 2}), mirror: values("int", 1).renamed("v", "a"), oneWay: true,
					schema:      []mirror.SchemaDifference{{Column: "b", What: "missing column", Source: "int null"}},
					notCompared: []mirror.Omission{{Column: "b", Reason: "not in the mirror"}},
				},
				{
					source: values("int", 1).renamed("v", "a"), mirror: ab("int", store.Row{1, 3, 2}), oneWay: true,
					schema:      []mirror.SchemaDifference{{Column: "b", What: "extra column", Mirror: "int null"}},
					notCompared: []mirror.Omission{{Column: "b", Reason: "not at the source"}},
					want:        []diff{changed(1, "a")},
				},
			},
		},
		{
			name:   "columns in another order and another case",
			reason: "a comparison by position takes a for b",
			pairs: []pair{
				{source: ab("int", store.Row{1, 1, 2}), mirror: reordered(store.Row{2, 1, 1})},
				{source: ab("int", store.Row{1, 1, 2}), mirror: reordered(store.Row{1, 2, 1}), want: []diff{changed(1, "a", "b")}},
				{source: ab("int", store.Row{1, 1, 2}), mirror: values("int").renamed("id", "ID").renamed("v", "B").and(col("A", "int")).with(store.Row{1, 1, 2}),
					want: []diff{changed(1, "a", "b")}},
			},
		},
		{
			name:   "float bits",
			reason: "as text a float keeps 6 digits, and 0 = -0",
			pairs: concat(
				differ("float", two{0.0, minusZero}, two{0.1, math.Nextafter(0.1, 1)}, two{1.0, math.Nextafter(1, 2)}, two{1e300, math.Nextafter(1e300, math.Inf(1))},
					two{-1e-300, math.Nextafter(-1e-300, 0)}, two{float64(1 << 53), float64(1<<53 + 2)}, two{0.0, nil}, two{1234567.0, 1234567.5}),
				differ("real", two{float32(0.1), math.Nextafter32(0.1, 1)}, two{float32(0), float32(minusZero)}, two{float32(16777215), float32(16777216)})),
		},
		{
			name:   "float keys",
			reason: "0 and -0 are one key, and yet not the same",
			pairs: concat(without("float", 0.1, math.Nextafter(0.1, 1), -0.1, 1e300, -1e300, 0.0),
				[]pair{identical(keys("float", minusZero)), {source: keys("float", 0.0), mirror: keys("float", minusZero), want: []diff{changed(0.0, "k")}}}),
		},
		{
			name:   "integers at their limits",
			reason: "as floats 2^53 and 2^53 + 1 are one number, and a hash of 32 bits knows no bigint",
			pairs: concat(
				differ("bigint", two{int64(math.MaxInt64), int64(math.MaxInt64 - 1)}, two{int64(math.MinInt64), int64(math.MinInt64 + 1)},
					two{int64(math.MinInt64), int64(math.MaxInt64)}, two{int64(1 << 53), int64(1<<53 + 1)}, two{int64(1 << 32), 0}, two{-1, int64(math.MaxUint32)}, two{0, nil}),
				differ("int", two{math.MaxInt32, math.MinInt32}, two{math.MaxInt32, math.MaxInt32 - 1}, two{-1, 0}, two{-1, 1}),
				differ("smallint", two{math.MaxInt16, math.MinInt16}, two{-1, 255}),
				differ("tinyint", two{255, 0}, two{128, 127}, two{0, nil}),
				without("bigint", int64(math.MinInt64), int64(math.MinInt64+1), -1, 0, int64(1<<53), int64(1<<53+1), int64(math.MaxInt64-1), int64(math.MaxInt64)),
				without("tinyint", 0, 127, 128, 255)),
		},
		{
			name:   "decimals that differ in the last digit",
			reason: "a float holds 15 digits of the 38",
			pairs: concat(
				differ("decimal(19,0)", two{"9223372036854775807", "9223372036854775808"}, two{"9999999999999999999", "9999999999999999998"}),
				differ("decimal(38,0)", two{rep("9", 38), rep("9", 37) + "8"}, two{"-" + rep("9", 38), rep("9", 38)}, two{"0", nil}),
				differ("decimal(38,38)", two{"0." + rep("9", 38), "0." + rep("9", 37) + "8"}, two{"0." + rep("0", 37) + "1", "0"}),
				differ("decimal(38,10)", two{"1234567890123456789012345678.0000000001", "1234567890123456789012345678.0000000002"}),
				differ("money", two{"922337203685477.5807", "922337203685477.5806"}, two{"-0.0001", "0.0001"}),
				without("decimal(20,3)", "-10.500", "-9.000", "0.000", "0.001", "9.500", "10.000", "12345678901234567.123", "12345678901234567.124")),
		},
		{
			name:   "decimals of two scales",
			reason: "as text 1.5 and 1.50 differ, as floats numbers that differ are equal",
			loose:  true,
			pairs: concat(
				[]pair{
					alike("decimal(9,1)", "decimal(9,2)", two{"1.5", "1.50"}, two{"-0.1", "-0.10"}, two{"0.0", "0.00"}, two{"10", "10"}, two{nil, nil}),
					alike("decimal(38,0)", "decimal(19,0)", two{"9999999999999999999", "9999999999999999999"}),
					alike("money", "decimal(38,10)", two{"922337203685477.5807", "922337203685477.5807"}),
				},
				differing("decimal(9,1)", "decimal(9,2)", two{"1.5", "1.51"}, two{"1.5", "-1.50"}, two{"0.0", nil}),
				differing("decimal(38,0)", "decimal(38,2)", two{rep("9", 36), rep("9", 35) + "8.99"}),
				differing("decimal(19,4)", "decimal(38,18)", two{"123456789012345.6789", "123456789012345.678900000000000001"})),
		},
		{
			name:   "NULL, empty and blank",
			reason: "NULL = '' for a digest that joins texts, '' = ' ' for SQL Server, and a word for NULL can be data",
			pairs: concat(
				differ("nvarchar(20)", two{nil, ""}, two{"", " "}, two{" ", "  "}, two{nil, " "}, two{nil, "NULL"}, two{nil, "<null>"}, two{"a", "a "}, two{"a", " a"}, two{nil, "0"}),
				differ("varchar(20)", two{nil, ""}, two{"", " "}, two{"a", "a "}),
				differ("nvarchar(max)", two{nil, ""}, two{"", " "}, two{"a", "a "}),
				differ("varbinary(20)", two{nil, []byte{}}, two{[]byte{}, []byte{0}}, two{[]byte{1}, []byte{1, 0}}, two{[]byte{' '}, []byte{}}),
				differ("varbinary(max)", two{nil, []byte{}}, two{[]byte{1}, []byte{1, 0}})),
		},
		{
			name:   "bit",
			reason: "NULL is neither true nor false",
			pairs:  differ("bit", two{nil, false}, two{true, false}, two{nil, true}),
		},
		{
			name:   "text that only looks alike",
			reason: "a code page turns what it lacks into '?', and collations fold case, width, accents and combining characters",
			pairs:  concat(differ("nvarchar(20)", text...), differ("nvarchar(max)", text[:6]...)),
		},
		{
			name:   "text that differs in case",
			reason: "'A' = 'a' in SQL",
			pairs:  concat(differ("nvarchar(20)", two{"abc", "ABC"}, two{"å", "Å"}), differ("varchar(20)", two{"abc", "aBc"})),
		},
		{
			name:   "differences beyond 8,000 bytes",
			reason: "HASHBYTES of older servers takes 8,000 bytes, and CHECKSUM cuts text at 255 and leaves text, image and xml out",
			pairs: concat(
				differ("nvarchar(max)", two{rep("x", 9000) + "a", rep("x", 9000) + "b"}, two{rep("x", 9000), rep("x", 9001)}, two{rep("å", 4000) + "a", rep("å", 4000) + "b"},
					two{rep("x", 300) + "a", rep("x", 300) + "b"}, two{rep("x", 100_000) + "a", rep("x", 100_000) + "b"}, two{rep("x", 9000), rep("x", 9000) + " "}),
				differ("varchar(max)", two{rep("x", 9000) + "a", rep("x", 9000) + "A"}),
				differ("text", two{rep("x", 9000) + "a", rep("x", 9000) + "b"}, two{"a", "b"}, two{nil, ""}),
				differ("ntext", two{rep("x", 9000) + "株", rep("x", 9000) + "式"}, two{"a", "b"}),
				differ("xml", two{"<a>" + rep("x", 9000) + "a</a>", "<a>" + rep("x", 9000) + "b</a>"}, two{"<a/>", "<b/>"}),
				differ("image", two{append(make([]byte, 9000), 1), append(make([]byte, 9000), 2)}, two{[]byte{1}, []byte{2}}),
				differ("varbinary(max)", two{append(make([]byte, 9000), 1), append(make([]byte, 9000), 2)}, two{make([]byte, 9000), make([]byte, 9001)},
					two{append(make([]byte, 100_000), 1), append(make([]byte, 100_000), 2)})),
		},
		{
			name:   "keys with a long equal prefix",
			reason: "a key that is cut, in a sample or an index, is another key",
			pairs: concat(without("nvarchar(400)", rep("x", 399)+"a", rep("x", 399)+"b", rep("x", 399)+"C", rep("x", 398)),
				without("varbinary(400)", append(make([]byte, 399), 1), append(make([]byte, 399), 2))),
		},
		{
			name:   "datetime and datetime2",
			reason: "one instant has steps of 1/300 s here and of less there, and the driver rounds to milliseconds",
			loose:  true,
			pairs: concat(
				[]pair{
					alike("datetime", "datetime2(6)", two{utc("2026-02-03T04:05:06.003Z"), utc("2026-02-03T04:05:06.003333Z")},
						two{utc("2026-02-03T04:05:06.007Z"), utc("2026-02-03T04:05:06.006667Z")}, two{utc("2026-02-03T04:05:06.007Z"), utc("2026-02-03T04:05:06.007Z")},
						two{utc("2026-02-03T04:05:06Z"), utc("2026-02-03T04:05:06.0016Z")}, two{utc("2026-02-03T04:05:07Z"), utc("2026-02-03T04:05:06.999Z")},
						two{utc("1753-01-01T00:00:00Z"), utc("1753-01-01T00:00:00Z")}, two{utc("9999-12-31T23:59:59.997Z"), utc("9999-12-31T23:59:59.996667Z")}, two{nil, nil}),
					alike("smalldatetime", "datetime2(6)", two{utc("2026-02-03T04:05:00Z"), utc("2026-02-03T04:05:29.999999Z")}, two{utc("2026-02-03T04:06:00Z"), utc("2026-02-03T04:05:30Z")}),
					alike("date", "datetime2(6)", two{utc("2026-02-03T00:00:00Z"), utc("2026-02-03T23:59:59.999999Z")}),
					alike("datetime2(3)", "datetime2(6)", two{utc("2026-02-03T04:05:06.123Z"), utc("2026-02-03T04:05:06.123499Z")}, two{utc("2026-02-03T04:05:06.124Z"), utc("2026-02-03T04:05:06.1235Z")}),
					alike("time(0)", "time(3)", two{utc("0001-01-01T04:05:06Z"), utc("0001-01-01T04:05:06.499Z")}),
				},
				differing("datetime", "datetime2(6)", two{utc("2026-02-03T04:05:06.003Z"), utc("2026-02-03T04:05:06.007Z")}, two{utc("2026-02-03T04:05:06Z"), utc("2026-02-03T04:05:06.0017Z")},
					two{utc("2026-02-03T04:05:06.997Z"), utc("2026-02-03T04:05:06.9984Z")}, two{utc("2026-02-03T00:00:00Z"), nil}),
				differing("smalldatetime", "datetime2(6)", two{utc("2026-02-03T04:05:00Z"), utc("2026-02-03T04:05:30Z")}),
				differing("date", "datetime2(6)", two{utc("2026-02-03T00:00:00Z"), utc("2026-02-02T23:59:59.999999Z")}),
				differing("datetime2(3)", "datetime2(6)", two{utc("2026-02-03T04:05:06.123Z"), utc("2026-02-03T04:05:06.1235Z")})),
		},
		{
			name:   "datetime and datetime2, without loose types",
			reason: "that the values are equal does not make the schemas equal",
			pairs: []pair{{
				source: values("datetime", utc("2026-02-03T04:05:06.003Z")), mirror: values("datetime2(6)", utc("2026-02-03T04:05:06.003333Z")),
				schema: []mirror.SchemaDifference{{Column: "v", What: "type", Source: "datetime", Mirror: "datetime2(6)"}}, oneWay: true,
			}, {
				source: values("datetime", utc("2026-02-03T04:05:06.003Z")), mirror: values("datetime2(6)", utc("2026-02-03T04:05:06.007Z")),
				schema: []mirror.SchemaDifference{{Column: "v", What: "type", Source: "datetime", Mirror: "datetime2(6)"}}, oneWay: true, want: []diff{changed(1, "v")},
			}},
		},
		{
			name:   "datetime and datetime2 as a key",
			reason: "the mirror's key is the source's only after rounding",
			loose:  true,
			pairs: []pair{
				{source: keys("datetime", utc("2026-02-03T04:05:06.003Z"), utc("2026-02-03T04:05:06.007Z")), mirror: keys("datetime2(6)", utc("2026-02-03T04:05:06.003333Z"), utc("2026-02-03T04:05:06.006667Z"))},
				{source: keys("datetime", utc("2026-02-03T04:05:06.003Z"), utc("2026-02-03T04:05:06.007Z")), mirror: keys("datetime2(6)", utc("2026-02-03T04:05:06.006667Z")),
					want: []diff{missing(utc("2026-02-03T04:05:06.003Z"))}, oneWay: true},
			},
		},
		{
			name:   "times at their limits",
			reason: "a count of nanoseconds ends in 2262 and begins in 1677, and a step of datetime is not a whole number of milliseconds",
			pairs: concat(
				differ("datetime", two{utc("2026-02-03T04:05:06.003Z"), utc("2026-02-03T04:05:06.007Z")}, two{utc("2026-02-03T04:05:06Z"), utc("2026-02-03T04:05:06.003Z")},
					two{utc("1753-01-01T00:00:00Z"), utc("1753-01-01T00:00:00.003Z")}, two{utc("9999-12-31T23:59:59.997Z"), utc("9999-12-31T23:59:59.993Z")}),
				differ("datetime2(6)", two{utc("0001-01-01T00:00:00Z"), utc("0001-01-01T00:00:00.000001Z")}, two{utc("9999-12-31T23:59:59.999999Z"), utc("9999-12-31T23:59:59.999998Z")},
					two{utc("1677-09-21T00:12:43Z"), utc("2262-04-11T23:47:16Z")}, two{utc("0001-01-01T00:00:00Z"), nil}, two{utc("2262-04-11T23:47:16Z"), utc("2262-04-11T23:47:17Z")}),
				differ("date", two{utc("0001-01-01T00:00:00Z"), utc("0001-01-02T00:00:00Z")}, two{utc("9999-12-31T00:00:00Z"), utc("9999-12-30T00:00:00Z")}, two{utc("1582-10-04T00:00:00Z"), utc("1582-10-15T00:00:00Z")}),
				differ("smalldatetime", two{utc("1900-01-01T00:00:00Z"), utc("2079-06-06T23:59:00Z")}, two{utc("2026-02-03T04:05:00Z"), utc("2026-02-03T04:06:00Z")}),
				without("datetime2(6)", utc("0001-01-01T00:00:00Z"), utc("1677-09-21T00:12:43Z"), utc("1969-12-31T23:59:59.999999Z"), utc("1970-01-01T00:00:00Z"), utc("2262-04-12T00:00:00Z"), utc("9999-12-31T23:59:59.999999Z")),
				without("datetime", utc("1753-01-01T00:00:00Z"), utc("1899-12-31T23:59:59.997Z"), utc("1900-01-01T00:00:00Z"), utc("1900-01-01T00:00:00.003Z"), utc("9999-12-31T23:59:59.997Z"))),
		},
		{
			name:   "time of day",
			reason: "drivers put it on a day of their own",
			pairs: concat(
				differ("time(6)", two{utc("0001-01-01T00:00:00Z"), utc("0001-01-01T23:59:59.999999Z")}, two{utc("0001-01-01T04:05:06Z"), utc("0001-01-01T04:05:06.000001Z")}, two{utc("0001-01-01T00:00:00Z"), nil}),
				differ("time(0)", two{utc("0001-01-01T23:59:59Z"), utc("0001-01-01T23:59:58Z")}),
				without("time(3)", utc("0001-01-01T00:00:00Z"), utc("0001-01-01T09:00:00Z"), utc("0001-01-01T09:00:00.001Z"), utc("0001-01-01T10:00:00Z"), utc("0001-01-01T23:59:59.999Z"))),
		},
		{
			name:   "one instant with two offsets",
			reason: "SQL compares datetimeoffset by the instant alone",
			pairs: concat(
				differ("datetimeoffset(0)", two{utc("2026-02-03T04:05:06Z"), utc("2026-02-03T05:05:06+01:00")}, two{utc("2026-02-03T04:05:06-14:00"), utc("2026-02-03T04:05:06+14:00")},
					two{utc("2026-02-03T09:50:06+05:45"), utc("2026-02-03T04:05:06Z")}, two{utc("2026-02-03T04:05:06+01:00"), utc("2026-02-03T04:05:07+01:00")}),
				[]pair{
					identical(keys("datetimeoffset(0)", utc("2026-02-03T04:05:06Z"), utc("2026-02-03T04:05:06+01:00"), utc("2026-02-03T02:30:06-01:00"))),
					{source: keys("datetimeoffset(0)", utc("2026-02-03T04:05:06Z")), mirror: keys("datetimeoffset(0)", utc("2026-02-03T05:05:06+01:00")), want: []diff{changed(utc("2026-02-03T04:05:06Z"), "k")}},
				}),
		},
		{
			name:   "a few of many rows",
			reason: "ranges that are cut by the keys of one side have no place for what the other side has at their ends",
			pairs: []pair{
				identical(ab("int", hundreds...)),
				{source: ab("int", hundreds...), mirror: ab("int", shifted...),
					want: []diff{missing(0), missing(3500), missing(6990), changed(1000, "a"), extra(-1), extra(2001), extra(9999)}},
				{source: ab("int", hundreds...), mirror: ab("int"), want: missingAll(hundreds)},
				{source: ab("int", hundreds...), mirror: ab("int", hundreds[:350]...), want: missingAll(hundreds[350:])},
				{source: ab("int", hundreds...), mirror: ab("int", hundreds[1:]...), want: missingAll(hundreds[:1])},
				{source: ab("int"), mirror: ab("int")},
			},
		},
	}
	return list
}

var leftOut = []mirror.Omission{{Column: "total", Reason: "computed at the source"}, {Column: "stamp", Reason: "rowversion differs in every database"}}

func missingAll(rows []store.Row) []diff {
	list := make([]diff, len(rows))
	for i, r := range rows {
		list[i] = missing(r[0])
	}
	return list
}

// columns are pairs of tables with one row, whose columns a and b differ.
func columns(ab func(typ string, rows ...store.Row) table, typ string, list ...[2]two) []pair {
	var pairs []pair
	for _, v := range list {
		p := pair{source: ab(typ, store.Row{1, v[0][0], v[0][1]}), mirror: ab(typ, store.Row{1, v[1][0], v[1][1]}), want: []diff{changed(1, "a", "b")}}
		pairs = append(pairs, p)
	}
	return pairs
}

// reordered has the columns id, a and b in another order and another case.
func reordered(rows ...store.Row) table {
	return table{columns: []store.Column{col("B", "int"), col("A", "int"), notNull("ID", "int")}, key: []string{"ID"}, rows: rows}
}

// renamed returns the table with another name for a column.
func (tb table) renamed(from, to string) table {
	columns := make([]store.Column, len(tb.columns))
	for i, c := range tb.columns {
		if c.Name == from {
			c.Name = to
		}
		columns[i] = c
	}
	tb.columns = columns
	for i, name := range tb.key {
		if name == from {
			tb.key = slices.Clone(tb.key)
			tb.key[i] = to
		}
	}
	return tb
}

// and returns the table with one more column.
func (tb table) and(c store.Column) table {
	tb.columns = append(slices.Clone(tb.columns), c)
	return tb
}
