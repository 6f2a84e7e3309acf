package console_test

import (
	"html/template"
	"io"
	"testing"
	"time"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/console/internal/ui"
	"github.com/so-mirror/mirror/htmlreport"
	"github.com/so-mirror/mirror/store"
)

// hostile is a name that would lay out and steer a page if it could.
const hostile = "<img src=x onerror=alert(1)>\u202e\"'&WWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWW"

func ago(text, ago string) *ui.Moment {
	return &ui.Moment{Text: text, Stamp: "2026-11-27T12:00:00Z", Ago: ago}
}

// samples are pages that have every component, by name.
func samples(t *testing.T) map[string]sample {
	t.Helper()
	layout := ui.Layout{Title: "Mirrors", Nav: "mirrors", Version: "v0.9.0", Actor: "kari.nordmann@partner.example", LogOut: true}
	of := func(main string, page any, change func(*ui.Layout)) sample {
		s := sample{main, layout}
		s.layout.Page = page
		if change != nil {
			change(&s.layout)
		}
		return s
	}
	onMirror := func(title string) func(*ui.Layout) {
		return func(l *ui.Layout) {
			l.Title, l.Breadcrumbs = title+" · Cust10195", []ui.Link{{Name: "Mirrors", URL: "/"}, {Name: "Cust10195", URL: "/m/Cust10195"}, {Name: title}}
		}
	}
	return map[string]sample{
		"mirrors": of(`{{template "head" .Head}}{{template "tiles" .Tiles}}
<section class="part" aria-labelledby="all"><h2 id="all">All mirrors</h2><div class="tools">{{template "search" .Search}}{{template "filters" .Filters}}</div>
<div id="found"><form method="post" action="/compare">{{template "table" .Table}}<div class="actions"><button class="button">Compare</button></div></form>{{template "pager" .Pager}}</div></section>`, mirrorsPage(), nil),
		"mirror":  of(`{{template "head" .Head}}{{template "tabs" .Tabs}}{{template "tiles" .Tiles}}<section class="part" aria-labelledby="tab"><h2 id="tab">Tables</h2>{{template "table" .Table}}</section>`, mirrorPage(), onMirror("Tables")),
		"running": of(`{{template "head" .Head}}{{template "tabs" .Tabs}}<section class="part" aria-labelledby="far"><h2 id="far">How far it is</h2>{{template "progress" .Progress}}<p class="live" role="status">Reading appointment, 1,204,332 of about 4,800,000 rows</p>{{template "table" .Table}}</section>`, runningPage(), onMirror("Comparison")),
		"reset":   of(`{{template "head" .Head}}{{template "tabs" .Tabs}}{{template "steps" .Steps}}<div class="pair"><section aria-labelledby="how"><h2 id="how">How</h2><form class="form" method="post" action="/x">{{range .Fields}}{{template "field" .}}{{end}}<div class="actions"><button class="button primary">Make the plan</button> <button class="button">Again</button> <button class="button" disabled>Undo</button></div></form></section><section aria-labelledby="what"><h2 id="what">What</h2>{{template "facts" .Facts}}<details class="list"><summary>Tables that stay as they are <b>12</b></summary><p>contact, person</p></details></section></div>{{template "confirm" .Confirm}}<section class="part" aria-labelledby="which"><h2 id="which">Which tables</h2>{{template "table" .Table}}</section>`, resetPage(), onMirror("Reset")),
		"journal": of(`{{template "head" .Head}}<section class="part" aria-labelledby="done"><h2 id="done">27 November 2026</h2>{{template "timeline" .Events}}</section>{{template "empty" .Empty}}`, journalPage(), func(l *ui.Layout) {
			l.Title, l.Nav = "Journal", "journal"
			l.Flash = []ui.Message{{Level: "good", Head: "Reset", Text: "3 tables of Cust10195 are populated anew by the next cycle.", Link: &ui.Link{Name: "See the receipt", URL: "/x"}}, {Level: "bad", Head: "Not done", Text: "The lock of the mirror is held by job 17."}}
		}),
		"receipt":    of(`{{template "verdict" .}}`, ui.Verdict{Level: "good", Title: "3 tables are reset", Lead: []string{"The next cycle populates them, at about 14:00.", "Undo is possible until then."}, Actions: []ui.Button{{Name: "Undo", URL: "/x", Post: true}, {Name: "Wait for the cycle", URL: "/y", Class: "primary"}}}, onMirror("Receipt")),
		"login":      of(`<div class="narrow"><section class="part" aria-labelledby="in"><h1 id="in">Log in</h1><form class="form" method="post" action="/login">{{range .}}{{template "field" .}}{{end}}<button class="button primary">Log in</button></form></section></div>`, []ui.Field{{Name: "token", Type: "password", Label: "Token", Hint: "Whoever runs this console has given you one.", Error: "This is not a token of this console.", Required: true, Complete: "current-password"}}, func(l *ui.Layout) { l.Title, l.Bare = "Log in", true }),
		"comparison": of(`{{template "tabs" .Tabs}}{{.Report}}`, map[string]any{"Tabs": tabsOf("Comparisons"), "Report": comparison(t)}, onMirror("Comparison of 27 November")),
		"hostile": of(`{{template "head" .Head}}{{template "tabs" .Tabs}}{{template "confirm" .Confirm}}<section class="part" aria-labelledby="a"><h2 id="a">{{.Name}}</h2>{{template "table" .Table}}{{template "timeline" .Events}}{{template "facts" .Facts}}</section>`, hostilePage(), func(l *ui.Layout) {
			l.Title, l.Actor, l.ReadOnly = hostile, hostile, true
			l.Breadcrumbs, l.Flash = []ui.Link{{Name: hostile, URL: "/x"}, {Name: hostile}}, []ui.Message{{Level: "unsure", Head: hostile, Text: hostile}}
		}),
	}
}

