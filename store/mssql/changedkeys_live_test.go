package mssql_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"regexp"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	mssqldb "github.com/microsoft/go-mssqldb"
	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/mssql"
)

// staged is a pool on which change tracking is a play: the changes of a table are
// the rows of the table "<name> changes", and the minimum valid versions those of
// the table "least". All else of what is sent is run as it is, by a server that
// has no change tracking.
type staged struct{ db *sql.DB }

var (
	changeTable = regexp.MustCompile(`CHANGETABLE\(CHANGES (\[dbo\]\.\[[^\]]*)\], (@p[0-9]+)\)`)
	minVersion  = regexp.MustCompile(`CHANGE_TRACKING_MIN_VALID_VERSION\(OBJECT_ID\((@p[0-9]+)\)\)`)
)

func (s staged) Driver() driver.Driver { return s.db.Driver() }

func (s staged) Connect(ctx context.Context) (driver.Conn, error) {
	lent, err := s.db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	c := stagedConn{lent: lent}
	return c, lent.Raw(func(dc any) error { c.Conn = dc.(*mssqldb.Conn); return nil })
}

type stagedConn struct {
	*mssqldb.Conn
	lent *sql.Conn
}

func (c stagedConn) Close() error { return c.lent.Close() }

func (c stagedConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	query = changeTable.ReplaceAllString(query, "(SELECT * FROM $1 changes] WHERE version > $2)")
	query = minVersion.ReplaceAllString(query, "(SELECT version FROM [dbo].[least] WHERE name = $1)")
	return c.Conn.PrepareContext(ctx, query)
}

// stage returns a store for the tables, and one on which change tracking is a play.
func stage(t *testing.T) (st, tracked *mssql.Store) {
	t.Helper()
	db := openDB(t)
	st = newStore(t, db, &mssql.Options{Collation: binaryCollation})
	play := sqlx.NewDb(sql.OpenDB(staged{db.DB}), "sqlserver")
	t.Cleanup(func() { require.NoError(t, play.Close()) })
	load(t, st, "least", nil, []string{"name nvarchar(100)", "version bigint"})
	return st, newStore(t, play, nil)
}

// load creates a table with rows.
func load(t *testing.T, st *mssql.Store, name string, key, columns []string, rows ...store.Row) store.Table {
	t.Helper()
	def := store.Table{Schema: "dbo", Name: name, Key: key}
	for _, c := range columns {
		var column, typ string
		_, err := fmt.Sscan(c, &column, &typ)
		require.NoError(t, err)
		def.Columns = append(def.Columns, store.Column{Name: column, Type: store.MustType(typ)})
	}
	require.NoError(t, st.Update(t.Context(), func(tx store.Tx) error {
		if err := tx.Create(t.Context(), def); err != nil || len(rows) == 0 {
			return err
		}
		return tx.Insert(t.Context(), def, def.ColumnNames(), rows)
	}))
	return def
}

func setLeast(t *testing.T, st *mssql.Store, name string, version int64) {
	t.Helper()
	least := store.Table{Schema: "dbo", Name: "least", Columns: []store.Column{{Name: "name", Type: store.MustType("nvarchar(100)")}, {Name: "version", Type: store.MustType("bigint")}}}
	require.NoError(t, st.Update(t.Context(), func(tx store.Tx) error {
		return tx.Insert(t.Context(), least, least.ColumnNames(), []store.Row{{"[dbo].[" + name + "]", version}})
	}))
}

// inPages asks for all changed keys.
func inPages(t *testing.T, st *mssql.Store, tab store.Table, since store.LSN, n int) (all []store.Row) {
	t.Helper()
	var after store.Row
	for {
		page, err := st.ChangedKeys(t.Context(), tab, since, after, n)
		require.NoError(t, err)
		all = append(all, page...)
		if len(page) < n {
			return all
		}
		after = page[n-1]
	}
}

