package storetest

import (
	"bytes"
	"database/sql/driver"
	"iter"
	"math"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
)

// valueContracts: what was written comes back as the same value, of the Go
// type that [store.Kind] documents, whether Insert or Set wrote it.
func valueContracts() []contract {
	var cs []contract
	for _, c := range valueCases() {
		cs = append(cs, contract{c.name, c.check})
	}
	return append(cs,
		contract{"literals", goLiterals},
		contract{"large", largeValues},
		contract{"null-empty-blank", nullEmptyBlank},
		contract{"empty-bytes", emptyBytes},
		contract{"insert-copies", insertCopies})
}

// value is a literal and the value to be read back for it.
type value struct{ in, want any }

// exact are values that come back as they were given.
func exact(vs ...any) []value {
	values := make([]value, len(vs))
	for i, v := range vs {
		values[i] = value{v, v}
	}
	return values
}

// exactDecimals are numbers, which come back in any spelling.
func exactDecimals(texts ...string) []value {
	values := make([]value, len(texts))
	for i, s := range texts {
		values[i] = value{s, []byte(s)}
	}
	return values
}

type valueCase struct {
	name, typ string
	values    []value
	noWhere   bool // the type cannot be compared with =
}

func valueCases() []valueCase {
	text := exact("", " ", "a", "A", "a ", " a", "a  ", "it's", `say "hi"`, `back\slash`, "100%", "_", ":id @p1 $1 ?", "'; drop table v; --",
		"line\nline\r\nline\ttab", "<null>", "NULL", "0", "00", "1e3", "2024-01-01T00:00:00Z", "true")
	unicode := append(text, exact("ø", "é", "e\u0301", "ÆØÅ", "ß", "名前", "😀", "\U00010000\uffff\ue000", "a\u00a0b", "\u200b", "\ufeff", "👩‍👩‍👧", "я")...)
	return []valueCase{
		{name: "bit", typ: "bit", values: exact(true, false)},
		{name: "tinyint", typ: "tinyint", values: exact(int64(0), int64(1), int64(127), int64(128), int64(255))},
		{name: "smallint", typ: "smallint", values: exact(int64(math.MinInt16), int64(-1), int64(0), int64(math.MaxInt16))},
		{name: "int", typ: "int", values: exact(int64(math.MinInt32), int64(-1), int64(0), int64(1), int64(math.MaxInt32))},
		{name: "bigint", typ: "bigint", values: exact(int64(math.MinInt64), int64(math.MinInt64+1), int64(-1), int64(0), int64(1<<53), int64(1<<53+1), int64(math.MaxInt64-1), int64(math.MaxInt64))},
		{name: "float", typ: "float", values: exact(0.0, 1.0, -1.0, 2.0, 0.1, 1.0/3, -1e-300, 2.2250738585072014e-308, math.MaxFloat64, -math.MaxFloat64,
			math.Pi, math.Nextafter(1, 2), float64(1<<53), 9007199254740994.0, 1e15, 1e16, 123456789012345680.0)},
		{name: "real", typ: "real", values: []value{
			{0.1, float64(float32(0.1))}, {float32(0.1), float64(float32(0.1))}, {1.5, 1.5}, {0.0, 0.0}, {-2.0, -2.0}, {math.MaxFloat32, math.MaxFloat32}, {16777217.0, 16777216.0}}},
		{name: "negative-zero", typ: "float", values: exact(math.Copysign(0, -1)), noWhere: true},
		{name: "decimal", typ: "decimal(19,4)", values: append(exactDecimals("0", "12.5", "12.5000", "-12.5", "0.0001", "-0.0001", "999999999999999.9999", "-999999999999999.9999", "100", "0.10"),
			value{"+7.25", []byte("7.25")}, value{"007.250", []byte("7.25")}, value{".5", []byte("0.5")}, value{"-0", []byte("0")})},
		{name: "decimal-38-digits", typ: "decimal(38,0)", values: exactDecimals(strings.Repeat("9", 38), "-"+strings.Repeat("9", 38), "1"+strings.Repeat("0", 37), "9223372036854775808", "-9223372036854775809", "9007199254740993", "1")},
		{name: "decimal-38-scale", typ: "decimal(38,38)", values: exactDecimals("0."+strings.Repeat("9", 38), "-0."+strings.Repeat("9", 38), "0."+strings.Repeat("0", 37)+"1", "0", "0.1")},
		{name: "decimal-middle", typ: "decimal(38,18)", values: exactDecimals("12345678901234567890.123456789012345678", "-0.000000000000000001", "99999999999999999999.999999999999999999", "0.3")},
		{name: "money", typ: "money", values: exactDecimals("922337203685477.5807", "-922337203685477.5808", "0.0001", "0", "12.5")},
		{name: "smallmoney", typ: "smallmoney", values: exactDecimals("214748.3647", "-214748.3648", "0.0001", "0")},
		{name: "nvarchar", typ: "nvarchar(50)", values: unicode},
		{name: "nvarchar-max", typ: "nvarchar(max)", values: unicode},
		{name: "nvarchar-full", typ: "nvarchar(4000)", values: exact(strings.Repeat("å", 4000), strings.Repeat("😀", 2000), strings.Repeat(" ", 4000), strings.Repeat("x", 3999)+" ")},
		{name: "nul-character", typ: "nvarchar(50)", values: exact("a\x00b", "\x00", "a\x00", "\x00a")},
		{name: "varchar", typ: "varchar(50)", values: text},
		{name: "varchar-max", typ: "varchar(max)", values: text},
		{name: "char", typ: "char(3)", values: exact("abc", "ABC", "a'c", "123")},
		{name: "nchar", typ: "nchar(3)", values: exact("abc", "æøå", "😀x", "123")},
		{name: "text", typ: "text", values: text, noWhere: true},
		{name: "ntext", typ: "ntext", values: unicode, noWhere: true},
		{name: "xml", typ: "xml", values: exact("<a>1</a>", `<a b="c">å</a>`), noWhere: true},
		{name: "varbinary", typ: "varbinary(50)", values: exact([]byte{}, []byte{0}, []byte{0, 0}, []byte{1, 0}, []byte{0xff}, []byte{0, 0xff, 0}, []byte("text"), []byte("'"), []byte{0xc3, 0x28}, []byte(" "), []byte("12.50"))},
		{name: "varbinary-max", typ: "varbinary(max)", values: exact([]byte{}, []byte{0}, []byte{0xff, 0xfe}, bytes.Repeat([]byte{0, 1, 0xff}, 5000))},
		{name: "binary", typ: "binary(3)", values: exact([]byte{0, 0, 0}, []byte{1, 2, 3}, []byte{0xff, 0, 0xff}, []byte("abc"))},
		{name: "image", typ: "image", values: exact([]byte{0x89, 'P', 'N', 'G', 0, 0xff}, []byte{}), noWhere: true},
		{name: "date", typ: "date", values: append(exact(at("0001-01-01T00:00:00Z"), at("1752-09-14T00:00:00Z"), at("1969-12-31T00:00:00Z"), at("2024-02-29T00:00:00Z"), at("9999-12-31T00:00:00Z")),
			value{at("2024-02-29T23:59:59.9Z"), at("2024-02-29T00:00:00Z")}, value{at("2024-03-01T00:30:00+01:00"), at("2024-02-29T00:00:00Z")})},
		{name: "smalldatetime", typ: "smalldatetime", values: append(exact(at("1900-01-01T00:00:00Z"), at("1969-12-31T23:59:00Z"), at("2079-06-06T23:59:00Z")),
			value{at("2024-02-29T12:34:29Z"), at("2024-02-29T12:34:00Z")}, value{at("2024-02-29T12:34:30Z"), at("2024-02-29T12:35:00Z")})},
		{name: "datetime", typ: "datetime", values: append(exact(at("1753-01-01T00:00:00Z"), at("1899-12-31T23:59:59.997Z"), at("1900-01-01T00:00:00Z"), at("1969-12-31T23:59:59.003Z"),
			at("2024-02-29T12:34:56.007Z"), at("2024-02-29T12:34:56.01Z"), at("9999-12-31T23:59:59.997Z")),
			value{at("2024-02-29T12:34:56.001Z"), at("2024-02-29T12:34:56Z")}, value{at("2024-02-29T12:34:56.002Z"), at("2024-02-29T12:34:56.003Z")},
			value{at("2024-02-29T12:34:56.005Z"), at("2024-02-29T12:34:56.007Z")}, value{at("2024-02-29T12:34:56.008Z"), at("2024-02-29T12:34:56.007Z")},
			value{at("2024-02-29T23:59:59.9999999Z"), at("2024-03-01T00:00:00Z")}, value{at("2024-02-29T12:34:56.003+02:00"), at("2024-02-29T10:34:56.003Z")})},
		{name: "datetime2", typ: "datetime2(7)", values: append(exact(at("0001-01-01T00:00:00Z"), at("1677-09-21T00:12:43.1Z"), at("1969-12-31T23:59:59.9999999Z"), at("2024-02-29T12:34:56.1234567Z"),
			at("2024-02-29T12:34:56Z"), at("2262-04-12T00:00:00Z"), at("9999-12-31T23:59:59.9999999Z")),
			value{at("2024-02-29T12:34:56.12345674Z"), at("2024-02-29T12:34:56.1234567Z")}, value{at("2024-02-29T12:34:56.12345675Z"), at("2024-02-29T12:34:56.1234568Z")})},
		{name: "datetime2-milliseconds", typ: "datetime2(3)", values: append(exact(at("2024-02-29T12:34:56.123Z")),
			value{at("2024-02-29T12:34:56.1234Z"), at("2024-02-29T12:34:56.123Z")}, value{at("2024-02-29T12:34:56.9995Z"), at("2024-02-29T12:34:57Z")})},
		{name: "datetime2-seconds", typ: "datetime2(0)", values: append(exact(at("2024-02-29T12:34:56Z")), value{at("2024-02-29T12:34:56.5Z"), at("2024-02-29T12:34:57Z")})},
		{name: "time", typ: "time(7)", values: append(exact(timeOfDay("00:00:00"), timeOfDay("12:34:56.1234567"), timeOfDay("23:59:59.9999999")),
			value{at("2024-02-29T12:34:56.7Z"), timeOfDay("12:34:56.7")})},
		{name: "time-seconds", typ: "time(0)", values: append(exact(timeOfDay("00:00:00"), timeOfDay("23:59:59")), value{timeOfDay("12:34:56.5"), timeOfDay("12:34:57")})},
		{name: "datetimeoffset", typ: "datetimeoffset(7)", values: exact(at("2024-02-29T12:34:56.1234567+01:00"), at("2024-02-29T11:34:56.1234567Z"), at("2024-02-29T12:34:56-14:00"),
			at("2024-02-29T12:34:56+14:00"), at("2024-02-29T12:34:56+05:45"), at("1969-12-31T23:00:00-00:30"), at("0001-01-02T00:00:00+01:00"), at("9999-12-30T23:59:59.9999999-01:00"))},
		{name: "datetimeoffset-seconds", typ: "datetimeoffset(0)", values: append(exact(at("2024-02-29T12:34:56+01:00")), value{at("2024-02-29T12:34:56.5+01:00"), at("2024-02-29T12:34:57+01:00")})},
		{name: "uniqueidentifier", typ: "uniqueidentifier", values: append(exact(bytes.Repeat([]byte{0}, 16), bytes.Repeat([]byte{0xff}, 16), []byte("0123456789abcdef")),
			value{"6F9619FF-8B86-D011-B42D-00C04FC964FF", []byte{0xff, 0x19, 0x96, 0x6f, 0x86, 0x8b, 0x11, 0xd0, 0xb4, 0x2d, 0x00, 0xc0, 0x4f, 0xc9, 0x64, 0xff}},
			value{"6f9619ff-8b86-d011-b42d-00c04fc964ff", []byte{0xff, 0x19, 0x96, 0x6f, 0x86, 0x8b, 0x11, 0xd0, 0xb4, 0x2d, 0x00, 0xc0, 0x4f, 0xc9, 0x64, 0xff}})},
	}
}

