package replica

import (
	"context"
	"fmt"
	"maps"
	"sync"

	"github.com/so-mirror/mirror/internal/metadata"
	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/store"
)

// follows sees the cycles that feed a reference which is a mirror, by its LSNs.
// Other references have none: what they show is what there is.
type follows struct {
	src       store.Source
	names     metadata.Names
	table     *store.Table // the metadata table, nil for none
	catalogue []store.Table

	mu    sync.Mutex
	lsns  map[string]*store.LSN // by folded name of the table
	last  map[string]store.LSN  // the last one that was valid
	moves map[string]int        // how often each LSN was seen to grow
	named map[string]bool       // tables that have a metadata row
	err   error                 // why they could not be read the last time
}

func newFollows(src store.Source, names metadata.Names, catalogue []store.Table) *follows {
	return &follows{
		src: src, names: names, catalogue: catalogue,
		lsns: map[string]*store.LSN{}, last: map[string]store.LSN{}, moves: map[string]int{}, named: map[string]bool{},
	}
}

// mark is what the LSNs were at some time, and how often each had been seen to
// grow by then. All is nil where they could not be read.
type mark struct {
	lsns  map[string]*store.LSN
	moves map[string]int
}

// cycles reports whether the reference is fed by cycles.
func (f *follows) cycles() bool { return f.table != nil }

// look reads the LSNs. That it cannot is no error, but nothing has moved then.
func (f *follows) look(ctx context.Context) (*mark, error) {
	if f.table == nil {
		return &mark{}, nil
	}
	md, err := f.names.Read(ctx, f.src, *f.table, f.catalogue)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err = err; err != nil {
		return &mark{}, nil
	}
	for _, t := range f.catalogue {
		folded := store.FoldName(t.Name)
		now := md.LSN(t)
		if md.Doubt(t) != "" {
			now = nil
		}
		f.named[folded] = len(md.Of(t)) > 0 || md.Doubt(t) != ""
		f.lsns[folded] = now
		if now == nil || *now < 0 {
			continue
		}
		// One that was reset to -1 and is greater now was sent. One that is put
		// back, or that begins anew after a restore of the customer, tells nothing.
		if was, ok := f.last[folded]; ok && *now > was {
			f.moves[folded]++
		}
		f.last[folded] = *now
	}
	return &mark{maps.Clone(f.lsns), maps.Clone(f.moves)}, nil
}

// lsn is a table's LSN at the time of m, nil for none.
func (m *mark) lsn(t *store.Table) *store.LSN {
	if lsn := m.lsns[store.FoldName(t.Name)]; lsn != nil && *lsn >= 0 {
		return lsn
	}
	return nil
}

// isNamed reports whether the mirror's metadata table names a table, or may; not one
// that the mirror does not have, which is nil.
func (f *follows) isNamed(t *store.Table) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return t != nil && (f.err != nil || f.named[store.FoldName(t.Name)])
}

// isValid reports whether a table of the mirror had an LSN when they were read last.
func (f *follows) isValid(t *store.Table) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	lsn := f.lsns[store.FoldName(t.Name)]
	return lsn != nil && *lsn >= 0
}

// still reports whether nothing but changes before them can have been written to
// table t between two looks: its LSN was valid, and is the same. A cycle that wipes
// the table sets it to -1, and at the end to a greater one.
func (f *follows) still(t *store.Table, before, after *mark) bool {
	if f.table == nil {
		return true
	}
	a, b := before.lsn(t), after.lsn(t)
	return a != nil && b != nil && *a == *b
}

// mayHaveWiped reports whether rows of a table that were read in a round may lack
// those that a cycle had wiped and not sent yet.
func (f *follows) mayHaveWiped(t *store.Table, r round) bool {
	return f.isNamed(t) && !f.still(t, r.before, r.after)
}

// sending is how far a mirror is known to have come.
type sending int

const (
	unknown  sending = iota
	probably         // other tables were sent so often that this one must have been quiet
	sent             // the table itself was sent
)

// othersMoves is how often the LSN of another table must grow until a table that
// does not move is taken for quiet. A cycle sends one table after the other: the
// first may have begun before, the second is over when the third begins, and one of
// them may have stopped in the middle.
const othersMoves = 4

// passed reports whether a cycle that began after m has sent table t by the time of
// now. The table's own LSN must have grown twice, because a cycle that ends may have
// begun before. The LSN of a table that is quiet does not move: then those of other
// tables tell, though not whether the mirror fails at this one each time.
func (f *follows) passed(t *store.Table, m, now *mark) sending {
	if f.table == nil {
		return sent
	}
	if m == nil || t == nil || now.lsn(t) == nil {
		return unknown // the next cycle sends all of it, or none does
	}
	folded := store.FoldName(t.Name)
	if now.moves[folded]-m.moves[folded] >= 2 {
		return sent
	}
	for other, n := range now.moves {
		if n-m.moves[other] >= othersMoves {
			return probably
		}
	}
	return unknown
}

// why says why differences of a table are not settled by the reference.
func (f *follows) why(t *store.Table) string {
	switch {
	case f.table == nil || t == nil:
		return ""
	case f.err != nil:
		return fmt.Sprintf("the old mirror's metadata table cannot be read: %v", text.Err(f.err))
	}
	switch lsn := f.lsns[store.FoldName(t.Name)]; {
	case lsn == nil:
		return "the old mirror has no LSN for the table"
	case *lsn < 0:
		return "the old mirror sends the whole table with its next cycle"
	case len(f.moves) == 0:
		return "no cycle of the old mirror was seen to end"
	default:
		return "too few cycles of the old mirror ended"
	}
}
