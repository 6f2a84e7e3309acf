package sqlstore

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/so-mirror/mirror/store"
)

// Store is a store.Store over a database/sql pool.
type Store struct {
	db    *sqlx.DB
	d     *Dialect
	pause func(ctx context.Context, try int) error

	endTimeout time.Duration

	exact sync.Map // quoted names of tables with text that the driver cannot deliver
}

var (
	_ store.Store = (*Store)(nil)
	_ store.Pool  = (*Store)(nil)

	_ store.BatchKeeper = (*Store)(nil)
	_ store.AnyValuer   = (*Store)(nil)
	_ store.Identifier  = (*Store)(nil)
	_ store.Inventorier = (*Store)(nil)
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
	return &Store{db: db, d: d, pause: pause, endTimeout: endTimeout}, nil
}

// PoolLimit implements store.Pool.
func (s *Store) PoolLimit() (pool any, connections int) {
	return s.db.DB, s.db.Stats().MaxOpenConnections
}

// KeepsBatches implements store.BatchKeeper.
func (s *Store) KeepsBatches() int {
	if s.d.OwnValues {
		return keepBatches
	}
	return 0
}

// HoldsAnyValue implements store.AnyValuer.
func (s *Store) HoldsAnyValue() bool { return s.d.AnyValue }

// Identity implements store.Identifier.
func (s *Store) Identity(ctx context.Context) (id store.Identity, err error) {
	const doing = "read identity"
	if s.d.Identity == nil {
		return id, fmt.Errorf("%s: %w", doing, errors.ErrUnsupported)
	}
	err = s.ask(ctx, doing, func(ctx context.Context) error {
		id, err = s.d.Identity(ctx, s.db)
		return err
	})
	return id, err
}

// Objects implements store.Inventorier.
func (s *Store) Objects(ctx context.Context) (objects []store.Object, err error) {
	const doing = "list what there is besides tables"
	if s.d.Objects == nil {
		return nil, fmt.Errorf("%s: %w", doing, errors.ErrUnsupported)
	}
	err = s.ask(ctx, doing, func(ctx context.Context) error {
		objects, err = s.d.Objects(ctx, s.db)
		return err
	})
	return objects, err
}

// Tables implements store.Source.
func (s *Store) Tables(ctx context.Context) (tables []store.Table, err error) {
	err = s.ask(ctx, "list tables", func(ctx context.Context) error {
		tables, err = s.d.Tables(ctx, s.db)
		return err
	})
	return tables, err
}

// Count implements store.Source.
func (s *Store) Count(ctx context.Context, t store.Table) (n int64, err error) {
	err = s.ask(ctx, "count rows of "+t.String(), func(ctx context.Context) error {
		before, behind := s.d.aroundRead(t)
		n, err = count(ctx, s.db, s.d, t, before, s.d.hint(t, false)+behind)
		return err
	})
	return n, err
}

func count(ctx context.Context, q sqlx.QueryerContext, d *Dialect, t store.Table, before, behind string) (n int64, err error) {
	var args []any
	if before != "" {
		args = append(args, scope)
	}
	err = sqlx.GetContext(ctx, q, &n, before+"SELECT COUNT(*) FROM "+d.table(t)+behind, args...)
	return n, err
}

// ask runs a statement of its own, within the time limit.
func (s *Store) ask(ctx context.Context, doing string, run func(ctx context.Context) error) error {
	if err := s.prepare(ctx); err != nil {
		return err
	}
	return s.wrap(ctx, limited(ctx, s.d.Timeout, run), doing)
}

// Query runs fn, which asks something that store.Source has no method for, on
// the pool. Its error is wrapped as those of all other methods are.
func (s *Store) Query(ctx context.Context, doing string, fn func(ctx context.Context, q sqlx.QueryerContext) error) error {
	return s.ask(ctx, doing, func(ctx context.Context) error { return fn(ctx, s.db) })
}

func (s *Store) prepare(ctx context.Context) error {
	if s.d.Prepare == nil {
		return nil
	}
	err := limited(ctx, s.d.Timeout, func(ctx context.Context) error { return s.d.Prepare(ctx, s.db) })
	return s.wrap(ctx, err, "connect")
}

func (d *Dialect) aroundRead(t store.Table) (before, behind string) {
	if d.AroundRead == nil {
		return "", ""
	}
	return d.AroundRead(t)
}

// Rows implements store.Source.
func (s *Store) Rows(ctx context.Context, q store.Query) iter.Seq2[[]store.Row, error] {
	return sequence(func(yield func([]store.Row, error) bool) error {
		if err := s.prepare(ctx); err != nil {
			return err
		}
		return s.wrap(ctx, s.rows(ctx, q, nil, &buffers{}, yield), "read rows of "+q.Table.String())
	})
}

