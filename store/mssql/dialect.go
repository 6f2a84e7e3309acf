package mssql

import (
	"context"
	"database/sql/driver"
	"fmt"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"
	mssqldb "github.com/microsoft/go-mssqldb"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store/sqlstore"
)

const (
	// maxParams is SQL Server's limit of 2,100 for one call, less the text and
	// the declarations that sp_executesql takes.
	maxParams = 2098

	// maxRows is SQL Server's limit for one VALUES.
	maxRows = 1000

	// maxNational is the greatest length of nvarchar that is not max.
	maxNational = 4000

	// binaryCollation compares UTF-16 units. Every version has it.
	binaryCollation = "Latin1_General_BIN2"

	// utf8Collation compares code points, from SQL Server 2019 on.
	utf8Collation = "Latin1_General_100_BIN2_UTF8"
)

func dialect(srv *server) *sqlstore.Dialect {
	return &sqlstore.Dialect{
		Prepare:      srv.prepare,
		Tables:       srv.tables,
		ColumnType:   srv.columnType,
		Codec:        func(t mirror.Type) sqlstore.Codec { return codec(t, srv.utf8()) },
		Quote:        quote,
		Schema:       srv.schema,
		Placeholder:  func(n int) string { return fmt.Sprintf("@p%d", n) },
		Limit:        func(n int64) (head, tail string) { return fmt.Sprintf("TOP (%d) ", n), "" },
		MaxParams:    maxParams,
		MaxRows:      maxRows,
		Setup:        srv.setup,
		AroundRead:   srv.aroundRead,
		LockHint:     " WITH (UPDLOCK, HOLDLOCK)",
		AroundInsert: aroundInsert,
		Truncate:     truncate,
		Rename:       rename,
		DefaultFunctions: map[string]string{
			"getdate()": "GETDATE()", "getutcdate()": "GETUTCDATE()", "current_timestamp": "CURRENT_TIMESTAMP",
			"sysdatetime()": "SYSDATETIME()", "sysutcdatetime()": "SYSUTCDATETIME()", "sysdatetimeoffset()": "SYSDATETIMEOFFSET()",
			"newid()": "NEWID()", "newsequentialid()": "NEWSEQUENTIALID()",
		},
		NationalStrings: true,
		Digests:         srv.digests(),
		Timeout:         srv.opts.QueryTimeout,
		Classify:        classify,
		Advice:          advice,
		Refused:         refused,
	}
}

func quote(name string) string { return mssqldb.TSQLQuoter{}.ID(name) }

// lockTimeout returns the lock timeout in milliseconds.
func (s *server) lockTimeout() int64 { return max(1, s.opts.LockTimeout.Milliseconds()) }

// limitLocks precedes statements that have a parameter, so that it ends with
// them. Catalogue views wait for whoever creates or drops a table.
func (s *server) limitLocks() string { return fmt.Sprintf("SET LOCK_TIMEOUT %d; ", s.lockTimeout()) }

// aroundRead sets the isolation for one SELECT. SQL Server takes it back when
// the call ends; servers that do not are told to.
func (s *server) aroundRead() (before, behind string) {
	const set = "SET TRANSACTION ISOLATION LEVEL "
	level := "READ COMMITTED"
	if s.isolation() == "snapshot" {
		level = "SNAPSHOT"
	}
	return s.limitLocks() + set + level + "; ", "; " + set + "READ COMMITTED"
}

// updateLock is the application lock by which Updates take turns, followed by
// the name of the database: Babelfish has one set of locks for all databases.
const updateLock = "github.com/so-mirror/mirror"

func (s *server) setupText() string {
	ms := s.lockTimeout()
	return fmt.Sprintf(`SET XACT_ABORT ON; SET LOCK_TIMEOUT %d; SET DEADLOCK_PRIORITY LOW; SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
DECLARE @resource nvarchar(255) = N'%s ' + DB_NAME(), @result int;
EXEC @result = sp_getapplock @Resource = @resource, @LockMode = 'Exclusive', @LockOwner = 'Transaction', @LockTimeout = %d;
SELECT @result`, ms, updateLock, ms)
}

// setup prepares a transaction for writing.
func (s *server) setup(ctx context.Context, tx sqlstore.Execer) error {
	var result int
	if err := sqlx.GetContext(ctx, tx, &result, s.setupText()); err != nil {
		return err
	}
	if result < 0 {
		return appLockError(result)
	}
	return nil
}

