package sqlstore

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/so-mirror/mirror"
)

// Store is a mirror.Store over a database/sql pool.
type Store struct {
	db *sqlx.DB
	d  *Dialect
}

var (
	_ mirror.Store = (*Store)(nil)
	_ mirror.Pool  = (*Store)(nil)
)

// New returns a store over db. The caller opens and closes db and owns its
// limits; a comparison takes one connection for each table it reads.
func New(db *sqlx.DB, d *Dialect) (*Store, error) {
	if db == nil {
		return nil, errors.New("new store: db is nil")
	}
	if d == nil || d.Tables == nil || d.ColumnType == nil || d.Codec == nil {
		return nil, errors.New("new store: the dialect lacks Tables, ColumnType or Codec")
	}
	return &Store{db: db, d: d}, nil
}

// PoolLimit implements mirror.Pool.
func (s *Store) PoolLimit() (pool any, connections int) {
	return s.db.DB, s.db.Stats().MaxOpenConnections
}

// Tables implements mirror.Source.
func (s *Store) Tables(ctx context.Context) ([]mirror.Table, error) {
	tables, err := s.d.Tables(ctx, s.db)
	return tables, s.wrap(ctx, err, "list tables")
}

// Count implements mirror.Source.
func (s *Store) Count(ctx context.Context, t mirror.Table) (int64, error) {
	n, err := count(ctx, s.db, s.d, t)
	return n, s.wrap(ctx, err, "count rows of "+t.String())
}

func count(ctx context.Context, q sqlx.QueryerContext, d *Dialect, t mirror.Table) (n int64, err error) {
	err = sqlx.GetContext(ctx, q, &n, "SELECT COUNT(*) FROM "+d.table(t))
	return n, err
}

// Rows implements mirror.Source.
func (s *Store) Rows(ctx context.Context, q mirror.Query) iter.Seq2[[]mirror.Row, error] {
	return sequence(func(yield func([]mirror.Row, error) bool) error {
		r, err := newReader(s.d, q)
		if err == nil {
			err = s.read(ctx, r, yield)
		}
		return s.wrap(ctx, err, "read rows of "+q.Table.String())
	})
}

// sequence makes an iterator of a function that yields batches and returns the
// error that ends them. A consumer that stopped is not called again.
func sequence(read func(yield func([]mirror.Row, error) bool) error) iter.Seq2[[]mirror.Row, error] {
	return func(yield func([]mirror.Row, error) bool) {
		stopped := false
		err := read(func(batch []mirror.Row, err error) bool {
			stopped = !yield(batch, err)
			return !stopped
		})
		if err != nil && !stopped {
			yield(nil, err)
		}
	}
}

// read streams below database/sql's Scan where the driver allows it. A pooled
// connection that turns out to be dead before the first row is replaced, as
// database/sql itself would.
func (s *Store) read(ctx context.Context, r *reader, yield func([]mirror.Row, error) bool) error {
	const attempts = 3
	for attempt := 1; ; attempt++ {
		err := s.readOnce(ctx, r, yield)
		if !errors.Is(err, driver.ErrBadConn) || r.started || attempt == attempts {
			return err
		}
	}
}

func (s *Store) readOnce(ctx context.Context, r *reader, yield func([]mirror.Row, error) bool) error {
	conn, err := s.db.Connx(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	err = conn.Raw(func(dc any) error { return r.readDriver(ctx, dc, yield) })
	if errors.Is(err, driver.ErrSkip) {
		return r.readScan(ctx, conn, yield)
	}
	return err
}

// Update implements mirror.Store.
func (s *Store) Update(ctx context.Context, fn func(tx mirror.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	conn, err := s.db.Connx(ctx)
	if err != nil {
		return s.wrap(ctx, err, "connect")
	}
	defer conn.Close()
	t, err := s.begin(ctx, conn)
	if err != nil {
		return s.wrap(ctx, err, "begin transaction")
	}
	w := &tx{store: s, db: t.db}
	defer func() {
		w.done = true
		t.rollback(ctx)
	}()
	if err := fn(w); err != nil {
		return err
	}
	if w.err != nil {
		return w.err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return t.commit(ctx, s.d)
}

// transaction is one of the two ways to hold a transaction: the driver's own,
// or one that the dialect begins with a statement.
type transaction struct {
	db    Execer
	conn  *sqlx.Conn
	tx    *sqlx.Tx // nil when the dialect begins it
	ended bool
}

func (s *Store) begin(ctx context.Context, conn *sqlx.Conn) (*transaction, error) {
	t := &transaction{conn: conn, db: conn}
	if s.d.Begin != "" {
		if _, err := conn.ExecContext(ctx, s.d.Begin); err != nil {
			return nil, err
		}
	} else {
		// The transaction outlives a cancelled context until it is rolled
		// back here, in one place.
		tx, err := conn.BeginTxx(context.WithoutCancel(ctx), nil)
		if err != nil {
			return nil, err
		}
		t.tx, t.db = tx, tx
	}
	for _, stmt := range s.d.Setup {
		if _, err := t.db.ExecContext(ctx, stmt); err != nil {
			t.rollback(ctx)
			return nil, err
		}
	}
	return t, nil
}

func (t *transaction) commit(ctx context.Context, d *Dialect) error {
	var err error
	if t.tx != nil {
		err = t.tx.Commit()
	} else {
		_, err = t.conn.ExecContext(context.WithoutCancel(ctx), "COMMIT")
	}
	if err == nil {
		t.ended = true
		return nil
	}
	if d.classify(err) == ErrorConnection {
		return fmt.Errorf("commit: %w: %w", mirror.ErrOutcomeUnknown, err)
	}
	return fmt.Errorf("commit: %w", err)
}

// rollbackTimeout bounds a rollback on a connection that no longer answers.
const rollbackTimeout = 30 * time.Second

// rollback ends a transaction that was not committed. A connection that cannot
// be rolled back is closed: the server then rolls back by itself, and the pool
// never hands out a connection with an open transaction.
func (t *transaction) rollback(ctx context.Context) {
	if t.ended {
		return
	}
	t.ended = true
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTimeout)
	defer cancel()
	var err error
	if t.tx != nil {
		err = t.tx.Rollback()
	} else {
		_, err = t.conn.ExecContext(ctx, "ROLLBACK")
	}
	if err != nil {
		_ = t.conn.Raw(func(any) error { return driver.ErrBadConn })
	}
}

// wrap says what was being done, maps the engine's errors to the library's, and
// passes the errors of a done context through.
func (s *Store) wrap(ctx context.Context, err error, doing string) error {
	if err == nil {
		return nil
	}
	if cerr := ctx.Err(); cerr != nil {
		return cerr
	}
	if s.d.classify(err) == ErrorTableNotFound && !errors.Is(err, mirror.ErrTableNotFound) {
		return fmt.Errorf("%s: %w: %w", doing, mirror.ErrTableNotFound, err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}
