package replica

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/so-mirror/mirror/internal/superoffice"
	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/store"
)

// conclude draws the verdicts and the decision from what was found. What cut the
// check off, which may be only now, it returns.
func (c *check) conclude(ctx context.Context, cut error) error {
	r := c.report
	r.AsOf, r.State = c.o.AsOf, c.state.State
	for _, t := range c.tables {
		c.judge(t)
		t.excuse()
		r.Tables = append(r.Tables, *t.report)
	}
	unread := c.inventory(ctx)
	if cut == nil {
		cut = ctx.Err()
	}
	c.propose()
	c.decide(cut, unread)
	return cut
}

// unclear reports whether nobody knows if the newer client keeps the table up.
func (t *table) unclear() bool { return superoffice.UnclearCopy(store.FoldName(t.report.Table)) }

// excuse excludes a table that differs, and may do so.
func (t *table) excuse() {
	r := t.report
	good := r.Verdict == Equal || r.Verdict == EqualAfterLag || r.Verdict == OldStale
	if !t.unclear() || r.Verdict == Excluded || good && !r.breaks() {
		return
	}
	says := r.Reason
	if says == "" {
		says = "its columns differ"
	}
	r.Verdict, r.Reason = Excluded, "it is not documented whether the newer client keeps it up, and it differs: "+says
	r.NewStale, r.Ghosts, r.Conflicts, r.Open = 0, 0, 0, 0
}

// judge draws a table's verdict.
func (c *check) judge(t *table) {
	r := t.report
	r.Samples = t.samples()
	r.Found = maps.Clone(t.found)
	if len(r.Found) == 0 {
		r.Found = nil
	}
	r.Lag = t.gone
	for _, k := range t.keys {
		for _, d := range k.differences {
			switch o := d.outcome; {
			case k.outcome == open:
				r.Open += d.rows
			case k.outcome == arrived:
				r.Lag += d.rows
			case o == oldStale:
				r.OldStale += d.rows
			case o == newStale:
				r.NewStale += d.rows
			case o == ghost:
				r.Ghosts += d.rows
			default:
				r.Conflicts += d.rows
			}
		}
	}
	if kept := r.OldStale + r.NewStale + r.Ghosts + r.Conflicts + r.Open + r.Lag - t.gone; t.over {
		r.Open += max(1, t.explain(t.found)-kept)
	}
	if c.follows.cycles() && t.pair.Mirror == nil && r.Verdict == NewStale && !c.follows.isNamed(t.pair.Source) {
		r.Verdict, r.Reason = Excluded, "not mirrored: the old mirror's metadata table does not name it"
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
		r.Reason = text.Rows(r.Ghosts) + " that only the replica has"
		if c.follows.cycles() {
			r.Reason += ": deleted at the customer, or lost by the old mirror"
		}
	case t.err != nil:
		r.Verdict, r.Reason = Undecided, text.Err(t.err).Error()
	case !t.scanned:
		r.Verdict, r.Reason = Undecided, "the check ended before the table was compared"
	case r.Conflicts > 0:
		r.Verdict, r.Reason = Undecided, "rows differ, and nothing tells which side is right; after a re-synchronization the replica is as the customer's database"
	case r.Open > 0:
		r.Verdict, r.Reason = Undecided, c.openReason(t)
	case t.moved:
		if r.Verdict, r.Reason = Undecided, c.follows.why(t.pair.Source); c.follows.isValid(t.pair.Source) {
			r.Reason = "a cycle of the old mirror sent the table while it was compared"
		}
	case t.leftOut:
		r.Verdict, r.Reason = Undecided, "columns that both sides have could not be compared ("+strings.Join(r.NotCompared, "; ")+"): name those that need not be the same in IgnoreColumns"
	case r.OldStale > 0:
		r.Verdict, r.Reason = OldStale, "the replica's rows are newer, and cycles of the old mirror did not bring them"
	case r.Lag > 0:
		r.Verdict = EqualAfterLag
	default:
		r.Verdict = Equal
	}
}

