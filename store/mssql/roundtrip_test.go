package mssql_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/internal/roundtrip"
	"github.com/so-mirror/mirror/store/mssql"
)

// A comparison costs at most five round trips a side, however many tables there are,
// and one more for each table whose rows are compared.
func TestRoundTripsOfCompare(t *testing.T) {
	for _, tables := range []int{1, 400} {
		t.Run(fmt.Sprintf("%d tables", tables), func(t *testing.T) {
			type side struct {
				*mssql.Store
				sent roundtrip.Counter
			}
			open := func(metadata bool) *side {
				s := &side{}
				db := openThrough(t, &s.sent)
				var batch strings.Builder
				for i := range tables {
					fmt.Fprintf(&batch, "CREATE TABLE t%03d (id int NOT NULL PRIMARY KEY, name nvarchar(40) NULL DEFAULT N'x');\n", i)
				}
				db.MustExec(batch.String())
				if metadata {
					db.MustExec("CREATE TABLE Cust1_mirroring (tablename nvarchar(128) NOT NULL PRIMARY KEY, LSN bigint NULL)")
					db.MustExec("INSERT INTO Cust1_mirroring SELECT name, 5 FROM sys.tables WHERE name LIKE 't%'")
				}
				s.Store = newStore(t, db, nil)
				return s
			}
			source, mirrored := open(false), open(true)
			m, err := mirror.New("Cust1", mirrored, nil)
			require.NoError(t, err)
			var some []string
			for i := range min(tables, 9) {
				some = append(some, fmt.Sprintf("t%03d", i))
			}
			for i, c := range []struct {
				opts mirror.CompareOptions
				each int
			}{
				{mirror.CompareOptions{Depth: mirror.DepthSchema}, 0},
				{mirror.CompareOptions{Tables: some, Strategy: mirror.StrategyStream}, len(some)},
			} {
				source.sent.Count()
				mirrored.sent.Count()
				report, err := m.Compare(t.Context(), source, &c.opts)
				require.NoError(t, err)
				require.NoError(t, report.Err())
				fixed := 3
				if i == 0 { // what the server can is asked once
					fixed++
				}
				require.Equal(t, fixed+c.each, source.sent.Count(), "its identity, its tables, its change tracking")
				require.Equal(t, fixed+c.each, mirrored.sent.Count(), "its identity, its tables, its metadata table")
			}
		})
	}
}