// rows returns what is given to Insert and what is to be read, a NULL first.
func (c valueCase) rows() (in, want []store.Row) {
	in, want = []store.Row{{int64(0), nil}}, []store.Row{{int64(0), nil}}
	for i, v := range c.values {
		in = append(in, store.Row{int64(i + 1), v.in})
		want = append(want, store.Row{int64(i + 1), v.want})
	}
	return in, want
}

func (c valueCase) table() store.Table {
	return table("v", []string{"id"}, notNull("id", "int"), nullable("v", c.typ))
}

func (c valueCase) check(t *env) {
	in, want := c.rows()
	tab := t.load(c.table(), in...)
	requireRows(t, c.table().Columns, want, t.read(store.Query{Table: tab, Key: []string{"id"}}))

	// The other way round, so that every value replaces another.
	t.update(func(tx store.Tx) error {
		for i := range in {
			n, err := tx.Set(t.Context(), tab, cells(cell("id", i)), cells(cell("v", in[len(in)-1-i][1])))
			if err != nil {
				return err
			}
			require.EqualValues(t, 1, n, "rows of which v was set to %s", showValue(in[len(in)-1-i][1]))
		}
		return nil
	})
	reversed := make([]store.Row, len(want))
	for i := range want {
		reversed[i] = store.Row{int64(i), want[len(want)-1-i][1]}
	}
	requireRows(t, c.table().Columns, reversed, t.read(store.Query{Table: tab, Key: []string{"id"}}))
}

