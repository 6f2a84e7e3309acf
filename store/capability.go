package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"iter"
	"reflect"
)

// Identifier is an optional capability of a [Source] that can tell which
// database it serves. With it Compare finds out that both sides are the same one,
// its report says what was compared with what, and no plan or receipt of one database
// is taken for another's.
type Identifier interface {
	// Identity returns what is known about the database. What the login may not
	// see is left empty and is no error.
	Identity(ctx context.Context) (Identity, error)
}

// IdentityOf returns the identity of the database that s serves, the zero Identity
// when it cannot tell.
func IdentityOf(ctx context.Context, s Source) (Identity, error) {
	i, ok := s.(Identifier)
	if !ok {
		return Identity{}, nil
	}
	id, err := i.Identity(ctx)
	if errors.Is(err, errors.ErrUnsupported) {
		return Identity{}, nil
	}
	return id, err
}

// Identity says which database a [Source] serves, without secrets: no login, no
// password, no connection string.
type Identity struct {
	// Engine and Version are those of the database: "sqlite" and "3.46.0".
	Engine  string `json:"engine,omitempty"`
	Version string `json:"version,omitempty"`

	// Server, Database and Schema are names for people. Database is the path
	// where the database is a file.
	Server   string `json:"server,omitempty"`
	Database string `json:"database,omitempty"`
	Schema   string `json:"schema,omitempty"`

	// ID is the same for two Sources exactly when they serve the same tables:
	// the same database, whatever address, path or link leads to it, and the
	// same schema. A copy has another one, and on some engines the database itself,
	// once it was renamed, moved or restored. It is "" when that cannot be told.
	ID string `json:"id,omitempty"`
}

// Isolator is an optional capability of a [Source] that can tell how its reads
// are isolated from the writes of others.
type Isolator interface {
	// Isolation returns the isolation of each read, such as "snapshot" or
	// "read committed".
	Isolation(ctx context.Context) (string, error)
}

// IsolationOf returns the isolation of a source's reads, "" when it cannot tell.
func IsolationOf(ctx context.Context, s Source) (string, error) {
	i, ok := s.(Isolator)
	if !ok {
		return "", nil
	}
	return i.Isolation(ctx)
}

// Renamer is an optional capability of a [Tx] whose engine can rename tables.
type Renamer interface {
	// Rename gives t another name. Its columns, rows, key, constraints, indexes
	// and counters stay as they are, and none of their names stands in the way
	// of a new table like t; renaming it back restores them all. A name that is
	// taken is an error. It wraps errors.ErrUnsupported when the table cannot
	// be renamed in this way; like all errors it ends the transaction.
	Rename(ctx context.Context, t Table, name string) error
}

// ChangeTracker is an optional capability of a [Source] whose engine tracks
// changes. Its methods return an error that wraps errors.ErrUnsupported where
// tracking is off for the database or the table, or not visible to the login.
type ChangeTracker interface {
	// Version returns the version of the last change in the database.
	Version(ctx context.Context) (LSN, error)

	// MinValidVersion returns the version from which on the changes of t are
	// known. What a client knows from before that has to be read anew.
	MinValidVersion(ctx context.Context, t Table) (LSN, error)

	// Changed reports for each of keys, which are values of Table.Key,
	// whether its row was inserted, updated or deleted after version since.
	// A version before MinValidVersion is an error.
	Changed(ctx context.Context, t Table, since LSN, keys []Row) ([]bool, error)

	// ChangedKeys lists the keys, which are values of Table.Key as Rows delivers
	// them, whose rows were inserted, updated or deleted after version since:
	// those behind the key after, or from the first on when it is nil. They
	// ascend as CompareKeys orders them, each once however often it changed.
	// There are at most n, which is at least 1; fewer are the last. An update
	// that gives a row another key deletes the one and inserts the other. Where
	// the engine takes two spellings for one key and CompareKeys does not, such
	// as "a" and "A", the one that its row has now is there; the other may be.
	//
	// A change that is committed before the first page is asked for is in one of
	// the pages; one that comes while they are read may be in none: whoever
	// wants it later asks since a Version from before the first page. A call can
	// cost as much as all changes after since, so large pages are cheap and many
	// small ones are not. A version before MinValidVersion is an error, never a
	// list with keys missing. One after Version, as a restored backup leaves
	// behind, has no changes yet.
	ChangedKeys(ctx context.Context, t Table, since LSN, after Row, n int) ([]Row, error)
}

// Digester is an optional capability of a [Source] that can summarise rows where
// they are stored, so that a comparison over a slow link need not fetch those
// that are equal. Without it Compare streams all rows.
//
// Both methods serve the rows of q in the order of q.Key, within q.From and
// q.Before. Key columns are not NULL. A column list that is empty, but not nil,
// asks for numbers of rows and keys alone. What a type or an engine cannot do is
// an error that wraps errors.ErrUnsupported.
type Digester interface {
	// DigestScheme names the way in which sums are made, "" when there are
	// none. The sums of two Sources can be compared when their schemes are the
	// same.
	DigestScheme() string

	// DigestEvery cuts the rows into ranges of n rows, of which the last may
	// have fewer, and returns their digests in key order, each with its First
	// key. Rows whose keys CompareKeys calls equal, such as two spellings of one
	// number, are in one range, which can then have more than n rows and those
	// behind it fewer. After q.Limit rows it stops, as Rows does. No rows are no
	// digests.
	DigestEvery(ctx context.Context, q Query, n int64) ([]Digest, error)

	// DigestAt cuts the rows before each of the keys cuts, which are in
	// ascending order, and returns the len(cuts)+1 digests from the rows
	// before cuts[0] to those from the last cut on. Their First is nil, and
	// q.Limit does not count.
	DigestAt(ctx context.Context, q Query, cuts []Row) ([]Digest, error)
}

