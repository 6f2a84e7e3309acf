package storetest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
)

// txContracts: all writes of an Update are there, or none.
func txContracts() []contract {
	return []contract{
		{"commit", commit},
		{"rollback", rollback},
		{"rollback-of-failed-write", rollbackOfFailedWrite},
		{"panic", rollbackOnPanic},
		{"goexit", rollbackOnGoexit},
		{"reads-own-writes", readsOwnWrites},
		{"reads-in-order", readsInOrder},
		{"lost-updates", lostUpdates},
		{"use-after-return", useAfterReturn},
		{"cancelled-before", cancelledBefore},
		{"cancelled-inside", cancelledInside},
		{"cancelled-at-the-end", cancelledAtTheEnd},
	}
}

// dump returns the whole database as text, so that two states of it compare.
func dump(t T, src store.Source) []string {
	t.Helper()
	tables, err := src.Tables(t.Context())
	require.NoError(t, err, "Tables")
	var lines []string
	for _, tab := range tables {
		lines = append(lines, fmt.Sprintf("%s %v key %v", tab, tab.Columns, tab.Key))
		for _, r := range readFrom(t, src, store.Query{Table: tab}) {
			lines = append(lines, tab.String()+" "+show(r))
		}
	}
	slices.Sort(lines)
	return lines
}

// unchanged compares the database with an earlier dump of it.
func unchanged(t *env, before []string, what string, args ...any) {
	t.Helper()
	after := dump(t, t.st)
	if slices.Equal(before, after) {
		return
	}
	without := func(lines, others []string) []string {
		lines = slices.DeleteFunc(slices.Clone(lines), func(s string) bool { return slices.Contains(others, s) })
		return lines[:min(len(lines), 5)]
	}
	require.Fail(t, fmt.Sprintf("%s: gone are %q, new are %q (up to 5 of each)",
		fmt.Sprintf(what, args...), without(before, after), without(after, before)))
}

// everything is a transaction with one of each write, over several tables.
func everything(t *env) (before []string, writes func(ctx context.Context, tx store.Tx) error) {
	t.Helper()
	named := func(name string) store.Table {
		def := people()
		def.Name = name
		return def
	}
	changed, emptied, dropped := t.load(named("changed"), peopleRows(5)...), t.load(named("emptied"), peopleRows(500)...), t.load(named("dropped"), peopleRows(3)...)
	created := named("created")
	return dump(t, t.st), func(ctx context.Context, tx store.Tx) error {
		if err := create(ctx, tx, created, peopleRows(4)); err != nil {
			return err
		}
		if err := tx.Insert(ctx, changed, []string{"id"}, []store.Row{{6}}); err != nil {
			return err
		}
		if _, err := tx.Set(ctx, changed, cells(cell("id", 1)), cells(cell("name", "set"))); err != nil {
			return err
		}
		if _, err := tx.Delete(ctx, changed, cells(cell("id", 2))); err != nil {
			return err
		}
		if err := tx.Truncate(ctx, emptied); err != nil {
			return err
		}
		return tx.Drop(ctx, dropped)
	}
}

func commit(t *env) {
	before, writes := everything(t)
	t.update(func(tx store.Tx) error { return writes(t.Context(), tx) })
	require.NotEqual(t, before, dump(t, t.st))
	missing(t, t.st, "dropped")
	require.Zero(t, count(t, t.st, t.find("emptied")))
	expect(t, t.st, store.Query{Table: t.find("created"), Key: []string{"id"}}, peopleRows(4))
	rows := peopleRows(5)
	rows[0][1] = "set"
	rows = append(rows, store.Row{int64(6), nil, nil})
	expect(t, t.st, store.Query{Table: t.find("changed"), Key: []string{"id"}}, slices.Delete(rows, 1, 2))
}

func rollback(t *env) {
	before, writes := everything(t)
	sentinel := errors.New("storetest: roll this back")
	err := t.st.Update(t.Context(), func(tx store.Tx) error {
		if err := writes(t.Context(), tx); err != nil {
			return err
		}
		return sentinel
	})
	require.True(t, err == sentinel, "Update returns the function's error as it is, and not %v", err)
	unchanged(t, before, "database after a rollback")
	t.update(func(tx store.Tx) error { return writes(t.Context(), tx) })
}

