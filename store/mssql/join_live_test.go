package mssql_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/internal/mirrortest"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/mssql"
)

// lookalikes are values that a server may take for one another.
var lookalikes = []struct {
	source, mirror string // types; "": the source's
	values         []string
}{
	{"bit", "", []string{"0", "1"}},
	{"int", "bigint", []string{"0", "-1"}},
	{"decimal(19,4)", "", []string{"0.5", "-0.5", "0.5001"}},
	{"money", "", []string{"0.01", "0.0101"}},
	{"float", "", []string{"0", "CONVERT(float, -1) * 0", "0.1", "CONVERT(float, CONVERT(real, 0.1))"}},
	{"real", "", []string{"0", "CONVERT(real, -1) * CONVERT(real, 0)"}},
	{"varchar(20)", "", []string{"''", "' '", "'a'", "'A'", "'a '", "'á'"}},
	{"nvarchar(20)", "", []string{"N''", "N' '", "N'a'", "N'A'", "N'a '", "N'á'", "N'a' + NCHAR(769)", "N'名'"}},
	{"nvarchar(20) COLLATE Latin1_General_CI_AI", "nvarchar(30) COLLATE Latin1_General_BIN2", []string{"N'a'", "N'A'", "N'á'"}},
	{"varchar(20) COLLATE Latin1_General_CI_AS", "varchar(20) COLLATE Greek_CI_AS", []string{"'a'", "'A'", "'b '"}},
	{"varchar(20)", "nvarchar(20)", []string{"''", "'a'", "'A'", "'a '"}},
	{"char(5)", "", []string{"'a'", "'A'"}},
	{"nchar(5)", "", []string{"N'a'", "N'A'"}},
	{"varchar(max)", "", []string{"''", "'a'", "'a '", "REPLICATE(CONVERT(varchar(max), 'x'), 9000)", "REPLICATE(CONVERT(varchar(max), 'x'), 9001)"}},
	{"nvarchar(max)", "", []string{"N'a'", "N'A'", "REPLICATE(CONVERT(nvarchar(max), N'x'), 9000)", "REPLICATE(CONVERT(nvarchar(max), N'x'), 9000) + N' '"}},
	{"text", "nvarchar(max)", []string{"'a'", "'a '", "'A'"}},
	{"ntext", "", []string{"N'a'", "N'a '", "N'A'"}},
	{"xml", "", []string{"N'<a/>'", "N'<A/>'"}},
	{"varbinary(20)", "", []string{"0x", "0x00", "0x01", "0x0100"}},
	{"binary(4)", "", []string{"0x01", "0x02"}},
	{"varbinary(max)", "", []string{"0x", "0x00", "0x01", "0x0100"}},
	{"image", "", []string{"0x01", "0x0100", "0x02"}},
	{"date", "", []string{"'2026-01-01'", "'2026-01-02'"}},
	{"smalldatetime", "", []string{"'2026-01-01 00:00:00'", "'2026-01-01 00:01:00'"}},
	{"datetime", "", []string{"'2026-01-01 00:00:00.000'", "'2026-01-01 00:00:00.003'"}},
	{"datetime2(6)", "", []string{"'2026-01-01 00:00:00.000001'", "'2026-01-01 00:00:00.000002'"}},
	{"time(3)", "", []string{"'00:00:00'", "'00:00:00.001'"}},
	{"datetimeoffset(0)", "", []string{"'2026-01-01 01:00:00 +01:00'", "'2026-01-01 02:00:00 +02:00'", "'2026-01-01 01:00:00 +00:00'"}},
	{"uniqueidentifier", "", []string{"'6F9619FF-8B86-D011-B42D-00C04FC964FF'", "'6F9619FF-8B86-D011-B42D-00C04FC964FE'"}},
}

// endless does not say the last key of a table, which no transcript has: of all cuts
// only those into chunks.
type endless struct {
	*mssql.Store
	chunk int64
}

func (s endless) Cut(ctx context.Context, q store.Query, n int64) (store.Row, error) {
	if n != s.chunk {
		return nil, errors.ErrUnsupported
	}
	return s.Store.Cut(ctx, q, n)
}

