package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jmoiron/sqlx"

	"github.com/so-mirror/mirror/store"
)

// Joins is what sqlstore must know to compare two databases in one engine: one of
// its functions.
type Joins struct {
	// Stored returns the expressions that hold all of the value of a column, named as
	// given, to the bit: EXCEPT may call two rows the same only if both sides read
	// them alike. It is for engines that merge two tables in the order of their keys
	// for EXCEPT, and whose transactions see the state in which they began.
	Stored func(c store.Column, name string) ([]string, error)

	// Differs returns a condition on the values of a column in a row of either side.
	// It is true unless both sides read them alike. It is for engines with a fast
	// FULL JOIN.
	Differs func(source, mirror store.Column, s, m string) (string, error)

	// Equal returns the condition by which that joins rows, for a column of the key.
	// Values that store.EqualValues tells apart may meet it. Default: m = s.
	Equal func(source, mirror store.Column, s, m string) string
}

// The names by which a join calls the tables.
const (
	joinSource = "s"
	joinMirror = "m"
)

// Join is a store.Join through the connections of a Store.
type Join struct {
	source *Store
	mirror func(t store.Table) []string // the parts of the name by which source reads a table of the mirror
	close  func() error
}

var _ store.Join = (*Join)(nil)

// NewJoin returns the join of source with a database whose tables it can read, too,
// by the names whose parts mirror returns. Close calls end.
func NewJoin(source *Store, mirror func(t store.Table) []string, end func() error) *Join {
	return &Join{source: source, mirror: mirror, close: end}
}

// Close implements store.Join.
func (j *Join) Close() error { return j.close() }

// Suspects implements store.Join.
func (j *Join) Suspects(ctx context.Context, source, mirror store.Query, limit int) (found store.Suspects, err error) {
	s := j.source
	err = s.ask(ctx, "join "+source.Table.String(), func(ctx context.Context) error {
		switch {
		case s.d.Joins == nil:
			return fmt.Errorf("the engine has no joins: %w", errors.ErrUnsupported)
		case s.d.Joins.Differs == nil:
			found, err = j.exceptIn(ctx, source, mirror, limit)
			return err
		}
		g, err := j.newJoiner(source, mirror, false, limit)
		if err == nil {
			found, err = g.full(ctx, s.db)
		}
		return err
	})
	return found, err
}

// exceptIn finds the suspects in one transaction, which sees either side as it was at
// one moment: the spellings of its keys, too.
func (j *Join) exceptIn(ctx context.Context, source, mirror store.Query, limit int) (found store.Suspects, err error) {
	s := j.source
	conn, err := s.db.Connx(ctx)
	if err != nil {
		return found, err
	}
	defer conn.Close()
	tx, err := conn.BeginTxx(ctx, nil)
	if err != nil {
		return found, err
	}
	defer func() { _ = tx.Rollback() }()
	plain, err := s.plainIn(ctx, conn, source, s.d.table(source.Table))
	if err == nil && plain {
		plain, err = s.plainIn(ctx, conn, mirror, j.mirrorName(mirror.Table))
	}
	if err != nil {
		return found, err
	}
	g, err := j.newJoiner(source, mirror, plain, limit)
	if err != nil {
		return found, err
	}
	return g.except(ctx, tx)
}

// mirrorName is the quoted name by which a table of the mirror is read.
func (j *Join) mirrorName(t store.Table) string {
	var name []string
	for _, part := range j.mirror(t) {
		name = append(name, j.source.d.quote(part))
	}
	return strings.Join(name, ".")
}

// joiner writes the statements of one range.
type joiner struct {
	d              *Dialect
	source, mirror joined
	limit          int
	before, behind string
}

// joined is one side of a joiner.
type joined struct {
	q     store.Query
	table string // with its alias
	cols  []column
	key   []column
}

func (j *Join) newJoiner(source, mirror store.Query, plain bool, limit int) (*joiner, error) {
	d := j.source.d
	g := &joiner{d: d, limit: limit}
	if len(source.Columns) != len(mirror.Columns) || len(source.Key) != len(mirror.Key) || len(source.Key) == 0 || limit < 1 {
		return nil, errors.New("a join needs a key, and as many columns of either side")
	}
	var err error
	if g.source, err = d.joined(source, d.table(source.Table), joinSource, plain); err == nil {
		g.mirror, err = d.joined(mirror, j.mirrorName(mirror.Table), joinMirror, plain)
	}
	if err != nil {
		return nil, err
	}
	g.before, g.behind = d.aroundRead(source.Table)
	for _, c := range g.source.key {
		if c.Respelled || c.Unordered {
			return nil, fmt.Errorf("column %s: a key in several spellings: %w", c.Name, errors.ErrUnsupported)
		}
	}
	return g, nil
}