func rollbackOfFailedWrite(t *env) {
	before, writes := everything(t)
	t.refused("a transaction whose last write fails", func(tx store.Tx) error {
		if err := writes(t.Context(), tx); err != nil {
			return err
		}
		rows := peopleRows(3000)
		rows[2999][0] = int64(1) // a key that is there already
		return tx.Insert(t.Context(), findIn(t, tx, "emptied"), people().ColumnNames(), rows)
	})
	unchanged(t, before, "database after a failed write")
}

func rollbackOnPanic(t *env) {
	before, writes := everything(t)
	value := &struct{ text string }{"storetest: panic"}
	func() {
		defer func() {
			require.True(t, recover() == any(value), "the panic passes through Update as it is")
		}()
		err := t.st.Update(t.Context(), func(tx store.Tx) error {
			if err := writes(t.Context(), tx); err != nil {
				return err
			}
			panic(value)
		})
		require.Fail(t, "Update returned in spite of the panic", "with %v", err)
	}()
	unchanged(t, before, "database after a panic")
	t.update(func(tx store.Tx) error { return writes(t.Context(), tx) })
}

// rollbackOnGoexit: t.FailNow ends the goroutine from within the function.
func rollbackOnGoexit(t *env) {
	before, writes := everything(t)
	failed := make(chan error, 1)
	go func() {
		defer close(failed)
		err := t.st.Update(t.Context(), func(tx store.Tx) error {
			if err := writes(t.Context(), tx); err != nil {
				return err
			}
			runtime.Goexit()
			return nil
		})
		failed <- fmt.Errorf("the function never returned, but Update did, with %v", err)
	}()
	require.NoError(t, <-failed)
	unchanged(t, before, "database after runtime.Goexit")
	t.update(func(tx store.Tx) error { return writes(t.Context(), tx) })
}

func readsOwnWrites(t *env) {
	rows := peopleRows(3)
	tab := t.load(people(), rows...)
	t.update(func(tx store.Tx) error {
		if _, err := tx.Set(t.Context(), tab, cells(cell("id", 2)), cells(cell("name", "changed"))); err != nil {
			return err
		}
		rows[1][1] = "changed"
		expect(t, tx, store.Query{Table: tab, Key: []string{"id"}}, rows)

		if err := tx.Insert(t.Context(), tab, tab.ColumnNames(), []store.Row{{4, "new", nil}}); err != nil {
			return err
		}
		rows = append(rows, store.Row{int64(4), "new", nil})
		expect(t, tx, store.Query{Table: tab, Key: []string{"id"}, From: store.Row{int64(2)}}, rows)
		require.EqualValues(t, 4, count(t, tx, tab))

		if _, err := tx.Delete(t.Context(), tab, cells(cell("id", 1))); err != nil {
			return err
		}
		require.EqualValues(t, 3, count(t, tx, tab))

		other := people()
		other.Name = "others"
		if err := create(t.Context(), tx, other, peopleRows(2)); err != nil {
			return err
		}
		other = findIn(t, tx, "others")
		require.Equal(t, tab.Columns, other.Columns)
		expect(t, tx, store.Query{Table: other, Key: []string{"id"}}, peopleRows(2))

		if err := tx.Drop(t.Context(), tab); err != nil {
			return err
		}
		missing(t, tx, "people")
		return tx.Create(t.Context(), people())
	})
	require.Zero(t, count(t, t.st, t.find("people")))
	require.EqualValues(t, 2, count(t, t.st, t.find("others")))

	err := t.refused("Count of a table that this transaction dropped", func(tx store.Tx) error {
		if err := tx.Drop(t.Context(), tab); err != nil {
			return err
		}
		_, err := tx.Count(t.Context(), tab)
		return err
	})
	require.ErrorIs(t, err, store.ErrTableNotFound)
}

// readsInOrder: a Tx is a Source in full.
func readsInOrder(t *env) {
	def := table("ordered", []string{"id"}, notNull("id", "int"), nullable("k", "nvarchar(20)"))
	var rows []store.Row
	for i, k := range []any{"b", nil, "a ", "Z", "A", "", "a", "ø", "\uffee", "\U0001f600"} {
		rows = append(rows, store.Row{int64(i), k})
	}
	t.update(func(tx store.Tx) error {
		if err := create(t.Context(), tx, def, rows); err != nil {
			return err
		}
		tab := findIn(t, tx, "ordered")
		for _, r := range rows {
			key := []string{"k", "id"}
			expect(t, tx, store.Query{Table: tab, Key: key, From: store.Row{r[1], r[0]}, Limit: 4}, rows)
			expect(t, tx, store.Query{Table: tab, Key: key, Before: store.Row{r[1], r[0]}}, rows)
		}
		for range tx.Rows(t.Context(), store.Query{Table: tab}) {
			break
		}
		_, err := tx.Delete(t.Context(), tab, cells(cell("k", "a")))
		return err
	})
	require.EqualValues(t, len(rows)-1, count(t, t.st, t.find("ordered")))
}

