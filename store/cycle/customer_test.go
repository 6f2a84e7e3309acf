package cycle

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
	"github.com/so-mirror/mirror/store/storetest"
)

func TestCustomerVersion(t *testing.T) {
	w := newWorld(t, contact(store.Row{1, "a"}), person())
	require.EqualValues(t, 1, w.version())
	require.EqualValues(t, 1, w.minValid("contact"))

	table := w.must(w.customer, "contact")
	w.update(w.customer, func(tx store.Tx) error {
		for i := range 3 {
			if err := tx.Insert(t.Context(), table, table.ColumnNames(), []store.Row{{10 + i, "x"}}); err != nil {
				return err
			}
		}
		return nil
	})
	require.EqualValues(t, 2, w.version(), "one version for each transaction")

	w.update(w.customer, func(store.Tx) error { return nil })
	w.set(w.customer, "contact", cells("contact_id", 77), cells("name", "y"))
	require.EqualValues(t, 2, w.version(), "nothing changed")

	w.update(w.customer, func(tx store.Tx) error { return tx.Truncate(t.Context(), table) })
	require.EqualValues(t, 3, w.version())
	require.EqualValues(t, 3, w.minValid("CONTACT"))
	require.EqualValues(t, 1, w.minValid("person"))

	w.customer.Forget(100)
	require.EqualValues(t, 3, w.minValid("person"), "no version ahead of the current one")

	w.drop(w.customer, "person")
	require.EqualValues(t, 4, w.version())
}

// TestTouch: who finds a database that changed while nobody looked goes on where the
// mirror is, and tells what changed.
func TestTouch(t *testing.T) {
	w := newWorld(t, contact(store.Row{1, "a"}, store.Row{2, "b"}), person(store.Row{1, "c"}))
	w.run()
	w.set(w.db, "contact", cells("contact_id", 1), cells("name", "new"))
	w.update(w.db, func(tx store.Tx) error {
		_, err := tx.Delete(t.Context(), w.must(w.db, "contact"), cells("contact_id", 2))
		return err
	})
	w.customer.Advance(7)
	w.customer.Advance(3)
	require.EqualValues(t, 7, w.version(), "it never goes back")
	require.EqualValues(t, 1, w.minValid("contact"), "what was known stays known")

	w.customer.Touch(w.must(w.db, "contact"))
	require.EqualValues(t, 7, w.version(), "no keys are no change")
	w.customer.Touch(w.must(w.db, "contact"), store.Row{int64(1)}, store.Row{int64(2)})
	res := w.run()
	sent, _ := res.Table("contact")
	require.Equal(t, TableResult{Table: "contact", Action: Changes, Before: 1, After: 8, Updated: 1, Deleted: 1, Batches: 1}, sent)
	quiet, _ := res.Table("person")
	require.Equal(t, Unchanged, quiet.Action)
}

func TestConformance(t *testing.T) {
	storetest.Run(t, func(testing.TB) store.Store { return NewCustomer("Cust10195", memory.New()) },
		storetest.Objects(func(ctx context.Context, st store.Store, o store.Object) error {
			db := st.(*Customer).db.(*memory.Store)
			list, err := db.Objects(ctx)
			db.SetObjects(append(list, o)...)
			return err
		}))
}

// slowCommit has its Updates return late: what they wrote can be read before.
type slowCommit struct {
	store.Store
	committed, end chan struct{}
}

func (s slowCommit) Update(ctx context.Context, fn func(store.Tx) error) error {
	err := s.Store.Update(ctx, fn)
	close(s.committed)
	<-s.end
	return err
}

// TestWhatCanBeReadIsLogged: who reads a row and then asks for changes learns
// of the change that made it.
func TestWhatCanBeReadIsLogged(t *testing.T) {
	t.Run("Changed", func(t *testing.T) {
		whatCanBeReadIsLogged(t, func(c *Customer, tab store.Table) {
			changed, err := c.Changed(t.Context(), tab, 1, []store.Row{{1}})
			require.NoError(t, err)
			require.Equal(t, []bool{true}, changed)
		})
	})
	t.Run("ChangedKeys", func(t *testing.T) {
		whatCanBeReadIsLogged(t, func(c *Customer, tab store.Table) {
			keys, err := c.ChangedKeys(t.Context(), tab, 1, nil, 9)
			require.NoError(t, err)
			require.Equal(t, []store.Row{{int64(1)}}, keys)
		})
	})
}

