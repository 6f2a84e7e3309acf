package crm

import (
	"fmt"
	"iter"
	"math/bits"

	"github.com/so-mirror/mirror/store"
)

// Generator makes the rows of one table. It is safe for concurrent use.
type Generator struct {
	rows    int
	columns []columnPlan
}

type columnPlan struct {
	seed  uint64
	nulls uint64 // how many of 256 values are NULL
	value maker
}

// maker makes the value of row i that is not NULL. d is the row's dice of
// the column.
type maker func(i int, d dice) any

// NewGenerator returns the generator of the rows of t, which is one of
// Tables, perhaps with columns left out, reordered, or made shorter: a value
// depends on the names of its table and column, not on its place. A column
// that is not in Tables gets values by its type. It panics on a type that is
// none of smallint, int, bigint, float, nvarchar, varbinary, datetime and
// datetime2(3) or finer.
func NewGenerator(t store.Table, opts Options) *Generator {
	p := newPlanner(t.Name, opts)
	g := &Generator{rows: opts.Rows(t.Name), columns: make([]columnPlan, len(t.Columns))}
	for i, c := range t.Columns {
		g.columns[i] = p.plan(c)
	}
	return g
}

// Len returns the number of rows.
func (g *Generator) Len() int { return g.rows }

// Row returns row i, counted from 0, in time that does not depend on i. It is
// the caller's to keep. An i of Len or more is a row that the table does not
// have, with a key that it does not have.
func (g *Generator) Row(i int) store.Row {
	row := make(store.Row, len(g.columns))
	for j := range g.columns {
		c := &g.columns[j]
		d := rowDice(c.seed, i)
		if d.null(c.nulls) {
			continue
		}
		row[j] = c.value(i, d)
	}
	return row
}

// All yields all rows, Row(0) first.
func (g *Generator) All() iter.Seq[store.Row] {
	return func(yield func(store.Row) bool) {
		for i := range g.rows {
			if !yield(g.Row(i)) {
				return
			}
		}
	}
}

// dice is a splitmix64 generator: a sequence of 64-bit numbers in one word,
// so that a fresh one for each value costs nothing.
type dice uint64

const golden = 0x9E3779B97F4A7C15

func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xBF58476D1CE4E5B9
	x = (x ^ x>>27) * 0x94D049BB133111EB
	return x ^ x>>31
}

func rowDice(seed uint64, i int) dice { return dice(mix(seed + uint64(i)*golden)) }

// null decides by the highest bits, which nothing else uses unmixed, whether a value is
// NULL: in share of 256 cases.
func (d dice) null(share uint64) bool { return uint64(d>>56) < share }

func (d *dice) next() uint64 {
	*d += golden
	return mix(uint64(*d))
}

// n returns a number from 0 to n-1, 0 when n is 0.
func (d *dice) n(n int) int {
	hi, _ := bits.Mul64(d.next(), uint64(n))
	return int(hi)
}

// few is like n, but small numbers are much more likely.
func (d *dice) few(n int) int {
	if n == 0 {
		return 0
	}
	return d.n(d.n(n) + 1)
}

func (d *dice) oneIn(n int) bool { return d.n(n) == 0 }

// pick returns one of the values.
func pick[T any](d *dice, values []T) T { return values[d.n(len(values))] }

// hash is FNV-1a.
func hash(s string) uint64 {
	h := uint64(0xcbf29ce484222325)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 0x100000001b3
	}
	return h
}

// keys are the primary keys of one table: from 1, increasing, with gaps where
// rows were deleted.
type keys struct {
	seed  uint64
	rows  int
	dense bool
}

// Every 64 rows use up 72 numbers, so that a key is found without counting;
// where the 8 missing ones are is up to the dice.
const (
	blockRows = 64
	blockKeys = 72
)

func (k keys) at(i int) int64 {
	if k.dense {
		return int64(i) + 1
	}
	block, j := i/blockRows, i%blockRows
	d := rowDice(k.seed, block)
	first, second, gap := 1+d.n(blockRows-1), 1+d.n(blockRows-1), d.n(blockKeys-blockRows+1)
	key := block*blockKeys + 1 + j
	if j >= first {
		key += gap
	}
	if j >= second {
		key += blockKeys - blockRows - gap
	}
	return int64(key)
}

// pick returns the key of a row, 0 when there is none. Half of the time it is
// one of the older rows, which much refers to.
func (k keys) pick(d *dice) int64 {
	switch {
	case k.rows == 0:
		return 0
	case d.next()&1 == 0:
		return k.at(d.n(k.rows))
	default:
		return k.at(d.few(k.rows))
	}
}

// planner chooses the makers of one table's columns.
type planner struct {
	opts   Options
	table  string // folded
	schema map[string]schemaColumn
}

func newPlanner(table string, opts Options) *planner {
	folded := store.FoldName(table)
	return &planner{opts: opts, table: folded, schema: parsedSchema().columns[folded]}
}

func (p *planner) seed(table, column string) uint64 {
	return mix(p.opts.Seed+golden) ^ mix(hash(table)+golden) ^ mix(hash(column))
}

func (p *planner) keys(table string) keys {
	s := sizes[table]
	return keys{
		seed:  p.seed(table, "primary key"),
		rows:  p.opts.Rows(table),
		dense: s.perMille == 0,
	}
}

func (p *planner) plan(c store.Column) columnPlan {
	name := store.FoldName(c.Name)
	plan := columnPlan{seed: p.seed(p.table, name)}
	known := p.schema[name]
	if known.key {
		k := p.keys(p.table)
		plan.value = func(i int, _ dice) any { return k.at(i) }
		return plan
	}
	if c.Nullable {
		plan.nulls = nullShare(p.table, name, known.soType)
	}
	switch c.Type.Name {
	case "smallint", "int", "bigint":
		plan.value = p.integer(name, known.soType, c, plan.seed)
	case "nvarchar":
		plan.value = p.text(name, c.Type.Length, plan.seed)
	case "float":
		plan.value = p.float(name)
	case "datetime", "datetime2":
		plan.value = p.time(name, known.soType)
	case "varbinary":
		plan.value = func(_ int, d dice) any { return blob(d, c.Type.Length) }
	}
	if plan.value == nil || c.Type.Name == "datetime2" && c.Type.Scale < 3 {
		panic(fmt.Sprintf("crm: no values of type %s for column %s.%s", c.Type, p.table, c.Name))
	}
	return plan
}
