package mirror

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
func (md *metadata) match(tables []store.Table) {
	md.byTable, md.doubts = map[string][]int{}, map[string][]int{}
	byBare := map[string][]store.Table{}
	for _, t := range tables {
		if isKept(t.Name) {
			continue
		}
		md.byTable[store.FoldName(t.Name)] = nil
		bare := store.FoldName(bareName(t.Name))
		byBare[bare] = append(byBare[bare], t)
	}
	loose := map[string][]int{} // by the table's folded name
	for i := range md.rows {
		row := &md.rows[i]
		if row.table == "" || row.unread {
			continue
		}
		parts := nameParts(row.table)
		bare := store.FoldName(bareName(row.table))
		candidates := byBare[bare]
		own := slices.IndexFunc(candidates, func(t store.Table) bool { return isNamed(t, row.table, parts) })
		switch {
		case own >= 0:
			md.bind(i, candidates[own])
		case len(candidates) == 1:
			folded := store.FoldName(candidates[0].Name)
			row.means = candidates[0]
			loose[folded] = append(loose[folded], i)
		case len(candidates) == 0 && store.FoldName(row.table) == bare:
			md.bind(i, store.Table{Name: row.table})
		case len(candidates) == 0:
			row.means = store.Table{Name: bareName(row.table)}
			loose[bare] = append(loose[bare], i)
		default:
			for _, t := range candidates {
				md.doubts[store.FoldName(t.Name)] = append(md.doubts[store.FoldName(t.Name)], i)
			}
		}
	}
	for folded, rows := range loose {
		first := store.FoldName(md.rows[rows[0]].table)
		alone := len(md.byTable[folded]) == 0 && len(md.doubts[folded]) == 0 &&
			!slices.ContainsFunc(rows, func(i int) bool { return store.FoldName(md.rows[i].table) != first })
		for _, i := range rows {
			if alone {
				md.bind(i, md.rows[i].means)
			} else {
				md.rows[i].means = store.Table{}
				md.doubts[folded] = append(md.doubts[folded], i)
			}
		}
	}
}

// meant finds the table that a metadata row of exactly that name means, or one
// that is absent.
func (md *metadata) meant(name string) (store.Table, bool) {
	folded := store.FoldName(name)
	i := slices.IndexFunc(md.rows, func(r metadataRow) bool {
		return r.means.Name != "" && (store.FoldName(r.table) == folded || r.means.Columns == nil && store.FoldName(r.means.Name) == folded)
	})
	if i < 0 {
		return store.Table{}, false
	}
	return md.rows[i].means, true
}

func (md *metadata) bind(i int, t store.Table) {
	md.rows[i].means = t
	folded := store.FoldName(t.Name)
	md.byTable[folded] = append(md.byTable[folded], i)
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

// doubt says why it is not known which metadata rows are a table's, "" when it
// is known.
func (md *metadata) doubt(t store.Table) string {
	if md == nil {
		return ""
	}
	rows := md.doubts[md.key(t)]
	if len(rows) == 0 && len(md.rowsOf(t)) == 0 {
		for i := range md.rows {
			if r := &md.rows[i]; r.unread || r.means.Columns == nil && looksLike(r.table, t.Name) {
				rows = append(rows, i)
			}
		}
	}
	if len(rows) == 0 {
		return ""
	}
	var names []string
	for _, i := range rows {
		if name := md.rows[i].shown(); !slices.Contains(names, name) {
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
func (r *metadataRow) shown() string {
	if r.unread {
		return r.table
	}
	return fmt.Sprintf("%q", text.Name(r.table))
}

// lone says what is wrong with a row that is no table's.
func (md *metadata) lone(i int) string {
	if md.rows[i].unread {
		return "is a metadata row whose name is no text: write the name of its table there"
	}
	var names []string
	for folded, rows := range md.doubts {
		if slices.Contains(rows, i) {
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

// closestName returns the known name that is most like name, or "" when none is
// close enough to be meant.
func closestName(name string, known []string) string {
	folded := []rune(store.FoldName(text.Clip(name, text.MaxName)))
	best, bestDistance := "", len(folded)/3+2
	for _, k := range known {
		if d := text.EditDistance(folded, []rune(store.FoldName(k))); d < bestDistance || d == bestDistance && best != "" && k < best {
			best, bestDistance = k, d
		}
	}
	return best
}
