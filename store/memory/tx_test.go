package memory_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

func TestUpdate(t *testing.T) {
	s := memory.New(contact(numbered(20)...))
	def := lookup(t, s, "contact")
	before := stored(t, s, "contact")
	wreck := func(t *testing.T, tx store.Tx) {
		t.Helper()
		_, err := tx.Set(t.Context(), def, nil, []store.Cell{{Column: "name", Value: "wrecked"}})
		require.NoError(t, err)
		_, err = tx.Delete(t.Context(), def, []store.Cell{{Column: "contact_id", Value: 3}})
		require.NoError(t, err)
		require.NoError(t, tx.Insert(t.Context(), def, []string{"contact_id"}, []store.Row{{99}}))
		require.NoError(t, tx.Create(t.Context(), store.Table{Name: "new", Columns: def.Columns}))
	}

	t.Run("rolled back on an error", func(t *testing.T) {
		err := s.Update(t.Context(), func(tx store.Tx) error {
			wreck(t, tx)
			return errBoom
		})
		require.Equal(t, errBoom, err)
		require.Equal(t, before, stored(t, s, "contact"))
		_, _, ok := s.Table("new")
		require.False(t, ok)
	})

	t.Run("rolled back on a panic", func(t *testing.T) {
		require.PanicsWithValue(t, "oops", func() {
			_ = s.Update(t.Context(), func(tx store.Tx) error {
				wreck(t, tx)
				panic("oops")
			})
		})
		require.Equal(t, before, stored(t, s, "contact"))
		update(t, s, func(store.Tx) error { return nil }) // the lock is free
	})

	t.Run("refused after a failed method", func(t *testing.T) {
		err := s.Update(t.Context(), func(tx store.Tx) error {
			wreck(t, tx)
			_ = tx.Drop(t.Context(), store.Table{Name: "missing"})
			return nil
		})
		require.ErrorIs(t, err, store.ErrTableNotFound)
		require.Equal(t, before, stored(t, s, "contact"))
	})

	t.Run("reads in it see its writes, others do not", func(t *testing.T) {
		update(t, s, func(tx store.Tx) error {
			require.NoError(t, tx.Insert(t.Context(), def, []string{"contact_id"}, []store.Row{{21}}))
			n, err := tx.Count(t.Context(), def)
			require.NoError(t, err)
			require.EqualValues(t, 21, n)
			require.Len(t, read(t, tx, store.Query{Table: def}), 21)
			require.Len(t, read(t, s, store.Query{Table: def}), 20)

			require.NoError(t, tx.Create(t.Context(), store.Table{Name: "new", Columns: def.Columns}))
			tables, err := tx.Tables(t.Context())
			require.NoError(t, err)
			require.Len(t, tables, 2)
			require.NoError(t, tx.Drop(t.Context(), store.Table{Name: "new"}))
			return nil
		})
		require.Len(t, stored(t, s, "contact"), 21)
	})

	t.Run("a reader keeps its snapshot", func(t *testing.T) {
		s := memory.New(contact(numbered(40)...))
		n := 0
		for batch, err := range s.Rows(t.Context(), store.Query{Table: def}) {
			require.NoError(t, err)
			for _, row := range batch {
				require.Equal(t, fmt.Sprintf("name %d", row[0]), row[1])
			}
			if n == 0 {
				update(t, s, func(tx store.Tx) error { wreck(t, tx); return nil })
			}
			n += len(batch)
		}
		require.Equal(t, 40, n)
		require.Equal(t, "wrecked", stored(t, s, "contact")[0][1])
	})

	t.Run("a reader of the transaction keeps its snapshot", func(t *testing.T) {
		s := memory.New(contact(numbered(40)...))
		update(t, s, func(tx store.Tx) error {
			n := 0
			for batch, err := range tx.Rows(t.Context(), store.Query{Table: def}) {
				require.NoError(t, err)
				if n == 0 {
					wreck(t, tx)
				}
				n += len(batch)
			}
			require.Equal(t, 40, n)
			return nil
		})
	})

	t.Run("used after its end", func(t *testing.T) {
		var tx store.Tx
		update(t, s, func(x store.Tx) error { tx = x; return nil })
		ctx, cell := t.Context(), []store.Cell{{Column: "contact_id", Value: 1}}
		s.ResetCalls()
		_, err := tx.Tables(ctx)
		require.ErrorContains(t, err, "after Update returned")
		_, err = tx.Count(ctx, def)
		require.ErrorContains(t, err, "after Update returned")
		_, err = readErr(t, ctx, tx, store.Query{Table: def})
		require.ErrorContains(t, err, "after Update returned")
		_, err = tx.Set(ctx, def, cell, cell)
		require.ErrorContains(t, err, "after Update returned")
		_, err = tx.Delete(ctx, def, cell)
		require.ErrorContains(t, err, "after Update returned")
		require.ErrorContains(t, tx.Create(ctx, store.Table{Name: "x", Columns: def.Columns}), "after Update returned")
		require.ErrorContains(t, tx.Drop(ctx, def), "after Update returned")
		require.ErrorContains(t, tx.Truncate(ctx, def), "after Update returned")
		require.ErrorContains(t, tx.Insert(ctx, def, []string{"contact_id"}, []store.Row{{77}}), "after Update returned")
		require.Empty(t, s.Calls())
	})

	t.Run("a reader of the transaction ends with it", func(t *testing.T) {
		s := memory.New(contact(numbered(40)...))
		batches, err := 0, error(nil)
		release, ended := make(chan struct{}), make(chan struct{})
		update(t, s, func(tx store.Tx) error {
			first := make(chan struct{})
			go func() {
				defer close(ended)
				for _, e := range tx.Rows(t.Context(), store.Query{Table: def}) {
					if err = e; e == nil {
						batches++
					}
					if batches == 1 && e == nil {
						close(first)
						<-release
					}
				}
			}()
			<-first
			return nil
		})
		close(release)
		<-ended
		require.Equal(t, 1, batches)
		require.ErrorContains(t, err, "after Update returned")
	})

	t.Run("one at a time", func(t *testing.T) {
		s := memory.New(memory.Table{Name: "n", Columns: []string{"n int"}, Rows: []store.Row{{0}}})
		def := lookup(t, s, "n")
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 20 {
					err := s.Update(t.Context(), func(tx store.Tx) error {
						var n int64
						for batch, err := range tx.Rows(t.Context(), store.Query{Table: def}) {
							if err != nil {
								return err
							}
							n = batch[0][0].(int64)
						}
						_, err := tx.Set(t.Context(), def, nil, []store.Cell{{Column: "n", Value: n + 1}})
						return err
					})
					if err != nil {
						t.Error(err)
					}
					for batch := range s.Rows(t.Context(), store.Query{Table: def}) {
						if len(batch) != 1 {
							t.Errorf("%d rows", len(batch))
						}
					}
				}
			})
		}
		wg.Wait()
		require.Equal(t, []store.Row{{int64(160)}}, stored(t, s, "n"))
	})
}
