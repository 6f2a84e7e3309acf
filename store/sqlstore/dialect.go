// Package sqlstore is the pluggable SQL layer: a [store.Store] over an
// *sqlx.DB, with everything that is the same for every engine. What differs is
// a [Dialect]; an engine fills it in.
//
// Names reach SQL only through Dialect.Quote and values only as bound
// parameters.
package sqlstore

import (
	"cmp"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/so-mirror/mirror/store"
)

// Dialect is what sqlstore must know about an engine. Fields without a stated
// default are required.
type Dialect struct {
	// Prepare asks the server, before anything else is sent, for what the
	// other fields depend on. It is called often and asks once.
	// Default: nothing to ask.
	Prepare func(ctx context.Context, q sqlx.QueryerContext) error

	// Tables reads the catalogue. Types are SQL Server's, whatever the
	// engine calls them; a type that has no counterpart keeps its name and
	// is store.KindOther by that.
	Tables func(ctx context.Context, q sqlx.QueryerContext) ([]store.Table, error)

	// Identity says which database the pool serves.
	// Default: it cannot be told, and the method of store.Identifier returns
	// errors.ErrUnsupported.
	Identity func(ctx context.Context, q sqlx.QueryerContext) (store.Identity, error)

	// Objects lists what the database has besides tables.
	// Default: it cannot be told, and the method of store.Inventorier returns
	// errors.ErrUnsupported.
	Objects func(ctx context.Context, q sqlx.QueryerContext) ([]store.Object, error)

	// ColumnType returns the type of a column in CREATE TABLE.
	ColumnType func(t store.Type) string

	// Codec says how the columns of a type are read, ordered and written.
	Codec func(t store.Type) Codec

	// Plain reports whether all values of some columns of a table, all of them
	// with a Codec.Plain, are stored so that they are in order by themselves.
	// Table and columns are quoted. It is asked before each reading by such a
	// key. Default: they never are.
	Plain func(ctx context.Context, conn *sqlx.Conn, table string, types []store.Type, columns []string) (bool, error)

	// Qualified is true for engines that take a quoted name for something else
	// when there is no column of that name: columns are then named together
	// with their table wherever rows are read. Default: they stand alone.
	Qualified bool

	// Quote quotes an identifier.
	// Default: double quotes, as standard SQL has it.
	Quote func(name string) string

	// AnyValue is true for engines that hold values of any type in a column.
	AnyValue bool

	// Rename renames a table, whose name is quoted with its schema, inside of a
	// transaction, as store.Renamer demands. Default: it cannot be done.
	Rename func(ctx context.Context, tx Execer, t store.Table, table, name string) error

	// Schema returns the schema of tables that are named without one.
	// Default: they stay without one.
	Schema func() string

	// Placeholder returns the nth parameter, counted from 1. Default: "?".
	Placeholder func(n int) string

	// Limit returns what makes a SELECT end after n rows: one part behind
	// SELECT, one part behind ORDER BY. Default: LIMIT at the end.
	Limit func(n int64) (head, tail string)

	// Values returns a table for FROM, of rows such as "(1, ?), (2, ?)" and
	// with the names of its columns.
	// Default: (VALUES rows) AS alias (names).
	Values func(alias string, names []string, rows string) string

	// Offset returns what makes an ordered SELECT deliver the one row that has n
	// rows before it. Default: LIMIT 1 OFFSET n.
	Offset func(n int64) (tail string)

	// MaxParams is how many parameters one statement can have. Default: 900.
	MaxParams int

	// MaxRows is how many rows one INSERT can have. Default: 1000.
	MaxRows int

	// Begin is the statement that begins a transaction for writing; COMMIT
	// and ROLLBACK end it. Default: the driver's own transaction.
	Begin string

	// RolledBack reports whether a ROLLBACK failed only because the engine
	// had rolled the transaction back by itself.
	// Default: a failed ROLLBACK costs the connection.
	RolledBack func(err error) bool

	// Setup is run right after a transaction began. Default: nothing to do.
	Setup func(ctx context.Context, tx Execer) error

	// AroundRead returns what stands before and behind each SELECT from t outside
	// of a transaction, in the same batch. Such a batch always has a parameter, so
	// that a driver sends it as a call. Default: nothing.
	AroundRead func(t store.Table) (before, behind string)

	// Hint follows the name of a table that is read. Inside a transaction it
	// keeps others from changing what was read. Default: nothing.
	Hint func(t store.Table, inTx bool) string

	// AroundInsert returns what stands before and behind each INSERT into a
	// table, in the same batch. Table is quoted, columns are not.
	// Default: nothing.
	AroundInsert func(ctx context.Context, tx Execer, table string, columns []string) (before, behind string, err error)

	// CreateSuffix returns what follows CREATE TABLE (...). Default: nothing.
	CreateSuffix func(t store.Table) string

	// Truncate empties a table. Default: DELETE FROM the table.
	Truncate func(ctx context.Context, db Execer, table string) error

	// Digests is how the engine summarises rows. Default: it cannot, and the
	// methods of store.Digester return errors.ErrUnsupported.
	Digests *Digests

	// Joins is how the engine compares two databases. Default: it cannot.
	Joins *Joins

	// DefaultFunctions maps functions that may stand as the default of a
	// column, in lower case with their parentheses ("getdate()"), to the
	// engine's expression. Default: none.
	DefaultFunctions map[string]string

	// DefaultTime returns the time as a column of type t stores it, when one of
	// those functions is its default. Default: their expression.
	DefaultTime func(t store.Type) string

	// NationalStrings is true when a string default that was written N'text'
	// keeps its N. Default: it loses it.
	NationalStrings bool

	// OwnValues is true when the driver never uses the memory of a []byte that
	// it delivered again, which lets comparisons do without a copy.
	// Default: it may, as database/sql allows.
	OwnValues bool

	// StoredForm is what store.Decoder.StoredForm returns: the name of the form
	// that values have before Codec.Decode. Default: they are always decoded.
	StoredForm string

	// Timeout bounds each statement, and in Rows each wait for the next rows.
	// What takes longer is an error that wraps context.DeadlineExceeded.
	// Default: no limit.
	Timeout time.Duration

	// Classify recognises the engine's errors. Default: all are ErrorOther.
	Classify func(err error) ErrorClass

	// Advice returns a sentence that tells an operator what to do about an
	// error of that class, or "". Default: no advice.
	Advice func(class ErrorClass, err error) string

	// Refused reports whether the server itself answered with err, so that a
	// commit that ended with it was not carried out.
	// Default: every error that is not ErrorConnection.
	Refused func(err error) bool
}

