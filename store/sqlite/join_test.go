package sqlite_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/internal/mirrortest"
	"github.com/so-mirror/mirror/store"
)

// joinedLike compares in one engine and by streaming, and demands one report. It
// returns how many tables the engine joined.
func joinedLike(t *testing.T, source store.Source, target store.Store, o mirror.CompareOptions) (joined int, report *mirror.Report) {
	t.Helper()
	m := newMirror(t, target)
	o.Strategy = mirror.StrategyStream
	streamed, err := m.Compare(t.Context(), source, &o)
	require.NoError(t, err)
	for _, o.Strategy = range []mirror.Strategy{mirror.StrategyJoin, mirror.StrategyAuto} {
		report, err = m.Compare(t.Context(), source, &o)
		require.NoError(t, err)
		require.Equal(t, mirrortest.ReportText(t, streamed, true), mirrortest.ReportText(t, report, true), "%+v\n%s\n%s", o, report, streamed)
	}
	return mirrortest.Joined(report), report
}

// What looks alike to EXCEPT, and what is named as it names its own.
func TestJoinHostile(t *testing.T) {
	for name, c := range map[string]struct {
		source, mirror string
		not            bool
	}{
		"least integer as decimal": {
			"CREATE TABLE t (k int NOT NULL PRIMARY KEY, v NUMERIC(38,0)); INSERT INTO t VALUES (1, -9223372036854775808)",
			"CREATE TABLE t (k int NOT NULL PRIMARY KEY, v NUMERIC(38,0)); INSERT INTO t VALUES (1, -9223372036854775808.0)", false},
		"least integer as time with an offset": {
			"CREATE TABLE t (k int NOT NULL PRIMARY KEY, v datetimeoffset(3)); INSERT INTO t VALUES (1, -9223372036854775808)",
			"CREATE TABLE t (k int NOT NULL PRIMARY KEY, v datetimeoffset(3)); INSERT INTO t VALUES (1, -9223372036854775808.0)", false},
		"defaults of columns that came later": {
			`CREATE TABLE t (k int NOT NULL PRIMARY KEY); INSERT INTO t VALUES (1); ALTER TABLE t ADD b bit DEFAULT 1.0; ALTER TABLE t ADD n int DEFAULT -0.0; ALTER TABLE t ADD d NUMERIC(9,2) DEFAULT 5.0; ALTER TABLE t ADD f float_blob DEFAULT 0`,
			`CREATE TABLE t (k int NOT NULL PRIMARY KEY, b bit, n int, d NUMERIC(9,2), f float_blob); INSERT INTO t VALUES (1, 1, 0, 5, -0.0)`, false},
		"stored before the columns had their types": {
			retyped("INSERT INTO t VALUES (1, 1.0, -0.0, 5.0, -0.0, -0.0, 5.0, -0.0, 5), (2, 0.0, 0.0, 5, 0, 5, 0, 0, -0.0)"),
			retyped("INSERT INTO t VALUES (1, 1, 0.0, 5, 0.0, 0, 5, 0.0, 5.0), (2, 0, 0, 5, 0, 5, 0, 0, 0)"), false},
		"columns named like expressions": {
			`CREATE TABLE "s" (k1 int NOT NULL, k0 int NOT NULL, "m" int, "typeof" int, PRIMARY KEY (k1, k0)); INSERT INTO s VALUES (1, 2, 3, 4), (2, 1, 3, 4)`,
			`CREATE TABLE "s" (k1 int NOT NULL, k0 int NOT NULL, "m" int, "typeof" int, PRIMARY KEY (k1, k0)); INSERT INTO s VALUES (1, 2, 4, 4), (2, 2, 3, 4)`, false},
		"value named k0": {
			`CREATE TABLE "m" (k int NOT NULL PRIMARY KEY, k0 int); INSERT INTO m VALUES (1, 2)`,
			`CREATE TABLE "m" (k int NOT NULL PRIMARY KEY, k0 int); INSERT INTO m VALUES (1, 3)`, false},
		"quoted": {
			`CREATE TABLE "a ""b] %s 'x'" ("k "" k" int NOT NULL PRIMARY KEY, "v] %d 'x'" int); INSERT INTO "a ""b] %s 'x'" VALUES (1, 2), (2, 2)`,
			`CREATE TABLE "a ""b] %s 'x'" ("k "" k" int NOT NULL PRIMARY KEY, "v] %d 'x'" int); INSERT INTO "a ""b] %s 'x'" VALUES (1, 2), (2, 3)`, false},
		"descending": {
			`CREATE TABLE t (a int NOT NULL, b nvarchar(9) NOT NULL COLLATE NOCASE, v int, PRIMARY KEY (a DESC, b)) WITHOUT ROWID; INSERT INTO t VALUES (1, 'a', 2), (2, 'A', 2), (3, 'a ', 2)`,
			`CREATE TABLE t (a int NOT NULL, b nvarchar(9) NOT NULL COLLATE RTRIM, v int, PRIMARY KEY (a, b DESC)); INSERT INTO t VALUES (1, 'A', 2), (2, 'A', 2), (3, 'a', 2)`, false},
		"generated": {
			`CREATE TABLE t (a int NOT NULL PRIMARY KEY, v int, g int AS (v + 1) STORED, h int AS (v + 1)); INSERT INTO t VALUES (1, 2), (2, 3)`,
			`CREATE TABLE t (a int NOT NULL PRIMARY KEY, v int, g int AS (v + 2) STORED, h int AS (v + 2)); INSERT INTO t VALUES (1, 2), (2, 4)`, false},
		"strict": {
			`CREATE TABLE t (a ANY NOT NULL PRIMARY KEY, v ANY, r REAL) STRICT; INSERT INTO t VALUES (1, 1, 0.0), (2.0, '1', 1), (3, 0, 0), (x'31', x'31', 0)`,
			`CREATE TABLE t (a ANY NOT NULL PRIMARY KEY, v ANY, r REAL) STRICT; INSERT INTO t VALUES (1.0, 1, -0.0), (2, 1, 1), (3, -0.0, 0), ('1', x'31', 0)`, false},
		"columns with a collation": {
			`CREATE TABLE t (a int NOT NULL PRIMARY KEY, v nvarchar(9) COLLATE NOCASE, w nvarchar(9) COLLATE RTRIM); INSERT INTO t VALUES (1, 'a', 'b'), (2, 'A', 'b ')`,
			`CREATE TABLE t (a int NOT NULL PRIMARY KEY, v nvarchar(9) COLLATE NOCASE, w nvarchar(9) COLLATE RTRIM); INSERT INTO t VALUES (1, 'A', 'b'), (2, 'A', 'b')`, false},
		"no other column": {
			`CREATE TABLE t (a nvarchar(9) NOT NULL PRIMARY KEY COLLATE NOCASE); INSERT INTO t VALUES ('a'), ('b'), ('c')`,
			`CREATE TABLE t (a nvarchar(9) NOT NULL PRIMARY KEY COLLATE NOCASE); INSERT INTO t VALUES ('A'), ('b'), ('c ')`, false},
		"no rows":    {`CREATE TABLE t (a int NOT NULL PRIMARY KEY)`, `CREATE TABLE t (a int NOT NULL PRIMARY KEY)`, false},
		"one side":   {`CREATE TABLE t (a int NOT NULL PRIMARY KEY); INSERT INTO t VALUES (1)`, `CREATE TABLE t (a int NOT NULL PRIMARY KEY)`, false},
		"other side": {`CREATE TABLE t (a int NOT NULL PRIMARY KEY)`, `CREATE TABLE t (a int NOT NULL PRIMARY KEY); INSERT INTO t VALUES (1)`, false},
		"a view of one name": {
			`CREATE TABLE t (a int NOT NULL PRIMARY KEY, v int); INSERT INTO t VALUES (1, 1); CREATE VIEW w AS SELECT 1 AS a, 2 AS v`,
			`CREATE TABLE t (a int NOT NULL PRIMARY KEY, v int); INSERT INTO t VALUES (1, 1); CREATE TABLE w (a int NOT NULL PRIMARY KEY, v int)`, false},
		"NULL in a key": {
			`CREATE TABLE t (a int PRIMARY KEY, v int); INSERT INTO t VALUES (1, 1), (NULL, 1), (NULL, 2)`,
			`CREATE TABLE t (a int PRIMARY KEY, v int); INSERT INTO t VALUES (1, 1), (NULL, 1), (2, 1)`, true},
		"a number that is none": {
			`CREATE TABLE t (a int NOT NULL PRIMARY KEY, v int); INSERT INTO t VALUES (9007199254740993, 5), ('x', 6), (x'78', 7), (1.5, 9007199254740993)`,
			`CREATE TABLE t (a int NOT NULL PRIMARY KEY, v int); INSERT INTO t VALUES (9007199254740992, '5'), (x'78', 6), ('x', 7), (1.5, 9007199254740992.0)`, false},
		"a virtual table": {
			`CREATE VIRTUAL TABLE f USING fts5(a, b); INSERT INTO f VALUES ('x', 'y'); CREATE VIRTUAL TABLE r USING rtree(id, x, y); INSERT INTO r VALUES (1, 2, 3); CREATE TABLE t (a int NOT NULL PRIMARY KEY)`,
			`CREATE VIRTUAL TABLE f USING fts5(a, b); INSERT INTO f VALUES ('x', 'z'); CREATE VIRTUAL TABLE r USING rtree(id, x, y); INSERT INTO r VALUES (1, 2, 4); CREATE TABLE t (a int NOT NULL PRIMARY KEY)`, false},
		"times of a mirror that spells": {
			`CREATE TABLE t (a datetime NOT NULL PRIMARY KEY, v int); INSERT INTO t VALUES ('2026-01-01 00:00:00.000', 1), ('2026-01-01 10:00:00.000', 1), ('2026-01-01 23:00:00.000', 1), ('2026-01-01 23:30:00.000', 1), ('2026-01-02 00:00:00.000', 1)`,
			`CREATE TABLE t (a datetime NOT NULL PRIMARY KEY, v int); INSERT INTO t VALUES ('2026-01-01', 1), ('2026-01-01T10:00:00', 1), ('2026-01-01T23:00:00', 1), ('2026-01-01 23:30:00', 1), ('2026-01-02', 1)`, false},
		"times of a mirror that spells one twice": {
			`CREATE TABLE t (a datetime NOT NULL PRIMARY KEY, v int); INSERT INTO t VALUES ('2026-01-01 00:00:00.000', 1), ('2026-01-01 10:00:00.000', 1), ('2026-01-02 00:00:00.000', 1)`,
			`CREATE TABLE t (a datetime NOT NULL PRIMARY KEY, v int); INSERT INTO t VALUES ('2026-01-01 00:00:00.000', 1), ('2026-01-02', 1), ('2026-01-02 00:00:00.000', 1)`, false},
		"a column more": {
			`CREATE TABLE t (a int NOT NULL PRIMARY KEY, v int, w int); INSERT INTO t VALUES (1, 1, 1), (2, 2, 2)`,
			`CREATE TABLE t (v int, a int NOT NULL PRIMARY KEY, x int); INSERT INTO t VALUES (1, 1, 2), (3, 2, 2)`, false},
		"reserved": {
			`CREATE TABLE "select" ("from" int NOT NULL PRIMARY KEY, "where" int); INSERT INTO "select" VALUES (1, 1); CREATE TABLE "so_mirror_joined" (a int NOT NULL PRIMARY KEY); CREATE TABLE "main" (a int NOT NULL PRIMARY KEY)`,
			`CREATE TABLE "select" ("from" int NOT NULL PRIMARY KEY, "where" int); INSERT INTO "select" VALUES (1, 2); CREATE TABLE "so_mirror_joined" (a int NOT NULL PRIMARY KEY); INSERT INTO so_mirror_joined VALUES (1); CREATE TABLE "main" (a int NOT NULL PRIMARY KEY); INSERT INTO main VALUES (1)`, false},
		"other names": {
			`CREATE TABLE Tt (ID int NOT NULL PRIMARY KEY, Value int); INSERT INTO Tt VALUES (1, 1)`,
			`CREATE TABLE tT (id int NOT NULL PRIMARY KEY, vaLue int); INSERT INTO tT VALUES (1, 2)`, false},
		"text with NUL and no UTF-8": {
			`CREATE TABLE t (a nvarchar(9) NOT NULL PRIMARY KEY, v nvarchar(9)); INSERT INTO t VALUES ('a' || char(0), 'b' || char(0) || 'c'), (CAST(x'ff' AS TEXT), CAST(x'ff' AS TEXT)), ('z', CAST(x'fe' AS TEXT))`,
			`CREATE TABLE t (a nvarchar(9) NOT NULL PRIMARY KEY, v nvarchar(9)); INSERT INTO t VALUES ('a', 'b' || char(0) || 'd'), (CAST(x'fe' AS TEXT), CAST(x'ff' AS TEXT)), ('z', CAST(x'ff' AS TEXT))`, false},
		"a key of the rest": {
			`CREATE TABLE t (a int NOT NULL, b int NOT NULL, c int NOT NULL, PRIMARY KEY (c, b)); INSERT INTO t VALUES (1, 2, 3), (2, 3, 1)`,
			`CREATE TABLE t (c int NOT NULL, b int NOT NULL, a int NOT NULL, PRIMARY KEY (c, b)); INSERT INTO t VALUES (3, 2, 1), (1, 3, 3)`, false},
	} {
		t.Run(name, func(t *testing.T) {
			_, source := database(t, c.source)
			_, target := database(t, c.mirror)
			for _, tuning := range []mirror.Tuning{{}, {DigestRows: 1}, {DigestRows: 1, Concurrency: 3}} {
				joined, report := joinedLike(t, source, target, mirror.CompareOptions{Tuning: tuning})
				back, _ := joinedLike(t, target, source, mirror.CompareOptions{Tuning: tuning})
				if !c.not && !strings.Contains(name, "times of") {
					require.Positive(t, joined, "%s", report)
					require.Positive(t, back, "%s", report)
				}
			}
		})
	}
}

