package sqlstore

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
)

func TestDeadlockIsTriedAgain(t *testing.T) {
	const insert = `INSERT INTO "t" ("id") VALUES (?) [1]`
	for _, c := range []struct {
		name      string
		deadlocks int
		swallow   bool
		want      []string
	}{
		{"once", 1, false, []string{"begin", insert, "rollback", "pause 1", "begin", insert, "commit"}},
		{"once, and the function hides it", 1, true, []string{"begin", insert, "rollback", "pause 1", "begin", insert, "commit"}},
		{"always", 99, false, []string{"begin", insert, "rollback", "pause 1", "begin", insert, "rollback", "pause 2", "begin", insert, "rollback"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			left := c.deadlocks
			f := &fake{exec: func(string) error {
				if left--; left >= 0 {
					return errFakeDeadlock
				}
				return nil
			}}
			st := newFake(t, f, nil)
			err := st.Update(t.Context(), func(tx store.Tx) error {
				err := insertOne(t.Context())(tx)
				if c.swallow {
					return nil
				}
				return err
			})
			var log []string
			for _, line := range f.log {
				if line != "close statement" {
					log = append(log, line)
				}
			}
			require.Equal(t, c.want, log)
			if c.deadlocks == 1 {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, store.ErrDeadlock)
			require.ErrorIs(t, err, errFakeDeadlock)
			require.EqualError(t, err, "insert into t: deadlock: try again later: fake: deadlock")
		})
	}
	t.Run("an error of the function alone is not", func(t *testing.T) {
		f := &fake{}
		own := errors.New("own")
		require.True(t, newFake(t, f, nil).Update(t.Context(), func(store.Tx) error { return own }) == own)
		require.Equal(t, []string{"begin", "rollback"}, f.log)
	})
	t.Run("not when the context ends meanwhile", func(t *testing.T) {
		f := &fake{exec: func(string) error { return errFakeDeadlock }}
		st := newFake(t, f, nil)
		st.pause = pause
		ctx, cancel := context.WithCancel(t.Context())
		err := st.Update(ctx, func(tx store.Tx) error {
			err := insertOne(ctx)(tx)
			cancel()
			return err
		})
		require.ErrorIs(t, err, store.ErrDeadlock)
		require.Equal(t, 1, strings.Count(strings.Join(f.log, "\n"), "begin"))
	})
	t.Run("a pause ends with its context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, pause(ctx, 1), context.Canceled)
		require.NoError(t, pause(t.Context(), 1))
	})
}

func TestCommit(t *testing.T) {
	serverOnly := func(d *Dialect) { d.Refused = func(err error) bool { return errors.Is(err, errFakeServer) } }
	for _, c := range []struct {
		name    string
		commit  error
		dialect func(d *Dialect)
		unknown bool
		is      error
		commits int
	}{
		{"the connection broke", errFakeNetwork, nil, true, errFakeNetwork, 1},
		{"the connection was bad", driver.ErrBadConn, nil, true, driver.ErrBadConn, 1},
		{"the server refused", errFakeServer, nil, false, errFakeServer, 1},
		{"the server refused, as the dialect knows", errFakeServer, serverOnly, false, errFakeServer, 1},
		{"it did not come from the server", errors.New("cannot send"), serverOnly, true, nil, 1},
		{"a deadlock at the commit is tried again", errFakeDeadlock, nil, false, store.ErrDeadlock, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &fake{commit: func() error { return c.commit }}
			err := newFake(t, f, c.dialect).Update(t.Context(), insertOne(t.Context()))
			require.Error(t, err)
			require.Equal(t, c.unknown, errors.Is(err, store.ErrOutcomeUnknown), "%v", err)
			if c.is != nil {
				require.ErrorIs(t, err, c.is)
			}
			require.Equal(t, c.commits, strings.Count(strings.Join(f.log, "\n"), "commit"), "a commit whose outcome is unknown is never repeated")
		})
	}
}

