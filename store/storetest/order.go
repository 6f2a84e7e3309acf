package storetest

import (
	"database/sql/driver"
	"math"
	"strings"

	"github.com/so-mirror/mirror/store"
)

// orderContracts: whatever the collation, rows come in the order of
// [store.CompareKeys], and bounds are bounds of that order.
func orderContracts() []contract {
	cs := make([]contract, 0, len(orderCases)+2)
	for _, c := range orderCases {
		cs = append(cs, contract{c.name, c.check})
	}
	return append(cs,
		contract{"primary-key", primaryKeyOrder},
		contract{"composite", compositeOrder})
}

// orderCase is a column with values that the engines of this world order in
// different ways. NULL is added to each.
type orderCase struct {
	name, typ string
	values    []any
}

var orderCases = []orderCase{
	{"case", "nvarchar(20)", []any{"b", "a", "B", "A", "á", "Z", "z", "Á", "ab", "aB", "Ab", "_", "1", "10", "2"}},
	{"trailing-blanks", "nvarchar(20)", []any{"a ", "a", "a  ", "a\t", "", " ", "  ", "ab", "a b", "a!"}},
	{"punctuation", "nvarchar(20)", []any{"co-op", "coop", "co op", "co.op", "c-oop", "-coop", "'coop", "COOP", "co_op"}},
	{"non-ascii", "nvarchar(20)", []any{
		"ø", "o", "z", "å", "æ", "aa", "Å", "\u212b", "ß", "ss", "é", "e\u0301", "e", "ﬀ", "ff", "ı", "i", "İ", "я", "名", "\u00ad", "\u200b"}},
	{"surrogates", "nvarchar(20)", []any{
		"\ue000", "\U00010000", "\ufffd", "\U0001f600", "\uf8ff", "\U0010fffd", "\ud7ff", "z", "a\U0001f600", "a\uffee", "\uffff"}},
	{"nul-character", "nvarchar(20)", []any{"a\x00b", "a", "a\x00", "\x00", "", "ab", "a\x01"}},
	{"long-text", "nvarchar(4000)", []any{
		strings.Repeat("x", 1000) + "b", strings.Repeat("x", 1000) + "a", strings.Repeat("x", 1000), strings.Repeat("x", 1001), strings.Repeat("x", 1000) + "A"}},
	{"varchar", "varchar(20)", []any{"b", "a", "B", "A", "a ", "", " ", "Z", "_", "-a", "10", "2"}},
	{"nvarchar-max", "nvarchar(max)", []any{"b", "a", "B", "A", "a ", "", " ", "\uffee", "\U0001f600"}},
	{"char", "char(3)", []any{"abc", "ABC", "aBc", "a c", "zzz", "123", "a-c"}},
	{"guid", "uniqueidentifier", []any{
		"00000000-0000-0000-0000-000000000000", "FF000000-0000-0000-0000-000000000000", "000000FF-0000-0000-0000-000000000000",
		"00000000-FF00-0000-0000-000000000000", "00000000-00FF-0000-0000-000000000000", "00000000-0000-FF00-0000-000000000000",
		"00000000-0000-00FF-0000-000000000000", "00000000-0000-0000-FF00-000000000000", "00000000-0000-0000-00FF-000000000000",
		"00000000-0000-0000-0000-FF0000000000", "00000000-0000-0000-0000-0000000000FF", "01020304-0506-0708-090A-0B0C0D0E0F10",
		"6F9619FF-8B86-D011-B42D-00C04FC964FF", "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF", "80000000-0000-0000-0000-000000000001"}},
	{"tinyint", "tinyint", []any{128, 0, 255, 127, 1}},
	{"int", "int", []any{10, 9, -10, -9, 0, 2147483647, -2147483648, -1}},
	{"bigint", "bigint", []any{
		int64(9223372036854775807), int64(-9223372036854775808), 0, -1, int64(9007199254740993), int64(9007199254740992), int64(9223372036854775806)}},
	{"bool", "bit", []any{true, false}},
	{"float", "float", []any{
		1.5, -1.5, 0.0, 1e300, -1e300, 2.2250738585072014e-308, 0.1, 0.30000000000000004, 0.3, 9007199254740993.0, 2.0, 10.0, 100.0, -10.0}},
	{"real", "real", []any{float32(0.1), float32(-0.1), float32(0), float32(3.4e38), float32(-3.4e38), float32(16777216), float32(16777215), 10, 9}},
	{"negative-zero", "float", []any{math.Copysign(0, -1), 0.0, -1.0, 1.0, -1e-300, 1e-300}},
	{"decimal", "decimal(38,10)", []any{
		"1.5", "-1.5", "0", "10", "9", "-10", "-9", "0.0000000001", "-0.0000000001", "1.4999999999", "1.50000001", "99.99",
		"9999999999999999999999999999.9999999999", "-9999999999999999999999999999.9999999999", "9999999999999999999999999999.9999999998", "100"}},
	{"decimal-integer", "decimal(38,0)", []any{
		"99999999999999999999999999999999999999", "99999999999999999999999999999999999998", "-99999999999999999999999999999999999999",
		"9223372036854775808", "9223372036854775807", "0", "10", "9", "-1"}},
	{"money", "money", []any{"922337203685477.5807", "-922337203685477.5808", "0.0001", "-0.0001", "10", "9.99", "0"}},
	{"bytes", "varbinary(20)", []any{
		[]byte{}, []byte{0xff}, []byte{0x7f}, []byte{0x80}, []byte("a"), []byte("A"), []byte("ab"), []byte{0xff, 0xff}, []byte{0xff, 0x01}, []byte{0x01, 0xff}, []byte{0xc3, 0x28}}},
	{"bytes-zeros", "varbinary(20)", []any{
		[]byte{}, []byte{0}, []byte{0, 0}, []byte{0, 1}, []byte{1}, []byte{1, 0}, []byte{1, 0, 0}, []byte{0, 0xff}, []byte{0xff, 0}, []byte{0xff}, []byte{' '}, []byte{' ', ' '}}},
	{"binary", "binary(2)", []any{[]byte{0, 0}, []byte{0xff, 0}, []byte{0, 0xff}, []byte{0x80, 0}, []byte("aa"), []byte("aA")}},
	{"date", "date", []any{at("2024-02-29T00:00:00Z"), at("0001-01-01T00:00:00Z"), at("9999-12-31T00:00:00Z"), at("1969-12-31T00:00:00Z"), at("1970-01-01T00:00:00Z"), at("0999-05-05T00:00:00Z")}},
	{"smalldatetime", "smalldatetime", []any{at("1900-01-01T00:00:00Z"), at("2079-06-06T23:59:00Z"), at("1969-12-31T23:59:00Z"), at("2024-02-29T12:34:00Z")}},
	{"datetime", "datetime", []any{
		at("1753-01-01T00:00:00Z"), at("9999-12-31T23:59:59.997Z"), at("2024-01-01T00:00:00Z"), at("2024-01-01T00:00:00.003Z"), at("2024-01-01T00:00:00.007Z"),
		at("2024-01-01T00:00:00.01Z"), at("2023-12-31T23:59:59.997Z"), at("1969-12-31T23:59:59.997Z"), at("1970-01-01T00:00:00Z"), at("1899-12-31T23:59:59Z"), at("1900-01-01T00:00:00Z")}},
	{"datetime2", "datetime2(7)", []any{
		at("0001-01-01T00:00:00Z"), at("9999-12-31T23:59:59.9999999Z"), at("2024-01-01T00:00:00Z"), at("2024-01-01T00:00:00.0000001Z"), at("2024-01-01T00:00:00.1Z"),
		at("2024-01-01T00:00:00.09Z"), at("2023-12-31T23:59:59.9999999Z"), at("1677-09-21T00:12:43Z"), at("1677-09-22T00:12:43Z"), at("2262-04-11T23:47:17Z"), at("1969-12-31T23:59:59.5Z")}},
	{"time", "time(7)", []any{
		timeOfDay("00:00:00"), timeOfDay("23:59:59.9999999"), timeOfDay("09:00:00"), timeOfDay("10:00:00"), timeOfDay("09:00:00.0000001"), timeOfDay("09:00:00.1")}},
	{"datetimeoffset", "datetimeoffset(7)", []any{
		at("2024-01-01T12:00:00Z"), at("2024-01-01T11:00:00-02:00"), at("2024-01-01T13:30:00+02:00"), at("2024-01-01T23:59:59.9999999+14:00"), at("2024-01-01T00:00:00-14:00"),
		at("0001-01-02T00:00:00Z"), at("9999-12-30T23:59:59.9999999Z"), at("2024-01-01T12:00:00.0000001Z"), at("1969-12-31T23:00:00-01:00")}},
	{"same-instant", "datetimeoffset(7)", []any{
		at("2024-01-01T12:00:00Z"), at("2024-01-01T13:00:00+01:00"), at("2024-01-01T10:00:00-02:00"), at("2024-01-01T17:45:00+05:45"), at("2024-01-01T12:00:00.0000001+00:00"), at("2024-01-01T12:59:59.9999999+01:00")}},
}