// retyped is a table whose columns held values as they came before they had types,
// which SQLite does not convert after the fact.
func retyped(insert string) string {
	const columns = "(k int NOT NULL PRIMARY KEY, b %s, n %s, d %s, at %s, s %s, g %s, x %s, o %s)"
	blob := strings.ReplaceAll(columns, "%s", "BLOB")
	typed := fmt.Sprintf(columns, "bit", "int", "NUMERIC(9,2)", "datetime", "nvarchar(9)", "uniqueidentifier", "xml", "datetimeoffset(0)")
	return "CREATE TABLE t " + blob + ";" + insert + "; PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = 'CREATE TABLE t " + typed +
		"' WHERE type = 'table'; PRAGMA writable_schema = RESET"
}

// SQLite has a limit of columns, which values of which it says too little need more of.
func TestJoinWide(t *testing.T) {
	for _, n := range []int{999, 1999} {
		for _, typ := range []string{"int", "float_blob"} {
			cols := make([]string, n)
			for i := range cols {
				cols[i] = fmt.Sprintf("k%d %s", i, typ)
			}
			create := "CREATE TABLE t (id int NOT NULL PRIMARY KEY, " + strings.Join(cols, ", ") + "); INSERT INTO t (id, k0) VALUES (1, 2);"
			_, source := database(t, create)
			_, target := database(t, create+fmt.Sprintf("UPDATE t SET k%d = 7", n-1))
			joined, report := joinedLike(t, source, target, mirror.CompareOptions{})
			require.EqualValues(t, 1, report.Tables[0].Changed)
			if typ == "int" {
				require.Equal(t, 1, joined)
				continue
			}
			require.Zero(t, joined)
			require.Contains(t, report.Tables[0].StrategyReason, "too many columns")
		}
	}
}

