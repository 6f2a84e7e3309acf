package store_test

import (
	"database/sql/driver"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
)

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
