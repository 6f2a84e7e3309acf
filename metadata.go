package mirror

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/so-mirror/mirror/internal/sum"
	"github.com/so-mirror/mirror/internal/superoffice"
	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/store"
)

// metadataNames are the names of the metadata table and of the two columns
// that the vendor documents. All other columns are carried along untouched.
type metadataNames struct{ table, tableColumn, lsnColumn string }

// metadata is the content of the metadata table.
type metadata struct {
	table     store.Table
	name, lsn store.Column
	columns   []store.Column // in the order of metadataRow.values
	rows      []metadataRow
	lost      []string // columns whose values cannot be put back

	// byTable has the rows of each table of the catalogue and of each that is
	// named and absent, by folded name; doubts has rows that may mean a table
	// and are nobody's.
	byTable, doubts map[string][]int
}

// metadataRow is one row of the metadata table, kept whole.
type metadataRow struct {
	table   string      // as the row spells it, "" for none
	means   store.Table // the table that it is of; it has no name when that is not known
	unread  bool        // the name is no text
	lsn     *store.LSN  // nil for NULL, and with a problem
	problem string      // what is wrong with the LSN, "" for nothing
	values  store.Row
}

// findMetadata returns the metadata table among tables.
func (m *Mirror) findMetadata(tables []store.Table) (store.Table, error) {
	folded := store.FoldName(m.names.table)
	for _, t := range tables {
		if store.FoldName(t.Name) == folded {
			return t, nil
		}
	}
	if isReplica(tables) {
		return store.Table{}, fmt.Errorf("%w: it has no LSN to set; use its own program: %s",
			ErrReplica, resyncCommand(m.contextID, nil))
	}
	if len(tables) == 0 {
		return store.Table{}, fmt.Errorf("%w %q: %s", ErrNoMetadata, text.Name(m.names.table), noTables)
	}
	if err := wrong(m.mirrorMistakes(m.contentsOf(tables, func(name string) string { return name }))); err != nil {
		return store.Table{}, fmt.Errorf("%w %q: %w", ErrNoMetadata, text.Name(m.names.table), err)
	}
	return store.Table{}, fmt.Errorf("%w %q: the next cycle of the Mirroring Task creates it and populates every table",
		ErrNoMetadata, text.Name(m.names.table))
}

// noTables is said of a mirror in which nothing is to be seen.
const noTables = "there are no tables at all: unless the mirror is new, check the database, the schema and the login's permissions"

// otherCustomers warns of metadata tables of other customers, which suggest
// that the context identifier is wrong.
func otherCustomers(tables []store.Table) []string {
	var warnings []string
	for _, t := range tables {
		if strings.HasSuffix(store.FoldName(t.Name), superoffice.MetadataSuffix) {
			warnings = append(warnings, fmt.Sprintf("there is a table %s: is the context identifier right?", t.Name))
		}
	}
	return warnings
}

// replicaState is the table in which the newer client keeps its state. Source:
// SuperOffice documentation, the replication client of 2026.
const replicaState = "_ReplicationState"

// isReplica reports whether the newer client keeps these tables.
func isReplica(tables []store.Table) bool {
	return slices.ContainsFunc(tables, func(t store.Table) bool { return store.FoldName(t.Name) == store.FoldName(replicaState) })
}

// resyncCommand says how the newer client repairs tables.
func resyncCommand(contextID string, tables []string) string {
	if len(tables) == 0 {
		tables = []string{"crm7.person"}
	}
	list, _ := json.Marshal(tables)
	return fmt.Sprintf("resync-tables %s, or POST /api/v1/replication/%s/resync with {\"tables\": %s}",
		strings.Join(tables, " "), contextID, list)
}

// readMetadata reads the whole metadata table through src, which is the store
// or a transaction of it. Its rows are matched with tables, the catalogue.
func (m *Mirror) readMetadata(ctx context.Context, src store.Source, tables []store.Table) (*metadata, error) {
	t, err := m.findMetadata(tables)
	if err != nil {
		return nil, err
	}
	return m.readMetadataFrom(ctx, src, t, tables)
}

