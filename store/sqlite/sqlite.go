// Package sqlite is the embedded engine: SQLite through modernc.org/sqlite,
// which needs no cgo. It serves examples and tests with real SQL, and mirrors
// that are kept in a file.
//
// Columns are declared with their SQL Server types. SQLite converts values by
// the words in a declared type, so some types carry a word that stops it:
// decimal_text(19,4), money_text, smallmoney_text and xml_text stay text, and
// float_blob and real_blob keep the sign of zero. The size max is written
// 2147483647. Times are text such as "2026-02-03 04:05:06.007" in UTC.
//
// Tables that others made are read, too: NUMERIC and DECIMAL are decimal, REAL is
// float, BOOLEAN is bit, TIMESTAMP is datetime2, and the rest goes by SQLite's
// rules of affinity. A value counts however it is spelled ("2026-02-03T04:05:06Z",
// 9.9 and 9.90, a GUID as text in either case); one that is not of its column's
// type is compared as it is stored.
package sqlite

import (
	"database/sql/driver"
	"fmt"
	"strings"
	"time"

	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/sqlstore"
)

// maxParams is SQLite's limit for one statement: https://www.sqlite.org/limits.html.
const maxParams = 32766

func dialect() *sqlstore.Dialect {
	f := &file{}
	return &sqlstore.Dialect{
		Tables:           tables,
		Identity:         identity,
		Objects:          objects,
		Schema:           func() string { return "main" }, // a temporary table of the same name would come first
		ColumnType:       columnType,
		Prepare:          f.prepare,
		Codec:            f.codec,
		Plain:            f.plain,
		Qualified:        true, // a quoted name that no column has is a string
		Values:           values,
		OwnValues:        true, // it copies out of SQLite's memory
		StoredForm:       "sqlite",
		AnyValue:         true,
		Rename:           rename,
		MaxParams:        maxParams,
		MaxRows:          1,                 // a prepared row binds faster than many rows at once
		Begin:            "BEGIN IMMEDIATE", // a reader that turns writer late can fail with SQLITE_BUSY
		CreateSuffix:     createSuffix,
		Digests:          f.digests(),
		Joins:            &sqlstore.Joins{Stored: f.storedValue, Keyed: keyed},
		DefaultFunctions: defaultFunctions(),
		DefaultTime:      func(t store.Type) string { return "(" + nowExpr(t) + ")" },
		RolledBack:       func(err error) bool { return strings.Contains(err.Error(), "no transaction is active") },
		Classify:         classify,
		Advice:           advice,
	}
}

func values(alias string, names []string, rows string) string {
	columns := make([]string, len(names))
	for i, name := range names {
		columns[i] = fmt.Sprintf("column%d AS %s", i+1, name)
	}
	return fmt.Sprintf("(SELECT %s FROM (VALUES %s)) AS %s", strings.Join(columns, ", "), rows, alias)
}

// createSuffix clusters a table by its primary key, as SQL Server does.
func createSuffix(t store.Table) string {
	if len(t.Key) == 0 {
		return ""
	}
	return " WITHOUT ROWID"
}

func classify(err error) sqlstore.ErrorClass {
	// SQLite reports a missing table as a general error; only its text tells.
	if strings.Contains(err.Error(), "no such table") {
		return sqlstore.ErrorTableNotFound
	}
	switch c := code(err); {
	case c == codeReadOnlyRecovery, c == codeReadOnlyRollback, c == codeReadOnlyCantInit:
		return sqlstore.ErrorOther // a writer has to come first, with whatever permission
	case c&0xff == codeBusy:
		return sqlstore.ErrorBusy
	case c&0xff == codeConstraint:
		return sqlstore.ErrorConstraint
	case c&0xff == codeReadOnly:
		return sqlstore.ErrorPermission
	}
	return sqlstore.ErrorOther
}

