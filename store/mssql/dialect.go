package mssql

import (
	"context"
	"database/sql/driver"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
	mssqldb "github.com/microsoft/go-mssqldb"

	"github.com/so-mirror/mirror/store"
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
		Identity:     srv.identity,
		Objects:      srv.objects,
		ColumnType:   srv.columnType,
		Codec:        func(t store.Type) sqlstore.Codec { return codec(t, srv.text()) },
		Quote:        quote,
		Schema:       srv.schema,
		Placeholder:  func(n int) string { return fmt.Sprintf("@p%d", n) },
		Limit:        func(n int64) (head, tail string) { return fmt.Sprintf("TOP (%d) ", n), "" },
		Offset:       func(n int64) string { return fmt.Sprintf(" OFFSET %d ROWS FETCH NEXT 1 ROWS ONLY", n) },
		MaxParams:    maxParams,
		MaxRows:      maxRows,
		Setup:        srv.setup,
		AroundRead:   srv.aroundRead,
		Hint:         srv.hint,
		AroundInsert: aroundInsert,
		Truncate:     srv.truncate,
		Rename:       rename,
		DefaultFunctions: map[string]string{
			"getdate()": "GETDATE()", "getutcdate()": "GETUTCDATE()", "current_timestamp": "CURRENT_TIMESTAMP",
			"sysdatetime()": "SYSDATETIME()", "sysutcdatetime()": "SYSUTCDATETIME()", "sysdatetimeoffset()": "SYSDATETIMEOFFSET()",
			"newid()": "NEWID()", "newsequentialid()": "NEWSEQUENTIALID()",
		},
		NationalStrings: true,
		OwnValues:       true, // it decodes rows ahead of whoever reads them, each into memory of its own
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
func (s *server) aroundRead(t store.Table) (before, behind string) {
	if s.isolation() == "snapshot" && !s.memoryOptimised(t) {
		return s.around(levelSnapshot)
	}
	return s.around(levelReadCommitted)
}

// The isolation levels of SQL Server by which is read.
const (
	levelSnapshot      = "SNAPSHOT"
	levelReadCommitted = "READ COMMITTED"
)

func (s *server) around(level string) (before, behind string) {
	const set = "SET TRANSACTION ISOLATION LEVEL "
	return s.limitLocks() + set + level + "; ", "; " + set + levelReadCommitted
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

func (s *server) columnType(t store.Type) string {
	if s.opts.Collation != "" && t.Kind() == store.KindString && t.Name != "xml" {
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
		if slices.ContainsFunc(columns, func(c string) bool { return store.FoldName(c) == store.FoldName(name) }) {
			set := "SET IDENTITY_INSERT " + table
			return set + " ON; ", "; " + set + " OFF", nil
		}
	}
	return "", "", nil
}

// truncateText decides before it acts: inside a transaction with XACT_ABORT a
// TRUNCATE that fails leaves nothing to fall back to. A table cannot be
// truncated that another one references, that is replicated, captured, in
// memory or system-versioned, that an indexed view or an EDGE constraint stands
// on, or that the login may not alter. In memory, DELETE needs a hint that no other
// table takes, so it is compiled only when it is run.
func truncateText(table string, has catalogueFacts) string {
	flags := "is_replicated = 1 OR is_merge_published = 1 OR is_tracked_by_cdc = 1"
	if has.Temporal > 0 {
		flags += " OR temporal_type = 2"
	}
	var b strings.Builder
	if has.Memory > 0 {
		fmt.Fprintf(&b, "IF EXISTS (SELECT 1 FROM sys.tables WHERE object_id = OBJECT_ID(@p1) AND is_memory_optimized = 1)\n\tEXEC (N'DELETE FROM %s WITH (SNAPSHOT)')\nELSE ",
			strings.ReplaceAll(table, "'", "''"))
	}
	fmt.Fprintf(&b, `IF EXISTS (SELECT 1 FROM sys.foreign_keys WHERE referenced_object_id = OBJECT_ID(@p1) AND parent_object_id <> referenced_object_id)
	OR EXISTS (SELECT 1 FROM sys.tables WHERE object_id = OBJECT_ID(@p1) AND (%s))`, flags)
	if has.Depends > 0 {
		b.WriteString(`
	OR EXISTS (SELECT 1 FROM sys.sql_dependencies AS d JOIN sys.indexes AS i ON i.object_id = d.object_id
		JOIN sys.views AS v ON v.object_id = d.object_id WHERE d.referenced_major_id = OBJECT_ID(@p1))`)
	}
	if has.Edges > 0 {
		b.WriteString(`
	OR EXISTS (SELECT 1 FROM sys.edge_constraint_clauses WHERE OBJECT_ID(@p1) IN (from_object_id, to_object_id))`)
	}
	fmt.Fprintf(&b, `
	OR HAS_PERMS_BY_NAME(@p1, 'OBJECT', 'ALTER') = 0
	DELETE FROM %[1]s
ELSE
	TRUNCATE TABLE %[1]s`, table)
	return b.String()
}

func (s *server) truncate(ctx context.Context, db sqlstore.Execer, table string) error {
	_, err := db.ExecContext(ctx, truncateText(table, s.catalogue()), table)
	return err
}

// codec is what a type needs to be read, ordered and written as package mirror
// demands. Parameters get the type of their column, so that the server seeks in
// an index instead of converting the whole of it.
func codec(t store.Type, rules textRules) sqlstore.Codec {
	switch t.Kind() {
	case store.KindBool:
		return sqlstore.Codec{}
	case store.KindInt:
		return sqlstore.Codec{Encode: encodeInt(t)}
	case store.KindFloat:
		return floatCodec(t)
	case store.KindDecimal:
		return sqlstore.Codec{
			Param:  convert(t.String()),
			Encode: func(v driver.Value) any { return mssqldb.VarChar(v.([]byte)) },
		}
	case store.KindString:
		return textCodec(t, rules)
	case store.KindBytes:
		return bytesCodec(t)
	case store.KindTime, store.KindTimeOfDay:
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
	case store.KindTimeOffset:
		return sqlstore.Codec{
			Param: convert(t.String()),
			Equal: func(column, param string) string {
				return fmt.Sprintf("%[1]s = %[2]s AND DATEPART(tzoffset, %[1]s) = DATEPART(tzoffset, %[2]s)", column, param)
			},
		}
	case store.KindGUID:
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

func encodeInt(t store.Type) func(driver.Value) any {
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
func floatCodec(t store.Type) sqlstore.Codec {
	bits := floatBits(t)
	c := sqlstore.Codec{}
	if t.Name == "real" {
		c.Encode = func(v driver.Value) any { return float32(v.(float64)) }
	}
	c.Equal = func(column, param string) string {
		return fmt.Sprintf("%s = %s AND %s = %s", column, param, bits(column), bits(param))
	}
	return c
}

// floatBits returns what makes bytes of a number, by which 0 and -0 differ.
func floatBits(t store.Type) func(expr string) string {
	if t.Name == "real" {
		return convert("binary(4)")
	}
	return convert("binary(8)")
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
func bytesCodec(t store.Type) sqlstore.Codec {
	plain := plainBytes(t)
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

// plainBytes returns what makes bytes that can be compared.
func plainBytes(t store.Type) func(expr string) string {
	if t.Name == "image" {
		return convert("varbinary(max)")
	}
	return func(expr string) string { return expr }
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
