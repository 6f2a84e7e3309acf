package metadata

import (
	"context"
	"database/sql/driver"
	"errors"
	"iter"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

func cells(name string, lsn driver.Value) []store.Cell {
	return []store.Cell{{Column: "tablename", Value: name}, {Column: "LSN", Value: lsn}}
}

func lsn(n int64) *store.LSN { return (*store.LSN)(&n) }

func TestReadName(t *testing.T) {
	for _, c := range []struct {
		value  driver.Value
		want   string
		unread bool
	}{
		{nil, "", false},
		{"contact", "contact", false},
		{store.Verbatim{Value: "contact"}, "contact", false},
		{[]byte("contact"), "contact", false},
		{[]byte("c\x00r\x00m\x007\x00"), "crm7", false},
		{[]byte("c\x00r\x00m"), "0x630072006D", true},
		{[]byte{1, 0xff}, "0x01FF", true},
		{[]byte("\x00\xd8a\x00"), "0x00D86100", true}, // half a surrogate pair
		{int64(7), "7", true},
	} {
		name, unread := readName(c.value)
		require.Equal(t, c.want, name)
		require.Equal(t, c.unread, unread, c.want)
	}
}

func TestReadLSN(t *testing.T) {
	for _, c := range []struct {
		value   driver.Value
		want    *store.LSN
		problem string
	}{
		{nil, nil, ""},
		{int64(812), lsn(812), ""},
		{[]byte("-1"), lsn(-1), ""}, // a decimal
		{[]byte("99999999999999999999"), nil, "its LSN is 99999999999999999999, which 64 bits cannot hold"},
		{store.Verbatim{Value: int64(5)}, lsn(5), ""},
		{store.Verbatim{Value: []byte("5")}, nil, "its LSN is stored as bytes, 0x35, and not as an integer"},
		{"5", nil, `its LSN is text, "5", and not an integer`},
		{5.5, nil, "its LSN is 5.5, which is no integer"},
	} {
		n, problem := readLSN(c.value)
		require.Equal(t, c.want, n)
		require.Equal(t, c.problem, problem)
	}
}

func TestReadKeepsRowsWhole(t *testing.T) {
	src := memory.New(memory.Table{
		Name:    names.Table,
		Columns: []string{"at datetime", "LSN bigint null", "place geometry null", "v rowversion generated", "twice int generated", "tablename nvarchar(128)", "x varbinary(9) null"},
		Rows:    []store.Row{{time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), int64(7), nil, nil, nil, "contact", []byte{1}}},
	})
	md := readFrom(t, src, catalogue("contact"))
	require.Equal(t, []string{"place"}, md.Lost, "what the database makes itself is not lost")
	require.Len(t, md.Rows, 1)
	var columns []string
	for _, c := range md.Rows[0].Cells {
		columns = append(columns, c.Column)
	}
	require.Equal(t, []string{"at", "LSN", "tablename", "x"}, columns)
	require.Equal(t, [][]store.Cell{md.Rows[0].Cells}, md.Cells("CONTACT"))
	require.Equal(t, md.Cells("contact"), md.AllCells())
}

// scrubbing is a Source that uses the memory of its rows again.
type scrubbing struct {
	store.Source
	verbatim bool
}

func (s *scrubbing) Rows(ctx context.Context, q store.Query) iter.Seq2[[]store.Row, error] {
	s.verbatim = q.Verbatim
	return func(yield func([]store.Row, error) bool) {
		for batch, err := range s.Source.Rows(ctx, q) {
			if !yield(batch, err) {
				return
			}
			for _, row := range batch {
				for _, v := range row {
					if b, ok := v.([]byte); ok {
						clear(b)
					}
				}
			}
		}
	}
}

func TestReadKeepsValues(t *testing.T) {
	def := table("varbinary(128)", "bigint")
	def.Rows = []store.Row{{[]byte("contact"), int64(7), "hash"}}
	src := &scrubbing{Source: memory.New(def)}
	md := readFrom(t, src, nil)
	require.Equal(t, []byte("contact"), md.AllCells()[0][0].Value)
	require.True(t, src.verbatim, "a value of another type comes as it is stored")
}

