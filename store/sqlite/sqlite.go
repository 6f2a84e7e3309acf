// Package sqlite is the embedded engine: SQLite through modernc.org/sqlite,
// which needs no cgo. It serves examples and tests with real SQL, and mirrors
// that are kept in a file.
//
// Columns are declared with their SQL Server types. SQLite converts values by
// the words in a declared type, so some types carry a word that stops it:
// decimal_text(19,4), money_text, smallmoney_text and xml_text stay text, and
// float_blob and real_blob keep the sign of zero. The size max is written
// 2147483647. Times are text such as "2026-02-03 04:05:06.007" in UTC.
package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store/sqlstore"
)

// nowExpr is the time as text of a datetime column.
const nowExpr = "strftime('%Y-%m-%d %H:%M:%f','now')"

func dialect(db *sqlx.DB) *sqlstore.Dialect {
	now := "(" + nowExpr + ")"
	return &sqlstore.Dialect{
		Tables:       tables,
		Identity:     func(ctx context.Context, q sqlx.QueryerContext) (mirror.Identity, error) { return identity(ctx, q, db) },
		ColumnType:   columnType,
		Codec:        codec,
		Placeholder:  func(n int) string { return fmt.Sprintf("?%d", n) },
		OwnValues:    true, // it copies out of SQLite's memory
		AnyValue:     true,
		Rename:       rename,
		MaxRows:      1,                 // a prepared row binds faster than many rows at once
		Begin:        "BEGIN IMMEDIATE", // a reader that turns writer late can fail with SQLITE_BUSY
		CreateSuffix: createSuffix,
		Digests:      digests(),
		DefaultFunctions: map[string]string{
			"getdate()": now, "getutcdate()": now, "sysdatetime()": now, "sysutcdatetime()": now,
			strings.ToLower(nowExpr): now, "current_timestamp": "CURRENT_TIMESTAMP", // as the catalogue gives them back
		},
		RolledBack: func(err error) bool { return strings.Contains(err.Error(), "no transaction is active") },
		Classify:   classify,
		Advice:     advice,
	}
}

// affinity is the word in a declared type that keeps SQLite from converting
// the values of a type.
func affinity(t mirror.Type) string {
	switch {
	case t.Kind() == mirror.KindDecimal, t.Name == "xml":
		return "_text"
	case t.Kind() == mirror.KindFloat:
		return "_blob"
	default:
		return ""
	}
}

// SQLite takes only numbers as the size of a type.
const (
	sizeMax     = "(max)"
	declaredMax = "(2147483647)"
)

func columnType(t mirror.Type) string {
	return t.Name + affinity(t) + strings.Replace(t.String()[len(t.Name):], sizeMax, declaredMax, 1)
}

// ownTypes are declared types that mean something else to SQLite than to SQL
// Server: its integers have 64 bits, and text without a size has no limit.
var ownTypes = map[string]string{
	"integer": "bigint", "varchar": "varchar(max)", "nvarchar": "nvarchar(max)", "varbinary": "varbinary(max)",
}

// parseType is the inverse of columnType. A declared type that is not one of
// ours, or whose values SQLite may have converted, is left out of comparisons.
func parseType(declared string) mirror.Type {
	name, size, sized := strings.Cut(strings.ToLower(declared), "(")
	bare := name
	for _, word := range []string{"_text", "_blob"} {
		bare = strings.TrimSuffix(bare, word)
	}
	if sized {
		size = strings.Replace("("+size, declaredMax, sizeMax, 1)
	}
	if own, ok := ownTypes[name]; ok && !sized {
		return mirror.MustType(own)
	}
	t, err := mirror.ParseType(bare + size)
	if err != nil || bare+affinity(t) != name {
		return mirror.Type{Name: declared}
	}
	return t
}

// createSuffix clusters a table by its primary key, as SQL Server does.
func createSuffix(t mirror.Table) string {
	if len(t.Key) == 0 {
		return ""
	}
	return " WITHOUT ROWID"
}