func whatCanBeReadIsLogged(t *testing.T, ask func(c *Customer, tab store.Table)) {
	t.Helper()
	db := slowCommit{memory.New(contact()), make(chan struct{}), make(chan struct{})}
	c := NewCustomer("Cust10195", db)
	tables, err := c.Tables(t.Context())
	require.NoError(t, err)
	var wg sync.WaitGroup
	wg.Go(func() {
		assert.NoError(t, c.Update(t.Context(), func(tx store.Tx) error {
			return tx.Insert(t.Context(), tables[0], tables[0].ColumnNames(), []store.Row{{1, "a"}})
		}))
	})
	<-db.committed
	n, err := c.Count(t.Context(), tables[0])
	require.NoError(t, err)
	require.EqualValues(t, 1, n)
	require.False(t, c.commits.TryLock(), "whoever asks has to wait")
	close(db.end)
	ask(c, tables[0])
	wg.Wait()
	require.True(t, c.commits.TryLock())
}

// isolated is a database that can tell its isolation and makes digests.
type isolated struct{ store.Store }

func (isolated) Isolation(context.Context) (string, error) { return "snapshot", nil }
func (isolated) HoldsAnyValue() bool                       { return true }
func (isolated) DigestScheme() string                      { return "scheme" }
func (isolated) DigestEvery(context.Context, store.Query, int64) ([]store.Digest, error) {
	return []store.Digest{{Sum: "every"}}, nil
}

func (isolated) DigestAt(context.Context, store.Query, []store.Row) ([]store.Digest, error) {
	return []store.Digest{{Sum: "at"}}, nil
}

func (isolated) RowsAt(context.Context, store.Query, []store.Row) iter.Seq2[[]store.Row, error] {
	return func(yield func([]store.Row, error) bool) { yield([]store.Row{{"row"}}, nil) }
}

func TestCapabilitiesOfTheDatabase(t *testing.T) {
	ctx := t.Context()
	t.Run("there", func(t *testing.T) {
		c := NewCustomer("Cust10195", isolated{memory.New()})
		isolation, err := c.Isolation(ctx)
		require.NoError(t, err)
		require.Equal(t, "snapshot", isolation)
		require.True(t, c.HoldsAnyValue())
		require.Equal(t, "scheme", c.DigestScheme())
		every, err := c.DigestEvery(ctx, store.Query{}, 1)
		require.NoError(t, err)
		require.Equal(t, []store.Digest{{Sum: "every"}}, every)
		at, err := c.DigestAt(ctx, store.Query{}, nil)
		require.NoError(t, err)
		require.Equal(t, []store.Digest{{Sum: "at"}}, at)
		for batch, err := range c.RowsAt(ctx, store.Query{}, nil) {
			require.NoError(t, err)
			require.Equal(t, []store.Row{{"row"}}, batch)
		}
	})
	t.Run("not there", func(t *testing.T) {
		c := NewCustomer("Cust10195", struct{ store.Store }{memory.New()})
		isolation, err := c.Isolation(ctx)
		require.NoError(t, err)
		require.Empty(t, isolation)
		require.False(t, c.HoldsAnyValue())
		require.Empty(t, c.DigestScheme())
		_, err = c.DigestEvery(ctx, store.Query{}, 1)
		require.ErrorIs(t, err, errors.ErrUnsupported)
		_, err = c.DigestAt(ctx, store.Query{}, nil)
		require.ErrorIs(t, err, errors.ErrUnsupported)
		for _, err := range c.RowsAt(ctx, store.Query{}, nil) {
			require.ErrorIs(t, err, errors.ErrUnsupported)
		}
	})
}

func TestDeletedKeysComeFirst(t *testing.T) {
	w := newWorld(t, memory.Table{Name: "code", Columns: []string{"code nvarchar(9)"}, Key: []string{"code"}, Rows: []store.Row{{"a"}, {"b"}}})
	w.set(w.customer, "code", cells("code", "a"), cells("code", "A"))
	w.insert(w.customer, "code", store.Row{"c"})
	w.delete(w.customer, "code", cells("code", "b"))
	_, keys, reason := w.customer.log.Since(w.must(w.customer, "code"), 1)
	require.Empty(t, reason)
	var order []any
	for _, k := range keys {
		order = append(order, k.Spellings[0][0])
	}
	require.Equal(t, []any{"a", "b", "A", "c"}, order)
}