func (c orderCase) check(t *env) {
	typ := store.MustType(c.typ)
	rows := []store.Row{{int64(0), nil}}
	for i, literal := range c.values {
		rows = append(rows, store.Row{int64(i + 1), normalize(t, typ, literal)})
	}
	tab := t.load(table("ordered", []string{"id"}, notNull("id", "int"), nullable("k", c.typ)), rows...)

	expect(t, t.src, store.Query{Table: tab, Key: []string{"k"}}, rows)
	expect(t, t.src, store.Query{Table: tab, Key: []string{"k", "id"}}, rows)
	expect(t, t.src, store.Query{Table: tab, Columns: []string{"id"}, Key: []string{"k", "id"}}, rows)
	for _, r := range rows {
		expect(t, t.src, store.Query{Table: tab, Key: []string{"k"}, From: store.Row{r[1]}}, rows)
		expect(t, t.src, store.Query{Table: tab, Key: []string{"k"}, Before: store.Row{r[1]}}, rows)
		expect(t, t.src, store.Query{Table: tab, Key: []string{"k", "id"}, From: store.Row{r[1], r[0]}, Limit: 3}, rows)
	}
}

// primaryKeyCases are keys whose values differ by any collation.
var primaryKeyCases = []orderCase{
	{"text", "nvarchar(20)", []any{"b", "A", "C", "é", "f", "Z", "a1", "ø", "10", "9", "_x", "-y", "\uffee", "\U0001f600"}},
	{"guid", "uniqueidentifier", []any{
		"FF000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-FF0000000000", "01000000-0000-0000-FF00-000000000000", "00000000-00FF-0000-0000-000000000002"}},
	{"decimal", "decimal(20,2)", []any{"10", "9.5", "-10", "-9.99", "100"}},
	{"bytes", "varbinary(20)", []any{[]byte{0xff}, []byte{1, 0xff}, []byte{2}, []byte{0x7f}}},
	{"datetimeoffset", "datetimeoffset(0)", []any{at("2024-01-01T12:00:00Z"), at("2024-01-01T11:00:00-02:00"), at("2024-01-01T13:30:00+02:00")}},
}

