package htmlreport

import (
	"cmp"
	"errors"
	"html/template"
	"strings"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/internal/text"
)

// tally counts what a comparison found.
type tally struct {
	verdicts                                    map[mirror.Verdict]int
	missing, extra, changed, duplicate, pending int64
	diverged                                    int64
	leftOut                                     int // columns, unasked
}

func tallyOf(r *mirror.Report) tally {
	c := tally{verdicts: map[mirror.Verdict]int{}, leftOut: r.Scope.LeftOut}
	for i := range r.Tables {
		t := &r.Tables[i]
		c.verdicts[t.Verdict]++
		c.missing, c.extra, c.changed, c.duplicate = c.missing+t.Missing, c.extra+t.Extra, c.changed+t.Changed, c.duplicate+t.Duplicate
		c.pending, c.diverged = c.pending+t.Pending, c.diverged+t.Diverged
	}
	return c
}

// of is how many tables have one of the verdicts.
func (c tally) of(verdicts ...mirror.Verdict) (n int) {
	for _, v := range verdicts {
		n += c.verdicts[v]
	}
	return n
}

// differ is how many tables are not what the source's are.
func (c tally) differ() int {
	return c.of(mirror.VerdictDifferent, mirror.VerdictSchemaDiffers, mirror.VerdictMissing, mirror.VerdictExtra)
}

// unread is how many tables were not compared although they should have been.
func (c tally) unread() int {
	return c.of(mirror.VerdictFailed, mirror.VerdictUnfinished, mirror.VerdictIncomparable)
}

// Judge says in a few words what a comparison comes to, and how good that is: "good",
// "waiting", "unsure" or "bad", which are classes of the style sheet. Plan may be nil: then
// it is r.Plan().
func Judge(r *mirror.Report, plan *mirror.Plan) (level, verdict string) {
	if plan == nil {
		plan = r.Plan()
	}
	l, verdict := judge(r, plan)
	return string(l), verdict
}

// judge says in a few words what a comparison comes to.
func judge(r *mirror.Report, plan *mirror.Plan) (level, string) {
	c := tallyOf(r)
	partly := c.unread() > 0 || r.Incomplete
	switch {
	case len(r.Mistakes) > 0:
		return bad, "This is hardly the right database"
	case c.differ() > 0 && partly:
		return bad, "The mirror differs, and not all of it was compared"
	case c.differ() > 0 && plan.Empty() && plan.Has(mirror.StepUnknown):
		return unsure, "The mirror differs, and the next cycle may mend that"
	case c.differ() > 0:
		return bad, "The mirror differs from its source"
	case partly:
		return unsure, "Not everything was compared"
	case c.of(mirror.VerdictPending) > 0:
		return waiting, "The mirror is behind, and the next cycle brings it up to date"
	case r.Identical() && r.Depth == mirror.DepthSchema:
		return good, "The columns and keys are the same"
	case r.Identical() && r.Depth == mirror.DepthCount:
		return good, "The numbers of rows are the same"
	case r.Identical():
		return good, "The mirror is identical to its source"
	case c.of(mirror.VerdictIdentical) > 0:
		return unsure, "What was compared is identical, and columns were left out"
	default:
		return unsure, "No table was compared"
	}
}

// nothingDiffers reports whether all that was compared is identical, and nothing failed.
func nothingDiffers(r *mirror.Report) bool {
	c := tallyOf(r)
	return c.of(mirror.VerdictIdentical) > 0 && c.differ()+c.unread()+c.of(mirror.VerdictPending) == 0 && !r.Incomplete && len(r.Mistakes) == 0
}

func comparePage(r *mirror.Report, plan *mirror.Plan) *page {
	if plan == nil {
		plan = r.Plan()
	}
	p := &page{Kind: "Comparison", Subject: shown(r.ContextID)}
	p.Level, p.Verdict = judge(r, plan)
	p.Title = plain(r.ContextID) + ": " + p.Verdict
	fillReport(p, r, plan)
	return p
}

