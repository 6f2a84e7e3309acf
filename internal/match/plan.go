package match

import (
	"fmt"
	"slices"
	"strings"

	"github.com/so-mirror/mirror/internal/diff"
	"github.com/so-mirror/mirror/store"
)

// Plan says how the rows of a table are compared, and what came out about its
// definitions.
type Plan struct {
	// Table is for the engine, unless rows are Incomparable. Then it names the
	// columns that could be compared but for that, and the key if there is one.
	diff.Table
	Incomparable string // why rows cannot be compared, or ""

	Schema      []Difference // of the definitions; the order of columns and their defaults do not count
	NotCompared []Omission   // every column that is left out
	Warnings    []string     // differences that are not seen although the column is compared
}

// Difference is one difference between the definitions of a table.
type Difference struct {
	Column string // "" for the primary key
	What   string // "missing column", "extra column", "type", "nullability" or "primary key"
	Source string // the definition there, "" for none
	Mirror string
}

// Omission is a column that is not compared, and why.
type Omission struct {
	Column    string
	Reason    string
	Requested bool // by IgnoreColumns
}

// column is a column of both sides whose values can be compared.
type column struct{ source, mirror store.Column }

// plan compares the definitions of a table that both sides have.
func (o *Options) plan(p *Pair) *Plan {
	plan := &Plan{Table: diff.Table{
		Source: diff.Side{Table: *p.Source}, Mirror: diff.Side{Table: *p.Mirror}, AnyValue: o.AnyValue,
	}}
	columns := plan.columns(p, o)
	if !slices.EqualFunc(p.Source.Key, p.Mirror.Key, func(a, b string) bool { return store.FoldName(a) == store.FoldName(b) }) {
		plan.differ("", "primary key", strings.Join(p.Source.Key, ", "), strings.Join(p.Mirror.Key, ", "))
	}
	if plan.Incomparable = hiddenRows(p); plan.Incomparable == "" {
		columns = plan.keyFirst(p, columns)
	}
	for _, c := range columns {
		plan.Source.Columns, plan.Mirror.Columns = append(plan.Source.Columns, c.source), append(plan.Mirror.Columns, c.mirror)
	}
	if plan.Incomparable == "" {
		plan.order(columns)
	}
	return plan
}

func (p *Plan) differ(column, what, source, mirror string) {
	p.Schema = append(p.Schema, Difference{Column: column, What: what, Source: source, Mirror: mirror})
}

func (p *Plan) leaveOut(column, reason string) {
	p.NotCompared = append(p.NotCompared, Omission{Column: column, Reason: reason})
}

func (p *Plan) ignore(column string) {
	p.NotCompared = append(p.NotCompared, Omission{Column: column, Reason: "ignored by request", Requested: true})
}

// columns returns the columns that both sides have and whose values can be
// compared, in the source's order, and notes what is to be said of the others.
func (p *Plan) columns(pair *Pair, o *Options) (both []column) {
	used := map[string]bool{} // columns of the mirror
	for _, s := range pair.Source.Columns {
		m, ok := pair.Mirror.Column(s.Name)
		// A column of exactly that name elsewhere in the source comes first.
		ok = ok && !used[m.Name] && (m.Name == s.Name || !hasColumn(pair.Source, m.Name))
		used[m.Name] = used[m.Name] || ok
		switch {
		case o.ignored(pair.Name, s.Name):
			p.ignore(s.Name)
		case s.Omit != "":
			p.leaveOut(s.Name, s.Omit+", at the source")
		case s.Generated:
			p.leaveOut(s.Name, "computed at the source")
		case s.Type.Name == "rowversion":
			p.leaveOut(s.Name, "rowversion differs in every database")
		case !ok:
			p.differ(s.Name, "missing column", describe(s), "")
			p.leaveOut(s.Name, "not in the mirror")
		case m.Omit != "":
			p.leaveOut(s.Name, m.Omit+", in the mirror")
		case m.Generated:
			p.leaveOut(s.Name, "computed in the mirror")
		case p.canCompare(s, m, o.LooseTypes):
			both = append(both, column{s, m})
		}
	}
	for _, m := range pair.Mirror.Columns {
		switch {
		case used[m.Name]:
		case o.ignored(pair.Name, m.Name):
			p.ignore(m.Name)
		case m.Omit != "":
			p.leaveOut(m.Name, m.Omit+", in the mirror")
		default:
			p.differ(m.Name, "extra column", "", describe(m))
			p.leaveOut(m.Name, "not at the source")
		}
	}
	return both
}

