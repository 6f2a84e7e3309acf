package sqlite_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store"
)

// schemaOf is everything that SQLite knows about a database's tables.
func schemaOf(t *testing.T, db *sqlx.DB) []string {
	t.Helper()
	var sql []string
	require.NoError(t, db.Select(&sql, "SELECT type || ' ' || name || ' on ' || tbl_name || ': ' || coalesce(sql, '') FROM sqlite_schema ORDER BY name"))
	return sql
}

func tableOf(t *testing.T, src store.Source, name string) store.Table {
	t.Helper()
	tables, err := src.Tables(t.Context())
	require.NoError(t, err)
	i := slices.IndexFunc(tables, func(tab store.Table) bool { return tab.Name == name })
	require.GreaterOrEqual(t, i, 0, "no table %s", name)
	return tables[i]
}

func TestRename(t *testing.T) {
	const create = `CREATE TABLE "m" (id INTEGER PRIMARY KEY AUTOINCREMENT, name text UNIQUE, n int CONSTRAINT atleast CHECK (n >= 0) DEFAULT 7);`
	db, st := database(t, create+`
		CREATE INDEX ix ON "m" (n);
		CREATE TABLE log (name text);
		CREATE TRIGGER tr AFTER INSERT ON "m" BEGIN INSERT INTO log VALUES (new.name); END;
		CREATE VIEW v AS SELECT name FROM m;
		CREATE VIEW broken AS SELECT * FROM nowhere;
		INSERT INTO m (id, name) VALUES (41, 'a');`)
	before := schemaOf(t, db)
	rename := func(from, to string) {
		t.Helper()
		require.NoError(t, st.Update(t.Context(), func(tx store.Tx) error {
			return tx.(store.Renamer).Rename(t.Context(), tableOf(t, tx, from), to)
		}))
	}
	rename("m", `kept "m"`)
	require.Contains(t, strings.Join(schemaOf(t, db), "\n"), "view v on v: CREATE VIEW v AS SELECT name FROM m")

	// Another table of that name has the view, and none of the rest.
	db.MustExec(create)
	db.MustExec("INSERT INTO m (name) VALUES ('b')")
	var ids []int
	require.NoError(t, db.Select(&ids, "SELECT id FROM m"))
	require.Equal(t, []int{1}, ids)
	db.MustExec("DROP TABLE m")

	rename(`kept "m"`, "m")
	require.Equal(t, before, schemaOf(t, db))
	db.MustExec("INSERT INTO m (name) VALUES ('c')")
	require.NoError(t, db.Select(&ids, "SELECT id FROM m ORDER BY id"))
	require.Equal(t, []int{41, 42}, ids, "it goes on counting")
	var legacy int
	require.NoError(t, db.Get(&legacy, "PRAGMA legacy_alter_table"))
	require.Zero(t, legacy)

	err := st.Update(t.Context(), func(tx store.Tx) error {
		return tx.(store.Renamer).Rename(t.Context(), tableOf(t, tx, "m"), "log")
	})
	require.ErrorContains(t, err, "log")
	require.Equal(t, before, schemaOf(t, db))
}

// What SQLite refuses to rename stays as it is, and the error says what stands in
// the way. A hard reset keeps what has the name, and drops what has none to be kept by.
func TestRenameRefused(t *testing.T) {
	const plain = "CREATE TABLE C1_mirroring (tablename nvarchar(128) NOT NULL, LSN bigint NOT NULL); CREATE TABLE contact (id int NOT NULL PRIMARY KEY);"
	for name, c := range map[string]struct {
		script, want string
		unsupported  bool
	}{
		"CHECK": {strings.Replace(plain, "bigint NOT NULL", "bigint NOT NULL CHECK (C1_mirroring.LSN >= -1)", 1), "a CHECK in its definition names the table", true},
		"view":  {plain + "CREATE VIEW Before_Hard_Reset_C1 AS SELECT 1 AS one;", "view Before_Hard_Reset_C1 has the name", false},
		"index": {plain + "CREATE INDEX before_hard_reset_C1 ON contact (id);", "index before_hard_reset_C1 of table contact has the name", false},
	} {
		t.Run(name, func(t *testing.T) {
			db, st := database(t, c.script+"INSERT INTO C1_mirroring (tablename, LSN) VALUES ('contact', 812); INSERT INTO contact VALUES (1)")
			before := schemaOf(t, db)
			err := st.Update(t.Context(), func(tx store.Tx) error {
				return tx.(store.Renamer).Rename(t.Context(), tableOf(t, tx, "C1_mirroring"), "before_hard_reset_C1")
			})
			require.ErrorContains(t, err, c.want)
			require.Equal(t, c.unsupported, errors.Is(err, errors.ErrUnsupported))
			require.Equal(t, before, schemaOf(t, db))
			var legacy int
			require.NoError(t, db.Get(&legacy, "PRAGMA legacy_alter_table"))
			require.Zero(t, legacy)

			receipt, err := newMirror(t, st).HardReset(t.Context(), &mirror.HardResetOptions{DryRun: true})
			require.Equal(t, before, schemaOf(t, db))
			if !c.unsupported {
				require.ErrorContains(t, err, c.want)
				_, err = newMirror(t, st).HardReset(t.Context(), &mirror.HardResetOptions{Confirm: "C1"})
				require.ErrorContains(t, err, c.want)
				require.Equal(t, before, schemaOf(t, db))
				require.Equal(t, []string{"1 'contact' 812"}, dataOf(t, db, "C1_mirroring", "tablename", "LSN"))
				return
			}
			require.NoError(t, err)
			require.Contains(t, strings.Join(receipt.NotUndone, "\n"), "cannot rename it")
			receipt, err = newMirror(t, st).HardReset(t.Context(), &mirror.HardResetOptions{Confirm: "C1"})
			require.NoError(t, err)
			require.Empty(t, receipt.Kept)
			require.NotContains(t, strings.Join(schemaOf(t, db), "\n"), "mirroring")
		})
	}
}

