package replica_test

import (
	"context"
	"iter"
	"strings"

	"github.com/so-mirror/mirror/store"
)

// reading notes which columns of the state are read.
type reading struct {
	store.Source
	columns [][]string
	typed   bool // some of it was read in a way that can fail on a value
}

func (r *reading) Rows(ctx context.Context, q store.Query) iter.Seq2[[]store.Row, error] {
	if strings.HasSuffix(q.Table.Name, "_ReplicationState") {
		r.columns = append(r.columns, q.Columns)
		r.typed = r.typed || !q.Verbatim
	}
	return r.Source.Rows(ctx, q)
}
