package mirror

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// metadataNames are the names of the metadata table and of the two columns
// that the vendor documents. All other columns are carried along untouched.
type metadataNames struct{ table, tableColumn, lsnColumn string }

// metadata is the content of the metadata table.
type metadata struct {
	table     Table
	name, lsn Column
	columns   []string // in the order of metadataRow.values
	rows      []metadataRow
	byTable   map[string][]int // folded table name to indexes of rows
	lost      []string         // columns whose values cannot be put back
}

// metadataRow is one row of the metadata table, kept whole.
type metadataRow struct {
	table  string
	lsn    *LSN // nil for NULL
	values Row
}

// findMetadata returns the metadata table among tables.
func (m *Mirror) findMetadata(tables []Table) (Table, error) {
	folded := FoldName(m.names.table)
	for _, t := range tables {
		if FoldName(t.Name) == folded {
			return t, nil
		}
	}
	if isReplica(tables) {
		return Table{}, fmt.Errorf("%w: it has no LSN to set; use its own program: %s",
			ErrReplica, resyncCommand(m.contextID, nil))
	}
	if len(tables) == 0 {
		return Table{}, fmt.Errorf("%w %q: %s", ErrNoMetadata, shown(m.names.table), noTables)
	}
	for _, t := range tables {
		if _, _, ok := m.isMetadata(t); ok {
			return Table{}, fmt.Errorf("%w %q: %w: there is a table %s: is the context identifier right?",
				ErrNoMetadata, shown(m.names.table), ErrWrongDatabase, shown(t.Name))
		}
	}
	return Table{}, fmt.Errorf("%w %q: the next cycle of the Mirroring Task creates it and populates every table",
		ErrNoMetadata, shown(m.names.table))
}

// noTables is said of a mirror in which nothing is to be seen.
const noTables = "there are no tables at all: unless the mirror is new, check the database, the schema and the login's permissions"

// otherCustomers warns of metadata tables of other customers, which suggest
// that the context identifier is wrong.
func otherCustomers(tables []Table) []string {
	var warnings []string
	for _, t := range tables {
		if strings.HasSuffix(FoldName(t.Name), metadataSuffix) {
			warnings = append(warnings, fmt.Sprintf("there is a table %s: is the context identifier right?", t.Name))
		}
	}
	return warnings
}

// replicaState is the table in which the newer client keeps its state. Source:
// SuperOffice documentation, the replication client of 2026.
const replicaState = "_ReplicationState"

// isReplica reports whether the newer client keeps these tables.
func isReplica(tables []Table) bool {
	return slices.ContainsFunc(tables, func(t Table) bool { return FoldName(t.Name) == FoldName(replicaState) })
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
// or a transaction of it.
func (m *Mirror) readMetadata(ctx context.Context, src Source, tables []Table) (*metadata, error) {
	t, err := m.findMetadata(tables)
	if err != nil {
		return nil, err
	}
	md := &metadata{table: t, byTable: map[string][]int{}}
	if md.name, err = metadataColumn(t, m.names.tableColumn, KindString); err != nil {
		return nil, err
	}
	if md.lsn, err = metadataColumn(t, m.names.lsnColumn, KindInt); err != nil {
		return nil, err
	}
	var nameAt, lsnAt int
	for _, c := range t.Columns {
		if c.Generated || c.Type.Kind() == KindOther {
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
		md.columns = append(md.columns, c.Name)
	}
	for batch, err := range src.Rows(ctx, Query{Table: t, Columns: md.columns}) {
		if errors.Is(err, ErrTableNotFound) {
			_, err = m.findMetadata(nil)
		}
		if err != nil {
			return nil, wrapError(ctx, err, "read metadata")
		}
		for _, r := range batch {
			row := metadataRow{values: r.Clone()}
			row.table, _ = row.values[nameAt].(string)
			if n, ok := row.values[lsnAt].(int64); ok {
				lsn := LSN(n)
				row.lsn = &lsn
			}
			if row.values[nameAt] != nil {
				folded := FoldName(row.table)
				md.byTable[folded] = append(md.byTable[folded], len(md.rows))
			}
			md.rows = append(md.rows, row)
		}
	}
	return md, nil
}

func metadataColumn(t Table, name string, kind Kind) (Column, error) {
	c, ok := t.Column(name)
	if !ok {
		return c, fmt.Errorf("%w %q: no column %q among %s: name the right one in Options",
			ErrMetadata, shown(t.Name), shown(name), clip(printable(strings.Join(t.ColumnNames(), ", ")), 4*maxNameLength))
	}
	if c.Type.Kind() != kind {
		want := "a string"
		if kind == KindInt {
			want = "an integer"
		}
		return c, fmt.Errorf("%w %q: column %q is %s, not %s: name the right one in Options",
			ErrMetadata, shown(t.Name), shown(c.Name), shown(c.Type.String()), want)
	}
	return c, nil
}

// rowsOf returns the indexes of the rows of a table. The task writes the bare
// name; a name with the table's schema means the same table.
func (md *metadata) rowsOf(t Table) []int {
	if md == nil {
		return nil
	}
	at := md.byTable[FoldName(t.Name)]
	if t.Schema != "" {
		at = append(slices.Clip(at), md.byTable[FoldName(t.String())]...)
	}
	return at
}

// row returns the row of a table. Several rows are an error, because which one
// the Mirroring Task reads is not known.
func (md *metadata) row(t Table) (*metadataRow, error) {
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
func (md *metadata) lsnOf(t Table) *LSN {
	if at := md.rowsOf(t); len(at) == 1 { // none, when md is nil
		return md.rows[at[0]].lsn
	}
	return nil
}

// fingerprint identifies the metadata rows of a table.
func (md *metadata) fingerprint(t Table) string {
	h := sha256.New()
	for _, i := range md.rowsOf(t) {
		fmt.Fprintf(h, "row")
		for n, c := range md.columns {
			fmt.Fprintf(h, "|%q", c)
			writeValue(h, md.rows[i].values[n])
		}
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil)[:16])
}

// cells returns a row with the names of its columns.
func (md *metadata) cells(r *metadataRow) []Cell {
	cells := make([]Cell, len(md.columns))
	for i, c := range md.columns {
		cells[i] = Cell{Column: c, Value: r.values[i]}
	}
	return cells
}
