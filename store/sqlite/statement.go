package sqlite

import (
	"slices"
	"strings"

	"github.com/so-mirror/mirror/store"
)

// token is a word, a name, a literal or an operator of a statement.
type token struct {
	raw  string
	name string // what it names, "" if it cannot be a name
	word bool   // it is without quotes, so it may be a keyword
}

// is reports whether t is a keyword or an operator.
func (t token) is(s string) bool {
	return len(t.raw) == len(s) && (t.word || t.name == "") && strings.EqualFold(t.raw, s)
}

// tokenize splits a statement of the catalogue, which SQLite has parsed before.
// Comments are left out.
func tokenize(sql string) (tokens []token) {
	for i := 0; i < len(sql); {
		start := i
		switch c := sql[i]; {
		case c == ' ' || c >= '\t' && c <= '\r':
			i++
		case strings.HasPrefix(sql[i:], "--"):
			i = endOf(sql, i, "\n")
		case strings.HasPrefix(sql[i:], "/*"):
			i = endOf(sql, i+2, "*/")
		case c == '"' || c == '`' || c == '\'':
			quote := string(c)
			for i = endOf(sql, i+1, quote); i < len(sql) && sql[i] == c; {
				i = endOf(sql, i+1, quote)
			}
			// Where a name is wanted, SQLite takes a string for one.
			name := strings.TrimSuffix(sql[start+1:i], quote)
			tokens = append(tokens, token{raw: sql[start:i], name: strings.ReplaceAll(name, quote+quote, quote)})
		case c == '[':
			i = endOf(sql, i, "]")
			tokens = append(tokens, token{raw: sql[start:i], name: strings.TrimSuffix(sql[start+1:i], "]")})
		case inWord(c):
			for i < len(sql) && inWord(sql[i]) {
				i++
			}
			tokens = append(tokens, token{raw: sql[start:i], name: sql[start:i], word: true})
		default:
			i++
			if i < len(sql) && slices.Contains(operators, sql[start:i+1]) {
				i++
			}
			tokens = append(tokens, token{raw: sql[start:i]})
		}
	}
	return tokens
}

// operators are those of two characters.
var operators = []string{"||", "<=", ">=", "<>", "!=", "==", "<<", ">>", "->"}

// endOf returns the position behind the next end from i on, or that of the end.
func endOf(sql string, i int, end string) int {
	if i >= len(sql) {
		return len(sql)
	}
	n := strings.Index(sql[i:], end)
	if n < 0 {
		return len(sql)
	}
	return i + n + len(end)
}

func inWord(c byte) bool {
	return c == '_' || c == '$' || c >= 0x80 || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// lower folds names as SQLite does, which knows the case of ASCII alone.
func lower(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, name)
}

// join writes tokens in one way, however they were set apart.
func join(tokens []token) string {
	var b strings.Builder
	for i, t := range tokens {
		if i > 0 && !tokens[i-1].is("(") && !t.is(")") && !t.is(",") {
			b.WriteByte(' ')
		}
		b.WriteString(t.raw)
	}
	return b.String()
}

// level is what stands in one pair of parentheses of a statement.
type level struct {
	from bool // it is in FROM, where another table follows a comma
	next bool // the next name is that of a table
}

