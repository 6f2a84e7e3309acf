package mirror_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/internal/mirrortest"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

// twins are a source and a mirror of n contacts of which some differ.
func twins(n int, differ func(i int) bool) (source, st *memory.Store) {
	names := func(changed bool) memory.Table {
		t := mirrortest.Companies()
		for i := range n {
			name := fmt.Sprint("Company ", i)
			if changed && differ(i) {
				name += "!"
			}
			t.Rows = append(t.Rows, store.Row{i, name})
		}
		return t
	}
	st = memory.New(names(true))
	if err := st.Seed(memory.Metadata(customer, map[string]store.LSN{"contact": 812})); err != nil {
		panic(err)
	}
	return memory.New(names(false)), st
}

func every(n int) func(int) bool { return func(i int) bool { return i%n == 0 } }

func TestMaxDifferences(t *testing.T) {
	source, store := twins(300, every(10))
	for _, limit := range []int64{1, 7, 29} {
		report, err := newMirror(t, store, nil).Compare(t.Context(), source, &mirror.CompareOptions{MaxDifferences: limit})
		require.NoError(t, err)
		tr := report.Table("contact")
		require.Equal(t, limit, tr.Changed)
		require.True(t, tr.Truncated)
		require.Equal(t, mirror.VerdictDifferent, tr.Verdict)
		require.Equal(t, []int64{300, 300}, []int64{tr.SourceRows, tr.MirrorRows})
		require.Contains(t, report.String(), "there may be more")
	}
	report, err := newMirror(t, store, nil).Compare(t.Context(), source, &mirror.CompareOptions{MaxDifferences: 31})
	require.NoError(t, err)
	require.EqualValues(t, 30, report.Table("contact").Changed)
	require.False(t, report.Table("contact").Truncated)
}

// Rows that are pending do not use the limit up.
func TestMaxDifferencesOfPending(t *testing.T) {
	f := mirrortest.Follow(t)
	for i := range 8 {
		f.Touch(f.Customer, "contact", i, "renamed")
	}
	f.Touch(f.Store, "contact", 9, "tampered")
	m := newMirror(t, f.Store, nil)
	m.SmallSteps(2)
	report, err := m.Compare(t.Context(), f.Customer, &mirror.CompareOptions{MaxDifferences: 1})
	require.NoError(t, err)
	tr := report.Table("contact")
	require.Equal(t, []int64{9, 8, 1}, []int64{tr.Changed, tr.Pending, tr.Diverged}, "%s", report)
}

func TestMaxKeys(t *testing.T) {
	source, store := twins(100, every(1))
	for limit, want := range map[int]int{-1: 0, 0: 100, 7: 7} {
		report, err := newMirror(t, store, nil).Compare(t.Context(), source, &mirror.CompareOptions{MaxKeys: limit})
		require.NoError(t, err)
		require.Len(t, report.Table("contact").Differences, want)
		require.EqualValues(t, 100, report.Table("contact").Changed)
	}
}

func TestMaxRowsPerSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, store := twins(1000, every(100))
		began := time.Now()
		report, err := newMirror(t, store, nil).Compare(t.Context(), source, &mirror.CompareOptions{Tuning: mirror.Tuning{MaxRowsPerSecond: 100}})
		require.NoError(t, err)
		require.EqualValues(t, 10, report.Table("contact").Changed)
		// The last batch of 16 rows is not waited for.
		require.InDelta(t, 10*time.Second, time.Since(began), float64(200*time.Millisecond))
	})
}

func TestCancelWhileItWaitsForTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, store := twins(1000, every(100))
		ctx, cancel := context.WithCancel(t.Context())
		began := time.Now()
		time.AfterFunc(90*time.Second, cancel)
		report, err := newMirror(t, store, nil).Compare(ctx, source, &mirror.CompareOptions{Tuning: mirror.Tuning{MaxRowsPerSecond: 1}})
		require.Equal(t, context.Canceled, err)
		require.True(t, report.Incomplete)
		require.Equal(t, 90*time.Second, time.Since(began))
	})
}

