package store_test

import (
	"database/sql/driver"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/internal/mirrortest"
	"github.com/so-mirror/mirror/store"
)

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
		{"an integer and its float", "int", "int", int64(-5), -5.0, true},
		{"a float and its integer, as times", "datetimeoffset", "datetimeoffset", 5.0, int64(5), true},
		{"an integer and another float", "bigint", "bigint", int64(1<<53 + 1), float64(1 << 53), false},
		{"zeros of either sign that are not of their type", "date", "date", 0.0, math.Copysign(0, -1), true},
		{"floats that are not of their type", "int", "int", 1.5, 2.5, false},
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
