package console

import (
	"cmp"
	"fmt"
	"html/template"
	"slices"
	"strings"
	"time"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/console/internal/ui"
	"github.com/so-mirror/mirror/internal/text"
)

// What the pages share: how they show times, numbers, names and states.

// moment is a time with how long ago it was, or how long it is until then.
func (c *Console) moment(t time.Time) *ui.Moment {
	if t.IsZero() {
		return &ui.Moment{}
	}
	t = t.UTC()
	return &ui.Moment{Text: t.Format("2006-01-02 15:04 MST"), Stamp: t.Format(time.RFC3339), Ago: ago(c.now().Sub(t))}
}

// ago says how long ago something was; what is less than 0 is to come.
func ago(d time.Duration) string {
	switch {
	case d > -5*time.Second && d < time.Minute: // clocks differ a little
		return "just now"
	case d < 0:
		return "in " + rough(-d)
	default:
		return rough(d) + " ago"
	}
}

// rough is a duration in one unit.
func rough(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < time.Minute:
		return plural(int64(d/time.Second), "second")
	case d < 2*time.Hour:
		return plural(int64(d/time.Minute), "minute")
	case d < 2*day:
		return plural(int64(d/time.Hour), "hour")
	default:
		return plural(int64(d/day), "day")
	}
}

// took is how long a job ran, "" for one that has not begun.
func (c *Console) took(j job) string {
	if j.Started.IsZero() {
		return ""
	}
	end := j.Ended
	if end.IsZero() {
		end = c.now()
	}
	return text.Duration(max(0, end.Sub(j.Started)))
}

// count is a number with its thousands apart.
func count[N int | int64](n N) string { return text.Count(int64(n)) }

// plural is a number of things: "1 row", "1,000 rows".
func plural[N int | int64](n N, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return count(n) + " " + thing + "s"
}

// maxMessage is how much of an error a list shows.
const maxMessage = 300

// shown is a name from a database within a text of ours. One that is written from the
// right does not turn what follows.
func shown(name string) string { return isolated(text.Name(name)) }

// message is a text from outside, such as an error, of which a list shows the beginning.
func message(s string) string { return isolated(text.Clip(text.Printable(flat(s)), maxMessage)) }

// flat has the lines of a text in one.
func flat(s string) string { return strings.Join(strings.Fields(s), " ") }

func isolated(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return r > 0x7f }) {
		return "\u2068" + s + "\u2069"
	}
	return s
}

// escaped is a name from a database as HTML.
func escaped(name string) template.HTML {
	return template.HTML("<bdi>" + template.HTMLEscapeString(text.Name(name)) + "</bdi>")
}

// maxNamed is how many names a list gives before it says how many more there are.
const maxNamed = 8

// named lists names, the first ones at least: "contact, person and 12 more".
func named(names []string) string {
	if len(names) <= maxNamed+1 {
		return strings.Join(each(names, shown), ", ")
	}
	return strings.Join(each(names[:maxNamed], shown), ", ") + fmt.Sprintf(" and %s more", count(len(names)-maxNamed))
}

func each[T, R any](all []T, do func(T) R) []R {
	out := make([]R, 0, len(all))
	for _, v := range all {
		out = append(out, do(v))
	}
	return out
}

// verdictViews are the verdicts, those first that need a hand.
var verdictViews = []struct {
	verdict mirror.Verdict
	badge   ui.Badge
}{
	{mirror.VerdictFailed, ui.Badge{Class: "failed", Text: "failed"}},
	{mirror.VerdictMissing, ui.Badge{Class: "missing", Text: "table missing"}},
	{mirror.VerdictDifferent, ui.Badge{Class: "changed", Text: "different"}},
	{mirror.VerdictSchemaDiffers, ui.Badge{Class: "schema", Text: "schema differs"}},
	{mirror.VerdictExtra, ui.Badge{Class: "extra", Text: "table extra"}},
	{mirror.VerdictUnfinished, ui.Badge{Class: "failed", Text: "unfinished"}},
	{mirror.VerdictIncomparable, ui.Badge{Class: "failed", Text: "not comparable"}},
	{mirror.VerdictPending, ui.Badge{Class: "pending", Text: "pending"}},
	{mirror.VerdictIdentical, ui.Badge{Class: "same", Text: "identical"}},
	{mirror.VerdictNotMirrored, ui.Badge{Class: "none", Text: "not mirrored"}},
}

// verdictBadge shows a verdict.
func verdictBadge(v mirror.Verdict) *ui.Badge {
	for _, w := range verdictViews {
		if w.verdict == v {
			return &w.badge
		}
	}
	return &ui.Badge{Class: "neutral", Text: text.Name(string(v))}
}