func TestMaxDuration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, store := twins(1000, every(100))
		opts := &mirror.CompareOptions{Strategy: mirror.StrategyStream, Tuning: mirror.Tuning{MaxRowsPerSecond: 100}, MaxDuration: 3 * time.Second}
		m := newMirror(t, store, nil)
		m.SmallSteps(1)
		began := time.Now()
		for round := 1; ; round++ {
			report, err := m.Compare(t.Context(), source, opts)
			require.NoError(t, err, "a budget that is used up is no error")
			tr := report.Table("contact")
			if !report.Incomplete {
				require.EqualValues(t, 10, tr.Changed, "%s", report)
				require.EqualValues(t, 1000, tr.SourceRows)
				require.Equal(t, 4, round)
				require.InDelta(t, 10*time.Second, time.Since(began), float64(time.Second))
				return
			}
			require.LessOrEqual(t, time.Since(began), time.Duration(round)*3*time.Second)
			require.Equal(t, mirror.VerdictUnfinished, tr.Verdict)
			require.ErrorIs(t, tr.Err, mirror.ErrTimeBudget)
			require.ErrorIs(t, report.Err(), mirror.ErrTimeBudget)
			require.Contains(t, tr.Reason, "3s")
			require.False(t, report.Identical())
			require.Empty(t, report.Stale())
			opts.Resume = report.Checkpoint
			require.Less(t, round, 10)
		}
	})
}

// A comparison that is stopped anywhere and resumed finds what one that is not
// stopped finds, whatever the strategy.
func TestResumeAnywhere(t *testing.T) {
	source, store := twins(40, every(3))
	for _, opts := range []mirror.CompareOptions{
		{},
		{Tuning: mirror.Tuning{SplitRows: 9}},
		{Tuning: mirror.Tuning{SplitRows: 9, Concurrency: 4}},
		{Strategy: mirror.StrategyDigest, Tuning: mirror.Tuning{DigestRows: 8}},
		{MaxSamples: 3, MaxKeys: 5},
	} {
		clean := compareTwins(t.Context(), t, source, store, opts, nil)
		stops := 0
		for stop := 1; ; stop++ {
			ctx, cancel := context.WithCancel(t.Context())
			var calls atomic.Int64
			first := compareTwins(ctx, t, source, store, opts, func() {
				if calls.Add(1) == int64(stop) {
					cancel()
				}
			})
			cancel()
			if !first.Incomplete {
				break
			}
			stops++
			data, err := json.Marshal(first.Checkpoint)
			require.NoError(t, err)
			resumed := opts
			require.NoError(t, json.Unmarshal(data, &resumed.Resume))
			report := compareTwins(t.Context(), t, source, store, resumed, nil)
			require.False(t, report.Incomplete)
			want, got := *clean.Table("contact"), *report.Table("contact")
			want.Elapsed, got.Elapsed = 0, 0
			wantJSON, gotJSON := text(t, want), text(t, got)
			require.Equal(t, wantJSON, gotJSON, "stopped at call %d of %+v", stop, opts)
		}
		require.Greater(t, stops, 4, "%+v", opts)
	}
}

func text(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	require.NoError(t, err)
	return string(data)
}

func compareTwins(ctx context.Context, t *testing.T, source store.Source, store store.Store, opts mirror.CompareOptions, progress func()) *mirror.Report {
	t.Helper()
	mo := &mirror.Options{}
	if progress != nil {
		mo.Progress = func(mirror.Progress) { progress() }
	}
	m := newMirror(t, store, mo)
	m.SmallSteps(1)
	report, err := m.Compare(ctx, source, &opts)
	require.True(t, err == nil || err == context.Canceled, "%v", err) //nolint:errorlint // it comes as it is
	return report
}

// halfway is a checkpoint after some 20 of 40 rows of contact.
func halfway(t *testing.T, source, store *memory.Store) *mirror.Checkpoint {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	calls := 0
	report := compareTwins(ctx, t, source, store, mirror.CompareOptions{}, func() {
		if calls++; calls == 20 {
			cancel()
		}
	})
	require.Positive(t, report.Checkpoint.Tables()[0].Ranges[0].Found.SourceRows)
	return report.Checkpoint
}