func TestReadByStatement(t *testing.T) {
	read := func(ctx context.Context, st *Store) (n int, err error) {
		for batch, err := range st.Rows(ctx, store.Query{Table: intTable()}) {
			if err != nil {
				return n, err
			}
			n += len(batch)
		}
		return n, nil
	}
	t.Run("rows", func(t *testing.T) {
		f := &fake{query: func(context.Context, string) (driver.Rows, error) { return &fakeRows{n: 1000}, nil }}
		st := newFake(t, f, func(d *Dialect) { d.AroundRead = func(store.Table) (string, string) { return "SET x; ", "; SET y" } })
		n, err := read(t.Context(), st)
		require.NoError(t, err)
		require.Equal(t, 1000, n)
		require.Equal(t, []string{`SET x; SELECT "id" FROM "t"; SET y [0]`, "close statement"}, f.log)
	})
	t.Run("what was not read to its end costs the connection", func(t *testing.T) {
		f := &fake{query: func(context.Context, string) (driver.Rows, error) {
			return &fakeRows{n: 1000, close: errors.New("fake: cannot drain")}, nil
		}}
		st := newFake(t, f, nil)
		for range st.Rows(t.Context(), store.Query{Table: intTable()}) {
			break
		}
		require.Equal(t, []string{`SELECT "id" FROM "t" []`, "close statement", "close"}, f.log)
	})
	t.Run("an error that the driver repeats is said once, and is no lost connection", func(t *testing.T) {
		damaged := errors.New("fake: damaged")
		f := &fake{query: func(context.Context, string) (driver.Rows, error) {
			return &fakeRows{next: func() error { return damaged }, close: errors.New("fake: damaged")}, nil
		}}
		_, err := read(t.Context(), newFake(t, f, nil))
		require.EqualError(t, err, "read rows of t: fake: damaged")
		require.NotErrorIs(t, err, store.ErrConnection)
		require.Equal(t, []string{`SELECT "id" FROM "t" []`, "close statement", "close"}, f.log, "once")
	})
	t.Run("an error of the end alone", func(t *testing.T) {
		f := &fake{query: func(context.Context, string) (driver.Rows, error) {
			return &fakeRows{close: errFakeServer}, nil
		}}
		_, err := read(t.Context(), newFake(t, f, nil))
		require.ErrorIs(t, err, errFakeServer)
		require.Contains(t, f.log, "close")
	})
	t.Run("a connection that dies at the end is replaced", func(t *testing.T) {
		tries := 0
		f := &fake{query: func(context.Context, string) (driver.Rows, error) {
			if tries++; tries == 1 {
				return &fakeRows{next: func() error { return io.ErrUnexpectedEOF }, close: errors.New("fake: gone")}, nil
			}
			return &fakeRows{n: 3}, nil
		}}
		n, err := read(t.Context(), newFake(t, f, nil))
		require.NoError(t, err)
		require.Equal(t, 3, n)
	})
	t.Run("a dead connection is replaced", func(t *testing.T) {
		tries := 0
		f := &fake{query: func(context.Context, string) (driver.Rows, error) {
			if tries++; tries == 1 {
				return nil, driver.ErrBadConn
			}
			return &fakeRows{n: 3}, nil
		}}
		n, err := read(t.Context(), newFake(t, f, nil))
		require.NoError(t, err)
		require.Equal(t, 3, n)
	})
	t.Run("not after the first batch", func(t *testing.T) {
		f := &fake{query: func(context.Context, string) (driver.Rows, error) {
			return &fakeRows{n: batchRows, next: func() error { return driver.ErrBadConn }}, nil
		}}
		n, err := read(t.Context(), newFake(t, f, nil))
		require.ErrorIs(t, err, store.ErrConnection)
		require.Equal(t, batchRows, n)
	})
}

func TestTimeout(t *testing.T) {
	const limit = 10 * time.Second
	limited := func(d *Dialect) { d.Timeout = limit }
	late := func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	}
	read := func(t *testing.T, st *Store, between func()) (n int, err error) {
		for batch, err := range st.Rows(t.Context(), store.Query{Table: intTable()}) {
			if err != nil {
				return n, err
			}
			n += len(batch)
			between()
		}
		return n, nil
	}
	check := func(t *testing.T, err error) {
		t.Helper()
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NotErrorIs(t, err, store.ErrConnection, "it is the server that was slow")
		require.ErrorContains(t, err, "no answer within the query timeout of 10s")
	}
	cases := map[string]func(t *testing.T){
		"a statement": func(t *testing.T) {
			st := newFake(t, &fake{query: func(ctx context.Context, _ string) (driver.Rows, error) { return nil, late(ctx) }}, limited)
			_, err := st.Count(t.Context(), intTable())
			check(t, err)
		},
		"rows that do not begin": func(t *testing.T) {
			st := newFake(t, &fake{query: func(ctx context.Context, _ string) (driver.Rows, error) { return nil, late(ctx) }}, limited)
			_, err := read(t, st, func() {})
			check(t, err)
		},
		"rows that stop coming": func(t *testing.T) {
			st := newFake(t, &fake{query: func(ctx context.Context, _ string) (driver.Rows, error) {
				return &fakeRows{n: batchRows, next: func() error { return late(ctx) }}, nil
			}}, limited)
			n, err := read(t, st, func() {})
			check(t, err)
			require.Equal(t, batchRows, n)
		},
		"the consumer takes its time": func(t *testing.T) {
			st := newFake(t, &fake{query: func(ctx context.Context, _ string) (driver.Rows, error) {
				return &fakeRows{n: 3 * batchRows, next: func() error {
					if ctx.Err() != nil {
						return ctx.Err()
					}
					return io.EOF
				}}, nil
			}}, limited)
			n, err := read(t, st, func() { time.Sleep(3 * limit) })
			require.NoError(t, err)
			require.Equal(t, 3*batchRows, n)
		},
		"in a transaction": func(t *testing.T) {
			f := &fake{query: func(ctx context.Context, _ string) (driver.Rows, error) { return nil, late(ctx) }}
			st := newFake(t, f, limited)
			check(t, st.Update(t.Context(), func(tx store.Tx) error {
				_, err := tx.Count(t.Context(), intTable())
				return err
			}))
			require.NotContains(t, f.log, "commit")
		},
		"the caller's own end comes first": func(t *testing.T) {
			st := newFake(t, &fake{query: func(ctx context.Context, _ string) (driver.Rows, error) { return nil, late(ctx) }}, limited)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := st.Count(ctx, intTable())
			require.Equal(t, context.DeadlineExceeded, err, "passed through as it is")
		},
	}
	for name, run := range cases {
		t.Run(name, func(t *testing.T) { synctest.Test(t, run) })
	}
}

