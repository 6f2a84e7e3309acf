package console

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/jmoiron/sqlx"
)

// sessions keeps the sessions of logins in the state, by the hashes of their cookies, so
// that nobody has to log in again because the process was started anew. It is a
// scs.CtxStore.
type sessions struct{ *state }

func (s sessions) FindCtx(ctx context.Context, hash string) (data []byte, found bool, err error) {
	err = s.reads.GetContext(ctx, &data, "SELECT data FROM session WHERE hash=? AND expires>?", hash, millis(time.Now()))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, false, nil
	}
	return data, err == nil, err
}

func (s sessions) CommitCtx(ctx context.Context, hash string, data []byte, expires time.Time) error {
	return s.tx(ctx, func(tx *sqlx.Tx) error {
		if _, err := tx.ExecContext(ctx, "DELETE FROM session WHERE expires<=?", millis(time.Now())); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "INSERT OR REPLACE INTO session (hash, data, expires) VALUES (?,?,?)", hash, data, millis(expires))
		return err
	})
}

func (s sessions) DeleteCtx(ctx context.Context, hash string) error {
	_, err := s.db.ExecContext(ctx, "DELETE FROM session WHERE hash=?", hash)
	return err
}

func (s sessions) Find(hash string) ([]byte, bool, error) {
	return s.FindCtx(context.Background(), hash)
}

func (s sessions) Commit(hash string, data []byte, expires time.Time) error {
	return s.CommitCtx(context.Background(), hash, data, expires)
}

func (s sessions) Delete(hash string) error { return s.DeleteCtx(context.Background(), hash) }
