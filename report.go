package mirror

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/store"
)

// Verdict is what Compare found about one table.
type Verdict string

// The verdicts.
const (
	// VerdictIdentical: the two sides are the same, as far as Depth goes.
	VerdictIdentical Verdict = "identical"

	// VerdictPending: rows differ, and every difference goes away by itself:
	// the next cycle sends the rows that differ, or the whole table because
	// its LSN is -1.
	VerdictPending Verdict = "pending"

	// VerdictDifferent: rows differ, and not all of them are known to be
	// pending.
	VerdictDifferent Verdict = "different"

	// VerdictMissing: the source has the table, the mirror does not.
	VerdictMissing Verdict = "missing"

	// VerdictExtra: the mirror has the table, the source does not. The next
	// cycle drops such a table.
	VerdictExtra Verdict = "extra"

	// VerdictSchemaDiffers: columns or primary keys differ. Rows are
	// compared all the same, by the columns that both sides have.
	VerdictSchemaDiffers Verdict = "schema-differs"

	// VerdictNotMirrored: the table is never mirrored, or was skipped by
	// request. That the mirror does not have it means nothing.
	VerdictNotMirrored Verdict = "not-mirrored"

	// VerdictIncomparable: the rows cannot be compared; the Reason says why.
	VerdictIncomparable Verdict = "incomparable"

	// VerdictFailed: reading failed; Err and Reason say why.
	VerdictFailed Verdict = "failed"

	// VerdictUnfinished: the comparison was stopped before the table was
	// compared to its end; Err and Reason say by what.
	VerdictUnfinished Verdict = "unfinished"
)

// LSNState is what a source's change tracking makes of a table's LSN.
type LSNState string

// The states of an LSN; "" is a valid one, or one that nothing is known about.
const (
	// LSNExpired: the changes since the LSN are no longer known. Whether the
	// next cycle sends the whole table then is documented for a mirror that
	// was away, and not for a table that merely was quiet; so what differs is
	// unknown until a cycle was seen to populate the table, and only a reset
	// makes sure that it does.
	LSNExpired LSNState = "expired"

	// LSNAhead: the source has not got that far, so it was restored from an
	// older backup. The table needs a reset: once the source has passed the
	// LSN, the Mirroring Task no longer notices.
	LSNAhead LSNState = "ahead"
)

var verdicts = []Verdict{VerdictIdentical, VerdictPending, VerdictDifferent, VerdictSchemaDiffers, VerdictMissing,
	VerdictExtra, VerdictIncomparable, VerdictFailed, VerdictUnfinished, VerdictNotMirrored}

const reportVersion = 1

// Report is the result of a comparison. Its JSON form is stable: fields are
// added, never renamed, and Version grows when their meaning changes.
type Report struct {
	Version   int         `json:"version"`
	ContextID string      `json:"contextId"`
	Depth     Depth       `json:"depth"`
	Strategy  Strategy    `json:"strategy,omitempty"` // that was asked for
	Started   time.Time   `json:"started"`
	Finished  time.Time   `json:"finished"`
	State     MirrorState `json:"state"`

	// Source and Mirror are the two sides as Compare found them.
	Source Side `json:"source,omitzero"`
	Mirror Side `json:"mirror,omitzero"`

	// SourceIsolation and MirrorIsolation say how reads were isolated from
	// the writes of others, such as "snapshot" or "read committed"; "" when
	// the side cannot tell. Under read committed, rows that move while they
	// are read can look different although they never were.
	SourceIsolation string `json:"sourceIsolation,omitempty"`
	MirrorIsolation string `json:"mirrorIsolation,omitempty"`

	// Rechecked is when Recheck made this report, or zero.
	Rechecked time.Time `json:"rechecked,omitzero"`

	// Incomplete is true when the context was done, or the time was up, before
	// every table was compared. Checkpoint is then what a later Compare can
	// resume from.
	Incomplete bool        `json:"incomplete,omitempty"`
	Checkpoint *Checkpoint `json:"checkpoint,omitempty"`

	// Scope says what was compared and what was left out by request.
	Scope Scope `json:"scope"`

	// Mistakes are sentences that say why one of the databases is hardly the
	// one that is meant: the metadata table is that of another customer, or a
	// side lacks many tables. With one of them Err is ErrWrongDatabase.
	Mistakes []string `json:"mistakes,omitempty"`

	// IgnoreColumns, SchemaPrefixes, LooseTypes and SourceIsCopy are those of
	// the options.
	IgnoreColumns  []string `json:"ignoreColumns,omitempty"`
	SchemaPrefixes []string `json:"schemaPrefixes,omitempty"`
	LooseTypes     bool     `json:"looseTypes,omitempty"`
	SourceIsCopy   bool     `json:"sourceIsCopy,omitempty"`

	// Warnings are findings that concern no row, such as a metadata table of
	// an unexpected shape.
	Warnings []string `json:"warnings,omitempty"`

	// Tables are sorted by name.
	Tables []TableReport `json:"tables"`
}

