package mirror

import (
	"encoding/json"
	"errors"
	"time"

	"fmt"
	"slices"

	"github.com/so-mirror/mirror/internal/diff"
	"github.com/so-mirror/mirror/internal/match"
	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/store"
)

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
	Source    Side        `json:"source,omitzero"`
	Mirror    Side        `json:"mirror,omitzero"`

	// Isolation is from the writes of others: "snapshot" or "read committed", under
	// which rows that move while they are read can look different although they never
	// were; "" when the side cannot tell.
	SourceIsolation string `json:"sourceIsolation,omitempty"`
	MirrorIsolation string `json:"mirrorIsolation,omitempty"`

	Rechecked time.Time `json:"rechecked,omitzero"` // when Recheck made this report

	// Incomplete is true when the context was done, or the time was up, before every
	// table was compared. A later Compare can then go on from Checkpoint.
	Incomplete bool        `json:"incomplete,omitempty"`
	Checkpoint *Checkpoint `json:"checkpoint,omitempty"`
	Scope      Scope       `json:"scope"`

	Mistakes []string `json:"mistakes,omitempty"` // why a database is hardly the one that is meant; see Err

	// The options of the comparison.
	IgnoreColumns  []string `json:"ignoreColumns,omitempty"`
	SchemaPrefixes []string `json:"schemaPrefixes,omitempty"`
	LooseTypes     bool     `json:"looseTypes,omitempty"`
	SourceIsCopy   bool     `json:"sourceIsCopy,omitempty"`

	Warnings []string      `json:"warnings,omitempty"` // findings that concern no row
	Tables   []TableReport `json:"tables"`             // by name
}

// Scope says what a comparison looked at.
type Scope struct {
	Tables     int      `json:"tables"`               // of both sides together, without the metadata table
	Compared   int      `json:"compared"`             // of them to the end, as far as Depth goes
	LeftOut    int      `json:"leftOut,omitempty"`    // columns not compared at DepthRows, unasked
	OnlyTables []string `json:"onlyTables,omitempty"` // CompareOptions.Tables
	SkipTables []string `json:"skipTables,omitempty"` // CompareOptions.SkipTables
}

// Side is one side of a comparison. By its tables it was found to have the Role of a
// "customer", a "mirror" (then of ContextID), a "replica" of the newer client, or
// "unknown".
type Side struct {
	store.Identity

	Role      string `json:"role,omitempty"`
	ContextID string `json:"contextId,omitempty"`
}

// TableReport is what Compare found about one table. Counts are of rows and
// exact. At DepthRows
//
//	SourceRows = equal + Changed + Missing
//	MirrorRows = equal + Changed + Extra + Duplicate
type TableReport struct {
	// Table is the mirror's name of the table, or the source's without its prefix when
	// the mirror does not have it. MirrorName has the mirror's schema, too, or is "".
	Table      string  `json:"table"`
	Verdict    Verdict `json:"verdict"`
	MirrorName string  `json:"mirrorName,omitempty"`

	Reason  string `json:"reason,omitempty"`  // of not-mirrored, incomparable, failed and unfinished
	Warning string `json:"warning,omitempty"` // what else is to be known, such as why nothing is known to be pending
	Err     error  `json:"-"`                 // behind VerdictFailed and VerdictUnfinished

	LSN      *store.LSN `json:"lsn,omitempty"`      // before its rows were last read; nil when it has none
	LSNState LSNState   `json:"lsnState,omitempty"` // what the source's change tracking makes of it

	// Stayed says that the columns or the key still differ after so many cycles that
	// one must have tried to mend them, Populated how often a cycle was seen to
	// populate the table after its LSN was -1 (see Recheck and package heal).
	Stayed    bool `json:"stayed,omitempty"`
	Populated int  `json:"populated,omitempty"`

	// MetadataRows is how many rows the metadata table has for the table, normally
	// one. MetadataDoubt says why it is not known which are its own, or what they hold:
	// HasMetadata, MetadataRows and LSN then mean nothing, and nothing resets the table.
	HasMetadata   bool   `json:"hasMetadata"`
	MetadataRows  int    `json:"metadataRows,omitempty"`
	MetadataDoubt string `json:"metadataDoubt,omitempty"`

	RowBytes int64    `json:"rowBytes,omitempty"` // about how many bytes of values a source row has; 0 when none was read
	Key      []string `json:"key,omitempty"`      // the columns that identify a row
	Keyless  bool     `json:"keyless,omitempty"`  // there is no primary key, and Key is all compared columns

	// SourceRows and MirrorRows are 0 where they were not counted: for not-mirrored
	// and failed tables, and at DepthSchema. See [CompareOptions].Since, too.
	SourceRows int64 `json:"sourceRows"`
	MirrorRows int64 `json:"mirrorRows"`

	Missing   int64 `json:"missing"`   // at the source only
	Extra     int64 `json:"extra"`     // in the mirror only
	Changed   int64 `json:"changed"`   // on both sides, with different values
	Duplicate int64 `json:"duplicate"` // by which the mirror has a key of the source more often than it

	Pending  int64 `json:"pending,omitempty"`  // of these differences are known to go away by themselves
	Diverged int64 `json:"diverged,omitempty"` // of them are known to stay; of the rest nothing is known

	// Truncated says that MaxDifferences ended the comparison: there are at least so
	// many differences. SourceRows and MirrorRows are exact all the same.
	Truncated bool `json:"truncated,omitempty"`

	Strategy       Strategy `json:"strategy,omitempty"`       // by which all rows were compared
	StrategyReason string   `json:"strategyReason,omitempty"` // why, where that was not simply asked for

	Basis *Basis `json:"basis,omitempty"` // with CompareOptions.Since; nil: all rows were compared

	ChangedColumns []ColumnCount      `json:"changedColumns,omitempty"` // in how many of the Changed rows each differs
	Schema         []SchemaDifference `json:"schema,omitempty"`         // the order of columns and their defaults do not count
	NotCompared    []Omission         `json:"notCompared,omitempty"`    // every column whose values were not compared

	// Samples are the first differing rows in key order. Differences are the differing
	// keys, in key order, as many as MaxKeys allows; tables without a key have none.
	Samples     []Difference `json:"samples,omitempty"`
	Differences []Difference `json:"differences,omitempty"`

	// Stretches say where in the table's keys rows differ: at most 64, in key order,
	// with all that differs, whatever MaxKeys is. A table without a key has none. They
	// are the same by each Strategy.
	Stretches []Stretch `json:"stretches,omitempty"`

	// Range is the table's range of keys. It is nil without Stretches and where it is
	// not known: not all rows were compared, as where Truncated, or they were joined or
	// digested and the source could not say its last key.
	Range *KeyRange `json:"range,omitempty"`

	Elapsed time.Duration `json:"-"` // seconds in JSON

	trace trace
}

