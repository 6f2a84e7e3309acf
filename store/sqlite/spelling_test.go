package sqlite_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/heal"
	"github.com/so-mirror/mirror/internal/mirrortest"
)

// spelled is a type with the spellings of its nth value, in ascending order of n.
// The first one is the store's own.
type spelled struct {
	typ  string
	text func(n int) []string
}

func spelledTypes() []spelled {
	at := func(n int) time.Time {
		return time.Date(2026, 1, 1, 23, 50, 0, 0, time.UTC).Add(time.Duration(n) * time.Second)
	}
	quoted := func(texts ...string) []string {
		for i := range texts {
			texts[i] = "'" + texts[i] + "'"
		}
		return texts
	}
	time19 := func(suffix string) func(int) []string {
		return func(n int) []string {
			plain := at(n).Format(time.DateTime)
			iso := strings.Replace(plain, " ", "T", 1)
			return quoted(plain+suffix, plain, iso, iso+"Z", plain+".0", iso+".00Z")
		}
	}
	guid := func(n int) []string {
		g := fmt.Sprintf("6f9619ff-8b86-d011-b42d-0000%08x", 0xabc000+n)
		bytes := "ff19966f868b11d0b42d" + g[24:]
		return []string{"x'" + bytes + "'", "'" + g + "'", "'" + strings.ToUpper(g) + "'"}
	}
	return []spelled{
		{"datetime", time19(".000")}, {"datetime2(3)", time19(".000")}, {"datetime2(0)", time19("")}, {"TIMESTAMP", time19(".0000000")},
		{"smalldatetime", func(n int) []string {
			plain := at(0).Add(time.Duration(n) * time.Minute).Format(time.DateTime)
			return quoted(plain, strings.Replace(plain, " ", "T", 1), plain+".000", plain+"Z")
		}},
		{"date", func(n int) []string {
			day := at(0).AddDate(0, 0, n).Format(time.DateOnly)
			return quoted(day, day+" 00:00:00", day+"T00:00:00Z")
		}},
		{"time(3)", func(n int) []string {
			plain := time.Unix(0, 0).UTC().Add(time.Duration(n) * time.Second).Format(time.TimeOnly)
			return quoted(plain+".000", plain, plain+".0")
		}},
		{"datetimeoffset(3)", func(n int) []string {
			plain := at(n).Format(time.DateTime)
			return quoted(plain+".000 +02:00", plain+" +02:00", strings.Replace(plain, " ", "T", 1)+".0 +02:00")
		}},
		{"uniqueidentifier", guid},
		{"decimal_text(9,2)", func(n int) []string {
			return quoted(fmt.Sprintf("%d.50", n-1000), fmt.Sprintf("%d.5", n-1000), fmt.Sprintf("%d.500", n-1000))
		}},
		{"NUMERIC(10,2)", func(n int) []string { return []string{fmt.Sprintf("%d.5", n-1000), fmt.Sprintf("'%d.50'", n-1000)} }},
		{"bigint", func(n int) []string { return []string{fmt.Sprint(9223372036854770000 + int64(n))} }},
		{"int", func(n int) []string { return []string{fmt.Sprint(9223372036854770000 + int64(n))} }},
		{"nvarchar(2)", func(n int) []string { return []string{fmt.Sprintf("CAST(x'ff%04x' AS TEXT)", 0x4000+n)} }},
		{"BLOB", func(n int) []string { return []string{fmt.Sprintf("x'%04x'", n)} }},
		{"any_blob", func(n int) []string { return []string{fmt.Sprint(n)} }},
		{"REAL", func(n int) []string { return []string{fmt.Sprintf("%d.5", n)} }},
	}
}

const spelledRows = 600

// fill makes table t with n rows, the ith of which is spelled as pick says, but
// for those that are left out, and with v as its value.
func (s spelled) fill(t *testing.T, db *sqlx.DB, pick func(i int) int, leaveOut func(i int) bool, value func(i int) int) {
	t.Helper()
	var script strings.Builder
	fmt.Fprintf(&script, "BEGIN; DROP TABLE IF EXISTS t; CREATE TABLE t (k %s NOT NULL PRIMARY KEY, v int);", s.typ)
	for i := range spelledRows {
		if leaveOut(i) {
			continue
		}
		texts := s.text(i)
		fmt.Fprintf(&script, "INSERT INTO t VALUES (%s, %d);", texts[pick(i)%len(texts)], value(i))
	}
	script.WriteString("COMMIT")
	_, err := db.Exec(script.String())
	require.NoError(t, err)
}