// canCompare compares the definitions of a column, and reports whether its
// values can be compared.
func (p *Plan) canCompare(s, m store.Column, loose bool) bool {
	ks, km := s.Type.Kind(), m.Type.Kind()
	if s.Type != m.Type && (ks != km || !loose) {
		p.differ(s.Name, "type", s.Type.String(), m.Type.String())
	}
	if s.Nullable != m.Nullable && !loose {
		p.differ(s.Name, "nullability", nullability(s), nullability(m))
	}
	switch {
	case ks == store.KindOther || km == store.KindOther:
		p.leaveOut(s.Name, "type "+s.Type.String()+" cannot be compared")
		return false
	case ks != km:
		p.leaveOut(s.Name, fmt.Sprintf("%s cannot be compared with %s", s.Type, m.Type))
		return false
	}
	if coarser, ok := store.CoarserTime(s.Type, m.Type); ok {
		p.Warnings = append(p.Warnings, fmt.Sprintf("column %s is %s at the source and %s in the mirror: it is compared in steps of %s, and a smaller difference is not seen",
			s.Name, s.Type, m.Type, coarser))
	}
	return true
}

// hiddenRows says why a side does not show all rows, "" when both do.
func hiddenRows(p *Pair) string {
	switch {
	case p.Source.Omit != "":
		return "source: " + p.Source.Omit
	case p.Mirror.Omit != "":
		return "mirror: " + p.Mirror.Omit
	default:
		return ""
	}
}

// keyFirst moves the columns of the source's key to the front, in its order. The
// table is incomparable when one of them is missing.
func (p *Plan) keyFirst(pair *Pair, columns []column) []column {
	for at, k := range pair.Source.Key {
		i := slices.IndexFunc(columns[at:], func(c column) bool { return c.source.Name == k })
		if i < 0 {
			p.Incomparable = fmt.Sprintf("key column %s is not comparable on both sides", k)
			for _, o := range p.NotCompared {
				if o.Column == k && pair.omits(k) {
					p.Incomparable += ": " + o.Reason
				}
			}
			break
		}
		c := columns[at+i]
		columns = slices.Insert(slices.Delete(columns, at+i, at+i+1), at, c)
	}
	return columns
}

// omits reports whether a side cannot show a column.
func (p *Pair) omits(column string) bool {
	s, _ := p.Source.Column(column)
	m, _ := p.Mirror.Column(column)
	return s.Omit != "" || m.Omit != ""
}

// order decides by what rows are told apart, and whether a key means the same
// place on both sides. Without a primary key that is the whole row.
func (p *Plan) order(columns []column) {
	p.Key, p.Keyless = len(p.Source.Table.Key), len(p.Source.Table.Key) == 0
	if p.Keyless {
		p.Key = len(columns)
		if len(columns) == 0 {
			p.Incomparable = "the two sides have no comparable column in common"
		}
	}
	p.Ranged = !p.Keyless
	for _, c := range columns[:p.Key] {
		p.Ranged = p.Ranged && c.source.Type == c.mirror.Type && !c.source.Nullable && !c.mirror.Nullable
		// Rounding makes neighbours equal, and the columns behind them would
		// then be in no common order.
		if p.Key > 1 && store.IsTime(c.source.Type) && store.TimeStep(c.source.Type) != store.TimeStep(c.mirror.Type) {
			p.Incomparable = fmt.Sprintf("column %s of the key is %s at the source and %s in the mirror", c.source.Name, c.source.Type, c.mirror.Type)
		}
	}
}

func (o *Options) ignored(table, column string) bool {
	return slices.ContainsFunc(o.IgnoreColumns, func(entry string) bool { return o.ignores(entry, table, column) })
}

// ignores reports whether an entry of IgnoreColumns means that column.
func (o *Options) ignores(entry, table, column string) bool {
	column = store.FoldName(column)
	return store.FoldName(entry) == column || store.FoldName(o.trim(entry)) == store.FoldName(table)+"."+column
}

func hasColumn(t *store.Table, name string) bool {
	return slices.ContainsFunc(t.Columns, func(c store.Column) bool { return c.Name == name })
}

func nullability(c store.Column) string {
	if c.Nullable {
		return "null"
	}
	return "not null"
}

func describe(c store.Column) string { return c.Type.String() + " " + nullability(c) }
