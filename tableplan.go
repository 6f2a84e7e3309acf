package mirror

import (
	"fmt"
	"slices"
	"strings"

	"github.com/so-mirror/mirror/internal/diff"
	"github.com/so-mirror/mirror/store"
)

// tablePlan says how the rows of a table are compared.
type tablePlan struct {
	diff.Table
	unread       []store.Column // comparable columns of an incomparable table
	incomparable string         // why rows cannot be compared, or ""
}

// planTable compares the schemas and picks the columns to compare.
func (c *comparison) planTable(p pair, tr *TableReport) tablePlan {
	differ := func(column, what, source, mirror string) {
		tr.Schema = append(tr.Schema, SchemaDifference{Column: column, What: what, Source: source, Mirror: mirror})
	}
	leaveOut := func(column, reason string) {
		tr.NotCompared = append(tr.NotCompared, Omission{Column: column, Reason: reason})
	}
	var source, mirror []store.Column
	used := map[string]bool{} // columns of the mirror
	for _, s := range p.source.Columns {
		m, ok := p.mirror.Column(s.Name)
		// A column of exactly that name elsewhere in the source comes first.
		ok = ok && !used[m.Name] && (m.Name == s.Name || !hasColumn(p.source, m.Name))
		used[m.Name] = used[m.Name] || ok
		switch {
		case c.ignored(p.name, s.Name):
			tr.NotCompared = append(tr.NotCompared, ignoredColumn(s.Name))
			continue
		case s.Omit != "":
			leaveOut(s.Name, s.Omit+", at the source")
			continue
		case s.Generated:
			leaveOut(s.Name, "computed at the source")
			continue
		case s.Type.Name == "rowversion":
			leaveOut(s.Name, "rowversion differs in every database")
			continue
		case !ok:
			differ(s.Name, "missing column", describe(s), "")
			leaveOut(s.Name, "not in the mirror")
			continue
		case m.Omit != "":
			leaveOut(s.Name, m.Omit+", in the mirror")
			continue
		case m.Generated:
			leaveOut(s.Name, "computed in the mirror")
			continue
		}
		ks, km := s.Type.Kind(), m.Type.Kind()
		if s.Type != m.Type && (ks != km || !c.opts.LooseTypes) {
			differ(s.Name, "type", s.Type.String(), m.Type.String())
		}
		if s.Nullable != m.Nullable && !c.opts.LooseTypes {
			differ(s.Name, "nullability", nullability(s), nullability(m))
		}
		switch {
		case ks == store.KindOther || km == store.KindOther:
			leaveOut(s.Name, "type "+s.Type.String()+" cannot be compared")
		case ks != km:
			leaveOut(s.Name, fmt.Sprintf("%s cannot be compared with %s", s.Type, m.Type))
		default:
			if coarser, ok := store.CoarserTime(s.Type, m.Type); ok {
				tr.warn(fmt.Sprintf("column %s is %s at the source and %s in the mirror: it is compared in steps of %s, and a smaller difference is not seen",
					s.Name, s.Type, m.Type, coarser))
			}
			source, mirror = append(source, s), append(mirror, m)
		}
	}
	for _, m := range p.mirror.Columns {
		switch {
		case used[m.Name]:
		case c.ignored(p.name, m.Name):
			tr.NotCompared = append(tr.NotCompared, ignoredColumn(m.Name))
		case m.Omit != "":
			leaveOut(m.Name, m.Omit+", in the mirror")
		default:
			differ(m.Name, "extra column", "", describe(m))
			leaveOut(m.Name, "not at the source")
		}
	}
	if !slices.EqualFunc(p.source.Key, p.mirror.Key, func(a, b string) bool { return store.FoldName(a) == store.FoldName(b) }) {
		differ("", "primary key", strings.Join(p.source.Key, ", "), strings.Join(p.mirror.Key, ", "))
	}
	plan := tablePlan{Table: diff.Table{
		Source: diff.Side{Table: *p.source}, Mirror: diff.Side{Table: *p.mirror},
		Keyless: len(p.source.Key) == 0, AnyValue: store.HoldsAnyValue(c.source) || store.HoldsAnyValue(c.m.store),
	}}
	if reason := hiddenRows(p); reason != "" {
		plan.incomparable, plan.unread = reason, source
		return plan
	}
	if plan.Keyless {
		plan.Source.Columns, plan.Mirror.Columns, plan.Key = source, mirror, len(source)
		if len(source) == 0 {
			plan.incomparable = "the two sides have no comparable column in common"
		}
	} else {
		for _, k := range p.source.Key {
			i := slices.IndexFunc(source, func(s store.Column) bool { return s.Name == k })
			if i < 0 {
				plan.incomparable = fmt.Sprintf("key column %s is not comparable on both sides", k)
				for _, o := range tr.NotCompared {
					if o.Column == k && p.omits(k) {
						plan.incomparable += ": " + o.Reason
					}
				}
				plan.unread = source
				return plan
			}
			plan.Source.Columns, plan.Mirror.Columns = append(plan.Source.Columns, source[i]), append(plan.Mirror.Columns, mirror[i])
			source, mirror = slices.Delete(source, i, i+1), slices.Delete(mirror, i, i+1)
		}
		plan.Key = len(plan.Source.Columns)
		plan.Source.Columns, plan.Mirror.Columns = append(plan.Source.Columns, source...), append(plan.Mirror.Columns, mirror...)
	}
	for i, col := range plan.Source.Columns[:plan.Key] {
		tr.Key = append(tr.Key, col.Name)
		// Rounding makes neighbours equal, and the columns behind them would
		// then be in no common order.
		if mir := plan.Mirror.Columns[i]; plan.Key > 1 && store.TimeStep(col.Type) != store.TimeStep(mir.Type) && store.IsTime(col.Type) {
			plan.incomparable = fmt.Sprintf("column %s of the key is %s at the source and %s in the mirror", col.Name, col.Type, mir.Type)
		}
	}
	tr.Keyless = plan.Keyless
	plan.Ranged = !plan.Keyless
	for i, col := range plan.Source.Columns[:plan.Key] {
		plan.Ranged = plan.Ranged && col.Type == plan.Mirror.Columns[i].Type && !col.Nullable && !plan.Mirror.Columns[i].Nullable
	}
	return plan
}

// hiddenRows says why a side does not show all rows, "" when both do.
func hiddenRows(p pair) string {
	switch {
	case p.source.Omit != "":
		return "source: " + p.source.Omit
	case p.mirror.Omit != "":
		return "mirror: " + p.mirror.Omit
	default:
		return ""
	}
}

func ignoredColumn(name string) Omission {
	return Omission{Column: name, Reason: "ignored by request", Requested: true}
}

func (c *comparison) ignored(table, column string) bool {
	return slices.ContainsFunc(c.opts.IgnoreColumns, func(entry string) bool { return c.ignores(entry, table, column) })
}

// ignores reports whether an entry of IgnoreColumns means that column.
func (c *comparison) ignores(entry, table, column string) bool {
	column = store.FoldName(column)
	return store.FoldName(entry) == column || store.FoldName(c.trimPrefix(entry)) == store.FoldName(table)+"."+column
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