func tabsOf(current string) ui.Tabs {
	v := ui.Tabs{Label: "Cust10195"}
	for _, name := range []string{"Tables", "Comparisons", "Reset", "Waiting", "Journal", "Validation"} {
		v.Tabs = append(v.Tabs, ui.Tab{Name: name, URL: "/m/Cust10195/" + name, Current: name == current, N: map[string]string{"Waiting": "3"}[name]})
	}
	return v
}

func mirrorsPage() map[string]any {
	columns := []ui.Column{{Name: "Mirror"}, {Name: "State"}, {Name: "Compared"}, {Name: "Tables", Number: true}, {Name: "Rows that differ", Number: true}, {Name: "What to do", Wide: true}}
	row := func(name string, state ui.Badge, at *ui.Moment, tables, differ, todo string) ui.Row {
		class := ""
		if state.Class != "same" {
			class = state.Class
		}
		return ui.Row{Class: class, Cells: []ui.Cell{{Text: name, URL: "/m/" + name}, {Badge: &state}, {Time: at}, {Text: tables}, {Text: differ}, {Text: todo}}}
	}
	return map[string]any{
		"Head":    ui.Head{Title: "Mirrors", Lead: "2,000 mirrors, those first that need a hand.", Actions: []ui.Button{{Name: "Compare all", URL: "/compare", Post: true, Class: "primary"}}},
		"Tiles":   []ui.Tile{{Class: "bad", N: "3", Label: "need a hand"}, {Class: "waiting", N: "14", Label: "wait for a cycle"}, {Class: "unsure", N: "41", Label: "not compared for a week"}, {Class: "good", N: "1,942", Label: "identical", Note: "as of their last comparison"}},
		"Search":  ui.Search{Action: "/", Label: "Find a mirror", Value: "Cust", Live: "found", Keep: []ui.Hidden{{Name: "state", Value: "bad"}}},
		"Filters": ui.Tabs{Label: "Show", Tabs: []ui.Tab{{Name: "All", N: "2,000", URL: "/", Current: true}, {Name: "Needs a hand", N: "3", URL: "/?s=bad", Class: "bad"}, {Name: "Waiting", N: "14", URL: "/?s=w", Class: "waiting"}, {Name: "Identical", N: "1,942", URL: "/?s=g", Class: "good"}}},
		"Pager":   ui.Pager{Label: "Pages of mirrors", Text: "101 to 200 of 2,000", Previous: "/?p=1", Next: "/?p=3"},
		"Table": ui.Table{Label: "Mirrors", Columns: columns, Rows: []ui.Row{
			row("Cust10195", ui.Badge{Class: "bad", Text: "differs"}, ago("2026-11-27 12:00 UTC", "2 hours ago"), "312", "1,204", "3 tables are to be reset"),
			row("Cust10232", ui.Badge{Class: "failed", Text: "failed"}, ago("2026-11-26 12:00 UTC", "yesterday"), "312", "–", "open: login failed for user 'mirror_reader'"),
			row("Cust10269", ui.Badge{Class: "waiting", Text: "waiting"}, ago("2026-11-27 13:00 UTC", "1 hour ago"), "298", "12", ""),
			row("Cust10306", ui.Badge{Class: "unsure", Text: "old"}, ago("2026-11-12 12:00 UTC", "15 days ago"), "312", "0", "Compare it again"),
			row("Cust10343", ui.Badge{Class: "same", Text: "identical"}, ago("2026-11-27 12:00 UTC", "2 hours ago"), "312", "0", ""),
			row("Cust10380", ui.Badge{Class: "neutral", Text: "never compared"}, &ui.Moment{}, "–", "–", ""),
		}},
	}
}

