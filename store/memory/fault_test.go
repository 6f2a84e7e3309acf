package memory_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

func TestFailAt(t *testing.T) {
	cell := []store.Cell{{Column: "contact_id", Value: 1}}
	def := lookup(t, memory.New(contact()), "contact")
	inTx := func(call func(ctx context.Context, tx store.Tx) error) func(context.Context, *memory.Store) error {
		return func(ctx context.Context, s *memory.Store) error {
			return s.Update(ctx, func(tx store.Tx) error { return call(ctx, tx) })
		}
	}
	rows := func(ctx context.Context, src store.Source) error {
		for _, err := range src.Rows(ctx, store.Query{Table: def}) {
			if err != nil {
				return err
			}
		}
		return nil
	}
	for _, c := range []struct {
		name   string
		method memory.Method
		call   func(context.Context, *memory.Store) error
	}{
		{"tables", memory.Tables, func(ctx context.Context, s *memory.Store) error { _, err := s.Tables(ctx); return err }},
		{"count", memory.Count, func(ctx context.Context, s *memory.Store) error { _, err := s.Count(ctx, def); return err }},
		{"rows", memory.Rows, func(ctx context.Context, s *memory.Store) error { return rows(ctx, s) }},
		{"digest every", memory.Digest, func(ctx context.Context, s *memory.Store) error {
			_, err := s.DigestEvery(ctx, store.Query{Table: def, Key: def.Key}, 2)
			return err
		}},
		{"digest at", memory.Digest, func(ctx context.Context, s *memory.Store) error {
			_, err := s.DigestAt(ctx, store.Query{Table: def, Key: def.Key}, nil)
			return err
		}},
		{"rows at", memory.RowsAt, func(ctx context.Context, s *memory.Store) error {
			for _, err := range s.RowsAt(ctx, store.Query{Table: def, Key: def.Key}, []store.Row{{1}}) {
				if err != nil {
					return err
				}
			}
			return nil
		}},
		{"update", memory.Update, inTx(func(ctx context.Context, tx store.Tx) error { return nil })},
		{"commit", memory.Commit, inTx(func(ctx context.Context, tx store.Tx) error { return tx.Truncate(ctx, def) })},
		{"tx tables", memory.Tables, inTx(func(ctx context.Context, tx store.Tx) error { _, err := tx.Tables(ctx); return err })},
		{"tx count", memory.Count, inTx(func(ctx context.Context, tx store.Tx) error { _, err := tx.Count(ctx, def); return err })},
		{"tx rows", memory.Rows, inTx(func(ctx context.Context, tx store.Tx) error { return rows(ctx, tx) })},
		{"create", memory.Create, inTx(func(ctx context.Context, tx store.Tx) error {
			return tx.Create(ctx, store.Table{Name: time.Now().String(), Columns: def.Columns})
		})},
		{"drop", memory.Drop, inTx(func(ctx context.Context, tx store.Tx) error {
			if err := tx.Drop(ctx, def); err != nil {
				return err
			}
			return tx.Create(ctx, def)
		})},
		{"truncate", memory.Truncate, inTx(func(ctx context.Context, tx store.Tx) error { return tx.Truncate(ctx, def) })},
		{"insert", memory.Insert, inTx(func(ctx context.Context, tx store.Tx) error {
			return tx.Insert(ctx, def, []string{"contact_id"}, nil)
		})},
		{"set", memory.Set, inTx(func(ctx context.Context, tx store.Tx) error { _, err := tx.Set(ctx, def, cell, cell); return err })},
		{"delete", memory.Delete, inTx(func(ctx context.Context, tx store.Tx) error { _, err := tx.Delete(ctx, def, cell); return err })},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := memory.New(contact(numbered(3)...))
			require.NoError(t, c.call(t.Context(), s))
			require.NoError(t, s.Seed(contact(numbered(3)...)))
			s.FailAt(c.method, 2, errBoom)
			require.NoError(t, c.call(t.Context(), s))
			require.NoError(t, s.Seed(contact(numbered(3)...)))
			require.Equal(t, errBoom, c.call(t.Context(), s))
			require.Len(t, stored(t, s, "contact"), 3)
			require.NoError(t, c.call(t.Context(), s))
		})
	}

	t.Run("a done context comes first", func(t *testing.T) {
		s := memory.New()
		s.FailAt(memory.Tables, 1, errBoom)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := s.Tables(ctx)
		require.Equal(t, context.Canceled, err)
	})

	t.Run("a failed method that is ignored prevents the commit", func(t *testing.T) {
		s := memory.New(contact(numbered(3)...))
		s.FailAt(memory.Count, 1, errBoom)
		err := s.Update(t.Context(), func(tx store.Tx) error {
			_, _ = tx.Count(t.Context(), def)
			return tx.Truncate(t.Context(), def)
		})
		require.ErrorIs(t, err, errBoom)
		require.Len(t, stored(t, s, "contact"), 3)
	})

	t.Run("what can have no effect panics", func(t *testing.T) {
		s := memory.New()
		require.Panics(t, func() { s.FailAt("rows", 1, errBoom) })
		require.Panics(t, func() { s.FailAt(memory.Rows, 0, errBoom) })
		require.Panics(t, func() { s.FailAt(memory.Rows, 1, nil) })
		require.Panics(t, func() { s.FailAfterRows(-1, errBoom) })
		require.Panics(t, func() { s.FailAfterCommit(1, nil) })
		require.Panics(t, func() { s.DelayAt(memory.Rows, -1, time.Second) })
	})
}

