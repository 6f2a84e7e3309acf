package store_test

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/internal/mirrortest"
	"github.com/so-mirror/mirror/store"
)

var typeCases = []struct {
	text, want string
	kind       store.Kind
}{
	{"bit", "bit", store.KindBool},
	{"tinyint", "tinyint", store.KindInt},
	{"smallint", "smallint", store.KindInt},
	{"INT", "int", store.KindInt},
	{"integer", "int", store.KindInt},
	{"bigint", "bigint", store.KindInt},
	{"real", "real", store.KindFloat},
	{"float", "float", store.KindFloat},
	{"float(1)", "real", store.KindFloat},
	{"float(24)", "real", store.KindFloat},
	{"float(25)", "float", store.KindFloat},
	{"float(53)", "float", store.KindFloat},
	{"Double \t Precision", "float", store.KindFloat},
	{"decimal", "decimal(18,0)", store.KindDecimal},
	{"decimal(5)", "decimal(5,0)", store.KindDecimal},
	{"decimal( 19 , 4 )", "decimal(19,4)", store.KindDecimal},
	{"numeric(38,38)", "decimal(38,38)", store.KindDecimal},
	{"dec(4,2)", "decimal(4,2)", store.KindDecimal},
	{"money", "money", store.KindDecimal},
	{"smallmoney", "smallmoney", store.KindDecimal},
	{"char", "char(1)", store.KindString},
	{"character(3)", "char(3)", store.KindString},
	{"varchar(8000)", "varchar(8000)", store.KindString},
	{"varchar(max)", "varchar(max)", store.KindString},
	{"text", "text", store.KindString},
	{"nchar(12)", "nchar(12)", store.KindString},
	{"nvarchar", "nvarchar(1)", store.KindString},
	{" nvarchar ( 219 ) ", "nvarchar(219)", store.KindString},
	{"NVARCHAR(MAX)", "nvarchar(max)", store.KindString},
	{"sysname", "nvarchar(128)", store.KindString},
	{"ntext", "ntext", store.KindString},
	{"xml", "xml", store.KindString},
	{"binary", "binary(1)", store.KindBytes},
	{"binary(16)", "binary(16)", store.KindBytes},
	{"varbinary(max)", "varbinary(max)", store.KindBytes},
	{"image", "image", store.KindBytes},
	{"date", "date", store.KindTime},
	{"smalldatetime", "smalldatetime", store.KindTime},
	{"datetime", "datetime", store.KindTime},
	{"datetime2", "datetime2(7)", store.KindTime},
	{"datetime2(0)", "datetime2(0)", store.KindTime},
	{"time", "time(7)", store.KindTimeOfDay},
	{"time(3)", "time(3)", store.KindTimeOfDay},
	{"datetimeoffset", "datetimeoffset(7)", store.KindTimeOffset},
	{"datetimeoffset(2)", "datetimeoffset(2)", store.KindTimeOffset},
	{"uniqueidentifier", "uniqueidentifier", store.KindGUID},
	{"timestamp", "rowversion", store.KindOther},
	{"sql_variant", "sql_variant", store.KindOther},
	{"geography", "geography", store.KindOther},
	{"hierarchyid", "hierarchyid", store.KindOther},
}

var notTypes = []struct{ text, reason string }{
	{"", "not a SQL Server type"},
	{"foo", "not a SQL Server type"},
	{"sysname(5)", "not a SQL Server type"},
	{"int; drop table contact", "not a SQL Server type"},
	{"int(4)", "no size"},
	{"text(5)", "no size"},
	{"geography(1)", "no size"},
	{"nvarchar(", "')' is missing"},
	{"nvarchar(10", "')' is missing"},
	{"nvarchar(10) null", "')' is missing"},
	{"nvarchar()", "not a number"},
	{"nvarchar(-1)", "not a number"},
	{"nvarchar(8001)", "not a number"},
	{"nvarchar(99999999999999999999)", "not a number"},
	{"nvarchar(0)", "length of 0"},
	{"nvarchar(1,2)", "one number"},
	{"char(max)", "not a number"},
	{"decimal(max)", "not a number"},
	{"decimal(0)", "precision of 1 to 38"},
	{"decimal(39)", "precision of 1 to 38"},
	{"decimal(5,6)", "scale within it"},
	{"decimal(5,2,1)", "precision of 1 to 38"},
	{"datetime2(8)", "at most 7"},
	{"float(0)", "1 to 53 bits"},
	{"float(54)", "1 to 53 bits"},
}

