package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
)

// fake is a database whose answers a test writes down. It knows no query of a
// connection, only statements, as go-mssqldb does.
type fake struct {
	mu     sync.Mutex
	log    []string
	opened int

	exec     func(query string) error
	query    func(ctx context.Context, query string) (driver.Rows, error)
	commit   func() error
	rollback func() error
}

func (f *fake) note(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.log = append(f.log, fmt.Sprintf(format, args...))
}

func (f *fake) Connect(context.Context) (driver.Conn, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.opened++
	return fakeConn{f}, nil
}

func (f *fake) Driver() driver.Driver { return nil }

type fakeConn struct{ f *fake }

func (c fakeConn) Close() error              { c.f.note("close"); return nil }
func (c fakeConn) Begin() (driver.Tx, error) { c.f.note("begin"); return c, nil }
func (c fakeConn) Commit() error {
	c.f.note("commit")
	if c.f.commit != nil {
		return c.f.commit()
	}
	return nil
}

func (c fakeConn) Rollback() error {
	c.f.note("rollback")
	if c.f.rollback != nil {
		return c.f.rollback()
	}
	return nil
}

func (c fakeConn) Prepare(query string) (driver.Stmt, error) { return fakeStmt{c.f, query}, nil }
func (c fakeConn) PrepareContext(_ context.Context, query string) (driver.Stmt, error) {
	return fakeStmt{c.f, query}, nil
}

type fakeStmt struct {
	f    *fake
	text string
}

func (s fakeStmt) Close() error                               { s.f.note("close statement"); return nil }
func (s fakeStmt) NumInput() int                              { return -1 }
func (s fakeStmt) Exec([]driver.Value) (driver.Result, error) { panic("not used") }
func (s fakeStmt) Query([]driver.Value) (driver.Rows, error)  { panic("not used") }
func (s fakeStmt) ExecContext(_ context.Context, args []driver.NamedValue) (driver.Result, error) {
	s.f.note("%s %v", s.text, values(args))
	if s.f.exec != nil {
		if err := s.f.exec(s.text); err != nil {
			return nil, err
		}
	}
	return driver.RowsAffected(1), nil
}

func (s fakeStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	s.f.note("%s %v", s.text, values(args))
	if s.f.query == nil {
		return &fakeRows{}, nil
	}
	return s.f.query(ctx, s.text)
}

func values(args []driver.NamedValue) []any {
	vs := make([]any, len(args))
	for i, a := range args {
		vs[i] = a.Value
	}
	return vs
}

// fakeRows are n rows of one column, after which next decides.
type fakeRows struct {
	n     int
	next  func() error
	close error
}

func (r *fakeRows) Columns() []string { return []string{"id"} }
func (r *fakeRows) Close() error      { return r.close }
func (r *fakeRows) Next(dest []driver.Value) error {
	if r.n > 0 {
		r.n--
		dest[0] = int64(r.n)
		return nil
	}
	if r.next != nil {
		return r.next()
	}
	return io.EOF
}

var (
	errFakeDeadlock = errors.New("fake: deadlock")
	errFakeNetwork  = errors.New("fake: network")
	errFakeServer   = errors.New("fake: no")
)

func newFake(t *testing.T, f *fake, change func(d *Dialect)) *Store {
	t.Helper()
	db := sqlx.NewDb(sql.OpenDB(f), "fake")
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	d := &Dialect{
		Tables:     func(context.Context, sqlx.QueryerContext) ([]store.Table, error) { return nil, nil },
		ColumnType: func(t store.Type) string { return t.String() },
		Codec:      func(store.Type) Codec { return Codec{} },
		Classify: func(err error) ErrorClass {
			switch {
			case errors.Is(err, errFakeDeadlock):
				return ErrorDeadlock
			case errors.Is(err, errFakeNetwork):
				return ErrorConnection
			default:
				return ErrorOther
			}
		},
		Advice: func(class ErrorClass, err error) string {
			if class == ErrorDeadlock {
				return "try again later"
			}
			return ""
		},
	}
	if change != nil {
		change(d)
	}
	st, err := New(db, d)
	require.NoError(t, err)
	st.pause = func(_ context.Context, try int) error {
		f.note("pause %d", try)
		return nil
	}
	return st
}

func intTable() store.Table {
	return store.Table{Name: "t", Key: []string{"id"}, Columns: []store.Column{{Name: "id", Type: store.MustType("int")}}}
}

func insertOne(ctx context.Context) func(store.Tx) error {
	return func(tx store.Tx) error { return tx.Insert(ctx, intTable(), []string{"id"}, []store.Row{{1}}) }
}