// tablesQuery reads everything by object and column numbers: some servers fold
// the case of names in one view and not in another. Identifiers are converted,
// because some servers deliver them in a code page.
const tablesQuery = `SELECT CONVERT(nvarchar(128), s.name) AS schema_name, CONVERT(nvarchar(128), t.name) AS table_name,
	CONVERT(nvarchar(128), c.name) AS column_name,
	CONVERT(nvarchar(128), COALESCE(TYPE_NAME(c.system_type_id), TYPE_NAME(c.user_type_id), '')) AS type_name,
	c.max_length, c.precision, c.scale, c.is_nullable, c.is_computed,
	CONVERT(nvarchar(max), d.definition) AS default_text, COALESCE(k.key_ordinal, 0) AS key_ordinal
FROM sys.tables AS t
JOIN sys.schemas AS s ON s.schema_id = t.schema_id
JOIN sys.columns AS c ON c.object_id = t.object_id
LEFT JOIN sys.default_constraints AS d ON d.object_id = c.default_object_id
LEFT JOIN sys.indexes AS i ON i.object_id = t.object_id AND i.is_primary_key = 1
LEFT JOIN sys.index_columns AS k ON k.object_id = i.object_id AND k.index_id = i.index_id AND k.column_id = c.column_id
WHERE s.name = @p1 AND t.is_ms_shipped = 0
ORDER BY t.object_id, c.column_id`

type catalogueColumn struct {
	Schema    string  `db:"schema_name"`
	Table     string  `db:"table_name"`
	Name      string  `db:"column_name"`
	Type      string  `db:"type_name"`
	MaxLength int     `db:"max_length"`
	Precision int     `db:"precision"`
	Scale     int     `db:"scale"`
	Nullable  bool    `db:"is_nullable"`
	Computed  bool    `db:"is_computed"`
	Default   *string `db:"default_text"`
	Key       int     `db:"key_ordinal"`
}

func (s *server) tables(ctx context.Context, q sqlx.QueryerContext) ([]mirror.Table, error) {
	var columns []catalogueColumn
	if err := sqlx.SelectContext(ctx, q, &columns, s.limitLocks()+tablesQuery, s.schema()); err != nil {
		return nil, err
	}
	return catalogue(columns), nil
}

// catalogue makes tables of columns that are grouped by table.
func catalogue(columns []catalogueColumn) []mirror.Table {
	var tables []mirror.Table
	for len(columns) > 0 {
		first := columns[0]
		end := slices.IndexFunc(columns, func(c catalogueColumn) bool { return c.Table != first.Table })
		if end < 0 {
			end = len(columns)
		}
		t := mirror.Table{Schema: first.Schema, Name: first.Table}
		keys := 0
		for _, c := range columns[:end] {
			t.Columns = append(t.Columns, c.column())
			keys = max(keys, c.Key)
		}
		t.Key = make([]string, keys)
		for _, c := range columns[:end] {
			if c.Key > 0 {
				t.Key[c.Key-1] = c.Name
			}
		}
		tables = append(tables, t)
		columns = columns[end:]
	}
	return tables
}

func (c catalogueColumn) column() mirror.Column {
	col := mirror.Column{Name: c.Name, Type: c.columnType(), Nullable: c.Nullable, Generated: c.Computed}
	if col.Type.Name == "rowversion" {
		col.Generated = true
	} else if c.Default != nil && !c.Computed {
		col.Default = *c.Default
	}
	return col
}

func (c catalogueColumn) columnType() mirror.Type {
	t, err := mirror.ParseType(c.Type)
	if err != nil {
		return mirror.Type{Name: c.Type}
	}
	const noLimit = -1 // the max_length of varchar(max) and its like
	switch t.Name {
	case "decimal":
		t.Precision, t.Scale = c.Precision, c.Scale
	case "time", "datetime2", "datetimeoffset":
		t.Scale = c.Scale
	case "char", "varchar", "binary", "varbinary":
		t.Length = c.MaxLength
	case "nchar", "nvarchar":
		t.Length = c.MaxLength / 2 // of bytes
	default:
		return t
	}
	if c.MaxLength == noLimit {
		t.Length = mirror.MaxLength
	}
	return t
}

func (s *server) columnType(t mirror.Type) string {
	if s.opts.Collation != "" && t.Kind() == mirror.KindString && t.Name != "xml" {
		return t.String() + " COLLATE " + s.opts.Collation
	}
	return t.String()
}

