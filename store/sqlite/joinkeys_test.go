package sqlite_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/sqlite"
)

// fromOneTo inserts rows with the keys from 1 to n, spelled as verb spells numbers.
func fromOneTo(n int, verb string) string {
	var b strings.Builder
	for i := 1; i <= n; i++ {
		fmt.Fprintf(&b, "INSERT INTO t VALUES ("+verb+", 1);", i)
	}
	return b.String()
}

// Types that are one to Compare convert keys each in its way.
func TestJoinOfOtherAffinities(t *testing.T) {
	for _, c := range []struct{ one, other, verb string }{
		{"BLOB", "varbinary(2147483647)", "'%d'"}, {"varbinary(2147483647)", "BLOB", "'%d'"},
		{"xml", "xml_text", "%d"}, {"float_blob", "DOUBLE", "'%d'"}, {"", "STRING", "'%d'"},
	} {
		for _, rows := range []int64{0, 3} {
			t.Run(fmt.Sprint(c, rows), func(t *testing.T) {
				create := func(typ string) string {
					return "CREATE TABLE t (k " + typ + " NOT NULL PRIMARY KEY, v int);" + fromOneTo(40, c.verb)
				}
				_, source := database(t, create(c.one))
				_, target := database(t, create(c.other))
				joinedLike(t, source, target, mirror.CompareOptions{Tuning: mirror.Tuning{DigestRows: rows}})
			})
		}
	}
}

// keysOf is a table of the key k whose column got its type, or NOT NULL, after insert.
func keysOf(then, insert, now string) string {
	edit := "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = 'CREATE TABLE t (%s)' WHERE type = 'table'; PRAGMA writable_schema = RESET"
	return "CREATE TABLE t (" + then + ");" + insert + ";" + fmt.Sprintf(edit, now)
}

// A value that was stored before its column had its type is not found by its key.
func TestJoinOfKeysOfOldTypes(t *testing.T) {
	for _, typ := range []string{"int", "varbinary(2147483647)", "xml", "bit", "DOUBLE", "nvarchar(9)", "STRING"} {
		for name, c := range map[string][2]string{
			"missing":        {"INSERT INTO t VALUES ('10', 1)", ""},
			"extra":          {"", "INSERT INTO t VALUES ('10', 1)"},
			"changed":        {"INSERT INTO t VALUES ('10', 1)", "INSERT INTO t VALUES ('10', 2)"},
			"one of numbers": {"INSERT INTO t VALUES (10, 1)", ""},
			"more":           {"INSERT INTO t VALUES ('10', 1), (20, 1), (30, 1)", "INSERT INTO t VALUES (20, 1), (30, 1)"},
		} {
			t.Run(typ+" "+name, func(t *testing.T) {
				create := func(insert string) string {
					return keysOf("k BLOB NOT NULL PRIMARY KEY, v int", insert, "k "+typ+" NOT NULL PRIMARY KEY, v int")
				}
				_, source := database(t, create(c[0]))
				_, target := database(t, create(c[1]))
				for _, rows := range []int64{0, 1} {
					joinedLike(t, source, target, mirror.CompareOptions{Tuning: mirror.Tuning{DigestRows: rows}})
				}
			})
		}
	}
}

