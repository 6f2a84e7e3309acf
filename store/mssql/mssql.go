// Package mssql is SQL Server and Azure SQL through go-mssqldb: the Store that
// production uses.
//
// Reads take no locks where the database allows snapshot isolation, and never
// read uncommitted rows. Each read is one statement. Under snapshot isolation it
// sees the table as it was at one moment; under read committed a row that moves
// while it is read can be seen twice or not at all. A login that sees masked
// values or only some rows compares those: give it UNMASK, and no row-level
// security.
//
// Writes happen in one transaction with XACT_ABORT, a lock timeout and the
// lowest deadlock priority, so that a conflict with the mirroring service ends
// this transaction and not the service's. Updates of all processes take turns
// by an application lock in the mirror's own database.
//
// Rows come in the order of [store.CompareKeys]. Keys of numbers, times and
// uniqueidentifiers have that order in their indexes. Text is sorted by its
// UTF-8 bytes where the server has UTF-8 collations (SQL Server 2019 and later,
// Azure SQL). Older servers sort text by UTF-16 units, which puts characters
// above U+FFFF before U+E000 and misplaces the characters U+0000 and U+0001;
// a comparison that meets such a key ends with [store.ErrOrder].
//
// No text of varchar is confused with another in code pages of one byte a letter.
// Of the four with two bytes (932, 936, 949 and 950), bytes that stand for no letter
// are compared as what the server makes of them.
//
// The conversations in testdata were recorded with Babelfish for PostgreSQL, which
// is no SQL Server: testdata/README.md says which version, with which changes, and
// how to record anew.
//
// Rows of columns with a type that cannot be compared (sql_variant, geography,
// geometry, hierarchyid, rowversion, vector, json) have the driver's Go type.
package mssql

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"math"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
	mssqldb "github.com/microsoft/go-mssqldb"
	"github.com/microsoft/go-mssqldb/msdsn"

	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/sqlstore"
)

// Isolation is how reads are isolated from the writes of others.
type Isolation string

// The isolations.
const (
	// IsolationAuto is snapshot where the database allows it, and read
	// committed where it does not.
	IsolationAuto Isolation = ""

	// IsolationSnapshot is snapshot. Reading fails where the database does
	// not allow it.
	IsolationSnapshot Isolation = "snapshot"

	// IsolationReadCommitted is read committed.
	IsolationReadCommitted Isolation = "read committed"
)

// Options configure a [Store] or a [Source]. The zero value of each field is
// its default.
type Options struct {
	// Schema is the schema whose tables are served.
	// Default: the login's default schema.
	Schema string

	// QueryTimeout bounds each statement, and while rows are read each wait
	// for more of them. What takes longer is an error that wraps
	// context.DeadlineExceeded. Default: no limit.
	QueryTimeout time.Duration

	// LockTimeout bounds each wait for a lock. What takes longer is
	// store.ErrLockTimeout. Default: 30 seconds.
	LockTimeout time.Duration

	// Isolation is that of reads outside of transactions.
	// Default: IsolationAuto.
	Isolation Isolation

	// Collation is that of the text columns in tables that Create creates.
	// Default: the database's.
	Collation string
}

const (
	defaultLockTimeout = 30 * time.Second
	maxLockTimeout     = math.MaxInt32 * time.Millisecond
)

var collationName = regexp.MustCompile(`^[A-Za-z0-9_]*$`)

func (o *Options) check() (Options, error) {
	var c Options
	if o != nil {
		c = *o
	}
	switch c.Isolation {
	case IsolationAuto, IsolationSnapshot, IsolationReadCommitted:
	default:
		return c, fmt.Errorf("option Isolation: unknown isolation %q", c.Isolation)
	}
	if c.QueryTimeout < 0 || c.LockTimeout < 0 {
		return c, errors.New("option QueryTimeout or LockTimeout: a timeout is not negative")
	}
	if c.LockTimeout == 0 {
		c.LockTimeout = defaultLockTimeout
	}
	if c.LockTimeout > maxLockTimeout {
		return c, fmt.Errorf("option LockTimeout: %s is longer than SQL Server's limit of %s", c.LockTimeout, maxLockTimeout)
	}
	if !collationName.MatchString(c.Collation) {
		return c, fmt.Errorf("option Collation: %q is not a collation's name", c.Collation)
	}
	return c, nil
}