// codec says how a type is read, ordered and written. Types whose values have
// one spelling are in the order of SQLite's own, which puts numbers before text
// and text before bytes; the others go by keyFunction.
func (f *file) codec(t store.Type) sqlstore.Codec {
	k := t.Kind()
	c := sqlstore.Codec{
		Decode: func(v driver.Value) (driver.Value, error) { return decode(k, v), nil },
		Bound:  func(v driver.Value) any { return appendKey(nil, k, v) },
		Order:  func(expr string) []string { return []string{f.call(keyFunction, string(letter(k)), expr)} },
	}
	// A unique index goes by the text: '5' and '5.0' are two keys to it.
	switch k {
	case store.KindDecimal, store.KindTime, store.KindTimeOfDay, store.KindTimeOffset, store.KindGUID:
		c.Respelled = true
	}
	natural := func(order func(expr string) []string) {
		c.Order, c.Bound, c.Seeks = order, func(v driver.Value) any { return v }, true
	}
	collated := func(expr string) []string { return []string{expr + " COLLATE BINARY"} } // a column may have another one
	// untexted is for types whose values are in SQLite's order but for text,
	// which their columns hold as well.
	untexted := func() {
		if f.utf8.Load() {
			natural(collated)
		} else {
			c.Plain = func(v driver.Value) any { return v }
		}
	}
	switch k {
	case store.KindBool, store.KindFloat:
		// As an expression the column has no declared type, so the driver
		// leaves its value alone.
		c.Select = func(column string) string { return "+" + column }
		untexted()
	case store.KindInt, store.KindBytes:
		c.Decode = nil
		untexted()
	case store.KindString, store.KindAny:
		c.Decode = nil
		if f.utf8.Load() { // in UTF-16 the order is another one
			natural(collated)
		}
		c.Equal = func(column, param string) string { return column + " = " + param + " COLLATE BINARY" }
	case store.KindDecimal:
		c.Decode = func(v driver.Value) (driver.Value, error) { return decodeDecimal(v), nil }
		c.Encode = func(v driver.Value) any { return fixDecimal(t, string(v.([]byte))) }
	case store.KindTime, store.KindTimeOfDay:
		layout := timeLayout(t)
		c.Decode = decodeTime(k)
		// The driver does not guess at the layout of an expression, either.
		c.Select = func(column string) string { return "+" + column }
		c.Encode = func(v driver.Value) any { return v.(time.Time).Format(layout) }
		c.Plain = func(v driver.Value) any { return plainTime(layout, v) }
	case store.KindTimeOffset:
		layout := timeLayout(t)
		c.Encode = func(v driver.Value) any {
			x := v.(time.Time)
			return x.UTC().Format(layout) + x.Format(" -07:00")
		}
	case store.KindGUID:
	default:
		return sqlstore.Codec{Unordered: true}
	}
	if e := f.wide(); e != 0 {
		c.Select, c.Stored, c.Check = swapped, e.stored, checkWide
	}
	return c
}

// plainTime is the bound for times that are stored in one layout, as text that is
// in the order of time.
func plainTime(layout string, v driver.Value) any {
	switch v := v.(type) {
	case time.Time:
		text := v.Format(layout)
		if t, ok := parseDateTime(text); ok && t.Equal(v) {
			return text
		}
		return v.Format(exactLayout(layout)) // it lies between two values of the type
	case string: // no time, so it is behind all of them
		return []byte(v)
	default:
		return v
	}
}

// exactLayout is a layout with as many digits as a time has.
func exactLayout(layout string) string {
	if layout[2] == ':' {
		return "15:04:05.999999999"
	}
	return "2006-01-02 15:04:05.999999999"
}

// decimalScale returns how many digits of t follow the point.
func decimalScale(t store.Type) int {
	if t.Name == "decimal" {
		return t.Scale
	}
	return 4 // money and smallmoney
}

