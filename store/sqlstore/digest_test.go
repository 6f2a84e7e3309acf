package sqlstore

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
)

func fakeDigests(d *Dialect) {
	d.MaxParams = 8
	d.Placeholder = func(n int) string { return fmt.Sprint("@", n) }
	d.AroundRead = func(store.Table) (before, behind string) { return "SET x; ", "; SET y" }
	d.Digests = &Digests{
		Scheme: "fake",
		Hash: func(_ []store.Column, names []string) (string, error) {
			return "HASH(" + strings.Join(names, ", ") + ")", nil
		},
		Total: func(hash string) string { return "TOTAL(" + hash + ")" },
	}
}

// answer is rows of any number of columns.
type answer struct{ rows [][]driver.Value }

func (a *answer) Columns() []string { return make([]string, len(a.rows[0])) }
func (a *answer) Close() error      { return nil }
func (a *answer) Next(dest []driver.Value) error {
	if len(a.rows) == 0 {
		return io.EOF
	}
	copy(dest, a.rows[0])
	a.rows = a.rows[1:]
	return nil
}

func keyTable(key ...string) store.Table {
	t := store.Table{Name: "t", Key: key}
	for _, name := range append(key, "v") {
		t.Columns = append(t.Columns, store.Column{Name: name, Type: store.MustType("int")})
	}
	return t
}

// sent runs fn on a store and returns the statements that it sent.
func sent(t *testing.T, change func(d *Dialect), fn func(st *Store)) []string {
	t.Helper()
	f := &fake{}
	fn(newFake(t, f, func(d *Dialect) {
		fakeDigests(d)
		if change != nil {
			change(d)
		}
	}))
	var log []string
	for _, line := range f.log {
		if line != "close statement" {
			log = append(log, line)
		}
	}
	return log
}

func TestDigestStatements(t *testing.T) {
	one, two := keyTable("id"), keyTable("a", "b")
	every := func(q store.Query, n int64) func(*Store) {
		return func(st *Store) {
			_, err := st.DigestEvery(t.Context(), q, n)
			require.NoError(t, err)
		}
	}
	at := func(q store.Query, cuts ...store.Row) func(*Store) {
		return func(st *Store) {
			digests, err := st.DigestAt(t.Context(), q, cuts)
			require.NoError(t, err)
			require.Len(t, digests, len(cuts)+1)
		}
	}
	for _, c := range []struct {
		name string
		call func(*Store)
		want []string
	}{
		{"one scan", every(store.Query{Table: one, Key: one.Key}, 100), []string{
			`SET x; SELECT TOTAL(g.h), MAX(CASE WHEN (g.n - 1) % 100 = 0 THEN g.k0 END) FROM (SELECT ROW_NUMBER() OVER (ORDER BY t."id") AS n, t."id" AS k0, HASH(t."id", t."v") AS h FROM "t" AS t) AS g GROUP BY (g.n - 1) / 100 ORDER BY MIN(g.n); SET y [0]`}},
		{"a limit stands inside", every(store.Query{Table: two, Key: two.Key, Columns: []string{}, From: store.Row{1, 2}, Limit: 9}, 5), []string{
			`SET x; SELECT TOTAL(), MAX(CASE WHEN (g.n - 1) % 5 = 0 THEN g.k0 END), MAX(CASE WHEN (g.n - 1) % 5 = 0 THEN g.k1 END) FROM (SELECT ROW_NUMBER() OVER (ORDER BY t."a", t."b") AS n, t."a" AS k0, t."b" AS k1 FROM "t" AS t` +
				` WHERE (t."a" >= @1 AND (t."a" > @2 OR (t."a" = @3 AND (t."b" >= @4)))) ORDER BY t."a", t."b" LIMIT 9) AS g GROUP BY (g.n - 1) / 5 ORDER BY MIN(g.n); SET y [1 1 1 2]`}},
		{"no cuts", at(store.Query{Table: one, Key: one.Key, Columns: []string{"v"}}), []string{
			`SET x; SELECT 0 AS n, TOTAL(HASH(t."v")) AS d FROM "t" AS t; SET y [0]`}},
		{"each range is a subquery", at(store.Query{Table: one, Key: one.Key, Columns: []string{"v"}}, store.Row{1}, store.Row{2}), []string{
			`SET x; SELECT r.n, (SELECT TOTAL(HASH(t."v")) FROM "t" AS t WHERE (t."id" >= r.l0)) AS d FROM (VALUES (2, @1)) AS r (n, l0)` +
				` UNION ALL SELECT r.n, (SELECT TOTAL(HASH(t."v")) FROM "t" AS t WHERE (t."id" < r.h0)) AS d FROM (VALUES (0, @2)) AS r (n, h0)` +
				` UNION ALL SELECT r.n, (SELECT TOTAL(HASH(t."v")) FROM "t" AS t WHERE (t."id" >= r.l0) AND (t."id" < r.h0)) AS d FROM (VALUES (1, @3, @4)) AS r (n, l0, h0); SET y [2 1 1 2]`}},
		{"bounds are cuts", at(store.Query{Table: one, Key: one.Key, Columns: []string{"v"}, From: store.Row{3}, Before: store.Row{7}}, store.Row{1}, store.Row{5}, store.Row{9}), []string{
			`SET x; SELECT r.n, (SELECT TOTAL(HASH(t."v")) FROM "t" AS t WHERE (t."id" >= r.l0) AND (t."id" < r.h0)) AS d FROM (VALUES (1, @1, @2), (2, @3, @4)) AS r (n, l0, h0); SET y [3 5 5 7]`}},
		{"nothing within the bounds", at(store.Query{Table: one, Key: one.Key, From: store.Row{3}, Before: store.Row{3}}, store.Row{1}), nil},
		{"a composite key", at(store.Query{Table: two, Key: two.Key, Columns: []string{"v"}, From: store.Row{0, 0}}, store.Row{1, 2}, store.Row{3, 4}), []string{
			`SET x; SELECT r.n, (SELECT TOTAL(HASH(t."v")) FROM "t" AS t WHERE (t."a" >= r.l0 AND (t."a" > r.l0 OR (t."a" = r.l0 AND (t."b" >= r.l1)))) AND (t."a" <= r.h0 AND (t."a" < r.h0 OR (t."a" = r.h0 AND (t."b" < r.h1))))) AS d` +
				` FROM (VALUES (0, @1, @2, @3, @4), (1, @5, @6, @7, @8)) AS r (n, l0, l1, h0, h1); SET y [0 0 1 2 1 2 3 4]`,
			`SET x; SELECT r.n, (SELECT TOTAL(HASH(t."v")) FROM "t" AS t WHERE (t."a" >= r.l0 AND (t."a" > r.l0 OR (t."a" = r.l0 AND (t."b" >= r.l1))))) AS d FROM (VALUES (2, @1, @2)) AS r (n, l0, l1); SET y [3 4]`}},
	} {
		t.Run(c.name, func(t *testing.T) { require.Equal(t, c.want, sent(t, nil, c.call)) })
	}
}

