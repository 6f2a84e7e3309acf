package storetest

import (
	"errors"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
)

// changeContracts: a [store.ChangeTracker] knows which rows changed after a
// version, and says so where it does not. They demand that tracking is on for
// every table that Create makes.
func changeContracts() []contract {
	return []contract{
		{"changed", changedRows},
		{"rolled-back", changesRolledBack},
		{"composite-key", changedComposite},
		{"too-old", changesTooOld},
		{"no-key", changesWithoutKey},
		{"keys", changedKeys},
		{"keys-pages", changedKeysInPages},
		{"keys-composite", changedKeysComposite},
		{"keys-types", changedKeysOfTypes},
		{"keys-writes", changedKeysWhileOthersWrite},
		{"truncated", changesTruncated},
	}
}

// noTracker says why a Source is not held to the contracts of a ChangeTracker, ""
// if it is.
func noTracker(t *env) string {
	c, ok := t.src.(store.ChangeTracker)
	if !ok {
		return "not a ChangeTracker"
	}
	_, err := c.Version(t.Context())
	if errors.Is(err, errors.ErrUnsupported) {
		return err.Error()
	}
	require.NoError(t, err, "Version")
	return ""
}

func (t *env) version() store.LSN {
	t.Helper()
	v, err := t.src.(store.ChangeTracker).Version(t.Context())
	require.NoError(t, err, "Version")
	return v
}

func (t *env) changed(tab store.Table, since store.LSN, keys ...store.Row) []bool {
	t.Helper()
	changed, err := t.src.(store.ChangeTracker).Changed(t.Context(), tab, since, keys)
	require.NoError(t, err, "Changed of %s since %d", tab, since)
	return changed
}

// write changes rows 1 and 2 of people and adds row 4.
func write(t *env, tx store.Tx, tab store.Table) error {
	if _, err := tx.Set(t.Context(), tab, cells(cell("id", 1)), cells(cell("name", "set"))); err != nil {
		return err
	}
	if _, err := tx.Delete(t.Context(), tab, cells(cell("id", 2))); err != nil {
		return err
	}
	return tx.Insert(t.Context(), tab, []string{"id"}, []store.Row{{4}})
}

func changedRows(t *env) {
	tab, other := t.load(people(), peopleRows(3)...), people()
	other.Name = "others"
	other = t.load(other, peopleRows(3)...)
	keys := []store.Row{{4}, {99}, {int64(1)}, {3}, {2}}
	before := t.version()
	require.Equal(t, make([]bool, 5), t.changed(tab, before, keys...))
	t.update(func(tx store.Tx) error { return write(t, tx, tab) })
	after := t.version()
	require.Greater(t, after, before, "Version after a change")
	require.Equal(t, []bool{true, false, true, false, true}, t.changed(tab, before, keys...))
	require.Equal(t, make([]bool, 5), t.changed(other, before, keys...), "another table")
	require.Equal(t, make([]bool, 5), t.changed(tab, after, keys...), "since the last change")
	require.Empty(t, t.changed(tab, before))

	t.update(func(tx store.Tx) error {
		_, err := tx.Set(t.Context(), tab, cells(cell("id", 3)), cells(cell("age", 77)))
		return err
	})
	require.Equal(t, []bool{false, false, false, true, false}, t.changed(tab, after, keys...))
	require.Equal(t, []bool{true, false, true, true, true}, t.changed(tab, before, keys...), "changes add up")
}

func changesRolledBack(t *env) {
	tab := t.load(people(), peopleRows(3)...)
	before := t.version()
	t.refused("a transaction that ends with an error", func(tx store.Tx) error {
		return errors.Join(write(t, tx, tab), errors.New("storetest: roll this back"))
	})
	require.Equal(t, []bool{false, false, false}, t.changed(tab, before, store.Row{1}, store.Row{2}, store.Row{4}))
	require.Empty(t, t.listed(tab, before, nil, 9))
}

func changedComposite(t *env) {
	rows := []store.Row{{int64(1), "a"}, {int64(1), "A"}, {int64(2), "a"}}
	tab := t.load(table("links", []string{"s", "n"}, notNull("n", "int"), notNull("s", "nvarchar(10)")), rows...)
	before := t.version()
	t.update(func(tx store.Tx) error {
		_, err := tx.Delete(t.Context(), tab, cells(cell("n", 1), cell("s", "A")))
		return err
	})
	require.Equal(t, []bool{false, true, false}, t.changed(tab, before, store.Row{"a", 1}, store.Row{"A", 1}, store.Row{"a", 2}))
	_, err := t.src.(store.ChangeTracker).Changed(t.Context(), tab, before, []store.Row{{"a"}})
	require.Error(t, err, "a key of one value for two columns has to be refused")
}

func changesTooOld(t *env) {
	tab := t.load(people(), peopleRows(3)...)
	c := t.src.(store.ChangeTracker)
	least, err := c.MinValidVersion(t.Context(), tab)
	require.NoError(t, err, "MinValidVersion")
	require.LessOrEqual(t, least, t.version())
	t.changed(tab, least, store.Row{1})
	_, err = c.Changed(t.Context(), tab, least-1, []store.Row{{1}})
	require.Error(t, err, "Changed since before MinValidVersion has to be refused")
	t.listed(tab, least, nil, 1)
	for _, after := range []store.Row{nil, {int64(2)}, {int64(99)}} {
		_, err = c.ChangedKeys(t.Context(), tab, least-1, after, 1)
		require.Error(t, err, "ChangedKeys since before MinValidVersion, behind %s, has to be refused", show(after))
	}
}

func changesWithoutKey(t *env) {
	tab := t.load(table("log", nil, notNull("id", "int")), store.Row{1})
	c := t.src.(store.ChangeTracker)
	_, err := c.MinValidVersion(t.Context(), tab)
	require.ErrorIs(t, err, errors.ErrUnsupported, "MinValidVersion")
	_, err = c.Changed(t.Context(), tab, t.version(), []store.Row{{1}})
	require.ErrorIs(t, err, errors.ErrUnsupported, "Changed")
	_, err = c.ChangedKeys(t.Context(), tab, t.version(), nil, 1)
	require.ErrorIs(t, err, errors.ErrUnsupported, "ChangedKeys")
}
