package replica

import (
	"fmt"
	"io"
	"strings"

	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/store"
)

// WriteText writes the report for people: the decision and its reasons first, then
// what to do, then the tables that are not equal, then the rest.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", map[Decision]string{
		Go: "GO: the replica is good.", NoGo: "NO-GO: the replica is not good yet.", NotYet: "NOT YET: it is not known whether the replica is good. Check again.",
	}[r.Decision])
	for _, reason := range r.Reasons {
		fmt.Fprintf(&b, "  - %s\n", text.Printable(reason))
	}
	if len(r.Reasons) > 0 {
		b.WriteString("\n")
	}
	if r.Resync != nil {
		b.WriteString(r.Resync.String() + "\n")
	}
	r.writeTables(&b)
	for _, t := range r.Tables {
		t.writeDetails(&b)
	}
	for _, note := range r.Notes {
		fmt.Fprintf(&b, "Note: %s\n", text.Printable(note))
	}
	for _, warning := range r.Warnings {
		fmt.Fprintf(&b, "Warning: %s\n", text.Printable(warning))
	}
	fmt.Fprintf(&b, "Reference: %s\nReplica:   %s\nChecked:   %s to %s\n", r.Reference, r.Replica,
		r.Started.UTC().Format("2006-01-02 15:04:05"), r.Finished.UTC().Format("2006-01-02 15:04:05 MST"))
	if !r.AsOf.IsZero() {
		fmt.Fprintf(&b, "Backup of: %s\n", r.AsOf.UTC().Format("2006-01-02 15:04:05 MST"))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// writeTables writes a line for each table that is not equal, and how many there are
// of each verdict.
func (r *Report) writeTables(b *strings.Builder) {
	var g text.Grid
	g.Row("TABLE", "VERDICT", "REFERENCE", "REPLICA", "LAG", "OLD STALE", "NEW STALE", "GHOSTS", "CONFLICTS", "OPEN", "")
	counts := map[Verdict]int{}
	for _, t := range r.Tables {
		if counts[t.Verdict]++; t.Verdict == Equal || t.Verdict == Excluded {
			continue
		}
		g.Row(text.Name(t.Table), string(t.Verdict), text.Count(t.ReferenceRows), text.Count(t.ReplicaRows), text.Dash(t.Lag), text.Dash(t.OldStale),
			text.Dash(t.NewStale), text.Dash(t.Ghosts), text.Dash(t.Conflicts), text.Dash(t.Open), text.Printable(t.Reason))
	}
	if g.Len() > 1 {
		b.WriteString(g.Text("  ", "lrrrrrrrr") + "\n")
	}
	var parts []string
	for _, v := range []Verdict{Equal, EqualAfterLag, OldStale, NewStale, Ghosts, Undecided, Excluded} {
		if n := counts[v]; n > 0 {
			parts = append(parts, fmt.Sprintf("%s %s", text.Count(int64(n)), v))
		}
	}
	fmt.Fprintf(b, "%s: %s.\n", tablesOf(len(r.Tables)), strings.Join(parts, ", "))
	excluded := map[string][]string{}
	var reasons []string
	for _, t := range r.Tables {
		if t.Verdict == Excluded {
			if excluded[t.Reason] == nil {
				reasons = append(reasons, t.Reason)
			}
			excluded[t.Reason] = append(excluded[t.Reason], t.Table)
		}
	}
	for _, reason := range reasons {
		fmt.Fprintf(b, "  excluded: %s: %s\n", list(excluded[reason]), text.Printable(reason))
	}
	b.WriteString("\n")
}

// writeDetails writes what differs in a table's definitions and some of its rows.
func (t *TableReport) writeDetails(b *strings.Builder) {
	var lines []string
	for _, f := range t.Schema {
		if f.Breaks {
			lines = append(lines, text.Printable(f.String()))
		}
	}
	if t.Verdict != Equal && t.Verdict != EqualAfterLag && t.Verdict != Excluded {
		for _, s := range t.Samples {
			lines = append(lines, fmt.Sprintf("%s %s", s.What, store.FormatCells(s.Key)))
			for _, c := range s.Columns {
				lines = append(lines, fmt.Sprintf("  %s: reference %s, replica %s", text.Printable(c.Column), c.Reference.Text(), c.Replica.Text()))
			}
		}
	}
	if len(lines) == 0 {
		return
	}
	fmt.Fprintf(b, "%s\n", text.Name(t.Table))
	for _, line := range lines {
		fmt.Fprintf(b, "  %s\n", line)
	}
	b.WriteString("\n")
}
