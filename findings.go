package mirror

import (
	"database/sql/driver"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/store"
)

// DiffState says whether a difference goes away by itself.
type DiffState string

// The states of a difference.
const (
	// DiffUnknown: nothing is known yet. Recheck can find out.
	DiffUnknown DiffState = ""

	// DiffPending: the row was changed after the mirror's LSN, or the next
	// cycle sends the whole table, so the difference goes away by itself.
	DiffPending DiffState = "pending"

	// DiffArrived: Recheck found both sides equal, so the difference was
	// pending. It counts as pending.
	DiffArrived DiffState = "arrived"

	// DiffDiverged: no cycle will send the row, so the difference stays until
	// the row is changed again or its table is reset.
	DiffDiverged DiffState = "diverged"
)

// Difference is a key whose rows differ.
type Difference struct {
	Kind  DiffKind  `json:"kind"`
	State DiffState `json:"state,omitempty"`

	// Key is the whole key, in the order of TableReport.Key. In a sample long
	// values of it are cut.
	Key []store.Cell `json:"key"`

	// Rows is how many rows differ, more than 1 only where a key repeats.
	Rows int64 `json:"rows"`

	// Columns are, in a sample, the columns that differ in a changed row.
	Columns []ChangedColumn `json:"columns,omitempty"`

	// Sum identifies the values of both sides, so that Recheck can tell
	// whether it is the same difference. It is "" without a key.
	Sum string `json:"sum,omitempty"`
}

// findings are what the comparison of a range of keys found.
type findings struct {
	SourceRows int64        `json:"sourceRows"`
	MirrorRows int64        `json:"mirrorRows"`
	Missing    int64        `json:"missing,omitempty"`
	Extra      int64        `json:"extra,omitempty"`
	Changed    int64        `json:"changed,omitempty"`
	Duplicate  int64        `json:"duplicate,omitempty"`
	Pending    int64        `json:"pending,omitempty"`
	Diverged   int64        `json:"diverged,omitempty"`
	Sampled    int64        `json:"sampled,omitempty"`      // rows of the source whose size was taken
	Bytes      int64        `json:"sampledBytes,omitempty"` // their size
	Columns    []int64      `json:"columns"`                // how many rows differ in each compared column
	Samples    []Difference `json:"samples,omitempty"`
	Keys       []Difference `json:"keys,omitempty"`
}

// count returns the counter of a kind.
func (f *findings) count(kind DiffKind) *int64 {
	switch kind {
	case DiffMissing:
		return &f.Missing
	case DiffExtra:
		return &f.Extra
	case DiffChanged:
		return &f.Changed
	default:
		return &f.Duplicate
	}
}

// different is how many rows differ and are not known to be pending.
func (f *findings) different() int64 {
	return f.Missing + f.Extra + f.Changed + f.Duplicate - f.Pending
}

// size is about how many bytes a sample takes.
func (s Difference) size() int {
	cell := func(c store.Cell) int { return len(c.Column) + rowSize(store.Row{c.Value}) }
	n := 0
	for _, c := range s.Key {
		n += cell(c)
	}
	for _, c := range s.Columns {
		n += cell(c.Source) + cell(c.Mirror)
	}
	return n
}

func sampleBytes(samples []Difference) (n int64) {
	for _, s := range samples {
		n += int64(s.size())
	}
	return n
}

// settle records the state of a difference.
func (f *findings) settle(d openDifference, state DiffState) {
	switch state {
	case DiffPending, DiffArrived:
		f.Pending += d.rows
	case DiffDiverged:
		f.Diverged += d.rows
	}
	if d.sample >= 0 {
		f.Samples[d.sample].State = state
	}
	if d.kept >= 0 {
		f.Keys[d.kept].State = state
	}
}

// add adds what was found behind f in key order.
func (f *findings) add(g findings, maxSamples int) {
	f.SourceRows += g.SourceRows
	f.MirrorRows += g.MirrorRows
	f.Missing += g.Missing
	f.Extra += g.Extra
	f.Changed += g.Changed
	f.Duplicate += g.Duplicate
	f.Pending += g.Pending
	f.Diverged += g.Diverged
	f.Sampled += g.Sampled
	f.Bytes += g.Bytes
	if f.Columns == nil {
		f.Columns = slices.Clone(g.Columns)
	} else {
		for i, n := range g.Columns {
			f.Columns[i] += n
		}
	}
	f.Samples = append(f.Samples, g.Samples[:max(0, min(len(g.Samples), maxSamples-len(f.Samples)))]...)
	f.Keys = append(f.Keys, g.Keys...)
}

