package diff

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/so-mirror/mirror/internal/sum"
	"github.com/so-mirror/mirror/store"
)

// sum identifies a difference by the values of both rows.
func (m *merge) sum(kind Kind, source, mirror store.Row) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s", kind)
	for i, row := range []store.Row{source, mirror} {
		fmt.Fprintf(h, "|%d", i)
		for _, v := range row {
			sum.Value(h, v)
		}
	}
	return sum.Hex(h)
}

// cells returns the first n values of a row, cut to what a sample may hold.
func (m *merge) cells(cols []store.Column, row store.Row, n int) []store.Cell {
	cells := make([]store.Cell, n)
	for i := range cells {
		cells[i] = Short(store.NewCell(cols[i], row[i]))
	}
	return cells
}

func rowSize(row store.Row) int {
	size := 16 * len(row)
	for _, v := range row {
		switch v := v.(type) {
		case string:
			size += len(v)
		case []byte:
			size += len(v)
		case *[]byte:
			size += len(*v)
		}
	}
	return size
}

// maxSampleValue bounds what a sample keeps of a value, in bytes.
const maxSampleValue = 1024

// Short returns the cell with a copy of its value that a sample may keep.
func Short(c store.Cell) store.Cell {
	switch v := c.Value.(type) {
	case string:
		if len(v) > maxSampleValue {
			// Half a surrogate pair is no UTF-8, and the difference may be there.
			n := maxSampleValue
			for n > maxSampleValue-utf8.UTFMax && !utf8.RuneStart(v[n]) {
				n--
			}
			c.Value, c.Size = strings.Clone(v[:n]), len(v)
		}
	case []byte:
		if len(v) > maxSampleValue {
			c.Size = len(v)
		}
		c.Value = slices.Clone(v[:min(len(v), maxSampleValue)])
		if len(v) == 0 {
			c.Value = []byte{}
		}
	}
	return c
}

// copied returns the cell with a copy of its value.
func copied(c store.Cell) store.Cell {
	if b, ok := c.Value.([]byte); ok {
		c.Value = append(make([]byte, 0, len(b)), b...)
	}
	return c
}