// Digests is what sqlstore must know to summarise rows where they are stored.
// Fields without a stated default are required.
type Digests struct {
	// Scheme is what store.Digester.DigestScheme returns.
	Scheme string

	// Prepare is Dialect.Prepare for what only digests depend on. It runs
	// after that. Default: nothing to ask.
	Prepare func(ctx context.Context, q sqlx.QueryerContext) error

	// Key refuses, with errors.ErrUnsupported, a type that cannot order rows
	// exactly as store.CompareKeys does, or whose values First cannot pick.
	// Default: every type is as good as in Rows.
	Key func(t store.Type) error

	// Hash returns an expression for 64 bits, as an integer, of the values
	// of one row. Rows that differ by store.EqualValues, be it in another
	// table whose columns have other types, have the same hash only by
	// chance. Names are the expressions of the columns, of which there is at
	// least one. What cannot be hashed is errors.ErrUnsupported.
	Hash func(cols []store.Column, names []string) (string, error)

	// Total returns a text over all rows of a group: their number and, when
	// there is a hash, behind a blank the sum of it, in which no row may
	// cancel another. It holds hash once. It is NULL or 0 for no rows.
	Total func(hash string) string

	// Ranked is true when rows are numbered by RANK wherever several can have
	// one key, as in a column with Codec.Respelled. First must then do without
	// its condition, which no row of a group may meet.
	Ranked bool

	// First returns the value of a column in that row of a group which meets
	// a condition: the one with the least number, by which groups are ordered.
	// Default: MAX(CASE WHEN condition THEN column END).
	First func(t store.Type, condition, column string) string
}