func (m *Mirror) readMetadataFrom(ctx context.Context, src store.Source, t store.Table, tables []store.Table) (*metadata, error) {
	md := &metadata{table: t}
	var err error
	if md.name, md.lsn, err = m.metadataColumns(t); err != nil {
		return nil, err
	}
	var names []string
	var nameAt, lsnAt int
	for _, c := range t.Columns {
		if c.Generated || c.Type.Kind() == store.KindOther {
			if !c.Generated && c.Type.Name != "rowversion" { // these the database makes itself
				md.lost = append(md.lost, c.Name)
			}
			continue
		}
		switch c.Name {
		case md.name.Name:
			nameAt = len(md.columns)
		case md.lsn.Name:
			lsnAt = len(md.columns)
		}
		md.columns, names = append(md.columns, c), append(names, c.Name)
	}
	for batch, err := range src.Rows(ctx, store.Query{Table: t, Columns: names, Verbatim: true}) {
		if errors.Is(err, store.ErrTableNotFound) {
			_, err = m.findMetadata(nil)
		}
		if err != nil {
			return nil, store.WrapError(ctx, err, "read metadata")
		}
		for _, r := range batch {
			row := metadataRow{values: r.Clone()}
			row.table, row.unread = readName(row.values[nameAt])
			row.lsn, row.problem = readLSN(row.values[lsnAt])
			md.rows = append(md.rows, row)
		}
	}
	md.match(tables)
	return md, nil
}

// metadataColumns finds the two columns that the vendor documents.
func (m *Mirror) metadataColumns(t store.Table) (name, lsn store.Column, err error) {
	name, err = metadataColumn(t, m.names.tableColumn, "text", func(typ store.Type) bool {
		return typ.Kind() == store.KindString || typ.Kind() == store.KindBytes || typ.Kind() == store.KindAny
	})
	if err == nil {
		lsn, err = metadataColumn(t, m.names.lsnColumn, "an integer", func(typ store.Type) bool {
			return typ.Kind() == store.KindInt || typ.Kind() == store.KindAny || typ.Name == "decimal" && typ.Scale == 0
		})
	}
	return name, lsn, err
}

func metadataColumn(t store.Table, name, want string, ok func(store.Type) bool) (store.Column, error) {
	c, found := t.Column(name)
	if !found {
		return c, fmt.Errorf("%w %q: no column %q among %s: name the right one in Options",
			ErrMetadata, text.Name(t.Name), text.Name(name), text.Clip(text.Printable(strings.Join(t.ColumnNames(), ", ")), 4*text.MaxName))
	}
	if !ok(c.Type) {
		return c, fmt.Errorf("%w %q: column %q is %s, not %s: name the right one in Options",
			ErrMetadata, text.Name(t.Name), text.Name(c.Name), text.Name(c.Type.String()), want)
	}
	return c, nil
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

// rowsOf returns the indexes of the rows of a table.
func (md *metadata) rowsOf(t store.Table) []int {
	if md == nil {
		return nil
	}
	return md.byTable[md.key(t)]
}

// key is the folded name of a table in byTable: its own, or for one that the
// catalogue does not have the bare one.
func (md *metadata) key(t store.Table) string {
	folded := store.FoldName(t.Name)
	if _, known := md.byTable[folded]; known {
		return folded
	}
	return store.FoldName(bareName(t.Name))
}

// row returns the row of a table. Several rows are an error, because which one
// the Mirroring Task reads is not known.
func (md *metadata) row(t store.Table) (*metadataRow, error) {
	switch at := md.rowsOf(t); len(at) {
	case 0:
		return nil, nil
	case 1:
		return &md.rows[at[0]], nil
	default:
		return nil, fmt.Errorf("has %d rows in the metadata table: HardReset of that table deletes them all", len(at))
	}
}

// lsnOf returns the LSN of a table, nil when it has none or several.
func (md *metadata) lsnOf(t store.Table) *store.LSN {
	if at := md.rowsOf(t); len(at) == 1 { // none, when md is nil
		return md.rows[at[0]].lsn
	}
	return nil
}

// fingerprint identifies the metadata rows of a table.
func (md *metadata) fingerprint(t store.Table) string {
	h := sha256.New()
	for _, i := range md.rowsOf(t) {
		fmt.Fprintf(h, "row")
		for n, c := range md.columns {
			fmt.Fprintf(h, "|%q", c.Name)
			sum.Value(h, md.rows[i].values[n])
		}
	}
	return "sha256:" + sum.Hex(h)
}

// cells returns a row with the names of its columns.
func (md *metadata) cells(r *metadataRow) []store.Cell {
	cells := make([]store.Cell, len(md.columns))
	for i, c := range md.columns {
		cells[i] = store.Cell{Column: c.Name, Value: r.values[i]}
		if c.Name == md.lsn.Name {
			cells[i] = store.NewCell(c, r.values[i])
		}
	}
	return cells
}