// gravity orders verdicts, those first that need a hand.
func gravity(v mirror.Verdict) int {
	for i, w := range verdictViews {
		if w.verdict == v {
			return i
		}
	}
	return len(verdictViews)
}

// tableStateBadge shows what a mirror's database tells of a table.
func tableStateBadge(s mirror.TableState) *ui.Badge {
	switch s {
	case mirror.TableSynced:
		return &ui.Badge{Class: "same", Text: "synced"}
	case mirror.TableResetRequested:
		return &ui.Badge{Class: "pending", Text: "reset requested"}
	case mirror.TableAbsent:
		return &ui.Badge{Class: "missing", Text: "absent"}
	case mirror.TableNoMetadata:
		return &ui.Badge{Class: "none", Text: "no metadata row"}
	case mirror.TableInvalid:
		return &ui.Badge{Class: "failed", Text: "invalid"}
	default:
		return &ui.Badge{Class: "neutral", Text: text.Name(string(s))}
	}
}

// kindName is a kind of job for people.
func kindName(j job) string {
	switch j.Kind {
	case kindComparison:
		return "Comparison"
	case kindRecheck:
		return "Recheck"
	case kindValidation:
		return "Validation"
	case kindWaiting:
		return "Waiting"
	case kindChange:
		return operationName(j.Request.Change.Operation)
	default:
		return text.Name(string(j.Kind))
	}
}

func operationName(o operation) string {
	switch o {
	case opApply:
		return "Reset by a plan"
	case opReset:
		return "Reset"
	case opHardReset:
		return "Hard reset"
	case opUndo:
		return "Undo"
	default:
		return "Change"
	}
}

// jobBadge shows how far a job is, or how it ended.
func jobBadge(j job) *ui.Badge {
	switch j.Status {
	case statusQueued:
		return &ui.Badge{Class: "neutral", Text: "queued"}
	case statusRunning:
		return &ui.Badge{Class: "todo", Text: "running"}
	case statusStopped:
		return &ui.Badge{Class: "unsure", Text: "stopped"}
	case statusFailed:
		return &ui.Badge{Class: "bad", Text: "failed"}
	case statusUnknown:
		return &ui.Badge{Class: "unsure", Text: "not known whether it was done"}
	}
	if j.Summary.Undone > 0 {
		return &ui.Badge{Class: "neutral", Text: "undone"}
	}
	return &ui.Badge{Class: cmp.Or(j.Summary.Level, "good"), Text: "done"}
}

// jobProgress shows how far a job is that is queued or running.
func jobProgress(j job, p progress) *ui.Progress {
	bar := &ui.Progress{Label: kindName(j), Value: int64(p.TablesDone), Max: int64(p.Tables)}
	switch {
	case j.Status == statusQueued:
		bar.Text = "queued"
	case p.Tables > 0:
		bar.Text = fmt.Sprintf("%s of %s", count(p.TablesDone), plural(p.Tables, "table"))
	default:
		bar.Text = "running"
	}
	return bar
}

// The tabs of a mirror's pages.
const (
	tabTables      = "Tables"
	tabComparisons = "Comparisons"
	tabReset       = "Reset"
	tabWaiting     = "Waiting"
	tabJournal     = "Journal"
	tabValidation  = "Validation"
)

// tabs are the pages of a mirror.
func (c *Console) tabs(m *member, current string) ui.Tabs {
	t := ui.Tabs{Label: "Pages of " + text.Name(m.ContextID)}
	add := func(name, rest string, n int) {
		tab := ui.Tab{Name: name, URL: c.base + m.path("%s", rest), Current: name == current}
		if n > 0 {
			tab.N = count(n)
		}
		t.Tabs = append(t.Tabs, tab)
	}
	add(tabTables, "", 0)
	add(tabComparisons, "/comparisons", 0)
	add(tabReset, "/reset", 0)
	add(tabWaiting, "/waiting", m.seen().Tables[mirror.TableResetRequested])
	add(tabJournal, "/journal", m.openChanges())
	if c.opts.Replica != nil {
		add(tabValidation, "/validation", 0)
	}
	return t
}

// crumbs say where a mirror's page is; without titles it is the mirror's own.
func (m *member) crumbs(titles ...ui.Link) []ui.Link {
	own := ui.Link{Name: text.Name(m.ContextID)}
	if len(titles) > 0 {
		own.URL = m.path("")
	}
	return slices.Concat([]ui.Link{{Name: "Mirrors", URL: "/"}, own}, titles)
}