// staleReason says in what way rows of the replica are wrong.
func (c *check) staleReason(t *table) string {
	rows := map[What]int64{}
	for _, k := range t.keys {
		for _, d := range k.differences {
			if k.outcome != open && k.outcome != arrived && d.outcome == newStale {
				rows[d.what] += d.rows
			}
		}
	}
	var parts []string
	for _, w := range []struct {
		what What
		says string
	}{
		{Missing, "missing"}, {Older, "older"}, {Newer, "newer than the customer's database"}, {LargeNull, "with NULL in place of a large value"},
		{Placeholder, "with a placeholder in place of a large value"},
		{Rounded, "with times that were rounded, which no re-synchronization mends: they can be accepted (RoundedTimes)"},
		{Changed, "with other values"}, {Extra, "extra"},
	} {
		if n := rows[w.what]; n > 0 {
			parts = append(parts, text.Rows(n)+" "+w.says)
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
			case c.state.Resets > 0:
				return "the client takes all rows again, because its offsets began anew during the check"
			case !c.o.AsOf.IsZero() && (d.what == Missing || !d.dated):
				return "it cannot be told whether the rows changed after the backup"
			case d.what == Missing && t.thin:
				return "the client fills the table again"
			case c.now().Sub(k.since) < intervals*c.o.Interval:
				return "rows still change, or the check was too short for the replica's commit interval"
			case c.follows.cycles():
				return c.follows.why(t.pair.Source)
			}
		}
	}
	return "more rows differ than are read again"
}

