package sqlite

import (
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	driversqlite "modernc.org/sqlite"

	"github.com/so-mirror/mirror/store"
)

// One value can be stored in several spellings: a time with and without its
// fraction, 9.9 and 9.90, a GUID as text in either case. The functions of this
// file know them all, and what is ordered, bounded, digested and read goes by
// them. What is none of a type's spellings stays what it is.

// The functions that put a key in order, in SQL.
const (
	// keyFunction makes bytes of a stored value that are in the order of
	// store.CompareKeys. Its arguments are a letter for the kind, and the value.
	keyFunction = "so_mirror_key"

	// spelledFunction reports whether a value is stored as this store would
	// store it, so that its text is in the order of time. Its arguments are the
	// number of fractional digits with the letter of the kind, and the value.
	spelledFunction = "so_mirror_spelled"
)

func letter(k store.Kind) byte { return 'a' + byte(k) }

func kindOf(letter byte) store.Kind { return store.Kind(letter - 'a') }

// decode converts what is stored to what store.Kind documents.
func decode(k store.Kind, v driver.Value) driver.Value {
	switch k {
	case store.KindBool:
		switch v {
		case int64(0), 0.0:
			return false
		case int64(1), 1.0:
			return true
		}
	case store.KindFloat: // a default such as 0 is stored as an integer
		if n, ok := v.(int64); ok {
			if f := float64(n); f < 1<<63 && int64(f) == n {
				return f
			}
		}
	case store.KindDecimal:
		return decodeDecimal(v)
	case store.KindTime, store.KindTimeOfDay:
		if s, ok := v.(string); ok {
			if t, ok := parseTime(k, s); ok {
				return t
			}
		}
	case store.KindTimeOffset:
		if s, ok := v.(string); ok {
			if t, ok := parseTimeOffset(s); ok {
				return t
			}
		}
	case store.KindGUID:
		if s, ok := v.(string); ok && len(s) == guidText {
			if g, err := store.Normalize(guidType, s); err == nil {
				return g
			}
		}
	}
	return v
}

// decodeTime is decode for times of every row.
func decodeTime(k store.Kind) func(v driver.Value) (driver.Value, error) {
	return func(v driver.Value) (driver.Value, error) {
		if s, ok := v.(string); ok {
			if t, ok := parseTime(k, s); ok {
				return t, nil
			}
		}
		return v, nil
	}
}

// parseTime is parseDateTime for a kind: a time of day is no point in time, and
// has no date.
func parseTime(k store.Kind, s string) (time.Time, bool) {
	if dated := len(s) > 4 && s[4] == '-'; dated == (k == store.KindTimeOfDay) {
		return time.Time{}, false
	}
	return parseDateTime(s)
}

var guidType = store.MustType("uniqueidentifier")

const guidText = len("6F9619FF-8B86-D011-B42D-00C04FC964FF")

// decodeDecimal takes a number that is stored as one, too: in a column that was
// declared NUMERIC or DECIMAL. The shortest text of a float is the one that a
// person gave. One that is whole is the integer that SQLite takes it for.
func decodeDecimal(v driver.Value) driver.Value {
	switch v := v.(type) {
	case string:
		if s, ok := number(v); ok {
			return []byte(s)
		}
	case int64:
		return strconv.AppendInt(nil, v, 10)
	case float64:
		if n := int64(v); v >= -1<<63 && v < 1<<63 && float64(n) == v {
			return strconv.AppendInt(nil, n, 10)
		}
		if !math.IsInf(v, 0) {
			return strconv.AppendFloat(nil, v, 'f', -1, 64)
		}
	case []byte:
		return append([]byte{0}, v...)
	}
	return v
}

// number returns a decimal number without its plus sign. It takes what
// store.Normalize takes.
func number(s string) (string, bool) {
	digits := s
	if s != "" && (s[0] == '-' || s[0] == '+') {
		if digits = s[1:]; s[0] == '+' {
			s = digits
		}
	}
	points := 0
	for i := range len(digits) {
		switch c := digits[i]; {
		case c-'0' <= 9:
		case c == '.' && points == 0:
			points++
		default:
			return "", false
		}
	}
	return s, len(digits) > points
}

// parseTimeOffset parses "2026-02-03 04:05:06.007 +01:00", whose time is in UTC.
func parseTimeOffset(s string) (time.Time, bool) {
	i := strings.LastIndexByte(s, ' ')
	if i < 0 {
		return time.Time{}, false
	}
	instant, ok := parseTime(store.KindTimeOffset, s[:i])
	if !ok || strings.HasSuffix(s[:i], "Z") {
		return time.Time{}, false
	}
	zone, err := time.Parse("-07:00", s[i+1:])
	if err != nil {
		return time.Time{}, false
	}
	_, offset := zone.Zone()
	return instant.In(time.FixedZone("", offset)), true
}