func mirrorPage() map[string]any {
	columns := []ui.Column{{Name: "Table"}, {Name: "Verdict"}, {Name: "Metadata"}, {Name: "LSN", Number: true}, {Name: "Rows", Number: true}, {Name: "Last check"}}
	row := func(name, class, verdict, class2, state, lsn, rows string) ui.Row {
		return ui.Row{Cells: []ui.Cell{{Text: name, URL: "/t"}, {Badge: &ui.Badge{Class: class, Text: verdict}}, {Badge: &ui.Badge{Class: class2, Text: state}}, {Text: lsn}, {Text: rows}, {Time: ago("2026-11-27 12:00", "2 hours ago")}}}
	}
	return map[string]any{
		"Head":  ui.Head{Title: "Cust10195", Badge: &ui.Badge{Class: "bad", Text: "differs"}, Lead: "Mirror_Cust10195 on sql01.partner.example, last compared 2 hours ago.", Actions: []ui.Button{{Name: "Look again", URL: "/x", Post: true}, {Name: "Compare", URL: "/x", Post: true, Class: "primary"}}},
		"Tabs":  tabsOf("Tables"),
		"Tiles": []ui.Tile{{Class: "changed", N: "3", Label: "tables differ"}, {Class: "same", N: "309", Label: "tables are identical"}, {Class: "pending", N: "1", Label: "waits for a cycle"}},
		"Table": ui.Table{Label: "Tables", Columns: columns, Rows: []ui.Row{
			row("appointment", "changed", "different", "same", "synced", "50031", "4,800,000"), row("binaryobject", "none", "not mirrored", "none", "no metadata", "–", "–"),
			row("contact", "pending", "pending", "pending", "reset requested", "-1", "1,200"), row("person", "missing", "table missing", "missing", "absent", "50031", "0"),
			row("text", "schema", "schema differs", "same", "synced", "50031", "12,044"), row("traveltransactionlog", "same", "identical", "same", "synced", "50031", "9,211,004"),
		}},
	}
}

func runningPage() map[string]any {
	row := func(name string, p *ui.Progress, b *ui.Badge) ui.Row {
		return ui.Row{Cells: []ui.Cell{{Text: name}, {Badge: b}, {Progress: p}, {Text: "0"}}}
	}
	return map[string]any{
		"Head":     ui.Head{Title: "Comparison", Badge: &ui.Badge{Class: "todo", Text: "running"}, Lead: "Begun 12 minutes ago by kari.nordmann. It goes on when this page is closed.", Actions: []ui.Button{{Name: "Stop", URL: "/x", Post: true}}},
		"Tabs":     tabsOf("Comparisons"),
		"Progress": ui.Progress{Label: "Comparison", Value: 41, Max: 312, Text: "41 of 312 tables, about 20 minutes left"},
		"Table": ui.Table{Label: "Progress of each table", Columns: []ui.Column{{Name: "Table"}, {Name: "State"}, {Name: "Progress"}, {Name: "Differ", Number: true}}, Rows: []ui.Row{
			row("appointment", &ui.Progress{Label: "appointment", Value: 1204332, Max: 4800000, Text: "1,204,332 of about 4,800,000 rows"}, &ui.Badge{Class: "todo", Text: "reading"}),
			row("associate", &ui.Progress{Label: "associate", Text: "counting"}, &ui.Badge{Class: "todo", Text: "reading"}),
			row("address", &ui.Progress{Class: "same", Label: "address", Value: 1, Max: 1, Text: "9,000 rows"}, &ui.Badge{Class: "same", Text: "identical"}),
			row("business", &ui.Progress{Class: "changed", Label: "business", Value: 1, Max: 1, Text: "41 rows"}, &ui.Badge{Class: "changed", Text: "different"}),
			row("category", nil, &ui.Badge{Class: "none", Text: "to come"}),
		}},
	}
}