func TestParseType(t *testing.T) {
	for _, c := range typeCases {
		t.Run(c.text, func(t *testing.T) {
			typ, err := store.ParseType(c.text)
			require.NoError(t, err)
			require.Equal(t, c.want, typ.String())
			require.Equal(t, c.kind, typ.Kind())
			again, err := store.ParseType(typ.String())
			require.NoError(t, err)
			require.Equal(t, typ, again)
		})
	}
	for _, c := range notTypes {
		t.Run("refused: "+c.text, func(t *testing.T) {
			_, err := store.ParseType(c.text)
			require.ErrorContains(t, err, c.reason)
			require.ErrorContains(t, err, fmt.Sprintf("%q", c.text))
			require.Panics(t, func() { store.MustType(c.text) })
		})
	}

	t.Run("text that is no type survives as one of KindOther", func(t *testing.T) {
		var typ store.Type
		require.NoError(t, json.Unmarshal([]byte(`"dbo.phone_number"`), &typ))
		require.Equal(t, store.Type{Name: "dbo.phone_number"}, typ)
		require.Equal(t, store.KindOther, typ.Kind())
		text, err := json.Marshal(typ)
		require.NoError(t, err)
		require.Equal(t, `"dbo.phone_number"`, string(text))
	})
}

func FuzzParseType(f *testing.F) {
	for _, c := range typeCases {
		f.Add(c.text)
	}
	for _, c := range notTypes {
		f.Add(c.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		typ, err := store.ParseType(text)
		if err != nil {
			return
		}
		again, err := store.ParseType(typ.String())
		require.NoError(t, err, "%q became %q", text, typ)
		require.Equal(t, typ, again)
	})
}

func TestFoldName(t *testing.T) {
	for _, c := range []struct {
		name, a, b string
		same       bool
	}{
		{"case", "Contact", "cONTACT", true},
		{"trailing blanks", "contact", "contact  ", true},
		{"leading blanks count", "contact", " contact", false},
		{"inner blanks count", "con tact", "contact", false},
		{"a trailing tab is no blank", "contact", "contact\t", false},
		{"nor is a no-break space", "contact", "contact\u00a0", false},
		{"Nordic", "ÆØÅÄÖÞÐ", "æøåäöþð", true},
		{"Nordic letters are no accents", "ø", "o", false},
		{"accents count", "café", "cafe", false},
		{"accents of either case", "CAFÉ", "café", true},
		{"composed and decomposed are two spellings", "\u00e9", "e\u0301", false},
		{"Kelvin sign", "\u212aunde", "kunde", true},
		{"Angstrom sign", "\u212bngström", "ångström", true},
		{"long s", "per\u017fon", "person", true},
		{"three sigmas", "Σσ", "ςΣ", true},
		{"capital sharp s", "STRA\u1e9eE", "straße", true},
		{"sharp s is no pair", "ß", "ss", false},
		{"ligature", "\ufb01le", "file", false},
		{"dotted capital I has an accent", "\u0130D", "id", false},
		{"dotless i is another letter", "\u0131d", "id", false},
		{"dotted and dotless", "\u0130", "\u0131", false},
		{"beyond 16 bits", "\U00010400", "\U00010428", true},
		{"digits and signs", "c_1-[x]", "C_1-[X]", true},
		{"empty and blank", "", " ", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, c.same, store.FoldName(c.a) == store.FoldName(c.b), "%q and %q", store.FoldName(c.a), store.FoldName(c.b))
		})
	}

	t.Run("every rune folds as its case variants do, and once", func(t *testing.T) {
		for r := rune(0); r <= unicode.MaxRune; r++ {
			if !utf8.ValidRune(r) {
				continue
			}
			folded := store.FoldName(string(r))
			if store.FoldName(folded) != folded || store.FoldName(string(unicode.SimpleFold(r))) != folded ||
				!strings.EqualFold(folded, strings.TrimRight(string(r), " ")) {
				require.Fail(t, fmt.Sprintf("%U folds to %q", r, folded))
			}
		}
	})
}

// key returns the one column by which a test orders values.
func key(typ string) []store.Column {
	return []store.Column{{Name: "k", Type: store.MustType(typ), Nullable: true}}
}

func order(typ string, a, b driver.Value) int {
	return store.CompareKeys(key(typ), store.Row{a}, store.Row{b})
}

// guid is the 16 bytes of a GUID's text.
func guid(t testing.TB, text string) []byte {
	t.Helper()
	v, err := store.Normalize(store.MustType("uniqueidentifier"), text)
	require.NoError(t, err)
	return v.([]byte)
}

func decimal(s string) []byte { return []byte(s) }

var (
	noon = time.Date(2026, 2, 3, 12, 0, 0, 0, time.UTC)
	oslo = time.FixedZone("", 3600)
)

