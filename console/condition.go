package console

import (
	"fmt"
	"time"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/console/internal/ui"
)

// compareAge is how old a comparison may be before the mirror is to be compared again.
const compareAge = 24 * time.Hour

// rank orders mirrors, those first that need a hand.
type rank int

const (
	rankUnknown    rank = iota // a change has no known end
	rankUnreadable             // or another database answers
	rankStale                  // a cycle does not mend what differs
	rankDiffers                // of which it is not known whether a cycle mends it
	rankWaiting                // for a cycle
	rankOld                    // never compared, or long ago
	rankGood
	ranks
)

type rankView struct{ key, name, class string }

// rankViews have how a list of mirrors is narrowed to those of a rank.
var rankViews = [ranks]rankView{
	rankUnknown:    {"unknown", "Change not known", "unsure"},
	rankUnreadable: {"unreadable", "Cannot be read", "failed"},
	rankStale:      {"stale", "Proven stale", "bad"},
	rankDiffers:    {"differs", "Differs", "unsure"},
	rankWaiting:    {"waiting", "Waiting", "waiting"},
	rankOld:        {"old", "To be compared", "neutral"},
	rankGood:       {"good", "As it should be", "good"},
}

// badgeFailed is said of a mirror whose comparison failed.
const badgeFailed = "comparison failed"

// glance is what memory has of a mirror.
type glance struct {
	look     look
	compared job // the last comparison that is over, the zero one for never
	changed  job // the last change that stands
	unknown  int
	running  *live // a job of it, the oldest one of those that do more than wait
}

// glance takes it all at once.
func (m *member) glance(g *glance) {
	m.mu.Lock()
	defer m.mu.Unlock()
	*g = glance{look: m.look, unknown: m.unknown, changed: m.changed}
	for _, k := range comparisons {
		if j := m.last[k]; j.ID > g.compared.ID {
			g.compared = j
		}
	}
	for _, l := range m.jobs {
		switch waits := l.kind == kindWaiting; {
		case g.running == nil, !waits && g.running.kind == kindWaiting:
			g.running = l
		case waits == (g.running.kind == kindWaiting) && l.id < g.running.id:
			g.running = l
		}
	}
}

// condition is a mirror's state, from what is known of it.
type condition struct {
	rank  rank
	badge ui.Badge
	means string // a sentence
	next  string // what to do, in a few words, "" for nothing
}

// condition says how a mirror is. What is said first is what needs a hand most.
func (g *glance) condition(now time.Time) condition {
	of := func(r rank, badge, means, next string) condition {
		return condition{r, ui.Badge{Class: rankViews[r].class, Text: badge}, means, next}
	}
	s, l := &g.compared.Summary, &g.look
	switch {
	case g.unknown > 0:
		return of(rankUnknown, "change not known", "It is not known whether "+plural(g.unknown, "change")+" of this mirror happened. The database can tell.", "Find out what happened")
	case len(l.Mistakes) > 0:
		return of(rankUnreadable, "wrong database", "This is hardly the mirror that is meant: "+message(l.Mistakes[0])+".", "Check where it connects to")
	case l.Err != "":
		return of(rankUnreadable, "cannot be read", "The last look failed: "+message(l.Err), "Look again once that is mended")
	case g.compared.Status == statusFailed && s.Level == "":
		return of(rankUnreadable, badgeFailed, "The last comparison failed: "+message(g.compared.Error), "Compare again once that is mended")
	case g.stale() && !g.superseded():
		next := "Reset what differs"
		if s.Stale > 0 {
			next = "Reset " + plural(s.Stale, "table")
		}
		return of(rankStale, "stale", "Rows differ and no cycle sends them again: only a reset mends that.", next)
	case l.Tables[mirror.TableInvalid] > 0:
		return of(rankDiffers, "metadata invalid", "The metadata of "+plural(l.Tables[mirror.TableInvalid], "table")+" cannot be right. The list says why.", "See what is wrong with its metadata")
	case (s.Level == "bad" || s.Level == "unsure") && !g.superseded():
		return of(rankDiffers, differs(s), s.Verdict+".", "Recheck after the next cycle")
	}
	return g.calm(now, of)
}