func TestResumeStartsAnew(t *testing.T) {
	for _, c := range []struct {
		name  string
		do    func(source, store *memory.Store)
		anew  bool
		alter func(c *mirror.Checkpoint)
	}{
		{name: "nothing changed"},
		{name: "the LSN rose", do: func(_, store *memory.Store) { seedLSN(store, 900) }},
		{name: "the LSN fell", anew: true, do: func(_, store *memory.Store) { seedLSN(store, 811) }},
		{name: "the table was reset", anew: true, do: func(_, store *memory.Store) { seedLSN(store, -1) }},
		{name: "a column came", anew: true, do: func(source, store *memory.Store) {
			for _, s := range []*memory.Store{source, store} {
				_, rows, _ := s.Table("contact")
				wider := mirrortest.Companies()
				wider.Columns = append(wider.Columns, "city nvarchar(20) null")
				for _, r := range rows {
					wider.Rows = append(wider.Rows, append(r, nil))
				}
				if err := s.Seed(wider); err != nil {
					panic(err)
				}
			}
		}},
		{name: "the key of the checkpoint is another one", anew: true, alter: func(c *mirror.Checkpoint) { c.Tables()[0].Ranges[0].Next[0].Value = "x" }},
		{name: "the checkpoint ends before the table does", anew: true, alter: func(c *mirror.Checkpoint) { c.Tables()[0].Ranges[0].Before = c.Tables()[0].Ranges[0].Next }},
	} {
		t.Run(c.name, func(t *testing.T) {
			source, store := twins(40, every(3))
			cp := halfway(t, source, store)
			// A difference that only a comparison from the start sees.
			_, rows, _ := store.Table("contact")
			rows[1][1] = "behind its back"
			require.NoError(t, store.Seed(mirrortest.Companies(rows...)))
			if c.do != nil {
				c.do(source, store)
			}
			if c.alter != nil {
				c.alter(cp)
			}
			report := compareTwins(t.Context(), t, source, store, mirror.CompareOptions{Resume: cp}, nil)
			want := int64(14)
			if c.anew {
				want = 15
			}
			require.Equal(t, want, report.Table("contact").Changed, "%s", report)
			require.EqualValues(t, 40, report.Table("contact").SourceRows)
		})
	}
}

func seedLSN(st *memory.Store, lsn store.LSN) {
	if err := st.Seed(memory.Metadata(customer, map[string]store.LSN{"contact": lsn})); err != nil {
		panic(err)
	}
}

func TestResumeRefuses(t *testing.T) {
	source, store := twins(40, every(3))
	for name, c := range map[string]struct {
		alter func(c *mirror.Checkpoint)
		want  string
	}{
		"another customer": {func(c *mirror.Checkpoint) { c.ContextID = "Cust2" }, `"Cust2"`},
		"another version":  {func(c *mirror.Checkpoint) { c.Version = 9 }, "version 9"},
		"a negative count": {func(c *mirror.Checkpoint) { c.Tables()[0].Ranges[0].Found.Missing = -1 }, "damaged"},
		"counts that contradict each other": {func(c *mirror.Checkpoint) {
			c.Tables()[0].Ranges[0].Found.Missing = 1000
		}, "damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			cp := halfway(t, source, store)
			c.alter(cp)
			_, err := newMirror(t, store, nil).Compare(t.Context(), source, &mirror.CompareOptions{Resume: cp})
			require.ErrorContains(t, err, c.want)
			require.ErrorIs(t, err, mirror.ErrInvalidDocument)
		})
	}
}

// A checkpoint of another database would call rows compared that never were.
func TestResumeOfAnotherDatabase(t *testing.T) {
	source, store := twins(40, every(3))
	cp := halfway(t, source, store)
	otherSource, otherStore := twins(40, every(3))
	for name, sides := range map[string][2]*memory.Store{"source": {otherSource, store}, "mirror": {source, otherStore}} {
		t.Run(name, func(t *testing.T) {
			_, err := newMirror(t, sides[1], nil).Compare(t.Context(), sides[0], &mirror.CompareOptions{Resume: cp})
			require.ErrorIs(t, err, mirror.ErrWrongDatabase)
			require.ErrorContains(t, err, "the checkpoint is about another "+name)
		})
	}
}

// A checkpoint holds the reports of tables that are done, and those are not
// compared again.
func TestResumeKeepsWhatIsDone(t *testing.T) {
	store, source := world(), customerDatabase()
	var last *mirror.Checkpoint
	m := newMirror(t, store, nil)
	m.SmallSteps(1)
	clean, err := m.Compare(t.Context(), source, &mirror.CompareOptions{
		Tuning: mirror.Tuning{Concurrency: 1, CheckpointEvery: time.Nanosecond}, OnCheckpoint: func(c *mirror.Checkpoint) {
			if last == nil && len(c.Tables()) > 1 && c.Tables()[0].Done != nil {
				last = c
			}
		},
	})
	require.NoError(t, err)
	require.NotNil(t, last)
	store.ResetCalls()
	source.ResetCalls()
	report, err := m.Compare(t.Context(), source, &mirror.CompareOptions{Tuning: mirror.Tuning{Concurrency: 1}, Resume: last})
	require.NoError(t, err)
	for i := range clean.Tables {
		clean.Tables[i].Elapsed, report.Tables[i].Elapsed = 0, 0
		require.Equal(t, text(t, clean.Tables[i]), text(t, report.Tables[i]))
	}
	read := map[string]bool{}
	for _, call := range source.Calls() {
		if call.Method == memory.Rows {
			read[call.Table] = true
		}
	}
	require.NotContains(t, read, "contact", "it was done")
	require.Contains(t, read, "person", "it was not")
}

