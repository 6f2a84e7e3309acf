package mssql

import (
	"reflect"
	"testing"
	"time"

	mssqldb "github.com/microsoft/go-mssqldb"

	"github.com/so-mirror/mirror/store"
)

// FuzzEncode: what is bound is the value that was normalised, whatever Go type
// the driver wants for the column.
func FuzzEncode(f *testing.F) {
	f.Add("Ærlig Øl AS", []byte{0, 0xff}, int64(-1), 0.5)
	f.Add("-12.50", []byte("0123456789abcdef"), int64(255), -1e300)
	f.Add("6F9619FF-8B86-D011-B42D-00C04FC964FF", []byte{}, int64(1<<40), 0.0)
	f.Add("", []byte{1}, int64(1<<20), 1.5)
	f.Add(" ", []byte{2}, int64(300), -0.5)
	f.Add("1", []byte{3}, int64(200), 3.25)
	types := []string{"bit", "tinyint", "smallint", "int", "bigint", "real", "float", "decimal(38,10)", "money", "char(20)", "varchar(max)",
		"nvarchar(40)", "text", "xml", "varbinary(max)", "binary(16)", "date", "datetime", "datetime2(7)", "time(3)", "datetimeoffset(7)", "uniqueidentifier"}
	f.Fuzz(func(t *testing.T, s string, b []byte, n int64, x float64) {
		for _, name := range types {
			typ := store.MustType(name)
			for _, v := range []any{s, b, n, x, n == 0, time.Unix(n%1e10, n%1e9)} {
				want, err := store.Normalize(typ, v)
				if err != nil || want == nil {
					continue
				}
				got := any(want)
				if encode := codec(typ, textRules{utf8: n%2 == 0}).Encode; encode != nil {
					got = encode(want)
				}
				if back := decoded(got); !reflect.DeepEqual(back, plain(want)) {
					t.Fatalf("%s: %#v is bound as %#v", name, want, got)
				}
			}
		}
	})
}

// decoded takes the driver's types back to what they hold.
func decoded(v any) any {
	switch v := v.(type) {
	case mssqldb.VarChar:
		return string(v)
	case mssqldb.DateTime1:
		return clock(time.Time(v))
	case float32:
		return float64(v)
	default:
		if rv := reflect.ValueOf(v); rv.CanInt() {
			return rv.Int()
		} else if rv.CanUint() {
			return int64(rv.Uint())
		}
		return plain(v)
	}
}

func plain(v any) any {
	switch v := v.(type) {
	case []byte:
		return string(v)
	case time.Time:
		return clock(v)
	default:
		return v
	}
}

// clock is the part of a time that every time type has.
func clock(t time.Time) string { return t.Format("15:04:05.999999999 -07:00") }
