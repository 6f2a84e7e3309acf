package store

import (
	"database/sql/driver"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/so-mirror/mirror/internal/text"
)

// Normalize converts a Go literal to the Go type that [Kind] documents for a
// column of type t, rounded to the steps of a time type. It takes all integer
// and float types, bool, string, []byte and time.Time; text stands for
// decimals, and for GUIDs in their usual form. A nil []byte is NULL, as
// database/sql has it. A value that t cannot hold is an error.
func Normalize(t Type, v any) (driver.Value, error) {
	if b, ok := v.([]byte); v == nil || ok && b == nil {
		return nil, nil
	}
	wrong := func(rule string) (driver.Value, error) {
		return nil, fmt.Errorf("value %s does not fit %s: %s", text.Clip(fmt.Sprintf("%v", v), 64), t, rule)
	}
	rv := reflect.ValueOf(v)
	switch t.Kind() {
	case KindBool:
		switch {
		case rv.Kind() == reflect.Bool:
			return rv.Bool(), nil
		case rv.CanInt() && (rv.Int() == 0 || rv.Int() == 1):
			return rv.Int() == 1, nil
		}
		return wrong("want a bool")
	case KindInt:
		return normalizeInt(t, rv, wrong)
	case KindFloat:
		return normalizeFloat(t, rv, wrong)
	case KindDecimal:
		return normalizeDecimal(t, v, wrong)
	case KindString:
		s, ok := v.(string)
		if !ok {
			return wrong("want a string")
		}
		if !utf8.ValidString(s) {
			return wrong("want valid UTF-8")
		}
		if t.Length != 0 && len(s) > t.Length && utf16Length(s) > t.Length {
			return wrong(fmt.Sprintf("want at most %d characters", t.Length))
		}
		return s, nil
	case KindBytes:
		b, ok := v.([]byte)
		if !ok {
			return wrong("want a []byte")
		}
		if t.Length != 0 && len(b) > t.Length {
			return wrong(fmt.Sprintf("want at most %d bytes", t.Length))
		}
		return append(make([]byte, 0, len(b)), b...), nil
	case KindTime, KindTimeOfDay, KindTimeOffset:
		return normalizeTime(t, v, wrong)
	case KindGUID:
		switch x := v.(type) {
		case []byte:
			if len(x) == 16 {
				return append(make([]byte, 0, 16), x...), nil
			}
		case string:
			if g, err := parseGUID(x); err == nil {
				return g, nil
			}
		}
		return wrong("want 16 bytes, or text such as 6F9619FF-8B86-D011-B42D-00C04FC964FF")
	case KindAny:
		switch x := v.(type) {
		case []byte:
			return append(make([]byte, 0, len(x)), x...), nil
		case string:
			return x, nil
		}
		switch {
		case rv.CanInt():
			return rv.Int(), nil
		case rv.CanFloat() && !math.IsNaN(rv.Float()):
			return rv.Float(), nil
		}
		return wrong("want an integer, a float, a string or a []byte")
	default:
		if driver.IsValue(v) {
			return v, nil
		}
		return wrong("want a value that database/sql knows")
	}
}

// StoredValue is [Normalize] for values that a [Source] delivered, such as those
// of keys: one that already is of the Go type of t is neither rounded nor
// refused, and what t cannot hold stays as it is (see [Row]).
func StoredValue(t Type, v any) (driver.Value, error) {
	switch x := v.(type) {
	case []byte:
		if x == nil {
			return nil, nil
		}
		return append(make([]byte, 0, len(x)), x...), nil
	case time.Time:
		if IsTime(t) {
			if x = x.Round(0); t.Kind() != KindTimeOffset {
				x = x.UTC()
			}
			return x, nil
		}
	case float64:
		if t.Kind() == KindFloat { // a real can hold more digits than its type has
			return x, nil
		}
	case int64:
		if f := float64(x); t.Kind() == KindFloat && (f >= 1<<63 || int64(f) != x) {
			return x, nil
		}
	}
	n, err := Normalize(t, v)
	if err != nil {
		switch v.(type) {
		case int64, float64, string:
			return v, nil
		}
	}
	return n, err
}

func normalizeInt(t Type, rv reflect.Value, wrong func(string) (driver.Value, error)) (driver.Value, error) {
	var n int64
	switch {
	case rv.CanInt():
		n = rv.Int()
	case rv.CanUint() && rv.Uint() <= math.MaxInt64:
		n = int64(rv.Uint())
	default:
		return wrong("want an integer")
	}
	if lo, hi := intRange(t.Name); n < lo || n > hi {
		return wrong(fmt.Sprintf("want a number from %d to %d", lo, hi))
	}
	return n, nil
}

func normalizeFloat(t Type, rv reflect.Value, wrong func(string) (driver.Value, error)) (driver.Value, error) {
	var f float64
	switch {
	case rv.CanFloat():
		f = rv.Float()
	case rv.CanInt():
		f = float64(rv.Int())
	case rv.CanUint():
		f = float64(rv.Uint())
	default:
		return wrong("want a float")
	}
	if t.Name == "real" {
		f = float64(float32(f))
	}
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return wrong("SQL Server has no NaN and no infinity")
	}
	return f, nil
}