func TestReadFailure(t *testing.T) {
	boom := errors.New("boom")
	src := memory.New(table("nvarchar(128)", "bigint"))
	def := define(t, src)
	src.FailAt(memory.Rows, 1, boom)
	_, err := names.Read(t.Context(), src, def, nil)
	require.ErrorIs(t, err, boom)
	require.ErrorContains(t, err, "read metadata: ")
	_, err = names.Read(t.Context(), memory.New(), def, nil)
	require.ErrorIs(t, err, store.ErrTableNotFound, "it is the caller's to say what that means")
}

func TestSum(t *testing.T) {
	contact := store.Table{Name: "contact"}
	sum := func(rows ...any) string { return read(t, catalogue("contact", "person"), rows...).Sum(contact) }
	first := sum("contact", 1)
	require.Regexp(t, "^sha256:[0-9a-f]{32}$", first)
	require.Equal(t, first, sum("person", 5, "contact", 1), "other tables do not count")
	for name, other := range map[string]string{
		"no row": sum(), "the LSN": sum("contact", 2), "NULL": sum("contact", nil), "the spelling": sum("Contact", 1), "a second row": sum("contact", 1, "contact", 1),
	} {
		require.NotEqual(t, first, other, name)
	}
}

func TestSameRows(t *testing.T) {
	one, two := cells("contact", int64(1)), cells("contact", int64(2))
	require.True(t, names.SameRow(one, []store.Cell{{Column: "TABLENAME", Value: "contact"}, {Column: "lsn", Value: []byte("1")}}), "however the column holds the LSN")
	require.False(t, SameCells(one, cells("contact", []byte("1"))))
	require.False(t, names.SameRow(one, two))
	require.False(t, names.SameRow(one, one[:1]))
	require.False(t, names.SameRow(cells("5", nil), cells("5", int64(0))))

	require.True(t, names.SameRows([][]store.Cell{one, two, two}, [][]store.Cell{two, one, two}), "in any order")
	require.False(t, names.SameRows([][]store.Cell{one, two, two}, [][]store.Cell{one, one, two}), "as often")
	require.False(t, names.SameRows([][]store.Cell{one}, nil))

	was := [][]store.Cell{one, two}
	require.Equal(t, [][]store.Cell{cells("contact", int64(-1)), cells("contact", int64(-1))}, names.Reset(was))
	require.Equal(t, int64(1), was[0][1].Value, "the rows themselves stay")
}

func TestFits(t *testing.T) {
	for name, c := range map[string]struct {
		row     []store.Cell
		lsn     *store.LSN
		several bool
		want    bool
	}{
		"the table's":                         {cells("contact", int64(5)), lsn(5), false, true},
		"another spelling":                    {cells("crm7.[Contact]", int64(5)), lsn(5), false, true},
		"another table's":                     {cells("person", int64(5)), lsn(5), false, false},
		"another LSN":                         {cells("contact", int64(6)), lsn(5), false, false},
		"NULL":                                {cells("contact", nil), nil, false, true},
		"no LSN was known and it has one":     {cells("contact", int64(5)), nil, false, false},
		"so it is with one of several":        {cells("contact", int64(5)), nil, true, true},
		"without a name":                      {cells("contact", int64(5))[1:], lsn(5), false, false},
		"without an LSN":                      {cells("contact", int64(5))[:1], lsn(5), false, false},
		"bytes that are shown as the name":    {[]store.Cell{{Column: "tablename", Value: []byte{1, 0xff}}, {Column: "LSN", Value: int64(5)}}, lsn(5), false, false},
		"an LSN that is text, and was no one": {cells("contact", "5"), nil, false, true},
	} {
		require.Equal(t, c.want, names.Fits(c.row, "contact", c.lsn, c.several), name)
	}
}

// update carries out fn in a transaction on a metadata table of these rows.
func update(t *testing.T, fn func(tx store.Tx, md *Table) error, rows ...any) (*Table, error) {
	t.Helper()
	def := table("nvarchar(128) null", "bigint null")
	for i := 0; i < len(rows); i += 2 {
		def.Rows = append(def.Rows, store.Row{rows[i], rows[i+1], "hash"})
	}
	st := memory.New(def)
	md := readFrom(t, st, nil)
	err := st.Update(t.Context(), func(tx store.Tx) error { return fn(tx, md) })
	return readFrom(t, st, nil), err
}

