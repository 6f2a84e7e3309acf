package mirror_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/internal/mirrortest"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

// strip writes the stretches of a table down.
func strip(tr *mirror.TableReport) string {
	var texts []string
	for _, s := range tr.Stretches {
		texts = append(texts, fmt.Sprintf("%v..%v -%d +%d ~%d =%d ?%d", s.First[0].Value, s.Last[0].Value, s.Missing, s.Extra, s.Changed, s.Duplicate, s.Pending))
	}
	return strings.Join(texts, "; ")
}

// Rows that differ are counted where they are, by every strategy alike, also those
// beyond MaxKeys.
func TestStretches(t *testing.T) {
	contacts := func(changed bool) memory.Table {
		table := mirrortest.Companies()
		for i := range 10_000 {
			name := fmt.Sprint("Company ", i)
			switch {
			case !changed:
			case i >= 2000 && i < 2100: // lost
				continue
			case i == 5001:
				name += "!"
			}
			table.Rows = append(table.Rows, store.Row{i, name})
		}
		if changed {
			for i := range 10 {
				table.Rows = append(table.Rows, store.Row{12_000 + i, "of nobody"})
			}
		}
		return table
	}
	source, st := memory.New(contacts(false)), memory.New(contacts(true))
	require.NoError(t, st.Seed(memory.Metadata(customer, map[string]store.LSN{"contact": 812})))
	for _, opts := range []mirror.CompareOptions{
		{Strategy: mirror.StrategyStream},
		{Strategy: mirror.StrategyStream, Tuning: mirror.Tuning{SplitRows: 700}},
		{Strategy: mirror.StrategyDigest, Tuning: mirror.Tuning{DigestRows: 500}},
		{Strategy: mirror.StrategyJoin, Tuning: mirror.Tuning{DigestRows: 500}},
		{Strategy: mirror.StrategyAuto},
	} {
		opts.MaxKeys = 5
		report, err := newMirror(t, st, nil).Compare(t.Context(), source, &opts)
		require.NoError(t, err)
		tr := report.Table("contact")
		// 111 keys, in 64 bins or less.
		first, last := tr.Stretches[0], tr.Stretches[len(tr.Stretches)-1]
		require.EqualValues(t, 2000, first.First[0].Value, "%+v", opts)
		require.EqualValues(t, 12_009, last.Last[0].Value, "%+v", opts)
		require.Contains(t, strip(tr), "2000..2001 -2 +0 ~0 =0 ?0; 2002..2003 -2 +0 ~0 =0 ?0", "%+v", opts)
		require.Contains(t, strip(tr), "; 5001..5001 -0 +0 ~1 =0 ?0; 12000..12001 -0 +2 ~0 =0 ?0; ", "%+v", opts)
		require.Len(t, tr.Stretches, 50+1+5, "%+v", opts)
		require.EqualValues(t, 0, tr.Range.First[0].Value, "%+v", opts)
		require.EqualValues(t, 12_009, tr.Range.Last[0].Value, "%+v", opts)
		require.InDelta(t, 2000.0/12_009, first.From, 1e-12, "%+v", opts)
		require.InDelta(t, 2001.0/12_009, first.To, 1e-12, "%+v", opts)
		require.InDelta(t, 1, last.To, 0, "%+v", opts)
	}
}

