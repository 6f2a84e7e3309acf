package mirrortest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/journal"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/cycle"
)

// comparer compares with change tracking.
func (s *soak) comparer(r *rand.Rand, m *mirror.Mirror) {
	s.compare(r, m, reaching{s.customer}, "tracked")
}

// joinedTables is counted for tables that one engine compared.
const joinedTables = "compare: table joined"

func (s *soak) compare(r *rand.Rand, m *mirror.Mirror, source store.Source, how string) *mirror.Report {
	o := &mirror.CompareOptions{Strategy: strategies[r.IntN(len(strategies))], Tuning: mirror.Tuning{Concurrency: 1 + r.IntN(3), DigestRows: []int64{8, 64}[r.IntN(2)]}}
	if r.IntN(3) == 0 {
		o.Tuning.SplitRows = 100
	}
	from := s.log.now()
	report, err := m.Compare(s.T.Context(), source, o)
	name := "compare, " + how + ", " + string(o.Strategy)
	if err != nil {
		s.refused(name, from, err)
		return nil
	}
	s.count(name)
	for range Joined(report) {
		s.count(joinedTables)
	}
	s.verdicts(name, from, report, nil)
	return report
}

// populated is the text of a comparison that met a cycle twice.
const populated = "populated anew while it was compared"

// verdicts claims that what a report says, and the one before it did not, is
// right.
func (s *soak) verdicts(name string, from int, report, before *mirror.Report) {
	for i := range report.Tables {
		t := &report.Tables[i]
		folded := store.FoldName(t.Table)
		if before != nil && t.Verdict == before.Tables[i].Verdict && t.Diverged == before.Tables[i].Diverged {
			continue
		}
		s.count("verdict: " + string(t.Verdict))
		switch {
		case t.Verdict == mirror.VerdictFailed:
			s.refused(name+" of "+t.Table, from, t.Err)
		case t.Verdict == mirror.VerdictMissing:
			s.claim(from, name+" says that "+t.Table+" is missing", func(w *world) bool { return !w.tables[folded].present })
		case t.Verdict == mirror.VerdictExtra, t.Verdict == mirror.VerdictSchemaDiffers, t.Verdict == mirror.VerdictIncomparable:
			s.problem("%s: %s", name, report)
		case t.Verdict == mirror.VerdictDifferent && t.Diverged > 0:
			s.count("verdict: different, diverged")
			brief := *t
			brief.Samples, brief.Differences = nil, nil
			found, err := json.Marshal(brief) // with the LSNs that were seen
			require.NoError(s.T, err)
			s.claim(from, fmt.Sprintf("%s says that %d rows of %s diverged: %s", name, t.Diverged, t.Table, found),
				func(w *world) bool { return w.tables[folded].spoiled() })
		}
	}
}

// rechecker follows the differences of a comparison for some cycles.
func (s *soak) rechecker(r *rand.Rand, m *mirror.Mirror) {
	source, how := store.Source(reaching{s.customer}), "tracked"
	if r.IntN(2) == 0 {
		source, how = through{s.customer}, "untracked"
	}
	from := s.log.now()
	report := s.compare(r, m, source, how)
	for range 4 {
		if report == nil || !s.running() {
			return
		}
		pause(r, 30)
		again, err := m.Recheck(s.T.Context(), source, report, nil)
		if err != nil {
			s.refused("recheck, "+how, from, err)
			return
		}
		s.count("recheck, " + how)
		s.verdicts("recheck, "+how, from, again, report)
		report = again
	}
}

// reconciler reads the journal while others write it.
func (s *soak) reconciler(r *rand.Rand, m *mirror.Mirror) {
	pause(r, 200)
	from := s.log.now()
	if _, err := m.Reconcile(s.T.Context(), s.entries()); err != nil {
		s.refused("reconcile", from, err)
		return
	}
	s.count("reconcile")
}

func (s *soak) entries() []mirror.JournalEntry {
	file, err := os.Open(s.journal)
	if err != nil {
		s.problem("journal: %v", err)
		return nil
	}
	defer file.Close()
	entries, err := journal.Read(file)
	if err != nil {
		s.problem("journal: %v", err)
	}
	return entries
}

