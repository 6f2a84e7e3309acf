package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/so-mirror/mirror/store"
)

var _ store.KeyReader = (*Store)(nil)

// The names by which a statement calls the table that it reads and the keys of
// the rows. Columns are named together with them, so that no name of the database
// can be taken for another one.
const (
	readTable = "t"
	keysTable = "r" // n is the key's number; k0, k1, ... are its values
)

const (
	// maxKeys bounds the keys of one statement, whose text grows with them.
	maxKeys = 1024

	// maxScanned takes its place where each statement looks at all rows.
	maxScanned = 16 * maxKeys
)

// RowsAt implements store.KeyReader. It asks for up to about a thousand keys at
// once.
func (s *Store) RowsAt(ctx context.Context, q store.Query, keys []store.Row) iter.Seq2[[]store.Row, error] {
	return sequence(func(yield func([]store.Row, error) bool) error {
		if err := ctx.Err(); err != nil || len(keys) == 0 {
			return err
		}
		if err := s.prepare(ctx); err != nil {
			return err
		}
		return s.wrap(ctx, s.rowsAt(ctx, q, keys, yield), "read rows of "+q.Table.String()+" by their keys")
	})
}

func (s *Store) rowsAt(ctx context.Context, q store.Query, keys []store.Row, yield func([]store.Row, error) bool) error {
	if len(q.Key) == 0 || q.From != nil || q.Before != nil || q.Limit > 0 {
		return errors.New("the query has no key, or has bounds or a limit, which do not go with keys")
	}
	plain, err := s.plainKey(ctx, q)
	if err != nil {
		return err
	}
	key, err := s.d.keyColumns(q.Table, q.Key, plain)
	if err != nil {
		return err
	}
	var last store.Row
	into := &buffers{}
	stopped := false
	first := 0
	for chunk := range slices.Chunk(keys, s.d.keysAtOnce(key)) {
		some, err := ascending(key, last, chunk, first)
		if err != nil {
			return err
		}
		first += len(chunk)
		if len(some) == 0 {
			continue
		}
		last = some[len(some)-1]
		err = s.rows(ctx, q, some, into, func(batch []store.Row, err error) bool {
			stopped = !yield(batch, err)
			return !stopped
		})
		if err != nil || stopped {
			return err
		}
	}
	return nil
}

// ascending returns keys as they are bound, without those that are there twice.
// They follow the key last; the number of the first is for errors.
func ascending(key []column, last store.Row, keys []store.Row, first int) ([]store.Row, error) {
	columns := make([]store.Column, len(key))
	for i, c := range key {
		columns[i] = c.Column
	}
	some := make([]store.Row, 0, len(keys))
	for i, k := range keys {
		if k == nil {
			k = store.Row{}
		}
		k, err := normalized(key, k)
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", first+i, err)
		}
		if last != nil {
			switch n := store.CompareKeys(columns, last, k); {
			case n > 0:
				return nil, fmt.Errorf("key %d: the keys are not in ascending order", first+i)
			case n == 0:
				continue
			}
		}
		some = append(some, k)
		last = k
	}
	return some, nil
}

// keysAtOnce returns how many keys one statement asks for. They fill batches.
func (d *Dialect) keysAtOnce(key []column) int {
	each, most := len(key), maxKeys
	switch first := key[0]; {
	case first.Alike:
		each++
	case first.Order != nil && !first.Seeks:
		most = maxScanned
	}
	n := min(most, max(1, (d.maxParams()-1)/each))
	return max(n-n%batchRows, min(n, batchRows))
}

// padded is a number of keys that is at least n. There are few such numbers, so
// that there are few texts of statements: a server may keep a plan for each.
func padded(n, most int) int {
	size := 4
	for size < n {
		size *= 4
	}
	return max(n, min(size, most))
}

// joined adds a table and, joined to it, the keys of its rows, as normalized
// returned them. What pads them is left out by its number.
func (s *statement) joined(table string, key []column, keys []store.Row) error {
	names := []string{"n"}
	operands := make([]operand, len(key))
	for i := range key {
		name := fmt.Sprint("k", i)
		names = append(names, name)
		operands[i] = func() string { return keysTable + "." + name }
	}
	all := slices.Clone(keys)
	for range padded(len(keys), s.d.keysAtOnce(key)) - len(keys) {
		all = append(all, keys[len(keys)-1])
	}
	var rows strings.Builder
	for n, k := range all {
		if err := s.tuple(&rows, n, key, k); err != nil {
			return err
		}
	}
	s.printf("%s JOIN %s ON %s.n < ", table, s.d.values(keysTable, names, rows.String()), keysTable)
	s.WriteString(s.bind(int64(len(keys))))
	for i, c := range key {
		for part := range c.order(c.ref) {
			s.WriteString(" AND ")
			s.equalTerm(c, part, operands[i])
		}
	}
	if !key[0].Alike {
		return nil
	}
	sep := fmt.Sprintf(" AND %s IN (", key[0].ref)
	for _, k := range all {
		v, err := key[0].boundValue(k[0])
		if err != nil {
			return err
		}
		s.WriteString(sep + s.boundParam(key[0], v))
		sep = ", "
	}
	s.WriteString(")")
	return nil
}

// tuple adds a number and the values of keys to the rows of Dialect.Values.
func (s *statement) tuple(rows *strings.Builder, number int, key []column, keys ...store.Row) error {
	if rows.Len() > 0 {
		rows.WriteString(", ")
	}
	fmt.Fprintf(rows, "(%d", number)
	for _, k := range keys {
		for i, v := range k {
			value, err := key[i].boundValue(v)
			if err != nil {
				return err
			}
			rows.WriteString(", " + s.boundParam(key[i], value))
		}
	}
	rows.WriteString(")")
	return nil
}

// values is a table for FROM of the rows that tuple wrote.
func (d *Dialect) values(alias string, names []string, rows string) string {
	if d.Values != nil {
		return d.Values(alias, names, rows)
	}
	return fmt.Sprintf("(VALUES %s) AS %s (%s)", rows, alias, strings.Join(names, ", "))
}

// qualify names columns together with the table that is read.
func qualify(cols []column) {
	for i := range cols {
		cols[i].ref = readTable + "." + cols[i].quoted
	}
}