// trace is what a later call of the library needs of a table, and nobody else.
type trace struct {
	LastLSN     *store.LSN `json:"lastLsn,omitempty"`     // when it was last looked at
	Moves       int        `json:"moves,omitempty"`       // of the LSN that were seen since the rows were compared
	ResetFrom   *store.LSN `json:"resetFrom,omitempty"`   // the LSN before it was last seen to be -1
	MetadataSum string     `json:"metadataSum,omitempty"` // identifies the metadata rows when they were last looked at
	Read        int64      `json:"read,omitempty"`        // rows of the mirror that were compared, where Truncated

	standing `json:"standing,omitzero"`
}

// seconds is the JSON form of a time.
type seconds struct {
	Elapsed float64 `json:"elapsed"`
}

// MarshalJSON has what a later call of the library needs beside the fields.
func (t TableReport) MarshalJSON() ([]byte, error) {
	type fields TableReport
	return json.Marshal(struct {
		fields
		trace
		seconds
	}{fields(t), t.trace, seconds{t.Elapsed.Seconds()}})
}

// UnmarshalJSON parses what MarshalJSON returns.
func (t *TableReport) UnmarshalJSON(data []byte) error {
	type fields TableReport
	var j struct {
		fields
		trace
		seconds
	}
	if err := json.Unmarshal(data, &j); err != nil {
		return err
	}
	*t = TableReport(j.fields)
	t.trace, t.Elapsed = j.trace, text.Seconds(j.seconds.Elapsed)
	return nil
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
	Column string `json:"column,omitempty"` // "" for the primary key
	What   string `json:"what"`             // "missing column", "extra column", "type", "nullability" or "primary key"
	Source string `json:"source,omitempty"` // the definition there
	Mirror string `json:"mirror,omitempty"`
}

// Omission is a column that was not compared, and why.
type Omission struct {
	Column    string `json:"column"`
	Reason    string `json:"reason"`
	Requested bool   `json:"requested,omitempty"` // by CompareOptions.IgnoreColumns
}

// DiffKind is how a row differs.
type DiffKind string

const (
	DiffMissing   DiffKind = "missing"
	DiffExtra     DiffKind = "extra"
	DiffChanged   DiffKind = "changed"
	DiffDuplicate DiffKind = "duplicate"
)

// ChangedColumn is a column with its values on both sides.
type ChangedColumn struct {
	Column string     `json:"column"`
	Source store.Cell `json:"source"`
	Mirror store.Cell `json:"mirror"`
}

// Stale returns the tables that the [Plan] resets without being asked for more,
// ready for ResetTables: none of which it is not known yet whether they need it, and
// none that need a hard reset. Look at Err first.
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
	if t.trace.LastLSN != nil {
		return t.trace.LastLSN
	}
	return t.LSN
}

// Unknown is how many rows differ of which a Recheck after the next cycles can
// find out whether one brings them. Others have to be compared again: those of
// tables without a key, those beyond CompareOptions.MaxKeys, and what was only
// counted. Rows of tables that are reset whatever they are do not count.
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

// DifferingRows is how many rows differ, in whatever way.
func (t *TableReport) DifferingRows() int64 { return t.Missing + t.Extra + t.Changed + t.Duplicate }

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

