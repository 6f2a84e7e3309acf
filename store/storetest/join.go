package storetest

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
)

// joinContracts: a [store.Join] counts the rows of both sides, and names each key
// whose rows differ by EqualValues, whatever the engine takes for equal.
func joinContracts() []contract {
	var cs []contract
	add := func(name string, check func(t *twoSides)) { cs = append(cs, contract{name, joined(check)}) }
	add("equal", joinEqual)
	add("different", joinDifferent)
	add("empty", joinEmpty)
	add("bounds", joinBounds)
	add("limit", joinLimit)
	add("columns", joinColumns)
	add("names", joinNames)
	add("composite", joinComposite)
	add("both-ways", joinBothWays)
	add("few", joinFew)
	add("nearly-all", joinNearlyAll)
	add("sees-changes", joinSeesChanges)
	add("holds-nothing", joinHoldsNothing)
	add("that-mirror", joinThatMirror)
	add("concurrent", joinConcurrent)
	add("refused", joinRefused)
	add("missing-table", joinMissing)
	add("unknown-column", joinUnknownColumn)
	add("cancelled", joinCancelled)
	add("any-value", joinAnyValue)
	for _, c := range orderCases {
		add("key-"+c.name, c.checkJoin)
	}
	for _, g := range digestValues {
		add("values-"+g.name, g.checkJoin)
	}
	return append(cs, contract{"another-kind", joinAnotherKind})
}

// noJoiner says why a Source is not held to the contracts of a Joiner, "" if it is.
func noJoiner(t *env) string {
	if _, ok := t.src.(store.Joiner); !ok {
		return "not a Joiner"
	}
	other, _ := t.other()
	join, err := store.JoinOf(t.Context(), t.src, other)
	if errors.Is(err, errors.ErrUnsupported) {
		return err.Error()
	}
	if err == nil {
		err = join.Close()
	}
	require.NoError(t, err, "Join")
	return ""
}

// twoSides are two databases, of which the embedded one is the source.
type twoSides struct {
	*env
	mirror *env
	join   store.Join
}

// joined makes a check of a join one of the source.
func joined(check func(t *twoSides)) func(t *env) {
	return func(t *env) {
		m := *t
		m.src, m.st = t.other()
		join, err := store.JoinOf(t.Context(), t.src, m.src)
		require.NoError(t, err, "Join")
		end := sync.OnceValue(join.Close)
		defer func() { _ = end() }()
		check(&twoSides{t, &m, join})
		require.NoError(t, end(), "Close")
	}
}

// side is a table of one side, and all of its rows in full.
type side struct {
	query store.Query
	rows  []store.Row
}

// load creates a table on both sides, and returns queries for it by key.
func (t *twoSides) load(def store.Table, key []string, source, mirror []store.Row) (s, m side) {
	t.Helper()
	of := func(e *env, rows []store.Row) side {
		tab := e.load(def, rows...)
		return side{store.Query{Table: tab, Columns: tab.ColumnNames(), Key: key}, rows}
	}
	return of(t.env, source), of(t.mirror, mirror)
}

// manySuspects is a limit that nothing here comes to.
const manySuspects = 100_000

// expect has the engine compare two sides and holds it to what there is. A table
// that it cannot compare ends the check.
func (t *twoSides) expect(s, m side, limit int) store.Suspects {
	t.Helper()
	found, err := t.ask(s, m, limit)
	if errors.Is(err, errors.ErrUnsupported) {
		t.skip(err.Error())
	}
	require.NoError(t, err, "Suspects of %s", s.query.Table)
	return found
}

// ask is expect for an engine that may be unable.
func (t *twoSides) ask(s, m side, limit int) (store.Suspects, error) {
	t.Helper()
	found, err := t.join.Suspects(t.Context(), s.query, m.query, limit)
	if err == nil {
		checkSuspects(t, found, s, m, limit)
	}
	return found, err
}

// checkSuspects compares what an engine suspects with the rows.
func checkSuspects(t T, found store.Suspects, s, m side, limit int) {
	t.Helper()
	q := s.query
	key := columnsOf(t, q.Table, q.Key)
	about := fmt.Sprintf("of %s by %q from %s before %s limit %d", q.Table, q.Key, show(q.From), show(q.Before), limit)
	source, mirror := rowsByKey(t, s, q), rowsByKey(t, m, q)
	require.EqualValues(t, len(source), found.SourceRows, "rows of the source %s", about)
	require.EqualValues(t, len(mirror), found.MirrorRows, "rows of the mirror %s", about)
	if found.Undecided {
		return
	}
	require.LessOrEqual(t, len(found.Keys), limit, "keys %s", about)
	compare := func(a, b store.Row) int { return store.CompareKeys(key, a, b) }
	for i, k := range found.Keys {
		require.Len(t, k, len(key), "key %d %s", i, about)
		require.NotContains(t, k, nil, "key %d %s", i, about)
		require.False(t, i > 0 && compare(found.Keys[i-1], k) >= 0, "key %d, %s, is not behind %s %s", i, show(k), show(found.Keys[max(0, i-1)]), about)
		within := (q.From == nil || compare(k, q.From) >= 0) && (q.Before == nil || compare(k, q.Before) < 0)
		require.True(t, within, "key %s is out of the range %s", show(k), about)
	}
	for _, k := range differing(t, s, m, source, mirror) {
		_, ok := slices.BinarySearchFunc(found.Keys, k, compare)
		require.True(t, ok, "the key %s, whose rows differ, is left out %s", show(k), about)
	}
}

// keyedRow is a row with its key and what is compared of it.
type keyedRow struct{ key, values store.Row }

// rowsByKey returns the rows of a side within the bounds of q, in the order of the key.
func rowsByKey(t T, s side, q store.Query) (rows []keyedRow) {
	t.Helper()
	key, keyAt, at := columnsOf(t, s.query.Table, s.query.Key), positions(t, s.query.Table, s.query.Key), positions(t, s.query.Table, s.query.Columns)
	for _, r := range s.rows {
		k := pick(keyAt, r)
		if (q.From == nil || store.CompareKeys(key, k, q.From) >= 0) && (q.Before == nil || store.CompareKeys(key, k, q.Before) < 0) {
			rows = append(rows, keyedRow{k, pick(at, r)})
		}
	}
	slices.SortFunc(rows, func(a, b keyedRow) int { return store.CompareKeys(key, a.key, b.key) })
	return rows
}

// differing returns the keys whose rows differ. A key is there once on a side.
func differing(t T, s, m side, source, mirror []keyedRow) (keys []store.Row) {
	t.Helper()
	key := columnsOf(t, s.query.Table, s.query.Key)
	columns, others := columnsOf(t, s.query.Table, s.query.Columns), columnsOf(t, m.query.Table, m.query.Columns)
	for len(source)+len(mirror) > 0 {
		n := 0
		switch {
		case len(mirror) == 0:
			n = -1
		case len(source) == 0:
			n = 1
		default:
			n = store.CompareKeys(key, source[0].key, mirror[0].key)
		}
		switch {
		case n < 0:
			keys = append(keys, source[0].key)
		case n > 0:
			keys = append(keys, mirror[0].key)
		default:
			for i, c := range columns {
				if !store.EqualValues(c.Type, others[i].Type, source[0].values[i], mirror[0].values[i]) {
					keys = append(keys, source[0].key)
					break
				}
			}
		}
		source, mirror = source[1-max(0, n):], mirror[1+min(0, n):]
	}
	return keys
}
