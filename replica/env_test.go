package replica_test

import (
	"context"
	"iter"

	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

// reading notes which columns of the state are read.
type reading struct {
	*memory.Store
	columns [][]string
}

func (r *reading) Rows(ctx context.Context, q store.Query) iter.Seq2[[]store.Row, error] {
	if q.Table.Name == "_ReplicationState" {
		r.columns = append(r.columns, q.Columns)
	}
	return r.Store.Rows(ctx, q)
}
