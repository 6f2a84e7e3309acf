package cycle

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/so-mirror/mirror/store"
)

// metadata is the metadata table as it was found.
type metadata struct {
	table     store.Table
	name, lsn store.Column
	hash      store.Column // without a name when the table has none
}

// metaRow is what the metadata table says of one table.
type metaRow struct {
	name  string // as it is spelled there; "" when there is no row
	lsn   store.LSN
	isNil bool // the LSN is NULL
	hash  string
}

// value returns the LSN that the cycle goes by.
func (r metaRow) value() store.LSN {
	if r.name == "" || r.isNil {
		return store.ResendAll
	}
	return r.lsn
}

// openMetadata finds the metadata table, or creates it.
func (r *run) openMetadata(ctx context.Context) error {
	if err := r.listMirror(ctx); err != nil {
		return err
	}
	folded := store.FoldName(r.names.table)
	if _, ok := r.tables[folded]; !ok {
		err := r.task.Mirror.Update(ctx, func(tx store.Tx) error {
			return tx.Create(ctx, store.Table{
				Name: r.names.table,
				Columns: []store.Column{
					{Name: r.names.tableColumn, Type: store.MustType("nvarchar(128)")},
					{Name: r.names.lsnColumn, Type: store.MustType("bigint")},
					{Name: hashColumn, Type: store.MustType("nvarchar(64)"), Nullable: true},
				},
				Key: []string{r.names.tableColumn},
			})
		})
		if err != nil {
			return store.WrapError(ctx, err, "create the metadata table")
		}
		r.result.MetadataCreated = true
		if err := r.listMirror(ctx); err != nil {
			return err
		}
	}
	t := r.tables[folded]
	m := metadata{table: t}
	var ok bool
	if m.name, ok = t.Column(r.names.tableColumn); !ok || m.name.Type.Kind() != store.KindString {
		return fmt.Errorf("%w %s: column %q of text is missing", ErrMetadata, t, r.names.tableColumn)
	}
	if m.lsn, ok = t.Column(r.names.lsnColumn); !ok || m.lsn.Type.Kind() != store.KindInt {
		return fmt.Errorf("%w %s: column %q of integers is missing", ErrMetadata, t, r.names.lsnColumn)
	}
	if h, ok := t.Column(hashColumn); ok && h.Type.Kind() == store.KindString && h.Type.Length >= hashLength {
		m.hash = h
	}
	r.meta = m
	return nil
}

const (
	hashColumn = "schemahash"
	hashLength = 64
)

// readMetadata returns the rows of the metadata table by folded table name.
func (r *run) readMetadata(ctx context.Context) (map[string]metaRow, error) {
	rows := map[string]metaRow{}
	q := store.Query{Table: r.meta.table, Columns: []string{r.meta.name.Name, r.meta.lsn.Name}}
	if r.task.Literal && r.meta.hash.Name != "" {
		q.Columns = append(q.Columns, r.meta.hash.Name)
	}
	for batch, err := range r.task.Mirror.Rows(ctx, q) {
		if err != nil {
			return nil, store.WrapError(ctx, err, "read metadata")
		}
		for _, row := range batch {
			name, ok := row[0].(string)
			if !ok || name == "" {
				continue // a row of no table
			}
			folded := store.FoldName(name)
			if _, twice := rows[folded]; twice {
				return nil, fmt.Errorf("%w %s: table %q has several rows", ErrMetadata, r.meta.table, name)
			}
			lsn, ok := row[1].(int64)
			found := metaRow{name: name, lsn: store.LSN(lsn), isNil: !ok}
			if len(row) > 2 {
				found.hash, _ = row[2].(string)
			}
			rows[folded] = found
		}
	}
	return rows, nil
}

// setLSN writes the LSN of a table, into its row or a new one.
func (m metadata) setLSN(ctx context.Context, tx store.Tx, row metaRow, t store.Table, lsn int64) error {
	if row.name != "" {
		n, err := tx.Set(ctx, m.table, m.where(row), []store.Cell{{Column: m.lsn.Name, Value: lsn}})
		if err != nil || n > 0 {
			return err
		}
	}
	columns, values := []string{m.name.Name, m.lsn.Name}, store.Row{t.Name, lsn}
	if m.hash.Name != "" {
		columns, values = append(columns, m.hash.Name), append(values, schemaHash(t))
	}
	return tx.Insert(ctx, m.table, columns, []store.Row{values})
}

// invalidate makes sure that a table which is about to lose its rows is sent
// whole again if this cycle does not finish it.
func (m metadata) invalidate(ctx context.Context, tx store.Tx, row metaRow) error {
	if row.value() == store.ResendAll {
		return nil
	}
	_, err := tx.Set(ctx, m.table, m.where(row), []store.Cell{{Column: m.lsn.Name, Value: int64(store.ResendAll)}})
	return err
}

func (m metadata) where(row metaRow) []store.Cell {
	return []store.Cell{{Column: m.name.Name, Value: row.name}}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
