package replica

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/store"
)

// columns is the width that text is wrapped to. Lines that are to be copied, tables,
// and values and names from outside can be wider.
const columns = 80

// WriteText writes the report for people: the decision and its reasons first, then
// what to do, then the tables that are not equal, then which databases these are.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	b.WriteString(map[Decision]string{
		Go:     "GO: the replica is good.",
		NoGo:   "NO-GO: the replica is not good.",
		NotYet: "NOT YET: it is not known whether the replica is good.",
	}[r.Decision] + "\n")
	if r.Scope.Stopped != "" {
		wrap(&b, "", "The check was stopped before its end, so this is no decision: "+r.Scope.Stopped)
	}
	if r.Scope.leavesOut() {
		wrap(&b, "", r.leftOut())
	}
	b.WriteString("\n")
	for _, reason := range r.Reasons {
		wrap(&b, "  - ", reason)
	}
	if len(r.Reasons) > 0 {
		b.WriteString("\n")
	}
	r.writeNext(&b)
	r.writeTables(&b)
	for _, t := range r.Tables {
		t.writeDetails(&b)
	}
	r.writeLacks(&b)
	for _, note := range r.Notes {
		wrap(&b, "Note: ", note)
	}
	for _, warning := range r.Warnings {
		wrap(&b, "Warning: ", warning)
	}
	if len(r.Notes)+len(r.Warnings) > 0 {
		b.WriteString("\n")
	}
	r.writeEvidence(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

// leftOut says what the caller left out, for which the decision does not stand.
func (r *Report) leftOut() string {
	says := "This is only about what was checked. Left out by request:"
	if n := len(r.Scope.OnlyTables); n > 0 {
		says += fmt.Sprintf(" all tables but %s;", list(r.Scope.OnlyTables))
	}
	if n := len(r.Scope.SkipTables); n > 0 {
		says += fmt.Sprintf(" %s (%s);", tablesOf(n), list(r.Scope.SkipTables))
	}
	if n := len(r.Scope.IgnoreColumns); n > 0 {
		says += fmt.Sprintf(" the columns %s;", list(r.Scope.IgnoreColumns))
	}
	return strings.TrimSuffix(says, ";") + "."
}

// Next returns what whoever swaps the databases does next, a step each. A step can have
// lines that are to be copied, which are indented.
func (r *Report) Next() []string {
	var steps []string
	missing, breaking, broken := 0, 0, 0
	for i := range r.Tables {
		switch t := &r.Tables[i]; {
		case t.lost():
			missing++
		case t.Verdict != Excluded && t.breaks():
			breaking++
		case t.Verdict == Undecided && t.Open+t.Conflicts == 0:
			broken++
		}
	}
	if missing+breaking > 0 {
		step := "Have the client create what is missing, with its command update-schema."
		if breaking > 0 {
			step += " What reads a column that stays narrower or of another kind has to be changed."
		}
		steps = append(steps, step)
	}
	if r.Resync != nil {
		steps = append(steps, strings.TrimSpace(r.Resync.String()))
	}
	if r.lacks(false) > 0 {
		steps = append(steps, "Create in the replica's database the objects that it lacks, mend those that cannot work there, or drop in the reference's those that nobody uses.")
	}
	if broken > 0 {
		steps = append(steps, "See below why tables could not be compared.")
	}
	if r.open() {
		steps = append(steps, r.howToSettle())
	}
	switch {
	case r.Decision == NoGo && len(steps) > 0:
		steps = append(steps, "Check again.")
	case r.Decision == Go && r.Reference.Role == roleMirror:
		steps = append(steps, "Keep this report.",
			"Before the swap: swap the names of the two databases, and check again by the new names. After it: the replica has proven to be good in its new place.")
	case r.Decision == Go:
		steps = append(steps, "Keep this report. Check again after each restore, move or suspension of the customer's database.")
	}
	return steps
}

// writeNext writes what to do next.
func (r *Report) writeNext(b *strings.Builder) {
	steps := r.Next()
	if len(steps) == 0 {
		return
	}
	b.WriteString("What to do next:\n")
	for i, step := range steps {
		wrap(b, fmt.Sprintf("  %d. ", i+1), step)
	}
	b.WriteString("\n")
}

// open reports whether rows differ of which it is not known what becomes of them.
func (r *Report) open() bool {
	return slices.ContainsFunc(r.Tables, func(t TableReport) bool { return t.Verdict == Undecided && t.Open > 0 })
}

// howToSettle says how it becomes known what rows are that differ so far.
func (r *Report) howToSettle() string {
	waited := time.Duration(r.Scope.MaxWait * float64(time.Second))
	says := fmt.Sprintf("Rows that differ so far: check again, and for longer than the %s of this check (MaxWait).", text.Duration(waited))
	switch r.Reference.Role {
	case roleMirror:
		says += " The old mirror is known to be behind or ahead only after cycles of the Mirroring Task: see that it runs. Where you may read the customer's database, it tells at once as the reference."
	case roleBackup:
		says += " Beside a backup they may never be settled: take a newer one."
	}
	return says
}

// writeTables writes a line for each table with rows that somebody has to look at,
// and how many tables there are of each verdict.
func (r *Report) writeTables(b *strings.Builder) {
	var g text.Grid
	g.Row("TABLE", "VERDICT", "REFERENCE", "REPLICA", "LAG", "OLD STALE", "NEW STALE", "GHOSTS", "CONFLICTS", "OPEN")
	counts, excluded := map[Verdict]int{}, map[string][]string{}
	var reasons []string
	for _, t := range r.Tables {
		counts[t.Verdict]++
		switch t.Verdict {
		case Equal, EqualAfterLag:
		case Excluded:
			if excluded[t.Reason] == nil {
				reasons = append(reasons, t.Reason)
			}
			excluded[t.Reason] = append(excluded[t.Reason], t.Table)
		default:
			g.Row(text.Name(t.Table), string(t.Verdict), text.Count(t.ReferenceRows), text.Count(t.ReplicaRows), text.Dash(t.Lag), text.Dash(t.OldStale),
				text.Dash(t.NewStale), text.Dash(t.Ghosts), text.Dash(t.Conflicts), text.Dash(t.Open))
		}
	}
	if g.Len() > 1 {
		g.Drop(4, 10, "-")
		b.WriteString("Rows of the tables that are not equal:\n" + g.Text("  ", "lrrrrrrrr") + "\n")
	}
	var total text.Grid
	for _, v := range []struct {
		verdict Verdict
		means   string
	}{
		{Equal, "all rows are the same"}, {EqualAfterLag, "rows that differed became the same while the check looked on"},
		{OldStale, "the old mirror does not follow, the replica's rows are newer"},
		{NewStale, "the replica lacks rows, or has old or damaged ones"}, {Ghosts, "the replica has rows that should be gone"},
		{Undecided, "rows differ and may be late, or nothing tells which side is right"}, {Excluded, "not compared"},
	} {
		if n := counts[v.verdict]; n > 0 {
			total.Row(text.Count(int64(n)), string(v.verdict), v.means)
		}
	}
	fmt.Fprintf(b, "%s:\n%s", tablesOf(len(r.Tables)), total.Text("  ", ""))
	for _, reason := range reasons {
		wrap(b, "    ", list(excluded[reason])+": "+reason)
	}
	b.WriteString("\n")
}

// writeDetails writes what keeps a table from being good, with some of its rows.
func (t *TableReport) writeDetails(b *strings.Builder) {
	bad := t.Verdict == NewStale || t.Verdict == Ghosts || t.Verdict == Undecided
	if !bad && (t.Verdict == Excluded || !t.breaks()) {
		return
	}
	head := text.Name(t.Table)
	if bad && t.Reason != "" {
		head += ": " + t.Reason
	}
	wrap(b, "", head)
	for _, f := range t.Schema {
		if f.Breaks {
			wrap(b, "  ", "column "+f.String())
		}
	}
	if bad {
		for _, s := range t.Samples {
			wrap(b, "  ", strings.TrimSuffix(s.What.says()+": "+store.FormatCells(s.Key), ": "))
			for _, c := range s.Columns {
				fmt.Fprintf(b, "    %s: reference %s, replica %s\n", text.Printable(c.Column), c.Reference.Text(), c.Replica.Text())
			}
		}
	}
	b.WriteString("\n")
}

// writeLacks names all objects that the replica's database lacks, where the reasons
// and notes name some.
func (r *Report) writeLacks(b *strings.Builder) {
	if len(r.Lacks) <= mostNamed {
		return
	}
	b.WriteString("Missing in the replica's database, or without what they use:\n")
	for _, kind := range kinds(r.Lacks) {
		for _, l := range r.Lacks {
			switch {
			case l.Kind != kind:
			case kind == store.ObjectGrant:
				wrap(b, "  ", l.String())
			default:
				wrap(b, "  ", string(kind)+" "+l.String())
			}
		}
	}
	b.WriteString("\n")
}

// says is what a sample's row is, for people.
func (w What) says() string {
	if says, ok := map[What]string{
		Missing: "missing in the replica", Extra: "only in the replica", Older: "older in the replica", Newer: "newer in the replica",
		LargeNull: "NULL in place of a large value", Placeholder: "placeholder in place of a large value",
		Rounded: "rounded time", Changed: "other values, same stamps", AfterBackup: "updated after the backup",
	}[w]; ok {
		return says
	}
	return text.Printable(string(w))
}

// writeEvidence writes which databases were checked, and when.
func (r *Report) writeEvidence(b *strings.Builder) {
	const stamp = "2006-01-02 15:04:05"
	fmt.Fprintf(b, "Reference: %s\nReplica:   %s\nChecked:   %s to %s\n", r.Reference, r.Replica,
		r.Started.UTC().Format(stamp), r.Finished.UTC().Format(stamp+" MST"))
	if !r.AsOf.IsZero() {
		fmt.Fprintf(b, "Backup of: %s\n", r.AsOf.UTC().Format(stamp+" MST"))
	}
	if r.State.Unknown == "" {
		moved := fmt.Sprintf("moved %d times", r.State.Moves)
		switch r.State.Moves {
		case 0:
			moved = "did not move"
		case 1:
			moved = "moved once"
		}
		if r.State.Resets > 0 {
			moved += ", and began anew,"
		}
		fmt.Fprintf(b, "Client:    its offsets %s during the check\n", moved)
	}
}

// wrap writes lines of words, the first behind head and the others behind as many
// blanks. The lines of s stay apart, and those that are indented are not broken,
// because they are to be copied.
func wrap(b *strings.Builder, head, s string) {
	indent := strings.Repeat(" ", len(head))
	for _, line := range strings.Split(s, "\n") {
		line = text.Printable(line)
		for rest := line; ; {
			at := len(rest)
			if text.Width(head+rest) > columns && !strings.HasPrefix(line, " ") {
				at = breakAt(rest, columns-len(head))
			}
			b.WriteString(strings.TrimRight(head+rest[:at], " ") + "\n")
			head = indent
			if rest = strings.TrimLeft(rest[at:], " "); rest == "" {
				break
			}
		}
	}
}

// breakAt is where the words of s that fit into width end: behind the first one
// where not even that fits.
func breakAt(s string, width int) int {
	at := len(s)
	for i, r := range s {
		if r != ' ' || i == 0 {
			continue
		}
		if text.Width(s[:i]) > width {
			if at == len(s) {
				at = i
			}
			break
		}
		at = i
	}
	return at
}
