package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jmoiron/sqlx"

	"github.com/so-mirror/mirror/store"
)

var _ store.Digester = (*Store)(nil)

// The names by which a digest's statement calls the tables that it derives, with
// their columns.
const (
	digestRows   = "g" // k0, k1, ... are the key, h the hash, n the row's number
	digestRanges = "r" // n is the range's number; l0, l1, ... and h0, h1, ... are its bounds
)

// DigestScheme implements store.Digester. It is "" for an engine without
// digests.
func (s *Store) DigestScheme() string {
	if s.d.Digests == nil {
		return ""
	}
	return s.d.Digests.Scheme
}

// DigestEvery implements store.Digester. It is one statement, which reads the
// rows once.
func (s *Store) DigestEvery(ctx context.Context, q store.Query, n int64) ([]store.Digest, error) {
	var digests []store.Digest
	err := s.digest(ctx, q, func(ctx context.Context, plain bool) error {
		g, err := s.d.newDigest(q, plain)
		if err != nil {
			return err
		}
		if err := g.every(q, n); err != nil {
			return err
		}
		values := make(store.Row, 1+len(g.key))
		return g.run(ctx, s.db, values, func() error {
			d, err := parseTotal(values[0])
			if err != nil {
				return err
			}
			d.First = values[1:].Clone()
			for i, c := range g.key {
				if d.First[i] == nil || c.Decode == nil {
					continue
				}
				if d.First[i], err = c.Decode(d.First[i]); err != nil {
					return fmt.Errorf("column %s: %w", c.Name, err)
				}
			}
			digests = append(digests, d)
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return digests, nil
}

// DigestAt implements store.Digester. It asks for as many ranges at once as a
// statement can have parameters for, and does not ask for those that are empty
// by their bounds.
func (s *Store) DigestAt(ctx context.Context, q store.Query, cuts []store.Row) ([]store.Digest, error) {
	digests := make([]store.Digest, len(cuts)+1)
	var ranges []keyRange
	err := s.digest(ctx, q, func(_ context.Context, plain bool) error {
		g, err := s.d.newDigest(q, plain)
		if err == nil {
			ranges, err = g.ranges(q, cuts)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	chunk := max(1, min(maxKeys, s.d.maxParams()/max(1, 2*len(q.Key))))
	for len(ranges) > 0 {
		some := ranges[:min(chunk, len(ranges))]
		ranges = ranges[len(some):]
		err := s.digest(ctx, q, func(ctx context.Context, plain bool) error {
			g, err := s.d.newDigest(q, plain)
			if err != nil {
				return err
			}
			if err := g.at(some); err != nil {
				return err
			}
			values := make(store.Row, 2)
			return g.run(ctx, s.db, values, func() error {
				n, ok := values[0].(int64)
				if !ok || n < 0 || n >= int64(len(digests)) {
					return fmt.Errorf("the server returned a range that was not asked for: %v", values[0])
				}
				digests[n], err = parseTotal(values[1])
				return err
			})
		})
		if err != nil {
			return nil, err
		}
	}
	return digests, nil
}

// digest runs one statement of a digest, within the time limit.
func (s *Store) digest(ctx context.Context, q store.Query, run func(ctx context.Context, plain bool) error) error {
	doing := "digest rows of " + q.Table.String()
	if s.d.Digests == nil {
		return fmt.Errorf("%s: %w: the engine has no digests", doing, errors.ErrUnsupported)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.ask(ctx, doing, func(ctx context.Context) error {
		if prepare := s.d.Digests.Prepare; prepare != nil {
			if err := prepare(ctx, s.db); err != nil {
				return err
			}
		}
		plain, err := s.plainKey(ctx, q)
		if err != nil {
			return err
		}
		return run(ctx, plain)
	})
}

// digester writes a statement that summarises rows.
type digester struct {
	statement
	before string
	behind string
	table  string
	key    []column
	hash   string // "" when no columns are asked for
}

func (d *Dialect) newDigest(q store.Query, plain bool) (*digester, error) {
	names := q.Columns
	if names == nil {
		names = q.Table.ColumnNames()
	}
	cols, err := d.qualified(q.Table, names)
	if err != nil {
		return nil, err
	}
	key, err := d.keyColumns(q.Table, q.Key, plain)
	if err != nil {
		return nil, err
	}
	qualify(key)
	if len(key) == 0 {
		return nil, errors.New("a digest needs a key")
	}
	for i, c := range key {
		if err := d.digestKey(c); err != nil {
			return nil, fmt.Errorf("column %s: %w", c.Name, err)
		}
		key[i].Decode = c.restored(c.Decode)
	}
	g := &digester{statement: statement{d: d}, key: key, table: d.table(q.Table) + " AS " + readTable + d.hint(q.Table, false)}
	if len(cols) > 0 {
		columns, quoted := make([]store.Column, len(cols)), make([]string, len(cols))
		for i, c := range cols {
			columns[i], quoted[i] = c.Column, c.ref
		}
		if g.hash, err = d.Digests.Hash(columns, quoted); err != nil {
			return nil, err
		}
	}
	g.before, g.behind = d.aroundRead(q.Table)
	g.WriteString(g.before)
	return g, nil
}

// qualified returns columns that are named together with their table.
func (d *Dialect) qualified(t store.Table, names []string) ([]column, error) {
	cols, err := d.columns(t, names)
	qualify(cols)
	return cols, err
}

func (d *Dialect) digestKey(c column) error {
	if c.Unordered {
		return fmt.Errorf("type %s has no order here: %w", c.Type, errors.ErrUnsupported)
	}
	if d.Digests.Key == nil {
		return nil
	}
	return d.Digests.Key(c.Type)
}

// run ends the statement, and calls row for each row of its answer, whose
// values are then in values.
func (g *digester) run(ctx context.Context, q sqlx.QueryerContext, values store.Row, row func() error) error {
	g.WriteString(g.behind)
	if g.before != "" && len(g.args) == 0 {
		g.bind(scope)
	}
	return g.query(ctx, q, len(values), func(got store.Row) error {
		copy(values, got)
		return row()
	})
}

// every writes a statement that numbers the rows and groups them by n. The
// hash stands inside, so that what is grouped is small. Rows with one key have
// one number where keys can repeat, so that no group ends between them.
func (g *digester) every(q store.Query, n int64) error {
	if n < 1 {
		return fmt.Errorf("ranges of %d rows", n)
	}
	const number = digestRows + ".n"
	hash := g.hash
	if hash != "" {
		hash = digestRows + ".h"
	}
	g.printf("SELECT %s", g.d.Digests.Total(hash))
	first := fmt.Sprintf("(%s - 1) %% %d = 0", number, n)
	for i, c := range g.key {
		g.WriteString(", " + g.first(c, first, fmt.Sprintf("%s.k%d", digestRows, i)))
	}
	var order []string
	for _, c := range g.key {
		order = append(order, c.order(c.ref)...)
	}
	by := strings.Join(order, ", ")
	head, tail := g.d.limit(q.Limit)
	rank := "ROW_NUMBER"
	if g.d.Digests.Ranked && g.repeats(q) {
		rank = "RANK"
	}
	g.printf(" FROM (SELECT %s%s() OVER (ORDER BY %s) AS n", head, rank, by)
	for i, c := range g.key {
		g.printf(", %s AS k%d", c.selected(), i)
	}
	if g.hash != "" {
		g.printf(", %s AS h", g.hash)
	}
	g.WriteString(" FROM " + g.table)
	if err := g.bounds(g.key, q); err != nil {
		return err
	}
	if q.Limit > 0 {
		g.WriteString(" ORDER BY " + by + tail)
	}
	g.printf(") AS %s GROUP BY (%s - 1) / %d ORDER BY MIN(%s)", digestRows, number, n, number)
	return nil
}

// repeats reports whether several rows can have one key of the query. SQLite takes
// half as long again to rank rows as to number them.
func (g *digester) repeats(q store.Query) bool {
	if len(q.Table.Key) == 0 || slices.ContainsFunc(g.key, func(c column) bool { return c.Respelled }) {
		return true
	}
	return slices.ContainsFunc(q.Table.Key, func(name string) bool { return !slices.Contains(q.Key, name) })
}

func (g *digester) first(c column, condition, expr string) string {
	if g.d.Digests.First != nil {
		return g.d.Digests.First(c.Type, condition, expr)
	}
	return fmt.Sprintf("MAX(CASE WHEN %s THEN %s END)", condition, expr)
}

// keyRange is a range of keys, low <= key < high. A nil bound is none.
type keyRange struct {
	number    int
	low, high store.Row
}

// ranges cuts what lies within the bounds of q, and leaves out ranges that are
// empty whatever the table holds.
func (g *digester) ranges(q store.Query, cuts []store.Row) ([]keyRange, error) {
	key := make([]store.Column, len(g.key))
	for i, c := range g.key {
		key[i] = c.Column
	}
	from, err := normalized(g.key, q.From)
	if err != nil {
		return nil, fmt.Errorf("lower bound: %w", err)
	}
	before, err := normalized(g.key, q.Before)
	if err != nil {
		return nil, fmt.Errorf("upper bound: %w", err)
	}
	var ranges []keyRange
	add := func(r keyRange) {
		if from != nil && (r.low == nil || store.CompareKeys(key, r.low, from) < 0) {
			r.low = from
		}
		if before != nil && (r.high == nil || store.CompareKeys(key, r.high, before) > 0) {
			r.high = before
		}
		if r.low == nil || r.high == nil || store.CompareKeys(key, r.low, r.high) < 0 {
			ranges = append(ranges, r)
		}
	}
	var low store.Row
	for i, cut := range cuts {
		high, err := normalized(g.key, cut)
		if err != nil {
			return nil, fmt.Errorf("cut %d: %w", i, err)
		}
		if high == nil || low != nil && store.CompareKeys(key, low, high) > 0 {
			return nil, fmt.Errorf("cut %d: the keys are not in ascending order", i)
		}
		add(keyRange{i, low, high})
		low = high
	}
	add(keyRange{len(cuts), low, nil})
	return ranges, nil
}

func normalized(key []column, bound store.Row) (store.Row, error) {
	if bound == nil {
		return nil, nil
	}
	if len(bound) != len(key) {
		return nil, fmt.Errorf("%d values for %d key columns", len(bound), len(key))
	}
	row := make(store.Row, len(key))
	for i, c := range key {
		v, err := c.normal(bound[i])
		if err != nil {
			return nil, err
		}
		if v == nil {
			return nil, fmt.Errorf("column %s: a key that is NULL: %w", c.Name, errors.ErrUnsupported)
		}
		row[i] = v
	}
	return row, nil
}

// at writes a statement with one subquery for each range, which seeks. Ranges
// with two bounds, with one and with none have texts of their own, because a
// bound that may be absent would turn the seek into a scan.
func (g *digester) at(ranges []keyRange) error {
	var shapes [4][]keyRange
	for _, r := range ranges {
		shape := 0
		if r.low != nil {
			shape |= 1
		}
		if r.high != nil {
			shape |= 2
		}
		shapes[shape] = append(shapes[shape], r)
	}
	sep := ""
	for shape, some := range shapes {
		if len(some) == 0 {
			continue
		}
		g.WriteString(sep)
		sep = " UNION ALL "
		if err := g.atShape(some, shape&1 != 0, shape&2 != 0); err != nil {
			return err
		}
	}
	return nil
}

func (g *digester) atShape(ranges []keyRange, hasLow, hasHigh bool) error {
	total := g.d.Digests.Total(g.hash)
	if !hasLow && !hasHigh {
		g.printf("SELECT %d AS n, %s AS d FROM %s", ranges[0].number, total, g.table)
		return nil
	}
	g.printf("SELECT %s.n, (SELECT %s FROM %s WHERE ", digestRanges, total, g.table)
	names := []string{"n"}
	side := func(has bool, prefix, op string) {
		if !has {
			return
		}
		operands := make([]operand, len(g.key))
		for i := range g.key {
			name := fmt.Sprintf("%s%d", prefix, i)
			names = append(names, name)
			operands[i] = func() string { return digestRanges + "." + name }
		}
		g.WriteString("(")
		g.compare(g.key, operands, op)
		g.WriteString(")")
	}
	side(hasLow, "l", ">=")
	if hasLow && hasHigh {
		g.WriteString(" AND ")
	}
	side(hasHigh, "h", "<")
	g.WriteString(") AS d FROM ")

	var rows strings.Builder
	for _, r := range ranges {
		if err := g.tuple(&rows, r.number, g.key, r.low, r.high); err != nil {
			return err
		}
	}
	g.WriteString(g.d.values(digestRanges, names, rows.String()))
	return nil
}

// parseTotal reads what Digests.Total returned.
func parseTotal(v any) (store.Digest, error) {
	var text string
	switch v := v.(type) {
	case nil:
		return store.Digest{}, nil
	case string:
		text = v
	case []byte:
		text = string(v)
	default:
		return store.Digest{}, fmt.Errorf("the server returned a digest of Go type %T", v)
	}
	rows, sum, _ := strings.Cut(text, " ")
	n, err := strconv.ParseInt(rows, 10, 64)
	if err != nil {
		return store.Digest{}, fmt.Errorf("the server returned the digest %q", text)
	}
	return store.Digest{Rows: n, Sum: sum}, nil
}