func TestCompareKeys(t *testing.T) {
	for _, c := range []struct {
		name, typ string
		ascending []driver.Value
	}{
		{"NULL comes first, false before true", "bit", []driver.Value{nil, false, true}},
		{"integers by value", "bigint", []driver.Value{nil, int64(math.MinInt64), int64(-1), int64(0), int64(9), int64(10), int64(math.MaxInt64)}},
		{"floats by value", "float", []driver.Value{nil, -math.MaxFloat64, -1.5, -math.SmallestNonzeroFloat64, 0.0, math.SmallestNonzeroFloat64, 1e300}},
		{"decimals by value: text order is wrong", "decimal(38,10)", []driver.Value{nil, decimal("-10.5"), decimal("-9"), decimal("-0.01"),
			decimal("0"), decimal("0.001"), decimal("0.01"), decimal("1"), decimal("1.05"), decimal("1.5"), decimal("9.99"), decimal("10"), decimal("10.0000000001")}},
		{"decimals beyond 64 bits", "decimal(38,0)", []driver.Value{decimal("-99999999999999999999999999999999999999"),
			decimal("99999999999999999999999999999999999998"), decimal("99999999999999999999999999999999999999")}},
		{"text by code point, whatever a collation does", "nvarchar(20)", []driver.Value{nil, "", " ", "A", "B", "Z", "a", "a ", "aa", "b", "z", "Å", "ß", "å"}},
		{"U+FFFD before a surrogate pair: UTF-16 order is the other way", "nvarchar(20)", []driver.Value{"\uffef", "\ufffd", "\U00010000", "\U0001f600"}},
		{"NUL is a character", "nvarchar(20)", []driver.Value{"a", "a\x00", "a\x01", "aa"}},
		{"bytes by value, a prefix first", "varbinary(8)", []driver.Value{nil, []byte{}, []byte{0}, []byte{0, 0}, []byte{0, 1}, []byte{1}, []byte{0x7f}, []byte{0x80}, []byte{0xff}}},
		{"times by instant", "datetime2(7)", []driver.Value{nil, time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC), noon.Add(-100), noon, noon.Add(100),
			time.Date(9999, 12, 31, 23, 59, 59, 999999900, time.UTC)}},
		{"offsets do not count for the order", "datetimeoffset(7)", []driver.Value{noon.Add(-time.Minute).In(oslo), noon, noon.Add(time.Minute).In(oslo)}},
		{"GUIDs: the last six bytes first, then the rest backwards by group", "uniqueidentifier", []driver.Value{nil,
			guid(t, "00000000-0000-0000-0000-000000000000"),
			guid(t, "FF000000-0000-0000-0000-000000000000"),
			guid(t, "00FF0000-0000-0000-0000-000000000000"),
			guid(t, "0000FF00-0000-0000-0000-000000000000"),
			guid(t, "000000FF-0000-0000-0000-000000000000"),
			guid(t, "00000000-FF00-0000-0000-000000000000"),
			guid(t, "00000000-00FF-0000-0000-000000000000"),
			guid(t, "00000000-0000-FF00-0000-000000000000"),
			guid(t, "00000000-0000-00FF-0000-000000000000"),
			guid(t, "00000000-0000-0000-00FF-000000000000"),
			guid(t, "00000000-0000-0000-FF00-000000000000"),
			guid(t, "00000000-0000-0000-0000-0000000000FF"),
			guid(t, "00000000-0000-0000-0000-00000000FF00"),
			guid(t, "00000000-0000-0000-0000-000000FF0000"),
			guid(t, "00000000-0000-0000-0000-0000FF000000"),
			guid(t, "00000000-0000-0000-0000-00FF00000000"),
			guid(t, "00000000-0000-0000-0000-FF0000000000")}},
		{"values of the wrong Go type still have an order", "int",
			[]driver.Value{nil, -0.5, false, true, 1.5, int64(5), 5.5, int64(math.MaxInt64 - 1), int64(math.MaxInt64), 1e300, noon, "", "5", []byte("5")}},
		{"integers and floats of more than 53 bits", "float", []driver.Value{-1e19, int64(math.MinInt64), int64(-1<<53 - 1), -float64(1 << 53),
			float64(1 << 53), int64(1<<53 + 1), float64(1<<53 + 2), int64(math.MaxInt64), float64(1 << 63)}},
		{"what is no number in a decimal column", "decimal(9,2)", []driver.Value{nil, math.Inf(-1), math.Inf(1), "1.5", "x", []byte("-1"), []byte("0"),
			[]byte("9999999"), []byte("\x00"), []byte("\x001"), []byte("\x002")}},
		{"what is no GUID", "uniqueidentifier", []driver.Value{int64(1), "", make([]byte, 16), append(make([]byte, 15), 1), []byte{}, make([]byte, 15), make([]byte, 17)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for i, a := range c.ascending {
				for j, b := range c.ascending {
					want := 0
					if i < j {
						want = -1
					} else if i > j {
						want = 1
					}
					require.Equal(t, want, order(c.typ, a, b), "%v and %v", a, b)
				}
			}
		})
	}

	t.Run("same place", func(t *testing.T) {
		for name, c := range map[string]struct {
			typ  string
			a, b driver.Value
		}{
			"zeros of either sign":       {"float", 0.0, math.Copysign(0, -1)},
			"decimals of two scales":     {"decimal(9,4)", decimal("1.5"), decimal("1.5000")},
			"decimals with leading zero": {"decimal(9,4)", decimal("007.5"), decimal("+7.5")},
			"decimal zeros":              {"decimal(9,4)", decimal("-0.00"), decimal("0")},
			"two offsets":                {"datetimeoffset(0)", noon, noon.In(oslo)},
		} {
			require.Zero(t, order(c.typ, c.a, c.b), name)
			require.Zero(t, order(c.typ, c.b, c.a), name)
		}
	})

	t.Run("composite keys by the columns of the key, most significant first", func(t *testing.T) {
		cols := []store.Column{key("nvarchar(9)")[0], key("int")[0]}
		require.Equal(t, -1, store.CompareKeys(cols, store.Row{"a", int64(9)}, store.Row{"b", int64(1)}))
		require.Equal(t, 1, store.CompareKeys(cols, store.Row{"a", int64(9)}, store.Row{"a", int64(1)}))
		require.Equal(t, -1, store.CompareKeys(cols, store.Row{"a", nil}, store.Row{"a", int64(1)}))
		require.Equal(t, 0, store.CompareKeys(cols, store.Row{"a", int64(1), "x"}, store.Row{"a", int64(1), "y"}), "values behind the key do not count")
		require.Equal(t, 0, store.CompareKeys(nil, store.Row{"a"}, store.Row{"b"}), "no key, no order")
	})
}