func normalizeTime(t Type, v any, wrong func(string) (driver.Value, error)) (driver.Value, error) {
	x, ok := v.(time.Time)
	if !ok {
		return wrong("want a time.Time")
	}
	x = x.Round(0) // drops the monotonic clock reading
	if t.Kind() != KindTimeOffset {
		x = x.UTC()
	}
	x = roundTime(x, TimeStep(t))
	if first := firstYear(t.Name); t.Kind() != KindTimeOfDay && (x.UTC().Year() < first || x.UTC().Year() > 9999) {
		return wrong(fmt.Sprintf("want a year from %d to 9999", first))
	}
	if t.Name == "smalldatetime" && x.After(lastSmallDatetime) {
		return wrong("want a date up to 2079-06-06")
	}
	if _, offset := x.Zone(); offset%60 != 0 || max(offset, -offset) > maxOffset {
		return wrong("want an offset of whole minutes, at most 14 hours")
	}
	if t.Kind() == KindTimeOfDay {
		x = time.Date(1, 1, 1, x.Hour(), x.Minute(), x.Second(), x.Nanosecond(), time.UTC)
	}
	return x, nil
}

func normalizeDecimal(t Type, v any, wrong func(string) (driver.Value, error)) (driver.Value, error) {
	var text string
	switch x := v.(type) {
	case string:
		text = x
	case []byte:
		text = string(x)
	default:
		switch rv := reflect.ValueOf(v); {
		case rv.CanInt():
			text = strconv.FormatInt(rv.Int(), 10)
		case rv.CanUint():
			text = strconv.FormatUint(rv.Uint(), 10)
		default:
			return wrong("want text such as \"12.50\", or an integer")
		}
	}
	digits := strings.TrimLeft(text, "+-")
	if len(text)-len(digits) > 1 || digits == "" || digits == "." ||
		strings.Trim(digits, "0123456789.") != "" || strings.Count(digits, ".") > 1 {
		return wrong("want a decimal number")
	}
	precision, scale := t.Precision, t.Scale
	lo, hi := "", ""
	switch t.Name { // integers of 64 and 32 bits, in units of 1/10,000
	case "money":
		precision, scale, lo, hi = 19, 4, "-922337203685477.5808", "922337203685477.5807"
	case "smallmoney":
		precision, scale, lo, hi = 10, 4, "-214748.3648", "214748.3647"
	}
	_, integer, fraction := splitDecimal([]byte(text))
	if len(integer) > precision-scale || len(fraction) > scale {
		return wrong(fmt.Sprintf("want at most %d digits, %d of them after the point", precision, scale))
	}
	if hi != "" && (compareDecimals([]byte(text), []byte(lo)) < 0 || compareDecimals([]byte(text), []byte(hi)) > 0) {
		return wrong("want a number from " + lo + " to " + hi)
	}
	plain := "0"
	if len(integer) > 0 {
		plain = string(integer)
	}
	if _, written, ok := strings.Cut(text, "."); ok && written != "" {
		plain += "." + written
	}
	if text[0] == '-' && len(integer)+len(fraction) > 0 {
		plain = "-" + plain
	}
	return []byte(plain), nil
}

// lastSmallDatetime is 65,535 days after the first one.
var lastSmallDatetime = time.Date(2079, 6, 6, 23, 59, 0, 0, time.UTC)

// maxOffset is the greatest offset of datetimeoffset, in seconds.
const maxOffset = 14 * 60 * 60

// firstYear returns the first year of a time type.
func firstYear(name string) int {
	switch name {
	case "datetime":
		return 1753
	case "smalldatetime":
		return 1900
	default:
		return 1
	}
}

func intRange(name string) (lo, hi int64) {
	switch name {
	case "tinyint":
		return 0, math.MaxUint8
	case "smallint":
		return math.MinInt16, math.MaxInt16
	case "int":
		return math.MinInt32, math.MaxInt32
	default:
		return math.MinInt64, math.MaxInt64
	}
}

func utf16Length(s string) int {
	n := 0
	for _, r := range s {
		n++
		if r > 0xFFFF {
			n++
		}
	}
	return n
}

// swapGUID converts between the order of a GUID's text and SQL Server's layout.
func swapGUID(g []byte) {
	g[0], g[1], g[2], g[3] = g[3], g[2], g[1], g[0]
	g[4], g[5] = g[5], g[4]
	g[6], g[7] = g[7], g[6]
}

func parseGUID(s string) ([]byte, error) {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return nil, errors.New("not a GUID")
	}
	g, err := hex.DecodeString(strings.ReplaceAll(s, "-", ""))
	if err != nil {
		return nil, err
	}
	if len(g) != 16 {
		return nil, errors.New("not a GUID")
	}
	swapGUID(g)
	return g, nil
}

func formatGUID(b []byte) string {
	g := append(make([]byte, 0, 16), b...)
	swapGUID(g)
	return strings.ToUpper(fmt.Sprintf("%x-%x-%x-%x-%x", g[0:4], g[4:6], g[6:8], g[8:10], g[10:16]))
}
