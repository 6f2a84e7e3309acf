package memory_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/cycle"
	"github.com/so-mirror/mirror/store/memory"
)

func people(rows ...store.Row) memory.Table {
	return memory.Table{Name: "person", Columns: []string{"person_id int", "name nvarchar(9) null"}, Key: []string{"person_id"}, Rows: rows}
}

func person(t *testing.T, s *memory.Store) store.Table {
	t.Helper()
	def, _, ok := s.Table("person")
	require.True(t, ok)
	return def
}

func TestTrackingIsOff(t *testing.T) {
	s := memory.New(people())
	_, err := s.Version(t.Context())
	require.ErrorIs(t, err, errors.ErrUnsupported)
	_, err = s.MinValidVersion(t.Context(), person(t, s))
	require.ErrorIs(t, err, errors.ErrUnsupported)
	_, err = s.Changed(t.Context(), person(t, s), 0, nil)
	require.ErrorIs(t, err, errors.ErrUnsupported)
	_, err = s.ChangedKeys(t.Context(), person(t, s), 0, nil, 1)
	require.ErrorIs(t, err, errors.ErrUnsupported)
	require.Empty(t, s.Calls(), "what is off is not asked")
	require.Panics(t, func() { s.ForgetChanges(1) })
	require.Panics(t, func() { s.TrackChanges(1, 2) })
	require.Panics(t, func() { s.TrackChanges(1, -1) })
}

func TestTrackChanges(t *testing.T) {
	key := func(n int) []store.Cell { return []store.Cell{{Column: "person_id", Value: n}} }
	name := func(s string) []store.Cell { return []store.Cell{{Column: "name", Value: s}} }
	for label, c := range map[string]struct {
		change  func(ctx context.Context, tx store.Tx, t store.Table) error
		changed []bool // of the keys 1 to 4; nil: the tracking began anew
		version store.LSN
	}{
		"nothing": {func(context.Context, store.Tx, store.Table) error { return nil }, []bool{false, false, false, false}, 900},
		"insert": {func(ctx context.Context, tx store.Tx, t store.Table) error {
			return tx.Insert(ctx, t, []string{"person_id"}, []store.Row{{4}})
		}, []bool{false, false, false, true}, 901},
		"update": {func(ctx context.Context, tx store.Tx, t store.Table) error {
			_, err := tx.Set(ctx, t, key(2), name("x"))
			return err
		}, []bool{false, true, false, false}, 901},
		"update to the value that it has": {func(ctx context.Context, tx store.Tx, t store.Table) error {
			_, err := tx.Set(ctx, t, key(2), name("b"))
			return err
		}, []bool{false, true, false, false}, 901},
		"delete": {func(ctx context.Context, tx store.Tx, t store.Table) error {
			_, err := tx.Delete(ctx, t, key(3))
			return err
		}, []bool{false, false, true, false}, 901},
		"another key": {func(ctx context.Context, tx store.Tx, t store.Table) error {
			_, err := tx.Set(ctx, t, key(3), key(4))
			return err
		}, []bool{false, false, true, true}, 901},
		"all rows deleted one by one": {func(ctx context.Context, tx store.Tx, t store.Table) error {
			for n := range 3 {
				if _, err := tx.Delete(ctx, t, key(n+1)); err != nil {
					return err
				}
			}
			return nil
		}, []bool{true, true, true, false}, 901},
		"no row deleted": {func(ctx context.Context, tx store.Tx, t store.Table) error {
			_, err := tx.Delete(ctx, t, key(9))
			return err
		}, []bool{false, false, false, false}, 900},
		"truncate": {func(ctx context.Context, tx store.Tx, t store.Table) error { return tx.Truncate(ctx, t) }, nil, 901},
		"truncate and the same rows": {func(ctx context.Context, tx store.Tx, t store.Table) error {
			if err := tx.Truncate(ctx, t); err != nil {
				return err
			}
			return tx.Insert(ctx, t, []string{"person_id", "name"}, []store.Row{{1, "a"}, {2, "b"}, {3, "c"}})
		}, nil, 901},
		"drop and create": {func(ctx context.Context, tx store.Tx, t store.Table) error {
			if err := tx.Drop(ctx, t); err != nil {
				return err
			}
			return tx.Create(ctx, t)
		}, nil, 901},
	} {
		t.Run(label, func(t *testing.T) {
			s := memory.New(people(store.Row{1, "a"}, store.Row{2, "b"}, store.Row{3, "c"}))
			s.TrackChanges(900, 0)
			table := person(t, s)
			require.NoError(t, s.Update(t.Context(), func(tx store.Tx) error { return c.change(t.Context(), tx, table) }))
			version, err := s.Version(t.Context())
			require.NoError(t, err)
			require.Equal(t, c.version, version)
			least, err := s.MinValidVersion(t.Context(), table)
			require.NoError(t, err)
			keys := []store.Row{{1}, {2}, {3}, {4}}
			changed, err := s.Changed(t.Context(), table, 900, keys)
			if c.changed == nil {
				require.EqualValues(t, 901, least)
				require.ErrorContains(t, err, "older than the oldest that is known")
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.changed, changed)
			require.Zero(t, least)
		})
	}
}