func TestEqualValues(t *testing.T) {
	at := func(d time.Duration) time.Time { return noon.Add(d) }
	for _, c := range []struct {
		name   string
		ta, tb string
		a, b   driver.Value
		want   bool
	}{
		{"NULL is NULL", "int", "int", nil, nil, true},
		{"NULL is not 0", "int", "int", nil, int64(0), false},
		{"NULL is not an empty text", "nvarchar(9)", "nvarchar(9)", nil, "", false},
		{"NULL is not empty bytes", "varbinary(9)", "varbinary(9)", nil, []byte{}, false},
		{"NULL decimals", "decimal", "decimal", nil, nil, true},
		{"NULL is not a decimal 0", "decimal", "decimal", nil, decimal("0"), false},
		{"NULL times of two types", "datetime", "datetime2", nil, nil, true},
		{"NULL is not a time", "datetime", "datetime2", noon, nil, false},
		{"NULL offsets", "datetimeoffset", "datetimeoffset", nil, nil, true},
		{"NULL is not a time with an offset", "datetimeoffset", "datetimeoffset", nil, noon, false},
		{"int and bigint", "int", "bigint", int64(7), int64(7), true},
		{"case counts", "nvarchar(9)", "nvarchar(9)", "a", "A", false},
		{"trailing blanks count", "char(9)", "char(9)", "a", "a ", false},
		{"lengths of types do not", "nvarchar(9)", "nvarchar(max)", "a", "a", true},
		{"composed and decomposed", "nvarchar(9)", "nvarchar(9)", "\u00e9", "e\u0301", false},
		{"zeros of either sign", "float", "float", 0.0, math.Copysign(0, -1), false},
		{"the next float", "float", "float", 0.1, math.Nextafter(0.1, 1), false},
		{"NaN is the same 64 bits", "float", "float", math.NaN(), math.NaN(), true},
		{"decimals of two scales", "decimal(9,1)", "decimal(9,4)", decimal("1.5"), decimal("1.5000"), true},
		{"decimals of two lengths", "decimal(9,1)", "decimal(9,1)", decimal("0012.5"), decimal("12.50"), true},
		{"decimals with a point behind", "decimal(9,1)", "decimal(9,1)", decimal("12."), decimal("12"), true},
		{"decimals with a point before", "decimal(9,1)", "decimal(9,1)", decimal(".5"), decimal("0.5"), true},
		{"decimals of two signs", "decimal(9,1)", "decimal(9,1)", decimal("-1.5"), decimal("1.5"), false},
		{"decimal zeros have no sign", "decimal(9,1)", "decimal(9,1)", decimal("-0.0"), decimal("0"), true},
		{"decimals that a float64 cannot tell apart", "decimal(38,0)", "decimal(38,0)", decimal("9007199254740993"), decimal("9007199254740992"), false},
		{"money and decimal", "money", "decimal(19,4)", decimal("1.5000"), decimal("1.5"), true},
		{"bytes", "varbinary(9)", "varbinary(9)", []byte{1, 2}, []byte{1, 2}, true},
		{"a zero byte counts", "varbinary(9)", "varbinary(9)", []byte{1}, []byte{1, 0}, false},
		{"datetime and its datetime2", "datetime", "datetime2", at(7 * time.Millisecond), at(6_666_700), true},
		{"datetime2 that rounds down to it", "datetime", "datetime2", at(7 * time.Millisecond), at(8_333_300), true},
		{"datetime2 that rounds up past it", "datetime", "datetime2", at(7 * time.Millisecond), at(8_333_400), false},
		{"the coarser type is on the other side", "datetime2", "datetime", at(6_666_700), at(7 * time.Millisecond), true},
		{"two datetimes are not rounded", "datetime", "datetime", at(7 * time.Millisecond), at(6_666_700), false},
		{"datetime2 of two scales", "datetime2(0)", "datetime2(7)", noon, at(499_999_900), true},
		{"datetime2 of two scales, half a second", "datetime2(0)", "datetime2(7)", noon, at(500_000_000), false},
		{"100 ns are a step of datetime2", "datetime2", "datetime2", noon, at(100), false},
		{"smalldatetime and datetime", "smalldatetime", "datetime", noon, at(29 * time.Second), true},
		{"smalldatetime and the next minute", "smalldatetime", "datetime", noon, at(31 * time.Second), false},
		{"date cuts the time off", "date", "datetime2", noon.Truncate(24 * time.Hour), at(11 * time.Hour), true},
		{"time of two scales", "time(0)", "time(7)", noon, at(499_999_900), true},
		{"time of two scales, half a second", "time(0)", "time(7)", noon, at(500_000_000), false},
		{"datetimeoffset of two scales", "datetimeoffset(0)", "datetimeoffset(7)", noon, at(499_999_900), true},
		{"datetimeoffset of two scales and two offsets", "datetimeoffset(0)", "datetimeoffset(7)", noon, at(499_999_900).In(oslo), false},
		{"one instant, one offset", "datetimeoffset", "datetimeoffset", noon.In(oslo), noon.In(time.FixedZone("other name", 3600)), true},
		{"one instant, two offsets", "datetimeoffset", "datetimeoffset", noon, noon.In(oslo), false},
		{"one wall clock, two offsets", "datetimeoffset", "datetimeoffset", noon, noon.In(oslo).Add(-time.Hour), false},
		{"GUIDs", "uniqueidentifier", "uniqueidentifier", guid(t, "6F9619FF-8B86-D011-B42D-00C04FC964FF"), guid(t, "6f9619ff-8b86-d011-b42d-00c04fc964ff"), true},
		{"values of two Go types", "int", "int", int64(1), "1", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			ta, tb := store.MustType(c.ta), store.MustType(c.tb)
			require.Equal(t, c.want, store.EqualValues(ta, tb, c.a, c.b))
			require.Equal(t, c.want, store.EqualValues(tb, ta, c.b, c.a), "the other way round")
		})
	}
}