func TestDigestAnswers(t *testing.T) {
	q := store.Query{Table: keyTable("id"), Key: []string{"id"}}
	st := func(rows ...[]driver.Value) *Store {
		return newFake(t, &fake{query: func(context.Context, string) (driver.Rows, error) { return &answer{rows: rows}, nil }}, fakeDigests)
	}
	digests, err := st([]driver.Value{"2 -7", int64(5)}, []driver.Value{[]byte("1"), nil}).DigestEvery(t.Context(), q, 2)
	require.NoError(t, err)
	require.Equal(t, []store.Digest{{First: store.Row{int64(5)}, Rows: 2, Sum: "-7"}, {First: store.Row{nil}, Rows: 1}}, digests)

	cuts := []store.Row{{1}, {2}}
	digests, err = st([]driver.Value{int64(2), "3 9"}, []driver.Value{int64(0), nil}).DigestAt(t.Context(), q, cuts)
	require.NoError(t, err)
	require.Equal(t, []store.Digest{{}, {}, {Rows: 3, Sum: "9"}}, digests)
	for _, row := range [][]driver.Value{{int64(3), "1 1"}, {int64(-1), "1 1"}, {"0", "1 1"}, {int64(0), "x"}, {int64(0), int64(1)}} {
		_, err := st(row).DigestAt(t.Context(), q, cuts)
		require.ErrorContains(t, err, "digest rows of t: the server returned", "%v", row)
	}
}

func TestDigestRefuses(t *testing.T) {
	tab := keyTable("id")
	other := store.Table{Name: "o", Columns: []store.Column{{Name: "v", Type: store.MustType("int")}, {Name: "g", Type: store.Type{Name: "geography"}}}}
	both := func(t *testing.T, st *Store, q store.Query, cuts ...store.Row) error {
		_, err := st.DigestEvery(t.Context(), q, 1)
		_, err2 := st.DigestAt(t.Context(), q, cuts)
		require.Error(t, err2)
		require.Equal(t, err.Error(), err2.Error())
		return err
	}
	asked := errors.New("asked")
	for _, c := range []struct {
		name        string
		change      func(d *Dialect)
		q           store.Query
		unsupported bool
		want        string
	}{
		{"an engine without digests", func(d *Dialect) { d.Digests = nil }, store.Query{Table: tab, Key: tab.Key}, true, "the engine has no digests"},
		{"no key", nil, store.Query{Table: tab}, false, "a digest needs a key"},
		{"a type without an order", func(d *Dialect) { d.Codec = func(store.Type) Codec { return Codec{Unordered: true} } },
			store.Query{Table: tab, Key: tab.Key}, true, "column id: type int has no order here"},
		{"a type that is no key", func(d *Dialect) { d.Digests.Key = func(store.Type) error { return errors.ErrUnsupported } },
			store.Query{Table: tab, Key: tab.Key}, true, "column id: unsupported"},
		{"a type without a hash", func(d *Dialect) {
			d.Digests.Hash = func([]store.Column, []string) (string, error) { return "", errors.ErrUnsupported }
		}, store.Query{Table: other, Key: []string{"v"}}, true, "digest rows of o: unsupported"},
		{"what has to be asked first", func(d *Dialect) {
			d.Digests.Prepare = func(context.Context, sqlx.QueryerContext) error { return asked }
		}, store.Query{Table: tab, Key: tab.Key}, false, "digest rows of t: asked"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &fake{}
			err := both(t, newFake(t, f, func(d *Dialect) {
				fakeDigests(d)
				if c.change != nil {
					c.change(d)
				}
			}), c.q)
			require.ErrorContains(t, err, c.want)
			require.Equal(t, c.unsupported, errors.Is(err, errors.ErrUnsupported))
			require.Empty(t, f.log)
		})
	}
	st := newFake(t, &fake{}, fakeDigests)
	_, err := st.DigestAt(t.Context(), store.Query{Table: tab, Key: tab.Key}, []store.Row{{nil}})
	require.ErrorIs(t, err, errors.ErrUnsupported)
	require.Equal(t, "fake", st.DigestScheme())
	require.Empty(t, newFake(t, &fake{}, nil).DigestScheme())
}
