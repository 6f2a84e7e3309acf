package memory

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/so-mirror/mirror/internal/superoffice"
	"github.com/so-mirror/mirror/store"
)

// Table is a table as a Go literal.
type Table struct {
	// Schema is the schema prefix. Default: none.
	Schema string

	// Name is the name without the schema.
	Name string

	// Columns are written as in CREATE TABLE: the name, in brackets if it has
	// blanks; the type as store.ParseType takes it; then what applies of
	//
	//	null or not null   Default: null, except in Key.
	//	generated          Computed: never written, NULL in rows that are inserted.
	//	default <expr>     Up to the end of the text.
	//
	// For example "name nvarchar(219) not null default (N'new')".
	Columns []string

	// Key names the columns of the primary key. It makes the key unique.
	// Default: no primary key, and rows may repeat.
	Key []string

	// Rows have one value for each of Columns, generated ones too: a Go
	// literal that store.Normalize takes for the column's type.
	Rows []store.Row
}

// Metadata returns the metadata table of the mirror of contextID: one row for
// each entry of lsn, with the columns tablename, LSN and schemahash. The hash
// is made from the table's name. Change or add to the table as the test needs.
func Metadata(contextID string, lsn map[string]store.LSN) Table {
	t := Table{
		Name:    superoffice.MetadataTable(contextID),
		Columns: []string{"tablename nvarchar(128) not null", "LSN bigint", "schemahash nvarchar(64)"},
	}
	for _, name := range slices.Sorted(maps.Keys(lsn)) {
		hash := fmt.Sprintf("%x", sha256.Sum256([]byte(name)))
		t.Rows = append(t.Rows, store.Row{name, int64(lsn[name]), hash})
	}
	return t
}

// compile makes the table that the literal describes.
func (l Table) compile() (*table, error) {
	def := store.Table{Schema: l.Schema, Name: l.Name, Key: l.Key}
	for _, text := range l.Columns {
		c, err := parseColumn(text, l.Key)
		if err != nil {
			return nil, err
		}
		def.Columns = append(def.Columns, c)
	}
	t, err := newTable(def)
	if err != nil {
		return nil, err
	}
	all, err := t.columns(t.def.ColumnNames())
	if err != nil {
		return nil, err
	}
	rows := make([]store.Row, len(l.Rows))
	for i, row := range l.Rows {
		if rows[i], err = all.values(row); err != nil {
			return nil, fmt.Errorf("row %d: %w", i, err)
		}
		for n, c := range all.cols {
			if err := checkNull(c, rows[i][n]); err != nil {
				return nil, fmt.Errorf("row %d: %w", i, err)
			}
		}
	}
	return t.insert(rows)
}

// parseColumn parses a column such as "name nvarchar(219) null".
func parseColumn(text string, key []string) (store.Column, error) {
	name, rest, err := columnName(strings.TrimSpace(text))
	if err != nil {
		return store.Column{}, fmt.Errorf("column %q: %w", text, err)
	}
	bad := func(err error) (store.Column, error) {
		return store.Column{}, fmt.Errorf("column %s: %w", name, err)
	}
	c := store.Column{Name: name, Nullable: true}
	var typ []string
	saidNull := false
	nullable := func(is bool) error {
		if saidNull {
			return errors.New("null or not null is there twice")
		}
		if is && slices.Contains(key, name) {
			return errors.New("a column of the primary key cannot be null")
		}
		saidNull, c.Nullable = true, is
		return nil
	}
	modifiers := false
	for rest != "" {
		if expr, ok := cutDefault(rest); ok {
			c.Default = expr
			if err := checkDefault(c.Default); err != nil {
				return bad(err)
			}
			break
		}
		var word string
		word, rest = cutWord(rest)
		switch lower := strings.ToLower(word); {
		case lower == "null":
			if err := nullable(true); err != nil {
				return bad(err)
			}
		case lower == "not":
			if word, rest = cutWord(rest); !strings.EqualFold(word, "null") {
				return bad(errors.New(`"not" without "null"`))
			}
			if err := nullable(false); err != nil {
				return bad(err)
			}
		case lower == "generated":
			c.Generated = true
		case modifiers:
			return bad(fmt.Errorf("%q is not null, not null, generated or default", word))
		default:
			typ = append(typ, word)
			continue
		}
		modifiers = true
	}
	if len(typ) == 0 {
		return bad(errors.New("it has no type"))
	}
	if c.Type, err = store.ParseType(strings.Join(typ, " ")); err != nil {
		return bad(err)
	}
	return c, nil
}

// columnName cuts off the name, which may stand in brackets.
func columnName(text string) (name, rest string, err error) {
	if !strings.HasPrefix(text, "[") {
		name, rest = cutWord(text)
		if name == "" {
			return "", "", errors.New("it has no name")
		}
		return name, rest, nil
	}
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		if text[i] == ']' {
			if !strings.HasPrefix(text[i+1:], "]") {
				return b.String(), strings.TrimSpace(text[i+1:]), nil
			}
			i++ // "]]" stands for one bracket
		}
		b.WriteByte(text[i])
	}
	return "", "", errors.New("a ']' is missing")
}

// cutWord cuts text around the first blanks.
func cutWord(text string) (word, rest string) {
	i := strings.IndexFunc(text, unicode.IsSpace)
	if i < 0 {
		return text, ""
	}
	return text[:i], strings.TrimSpace(text[i:])
}

// cutDefault returns what follows "default" at the beginning of text.
func cutDefault(text string) (expr string, ok bool) {
	const keyword = "default"
	if len(text) < len(keyword) || !strings.EqualFold(text[:len(keyword)], keyword) {
		return "", false
	}
	rest := text[len(keyword):]
	expr = strings.TrimSpace(rest)
	return expr, expr == "" || expr != rest || rest[0] == '(' || rest[0] == '\''
}

// checkDefault refuses what follows a default: it would become part of it.
func checkDefault(expr string) error {
	lower := strings.ToLower(expr)
	switch {
	case expr == "":
		return errors.New("the default is missing")
	case strings.HasSuffix(lower, " null"), strings.HasSuffix(lower, " generated"):
		return fmt.Errorf("the default reaches to the end of the text: write %q before it", expr[strings.LastIndexByte(expr, ' ')+1:])
	}
	return nil
}
