package storetest

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
)

// pairsOf has each value of a list at the source beside each in the mirror, and each
// where the other side has no row.
func pairsOf(values []driver.Value) (source, mirror []store.Row) {
	id := int64(0)
	add := func(to *[]store.Row, v driver.Value) { *to = append(*to, store.Row{id, v}) }
	for _, v := range values {
		for _, w := range values {
			add(&source, v)
			add(&mirror, w)
			id++
		}
		add(&source, v)
		id++
		add(&mirror, v)
		id++
	}
	return source, mirror
}

func normalized(t T, typ store.Type, literals []any) []driver.Value {
	t.Helper()
	values := make([]driver.Value, len(literals))
	for i, literal := range literals {
		values[i] = normalize(t, typ, literal)
	}
	return values
}

// checkJoin has the values of an order case in keys, which differ by nothing else.
func (c orderCase) checkJoin(t *twoSides) {
	key := []string{"k", "id"}
	def := table("keys", key, notNull("id", "int"), notNull("k", c.typ))
	if slices.Contains([]string{"nul-character", "long-text", "nvarchar-max"}, c.name) { // which not every index holds
		def.Key = byID
	}
	source, mirror := pairsOf(normalized(t, def.Columns[1].Type, c.values))
	s, m := t.load(def, key, source, mirror)
	t.expect(s, m, manySuspects)
	at := positions(t, s.query.Table, key)
	for n := range 4 {
		s.query.From, s.query.Before = pick(at, source[(7*n+3)%len(source)]), pick(at, mirror[(11*n+5)%len(mirror)])
		if store.CompareKeys(columnsOf(t, s.query.Table, key), s.query.From, s.query.Before) > 0 {
			s.query.From, s.query.Before = s.query.Before, s.query.From
		}
		m.query.From, m.query.Before = s.query.From, s.query.Before
		t.expect(s, m, manySuspects)
	}
}

// checkJoin has the values of each type, and NULL, in a column beside the key.
func (g digestGroup) checkJoin(t *twoSides) {
	var unable error
	for n, typ := range slices.Sorted(maps.Keys(g.types)) {
		def := table(fmt.Sprint("v", n), byID, notNull("id", "int"), nullable("v", typ))
		values := append(normalized(t, def.Columns[1].Type, g.types[typ]), nil)
		source, mirror := pairsOf(values)
		s, m := t.load(def, byID, source, mirror)
		unable = t.joinedOrNot(s, m, unable)
	}
	if unable != nil {
		t.skip(unable.Error())
	}
}

// joinedOrNot is expect for one of several tables. It returns why the engine cannot
// compare this one, or the one before.
func (t *twoSides) joinedOrNot(s, m side, unable error) error {
	t.Helper()
	_, err := t.ask(s, m, manySuspects)
	if errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	require.NoError(t, err, "Suspects of %s", s.query.Table)
	return unable
}

// hostileValues are what an engine that holds any value can take for each other.
var hostileValues = []driver.Value{
	nil, int64(0), int64(1), int64(5), int64(math.MinInt64), int64(math.MaxInt64), int64(1<<53 + 1), 0.0, math.Copysign(0, -1), 1.0, 5.0, 0.5, -0x1p63, 0x1p63, 0x1p53,
	"", " ", "5", "5.0", "0", "-0", "abc", "ABC", "abc ", "abc\x00", "2026-01-01", "2026-01-01 00:00:00", "2026-01-01T00:00:00Z", "2026-01-01 00:00:00 +00:00",
	"6f9619ff-8b86-d011-b42d-00c04fc964ff", "6F9619FF-8B86-D011-B42D-00C04FC964FF", []byte{}, []byte{0}, []byte("5"), []byte("abc"),
}

// joinAnyValue has values that are not of their column's type, beside the key and
// in it.
func joinAnyValue(t *twoSides) {
	if !holdsAnyValue(t.src) {
		t.skip("each value is of its column's type")
	}
	types := []string{"int", "bit", "float", "decimal(9,2)", "nvarchar(9)", "varbinary(9)", "datetime", "datetime2(3)", "date", "time(3)", "datetimeoffset(3)", "uniqueidentifier", "any", "xml"}
	source, mirror := pairsOf(hostileValues)
	for n, typ := range types {
		beside := table(fmt.Sprint("beside", n), byID, notNull("id", "int"), nullable("v", typ))
		within := table(fmt.Sprint("within", n), []string{"v", "id"}, notNull("id", "int"), notNull("v", typ))
		for _, def := range []store.Table{beside, within} {
			of := func(e *env, rows []store.Row) side {
				tab := e.load(def)
				e.update(func(tx store.Tx) error {
					var verbatim []store.Row
					for _, r := range rows {
						switch {
						case r[1] != nil:
							verbatim = append(verbatim, store.Row{r[0], store.Verbatim{Value: r[1]}})
						case len(def.Key) == 1:
							verbatim = append(verbatim, r)
						}
					}
					return tx.Insert(t.Context(), tab, tab.ColumnNames(), verbatim)
				})
				return side{store.Query{Table: tab, Columns: tab.ColumnNames(), Key: def.Key}, e.read(store.Query{Table: tab})}
			}
			_ = t.joinedOrNot(of(t.env, source), of(t.mirror, mirror), nil)
		}
	}
}
