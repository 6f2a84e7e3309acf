package memory

import (
	"context"
	"fmt"

	"github.com/so-mirror/mirror/store"
)

var _ store.Cutter = (*Store)(nil)

// Cut implements store.Cutter.
func (s *Store) Cut(ctx context.Context, q store.Query, n int64) (store.Row, error) {
	if _, err := s.begin(ctx, Cut, q.Table.String()); err != nil {
		return nil, err
	}
	if n < 1 {
		return nil, fmt.Errorf("cut %s: behind %d rows", q.Table, n)
	}
	q.Columns, q.Limit = nil, 0
	r, err := s.committed().summary(q)
	if err != nil {
		return nil, fmt.Errorf("cut %s: %w", q.Table, err)
	}
	if n >= int64(len(r.rows)) {
		return nil, nil
	}
	return r.keyOf(r.rows[n]).Clone(), nil
}
