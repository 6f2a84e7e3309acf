package metadata

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/store"
)

// match finds the table that each metadata row means. A row that names a table
// as the catalogue does, with its schema or without, is that table's. Any other
// name is read as T-SQL reads one: its last part is the table, and the schema
// before it is the source's, which is not mirrored. That holds when there is one
// such table, and no row of another spelling for it; otherwise nobody knows which
// row the Mirroring Task goes by.
func (md *Table) match(tables []store.Table) {
	md.byTable, md.doubts = map[string][]*Row{}, map[string][]*Row{}
	byBare := map[string][]store.Table{}
	for _, t := range tables {
		if IsKept(t.Name) {
			continue
		}
		md.byTable[store.FoldName(t.Name)] = nil
		bare := store.FoldName(bareName(t.Name))
		byBare[bare] = append(byBare[bare], t)
	}
	loose := map[string][]*Row{} // by the table's folded name
	for _, row := range md.Rows {
		if row.Name == "" || row.unread {
			continue
		}
		parts := nameParts(row.Name)
		bare := store.FoldName(bareName(row.Name))
		candidates := byBare[bare]
		own := slices.IndexFunc(candidates, func(t store.Table) bool { return isNamed(t, row.Name, parts) })
		switch {
		case own >= 0:
			md.bind(row, candidates[own])
		case len(candidates) == 1:
			folded := store.FoldName(candidates[0].Name)
			row.Means = candidates[0]
			loose[folded] = append(loose[folded], row)
		case len(candidates) == 0 && store.FoldName(row.Name) == bare:
			md.bind(row, store.Table{Name: row.Name})
		case len(candidates) == 0:
			row.Means = store.Table{Name: bareName(row.Name)}
			loose[bare] = append(loose[bare], row)
		default:
			for _, t := range candidates {
				md.doubts[store.FoldName(t.Name)] = append(md.doubts[store.FoldName(t.Name)], row)
			}
		}
	}
	for folded, rows := range loose {
		first := store.FoldName(rows[0].Name)
		alone := len(md.byTable[folded]) == 0 && len(md.doubts[folded]) == 0 &&
			!slices.ContainsFunc(rows, func(r *Row) bool { return store.FoldName(r.Name) != first })
		for _, row := range rows {
			if alone {
				md.bind(row, row.Means)
			} else {
				row.Means = store.Table{}
				md.doubts[folded] = append(md.doubts[folded], row)
			}
		}
	}
}

func (md *Table) bind(row *Row, t store.Table) {
	row.Means = t
	folded := store.FoldName(t.Name)
	md.byTable[folded] = append(md.byTable[folded], row)
}

// isNamed reports whether a name is the table's own, with its schema or without.
// Parts are those of the name.
func isNamed(t store.Table, name string, parts []string) bool {
	folded := store.FoldName(name)
	if folded == store.FoldName(t.Name) || t.Schema != "" && folded == store.FoldName(t.String()) {
		return true
	}
	n := len(parts)
	return n > 1 && t.Schema != "" && store.FoldName(parts[n-1]) == store.FoldName(t.Name) && store.FoldName(parts[n-2]) == store.FoldName(t.Schema)
}

// Meant finds the table that a metadata row of exactly that name means, or one
// that is absent.
func (md *Table) Meant(name string) (store.Table, bool) {
	folded := store.FoldName(name)
	i := slices.IndexFunc(md.Rows, func(r *Row) bool {
		return r.Means.Name != "" && (store.FoldName(r.Name) == folded || r.IsAbsent() && store.FoldName(r.Means.Name) == folded)
	})
	if i < 0 {
		return store.Table{}, false
	}
	return md.Rows[i].Means, true
}

// Of returns the rows of a table.
func (md *Table) Of(t store.Table) []*Row {
	if md == nil {
		return nil
	}
	return md.byTable[md.key(t)]
}

// key is the folded name of a table in byTable: its own, or for one that the
// catalogue does not have the bare one.
func (md *Table) key(t store.Table) string {
	folded := store.FoldName(t.Name)
	if _, known := md.byTable[folded]; known {
		return folded
	}
	return store.FoldName(bareName(t.Name))
}

// Row returns the row of a table, nil when it has none. Several rows are an error,
// because which one the Mirroring Task reads is not known.
func (md *Table) Row(t store.Table) (*Row, error) {
	switch rows := md.Of(t); len(rows) {
	case 0:
		return nil, nil
	case 1:
		return rows[0], nil
	default:
		return nil, fmt.Errorf("has %d rows in the metadata table: HardReset of that table deletes them all", len(rows))
	}
}