// usedIn returns the tables and views that a statement reads or writes, as known
// spells those that exist. A name counts where a table stands and nowhere else: a
// column or an alias may be named like a table.
func usedIn(tokens []token, known map[string]string) (uses []store.ObjectName) {
	queries := withNames(tokens)
	isQuery := func(name string, at int) bool {
		return slices.ContainsFunc(queries, func(q query) bool { return q.name == name && q.begin <= at && at < q.end })
	}
	levels := []level{{}}
	for i := 0; i < len(tokens); i++ {
		l := &levels[len(levels)-1]
		t := tokens[i]
		follows := func(s string) bool { return i+1 < len(tokens) && tokens[i+1].is(s) }
		switch {
		case t.is("("):
			// Tables are joined in parentheses; a query in them begins anew.
			levels = append(levels, level{from: l.next, next: l.next})
			l.next = false
		case t.is(")"):
			if len(levels) > 1 {
				levels = levels[:len(levels)-1]
			}
			levels[len(levels)-1].next = false
		case t.is(","):
			l.next = l.from
		case t.is("FROM") && i > 0 && tokens[i-1].is("DISTINCT"): // IS DISTINCT FROM is an operator
		case t.is("FROM"), t.is("JOIN"):
			l.from, l.next = true, true
		case t.is("INTO"):
			l.from, l.next = false, true
		case t.is("UPDATE"):
			l.from, l.next = false, !follows("SET") // DO UPDATE SET is of the table of the INSERT
			if follows("OR") {
				i += 2
			}
		case t.is("IN"):
			l.next = !follows("(") // IN table
		case t.is("WITH"), t.is("SELECT"), t.is("VALUES"), t.is("WHERE"), t.is("GROUP"), t.is("HAVING"), t.is("ORDER"), t.is("LIMIT"),
			t.is("WINDOW"), t.is("SET"), t.is("UNION"), t.is("EXCEPT"), t.is("INTERSECT"), t.is(";"):
			l.from, l.next = false, false
		case l.next && t.name != "":
			l.next = false
			qualified := false
			for i+2 < len(tokens) && tokens[i+1].is(".") {
				i, qualified = i+2, true
			}
			name, folded := tokens[i].name, lower(tokens[i].name)
			spelled, exists := known[folded]
			switch {
			case !qualified && isQuery(folded, i):
				continue
			case exists:
				name = spelled
			case follows("("), strings.HasPrefix(folded, "sqlite_"), strings.HasPrefix(folded, "pragma_"):
				continue // a function that returns rows, or the engine's own
			}
			if use := (store.ObjectName{Name: name}); !slices.Contains(uses, use) {
				uses = append(uses, use)
			}
		}
	}
	return uses
}

// query is a name that WITH gives to a query, and where the name counts.
type query struct {
	name       string // folded
	begin, end int
}

// withNames returns the queries that WITH names: what stands between WITH or a
// comma and AS with a parenthesis. They count in the parentheses around them.
func withNames(tokens []token) (queries []query) {
	var open []int
	named := map[int][]string{} // by the position of the parenthesis around them
	closeAt := func(begin, end int) {
		for _, name := range named[begin] {
			queries = append(queries, query{name, begin, end})
		}
	}
	around := func() int {
		if len(open) == 0 {
			return 0
		}
		return open[len(open)-1]
	}
	for i, t := range tokens {
		switch {
		case t.is("("):
			if name := namedBefore(tokens[:i]); name != "" {
				named[around()] = append(named[around()], lower(name))
			}
			open = append(open, i)
		case t.is(")") && len(open) > 0:
			closeAt(around(), i)
			open = open[:len(open)-1]
		}
	}
	closeAt(0, len(tokens))
	return queries
}

// namedBefore returns the name of the query that begins behind tokens, or "".
func namedBefore(tokens []token) string {
	cut := func(word string) bool {
		n := len(tokens) - 1
		if n < 0 || !tokens[n].is(word) {
			return false
		}
		tokens = tokens[:n]
		return true
	}
	if cut("MATERIALIZED") {
		cut("NOT")
	}
	if !cut("AS") {
		return ""
	}
	if cut(")") { // the names of its columns
		for len(tokens) > 0 && !cut("(") {
			tokens = tokens[:len(tokens)-1]
		}
	}
	if len(tokens) < 2 {
		return ""
	}
	name, before := tokens[len(tokens)-1].name, tokens[len(tokens)-2]
	if !before.is("WITH") && !before.is("RECURSIVE") && !before.is(",") {
		return ""
	}
	return name
}
