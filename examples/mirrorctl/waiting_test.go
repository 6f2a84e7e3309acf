package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/examples/internal/spelling"
	"github.com/so-mirror/mirror/heal"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/cycle"
	"github.com/so-mirror/mirror/store/mssql"
)

// TestWaitingPages: what waiting, healing, a cycle and a preflight say is fitted to the terminal.
func TestWaitingPages(t *testing.T) {
	for _, width := range []int{80, 120} {
		t.Run(fmt.Sprint(width), func(t *testing.T) {
			p := &page{width: width, clean: spelling.Printable}
			p.waiting(waitedFor())
			p.healed(healedReport())
			p.heading("A cycle")
			p.cycle(&cycle.Result{ContextID: "Cust1", Tables: []cycle.TableResult{
				{Table: strings.Repeat("a_table_with_a_long_name_", 4), Action: cycle.Wiped, Reason: "the LSN 812 is older than the tracked changes, which begin at 1,204,551", Before: -1, After: 1_300_000, Inserted: 12_345_678},
				{Table: "person", Action: cycle.Changes, Before: 1, After: 2, Updated: 1}, {Table: "sale", Action: cycle.Unchanged},
			}}, "person")
			p.heading("A preflight")
			p.preflight(preflightDocument{Sides: []preflightSide{{"mirror", "sqlserver://writer:***@db.example.com?database=Mirror_Cust10195", gapsOf([]mssql.Lack{
				{Operation: "ResetTables", Permission: "UPDATE", On: "OBJECT::[dbo].[Cust10195_mirroring]", Grant: "GRANT UPDATE ON OBJECT::[dbo].[Cust10195_mirroring] TO [writer]"},
			}, "mirror")}}})

			for line := range strings.Lines(p.String()) {
				require.LessOrEqual(t, text.StringWidth(strings.TrimRight(line, "\n")), width, line)
			}
			golden := filepath.Join("testdata", fmt.Sprintf("waiting-%d.txt", width))
			if *update {
				require.NoError(t, os.WriteFile(golden, []byte(p.String()), 0o644))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			require.Equal(t, string(want), p.String())
		})
	}
}

func waitedFor() *heal.WaitReport {
	noon := time.Date(2026, 2, 3, 12, 0, 0, 0, time.UTC)
	all, done := store.ResendAll, store.LSN(1_300_000)
	return &heal.WaitReport{ContextID: "Cust1", Started: noon, Time: noon.Add(25 * time.Minute), Next: noon.Add(40 * time.Minute), Tables: []heal.WaitTable{
		{Table: "appointment", State: heal.WaitRequested, LSN: &all, Rows: 1_600, Expected: 1_600},
		{Table: "contact", State: heal.WaitFilling, LSN: &all, Rows: 120_000, Expected: 600_000, Remaining: 4 * time.Minute},
		{Table: "person", State: heal.WaitPopulated, LSN: &done, Rows: 1_000, Expected: 1_000, Proof: "it was seen to be wiped and filled"},
		{Table: "sale", State: heal.WaitLost, LSN: &done, Rows: 161, Expected: 160, Resets: 1,
			Proof: "its LSN is valid again, and 3 keys that had diverged before the reset still have the same difference as then"},
	}}
}

func healedReport() *heal.Report {
	w := waitedFor()
	return &heal.Report{
		ContextID: "Cust1", Started: w.Started, Finished: w.Time, Stopped: "what is left needs a hard reset, which healing leaves to you: see the last plan",
		Rounds: []heal.Round{{
			Report: &mirror.Report{ContextID: "Cust1", Tables: []mirror.TableReport{{Table: "contact", Verdict: mirror.VerdictDifferent}, {Table: "project", Verdict: mirror.VerdictSchemaDiffers}}},
			Plan: &mirror.Plan{ContextID: "Cust1", Time: w.Started, Tables: []mirror.PlanTable{
				{Table: "contact", Step: mirror.StepReset, Rows: 600_000, Bytes: 120_000_000, Batches: 120, Cycles: 1, Reason: "25 rows diverged"},
				{Table: "project", Step: mirror.StepHardReset, Rows: 900, Reason: "the columns still differ after two cycles: type name, source nvarchar(219), mirror nvarchar(500)"},
			}},
			Wait: w,
		}},
	}
}
