package replica

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/store"
)

// conclude draws the verdicts and the decision from what was found.
func (c *check) conclude(ctx context.Context) {
	r := c.report
	r.AsOf, r.State = c.o.AsOf, c.state.State
	r.Tables = r.Tables[:0]
	for _, t := range c.tables {
		c.judge(t)
		r.Tables = append(r.Tables, *t.report)
	}
	c.inventory(ctx)
	c.propose()
	c.decide()
}

// judge draws a table's verdict.
func (c *check) judge(t *table) {
	r := t.report
	r.Found = maps.Clone(t.found)
	if len(r.Found) == 0 {
		r.Found = nil
	}
	r.Lag = t.gone
	for _, k := range t.keys {
		n := k.rows()
		switch k.outcome {
		case arrived:
			r.Lag += n
		case oldStale:
			r.OldStale += n
		case newStale:
			r.NewStale += n
		case ghost:
			r.Ghosts += n
		case conflict:
			r.Conflicts += n
		default:
			r.Open += n
		}
	}
	if kept := r.OldStale + r.NewStale + r.Ghosts + r.Conflicts + r.Open + r.Lag - t.gone; t.over {
		r.Open += max(0, t.counted()-kept)
	}
	if r.Verdict != "" { // that rows were not compared
		if t.err != nil && r.Verdict != Excluded {
			r.Reason += "; " + text.Err(t.err).Error()
		}
		return
	}
	switch {
	case r.NewStale > 0:
		r.Verdict, r.Reason = NewStale, c.staleReason(t)
	case r.Ghosts > 0:
		r.Verdict = Ghosts
		r.Reason = "only the replica has them"
		if c.follows.cycles() {
			r.Reason += ", unless the old mirror lost them"
		}
	case t.err != nil:
		r.Verdict, r.Reason = Undecided, text.Err(t.err).Error()
	case !t.scanned:
		r.Verdict, r.Reason = Undecided, "the check ended before the table was compared"
	case r.Conflicts > 0:
		r.Verdict, r.Reason = Undecided, "rows differ, and nothing tells which side is right"
	case r.Open > 0:
		r.Verdict, r.Reason = Undecided, c.openReason(t)
	case r.OldStale > 0:
		r.Verdict, r.Reason = OldStale, "the replica's rows are newer, and cycles of the old mirror did not bring them"
	case t.leftOut:
		r.Verdict, r.Reason = Undecided, "columns that both sides have could not be compared"
	case r.Lag > 0:
		r.Verdict = EqualAfterLag
	default:
		r.Verdict = Equal
	}
}

// counted is how many rows differed that have to be explained.
func (t *table) counted() (n int64) {
	for w, rows := range t.found {
		if w.counts(t.c) {
			n += rows
		}
	}
	return n
}

// staleReason says in what way rows of the replica are wrong.
func (c *check) staleReason(t *table) string {
	rows := map[What]int64{}
	for _, k := range t.keys {
		if k.outcome == newStale {
			for _, d := range k.differences {
				rows[d.what] += d.rows
			}
		}
	}
	var parts []string
	for _, w := range []struct {
		what What
		says string
	}{
		{Missing, "missing"}, {Older, "older"}, {Newer, "newer than the customer's database"}, {LargeNull, "NULL in place of a large value"},
		{Placeholder, "with a placeholder in place of a large value"},
		{Rounded, "with rounded times, which no re-synchronization mends: RoundedTimes accepts them"}, {Changed, "with other values"}, {Extra, "extra"},
	} {
		if n := rows[w.what]; n > 0 {
			parts = append(parts, text.Count(n)+" "+w.says)
		}
	}
	reason := strings.Join(parts, ", ")
	if rows[Missing] > 0 && c.follows.cycles() {
		reason += "; missing, unless the old mirror failed to delete them"
	}
	return reason
}