// Source reads a database: a customer's, a mirror or a replica. It has no
// method that writes.
type Source struct {
	db     *sqlx.DB
	owned  bool // Open made the pool
	sql    *sqlstore.Store
	server *server
}

// Store is a mirror's database.
type Store struct{ Source }

var (
	_ store.Source        = (*Source)(nil)
	_ store.Pool          = (*Source)(nil)
	_ store.BatchKeeper   = (*Source)(nil)
	_ store.Isolator      = (*Source)(nil)
	_ store.ChangeTracker = (*Source)(nil)
	_ store.Digester      = (*Source)(nil)
	_ store.KeyReader     = (*Source)(nil)
	_ store.Identifier    = (*Source)(nil)
	_ store.Inventorier   = (*Source)(nil)
	_ store.Store         = (*Store)(nil)
	_ store.Digester      = (*Store)(nil)
	_ store.Identifier    = (*Store)(nil)
)

// New returns a store over a pool of the driver "sqlserver" or of a go-mssqldb
// connector. It sends nothing. The caller owns the pool and its limits: a
// comparison takes one connection for each table that it reads.
func New(db *sqlx.DB, opts *Options) (*Store, error) {
	src, err := NewSource(db, opts)
	if err != nil {
		return nil, err
	}
	return &Store{*src}, nil
}

// NewSource is [New] for a database that is only read.
func NewSource(db *sqlx.DB, opts *Options) (*Source, error) {
	if db == nil {
		return nil, errors.New("new store: db is nil")
	}
	o, err := opts.check()
	if err != nil {
		return nil, fmt.Errorf("new store: %w", err)
	}
	srv := &server{opts: o}
	s, err := sqlstore.New(db, dialect(srv))
	if err != nil {
		return nil, err
	}
	return &Source{db: db, sql: s, server: srv}, nil
}

const (
	// packetSize is that of Microsoft's own client, SqlClient, in bytes. Rows come in
	// half as many packets as by go-mssqldb's default, 4096.
	packetSize = 8000

	// A comparison asks on several connections in turn. One that is closed between two
	// questions costs a login, and the server what it remembers for the session.
	idleConns = 8
	idleTime  = time.Minute
)

// Open connects to the database of a connection string in one of go-mssqldb's
// forms: a URL, ADO or ODBC. No error holds any text of the string, because it
// holds the password. [Source.Close] closes the connections. Packets have 8000
// bytes unless the string names their size.
func Open(ctx context.Context, dsn string, opts *Options) (*Store, error) {
	src, err := OpenSource(ctx, dsn, opts)
	if err != nil {
		return nil, err
	}
	return &Store{*src}, nil
}