// fillReport adds what a comparison found to a page.
func fillReport(p *page, r *mirror.Report, plan *mirror.Plan) {
	c := tallyOf(r)
	p.alertReport(r)
	p.Lead = append(p.Lead, lead(r, c))
	p.Tiles = tiles(r, c)
	p.Parts = partsOf(c.verdicts, len(r.Tables))
	p.addSides(r)
	tables := tablesOf(r, nil)
	ids, lists := tables.links(), notCompared(r)
	ids.notCompared = len(lists) > 0
	p.Next = nextOf(r, plan, ids)
	p.Legend = tables.kinds
	if len(tables.Tables) > 0 {
		p.Sections = append(p.Sections, section{ID: "tables", Head: "Tables to look at", Tables: tables})
	}
	if len(plan.Tables) > 0 {
		p.Sections = append(p.Sections, section{ID: "plan", Head: "Plan", Plan: planOf(plan, ids)})
	}
	if len(lists) > 0 {
		p.Sections = append(p.Sections, section{ID: "not-compared", Head: "What was not compared", Lists: lists})
	}
	if l, ok := identical(r); ok {
		p.Sections = append(p.Sections, section{ID: "identical", Head: "Identical tables", Lists: []list{l}})
	}
}

// alertReport adds what to know before one believes anything.
func (p *page) alertReport(r *mirror.Report) {
	for _, m := range some(r.Mistakes) {
		p.Alerts = append(p.Alerts, alert{bad, "Wrong database", shown(m)})
	}
	if err := tooMuch(r); err != nil {
		p.Alerts = append(p.Alerts, alert{bad, "Too much differs", shown(err.Error())})
	}
	if r.Incomplete {
		says := template.HTML("It was stopped before every table was compared.")
		if r.Checkpoint != nil {
			says += " It can be resumed from its checkpoint, which is in its JSON form."
		}
		p.Alerts = append(p.Alerts, alert{unsure, "Incomplete", says})
	}
	if r.State == mirror.MirrorAwaitingFirstCycle && r.Mistakes == nil {
		p.Alerts = append(p.Alerts, alert{unsure, "No metadata table", "The next cycle creates it and populates every table."})
	}
	for _, w := range some(r.Warnings) {
		p.Alerts = append(p.Alerts, alert{unsure, "Warning", shown(w)})
	}
}

// tooMuch returns why the source may be the wrong database, nil when it does not seem so.
func tooMuch(r *mirror.Report) error {
	var limit *mirror.LimitError
	if errors.As(r.Err(), &limit) {
		return limit
	}
	return nil
}

// lead is the sentence below the verdict.
func lead(r *mirror.Report, c tally) template.HTML {
	parts := []string{text.Count(int64(r.Scope.Compared)) + " of " + many(r.Scope.Tables, "table was", "tables were") + " compared"}
	switch r.Depth {
	case mirror.DepthSchema:
		parts[0] += " by their columns and keys, and no row of them"
	case mirror.DepthCount:
		parts[0] += " by their numbers of rows, and no value of them"
	default:
		if r.Strategy == mirror.StrategyDigest {
			parts[0] += " by digests of their rows"
		} else {
			parts[0] += " row by row"
		}
	}
	var keys int64
	some := 0
	for _, t := range r.Tables {
		if b := t.Basis; b != nil && b.Reason == "" {
			some, keys = some+1, keys+b.Keys
		}
	}
	if some > 0 {
		parts = append(parts, "of "+many(some, "table", "tables")+" only the rows of "+text.Count(keys)+" "+plural(keys, "key", "keys")+" and a sample were read")
	}
	if c.leftOut > 0 && r.Depth == mirror.DepthRows {
		parts = append(parts, many(c.leftOut, "column was", "columns were")+" left out that nobody asked to leave out")
	}
	return template.HTML(strings.Join(parts, "; ") + ".")
}

func tiles(r *mirror.Report, c tally) []tile {
	var ts []tile
	if n := int64(c.of(mirror.VerdictIdentical)); n > 0 && c.differ() == 0 {
		ts = append(ts, tile{Class: "same", N: text.Count(n), Label: plural(n, "table is identical", "tables are identical")})
	} else {
		n := int64(c.differ())
		ts = append(ts, tile{N: text.Count(n), Label: plural(n, "table differs", "tables differ")})
	}
	if n := c.unread(); n > 0 {
		ts = append(ts, tile{Class: "failed", N: text.Count(int64(n)), Label: "not compared to the end"})
	}
	for _, k := range []struct {
		kind  string
		n     int64
		label string
	}{
		{"missing", c.missing, "missing"}, {"extra", c.extra, "extra"}, {"changed", c.changed, "changed"},
		{"duplicate", c.duplicate, "duplicate"},
	} {
		if k.n > 0 {
			ts = append(ts, tile{Class: k.kind, N: text.Count(k.n), Label: plural(k.n, "row ", "rows ") + k.label})
		}
	}
	if c.pending > 0 {
		ts = append(ts, tile{Class: "pending", N: text.Count(c.pending), Label: "of these pending"})
	}
	return ts
}

