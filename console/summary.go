package console

import (
	"fmt"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/heal"
	"github.com/so-mirror/mirror/htmlreport"
)

// summaryOf is what lists show of a comparison.
func summaryOf(r *mirror.Report) summary {
	plan := r.Plan()
	level, verdict := htmlreport.Judge(r, plan)
	s := summary{
		Level: level, Verdict: verdict, Tables: map[mirror.Verdict]int{}, Incomplete: r.Incomplete, Resumable: r.Checkpoint != nil,
		Whole: r.Depth == mirror.DepthRows && len(r.Scope.OnlyTables) == 0,
	}
	for i := range r.Tables {
		t := &r.Tables[i]
		s.Tables[t.Verdict]++
		s.Differing += t.DifferingRows()
		s.Pending += t.Pending
		s.Diverged += t.Diverged
	}
	for _, t := range plan.Tables {
		if t.Step.Acts() {
			s.Stale++
		}
	}
	return s
}

// tablesOf is what lists show of its tables.
func tablesOf(r *mirror.Report) []tableSummary {
	all := make([]tableSummary, 0, len(r.Tables))
	for i := range r.Tables {
		t := &r.Tables[i]
		s := tableSummary{
			Table: t.Table, Verdict: t.Verdict, Source: t.SourceRows, Mirror: t.MirrorRows, Reason: t.Reason, Schema: len(t.Schema),
			Missing: t.Missing, Extra: t.Extra, Changed: t.Changed, Duplicate: t.Duplicate, Pending: t.Pending, Diverged: t.Diverged,
		}
		all = append(all, s)
	}
	return all
}

// waitSummary is what lists show of waiting.
func waitSummary(r *heal.WaitReport, err error) summary {
	populated := 0
	for _, t := range r.Tables {
		if t.State == heal.WaitPopulated || t.State == heal.WaitNotRequested {
			populated++
		}
	}
	s := summary{Level: "waiting", Verdict: fmt.Sprintf("%d of %d tables populated", populated, len(r.Tables))}
	switch {
	case err != nil && populated < len(r.Tables):
		s.Level = "unsure"
	case populated == len(r.Tables):
		s.Level = "good"
	}
	return s
}
