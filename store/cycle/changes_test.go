package cycle

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

func TestChanged(t *testing.T) {
	ctx := t.Context()
	// changed asks for keys of one column.
	changed := func(w *world, table string, since store.LSN, keys ...any) []bool {
		t.Helper()
		rows := make([]store.Row, len(keys))
		for i, k := range keys {
			rows[i] = store.Row{k}
		}
		got, err := w.customer.Changed(ctx, w.must(w.customer, table), since, rows)
		require.NoError(t, err)
		return got
	}
	t.Run("inserted, updated, deleted and moved rows", func(t *testing.T) {
		w := newWorld(t, contact(store.Row{1, "a"}, store.Row{2, "b"}, store.Row{3, "c"}, store.Row{4, "d"}))
		w.set(w.customer, "contact", cells("contact_id", 1), cells("name", "x"))     // 2
		w.insert(w.customer, "contact", store.Row{5, "e"})                           // 3
		w.delete(w.customer, "contact", cells("contact_id", 2))                      // 4
		w.set(w.customer, "contact", cells("contact_id", 3), cells("contact_id", 7)) // 5
		require.Equal(t, store.LSN(5), w.version())
		ask := []any{7, 1, 2, 3, 4, 5, 6}
		require.Equal(t, []bool{true, true, true, true, false, true, false}, changed(w, "contact", 1, ask...))
		require.Equal(t, []bool{true, false, true, true, false, true, false}, changed(w, "contact", 2, ask...))
		require.Equal(t, []bool{true, false, false, true, false, false, false}, changed(w, "contact", 4, ask...))
		require.Equal(t, make([]bool, len(ask)), changed(w, "contact", 5, ask...))
		require.Empty(t, changed(w, "contact", 1))
	})
	t.Run("keys are equal as CompareKeys has it", func(t *testing.T) {
		w := newWorld(t,
			memory.Table{Name: "code", Columns: []string{"code nvarchar(9)"}, Key: []string{"code"}},
			memory.Table{Name: "price", Columns: []string{"price decimal(9,2)"}, Key: []string{"price"}},
			memory.Table{Name: "moment", Columns: []string{"moment datetimeoffset(0)"}, Key: []string{"moment"}},
			memory.Table{Name: "tick", Columns: []string{"tick datetime"}, Key: []string{"tick"}})
		noon := time.Date(2026, 2, 3, 12, 0, 0, 0, time.UTC)
		w.insert(w.customer, "code", store.Row{"a"})
		w.insert(w.customer, "price", store.Row{"1.50"})
		w.insert(w.customer, "moment", store.Row{noon})
		w.insert(w.customer, "tick", store.Row{noon.Add(3 * time.Millisecond)})
		require.Equal(t, []bool{true, false, false}, changed(w, "code", 1, "a", "A", "a "))
		require.Equal(t, []bool{true, true, false}, changed(w, "price", 1, "1.5", "01.500", "1.51"))
		require.Equal(t, []bool{true, false}, changed(w, "moment", 1, noon.In(time.FixedZone("", 3600)), noon.Add(time.Second)))
		require.Equal(t, []bool{true, false}, changed(w, "tick", 1, noon.Add(4*time.Millisecond), noon))
	})
	t.Run("composite keys in key order", func(t *testing.T) {
		w := newWorld(t, memory.Table{Name: "link", Columns: []string{"v int null", "b nvarchar(9)", "a int"}, Key: []string{"a", "b"}})
		w.insert(w.customer, "link", store.Row{0, "x", 1}, store.Row{0, "y", 2})
		got, err := w.customer.Changed(ctx, w.must(w.customer, "link"), 1, []store.Row{{2, "y"}, {1, "y"}, {1, "x"}})
		require.NoError(t, err)
		require.Equal(t, []bool{true, false, true}, got)
	})
	t.Run("what is no longer known is an error", func(t *testing.T) {
		w := newWorld(t, contact(), person())
		w.insert(w.customer, "contact", store.Row{1, "a"})
		w.insert(w.customer, "contact", store.Row{2, "b"})
		w.customer.Forget(2)
		require.Equal(t, []bool{false, true}, changed(w, "contact", 2, 1, 2))
		for _, since := range []store.LSN{1, store.ResendAll} {
			_, err := w.customer.Changed(ctx, w.must(w.customer, "contact"), since, []store.Row{{1}})
			require.EqualError(t, err, fmt.Sprintf("read changes of contact: version %d is older than the oldest that is known, 2: read the table anew", since))
		}
		table := w.must(w.customer, "contact")
		w.update(w.customer, func(tx store.Tx) error { return tx.Truncate(ctx, table) })
		_, err := w.customer.Changed(ctx, table, 3, []store.Row{{1}})
		require.ErrorContains(t, err, "older than the oldest that is known, 4")
		require.Equal(t, []bool{false}, changed(w, "person", 2, 1))
	})
	t.Run("no primary key", func(t *testing.T) {
		w := newWorld(t, memory.Table{Name: "log", Columns: []string{"n int"}})
		w.insert(w.customer, "log", store.Row{1})
		log := w.must(w.customer, "log")
		_, err := w.customer.MinValidVersion(ctx, log)
		require.ErrorIs(t, err, errors.ErrUnsupported)
		_, err = w.customer.Changed(ctx, log, 2, nil)
		require.ErrorIs(t, err, errors.ErrUnsupported)
		require.ErrorContains(t, err, "read changes of log: unsupported operation: changes are tracked by primary key, and it has none")
	})
	t.Run("keys that are none", func(t *testing.T) {
		w := newWorld(t, contact())
		table := w.must(w.customer, "contact")
		_, err := w.customer.Changed(ctx, table, 1, []store.Row{{1, 2}})
		require.ErrorContains(t, err, "key has 2 values for 1 columns")
		_, err = w.customer.Changed(ctx, table, 1, []store.Row{{"x"}})
		require.ErrorContains(t, err, "column contact_id: value x does not fit int")
		_, err = w.customer.Changed(ctx, store.Table{Name: "contact", Key: []string{"contact_id"}}, 1, nil)
		require.ErrorContains(t, err, `it has no column "contact_id"`)
	})
	t.Run("canceled", func(t *testing.T) {
		w := newWorld(t, contact())
		ctx, cancel := context.WithCancel(ctx)
		cancel()
		_, err := w.customer.Version(ctx)
		require.Equal(t, context.Canceled, err)
		_, err = w.customer.MinValidVersion(ctx, w.must(w.customer, "contact"))
		require.Equal(t, context.Canceled, err)
		_, err = w.customer.Changed(ctx, w.must(w.customer, "contact"), 1, nil)
		require.Equal(t, context.Canceled, err)
	})
}