// aroundInsert allows values for an identity column.
func aroundInsert(ctx context.Context, tx sqlstore.Execer, table string, columns []string) (before, behind string, err error) {
	var identity []string
	err = sqlx.SelectContext(ctx, tx, &identity,
		"SELECT CONVERT(nvarchar(128), name) FROM sys.columns WHERE object_id = OBJECT_ID(@p1) AND is_identity = 1", table)
	if err != nil {
		return "", "", err
	}
	for _, name := range identity {
		if slices.ContainsFunc(columns, func(c string) bool { return mirror.FoldName(c) == mirror.FoldName(name) }) {
			set := "SET IDENTITY_INSERT " + table
			return set + " ON; ", "; " + set + " OFF", nil
		}
	}
	return "", "", nil
}

// truncateText decides before it acts: inside a transaction with XACT_ABORT a
// TRUNCATE that fails leaves nothing to fall back to. A table cannot be
// truncated that another one references, that is replicated, captured, in
// memory or system-versioned, or that the login may not alter.
func truncateText(table string) string {
	return fmt.Sprintf(`IF EXISTS (SELECT 1 FROM sys.foreign_keys WHERE referenced_object_id = OBJECT_ID(@p1) AND parent_object_id <> referenced_object_id)
	OR EXISTS (SELECT 1 FROM sys.tables WHERE object_id = OBJECT_ID(@p1)
		AND (is_replicated = 1 OR is_merge_published = 1 OR is_tracked_by_cdc = 1 OR is_memory_optimized = 1 OR temporal_type = 2))
	OR HAS_PERMS_BY_NAME(@p1, 'OBJECT', 'ALTER') = 0
	DELETE FROM %[1]s
ELSE
	TRUNCATE TABLE %[1]s`, table)
}

func truncate(ctx context.Context, db sqlstore.Execer, table string) error {
	_, err := db.ExecContext(ctx, truncateText(table), table)
	return err
}

// codec is what a type needs to be read, ordered and written as package mirror
// demands. Parameters get the type of their column, so that the server seeks in
// an index instead of converting the whole of it.
func codec(t mirror.Type, utf8 bool) sqlstore.Codec {
	switch t.Kind() {
	case mirror.KindBool:
		return sqlstore.Codec{}
	case mirror.KindInt:
		return sqlstore.Codec{Encode: encodeInt(t)}
	case mirror.KindFloat:
		return floatCodec(t)
	case mirror.KindDecimal:
		return sqlstore.Codec{
			Param:  convert(t.String()),
			Encode: func(v driver.Value) any { return mssqldb.VarChar(v.([]byte)) },
		}
	case mirror.KindString:
		return textCodec(t, utf8)
	case mirror.KindBytes:
		return bytesCodec(t)
	case mirror.KindTime, mirror.KindTimeOfDay:
		if t.Name == "datetime" {
			return sqlstore.Codec{
				Decode: decodeTime,
				Encode: func(v driver.Value) any { return mssqldb.DateTime1(v.(time.Time)) },
			}
		}
		c := sqlstore.Codec{Param: convert(t.String()), Decode: decodeTime}
		if t.Name == "time" {
			c.Encode = encodeTimeOfDay
		}
		return c
	case mirror.KindTimeOffset:
		return sqlstore.Codec{
			Param: convert(t.String()),
			Equal: func(column, param string) string {
				return fmt.Sprintf("%[1]s = %[2]s AND DATEPART(tzoffset, %[1]s) = DATEPART(tzoffset, %[2]s)", column, param)
			},
		}
	case mirror.KindGUID:
		return sqlstore.Codec{
			// As bytes they do not depend on the driver's "guid conversion".
			Select: convert("binary(16)"),
			Param:  convert("uniqueidentifier"),
		}
	default:
		return sqlstore.Codec{Unordered: true}
	}
}

// convert returns what converts an expression to a type.
func convert(to string) func(expr string) string {
	return func(expr string) string { return "CONVERT(" + to + ", " + expr + ")" }
}

func encodeInt(t mirror.Type) func(driver.Value) any {
	switch t.Name {
	case "tinyint":
		return func(v driver.Value) any { return uint8(v.(int64)) }
	case "smallint":
		return func(v driver.Value) any { return int16(v.(int64)) }
	case "int":
		return func(v driver.Value) any { return int32(v.(int64)) }
	default:
		return nil
	}
}

