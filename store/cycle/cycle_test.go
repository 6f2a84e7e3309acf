package cycle

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

func TestFirstCycleCreatesEverything(t *testing.T) {
	w := newWorld(t, contact(store.Row{1, "a"}, store.Row{2, nil}), person())
	res := w.run()

	require.True(t, res.MetadataCreated)
	requireTable(t, res, "contact", Created, 2, 0, 0)
	requireTable(t, res, "person", Created, 0, 0, 0)
	w.requireSame("contact", "person")
	require.Equal(t, []string{"contact 1", "person 1"}, w.metaRows())
	require.Equal(t, []string{"contact_id"}, w.must(w.mirror, "contact").Key)
	for _, row := range w.rows(w.mirror, metaName) {
		require.Regexp(t, `^\w+ 1 [0-9a-f]{64}$`, row, "with a schema hash")
	}
	require.Contains(t, res.String(), "2 inserted, 0 updated, 0 deleted; 0 of 2 tables unchanged")

	res = w.run()
	require.False(t, res.MetadataCreated)
	requireTable(t, res, "contact", Unchanged, 0, 0, 0)
	requireTable(t, res, "person", Unchanged, 0, 0, 0)
}

func TestOnlyChangesAreSent(t *testing.T) {
	w := newWorld(t, contact(store.Row{1, "a"}, store.Row{2, "b"}, store.Row{3, "c"}), person(store.Row{1, "x"}))
	w.run()
	// A row that only the mirror has shows that the table was not wiped.
	w.insert(w.mirror, "contact", store.Row{99, "stray"})

	w.insert(w.customer, "contact", store.Row{4, "d"}, store.Row{5, "e"})
	w.set(w.customer, "contact", cells("name", "b"), cells("name", "B"))
	w.delete(w.customer, "contact", cells("contact_id", 3))
	w.delete(w.customer, "contact", cells("contact_id", 5))
	res := w.run()

	got := requireTable(t, res, "contact", Changes, 1, 1, 1)
	require.Equal(t, store.LSN(1), got.Before)
	require.Equal(t, store.LSN(5), got.After)
	requireTable(t, res, "person", Unchanged, 0, 0, 0)
	require.Equal(t, []string{"1 a", "2 B", "4 d", "99 stray"}, w.rows(w.mirror, "contact"))
	require.Equal(t, []string{"contact 5", "person 1"}, w.metaRows(), "the LSN of a quiet table does not move")
}