// fixDecimal writes a number with exactly the scale of t, without a plus sign,
// leading zeros or a negative zero, so that equal numbers are equal texts.
func fixDecimal(t store.Type, s string) string {
	scale := decimalScale(t)
	neg, integer, fraction := splitDecimal(s)
	fraction += strings.Repeat("0", max(0, scale-len(fraction)))
	if integer == "" {
		integer = "0"
	}
	if neg {
		integer = "-" + integer
	}
	if scale == 0 {
		return integer
	}
	return integer + "." + fraction
}

// timeLayout has a fixed width for each type, so that text and time order alike.
func timeLayout(t store.Type) string {
	fraction := ""
	if t.Scale > 0 {
		fraction = "." + strings.Repeat("0", t.Scale)
	}
	switch t.Name {
	case "date":
		return time.DateOnly
	case "smalldatetime":
		return time.DateTime
	case "datetime":
		return time.DateTime + ".000"
	case "time":
		return time.TimeOnly + fraction
	default:
		return time.DateTime + fraction
	}
}

// parseDateTime parses "2026-02-03 04:05:06.007", "2026-02-03T04:05:06Z",
// "2026-02-03" and "04:05:06.007". It is on the path of every row and does
// without time.Parse for that.
func parseDateTime(s string) (t time.Time, ok bool) {
	year, month, day := 1, 1, 1
	if len(s) > 4 && s[4] == '-' {
		if len(s) < len(time.DateOnly) || s[7] != '-' {
			return t, false
		}
		year, month, day = 100*twoDigits(s)+twoDigits(s[2:]), twoDigits(s[5:]), twoDigits(s[8:])
		s = s[len(time.DateOnly):]
		if s == "" {
			s = "T00:00:00"
		}
		if s[0] != ' ' && s[0] != 'T' {
			return t, false
		}
		s = s[1:]
		if s != "" && s[len(s)-1] == 'Z' {
			s = s[:len(s)-1]
		}
	}
	if len(s) < len(time.TimeOnly) || s[2] != ':' || s[5] != ':' {
		return t, false
	}
	hour, minute, second := twoDigits(s), twoDigits(s[3:]), twoDigits(s[6:])
	if year < 0 || month < 1 || month > 12 || day < 1 || day > daysOf(month, year) ||
		uint(hour) > 23 || uint(minute) > 59 || uint(second) > 59 {
		return t, false
	}
	nanos, ok := parseFraction(s[len(time.TimeOnly):])
	seconds := (unixDay(year, month, day)*24+int64(hour))*3600 + int64(minute)*60 + int64(second)
	return time.Unix(seconds, nanos).UTC(), ok
}

// notDigits is what twoDigits returns for text. It stays negative in sums.
const notDigits = -1_000_000

// twoDigits returns the number at the beginning of s, which has two bytes.
func twoDigits(s string) int {
	tens, ones := s[0]-'0', s[1]-'0'
	if tens > 9 || ones > 9 {
		return notDigits
	}
	return int(tens)*10 + int(ones)
}

// parseFraction returns the nanoseconds of "" or a point with one to nine digits.
func parseFraction(s string) (nanos int64, ok bool) {
	if s == "" {
		return 0, true
	}
	if s[0] != '.' || len(s) < 2 || len(s) > 10 {
		return 0, false
	}
	for i := range 9 {
		nanos *= 10
		if i+1 < len(s) {
			c := s[i+1] - '0'
			if c > 9 {
				return 0, false
			}
			nanos += int64(c)
		}
	}
	return nanos, true
}

func daysOf(month, year int) int {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	default:
		return 31
	}
}

// unixDay returns the number of days from 1970-01-01. Years begin in March
// here, so that the leap day is their last one.
func unixDay(year, month, day int) int64 {
	if month < 3 {
		year, month = year-1, month+12
	}
	year += 400 // the year 0 begins in its own past; 400 years have 146,097 days
	dayOfYear := (153*(month-3)+2)/5 + day - 1
	return int64(365*year+year/4-year/100+year/400+dayOfYear) - 719_468 - 146_097
}
