package mirror_test

import (
	"github.com/so-mirror/mirror/internal/mirrortest"

	"context"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

// edited is a store whose catalogue says something else.
type edited struct {
	*memory.Store
	edit func(t *store.Table)
}

func (e edited) Tables(ctx context.Context) ([]store.Table, error) {
	tables, err := e.Store.Tables(ctx)
	for i := range tables {
		e.edit(&tables[i])
	}
	return tables, err
}

// TestOmittedColumns: a column that one side cannot show is named with its
// reason, and no difference of the schemas.
func TestOmittedColumns(t *testing.T) {
	omit := func(column, reason string) func(*store.Table) {
		return func(tb *store.Table) {
			for i := range tb.Columns {
				if tb.Columns[i].Name == column {
					tb.Columns[i].Omit = reason
				}
			}
		}
	}
	none := func(*store.Table) {}
	wide := func(name string) memory.Table {
		return memory.Table{Name: "contact", Columns: []string{"contact_id int", "name nvarchar(20)", "only_" + name + " int"}, Key: []string{"contact_id"}, Rows: []store.Row{{1, name, 1}}}
	}
	for name, c := range map[string]struct {
		source, mirror func(*store.Table)
		want           mirror.Omission
	}{
		"at the source": {omit("name", "masked"), none, mirror.Omission{Column: "name", Reason: "masked, at the source"}},
		"in the mirror": {none, omit("name", "masked"), mirror.Omission{Column: "name", Reason: "masked, in the mirror"}},
	} {
		t.Run(name, func(t *testing.T) {
			source, store := edited{memory.New(mirrortest.Companies(store.Row{1, "a"})), c.source}, edited{memory.New(mirrortest.Companies(store.Row{1, "b"})), c.mirror}
			report, err := newMirror(t, store, nil).Compare(t.Context(), source, nil)
			require.NoError(t, err)
			tr := report.Table("contact")
			require.Equal(t, mirror.VerdictIdentical, tr.Verdict, "%s", report)
			require.Equal(t, []mirror.Omission{c.want}, tr.NotCompared)
		})
	}
	t.Run("on one side alone", func(t *testing.T) {
		source := edited{memory.New(wide("source")), omit("only_source", "pseudo-column of a graph table")}
		store := edited{memory.New(wide("mirror")), omit("only_mirror", "pseudo-column of a graph table")}
		report, err := newMirror(t, store, nil).Compare(t.Context(), source, nil)
		require.NoError(t, err)
		tr := report.Table("contact")
		require.Empty(t, tr.Schema)
		require.EqualValues(t, 1, tr.Changed, "the other columns are compared")
		require.Equal(t, []mirror.Omission{{Column: "only_source", Reason: "pseudo-column of a graph table, at the source"},
			{Column: "only_mirror", Reason: "pseudo-column of a graph table, in the mirror"}}, tr.NotCompared)
	})
	t.Run("in the key", func(t *testing.T) {
		source := edited{memory.New(mirrortest.Companies(store.Row{1, "a"})), omit("contact_id", "encrypted")}
		report, err := newMirror(t, memory.New(mirrortest.Companies(store.Row{1, "a"})), nil).Compare(t.Context(), source, nil)
		require.NoError(t, err)
		require.Equal(t, mirror.VerdictIncomparable, report.Table("contact").Verdict)
		require.Equal(t, "key column contact_id is not comparable on both sides: encrypted, at the source", report.Table("contact").Reason)
	})
}

// TestOmittedTables: a table of which a login sees some rows is not comparable,
// however few of them differ.
func TestOmittedTables(t *testing.T) {
	hide := func(tb *store.Table) { tb.Omit = "security policy p hides rows" }
	for _, depth := range []mirror.Depth{mirror.DepthCount, mirror.DepthRows} {
		for side, stores := range map[string][2]store.Store{
			"source": {edited{memory.New(mirrortest.Companies(store.Row{1, "a"})), hide}, memory.New(mirrortest.Companies(store.Row{1, "a"}))},
			"mirror": {memory.New(mirrortest.Companies(store.Row{1, "a"})), edited{memory.New(mirrortest.Companies(store.Row{1, "a"})), hide}},
		} {
			report, err := newMirror(t, stores[1], nil).Compare(t.Context(), stores[0], &mirror.CompareOptions{Depth: depth})
			require.NoError(t, err)
			tr := report.Table("contact")
			require.Equal(t, mirror.VerdictIncomparable, tr.Verdict, "%s", report)
			require.Equal(t, side+": security policy p hides rows", tr.Reason)
			require.ErrorContains(t, report.Err(), "security policy p hides rows")
			require.False(t, report.Identical())
		}
	}
}

func TestOmitInJSON(t *testing.T) {
	tb := store.Table{Name: "contact", Columns: []store.Column{{Name: "a", Type: store.MustType("int"), Omit: "masked"}, {Name: "b", Type: store.MustType("int")}}}
	data, err := json.Marshal(tb)
	require.NoError(t, err)
	require.JSONEq(t, `{"name":"contact","columns":[{"name":"a","type":"int","omit":"masked"},{"name":"b","type":"int"}]}`, string(data))
}
