package htmlreport

import (
	"cmp"
	"context"
	"errors"
	"html/template"
	"slices"
	"strings"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/fleet"
	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/store"
)

// maxMembers bounds the members that a page has details of, and maxMemberTables the
// tables of all of them.
const maxMembers, maxMemberTables = 1000, 5000

// membersView are the mirrors that need attention.
type membersView struct {
	Members []memberView
	More    string
}

type memberView struct {
	Name    template.HTML
	Level   level
	Class   string
	Verdict string
	Counts  []tile
	Notes   []template.HTML
	Tables  []tableView
	More    string
	Next    []template.HTML
	result  string
}

// outcomes are what can be the matter with a mirror, the gravest first.
var outcomes = []struct{ name, class string }{
	{refused, "missing"}, {failed, "failed"}, {incomplete, "failed"}, {"differs", "missing"}, {unknown, "unsure"}, {"pending", "pending"}, {"to look at", "unsure"}, {"fine", "same"},
}

const refused, failed, incomplete, unknown = "refused", "failed", "incomplete", "not known yet"

// resultOf is the outcome of a mirror that is not fine.
func resultOf(r *fleet.Result, plan *mirror.Plan) string {
	switch {
	case r.Report != nil && len(r.Report.Mistakes) > 0, r.Report != nil && tooMuch(r.Report) != nil,
		r.Status != nil && len(r.Status.Mistakes) > 0, errors.Is(r.Err, mirror.ErrWrongDatabase):
		return refused
	case errors.Is(r.Err, context.DeadlineExceeded):
		return incomplete
	case r.Report == nil && r.Err != nil:
		return failed
	case r.Report == nil:
		return "to look at"
	}
	c := tallyOf(r.Report)
	switch {
	case c.of(mirror.VerdictFailed) > 0:
		return failed
	case r.Report.Incomplete || c.of(mirror.VerdictUnfinished) > 0:
		return incomplete
	case !plan.Empty() || c.diverged > 0:
		return "differs"
	case c.differ() > 0:
		return unknown
	case c.of(mirror.VerdictPending) > 0:
		return "pending"
	case r.Err != nil:
		return failed // it could not be closed
	default:
		return incomplete
	}
}

func fleetPage(results []fleet.Result, summary *fleet.Summary) *page {
	if summary == nil {
		summary = &fleet.Summary{}
		for _, r := range results {
			summary.Add(r)
		}
	}
	members, fine := membersOf(results)
	p := &page{Kind: "Fleet", Subject: template.HTML(many(summary.Members, "mirror", "mirrors")), Level: good, Verdict: "Nothing needs attention"}
	if n := len(members); n > 0 {
		p.Level, p.Verdict = bad, many(n, "mirror needs attention", "mirrors need attention")
		if !slices.ContainsFunc(members, func(m memberView) bool { return m.Level == bad }) {
			p.Level = members[0].Level
		}
	}
	p.Title = "Fleet: " + p.Verdict
	p.Tiles = []tile{{N: text.Count(int64(summary.Members)), Label: plural(int64(summary.Members), "mirror", "mirrors")}}
	n := map[string]int{}
	for _, m := range members {
		n[m.result]++
	}
	n["fine"] = len(fine.Items)
	for _, t := range outcomes {
		if n[t.name] > 0 {
			p.Tiles = append(p.Tiles, tile{Class: t.class, N: text.Count(int64(n[t.name])), Label: t.name})
		}
	}
	all := 0
	for _, n := range summary.Tables {
		all += n
	}
	p.Parts = partsOf(summary.Tables, all)
	if len(members) > 0 {
		v, tables := &membersView{Members: members[:min(len(members), maxMembers)]}, [][]tableView(nil)
		v.More = moreThan(len(members), len(v.Members))
		p.Sections = append(p.Sections, section{ID: "attention", Head: "Mirrors that need attention", Members: v})
		for _, m := range v.Members {
			tables = append(tables, m.Tables)
		}
		p.Legend = shownBy(tables...)
	}
	if n := len(fine.Items); n > 0 {
		fine.N, fine.Items, fine.Open = many(n, "mirror", "mirrors"), some(fine.Items), n <= maxOpen
		fine.More = moreThan(n, len(fine.Items))
		p.Sections = append(p.Sections, section{ID: "fine", Head: "Mirrors that are fine", Lists: []list{fine}})
	}
	return p
}

