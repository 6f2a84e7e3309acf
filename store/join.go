package store

import (
	"context"
	"errors"
	"fmt"
)

// Cutter is an optional capability of a [Source] that finds a place in the order of
// keys without reading what lies before it. With it Compare divides tables into ranges,
// to join them, to try digests on few rows, and to sample.
type Cutter interface {
	// Cut returns the key of the row that has n rows of q before it, nil when
	// there are no more than n. It is errors.ErrUnsupported for a key by whose
	// order the engine cannot seek. Columns, Limit and Verbatim do not count.
	Cut(ctx context.Context, q Query, n int64) (Row, error)
}

// Joiner is an optional capability of a [Source] whose engine can read the tables
// of another Source through its own connection: of a second file, or of another
// database of the same server. With it Compare has the engine find the rows that
// may differ, and only these cross over.
type Joiner interface {
	// Join makes both databases readable through one connection. What cannot be
	// reached so is an error that wraps errors.ErrUnsupported and says why:
	// another server, no permission there, a Source of another kind. It must be
	// certain that it is the mirror's database that is reached, and not one that
	// has its name.
	Join(ctx context.Context, mirror Source) (Join, error)
}

// Join is a connection to two databases. It is safe for concurrent use.
//
// A table's Query of the source comes with one of the mirror, which names the same
// columns in the same order; From and Before are those of the source. Key columns
// are not NULL and of one type on both sides.
type Join interface {
	// Suspects finds the keys of which the two sides may not have the same rows.
	// It may name a key whose rows are equal. It never leaves out one whose rows
	// differ, by EqualValues or in number, and by whatever the engine's own
	// comparison overlooks: case, trailing blanks, the sign of zero. With more
	// than limit of them, or when it cannot be sure, the range is Undecided. A
	// table that it cannot compare at all is errors.ErrUnsupported.
	Suspects(ctx context.Context, source, mirror Query, limit int) (Suspects, error)

	// Close ends the connection.
	Close() error
}

// Suspects are the keys of a range of which two sides may not have the same rows.
type Suspects struct {
	// SourceRows and MirrorRows are the numbers of rows in the range.
	SourceRows, MirrorRows int64

	// Keys are in ascending order, and each is there once.
	Keys []Row

	// Undecided says that all rows of the range have to be looked at.
	Undecided bool
}

// JoinOf returns the join of two Sources. Where there is none the error wraps
// errors.ErrUnsupported.
func JoinOf(ctx context.Context, source, mirror Source) (Join, error) {
	j, ok := source.(Joiner)
	if !ok {
		return nil, fmt.Errorf("the source cannot read another database: %w", errors.ErrUnsupported)
	}
	return j.Join(ctx, mirror)
}
