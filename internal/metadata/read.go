package metadata

import (
	"bytes"
	"context"
	"database/sql/driver"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/store"
)

// Table is the content of a metadata table. A nil Table is one that is not there.
type Table struct {
	Definition
	Rows []*Row
	Lost []string // columns whose values cannot be put back

	// byTable has the rows of each table of the catalogue and of each that is
	// named and absent, by folded name; doubts has rows that may mean a table
	// and are nobody's.
	byTable, doubts map[string][]*Row
}

// Row is one row of a metadata table, kept whole.
type Row struct {
	Name    string       // the table's, as the row spells it, "" for none
	Means   store.Table  // the table that it is of; it has no name when that is not known
	LSN     *store.LSN   // nil for NULL, and with a problem
	Problem string       // what is wrong with the LSN, "" for nothing
	Cells   []store.Cell // all values but those that are lost

	unread bool // the name is no text
}

// IsAbsent reports whether the row means a table that the catalogue does not have.
func (r *Row) IsAbsent() bool { return r.Means.Name != "" && r.Means.Columns == nil }

// Read reads the whole metadata table t through src, which is the store or a
// transaction of it. Its rows are matched with tables, the catalogue. A table of
// another shape is ErrUnexpected.
func (n Names) Read(ctx context.Context, src store.Source, t store.Table, tables []store.Table) (*Table, error) {
	d, err := n.Define(t)
	if err != nil {
		return nil, err
	}
	md := &Table{Definition: d}
	var columns []store.Column
	var names []string
	for _, c := range t.Columns {
		if c.Generated || c.Type.Kind() == store.KindOther {
			if !c.Generated && c.Type.Name != "rowversion" { // these the database makes itself
				md.Lost = append(md.Lost, c.Name)
			}
			continue
		}
		columns, names = append(columns, c), append(names, c.Name)
	}
	for batch, err := range src.Rows(ctx, store.Query{Table: t, Columns: names, Verbatim: true}) {
		if err != nil {
			return nil, store.WrapError(ctx, err, "read metadata")
		}
		for _, values := range batch {
			md.Rows = append(md.Rows, d.row(columns, values.Clone()))
		}
	}
	md.match(tables)
	return md, nil
}

func (d Definition) row(columns []store.Column, values store.Row) *Row {
	row := &Row{Cells: make([]store.Cell, len(columns))}
	for i, c := range columns {
		row.Cells[i] = store.Cell{Column: c.Name, Value: values[i]}
		switch c.Name {
		case d.TableColumn.Name:
			row.Name, row.unread = readName(values[i])
		case d.LSNColumn.Name:
			row.LSN, row.Problem = readLSN(values[i])
			row.Cells[i] = store.NewCell(c, values[i])
		}
	}
	return row
}

// readName returns a table's name as a metadata row has it. Bytes are a name when
// they are text; otherwise what is returned is for people.
func readName(v driver.Value) (name string, unread bool) {
	if as, ok := v.(store.Verbatim); ok {
		v = as.Value
	}
	switch v := v.(type) {
	case nil:
		return "", false
	case string:
		return v, false
	case []byte:
		if text := string(v); isText(text) {
			return text, false
		}
		if text, ok := fromUTF16(v); ok {
			return text, false
		}
		return store.Cell{Value: v}.Text(), true
	default:
		return store.Cell{Value: v}.Text(), true
	}
}

func isText(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

// fromUTF16 reads the bytes of nvarchar. A name has at least one letter of
// Latin, which makes a zero byte; other bytes are text too easily.
func fromUTF16(b []byte) (string, bool) {
	if len(b)%2 != 0 || !bytes.Contains(b, []byte{0}) {
		return "", false
	}
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = uint16(b[2*i]) | uint16(b[2*i+1])<<8
	}
	s := string(utf16.Decode(units))
	return s, isText(s) && !strings.ContainsRune(s, utf8.RuneError)
}

// readLSN returns an LSN, nil for NULL, and what is wrong with one that is no
// integer of 64 bits.
func readLSN(v driver.Value) (lsn *store.LSN, problem string) {
	as, verbatim := v.(store.Verbatim)
	if verbatim {
		v = as.Value
	}
	var n int64
	switch x := v.(type) {
	case nil:
		return nil, ""
	case int64:
		n = x
	case []byte:
		if verbatim { // and so no decimal
			return nil, "its LSN is stored as bytes, " + store.Cell{Value: x}.Text() + ", and not as an integer"
		}
		var err error
		if n, err = strconv.ParseInt(string(x), 10, 64); err != nil {
			return nil, "its LSN is " + text.Clip(text.Printable(string(x)), 64) + ", which 64 bits cannot hold"
		}
	case string:
		return nil, "its LSN is text, " + store.Cell{Value: x}.Text() + ", and not an integer"
	default:
		return nil, "its LSN is " + store.Cell{Value: x}.Text() + ", which is no integer"
	}
	return (*store.LSN)(&n), ""
}
