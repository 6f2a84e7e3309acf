package mirror_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

// manyRows is a table with n different rows under the key 7, and rows around it.
func manyRows(n int, keyed bool) memory.Table {
	t := memory.Table{Name: "t", Columns: []string{"id int not null", "v int"}}
	if keyed {
		t.Key = []string{"id"}
	}
	t.Rows = append(t.Rows, store.Row{1, 1}, store.Row{9, 9})
	for i := range n {
		t.Rows = append(t.Rows, store.Row{7, i})
	}
	return t
}

// A mirror without a key can hold any number of rows under one.
func TestManyRowsOfOneKey(t *testing.T) {
	compare := func(source, target memory.Table) *mirror.Report {
		m, err := mirror.New("C1", memory.New(target), nil)
		require.NoError(t, err)
		report, err := m.Compare(t.Context(), memory.New(source), nil)
		require.NoError(t, err)
		return report
	}
	for _, c := range []struct {
		source, mirror int
		want           string // missing, extra, changed, duplicate
	}{
		{1, 1000, "0 0 0 999"}, {1, 1001, "0 0 0 1000"}, {1, 3000, "0 0 0 2999"}, {0, 3000, "0 0 0 3000"},
		{1000, 3000, "0 0 0 2000"}, {600, 0, "600 0 0 0"},
	} {
		t.Run(fmt.Sprint(c.source, " and ", c.mirror), func(t *testing.T) {
			src := memory.New(manyRows(c.source, false))
			m, err := mirror.New("C1", memory.New(manyRows(c.mirror, false)), nil)
			require.NoError(t, err)
			report, err := m.Compare(t.Context(), keyed{src}, nil) // which nothing holds another copy to
			require.NoError(t, err)
			tr := report.Tables[0]
			if c.source == 0 {
				c.want = "0 3000 0 0" // a key that the source lacks
			}
			require.Equal(t, c.want, fmt.Sprint(tr.Missing, tr.Extra, tr.Changed, tr.Duplicate), tr.Reason)
			require.EqualValues(t, c.source+2, tr.SourceRows)
			require.EqualValues(t, c.mirror+2, tr.MirrorRows)
		})
	}
	t.Run("rows that differ", func(t *testing.T) {
		source, target := manyRows(1, true), manyRows(3000, false)
		source.Rows[2][1] = -1
		tr := compare(source, target).Tables[0]
		require.Equal(t, "0 0 1 2999", fmt.Sprint(tr.Missing, tr.Extra, tr.Changed, tr.Duplicate), tr.Reason)
	})
	t.Run("read again", func(t *testing.T) {
		src, store := memory.New(manyRows(1, true)), memory.New(manyRows(3000, false))
		m, err := mirror.New("C1", store, nil)
		require.NoError(t, err)
		report, err := m.Compare(t.Context(), src, &mirror.CompareOptions{MaxKeys: 5000})
		require.NoError(t, err)
		report, err = m.Recheck(t.Context(), src, report, &mirror.RecheckOptions{After: 1})
		require.NoError(t, err)
		tr := report.Tables[0]
		require.EqualValues(t, 2999, tr.Diverged, "the rest is the same difference as before")
	})
	t.Run("too many at the source", func(t *testing.T) {
		m, err := mirror.New("C1", memory.New(manyRows(1, false)), nil)
		require.NoError(t, err)
		report, err := m.Compare(t.Context(), keyed{memory.New(manyRows(1500, false))}, nil)
		require.NoError(t, err)
		tr := report.Tables[0]
		require.False(t, report.Identical())
		require.Equal(t, "too many different rows of the source share the key id=7: more than 1,000, or 8 MiB", tr.Reason)
		require.EqualValues(t, 1502, tr.SourceRows)
		require.EqualValues(t, 3, tr.MirrorRows)
	})
}

// keyed says of a table without a key that it has one.
type keyed struct{ store.Source }

func (k keyed) Tables(ctx context.Context) ([]store.Table, error) {
	tables, err := k.Source.Tables(ctx)
	for i := range tables {
		tables[i].Key = []string{"id"}
	}
	return tables, err
}
