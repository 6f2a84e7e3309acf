package metadata

import (
	"crypto/sha256"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/so-mirror/mirror/internal/sum"
	"github.com/so-mirror/mirror/store"
)

// Cells returns the metadata rows of a table by its name, each whole.
func (md *Table) Cells(name string) [][]store.Cell {
	return cellsOf(md.Of(store.Table{Name: name}))
}

// AllCells returns all metadata rows, each whole.
func (md *Table) AllCells() [][]store.Cell { return cellsOf(md.Rows) }

func cellsOf(rows []*Row) [][]store.Cell {
	var cells [][]store.Cell
	for _, r := range rows {
		cells = append(cells, r.Cells)
	}
	return cells
}

// Add adds rows of a table that were written down elsewhere, for a Table that was
// not read.
func (md *Table) Add(table string, rows [][]store.Cell) {
	if md.byTable == nil {
		md.byTable = map[string][]*Row{}
	}
	folded := store.FoldName(table)
	for _, cells := range rows {
		row := &Row{Name: table, Cells: cells}
		md.Rows = append(md.Rows, row)
		md.byTable[folded] = append(md.byTable[folded], row)
	}
}

// Sum identifies the metadata rows of a table.
func (md *Table) Sum(t store.Table) string {
	h := sha256.New()
	for _, r := range md.Of(t) {
		fmt.Fprintf(h, "row")
		for _, c := range r.Cells {
			fmt.Fprintf(h, "|%q", c.Column)
			sum.Value(h, c.Value)
		}
	}
	return "sha256:" + sum.Hex(h)
}

// SameCells compares two metadata rows by column.
func SameCells(a, b []store.Cell) bool {
	return slices.EqualFunc(a, b, func(x, y store.Cell) bool {
		return strings.EqualFold(x.Column, y.Column) && (store.SameValue(x.Value, y.Value) || reflect.DeepEqual(x.Value, y.Value))
	})
}

// SameRow compares two metadata rows by column, and their LSNs as numbers, however
// the column holds them.
func (n Names) SameRow(a, b []store.Cell) bool { return SameCells(n.plainLSN(a), n.plainLSN(b)) }

// SameRows compares metadata rows in any order, as SameRow does.
func (n Names) SameRows(a, b [][]store.Cell) bool {
	if len(a) != len(b) {
		return false
	}
	b = slices.Clone(b)
	for _, row := range a {
		i := slices.IndexFunc(b, func(other []store.Cell) bool { return n.SameRow(row, other) })
		if i < 0 {
			return false
		}
		b = slices.Delete(b, i, i+1)
	}
	return true
}

func (n Names) plainLSN(row []store.Cell) []store.Cell {
	row = slices.Clone(row)
	for i, c := range row {
		if store.FoldName(c.Column) != store.FoldName(n.LSNColumn) {
			continue
		}
		if lsn, _ := readLSN(c.Value); lsn != nil {
			row[i].Value = int64(*lsn)
		}
	}
	return row
}

// Reset returns metadata rows with an LSN of -1.
func (n Names) Reset(rows [][]store.Cell) [][]store.Cell {
	var out [][]store.Cell
	for _, row := range rows {
		row = slices.Clone(row)
		for i, c := range row {
			if store.FoldName(c.Column) == store.FoldName(n.LSNColumn) {
				row[i].Value = int64(store.ResendAll)
			}
		}
		out = append(out, row)
	}
	return out
}

// Fits reports whether a metadata row can be one of a table's, and has that LSN.
// With several, the table has other rows, and no LSN that is known.
func (n Names) Fits(row []store.Cell, table string, lsn *store.LSN, several bool) bool {
	var name, same bool
	for _, c := range row {
		switch store.FoldName(c.Column) {
		case store.FoldName(n.TableColumn):
			s, unread := readName(c.Value)
			name = s == table || !unread && sameTable(s, table)
		case store.FoldName(n.LSNColumn):
			is, _ := readLSN(c.Value)
			same = lsn == nil && (is == nil || several) || is != nil && lsn != nil && *is == *lsn
		}
	}
	return name && same
}
