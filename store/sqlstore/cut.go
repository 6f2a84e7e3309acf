package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/so-mirror/mirror/store"
)

var _ store.Cutter = (*Store)(nil)

// Cut implements store.Cutter. It is one statement, which passes over keys in the
// index.
func (s *Store) Cut(ctx context.Context, q store.Query, n int64) (key store.Row, err error) {
	if n < 1 {
		return nil, fmt.Errorf("cut %s: behind %d rows", q.Table, n)
	}
	err = s.ask(ctx, "cut "+q.Table.String(), func(ctx context.Context) error {
		plain, err := s.plainKey(ctx, q)
		if err != nil {
			return err
		}
		st, cols, err := s.d.cut(q, n, plain)
		if err != nil {
			return err
		}
		return st.query(ctx, s.db, len(cols), func(row store.Row) (err error) {
			key, err = keyOf(cols, row)
			return err
		})
	})
	return key, err
}

func (d *Dialect) cut(q store.Query, n int64, plain bool) (*statement, []column, error) {
	key, err := d.keyColumns(q.Table, q.Key, plain)
	if err != nil {
		return nil, nil, err
	}
	if len(key) == 0 {
		return nil, nil, errors.New("a cut needs a key")
	}
	if c := unsought(key); c != "" {
		return nil, nil, fmt.Errorf("column %s is not in the order of its index: %w", c, errors.ErrUnsupported)
	}
	before, behind := d.aroundRead(q.Table)
	s := &statement{d: d}
	var read, order []string
	for _, c := range key {
		read, order = append(read, c.selected()), append(order, c.order(c.ref)...)
	}
	s.printf("%sSELECT %s FROM %s%s", before, strings.Join(read, ", "), d.table(q.Table), d.hint(q.Table, false))
	if err := s.bounds(key, q); err != nil {
		return nil, nil, err
	}
	s.printf(" ORDER BY %s%s%s", strings.Join(order, ", "), d.offset(n), behind)
	if before != "" && len(s.args) == 0 {
		s.bind(scope)
	}
	return s, key, nil
}

// unsought returns a column by whose order the engine does not seek, "" for none.
func unsought(key []column) string {
	for _, c := range key {
		if c.Unordered || c.Respelled || c.Order != nil && !c.Seeks {
			return c.Name
		}
	}
	return ""
}

// keyOf decodes a key.
func keyOf(cols []column, row store.Row) (store.Row, error) {
	key := row.Clone()
	for i, c := range cols {
		v, ok := key[i].(string)
		decode := c.restored(c.Decode)
		switch {
		case key[i] == nil:
			return nil, fmt.Errorf("column %s: a key that is NULL: %w", c.Name, errors.ErrUnsupported)
		case ok && c.Exact != nil && strings.Contains(v, replacement):
			return nil, fmt.Errorf("column %s: %w: %w", c.Name, errInexact, errors.ErrUnsupported)
		case decode != nil:
			var err error
			if key[i], err = decode(key[i]); err != nil {
				return nil, fmt.Errorf("column %s: %w", c.Name, err)
			}
		}
	}
	return key, nil
}
