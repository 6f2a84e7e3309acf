package diff

import (
	"cmp"
	"database/sql/driver"
	"encoding/binary"
	"math"
	"strconv"
	"time"

	"github.com/so-mirror/mirror/store"
)

// placeIn returns where a value stands in the order of the values of a kind: none
// behind another has a lesser place, and those that the order cannot tell apart have
// one. Values that differ far behind may share it.
func placeIn(k store.Kind, v driver.Value) uint64 {
	if _, ok := v.(int64); ok && k == store.KindInt { // as nearly all are
		return placeInt(v)
	}
	const most = math.MaxUint64
	own := rankOf(k)
	if n := cmp.Compare(rank(v), own); k != store.KindAny && n != 0 {
		if n < 0 {
			return 0
		}
		return most
	}
	switch x := v.(type) {
	case bool, int64, float64:
		switch {
		case k == store.KindAny:
			return quarter(rankNumber, placeFloat(float(v)))
		case k == store.KindFloat:
			return placeFloat(float(v))
		default:
			return placeInt(v)
		}
	case time.Time:
		if k == store.KindAny {
			return quarter(rankString, 0) // no column has one: it is before the texts
		}
		return placeTime(x)
	case string:
		if k == store.KindAny {
			return quarter(rankString, lead([]byte(x[:min(len(x), 8)])))
		}
		return lead([]byte(x[:min(len(x), 8)]))
	case []byte:
		switch {
		case k == store.KindAny:
			return quarter(rankBytes, lead(x))
		case k == store.KindDecimal:
			return placeDecimal(x)
		case k == store.KindGUID:
			return placeGUID(x)
		default:
			return lead(x)
		}
	case nil:
		return 0
	default:
		return most
	}
}

// The ranks by which CompareValues orders values of several Go types.
const (
	rankNull = iota
	rankNumber
	rankTime
	rankString
	rankBytes
	rankOther
)

func rank(v driver.Value) int {
	switch v.(type) {
	case nil:
		return rankNull
	case bool, int64, float64:
		return rankNumber
	case time.Time:
		return rankTime
	case string:
		return rankString
	case []byte:
		return rankBytes
	default:
		return rankOther
	}
}

// rankOf is the rank of the values that a kind is made for.
func rankOf(k store.Kind) int {
	switch k {
	case store.KindBool, store.KindInt, store.KindFloat:
		return rankNumber
	case store.KindTime, store.KindTimeOfDay, store.KindTimeOffset:
		return rankTime
	case store.KindString:
		return rankString
	default:
		return rankBytes
	}
}

// quarter gives each rank of values that stand in one column a part of the places.
func quarter(rank int, place uint64) uint64 {
	if rank > rankTime { // of which the column has none
		rank--
	}
	return uint64(rank)<<62 | place>>2
}

func float(v driver.Value) float64 {
	switch x := v.(type) {
	case int64:
		return float64(x)
	case bool:
		if x {
			return 1
		}
		return 0
	default:
		return x.(float64)
	}
}

func placeInt(v driver.Value) uint64 {
	const sign = 1 << 63
	i, ok := v.(int64)
	if !ok {
		f := math.Floor(float(v))
		switch {
		case f >= 1<<63:
			return math.MaxUint64
		case f < -1<<63 || math.IsNaN(f):
			return 0
		}
		i = int64(f)
	}
	return uint64(i) ^ sign
}

func placeFloat(f float64) uint64 {
	switch {
	case math.IsNaN(f):
		return 0
	case f == 0:
		f = 0 // of either sign
	}
	const sign = 1 << 63
	bits := math.Float64bits(f)
	if bits&sign != 0 {
		return ^bits
	}
	return bits | sign
}

// floatAt is the number whose place it is.
func floatAt(place uint64) float64 {
	const sign = 1 << 63
	if place&sign != 0 {
		return math.Float64frombits(place &^ sign)
	}
	return math.Float64frombits(^place)
}

// placeTime counts the steps of the finest type since the year 1.
func placeTime(t time.Time) uint64 {
	const (
		yearOne = -62135596800
		end     = 253402300800 // of the year 9999
		steps   = int64(time.Second) / 100
	)
	switch sec := t.Unix(); {
	case sec < yearOne:
		return 0
	case sec >= end:
		return math.MaxUint64
	default:
		return uint64((sec-yearOne)*steps + int64(t.Nanosecond())/100)
	}
}

// placeDecimal is that of the nearest float64: equal numbers have one.
func placeDecimal(number []byte) uint64 {
	if len(number) > 0 && number[0] == 0 { // bytes that are no number
		return math.MaxUint64
	}
	f, _ := strconv.ParseFloat(string(number), 64) // out of range it is infinite
	return placeFloat(f)
}

// guidOrder are the eight most significant bytes of a uniqueidentifier.
var guidOrder = [8]int{10, 11, 12, 13, 14, 15, 8, 9}

func placeGUID(g []byte) uint64 {
	if len(g) != 16 {
		return math.MaxUint64
	}
	var b [8]byte
	for i, at := range guidOrder {
		b[i] = g[at]
	}
	return binary.BigEndian.Uint64(b[:])
}

// lead is made of the first eight bytes.
func lead(b []byte) uint64 {
	var first [8]byte
	copy(first[:], b)
	return binary.BigEndian.Uint64(first[:])
}

// Placed reports whether keys of the table have a Place: it has a key, and both sides
// order the first column of it alike.
func (t *Table) Placed() bool {
	if t.Keyless || t.Key == 0 {
		return false
	}
	source, mirror := t.Source.Columns[0].Type, t.Mirror.Columns[0].Type
	return source.Kind() != store.KindOther && source.Kind() == mirror.Kind() && (source == mirror || !store.IsTime(source))
}

// Place returns where a key stands among the keys of the table, by its first column:
// no key behind another has a lesser place.
func (t *Table) Place(key store.Row) uint64 {
	return placeIn(t.Source.Columns[0].Type.Kind(), unbox(key[0]))
}

// Share returns how far a place is on the way from one to another, from 0 to 1.
func (t *Table) Share(first, last, at uint64) float64 {
	if last <= first {
		return 0
	}
	share := float64(at-min(at, first)) / float64(last-first)
	switch t.Source.Columns[0].Type.Kind() {
	case store.KindFloat, store.KindDecimal: // whose places are far from even
		// Halves: the whole may be more than a float64 holds.
		f, l, x := floatAt(first)/2, floatAt(last)/2, floatAt(at)/2
		if s := (x - f) / (l - f); !math.IsNaN(s) {
			share = s
		}
	}
	return max(0, min(share, 1))
}