func TestCompareRefusesOptions(t *testing.T) {
	source, store := twins(1, every(1))
	for want, opts := range map[string]mirror.CompareOptions{
		"SplitRows":        {Tuning: mirror.Tuning{SplitRows: -1}},
		"MaxDifferences":   {MaxDifferences: -1},
		"MaxRowsPerSecond": {Tuning: mirror.Tuning{MaxRowsPerSecond: -1}},
		"MaxDuration":      {MaxDuration: -1},
		"CheckpointEvery":  {Tuning: mirror.Tuning{CheckpointEvery: -1}},
		"DigestRows":       {Tuning: mirror.Tuning{DigestRows: -1}},
		`strategy "fast"`:  {Strategy: "fast"},
	} {
		t.Run(want, func(t *testing.T) {
			_, err := newMirror(t, store, nil).Compare(t.Context(), source, &opts)
			require.ErrorContains(t, err, want)
		})
	}
}

func TestProgressEstimates(t *testing.T) {
	source, store := twins(100, every(10))
	now := noon
	var seen []mirror.Progress
	m := newMirror(t, store, &mirror.Options{
		Clock:    mirrortest.Clock{Time: func() time.Time { return now }},
		Progress: func(p mirror.Progress) { seen = append(seen, p); now = now.Add(time.Second) },
	})
	m.SmallSteps(20) // rows of both sides
	_, err := m.Compare(t.Context(), source, nil)
	require.NoError(t, err)
	require.Greater(t, len(seen), 8)
	var rows int64
	for i, p := range seen {
		require.EqualValues(t, 100, p.Expected)
		require.GreaterOrEqual(t, p.Rows, rows)
		rows = p.Rows
		if p.Rows > 0 && p.Rows < 100 {
			want := time.Duration(i) * time.Second * time.Duration(100-p.Rows) / time.Duration(p.Rows)
			require.Equal(t, want, p.Remaining, "%+v", p)
		}
	}
	require.Equal(t, mirror.Progress{Table: "contact", Rows: 100, Expected: 100, TablesDone: 1, Tables: 1}, seen[len(seen)-1])
}

// A difference that is not classified yet keeps a checkpoint waiting, but not
// for longer than CheckpointEvery.
func TestCheckpointWithDifferencesThatWait(t *testing.T) {
	f := mirrortest.Follow(t)
	f.Touch(f.Store, "contact", 0, "tampered")
	var saved []string
	m := newMirror(t, f.Store, nil)
	m.SmallSteps(4) // rows of both sides; fewer differences than end a stream
	_, err := m.Compare(t.Context(), f.Customer, &mirror.CompareOptions{
		Strategy: mirror.StrategyStream, Tuning: mirror.Tuning{CheckpointEvery: time.Nanosecond},
		OnCheckpoint: func(c *mirror.Checkpoint) {
			for _, table := range c.Tables() {
				if table.Table == "contact" && table.Done == nil {
					saved = append(saved, fmt.Sprint(table.Ranges[0].Next, table.Ranges[0].Found.Diverged))
				}
			}
		},
	})
	require.NoError(t, err)
	require.Contains(t, saved, "[contact_id=2] 1")
	require.Contains(t, saved, "[contact_id=6] 1")
}