func TestNormalize(t *testing.T) {
	type text string
	for _, c := range []struct {
		name, typ string
		in        any
		want      driver.Value
	}{
		{"nil is NULL", "int", nil, nil},
		{"bool", "bit", true, true},
		{"bool as a number", "bit", 0, false},
		{"int", "int", 5, int64(5)},
		{"int32", "int", int32(math.MinInt32), int64(math.MinInt32)},
		{"uint8", "tinyint", uint8(255), int64(255)},
		{"LSN", "bigint", store.ResendAll, int64(-1)},
		{"greatest bigint", "bigint", uint64(math.MaxInt64), int64(math.MaxInt64)},
		{"float32", "float", float32(0.5), 0.5},
		{"an integer as a float", "float", 3, 3.0},
		{"an unsigned integer as a float", "float", uint16(3), 3.0},
		{"real has 24 bits", "real", 0.1, float64(float32(0.1))},
		{"decimal without zeros before it", "decimal(5,2)", "-012.50", decimal("-12.50")},
		{"decimal with a digit before the point", "decimal(5,2)", "+.5", decimal("0.5")},
		{"a decimal 0 has no sign", "decimal(5,2)", "-0.0", decimal("0.0")},
		{"decimal zeros behind its scale do not count", "decimal(3,1)", "1.5000", decimal("1.5000")},
		{"decimal from bytes", "decimal(5,2)", []byte("1"), decimal("1")},
		{"decimal from an integer", "decimal(5,2)", -7, decimal("-7")},
		{"decimal from an unsigned integer", "decimal(20,0)", uint64(math.MaxUint64), decimal("18446744073709551615")},
		{"greatest money", "money", "922337203685477.5807", decimal("922337203685477.5807")},
		{"least smallmoney", "smallmoney", "-214748.3648", decimal("-214748.3648")},
		{"string", "nvarchar(3)", "æøå", "æøå"},
		{"a string of just its length", "nvarchar(2)", "\U0001f600", "\U0001f600"},
		{"max has no length to break", "nvarchar(max)", strings.Repeat("x", 9000), strings.Repeat("x", 9000)},
		{"bytes", "varbinary(2)", []byte{0, 1}, []byte{0, 1}},
		{"no bytes are not NULL", "varbinary(2)", []byte{}, []byte{}},
		{"nil bytes are NULL, as database/sql has it", "varbinary(2)", []byte(nil), nil},
		{"date cuts the time off", "date", noon, noon.Truncate(24 * time.Hour)},
		{"datetime in steps of 1/300 s", "datetime", noon.Add(5 * time.Millisecond), noon.Add(7 * time.Millisecond)},
		{"datetime rounds up into the next second", "datetime", noon.Add(999 * time.Millisecond), noon.Add(time.Second)},
		{"datetime2(3)", "datetime2(3)", noon.Add(1_500_000), noon.Add(2 * time.Millisecond)},
		{"smalldatetime", "smalldatetime", noon.Add(31 * time.Second), noon.Add(time.Minute)},
		{"times are UTC", "datetime2(0)", noon.In(oslo), noon},
		{"time of day has no date", "time(0)", noon.Add(400 * time.Millisecond), time.Date(1, 1, 1, 12, 0, 0, 0, time.UTC)},
		{"time of day rounds up to midnight", "time(0)", noon.Add(12*time.Hour - 1), time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)},
		{"an offset stays", "datetimeoffset(0)", noon.In(oslo), noon.In(oslo)},
		{"first datetime", "datetime", time.Date(1753, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(1753, 1, 1, 0, 0, 0, 0, time.UTC)},
		{"last smalldatetime", "smalldatetime", time.Date(2079, 6, 6, 23, 59, 0, 0, time.UTC), time.Date(2079, 6, 6, 23, 59, 0, 0, time.UTC)},
		{"GUID: three groups are little-endian", "uniqueidentifier", "00112233-4455-6677-8899-aAbBcCdDeEfF",
			[]byte{0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff}},
		{"GUID as 16 bytes", "uniqueidentifier", make([]byte, 16), make([]byte, 16)},
		{"other types take what a driver takes", "sql_variant", int64(5), int64(5)},
	} {
		t.Run(c.name, func(t *testing.T) {
			typ := store.MustType(c.typ)
			got, err := store.Normalize(typ, c.in)
			require.NoError(t, err)
			require.IsType(t, c.want, got)
			require.True(t, store.EqualValues(typ, typ, c.want, got), "%v", got)
			switch want := c.want.(type) {
			case []byte:
				require.Equal(t, want, got)
			case time.Time:
				require.Equal(t, want.Format(time.RFC3339Nano), got.(time.Time).Format(time.RFC3339Nano))
			}
			again, err := store.Normalize(typ, got)
			require.NoError(t, err)
			require.True(t, store.EqualValues(typ, typ, got, again), "what is normal stays as it is: %v", again)
		})
	}
	for _, c := range []struct {
		name, typ string
		in        any
		reason    string
	}{
		{"bit 2", "bit", 2, "want a bool"},
		{"text as bit", "bit", "true", "want a bool"},
		{"text as a number", "int", "5", "want an integer"},
		{"float as a number", "int", 5.0, "want an integer"},
		{"past int", "int", int64(math.MaxInt32) + 1, "from -2147483648 to 2147483647"},
		{"tinyint has no sign", "tinyint", -1, "from 0 to 255"},
		{"past smallint", "smallint", 32768, "from -32768 to 32767"},
		{"past bigint", "bigint", uint64(math.MaxInt64) + 1, "want an integer"},
		{"NaN", "float", math.NaN(), "no NaN"},
		{"infinity", "float", math.Inf(-1), "no infinity"},
		{"past real", "real", 1e300, "no infinity"},
		{"text as float", "float", "1", "want a float"},
		{"decimal with too many digits", "decimal(5,2)", "1234", "at most 5 digits, 2 of them"},
		{"decimal with too many digits behind the point", "decimal(5,2)", "1.234", "at most 5 digits, 2 of them"},
		{"float as decimal", "decimal(5,2)", 1.5, "want text"},
		{"no digits", "decimal(5,2)", "-", "want a decimal number"},
		{"only a point", "decimal(5,2)", ".", "want a decimal number"},
		{"two points", "decimal(5,2)", "1.2.3", "want a decimal number"},
		{"two signs", "decimal(5,2)", "--1", "want a decimal number"},
		{"an exponent", "decimal(5,2)", "1e2", "want a decimal number"},
		{"SQL", "decimal(5,2)", "1; drop table contact", "want a decimal number"},
		{"past money", "money", "922337203685477.5808", "money"},
		{"past smallmoney", "smallmoney", "-214748.3649", "smallmoney"},
		{"number as text", "nvarchar(9)", 5, "want a string"},
		{"a named string type", "nvarchar(9)", text("a"), "want a string"},
		{"no UTF-8", "nvarchar(9)", "\xff", "want valid UTF-8"},
		{"text too long", "nvarchar(2)", "abc", "at most 2 characters"},
		{"surrogate pairs are two", "nvarchar(1)", "\U0001f600", "at most 1 characters"},
		{"text as bytes", "varbinary(9)", "a", "want a []byte"},
		{"bytes too long", "varbinary(1)", []byte{1, 2}, "at most 1 bytes"},
		{"text as a time", "datetime", "2026-02-03", "want a time.Time"},
		{"before datetime", "datetime", time.Date(1752, 12, 31, 0, 0, 0, 0, time.UTC), "1753"},
		{"before smalldatetime", "smalldatetime", time.Date(1899, 12, 31, 0, 0, 0, 0, time.UTC), "1900"},
		{"behind smalldatetime", "smalldatetime", time.Date(2079, 6, 7, 0, 0, 0, 0, time.UTC), "2079"},
		{"before year 1", "datetime2", time.Date(0, 12, 31, 0, 0, 0, 0, time.UTC), "year from 1"},
		{"behind year 9999", "datetime2", time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), "to 9999"},
		{"rounded past year 9999", "datetime2(0)", time.Date(9999, 12, 31, 23, 59, 59, 6e8, time.UTC), "to 9999"},
		{"an offset of 15 hours", "datetimeoffset", noon.In(time.FixedZone("", 15*3600)), "offset"},
		{"an offset with seconds", "datetimeoffset", noon.In(time.FixedZone("LMT", 2573)), "offset"},
		{"GUID of 15 bytes", "uniqueidentifier", make([]byte, 15), "want 16 bytes"},
		{"GUID in braces", "uniqueidentifier", "{6F9619FF-8B86-D011-B42D-00C04FC964FF}", "want 16 bytes"},
		{"GUID with a letter", "uniqueidentifier", "6F9619FG-8B86-D011-B42D-00C04FC964FF", "want 16 bytes"},
		{"GUID with a fifth dash", "uniqueidentifier", "6F9619FF-8B86-D011-B42D-00C04F-964FF", "want 16 bytes"},
		{"a struct", "sql_variant", struct{}{}, "database/sql"},
	} {
		t.Run("refused: "+c.name, func(t *testing.T) {
			typ := store.MustType(c.typ)
			_, err := store.Normalize(typ, c.in)
			require.ErrorContains(t, err, c.reason)
			require.ErrorContains(t, err, typ.String())
		})
	}

	t.Run("bytes are copied", func(t *testing.T) {
		for _, typ := range []string{"varbinary(16)", "uniqueidentifier"} {
			in := make([]byte, 16)
			got, err := store.Normalize(store.MustType(typ), in)
			require.NoError(t, err)
			in[0] = 1
			require.Equal(t, make([]byte, 16), got, typ)
		}
	})
}

