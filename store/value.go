package store

import (
	"bytes"
	"cmp"
	"database/sql/driver"
	"fmt"
	"math"
	"reflect"
	"strings"
	"time"
)

// CompareKeys compares two keys by the columns of key, most significant first,
// and returns -1, 0 or +1. It is the order in which every [Source] delivers
// rows, whatever the collations of its database:
//
//   - NULL comes first.
//   - Numbers and times are ordered by value, false before true.
//   - Strings are ordered by code point, bytes by value.
//   - uniqueidentifier is ordered as SQL Server orders it.
//   - Values that are not of their column's type (see [Row]) are ordered as
//     SQLite orders its storage classes: numbers, times, strings, bytes.
func CompareKeys(key []Column, a, b Row) int {
	for i, c := range key {
		if n := CompareValues(c.Type, c.Type, a[i], b[i]); n != 0 {
			return n
		}
	}
	return 0
}

// EqualValues reports whether a value of a column of type ta and a value of a
// column of type tb are the same, by the rules that [Kind] documents. NULL
// equals only NULL. Where an engine stores 5 and 5.0 in a column that is neither of
// floats nor of bytes nor of anything, they are one number.
func EqualValues(ta, tb Type, a, b driver.Value) bool {
	return EqualFunc(ta, tb)(a, b)
}

// EqualFunc returns the equality of a pair of columns.
func EqualFunc(ta, tb Type) func(a, b driver.Value) bool {
	if k := ta.Kind(); (k == KindTime || k == KindTimeOfDay) && TimeStep(ta) != TimeStep(tb) {
		return func(a, b driver.Value) bool { return CompareValues(ta, tb, a, b) == 0 }
	}
	switch ta.Kind() {
	case KindDecimal:
		return func(a, b driver.Value) bool {
			x, ok := a.([]byte)
			y, also := b.([]byte)
			if ok && also {
				return CompareBytes(KindDecimal, x, y) == 0
			}
			return !ok && !also && SameValue(a, b)
		}
	case KindTimeOffset:
		return func(a, b driver.Value) bool {
			x, ok := a.(time.Time)
			y, ok2 := b.(time.Time)
			if !ok || !ok2 {
				return sameNumber(a, b)
			}
			_, ox := x.Zone()
			_, oy := y.Zone()
			return ox == oy && CompareValues(ta, tb, a, b) == 0
		}
	case KindFloat, KindBytes, KindAny, KindOther:
		return SameValue
	default:
		return sameNumber
	}
}

// sameNumber is SameValue for kinds in whose columns 5 and 5.0 are one number, and so
// are zeros of either sign, should an engine store them.
func sameNumber(a, b driver.Value) bool {
	if SameValue(a, b) {
		return true
	}
	switch x := a.(type) {
	case int64:
		y, ok := b.(float64)
		return ok && compareIntFloat(x, y) == 0
	case float64:
		switch y := b.(type) {
		case int64:
			return compareIntFloat(y, x) == 0
		case float64:
			return x == y
		}
		return false
	default:
		return false
	}
}

// SameValue is the equality of all kinds whose Go values say it all.
func SameValue(a, b driver.Value) bool {
	switch x := a.(type) {
	case nil:
		return b == nil
	case int64:
		y, ok := b.(int64)
		return ok && x == y
	case string:
		y, ok := b.(string)
		return ok && x == y
	case time.Time:
		y, ok := b.(time.Time)
		return ok && x.Equal(y)
	case float64:
		y, ok := b.(float64)
		return ok && math.Float64bits(x) == math.Float64bits(y)
	case []byte:
		y, ok := b.([]byte)
		return ok && bytes.Equal(x, y)
	case bool:
		y, ok := b.(bool)
		return ok && x == y
	default:
		return reflect.DeepEqual(a, b)
	}
}

// OrderDecides reports whether two values of these types that CompareValues
// cannot tell apart are always equal, so that a matched key need not be compared.
// It does not hold for values that are not of their type: 1 and 1.0.
func OrderDecides(ta, tb Type) bool {
	switch ta.Kind() {
	case KindFloat, KindTimeOffset, KindAny, KindOther:
		return false
	default:
		return ta.Kind() == tb.Kind()
	}
}

// CompareValues is the order of a pair of columns. Values whose Go type is not
// that of the kind are ordered by their Go type, so that it is total.
func CompareValues(ta, tb Type, a, b driver.Value) int {
	switch x := a.(type) {
	case nil:
		if b == nil {
			return 0
		}
		return -1
	case int64:
		if y, ok := b.(int64); ok {
			return cmp.Compare(x, y)
		}
	case string:
		if y, ok := b.(string); ok {
			return strings.Compare(x, y)
		}
	case time.Time:
		if y, ok := b.(time.Time); ok {
			if ta != tb {
				s := max(TimeStep(ta), TimeStep(tb))
				x, y = roundTime(x, s), roundTime(y, s)
			}
			return x.Compare(y)
		}
	case float64:
		if y, ok := b.(float64); ok {
			return cmp.Compare(x, y)
		}
	case []byte:
		if y, ok := b.([]byte); ok {
			return CompareBytes(ta.Kind(), x, y)
		}
	case bool:
		if y, ok := b.(bool); ok {
			if x == y {
				return 0
			}
			if !x {
				return -1
			}
			return 1
		}
	}
	n := cmp.Compare(typeRank(a), typeRank(b))
	switch {
	case n != 0:
		return n
	case typeRank(a) == rankNumber:
		return compareNumbers(a, b)
	default:
		return strings.Compare(fmt.Sprint(a), fmt.Sprint(b))
	}
}