// TestChangedKeysAsRows: the keys of every type come as Rows delivers them.
func TestChangedKeysAsRows(t *testing.T) {
	day := func(y int, m time.Month, d, ms int) time.Time { return time.Date(y, m, d, 1, 2, 3, ms*1e6, time.UTC) }
	st, tracked := stage(t)
	for i, c := range []struct {
		typ    string
		values []any
	}{
		{"int", []any{7, -7, 0, 70}},
		{"bigint", []any{int64(9007199254740993), int64(-9007199254740993), 0, 1}},
		{"bit", []any{true, false}},
		{"float", []any{1.5, -1.5, 0.1, 10.0, 9.0}},
		{"real", []any{float32(0.1), float32(-0.1), 10, 9}},
		{"decimal(38,10)", []any{"1.5", "-1.5", "10", "9", "9999999999999999999999999999.9999999999"}},
		{"money", []any{"922337203685477.5807", "-0.0001", "10", "9.99"}},
		{"nvarchar(20)", []any{"b", "A", "a", "B", "é", "\uffee", "\U0001f600", "\ufffd", "10", "9"}},
		{"varchar(20)", []any{"b", "A", "a", "B", "é", "10", "9"}},
		{"char(2)", []any{"bb", "Aa", "aa", "10"}},
		{"varbinary(4)", []any{[]byte{0xff}, []byte{1, 0xff}, []byte{}, []byte{1}}},
		{"binary(2)", []any{[]byte{0xff, 0}, []byte{0, 0xff}}},
		{"date", []any{day(2024, 2, 29, 0), day(1, 1, 1, 0), day(9999, 12, 31, 0)}},
		{"datetime", []any{day(2024, 2, 29, 3), day(2024, 2, 29, 7), day(1753, 1, 1, 0)}},
		{"datetime2(3)", []any{day(2024, 2, 29, 1), day(2024, 2, 29, 0), day(1, 1, 1, 0)}},
		{"smalldatetime", []any{day(2024, 2, 29, 0), day(1900, 1, 1, 0)}},
		{"time(3)", []any{day(1, 1, 1, 1), day(1, 1, 1, 0)}},
		{"datetimeoffset(0)", []any{day(2024, 2, 29, 0), day(2024, 2, 28, 0).In(time.FixedZone("", 3600))}},
	} {
		t.Run(c.typ, func(t *testing.T) {
			name := fmt.Sprint("t", i)
			rows := make([]store.Row, len(c.values))
			changes := make([]store.Row, len(c.values))
			for i, v := range c.values {
				rows[i], changes[i] = store.Row{v}, store.Row{int64(i), v}
			}
			tab := load(t, st, name, []string{"k"}, []string{"k " + c.typ}, rows...)
			load(t, st, name+" changes", nil, []string{"version bigint", "k " + c.typ}, changes...)
			setLeast(t, st, name, -1)
			want := rowsOf(t, st, store.Query{Table: tab, Key: tab.Key})
			require.Len(t, want, len(rows))
			for _, n := range []int{1, 2, len(want)} {
				require.Equal(t, want, inPages(t, tracked, tab, -1, n), "pages of %d", n)
			}
			require.Len(t, inPages(t, tracked, tab, 0, 2), len(rows)-1)
		})
	}
}

func TestChangedKeysComposite(t *testing.T) {
	st, tracked := stage(t)
	var rows, changes []store.Row
	for _, s := range []string{"b", "A", "a", "é"} {
		for _, d := range []string{"10.00", "9.00", "-1.50"} {
			for n := range 2 {
				rows, changes = append(rows, store.Row{n, d, s}), append(changes, store.Row{1, n, d, s})
			}
		}
	}
	tab := load(t, st, "t", []string{"s", "d", "n"}, []string{"n int", "d decimal(9,2)", "s nvarchar(10)"}, rows...)
	load(t, st, "t changes", nil, []string{"version bigint", "n int", "d decimal(9,2)", "s nvarchar(10)"}, changes...)
	setLeast(t, st, "t", 0)
	want := rowsOf(t, st, store.Query{Table: tab, Columns: tab.Key, Key: tab.Key})
	for _, n := range []int{1, 5, 24} {
		require.Equal(t, want, inPages(t, tracked, tab, 0, n), "pages of %d", n)
	}
}

// TestChangedKeysSpelledAnew: the change table has one of the spellings that the
// collation takes for one key, and the row perhaps another; case and trailing
// blanks do not count.
func TestChangedKeysSpelledAnew(t *testing.T) {
	st, tracked := stage(t)
	insensitive := newStore(t, st.DB(), &mssql.Options{Collation: "Latin1_General_CI_AS"})
	tab := load(t, insensitive, "t", []string{"n", "s"}, []string{"n int", "s nvarchar(10)"},
		store.Row{1, "A"}, store.Row{1, "b"}, store.Row{1, "e"}, store.Row{2, "c"}, store.Row{2, "D"})
	load(t, insensitive, "t changes", nil, []string{"version bigint", "n int", "s nvarchar(10)"},
		store.Row{1, 1, "a"}, store.Row{1, 1, "b "}, store.Row{1, 1, "e"}, store.Row{1, 1, "gone"}, store.Row{1, 2, "d"})
	setLeast(t, st, "t", 0)
	want := []store.Row{{int64(1), "A"}, {int64(1), "a"}, {int64(1), "b"}, {int64(1), "b "}, {int64(1), "e"}, {int64(1), "gone"}, {int64(2), "D"}, {int64(2), "d"}}
	for n := range len(want) + 1 {
		require.Equal(t, want, inPages(t, tracked, tab, 0, n+1), "pages of %d", n+1)
	}
}

func TestChangedKeysExpired(t *testing.T) {
	st, tracked := stage(t)
	tab := load(t, st, "t", []string{"k"}, []string{"k int"}, store.Row{1})
	load(t, st, "t changes", nil, []string{"version bigint", "k int"}, store.Row{6, 1})
	_, err := tracked.ChangedKeys(t.Context(), tab, 5, nil, 1)
	require.ErrorContains(t, err, "change tracking is off for the table")
	setLeast(t, st, "t", 5)
	require.Equal(t, []store.Row{{int64(1)}}, inPages(t, tracked, tab, 5, 2))
	for _, after := range []store.Row{nil, {1}} {
		keys, err := tracked.ChangedKeys(t.Context(), tab, 4, after, 1)
		require.EqualError(t, err, "list changed keys of dbo.t: version 4 is older than the oldest that is known, 5: read the table anew")
		require.Nil(t, keys)
	}
}
