package mirror

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/so-mirror/mirror/internal/superoffice"
	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/store"
)

// String returns the text that WriteText writes.
func (r *Report) String() string { return text.Of(r) }

// WriteJSON writes the report as indented JSON.
func (r *Report) WriteJSON(w io.Writer) error { return text.WriteJSON(w, r) }

// WriteText writes the report for people: a line for each table, then details.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	r.writeHead(&b)
	r.writeVerdicts(&b)
	r.writeOmissions(&b)
	for i := range r.Tables {
		r.Tables[i].writeDetail(&b)
	}
	r.writeFoot(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

// writeHead writes what was compared, and what to know before reading on.
func (r *Report) writeHead(b *strings.Builder) {
	fmt.Fprintf(b, "Comparison of %s by %s, %s, took %s\n",
		text.Printable(r.ContextID), r.means(), r.Started.Format(time.DateTime+" MST"), text.Duration(r.Finished.Sub(r.Started)))
	fmt.Fprintf(b, "Source: %s\nMirror: %s\n", r.Source.text(), r.Mirror.text())
	for _, mistake := range r.Mistakes {
		fmt.Fprintf(b, "Wrong database: %s\n", text.Printable(mistake))
	}
	fmt.Fprintf(b, "Scope: %s\n", r.scope())
	if ways := r.strategies(); ways != "" {
		fmt.Fprintf(b, "Tables: %s\n", ways)
	}
	for _, line := range r.basis() {
		fmt.Fprintf(b, "Rows read: %s\n", text.Printable(line))
	}
	if r.SourceIsolation+r.MirrorIsolation != "" {
		fmt.Fprintf(b, "Read under: source %s, mirror %s\n",
			text.Printable(cmp.Or(r.SourceIsolation, "unknown")), text.Printable(cmp.Or(r.MirrorIsolation, "unknown")))
	}
	if !r.Rechecked.IsZero() {
		fmt.Fprintf(b, "Keys that differed were read again %s\n", r.Rechecked.Format(time.DateTime+" MST"))
	}
	if r.State == MirrorAwaitingFirstCycle && r.Mistakes == nil {
		b.WriteString("There is no metadata table: the next cycle populates everything.\n")
	}
	for _, warning := range r.Warnings {
		fmt.Fprintf(b, "Warning: %s\n", text.Printable(warning))
	}
	if r.Incomplete {
		b.WriteString("Incomplete: it was stopped before every table was compared.")
		if r.Checkpoint != nil {
			b.WriteString(" Resume it from its Checkpoint.")
		}
		b.WriteString("\n")
	}
}

// strategies says how the tables were compared, "" where all of them were streamed.
func (r *Report) strategies() string {
	tables := map[Strategy]int64{}
	for _, t := range r.Tables {
		if t.Strategy != "" {
			tables[t.Strategy]++
		}
	}
	if r.Strategy != StrategyAuto || tables[StrategyJoin]+tables[StrategyDigest] == 0 {
		return ""
	}
	var parts []string
	for _, s := range []struct {
		strategy Strategy
		what     string
	}{{StrategyJoin, "joined in one engine"}, {StrategyDigest, "digested"}, {StrategyStream, "streamed"}} {
		if n := tables[s.strategy]; n > 0 {
			parts = append(parts, text.Count(n)+" "+s.what)
		}
	}
	return strings.Join(parts, ", ")
}

// basis says what was read of tables with a Basis: a line for those of which only some
// rows were, and one for each reason why it was all.
func (r *Report) basis() (lines []string) {
	var keys, sampled int64
	some := 0
	var all groups
	for _, t := range r.Tables {
		switch b := t.Basis; {
		case b == nil:
		case b.Reason != "":
			all.add(b.Reason, t.Table)
		default:
			some, keys, sampled = some+1, keys+b.Keys, sampled+b.Sampled
		}
	}
	if some > 0 {
		line := "those of " + plural(int(keys), "key", "keys")
		if sampled > 0 {
			line += " and a sample of " + text.Rows(sampled)
		}
		lines = append(lines, line+", of "+plural(some, "table", "tables"))
	}
	for _, why := range all {
		lines = append(lines, fmt.Sprintf("all of %s: %s", plural(len(why.members), "table", "tables"), why.name))
	}
	return lines
}

// uncounted says that nobody counted the table's rows: see [CompareOptions].Since.
func (t *TableReport) uncounted() bool {
	return t.Basis != nil && t.Basis.Reason == "" && t.differences() == 0
}

// writeVerdicts writes a line for each table, and one for each reason why tables
// are not mirrored.
func (r *Report) writeVerdicts(b *strings.Builder) {
	var g text.Grid
	g.Row("TABLE", "VERDICT", "SOURCE", "MIRROR", "MISSING", "EXTRA", "CHANGED", "DUPLICATE", "TIME", "")
	var hidden groups
	for _, t := range r.Tables {
		if t.Verdict == VerdictNotMirrored {
			why, _, _ := strings.Cut(t.Reason, ":")
			hidden.add(why, t.Table)
			continue
		}
		source, mirror := text.Count(t.SourceRows), text.Count(t.MirrorRows)
		if t.Verdict == VerdictFailed || t.Verdict == VerdictUnfinished || r.Depth == DepthSchema || t.uncounted() {
			source, mirror = "-", "-"
		}
		if t.Verdict == VerdictMissing {
			mirror = "-"
		}
		if t.Verdict == VerdictExtra {
			source = "-"
		}
		g.Row(t.Table, string(t.Verdict), source, mirror,
			text.Dash(t.Missing), text.Dash(t.Extra), text.Dash(t.Changed), text.Dash(t.Duplicate), text.Duration(t.Elapsed), strings.Join(t.notes(r.Strategy), "; "))
	}
	const align = "lrrrrrrr"
	dropped := g.Drop(4, 8, "-") // kinds of differences that no table has
	if g.Len() > 1 {
		b.WriteString(g.Text("  ", align[:len(align)-dropped]))
	}
	for _, h := range hidden {
		fmt.Fprintf(b, "  %s: %s\n", text.Printable(h.name), text.Printable(strings.Join(h.members, ", ")))
	}
}

// writeFoot writes the summary, and what it does not say.
func (r *Report) writeFoot(b *strings.Builder) {
	if r.detailed() {
		b.WriteString("\n")
	}
	if len(r.Tables) > 0 || !r.Incomplete {
		fmt.Fprintf(b, "%s\n", r.Summary())
	}
	if n := r.leftOut(); n > 0 && r.verdictsIdentical() {
		fmt.Fprintf(b, "That is not all: %s left out that nobody asked to leave out (see IgnoreColumns).\n", plural(n, "column was", "columns were"))
	}
	if n := r.Unknown(); n > 0 {
		fmt.Fprintf(b, "Whether %s that differ wait for the next cycle is not known: compare again after it (Recheck).\n", text.Rows(n))
	}
	if command := r.replicaCommand(); command != "" {
		fmt.Fprintf(b, "The newer client repairs its replica by itself: %s\n", command)
	}
}

// groups are names in the order in which they were first seen, with what belongs
// to them.
type groups []struct {
	name    string
	members []string
}

func (g *groups) add(name, member string) {
	for i := range *g {
		if (*g)[i].name == name {
			(*g)[i].members = append((*g)[i].members, member)
			return
		}
	}
	*g = append(*g, struct {
		name    string
		members []string
	}{name, []string{member}})
}

// writeOmissions writes which columns were not compared and why: a line for each
// table, or for several that lack the same.
func (r *Report) writeOmissions(b *strings.Builder) {
	if r.Depth != DepthRows {
		return // no values were compared at all
	}
	var lines groups
	for _, t := range r.Tables {
		var reasons groups
		for _, o := range t.NotCompared {
			reasons.add(o.Reason, o.Column)
		}
		var parts []string
		for _, reason := range reasons {
			columns := strings.Join(reason.members, ", ")
			if reason.name == rowsNotCompared {
				columns = "its other columns"
			}
			parts = append(parts, fmt.Sprintf("%s (%s)", text.Printable(columns), text.Printable(reason.name)))
		}
		if parts != nil {
			lines.add(strings.Join(parts, "; "), t.Table)
		}
	}
	if lines != nil {
		b.WriteString("  Columns that were not compared:\n")
	}
	for _, line := range lines {
		fmt.Fprintf(b, "    %s: %s\n", text.Printable(strings.Join(line.members, ", ")), line.name)
	}
}

// rowsNotCompared is the reason for the comparable columns of a table whose rows
// cannot be compared.
const rowsNotCompared = "the rows cannot be compared"

// scope says which tables of how many were compared, and what of them was not.
func (r *Report) scope() string {
	why := map[string]int{"not named": r.Scope.Tables - len(r.Tables)}
	tables, columns, asked := 0, 0, 0
	for i := range r.Tables {
		t := &r.Tables[i]
		switch {
		case t.Verdict == VerdictNotMirrored:
			reason, _, _ := strings.Cut(t.Reason, ":")
			why[reason]++
		case t.Verdict == VerdictMissing, t.Verdict == VerdictExtra:
			why["on one side only"]++
		case !t.compared():
			why["not to the end"]++
		case r.Depth == DepthRows && len(t.NotCompared) > 0:
			tables++
			columns += len(t.NotCompared)
		}
	}
	if r.Depth == DepthRows {
		asked = columns - r.leftOut()
	}
	txt := fmt.Sprintf("%d of %s compared", r.Scope.Compared, plural(r.Scope.Tables, "table", "tables"))
	var parts []string
	for _, reason := range slices.Sorted(maps.Keys(why)) {
		if n := why[reason]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, text.Printable(reason)))
		}
	}
	if parts != nil {
		txt += " (" + strings.Join(parts, ", ") + ")"
	}
	switch {
	case r.Depth == DepthSchema:
		return txt + ", no row of them"
	case r.Depth == DepthCount:
		return txt + ", no value of them"
	case r.Scope.Compared == 0:
		return txt
	case columns == 0:
		return txt + ", with all columns"
	case asked == 0:
		return txt + fmt.Sprintf(", without %s of %s", plural(columns, "column", "columns"), plural(tables, "table", "tables"))
	default:
		return txt + fmt.Sprintf(", without %s of %s, %d of them by request", plural(columns, "column", "columns"), plural(tables, "table", "tables"), asked)
	}
}