// TestStatements shows SQL that a dialect shapes.
func TestStatements(t *testing.T) {
	d := &Dialect{
		Quote:       func(name string) string { return "[" + name + "]" },
		Placeholder: func(n int) string { return fmt.Sprint("@p", n) },
		Schema:      func() string { return "crm7" },
		Limit:       func(n int64) (string, string) { return fmt.Sprintf("TOP (%d) ", n), "" },
		Codec: func(t store.Type) Codec {
			if t.Name == "int" {
				return Codec{}
			}
			return Codec{
				Param: func(p string) string { return "P(" + p + ")" },
				Order: func(e string) []string { return []string{"A(" + e + ")", "B(" + e + ")"} },
			}
		},
	}
	tab := store.Table{Name: "t", Columns: []store.Column{
		{Name: "id", Type: store.MustType("int")}, {Name: "n", Type: store.MustType("int"), Nullable: true}, {Name: "s", Type: store.MustType("nvarchar(9)")}}}
	one := []string{"id"}
	for _, c := range []struct {
		name string
		q    store.Query
		want string
	}{
		{"a number is compared as it is, so that its index serves",
			store.Query{Columns: one, Key: one, From: store.Row{1}, Limit: 7},
			"SELECT TOP (7) [id] FROM [crm7].[t] HINT WHERE ([id] >= @p1) ORDER BY [id]"},
		{"before", store.Query{Columns: one, Key: one, Before: store.Row{1}},
			"SELECT [id] FROM [crm7].[t] HINT WHERE ([id] < @p1) ORDER BY [id]"},
		{"a composite key begins with a range of its first column",
			store.Query{Columns: one, Key: []string{"id", "s"}, From: store.Row{1, "x"}},
			"SELECT [id] FROM [crm7].[t] HINT WHERE ([id] >= @p1 AND ([id] > @p2 OR ([id] = @p3 AND (A([s]) > A(P(@p4)) OR (A([s]) = A(P(@p5)) AND (B([s]) >= B(P(@p6)))))))) ORDER BY [id], A([s]), B([s])"},
		{"NULL comes first",
			store.Query{Columns: one, Key: []string{"n", "id"}, Before: store.Row{1, 2}},
			"SELECT [id] FROM [crm7].[t] HINT WHERE (([n] <= @p1 OR [n] IS NULL) AND (([n] < @p2 OR [n] IS NULL) OR ([n] = @p3 AND ([id] < @p4)))) ORDER BY [n], [id]"},
		{"from NULL", store.Query{Columns: one, Key: []string{"n", "id"}, From: store.Row{nil, 2}},
			"SELECT [id] FROM [crm7].[t] HINT WHERE ([n] IS NOT NULL OR ([n] IS NULL AND ([id] >= @p1))) ORDER BY [n], [id]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.q.Table = tab
			r, err := newReader(d, c.q, frame{hint: " HINT"})
			require.NoError(t, err)
			require.Equal(t, c.want, r.stmt.String())
		})
	}
	t.Run("insert", func(t *testing.T) {
		cols, err := d.columns(tab, []string{"id", "s"})
		require.NoError(t, err)
		require.Equal(t, "INSERT INTO [crm7].[t] ([id], [s]) VALUES (@p1, P(@p2)), (@p3, P(@p4))", d.insertText(tab, cols, 2))
	})
	t.Run("defaults", func(t *testing.T) {
		got, err := d.defaultValue("(N'æ')")
		require.NoError(t, err)
		require.Equal(t, "'æ'", got)
		d.NationalStrings = true
		got, err = d.defaultValue("(N'æ')")
		require.NoError(t, err)
		require.Equal(t, "N'æ'", got)
	})
}

func TestIdentity(t *testing.T) {
	_, err := newFake(t, &fake{}, nil).Identity(t.Context())
	require.ErrorIs(t, err, errors.ErrUnsupported)

	known := store.Identity{Engine: "fake", ID: "1"}
	st := newFake(t, &fake{}, func(d *Dialect) {
		d.Identity = func(context.Context, sqlx.QueryerContext) (store.Identity, error) { return known, nil }
	})
	id, err := st.Identity(t.Context())
	require.NoError(t, err)
	require.Equal(t, known, id)

	st = newFake(t, &fake{}, func(d *Dialect) {
		d.Identity = func(context.Context, sqlx.QueryerContext) (store.Identity, error) { return known, errFakeNetwork }
	})
	_, err = st.Identity(t.Context())
	require.ErrorIs(t, err, store.ErrConnection)
	require.ErrorContains(t, err, "read identity")
}
