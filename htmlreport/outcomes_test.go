package htmlreport

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/fleet"
)

// TestOutcomes: the tiles of a fleet tell apart what has different consequences.
func TestOutcomes(t *testing.T) {
	report := func(v mirror.Verdict, set ...func(*mirror.Report)) *mirror.Report {
		r := &mirror.Report{Depth: mirror.DepthRows, Tables: []mirror.TableReport{
			{Table: "contact", Verdict: v, HasMetadata: true, MetadataRows: 1, SourceRows: 40, MirrorRows: 40, Key: []string{"id"}}}}
		for _, s := range set {
			s(r)
		}
		return r
	}
	var results []fleet.Result
	add := func(r fleet.Result) {
		r.ContextID = fmt.Sprintf("Cust%d", len(results))
		results = append(results, r)
	}
	add(fleet.Result{Report: report(mirror.VerdictIdentical)})
	add(fleet.Result{Report: report(mirror.VerdictPending, func(r *mirror.Report) { r.Tables[0].Changed, r.Tables[0].Pending = 1, 1 })})
	add(fleet.Result{Report: report(mirror.VerdictDifferent, func(r *mirror.Report) { r.Tables[0].Changed = 1 })})
	add(fleet.Result{Report: report(mirror.VerdictDifferent, func(r *mirror.Report) { r.Tables[0].Changed, r.Tables[0].Diverged = 1, 1 })})
	add(fleet.Result{Report: report(mirror.VerdictIdentical, func(r *mirror.Report) { r.Incomplete = true })})
	add(fleet.Result{Report: report(mirror.VerdictFailed)})
	add(fleet.Result{Report: report(mirror.VerdictDifferent, func(r *mirror.Report) { r.Mistakes = []string{"it is a mirror"} })})
	add(fleet.Result{Status: &mirror.Status{Mistakes: []string{"the mirror has no metadata table"}}, Err: errors.New("wrong database")})
	add(fleet.Result{Err: errors.New("login failed")})
	add(fleet.Result{Err: context.DeadlineExceeded})

	p := fleetPage(results, nil)
	var says []string
	for _, tile := range p.Tiles {
		says = append(says, tile.N+" "+tile.Label)
	}
	require.Equal(t, []string{"10 mirrors", "2 refused", "2 failed", "2 incomplete", "1 differs", "1 not known yet", "1 pending", "1 fine"}, says)
}

// TestNotKnownYet: it has one colour, wherever it stands.
func TestNotKnownYet(t *testing.T) {
	plan := &mirror.Plan{Tables: []mirror.PlanTable{{Table: "contact", Step: mirror.StepUnknown}}}
	p := planPage(plan, nil)
	require.Equal(t, unsure, p.Level)
	require.Equal(t, string(unsure), p.Tiles[0].Class)
	require.Equal(t, string(unsure), planOf(plan, links{}).Rows[0].Class)
}
