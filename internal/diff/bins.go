package diff

import (
	"cmp"
	"errors"
	"slices"

	"github.com/so-mirror/mirror/store"
)

// MaxBins bounds how many bins there are.
const MaxBins = 64

// Bins count what differs by where it is. A bin has 2^Shift places (see Table.Place),
// and Shift is the least for which no more than MaxBins have any rows. So it depends
// on nothing but which keys differ: bins that are found apart, in any ranges and any
// order, become the same ones.
type Bins struct {
	Shift uint  `json:"shift"`
	Bins  []Bin `json:"bins"` // in order
}

// Bin is a stretch of keys in which rows differ. What has arrived is not counted, so
// that one may be empty.
type Bin struct {
	At    uint64       `json:"at"`    // of its places, without the last Shift bits
	First []store.Cell `json:"first"` // the first and the last key that was found to differ
	Last  []store.Cell `json:"last"`

	Missing   int64 `json:"missing,omitempty"`
	Extra     int64 `json:"extra,omitempty"`
	Changed   int64 `json:"changed,omitempty"`
	Duplicate int64 `json:"duplicate,omitempty"`
	Pending   int64 `json:"pending,omitempty"`
}

// Rows is how many rows differ.
func (b *Bin) Rows() int64 { return b.Missing + b.Extra + b.Changed + b.Duplicate }

func (b *Bin) count(kind Kind) *int64 {
	return Counter(kind, &b.Missing, &b.Extra, &b.Changed, &b.Duplicate)
}

// Counter picks the counter of a kind.
func Counter(kind Kind, missing, extra, changed, duplicate *int64) *int64 {
	switch kind {
	case Missing:
		return missing
	case Extra:
		return extra
	case Changed:
		return changed
	default:
		return duplicate
	}
}

// join adds a bin behind b.
func (b *Bin) join(c Bin) {
	b.Missing += c.Missing
	b.Extra += c.Extra
	b.Changed += c.Changed
	b.Duplicate += c.Duplicate
	b.Pending += c.Pending
	b.Last = c.Last
}

// IsZero reports whether there are none.
func (b Bins) IsZero() bool { return len(b.Bins) == 0 }

// find returns the bin of a place, nil for none.
func (b *Bins) find(place uint64) *Bin {
	at := place >> b.Shift
	if n := len(b.Bins) - 1; n >= 0 && b.Bins[n].At == at { // keys come in order
		return &b.Bins[n]
	}
	i, ok := b.search(at)
	if !ok {
		return nil
	}
	return &b.Bins[i]
}

func (b *Bins) search(at uint64) (int, bool) {
	return slices.BinarySearchFunc(b.Bins, at, func(b Bin, at uint64) int { return cmp.Compare(b.At, at) })
}

// put adds a bin of the one place that is its At, which none is there for.
func (b *Bins) put(bin Bin) {
	bin.At >>= b.Shift
	i, _ := b.search(bin.At)
	b.Bins = slices.Insert(b.Bins, i, bin)
	for len(b.Bins) > MaxBins {
		b.coarsen(b.Shift + 1)
	}
}

// add adds the bins of keys that are not before those of b. It leaves c alone.
func (b *Bins) add(c Bins) {
	if len(c.Bins) == 0 {
		return
	}
	c.Bins = slices.Clone(c.Bins)
	b.coarsen(c.Shift)
	c.coarsen(b.Shift)
	for _, bin := range c.Bins {
		if i, ok := b.search(bin.At); ok {
			b.Bins[i].join(bin)
		} else {
			b.Bins = slices.Insert(b.Bins, i, bin)
		}
	}
	for len(b.Bins) > MaxBins {
		b.coarsen(b.Shift + 1)
	}
}

// coarsen makes the bins so wide, unless they are.
func (b *Bins) coarsen(shift uint) {
	if shift <= b.Shift {
		return
	}
	out := b.Bins[:0]
	for _, bin := range b.Bins {
		bin.At >>= shift - b.Shift
		if n := len(out) - 1; n >= 0 && out[n].At == bin.At {
			out[n].join(bin)
		} else {
			out = append(out, bin)
		}
	}
	clear(b.Bins[len(out):])
	b.Bins, b.Shift = out, shift
}

// Check refuses bins that no comparison can have made of what was found.
func (b *Bins) Check(f *Findings) error {
	if len(b.Bins) > MaxBins || b.Shift > 64 {
		return errors.New("it has more stretches than there can be")
	}
	var sum Bin
	for i := range b.Bins {
		bin := &b.Bins[i]
		for _, n := range []int64{bin.Missing, bin.Extra, bin.Changed, bin.Duplicate, bin.Pending} {
			if n < 0 || n > MaxCount {
				return errors.New("a count of a stretch is negative or too great")
			}
		}
		if i > 0 && b.Bins[i-1].At >= bin.At || bin.Pending > bin.Rows() {
			return errors.New("its stretches contradict each other")
		}
		sum.join(*bin)
	}
	if sum.Missing > f.Missing || sum.Extra > f.Extra || sum.Changed > f.Changed || sum.Duplicate > f.Duplicate || sum.Pending > f.Pending {
		return errors.New("its stretches have more rows than were counted")
	}
	return nil
}

// fit reports whether the keys of bins are the table's, and in their bins.
func (t *Table) fit(b Bins) bool {
	for _, bin := range b.Bins {
		for _, cells := range [][]store.Cell{bin.First, bin.Last} {
			if len(cells) != t.Key || !t.Placed() || t.Place(store.Row{cells[0].Value})>>b.Shift != bin.At {
				return false
			}
		}
	}
	return true
}

// binned counts n rows into the bin of their key.
func (m *merge) binned(kind Kind, row store.Row, n int64) (place uint64) {
	place = placeIn(m.keyed, unbox(row[0]))
	bin := m.found.Bins.find(place)
	if bin == nil {
		cells := make([]store.Cell, 2*m.table.Key)
		first, last := cells[:m.table.Key:m.table.Key], cells[m.table.Key:]
		for i := range first {
			first[i] = Short(store.NewCell(m.table.Source.Columns[i], unbox(row[i])))
		}
		copy(last, first)
		b := Bin{At: place, First: first, Last: last}
		*b.count(kind) = n
		m.found.Bins.put(b)
		return place
	}
	*bin.count(kind) += n
	for i := range bin.Last {
		c := &bin.Last[i]
		c.Value, c.Size = unbox(row[i]), 0
		*c = Short(*c)
	}
	return place
}

// coarsen makes the bins of all parts as wide as those of all of them together have
// to be, so that however many parts there are, they hold about MaxBins. It is called
// with r.mu locked.
func (r *Run) coarsen() {
	var shift uint
	for _, p := range r.parts {
		if len(p.found.Bins.Bins) > 0 {
			shift = max(shift, p.found.Bins.Shift)
		}
	}
	for ; ; shift++ {
		n, last := 0, uint64(0)
		for _, p := range r.parts {
			p.found.Bins.coarsen(shift)
			for _, b := range p.found.Bins.Bins {
				if n == 0 || b.At != last {
					n, last = n+1, b.At
				}
			}
		}
		if n <= MaxBins {
			return
		}
	}
}
