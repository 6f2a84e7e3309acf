package storetest

import (
	"context"
	"errors"
	"slices"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
)

// renameContracts: a Tx that is a [store.Renamer] gives a table another name, and
// nothing else of it changes.
func renameContracts() []contract {
	return []contract{
		{"table", renameTable},
		{"names", renameTo(`it's`, `quote"d`, `x"; drop table people; --`, `x'; drop table people; --`, `with blank`, "back`tick",
			`dot.ted`, `%s`, `@p1`, `select`, `Kjøretøy`, `名前`, `😀`)},
		{"names-in-capitals", renameTo(`UPPER`, `ÆØÅ æøå`, `ÄÖÜ`)},
		{"refuses", renameRefuses},
		{"missing-table", renameMissing},
		{"rollback", renameRollback},
	}
}

// noRenamer says why a Store is not held to the contracts of a Renamer, "" if it is.
func noRenamer(t *env) string {
	reason := "not a Renamer"
	t.update(func(tx store.Tx) error {
		if _, ok := tx.(store.Renamer); ok {
			reason = ""
		}
		return nil
	})
	return reason
}

func rename(ctx context.Context, tx store.Tx, tab store.Table, name string) error {
	return tx.(store.Renamer).Rename(ctx, tab, name)
}

func renameTable(t *env) {
	def := table("before", []string{"b", "a"}, notNull("id", "int"), notNull("a", "int"), notNull("b", "nvarchar(10)"), withDefault(notNull("n", "int"), "((7))"))
	rows := []store.Row{{int64(1), int64(1), "x", int64(1)}, {int64(2), int64(2), "x", int64(2)}, {int64(3), int64(1), "y", int64(3)}}
	before := t.load(def, rows...)
	after := before
	after.Name = "after"
	t.update(func(tx store.Tx) error {
		if err := rename(t.Context(), tx, before, "after"); err != nil {
			return err
		}
		missing(t, tx, "before")
		require.Equal(t, after, findIn(t, tx, "after"))
		return tx.Insert(t.Context(), after, []string{"id", "a", "b"}, []store.Row{{4, 2, "y"}})
	})
	rows = append(rows, store.Row{int64(4), int64(2), "y", int64(7)})
	missing(t, t.src, "before")
	_, err := t.src.Count(t.Context(), before)
	require.ErrorIs(t, err, store.ErrTableNotFound, "Count by the old name")
	require.Equal(t, after, t.find("after"))
	expect(t, t.src, store.Query{Table: after, Key: after.Key}, rows)
	t.refused("Insert of a key that exists", func(tx store.Tx) error {
		return tx.Insert(t.Context(), after, after.ColumnNames(), rows[:1])
	})

	// A new table like it takes the old name, and gives it back.
	t.update(func(tx store.Tx) error { return create(t.Context(), tx, before, rows[:2]) })
	expect(t, t.src, store.Query{Table: t.find("before"), Key: before.Key}, rows[:2])
	expect(t, t.src, store.Query{Table: after, Key: after.Key}, rows)
	t.update(func(tx store.Tx) error {
		if err := tx.Drop(t.Context(), before); err != nil {
			return err
		}
		return rename(t.Context(), tx, after, "before")
	})
	missing(t, t.src, "after")
	require.Equal(t, before, t.find("before"))
	expect(t, t.src, store.Query{Table: before, Key: before.Key}, rows)
}

// renameTo gives a table one name after the other, and its own again.
func renameTo(names ...string) func(t *env) {
	return func(t *env) {
		bystander := t.load(people(), peopleRows(3)...)
		def := people()
		def.Name = "plain"
		tab := t.load(def, peopleRows(2)...)
		for _, name := range append(slices.Clone(names), "plain") {
			t.update(func(tx store.Tx) error { return rename(t.Context(), tx, tab, name) })
			missing(t, t.src, tab.Name)
			tab.Name = name
			require.Equal(t, tab, t.find(name))
			expect(t, t.src, store.Query{Table: tab, Key: tab.Key}, peopleRows(2))
		}
		require.EqualValues(t, 3, count(t, t.src, bystander), "rows of a table that no one touched")
	}
}

func renameRefuses(t *env) {
	tab := t.load(people(), peopleRows(3)...)
	taken := people()
	taken.Name = "taken"
	t.load(taken, peopleRows(5)...)
	before := dump(t, t.st)
	for _, name := range []string{"taken", ""} {
		t.refused("a transaction in which a Rename failed", func(tx store.Tx) error {
			require.Error(t, rename(t.Context(), tx, tab, name), "Rename to %q has to be refused", name)
			return nil
		})
		unchanged(t, before, "database after a Rename to %q", name)
	}
}

func renameMissing(t *env) {
	nobody := t.load(people())
	nobody.Name = "nobody"
	err := t.refused("Rename of a table that does not exist", func(tx store.Tx) error {
		return rename(t.Context(), tx, nobody, "somebody")
	})
	require.ErrorIs(t, err, store.ErrTableNotFound)
	missing(t, t.st, "somebody")
}

func renameRollback(t *env) {
	tab := t.load(people(), peopleRows(3)...)
	before := dump(t, t.st)
	sentinel := errors.New("storetest: roll this back")
	err := t.st.Update(t.Context(), func(tx store.Tx) error {
		if err := rename(t.Context(), tx, tab, "renamed"); err != nil {
			return err
		}
		if err := create(t.Context(), tx, people(), peopleRows(1)); err != nil {
			return err
		}
		return sentinel
	})
	require.ErrorIs(t, err, sentinel)
	unchanged(t, before, "database after a rollback")
	require.Equal(t, tab, t.find("people"))
}
