package store

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/so-mirror/mirror/internal/text"
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

	// KindAny is any, SQLite's type of a column that holds whatever it is
	// given; int64, float64, string or []byte, as it is stored. Equal means
	// stored alike, so 1 and 1.0 differ.
	KindAny
)

// MaxLength is the [Type.Length] of nvarchar(max), varchar(max) and
// varbinary(max): 2^31-1, as SQL Server counts.
const MaxLength = math.MaxInt32

// Type is a SQL Server data type, or SQLite's any. Its text form is that of T-SQL:
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
	"any": {KindAny, noParams},
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
		return Type{}, fmt.Errorf("parse type %q: not a SQL Server type", text.Clip(s, 64))
	}
	bad := func(rule string) (Type, error) {
		return Type{}, fmt.Errorf("parse type %q: %s", text.Clip(s, 64), rule)
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
	if rule := t.setSize(def.params, nums); rule != "" {
		return bad(rule)
	}
	return t, nil
}

// setSize sets what a type's numbers mean, or T-SQL's default. It returns the rule
// that they break, "" for none.
func (t *Type) setSize(params typeParams, nums []int) string {
	switch params {
	case withLen, withMax:
		t.Length = 1
		if len(nums) > 0 {
			t.Length = nums[0]
		}
		if t.Length == 0 {
			return "a length of 0 is not possible"
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
			return "decimal has a precision of 1 to 38 digits and a scale within it"
		}
	case withScale:
		t.Scale = 7
		if len(nums) > 0 {
			t.Scale = nums[0]
		}
		if t.Scale > 7 {
			return "a second has at most 7 fractional digits"
		}
	case withBits:
		if len(nums) > 0 && (nums[0] < 1 || nums[0] > 53) {
			return "float has 1 to 53 bits"
		}
		if len(nums) > 0 && nums[0] <= 24 {
			t.Name = "real"
		}
	}
	return ""
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