// lostUpdates: what one Update read stays true until it has written.
func lostUpdates(t *env) {
	const workers, each = 2, 20
	tab := t.load(table("counter", []string{"id"}, notNull("id", "int"), notNull("n", "int")), store.Row{1, 0})
	increment := func(tx store.Tx) error {
		rows, err := collect(t.Context(), tx, store.Query{Table: tab, Columns: []string{"n"}})
		if err != nil {
			return err
		}
		n, err := tx.Set(t.Context(), tab, cells(cell("id", 1)), cells(cell("n", rows[0][0].(int64)+1)))
		if err == nil && n != 1 {
			err = fmt.Errorf("%d rows set, want 1", n)
		}
		return err
	}
	done := make(chan error, workers)
	for range workers {
		go func() {
			var err error
			for i := 0; i < each && err == nil; i++ {
				err = t.st.Update(t.Context(), increment)
			}
			done <- err
		}()
	}
	var errs []error
	for range workers {
		errs = append(errs, <-done)
	}
	require.NoError(t, errors.Join(errs...))
	requireRows(t, tab.Columns, []store.Row{{int64(1), int64(workers * each)}}, t.read(store.Query{Table: tab}))
}

func useAfterReturn(t *env) {
	tab := t.load(people(), peopleRows(3)...)
	before := dump(t, t.st)
	for name, end := range map[string]error{"commit": nil, "rollback": errors.New("storetest: roll this back")} {
		var late store.Tx
		err := t.st.Update(t.Context(), func(tx store.Tx) error {
			late = tx
			return end
		})
		require.Equal(t, end, err)
		ctx := t.Context()
		for method, use := range map[string]func() error{
			"Tables":   func() error { _, err := late.Tables(ctx); return err },
			"Count":    func() error { _, err := late.Count(ctx, tab); return err },
			"Rows":     func() error { _, err := collect(ctx, late, store.Query{Table: tab}); return err },
			"Create":   func() error { return late.Create(ctx, table("late", nil, notNull("id", "int"))) },
			"Drop":     func() error { return late.Drop(ctx, tab) },
			"Truncate": func() error { return late.Truncate(ctx, tab) },
			"Insert":   func() error { return late.Insert(ctx, tab, []string{"id"}, []store.Row{{99}}) },
			"Set": func() error {
				_, err := late.Set(ctx, tab, cells(cell("id", 1)), cells(cell("age", 1)))
				return err
			},
			"Delete": func() error { _, err := late.Delete(ctx, tab, cells(cell("id", 1))); return err },
			"Rename": func() error {
				if r, ok := late.(store.Renamer); ok {
					return r.Rename(ctx, tab, "late")
				}
				return errors.ErrUnsupported
			},
		} {
			require.Error(t, use(), "%s of a Tx after its %s", method, name)
		}
		unchanged(t, before, "database after use of a Tx after its %s", name)
	}
}

func cancelledBefore(t *env) {
	t.load(people(), peopleRows(3)...)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	ran := false
	err := t.st.Update(ctx, func(store.Tx) error {
		ran = true
		return nil
	})
	require.ErrorIs(t, err, context.Canceled)
	require.False(t, ran, "the function runs although its context is done")
}

func cancelledInside(t *env) {
	before, writes := everything(t)
	changed := t.find("changed")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := t.st.Update(ctx, func(tx store.Tx) error {
		if err := writes(ctx, tx); err != nil {
			return err
		}
		cancel()
		return tx.Insert(ctx, changed, []string{"id"}, []store.Row{{77}})
	})
	require.ErrorIs(t, err, context.Canceled)
	unchanged(t, before, "database after a context was cancelled")
	t.update(func(tx store.Tx) error { return writes(t.Context(), tx) })
}

func cancelledAtTheEnd(t *env) {
	before, writes := everything(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := t.st.Update(ctx, func(tx store.Tx) error {
		err := writes(ctx, tx)
		cancel()
		return err
	})
	require.ErrorIs(t, err, context.Canceled)
	unchanged(t, before, "database after a context was cancelled before the commit")
	t.update(func(tx store.Tx) error { return writes(t.Context(), tx) })
}