func TestDenseAndSparseChanges(t *testing.T) {
	w := newWorld(t, manyContacts(1000))
	w.run()
	table := w.must(w.customer, "contact")
	w.update(w.customer, func(tx store.Tx) error {
		for i := range 1000 {
			var err error
			switch {
			case i%3 == 0 && i < 300, i >= 990:
				_, err = tx.Delete(t.Context(), table, cells("contact_id", i))
			case i < 400, i == 650, i == 700, i == 980:
				_, err = tx.Set(t.Context(), table, cells("contact_id", i), cells("name", "new"))
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	w.db.ResetCalls()
	requireTable(t, w.run(), "contact", Changes, 0, 303, 110)
	reads := 0
	for _, call := range w.db.Calls() {
		if call.Method == memory.Rows {
			reads++
		}
	}
	require.Less(t, reads, 40, "413 keys")
	w.requireSame("contact")
}

func TestWipe(t *testing.T) {
	cases := []struct {
		name   string
		spoil  func(w *world)
		reason string
	}{
		{"LSN is -1", func(w *world) { w.setLSN("contact", -1) }, "the LSN is -1"},
		{"row is gone", func(w *world) { w.delete(w.mirror, metaName, cells("tablename", "contact")) }, "the metadata table does not name it"},
		{"LSN is ahead", func(w *world) { w.setLSN("contact", 100) }, "the LSN 100 is ahead of the source, which is at 3"},
		{"LSN is older than what is tracked", func(w *world) { w.setLSN("contact", 0) }, "the LSN 0 is older than the tracked changes, which begin at 1"},
		{"tracking expired", func(w *world) { w.setLSN("contact", 1); w.customer.Forget(2) }, "the LSN 1 is older than the tracked changes, which begin at 2"},
		{"customer truncated", func(w *world) {
			w.update(w.customer, func(tx store.Tx) error { return tx.Truncate(t.Context(), w.must(tx, "contact")) })
			w.insert(w.customer, "contact", store.Row{7, "new"})
		}, "the LSN 3 is older than the tracked changes, which begin at 4"},
		{"customer created the table anew", func(w *world) {
			table := w.must(w.customer, "contact")
			w.update(w.customer, func(tx store.Tx) error {
				if err := tx.Drop(t.Context(), table); err != nil {
					return err
				}
				return tx.Create(t.Context(), table)
			})
		}, "the LSN 3 is older than the tracked changes, which begin at 4"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, contact(store.Row{1, "a"}), person(store.Row{1, "x"}))
			w.insert(w.customer, "contact", store.Row{2, "b"})
			w.insert(w.customer, "contact", store.Row{3, "c"})
			w.run()
			w.insert(w.mirror, "contact", store.Row{99, "stray"})
			w.insert(w.mirror, "person", store.Row{99, "stray"})
			c.spoil(w)
			res := w.run()

			n := int64(len(w.rows(w.customer, "contact")))
			got := requireTable(t, res, "contact", Wiped, n, 0, 0)
			require.Equal(t, c.reason, got.Reason)
			require.Equal(t, w.version(), got.After)
			w.requireSame("contact")
			requireTable(t, res, "person", Unchanged, 0, 0, 0)
			require.Contains(t, w.rows(w.mirror, "person"), "99 stray")
		})
	}
}

// A literal task notices nothing but what the source's changes and the metadata
// row tell.
func TestLiteral(t *testing.T) {
	for _, c := range []struct {
		name   string
		spoil  func(w *world)
		action Action
		same   bool // contact is as at the source afterwards
	}{
		{"a quiet table whose LSN is too old", func(w *world) { w.insert(w.customer, "person", store.Row{2, "y"}); w.customer.Forget(2) }, Unchanged, false},
		{"a table whose LSN is too old, and that changed", func(w *world) {
			w.setLSN("contact", 0)
			w.insert(w.customer, "contact", store.Row{2, "b"})
		}, Wiped, true},
		{"a table that was truncated at the source", func(w *world) {
			w.update(w.customer, func(tx store.Tx) error { return tx.Truncate(t.Context(), w.must(tx, "contact")) })
		}, Wiped, true},
		{"a table that is gone", func(w *world) { w.drop(w.mirror, "contact") }, Created, false},
		{"a table that is gone, and has no metadata row", func(w *world) {
			w.drop(w.mirror, "contact")
			w.delete(w.mirror, metaName, cells("tablename", "contact"))
		}, Created, true},
		{"LSN is -1", func(w *world) { w.setLSN("contact", -1) }, Wiped, true},
		{"LSN is ahead", func(w *world) { w.setLSN("contact", 100) }, Wiped, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, contact(store.Row{1, "a"}), person(store.Row{1, "x"}))
			w.task.Literal = true
			w.run()
			w.insert(w.mirror, "contact", store.Row{99, "stray"})
			c.spoil(w)
			res, ok := w.run().Table("contact")
			require.True(t, ok)
			require.Equal(t, c.action, res.Action)
			require.Equal(t, c.same, res.Inserted > 0 || len(w.rows(w.customer, "contact")) == 0)
			require.Equal(t, c.same, fmt.Sprint(w.rows(w.customer, "contact")) == fmt.Sprint(w.rows(w.mirror, "contact")))
		})
	}
}

func TestMetadataDroppedRepopulatesAll(t *testing.T) {
	w := newWorld(t, contact(store.Row{1, "a"}), person(store.Row{1, "x"}))
	w.run()
	w.insert(w.mirror, "contact", store.Row{99, "stray"})
	w.drop(w.mirror, metaName)
	res := w.run()

	require.True(t, res.MetadataCreated)
	got := requireTable(t, res, "contact", Wiped, 1, 0, 0)
	require.Equal(t, store.ResendAll, got.Before)
	requireTable(t, res, "person", Wiped, 1, 0, 0)
	w.requireSame("contact", "person")
}

func TestHardResetOfOneTable(t *testing.T) {
	w := newWorld(t, contact(store.Row{1, "a"}), person(store.Row{1, "x"}))
	w.run()
	w.delete(w.mirror, metaName, cells("tablename", "contact"))
	w.drop(w.mirror, "contact")
	res := w.run()

	requireTable(t, res, "contact", Created, 1, 0, 0)
	requireTable(t, res, "person", Unchanged, 0, 0, 0)
	w.requireSame("contact")
	require.Equal(t, []string{"contact 1", "person 1"}, w.metaRows())
}