func TestChangedKeys(t *testing.T) {
	ctx := t.Context()
	listed := func(w *world, table string, since store.LSN, after store.Row, n int) []store.Row {
		t.Helper()
		keys, err := w.customer.ChangedKeys(ctx, w.must(w.customer, table), since, after, n)
		require.NoError(t, err)
		return keys
	}
	k := func(keys ...int64) []store.Row {
		rows := make([]store.Row, len(keys))
		for i, key := range keys {
			rows[i] = store.Row{key}
		}
		return rows
	}
	t.Run("inserted, updated, deleted and moved rows", func(t *testing.T) {
		w := newWorld(t, contact(store.Row{1, "a"}, store.Row{2, "b"}, store.Row{3, "c"}, store.Row{4, "d"}))
		w.set(w.customer, "contact", cells("contact_id", 1), cells("name", "x"))     // 2
		w.insert(w.customer, "contact", store.Row{5, "e"})                           // 3
		w.delete(w.customer, "contact", cells("contact_id", 2))                      // 4
		w.set(w.customer, "contact", cells("contact_id", 3), cells("contact_id", 7)) // 5
		w.set(w.customer, "contact", cells("contact_id", 1), cells("name", "y"))     // 6
		require.Equal(t, k(1, 2, 3, 5, 7), listed(w, "contact", 1, nil, 10))
		require.Equal(t, k(1, 2, 3, 7), listed(w, "contact", 3, nil, 10))
		require.Equal(t, k(1), listed(w, "contact", 5, nil, 10))
		require.Empty(t, listed(w, "contact", 6, nil, 10))
		require.Equal(t, k(1, 2), listed(w, "contact", 1, nil, 2))
		require.Equal(t, k(3, 5), listed(w, "contact", 1, store.Row{2}, 2))
		require.Equal(t, k(5, 7), listed(w, "contact", 1, store.Row{4}, 2), "behind a key that is none")
		require.Empty(t, listed(w, "contact", 1, store.Row{7}, 2))
		key := listed(w, "contact", 1, nil, 1)
		key[0][0] = int64(99)
		require.Equal(t, k(1), listed(w, "contact", 1, nil, 1), "what comes is the caller's")
	})
	t.Run("one key with two spellings", func(t *testing.T) {
		w := newWorld(t, memory.Table{Name: "moment", Columns: []string{"moment datetimeoffset(0)"}, Key: []string{"moment"}})
		noon := time.Date(2026, 2, 3, 12, 0, 0, 0, time.UTC)
		paris := noon.In(time.FixedZone("", 3600))
		w.insert(w.customer, "moment", store.Row{noon})
		w.set(w.customer, "moment", cells("moment", noon), cells("moment", paris)) // in one version
		require.Equal(t, []store.Row{{paris}}, listed(w, "moment", 1, nil, 2))
		require.Empty(t, listed(w, "moment", 1, store.Row{noon}, 2))
		w.delete(w.customer, "moment", cells("moment", paris))
		w.insert(w.customer, "moment", store.Row{noon})
		require.Equal(t, []store.Row{{noon}}, listed(w, "moment", 1, nil, 2))
		w.delete(w.customer, "moment", cells("moment", noon))
		require.Equal(t, []store.Row{{noon}}, listed(w, "moment", 1, nil, 2), "of two that are gone the last one")
	})
	t.Run("what is no longer known is an error at every page", func(t *testing.T) {
		w := newWorld(t, contact())
		w.insert(w.customer, "contact", store.Row{1, "a"}, store.Row{2, "b"})
		w.insert(w.customer, "contact", store.Row{3, "c"})
		table := w.must(w.customer, "contact")
		require.Equal(t, k(1, 2), listed(w, "contact", 1, nil, 2))
		w.customer.Forget(2)
		_, err := w.customer.ChangedKeys(ctx, table, 1, store.Row{2}, 2)
		require.EqualError(t, err, "list changed keys of contact: version 1 is older than the oldest that is known, 2: read the table anew")
		require.Equal(t, k(3), listed(w, "contact", 2, nil, 2))
		w.update(w.customer, func(tx store.Tx) error { return tx.Truncate(ctx, table) })
		_, err = w.customer.ChangedKeys(ctx, table, 3, store.Row{3}, 2)
		require.ErrorContains(t, err, "older than the oldest that is known, 4")
	})
	t.Run("what cannot be asked", func(t *testing.T) {
		w := newWorld(t, contact(), memory.Table{Name: "log", Columns: []string{"n int"}})
		_, err := w.customer.ChangedKeys(ctx, w.must(w.customer, "log"), 1, nil, 1)
		require.ErrorIs(t, err, errors.ErrUnsupported)
		table := w.must(w.customer, "contact")
		_, err = w.customer.ChangedKeys(ctx, table, 1, nil, 0)
		require.ErrorContains(t, err, "ask for at least one")
		_, err = w.customer.ChangedKeys(ctx, table, 1, store.Row{1, 2}, 1)
		require.ErrorContains(t, err, "key has 2 values for 1 columns")
		canceled, cancel := context.WithCancel(ctx)
		cancel()
		_, err = w.customer.ChangedKeys(canceled, table, 1, nil, 1)
		require.Equal(t, context.Canceled, err)
	})
}
