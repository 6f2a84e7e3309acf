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

	// Keyed makes sure that no two rows of a table, given by the parts of its name, share
	// a key, since EXCEPT takes rows that are there twice for one, and returns what must
	// be the same on both sides for values of the key to be compared. It goes with Stored.
	Keyed func(ctx context.Context, q sqlx.QueryerContext, table, key []string) (alike string, err error)

	// Alike returns a condition on two values of a column, s of the source and m of
	// the mirror, none of them NULL. It is true only if both sides read them alike,
	// to the bit. It is for engines with a fast FULL JOIN.
	Alike func(source, mirror store.Type, s, m string) (string, error)

	// Equal returns the condition by which that joins rows, for a column of the key.
	// Values that are not alike may meet it, and all that are alike do.
	// Default: m = s.
	Equal func(source, mirror store.Type, s, m string) string
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
		case s.d.Joins.Alike == nil:
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
	here, err := s.d.Joins.Keyed(ctx, tx, s.d.nameOf(source.Table), source.Key)
	if err != nil {
		return found, err
	}
	there, err := s.d.Joins.Keyed(ctx, tx, j.mirror(mirror.Table), mirror.Key)
	if err != nil {
		return found, err
	}
	if here != there {
		return found, fmt.Errorf("the key is %s at the source and %s in the mirror: %w", here, there, errors.ErrUnsupported)
	}
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
	if source.From == nil {
		for _, side := range []joined{g.source, g.mirror} {
			if err := g.noNull(ctx, tx, side); err != nil {
				return found, err
			}
		}
	}
	return g.except(ctx, tx)
}