func TestOrderIsTotal(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, name := range append(mirrortest.RandomTypes, "any Go type in an int column") {
		t.Run(name, func(t *testing.T) {
			typ, err := store.ParseType(name)
			mixed := err != nil
			if mixed {
				typ = store.MustType("int")
			}
			values := []driver.Value{nil}
			for range 40 {
				from := typ
				if mixed {
					from = store.MustType(mirrortest.RandomTypes[r.IntN(len(mirrortest.RandomTypes))])
				}
				values = append(values, mirrortest.RandomValue(r, from))
			}
			cols := []store.Column{{Type: typ}}
			cmp := func(a, b driver.Value) int { return store.CompareKeys(cols, store.Row{a}, store.Row{b}) }
			for _, a := range values {
				require.Zero(t, cmp(a, a), "%v is where it is", a)
				require.True(t, store.EqualValues(typ, typ, a, a), "%v is itself", a)
				for _, b := range values {
					require.Equal(t, cmp(a, b), -cmp(b, a), "antisymmetry of %v, %v", a, b)
					equal := store.EqualValues(typ, typ, a, b)
					require.Equal(t, equal, store.EqualValues(typ, typ, b, a), "symmetry of %v, %v", a, b)
					if equal {
						require.Zero(t, cmp(a, b), "equal values %v, %v share a place", a, b)
					}
					if k := typ.Kind(); cmp(a, b) == 0 && k != store.KindFloat && k != store.KindTimeOffset && !mixed {
						require.True(t, equal, "one place, one value: %v, %v", a, b)
					}
					for _, c := range values {
						if cmp(a, b) <= 0 && cmp(b, c) <= 0 && cmp(a, c) > 0 {
							require.Fail(t, fmt.Sprintf("not transitive: %v, %v, %v", a, b, c))
						}
					}
				}
			}
		})
	}
}