// decide draws the decision. Cut is what cut the check off, unread why the objects
// besides tables could not be read.
func (c *check) decide(cut, unread error) {
	r := c.report
	wrong, waits, notes := r.wrong(), r.waits(), r.notes()
	switch {
	case cut != nil:
		waits = append(waits, fmt.Sprintf("the check was cut off: %v", text.Err(cut)))
	case unread != nil:
		waits = append(waits, fmt.Sprintf("the objects besides tables cannot be read: %v", text.Err(unread)))
	}
	if c.state.Resets > 0 {
		waits = append(waits, "the replica's offsets began anew during the check, so the client takes all rows again: check again when it has them")
	}
	if c.follows.cycles() && c.state.Unknown == "" && c.state.Moves == 0 && len(c.follows.moves) > 0 {
		notes = append(notes, "the replica's offsets did not move while the old mirror did: is the client running?")
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

// those returns the names of the tables that are so, and how many rows they have
// that are.
func (r *Report) those(are func(*TableReport) bool, rows func(*TableReport) int64) (tables []string, n int64) {
	for i := range r.Tables {
		if t := &r.Tables[i]; are(t) {
			tables = append(tables, t.Table)
			n += rows(t)
		}
	}
	return tables, n
}

func noRows(*TableReport) int64 { return 0 }

// add adds a line about tables, and about rows of them where there are any.
func (r *Report) add(to *[]string, says string, are func(*TableReport) bool, rows func(*TableReport) int64) {
	tables, n := r.those(are, rows)
	switch {
	case len(tables) == 0:
	case n == 0:
		*to = append(*to, fmt.Sprintf("%s %s: %s", tablesOf(len(tables)), says, list(tables)))
	default:
		*to = append(*to, fmt.Sprintf("%s %s, in %s: %s", text.Rows(n), says, tablesOf(len(tables)), list(tables)))
	}
}

// lost reports whether the replica lacks the whole table.
func (t *TableReport) lost() bool { return t.Verdict == NewStale && t.ReplicaName == "" }

// wrong says what is wrong with the replica: first what no re-synchronization
// mends, then its rows, then what is beside the tables.
func (r *Report) wrong() (lines []string) {
	r.add(&lines, "missing in the replica", (*TableReport).lost, noRows)
	r.add(&lines, "with columns that are missing, narrower or of another kind in the replica",
		func(t *TableReport) bool { return t.Verdict != Excluded && t.breaks() }, noRows)
	r.add(&lines, "missing, old or damaged in the replica", func(t *TableReport) bool { return t.NewStale > 0 && !t.lost() }, func(t *TableReport) int64 { return t.NewStale })
	r.add(&lines, "that should be gone from the replica (ghosts)", func(t *TableReport) bool { return t.Ghosts > 0 }, func(t *TableReport) int64 { return t.Ghosts })
	r.add(&lines, "with other values, although by their stamps nobody changed them", func(t *TableReport) bool { return t.Conflicts > 0 }, func(t *TableReport) int64 { return t.Conflicts })
	return append(lines, r.lacking(false)...)
}

// waits says what is not known.
func (r *Report) waits() (lines []string) {
	undecided := func(t *TableReport) bool { return t.Verdict == Undecided && t.Conflicts == 0 }
	r.add(&lines, "different so far, perhaps only late", func(t *TableReport) bool { return undecided(t) && t.Open > 0 }, func(t *TableReport) int64 { return t.Open })
	r.add(&lines, "not compared to the end", func(t *TableReport) bool { return undecided(t) && t.Open == 0 }, noRows)
	compared, _ := r.those(func(t *TableReport) bool { return t.Verdict != Excluded }, noRows)
	if len(compared) == 0 {
		lines = append(lines, "no table was compared")
	}
	return lines
}

// notes say what keeps nobody from swapping the databases.
func (r *Report) notes() (lines []string) {
	lines = r.lacking(true)
	r.add(&lines, "newer than in the old mirror, which does not follow: the replica is right", func(t *TableReport) bool { return t.OldStale > 0 }, func(t *TableReport) int64 { return t.OldStale })
	if r.State.Unknown != "" {
		lines = append(lines, "whether the client is alive is not known: "+r.State.Unknown)
	}
	switch {
	case r.InventoryKnown:
		lines = append(lines, "views, procedures and triggers are compared by their names, and not by what they do")
	case r.Reference.Role == roleCustomer || r.Reference.Role == roleBackup:
		lines = append(lines, "views, indexes, triggers and permissions were not looked at: those that readers use are in the old mirror's database, so check beside that, too")
	default:
		lines = append(lines, "which views, indexes, triggers and permissions the replica's database lacks is not known")
	}
	return lines
}

// lacks counts the objects that the replica's database lacks, without which readers
// are slower or, otherwise, fail.
func (r *Report) lacks(slower bool) (n int) {
	for _, l := range r.Lacks {
		if (l.Kind == store.ObjectIndex) == slower {
			n++
		}
	}
	return n
}

// lacking names the objects that lacks counts.
func (r *Report) lacking(slower bool) (lines []string) {
	for _, kind := range kinds(r.Lacks) {
		if (kind == store.ObjectIndex) != slower {
			continue
		}
		var names, broken []string
		for _, l := range r.Lacks {
			switch {
			case l.Kind != kind:
			case l.Broken:
				broken = append(broken, l.String())
			default:
				names = append(names, l.String())
			}
		}
		if len(broken) > 0 {
			lines = append(lines, fmt.Sprintf("%s %s that cannot work in the replica's database: %s", text.Count(int64(len(broken))), plural(string(kind), len(broken)), list(broken)))
		}
		if len(names) == 0 {
			continue
		}
		line := fmt.Sprintf("%s %s missing in the replica's database: %s", text.Count(int64(len(names))), plural(string(kind), len(names)), list(names))
		if slower {
			line += "; readers can be slow without"
		}
		lines = append(lines, line)
	}
	return lines
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

// mostNamed is how many of many names a line shows.
const mostNamed = 5

// list names some of many.
func list(names []string) string {
	names = slices.Clone(names)
	for i := range names {
		names[i] = text.Printable(names[i])
	}
	if n := len(names) - mostNamed; n > 1 {
		return strings.Join(names[:mostNamed], ", ") + fmt.Sprintf(" and %d more", n)
	}
	return strings.Join(names, ", ")
}