// noNull makes sure that the first key of a side is not NULL: EXCEPT takes such rows for
// one. A schema that was edited by hand may deny that there are any.
func (g *joiner) noNull(ctx context.Context, db sqlx.QueryerContext, side joined) error {
	s := g.statement()
	s.printf("SELECT %s FROM %s ORDER BY %[1]s LIMIT 1%[3]s", side.key[0].ref, side.table, g.behind)
	return s.query(ctx, db, 1, func(row store.Row) error {
		if row[0] == nil {
			return fmt.Errorf("column %s: a key that is NULL: %w", side.key[0].Name, errors.ErrUnsupported)
		}
		return nil
	})
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

// full finds the suspects of both sides at once. What is none is there once on either
// side, so as many rows must be left on both.
func (g *joiner) full(ctx context.Context, db sqlx.QueryerContext) (found store.Suspects, err error) {
	s, err := g.fullJoin()
	if err != nil {
		return found, err
	}
	p := g.newPairs()
	sides := []joined{g.source, g.mirror}
	err = s.answers(ctx, db,
		resultSet{2, func(row store.Row) (err error) {
			if found.SourceRows, err = number(row[0]); err == nil {
				found.MirrorRows, err = number(row[1])
			}
			return err
		}},
		resultSet{2 * len(g.source.key), func(row store.Row) error { return p.add(row, sides...) }})
	found.Undecided = p.rows > g.limit || found.SourceRows-p.sides[0] != found.MirrorRows-p.sides[1]
	if !found.Undecided {
		found.Keys = p.sorted()
	}
	return found, err
}

// fullJoin is the statement of full: the numbers of rows, then the keys.
func (g *joiner) fullJoin() (*statement, error) {
	suspect, err := g.suspect()
	if err != nil {
		return nil, err
	}
	s := g.statement()
	for i, side := range []joined{g.source, g.mirror} {
		s.printf("%s(SELECT COUNT(*) FROM %s", []string{"SELECT ", ", "}[i], side.table)
		if err := s.bounds(side.key, side.q); err != nil {
			return nil, err
		}
		s.WriteString(")")
	}
	head, tail := g.d.limit(int64(g.limit) + 1)
	s.printf("; SELECT %s%s, %s FROM ", head, g.source.keys(), g.mirror.keys())
	if err := g.derived(s, g.source, joinSource); err != nil {
		return nil, err
	}
	s.WriteString(" FULL JOIN ")
	if err := g.derived(s, g.mirror, joinMirror); err != nil {
		return nil, err
	}
	s.printf(" ON %s WHERE %s%s%s", g.on(), suspect, tail, g.behind)
	if g.before != "" && len(s.args) == 0 {
		s.bind(scope)
	}
	return s, nil
}

// on is the condition that joins rows.
func (g *joiner) on() string {
	terms := make([]string, len(g.source.key))
	for i, s := range g.source.key {
		m := g.mirror.key[i]
		terms[i] = m.ref + " = " + s.ref
		if g.d.Joins.Equal != nil {
			terms[i] = g.d.Joins.Equal(s.Type, m.Type, s.ref, m.ref)
		}
	}
	return strings.Join(terms, " AND ")
}

// suspect is the condition that a row of one side met none of the other, or one that
// may differ. Whatever it compares with a NULL that should not be there is suspect,
// so it asks what is alike, and not what differs.
func (g *joiner) suspect() (string, error) {
	terms := make([]string, len(g.source.cols))
	for i, s := range g.source.cols {
		m := g.mirror.cols[i]
		alike, err := g.d.Joins.Alike(s.Type, m.Type, s.ref, m.ref)
		if err != nil {
			return "", fmt.Errorf("column %s: %w", s.Name, err)
		}
		if s.Nullable && m.Nullable {
			alike = fmt.Sprintf("(%s OR %s IS NULL AND %s IS NULL)", alike, s.ref, m.ref)
		}
		terms[i] = alike
	}
	return fmt.Sprintf("%s IS NULL OR %s IS NULL OR CASE WHEN %s THEN 0 ELSE 1 END = 1",
		g.source.key[0].ref, g.mirror.key[0].ref, strings.Join(terms, " AND ")), nil
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
	p := g.newPairs()
	err = g.exceptOf(ctx, db, p, g.source, g.mirror, true)
	if err == nil && p.rows <= g.limit {
		err = g.exceptOfMirror(ctx, db, p, found)
	}
	if found.Undecided = p.rows > g.limit; !found.Undecided {
		found.Keys = p.sorted()
	}
	return found, err
}

// scarce is how many times as many rows the mirror must have as there are suspects, for
// to look these up is faster than to read all keys.
const scarce = 16

// exceptOfMirror finds the rows of the mirror alone. A row of the source that is not
// suspect has its like there, so that these and the suspects that the mirror has, too,
// are often all of its rows.
func (g *joiner) exceptOfMirror(ctx context.Context, db sqlx.QueryerContext, p *pairs, found store.Suspects) error {
	of := found.SourceRows - int64(p.rows)
	if p.rows > 0 && int64(p.rows) <= found.MirrorRows/scarce {
		n, err := g.lookUp(ctx, db, p.sorted())
		if err != nil {
			return err
		}
		of += n
	}
	if of == found.MirrorRows {
		return nil
	}
	return g.exceptOf(ctx, db, p, g.mirror, g.source, false)
}

// lookUp counts the keys that the mirror has.
func (g *joiner) lookUp(ctx context.Context, db sqlx.QueryerContext, keys []store.Row) (n int64, err error) {
	side := g.mirror
	have := g.newPairs()
	for chunk := range slices.Chunk(keys, g.d.keysAtOnce(side.key)) {
		bound, err := ascending(side.key, nil, chunk, 0)
		if err != nil {
			return 0, err
		}
		s := g.statement()
		s.printf("SELECT %s FROM ", side.keys())
		if err := s.joined(side.table, side.key, bound); err != nil {
			return 0, err
		}
		s.WriteString(g.behind)
		if err := s.query(ctx, db, len(side.key), func(row store.Row) error { return have.add(row, side) }); err != nil {
			return 0, err
		}
	}
	for _, key := range have.sorted() {
		if _, is := slices.BinarySearchFunc(keys, key, have.compare); is {
			n++
		}
	}
	return n, nil
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
	s.printf(" ORDER BY %s) LIMIT %d%s", strings.Join(order, ", "), g.limit+1, g.behind)
	return s.query(ctx, db, len(one.key), func(row store.Row) error { return p.add(row, one) })
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
func (g *joiner) derived(s *statement, side joined, alias string) error {
	names := make([]string, len(side.cols))
	for i, c := range side.cols {
		names[i] = c.ref
	}
	for _, c := range side.key {
		if !slices.Contains(names, c.ref) {
			names = append(names, c.ref)
		}
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
	err = s.query(ctx, db, 1, func(row store.Row) (err error) {
		n, err = number(row[0])
		return err
	})
	return n, err
}

func number(v any) (int64, error) {
	n, ok := v.(int64)
	if !ok {
		return 0, fmt.Errorf("the number of rows is of Go type %T", v)
	}
	return n, nil
}

// pairs are what a join delivered.
type pairs struct {
	*joiner
	columns []store.Column // of the key
	rows    int
	sides   [2]int64 // rows with a key of either side
	keys    []store.Row
}

func (g *joiner) newPairs() *pairs {
	p := &pairs{joiner: g}
	for _, c := range g.source.key {
		p.columns = append(p.columns, c.Column)
	}
	return p
}

// add adds a row that holds a key of each of sides, or, if there are two, NULL.
func (p *pairs) add(row store.Row, sides ...joined) error {
	p.rows++
	n := len(p.source.key)
	for i, side := range sides {
		key := row[i*n : (i+1)*n]
		if key[0] == nil && len(sides) > 1 {
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
}

// sorted returns each key once.
func (p *pairs) sorted() []store.Row {
	slices.SortFunc(p.keys, p.compare)
	p.keys = slices.CompactFunc(p.keys, func(a, b store.Row) bool { return p.compare(a, b) == 0 })
	return p.keys
}

func (p *pairs) compare(a, b store.Row) int { return store.CompareKeys(p.columns, a, b) }
