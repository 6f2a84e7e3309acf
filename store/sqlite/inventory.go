package sqlite

import (
	"cmp"
	"context"
	"strings"

	"github.com/jmoiron/sqlx"

	"github.com/so-mirror/mirror/store"
)

// objects lists the views, the triggers and the indexes that a statement made.
func objects(ctx context.Context, q sqlx.QueryerContext) ([]store.Object, error) {
	var schema []struct {
		Type  string  `db:"type"`
		Name  string  `db:"name"`
		Table string  `db:"tbl_name"`
		SQL   *string `db:"sql"` // of the indexes of constraints there is none
	}
	if err := sqlx.SelectContext(ctx, q, &schema, "SELECT m.type, m.name, m.tbl_name, m.sql FROM main.sqlite_schema AS m"); err != nil {
		return nil, err
	}
	indexes, err := indexDetails(ctx, q)
	if err != nil {
		return nil, err
	}
	known := make(map[string]string, len(schema))
	for _, s := range schema {
		if s.Type == "table" || s.Type == "view" {
			known[lower(s.Name)] = s.Name
		}
	}
	var list []store.Object
	for _, s := range schema {
		if s.SQL == nil {
			continue
		}
		o := store.Object{Name: s.Name}
		tokens := tokenize(*s.SQL)
		switch s.Type {
		case "view":
			o.Kind, o.Uses = store.ObjectView, usedIn(tokens, known)
		case "trigger":
			event, body := cutTrigger(tokens)
			o.Kind, o.On, o.Uses, o.Detail = store.ObjectTrigger, store.ObjectName{Name: cmp.Or(known[lower(s.Table)], s.Table)}, usedIn(body, known), event
		case "index":
			d := indexes[s.Name]
			o.Kind, o.On, o.Detail = store.ObjectIndex, store.ObjectName{Name: s.Table}, d.text(tokens)
		default:
			continue
		}
		list = append(list, o)
	}
	return list, nil
}

// indexDetail is what the catalogue says of an index. The key column of an
// expression has no name.
type indexDetail struct {
	unique  bool
	columns []*string
	suffix  []string
}

func indexDetails(ctx context.Context, q sqlx.QueryerContext) (map[string]*indexDetail, error) {
	var columns []struct {
		Index     string  `db:"index_name"`
		Unique    bool    `db:"is_unique"`
		Name      *string `db:"name"`
		Desc      bool    `db:"is_desc"`
		Collation string  `db:"coll"`
	}
	err := sqlx.SelectContext(ctx, q, &columns, `
		SELECT i.name AS index_name, i."unique" AS is_unique, x.name, x."desc" AS is_desc, x.coll
		FROM main.sqlite_schema AS m, pragma_index_list(m.name, 'main') AS i, pragma_index_xinfo(i.name, 'main') AS x
		WHERE m.type = 'table' AND m.sql NOT LIKE 'CREATE VIRTUAL %' AND i.origin = 'c' AND x.key = 1
		ORDER BY i.name, x.seqno`)
	if err != nil {
		return nil, err
	}
	indexes := make(map[string]*indexDetail)
	for _, c := range columns {
		d := indexes[c.Index]
		if d == nil {
			d = &indexDetail{unique: c.Unique}
			indexes[c.Index] = d
		}
		suffix := ""
		if !strings.EqualFold(c.Collation, "BINARY") {
			suffix += " collate " + lower(c.Collation)
		}
		if c.Desc {
			suffix += " desc"
		}
		d.columns, d.suffix = append(d.columns, c.Name), append(d.suffix, suffix)
	}
	return indexes, nil
}

// text returns the detail of the index that the statement makes: its expressions
// and its condition are in the statement alone.
func (d *indexDetail) text(statement []token) string {
	if d == nil {
		return ""
	}
	parts, condition := cutIndex(statement)
	var columns []string
	for i, name := range d.columns {
		switch {
		case name != nil:
			columns = append(columns, *name+d.suffix[i])
		case i < len(parts):
			columns = append(columns, join(parts[i]))
		}
	}
	text := "(" + strings.Join(columns, ", ") + ")"
	if d.unique {
		text = "unique " + text
	}
	if len(condition) > 0 {
		text += " where " + join(condition)
	}
	return text
}

// cutIndex returns what stands between the commas of CREATE INDEX name ON table
// (...), and behind WHERE.
func cutIndex(tokens []token) (parts [][]token, condition []token) {
	depth := 0
	for i, t := range tokens {
		switch {
		case t.is("("):
			if depth++; depth == 1 {
				parts = append(parts, nil)
				continue
			}
		case t.is(")"):
			depth--
		case t.is(",") && depth == 1:
			parts = append(parts, nil)
			continue
		case t.is("WHERE") && depth == 0 && len(parts) > 0:
			return parts, tokens[i+1:]
		}
		if depth > 0 {
			parts[len(parts)-1] = append(parts[len(parts)-1], t)
		}
	}
	return parts, nil
}

// cutTrigger returns when a trigger fires, such as "after update of (a, b)", and
// what follows the table it is on.
func cutTrigger(tokens []token) (event string, body []token) {
	i := 0
	for i < len(tokens) && !tokens[i].is("TRIGGER") {
		i++
	}
	i++
	if i+2 < len(tokens) && tokens[i].is("IF") && tokens[i+1].is("NOT") && tokens[i+2].is("EXISTS") {
		i += 3
	}
	i++ // the name, which can be a word such as after
	if i+1 < len(tokens) && tokens[i].is(".") {
		i += 2
	}
	var words, columns []string
	for ; i < len(tokens) && !tokens[i].is("ON"); i++ {
		switch t := tokens[i]; {
		case len(words) > 0 && words[len(words)-1] == "of" && !t.is("DELETE") && !t.is("INSERT") && !t.is("UPDATE"):
			if !t.is(",") {
				columns = append(columns, t.name)
			}
		default:
			words = append(words, lower(t.raw))
		}
	}
	event = strings.Join(words, " ")
	if len(words) > 0 && words[0] != "before" && words[0] != "after" && words[0] != "instead" {
		event = "before " + event
	}
	if len(columns) > 0 {
		event += " (" + strings.Join(columns, ", ") + ")"
	}
	return event, tokens[min(i+2, len(tokens)):]
}