func TestVanishedTableIsDropped(t *testing.T) {
	w := newWorld(t, contact(store.Row{1, "a"}), person(store.Row{1, "x"}))
	w.run()
	w.update(w.mirror, func(tx store.Tx) error {
		return tx.Create(t.Context(), store.Table{Name: "partners_own", Columns: []store.Column{{Name: "id", Type: store.MustType("int")}}})
	})
	w.drop(w.customer, "person")
	res := w.run()

	requireTable(t, res, "person", Dropped, 0, 0, 0)
	_, there := w.table(w.mirror, "person")
	require.False(t, there)
	_, there = w.table(w.mirror, "partners_own")
	require.True(t, there, "a table that never came from the customer stays")
	require.Equal(t, []string{"contact 1"}, w.metaRows())

	t.Run("a skipped one stays", func(t *testing.T) {
		w.t = t
		w.drop(w.customer, "contact")
		w.task.SkipTables = []string{" Contact"}
		w.run()
		require.Equal(t, []string{"1 a"}, w.rows(w.mirror, "contact"))
		require.Equal(t, []string{"contact 1"}, w.metaRows())
	})
}

func TestBlockedAndSkippedAreNotSent(t *testing.T) {
	blocked := contact(store.Row{1, "secret"})
	blocked.Name = "Credentials"
	meta := contact(store.Row{1, "not a metadata table"})
	meta.Name = strings.ToLower(metaName)
	w := newWorld(t, contact(store.Row{1, "a"}), person(store.Row{1, "x"}), blocked, meta)
	w.task.SkipTables = []string{"PERSON"}
	res := w.run()

	require.Len(t, res.Tables, 1)
	tables, err := w.mirror.Tables(t.Context())
	require.NoError(t, err)
	names := []string{}
	for _, table := range tables {
		names = append(names, table.Name)
	}
	require.ElementsMatch(t, []string{"contact", metaName}, names)
}

func TestTablesThatCannotBeMirrored(t *testing.T) {
	other := contact()
	other.Schema, other.Name = "other", "CONTACT"
	cases := []struct {
		name   string
		tables []memory.Table
		want   string
	}{
		{"one name in two schemas", []memory.Table{contact(), other}, `the customer has two tables named "contact"`},
		{"only computed columns", []memory.Table{{Name: "t", Columns: []string{"c int generated"}}}, "table t has no column that can be mirrored"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := newWorld(t, c.tables...).task.Run(t.Context())
			require.EqualError(t, err, c.want)
		})
	}
}