// Digest summarises the rows of a key range.
type Digest struct {
	// First is the key of the first row.
	First Row

	// Rows is the exact number of rows.
	Rows int64

	// Sum depends on each row's values of the columns asked for and on how
	// often it occurs, not on the order of rows. Ranges that differ have the
	// same Sum with a probability of 2^-64. Ranges of equal values may have
	// different sums, which costs time and changes no verdict. It is "" when
	// there are no rows or no columns were asked for.
	Sum string
}

// KeyReader is an optional capability of a [Source] that finds single rows by
// their keys, so that a comparison that knows which rows to look at need not
// read the others.
type KeyReader interface {
	// RowsAt reads the rows of q whose values of q.Key are one of keys, as
	// [CompareKeys] has it: several rows of one key where it is not unique or
	// the engine has two spellings of it, none of a key that is not there.
	// They come as Rows delivers them, in batches and in the order of q.Key.
	//
	// Keys ascend as CompareKeys orders them and hold no NULL; one that is given
	// twice counts once. They may be any number: the rows of a few hundred are
	// read at one moment, those of others at another one. The key is not empty,
	// and q has neither bounds nor a limit. A key that its columns cannot hold
	// is an error, as a bound in Rows is. What this engine cannot do at all is
	// one that wraps errors.ErrUnsupported.
	RowsAt(ctx context.Context, q Query, keys []Row) iter.Seq2[[]Row, error]
}

// RowsAt is [KeyReader.RowsAt] of s, an error that wraps errors.ErrUnsupported
// when s is no KeyReader.
func RowsAt(ctx context.Context, s Source, q Query, keys []Row) iter.Seq2[[]Row, error] {
	if r, ok := s.(KeyReader); ok {
		return r.RowsAt(ctx, q, keys)
	}
	return func(yield func([]Row, error) bool) {
		yield(nil, fmt.Errorf("read rows of %s by their keys: %w", q.Table, errors.ErrUnsupported))
	}
}

// BatchKeeper is an optional capability of a [Source] whose batches stay valid
// for longer than until the next iteration of Rows. With it Compare reads ahead
// without a copy.
type BatchKeeper interface {
	// KeepsBatches returns for how many further iterations a batch and its
	// values stay valid.
	KeepsBatches() int
}

// KeepsBatches reports whether batches of s stay valid for n further iterations.
func KeepsBatches(s Source, n int) bool {
	k, ok := s.(BatchKeeper)
	return ok && k.KeepsBatches() >= n
}

// Decoder is an optional capability of a [Source] whose engine stores values of
// some types in another form than that of a [Row]: times as text, for instance.
// With it Compare decodes only values that differ.
type Decoder interface {
	// StoredForm names the way in which values are stored, "" when they always
	// come as those of a Row. What two Sources with the same form deliver alike,
	// in columns of the same type, is equal by [EqualValues].
	StoredForm() string

	// Decoder returns what makes a value of a Row of one, not NULL, that came by
	// [Query.Stored] in a column of type t. It is nil when there is nothing to do.
	Decoder(t Type) func(stored driver.Value) driver.Value
}

// AnyValuer is an optional capability of a [Source] whose columns can hold
// values that are not of their type (see [Row]).
type AnyValuer interface {
	HoldsAnyValue() bool
}

// HoldsAnyValue reports whether s is an [AnyValuer] that says so.
func HoldsAnyValue(s Source) bool {
	a, ok := s.(AnyValuer)
	return ok && a.HoldsAnyValue()
}

// Pool is an optional capability of a [Source] that reads through a pool of
// connections. With it Compare does not start more tables than there are
// connections for, which could otherwise wait for each other forever. Without
// it Compare takes the pool to be unlimited. Two Compares at the same time whose
// sides share one pool need two connections for each of their tables.
type Pool interface {
	// PoolLimit returns a value that identifies the pool and the greatest
	// number of open connections, 0 for no limit.
	PoolLimit() (pool any, connections int)
}

// unlimited stands for as many tables at a time as one likes.
const unlimited = 1 << 20

// ConnectionLimit returns how many tables of the two sides can be read at the
// same time, each with one connection to either side.
func ConnectionLimit(source, mirror Source) (int, error) {
	sourcePool, sourceMax := PoolLimit(source)
	mirrorPool, mirrorMax := PoolLimit(mirror)
	if sourcePool == nil || sourcePool != mirrorPool {
		return min(sourceMax, mirrorMax), nil
	}
	if sourceMax < 2 {
		return 0, fmt.Errorf("source and mirror share a pool of %d connection: allow 2 with SetMaxOpenConns", sourceMax)
	}
	return sourceMax / 2, nil
}

// PoolOrder returns a number by which pools are taken in one order.
func PoolOrder(s Source) uintptr {
	pool, _ := PoolLimit(s)
	if v := reflect.ValueOf(pool); v.Kind() == reflect.Pointer {
		return v.Pointer()
	}
	return 0
}

// PoolLimit returns the pool of s and how many connections it may open, nil and
// a great number when s is no [Pool].
func PoolLimit(s Source) (pool any, connections int) {
	p, ok := s.(Pool)
	if !ok {
		return nil, unlimited
	}
	pool, connections = p.PoolLimit()
	if connections == 0 {
		connections = unlimited
	}
	return pool, connections
}