// clone returns a copy that later additions to f do not change.
func (f findings) clone() findings {
	f.Columns, f.Samples, f.Keys = slices.Clone(f.Columns), slices.Clone(f.Samples), slices.Clone(f.Keys)
	return f
}

// maxCount is more rows than a table can have, and small enough to be added up.
const maxCount = 1 << 53

// check refuses a table's report that no comparison can have made.
func (t *TableReport) check() error {
	f := findings{
		SourceRows: t.SourceRows, MirrorRows: t.MirrorRows, Missing: t.Missing, Extra: t.Extra, Changed: t.Changed,
		Duplicate: t.Duplicate, Pending: t.Pending, Diverged: t.Diverged,
	}
	if t.Truncated { // its rows were counted later than its differences
		f.SourceRows, f.MirrorRows = maxCount, maxCount
	}
	if t.Verdict == VerdictExtra || t.Verdict == VerdictMissing || t.Pending > 0 && t.Missing+t.Extra+t.Changed+t.Duplicate == 0 {
		f.Pending = 0 // of numbers of rows
	}
	if err := f.check(); err != nil {
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
		if d.Rows < 1 || d.Rows > maxCount || !slices.Contains([]DiffState{DiffUnknown, DiffPending, DiffArrived, DiffDiverged}, d.State) {
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

// check refuses findings that no comparison can have made.
func (f findings) check() error {
	for _, n := range append([]int64{f.SourceRows, f.MirrorRows, f.Missing, f.Extra, f.Changed, f.Duplicate, f.Pending, f.Diverged, f.Sampled, f.Bytes}, f.Columns...) {
		if n < 0 || n > maxCount {
			return fmt.Errorf("a count is %d", n)
		}
	}
	if f.Missing+f.Changed > f.SourceRows || f.Extra+f.Changed+f.Duplicate > f.MirrorRows ||
		f.Pending+f.Diverged > f.Missing+f.Extra+f.Changed+f.Duplicate {
		return fmt.Errorf("its counts contradict each other")
	}
	return nil
}

// fill writes f into the report of its table.
func (f findings) fill(t *TableReport, plan tablePlan) {
	t.SourceRows, t.MirrorRows = f.SourceRows, f.MirrorRows
	t.Missing, t.Extra, t.Changed, t.Duplicate = f.Missing, f.Extra, f.Changed, f.Duplicate
	t.Pending, t.Diverged = f.Pending, f.Diverged
	t.Samples, t.Differences = f.Samples, joined(f.Keys)
	if f.Sampled > 0 {
		t.RowBytes = f.Bytes / f.Sampled
	}
	for i, n := range f.Columns {
		if n > 0 {
			t.ChangedColumns = append(t.ChangedColumns, ColumnCount{Column: plan.source[i].Name, Rows: n})
		}
	}
}

// joined makes one difference of those that nothing tells apart: of rows that
// share a key, in two spellings or without uniqueness, and all their values.
func joined(keys []Difference) []Difference {
	type same struct {
		kind  DiffKind
		state DiffState
		sum   string
	}
	seen := make(map[same]int, len(keys))
	out := keys[:0]
	for _, d := range keys {
		id := same{d.Kind, d.State, d.Sum} // the sum is of the key, too
		if i, ok := seen[id]; ok {
			out[i].Rows += d.Rows
			continue
		}
		seen[id] = len(out)
		out = append(out, d)
	}
	return out
}

// writeValue writes a value so that different values are written differently.
func writeValue(w io.Writer, v driver.Value) {
	var head [9]byte
	number := func(tag byte, n uint64) {
		head[0] = tag
		binary.BigEndian.PutUint64(head[1:], n)
		w.Write(head[:]) //nolint:errcheck // w is a hash
	}
	switch x := v.(type) {
	case nil:
		number('n', 0)
	case int64:
		number('i', uint64(x))
	case float64:
		number('f', math.Float64bits(x))
	case bool:
		number('b', map[bool]uint64{true: 1}[x])
	case time.Time:
		_, offset := x.Zone()
		number('t', uint64(x.Unix()))
		number('o', uint64(x.Nanosecond())<<32|uint64(uint32(offset)))
	case string:
		number('s', uint64(len(x)))
		io.WriteString(w, x) //nolint:errcheck // w is a hash
	case []byte:
		number('x', uint64(len(x)))
		w.Write(x) //nolint:errcheck // w is a hash
	default:
		text := fmt.Sprintf("%T %v", x, x)
		number('?', uint64(len(text)))
		io.WriteString(w, text) //nolint:errcheck // w is a hash
	}
}
