package diff

import (
	"errors"
	"fmt"
	"slices"

	"github.com/so-mirror/mirror/store"
)

// Kind is how a row differs.
type Kind string

// The kinds of differences.
const (
	Missing   Kind = "missing"
	Extra     Kind = "extra"
	Changed   Kind = "changed"
	Duplicate Kind = "duplicate" // a row of the mirror beyond those that the source has of its key
)

// State is what a Settler made of a difference.
type State string

// The states of a difference.
const (
	Unknown  State = ""
	Pending  State = "pending"
	Arrived  State = "arrived" // it was pending, and is gone
	Diverged State = "diverged"
)

// Difference is a key whose rows differ, or a distinct row of a table without
// a key.
type Difference struct {
	Kind    Kind            `json:"kind"`
	State   State           `json:"state,omitempty"`
	Key     []store.Cell    `json:"key"`
	Rows    int64           `json:"rows"`
	Columns []ChangedColumn `json:"columns,omitempty"` // in a sample
	Sum     string          `json:"sum,omitempty"`     // of the values of both sides
}

// ChangedColumn is a column with its values on both sides.
type ChangedColumn struct {
	Column string     `json:"column"`
	Source store.Cell `json:"source"`
	Mirror store.Cell `json:"mirror"`
}

// Findings are what the comparison of a range of keys found.
type Findings struct {
	SourceRows int64        `json:"sourceRows"`
	MirrorRows int64        `json:"mirrorRows"`
	Missing    int64        `json:"missing,omitempty"`
	Extra      int64        `json:"extra,omitempty"`
	Changed    int64        `json:"changed,omitempty"`
	Duplicate  int64        `json:"duplicate,omitempty"`
	Pending    int64        `json:"pending,omitempty"` // or arrived
	Diverged   int64        `json:"diverged,omitempty"`
	Sampled    int64        `json:"sampled,omitempty"`      // rows of the source whose size was taken
	Bytes      int64        `json:"sampledBytes,omitempty"` // their size
	Columns    []int64      `json:"columns"`                // how many rows differ in each compared column
	Samples    []Difference `json:"samples,omitempty"`
	Keys       []Difference `json:"keys,omitempty"`
	Bins       Bins         `json:"bins,omitzero"` // of tables that are Placed
}

// Open is a difference to be settled.
type Open struct {
	Kind Kind
	Key  store.Row
	Rows int64

	place  uint64 // of the key
	sample int    // index in Findings.Samples, or -1
	kept   int    // index in Findings.Keys, or -1
}

// OpenKey makes f.Keys[i] a difference to be settled.
func (f *Findings) OpenKey(i int, key store.Row) Open {
	return Open{Kind: f.Keys[i].Kind, Key: key, Rows: f.Keys[i].Rows, sample: -1, kept: i}
}

// Settle records the state of a difference.
func (f *Findings) Settle(d Open, state State) {
	bin := f.Bins.find(d.place)
	switch state {
	case Pending, Arrived:
		f.Pending += d.Rows
		switch {
		case bin == nil:
		case state == Pending:
			bin.Pending += d.Rows
		default:
			*bin.count(d.Kind) -= d.Rows
		}
	case Diverged:
		f.Diverged += d.Rows
	}
	if d.sample >= 0 {
		f.Samples[d.sample].State = state
	}
	if d.kept >= 0 {
		f.Keys[d.kept].State = state
	}
}

// Different is how many rows differ and are not known to be pending.
func (f *Findings) Different() int64 {
	return f.Missing + f.Extra + f.Changed + f.Duplicate - f.Pending
}

// count returns the counter of a kind.
func (f *Findings) count(kind Kind) *int64 {
	return Counter(kind, &f.Missing, &f.Extra, &f.Changed, &f.Duplicate)
}

// add adds what was found behind f in key order.
func (f *Findings) add(g Findings, maxSamples int) {
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
	f.Bins.add(g.Bins)
}

// clone returns a copy that later additions to f do not change.
func (f Findings) clone() Findings {
	f.Columns, f.Samples, f.Keys = slices.Clone(f.Columns), slices.Clone(f.Samples), slices.Clone(f.Keys)
	f.Bins.Bins = slices.Clone(f.Bins.Bins)
	return f
}

// MaxCount is more rows than a table can have, and small enough to be added up.
const MaxCount = 1 << 53

// Check refuses findings that no comparison can have made.
func (f *Findings) Check() error {
	for _, n := range append([]int64{f.SourceRows, f.MirrorRows, f.Missing, f.Extra, f.Changed, f.Duplicate, f.Pending, f.Diverged, f.Sampled, f.Bytes}, f.Columns...) {
		if n < 0 || n > MaxCount {
			return fmt.Errorf("a count is %d", n)
		}
	}
	if f.Missing+f.Changed > f.SourceRows || f.Extra+f.Changed+f.Duplicate > f.MirrorRows ||
		f.Pending+f.Diverged > f.Missing+f.Extra+f.Changed+f.Duplicate {
		return errors.New("its counts contradict each other")
	}
	return f.Bins.Check(f)
}

// joined makes one difference of those that nothing tells apart: of rows that
// share a key, in two spellings or without uniqueness, and all their values.
func joined(keys []Difference) []Difference {
	type same struct {
		kind  Kind
		state State
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

// size is about how many bytes a sample takes.
func (d Difference) size() int {
	cell := func(c store.Cell) int { return len(c.Column) + rowSize(store.Row{c.Value}) }
	n := 0
	for _, c := range d.Key {
		n += cell(c)
	}
	for _, c := range d.Columns {
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