// primaryKeyOrder: an index in the database's own order must not decide.
func primaryKeyOrder(t *env) {
	for _, c := range primaryKeyCases {
		def := table("pk "+c.name, []string{"k"}, notNull("id", "int"), notNull("k", c.typ))
		var rows []store.Row
		for i, literal := range c.values {
			rows = append(rows, store.Row{int64(i), normalize(t, def.Columns[1].Type, literal)})
		}
		tab := t.load(def, rows...)
		expect(t, t.src, store.Query{Table: tab, Key: tab.Key}, rows)
		for _, r := range rows {
			expect(t, t.src, store.Query{Table: tab, Key: tab.Key, From: store.Row{r[1]}}, rows)
			expect(t, t.src, store.Query{Table: tab, Key: tab.Key, Before: store.Row{r[1]}}, rows)
		}
	}
}

// compositeOrder: the order is that of Key, not of the table's columns, and
// one kind's rule ends where the next column begins.
func compositeOrder(t *env) {
	def := table("composite", []string{"id"},
		notNull("id", "int"), nullable("d", "decimal(9,2)"), nullable("s", "nvarchar(10)"), nullable("b", "varbinary(10)"), nullable("f", "bit"))
	var rows []store.Row
	for _, d := range []driver.Value{[]byte("10.00"), nil, []byte("-2.50"), []byte("9.00")} {
		for _, s := range []driver.Value{"b", nil, "a ", "B", "a", ""} {
			for _, b := range []driver.Value{[]byte{0xff}, []byte{}, nil} {
				rows = append(rows, store.Row{int64(len(rows)), d, s, b, len(rows)%3 == 0})
			}
		}
	}
	tab := t.load(def, rows...)
	for _, key := range [][]string{
		{"s", "d", "b"}, {"b", "s", "d"}, {"d", "s", "b"}, {"f", "d", "s", "b"}, {"s", "f"}, {"f", "id"}, {"b", "f", "s", "id"},
	} {
		expect(t, t.src, store.Query{Table: tab, Key: key}, rows)
		for i := 0; i < len(rows); i += 11 {
			bound := pick(positions(t, tab, key), rows[i])
			expect(t, t.src, store.Query{Table: tab, Key: key, From: bound}, rows)
			expect(t, t.src, store.Query{Table: tab, Key: key, Before: bound}, rows)
		}
	}

	// Rows that differ only in the last column of a long key.
	wide := table("wide key", []string{"k3", "k1", "k2"}, notNull("id", "int"), notNull("k1", "int"), notNull("k2", "int"), notNull("k3", "int"))
	rows = nil
	for i := range 27 {
		rows = append(rows, store.Row{int64(i), int64(i % 3), int64(i / 3 % 3), int64(i / 9)})
	}
	tab = t.load(wide, rows...)
	expect(t, t.src, store.Query{Table: tab, Key: tab.Key}, rows)
	for _, r := range rows {
		expect(t, t.src, store.Query{Table: tab, Key: tab.Key, From: pick(positions(t, tab, tab.Key), r)}, rows)
	}
}
