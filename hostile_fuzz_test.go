package mirror_test

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/internal/mirrortest"
)

// A checkpoint comes from a file. Whatever it says, a comparison that resumes
// from it ends, changes nothing and counts no less than nothing.
func FuzzCheckpoint(f *testing.F) {
	text, err := json.Marshal(checkpointOf(f, world()))
	require.NoError(f, err)
	f.Add(text)
	f.Add(bytes.ReplaceAll(text, []byte(`"missing"`), []byte(`"extra"`)))
	f.Fuzz(func(t *testing.T, data []byte) {
		var cp mirror.Checkpoint
		if err := json.Unmarshal(data, &cp); err != nil {
			return
		}
		store := world()
		before := mirrortest.Dump(t, store)
		m := newMirror(t, store, nil)
		m.SmallSteps(3)
		report, err := m.Compare(t.Context(), customerDatabase(), &mirror.CompareOptions{Resume: &cp})
		require.Equal(t, before, mirrortest.Dump(t, store))
		if err != nil {
			return
		}
		require.NotEmpty(t, report.String())
		for _, tr := range report.Tables {
			counted(t, tr)
		}
		_, err = json.Marshal(report)
		require.NoError(t, err)
	})
}

// A report comes from a file. Whatever it says, Recheck ends and changes nothing.
func FuzzRecheck(f *testing.F) {
	report, err := newMirror(f, world(), nil).Compare(context.Background(), customerDatabase(), nil)
	require.NoError(f, err)
	text, err := json.Marshal(report)
	require.NoError(f, err)
	f.Add(text, int64(1))
	f.Add(bytes.ReplaceAll(text, []byte(`"rows":1`), []byte(`"rows":-1`)), int64(0))
	f.Fuzz(func(t *testing.T, data []byte, after int64) {
		var report mirror.Report
		if err := json.Unmarshal(data, &report); err != nil {
			return
		}
		store := world()
		before := mirrortest.Dump(t, store)
		again, err := newMirror(t, store, nil).Recheck(t.Context(), customerDatabase(), &report, &mirror.RecheckOptions{After: time.Duration(after)})
		require.Equal(t, before, mirrortest.Dump(t, store))
		_ = report.String()
		if err != nil {
			return
		}
		_ = again.Plan().String()
		_, err = json.Marshal(again)
		require.NoError(t, err)
		require.Empty(t, controls(strings.ReplaceAll(again.String(), "\n", "")))
	})
}

// The entries of a journal without the checksums that FuzzRead of package journal
// seldom guesses.
func FuzzReconcile(f *testing.F) {
	journal := &notes{}
	m := newMirror(f, named{world(), "it"}, &mirror.Options{Journal: journal})
	receipt, err := m.ResetTables(context.Background(), []string{"contact"}, nil)
	require.NoError(f, err)
	require.NoError(f, m.Undo(context.Background(), receipt))
	text, err := json.Marshal(journal.entries)
	require.NoError(f, err)
	f.Add(text)
	text, err = json.Marshal(journal.entries[:1])
	require.NoError(f, err)
	f.Add(text)
	f.Fuzz(func(t *testing.T, data []byte) {
		var entries []mirror.JournalEntry
		if err := json.Unmarshal(data, &entries); err != nil {
			return
		}
		store := named{world(), "it"}
		before := mirrortest.Dump(t, store)
		found, err := newMirror(t, store, nil).Reconcile(t.Context(), entries)
		require.Equal(t, before, mirrortest.Dump(t, store))
		if err != nil {
			require.ErrorIs(t, err, mirror.ErrInvalidDocument)
			return
		}
		for _, r := range found {
			require.NotNil(t, r.Receipt)
			if id := r.Receipt.Mirror.ID; id != "" && id != "it" && r.Outcome == mirror.OutcomeUnknown {
				continue
			}
			require.Contains(t, []mirror.Outcome{mirror.OutcomeDone, mirror.OutcomeNotDone, mirror.OutcomeOvertaken}, r.Outcome)
		}
	})
}
