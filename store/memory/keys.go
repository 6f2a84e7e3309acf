package memory

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/so-mirror/mirror/store"
)

var _ store.KeyReader = (*Store)(nil)

// RowsAt implements store.KeyReader. All rows are of one moment.
func (s *Store) RowsAt(ctx context.Context, q store.Query, keys []store.Row) iter.Seq2[[]store.Row, error] {
	return func(yield func([]store.Row, error) bool) {
		if err := s.streamAt(ctx, q, keys, yield); err != nil {
			yield(nil, err)
		}
	}
}

func (s *Store) streamAt(ctx context.Context, q store.Query, keys []store.Row, yield func([]store.Row, error) bool) error {
	if _, err := s.begin(ctx, RowsAt, q.Table.String()); err != nil || len(keys) == 0 {
		return err
	}
	rows, columns, err := s.committed().queryAt(q, keys)
	if err != nil {
		return fmt.Errorf("read rows of %s by their keys: %w", q.Table, err)
	}
	return batches(ctx, rows, columns, func() error { return nil }, yield)
}

// queryAt returns the rows of q that have one of the keys, whole, and the
// positions of its columns.
func (d database) queryAt(q store.Query, keys []store.Row) (rows []store.Row, columns []int, err error) {
	if len(q.Key) == 0 || q.From != nil || q.Before != nil || q.Limit > 0 {
		return nil, nil, errors.New("the query has no key, or has bounds or a limit, which do not go with keys")
	}
	all, columns, err := d.query(q)
	if err != nil {
		return nil, nil, err
	}
	t, err := d.find(q.Table)
	if err != nil {
		return nil, nil, err
	}
	order, err := t.columns(q.Key)
	if err != nil {
		return nil, nil, err
	}
	var last store.Row
	for i, key := range keys {
		if key, err = order.values(key); err != nil {
			return nil, nil, fmt.Errorf("key %d: %w", i, err)
		}
		for n, v := range key {
			if v == nil {
				return nil, nil, fmt.Errorf("key %d: column %s: a key that is NULL: %w", i, q.Key[n], errors.ErrUnsupported)
			}
		}
		if last != nil && store.CompareKeys(order.cols, last, key) > 0 {
			return nil, nil, fmt.Errorf("key %d: the keys are not in ascending order", i)
		}
		last = key
		for len(all) > 0 && order.compareBound(all[0], key) < 0 {
			all = all[1:]
		}
		for len(all) > 0 && order.compareBound(all[0], key) == 0 {
			rows, all = append(rows, all[0]), all[1:]
		}
	}
	return rows, columns, nil
}
