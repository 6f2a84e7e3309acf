package sqlite_test

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"
	modernc "modernc.org/sqlite"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/internal/roundtrip"
	"github.com/so-mirror/mirror/store/sqlite"
)

// A comparison costs at most five statements a side, and one more for each table.
func TestStatementsOfCompare(t *testing.T) {
	type side struct {
		*sqlite.Store
		sent roundtrip.Counter
	}
	open := func(t *testing.T, tables int, metadata bool) *side {
		s := &side{}
		inner, err := modernc.NewConnector(filepath.Join(t.TempDir(), "x.db"))
		require.NoError(t, err)
		db := sqlx.NewDb(sql.OpenDB(s.sent.Connector(inner)), "sqlite")
		t.Cleanup(func() { require.NoError(t, db.Close()) })
		tx := db.MustBegin()
		for i := range tables {
			tx.MustExec(fmt.Sprintf("CREATE TABLE t%03d (id int NOT NULL PRIMARY KEY, name nvarchar(40), at datetime); INSERT INTO t%03[1]d VALUES (1, 'a', NULL)", i))
		}
		if metadata {
			tx.MustExec("CREATE TABLE Cust1_mirroring (tablename nvarchar(128) NOT NULL PRIMARY KEY, LSN bigint)")
			tx.MustExec("INSERT INTO Cust1_mirroring SELECT name, 5 FROM sqlite_schema WHERE name LIKE 't%'")
		}
		require.NoError(t, tx.Commit())
		s.Store, err = sqlite.New(db)
		require.NoError(t, err)
		return s
	}
	for _, tables := range []int{1, 400} {
		t.Run(fmt.Sprintf("%d tables", tables), func(t *testing.T) {
			source, mirrored := open(t, tables, false), open(t, tables, true)
			m, err := mirror.New("Cust1", mirrored, nil)
			require.NoError(t, err)
			for _, first := range []bool{true, false} {
				source.sent.Count()
				mirrored.sent.Count()
				report, err := m.Compare(t.Context(), source, &mirror.CompareOptions{Strategy: mirror.StrategyStream})
				require.NoError(t, err)
				require.True(t, report.Identical(), "%s", report)
				require.Len(t, report.Tables, tables)
				asked := 0 // the encoding of text, once
				if first {
					asked = 1
				}
				require.Equal(t, 3+asked+tables, source.sent.Count(), "its identity, its tables, and those of them that are virtual")
				require.Equal(t, 4+asked+tables, mirrored.sent.Count(), "the metadata table, too")
			}
		})
	}
}