func TestTrackingOfWhatWasNotCommitted(t *testing.T) {
	stop := errors.New("stop")
	s := memory.New(people(store.Row{1, "a"}))
	s.TrackChanges(900, 800)
	table := person(t, s)
	insert := func(end error) error {
		return s.Update(t.Context(), func(tx store.Tx) error {
			return errors.Join(tx.Insert(t.Context(), table, []string{"person_id"}, []store.Row{{2}}), end)
		})
	}
	require.ErrorIs(t, insert(stop), stop)
	s.FailAt(memory.Commit, 1, stop)
	require.ErrorIs(t, insert(nil), stop)
	version, err := s.Version(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 900, version)
	s.FailAfterCommit(1, store.ErrOutcomeUnknown)
	require.ErrorIs(t, insert(nil), store.ErrOutcomeUnknown)
	changed, err := s.Changed(t.Context(), table, 900, []store.Row{{1}, {2}})
	require.NoError(t, err)
	require.Equal(t, []bool{false, true}, changed)

	s.ForgetChanges(901)
	least, err := s.MinValidVersion(t.Context(), table)
	require.NoError(t, err)
	require.EqualValues(t, 901, least)
	_, err = s.Changed(t.Context(), table, 900, nil)
	require.Error(t, err)
	s.TrackChanges(500, 0) // as a restored backup
	version, err = s.Version(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 500, version)

	s.ResetCalls()
	s.FailAt(memory.Track, 2, stop)
	s.FailAt(memory.Track, 3, stop)
	_, err = s.Version(t.Context())
	require.NoError(t, err)
	_, err = s.MinValidVersion(t.Context(), table)
	require.ErrorIs(t, err, stop)
	_, err = s.ChangedKeys(t.Context(), table, 500, nil, 1)
	require.ErrorIs(t, err, stop)
	require.Equal(t, []memory.Call{{Method: memory.Track}, {Method: memory.Track, Table: "person"}, {Method: memory.Track, Table: "person"}}, s.Calls())
}

// Two mechanisms find the changes of a transaction: they agree.
func TestTracksLikeTheCustomer(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	own, below := memory.New(people()), memory.New(people())
	own.TrackChanges(1, 1)
	customer := cycle.NewCustomer("C1", below)
	table := person(t, own)
	keys := make([]store.Row, 8)
	for i := range keys {
		keys[i] = store.Row{i}
	}
	there := func() []bool {
		_, rows, _ := own.Table("person")
		has := make([]bool, len(keys))
		for _, row := range rows {
			has[row[0].(int64)] = true
		}
		return has
	}
	version := func(c store.ChangeTracker) store.LSN {
		v, err := c.Version(t.Context())
		require.NoError(t, err)
		return v
	}
	pages := func(c store.ChangeTracker, since store.LSN) (listed []bool) {
		listed = make([]bool, len(keys))
		var after store.Row
		for {
			page, err := c.ChangedKeys(t.Context(), table, since, after, 3)
			require.NoError(t, err)
			for _, key := range page {
				listed[key[0].(int64)] = true
			}
			if len(page) < 3 {
				return listed
			}
			after = page[2]
		}
	}
	truncated, compared := 0, 0
	for range 1000 {
		ops := make([][3]int, 1+r.IntN(3))
		for i := range ops {
			ops[i] = [3]int{r.IntN(12), r.IntN(len(keys)), r.IntN(len(keys))}
		}
		write := func(tx store.Tx) error {
			for _, op := range ops {
				where := []store.Cell{{Column: "person_id", Value: op[1]}}
				var err error
				switch kind := op[0]; {
				case kind < 5:
					if _, err = tx.Delete(t.Context(), table, where); err == nil {
						err = tx.Insert(t.Context(), table, []string{"person_id", "name"}, []store.Row{{op[1], fmt.Sprint(op[2])}})
					}
				case kind < 9:
					_, err = tx.Set(t.Context(), table, where, []store.Cell{{Column: "name", Value: fmt.Sprint(op[2])}})
				case kind < 11:
					_, err = tx.Delete(t.Context(), table, where)
				case op[2] == 0:
					err = tx.Truncate(t.Context(), table)
				}
				if err != nil {
					return err
				}
			}
			return nil
		}
		before, ownSince, customerSince := there(), version(own), version(customer)
		require.NoError(t, own.Update(t.Context(), write))
		require.NoError(t, customer.Update(t.Context(), write))
		changed, err := own.Changed(t.Context(), table, ownSince, keys)
		want, wantErr := customer.Changed(t.Context(), table, customerSince, keys)
		require.Equal(t, wantErr == nil, err == nil, "%v, %v", err, wantErr)
		if err != nil {
			truncated++
			continue
		}
		require.Equal(t, changed, pages(own, ownSince))
		require.Equal(t, want, pages(customer, customerSince))
		for k, after := range there() {
			if before[k] || after { // else it came and went in one transaction
				require.Equal(t, want[k], changed[k], "key %d, %v", k, ops)
				compared++
			}
		}
	}
	require.Greater(t, truncated, 5)
	require.Greater(t, compared, 1000)
}

func TestFailTableOfNoTable(t *testing.T) {
	s := memory.New(people())
	boom := errors.New("boom")
	require.PanicsWithValue(t, `memory.FailTable: there is no table "persons": nothing would ever happen`, func() { s.FailTable(memory.Rows, "persons", boom) })
	require.Panics(t, func() { s.FailTable(memory.Rows, "", boom) })
	require.Panics(t, func() { s.FailTable(memory.Rows, "PERSON", boom) }, "calls have the name as Tables spells it")
	require.Panics(t, func() { s.FailTable(memory.Commit, "person", boom) }, "a commit has no table")
	require.Panics(t, func() { s.FailTable(memory.Rows, "person", nil) })
	require.NotPanics(t, func() { s.FailTable(memory.Create, "new", boom) }, "what is created is not there yet")
}