// A constraint that refuses a write says which one it is.
func TestConstraints(t *testing.T) {
	for name, c := range map[string]struct{ column, want string }{
		"CHECK":    {"n bigint CONSTRAINT atleast CHECK (n >= 0)", "atleast"},
		"UNIQUE":   {"n bigint UNIQUE", "t.n"},
		"NOT NULL": {"n bigint NOT NULL CHECK (n <> -1)", "n <> -1"},
	} {
		t.Run(name, func(t *testing.T) {
			_, st := database(t, "CREATE TABLE t (id int, "+c.column+"); INSERT INTO t VALUES (1, 5), (2, 6)")
			err := st.Update(t.Context(), func(tx store.Tx) error {
				_, err := tx.Set(t.Context(), tableOf(t, tx, "t"), nil, []store.Cell{{Column: "n", Value: -1}})
				return err
			})
			require.ErrorIs(t, err, store.ErrConstraint)
			require.ErrorContains(t, err, c.want)
		})
	}
}

// What is not of its column's type is read, found and put back as it is stored.
func TestVerbatim(t *testing.T) {
	const create = "CREATE TABLE t (id int, n bigint, s nvarchar(3), d decimal_text(9,2), at datetime, b bit, x varbinary(9));"
	db, st := database(t, create+`INSERT INTO t VALUES
		(1, 'five', x'6162', '1.5', '2026-01-01 00:00:00', 'true', 'text'),
		(2, 5, 'abc', '1.50', '2026-01-01 00:00:00.000', 1, x'00'),
		(3, 5.5, 'abcd', 'no', 'never', 7, 12), (4, NULL, NULL, NULL, NULL, NULL, NULL)`)
	dump := func() (lines []string) {
		require.NoError(t, db.Select(&lines, `SELECT format('%d %s %s %s %s %s %s', id, quote(n), quote(s), quote(d), quote(at), quote(b), quote(x)) FROM t ORDER BY id`))
		return lines
	}
	before := dump()
	def := tableOf(t, st, "t")
	as := func(v any) store.Verbatim { return store.Verbatim{Value: v} }
	var rows []store.Row
	for batch, err := range st.Rows(t.Context(), store.Query{Table: def, Verbatim: true}) {
		require.NoError(t, err)
		for _, r := range batch {
			rows = append(rows, r.Clone())
		}
	}
	require.Equal(t, store.Row{int64(1), as("five"), as([]byte("ab")), as("1.5"), as("2026-01-01 00:00:00"), as("true"), as("text")}, rows[0])
	require.Equal(t, store.Row{int64(3), as(5.5), as("abcd"), as("no"), as("never"), as(int64(7)), as(int64(12))}, rows[2])
	for _, v := range append(slices.Clone(rows[1]), rows[3][1:]...) {
		_, is := v.(store.Verbatim)
		require.False(t, is, "%v", v)
	}

	require.NoError(t, st.Update(t.Context(), func(tx store.Tx) error {
		for _, r := range rows {
			var where []store.Cell
			for i, c := range def.Columns {
				where = append(where, store.Cell{Column: c.Name, Value: r[i]})
			}
			if n, err := tx.Delete(t.Context(), def, where); err != nil || n != 1 {
				return errors.Join(err, fmt.Errorf("%d rows found", n))
			}
		}
		return tx.Insert(t.Context(), def, def.ColumnNames(), rows)
	}))
	require.Equal(t, before, dump())
}