// openReason says why rows that differ are not settled.
func (c *check) openReason(t *table) string {
	for _, k := range t.keys {
		if k.outcome != open {
			continue
		}
		for _, d := range k.differences {
			switch {
			case !c.o.AsOf.IsZero() && (d.what == Missing || !t.timed()):
				return "it cannot be told whether the rows changed after the backup"
			case c.now().Sub(k.since) < intervals*c.o.Interval:
				return "rows still change, or the check was too short for the replica's commit interval"
			case !c.follows.passed(t.pair.Source, k.mark):
				return c.follows.why(t.pair.Source)
			}
		}
	}
	return "more rows differ than are read again"
}

// decide draws the decision.
func (c *check) decide() {
	r := c.report
	var wrong, waits, notes []string
	count := func(v func(*TableReport) bool) (tables []string) {
		for i := range r.Tables {
			if v(&r.Tables[i]) {
				tables = append(tables, r.Tables[i].Table)
			}
		}
		return tables
	}
	add := func(to *[]string, says string, tables []string) {
		if len(tables) > 0 {
			*to = append(*to, fmt.Sprintf("%s %s: %s", tablesOf(len(tables)), says, list(tables)))
		}
	}
	add(&wrong, "missing in the replica", count(func(t *TableReport) bool { return t.Verdict == NewStale && t.ReplicaName == "" }))
	add(&wrong, "with missing, old or damaged rows in the replica", count(func(t *TableReport) bool { return t.Verdict == NewStale && t.ReplicaName != "" }))
	add(&wrong, "with rows that should be gone (ghosts)", count(func(t *TableReport) bool { return t.Ghosts > 0 }))
	add(&wrong, "with rows that differ although their stamps are the same", count(func(t *TableReport) bool { return t.Conflicts > 0 }))
	add(&wrong, "with columns that are missing, narrower or of another kind", count(func(t *TableReport) bool { return t.Verdict != Excluded && t.breaks() }))
	for _, kind := range kinds(r.Lacks) {
		var names []string
		for _, l := range r.Lacks {
			if l.Kind == kind {
				names = append(names, l.String())
			}
		}
		says := fmt.Sprintf("%d %s that the replica's database lacks: %s", len(names), plural(string(kind), len(names)), list(names))
		if kind == store.ObjectIndex {
			notes = append(notes, says)
		} else {
			wrong = append(wrong, says)
		}
	}
	add(&waits, "not decided", count(func(t *TableReport) bool { return t.Verdict == Undecided && t.Conflicts == 0 }))
	add(&notes, "in which the old mirror is behind for good, and the replica is right", count(func(t *TableReport) bool { return t.Verdict == OldStale }))
	add(&notes, "became equal while the check looked on", count(func(t *TableReport) bool { return t.Verdict == EqualAfterLag }))
	compared := count(func(t *TableReport) bool {
		return t.Verdict == Equal || t.Verdict == EqualAfterLag || t.Verdict == OldStale
	})
	if len(compared) == 0 && len(wrong) == 0 && len(waits) == 0 {
		waits = append(waits, "no table was compared")
	}
	if c.follows.cycles() && c.state.Unknown == "" && c.state.Moves == 0 && len(c.follows.moves) > 0 {
		notes = append(notes, "the replica's offsets did not move while the old mirror did")
	}
	if c.state.Unknown != "" {
		notes = append(notes, "whether the replica is alive is unknown: "+c.state.Unknown)
	}
	if !r.InventoryKnown {
		notes = append(notes, "which views, indexes, triggers and grants the replica lacks is not known")
	}
	switch {
	case len(wrong) > 0:
		r.Decision = NoGo
	case len(waits) > 0:
		r.Decision = NotYet
	default:
		r.Decision = Go
	}
	r.Reasons, r.Notes = append(wrong, waits...), notes
}

func tablesOf(n int) string {
	if n == 1 {
		return "1 table"
	}
	return text.Count(int64(n)) + " tables"
}

func plural(word string, n int) string {
	switch {
	case n == 1:
		return word
	case word == "index":
		return "indexes"
	default:
		return word + "s"
	}
}

// list names some of many.
func list(names []string) string {
	const most = 5
	names = slices.Clone(names)
	for i := range names {
		names[i] = text.Printable(names[i])
	}
	if n := len(names) - most; n > 1 {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", n)
	}
	return strings.Join(names, ", ")
}