// Keys in any spelling: what is missing is missing, what differs differs, and
// reading again finds it, whichever way.
func TestSpellingsOfKeys(t *testing.T) {
	for _, s := range spelledTypes() {
		for name, picks := range map[string][2]func(int) int{
			"as the store spells": {func(int) int { return 0 }, func(int) int { return 0 }},
			"one other":           {func(int) int { return 1 }, func(int) int { return 1 }},
			"each its own":        {func(int) int { return 1 }, func(int) int { return 2 }},
			"mixed":               {func(i int) int { return i * 7 % 11 }, func(i int) int { return i * 5 % 13 }},
			"one row of many":     {func(int) int { return 0 }, func(i int) int { return i / 213 }},
		} {
			if len(s.text(0)) == 1 && name != "as the store spells" {
				continue // there is one spelling
			}
			t.Run(s.typ+" "+name, func(t *testing.T) {
				t.Parallel()
				sourceDB, source := database(t, "")
				targetDB, target := database(t, `CREATE TABLE C1_mirroring (tablename nvarchar(100) PRIMARY KEY, LSN bigint); INSERT INTO C1_mirroring VALUES ('t', 5)`)
				m, err := mirror.New("C1", target, nil)
				require.NoError(t, err)
				const rows = 300 // ranges that no index finds cost the square
				more := func(i int) bool { return i >= rows }
				one := func(int) int { return 1 }
				compare := func(opts *mirror.CompareOptions) *mirror.Report {
					report, err := m.Compare(t.Context(), source, opts)
					require.NoError(t, err)
					return report
				}
				s.fill(t, sourceDB, picks[0], more, one)
				s.fill(t, targetDB, picks[1], more, one)
				for _, opts := range someWays() {
					report := compare(opts)
					require.True(t, report.Identical(), "%+v: %s", *opts, report)
				}
				s.fill(t, targetDB, picks[1], func(i int) bool { return i == 213 || more(i) }, func(i int) int { return 1 + i/(rows-1) })
				for _, opts := range someWays() {
					report := compare(opts)
					tr := report.Tables[0]
					require.Equal(t, []int64{1, 0, 1, rows, rows - 1},
						[]int64{tr.Missing, tr.Extra, tr.Changed, tr.SourceRows, tr.MirrorRows}, "%+v: %s", *opts, report)
				}
				report := compare(&mirror.CompareOptions{Strategy: mirror.StrategyDigest, Tuning: mirror.Tuning{DigestRows: 50}})
				report = reportOf(t, report)
				again, err := m.Recheck(t.Context(), source, report, &mirror.RecheckOptions{After: 1})
				require.NoError(t, err)
				require.EqualValues(t, 2, again.Tables[0].Diverged, "%s", again)
				require.Zero(t, again.Tables[0].Pending)

				// The same differences after a reset are a lost reset.
				_, err = targetDB.Exec("UPDATE C1_mirroring SET LSN = 6")
				require.NoError(t, err)
				waited, err := heal.Wait(t.Context(), m, nil, &heal.WaitOptions{Tables: []string{"t"}, Source: source, Report: again})
				require.ErrorIs(t, err, heal.ErrLostReset, "%s", waited)

				// Healing takes them for no less than they are, and a cycle that sends
				// every row for all there is to do.
				cycle := func(populate bool) *heal.Report {
					m, err := mirror.New("C1", target, &mirror.Options{Clock: mirrortest.Clock{Wait: func(context.Context, time.Duration) error {
						var lsn int64
						if err := targetDB.Get(&lsn, "SELECT LSN FROM C1_mirroring"); err != nil {
							return err
						}
						if lsn < 0 && populate {
							s.fill(t, targetDB, picks[1], more, one)
						}
						_, err := targetDB.Exec("UPDATE C1_mirroring SET LSN = max(LSN, 6) + 1")
						return err
					}}})
					require.NoError(t, err)
					h, err := heal.Run(t.Context(), m, source, &heal.Options{Rounds: 1, MaxTableShare: 1})
					require.NoError(t, err, "%s", h)
					return h
				}
				h := cycle(false)
				require.False(t, h.Healed, "%s", h)
				require.NotNil(t, h.Rounds[0].Receipt, "%s", h)
				require.EqualValues(t, 2, h.Rounds[len(h.Rounds)-1].Report.Tables[0].Diverged, "%s", h)
				h = cycle(true)
				require.True(t, h.Healed, "%s", h)
				require.Len(t, h.Rounds, 2, "%s", h)
			})
		}
	}
}

func none(int) bool { return false }