// encodeTimeOfDay puts the time on a day of our era: Babelfish converts midnight
// of a day before 2000 to 24:00.
func encodeTimeOfDay(v driver.Value) any { return v.(time.Time).AddDate(2000, 0, 0) }

// floatCodec tells 0 from -0 by the bits.
func floatCodec(t mirror.Type) sqlstore.Codec {
	bits := convert("binary(8)")
	c := sqlstore.Codec{}
	if t.Name == "real" {
		bits = convert("binary(4)")
		c.Encode = func(v driver.Value) any { return float32(v.(float64)) }
	}
	c.Equal = func(column, param string) string {
		return fmt.Sprintf("%s = %s AND %s = %s", column, param, bits(column), bits(param))
	}
	return c
}

// textCodec compares text by its characters, whatever the collation of its
// column. SQL Server pads with blanks before it compares, so equality asks for
// the length, too, and order for a length or for a character behind the last
// one that comes before all others.
func textCodec(t mirror.Type, utf8 bool) sqlstore.Codec {
	national := national(t)
	exact := func(expr string) string { return national(expr) + " COLLATE " + binaryCollation }
	equal := func(column, param string) string {
		return fmt.Sprintf("%[1]s = %[2]s AND DATALENGTH(%[1]s) = DATALENGTH(%[2]s)", exact(column), exact(param))
	}
	c := sqlstore.Codec{Equal: equal}
	if t.Name != "text" && t.Name != "ntext" && t.Name != "xml" {
		// What is exactly equal is equal by the column's collation, too, and
		// by that the server can seek.
		c.Equal = func(column, param string) string {
			return fmt.Sprintf("%s = %s AND %s", column, param, equal(column, param))
		}
	}
	if utf8 {
		length := size(3*t.Length, 8000) // bytes of UTF-8 for each unit of UTF-16
		c.Order = func(expr string) []string {
			bytes := fmt.Sprintf("CONVERT(varbinary(%[1]s), CONVERT(varchar(%[1]s), %[2]s COLLATE %[3]s))", length, national(expr), utf8Collation)
			return []string{bytes, "DATALENGTH(" + bytes + ")"}
		}
	} else {
		c.Order = func(expr string) []string {
			return []string{fmt.Sprintf("(%s + NCHAR(1)) COLLATE %s", national(expr), binaryCollation)}
		}
	}
	if t.Name == "char" || t.Name == "varchar" || t.Name == "text" {
		c.Encode = encodeVarchar
	}
	return c
}

// national returns what makes nvarchar of text.
func national(t mirror.Type) func(expr string) string {
	if t.Name == "nchar" || t.Name == "nvarchar" {
		return func(expr string) string { return expr }
	}
	return convert("nvarchar(" + size(t.Length, maxNational) + ")")
}

// encodeVarchar sends ASCII, which is the same in every code page, as varchar.
// Other text goes as nvarchar: the server alone knows the column's code page.
func encodeVarchar(v driver.Value) any {
	s := v.(string)
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return s
		}
	}
	return mssqldb.VarChar(s)
}

// size returns the size of a type of that length: "max" for what has none, as
// text and xml, and for what exceeds the limit.
func size(length, limit int) string {
	if length <= 0 || length > limit {
		return "max"
	}
	return fmt.Sprint(length)
}

// bytesCodec adds the length to what is compared: SQL Server pads with zeros.
func bytesCodec(t mirror.Type) sqlstore.Codec {
	plain := func(expr string) string { return expr }
	if t.Name == "image" {
		plain = convert("varbinary(max)")
	}
	c := sqlstore.Codec{
		Param: convert("varbinary(" + size(t.Length, 8000) + ")"),
		Equal: func(column, param string) string {
			return fmt.Sprintf("%s = %s AND DATALENGTH(%s) = DATALENGTH(%s)", plain(column), param, column, param)
		},
	}
	if t.Name != "binary" {
		c.Order = func(expr string) []string {
			return []string{plain(expr), "DATALENGTH(" + plain(expr) + ")"}
		}
	}
	return c
}

// decodeTime puts times without a zone into UTC, whatever zone the connection
// string told the driver to put them into.
func decodeTime(v driver.Value) (driver.Value, error) {
	t, ok := v.(time.Time)
	if !ok {
		return nil, fmt.Errorf("%T is not a time", v)
	}
	if t.Location() == time.UTC {
		return v, nil
	}
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC), nil
}
