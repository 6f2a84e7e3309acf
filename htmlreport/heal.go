package htmlreport

import (
	"html/template"
	"strconv"
	"strings"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/heal"
	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/store"
)

// roundView is a round of healing.
type roundView struct {
	N       string
	When    template.HTML
	Level   level
	Verdict string
	Counts  []tile
	Summary string
	Plan    *planView
	Receipt *receiptView
	Wait    *waitView
}

type receiptView struct {
	Head   string
	When   template.HTML
	Rows   []receiptRow
	Losses []template.HTML
}

type receiptRow struct {
	Table, Actions, Note template.HTML
	Rows, LSN            string
}

type waitView struct {
	Head  string
	Rows  []waitRow
	Again []*receiptView
}

type waitRow struct {
	Table          template.HTML
	Class, State   string
	Rows, Expected string
	LSN            string
	Note           template.HTML
}

func healPage(h *heal.Report) *page {
	p := &page{Kind: "Healing", Subject: shown(h.ContextID), Level: good, Verdict: "Nothing is left to repair"}
	if !h.Healed {
		p.Level, p.Verdict = bad, "Not everything is repaired"
	}
	p.Title = plain(h.ContextID) + ": " + p.Verdict
	p.Lead = append(p.Lead, template.HTML(many(len(h.Rounds), "round", "rounds")+" from ")+moment(h.Started)+" to "+moment(h.Finished)+
		template.HTML(", "+text.Duration(h.Finished.Sub(h.Started))+"."))
	if h.Stopped != "" {
		p.Alerts = append(p.Alerts, alert{p.Level, "Why it ended", shown(h.Stopped)})
	}
	if len(h.Rounds) == 0 {
		return p
	}
	rounds := section{ID: "rounds", Head: "Rounds"}
	for i := range h.Rounds {
		rounds.Rounds = append(rounds.Rounds, roundOf(i, &h.Rounds[i]))
	}
	last := &h.Rounds[len(h.Rounds)-1]
	if last.Report == nil {
		p.Sections = append(p.Sections, rounds)
		return p
	}
	plan := last.Plan
	if plan == nil {
		plan = last.Report.Plan()
	}
	p.Lead = append(p.Lead, "What follows is how it was in the end.")
	fillReport(p, last.Report, plan)
	p.Sections = append([]section{rounds}, p.Sections...)
	return p
}

func roundOf(i int, r *heal.Round) roundView {
	v := roundView{N: strconv.Itoa(i + 1), Level: neutral}
	plan := r.Plan
	if r.Report != nil {
		if plan == nil {
			plan = r.Report.Plan()
		}
		v.When, v.Summary = moment(r.Report.Started), r.Report.Summary()
		v.Level, v.Verdict = judge(r.Report, plan)
		v.Counts = tiles(r.Report, tallyOf(r.Report))
	}
	if r.Plan != nil && len(r.Plan.Tables) > 0 {
		v.Plan = planOf(r.Plan, links{})
	}
	v.Receipt, v.Wait = receiptOf(r.Receipt), waitOf(r.Wait)
	return v
}

// receiptOf is nil without a receipt.
func receiptOf(r *mirror.Receipt) *receiptView {
	if r == nil {
		return nil
	}
	verb := map[mirror.Outcome]string{
		mirror.OutcomeUnknown: "not known whether it was done", mirror.OutcomeNotDone: "not done",
		mirror.OutcomeOvertaken: "not known whether it was done, because a cycle has written since",
	}[r.Outcome]
	switch {
	case r.DryRun:
		verb = "dry run, nothing was changed"
	case verb == "":
		verb = "done"
	}
	v := &receiptView{Head: plain(string(r.Operation)) + ": " + verb, When: moment(r.Time)}
	for _, t := range some(r.Tables) {
		actions := make([]string, len(t.Actions))
		for i, a := range t.Actions {
			actions[i] = string(a)
		}
		v.Rows = append(v.Rows, receiptRow{Table: shown(t.Table), Actions: joined(actions), Note: shown(t.Note), Rows: text.Count(t.Rows), LSN: store.FormatLSN(t.LSN)})
	}
	for _, loss := range some(r.NotUndone) {
		v.Losses = append(v.Losses, shown(loss))
	}
	return v
}

var waitClass = map[heal.WaitState]string{
	heal.WaitRequested: "none", heal.WaitFilling: "extra", heal.WaitPopulated: "same", heal.WaitLost: "missing", heal.WaitNotRequested: "none",
}

// waitOf is nil without waiting.
func waitOf(r *heal.WaitReport) *waitView {
	if r == nil {
		return nil
	}
	v := &waitView{Head: "Waited for the next cycle, " + text.Duration(r.Time.Sub(r.Started))}
	for _, t := range some(r.Tables) {
		note := t.Proof
		if t.Remaining > 0 {
			note = "about " + text.Duration(t.Remaining) + " left"
		}
		if t.Resets > 0 {
			note = strings.TrimPrefix(note+"; reset again "+many(t.Resets, "time", "times"), "; ")
		}
		v.Rows = append(v.Rows, waitRow{
			Table: shown(t.Table), Class: waitClass[t.State], State: plain(string(t.State)), Rows: text.Count(t.Rows), Expected: text.Dash(t.Expected),
			LSN: store.FormatLSN(t.LSN), Note: shown(note),
		})
	}
	for _, again := range r.Receipts {
		v.Again = append(v.Again, receiptOf(again))
	}
	return v
}