// plural is a number with a word.
func plural(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return text.Count(int64(n)) + " " + more
}

// means says what was compared.
func (r *Report) means() string {
	switch {
	case r.Depth == DepthSchema:
		return "columns alone"
	case r.Depth == DepthCount:
		return "numbers of rows alone"
	case r.Strategy == StrategyDigest:
		return "digests"
	default:
		return "rows"
	}
}

// detailed reports whether details follow the table of a report.
func (r *Report) detailed() bool {
	return slices.ContainsFunc(r.Tables, func(t TableReport) bool { return t.detailed() })
}

func (t *TableReport) detailed() bool { return len(t.Schema)+len(t.Samples)+len(t.ChangedColumns) > 0 }

// notes are what stands at the end of a table's line.
func (t *TableReport) notes(asked Strategy) []string {
	var notes []string
	if t.Reason != "" {
		notes = append(notes, t.Reason)
	}
	if t.ResetRequested() && t.Verdict != VerdictIdentical {
		notes = append(notes, "reset requested")
	}
	switch t.LSNState {
	case LSNExpired:
		notes = append(notes, "LSN expired: only a reset makes sure that the next cycle sends the table")
	case LSNAhead:
		notes = append(notes, "LSN ahead of the source, which was restored: reset it")
	}
	if t.Truncated {
		notes = append(notes, "stopped at MaxDifferences: there may be more")
	}
	if t.Verdict == VerdictDifferent || t.Diverged > 0 {
		var parts []string
		for _, c := range []struct {
			rows int64
			what string
		}{{t.Diverged, "diverged"}, {t.Pending, "pending"}, {t.unknown(), "unknown"}} {
			if c.rows > 0 {
				parts = append(parts, text.Count(c.rows)+" "+c.what)
			}
		}
		notes = append(notes, strings.Join(parts, ", "))
	}
	if asked != StrategyAuto && t.StrategyReason != "" {
		notes = append(notes, t.StrategyReason)
	}
	return notes
}

