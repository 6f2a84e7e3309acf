package storetest

import (
	"context"
	"errors"
	"fmt"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
)

// concurrentContracts: a Source is safe for concurrent use, also beside a
// writer. Run these with the race detector.
func concurrentContracts() []contract {
	return []contract{
		{"readers", readers},
		{"readers-and-writer", readersAndWriter},
	}
}

// together runs all of fns at the same time and returns their errors.
func together(fns ...func() error) error {
	done := make(chan error, len(fns))
	for _, fn := range fns {
		go func() { done <- fn() }()
	}
	var errs []error
	for range fns {
		errs = append(errs, <-done)
	}
	return errors.Join(errs...)
}

// readers read different things, so that a buffer they share shows.
func readers(t *env) {
	def := table("shared", []string{"id"}, notNull("id", "int"), notNull("s", "nvarchar(50)"), notNull("b", "varbinary(50)"))
	rows := make([]store.Row, 2000)
	for i := range rows {
		rows[i] = store.Row{int64(i), fmt.Sprint("text ", i), fmt.Appendf(nil, "bytes %d", i)}
	}
	tab := t.load(def, rows...)
	var fns []func() error
	for reader := range 4 {
		fns = append(fns, func() error {
			for i := range 5 {
				from := reader*300 + i*50
				got, err := collect(t.Context(), t.src, store.Query{Table: tab, Key: []string{"id"}, From: store.Row{int64(from)}})
				if err != nil {
					return err
				}
				if len(got) != len(rows)-from {
					return fmt.Errorf("reader %d: %d rows from %d, want %d", reader, len(got), from, len(rows)-from)
				}
				for j, r := range got {
					if diff := diffRow(tab.Columns, rows[from+j], r); diff != "" {
						return fmt.Errorf("reader %d: row %d: %s", reader, from+j, diff)
					}
				}
			}
			return nil
		})
	}
	require.NoError(t, together(fns...))
}

// readersAndWriter: a reader sees a row as one Update or the next left it,
// never what was rolled back.
func readersAndWriter(t *env) {
	const n, rounds = 300, 15
	def := table("pairs", []string{"id"}, notNull("id", "int"), notNull("a", "int"), notNull("b", "nvarchar(20)"))
	rows := make([]store.Row, n)
	for i := range rows {
		rows[i] = store.Row{int64(i), int64(0), "0"}
	}
	tab := t.load(def, rows...)
	ctx := t.Context()
	undo := errors.New("storetest: roll this back")
	fns := []func() error{func() error {
		for i := range rounds {
			set := cells(cell("a", i+1), cell("b", fmt.Sprint(i+1)))
			if err := t.st.Update(ctx, func(tx store.Tx) error {
				_, err := tx.Set(ctx, tab, nil, set)
				return err
			}); err != nil {
				return fmt.Errorf("writer: %w", err)
			}
			err := t.st.Update(ctx, func(tx store.Tx) error {
				if _, err := tx.Set(ctx, tab, nil, cells(cell("a", -1), cell("b", "-1"))); err != nil {
					return err
				}
				if _, err := tx.Delete(ctx, tab, cells(cell("id", i))); err != nil {
					return err
				}
				return undo
			})
			if err != undo {
				return fmt.Errorf("writer: got %v instead of the function's own error", err)
			}
		}
		return nil
	}}
	for range 4 {
		fns = append(fns, func() error {
			for range rounds {
				if err := readPairs(ctx, t.src, tab, n); err != nil {
					return fmt.Errorf("reader: %w", err)
				}
			}
			return nil
		})
	}
	require.NoError(t, together(fns...))
	for i := range rows {
		rows[i] = store.Row{int64(i), int64(rounds), fmt.Sprint(rounds)}
	}
	expect(t, t.src, store.Query{Table: tab, Key: []string{"id"}}, rows)
}

func readPairs(ctx context.Context, src store.Source, tab store.Table, n int) error {
	if _, err := src.Tables(ctx); err != nil {
		return err
	}
	got, err := src.Count(ctx, tab)
	if err != nil {
		return err
	}
	if got != int64(n) {
		return fmt.Errorf("%d rows counted, want %d", got, n)
	}
	rows, err := collect(ctx, src, store.Query{Table: tab, Key: []string{"id"}})
	if err != nil {
		return err
	}
	if len(rows) != n {
		return fmt.Errorf("%d rows read, want %d", len(rows), n)
	}
	for i, r := range rows {
		a, b := r[1].(int64), r[2].(string)
		if r[0] != int64(i) || b != fmt.Sprint(a) || a < 0 {
			return fmt.Errorf("row %d is %s, which no one committed", i, show(r))
		}
	}
	return nil
}