// Scope says what a comparison looked at.
type Scope struct {
	// Tables is how many tables the two sides have together, without the
	// metadata table.
	Tables int `json:"tables"`

	// Compared is how many of them were compared to the end on both sides, as
	// far as Depth goes.
	Compared int `json:"compared"`

	// LeftOut is how many columns of tables that were compared to the end at
	// DepthRows were left out although nobody asked for it; TableReport.NotCompared
	// names them.
	LeftOut int `json:"leftOut,omitempty"`

	// OnlyTables and SkipTables are CompareOptions.Tables and SkipTables;
	// CompareOptions.IgnoreColumns are in the Report itself.
	OnlyTables []string `json:"onlyTables,omitempty"`
	SkipTables []string `json:"skipTables,omitempty"`
}

// Side is one side of a comparison.
type Side struct {
	store.Identity

	// Role is what the side was found to be by its tables: "customer" for a
	// customer's database, "mirror" for the mirror of ContextID, "replica" for a
	// replica of the newer client, or "unknown".
	Role string `json:"role,omitempty"`

	// ContextID is the customer's context identifier that the name of a
	// mirror's metadata table tells, "" for the other roles.
	ContextID string `json:"contextId,omitempty"`
}

// TableReport is what Compare found about one table. Counts are of rows and
// exact. At DepthRows
//
//	SourceRows = equal + Changed + Missing
//	MirrorRows = equal + Changed + Extra + Duplicate
type TableReport struct {
	// Table is the mirror's name of the table, or the source's without its
	// prefix when the mirror does not have it.
	Table   string  `json:"table"`
	Verdict Verdict `json:"verdict"`

	// MirrorName is the mirror's name of the table with its schema, "" when
	// the mirror does not have it.
	MirrorName string `json:"mirrorName,omitempty"`

	// Reason explains not-mirrored, incomparable and failed.
	Reason string `json:"reason,omitempty"`

	// Warning is what else is to be known, such as why differences could not
	// be told to be pending or not.
	Warning string `json:"warning,omitempty"`

	// Err is the error behind VerdictFailed and VerdictUnfinished.
	Err error `json:"-"`

	// LSN is the table's LSN before its rows were last read; nil when it has
	// none.
	LSN *store.LSN `json:"lsn,omitempty"`

	// LSNState says what the source's change tracking makes of the LSN.
	LSNState LSNState `json:"lsnState,omitempty"`

	// LastLSN is the LSN when it was last looked at, and Moves how often it
	// was seen to change since the rows were compared (see Recheck).
	LastLSN *store.LSN `json:"lastLsn,omitempty"`
	Moves   int        `json:"moves,omitempty"`

	// Stayed says that the columns or the key still differ after so many
	// cycles that one must have tried to mend them, Populated how often a cycle
	// was seen to populate the table after its LSN was -1 (see Recheck and
	// Heal), and ResetFrom is the LSN before it was last seen to be -1.
	Stayed    bool       `json:"stayed,omitempty"`
	Populated int        `json:"populated,omitempty"`
	ResetFrom *store.LSN `json:"resetFrom,omitempty"`

	// HasMetadata says whether the metadata table has a row for the table.
	HasMetadata bool `json:"hasMetadata"`

	// MetadataRows is how many rows the metadata table has for the table,
	// normally one, and MetadataSum identifies them, when they were last looked
	// at: a Plan is applied only to a table whose rows are still these.
	MetadataRows int    `json:"metadataRows,omitempty"`
	MetadataSum  string `json:"metadataSum,omitempty"`

	// MetadataDoubt says why it is not known which metadata rows are the
	// table's, or what they hold; "" when it is. HasMetadata, MetadataRows and LSN
	// mean nothing then, and nothing resets the table.
	MetadataDoubt string `json:"metadataDoubt,omitempty"`

	// RowBytes is about how many bytes of values a row of the source has, from
	// the first rows of each range that was read; 0 when none was.
	RowBytes int64 `json:"rowBytes,omitempty"`

	// Key are the columns that identify a row. Keyless says that the table
	// has no primary key and that they are all compared columns.
	Key     []string `json:"key,omitempty"`
	Keyless bool     `json:"keyless,omitempty"`

	// SourceRows and MirrorRows are 0 where they were not counted: for
	// not-mirrored and failed tables, and at DepthSchema.
	SourceRows int64 `json:"sourceRows"`
	MirrorRows int64 `json:"mirrorRows"`

	// Missing rows are at the source only, Extra rows in the mirror only,
	// Changed rows on both sides with different values. Duplicate rows are
	// those by which the mirror has a key of the source more often than the
	// source.
	Missing   int64 `json:"missing"`
	Extra     int64 `json:"extra"`
	Changed   int64 `json:"changed"`
	Duplicate int64 `json:"duplicate"`

	// Pending of these differences are known to go away by themselves, Diverged
	// are known to stay (see DiffState). Of the rest nothing is known.
	Pending  int64 `json:"pending,omitempty"`
	Diverged int64 `json:"diverged,omitempty"`

	// Truncated says that MaxDifferences ended the comparison of rows: there
	// are at least so many differences. SourceRows and MirrorRows are exact.
	// Read is then how many rows of the mirror were compared.
	Truncated bool  `json:"truncated,omitempty"`
	Read      int64 `json:"read,omitempty"`

	// Strategy is how the rows were compared, StrategyReason why, where that
	// was not simply asked for.
	Strategy       Strategy `json:"strategy,omitempty"`
	StrategyReason string   `json:"strategyReason,omitempty"`

	// ChangedColumns says in how many of the Changed rows a column differs.
	ChangedColumns []ColumnCount `json:"changedColumns,omitempty"`

	// Schema are the differences of columns and keys. The order of columns
	// and their defaults do not count.
	Schema []SchemaDifference `json:"schema,omitempty"`

	// NotCompared names every column whose values were not compared.
	NotCompared []Omission `json:"notCompared,omitempty"`

	// Samples are the first differing rows in key order.
	Samples []Sample `json:"samples,omitempty"`

	// Differences are the differing keys, in key order, as many as MaxKeys
	// allows. Tables without a key have none.
	Differences []Difference `json:"differences,omitempty"`

	// Elapsed is the time that this table took.
	Elapsed Duration `json:"elapsed"`
}