func resetPage() map[string]any {
	row := func(name, step, class, rows string, checked bool) ui.Row {
		return ui.Row{Cells: []ui.Cell{{Check: &ui.Check{Name: "table", Value: name, Label: name, Checked: checked, Disabled: step == "none"}}, {Badge: &ui.Badge{Class: class, Text: step}}, {Text: rows}, {Text: "Rows changed that no cycle sends again. Meanwhile the table stays as it is."}}}
	}
	return map[string]any{
		"Head":  ui.Head{Title: "Reset", Lead: "From the comparison of 2 hours ago: 3 tables are to be reset."},
		"Tabs":  tabsOf("Reset"),
		"Steps": []ui.Step{{Name: "Choose", Done: true}, {Name: "Confirm", Current: true}, {Name: "Receipt"}, {Name: "Populated"}},
		"Facts": []ui.Fact{{Name: "Rows", Value: "4,812,204"}, {Name: "Batches", Value: "2,407"}, {Name: "Next cycle", Value: template.HTML("<time>14:00</time>")}, {Name: "Meanwhile", Value: "2 tables are empty until the cycle has filled them."}},
		"Fields": []ui.Field{{Name: "reason", Label: "Why", Hint: "Stands in the journal.", Value: "ticket 4711"}, {Name: "limit", Label: "Most tables", Type: "number", Value: "400", Error: "Write a number from 1 to 300."},
			{Name: "depth", Label: "Depth", Type: "select", Value: "rows", Choices: []ui.Hidden{{Name: "Columns and keys", Value: "schema"}, {Name: "Every row", Value: "rows"}}}, {Name: "note", Label: "Note", Type: "textarea"}, {Name: "dry", Label: "Only say what would be done", Type: "checkbox", Checked: true, Hint: "Nothing is written."}},
		"Confirm": ui.Confirm{URL: "/x", Title: "Hard reset of person", Lead: []string{"The table is dropped and populated anew by the next cycle. Until then whoever reads it finds nothing."}, Losses: []string{"1,200 rows that the source does not have", "2 indexes that somebody added"}, Word: "Cust10195", Error: "That is not Cust10195.", Button: "Drop the table", Back: "/m", Hidden: []ui.Hidden{{Name: "plan", Value: "17"}}},
		"Table": ui.Table{Label: "Tables", Columns: []ui.Column{{Name: "Table"}, {Name: "Step"}, {Name: "Rows", Number: true}, {Name: "Why", Wide: true}}, Rows: []ui.Row{
			row("appointment", "reset", "extra", "4,800,000", true), row("contact", "reset and truncate", "changed", "1,200", true), row("person", "hard reset", "missing", "11,004", false), row("text", "none", "none", "12,044", false)}},
	}
}