func FuzzDecimalOrder(f *testing.F) {
	for _, s := range [][2]string{{"1.5", "1.50"}, {"-10", "-9.99"}, {"-0", "+0.00"}, {".5", "5."}, {"0012", "12.000"},
		{"99999999999999999999999999999999999999", "1"}, {"0.1", "0.09"}, {"-0.001", "0"}} {
		f.Add(s[0], s[1])
	}
	number := regexp.MustCompile(`^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)$`)
	f.Fuzz(func(t *testing.T, a, b string) {
		if !number.MatchString(a) || !number.MatchString(b) {
			t.Skip("not decimals")
		}
		x, ok := new(big.Rat).SetString(a)
		y, ok2 := new(big.Rat).SetString(b)
		require.True(t, ok && ok2, "%s, %s", a, b)
		require.Equal(t, x.Cmp(y), order("decimal(38,10)", []byte(a), []byte(b)), "%s and %s", a, b)
		typ := store.MustType("decimal(38,10)")
		require.Equal(t, x.Cmp(y) == 0, store.EqualValues(typ, typ, []byte(a), []byte(b)), "%s and %s", a, b)
	})
}

// identical is equality without any rule: not even a time's offset may change.
func identical(a, b driver.Value) bool {
	x, ok := a.(time.Time)
	y, ok2 := b.(time.Time)
	if ok && ok2 {
		_, ox := x.Zone()
		_, oy := y.Zone()
		return x.Equal(y) && ox == oy
	}
	plain := store.Type{Name: "sql_variant"}
	return store.EqualValues(plain, plain, a, b)
}

