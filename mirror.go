package mirror

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"time"
)

// Source is the read side of a database: a customer's database, a mirror, or a
// replica. [Mirror.Compare] takes Sources, so by its types it cannot write.
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

// Table describes one table.
type Table struct {
	// Schema is the schema prefix, such as "dbo" or "crm7". It is empty for
	// engines without schemas.
	Schema string `json:"schema,omitempty"`

	// Name is the name without its schema, as the database spells it.
	Name string `json:"name"`

	// Columns are in the order of the table. Nothing depends on that order.
	Columns []Column `json:"columns"`

	// Key names the columns of the primary key in key order. It is empty for
	// a table without one.
	Key []string `json:"key,omitempty"`

	// Omit says why the rows that can be read are not all there are, such as a
	// policy that hides some from this login, or a virtual table whose module is
	// missing. Such a table is not comparable. It is "" for all others.
	Omit string `json:"omit,omitempty"`
}

// unreadable reports whether the catalogue has the table's name and nothing else.
func (t Table) unreadable() bool { return t.Omit != "" && len(t.Columns) == 0 }

// String returns the name with its schema: "crm7.contact".
func (t Table) String() string {
	if t.Schema == "" {
		return t.Name
	}
	return t.Schema + "." + t.Name
}

// Column returns the column of exactly that name, or else the only one whose
// name [FoldName] folds alike.
func (t Table) Column(name string) (Column, bool) {
	folded := FoldName(name)
	var alike []Column
	for _, c := range t.Columns {
		if c.Name == name {
			return c, true
		}
		if FoldName(c.Name) == folded {
			alike = append(alike, c)
		}
	}
	if len(alike) != 1 {
		return Column{}, false
	}
	return alike[0], true
}

// ColumnNames returns the names of all columns in the order of the table.
func (t Table) ColumnNames() []string {
	names := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		names[i] = c.Name
	}
	return names
}

// Column describes one column of a table.
type Column struct {
	// Name is the name as the database spells it.
	Name string `json:"name"`

	// Type is the SQL Server type, whatever the engine: "nvarchar(219)".
	Type Type `json:"type"`

	// Nullable says whether NULL is allowed.
	Nullable bool `json:"nullable,omitempty"`

	// Default is the default expression as the database spells it, or "".
	Default string `json:"default,omitempty"`

	// Generated is true for computed columns, whose values the database
	// makes. They are reported but not compared, and never written; Create
	// takes them for plain columns, because their expression is not known.
	Generated bool `json:"generated,omitempty"`

	// Omit says why the values that this login reads cannot be compared: they
	// are masked or encrypted, or the server fills the column by itself. It is
	// "" for all others.
	Omit string `json:"omit,omitempty"`
}

// Row holds the values of one row in the order of [Query.Columns]. Each value
// is nil for NULL or has the one Go type that [Kind] documents for its column.
//
// SQLite lets a column hold values that are not of its type, such as the number
// 1577836800 in a datetime. They come as they are stored: int64, float64, string
// or []byte (in a decimal column []byte behind one byte of 0).
type Row []driver.Value

// Clone returns a copy that stays valid after the batch of r is gone.
func (r Row) Clone() Row {
	c := make(Row, len(r))
	for i, v := range r {
		if b, ok := v.([]byte); ok {
			v = append(make([]byte, 0, len(b)), b...)
		}
		c[i] = v
	}
	return c
}

// LSN is the change-tracking version of the last change that was written to a
// table of a mirror. The mirror alone stores it.
type LSN int64

// ResendAll is the LSN that asks the next cycle to wipe and repopulate a table.
const ResendAll LSN = -1

// Options configure a [Mirror]. The zero value of each field is its default.
type Options struct {
	// Logger receives one record for each reset and each Undo that was tried,
	// with its outcome: done, refused, failed or unknown. Default: no logging.
	Logger *slog.Logger

	// Progress is called while Compare reads, from one goroutine at a time.
	// It must not block. Default: no progress.
	Progress func(Progress)

	// MetadataTable is the name of the metadata table.
	// Default: "<context identifier>_mirroring".
	MetadataTable string

	// TableColumn is the metadata table's column with the table's name.
	// Default: "tablename".
	TableColumn string

	// LSNColumn is the metadata table's column with the LSN.
	// Default: "LSN".
	LSNColumn string

	// Journal is given the Receipt of each change right before it is committed,
	// and told afterwards how that ended. One that fails before the commit
	// stops the operation with ErrJournal. Default: no journal.
	Journal Journal

	// Clock tells the time. Like Sleep it is called from several goroutines.
	// Default: time.Now.
	Clock func() time.Time

	// Sleep waits for d and returns nil, or ctx.Err() as soon as ctx is done.
	// Default: it waits on a timer.
	Sleep func(ctx context.Context, d time.Duration) error
}