// replicaCommand says how to repair a replica, "" when there is none to repair.
func (r *Report) replicaCommand() string {
	var names []string
	for _, t := range r.Tables {
		if t.Verdict == VerdictDifferent || t.Verdict == VerdictSchemaDiffers {
			names = append(names, text.Printable(t.MirrorName))
		}
	}
	if r.State != MirrorReplica || names == nil {
		return ""
	}
	return superoffice.ResyncCommand(text.Printable(r.ContextID), names)
}

// Summary returns one line: how many tables have which verdict.
func (r *Report) Summary() string {
	counts := map[Verdict]int{}
	for _, t := range r.Tables {
		counts[t.Verdict]++
	}
	return SummarizeVerdicts(counts)
}

// SummarizeVerdicts names verdicts with their numbers.
func SummarizeVerdicts(counts map[Verdict]int) string {
	var parts []string
	for _, v := range verdicts {
		if n := counts[v]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, v))
		}
	}
	if len(parts) == 0 {
		return "No tables to compare."
	}
	return strings.Join(parts, ", ") + "."
}

func (t *TableReport) writeDetail(b *strings.Builder) {
	if !t.detailed() {
		return
	}
	fmt.Fprintf(b, "\n%s\n", text.Printable(t.Table))
	for _, d := range t.Schema {
		fmt.Fprintf(b, "  schema: %s", strings.TrimRight(text.Printable(d.What+" "+d.Column), " "))
		if d.Source != "" {
			fmt.Fprintf(b, ", source %s", text.Printable(d.Source))
		}
		if d.Mirror != "" {
			fmt.Fprintf(b, ", mirror %s", text.Printable(d.Mirror))
		}
		b.WriteString("\n")
	}
	if len(t.ChangedColumns) > 0 {
		b.WriteString("  columns:")
		for i, c := range t.ChangedColumns {
			fmt.Fprintf(b, "%s %s in %s", [...]string{"", ","}[min(i, 1)], text.Printable(c.Column), text.Rows(c.Rows))
		}
		b.WriteString("\n")
	}
	for _, s := range t.Samples {
		fmt.Fprintf(b, "  %-9s %s", text.Printable(string(s.Kind)), store.FormatCells(s.Key))
		if s.State != DiffUnknown {
			fmt.Fprintf(b, " [%s]", text.Printable(string(s.State)))
		}
		if s.Rows > 1 {
			fmt.Fprintf(b, " (%s rows)", text.Count(s.Rows))
		}
		b.WriteString("\n")
		for _, c := range s.Columns {
			fmt.Fprintf(b, "            %s: source %s, mirror %s\n", text.Printable(c.Column), c.Source.Text(), c.Mirror.Text())
		}
	}
	if more := t.DifferingRows() - sampled(t.Samples); more > 0 {
		fmt.Fprintf(b, "  and %s more\n", text.Count(more))
	}
}

func sampled(samples []Difference) (n int64) {
	for _, s := range samples {
		n += s.Rows
	}
	return n
}