// verdictClass has the class of a verdict's colour.
var verdictClass = map[mirror.Verdict]string{
	mirror.VerdictIdentical: "same", mirror.VerdictPending: "pending", mirror.VerdictDifferent: "changed",
	mirror.VerdictSchemaDiffers: "schema", mirror.VerdictMissing: "missing", mirror.VerdictExtra: "extra",
	mirror.VerdictIncomparable: "failed", mirror.VerdictFailed: "failed", mirror.VerdictUnfinished: "failed",
	mirror.VerdictNotMirrored: "none",
}

// verdictName is a verdict for people.
func verdictName(v mirror.Verdict) string {
	switch v {
	case mirror.VerdictMissing:
		return "table missing"
	case mirror.VerdictExtra:
		return "table extra"
	case mirror.VerdictSchemaDiffers:
		return "schema differs"
	case mirror.VerdictNotMirrored:
		return "not mirrored"
	case mirror.VerdictIncomparable:
		return "not comparable"
	default:
		return plain(string(v))
	}
}

// gravest are the verdicts, those first that one looks at first.
var gravest = []mirror.Verdict{mirror.VerdictFailed, mirror.VerdictUnfinished, mirror.VerdictIncomparable, mirror.VerdictMissing,
	mirror.VerdictSchemaDiffers, mirror.VerdictDifferent, mirror.VerdictExtra, mirror.VerdictPending, mirror.VerdictIdentical, mirror.VerdictNotMirrored}

func partsOf(verdicts map[mirror.Verdict]int, of int) *parts {
	p := &parts{}
	var says []string
	done := 0
	for _, v := range gravest {
		n := verdicts[v]
		if n == 0 {
			continue
		}
		p.Parts = append(p.Parts, partOf{
			Class: verdictClass[v], N: text.Count(int64(n)), Name: verdictName(v),
			X: percent(float64(done) / float64(of)), Width: percent(float64(n) / float64(of)),
		})
		says = append(says, text.Count(int64(n))+" "+verdictName(v))
		done += n
	}
	if p.Parts == nil {
		return nil
	}
	p.Label = "Tables by verdict: " + strings.Join(says, ", ")
	return p
}

// addSides adds which databases these are, and how they were compared.
func (p *page) addSides(r *mirror.Report) {
	p.Sides = append(p.Sides, sideOf("Source", r.Source, r.SourceIsolation), sideOf("Mirror", r.Mirror, r.MirrorIsolation))
	add := func(name string, value template.HTML) {
		if value != "" {
			p.Facts = append(p.Facts, fact{name, value})
		}
	}
	add("Compared", moment(r.Started)+template.HTML(", took "+text.Duration(r.Finished.Sub(r.Started))))
	if !r.Rechecked.IsZero() {
		add("Read again", moment(r.Rechecked))
	}
	add("Depth", shownOr(string(r.Depth)))
	add("Strategy", shownOr(string(r.Strategy)))
	add("Only these tables", joined(r.Scope.OnlyTables))
	add("Tables left out by request", joined(r.Scope.SkipTables))
	add("Columns left out by request", joined(r.IgnoreColumns))
	if r.LooseTypes {
		add("Types", "compared loosely")
	}
	if r.SourceIsCopy {
		add("Source", "a copy, by request")
	}
}

func shownOr(s string) template.HTML {
	if s == "" {
		return ""
	}
	return shown(s)
}

func joined(all []string) template.HTML {
	var parts []string
	for _, s := range some(all) {
		parts = append(parts, string(shown(s)))
	}
	if n := len(all) - len(parts); n > 0 {
		parts = append(parts, moreThan(len(all), len(parts)))
	}
	return template.HTML(strings.Join(parts, ", "))
}

func sideOf(name string, s mirror.Side, isolation string) side {
	id := ""
	if s.Database == "" {
		id = s.ID // there is nothing better to tell it by
	}
	return sideWith(name, s, isolation, id)
}