// checkWhere finds rows by each value: those that are equal, and no others.
func (c valueCase) checkWhere(t *env) {
	in, want := c.rows()
	typ := store.MustType(c.typ)
	tab := t.load(c.table(), in...)
	equal := func(v driver.Value) (n int64) {
		for _, r := range want {
			if store.EqualValues(typ, typ, r[1], v) {
				n++
			}
		}
		return n
	}
	t.update(func(tx store.Tx) error {
		for i := range in {
			n, err := tx.Set(t.Context(), tab, cells(cell("v", in[i][1])), cells(cell("v", in[i][1])))
			if err != nil {
				return err
			}
			require.Equal(t, equal(want[i][1]), n, "rows whose v is %s", showValue(want[i][1]))
		}
		return nil
	})
	t.update(func(tx store.Tx) error {
		left := int64(len(want))
		for i := range in {
			n, err := tx.Delete(t.Context(), tab, cells(cell("v", in[i][1])))
			if err != nil {
				return err
			}
			before := count(t, tx, tab)
			require.Equal(t, left-n, before, "rows after deleting where v is %s", showValue(want[i][1]))
			left = before
		}
		require.Zero(t, left, "rows after deleting every value")
		return nil
	})
}

type namedInt int16

// goLiterals: whatever Normalize accepts may be written.
func goLiterals(t *env) {
	def := table("literals", []string{"id"}, notNull("id", "int"),
		nullable("n", "bigint"), nullable("f", "float"), nullable("d", "decimal(9,2)"), nullable("b", "bit"), nullable("g", "uniqueidentifier"), nullable("w", "datetime"))
	guid := "00112233-4455-6677-8899-AABBCCDDEEFF"
	layout := []byte{0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff}
	local := time.Date(2024, 2, 29, 12, 0, 0, 1_500_000, time.FixedZone("", 3600))
	tab := t.load(def,
		store.Row{1, 7, 7, 7, true, guid, local},
		store.Row{uint8(2), uint32(7), float32(7), "7.00", 1, layout, local},
		store.Row{namedInt(3), namedInt(7), int8(7), []byte("7"), false, guid, local},
		store.Row{int64(4), int32(7), 7.0, int64(7), 0, guid, local})
	rest := func(id int64, b bool) store.Row {
		return store.Row{id, int64(7), 7.0, []byte("7"), b, layout, at("2024-02-29T11:00:00Z")}
	}
	want := []store.Row{rest(1, true), rest(2, true), rest(3, false), rest(4, false)}
	q := store.Query{Table: tab, Key: []string{"id"}}
	// 1.5 ms is nearer to 0 than to 3.3 ms.
	requireRows(t, def.Columns, want, t.read(q))

	t.update(func(tx store.Tx) error {
		n, err := tx.Set(t.Context(), tab,
			cells(cell("id", uint16(4)), cell("n", 7), cell("d", "7.0"), cell("b", 0), cell("g", guid), cell("w", local)),
			cells(cell("n", uint8(8)), cell("f", float32(0.5)), cell("d", 8), cell("b", 1)))
		require.EqualValues(t, 1, n, "rows that Set found by literals")
		return err
	})
	want[3] = store.Row{int64(4), int64(8), 0.5, []byte("8"), true, layout, at("2024-02-29T11:00:00Z")}
	requireRows(t, def.Columns, want, t.read(q))
}