// requireJoined compares two databases by a join and by streaming, and demands the
// same of both.
func requireJoined(t *testing.T, source *mssql.Store, mirrored store.Store, tuning mirror.Tuning) *mirror.Report {
	t.Helper()
	m, err := mirror.New("Cust1", mirrored, nil)
	require.NoError(t, err)
	tuning.Concurrency = 1
	var from store.Source = source
	if *record || replaying(t) {
		from = endless{source, 4 * cmp.Or(tuning.DigestRows, 16<<10)}
	}
	var reports [2]*mirror.Report
	for i, strategy := range []mirror.Strategy{mirror.StrategyStream, mirror.StrategyJoin} {
		r, err := m.Compare(t.Context(), from, &mirror.CompareOptions{Strategy: strategy, MaxSamples: 1000, Tuning: tuning})
		require.NoError(t, err)
		require.NotEmpty(t, r.Tables)
		for j := range r.Tables {
			tab := &r.Tables[j]
			require.Equal(t, strategy, tab.Strategy, "%s: %s %s", tab.Table, tab.StrategyReason, tab.Reason)
			tab.Strategy, tab.Elapsed = "", 0
		}
		reports[i] = r
	}
	mirrortest.LeaveRanges(reports[0], reports[1])
	require.Equal(t, reports[0].Tables, reports[1].Tables)
	return reports[1]
}

// TestJoin: one server finds in two of its databases what streaming finds.
func TestJoin(t *testing.T) {
	one, two := openDB(t), openDB(t)
	for n, c := range lookalikes {
		if c.mirror == "" {
			c.mirror = c.source
		}
		values := append([]string{"NULL"}, c.values...)
		var rows [2][]string
		for _, s := range values {
			for _, m := range values {
				id := len(rows[0]) + 1
				rows[0] = append(rows[0], fmt.Sprintf("SELECT %d, %s", id, s))
				rows[1] = append(rows[1], fmt.Sprintf("SELECT %d, %s", id, m))
			}
		}
		for i, db := range []*sqlx.DB{one, two} {
			db.MustExec(fmt.Sprintf("CREATE TABLE dbo.v%02d (id int NOT NULL PRIMARY KEY, v %s NULL)", n, []string{c.source, c.mirror}[i]))
			for _, row := range rows[i] {
				db.MustExec(fmt.Sprintf("INSERT INTO dbo.v%02d (id, v) %s", n, row))
			}
		}
	}
	report := requireJoined(t, newStore(t, one, nil), newStore(t, two, nil), mirror.Tuning{})
	for n, c := range lookalikes {
		tab := report.Table(fmt.Sprintf("v%02d", n))
		different := int64(1 + len(c.values))
		require.Equal(t, different*(different-1), tab.Changed, "%s: %s", c.source, report)
	}
}

// TestJoinKeys: keys of all kinds, of one side alone and of both, in one range and
// in many, by a login's own schema and another one of the same database.
func TestJoinKeys(t *testing.T) {
	const bin = " COLLATE Latin1_General_BIN2"
	keys := []struct {
		name, source, mirror string
		key                  string // of row %[1]d
		cut                  bool
	}{
		{"number", "k int", "k int", "%[1]d", true},
		{"amount", "k decimal(9,2)", "k decimal(9,2)", "%[1]d.25", true},
		{"moment", "k datetime", "k datetime", "DATEADD(minute, %[1]d, '20260101')", true},
		{"pair", "a int, b smallint", "a int, b smallint", "%[1]d / 7, %[1]d %% 7", true},
		{"letters", "k nvarchar(20)" + bin, "k nvarchar(20) COLLATE Latin1_General_CS_AS", "N'å' + CONVERT(nvarchar(9), %[1]d) + N'Ω'", false},
		{"code", "k varchar(20)" + bin, "k varchar(20) COLLATE Latin1_General_CS_AS", "'k' + CONVERT(varchar(9), %[1]d)", false},
	}
	db := openDB(t)
	t.Cleanup(func() {
		for _, c := range keys {
			db.MustExec("DROP TABLE crm7." + c.name)
		}
		db.MustExec("DROP SCHEMA crm7")
	})
	db.MustExec("CREATE SCHEMA crm7")
	for _, c := range keys {
		for i, schema := range []string{"dbo", "crm7"} {
			var names, columns []string
			for _, col := range strings.Split([]string{c.source, c.mirror}[i], ", ") {
				name, _, _ := strings.Cut(col, " ")
				names, columns = append(names, name), append(columns, col+" NOT NULL")
			}
			table := schema + "." + c.name
			db.MustExec("CREATE TABLE " + table + " (" + strings.Join(columns, ", ") + ", v nvarchar(9) NULL, PRIMARY KEY (" + strings.Join(names, ", ") + "))")
			var rows []string
			for n := range 200 {
				value := fmt.Sprintf("N'v%d'", n)
				switch {
				case n%23 == i: // missing on one side
					continue
				case n%17 == 5 && i == 1, n >= 160 && i == 0:
					value = "NULL"
				}
				rows = append(rows, "("+fmt.Sprintf(c.key, n)+", "+value+")")
			}
			db.MustExec("INSERT INTO " + table + " VALUES " + strings.Join(rows, ", "))
		}
	}
	source, mirrored := newStore(t, db, &mssql.Options{Schema: "dbo"}), newStore(t, db, &mssql.Options{Schema: "crm7"})
	for _, rows := range []int64{4, 1000} {
		report := requireJoined(t, source, mirrored, mirror.Tuning{DigestRows: rows})
		for _, c := range keys {
			tab := report.Table(c.name)
			require.Equal(t, []int64{9, 9}, []int64{tab.Missing, tab.Extra}, "%s", report)
			require.Greater(t, tab.Changed, int64(40))
		}
	}
}