func sideWith(name string, s mirror.Side, isolation, id string) side {
	out := side{Name: name, Title: shown(cmp.Or(s.Database, "unknown database"))}
	for _, f := range []struct{ name, value string }{
		{"Server", s.Server}, {"Engine", strings.TrimSpace(s.Engine + " " + s.Version)}, {"Schema", s.Schema},
		{"Holds", s.Role}, {"Customer", s.ContextID}, {"Read under", isolation}, {"Identity", id},
	} {
		if f.value != "" {
			out.Facts = append(out.Facts, fact{f.name, shown(f.value)})
		}
	}
	return out
}

const (
	maxNames = 1000 // that a list shows
	maxOpen  = 40   // names that a list may have to be open at first
)

// some are as many of them as a list shows.
func some[T any](all []T) []T { return all[:min(len(all), maxNames)] }

// identical is the list of tables in which nothing differs.
func identical(r *mirror.Report) (list, bool) {
	l := list{Head: "Nothing differs in"}
	n := 0
	for i := range r.Tables {
		t := &r.Tables[i]
		if t.Verdict != mirror.VerdictIdentical || looked(t) {
			continue
		}
		if n++; n > maxNames {
			continue
		}
		it := item{Name: shown(t.Table)}
		if r.Depth != mirror.DepthSchema && (t.SourceRows > 0 || t.Basis == nil) {
			it.Note = template.HTML(text.Rows(t.SourceRows))
		}
		l.Items = append(l.Items, it)
	}
	l.N, l.More, l.Open = many(n, "table", "tables"), moreThan(n, len(l.Items)), n <= maxOpen
	return l, n > 0
}

func moreThan(all, shown int) string {
	if all <= shown {
		return ""
	}
	return "and " + text.Count(int64(all-shown)) + " more"
}

// looked reports whether an identical table has something to be looked at all the same.
func looked(t *mirror.TableReport) bool {
	return t.LSNState == mirror.LSNAhead || t.Warning != "" || t.MetadataDoubt != ""
}

// notCompared are the lists of what a comparison says nothing about: names, by the
// reason why.
func notCompared(r *mirror.Report) (lists []list) {
	failed, asked, unasked, hidden := groups{}, groups{}, groups{}, groups{}
	for i := range r.Tables {
		t := &r.Tables[i]
		switch t.Verdict {
		case mirror.VerdictFailed, mirror.VerdictUnfinished, mirror.VerdictIncomparable:
			failed.add(t.Reason, t.Table)
		case mirror.VerdictNotMirrored:
			why, _, _ := strings.Cut(t.Reason, ":")
			hidden.add(why, t.Table)
		}
		if r.Depth != mirror.DepthRows {
			continue
		}
		for _, o := range t.NotCompared {
			to := &unasked
			if o.Requested {
				to = &asked
			}
			to.add(o.Reason, t.Table+"."+o.Column)
		}
	}
	add := func(head string, g groups) {
		if g.n > 0 {
			lists = append(lists, g.list(head))
		}
	}
	add("Tables that could not be compared", failed)
	add("Columns that nobody asked to leave out", unasked)
	add("Columns left out by request", asked)
	add("Tables that are not mirrored", hidden)
	if n := r.Scope.Tables - len(r.Tables); n > 0 {
		lists = append(lists, list{Head: "Tables that were not asked for:", N: text.Count(int64(n))})
	}
	return lists
}

// groups are names by the reason why they are there, in the order in which they came.
type groups struct {
	reasons []string
	names   map[string][]string
	n       int
}

func (g *groups) add(reason, name string) {
	if g.names == nil {
		g.names = map[string][]string{}
	}
	if g.names[reason] == nil {
		g.reasons = append(g.reasons, reason)
	}
	g.names[reason] = append(g.names[reason], name)
	g.n++
}

func (g *groups) list(head string) list {
	return list{Head: head + ":", N: text.Count(int64(g.n)), Items: g.items(), Wide: true, Open: len(g.reasons) <= maxOpen && g.n <= 10*maxOpen}
}

func (g *groups) items() (items []item) {
	for _, reason := range some(g.reasons) {
		items = append(items, item{joined(g.names[reason]), shown(reason)})
	}
	return items
}