const mebibyte = 1 << 20

func largeValues(t *env) {
	def := table("large", []string{"id"}, notNull("id", "int"), nullable("s", "nvarchar(max)"), nullable("b", "varbinary(max)"))
	blob := make([]byte, mebibyte)
	for i := range blob {
		blob[i] = byte(i * 7 >> 3)
	}
	rows := []store.Row{
		{int64(1), strings.Repeat("abcdefg ", mebibyte/8), blob},
		{int64(2), strings.Repeat("😀å ", mebibyte/8), blob[:mebibyte-1]},
		{int64(3), "short", []byte{1}},
	}
	tab := t.load(def, rows...)
	requireRows(t, def.Columns, rows, t.read(store.Query{Table: tab, Key: []string{"id"}}))
}

// nullEmptyBlank: three values that databases have confused, in every kind of
// column where they are possible.
func nullEmptyBlank(t *env) {
	def := table("blanks", []string{"id"}, notNull("id", "int"),
		nullable("n", "nvarchar(10)"), nullable("m", "nvarchar(max)"), nullable("v", "varchar(10)"), nullable("b", "varbinary(10)"), nullable("x", "varbinary(max)"))
	rows := []store.Row{
		{int64(1), nil, nil, nil, nil, nil},
		{int64(2), "", "", "", []byte{}, []byte{}},
		{int64(3), " ", " ", " ", []byte{' '}, []byte{' '}},
		{int64(4), "  ", "  ", "  ", []byte{0}, []byte{0}},
	}
	tab := t.load(def, rows...)
	requireRows(t, def.Columns, rows, t.read(store.Query{Table: tab, Key: []string{"id"}}))
	for i, c := range def.Columns[1:] {
		for _, r := range rows {
			t.update(func(tx store.Tx) error {
				n, err := tx.Set(t.Context(), tab, cells(cell(c.Name, r[i+1])), cells(cell(c.Name, r[i+1])))
				require.EqualValues(t, 1, n, "rows whose %q (%s) is %s", c.Name, c.Type, showValue(r[i+1]))
				return err
			})
		}
	}
}