func someWays() []*mirror.CompareOptions {
	return []*mirror.CompareOptions{
		{Strategy: mirror.StrategyStream}, {Strategy: mirror.StrategyDigest, Tuning: mirror.Tuning{DigestRows: 64}}, {Strategy: mirror.StrategyAuto},
		{Strategy: mirror.StrategyStream, Tuning: mirror.Tuning{SplitRows: 50}}, {Strategy: mirror.StrategyDigest, Tuning: mirror.Tuning{SplitRows: 200, DigestRows: 10}},
		{Strategy: mirror.StrategyJoin, Tuning: mirror.Tuning{DigestRows: 16}},
	}
}

func reportOf(t *testing.T, report *mirror.Report) *mirror.Report {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, report.WriteJSON(&b))
	var back mirror.Report
	require.NoError(t, json.Unmarshal(b.Bytes(), &back))
	return &back
}

// A comparison that goes on from any of its checkpoints finds what it would have
// found.
func TestSpellingsAndResume(t *testing.T) {
	for _, s := range spelledTypes() {
		t.Run(s.typ, func(t *testing.T) {
			t.Parallel()
			sourceDB, source := database(t, "")
			targetDB, target := database(t, "")
			s.fill(t, sourceDB, func(i int) int { return i * 7 % 11 }, none, func(int) int { return 1 })
			s.fill(t, targetDB, func(i int) int { return i * 5 % 13 }, func(i int) bool { return i%100 == 13 }, func(int) int { return 1 })
			var seconds atomic.Int64 // the clock is asked from several goroutines
			m, err := mirror.New("C1", target, &mirror.Options{Clock: mirrortest.Clock{Time: func() time.Time { return time.Unix(seconds.Add(1), 0) }}})
			require.NoError(t, err)
			var saved []*mirror.Checkpoint
			_, err = m.Compare(t.Context(), source, &mirror.CompareOptions{
				Strategy: mirror.StrategyDigest, Tuning: mirror.Tuning{DigestRows: 4, Concurrency: 1, SplitRows: 100, CheckpointEvery: 1},
				OnCheckpoint: func(c *mirror.Checkpoint) { saved = append(saved, c) },
			})
			require.NoError(t, err)
			require.Greater(t, len(saved), 4)
			for i := 0; i < len(saved); i += 1 + len(saved)/5 {
				var b bytes.Buffer
				require.NoError(t, saved[i].WriteJSON(&b))
				var back mirror.Checkpoint
				require.NoError(t, json.Unmarshal(b.Bytes(), &back))
				report, err := m.Compare(t.Context(), source, &mirror.CompareOptions{Resume: &back})
				require.NoError(t, err)
				tr := report.Tables[0]
				require.Equal(t, []int64{6, 0, 0, spelledRows}, []int64{tr.Missing, tr.Extra, tr.Changed, tr.SourceRows}, "%s", report)
			}
		})
	}
}