// LSN returns the LSN of a table, nil when it has none or several.
func (md *Table) LSN(t store.Table) *store.LSN {
	if rows := md.Of(t); len(rows) == 1 {
		return rows[0].LSN
	}
	return nil
}

// Doubt says why it is not known which metadata rows are a table's, "" when it
// is known.
func (md *Table) Doubt(t store.Table) string {
	if md == nil {
		return ""
	}
	rows := md.doubts[md.key(t)]
	if len(rows) == 0 && len(md.Of(t)) == 0 {
		for _, r := range md.Rows {
			if r.unread || r.Means.Columns == nil && looksLike(r.Name, t.Name) {
				rows = append(rows, r)
			}
		}
	}
	if len(rows) == 0 {
		return ""
	}
	var names []string
	for _, r := range rows {
		if name := r.shown(); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	const most = 3
	if len(names) > most {
		names = append(names[:most], fmt.Sprintf("%d more", len(names)-most))
	}
	return fmt.Sprintf("may be what the metadata row named %s means: give that row the table's name, or make a hard reset of the whole mirror",
		strings.Join(names, ", "))
}

// shown returns the name of a row as a message may show it.
func (r *Row) shown() string {
	if r.unread {
		return r.Name
	}
	return fmt.Sprintf("%q", text.Name(r.Name))
}

// Stray says what is wrong with a row that is no table's.
func (md *Table) Stray(r *Row) string {
	if r.unread {
		return "is a metadata row whose name is no text: write the name of its table there"
	}
	var names []string
	for folded, rows := range md.doubts {
		if slices.Contains(rows, r) {
			names = append(names, text.Name(folded))
		}
	}
	slices.Sort(names)
	return "is a metadata row that may mean " + strings.Join(names, " or ") + ": write the name of its table there"
}

// nameParts splits a name of one to four parts, each bare, in brackets or in
// double quotes. It returns nil for what is no such name.
func nameParts(name string) []string {
	var parts []string
	for rest := strings.TrimSpace(name); ; {
		part := ""
		if rest != "" && (rest[0] == '[' || rest[0] == '"') {
			end := strings.Replace(rest[:1], "[", "]", 1)
			var closed bool
			if part, rest, closed = cutQuoted(rest[1:], end); !closed {
				return nil
			}
			rest = strings.TrimSpace(rest)
		} else {
			n := strings.IndexByte(rest, '.')
			if n < 0 {
				n = len(rest)
			}
			part, rest = strings.TrimSpace(rest[:n]), rest[n:]
			if strings.ContainsAny(part, `[]"`) {
				return nil
			}
		}
		parts = append(parts, part)
		if rest == "" {
			break
		}
		if rest[0] != '.' {
			return nil
		}
		rest = strings.TrimSpace(rest[1:])
	}
	if len(parts) > 4 || parts[len(parts)-1] == "" {
		return nil
	}
	return parts
}

// cutQuoted returns what stands before the closing quote, which is doubled where
// it is meant as itself.
func cutQuoted(s, quote string) (part, rest string, closed bool) {
	for {
		before, after, found := strings.Cut(s, quote)
		part += before
		if !found {
			return "", "", false
		}
		if !strings.HasPrefix(after, quote) {
			return part, after, true
		}
		part, s = part+quote, after[len(quote):]
	}
}

// bareName returns a name without what stands before the table: the last of its
// parts. A name that has no parts is what it is.
func bareName(name string) string {
	if parts := nameParts(name); parts != nil {
		return parts[len(parts)-1]
	}
	return name
}

// sameTable reports whether a metadata row of that name can be the table's.
func sameTable(row, table string) bool {
	return store.FoldName(row) == store.FoldName(table) || store.FoldName(bareName(row)) == store.FoldName(bareName(table))
}

// looksLike reports whether a name that is no table's has the words of a table's
// name at its end.
func looksLike(row, table string) bool {
	words := func(s string) []string {
		return strings.FieldsFunc(store.FoldName(s), func(r rune) bool {
			return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '_'
		})
	}
	have, want := words(row), words(table)
	return len(want) > 0 && len(have) >= len(want) && slices.Equal(have[len(have)-len(want):], want)
}