// calm is the condition of a mirror of which nothing bad is known.
func (g *glance) calm(now time.Time, of func(r rank, badge, means, next string) condition) condition {
	s, l := &g.compared.Summary, &g.look
	requested := l.Tables[mirror.TableResetRequested]
	switch {
	case l.State == mirror.MirrorAwaitingFirstCycle:
		return of(rankWaiting, "awaits its first cycle", "It has no metadata table yet: the next cycle creates it and populates every table.", "")
	case requested > 0:
		return of(rankWaiting, "waiting", "The next cycle populates "+plural(requested, "table")+" anew.", "")
	case s.Level == "waiting" && !g.superseded() && !g.old(now):
		return of(rankWaiting, "behind", "Rows differ, and the next cycle brings them.", "")
	case g.compared.ID == 0:
		return of(rankOld, "never compared", "Nobody has compared it with its source yet.", "Compare it")
	case g.superseded() || g.touched():
		return of(rankOld, "reset since", "Tables were reset after the last comparison. Only another one says whether they are as they should be.", "Compare it again")
	case s.Level == "":
		return of(rankOld, "not compared", "The last comparison was stopped before it had found anything.", "Go on with it, or compare anew")
	case g.old(now):
		return of(rankOld, "compared long ago", "Its last comparison is "+rough(now.Sub(g.compared.Ended))+" old.", "Compare it again")
	case !s.Whole:
		return of(rankGood, "no difference found", s.Verdict+". Not every row of every table was compared.", "")
	default:
		return of(rankGood, "identical", s.Verdict+".", "")
	}
}

// differs is the badge of a mirror that no more is known of than that.
func differs(s *summary) string {
	if s.Level == "unsure" && s.Differing == 0 {
		return "not all compared"
	}
	return "differs"
}

// stale reports whether the last comparison found what no cycle mends.
func (g *glance) stale() bool { return g.compared.Summary.Stale > 0 || g.compared.Summary.Diverged > 0 }

// superseded reports whether all that the last comparison wants to be reset was reset
// since, so that what it found is no longer so.
func (g *glance) superseded() bool {
	r := &g.changed.Request
	if !g.touched() {
		return false
	}
	switch r.Change.Operation {
	case opApply:
		return r.Of == g.compared.ID && (len(r.Tables) == 0 || len(r.Tables) >= g.compared.Summary.Stale) || r.Of > g.compared.ID
	case opReset, opHardReset:
		return r.Change.All
	default:
		return false
	}
}

// touched reports whether anything was reset since the last comparison began.
func (g *glance) touched() bool {
	j := &g.changed
	return j.Status == statusDone && j.Summary.Undone == 0 && !j.Started.Before(g.compared.Started.Truncate(time.Millisecond)) // as the state has times
}

// old reports whether the last comparison says too little of how the mirror is now.
func (g *glance) old(now time.Time) bool { return now.Sub(g.compared.Ended) >= compareAge }

// tablesDiffering is how many tables of a comparison are not as they should be.
func (s *summary) tablesDiffering() (n int) {
	for _, v := range []mirror.Verdict{mirror.VerdictDifferent, mirror.VerdictSchemaDiffers, mirror.VerdictMissing, mirror.VerdictExtra, mirror.VerdictPending} {
		n += s.Tables[v]
	}
	return n
}

// tables is how many tables a mirror has, as far as is known.
func (g *glance) tables() (n int) {
	for _, tables := range g.look.Tables {
		n += tables
	}
	if n == 0 {
		for _, tables := range g.compared.Summary.Tables {
			n += tables
		}
	}
	return n
}

// about says in a few words what else there is to know of a mirror.
func (g *glance) about() string {
	if g.look.State == mirror.MirrorReplica {
		return "replica of the newer client"
	}
	if n := g.look.Tables[mirror.TableAbsent]; n > 0 {
		return fmt.Sprintf("%s absent", plural(n, "table"))
	}
	return ""
}
