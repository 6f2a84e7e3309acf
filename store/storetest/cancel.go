package storetest

import (
	"context"
	"runtime"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
)

// cancelContracts: a done context ends whatever is running, and its error
// comes back so that errors.Is finds it.
func cancelContracts() []contract {
	return []contract{
		{"cancelled", cancelled},
		{"deadline", deadline},
		{"midway", midway},
		{"usable-afterwards", usableAfterwards},
		{"goroutines", goroutines},
	}
}

func cancelled(t *env) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	doneContext(t, ctx, context.Canceled)
}

func deadline(t *env) {
	ctx, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	doneContext(t, ctx, context.DeadlineExceeded)
}

func doneContext(t *env, ctx context.Context, want error) {
	t.Helper()
	tab := t.load(people(), peopleRows(3)...)
	empty := people()
	empty.Name = "empty"
	empty = t.load(empty)
	_, err := t.src.Tables(ctx)
	require.ErrorIs(t, err, want, "Tables")
	for _, tab := range []store.Table{tab, empty} {
		_, err = t.src.Count(ctx, tab)
		require.ErrorIs(t, err, want, "Count of %s", tab)
		for _, q := range []store.Query{{Table: tab}, {Table: tab, Key: []string{"id"}, Limit: 1}} {
			rows, err := collect(ctx, t.src, q)
			require.ErrorIs(t, err, want, "Rows of %s", tab)
			require.Empty(t, rows)
		}
	}
}

// manyRows are more than a Source hands over in one batch: who reads that much
// at once cannot stop.
const manyRows = 20_000

// midway cancels after the first batch. How many rows still come is the
// Source's business, but the table's end is not reached.
func midway(t *env) {
	tab := t.load(people(), peopleRows(manyRows)...)
	for _, key := range [][]string{nil, {"id"}, {"name"}} {
		ctx, cancel := context.WithCancel(t.Context())
		var n int
		var failed error
		for batch, err := range t.src.Rows(ctx, store.Query{Table: tab, Key: key}) {
			if err != nil {
				failed = err
				break
			}
			n += len(batch)
			cancel()
		}
		cancel()
		require.ErrorIs(t, failed, context.Canceled, "Rows by %q, cancelled after a batch", key)
		require.NotZero(t, n, "rows by %q before the cancellation", key)
		require.Less(t, n, manyRows, "rows by %q in spite of the cancellation", key)
	}
}

func usableAfterwards(t *env) {
	rows := peopleRows(2000)
	tab := t.load(people(), rows...)
	for range 10 {
		cancelOnce(t, tab)
	}
	expect(t, t.src, store.Query{Table: tab, Key: []string{"id"}}, rows)
	t.update(func(tx store.Tx) error {
		_, err := tx.Delete(t.Context(), tab, cells(cell("id", 1)))
		return err
	})
	require.EqualValues(t, len(rows)-1, count(t, t.src, tab))
}

// cancelOnce cancels after the first batch, and then tries to read more.
func cancelOnce(t *env, tab store.Table) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for _, err := range t.src.Rows(ctx, store.Query{Table: tab, Key: []string{"id"}}) {
		if err != nil {
			require.ErrorIs(t, err, context.Canceled)
			break
		}
		cancel()
	}
	_, err := t.src.Count(ctx, tab)
	require.ErrorIs(t, err, context.Canceled)
}

// goroutines: every round leaves early in another way. A pool may keep a few
// goroutines for its connections, but not some for each round.
func goroutines(t *env) {
	tab := t.load(people(), peopleRows(3000)...)
	nobody := people()
	nobody.Name = "nobody"
	round := func() {
		for range t.src.Rows(t.Context(), store.Query{Table: tab, Key: []string{"id"}}) {
			break
		}
		cancelOnce(t, tab)
		_, err := collect(t.Context(), t.src, store.Query{Table: nobody})
		require.ErrorIs(t, err, store.ErrTableNotFound)
		_, err = collect(t.Context(), t.src, store.Query{Table: tab, Limit: 1})
		require.NoError(t, err)
	}
	const rounds = 50
	round()
	before := runtime.NumGoroutine()
	for range rounds {
		round()
	}
	more := 0
	for range 500 { // goroutines that are about to end may take their time
		if more = runtime.NumGoroutine() - before; more < rounds/2 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	require.Less(t, more, rounds/2, "goroutines left behind by %d rounds", rounds)
}
