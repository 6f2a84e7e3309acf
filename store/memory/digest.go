package memory

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/so-mirror/mirror/store"
)

var _ store.Digester = (*Store)(nil)

// DigestScheme implements store.Digester.
func (s *Store) DigestScheme() string { return "memory-1" }

// DigestEvery implements store.Digester.
func (s *Store) DigestEvery(ctx context.Context, q store.Query, n int64) ([]store.Digest, error) {
	r, err := s.digest(ctx, q)
	if err != nil {
		return nil, err
	}
	if n < 1 {
		return nil, fmt.Errorf("digest rows of %s: ranges of %d rows", q.Table, n)
	}
	var digests []store.Digest
	for start := 0; start < len(r.rows); {
		end := start + int(min(n, int64(len(r.rows)-start)))
		for end < len(r.rows) && r.key.compareBound(r.rows[end], r.keyOf(r.rows[end-1])) == 0 {
			end++
		}
		d := r.sum(r.rows[start:end])
		d.First = r.keyOf(r.rows[start]).Clone()
		digests = append(digests, d)
		start = end
	}
	return digests, nil
}

// DigestAt implements store.Digester.
func (s *Store) DigestAt(ctx context.Context, q store.Query, cuts []store.Row) ([]store.Digest, error) {
	q.Limit = 0
	r, err := s.digest(ctx, q)
	if err != nil {
		return nil, err
	}
	digests := make([]store.Digest, 0, len(cuts)+1)
	rest := r.rows
	var last store.Row
	for i, cut := range cuts {
		bound, err := r.key.values(cut)
		if err != nil {
			return nil, fmt.Errorf("digest rows of %s: cut %d: %w", q.Table, i, err)
		}
		if last != nil && store.CompareKeys(r.key.cols, last, bound) > 0 {
			return nil, fmt.Errorf("digest rows of %s: cut %d: the keys are not in ascending order", q.Table, i)
		}
		last = bound
		n, _ := slices.BinarySearchFunc(rest, bound, r.key.compareBound)
		digests = append(digests, r.sum(rest[:n]))
		rest = rest[n:]
	}
	return append(digests, r.sum(rest)), nil
}

// summary is the rows of a query, in key order, and what of them is asked for.
type summary struct {
	rows      []store.Row
	key, cols columns
}

// digest is one call of a method of store.Digester.
func (s *Store) digest(ctx context.Context, q store.Query) (*summary, error) {
	if _, err := s.begin(ctx, Digest, q.Table.String()); err != nil {
		return nil, err
	}
	r, err := s.committed().summary(q)
	if err != nil {
		return nil, fmt.Errorf("digest rows of %s: %w", q.Table, err)
	}
	return r, nil
}

func (d database) summary(q store.Query) (*summary, error) {
	t, err := d.find(q.Table)
	if err != nil {
		return nil, err
	}
	if len(q.Key) == 0 {
		return nil, errors.New("a digest needs a key")
	}
	names := q.Columns
	if names == nil {
		names = q.Table.ColumnNames()
	}
	r := &summary{}
	if r.cols, err = t.columns(names); err != nil {
		return nil, err
	}
	if r.key, err = t.columns(q.Key); err != nil {
		return nil, err
	}
	for _, c := range slices.Concat(r.cols.cols, r.key.cols) {
		if c.Type.Kind() == store.KindOther {
			return nil, fmt.Errorf("column %s: values of type %s have no digest: %w", c.Name, c.Type, errors.ErrUnsupported)
		}
	}
	q.Columns = q.Key // the rows come whole, and one column has to be named
	r.rows, _, err = d.query(q)
	return r, err
}

func (r *summary) keyOf(row store.Row) store.Row {
	key := make(store.Row, len(r.key.index))
	for i, n := range r.key.index {
		key[i] = row[n]
	}
	return key
}

// sum adds the hashes of rows up modulo 2^64.
func (r *summary) sum(rows []store.Row) store.Digest {
	d := store.Digest{Rows: int64(len(rows))}
	if len(rows) == 0 || len(r.cols.cols) == 0 {
		return d
	}
	var sum uint64
	var buf []byte
	for _, row := range rows {
		buf = buf[:0]
		for i, n := range r.cols.index {
			kind, v := r.cols.cols[i].Type.Kind(), row[n]
			if p, ok := v.([]byte); ok && kind == store.KindDecimal && bytes.IndexByte(p, '.') >= 0 {
				v = bytes.TrimRight(bytes.TrimRight(p, "0"), ".") // 12.50 is 12.5
			}
			buf = appendValue(append(buf, byte(kind)), v)
		}
		hash := sha256.Sum256(buf)
		sum += binary.LittleEndian.Uint64(hash[:])
	}
	d.Sum = strconv.FormatUint(sum, 16)
	return d
}

// appendValue appends a value so that no other has the same bytes, nor begins
// with them.
func appendValue(buf []byte, v any) []byte {
	integer := binary.LittleEndian.AppendUint64
	text := func(s string) []byte { return append(integer(append(buf, 't'), uint64(len(s))), s...) }
	switch v := v.(type) {
	case nil:
		return append(buf, 'n')
	case bool:
		return strconv.AppendBool(append(buf, 'b'), v)
	case int64:
		return integer(append(buf, 'i'), uint64(v))
	case float64:
		return integer(append(buf, 'f'), math.Float64bits(v))
	case time.Time:
		_, offset := v.Zone()
		buf = integer(append(buf, 'z'), uint64(v.Unix()))
		return integer(integer(buf, uint64(v.Nanosecond())), uint64(offset))
	case string:
		return text(v)
	case []byte:
		return text(string(v))
	default:
		return text(fmt.Sprint(v))
	}
}