// warn adds a sentence to the warning.
func (t *TableReport) warn(what string) {
	if t.Warning != "" {
		what = t.Warning + "; " + what
	}
	t.Warning = what
}

// ColumnCount is a number of rows that concern a column.
type ColumnCount struct {
	Column string `json:"column"`
	Rows   int64  `json:"rows"`
}

// SchemaDifference is one difference between the definitions of a table.
type SchemaDifference struct {
	// Column is the column, "" for the primary key.
	Column string `json:"column,omitempty"`

	// What is "missing column", "extra column", "type", "nullability" or
	// "primary key".
	What string `json:"what"`

	// Source and Mirror are the two definitions.
	Source string `json:"source,omitempty"`
	Mirror string `json:"mirror,omitempty"`
}

// Omission is a column that was not compared, and why.
type Omission struct {
	Column string `json:"column"`
	Reason string `json:"reason"`

	// Requested says that CompareOptions.IgnoreColumns named it.
	Requested bool `json:"requested,omitempty"`
}

// DiffKind is how a row differs.
type DiffKind string

// The kinds of differences.
const (
	DiffMissing   DiffKind = "missing"
	DiffExtra     DiffKind = "extra"
	DiffChanged   DiffKind = "changed"
	DiffDuplicate DiffKind = "duplicate"
)

