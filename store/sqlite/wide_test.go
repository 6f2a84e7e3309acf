package sqlite_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"testing"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store"
)

// wideText is text of a file in UTF-16, given by its units, in SQL.
func wideText(encoding string, units ...uint16) string {
	var b []byte
	for _, u := range units {
		if encoding == "UTF-16le" {
			b = append(b, byte(u), byte(u>>8))
		} else {
			b = append(b, byte(u>>8), byte(u))
		}
	}
	return "CAST(x'" + hex.EncodeToString(b) + "' AS TEXT)"
}

// hostileUnits are texts that look alike in twos or threes to who asks SQLite for
// UTF-8, or are written as U+FFFD.
var hostileUnits = [][]uint16{
	{0xd800}, {0xd801}, {0xdc00}, {0xfffd}, {0xfffe}, {0xffff},
	{0xd800, 'A'}, {0xd800, 0xdc41}, {0xdc00, 'A'}, {0xd800, 0xd800, 0xdc41}, {0xd800, 'A', 0xdc41},
	{'A', 0xd800}, {'A', 0xd801}, {'A'}, {},
}

// Text that is no UTF-16 is itself, as value and as key, in a column of any type.
func TestHalfPairsInUTF16(t *testing.T) {
	ways := append(everyWay(), &mirror.CompareOptions{Strategy: mirror.StrategyAuto, Tuning: mirror.Tuning{SplitRows: 2}})
	for _, encoding := range []string{"UTF-16le", "UTF-16be"} {
		types := []string{"nvarchar(9)", "any_blob", "int", "datetime", "decimal_text(9,2)", "uniqueidentifier", "varbinary(9)", "bit", "float_blob"}
		if encoding == "UTF-16be" {
			types = types[:1]
		}
		for _, typ := range types {
			t.Run(encoding+" "+typ, func(t *testing.T) {
				script := func(key, value func(i int) string) string {
					s := fmt.Sprintf(`PRAGMA encoding = '%s'; CREATE TABLE t (k %[2]s NOT NULL PRIMARY KEY, v %[2]s) WITHOUT ROWID;`, encoding, typ)
					for i := range hostileUnits {
						s += fmt.Sprintf("INSERT INTO t VALUES (%s, %s);", key(i), value(i))
					}
					return s
				}
				text := func(i int) string { return wideText(encoding, hostileUnits[i]...) }
				key := func(i int) string { return fmt.Sprintf("'%02d'", i) }
				counts := func(source, store string) {
					t.Helper()
					_, src := database(t, source)
					_, st := database(t, store+"CREATE TABLE C1_mirroring (TableName nvarchar(99), LSN bigint); INSERT INTO C1_mirroring VALUES ('t', 5)")
					var want []int64
					for n, opts := range ways {
						report, err := newMirror(t, st).Compare(t.Context(), src, opts)
						require.NoError(t, err)
						tr := report.Table("t")
						require.NoError(t, tr.Err, "%s", report)
						got := []int64{tr.SourceRows, tr.MirrorRows, tr.Missing, tr.Extra, tr.Changed}
						if n == 0 {
							want = got
						}
						require.Equal(t, want, got, "%+v: %s", *opts, report)
						again, err := newMirror(t, st).Recheck(t.Context(), src, reportOf(t, report), &mirror.RecheckOptions{After: 1})
						require.NoError(t, err)
						tr = again.Table("t")
						require.Equal(t, []int64{0, want[2] + want[3] + want[4]}, []int64{tr.Pending, tr.Diverged}, "%s", again)
					}
					n := int64(len(hostileUnits))
					require.Equal(t, []int64{n, n}, want[:2])
					if source == store {
						require.Equal(t, []int64{0, 0, 0}, want[2:])
						return
					}
					require.Equal(t, n-1, max(want[2], want[4]), "%v", want)
					require.Equal(t, want[2], want[3])
				}
				whole := script(text, text)
				counts(whole, whole)
				// Each has the value of another, but for the first.
				n := len(hostileUnits)
				for _, shift := range []int{1, 2, 3} {
					counts(script(key, text), script(key, func(i int) string {
						if i == 0 {
							return text(0)
						}
						return text(1 + (i-1+shift)%(n-1))
					}))
				}
				// The keys of one are none of the other's, but for one.
				counts(whole, script(func(i int) string {
					if i == 0 {
						return text(0)
					}
					return wideText(encoding, append(append([]uint16{}, hostileUnits[i]...), 0xdc07)...)
				}, text))
			})
		}
	}
}