func TestRollbackLogsNothing(t *testing.T) {
	w := newWorld(t, contact(store.Row{1, "a"}))
	w.run()
	table := w.must(w.customer, "contact")
	stop := errors.New("stop")
	err := w.customer.Update(t.Context(), func(tx store.Tx) error {
		_, err := tx.Set(t.Context(), table, cells("contact_id", 1), cells("name", "b"))
		return errors.Join(stop, err)
	})
	require.ErrorIs(t, err, stop)
	require.EqualValues(t, 1, w.version())
	requireTable(t, w.run(), "contact", Unchanged, 0, 0, 0)
}

func TestUnknownOutcomeIsLogged(t *testing.T) {
	w := newWorld(t, contact(store.Row{1, "a"}))
	w.run()
	w.db.FailAfterCommit(1, store.ErrOutcomeUnknown)
	table := w.must(w.customer, "contact")
	err := w.customer.Update(t.Context(), func(tx store.Tx) error {
		_, err := tx.Delete(t.Context(), table, cells("contact_id", 1))
		return err
	})
	require.ErrorIs(t, err, store.ErrOutcomeUnknown)
	requireTable(t, w.run(), "contact", Changes, 0, 0, 1)
}

func TestInsertWithoutTheKeyStartsAnew(t *testing.T) {
	w := newWorld(t, memory.Table{Name: "seq", Columns: []string{"id int default 5", "n int"}, Key: []string{"id"}})
	w.run()
	table := w.must(w.customer, "seq")
	w.update(w.customer, func(tx store.Tx) error {
		return tx.Insert(t.Context(), table, []string{"n"}, []store.Row{{1}})
	})
	requireTable(t, w.run(), "seq", Wiped, 1, 0, 0)
	w.requireSame("seq")
}

func TestTableFromAName(t *testing.T) {
	w := newWorld(t, contact(store.Row{1, "a"}, store.Row{2, "a"}))
	w.run()
	full := w.must(w.customer, "contact")
	bare := store.Table{Name: full.Name, Columns: full.Columns}
	w.update(w.customer, func(tx store.Tx) error {
		_, err := tx.Set(t.Context(), bare, cells("name", "a"), cells("name", "b"))
		return err
	})
	requireTable(t, w.run(), "contact", Changes, 0, 2, 0)
	w.requireSame("contact")
}

func TestRestore(t *testing.T) {
	setup := func(t *testing.T) *world {
		t.Helper()
		w := newWorld(t, contact(store.Row{1, "a"}))
		w.insert(w.customer, "contact", store.Row{2, "b"}) // version 2, the backup
		w.insert(w.customer, "contact", store.Row{3, "c"})
		w.insert(w.customer, "contact", store.Row{4, "d"})
		w.run() // at 4
		w.delete(w.db, "contact", cells("contact_id", 3))
		w.delete(w.db, "contact", cells("contact_id", 4))
		w.customer.Restore(2)
		return w
	}
	t.Run("noticed when the mirror is ahead", func(t *testing.T) {
		w := setup(t)
		requireTable(t, w.run(), "contact", Wiped, 2, 0, 0)
		w.requireSame("contact")
	})
	t.Run("hidden by later changes", func(t *testing.T) {
		w := setup(t)
		for i := range 3 {
			w.insert(w.customer, "contact", store.Row{10 + i, "n"})
		}
		requireTable(t, w.run(), "contact", Changes, 1, 0, 0)
		require.Equal(t, []string{"1 a", "2 b", "3 c", "4 d", "12 n"}, w.rows(w.mirror, "contact"))
		w.setLSN("contact", -1)
		w.run()
		w.requireSame("contact")
	})
	t.Run("an older mirror still gets every change", func(t *testing.T) {
		w := newWorld(t, contact(store.Row{1, "a"}))
		w.run() // at 1
		w.set(w.customer, "contact", cells("contact_id", 1), cells("name", "b"))
		w.set(w.customer, "contact", cells("contact_id", 1), cells("name", "c"))
		w.set(w.db, "contact", cells("contact_id", 1), cells("name", "b"))
		w.customer.Restore(2)
		requireTable(t, w.run(), "contact", Changes, 0, 1, 0)
		w.requireSame("contact")
	})
	t.Run("to a version before the oldest that is kept", func(t *testing.T) {
		w := setup(t)
		w.customer.Restore(4)
		w.customer.Forget(4)
		w.customer.Restore(3)
		requireTable(t, w.run(), "contact", Wiped, 2, 0, 0)
		requireTable(t, w.run(), "contact", Unchanged, 0, 0, 0)
	})
	t.Run("to a version ahead starts anew", func(t *testing.T) {
		w := setup(t)
		w.run()
		w.customer.Restore(1000)
		requireTable(t, w.run(), "contact", Wiped, 2, 0, 0)
		require.Equal(t, []string{"contact 1000"}, w.metaRows())
	})
}