// Sample is one differing row.
type Sample struct {
	Kind  DiffKind     `json:"kind"`
	State DiffState    `json:"state,omitempty"`
	Key   []store.Cell `json:"key"`

	// Rows is how many such rows there are, more than 1 only where a key
	// repeats.
	Rows int64 `json:"rows"`

	// Columns are the columns that differ in a changed row.
	Columns []ChangedColumn `json:"columns,omitempty"`

	// Sum is that of its Difference, "" without a key.
	Sum string `json:"sum,omitempty"`
}

// ChangedColumn is a column with its values on both sides.
type ChangedColumn struct {
	Column string     `json:"column"`
	Source store.Cell `json:"source"`
	Mirror store.Cell `json:"mirror"`
}

// Duration is a time.Duration whose JSON form is seconds.
type Duration time.Duration

// String returns the duration in a unit that suits its size: "1.24s".
func (d Duration) String() string {
	t := time.Duration(d)
	switch {
	case t >= time.Minute:
		return t.Round(time.Second).String()
	case t >= time.Second:
		return t.Round(10 * time.Millisecond).String()
	case t >= time.Millisecond:
		return t.Round(100 * time.Microsecond).String()
	default:
		return t.Round(time.Microsecond).String()
	}
}

// MarshalJSON returns the duration in seconds.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(d).Seconds()) }

// UnmarshalJSON parses seconds.
func (d *Duration) UnmarshalJSON(data []byte) error {
	var s float64
	if err := json.Unmarshal(data, &s); err != nil {
		return err
	}
	*d = Duration(math.Round(s * float64(time.Second)))
	return nil
}

// Identical reports whether every table that is mirrored was compared to the
// end and found identical, as far as Depth goes, and whether there was one at
// all: nothing compared proves nothing. It is false with Mistakes, and when a
// column was left out at DepthRows that IgnoreColumns does not name: be it of a
// type that cannot be compared, computed by the database, or a rowversion. What
// was not looked at is not known to be the same, and whoever knows that it need
// not be says so with IgnoreColumns.
func (r *Report) Identical() bool {
	return r.verdictsIdentical() && r.leftOut() == 0
}

// leftOut is how many columns were left out that nobody asked to leave out.
func (r *Report) leftOut() (n int) {
	for i := range r.Tables {
		if t := &r.Tables[i]; r.Depth == DepthRows && t.compared() {
			for _, o := range t.NotCompared {
				if !o.Requested {
					n++
				}
			}
		}
	}
	return n
}

// compared reports whether a table was compared to the end on both sides.
func (t *TableReport) compared() bool {
	switch t.Verdict {
	case VerdictIdentical, VerdictPending, VerdictDifferent:
		return true
	case VerdictSchemaDiffers:
		return t.Reason == ""
	default:
		return false
	}
}

// measure sums up what was compared.
func (r *Report) measure() {
	r.Scope.Compared, r.Scope.LeftOut = 0, r.leftOut()
	for i := range r.Tables {
		if r.Tables[i].compared() {
			r.Scope.Compared++
		}
	}
}

// verdictsIdentical reports whether every verdict is that nothing differs.
func (r *Report) verdictsIdentical() bool {
	identical := false
	for _, t := range r.Tables {
		switch t.Verdict {
		case VerdictIdentical:
			identical = true
		case VerdictNotMirrored:
		default:
			return false
		}
	}
	return identical && !r.Incomplete && len(r.Mistakes) == 0
}

// Err returns an error that names every mistake about the databases (see
// Mistakes), which is ErrWrongDatabase, and every table that could not be
// compared, or how many there are that one reason kept from it; nil when there is none. It is a [LimitError] as well when so much
// differs that the source may be the wrong database. It wraps the errors of tables
// that failed. Stale says nothing about such tables.
//
// A side that lacks at least a quarter of the tables that the metadata table lists
// and the other side has, and at least 3, is such a mistake. Tables that are
// left out by Tables or SkipTables do not count.
func (r *Report) Err() error { return r.errOf(r.Plan().suspicion()) }

// Wrong returns the part of Err that is ErrWrongDatabase, nil for none.
func (r *Report) Wrong() error {
	if err := wrong(r.Mistakes); err != nil {
		return fmt.Errorf("comparison of %s: %w", r.ContextID, err)
	}
	return nil
}