func TestSchemaChange(t *testing.T) {
	column := func(name, typ string, nullable bool) store.Column {
		return store.Column{Name: name, Type: store.MustType(typ), Nullable: nullable}
	}
	id, name := column("contact_id", "int", false), column("name", "nvarchar(219)", true)
	cases := []struct {
		name    string
		columns []store.Column
		key     []string
		reason  string
	}{
		{"added column", []store.Column{id, name, column("code", "int", true)}, []string{"contact_id"}, "column code was added"},
		{"removed column", []store.Column{id}, []string{"contact_id"}, "column name was removed"},
		{"other type", []store.Column{id, column("name", "nvarchar(300)", true)}, []string{"contact_id"}, "column name changed from nvarchar(219) to nvarchar(300)"},
		{"other nullability", []store.Column{id, column("name", "nvarchar(219)", false)}, []string{"contact_id"}, "column name changed whether it can be NULL"},
		{"other key", []store.Column{id, column("name", "nvarchar(219)", true)}, nil, "the primary key changed from (contact_id) to ()"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, contact(store.Row{1, "a"}))
			w.run()
			old := w.must(w.customer, "contact")
			w.update(w.customer, func(tx store.Tx) error {
				return errors.Join(tx.Drop(t.Context(), old),
					tx.Create(t.Context(), store.Table{Name: "contact", Columns: c.columns, Key: c.key}))
			})
			table := w.must(w.customer, "contact")
			w.update(w.customer, func(tx store.Tx) error {
				row := store.Row{7, "seven", 70}[:len(c.columns)]
				return tx.Insert(t.Context(), table, table.ColumnNames(), []store.Row{row})
			})
			got := requireTable(t, w.run(), "contact", Recreated, 1, 0, 0)
			require.Equal(t, c.reason+": dropped, created anew, repopulated", got.Reason)
			require.Equal(t, store.LSN(1), got.Before)
			require.Equal(t, table.Columns, w.must(w.mirror, "contact").Columns)
			w.requireSame("contact")
			require.Equal(t, []string{"contact 3"}, w.metaRows())
			requireTable(t, w.run(), "contact", Unchanged, 0, 0, 0)
		})
	}
	t.Run("case of a column name is no change", func(t *testing.T) {
		w := newWorldWith(t, memory.New(memory.Table{
			Name: "CONTACT", Columns: []string{"Name nvarchar(219) null", "CONTACT_ID int"}, Key: []string{"CONTACT_ID"},
		}), contact(store.Row{1, "a"}))
		requireTable(t, w.run(), "contact", Wiped, 1, 0, 0)
		require.Equal(t, []string{"a 1"}, w.rows(w.mirror, "CONTACT"))
		w.insert(w.customer, "contact", store.Row{2, "b"})
		w.set(w.customer, "contact", cells("contact_id", 1), cells("name", "A"))
		requireTable(t, w.run(), "contact", Changes, 1, 1, 0)
		require.Equal(t, []string{"A 1", "b 2"}, w.rows(w.mirror, "CONTACT"))
	})
	t.Run("what the mirror cannot hold is left out", func(t *testing.T) {
		m := mirrored(store.Table{Name: "t", Schema: "crm7", Key: []string{"id"}, Columns: []store.Column{
			{Name: "id", Type: store.MustType("int"), Default: "((0))"},
			{Name: "full", Type: store.MustType("nvarchar(10)"), Generated: true},
			{Name: "stamp", Type: store.MustType("timestamp")},
			{Name: "odd", Type: store.Type{Name: "dbo.udt"}},
			{Name: "at", Type: store.MustType("datetime"), Default: "(getdate())"},
			{Name: "text", Type: store.MustType("nvarchar(10)"), Default: "(N'it''s')"},
		}})
		require.Equal(t, store.Table{Name: "t", Key: []string{"id"}, Columns: []store.Column{
			{Name: "id", Type: store.MustType("int"), Default: "((0))"},
			{Name: "at", Type: store.MustType("datetime")},
			{Name: "text", Type: store.MustType("nvarchar(10)"), Default: "(N'it''s')"},
		}}, m)
	})
}

func TestCompositeKey(t *testing.T) {
	w := newWorld(t, memory.Table{
		Name:    "link",
		Columns: []string{"note nvarchar(20) null", "b nvarchar(10)", "a int"},
		Key:     []string{"a", "b"},
		Rows:    []store.Row{{"n1", "x", 1}, {"n2", "y", 1}, {"n3", "x", 2}, {"n4", "X", 2}},
	})
	w.run()
	w.set(w.customer, "link", cells("a", 1, "b", "y"), cells("note", "changed"))
	w.delete(w.customer, "link", cells("a", 2, "b", "x"))
	w.insert(w.customer, "link", store.Row{"n5", "x ", 1})
	requireTable(t, w.run(), "link", Changes, 1, 1, 1)
	w.requireSame("link")

	require.EqualValues(t, 3, w.delete(w.customer, "link", cells("a", 1)), "by a part of the key")
	requireTable(t, w.run(), "link", Changes, 0, 0, 3)
	w.requireSame("link")
}

func TestKeyOnlyTable(t *testing.T) {
	w := newWorld(t, memory.Table{Name: "pair", Columns: []string{"a int", "b int"}, Key: []string{"a", "b"}, Rows: []store.Row{{1, 1}}})
	w.run()
	w.set(w.customer, "pair", cells("a", 1, "b", 1), cells("b", 1))
	w.insert(w.customer, "pair", store.Row{1, 2})
	requireTable(t, w.run(), "pair", Changes, 1, 1, 0)
	w.requireSame("pair")
}