func TestErrOfWhatWasNotReached(t *testing.T) {
	source, store := twins(10, every(1))
	report, err := newMirror(t, store, nil).Compare(t.Context(), source, &mirror.CompareOptions{MaxDuration: 1})
	require.NoError(t, err)
	require.ErrorContains(t, report.Err(), "was stopped before any table was compared")
	require.NotContains(t, report.String(), "No tables")

	report = &mirror.Report{ContextID: customer, Incomplete: true, Tables: []mirror.TableReport{
		{Table: "a", Verdict: mirror.VerdictUnfinished, Reason: "stopped"}, {Table: "b", Verdict: mirror.VerdictUnfinished, Err: errBoom},
		{Table: "c", Verdict: mirror.VerdictFailed, Reason: "disk on fire"}, {Table: "d", Verdict: mirror.VerdictIdentical},
	}}
	require.ErrorIs(t, report.Err(), errBoom)
	report.Tables[3] = mirror.TableReport{Table: "d", Verdict: mirror.VerdictUnfinished, Err: errBoom}
	require.ErrorContains(t, report.Err(), "4 of 4 tables were not compared: c: disk on fire\na: stopped\n2 unfinished: boom")
	report.Tables[3].Verdict = mirror.VerdictIdentical
	report.Tables[3].Err = nil
	require.ErrorContains(t, report.Err(), "3 of 4 tables were not compared: c: disk on fire\na: stopped\nb: boom")
}

// cutThenCancel ends the context when the table was cut into parts.
type cutThenCancel struct {
	*memory.Store
	cancel func()
}

func (s cutThenCancel) DigestEvery(ctx context.Context, q store.Query, n int64) ([]store.Digest, error) {
	defer s.cancel()
	return s.Store.DigestEvery(ctx, q, n)
}

// A part that was not begun is not one that was compared.
func TestCancelBetweenParts(t *testing.T) {
	source, store := twins(100, every(1))
	ctx, cancel := context.WithCancel(t.Context())
	report, err := newMirror(t, store, nil).Compare(ctx, cutThenCancel{source, cancel}, &mirror.CompareOptions{Tuning: mirror.Tuning{SplitRows: 10, Concurrency: 1}})
	require.Equal(t, context.Canceled, err)
	require.Equal(t, mirror.VerdictUnfinished, report.Table("contact").Verdict)
	report, err = newMirror(t, store, nil).Compare(t.Context(), source, &mirror.CompareOptions{Resume: report.Checkpoint})
	require.NoError(t, err)
	require.EqualValues(t, 100, report.Table("contact").Changed)
}

// What a comparison did not come to stays in the checkpoint.
func TestCheckpointIsCarriedOver(t *testing.T) {
	source, store := twins(40, every(3))
	cp := halfway(t, source, store)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	report, err := newMirror(t, store, nil).Compare(ctx, source, &mirror.CompareOptions{Resume: cp})
	require.Equal(t, context.Canceled, err)
	require.Equal(t, text(t, cp.Tables()), text(t, report.Checkpoint.Tables()))

	source.FailTable(memory.Count, "contact", errBoom)
	m := newMirror(t, store, &mirror.Options{Progress: func(mirror.Progress) {}})
	ctx, cancel = context.WithCancel(t.Context())
	source.FailTable(memory.Rows, "contact", context.Canceled)
	report, err = m.Compare(ctx, source, &mirror.CompareOptions{Resume: cp})
	require.NoError(t, err)
	require.Equal(t, mirror.VerdictFailed, report.Table("contact").Verdict)
	cancel()
}

// What was done by other options, or of other columns, is done again.
func TestResumeOfWhatIsDone(t *testing.T) {
	source, st := twins(40, every(3))
	run := func(opts mirror.CompareOptions) (*mirror.Report, *mirror.Checkpoint) {
		var last *mirror.Checkpoint
		opts.Tuning.CheckpointEvery, opts.OnCheckpoint = 1, func(c *mirror.Checkpoint) {
			if c.Tables()[0].Done != nil {
				last = c
			}
		}
		opts.Tuning.Concurrency = 1
		require.NoError(t, st.Seed(memory.Table{Name: "zz", Columns: []string{"id int"}, Key: []string{"id"}, Rows: []store.Row{{1}}}))
		require.NoError(t, source.Seed(memory.Table{Name: "zz", Columns: []string{"id int"}, Key: []string{"id"}, Rows: []store.Row{{1}}}))
		m := newMirror(t, st, nil)
		m.SmallSteps(1)
		report, err := m.Compare(t.Context(), source, &opts)
		require.NoError(t, err)
		return report, last
	}
	_, cp := run(mirror.CompareOptions{MaxDifferences: 1})
	require.NotNil(t, cp)
	report, _ := run(mirror.CompareOptions{Resume: cp})
	require.EqualValues(t, 14, report.Table("contact").Changed, "no limit any more")

	_, cp = run(mirror.CompareOptions{IgnoreColumns: []string{"name"}})
	report, _ = run(mirror.CompareOptions{Resume: cp})
	require.EqualValues(t, 14, report.Table("contact").Changed, "the column counts again")
}