// Execer is a connection or a transaction.
type Execer interface {
	sqlx.QueryerContext
	sqlx.ExecerContext
	sqlx.PreparerContext
}

// Codec says how one type is read, ordered and written. The zero Codec is for
// types that the driver delivers as store.Kind documents and that the engine
// orders as store.CompareKeys does.
type Codec struct {
	// Select returns the expression to read, from the quoted column.
	// Default: the column.
	Select func(column string) string

	// Param returns the expression that stands for a bound value, from its
	// placeholder. Default: the placeholder.
	Param func(placeholder string) string

	// Order returns the expressions that order the type as
	// store.CompareKeys does, most significant first. It is applied to
	// columns and to what Param returns alike. Default: the column.
	Order func(expr string) []string

	// Seeks is true when Order is the order of an index on the column. Default:
	// that is only so without an Order.
	Seeks bool

	// Bound converts a key's value, as store.StoredValue leaves it, to what is
	// compared with the one expression of Order, which may be of another type
	// than the column. Default: it is encoded as it would be written, Param and
	// Order are applied to its placeholder, and what does not fit the type is an
	// error.
	Bound func(v driver.Value) any

	// Plain takes the place of Bound, and the column that of Order, as long as
	// Dialect.Plain says so. Default: they are always used.
	Plain func(v driver.Value) any

	// Equal returns the condition under which a column is exactly the value
	// of a parameter, which is what Param returns. Default: column = parameter.
	Equal func(column, param string) string

	// Respelled is true when the engine takes two spellings of one value for two
	// keys, so that a primary key can hold values that store.CompareKeys calls
	// equal. It does not count where Plain does.
	Respelled bool

	// Alike is true when values that Order calls equal are equal to the engine as
	// they are, too, and only by that it can seek. Default: it seeks by Order, or
	// not at all.
	Alike bool

	// Unordered is true for types that cannot be in a key.
	Unordered bool

	// Stored makes the stored value of what Select delivers of it, before it is
	// decoded. Default: Select delivers it.
	Stored func(v driver.Value) driver.Value

	// Check refuses what the engine would not store as it is bound.
	// Default: there is nothing of that kind.
	Check func(bound any) error

	// Decode converts what the driver delivers. With Dialect.StoredForm it never
	// fails, and what is the same before is the same after it. Default: nothing to
	// do.
	Decode func(v driver.Value) (driver.Value, error)

	// Exact reads text whose value holds U+FFFD when it is read by Select: the
	// driver puts it in the place of what has no letter, so that two texts look
	// alike. Only its Select and Decode count. Default: Select shows all there is.
	Exact *Codec

	// Encode converts a normalised value to what is bound. Default: nothing
	// to do.
	Encode func(v driver.Value) any
}

// ErrorClass is what sqlstore must know about an engine's error.
type ErrorClass uint8

// The classes. Each but the first and the last is an error of package mirror.
const (
	ErrorOther         ErrorClass = iota
	ErrorTableNotFound            // store.ErrTableNotFound
	ErrorConnection               // store.ErrConnection
	ErrorDeadlock                 // store.ErrDeadlock; the transaction is gone and may be tried again
	ErrorLockTimeout              // store.ErrLockTimeout
	ErrorPermission               // store.ErrPermission
	ErrorLogin                    // store.ErrLogin
	ErrorBusy                     // store.ErrBusy: another transaction writes
	ErrorConstraint               // store.ErrConstraint
	ErrorUnsupported              // errors.ErrUnsupported: the engine cannot do it
)

var sentinels = [...]error{
	ErrorTableNotFound: store.ErrTableNotFound,
	ErrorConnection:    store.ErrConnection,
	ErrorDeadlock:      store.ErrDeadlock,
	ErrorLockTimeout:   store.ErrLockTimeout,
	ErrorPermission:    store.ErrPermission,
	ErrorLogin:         store.ErrLogin,
	ErrorBusy:          store.ErrBusy,
	ErrorConstraint:    store.ErrConstraint,
	ErrorUnsupported:   errors.ErrUnsupported,
}