// A file in UTF-16 and one in UTF-8 hold the same values: text, bytes that look like
// its bytes or like hexadecimal digits, and numbers.
func TestUTF16AgainstUTF8(t *testing.T) {
	const rows = `CREATE TABLE t (k nvarchar(9) NOT NULL PRIMARY KEY, v nvarchar(9), b varbinary(9), at datetime, n int);
		INSERT INTO t VALUES ('😀', '👩‍👩‍👧', x'3dd800de', '2026-01-01 00:00:00.000', 1), ('', '', x'', '', ''), ('4142', '4142', x'4142', '4142', 'ab'),
		('a', '𠮷 ÿ', x'41004200', 5, 2.5), ('é', x'4142', 'AB', x'4142', x'4142'), (x'4142', NULL, NULL, NULL, NULL);`
	for _, encoding := range []string{"UTF-16le", "UTF-16be"} {
		wideDB, wide := database(t, "PRAGMA encoding = '"+encoding+"';"+rows)
		narrowDB, narrow := database(t, rows)
		digests := func(st store.Store) []store.Digest {
			d, err := st.(store.Digester).DigestEvery(t.Context(), store.Query{Table: tableOf(t, st, "t"), Key: []string{"k"}}, 2)
			require.NoError(t, err)
			return d
		}
		require.Equal(t, digests(narrow), digests(wide), encoding)
		for _, change := range []string{"", "UPDATE t SET v = '4143' WHERE k = '4142'", "UPDATE t SET v = '🙃' WHERE k = '😀'", "UPDATE t SET b = '4142' WHERE k = '4142'",
			"UPDATE t SET v = 'AB' WHERE k = 'é'", "UPDATE t SET k = 'AB' WHERE k = x'4142'", "UPDATE t SET b = NULL WHERE k = ''"} {
			name := encoding + ": " + change
			for _, side := range []struct {
				store, source store.Store
				db            *sqlx.DB
			}{{wide, narrow, wideDB}, {narrow, wide, narrowDB}} {
				side.db.MustExec(change)
				for _, opts := range everyWay() {
					report, err := newMirror(t, side.store).Compare(t.Context(), side.source, opts)
					require.NoError(t, err, name)
					tr := report.Table("t")
					require.EqualValues(t, []int64{6, 6}, []int64{tr.SourceRows, tr.MirrorRows}, name)
					require.Equal(t, change == "", report.Identical(), "%s: %+v: %s", name, *opts, report)
					require.EqualValues(t, min(1, len(change)), tr.Changed+tr.Missing, "%s: %+v: %s", name, *opts, report)
				}
				side.db.MustExec("DROP TABLE t;" + rows)
			}
		}
	}
}

// What a transaction reads of a file in UTF-16 is what it writes and finds there;
// what SQLite would write as another text is refused.
func TestVerbatimInUTF16(t *testing.T) {
	for _, encoding := range []string{"UTF-16le", "UTF-16be"} {
		db, st := database(t, "PRAGMA encoding = '"+encoding+"'; CREATE TABLE t (id int, s nvarchar(9), n bigint, b varbinary(9)); INSERT INTO t VALUES (1, 'dbo.é😀', 'five', x'4142'), (2, x'4142', 2, 'AB'), (3, '\ufffd', 3, x'')")
		db.MustExec("INSERT INTO t VALUES (4, " + wideText(encoding, 0xd800) + ", 4, NULL)")
		def := tableOf(t, st, "t")
		dump := func() (lines []string) {
			require.NoError(t, db.Select(&lines, "SELECT format('%d %s %s %s %s', id, hex(CAST(s AS BLOB)), typeof(s), quote(n), quote(b)) FROM t ORDER BY id"))
			return lines
		}
		before := dump()
		for id, want := range []store.Row{
			{int64(1), "dbo.é😀", store.Verbatim{Value: "five"}, []byte("AB")},
			{int64(2), store.Verbatim{Value: []byte("AB")}, int64(2), store.Verbatim{Value: "AB"}},
			{int64(3), "\ufffd", int64(3), []byte{}},
			{int64(4), store.Verbatim{Value: "\xed\xa0\x80"}, int64(4), nil},
		} {
			err := st.Update(t.Context(), func(tx store.Tx) error {
				var row store.Row
				for batch, err := range tx.Rows(t.Context(), store.Query{Table: def, Key: []string{"id"}, From: store.Row{id + 1}, Limit: 1, Verbatim: true}) {
					if err != nil {
						return err
					}
					row = batch[0].Clone()
				}
				require.Equal(t, want, row, encoding)
				var where []store.Cell
				for i, c := range def.Columns {
					where = append(where, store.Cell{Column: c.Name, Value: row[i]})
				}
				n, err := tx.Delete(t.Context(), def, where)
				if err != nil {
					return err
				}
				require.EqualValues(t, 1, n)
				return tx.Insert(t.Context(), def, def.ColumnNames(), []store.Row{row})
			})
			if id < 3 {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, errors.ErrUnsupported)
				require.ErrorContains(t, err, "column s: the text")
			}
			require.Equal(t, before, dump())
		}
	}
}