// emptyBytes: no bytes are a value and not a nil slice, which is NULL to whoever
// writes it back, wherever they are read.
func emptyBytes(t *env) {
	def := table("empties", []string{"id"}, notNull("id", "int"), nullable("v", "varbinary(10)"), nullable("s", "varbinary(max)"))
	row := store.Row{int64(1), []byte{}, []byte{}}
	tab := t.load(def, row)
	var read store.Row
	check := func(what string, batches iter.Seq2[[]store.Row, error]) {
		t.Helper()
		n := 0
		for batch, err := range batches {
			require.NoError(t, err, what)
			for _, r := range batch {
				n++
				for i, v := range r[1:] {
					b, ok := v.([]byte)
					require.True(t, ok && b != nil && len(b) == 0, "%s: column %q is %#v", what, def.Columns[i+1].Name, v)
				}
				read = append(store.Row(nil), r...)
			}
		}
		require.Equal(t, 1, n, what)
	}
	for _, q := range []store.Query{{Table: tab}, {Table: tab, Verbatim: true}} {
		check("Source.Rows", t.src.Rows(t.Context(), q))
		t.update(func(tx store.Tx) error {
			check("Tx.Rows", tx.Rows(t.Context(), q))
			for _, cells := range [][]store.Cell{cells(cell("v", read[1])), cells(cell("s", read[2]))} {
				n, err := tx.Delete(t.Context(), tab, cells)
				if err != nil {
					return err
				}
				require.EqualValues(t, 1, n, "rows whose %q is empty", cells[0].Column)
				if err := tx.Insert(t.Context(), tab, tab.ColumnNames(), []store.Row{read}); err != nil {
					return err
				}
			}
			check("Tx.Rows of what was read and inserted", tx.Rows(t.Context(), q))
			return nil
		})
	}
}

// insertCopies: what the caller does with a row after Insert is of no effect.
func insertCopies(t *env) {
	def := table("copies", []string{"id"}, notNull("id", "int"), notNull("s", "nvarchar(10)"), notNull("b", "varbinary(10)"), notNull("d", "decimal(9,2)"))
	tab := t.load(def)
	b, d := []byte("bytes"), []byte("12.50")
	rows := []store.Row{{1, "text", b, d}}
	t.update(func(tx store.Tx) error {
		if err := tx.Insert(t.Context(), tab, def.ColumnNames(), rows); err != nil {
			return err
		}
		rows[0][1], b[0], d[0] = "spoiled", 'X', '9'
		return nil
	})
	b[1], d[1] = 'X', '9'
	requireRows(t, def.Columns, []store.Row{{int64(1), "text", []byte("bytes"), []byte("12.50")}}, t.read(store.Query{Table: tab}))
}