// Keys that are not of their type, between others that are.
func TestKeysThatAreNotOfTheirType(t *testing.T) {
	for typ, keys := range map[string][]string{
		"datetime":          {"1577836800", "1577836800.5", "'2026-01-01 00:00:00'", "'2026-01-01 00:00:00.001'", "'2026-01-01 00:00:00.002000001'", "'garbage'", "''", "'2026-02-31'", "x'00'", "'9'"},
		"time(3)":           {"5", "'04:05:06'", "'24:00:00'", "'x'", "x'31'"},
		"datetimeoffset(3)": {"5", "'2026-01-01 00:00:00.000 +01:00'", "'2026-01-01T00:00:00+01:00'", "'2026-01-01 00:00:00Z'", "x'31'"},
		"decimal_text(5,2)": {"'1'", "'x'", "''", "x'31'", "x''", "'-5'", "'+5.0'", "'123456789.123456789'", "'.5'"},
		"NUMERIC(10,2)":     {"1", "1.5", "'x'", "''", "x'31'", "9e999", "-9e999", "-1e300", "9223372036854775807"},
		"uniqueidentifier":  {"5", "'x'", "x'00'", "x''", "zeroblob(17)", "zeroblob(16)", "'6f9619ff-8b86-d011-b42d-00c04fc964ff'", "'6f9619ff-8b86-d011-b42d-00c04fc964f'"},
		"bit":               {"0", "1", "2", "-1", "0.5", "'true'", "x'31'"},
		"int":               {"0", "9223372036854775807", "1.5", "'x'", "x'31'", "-9e999"},
		"nvarchar(2)":       {"''", "'abc'", "CAST(x'ff' AS TEXT)", "CAST(x'c0af' AS TEXT)", "x'61'", "'a' || char(0)", "'a'"},
		"varbinary(2)":      {"1", "1.5", "'1x'", "x'31'", "x'313131'", "x''", "''"},
		"float_blob":        {"1", "1.5", "9007199254740993", "9007199254740992.0", "9223372036854775807", "'x'", "x'31'", "9e999"},
		"any_blob":          {"1", "1.5", "'1'", "x'31'", "''", "x''"},
	} {
		t.Run(typ, func(t *testing.T) {
			t.Parallel()
			sourceDB, source := database(t, "")
			targetDB, target := database(t, "")
			fill := func(db *sqlx.DB, list []string) {
				script := "DROP TABLE IF EXISTS t; CREATE TABLE t (k " + typ + " NOT NULL PRIMARY KEY, v int);"
				for _, k := range list {
					script += "INSERT INTO t VALUES (" + k + ", 1);"
				}
				_, err := db.Exec(script)
				require.NoError(t, err)
			}
			m, err := mirror.New("C1", target, nil)
			require.NoError(t, err)
			fill(sourceDB, keys)
			for lost := -1; lost < len(keys); lost++ {
				rest := slices.Clone(keys)
				if lost >= 0 {
					rest = slices.Delete(rest, lost, lost+1)
				}
				fill(targetDB, rest)
				for _, opts := range everyWay() {
					report, err := m.Compare(t.Context(), source, opts)
					require.NoError(t, err)
					tr := report.Tables[0]
					want := []int64{int64(min(1, lost+1)), 0, 0, int64(len(keys)), int64(len(rest))}
					require.Equal(t, want, []int64{tr.Missing, tr.Extra, tr.Changed, tr.SourceRows, tr.MirrorRows}, "without %d by %+v: %s", lost, *opts, report)
					if lost < 0 {
						continue
					}
					again, err := m.Recheck(t.Context(), source, reportOf(t, report), &mirror.RecheckOptions{After: 1})
					require.NoError(t, err)
					require.EqualValues(t, 1, again.Tables[0].Diverged, "without %s by %+v: %s", keys[lost], *opts, again)
				}
			}
		})
	}
}

// A source with one key in two spellings has a row more than the mirror, wherever
// ranges end.
func TestKeyInTwoSpellings(t *testing.T) {
	for _, s := range spelledTypes()[:10] {
		t.Run(s.typ, func(t *testing.T) {
			script := fmt.Sprintf("CREATE TABLE t (k %s NOT NULL PRIMARY KEY, v int);", s.typ)
			for i := range 12 {
				script += fmt.Sprintf("INSERT INTO t VALUES (%s, 1);", s.text(i)[0])
			}
			twins := script + fmt.Sprintf("INSERT INTO t VALUES (%s, 1);", s.text(5)[len(s.text(5))-1])
			_, source := database(t, twins)
			_, st := database(t, script)
			target := newMirror(t, st)
			for rows := int64(1); rows < 7; rows++ {
				for _, o := range []mirror.CompareOptions{{Strategy: mirror.StrategyDigest, Tuning: mirror.Tuning{DigestRows: rows}}, {Strategy: mirror.StrategyStream, Tuning: mirror.Tuning{SplitRows: rows}}} {
					report, err := target.Compare(t.Context(), source, &o)
					require.NoError(t, err)
					tr := report.Table("t")
					require.Equal(t, []int64{1, 13, 12}, []int64{tr.Missing, tr.SourceRows, tr.MirrorRows}, "%s", report)
				}
			}
		})
	}
}

// anyStored is a value as others may have stored it: of any of SQLite's classes,
// and often almost of the column's type.
func anyStored(r *rand.Rand) string {
	texts := []string{"5.", ".5", "+5", "-5", "5.0", "0.1", "00", "-0", ".", "+", "", "04:05:06", "2026-02-03", "2026-02-03 04:05:06.1234567", "0001-01-01 04:05:06",
		"0000-02-29 23:59:59Z", "9999-12-31 23:59:59.999999999", "04:05:06 +01:00", "2026-02-03 04:05:06 +01:00", "0001-01-01 00:00:00 +14:00",
		"9999-12-31 23:59:59 -23:59", "6F9619FF-8B86-D011-B42D-00C04FC964FF", "6f9619ff-8b86-d011-b42d-00c04fc964ff", "true", "\ufffd", "a b"}
	switch r.IntN(6) {
	case 0:
		return fmt.Sprint(r.IntN(5) - 2)
	case 1:
		return fmt.Sprint(int64(r.Uint64()))
	case 2:
		return []string{"0.1", "-0.1", "0.5", "1e300", "-1e300", "1e999", "-1e999", "-9223372036854775808.0", "9223372036854775807.0", "-0.0", "3.4028236e38"}[r.IntN(11)]
	case 3:
		return fmt.Sprintf("%v", r.NormFloat64())
	case 4:
		return fmt.Sprintf("x'%X'", texts[r.IntN(len(texts))])
	default:
		return fmt.Sprintf("'%s'", texts[r.IntN(len(texts))])
	}
}