// The range of keys is the table's by every strategy, however far behind the last row
// that differs the table goes on.
func TestRange(t *testing.T) {
	const rows = 10_000
	compare := func(t *testing.T, source store.Source, st store.Store, opts mirror.CompareOptions) *mirror.TableReport {
		report, err := newMirror(t, st, nil).Compare(t.Context(), source, &opts)
		require.NoError(t, err)
		return report.Table("contact")
	}
	source, st := twins(rows, func(i int) bool { return i >= 2000 && i < 2010 })
	same, equal := twins(rows, func(int) bool { return false })
	for name, opts := range map[string]mirror.CompareOptions{
		"streamed":           {Strategy: mirror.StrategyStream},
		"streamed in ranges": {Strategy: mirror.StrategyStream, Tuning: mirror.Tuning{SplitRows: 700}},
		"digested":           {Strategy: mirror.StrategyDigest, Tuning: mirror.Tuning{DigestRows: 500}},
		"digested at once":   {Strategy: mirror.StrategyDigest},
		"digested in ranges": {Strategy: mirror.StrategyDigest, Tuning: mirror.Tuning{DigestRows: 500, SplitRows: 3000}},
	} {
		t.Run(name, func(t *testing.T) {
			tr := compare(t, source, st, opts)
			require.EqualValues(t, 0, tr.Range.First[0].Value)
			require.EqualValues(t, rows-1, tr.Range.Last[0].Value)
			require.InDelta(t, 2000.0/(rows-1), tr.Stretches[0].From, 1e-12)

			same.ResetCalls()
			require.Nil(t, compare(t, same, equal, opts).Range)
			for _, call := range same.Calls() {
				require.NotEqual(t, memory.Cut, call.Method, "nobody asks for the end of a table that is equal")
			}
		})
	}
	unknown := func(t *testing.T, tr *mirror.TableReport) {
		require.Nil(t, tr.Range)
		first, last := tr.Stretches[0], tr.Stretches[len(tr.Stretches)-1]
		require.InDelta(t, 0, first.From, 0)
		require.InDelta(t, 1, last.To, 0)
	}
	t.Run("the source makes no cuts", func(t *testing.T) {
		source, st := twins(rows, func(i int) bool { return i >= 2000 && i < 2010 })
		source.FailAt(memory.Cut, 1, errors.ErrUnsupported)
		unknown(t, compare(t, source, st, mirror.CompareOptions{Strategy: mirror.StrategyDigest}))
	})
	t.Run("truncated", func(t *testing.T) {
		unknown(t, compare(t, source, st, mirror.CompareOptions{MaxDifferences: 3}))
	})
}

// A table without a key has no stretches, nor has one of which no row was compared.
func TestNoStretches(t *testing.T) {
	table := memory.Table{Name: "contact", Columns: []string{"contact_id int", "name nvarchar(9)"}}
	source := memory.New(table)
	table.Rows = []store.Row{{1, "extra"}}
	report, err := newMirror(t, memory.New(table), nil).Compare(t.Context(), source, nil)
	require.NoError(t, err)
	require.EqualValues(t, 1, report.Table("contact").Extra)
	require.Empty(t, report.Table("contact").Stretches)
	require.Nil(t, report.Table("contact").Range)

	contacts, st := twins(10, every(2))
	report, err = newMirror(t, st, nil).Compare(t.Context(), contacts, &mirror.CompareOptions{Depth: mirror.DepthCount})
	require.NoError(t, err)
	require.Nil(t, report.Table("contact").Range)
}

// Stretches have what was found before MaxDifferences ended it.
func TestStretchesOfATruncatedTable(t *testing.T) {
	source, st := twins(300, every(10))
	report, err := newMirror(t, st, nil).Compare(t.Context(), source, &mirror.CompareOptions{MaxDifferences: 3})
	require.NoError(t, err)
	require.Equal(t, "0..0 -0 +0 ~1 =0 ?0; 10..10 -0 +0 ~1 =0 ?0; 20..20 -0 +0 ~1 =0 ?0", strip(report.Table("contact")))
}

// What is pending is counted where it is, and all of it is when the table is sent
// anyway.
func TestStretchesOfPending(t *testing.T) {
	f := mirrortest.Follow(t)
	f.Touch(f.Customer, "contact", 2, "renamed")
	f.Touch(f.Store, "contact", 3, "tampered")
	compare := func() *mirror.Report {
		report, err := newMirror(t, f.Store, nil).Compare(t.Context(), f.Customer, nil)
		require.NoError(t, err)
		return report
	}
	require.Equal(t, "2..2 -0 +0 ~1 =0 ?1; 3..3 -0 +0 ~1 =0 ?0", strip(compare().Table("contact")))
	f.SetLSN(int64(-1))
	all := compare()
	require.Equal(t, "2..2 -0 +0 ~1 =0 ?1; 3..3 -0 +0 ~1 =0 ?1", strip(all.Table("contact")))
	f.SetLSN(int64(812)) // by somebody: what it promised is unknown again
	again, err := newMirror(t, f.Store, nil).Recheck(t.Context(), mirrortest.NoTracking{Customer: f.Customer}, all, nil)
	require.NoError(t, err)
	require.Equal(t, "2..2 -0 +0 ~1 =0 ?0; 3..3 -0 +0 ~1 =0 ?0", strip(again.Table("contact")))
}

// checkStretches holds the stretches of a table to its differences, all of which were
// kept: those that have arrived since are not counted.
func checkStretches(t *testing.T, tr *mirror.TableReport) {
	t.Helper()
	var differ, pending, counted, waits int64
	for _, d := range tr.Differences {
		switch d.State {
		case mirror.DiffArrived:
			continue
		case mirror.DiffPending:
			pending += d.Rows
		}
		differ += d.Rows
	}
	for _, s := range tr.Stretches {
		rows := s.Missing + s.Extra + s.Changed + s.Duplicate
		require.Positive(t, rows, strip(tr))
		counted, waits = counted+rows, waits+s.Pending
	}
	require.Equal(t, []int64{differ, pending}, []int64{counted, waits}, strip(tr))
}

