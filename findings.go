package mirror

import (
	"fmt"
	"slices"

	"github.com/so-mirror/mirror/internal/diff"
	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/store"
)

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
	Rows    int64           `json:"rows"` // that differ, more than 1 only where a key repeats
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
	if t.Verdict == VerdictExtra || t.Verdict == VerdictMissing || t.Pending > 0 && t.Missing+t.Extra+t.Changed+t.Duplicate == 0 {
		f.Pending = 0 // of numbers of rows
	}
	if err := f.Check(); err != nil {
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

// fill writes what was found into the report of its table.
func (t *TableReport) fill(f diff.Findings, columns []store.Column) {
	t.SourceRows, t.MirrorRows = f.SourceRows, f.MirrorRows
	t.Missing, t.Extra, t.Changed, t.Duplicate = f.Missing, f.Extra, f.Changed, f.Duplicate
	t.Pending, t.Diverged = f.Pending, f.Diverged
	t.Samples, t.Differences = differencesOf(f.Samples), differencesOf(f.Keys)
	if f.Sampled > 0 {
		t.RowBytes = f.Bytes / f.Sampled
	}
	for i, n := range f.Columns {
		if n > 0 {
			t.ChangedColumns = append(t.ChangedColumns, ColumnCount{Column: columns[i].Name, Rows: n})
		}
	}
}
