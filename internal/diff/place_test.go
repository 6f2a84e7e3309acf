package diff_test

import (
	"bytes"
	"database/sql/driver"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/internal/diff"
	"github.com/so-mirror/mirror/internal/mirrortest"
	"github.com/so-mirror/mirror/store"
)

// keyedBy is a table with a key of one type.
func keyedBy(typ store.Type) diff.Table {
	columns := []store.Column{{Name: "id", Type: typ}}
	return diff.Table{Source: diff.Side{Columns: columns}, Mirror: diff.Side{Columns: columns}, Key: 1}
}

// placedTypes are types of all kinds whose values have a place.
var placedTypes = append([]string{"any", "decimal(38,10)", "nvarchar(max)", "varbinary(max)", "datetimeoffset(7)"}, mirrortest.RandomTypes...)

// valueOf makes a value of a type of any bytes, or one that is not of the type.
func valueOf(typ store.Type, b []byte) driver.Value {
	if len(b) == 0 {
		return nil
	}
	kind, b := typ.Kind(), b[1:]
	n := int64(binary.BigEndian.Uint64(append(make([]byte, 8), b...)[max(0, len(b)):]))
	switch {
	case b == nil:
	case n%7 == 0: // as SQLite may store in any column
		kind = []store.Kind{store.KindInt, store.KindFloat, store.KindString, store.KindBytes, store.KindTime}[uint64(n/7)%5]
		if kind == store.KindBytes && typ.Kind() == store.KindDecimal {
			return append([]byte{0}, b...)
		}
	case kind == store.KindAny:
		kind = []store.Kind{store.KindInt, store.KindFloat, store.KindString, store.KindBytes}[uint64(n)%4]
	}
	switch kind {
	case store.KindBool:
		return n%2 == 0
	case store.KindInt:
		return n
	case store.KindFloat:
		if f := math.Float64frombits(uint64(n)); !math.IsNaN(f) {
			return f
		}
		return math.Inf(1)
	case store.KindDecimal:
		var digits strings.Builder
		for _, c := range b {
			digits.WriteByte('0' + c%10)
		}
		d := digits.String() + "0"
		at := uint64(n) % uint64(len(d))
		sign := []string{"", "-", "+"}[uint64(n)%3]
		return []byte(sign + d[:at] + "." + d[at:])
	case store.KindString:
		return string(b)
	case store.KindTime, store.KindTimeOfDay, store.KindTimeOffset:
		at := time.Unix(n%(1<<40), int64(uint64(n)%1_000_000_000))
		if kind == store.KindTimeOffset {
			return at.In(time.FixedZone("", int(n%840)*60))
		}
		return at.UTC()
	case store.KindGUID:
		if len(b)%5 == 4 {
			return b
		}
		return append(b, make([]byte, 16)...)[:16]
	default:
		return b
	}
}

// inOrder demands that the places of two values are as CompareKeys orders them.
func inOrder(t *testing.T, typ store.Type, a, b driver.Value) {
	t.Helper()
	table := keyedBy(typ)
	require.True(t, table.Placed())
	x, y := table.Place(store.Row{a}), table.Place(store.Row{b})
	switch n := store.CompareKeys(table.Source.Columns, store.Row{a}, store.Row{b}); {
	case n == 0:
		require.Equal(t, x, y, "%s: %#v and %#v", typ, a, b)
	case n < 0:
		require.LessOrEqual(t, x, y, "%s: %#v and %#v", typ, a, b)
	default:
		require.GreaterOrEqual(t, x, y, "%s: %#v and %#v", typ, a, b)
	}
	first, last := min(x, y), max(x, y)
	require.Zero(t, table.Share(first, last, first))
	if first < last {
		require.InDelta(t, 1, table.Share(first, last, last), 0)
	}
	if at := table.Share(0, math.MaxUint64, x); outside(at) {
		t.Fatalf("%s: the share of %#v is %v", typ, a, at)
	}
}

func outside(share float64) bool { return !(0 <= share && share <= 1) }