// The first byte of a key says what follows, so that numbers, times, strings and
// bytes are in the order of store.CompareKeys.
const (
	keyNumber = iota + 1
	keyTime
	keyString
	keyBytes
)

// appendKey appends bytes that are in the order of store.CompareKeys for two
// values of one kind.
func appendKey(buf []byte, k store.Kind, v driver.Value) []byte {
	switch v := v.(type) {
	case bool:
		n := int64(0)
		if v {
			n = 1
		}
		return appendNumber(buf, float64(n), 0)
	case int64:
		f := float64(v)
		if f >= 1<<63 {
			return appendNumber(buf, f, v-math.MaxInt64-1)
		}
		return appendNumber(buf, f, v-int64(f))
	case float64:
		return appendNumber(buf, v+0, 0)
	case time.Time:
		buf = binary.BigEndian.AppendUint64(append(buf, keyTime), uint64(v.Unix())^1<<63)
		return binary.BigEndian.AppendUint32(buf, uint32(v.Nanosecond()))
	case string:
		return append(append(buf, keyString), v...)
	case []byte:
		buf = append(buf, keyBytes)
		switch k {
		case store.KindDecimal:
			return appendDecimal(buf, string(v))
		case store.KindGUID:
			if len(v) != 16 {
				return append(append(buf, 1), v...)
			}
			buf = append(buf, 0)
			for _, i := range guidGroups {
				buf = append(buf, v[i])
			}
			return buf
		}
		return append(buf, v...)
	default:
		return buf
	}
}

// appendNumber appends f, and what an integer is greater than f.
func appendNumber(buf []byte, f float64, more int64) []byte {
	bits := math.Float64bits(f)
	if f < 0 {
		bits = ^bits
	} else {
		bits |= 1 << 63
	}
	buf = binary.BigEndian.AppendUint64(append(buf, keyNumber), bits)
	return binary.BigEndian.AppendUint64(buf, uint64(more)^1<<63)
}

// guidGroups are the ranges of a uniqueidentifier's 16 bytes from the most to
// the least significant, as SQL Server orders them.
var guidGroups = [...]int{10, 11, 12, 13, 14, 15, 8, 9, 6, 7, 4, 5, 0, 1, 2, 3}

// appendDecimal appends the sign, the number of digits before the point, and
// the digits. Those of a negative number are turned round.
func appendDecimal(buf []byte, d string) []byte {
	if len(d) > 0 && d[0] == 0 {
		return append(append(buf, 3), d[1:]...)
	}
	neg, integer, fraction := splitDecimal(d)
	if integer == "" && fraction == "" {
		return append(buf, 1)
	}
	if !neg {
		buf = binary.BigEndian.AppendUint32(append(buf, 2), uint32(len(integer)))
		return append(append(buf, integer...), fraction...)
	}
	buf = binary.BigEndian.AppendUint32(append(buf, 0), ^uint32(len(integer)))
	for _, digits := range [...]string{integer, fraction} {
		for i := range len(digits) {
			buf = append(buf, ^digits[i])
		}
	}
	return append(buf, 0xff) // a number with more digits is less
}

// splitDecimal splits a number into its sign, which 0 has none of, and its digits
// before and after the point, without zeros that do not count. Each decimal of a
// digest comes by here, and package strings would take a quarter longer.
func splitDecimal(s string) (neg bool, integer, fraction string) {
	if s != "" && (s[0] == '-' || s[0] == '+') {
		neg = s[0] == '-'
		s = s[1:]
	}
	integer = s
	if i := strings.IndexByte(s, '.'); i >= 0 {
		integer, fraction = s[:i], s[i+1:]
	}
	for integer != "" && integer[0] == '0' {
		integer = integer[1:]
	}
	for fraction != "" && fraction[len(fraction)-1] == '0' {
		fraction = fraction[:len(fraction)-1]
	}
	return neg && integer+fraction != "", integer, fraction
}