func TestFailAfterRows(t *testing.T) {
	s := memory.New(contact(numbered(40)...))
	q := store.Query{Table: lookup(t, s, "contact")}
	for name, c := range map[string]struct{ n, want int }{
		"before the first":    {0, 0},
		"within a batch":      {20, 20},
		"between two batches": {32, 32},
		"behind the last":     {100, 40},
	} {
		t.Run(name, func(t *testing.T) {
			s.FailAfterRows(c.n, errBoom)
			n, err := readErr(t, t.Context(), s, q)
			require.Equal(t, errBoom, err)
			require.Equal(t, c.want, n)
			require.Len(t, read(t, s, q), 40)
		})
	}
}

func TestFailAfterCommit(t *testing.T) {
	s := memory.New(contact(numbered(3)...))
	def := lookup(t, s, "contact")
	s.FailAfterCommit(2, store.ErrOutcomeUnknown)
	update(t, s, func(store.Tx) error { return nil })
	err := s.Update(t.Context(), func(tx store.Tx) error { return tx.Truncate(t.Context(), def) })
	require.Equal(t, store.ErrOutcomeUnknown, err)
	require.Empty(t, stored(t, s, "contact"))
	update(t, s, func(store.Tx) error { return nil })
}

func TestDelayAt(t *testing.T) {
	t.Run("the call waits", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := memory.New()
			s.DelayAt(memory.Tables, 1, time.Hour)
			began := time.Now()
			_, err := s.Tables(t.Context())
			require.NoError(t, err)
			require.Equal(t, time.Hour, time.Since(began))
		})
	})

	t.Run("the context ends the wait", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := memory.New(contact(numbered(3)...))
			def := lookup(t, s, "contact")
			s.DelayAt(memory.Commit, 1, time.Hour)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			err := s.Update(ctx, func(tx store.Tx) error { return tx.Truncate(ctx, def) })
			require.Equal(t, context.DeadlineExceeded, err)
			require.Len(t, stored(t, s, "contact"), 3)
		})
	})

	t.Run("another Update waits meanwhile", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := memory.New()
			s.DelayAt(memory.Commit, 1, time.Hour)
			go func() { _ = s.Update(t.Context(), func(store.Tx) error { return nil }) }()
			synctest.Wait()
			began := time.Now()
			update(t, s, func(store.Tx) error { return nil })
			require.Equal(t, time.Hour, time.Since(began))
		})
	})

	t.Run("delay and failure of one call", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := memory.New()
			s.DelayAt(memory.Tables, 1, time.Hour)
			s.FailAt(memory.Tables, 1, errBoom)
			began := time.Now()
			_, err := s.Tables(t.Context())
			require.Equal(t, errBoom, err)
			require.Equal(t, time.Hour, time.Since(began))
		})
	})
}

func TestCalls(t *testing.T) {
	s := memory.New(contact(numbered(3)...))
	def := lookup(t, s, "contact")
	require.Empty(t, s.Calls())
	rows := s.Rows(t.Context(), store.Query{Table: def})
	require.Empty(t, s.Calls(), "a call of Rows begins with its iteration")
	for range rows {
		break
	}
	update(t, s, func(tx store.Tx) error {
		_, err := tx.Tables(t.Context())
		require.NoError(t, err)
		return tx.Truncate(t.Context(), def)
	})
	s.FailAt(memory.Count, 1, errBoom)
	_, err := s.Count(t.Context(), def)
	require.Equal(t, errBoom, err)
	require.Equal(t, []memory.Call{
		{Method: memory.Rows, Table: "crm7.contact"},
		{Method: memory.Update},
		{Method: memory.Tables},
		{Method: memory.Truncate, Table: "crm7.contact"},
		{Method: memory.Commit},
		{Method: memory.Count, Table: "crm7.contact"},
	}, s.Calls())

	s.Calls()[0].Table = "changed"
	require.Equal(t, "crm7.contact", s.Calls()[0].Table)

	s.FailAt(memory.Count, 2, errBoom)
	s.ResetCalls()
	_, err = s.Count(t.Context(), def)
	require.NoError(t, err)
	_, err = s.Count(t.Context(), def)
	require.Equal(t, errBoom, err)
	require.Len(t, s.Calls(), 2)
}
