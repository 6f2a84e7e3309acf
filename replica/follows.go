package replica

import (
	"context"
	"fmt"
	"maps"

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

	lsns  map[string]*store.LSN // by folded name of the table
	moves map[string]int        // how often each LSN was seen to grow
	seen  bool                  // the LSNs were read once
	err   error                 // why they could not be read the last time
}

// mark is how often each LSN had been seen to grow at some time.
type mark struct{ moves map[string]int }

// cycles reports whether the reference is fed by cycles.
func (f *follows) cycles() bool { return f.table != nil }

// look reads the LSNs. That it cannot is no error, but nothing has moved then.
func (f *follows) look(ctx context.Context) error {
	if f.table == nil {
		return nil
	}
	md, err := f.names.Read(ctx, f.src, *f.table, f.catalogue)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if f.err = err; err != nil {
		return nil
	}
	for _, t := range f.catalogue {
		folded := store.FoldName(t.Name)
		now := md.LSN(t)
		if md.Doubt(t) != "" {
			now = nil
		}
		// A table that comes from -1 was reset, which is no cycle by itself.
		if was := f.lsns[folded]; f.seen && was != nil && now != nil && *was >= 0 && *now > *was {
			f.moves[folded]++
		}
		f.lsns[folded] = now
	}
	f.seen = true
	return nil
}

func (f *follows) mark() *mark { return &mark{maps.Clone(f.moves)} }

// passed reports whether a cycle that began after m has sent table t. The table's
// LSN must have grown twice since, or that of another table three times, because a
// cycle sends one table after the other, and the first may have begun before.
func (f *follows) passed(t *store.Table, m *mark) bool {
	if f.table == nil {
		return true
	}
	if m == nil || t == nil {
		return false
	}
	folded := store.FoldName(t.Name)
	if lsn := f.lsns[folded]; lsn == nil || *lsn < 0 {
		return false // the next cycle sends all of it, or none does
	}
	if f.moves[folded]-m.moves[folded] >= 2 {
		return true
	}
	for other, n := range f.moves {
		if n-m.moves[other] >= 3 {
			return true
		}
	}
	return false
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
