// Package sqlstore is the pluggable SQL layer: a [mirror.Store] over an
// *sqlx.DB, with everything that is the same for every engine. What differs is
// a [Dialect]; an engine is one file that fills it in.
//
// Names reach SQL only through Dialect.Quote and values only as bound
// parameters.
package sqlstore

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"

	"github.com/jmoiron/sqlx"

	"github.com/so-mirror/mirror"
)

// Dialect is what sqlstore must know about an engine. Fields without a stated
// default are required.
type Dialect struct {
	// Tables reads the catalogue. Types are SQL Server's, whatever the
	// engine calls them; a type that has no counterpart keeps its name and
	// is mirror.KindOther by that.
	Tables func(ctx context.Context, q sqlx.QueryerContext) ([]mirror.Table, error)

	// ColumnType returns the type of a column in CREATE TABLE.
	ColumnType func(t mirror.Type) string

	// Codec says how the columns of a type are read, ordered and written.
	Codec func(t mirror.Type) Codec

	// Quote quotes an identifier.
	// Default: double quotes, as standard SQL has it.
	Quote func(name string) string

	// Placeholder returns the nth parameter, counted from 1. Default: "?".
	Placeholder func(n int) string

	// Limit returns what makes a SELECT end after n rows: one part behind
	// SELECT, one part behind ORDER BY. Default: LIMIT at the end.
	Limit func(n int64) (head, tail string)

	// MaxParams is how many parameters one statement can have. Default: 900.
	MaxParams int

	// MaxRows is how many rows one INSERT can have. Default: 1000.
	MaxRows int

	// Begin is the statement that begins a transaction for writing; COMMIT
	// and ROLLBACK end it. Default: the driver's own transaction.
	Begin string

	// Setup are statements run on the connection right after a transaction
	// began.
	Setup []string

	// CreateSuffix returns what follows CREATE TABLE (...). Default: nothing.
	CreateSuffix func(t mirror.Table) string

	// Truncate empties a table. Default: DELETE FROM the table.
	Truncate func(ctx context.Context, db Execer, table string) error

	// DefaultFunctions maps functions that may stand as the default of a
	// column, in lower case with their parentheses ("getdate()"), to the
	// engine's expression. Default: none.
	DefaultFunctions map[string]string

	// Classify recognises the engine's errors. Default: all are ErrorOther.
	Classify func(err error) ErrorClass
}

// Execer is a connection or a transaction.
type Execer interface {
	sqlx.QueryerContext
	sqlx.ExecerContext
	sqlx.PreparerContext
}

// Codec says how one type is read, ordered and written. The zero Codec is for
// types that the driver delivers as mirror.Kind documents and that the engine
// orders as mirror.CompareKeys does.
type Codec struct {
	// Select returns the expression to read, from the quoted column.
	// Default: the column.
	Select func(column string) string

	// Order returns the expressions that order the type as
	// mirror.CompareKeys does, most significant first. It is applied to
	// columns and to parameters alike. Default: the column.
	Order func(expr string) []string

	// Equal returns the condition under which a column is exactly the value
	// of a parameter. Default: column = parameter.
	Equal func(column, param string) string

	// Unordered is true for types that cannot be in a key.
	Unordered bool

	// Decode converts what the driver delivers. Default: nothing to do.
	Decode func(v driver.Value) (driver.Value, error)

	// Encode converts a normalised value to what is bound. Default: nothing
	// to do.
	Encode func(v driver.Value) any
}

// ErrorClass is what sqlstore must know about an engine's error.
type ErrorClass uint8

// The classes.
const (
	ErrorOther         ErrorClass = iota
	ErrorTableNotFound            // the table does not exist
	ErrorConnection               // the connection is gone
)

func (d *Dialect) classify(err error) ErrorClass {
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

func (d *Dialect) table(t mirror.Table) string {
	if t.Schema == "" {
		return d.quote(t.Name)
	}
	return d.quote(t.Schema) + "." + d.quote(t.Name)
}

var (
	numberDefault = regexp.MustCompile(`^[+-]?[0-9]+(\.[0-9]+)?$`)
	stringDefault = regexp.MustCompile(`^[Nn]?('([^']|'')*')$`)
)

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
		return m[1], nil
	}
	if lower == "null" || numberDefault.MatchString(inner) {
		return inner, nil
	}
	return "", fmt.Errorf("default %q is neither a literal nor a known function", expr)
}