// plain reports whether the first spellings of the values are in their order.
func (s spelled) plain() bool {
	for _, name := range []string{"datetimeoffset", "uniqueidentifier", "decimal", "NUMERIC"} {
		if strings.HasPrefix(s.typ, name) {
			return false
		}
	}
	return true
}

// Keys whose spellings on the mirror's side are others than at the source, in chunks
// of a few rows.
func TestJoinSpelledKeys(t *testing.T) {
	for _, s := range spelledTypes() {
		t.Run(s.typ, func(t *testing.T) {
			const spelledKey = "a key in several spellings"
			sourceDB, source := database(t, "")
			targetDB, target := database(t, "")
			one := func(int) int { return 1 }
			for i, pick := range []func(i int) int{func(int) int { return 0 }, func(i int) int { return i * 5 % 13 }, func(i int) int { return i / 13 }, func(i int) int { return 1 }} {
				some := func(i int) bool { return i > 80 || i%17 == 5 }
				s.fill(t, sourceDB, func(int) int { return 0 }, func(i int) bool { return i > 80 }, one)
				s.fill(t, targetDB, pick, some, one)
				if i%2 == 1 && len(s.text(0)) > 1 { // a row more, of a key that is there
					targetDB.MustExec(fmt.Sprintf("INSERT OR IGNORE INTO t VALUES (%s, 1), (%s, 1)", s.text(40)[1], s.text(41)[len(s.text(41))-1]))
				}
				for _, rows := range []int64{1, 3} {
					joined, report := joinedLike(t, source, target, mirror.CompareOptions{Tuning: mirror.Tuning{DigestRows: rows}})
					if joined == 0 {
						require.Contains(t, report.Tables[0].StrategyReason, spelledKey)
					}
					if i == 0 && s.plain() {
						require.Equal(t, 1, joined, report.Tables[0].StrategyReason)
					}
				}
			}
		})
	}
}
