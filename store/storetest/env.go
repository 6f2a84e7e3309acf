package storetest

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
)

// env is what a check works on. It writes through st and reads through src;
// for a Store they are one. Other opens another database. Skip ends the check: the
// engine says why it cannot do what is asked for.
type env struct {
	T
	src   store.Source
	st    store.Store
	other func() (store.Source, store.Store)
	skip  func(reason string)

	// object makes an object, see [Objects].
	object func(ctx context.Context, st store.Store, o store.Object) error
}

// update runs fn in a transaction that has to succeed.
func (t *env) update(fn func(tx store.Tx) error) {
	t.Helper()
	require.NoError(t, t.st.Update(t.Context(), fn), "Update")
}

// refused runs fn in a transaction that has to fail, and returns the error.
func (t *env) refused(what string, fn func(tx store.Tx) error) error {
	t.Helper()
	err := t.st.Update(t.Context(), fn)
	require.Error(t, err, "%s has to be refused", what)
	return err
}

// load creates a table with rows and returns it as the Source describes it.
func (t *env) load(def store.Table, rows ...store.Row) store.Table {
	t.Helper()
	t.update(func(tx store.Tx) error { return create(t.Context(), tx, def, rows) })
	return t.find(def.Name)
}

// create creates a table whose rows give all columns.
func create(ctx context.Context, tx store.Tx, def store.Table, rows []store.Row) error {
	if err := tx.Create(ctx, def); err != nil {
		return err
	}
	if len(rows) == 0 {
		return nil
	}
	return tx.Insert(ctx, def, def.ColumnNames(), rows)
}

// find returns the table of exactly that name as the Source describes it.
func (t *env) find(name string) store.Table {
	t.Helper()
	return findIn(t, t.src, name)
}

func findIn(t T, src store.Source, name string) store.Table {
	t.Helper()
	tables, err := src.Tables(t.Context())
	require.NoError(t, err, "Tables")
	i := slices.IndexFunc(tables, func(tab store.Table) bool { return tab.Name == name })
	require.GreaterOrEqual(t, i, 0, "Tables does not list %q", name)
	return tables[i]
}

// missing checks that Tables does not list a table of that name.
func missing(t T, src store.Source, name string) {
	t.Helper()
	tables, err := src.Tables(t.Context())
	require.NoError(t, err, "Tables")
	require.False(t, slices.ContainsFunc(tables, func(tab store.Table) bool { return tab.Name == name }),
		"Tables lists %q", name)
}

func count(t T, src store.Source, tab store.Table) int64 {
	t.Helper()
	n, err := src.Count(t.Context(), tab)
	require.NoError(t, err, "Count of %s", tab)
	return n
}

// read reads through the Source and returns copies of all rows.
func (t *env) read(q store.Query) []store.Row {
	t.Helper()
	return readFrom(t, t.src, q)
}

func readFrom(t T, src store.Source, q store.Query) []store.Row {
	t.Helper()
	rows, err := collect(t.Context(), src, q)
	require.NoError(t, err, "Rows of %s", q.Table)
	return rows
}

// collect returns copies of all rows, and an error of its own when the
// iteration is not as [store.Source] describes it.
func collect(ctx context.Context, src store.Source, q store.Query) ([]store.Row, error) {
	width := len(q.Columns)
	if width == 0 {
		width = len(q.Table.Columns)
	}
	var rows []store.Row
	var failed error
	for batch, err := range src.Rows(ctx, q) {
		switch {
		case failed != nil:
			return rows, fmt.Errorf("the iteration goes on after the error %q", failed)
		case err != nil:
			failed = err
			continue
		case len(batch) == 0:
			return rows, errors.New("a batch is empty")
		}
		for _, r := range batch {
			if len(r) != width {
				return rows, fmt.Errorf("a row has %d values, want %d", len(r), width)
			}
			rows = append(rows, r.Clone())
		}
	}
	return rows, failed
}