// errOf is Err, with what was found to be too much.
func (r *Report) errOf(tooMuch error) error {
	var all error
	for _, err := range []error{r.Wrong(), tooMuch, r.Failed()} {
		switch {
		case err == nil:
		case all == nil:
			all = err
		default:
			all = fmt.Errorf("%w; %w", all, err)
		}
	}
	return all
}

// Failed returns the part of Err that names the tables that could not be compared,
// nil for none.
func (r *Report) Failed() error {
	var errs, stops []error
	stopped := map[string][]string{} // tables, by why they were not reached
	for _, t := range r.Tables {
		switch {
		case t.Verdict == VerdictUnfinished:
			err := t.Err
			if err == nil {
				err = errors.New(t.Reason)
			}
			if stopped[err.Error()] == nil {
				stops = append(stops, err)
			}
			stopped[err.Error()] = append(stopped[err.Error()], t.Table)
		case t.Err != nil:
			errs = append(errs, fmt.Errorf("%s: %w", t.Table, t.Err))
		case t.Verdict == VerdictFailed, t.Verdict == VerdictIncomparable:
			errs = append(errs, fmt.Errorf("%s: %s", t.Table, t.Reason))
		}
	}
	failed := len(errs)
	for _, err := range stops {
		tables := stopped[err.Error()]
		failed += len(tables)
		if len(tables) > 1 {
			errs = append(errs, fmt.Errorf("%d unfinished: %w", len(tables), err))
		} else {
			errs = append(errs, fmt.Errorf("%s: %w", tables[0], err))
		}
	}
	switch {
	case errs != nil:
		return fmt.Errorf("comparison of %s: %d of %d tables were not compared: %w",
			r.ContextID, failed, len(r.Tables), errors.Join(errs...))
	case r.Incomplete:
		return fmt.Errorf("comparison of %s was stopped before any table was compared", r.ContextID)
	default:
		return nil
	}
}

// Stale returns the tables that the [Plan] resets without being asked for more,
// ready for ResetTables. Tables of which it is not known yet whether they need
// it are not among them, nor those that need a hard reset. Look at Err first.
func (r *Report) Stale() []string {
	var stale []string
	for _, t := range r.Plan().Tables {
		if t.Step == StepReset || t.Step == StepTruncate {
			stale = append(stale, t.Table)
		}
	}
	return stale
}

// ResetRequested reports whether the next cycle repopulates the table anyway.
func (t *TableReport) ResetRequested() bool {
	lsn := t.lastLSN()
	return lsn != nil && *lsn == store.ResendAll
}

// lastLSN is the LSN as far as it is known.
func (t *TableReport) lastLSN() *store.LSN {
	if t.LastLSN != nil {
		return t.LastLSN
	}
	return t.LSN
}

// Unknown is how many rows differ of which a Recheck after the next cycles can
// find out whether one brings them. Others have to be compared again: those of
// tables without a key, those beyond CompareOptions.MaxKeys, and what was only
// counted. It is 0 as well for rows of tables that are reset whatever they are.
func (r *Report) Unknown() int64 {
	var n int64
	for i := range r.Tables {
		t := &r.Tables[i]
		if t.Verdict != VerdictDifferent {
			continue
		}
		step, _ := r.step(i)
		if step == StepUnknown || t.LSNState == "" && (step == StepReset || step == StepTruncate) {
			n += t.reachable()
		}
	}
	return n
}

// reachable is how many rows of unknown state have a key that can be read again.
func (t *TableReport) reachable() (n int64) {
	for _, d := range t.Differences {
		if d.State == DiffUnknown {
			n += d.Rows
		}
	}
	return n
}

// unknown is how many differing rows are neither pending nor diverged.
func (t *TableReport) unknown() int64 { return t.differences() - t.Pending - t.Diverged }

// Table returns the report of a table, found as FoldName folds names, or nil.
func (r *Report) Table(name string) *TableReport {
	for i := range r.Tables {
		if store.FoldName(r.Tables[i].Table) == store.FoldName(name) {
			return &r.Tables[i]
		}
	}
	return nil
}

// String returns the text that WriteText writes.
func (r *Report) String() string { return text.Of(r) }

// WriteJSON writes the report as indented JSON.
func (r *Report) WriteJSON(w io.Writer) error { return text.WriteJSON(w, r) }