// membersOf are those that need attention, the gravest first, and a list of the others,
// by name: results come in any order.
func membersOf(results []fleet.Result) (members []memberView, fine list) {
	results = slices.SortedFunc(slices.Values(results), func(a, b fleet.Result) int { return strings.Compare(a.ContextID, b.ContextID) })
	fine = list{Head: "Nothing needs attention in"}
	room := maxMemberTables
	for i := range results {
		m := memberOf(&results[i], &room)
		if m.Level == good || results[i].Err == nil && results[i].Report != nil && nothingDiffers(results[i].Report) {
			fine.Items = append(fine.Items, item{m.Name, template.HTML(template.HTMLEscapeString(m.Verdict))})
			continue
		}
		members = append(members, m)
	}
	order := []level{bad, unsure, waiting}
	slices.SortStableFunc(members, func(a, b memberView) int {
		return cmp.Compare(slices.Index(order, a.Level), slices.Index(order, b.Level))
	})
	return members, fine
}

func memberOf(r *fleet.Result, room *int) memberView {
	m := memberView{Name: shown(r.ContextID), Level: good, Verdict: "Nothing is wrong"}
	plan := r.Plan
	if plan == nil && r.Report != nil {
		plan = r.Report.Plan()
	}
	m.result = resultOf(r, plan)
	switch {
	case r.Report != nil:
		m.ofReport(r, plan, room)
	case r.Status != nil:
		m.ofStatus(r.Status)
	default:
		m.Level, m.Verdict = bad, "It could not be looked at"
	}
	if r.Err != nil {
		m.Level = bad
		m.Notes = append(m.Notes, shown(strings.TrimPrefix(r.Err.Error(), r.ContextID+": ")))
		if m.Verdict == "Nothing is wrong" {
			m.Verdict = "It failed"
		}
	}
	m.Class = map[level]string{good: "same", waiting: "pending", unsure: "changed", bad: "missing"}[m.Level]
	return m
}

func (m *memberView) ofReport(r *fleet.Result, plan *mirror.Plan, room *int) {
	m.Level, m.Verdict = judge(r.Report, plan)
	if m.Level != good {
		m.Counts = tiles(r.Report, tallyOf(r.Report))
		m.Next = nextOf(r.Report, plan, links{})
	}
	m.Tables, m.More = briefly(r.Report, max(0, *room))
	*room -= len(m.Tables)
	for _, w := range some(r.Report.Warnings) {
		m.Notes = append(m.Notes, shown(w))
	}
}

func (m *memberView) ofStatus(s *mirror.Status) {
	m.Verdict = "Every table has its metadata"
	switch s.State {
	case mirror.MirrorAwaitingFirstCycle:
		m.Level, m.Verdict = unsure, "There is no metadata table"
	case mirror.MirrorReplica:
		m.Verdict = "A replica of the newer client"
	}
	n := map[mirror.TableState]int{}
	for _, t := range some(s.Tables) {
		n[t.State]++
		if t.State == mirror.TableInvalid || t.State == mirror.TableAbsent {
			m.Notes = append(m.Notes, shown(t.Table)+": "+shown(cmp.Or(t.Reason, string(t.State)+", LSN "+store.FormatLSN(t.LSN))))
		}
	}
	for _, c := range []struct {
		state mirror.TableState
		class string
	}{{mirror.TableInvalid, "failed"}, {mirror.TableAbsent, "missing"}, {mirror.TableNoMetadata, "changed"}, {mirror.TableResetRequested, "pending"}, {mirror.TableSynced, "same"}} {
		if n[c.state] > 0 {
			m.Counts = append(m.Counts, tile{Class: c.class, N: text.Count(int64(n[c.state])), Label: plain(string(c.state))})
		}
	}
	switch {
	case len(s.Mistakes) > 0:
		m.Level, m.Verdict = bad, "This is hardly the right database"
	case n[mirror.TableInvalid]+n[mirror.TableAbsent] > 0:
		m.Level, m.Verdict = bad, "Metadata that cannot be right"
	case n[mirror.TableResetRequested] > 0 && m.Level == good:
		m.Level, m.Verdict = waiting, "Resets wait for the next cycle"
	}
	for _, w := range append(some(s.Mistakes), some(s.Warnings)...) {
		m.Notes = append(m.Notes, shown(w))
	}
}