// compareNumbers compares two numbers of different Go types exactly.
func compareNumbers(a, b driver.Value) int {
	integer := func(v driver.Value) (int64, bool) {
		if x, ok := v.(bool); ok {
			if x {
				return 1, true
			}
			return 0, true
		}
		i, ok := v.(int64)
		return i, ok
	}
	i, ok := integer(a)
	j, also := integer(b)
	switch {
	case ok && also:
		return cmp.Compare(i, j)
	case ok:
		return compareIntFloat(i, b.(float64))
	case also:
		return -compareIntFloat(j, a.(float64))
	default:
		return cmp.Compare(a.(float64), b.(float64))
	}
}

func compareIntFloat(i int64, f float64) int {
	switch {
	case f >= 1<<63:
		return -1
	case f < -1<<63:
		return 1
	}
	whole := int64(f)
	return cmp.Or(cmp.Compare(i, whole), cmp.Compare(float64(whole), f))
}

// CompareBytes is the order of the kinds whose values are []byte.
func CompareBytes(k Kind, x, y []byte) int {
	switch {
	case k == KindDecimal:
		switch xBlob, yBlob := isBlob(x), isBlob(y); {
		case xBlob && yBlob:
			return bytes.Compare(x, y)
		case xBlob:
			return 1
		case yBlob:
			return -1
		}
		return compareDecimals(x, y)
	case k == KindGUID && len(x) == 16 && len(y) == 16:
		return compareGUIDs(x, y)
	case k == KindGUID && (len(x) == 16) != (len(y) == 16): // what is no GUID comes last
		if len(x) == 16 {
			return -1
		}
		return 1
	default:
		return bytes.Compare(x, y)
	}
}

// isBlob reports whether a value of a decimal column is bytes that are no
// number. They are delivered behind a byte of 0, with which no number begins.
func isBlob(decimal []byte) bool { return len(decimal) > 0 && decimal[0] == 0 }

const rankNumber = 1

func typeRank(v driver.Value) int {
	switch v.(type) {
	case nil:
		return 0
	case bool, int64, float64:
		return rankNumber
	case time.Time:
		return 2
	case string:
		return 3
	case []byte:
		return 4
	default:
		return 5
	}
}

// guidGroups are the ranges of a uniqueidentifier's 16 bytes from the most to
// the least significant, as SQL Server orders them.
var guidGroups = [...]int{10, 11, 12, 13, 14, 15, 8, 9, 6, 7, 4, 5, 0, 1, 2, 3}

func compareGUIDs(a, b []byte) int {
	for _, i := range guidGroups {
		if a[i] != b[i] {
			return cmp.Compare(a[i], b[i])
		}
	}
	return 0
}

// compareDecimals compares two numbers such as "-12.50" without converting
// them, which at 38 digits no Go number type could hold.
func compareDecimals(a, b []byte) int {
	negA, intA, fracA := splitDecimal(a)
	negB, intB, fracB := splitDecimal(b)
	zeroA, zeroB := len(intA)+len(fracA) == 0, len(intB)+len(fracB) == 0
	negA, negB = negA && !zeroA, negB && !zeroB
	if negA != negB {
		if negA {
			return -1
		}
		return 1
	}
	n := cmp.Compare(len(intA), len(intB))
	if n == 0 {
		n = bytes.Compare(intA, intB)
	}
	if n == 0 {
		n = bytes.Compare(fracA, fracB)
	}
	if negA {
		return -n
	}
	return n
}

// splitDecimal splits a number into its sign and its digits before and after
// the point, without zeros that do not count.
func splitDecimal(d []byte) (neg bool, integer, fraction []byte) {
	if len(d) > 0 && (d[0] == '-' || d[0] == '+') {
		neg = d[0] == '-'
		d = d[1:]
	}
	integer, fraction, _ = bytes.Cut(d, []byte("."))
	return neg, bytes.TrimLeft(integer, "0"), bytes.TrimRight(fraction, "0")
}

// IsTime reports whether the values of t are points or times of day in steps.
func IsTime(t Type) bool {
	switch t.Kind() {
	case KindTime, KindTimeOfDay, KindTimeOffset:
		return true
	default:
		return false
	}
}

const datetimeStep = time.Second / 300

// TimeStep returns the distance between two neighbouring values of a time type.
func TimeStep(t Type) time.Duration {
	switch t.Name {
	case "date":
		return 24 * time.Hour
	case "smalldatetime":
		return time.Minute
	case "datetime":
		return datetimeStep
	}
	d := time.Second
	for range t.Scale {
		d /= 10
	}
	return d
}

// CoarserTime returns the steps of the coarser of two time types, and whether
// values of the two are rounded to them before they are compared.
func CoarserTime(a, b Type) (steps string, rounded bool) {
	if !IsTime(a) || a.Kind() != b.Kind() || TimeStep(a) == TimeStep(b) {
		return "", false
	}
	switch s := max(TimeStep(a), TimeStep(b)); s {
	case datetimeStep:
		return "1/300 s", true
	case 24 * time.Hour:
		return "a day", true
	default:
		return s.String(), true
	}
}

// roundTime rounds t to the steps of a type. Steps of 1/300 s come out in
// milliseconds (.000, .003, .007), as SQL Server prints them and its driver
// delivers them.
func roundTime(t time.Time, step time.Duration) time.Time {
	switch step {
	case datetimeStep:
		sec := t.Truncate(time.Second)
		ticks := (int64(t.Sub(sec))*300 + int64(time.Second)/2) / int64(time.Second)
		return sec.Add(time.Duration((ticks*10+1)/3) * time.Millisecond)
	case 24 * time.Hour:
		return t.Truncate(step) // CONVERT(date, ...) cuts the time off
	default:
		return t.Round(step)
	}
}