// expect reads with q and compares with what q asks of rows. These are all
// rows of the table in full, and their first value is an int64 that no two of
// them share; q reads that column first. Rows with equal keys come in any
// order.
func expect(t T, src store.Source, q store.Query, rows []store.Row) {
	t.Helper()
	tab := q.Table
	if len(q.Columns) == 0 {
		q.Columns = tab.ColumnNames()
	}
	columns, at := columnsOf(t, tab, q.Columns), positions(t, tab, q.Columns)
	keyColumns, keyAt := columnsOf(t, tab, q.Key), positions(t, tab, q.Key)

	type keyed struct{ key, full store.Row }
	byID := make(map[int64]keyed, len(rows))
	var want []keyed
	for _, r := range rows {
		k := keyed{pick(keyAt, r), r}
		byID[r[0].(int64)] = k
		if q.From != nil && store.CompareKeys(keyColumns, k.key, q.From) < 0 ||
			q.Before != nil && store.CompareKeys(keyColumns, k.key, q.Before) >= 0 {
			continue
		}
		want = append(want, k)
	}
	slices.SortStableFunc(want, func(a, b keyed) int { return store.CompareKeys(keyColumns, a.key, b.key) })
	if q.Limit > 0 && q.Limit < int64(len(want)) {
		want = want[:q.Limit]
	}

	wrong := func(format string, args ...any) {
		t.Helper()
		require.Fail(t, fmt.Sprintf(format, args...), "rows of %s by %q from %s before %s limit %d",
			tab, q.Key, show(q.From), show(q.Before), q.Limit)
	}
	got := readFrom(t, src, q)
	seen := make(map[int64]bool, len(got))
	for i, r := range got {
		id, ok := r[0].(int64)
		if !ok {
			wrong("row %d: a value of Go type %T in an int column", i, r[0])
		}
		row, ok := byID[id]
		switch {
		case !ok:
			wrong("row %d: no row has the number %d", i, id)
		case seen[id]:
			wrong("row %d comes twice: %s", i, show(row.full))
		case i >= len(want):
			wrong("row %d is one too many: %s", i, show(row.full))
		case store.CompareKeys(keyColumns, row.key, want[i].key) != 0:
			wrong("row %d has the key %s, want %s", i, show(row.key), show(want[i].key))
		}
		seen[id] = true
		if diff := diffRow(columns, pick(at, row.full), r); diff != "" {
			wrong("row %d: %s", i, diff)
		}
	}
	if len(got) < len(want) {
		wrong("%d rows, want %d; the first that is missing is %s", len(got), len(want), show(want[len(got)].full))
	}
}

// requireRows compares rows with their order.
func requireRows(t T, columns []store.Column, want, got []store.Row) {
	t.Helper()
	for i := range min(len(want), len(got)) {
		if diff := diffRow(columns, want[i], got[i]); diff != "" {
			require.Fail(t, fmt.Sprintf("row %d: %s", i, diff))
		}
	}
	require.Equal(t, len(want), len(got), "number of rows")
}

func columnsOf(t T, tab store.Table, names []string) []store.Column {
	t.Helper()
	columns := make([]store.Column, len(names))
	for i, name := range names {
		c, ok := tab.Column(name)
		require.True(t, ok, "%s has no column %q", tab, name)
		columns[i] = c
	}
	return columns
}

// positions returns where in a full row the named columns stand.
func positions(t T, tab store.Table, names []string) []int {
	t.Helper()
	at := make([]int, len(names))
	for i, name := range names {
		at[i] = slices.IndexFunc(tab.Columns, func(c store.Column) bool { return c.Name == name })
		require.GreaterOrEqual(t, at[i], 0, "%s has no column %q", tab, name)
	}
	return at
}

// pick returns the values of a row that stand at these positions.
func pick(at []int, full store.Row) store.Row {
	picked := make(store.Row, len(at))
	for i, n := range at {
		picked[i] = full[n]
	}
	return picked
}

func diffRow(columns []store.Column, want, got store.Row) string {
	if len(want) != len(got) {
		return fmt.Sprintf("%d values, want %d", len(got), len(want))
	}
	for i, c := range columns {
		if diff := diffValue(c.Type, want[i], got[i]); diff != "" {
			return fmt.Sprintf("column %q (%s): %s", c.Name, c.Type, diff)
		}
	}
	return ""
}