// DiffState says whether a difference goes away by itself.
type DiffState string

const (
	DiffUnknown  DiffState = ""         // nothing is known yet; Recheck can find out
	DiffPending  DiffState = "pending"  // the next cycle sends the row, which was changed after the LSN, or the whole table
	DiffArrived  DiffState = "arrived"  // it was pending, and counts so: Recheck found both sides equal
	DiffDiverged DiffState = "diverged" // no cycle sends the row, unless it is changed again or its table is reset
)

// Difference is a key whose rows differ.
type Difference struct {
	Kind  DiffKind  `json:"kind"`
	State DiffState `json:"state,omitempty"`

	// Key is the whole key, in the order of TableReport.Key. In a sample long values
	// of it are cut, and Columns are those that differ in a changed row.
	Key     []store.Cell    `json:"key"`
	Rows    int64           `json:"rows"` // more than 1 only where a key repeats
	Columns []ChangedColumn `json:"columns,omitempty"`
	Sum     string          `json:"sum,omitempty"` // identifies the values of both sides, for Recheck
}

// check refuses a table's report that no comparison can have made.
func (t *TableReport) check() error {
	f := diff.Findings{
		SourceRows: t.SourceRows, MirrorRows: t.MirrorRows, Missing: t.Missing, Extra: t.Extra, Changed: t.Changed,
		Duplicate: t.Duplicate, Pending: t.Pending, Diverged: t.Diverged,
	}
	if t.Truncated { // its rows were counted later than its differences
		f.SourceRows, f.MirrorRows = diff.MaxCount, diff.MaxCount
	}
	if t.Verdict == VerdictExtra || t.Verdict == VerdictMissing || t.Pending > 0 && t.DifferingRows() == 0 {
		f.Pending = 0 // of numbers of rows
	}
	if err := f.Check(); err != nil {
		return err
	}
	if err := t.checkStretches(); err != nil {
		return err
	}
	var kept int64
	seen := map[string]bool{}
	for _, d := range t.Differences {
		if id := string(d.Kind) + d.Sum + store.FormatCells(d.Key); seen[id] {
			return fmt.Errorf("the difference %s is there twice", store.FormatCells(d.Key))
		} else {
			seen[id] = true
		}
		if d.Rows < 1 || d.Rows > diff.MaxCount || !slices.Contains([]DiffState{DiffUnknown, DiffPending, DiffArrived, DiffDiverged}, d.State) {
			return fmt.Errorf("a difference has %d rows and the state %q", d.Rows, text.Clip(string(d.State), text.MaxName))
		}
		if len(d.Key) == 0 {
			return errors.New("a difference has no key")
		}
		kept += d.Rows
	}
	switch {
	case !slices.Contains(verdicts, t.Verdict):
		return fmt.Errorf("unknown verdict %q", text.Clip(string(t.Verdict), text.MaxName))
	case kept > t.differences(), t.Verdict == VerdictIdentical && t.differences() > 0:
		return fmt.Errorf("its counts contradict each other")
	default:
		return nil
	}
}

// differencesOf returns what the engine found as a report has it.
func differencesOf(found []diff.Difference) []Difference {
	var out []Difference
	for _, f := range found {
		d := Difference{Kind: DiffKind(f.Kind), State: DiffState(f.State), Key: f.Key, Rows: f.Rows, Sum: f.Sum}
		for _, c := range f.Columns {
			d.Columns = append(d.Columns, ChangedColumn(c))
		}
		out = append(out, d)
	}
	return out
}

// describe writes what was found out about a table's definitions into its report.
func (t *TableReport) describe(p *match.Plan) {
	t.Schema, t.Keyless = schemaOf(p), p.Keyless
	for _, o := range p.NotCompared {
		t.NotCompared = append(t.NotCompared, Omission(o))
	}
	for _, col := range p.Source.Columns[:p.Key] {
		t.Key = append(t.Key, col.Name)
	}
	for _, w := range p.Warnings {
		t.warn(w)
	}
}

// schemaOf returns in what a table's definitions differ as a report has it.
func schemaOf(p *match.Plan) []SchemaDifference {
	var out []SchemaDifference
	for _, d := range p.Schema {
		out = append(out, SchemaDifference(d))
	}
	return out
}

// fill writes what was found into the report of its table.
func (t *TableReport) fill(f diff.Findings, columns []store.Column) {
	t.SourceRows, t.MirrorRows = f.SourceRows, f.MirrorRows
	t.Missing, t.Extra, t.Changed, t.Duplicate = f.Missing, f.Extra, f.Changed, f.Duplicate
	t.Pending, t.Diverged = f.Pending, f.Diverged
	t.Samples, t.Differences = differencesOf(f.Samples), differencesOf(f.Keys)
	t.Stretches = stretchesOf(f.Bins)
	if f.Sampled > 0 {
		t.RowBytes = f.Bytes / f.Sampled
	}
	for i, n := range f.Columns {
		if n > 0 {
			t.ChangedColumns = append(t.ChangedColumns, ColumnCount{Column: columns[i].Name, Rows: n})
		}
	}
}