func TestRequestAll(t *testing.T) {
	now, err := update(t, func(tx store.Tx, md *Table) error { return md.RequestAll(t.Context(), tx, md.Rows[0].Cells) }, "contact", 5, "person", nil)
	require.NoError(t, err)
	require.Equal(t, lsn(-1), now.LSN(store.Table{Name: "contact"}))
	require.Equal(t, "hash", now.Rows[0].Cells[2].Value)
	require.Nil(t, now.LSN(store.Table{Name: "person"}))

	now, err = update(t, func(tx store.Tx, md *Table) error { return md.RequestAll(t.Context(), tx, md.Rows[1].Cells) }, "contact", 5, "person", nil)
	require.NoError(t, err, "NULL is found, too")
	require.Equal(t, lsn(-1), now.LSN(store.Table{Name: "person"}))

	moved := cells("contact", int64(4))
	now, err = update(t, func(tx store.Tx, md *Table) error { return md.RequestAll(t.Context(), tx, moved) }, "contact", 5)
	require.ErrorIs(t, err, ErrLSNMoved)
	require.Equal(t, lsn(5), now.LSN(store.Table{Name: "contact"}))
	_, err = update(t, func(tx store.Tx, md *Table) error { return md.RequestAll(t.Context(), tx, md.Rows[0].Cells) }, "contact", 5, "contact", 5)
	require.ErrorIs(t, err, ErrLSNMoved, "one row, not two")
}

func TestDelete(t *testing.T) {
	now, err := update(t, func(tx store.Tx, md *Table) error { return md.Delete(t.Context(), tx, md.Cells("contact")) },
		"contact", 5, "contact", 5, "contact", nil, "person", 1)
	require.NoError(t, err, "twins go together")
	require.Len(t, now.Rows, 1)

	now, err = update(t, func(tx store.Tx, md *Table) error {
		return md.Delete(t.Context(), tx, append(md.Cells("contact"), cells("contact", int64(9))))
	}, "contact", 5)
	require.ErrorIs(t, err, ErrLSNMoved)
	require.Len(t, now.Rows, 1, "nothing happened")
}

func TestInsert(t *testing.T) {
	row := append(cells("contact", int64(5)), store.Cell{Column: "schemahash", Value: "other"})
	now, err := update(t, func(tx store.Tx, md *Table) error { return Insert(t.Context(), tx, md.Table, row) })
	require.NoError(t, err)
	require.True(t, names.SameRows([][]store.Cell{row}, now.AllCells()))
}

func TestNotWritten(t *testing.T) {
	written := names.Reset([][]store.Cell{cells("contact", int64(5))})
	require.Empty(t, read(t, nil, "contact", -1).NotWritten("contact", written))
	require.Empty(t, read(t, nil).NotWritten("contact", nil))
	require.Equal(t, "has LSN 7 after it was set to -1: a trigger of the metadata table changes it", read(t, nil, "contact", 7).NotWritten("contact", written))
	require.Equal(t, "has LSN NULL after it was set to -1: a trigger of the metadata table changes it", read(t, nil, "contact", nil).NotWritten("contact", written))
	require.Equal(t, "has 0 metadata rows after a write that leaves 1: a trigger of the metadata table changes that", read(t, nil).NotWritten("contact", written))
	require.Contains(t, read(t, nil, "contact", 1).NotWritten("contact", nil), "has 1 metadata rows after a write that leaves 0")
}

// Rows that were written down tell what those of the table would.
func TestAdd(t *testing.T) {
	var md Table
	md.Add("contact", [][]store.Cell{cells("crm7.contact", int64(5))})
	md.Add("person", nil)
	require.Len(t, md.Cells("CONTACT"), 1)
	require.Empty(t, md.Cells("person"))
	require.True(t, names.SameRows(md.AllCells(), [][]store.Cell{cells("crm7.contact", []byte("5"))}))
}