func TestCellJSON(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	values := []driver.Value{nil, "\x00\n\"\u2028", "a\xed\xa0\x80b", "\x1b[31m", math.SmallestNonzeroFloat64, math.Copysign(0, -1), []byte{}, []byte{0xff, 0xfe},
		int64(math.MinInt64), noon.Add(1), noon.In(time.FixedZone("", -34200)), time.Date(1, 1, 1, 23, 59, 59, 999999900, time.UTC)}
	for _, name := range mirrortest.RandomTypes {
		for range 20 {
			values = append(values, mirrortest.RandomValue(r, store.MustType(name)))
		}
	}
	for _, v := range values {
		text, err := json.Marshal(store.Cell{Column: "navn å", Value: v, Size: 3})
		require.NoError(t, err)
		var back store.Cell
		require.NoError(t, json.Unmarshal(text, &back))
		require.Equal(t, "navn å", back.Column)
		require.Equal(t, 3, back.Size)
		require.True(t, identical(v, back.Value), "%#v became %#v through %s", v, back.Value, text)
	}
	for _, c := range []struct{ text, want string }{
		{`{"column":"a","type":"int","value":"812"}`, "a=812"},
		{`{"column":"a","type":"null"}`, "a=NULL"},
		{`{"column":"a","type":"string","value":"NULL"}`, `a="NULL"`},
		{`{"column":"a","type":"decimal","value":"-12.50"}`, "a=-12.50"},
		{`{"column":"a","type":"guid","value":"6F9619FF-8B86-D011-B42D-00C04FC964FF"}`, "a=6F9619FF-8B86-D011-B42D-00C04FC964FF"},
		{`{"column":"a","type":"bytes","value":"AAH/"}`, "a=0x0001FF"},
		{`{"column":"a","type":"float","value":"-0"}`, "a=-0"},
	} {
		var cell store.Cell
		require.NoError(t, json.Unmarshal([]byte(c.text), &cell), c.text)
		require.Equal(t, c.want, cell.String())
		again, err := json.Marshal(cell)
		require.NoError(t, err)
		require.Equal(t, c.text, string(again))
	}
	for _, bad := range []string{`{"column":"a","type":"int","value":"1.5"}`, `{"column":"a","type":"int"}`, `{"column":"a","type":"null","value":""}`,
		`{"column":"a","type":"float","value":"NaN"}`, `{"column":"a","type":"float","value":"1e999"}`, `{"column":"a","type":"bytes","value":"*"}`,
		`{"column":"a","type":"time","value":"noon"}`, `{"column":"a","type":"guid","value":"6F96"}`, `{"column":"a","type":"xml","value":""}`,
		`{"column":"a","type":"bool","value":"maybe"}`, `{"column":"a"}`, `[]`, `{"column":1}`} {
		var cell store.Cell
		require.Error(t, json.Unmarshal([]byte(bad), &cell), bad)
	}
	_, err := json.Marshal(store.Cell{Column: "a", Value: 5})
	require.ErrorContains(t, err, "column a: cannot write a int as JSON")
}

func FuzzCellJSON(f *testing.F) {
	for _, s := range []string{
		`{"column":"LSN","type":"int","value":"812"}`, `{"column":"a","type":"null"}`, `{"column":"a","type":"float","value":"-0"}`,
		`{"column":"a","type":"bool","value":"true"}`, `{"column":"a","type":"string","value":"\u0000\ud83d\ude00"}`,
		`{"column":"a","type":"time","value":"2026-02-03T04:05:06.0066667-09:30"}`, `{"column":"a","type":"decimal","value":"-12.50"}`,
		`{"column":"a","type":"guid","value":"6F9619FF-8B86-D011-B42D-00C04FC964FF"}`, `{"column":"a","type":"bytes","value":"AAH/"}`,
		`{"column":"a","type":"string","value":"x","size":6000}`, `{"column":"a","type":"xml","value":"x"}`, `null`, `{`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var cell store.Cell
		if err := json.Unmarshal(data, &cell); err != nil {
			return
		}
		require.NotEmpty(t, cell.String())
		text, err := json.Marshal(cell)
		require.NoError(t, err)
		var back store.Cell
		require.NoError(t, json.Unmarshal(text, &back), "%s", text)
		require.Equal(t, cell.Column, back.Column)
		require.Equal(t, cell.Size, back.Size)
		require.Equal(t, cell.String(), back.String())
		require.True(t, identical(cell.Value, back.Value), "%#v became %#v through %s", cell.Value, back.Value, text)
	})
}