// A Recheck by a source that tracks its changes says where rows are pending, and
// leaves the report before it as it is.
func TestStretchesOfRecheck(t *testing.T) {
	f := mirrortest.Follow(t)
	f.Touch(f.Customer, "contact", 2, "renamed")
	f.Touch(f.Store, "contact", 3, "tampered")
	f.Touch(f.Store, "contact", 4, "tampered")
	m := newMirror(t, f.Store, nil)
	first, err := m.Compare(t.Context(), mirrortest.NoTracking{Customer: f.Customer}, nil)
	require.NoError(t, err)
	const before = "2..2 -0 +0 ~1 =0 ?0; 3..3 -0 +0 ~1 =0 ?0; 4..4 -0 +0 ~1 =0 ?0"
	require.Equal(t, before, strip(first.Table("contact")))
	f.Touch(f.Store, "contact", 3, "Company 3")
	again, err := m.Recheck(t.Context(), f.Customer, first, nil)
	require.NoError(t, err)
	require.Equal(t, "2..2 -0 +0 ~1 =0 ?1; 4..4 -0 +0 ~1 =0 ?0", strip(again.Table("contact")))
	checkStretches(t, again.Table("contact"))
	require.Equal(t, before, strip(first.Table("contact")))
	require.Equal(t, first.Table("contact").Range, again.Table("contact").Range)
}

// Stretches that no comparison can have made are refused.
func TestStretchesAreChecked(t *testing.T) {
	source, st := twins(20, every(5))
	m := newMirror(t, st, nil)
	for name, damage := range map[string]func(tr *mirror.TableReport, s []mirror.Stretch){
		"a count is negative":       func(_ *mirror.TableReport, s []mirror.Stretch) { s[0].Missing = -1 },
		"more than was counted":     func(_ *mirror.TableReport, s []mirror.Stretch) { s[0].Changed = 2 },
		"of a kind there is not":    func(_ *mirror.TableReport, s []mirror.Stretch) { s[0].Extra = 1 },
		"more pending than differ":  func(_ *mirror.TableReport, s []mirror.Stretch) { s[0].Pending = 2 },
		"pending that is not known": func(_ *mirror.TableReport, s []mirror.Stretch) { s[0].Pending = 1 },
		"empty":                     func(_ *mirror.TableReport, s []mirror.Stretch) { s[0].Changed = 0 },
		"without a key":             func(_ *mirror.TableReport, s []mirror.Stretch) { s[0].First = nil },
		"a key of more columns":     func(_ *mirror.TableReport, s []mirror.Stretch) { s[0].Last = append(s[0].Last, s[0].Last...) },
		"before the range":          func(_ *mirror.TableReport, s []mirror.Stretch) { s[0].From = -0.1 },
		"behind the range":          func(_ *mirror.TableReport, s []mirror.Stretch) { s[3].To = 1.1 },
		"ends before it begins":     func(_ *mirror.TableReport, s []mirror.Stretch) { s[1].To = s[1].From / 2 },
		"not in order":              func(_ *mirror.TableReport, s []mirror.Stretch) { s[1], s[2] = s[2], s[1] },
		"more than there can be": func(tr *mirror.TableReport, _ []mirror.Stretch) {
			tr.Stretches = append(tr.Stretches, make([]mirror.Stretch, 61)...)
		},
		"a range without a first key": func(tr *mirror.TableReport, _ []mirror.Stretch) { tr.Range.First = nil },
		"a table without a key":       func(tr *mirror.TableReport, _ []mirror.Stretch) { tr.Key, tr.Range = nil, nil },
	} {
		t.Run(name, func(t *testing.T) {
			report, err := m.Compare(t.Context(), source, nil)
			require.NoError(t, err)
			report = viaJSON(t, report)
			_, err = m.Recheck(t.Context(), source, report, nil)
			require.NoError(t, err)
			tr := report.Table("contact")
			require.Len(t, tr.Stretches, 4)
			damage(tr, tr.Stretches)
			_, err = m.Recheck(t.Context(), source, report, nil)
			require.ErrorIs(t, err, mirror.ErrInvalidDocument)
			_, err = m.Compare(t.Context(), source, &mirror.CompareOptions{Since: report})
			require.ErrorIs(t, err, mirror.ErrInvalidDocument)
		})
	}
}
