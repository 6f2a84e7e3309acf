package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
)

// silent is a connection whose server no longer answers from some moment on:
// the driver then waits for the context of the transaction.
type silent struct {
	begin, commit, rollback bool
	ctx                     context.Context
}

func (s *silent) Connect(context.Context) (driver.Conn, error) { return s, nil }
func (s *silent) Driver() driver.Driver                        { return nil }
func (s *silent) Prepare(string) (driver.Stmt, error) {
	return nil, errors.New("silent: no statements")
}
func (s *silent) Close() error              { return nil }
func (s *silent) Begin() (driver.Tx, error) { return nil, errors.New("silent: no context") }

func (s *silent) wait(is bool) error {
	if !is {
		return nil
	}
	<-s.ctx.Done()
	return s.ctx.Err()
}

func (s *silent) BeginTx(ctx context.Context, _ driver.TxOptions) (driver.Tx, error) {
	s.ctx = ctx
	return s, s.wait(s.begin)
}
func (s *silent) Commit() error   { return s.wait(s.commit) }
func (s *silent) Rollback() error { return s.wait(s.rollback) }

func TestServerThatNoLongerAnswers(t *testing.T) {
	update := func(t *testing.T, s *silent, fn func(store.Tx) error) error {
		st := newFake(t, &fake{}, nil)
		st.db, st.endTimeout = sqlx.NewDb(sql.OpenDB(s), "silent"), time.Millisecond
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if !s.begin {
			ctx = t.Context() // the caller would wait for ever
		}
		return st.Update(ctx, fn)
	}
	nothing := func(store.Tx) error { return nil }
	require.Equal(t, context.DeadlineExceeded, update(t, &silent{begin: true}, nothing))
	require.ErrorIs(t, update(t, &silent{commit: true}, nothing), store.ErrOutcomeUnknown)
	boom := errors.New("boom")
	require.Equal(t, boom, update(t, &silent{rollback: true}, func(store.Tx) error { return boom }))
}