// rows reads those with the keys, all of them for nil: text as the driver delivers
// it, and from the first row on that the driver cannot deliver, exactly. What is
// known of a table is remembered.
func (s *Store) rows(ctx context.Context, q store.Query, keys []store.Row, into *buffers, yield func([]store.Row, error) bool) error {
	f := frame{hint: s.d.hint(q.Table, false), keys: keys}
	f.before, f.behind = s.d.aroundRead(q.Table)
	table := s.d.table(q.Table)
	_, f.exact = s.exact.Load(table)
	var err error
	if f.plain, err = s.plainKey(ctx, q); err != nil {
		return err
	}
	var skip *tail
	for {
		r, err := newReader(s.d, q, f)
		if err != nil {
			return err
		}
		r.skip, r.buffers = skip, into
		err = r.limited(ctx, s.d.Timeout, func(ctx context.Context) error { return s.read(ctx, r, yield) })
		if !errors.Is(err, errInexact) {
			return err
		}
		s.exact.Store(table, true)
		f.exact = true
		if q, f.keys, skip, err = r.rest(q, f.keys); err != nil {
			return err
		}
	}
}

// plainKey reports whether the values of a key are in order by themselves.
func (s *Store) plainKey(ctx context.Context, q store.Query) (plain bool, err error) {
	if types, _, err := s.d.plainColumns(q, ""); len(types) == 0 {
		return false, err
	}
	conn, err := s.db.Connx(ctx)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	return s.plainIn(ctx, conn, q, s.d.table(q.Table))
}

// plainIn is plainKey for a table that a connection knows by that name.
func (s *Store) plainIn(ctx context.Context, conn *sqlx.Conn, q store.Query, table string) (plain bool, err error) {
	types, names, err := s.d.plainColumns(q, table)
	if len(types) == 0 {
		return false, err
	}
	err = limited(ctx, s.d.Timeout, func(ctx context.Context) (err error) {
		plain, err = s.d.Plain(ctx, conn, table, types, names)
		return err
	})
	return plain, err
}

// plainColumns returns the columns of a key of which Dialect.Plain is asked.
func (d *Dialect) plainColumns(q store.Query, table string) (types []store.Type, names []string, err error) {
	if d.Plain == nil {
		return nil, nil, nil
	}
	key, err := d.columns(q.Table, q.Key)
	for _, c := range key {
		if c.Codec.Plain == nil {
			continue
		}
		name := c.quoted
		if d.Qualified {
			name = table + "." + name
		}
		types, names = append(types, c.Type), append(names, name)
	}
	return types, names, err
}

// limited runs a reader within the time limit, which begins anew with each
// wait for rows.
func (r *reader) limited(ctx context.Context, limit time.Duration, run func(ctx context.Context) error) error {
	ctx, r.late = watch(ctx, limit)
	return r.late.end(run(ctx))
}