// judge holds everything that was said against what happened.
func (s *soak) judge(t *env) {
	ctx := t.Context()
	task := &cycle.Task{Customer: s.customer, Mirror: s.store}
	for n := range 3 {
		result, err := task.Run(by(ctx, actor{cycle: 1_000_000 + n}))
		require.NoError(t, err)
		if n < 2 {
			continue
		}
		for _, tr := range result.Tables {
			require.Equal(t, cycle.Unchanged, tr.Action, "nothing changes any more")
		}
	}
	history := s.log.history()
	last := history[len(history)-1]
	for _, c := range s.claims {
		if !slices.ContainsFunc(history[max(0, c.from-1):c.to+1], c.holds) {
			s.problem("%s; it was not so at any time from %d to %d:\n%s", c.what, c.from, c.to, s.log.text(c.from, c.to))
		}
	}
	begun := map[int]int{} // where an operation stands
	for i, tx := range s.log.all {
		begun[tx.op] = i
		if tx.undoes == 0 || !tx.committed {
			continue
		}
		for _, d := range tx.deeds {
			// An LSN is put back only where the rows are what they were.
			if history[i+1].tables[d.table].spoiled() && !history[begun[tx.undoes]].tables[d.table].spoiled() {
				s.problem("an undo put the LSN of %s back, whose rows are gone:\n%s", d.table, s.log.text(begun[tx.undoes], i+2))
			}
		}
	}
	require.True(t, last.metadata)
	status, err := t.mirror(nil).Status(ctx)
	require.NoError(t, err)
	for _, ts := range status.Tables {
		require.NotNil(t, ts.LSN, ts.Table)
		require.Equal(t, last.tables[ts.Table].lsn, *ts.LSN, "what was taken down is what happened")
	}
	require.Len(t, status.Tables, len(soakNames))

	// The journal tells what succeeded.
	found, err := t.mirror(nil).Reconcile(ctx, s.entries())
	require.NoError(t, err)
	done, undone := map[string]int{}, 0
	for _, f := range found {
		require.Equal(t, "journal", f.Proof, "every operation was told how it ended")
		switch {
		case f.Outcome != mirror.OutcomeDone:
			s.count("journal: not done")
		case f.Undo:
			undone++
		default:
			require.Zero(t, done[f.Receipt.ID], "one ID, one operation")
			done[f.Receipt.ID] = s.done[f.Receipt.ID]
		}
	}
	require.Equal(t, s.done, done, "no more and no less")
	require.Equal(t, s.undone, undone)

	// A table whose rows a reset deleted while a cycle sent it is the only one
	// that may differ, and it must be found.
	lost := map[string]bool{}
	for _, w := range history {
		for name, st := range w.tables {
			if st.lost {
				lost[fmt.Sprint(name, st.lostAt)] = true
			}
		}
	}
	s.mu.Lock()
	s.counts["resets that a running cycle overtook"] = len(lost)
	s.mu.Unlock()
	final := t.compare(s.customer, nil)
	var broken []string
	for _, tr := range final.Tables {
		if !last.tables[tr.Table].spoiled() {
			require.Equal(t, mirror.VerdictIdentical, tr.Verdict, "%s", final)
			continue
		}
		s.count("tables that a lost reset left incomplete")
		if tr.Verdict != mirror.VerdictIdentical {
			require.Equal(t, mirror.VerdictDifferent, tr.Verdict, "%s", final)
			if !tr.Keyless {
				require.Positive(t, tr.Diverged, "%s", final)
			}
		}
		broken = append(broken, tr.Table)
	}
	if broken != nil {
		_, err := t.mirror(nil).ResetTables(ctx, broken, nil)
		require.NoError(t, err)
		_, err = task.Run(ctx)
		require.NoError(t, err)
		require.True(t, t.compare(s.customer, nil).Identical(), "%s", t.compare(s.customer, nil))
	}
}