// EXCEPT takes rows whose key is NULL for one, and a schema that was edited denies
// that there are any.
func TestJoinOfKeysThatAreNull(t *testing.T) {
	one := func(insert string) string {
		return keysOf("k int PRIMARY KEY, v int", "INSERT INTO t VALUES "+insert, "k int NOT NULL PRIMARY KEY, v int")
	}
	two := func(insert string) string {
		return keysOf("k int, l int, v int, PRIMARY KEY (k, l)", "INSERT INTO t VALUES "+insert, "k int NOT NULL, l int NOT NULL, v int, PRIMARY KEY (k, l)")
	}
	for name, c := range map[string][2]string{
		"missing":       {one("(NULL, 1), (1, 1)"), one("(1, 1)")},
		"extra":         {one("(1, 1)"), one("(NULL, 1), (1, 1)")},
		"changed":       {one("(NULL, 1), (1, 1)"), one("(NULL, 2), (1, 1)")},
		"twice":         {one("(NULL, 1), (NULL, 1), (1, 1)"), one("(NULL, 1), (1, 1), (2, 1)")},
		"twice, same":   {one("(NULL, 1), (NULL, 1), (1, 1)"), one("(NULL, 1), (1, 1)")},
		"by count":      {one("(NULL, 1), (NULL, 1), (1, 1)"), one("(NULL, 1), (1, 1), (7, 1)")},
		"two, second":   {two("(1, NULL, 1), (1, 1, 1)"), two("(1, 1, 1)")},
		"two, first":    {two("(NULL, 1, 1), (1, 1, 1)"), two("(1, 1, 1)")},
		"two, by count": {two("(NULL, 1, 1), (NULL, 1, 1), (1, 1, 1)"), two("(NULL, 1, 1), (1, 1, 1), (8, 8, 8)")},
	} {
		t.Run(name, func(t *testing.T) {
			_, source := database(t, c[0])
			_, target := database(t, c[1])
			joinedLike(t, source, target, mirror.CompareOptions{})
		})
	}
}

// meanwhile does something between the listing of tables and the join.
type meanwhile struct {
	*sqlite.Source
	do func()
}

func (s meanwhile) Join(ctx context.Context, mirror store.Source) (store.Join, error) {
	s.do()
	return s.Source.Join(ctx, mirror)
}

// Tables that are made anew after they were listed may have keys that are NULL.
func TestJoinOfTablesMadeAnew(t *testing.T) {
	for name, rows := range map[string][2]string{
		"one more":          {"(NULL, 1), (1, 1)", "(1, 1)"},
		"one twice":         {"(NULL, 1), (NULL, 1), (1, 1)", "(1, 1)"},
		"as many on a side": {"(NULL, 1), (NULL, 1), (1, 1)", "(NULL, 1), (1, 1), (7, 1)"},
	} {
		t.Run(name, func(t *testing.T) {
			create := "CREATE TABLE t (k int NOT NULL PRIMARY KEY, v int); INSERT INTO t VALUES (1, 1)"
			paths := [2]string{made(t, create), made(t, create)}
			target, err := sqlite.Open(t.Context(), paths[1])
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, target.Close()) })
			remake := func() {
				for i, path := range paths {
					raw(t, path).MustExec("DROP TABLE t; CREATE TABLE t (k int PRIMARY KEY, v int); INSERT INTO t VALUES " + rows[i])
				}
			}
			report, err := newMirror(t, target).Compare(t.Context(), meanwhile{openSource(t, paths[0]), remake}, &mirror.CompareOptions{Strategy: mirror.StrategyJoin})
			require.NoError(t, err)
			require.NotEqual(t, mirror.VerdictIdentical, report.Tables[0].Verdict)
		})
	}
}

// A store that writes keeps the file that it has open, whatever comes to its path; a
// join must not look at another one.
func TestJoinOfAReplacedMirror(t *testing.T) {
	for _, mode := range []string{"DELETE", "WAL"} {
		t.Run(mode, func(t *testing.T) {
			create := "CREATE TABLE t (k int NOT NULL PRIMARY KEY, v int);" + fromOneTo(5, "%d")
			source := openSource(t, made(t, create))
			path, equal := made(t, create+"UPDATE t SET v = 2 WHERE k = 3; PRAGMA journal_mode = "+mode), made(t, create)
			target, err := sqlite.Open(t.Context(), path)
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, target.Close()) })
			conn, err := target.DB().Conn(t.Context())
			require.NoError(t, err)
			defer conn.Close()
			require.NoError(t, os.Rename(equal, path))
			report, err := newMirror(t, target).Compare(t.Context(), source, &mirror.CompareOptions{Strategy: mirror.StrategyJoin})
			require.NoError(t, err)
			require.NotEqual(t, mirror.StrategyJoin, report.Tables[0].Strategy)
			require.Contains(t, report.Tables[0].StrategyReason, "it is another file than before")
		})
	}
}