// sequence makes an iterator of a function that yields batches and returns the
// error that ends them. A consumer that stopped is not called again.
func sequence(read func(yield func([]store.Row, error) bool) error) iter.Seq2[[]store.Row, error] {
	return func(yield func([]store.Row, error) bool) {
		stopped := false
		err := read(func(batch []store.Row, err error) bool {
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
func (s *Store) read(ctx context.Context, r *reader, yield func([]store.Row, error) bool) error {
	const attempts = 3
	for attempt := 1; ; attempt++ {
		err := s.readOnce(ctx, r, yield)
		dead := errors.Is(err, driver.ErrBadConn) || r.broken && isConnectionError(err)
		if !dead || r.started || attempt == attempts {
			return err
		}
	}
}

func (s *Store) readOnce(ctx context.Context, r *reader, yield func([]store.Row, error) bool) error {
	conn, err := s.db.Connx(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	r.broken = false
	rawErr := conn.Raw(func(dc any) error {
		if err = r.readDriver(ctx, dc, yield); r.broken {
			return driver.ErrBadConn // what is left of the answer would meet the connection's next user
		}
		return err
	})
	if err == nil && !r.broken {
		err = rawErr
	}
	if errors.Is(err, driver.ErrSkip) {
		return r.readScan(ctx, conn, yield)
	}
	return err
}

// tries bounds how often an Update is run that ends in a deadlock.
const tries = 3

// Update implements store.Store. A transaction that the engine gave up because
// of a deadlock is run again, up to three times in all.
func (s *Store) Update(ctx context.Context, fn func(tx store.Tx) error) error {
	for try := 1; ; try++ {
		err := s.update(ctx, fn)
		var again *retryError
		if !errors.As(err, &again) {
			return err
		}
		if try == tries || s.pause(ctx, try) != nil {
			return again.err
		}
	}
}

// retryError is the error of a transaction that may be run again.
type retryError struct{ err error }

func (e *retryError) Error() string { return e.err.Error() }

// pause waits a little before the given try is repeated, and not the same time
// in every process, so that two of them do not meet again.
func pause(ctx context.Context, try int) error {
	t := time.NewTimer(time.Duration(try) * time.Duration(10+rand.IntN(40)) * time.Millisecond)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

func (s *Store) update(ctx context.Context, fn func(tx store.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.prepare(ctx); err != nil {
		return err
	}
	conn, err := s.db.Connx(ctx)
	if err != nil {
		return s.wrap(ctx, err, "connect")
	}
	defer conn.Close()
	t, err := s.begin(ctx, conn)
	if err != nil {
		return s.retry(err, s.wrap(ctx, err, "begin transaction"))
	}
	w := &tx{store: s, db: t.db}
	defer func() {
		w.done = true
		t.rollback(ctx, s.d)
	}()
	if err := fn(w); err != nil {
		return s.retry(w.err, err)
	}
	if w.err != nil {
		return s.retry(w.err, w.err)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	err = t.commit(ctx, s.d)
	if errors.Is(err, store.ErrOutcomeUnknown) {
		return err
	}
	return s.retry(err, s.wrap(ctx, err, "commit"))
}

// retry marks err when the transaction failed because of a deadlock.
func (s *Store) retry(cause, err error) error {
	if s.d.classify(cause) == ErrorDeadlock {
		return &retryError{err}
	}
	return err
}

// transaction is one of the two ways to hold a transaction: the driver's own,
// or one that the dialect begins with a statement.
type transaction struct {
	db     Execer
	conn   *sqlx.Conn
	tx     *sqlx.Tx           // nil when the dialect begins it
	cancel context.CancelFunc // of the driver's transaction, whatever it waits for
	limit  time.Duration      // of ending it
	ended  bool
}

func (s *Store) begin(ctx context.Context, conn *sqlx.Conn) (*transaction, error) {
	t := &transaction{conn: conn, db: conn, limit: s.endTimeout}
	if s.d.Begin != "" {
		if _, err := conn.ExecContext(ctx, s.d.Begin); err != nil {
			// A cancelled statement may have begun one all the same.
			t.rollback(ctx, s.d)
			return nil, err
		}
	} else {
		// Once begun, the transaction outlives a cancelled context until it is
		// rolled back here, in one place.
		var own context.Context
		own, t.cancel = context.WithCancel(context.WithoutCancel(ctx))
		stop := context.AfterFunc(ctx, t.cancel)
		var tx *sqlx.Tx
		err := limited(own, s.d.Timeout, func(context.Context) (err error) {
			tx, err = conn.BeginTxx(own, nil)
			return err
		})
		if stop(); err != nil {
			t.cancel()
			return nil, err
		}
		t.tx, t.db = tx, tx
	}
	if s.d.Setup != nil {
		err := limited(ctx, s.d.Timeout, func(ctx context.Context) error { return s.d.Setup(ctx, t.db) })
		if err != nil {
			t.rollback(ctx, s.d)
			return nil, err
		}
	}
	return t, nil
}

// endTimeout bounds a commit or a rollback on a connection that no longer
// answers.
const endTimeout = 30 * time.Second

// end commits or rolls back. What ends the transaction does not depend on the
// caller's context, but it does not wait without limit either.
func (t *transaction) end(ctx context.Context, driverEnd func(*sqlx.Tx) error, statement string) error {
	t.ended = true
	if t.tx == nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), t.limit)
		defer cancel()
		_, err := t.conn.ExecContext(ctx, statement)
		return err
	}
	// Only a server that stays silent is cancelled: cancelling what has ended
	// could still send it a cancellation, which the next call would meet.
	timer := time.AfterFunc(t.limit, t.cancel)
	defer timer.Stop()
	return driverEnd(t.tx)
}

func (t *transaction) commit(ctx context.Context, d *Dialect) error {
	err := t.end(ctx, (*sqlx.Tx).Commit, "COMMIT")
	if err == nil {
		return nil
	}
	t.ended = false // so that it is rolled back, should it be there still
	refused := d.classify(err) != ErrorConnection && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
	if d.Refused != nil {
		refused = refused && d.Refused(err)
	}
	if !refused {
		return fmt.Errorf("commit: %w: %w", store.ErrOutcomeUnknown, err)
	}
	return err
}

// rollback ends a transaction that was not committed. A connection that cannot
// be rolled back is closed: the server then rolls back by itself, and the pool
// never hands out a connection with an open transaction.
func (t *transaction) rollback(ctx context.Context, d *Dialect) {
	if t.ended {
		return
	}
	err := t.end(ctx, (*sqlx.Tx).Rollback, "ROLLBACK")
	if err != nil && (d.RolledBack == nil || !d.RolledBack(err)) {
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
	class := s.d.classify(err)
	if s.d.Advice != nil {
		if advice := s.d.Advice(class, err); advice != "" {
			err = fmt.Errorf("%s: %w", advice, err)
		}
	}
	if sentinel := sentinels[class]; sentinel != nil && !errors.Is(err, sentinel) {
		return fmt.Errorf("%s: %w: %w", doing, sentinel, err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}