// TestJoinRefused: what cannot be joined is streamed, and the report says why.
func TestJoinRefused(t *testing.T) {
	s := waiting(t)
	one, err := s.take("")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.give(one)) })
	two := openDB(t)
	for _, db := range []*sqlx.DB{one.db, two} {
		db.MustExec("CREATE TABLE dbo.number (id int NOT NULL PRIMARY KEY, n int NULL)")
		db.MustExec("INSERT INTO dbo.number VALUES (1, 2)")
	}
	const user, pass = "mirror_test_joiner", "Geheim-12345"
	s.admin.MustExec("CREATE LOGIN [" + user + "] WITH PASSWORD = '" + pass + "'")
	t.Cleanup(func() { dropLogin(t, s.admin, user) })
	one.db.MustExec("CREATE USER [" + user + "] FOR LOGIN [" + user + "]")
	t.Cleanup(func() { one.db.MustExec("DROP USER [" + user + "]") })
	one.db.MustExec("GRANT SELECT ON dbo.number TO [" + user + "]")
	t.Cleanup(func() { one.db.MustExec("REVOKE SELECT ON dbo.number FROM [" + user + "]") })
	cfg := s.config
	cfg.User, cfg.Password, cfg.Database = user, pass, one.name
	source, err := mssql.OpenSource(t.Context(), dsnOf(s, cfg), &mssql.Options{Schema: "dbo"})
	require.NoError(t, err)
	defer source.Close()

	m, err := mirror.New("Cust1", newStore(t, two, nil), nil)
	require.NoError(t, err)
	compare := func() mirror.TableReport {
		r, err := m.Compare(t.Context(), source, &mirror.CompareOptions{Strategy: mirror.StrategyJoin})
		require.NoError(t, err)
		tab := *r.Table("number")
		require.Equal(t, mirror.VerdictIdentical, tab.Verdict)
		require.Equal(t, mirror.StrategyStream, tab.Strategy)
		return tab
	}
	require.Contains(t, compare().StrategyReason, "the source's server: the source's login has no access to the mirror's database")

	two.MustExec("CREATE USER [" + user + "] FOR LOGIN [" + user + "]")
	t.Cleanup(func() { two.MustExec("DROP USER [" + user + "]") })
	require.Contains(t, compare().StrategyReason, store.ErrPermission.Error(), "it may come in, and read no table")
	two.MustExec("GRANT SELECT ON dbo.number TO [" + user + "]")
	t.Cleanup(func() { two.MustExec("REVOKE SELECT ON dbo.number FROM [" + user + "]") })
	r, err := m.Compare(t.Context(), source, &mirror.CompareOptions{Strategy: mirror.StrategyJoin})
	require.NoError(t, err)
	require.Equal(t, mirror.StrategyJoin, r.Table("number").Strategy, r.Table("number").StrategyReason)
}