// Progress is one observation of a running comparison.
type Progress struct {
	// Table is the table being compared, as the mirror names it.
	Table string

	// Rows is the number of source rows compared so far, Expected the number
	// that was counted before reading began.
	Rows, Expected int64

	// Remaining estimates how long the rest of the table takes, from the rows
	// so far; 0 when there is nothing to go by.
	Remaining time.Duration

	// TablesDone of Tables are finished.
	TablesDone, Tables int
}

// Mirror is one customer's mirror. It is safe for concurrent use.
type Mirror struct {
	contextID string
	store     Store
	log       *slog.Logger
	progress  func(Progress)
	journal   Journal
	clock     func() time.Time
	sleep     func(context.Context, time.Duration) error
	names     metadataNames
	tuning    tuning
}

// New returns the mirror of the customer with that context identifier, such as
// "Cust10195", that lives in store. It touches nothing: whether the metadata
// table exists is for [Mirror.Status] to say. The caller keeps ownership of
// store and of the database below it.
//
// A context identifier is letters, digits, '_' and '-', starts with a letter,
// and fits into 128 characters together with "_mirroring" (128 is SQL Server's
// limit for a table's name); anything else is ErrInvalidContextID.
func New(contextID string, store Store, opts *Options) (*Mirror, error) {
	if err := checkContextID(contextID); err != nil {
		return nil, err
	}
	if store == nil {
		return nil, errors.New("new mirror: store is nil: pass the store of the mirror's database")
	}
	var o Options
	if opts != nil {
		o = *opts
	}
	m := &Mirror{
		contextID: contextID,
		store:     store,
		log:       o.Logger,
		progress:  o.Progress,
		journal:   o.Journal,
		clock:     o.Clock,
		sleep:     o.Sleep,
		tuning:    defaultTuning(),
		names:     metadataNames{table: o.MetadataTable, tableColumn: o.TableColumn, lsnColumn: o.LSNColumn},
	}
	if m.log == nil {
		m.log = slog.New(slog.DiscardHandler)
	}
	if m.clock == nil {
		m.clock = time.Now
	}
	if m.sleep == nil {
		m.sleep = sleep
	}
	if m.names.table == "" {
		m.names.table = MetadataTableName(contextID)
	}
	if m.names.tableColumn == "" {
		m.names.tableColumn = "tablename"
	}
	if m.names.lsnColumn == "" {
		m.names.lsnColumn = "LSN"
	}
	return m, nil
}

// sameCustomer reports whether two context identifiers are one customer's. Tables
// named after them have one name, so case does not count.
func sameCustomer(a, b string) bool { return FoldName(a) == FoldName(b) }

// ContextID returns the customer's context identifier.
func (m *Mirror) ContextID() string { return m.contextID }

const (
	metadataSuffix = "_mirroring"
	maxNameLength  = 128
)

// MetadataTableName returns the default name of a customer's metadata table:
// "Cust10195_mirroring" for "Cust10195".
func MetadataTableName(contextID string) string { return contextID + metadataSuffix }

func checkContextID(id string) error {
	reason := ""
	switch {
	case id == "":
		reason = "it is empty"
	case len(id) > maxNameLength-len(metadataSuffix):
		reason = fmt.Sprintf("it has %d characters, and at most %d fit into a table's name with %q",
			len(id), maxNameLength-len(metadataSuffix), metadataSuffix)
	case !isLetter(id[0]):
		reason = "it does not start with a letter"
	default:
		for _, r := range id {
			if r > 127 || !isLetter(byte(r)) && (r < '0' || r > '9') && r != '_' && r != '-' {
				reason = fmt.Sprintf("%q is not a letter, a digit, '_' or '-'", r)
				break
			}
		}
	}
	if reason == "" {
		return nil
	}
	if len(id) > maxNameLength {
		id = id[:maxNameLength] + "..."
	}
	return fmt.Errorf("%w %q: %s", ErrInvalidContextID, id, reason)
}

func isLetter(b byte) bool { return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' }