// The bound that is made from a key is that key, whatever is stored: after a way
// through JSON it finds the row again, and no range begins behind it.
func TestBoundsAreTheKeys(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, typ := range []string{
		"real_blob", "float_blob", "REAL", "decimal_text(19,4)", "money_text", "NUMERIC(9,2)", "int", "bigint", "bit", "nvarchar(4)", "varbinary(4)", "BLOB",
		"uniqueidentifier", "date", "datetime", "datetime2(3)", "time(3)", "datetimeoffset(2)", "any_blob",
	} {
		t.Run(typ, func(t *testing.T) {
			script := fmt.Sprintf("CREATE TABLE t (k %s NOT NULL, v int, PRIMARY KEY (k)) WITHOUT ROWID;", typ)
			for i := range 120 {
				script += fmt.Sprintf("INSERT OR IGNORE INTO t VALUES (%s, %d);", anyStored(r), i)
			}
			_, source := database(t, script)
			changed, store := database(t, script+"UPDATE t SET v = -1; CREATE TABLE C1_mirroring (tablename nvarchar(128), LSN bigint); INSERT INTO C1_mirroring VALUES ('t', 5)")
			var n int64
			require.NoError(t, changed.Get(&n, "SELECT COUNT(*) FROM t"))
			m := newMirror(t, store)
			report, err := m.Compare(t.Context(), source, nil)
			require.NoError(t, err)
			require.EqualValues(t, n, report.Table("t").Changed, "%s", report)
			report, err = m.Recheck(t.Context(), source, reportOf(t, report), &mirror.RecheckOptions{After: 1})
			require.NoError(t, err)
			require.Equal(t, []int64{n, 0}, []int64{report.Table("t").Diverged, report.Table("t").Pending}, "%s", report)

			left, store := database(t, script+"DELETE FROM t WHERE v % 3 = 0")
			require.NoError(t, left.Get(&n, "SELECT ? - COUNT(*) FROM t", n))
			for _, opts := range []mirror.CompareOptions{{Strategy: mirror.StrategyDigest, Tuning: mirror.Tuning{DigestRows: 1}}, {Strategy: mirror.StrategyStream, Tuning: mirror.Tuning{SplitRows: 1}}} {
				report, err := newMirror(t, store).Compare(t.Context(), source, &opts)
				require.NoError(t, err)
				require.Equal(t, n, report.Table("t").Missing, "%+v: %s", opts, report)
			}
		})
	}
}

// Recheck takes the report of a key that repeats: two spellings of it, or a
// mirror without uniqueness, with rows that are alike.
func TestRecheckOfRepeatedKeys(t *testing.T) {
	const metadata = "; CREATE TABLE C1_mirroring (tablename nvarchar(128), LSN bigint); INSERT INTO C1_mirroring VALUES ('t', 5)"
	for name, c := range map[string]struct{ source, mirror string }{
		"two spellings": {
			"CREATE TABLE t (k datetime NOT NULL PRIMARY KEY, v int); INSERT INTO t VALUES ('2026-01-01', 1), ('2026-01-01 00:00:00', 1)",
			"CREATE TABLE t (k datetime NOT NULL PRIMARY KEY, v int)",
		},
		"a mirror without a key": {
			"CREATE TABLE t (k int NOT NULL PRIMARY KEY, v int); INSERT INTO t VALUES (1, 1)",
			"CREATE TABLE t (k int NOT NULL, v int); INSERT INTO t VALUES (1, 1), (7, 1), (7, 2), (7, 1)",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, source := database(t, c.source)
			_, store := database(t, c.mirror+metadata)
			m := newMirror(t, store)
			report, err := m.Compare(t.Context(), source, nil)
			require.NoError(t, err)
			tr := report.Table("t")
			want := tr.Missing + tr.Extra
			require.Equal(t, want, tr.Differences[0].Rows+int64(len(tr.Differences))-1, "%+v", tr.Differences)
			report, err = m.Recheck(t.Context(), source, reportOf(t, report), &mirror.RecheckOptions{After: 1})
			require.NoError(t, err)
			require.Equal(t, []int64{want, 0}, []int64{report.Table("t").Diverged, report.Table("t").Pending}, "%s", report)
		})
	}
}