func (d *Dialect) classify(err error) ErrorClass {
	var late *timeoutError
	if err == nil || errors.As(err, &late) {
		return ErrorOther
	}
	if isConnectionError(err) {
		return ErrorConnection
	}
	if d.Classify == nil {
		return ErrorOther
	}
	return d.Classify(err)
}

func isConnectionError(err error) bool {
	var netErr net.Error
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) ||
		errors.As(err, &netErr)
}

func (d *Dialect) quote(name string) string {
	if d.Quote != nil {
		return d.Quote(name)
	}
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

// limit returns what makes a SELECT end after n rows, nothing for 0.
func (d *Dialect) limit(n int64) (head, tail string) {
	switch {
	case n <= 0:
		return "", ""
	case d.Limit != nil:
		return d.Limit(n)
	default:
		return "", fmt.Sprintf(" LIMIT %d", n)
	}
}

// offset returns what makes an ordered SELECT deliver its row behind n others.
func (d *Dialect) offset(n int64) string {
	if d.Offset != nil {
		return d.Offset(n)
	}
	return fmt.Sprintf(" LIMIT 1 OFFSET %d", n)
}

func (d *Dialect) hint(t store.Table, inTx bool) string {
	if d.Hint == nil {
		return ""
	}
	return d.Hint(t, inTx)
}

func (d *Dialect) maxParams() int { return cmp.Or(d.MaxParams, defaultMaxParams) }

func (d *Dialect) table(t store.Table) string {
	parts := d.nameOf(t)
	for i, part := range parts {
		parts[i] = d.quote(part)
	}
	return strings.Join(parts, ".")
}

// nameOf returns the parts of a table's name.
func (d *Dialect) nameOf(t store.Table) []string {
	schema := t.Schema
	if schema == "" && d.Schema != nil {
		schema = d.Schema()
	}
	if schema == "" {
		return []string{t.Name}
	}
	return []string{schema, t.Name}
}

var (
	numberDefault = regexp.MustCompile(`^[+-]?[0-9]+(\.[0-9]+)?$`)
	stringDefault = regexp.MustCompile(`^([Nn]?)('([^']|'')*')$`)
)

// defaultOf returns the SQL of a column's default.
func (d *Dialect) defaultOf(c store.Column) (string, error) {
	if d.DefaultTime != nil {
		if _, ok := d.DefaultFunctions[bareDefault(c.Default)]; ok {
			return d.DefaultTime(c.Type), nil
		}
	}
	return d.defaultValue(c.Default)
}

// bareDefault is a default in lower case without the parentheses around it.
func bareDefault(expr string) string {
	inner := strings.TrimSpace(expr)
	for len(inner) > 1 && inner[0] == '(' && inner[len(inner)-1] == ')' {
		inner = strings.TrimSpace(inner[1 : len(inner)-1])
	}
	return strings.ToLower(inner)
}

// defaultValue returns the SQL of a default that Create may write: NULL, a
// number, a string or a known function. Defaults come from catalogues and from
// receipts that people can edit, so no other text reaches SQL.
func (d *Dialect) defaultValue(expr string) (string, error) {
	inner := strings.TrimSpace(expr)
	for len(inner) > 1 && inner[0] == '(' && inner[len(inner)-1] == ')' {
		inner = strings.TrimSpace(inner[1 : len(inner)-1])
	}
	lower := strings.ToLower(inner)
	if f, ok := d.DefaultFunctions[lower]; ok {
		return f, nil
	}
	if m := stringDefault.FindStringSubmatch(inner); m != nil {
		if d.NationalStrings {
			return m[0], nil
		}
		return m[2], nil
	}
	if lower == "null" || numberDefault.MatchString(inner) {
		return inner, nil
	}
	return "", fmt.Errorf("default %q is neither a literal nor a known function", expr)
}