func TestConcurrentWriters(t *testing.T) {
	w := newWorld(t, contact(), person())
	tables := []store.Table{w.must(w.customer, "contact"), w.must(w.customer, "person")}
	var wg sync.WaitGroup
	for _, table := range tables {
		wg.Go(func() {
			for i := range 50 {
				err := w.customer.Update(t.Context(), func(tx store.Tx) error {
					if i%3 == 2 {
						_, err := tx.Delete(t.Context(), table, cells(table.Key[0], i-1))
						return err
					}
					return tx.Insert(t.Context(), table, table.ColumnNames(), []store.Row{{i, "x"}})
				})
				assert.NoError(t, err)
			}
		})
	}
	w.task.BatchSize = 40
	for range 10 {
		w.run()
	}
	wg.Wait()
	w.run()
	require.EqualValues(t, 101, w.version())
	w.requireSame("contact", "person")
}

// flaky rolls back some of its Updates, and loses the outcome of others.
type flaky struct {
	store.Store
	rnd *rand.Rand
}

func (f flaky) Update(ctx context.Context, fn func(store.Tx) error) error {
	fate := f.rnd.IntN(20)
	err := f.Store.Update(ctx, func(tx store.Tx) error {
		if err := fn(tx); err != nil || fate != 0 {
			return err
		}
		return ErrInterrupted
	})
	if err == nil && fate == 1 {
		return ErrInterrupted
	}
	return err
}

// TestRandomLives holds the mirror to the customer's data through random
// writes, resets, interruptions and lost commits.
func TestRandomLives(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			m := memory.New()
			w := newWorldWith(t, m,
				memory.Table{Name: "link", Columns: []string{"v int null", "b nvarchar(9)", "a int"}, Key: []string{"a", "b"}},
				memory.Table{Name: "log", Columns: []string{"n int"}})
			rnd := rand.New(rand.NewPCG(seed, 1))
			w.task.BatchSize = 50
			w.task.Mirror = flaky{m, rnd}
			link, log := w.must(w.customer, "link"), w.must(w.customer, "log")
			ctx := t.Context()
			key := func() []store.Cell { return cells("a", rnd.IntN(4), "b", string(rune('a'+rnd.IntN(4)))) }
			step := func(tx store.Tx) error {
				switch k := key(); rnd.IntN(12) {
				case 0:
					return tx.Truncate(ctx, link)
				case 1:
					_, err := tx.Delete(ctx, link, k[:1])
					return err
				case 2:
					_, err := tx.Set(ctx, link, cells("v", rnd.IntN(3)), cells("v", nil))
					return err
				case 3:
					return tx.Insert(ctx, log, []string{"n"}, []store.Row{{rnd.IntN(9)}})
				case 4: // move a row to another key
					to := key()
					if _, err := tx.Delete(ctx, link, to); err != nil {
						return err
					}
					_, err := tx.Set(ctx, link, k, to)
					return err
				default:
					n, err := tx.Set(ctx, link, k, cells("v", rnd.IntN(3)))
					if err != nil || n > 0 {
						return err
					}
					return tx.Insert(ctx, link, []string{"a", "b", "v"}, []store.Row{{k[0].Value, k[1].Value, rnd.IntN(3)}})
				}
			}
			for range 60 {
				for range rnd.IntN(6) {
					undo := rnd.IntN(5) == 0
					err := w.customer.Update(ctx, func(tx store.Tx) error {
						if err := step(tx); err != nil {
							return err
						}
						if undo {
							return ErrInterrupted
						}
						return step(tx)
					})
					require.True(t, err == nil || undo && errors.Is(err, ErrInterrupted), err)
				}
				switch rnd.IntN(8) {
				case 0:
					if _, ok := m.LSN("Cust10195", "link"); ok {
						w.setLSN("link", rnd.IntN(3)-1)
						w.customer.Forget(2)
					}
				case 1:
					if _, ok := w.table(m, metaName); ok {
						w.drop(m, metaName)
					}
				case 2:
					w.customer.Forget(int64(w.version()) - int64(rnd.IntN(5)))
				}
				w.task.FailAfterBatches = rnd.IntN(4)
				if _, err := w.task.Run(ctx); err != nil {
					require.ErrorIs(t, err, ErrInterrupted)
					continue
				}
				w.requireSame("link", "log")
			}
		})
	}
}