// WriteText writes the report for people: a line for each table, then what
// differs in detail.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "Comparison of %s by %s, %s, took %s\n",
		text.Printable(r.ContextID), r.means(), r.Started.Format(time.DateTime+" MST"), Duration(r.Finished.Sub(r.Started)))
	fmt.Fprintf(&b, "Source: %s\nMirror: %s\n", r.Source.text(), r.Mirror.text())
	for _, mistake := range r.Mistakes {
		fmt.Fprintf(&b, "Wrong database: %s\n", text.Printable(mistake))
	}
	fmt.Fprintf(&b, "Scope: %s\n", r.scope())
	if r.SourceIsolation+r.MirrorIsolation != "" {
		fmt.Fprintf(&b, "Read under: source %s, mirror %s\n",
			text.Printable(cmp.Or(r.SourceIsolation, "unknown")), text.Printable(cmp.Or(r.MirrorIsolation, "unknown")))
	}
	if !r.Rechecked.IsZero() {
		fmt.Fprintf(&b, "Keys that differed were read again %s\n", r.Rechecked.Format(time.DateTime+" MST"))
	}
	if r.State == MirrorAwaitingFirstCycle && r.Mistakes == nil {
		b.WriteString("There is no metadata table: the next cycle populates everything.\n")
	}
	for _, warning := range r.Warnings {
		fmt.Fprintf(&b, "Warning: %s\n", text.Printable(warning))
	}
	if r.Incomplete {
		b.WriteString("Incomplete: it was stopped before every table was compared.")
		if r.Checkpoint != nil {
			b.WriteString(" Resume it from its Checkpoint.")
		}
		b.WriteString("\n")
	}
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
		if t.Verdict == VerdictFailed || t.Verdict == VerdictUnfinished || r.Depth == DepthSchema {
			source, mirror = "-", "-"
		}
		if t.Verdict == VerdictMissing {
			mirror = "-"
		}
		if t.Verdict == VerdictExtra {
			source = "-"
		}
		g.Row(t.Table, string(t.Verdict), source, mirror,
			dash(t.Missing), dash(t.Extra), dash(t.Changed), dash(t.Duplicate), t.Elapsed.String(), strings.Join(t.notes(r.Strategy), "; "))
	}
	const align = "lrrrrrrr"
	dropped := g.Drop(4, 8, "-") // kinds of differences that no table has
	if g.Len() > 1 {
		b.WriteString(g.Text("  ", align[:len(align)-dropped]))
	}
	for _, h := range hidden {
		fmt.Fprintf(&b, "  %s: %s\n", text.Printable(h.name), text.Printable(strings.Join(h.members, ", ")))
	}
	r.writeOmissions(&b)
	for i := range r.Tables {
		r.Tables[i].writeDetail(&b)
	}
	if r.detailed() {
		b.WriteString("\n")
	}
	if len(r.Tables) > 0 || !r.Incomplete {
		fmt.Fprintf(&b, "%s\n", r.Summary())
	}
	if n := r.leftOut(); n > 0 && r.verdictsIdentical() {
		fmt.Fprintf(&b, "That is not all: %s left out that nobody asked to leave out (see IgnoreColumns).\n", plural(n, "column was", "columns were"))
	}
	if n := r.Unknown(); n > 0 {
		fmt.Fprintf(&b, "Whether %s that differ wait for the next cycle is not known: see Recheck.\n", text.Rows(n))
	}
	if command := r.replicaCommand(); command != "" {
		fmt.Fprintf(&b, "The newer client repairs its replica by itself: %s\n", command)
	}
	_, err := io.WriteString(w, b.String())
	return err
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
	switch {
	case asked == StrategyAuto && t.Strategy != "":
		notes = append(notes, string(t.Strategy)+": "+t.StrategyReason)
	case t.StrategyReason != "":
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
	return resyncCommand(text.Printable(r.ContextID), names)
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
	if more := t.Missing + t.Extra + t.Changed + t.Duplicate - sampled(t.Samples); more > 0 {
		fmt.Fprintf(b, "  and %s more\n", text.Count(more))
	}
}

func sampled(samples []Sample) (n int64) {
	for _, s := range samples {
		n += s.Rows
	}
	return n
}

func dash(n int64) string {
	if n == 0 {
		return "-"
	}
	return text.Count(n)
}