func tables(ctx context.Context, q sqlx.QueryerContext) ([]mirror.Table, error) {
	var columns []struct {
		Table    string  `db:"table_name"`
		Name     string  `db:"name"`
		Type     string  `db:"type"`
		NotNull  bool    `db:"notnull"`
		Default  *string `db:"dflt_value"`
		Key      int     `db:"pk"`
		IsHidden int     `db:"hidden"`
	}
	err := sqlx.SelectContext(ctx, q, &columns, `
		SELECT m.name AS table_name, c.name, c.type, c."notnull", c.dflt_value, c.pk, c.hidden
		FROM sqlite_schema AS m, pragma_table_xinfo(m.name) AS c
		WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite\_%' ESCAPE '\'
		ORDER BY m.name, c.cid`)
	if err != nil {
		return nil, err
	}
	var list []mirror.Table
	var keys []map[int]string
	for _, c := range columns {
		if len(list) == 0 || list[len(list)-1].Name != c.Table {
			list = append(list, mirror.Table{Name: c.Table})
			keys = append(keys, map[int]string{})
		}
		t := &list[len(list)-1]
		col := mirror.Column{
			Name:      c.Name,
			Type:      parseType(c.Type),
			Nullable:  !c.NotNull,
			Generated: c.IsHidden > 1, // 2 and 3 are generated columns
		}
		if c.Default != nil {
			col.Default = *c.Default
		}
		t.Columns = append(t.Columns, col)
		if c.Key > 0 {
			keys[len(keys)-1][c.Key] = c.Name
		}
	}
	for i := range list {
		for n := 1; n <= len(keys[i]); n++ {
			list[i].Key = append(list[i].Key, keys[i][n])
		}
	}
	return list, nil
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

func codec(t mirror.Type) sqlstore.Codec {
	switch t.Kind() {
	case mirror.KindBool:
		return sqlstore.Codec{Decode: decodeBool}
	case mirror.KindString:
		// A column may have another collation.
		return sqlstore.Codec{
			Order: func(expr string) []string { return []string{expr + " COLLATE BINARY"} },
			Equal: func(column, param string) string { return column + " = " + param + " COLLATE BINARY" },
		}
	case mirror.KindFloat:
		return sqlstore.Codec{Decode: decodeFloat}
	case mirror.KindDecimal:
		return sqlstore.Codec{
			Order:  func(expr string) []string { return orderDecimal(t, expr) },
			Decode: decodeDecimal,
			Encode: func(v driver.Value) any { return fixDecimal(t, string(v.([]byte))) },
		}
	case mirror.KindTime, mirror.KindTimeOfDay:
		layout := timeLayout(t)
		return sqlstore.Codec{
			// As an expression the column has no declared type, so the driver
			// leaves its text alone instead of guessing a time layout.
			Select: func(column string) string { return "+" + column },
			Decode: decodeTime,
			Encode: func(v driver.Value) any { return v.(time.Time).Format(layout) },
		}
	case mirror.KindTimeOffset:
		layout := timeLayout(t)
		return sqlstore.Codec{
			// The instant in UTC comes first and alone decides the order.
			Order:  func(expr string) []string { return []string{fmt.Sprintf("substr(%s, 1, %d)", expr, len(layout))} },
			Decode: decodeTimeOffset,
			Encode: func(v driver.Value) any {
				x := v.(time.Time)
				return x.UTC().Format(layout) + x.Format(" -07:00")
			},
		}
	case mirror.KindGUID:
		return sqlstore.Codec{Order: orderGUID}
	case mirror.KindOther:
		return sqlstore.Codec{Unordered: true}
	default:
		return sqlstore.Codec{}
	}
}

func decodeBool(v driver.Value) (driver.Value, error) {
	n, ok := v.(int64)
	if !ok || n != 0 && n != 1 {
		return nil, fmt.Errorf("%v is not a bit", v)
	}
	return n == 1, nil
}

// decodeFloat takes integers, too: a default such as 0 is stored as one.
func decodeFloat(v driver.Value) (driver.Value, error) {
	switch n := v.(type) {
	case float64:
		return v, nil
	case int64:
		if f := float64(n); f < 1<<63 && int64(f) == n {
			return f, nil
		}
		return nil, fmt.Errorf("%d is stored as an integer that no float can hold", n)
	default:
		return nil, fmt.Errorf("%v is not a float", v)
	}
}

func decodeDecimal(v driver.Value) (driver.Value, error) {
	s, ok := v.(string)
	if !ok {
		return nil, fmt.Errorf("decimal is stored as %T, not as text", v)
	}
	integer, fraction, point := strings.Cut(strings.TrimPrefix(s, "-"), ".")
	if integer == "" || point && fraction == "" || strings.Trim(integer+fraction, "0123456789") != "" {
		return nil, fmt.Errorf("%q is not a decimal number", s)
	}
	return []byte(s), nil
}

// decimalScale returns how many digits of t follow the point.
func decimalScale(t mirror.Type) int {
	if t.Name == "decimal" {
		return t.Scale
	}
	return 4 // money and smallmoney
}

// fixDecimal writes a number with exactly the scale of t, without a plus sign,
// leading zeros or a negative zero, so that equal numbers are equal texts.
func fixDecimal(t mirror.Type, s string) string {
	neg := strings.HasPrefix(s, "-")
	integer, fraction, _ := strings.Cut(strings.TrimLeft(s, "+-"), ".")
	integer = strings.TrimLeft(integer, "0")
	scale := decimalScale(t)
	fraction = strings.TrimRight(fraction, "0")
	neg = neg && integer+fraction != ""
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

// orderDecimal orders decimals by their digits as integers of at most 18
// digits, which is what fits SQLite's 64 bits. Each carries the number's sign.
func orderDecimal(t mirror.Type, expr string) []string {
	const width = 18
	precision := t.Precision
	if t.Name != "decimal" {
		precision = 19
	}
	digits := fmt.Sprintf("replace(replace(%s, '-', ''), '.', '')", expr)
	digits = fmt.Sprintf("substr('%s' || %s, %d)", strings.Repeat("0", 3*width), digits, -3*width)
	sign := fmt.Sprintf("CASE WHEN %s LIKE '-%%' THEN -1 ELSE 1 END", expr)
	var parts []string
	for i := 3 - (precision+1+width-1)/width; i < 3; i++ {
		parts = append(parts, fmt.Sprintf("CAST(substr(%s, %d, %d) AS INTEGER) * %s", digits, i*width+1, width, sign))
	}
	return parts
}

// orderGUID puts the bytes of a uniqueidentifier into SQL Server's order.
func orderGUID(expr string) []string {
	parts := []string{"11, 6", "9, 2", "7, 2", "5, 2", "1, 4"}
	for i, part := range parts {
		parts[i] = fmt.Sprintf("substr(%s, %s)", expr, part)
	}
	return parts
}

// timeLayout has a fixed width for each type, so that text and time order alike.
func timeLayout(t mirror.Type) string {
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

func decodeTime(v driver.Value) (driver.Value, error) {
	s, ok := v.(string)
	if !ok {
		return nil, fmt.Errorf("time is stored as %T, not as text", v)
	}
	return parseTime(s)
}

func decodeTimeOffset(v driver.Value) (driver.Value, error) {
	s, ok := v.(string)
	if !ok {
		return nil, fmt.Errorf("time is stored as %T, not as text", v)
	}
	i := strings.LastIndexByte(s, ' ')
	if i < 0 {
		return nil, fmt.Errorf("%q has no offset", s)
	}
	instant, err := parseTime(s[:i])
	if err != nil {
		return nil, err
	}
	zone, err := time.Parse("-07:00", s[i+1:])
	if err != nil {
		return nil, fmt.Errorf("%q has no offset such as +01:00", s)
	}
	_, offset := zone.Zone()
	return instant.In(time.FixedZone("", offset)), nil
}

// parseTime parses "2026-02-03 04:05:06.007", "2026-02-03" and "04:05:06.007".
// It is on the path of every row and does without time.Parse for that.
func parseTime(s string) (time.Time, error) {
	t, ok := parseDateTime(s)
	if !ok {
		return time.Time{}, fmt.Errorf("%q is not a time such as 2026-02-03 04:05:06.007", s)
	}
	return t, nil
}

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
