package diff

import (
	"bytes"
	"cmp"
	"database/sql/driver"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/so-mirror/mirror/store"
)

// orderRows is the order of the rows of one key, column by column. Rows that it
// does not tell apart are reported alike: unlike sameRow it tells apart the
// spellings of a value, such as 1.5 and 1.50.
func (m *merge) orderRows(a, b store.Row) int {
	for i := range a {
		if n := m.orderColumn(i, a, b); n != 0 {
			return n
		}
	}
	return 0
}

// orderEqual is orderRows for rows that sameRow does not tell apart.
func (m *merge) orderEqual(a, b store.Row) int {
	for _, i := range m.spelled {
		if n := m.orderColumn(i, a, b); n != 0 {
			return n
		}
	}
	return 0
}

// manySpellings reports whether values of a column that are equal, on either side,
// may be reported differently.
func (t *Table) manySpellings(i int) bool {
	ts, tm := t.Source.Columns[i].Type, t.Mirror.Columns[i].Type
	return t.AnyValue || ts.Kind() == store.KindDecimal || store.IsTime(ts) && ts != tm || ts.Kind() != tm.Kind()
}

func (m *merge) orderColumn(i int, a, b store.Row) int {
	switch x := a[i].(type) {
	case int64:
		if y, ok := b[i].(int64); ok && x == y {
			return 0
		}
	case string:
		if y, ok := b[i].(string); ok && x == y {
			return 0
		}
	case *[]byte:
		if y, ok := b[i].(*[]byte); ok && bytes.Equal(*x, *y) {
			return 0
		}
	case nil:
		if b[i] == nil {
			return 0
		}
	}
	return m.orderPlain(i, m.table.plainValue(i, a[i]), m.table.plainValue(i, b[i]))
}

// orderPlain is the order of the values of a column, of either side.
func (m *merge) orderPlain(i int, a, b driver.Value) int {
	t := m.table.Source.Columns[i].Type
	if n := store.CompareValues(t, t, a, b); n != 0 {
		return n
	}
	switch x := a.(type) {
	case nil:
		return 0
	case bool:
		if _, ok := b.(bool); ok {
			return 0
		}
	case float64:
		if y, ok := b.(float64); ok {
			return cmp.Compare(math.Float64bits(x), math.Float64bits(y))
		}
	case time.Time:
		if y, ok := b.(time.Time); ok {
			_, east := x.Zone()
			_, other := y.Zone()
			return cmp.Compare(east, other)
		}
	case []byte:
		if y, ok := b.([]byte); ok {
			return bytes.Compare(x, y)
		}
	}
	return strings.Compare(fmt.Sprintf("%T %v", a, a), fmt.Sprintf("%T %v", b, b))
}
