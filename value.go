package mirror

import (
	"bytes"
	"cmp"
	"database/sql/driver"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Kind groups the SQL Server types whose values have the same Go type and are
// compared by the same rule.
type Kind uint8

// The kinds, with the one Go type that a [Source] delivers for each.
const (
	// KindOther cannot be compared: sql_variant, geography, geometry,
	// hierarchyid, rowversion. Its values have the driver's Go type.
	KindOther Kind = iota

	// KindBool is bit; bool.
	KindBool

	// KindInt is tinyint, smallint, int and bigint; int64.
	KindInt

	// KindFloat is real and float; float64. Equal means the same 64 bits, so
	// 0 and -0 differ.
	KindFloat

	// KindDecimal is decimal, numeric, money and smallmoney; []byte with the
	// number in ASCII, such as "-12.50". Equal means the same number: "1.5"
	// and "1.50" are equal.
	KindDecimal

	// KindString is char, varchar, text, nchar, nvarchar, ntext and xml;
	// string in UTF-8. Case and trailing blanks count.
	KindString

	// KindBytes is binary, varbinary and image; []byte.
	KindBytes

	// KindTime is date, smalldatetime, datetime and datetime2; time.Time in
	// UTC. Values of two types are compared after rounding to the coarser
	// type's steps (1/300 s for datetime).
	KindTime

	// KindTimeOfDay is time; time.Time on January 1 of year 1 in UTC.
	KindTimeOfDay

	// KindTimeOffset is datetimeoffset; time.Time with that offset. Equal
	// means the same instant and the same offset; the order is by instant.
	KindTimeOffset

	// KindGUID is uniqueidentifier; []byte of length 16 in SQL Server's own
	// layout, whose first three groups are little-endian. The order is SQL
	// Server's: the last six bytes are the most significant.
	KindGUID
)

// MaxLength is the [Type.Length] of nvarchar(max), varchar(max) and
// varbinary(max): 2^31-1, as SQL Server counts.
const MaxLength = math.MaxInt32

// Type is a SQL Server data type. Its text form is that of T-SQL:
// "nvarchar(219)", "decimal(19,4)", "varbinary(max)". Synonyms are one type:
// numeric is decimal, timestamp is rowversion, float(24) is real.
type Type struct {
	// Name is the lower-case name: "nvarchar".
	Name string

	// Length is in characters for string types and in bytes for binary
	// types, MaxLength for max, 0 for types without a length.
	Length int

	// Precision and Scale are those of decimal, in digits. Scale is also the
	// number of fractional digits of a second of time, datetime2 and
	// datetimeoffset.
	Precision, Scale int
}

type typeParams uint8

const (
	noParams  typeParams = iota
	withLen              // (n), 1 when absent
	withMax              // (n) or (max), 1 when absent
	withDec              // (p,s), (18,0) when absent
	withScale            // (s), 7 when absent
	withBits             // float(n)
)

var typeTable = map[string]struct {
	kind   Kind
	params typeParams
}{
	"bit":     {KindBool, noParams},
	"tinyint": {KindInt, noParams}, "smallint": {KindInt, noParams}, "int": {KindInt, noParams}, "bigint": {KindInt, noParams},
	"real": {KindFloat, noParams}, "float": {KindFloat, withBits},
	"decimal": {KindDecimal, withDec}, "money": {KindDecimal, noParams}, "smallmoney": {KindDecimal, noParams},
	"char": {KindString, withLen}, "varchar": {KindString, withMax}, "text": {KindString, noParams},
	"nchar": {KindString, withLen}, "nvarchar": {KindString, withMax}, "ntext": {KindString, noParams}, "xml": {KindString, noParams},
	"binary": {KindBytes, withLen}, "varbinary": {KindBytes, withMax}, "image": {KindBytes, noParams},
	"date": {KindTime, noParams}, "smalldatetime": {KindTime, noParams}, "datetime": {KindTime, noParams}, "datetime2": {KindTime, withScale},
	"time": {KindTimeOfDay, withScale}, "datetimeoffset": {KindTimeOffset, withScale},
	"uniqueidentifier": {KindGUID, noParams},
	"rowversion":       {KindOther, noParams}, "sql_variant": {KindOther, noParams},
	"geography": {KindOther, noParams}, "geometry": {KindOther, noParams}, "hierarchyid": {KindOther, noParams},
}

var typeSynonyms = map[string]string{
	"numeric": "decimal", "dec": "decimal", "integer": "int", "timestamp": "rowversion",
	"double precision": "float", "character": "char",
}

// ParseType parses a type as T-SQL spells it. What is absent gets T-SQL's
// default: nvarchar is nvarchar(1), decimal is decimal(18,0), datetime2 is
// datetime2(7). A name that is not a SQL Server type is an error.
func ParseType(s string) (Type, error) {
	name, args, hasArgs := strings.Cut(strings.TrimSpace(s), "(")
	name = strings.ToLower(strings.Join(strings.Fields(name), " "))
	if name == "sysname" && !hasArgs {
		return Type{Name: "nvarchar", Length: 128}, nil
	}
	if syn, ok := typeSynonyms[name]; ok {
		name = syn
	}
	def, ok := typeTable[name]
	if !ok {
		return Type{}, fmt.Errorf("parse type %q: not a SQL Server type", clip(s, 64))
	}
	bad := func(rule string) (Type, error) {
		return Type{}, fmt.Errorf("parse type %q: %s", clip(s, 64), rule)
	}
	var nums []int
	if hasArgs {
		if !strings.HasSuffix(args, ")") {
			return bad("a ')' is missing")
		}
		for _, a := range strings.Split(strings.TrimSuffix(args, ")"), ",") {
			a = strings.ToLower(strings.TrimSpace(a))
			if a == "max" && def.params == withMax {
				nums = append(nums, MaxLength)
				continue
			}
			n, err := strconv.Atoi(a)
			most := 8000
			if strings.HasPrefix(name, "n") {
				most = 4000
			}
			if err != nil || n < 0 || n > most {
				return bad(fmt.Sprintf("its size is not a number from 0 to %d", most))
			}
			nums = append(nums, n)
		}
	}
	t := Type{Name: name}
	switch {
	case def.params == noParams && len(nums) > 0:
		return bad("this type has no size")
	case def.params != withDec && len(nums) > 1:
		return bad("this type has one number as its size")
	}
	switch def.params {
	case withLen, withMax:
		t.Length = 1
		if len(nums) > 0 {
			t.Length = nums[0]
		}
		if t.Length == 0 {
			return bad("a length of 0 is not possible")
		}
	case withDec:
		t.Precision = 18
		if len(nums) > 0 {
			t.Precision = nums[0]
		}
		if len(nums) > 1 {
			t.Scale = nums[1]
		}
		if len(nums) > 2 || t.Precision < 1 || t.Precision > 38 || t.Scale > t.Precision {
			return bad("decimal has a precision of 1 to 38 digits and a scale within it")
		}
	case withScale:
		t.Scale = 7
		if len(nums) > 0 {
			t.Scale = nums[0]
		}
		if t.Scale > 7 {
			return bad("a second has at most 7 fractional digits")
		}
	case withBits:
		if len(nums) > 0 && (nums[0] < 1 || nums[0] > 53) {
			return bad("float has 1 to 53 bits")
		}
		if len(nums) > 0 && nums[0] <= 24 {
			t.Name = "real"
		}
	}
	return t, nil
}

// MustType is ParseType for constant text; it panics when s is not a type.
func MustType(s string) Type {
	t, err := ParseType(s)
	if err != nil {
		panic(err)
	}
	return t
}

// Kind returns the kind of t, KindOther when its name is not a known type.
func (t Type) Kind() Kind { return typeTable[t.Name].kind }

// String returns the type as T-SQL spells it.
func (t Type) String() string {
	switch typeTable[t.Name].params {
	case withLen, withMax:
		if t.Length == MaxLength {
			return t.Name + "(max)"
		}
		return fmt.Sprintf("%s(%d)", t.Name, t.Length)
	case withDec:
		return fmt.Sprintf("%s(%d,%d)", t.Name, t.Precision, t.Scale)
	case withScale:
		return fmt.Sprintf("%s(%d)", t.Name, t.Scale)
	default:
		return t.Name
	}
}

// MarshalText returns the type as T-SQL spells it.
func (t Type) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText parses what MarshalText returns. Text that is not a SQL Server
// type becomes the name of a type of KindOther.
func (t *Type) UnmarshalText(text []byte) error {
	p, err := ParseType(string(text))
	if err != nil {
		p = Type{Name: string(text)}
	}
	*t = p
	return nil
}

// FoldName returns the form in which names of tables and columns are compared:
// without regard to case and trailing blanks, as SQL Server's default
// collation compares them. Accents count.
func FoldName(name string) string {
	name = strings.TrimRight(name, " ")
	for i := 0; i < len(name); i++ {
		if c := name[i]; c >= utf8.RuneSelf || c >= 'A' && c <= 'Z' {
			return strings.Map(foldRune, name)
		}
	}
	return name
}

// foldRune maps every rune that differs only by case to the same rune.
func foldRune(r rune) rune {
	if r < utf8.RuneSelf {
		return unicode.ToLower(r)
	}
	least := r
	for n := unicode.SimpleFold(r); n != r; n = unicode.SimpleFold(n) {
		least = min(least, n)
	}
	if unicode.SimpleFold(r) == r {
		return r // the dotted capital I, whose lower case has lost its accent
	}
	return unicode.ToLower(least)
}

// CompareKeys compares two keys by the columns of key, most significant first,
// and returns -1, 0 or +1. It is the order in which every [Source] delivers
// rows, whatever the collations of its database:
//
//   - NULL comes first.
//   - Numbers and times are ordered by value, false before true.
//   - Strings are ordered by code point, bytes by value.
//   - uniqueidentifier is ordered as SQL Server orders it.
func CompareKeys(key []Column, a, b Row) int {
	for i, c := range key {
		if n := orderValues(c.Type, c.Type, a[i], b[i]); n != 0 {
			return n
		}
	}
	return 0
}

// EqualValues reports whether a value of a column of type ta and a value of a
// column of type tb are the same, by the rules that [Kind] documents. NULL
// equals only NULL.
func EqualValues(ta, tb Type, a, b driver.Value) bool {
	return equalFunc(ta, tb)(a, b)
}

// equalFunc returns the equality of a pair of columns.
func equalFunc(ta, tb Type) func(a, b driver.Value) bool {
	if k := ta.Kind(); (k == KindTime || k == KindTimeOfDay) && step(ta) != step(tb) {
		return func(a, b driver.Value) bool { return orderValues(ta, tb, a, b) == 0 }
	}
	switch ta.Kind() {
	case KindDecimal:
		return func(a, b driver.Value) bool { return orderValues(ta, tb, a, b) == 0 }
	case KindTimeOffset:
		return func(a, b driver.Value) bool {
			x, ok := a.(time.Time)
			y, ok2 := b.(time.Time)
			if !ok || !ok2 {
				return equalPlain(a, b)
			}
			_, ox := x.Zone()
			_, oy := y.Zone()
			return ox == oy && orderValues(ta, tb, a, b) == 0
		}
	default:
		return equalPlain
	}
}

// equalPlain is the equality of all kinds whose Go values say it all.
func equalPlain(a, b driver.Value) bool {
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

// orderImpliesEqual reports whether two values of t that orderValues cannot
// tell apart are always equal, so that a matched key need not be compared.
func orderImpliesEqual(ta, tb Type) bool {
	switch ta.Kind() {
	case KindFloat, KindTimeOffset, KindOther:
		return false
	default:
		return ta.Kind() == tb.Kind()
	}
}

// orderValues is the order of a pair of columns. Values whose Go type is not
// that of the kind are ordered by their Go type, so that it is total.
func orderValues(ta, tb Type, a, b driver.Value) int {
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
				s := max(step(ta), step(tb))
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
			switch {
			case ta.Kind() == KindDecimal:
				return compareDecimals(x, y)
			case ta.Kind() == KindGUID && len(x) == 16 && len(y) == 16:
				return compareGUIDs(x, y)
			}
			return bytes.Compare(x, y)
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
	if n := cmp.Compare(typeRank(a), typeRank(b)); n != 0 {
		return n
	}
	return strings.Compare(fmt.Sprint(a), fmt.Sprint(b))
}

func typeRank(v driver.Value) int {
	switch v.(type) {
	case nil:
		return 0
	case bool:
		return 1
	case int64:
		return 2
	case float64:
		return 3
	case time.Time:
		return 4
	case string:
		return 5
	case []byte:
		return 6
	default:
		return 7
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

// isTime reports whether the values of t are points or times of day in steps.
func isTime(t Type) bool {
	switch t.Kind() {
	case KindTime, KindTimeOfDay, KindTimeOffset:
		return true
	default:
		return false
	}
}

const datetimeStep = time.Second / 300

// step returns the distance between two neighbouring values of a time type.
func step(t Type) time.Duration {
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
		return nil, fmt.Errorf("value %s does not fit %s: %s", clip(fmt.Sprintf("%v", v), 64), t, rule)
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
	case KindFloat:
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
		x, ok := v.(time.Time)
		if !ok {
			return wrong("want a time.Time")
		}
		x = x.Round(0) // drops the monotonic clock reading
		if t.Kind() != KindTimeOffset {
			x = x.UTC()
		}
		x = roundTime(x, step(t))
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
	default:
		if driver.IsValue(v) {
			return v, nil
		}
		return wrong("want a value that database/sql knows")
	}
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

// clip shortens s to about n bytes for a message.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "..."
}
