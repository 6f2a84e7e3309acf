package replica

import (
	"fmt"
	"slices"
	"strings"

	"github.com/so-mirror/mirror/internal/match"
	"github.com/so-mirror/mirror/store"
)

// SchemaFinding is one difference between the definitions of a table.
type SchemaFinding struct {
	Column string `json:"column,omitempty"` // "" for the primary key
	What   string `json:"what"`

	// Reference and Replica are the two definitions, "" for none.
	Reference string `json:"reference,omitempty"`
	Replica   string `json:"replica,omitempty"`

	// Breaks says that what reads the reference can fail on the replica, or lose
	// something: the column is missing, narrower or of another kind.
	Breaks bool `json:"breaks,omitempty"`
}

// schema compares the definitions of a table that both sides have.
func (c *check) schema(p match.Pair) (found []SchemaFinding) {
	ignored := func(column string) bool {
		return slices.ContainsFunc(p.Plan.NotCompared, func(o match.Omission) bool { return o.Requested && o.Column == column })
	}
	for _, s := range p.Source.Columns {
		m, ok := p.Mirror.Column(s.Name)
		switch {
		case ignored(s.Name):
		case !ok:
			found = append(found, SchemaFinding{Column: s.Name, What: "missing column", Reference: s.Type.String(), Breaks: true})
		case s.Type != m.Type:
			what, breaks := typeChange(s.Type, m.Type)
			found = append(found, SchemaFinding{Column: s.Name, What: what, Reference: s.Type.String(), Replica: m.Type.String(), Breaks: breaks})
		case s.Nullable != m.Nullable:
			found = append(found, SchemaFinding{Column: s.Name, What: "nullability", Reference: nullability(s), Replica: nullability(m)})
		}
	}
	for _, m := range p.Mirror.Columns {
		if _, ok := p.Source.Column(m.Name); !ok && !ignored(m.Name) {
			found = append(found, SchemaFinding{Column: m.Name, What: "extra column", Replica: m.Type.String()})
		}
	}
	before, after := c.declaredKey(c.referenceTables, p.Source), c.declaredKey(c.replicaTables, p.Mirror)
	if !slices.EqualFunc(before, after, func(a, b string) bool { return store.FoldName(a) == store.FoldName(b) }) {
		found = append(found, SchemaFinding{What: "primary key", Reference: strings.Join(before, ", "), Replica: strings.Join(after, ", ")})
	}
	return found
}

// declaredKey is the key of a table as its catalogue has it.
func (c *check) declaredKey(catalogue []store.Table, t *store.Table) []string {
	i := slices.IndexFunc(catalogue, func(o store.Table) bool { return o.Name == t.Name && o.Schema == t.Schema })
	return catalogue[i].Key
}

func nullability(c store.Column) string {
	if c.Nullable {
		return "null"
	}
	return "not null"
}

// sizes are the types of whole numbers and of floats by what they hold.
var sizes = map[string]int{"bit": 1, "tinyint": 2, "smallint": 3, "int": 4, "bigint": 5, "real": 1, "float": 2, "smallmoney": 1, "money": 2}

// typeChange says what becomes of values when a column's type is another, and
// whether something can be lost.
func typeChange(from, to store.Type) (what string, breaks bool) {
	const narrower, wider, other = "narrower", "wider", "other type"
	if from.Kind() != to.Kind() {
		return "other kind", true
	}
	pick := func(less, more bool) (string, bool) {
		switch {
		case less:
			return narrower, true
		case more:
			return wider, false
		default:
			return other, false
		}
	}
	switch from.Kind() {
	case store.KindString:
		unicode := func(t store.Type) bool {
			return strings.HasPrefix(t.Name, "n") || t.Name == "xml" || t.Name == "sysname"
		}
		return pick(length(to) < length(from) || unicode(from) && !unicode(to), length(to) > length(from))
	case store.KindBytes:
		return pick(length(to) < length(from), length(to) > length(from))
	case store.KindDecimal:
		a, b := digits(from), digits(to)
		return pick(b[0] < a[0] || b[1] < a[1], b[0] > a[0] || b[1] > a[1])
	}
	if store.IsTime(from) {
		a, b := store.TimeStep(from), store.TimeStep(to)
		return pick(b > a, b < a)
	}
	return pick(sizes[to.Name] < sizes[from.Name], sizes[to.Name] > sizes[from.Name])
}

// length is how much a text or binary type holds.
func length(t store.Type) int {
	if isLarge(t) {
		return store.MaxLength
	}
	return t.Length
}

// digits are how many digits a decimal type has before and behind the point.
func digits(t store.Type) [2]int {
	switch t.Name {
	case "money":
		return [2]int{15, 4}
	case "smallmoney":
		return [2]int{6, 4}
	default:
		return [2]int{t.Precision - t.Scale, t.Scale}
	}
}

// String describes the finding for people.
func (f SchemaFinding) String() string {
	name := f.Column
	if name == "" {
		name = "primary key"
	}
	switch {
	case f.Reference == "":
		return fmt.Sprintf("%s: %s %s", name, f.What, f.Replica)
	case f.Replica == "":
		return fmt.Sprintf("%s: %s, was %s", name, f.What, f.Reference)
	default:
		return fmt.Sprintf("%s: %s, %s was %s", name, f.What, f.Replica, f.Reference)
	}
}