// The places of keys are in the order of the keys, whatever their type is and whether
// they are of it.
func TestPlaceIsInOrder(t *testing.T) {
	for _, name := range placedTypes {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			typ := store.MustType(name)
			var values []driver.Value
			for range 200 {
				if typ.Kind() != store.KindAny {
					values = append(values, mirrortest.RandomValue(r, typ))
				}
				b := make([]byte, r.IntN(24))
				for i := range b {
					b[i] = byte(r.Uint32() >> r.IntN(8))
				}
				values = append(values, valueOf(typ, b))
			}
			for range 20_000 {
				inOrder(t, typ, values[r.IntN(len(values))], values[r.IntN(len(values))])
			}
		})
	}
}

func FuzzPlace(f *testing.F) {
	for i := range placedTypes {
		f.Add(uint8(i), []byte("\x01abcdefgh"), []byte("\x01abcdefgi"))
	}
	f.Fuzz(func(t *testing.T, i uint8, a, b []byte) {
		typ := store.MustType(placedTypes[int(i)%len(placedTypes)])
		inOrder(t, typ, valueOf(typ, a), valueOf(typ, b))
	})
}

// Neighbours of the usual types have places of their own.
func TestPlaceTellsApart(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	guid := func(last byte) []byte { return append(bytes.Repeat([]byte{7}, 15), last) }
	for _, c := range []struct {
		typ  string
		a, b driver.Value
	}{
		{"bit", false, true},
		{"int", int64(41), int64(42)},
		{"bigint", int64(math.MaxInt64 - 1), int64(math.MaxInt64)},
		{"float", 1.0, math.Nextafter(1, 2)},
		{"decimal(18,2)", []byte("1234567890123.44"), []byte("1234567890123.45")},
		{"datetime2(7)", at, at.Add(100)},
		{"nvarchar(20)", "Bergen", "Berger"},
		{"varbinary(8)", []byte{1, 2, 3}, []byte{1, 2, 4}},
		{"uniqueidentifier", guid(1), guid(2)},
		{"any", int64(1), int64(2)},
		{"any", int64(1), "1"},
		{"any", "1", []byte("1")},
	} {
		t.Run(fmt.Sprintf("%s %v %v", c.typ, c.a, c.b), func(t *testing.T) {
			table := keyedBy(store.MustType(c.typ))
			require.Less(t, table.Place(store.Row{c.a}), table.Place(store.Row{c.b}))
		})
	}
}

// A key in the middle is in the middle.
func TestShare(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		typ             string
		first, last, is driver.Value
		want            float64
	}{
		{"int", int64(100), int64(200), int64(125), 0.25},
		{"bigint", int64(math.MinInt64), int64(math.MaxInt64), int64(0), 0.5},
		{"float", 0.0, 1000.0, 250.0, 0.25},
		{"float", -math.MaxFloat64, math.MaxFloat64, 0.0, 0.5},
		{"decimal(9,3)", []byte("-10"), []byte("10"), []byte("5.000"), 0.75},
		{"datetime", at, at.Add(8 * time.Hour), at.Add(2 * time.Hour), 0.25},
		{"date", at, at, at, 0},
		{"int", int64(100), int64(200), int64(99), 0},
		{"int", int64(100), int64(200), int64(201), 1},
	} {
		t.Run(fmt.Sprint(c.typ, c.first, c.last), func(t *testing.T) {
			table := keyedBy(store.MustType(c.typ))
			place := func(v driver.Value) uint64 { return table.Place(store.Row{v}) }
			require.InDelta(t, c.want, table.Share(place(c.first), place(c.last), place(c.is)), 1e-9)
		})
	}
}

// Tables without a key, and those whose sides do not order it alike, have no places.
func TestPlaced(t *testing.T) {
	table := func(source, mirror string) *diff.Table {
		t := keyedBy(store.MustType(source))
		t.Mirror.Columns = []store.Column{{Name: "id", Type: store.MustType(mirror)}}
		return &t
	}
	keyless := table("int", "int")
	keyless.Keyless = true
	require.False(t, keyless.Placed())
	require.False(t, table("rowversion", "rowversion").Placed())
	require.False(t, table("datetime", "datetime2(7)").Placed())
	require.False(t, table("int", "nvarchar(20)").Placed())
	require.True(t, table("int", "bigint").Placed())
	require.True(t, table("varchar(20)", "nvarchar(20)").Placed())
}
