package store

import (
	"context"
	"database/sql/driver"
	"iter"
)

// Source is the read side of a database: a customer's database, a mirror, or a
// replica. Comparing takes Sources, so by its types it cannot write.
//
// A Source is safe for concurrent use. Errors of a done context are returned
// as they are, so errors.Is(err, context.Canceled) holds.
type Source interface {
	// Tables lists the tables that this Source serves, with their columns and
	// primary keys, in any order. The metadata table is one of them.
	Tables(ctx context.Context) ([]Table, error)

	// Count returns the exact number of rows of t. It returns an error that
	// wraps ErrTableNotFound when there is no such table.
	Count(ctx context.Context, t Table) (int64, error)

	// Rows reads rows of one table in batches, in the order that Query.Key
	// and [CompareKeys] define, whatever the collations of the database. A
	// batch is never empty. It and its values are valid until the next
	// iteration: whoever keeps a value copies it first (see [Row.Clone]).
	// An error ends the iteration; it wraps ErrTableNotFound when there is
	// no such table and errors.ErrUnsupported when the engine cannot deliver
	// the order.
	Rows(ctx context.Context, q Query) iter.Seq2[[]Row, error]
}

// Store is a mirror's database: a Source, and one transaction for the writes.
type Store interface {
	Source

	// Update runs fn in one transaction. When fn returns nil the transaction
	// is committed, otherwise it is rolled back and fn's error returned as it
	// is. Whatever fails, all of the writes are there or none. Two Updates of
	// one database do not run at the same time, or behave as if they did not.
	// A commit whose outcome cannot be known is ErrOutcomeUnknown. A store
	// may run fn again after it has rolled a first try back, so fn changes
	// nothing but the transaction.
	//
	// A context that is done before the commit rolls back, and so does a fn
	// that panics. The Tx is valid until fn returns, gives errors after that,
	// and is not safe for concurrent use.
	Update(ctx context.Context, fn func(tx Tx) error) error
}

// Tx is one transaction of a Store. Its reads see its own writes.
//
// Tables and columns are named exactly as Tables returned them. Values are
// given as Go literals that [Normalize] accepts for the type of their column.
// A method that fails, be it a read, leaves the transaction fit only for
// rollback: Update then returns the error even if the function given to it does
// not. A table that does not exist is ErrTableNotFound.
type Tx interface {
	Source

	// Create creates a table with the columns and the primary key of t. An
	// existing table of that name is an error.
	// Names and types are taken from t as data: text that is not a known
	// type, a literal or one of the usual functions as default is refused.
	Create(ctx context.Context, t Table) error

	// Drop drops t, with its rows.
	Drop(ctx context.Context, t Table) error

	// Truncate deletes all rows of t.
	Truncate(ctx context.Context, t Table) error

	// Insert adds rows whose values are in the order of columns; a column
	// that is not named gets its default or NULL. It keeps neither the rows
	// nor their values.
	Insert(ctx context.Context, t Table, columns []string, rows []Row) error

	// Set gives the columns of set their values in every row that has all
	// values of where, and returns the number of those rows. A nil value in
	// where matches NULL; an empty where matches every row.
	Set(ctx context.Context, t Table, where, set []Cell) (int64, error)

	// Delete deletes every row that has all values of where and returns
	// their number. An empty where is an error: see Truncate.
	Delete(ctx context.Context, t Table, where []Cell) (int64, error)
}

// Query says what [Source.Rows] reads.
type Query struct {
	// Table is the table to read, as Tables returned it.
	Table Table

	// Columns are the columns to read, in the order of the values of a Row.
	// Default: all columns of the table.
	Columns []string

	// Key are the columns that order the rows, most significant first.
	// Default: no particular order.
	Key []string

	// From and Before bound the rows by the values of Key: From <= key <
	// Before, as CompareKeys orders them. Default: unbounded.
	From, Before Row

	// Limit is the number of rows after which reading ends. Default: all.
	Limit int64

	// Stored are columns of Columns, none of them of Key, whose values come as
	// they are stored, for a [Decoder] to decode. A store that is none ignores
	// it. Default: every value is that of a Row.
	Stored []string

	// Verbatim asks for a [Verbatim] in place of a value that is not of its
	// column's type, or that the engine would store in another spelling.
	// Default: such values are errors, or come as the store makes of them.
	Verbatim bool
}

// Verbatim is a value as an engine stores it, in a column of another type: text
// in a bigint column of SQLite, for instance. [Tx] writes it back, and finds
// rows by it, as it is. A store whose engine holds no such values delivers none
// and refuses them.
type Verbatim struct{ Value driver.Value }