func (d *Dialect) joined(q store.Query, table, alias string, plain bool) (joined, error) {
	side := joined{q: q, table: table + " AS " + alias + d.hint(q.Table, false)}
	var err error
	if side.cols, err = d.columns(q.Table, q.Columns); err == nil {
		side.key, err = d.keyColumns(q.Table, q.Key, plain)
	}
	for _, cols := range [][]column{side.cols, side.key} {
		for i := range cols {
			cols[i].ref = alias + "." + cols[i].quoted
		}
	}
	return side, err
}

// keys are the expressions that read a key.
func (j joined) keys() string {
	read := make([]string, len(j.key))
	for i, c := range j.key {
		read[i] = c.selected()
	}
	return strings.Join(read, ", ")
}

// absent is the condition that an outer join found no row of this side.
func (j joined) absent() string { return j.key[0].ref + " IS NULL" }

// full finds the suspects of both sides at once. What is none is there once on either
// side, so as many rows must be left on both.
func (g *joiner) full(ctx context.Context, db sqlx.QueryerContext) (found store.Suspects, err error) {
	differs, err := g.differs()
	if err != nil {
		return found, err
	}
	s := g.statement()
	head, tail := g.d.limit(int64(g.limit) + 1)
	s.printf("SELECT %s%s, %s FROM ", head, g.source.keys(), g.mirror.keys())
	if err := g.derived(s, g.source); err != nil {
		return found, err
	}
	s.WriteString(" FULL JOIN ")
	if err := g.derived(s, g.mirror); err != nil {
		return found, err
	}
	s.printf(" ON %s WHERE %s OR %s OR %s%s", g.on(), g.source.absent(), g.mirror.absent(), differs, tail)
	var p pairs
	if err := p.read(ctx, db, g, s, g.source, g.mirror); err != nil {
		return found, err
	}
	if found.SourceRows, err = g.count(ctx, db, g.source); err == nil {
		found.MirrorRows, err = g.count(ctx, db, g.mirror)
	}
	found.Undecided = p.rows > g.limit || found.SourceRows-p.sides[0] != found.MirrorRows-p.sides[1]
	if !found.Undecided {
		found.Keys = p.sorted(g)
	}
	return found, err
}

// on is the condition that joins rows.
func (g *joiner) on() string {
	terms := make([]string, len(g.source.key))
	for i, s := range g.source.key {
		m := g.mirror.key[i]
		terms[i] = m.ref + " = " + s.ref
		if g.d.Joins.Equal != nil {
			terms[i] = g.d.Joins.Equal(s.Column, m.Column, s.ref, m.ref)
		}
	}
	return strings.Join(terms, " AND ")
}

// differs is the condition that joined rows may differ.
func (g *joiner) differs() (string, error) {
	terms := make([]string, len(g.source.cols))
	for i, s := range g.source.cols {
		m := g.mirror.cols[i]
		var err error
		if terms[i], err = g.d.Joins.Differs(s.Column, m.Column, s.ref, m.ref); err != nil {
			return "", fmt.Errorf("column %s: %w", s.Name, err)
		}
	}
	return strings.Join(terms, " OR "), nil
}

// except finds the rows of the source that the mirror does not have alike, and those
// of the mirror alone unless the numbers of rows say that there are none.
func (g *joiner) except(ctx context.Context, db sqlx.QueryerContext) (found store.Suspects, err error) {
	if found.SourceRows, err = g.count(ctx, db, g.source); err == nil {
		found.MirrorRows, err = g.count(ctx, db, g.mirror)
	}
	if err != nil {
		return found, err
	}
	var p pairs
	err = g.exceptOf(ctx, db, &p, g.source, g.mirror, true)
	if err == nil && (p.rows > 0 || found.SourceRows != found.MirrorRows) && p.rows <= g.limit {
		err = g.exceptOf(ctx, db, &p, g.mirror, g.source, false)
	}
	if found.Undecided = p.rows > g.limit; !found.Undecided {
		found.Keys = p.sorted(g)
	}
	return found, err
}