var decimalText = regexp.MustCompile(`^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)$`)

// diffValue says what got has that want, a value as [store.Kind] documents it
// for type typ, has not.
func diffValue(typ store.Type, want, got driver.Value) string {
	if reflect.TypeOf(want) != reflect.TypeOf(got) {
		return fmt.Sprintf("got %s of Go type %T, want %s of Go type %T", showValue(got), got, showValue(want), want)
	}
	if !store.EqualValues(typ, typ, want, got) {
		return fmt.Sprintf("got %s, want %s", showValue(got), showValue(want))
	}
	switch x := got.(type) {
	case time.Time:
		if typ.Kind() != store.KindTimeOffset && x.Location() != time.UTC {
			return fmt.Sprintf("got %s in zone %s, want UTC", showValue(got), x.Location())
		}
		// Two datetimes within one step are equal, yet only one is exact.
		if !x.Equal(want.(time.Time)) {
			return fmt.Sprintf("got %s, want %s", showValue(got), showValue(want))
		}
	case []byte:
		if typ.Kind() == store.KindDecimal && !decimalText.Match(x) {
			return fmt.Sprintf("got %s, want a number such as -12.50", showValue(got))
		}
	}
	return ""
}

func show(r store.Row) string {
	if r == nil {
		return "(unbounded)"
	}
	s := "("
	for i, v := range r {
		if i > 0 {
			s += ", "
		}
		s += showValue(v)
	}
	return s + ")"
}

func showValue(v driver.Value) string {
	var s string
	switch x := v.(type) {
	case nil:
		return "NULL"
	case string:
		s = fmt.Sprintf("%+q", x)
	case []byte:
		s = fmt.Sprintf("[% x]", x)
		if decimalText.Match(x) {
			s = string(x)
		}
	case float64:
		s = fmt.Sprintf("%v (bits %016x)", x, math.Float64bits(x))
	case time.Time:
		s = x.Format("2006-01-02T15:04:05.999999999Z07:00")
	default:
		s = fmt.Sprint(v)
	}
	if len(s) > 200 {
		return fmt.Sprintf("%s ... %s (%d characters)", s[:60], s[len(s)-60:], len(s))
	}
	return s
}

// table describes a table with a primary key; a nil key is none.
func table(name string, key []string, columns ...store.Column) store.Table {
	return store.Table{Name: name, Key: key, Columns: columns}
}

func notNull(name, typ string) store.Column {
	return store.Column{Name: name, Type: store.MustType(typ)}
}

func nullable(name, typ string) store.Column {
	return store.Column{Name: name, Type: store.MustType(typ), Nullable: true}
}

func withDefault(c store.Column, text string) store.Column {
	c.Default = text
	return c
}

// people is the table of checks that need a simple one: a key, a text and a
// number.
func people() store.Table {
	return table("people", []string{"id"}, notNull("id", "int"), nullable("name", "nvarchar(50)"), nullable("age", "int"))
}

// peopleRows returns n rows of people with ids from 1 on.
func peopleRows(n int) []store.Row {
	rows := make([]store.Row, n)
	for i := range rows {
		rows[i] = store.Row{int64(i + 1), fmt.Sprintf("name %d", i+1), int64(i % 100)}
	}
	return rows
}

func cell(column string, value any) store.Cell { return store.Cell{Column: column, Value: value} }

func cells(cs ...store.Cell) []store.Cell { return cs }

// at parses a time such as "2024-02-29T12:34:56.789Z".
func at(s string) time.Time {
	x, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		panic(err)
	}
	if _, offset := x.Zone(); offset != 0 {
		return x.In(time.FixedZone("", offset)) // never time.Local
	}
	return x.UTC()
}

// timeOfDay parses a time such as "12:34:56.789".
func timeOfDay(s string) time.Time { return at("0001-01-01T" + s + "Z") }

// normalize returns the value that a column of type typ delivers for a literal.
func normalize(t T, typ store.Type, literal any) driver.Value {
	t.Helper()
	v, err := store.Normalize(typ, literal)
	require.NoError(t, err, "normalize for %s", typ)
	return v
}