func journalPage() map[string]any {
	return map[string]any{
		"Head":  ui.Head{Title: "Journal", Lead: "What was done to every mirror, and by whom."},
		"Empty": ui.Empty{Title: "Nothing was done before that", Lead: "What somebody does to a mirror stands here.", Actions: []ui.Button{{Name: "To the mirrors", URL: "/"}}},
		"Events": []ui.Event{
			{Class: "bad", Time: *ago("2026-11-27 14:02:11 UTC", "3 minutes ago"), Actor: "kari.nordmann@partner.example", Title: "Hard reset of person in Cust10195", URL: "/x", Badge: &ui.Badge{Class: "unsure", Text: "not known whether it was done"}, Lines: []template.HTML{"The console was stopped while it was at it."}, Actions: []ui.Button{{Name: "Find out", Of: "about job 17", URL: "/x", Post: true, Class: "small primary"}}},
			{Class: "good", Time: *ago("2026-11-27 13:40:00 UTC", "25 minutes ago"), Actor: "ola", Title: "Undo of a reset of 3 tables in Cust10232", URL: "/x", Badge: &ui.Badge{Class: "same", Text: "done"}},
			{Class: "good", Time: *ago("2026-11-27 13:31:00 UTC", "34 minutes ago"), Actor: "ola", Title: "Reset of 3 tables in Cust10232", URL: "/x", Badge: &ui.Badge{Class: "neutral", Text: "undone"}, Lines: []template.HTML{"appointment, contact, sale", "4,812,204 rows are sent again."}},
			{Time: *ago("2026-11-27 12:00:00 UTC", "2 hours ago"), Title: "Comparison of Cust10195", Lines: []template.HTML{"3 tables differ"}},
		},
	}
}

func hostilePage() map[string]any {
	p := journalPage()
	p["Name"], p["Tabs"] = hostile, ui.Tabs{Label: hostile, Tabs: []ui.Tab{{Name: hostile, URL: "/x"}, {Name: "Other", Current: true, URL: "/"}}}
	p["Head"] = ui.Head{Title: hostile, Badge: &ui.Badge{Class: "bad", Text: hostile}, Lead: hostile, Actions: []ui.Button{{Name: hostile, URL: "/x"}}}
	p["Events"] = []ui.Event{{Title: hostile, Actor: hostile, Time: ui.Moment{Text: hostile}}}
	p["Facts"] = []ui.Fact{{Name: hostile, Value: hostile}}
	p["Confirm"] = ui.Confirm{Title: hostile, Word: hostile, Lead: []string{hostile}, Button: hostile}
	p["Table"] = ui.Table{Label: hostile, Columns: []ui.Column{{Name: "Table"}, {Name: "Note"}, {Name: "Why", Wide: true}}, Rows: []ui.Row{{Class: "bad", Cells: []ui.Cell{{Text: hostile, URL: "/x"}, {Text: hostile}, {Text: hostile}}}}}
	return p
}

// comparison is what package htmlreport says about one.
func comparison(t *testing.T) template.HTML {
	noon := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	cell := func(name string, v any) store.Cell { return store.Cell{Column: name, Value: v} }
	key := func(id int64) []store.Cell { return []store.Cell{cell("contact_id", id)} }
	changed := mirror.Difference{Kind: mirror.DiffChanged, Rows: 1, Key: key(17), State: mirror.DiffDiverged,
		Columns: []mirror.ChangedColumn{{Column: "name", Source: cell("name", "Sørensen & Sønner AS"), Mirror: cell("name", "Sorensen & Sønner AS")}}}
	r := &mirror.Report{Version: 1, ContextID: "Cust10195", Depth: mirror.DepthRows, Started: noon, Finished: noon.Add(17 * time.Minute), State: mirror.MirrorHasMetadata,
		Scope: mirror.Scope{Tables: 2, Compared: 2}, Tables: []mirror.TableReport{
			{Table: "contact", Verdict: mirror.VerdictDifferent, SourceRows: 1200, MirrorRows: 1200, Changed: 1, Diverged: 1, Key: []string{"contact_id"}, HasMetadata: true, MetadataRows: 1,
				Range: &mirror.KeyRange{First: key(1), Last: key(1200)}, Differences: []mirror.Difference{changed}, Samples: []mirror.Difference{changed},
				Stretches: []mirror.Stretch{{First: key(10), Last: key(20), From: 0.01, To: 0.02, Changed: 1}}},
			{Table: "sale", Verdict: mirror.VerdictIdentical, SourceRows: 480, MirrorRows: 480, Key: []string{"sale_id"}, HasMetadata: true, MetadataRows: 1}}}
	return part(t, func(w io.Writer) error { return htmlreport.WriteComparePart(w, r, nil) })
}