func TestUpdateOfAKey(t *testing.T) {
	t.Run("to a free one", func(t *testing.T) {
		w := newWorld(t, contact(store.Row{1, "a"}, store.Row{2, "b"}))
		w.run()
		w.set(w.customer, "contact", cells("contact_id", 1), cells("contact_id", 9))
		requireTable(t, w.run(), "contact", Changes, 1, 0, 1)
		require.Equal(t, []string{"2 b", "9 a"}, w.rows(w.mirror, "contact"))
	})
	t.Run("found by another column", func(t *testing.T) {
		w := newWorld(t, contact(store.Row{1, nil}, store.Row{2, "b"}))
		w.run()
		w.set(w.customer, "contact", cells("name", nil), cells("contact_id", 9))
		requireTable(t, w.run(), "contact", Changes, 1, 0, 1)
		require.Equal(t, []string{"2 b", "9 <nil>"}, w.rows(w.mirror, "contact"))
	})
	t.Run("to another spelling of the same number", func(t *testing.T) {
		w := newWorld(t, memory.Table{Name: "price", Columns: []string{"id decimal(9,2)", "n int"}, Key: []string{"id"}, Rows: []store.Row{{"1.5", 1}}})
		w.run()
		w.delete(w.customer, "price", cells("id", "1.5"))
		w.insert(w.customer, "price", store.Row{"1.50", 2})
		requireTable(t, w.run(), "price", Changes, 0, 1, 0)
		require.Len(t, w.rows(w.mirror, "price"), 1)
	})
}

func TestMetadataOfOthers(t *testing.T) {
	newMeta := func(columns ...string) memory.Table {
		return memory.Table{Name: "cust10195_MIRRORING", Columns: columns}
	}
	t.Run("found by folded names, other columns untouched", func(t *testing.T) {
		meta := newMeta("Note nvarchar(10) null", "TableName nvarchar(128)", "lsn bigint null", "SchemaHash nvarchar(64) null")
		meta.Rows = []store.Row{{"keep", "CONTACT", nil, "h1"}, {"too", "person", 0, "h2"}}
		w := newWorldWith(t, memory.New(meta, contact(), person()), contact(store.Row{1, "a"}), person())
		res := w.run()
		require.False(t, res.MetadataCreated)
		got := requireTable(t, res, "contact", Wiped, 1, 0, 0)
		require.Equal(t, "the LSN is NULL", got.Reason)
		require.Equal(t, store.ResendAll, got.Before)
		require.Equal(t, []string{"keep CONTACT 1 h1", "too person 1 h2"}, w.rows(w.mirror, "cust10195_MIRRORING"))
	})
	t.Run("other names", func(t *testing.T) {
		meta := memory.Table{Name: "sync", Columns: []string{"tbl nvarchar(128)", "ver bigint"}, Rows: []store.Row{{"contact", -1}}}
		w := newWorldWith(t, memory.New(meta), contact(store.Row{1, "a"}), person())
		w.task.MetadataTable, w.task.TableColumn, w.task.LSNColumn = "Sync", "TBL", "VER"
		w.run()
		require.Equal(t, []string{"contact 1", "person 1"}, w.rows(w.mirror, "sync"))
	})
	for name, meta := range map[string]memory.Table{
		"no LSN column":       newMeta("tablename nvarchar(128)"),
		"LSN is text":         newMeta("tablename nvarchar(128)", "LSN nvarchar(20)"),
		"no tablename column": newMeta("LSN bigint"),
		"two rows of a table": {Name: metaName, Columns: []string{"tablename nvarchar(128)", "LSN bigint"}, Rows: []store.Row{{"contact", 1}, {"Contact", 1}}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorldWith(t, memory.New(meta), contact())
			_, err := w.task.Run(t.Context())
			require.ErrorIs(t, err, ErrMetadata)
		})
	}
}

func TestTableWithoutKey(t *testing.T) {
	w := newWorld(t, memory.Table{Name: "log", Columns: []string{"n int", "text nvarchar(20) null"}, Rows: []store.Row{{1, "a"}, {1, "a"}}})
	requireTable(t, w.run(), "log", Created, 2, 0, 0)
	requireTable(t, w.run(), "log", Unchanged, 0, 0, 0)

	w.insert(w.customer, "log", store.Row{1, "a"})
	requireTable(t, w.run(), "log", Wiped, 3, 0, 0)
	w.requireSame("log")
	requireTable(t, w.run(), "log", Unchanged, 0, 0, 0)

	w.set(w.customer, "log", cells("n", 1), cells("text", nil))
	requireTable(t, w.run(), "log", Wiped, 3, 0, 0)
	w.delete(w.customer, "log", cells("n", 1))
	requireTable(t, w.run(), "log", Wiped, 0, 0, 0)
	w.delete(w.customer, "log", cells("n", 1))
	requireTable(t, w.run(), "log", Unchanged, 0, 0, 0)
}