// OpenSource is [Open] for a database that is only read. It does not ask for a
// readable secondary of an availability group, because change tracking cannot be
// read there: write ApplicationIntent=ReadOnly into the string to be sent to one.
func OpenSource(ctx context.Context, dsn string, opts *Options) (*Source, error) {
	cfg, err := parseDSN(dsn)
	if err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	db := sqlx.NewDb(sql.OpenDB(mssqldb.NewConnectorConfig(cfg)), "sqlserver")
	db.SetMaxIdleConns(idleConns)
	db.SetConnMaxIdleTime(idleTime)
	s, err := NewSource(db, opts)
	if err == nil {
		s.owned = true
		_, err = s.Isolation(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return s, nil
}

var (
	errDSN       = errors.New("the connection string is not one that go-mssqldb understands: a URL such as sqlserver://user:password@host:1433?database=name, or ADO or ODBC (its text is left out, because it may hold a password)")
	errDSNTwice  = errors.New("the connection string names the server twice: put a password with a semicolon into quotes, or in ODBC into braces (its text is left out, because it may hold a password)")
	errDSNEscape = errors.New("the connection string has an @ but no user before it: escape the user and the password with url.UserPassword (its text is left out, because it may hold a password)")
)

// serverKeys counts the keys of an ADO or ODBC string that name the server.
func serverKeys(dsn string) (n int) {
	for _, part := range strings.Split(dsn, ";") {
		switch key, _, _ := strings.Cut(part, "="); strings.ToLower(strings.TrimSpace(key)) {
		case "server", "data source", "address", "addr", "network address", "odbc:server":
			n++
		}
	}
	return n
}

// parseDSN parses a connection string. The driver's own errors quote it, so
// they go no further than here.
func parseDSN(dsn string) (msdsn.Config, error) {
	cfg, err := msdsn.Parse(dsn)
	if err != nil {
		return cfg, errDSN
	}
	if strings.HasPrefix(dsn, "sqlserver://") {
		// A character of the password that is not escaped moves what follows
		// it into the host, the path or the fragment, which errors may name.
		if u, err := url.Parse(dsn); err != nil || u.User == nil && strings.Contains(dsn, "@") ||
			u.Fragment != "" || strings.Count(dsn, "@") > 1 {
			return cfg, errDSNEscape
		}
	} else if servers := serverKeys(dsn); servers > 1 {
		return cfg, errDSNTwice
	}
	cfg.PacketSize = cmp.Or(cfg.PacketSize, packetSize)
	return cfg, nil
}

// DB returns the pool.
func (s *Source) DB() *sqlx.DB { return s.db }

// Close closes the pool if Open or OpenSource made it.
func (s *Source) Close() error {
	if !s.owned {
		return nil
	}
	return s.db.Close()
}

// Tables implements store.Source. It lists the tables of one schema, without
// views. The login sees only those that it has a permission on.
func (s *Source) Tables(ctx context.Context) ([]store.Table, error) { return s.sql.Tables(ctx) }

// Count implements store.Source.
func (s *Source) Count(ctx context.Context, t store.Table) (int64, error) {
	return s.sql.Count(ctx, t)
}

// Rows implements store.Source. Text of which the driver delivers only U+FFFD is
// read again by its characters or bytes, from the first row on that has such a text:
// a byte without a letter in its code page is the character that the server
// converts it to, and half a surrogate pair the three bytes of its code point,
// which is not UTF-8. Half a pair in a key is errors.ErrUnsupported.
func (s *Source) Rows(ctx context.Context, q store.Query) iter.Seq2[[]store.Row, error] {
	return s.sql.Rows(ctx, q)
}

// Cut implements store.Cutter.
func (s *Source) Cut(ctx context.Context, q store.Query, n int64) (store.Row, error) {
	return s.sql.Cut(ctx, q, n)
}

// RowsAt implements store.KeyReader. About a thousand keys are one statement,
// whose rows are of one moment under snapshot isolation. Keys of the types text,
// ntext and xml are looked for in all rows.
func (s *Source) RowsAt(ctx context.Context, q store.Query, keys []store.Row) iter.Seq2[[]store.Row, error] {
	return s.sql.RowsAt(ctx, q, keys)
}

// Identity implements store.Identifier.
func (s *Source) Identity(ctx context.Context) (store.Identity, error) { return s.sql.Identity(ctx) }

// Objects implements store.Inventorier. A login sees the objects and permissions
// that it has a permission on itself, or all with VIEW DEFINITION on the database;
// without that and SELECT on sys.sql_expression_dependencies it is not told of
// what uses a table that was dropped. Permissions are those on the database, its
// schemas and what is in them, with the memberships in its roles; logins, and
// roles of the server, are not of the database.
func (s *Source) Objects(ctx context.Context) ([]store.Object, error) { return s.sql.Objects(ctx) }

// PoolLimit implements store.Pool.
func (s *Source) PoolLimit() (pool any, connections int) { return s.sql.PoolLimit() }

// KeepsBatches implements store.BatchKeeper.
func (s *Source) KeepsBatches() int { return s.sql.KeepsBatches() }

// Isolation implements store.Isolator: "snapshot", "read committed", or
// "read committed snapshot" where the database has READ_COMMITTED_SNAPSHOT on.
// It is asked once and then remembered.
func (s *Source) Isolation(ctx context.Context) (isolation string, err error) {
	err = s.sql.Query(ctx, "read isolation", func(context.Context, sqlx.QueryerContext) error {
		isolation = s.server.isolation()
		return nil
	})
	return isolation, err
}

// Update implements store.Store. A deadlock is tried again, up to three times
// in all.
func (s *Store) Update(ctx context.Context, fn func(tx store.Tx) error) error {
	return s.sql.Update(ctx, fn)
}