// keyOf is the function in SQL that puts a key in order.
func keyOf(_ *driversqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
	kind, ok := args[0].(string)
	wide, kind := cutWide(kind)
	if !ok || len(kind) != 1 {
		return nil, errors.New("order a key: one letter for the kind")
	}
	v := args[1]
	if v == nil {
		return nil, nil
	}
	if wide != 0 {
		v = wide.stored(v)
	}
	k := kindOf(kind[0])
	var array [64]byte
	if s, ok := v.(string); ok {
		switch k { // without what a value behind an interface costs
		case store.KindTime, store.KindTimeOfDay:
			if t, ok := parseTime(k, s); ok {
				buf := binary.BigEndian.AppendUint64(append(array[:0], keyTime), uint64(t.Unix())^1<<63)
				return binary.BigEndian.AppendUint32(buf, uint32(t.Nanosecond())), nil
			}
		case store.KindDecimal:
			if number, ok := number(s); ok {
				return appendDecimal(append(array[:0], keyBytes), number), nil
			}
		}
	}
	return appendKey(array[:0], k, decode(k, v)), nil
}

// spelled is the function in SQL that tells by which spelling a time is stored.
func spelled(_ *driversqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
	layout, ok := args[0].(string)
	if !ok {
		return nil, errors.New("look at a spelling: a layout as text")
	}
	s, ok := args[1].(string)
	return args[1] == nil || ok && isSpelled(layout, s), nil
}

func isSpelled(layout, s string) bool {
	if len(s) != len(layout) || s[len(s)-1] == 'Z' || len(s) > len(time.DateOnly) && layout[4] == '-' && s[10] != ' ' {
		return false
	}
	_, ok := parseDateTime(s)
	return ok && (s[2] == ':') == (layout[2] == ':')
}

// appendValue appends a stored value for a hash, so that two values are written
// alike exactly when store.EqualValues says that they are equal.
func appendValue(buf []byte, k store.Kind, v driver.Value) ([]byte, error) {
	switch s := v.(type) {
	case string: // without what a value behind an interface costs
		switch k {
		case store.KindTime, store.KindTimeOfDay:
			if t, ok := parseTime(k, s); ok {
				return appendTime(buf, t), nil
			}
		case store.KindDecimal:
			if s, ok := number(s); ok {
				return hashDecimal(buf, s), nil
			}
		case store.KindString, store.KindAny:
			buf = binary.AppendUvarint(append(buf, 't'), uint64(len(s)))
			return append(buf, s...), nil
		}
	case int64:
		if k == store.KindInt {
			return binary.LittleEndian.AppendUint64(append(buf, 'i'), uint64(s)), nil
		}
	}
	switch v := decode(k, v).(type) {
	case nil:
		return append(buf, 'n'), nil
	case bool:
		if v {
			return append(buf, 'y'), nil
		}
		return append(buf, 'z'), nil
	case int64:
		return binary.LittleEndian.AppendUint64(append(buf, 'i'), uint64(v)), nil
	case float64:
		if n := int64(v); !strict(k) && v >= -1<<63 && v < 1<<63 && float64(n) == v {
			return binary.LittleEndian.AppendUint64(append(buf, 'i'), uint64(n)), nil
		}
		return binary.LittleEndian.AppendUint64(append(buf, 'f'), math.Float64bits(v)), nil
	case time.Time:
		buf = appendTime(buf, v)
		if k == store.KindTimeOffset {
			_, offset := v.Zone()
			buf = binary.LittleEndian.AppendUint32(buf, uint32(offset))
		}
		return buf, nil
	case string:
		buf = binary.AppendUvarint(append(buf, 't'), uint64(len(v)))
		return append(buf, v...), nil
	case []byte:
		if k == store.KindDecimal && (len(v) == 0 || v[0] != 0) {
			return hashDecimal(buf, string(v)), nil
		}
		buf = binary.AppendUvarint(append(buf, 'b'), uint64(len(v)))
		return append(buf, v...), nil
	default:
		return nil, fmt.Errorf("hash a row: Go type %T", v)
	}
}

// strict reports whether 5 and 5.0 are two values of a kind.
func strict(k store.Kind) bool {
	return k == store.KindFloat || k == store.KindBytes || k == store.KindAny
}

func hashDecimal(buf []byte, d string) []byte {
	neg, integer, fraction := splitDecimal(d)
	sign := byte('+')
	if neg {
		sign = '-'
	}
	buf = binary.AppendUvarint(append(buf, 'd', sign), uint64(len(integer)))
	buf = binary.AppendUvarint(append(buf, integer...), uint64(len(fraction)))
	return append(buf, fraction...)
}

func appendTime(buf []byte, t time.Time) []byte {
	buf = binary.LittleEndian.AppendUint64(append(buf, 'm'), uint64(t.Unix()))
	return binary.LittleEndian.AppendUint32(buf, uint32(t.Nanosecond()))
}