// exceptOf finds the keys of rows of one side that the other does not have: with the
// same values in all columns, or in the key alone.
func (g *joiner) exceptOf(ctx context.Context, db sqlx.QueryerContext, p *pairs, one, other joined, whole bool) error {
	s := g.statement()
	read, order := make([]string, len(one.key)), make([]string, len(one.key))
	for i, c := range one.key {
		c.ref = fmt.Sprintf("k%d", i)
		read[i], order[i] = c.selected(), fmt.Sprint(i+1)
	}
	s.printf("SELECT %s FROM (", strings.Join(read, ", "))
	for i, side := range []joined{one, other} {
		exprs, err := g.stored(side, whole)
		if err != nil {
			return err
		}
		s.printf("%s %s FROM %s", []string{"SELECT", " EXCEPT SELECT"}[i], strings.Join(exprs, ", "), side.table)
		if err := s.bounds(side.key, side.q); err != nil {
			return err
		}
	}
	s.printf(" ORDER BY %s) LIMIT %d", strings.Join(order, ", "), g.limit+1)
	return p.read(ctx, db, g, s, one)
}

// stored returns the expressions that hold the values of a side, those of the key
// first, by which they are in order.
func (g *joiner) stored(side joined, whole bool) (exprs []string, err error) {
	var more []string
	for i, c := range side.key {
		of, err := g.d.Joins.Stored(c.Column, c.ref)
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", c.Name, err)
		}
		exprs, more = append(exprs, fmt.Sprintf("%s AS k%d", of[0], i)), append(more, of[1:]...)
	}
	for _, c := range side.cols {
		if !whole || slices.Contains(side.q.Key, c.Name) {
			continue
		}
		of, err := g.d.Joins.Stored(c.Column, c.ref)
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", c.Name, err)
		}
		more = append(more, of...)
	}
	return append(exprs, more...), nil
}

func (g *joiner) statement() *statement {
	s := &statement{d: g.d}
	s.WriteString(g.before)
	return s
}

// derived adds the rows of a side within its bounds.
func (g *joiner) derived(s *statement, side joined) error {
	alias, _, _ := strings.Cut(side.key[0].ref, ".")
	names := make([]string, len(side.cols))
	for i, c := range side.cols {
		names[i] = c.ref
	}
	s.printf("(SELECT %s FROM %s", strings.Join(names, ", "), side.table)
	if err := s.bounds(side.key, side.q); err != nil {
		return err
	}
	s.WriteString(") AS " + alias)
	return nil
}

func (g *joiner) count(ctx context.Context, db sqlx.QueryerContext, side joined) (n int64, err error) {
	s := g.statement()
	s.printf("SELECT COUNT(*) FROM %s", side.table)
	if err := s.bounds(side.key, side.q); err != nil {
		return 0, err
	}
	s.WriteString(g.behind)
	err = s.query(ctx, db, 1, func(row store.Row) error {
		var ok bool
		if n, ok = row[0].(int64); !ok {
			return fmt.Errorf("the number of rows is of Go type %T", row[0])
		}
		return nil
	})
	return n, err
}

// pairs are what a join delivered.
type pairs struct {
	rows  int
	sides [2]int64 // rows with a key of either side
	keys  []store.Row
}

// read reads rows that hold a key of each of sides, or NULL.
func (p *pairs) read(ctx context.Context, db sqlx.QueryerContext, g *joiner, s *statement, sides ...joined) error {
	n := len(g.source.key)
	s.WriteString(g.behind)
	return s.query(ctx, db, n*len(sides), func(row store.Row) error {
		p.rows++
		for i, side := range sides {
			key := row[i*n : (i+1)*n]
			if key[0] == nil {
				continue
			}
			decoded, err := keyOf(side.key, key)
			if err != nil {
				return err
			}
			p.keys = append(p.keys, decoded)
			p.sides[i]++
		}
		return nil
	})
}

// sorted returns each key once.
func (p *pairs) sorted(g *joiner) []store.Row {
	key := make([]store.Column, len(g.source.key))
	for i, c := range g.source.key {
		key[i] = c.Column
	}
	slices.SortFunc(p.keys, func(a, b store.Row) int { return store.CompareKeys(key, a, b) })
	return slices.CompactFunc(p.keys, func(a, b store.Row) bool { return store.CompareKeys(key, a, b) == 0 })
}
