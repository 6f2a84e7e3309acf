package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"sync"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
)

// apart are 200 rows of people, in which the mirror lacks some, has others more, and
// has others again with other values.
func apart() (source, mirror []store.Row) {
	source = gaps(200)
	for i, r := range source {
		switch i {
		case 0, 57, 199:
			continue
		case 20:
			r = store.Row{r[0], "another name", r[2]}
		case 21:
			r = store.Row{r[0], r[1], nil}
		case 100:
			r = store.Row{r[0], nil, int64(0)}
		}
		mirror = append(mirror, r)
	}
	return source, append(mirror, store.Row{int64(-3), "new", nil}, store.Row{int64(131), "new", int64(1)}, store.Row{int64(999), nil, nil})
}

var byID = []string{"id"}

// joinEqual: where nothing differs nothing has to be looked at.
func joinEqual(t *twoSides) {
	rows := gaps(300)
	s, m := t.load(people(), byID, rows, rows)
	found := t.expect(s, m, 10)
	require.False(t, found.Undecided, "equal rows")
	require.Empty(t, found.Keys, "keys of equal rows")
}

func joinDifferent(t *twoSides) {
	source, mirror := apart()
	s, m := t.load(people(), byID, source, mirror)
	found := t.expect(s, m, 100)
	require.False(t, found.Undecided, "9 keys of 200")
	require.Less(t, len(found.Keys), 100)

	// One at a time, so that no difference is found because of another one.
	for i, change := range []func(rows []store.Row) []store.Row{
		func(rows []store.Row) []store.Row { return rows[1:] },
		func(rows []store.Row) []store.Row { return rows[:2] },
		func(rows []store.Row) []store.Row { return append(rows, store.Row{int64(9), "more", nil}) },
		func(rows []store.Row) []store.Row { return append(rows, store.Row{int64(-9), "more", nil}) },
		func(rows []store.Row) []store.Row { rows[1] = store.Row{rows[1][0], "other", rows[1][2]}; return rows },
		func(rows []store.Row) []store.Row { rows[2] = store.Row{int64(7), rows[2][1], rows[2][2]}; return rows },
	} {
		def := people()
		def.Name = fmt.Sprint("people", i)
		s, m := t.load(def, byID, peopleRows(3), change(peopleRows(3)))
		require.False(t, t.expect(s, m, 2).Undecided)
	}
}

// joinFew: a change, a row that is missing and one more are found alone and together,
// whether they make the numbers of rows differ or not.
func joinFew(t *twoSides) {
	const changed, missing, extra = 1, 2, 4
	for kinds := range 2 * extra {
		source := gaps(200)
		var mirror []store.Row
		for i, r := range source {
			switch {
			case i == 60 && kinds&changed != 0:
				r = store.Row{r[0], "another name", r[2]}
			case i == 120 && kinds&missing != 0:
				continue
			}
			mirror = append(mirror, r)
		}
		if kinds&extra != 0 {
			mirror = append(mirror, store.Row{int64(131), "more", nil})
		}
		def := people()
		def.Name = fmt.Sprint("people", kinds)
		s, m := t.load(def, byID, source, mirror)
		found := t.expect(s, m, 100)
		require.False(t, found.Undecided)
		require.GreaterOrEqual(t, len(found.Keys), bits.OnesCount(uint(kinds)))
	}
}

func joinEmpty(t *twoSides) {
	for i, rows := range [][2][]store.Row{{nil, nil}, {peopleRows(3), nil}, {nil, peopleRows(3)}} {
		def := people()
		def.Name = fmt.Sprint("people", i)
		s, m := t.load(def, byID, rows[0], rows[1])
		require.False(t, t.expect(s, m, 10).Undecided)
	}
}

// joinBounds: a range has the rows of both sides from a key to before another,
// whether there are rows with these keys or not.
func joinBounds(t *twoSides) {
	source, mirror := apart()
	s, m := t.load(people(), byID, source, mirror)
	bounds := []store.Row{nil, {int64(-100)}, {int64(-3)}, {int64(2)}, {int64(42)}, {int64(43)}, {int64(131)}, {int64(400)}, {int64(5000)}}
	for _, s.query.From = range bounds {
		for _, s.query.Before = range bounds {
			m.query.From, m.query.Before = s.query.From, s.query.Before
			t.expect(s, m, 50)
		}
	}
}

// joinLimit: with more keys than asked for the range is undecided, and never a part
// of them.
func joinLimit(t *twoSides) {
	source, mirror := apart()
	s, m := t.load(people(), byID, source, mirror)
	for limit := 1; limit < 12; limit++ {
		found := t.expect(s, m, limit)
		require.True(t, limit >= 9 || found.Undecided, "9 keys differ, and at most %d were asked for", limit)
	}
}

// joinColumns: those asked for are compared, by name, whatever their order is.
func joinColumns(t *twoSides) {
	def := table("columns", byID, nullable("a", "int"), notNull("id", "int"), nullable("b", "int"), nullable("c", "nvarchar(10)"))
	rows := []store.Row{{int64(1), int64(1), int64(2), "x"}, {int64(2), int64(2), int64(1), "y"}, {nil, int64(3), nil, nil}}
	changed := []store.Row{{int64(2), int64(1), int64(1), "x"}, {int64(2), int64(2), int64(1), "z"}, {int64(0), int64(3), nil, nil}}
	s, _ := t.load(def, byID, rows, nil)
	def.Columns = []store.Column{def.Columns[3], def.Columns[2], def.Columns[1], def.Columns[0]}
	def.Name = "Columns of the mirror"
	for i, r := range changed {
		changed[i] = store.Row{r[3], r[2], r[1], r[0]}
	}
	tab := t.mirror.load(def, changed...)
	for _, columns := range [][]string{{"id", "a", "b", "c"}, {"a", "b", "id"}, {"id", "b"}, {"id", "c"}, {"c", "id"}, {"id"}} {
		s.query.Columns = columns
		t.expect(s, side{store.Query{Table: tab, Columns: columns, Key: byID}, changed}, 10)
	}
}

// joinNames has names that a statement could use itself, and the mirror has others.
func joinNames(t *twoSides) {
	def := table("s", []string{"m", "k0"}, notNull("m", "int"), notNull("k0", "int"), nullable("k1", "int"), nullable("s", "int"), nullable("n", "nvarchar(9)"), nullable("t's \" %d", "int"))
	rows := []store.Row{{int64(1), int64(2), int64(3), int64(4), "a", int64(5)}, {int64(2), int64(1), int64(4), int64(3), "b", nil}, {int64(3), int64(3), nil, nil, nil, nil}}
	s, _ := t.load(def, def.Key, rows, nil)
	other := def
	other.Name, other.Columns = `m's " %s`, slices.Clone(def.Columns)
	rename := map[string]string{"m": "M", "k0": "s", "k1": "k0", "s": "n", "n": "k1", "t's \" %d": "m2"}
	names := func(list []string) (renamed []string) {
		for _, name := range list {
			renamed = append(renamed, rename[name])
		}
		return renamed
	}
	for i, c := range other.Columns {
		other.Columns[i].Name = rename[c.Name]
	}
	other.Key = names(def.Key)
	changed := []store.Row{{int64(1), int64(2), int64(4), int64(3), "a", int64(5)}, {int64(2), int64(1), int64(4), int64(3), "b", int64(0)}, {int64(3), int64(2), nil, nil, nil, nil}}
	tab := t.mirror.load(other, changed...)
	for _, columns := range [][]string{def.ColumnNames(), {"m", "k0", "k1"}, {"m", "k0", "s"}, {"m", "k0", "t's \" %d"}, {"m", "k0"}} {
		s.query.Columns = columns
		t.expect(s, side{store.Query{Table: tab, Columns: names(columns), Key: other.Key}, changed}, 10)
	}
}

// joinComposite: the values of a key belong together, and bounds go by all of them.
func joinComposite(t *twoSides) {
	def := table("composite", []string{"a", "b", "c"}, notNull("c", "int"), notNull("b", "bigint"), notNull("a", "int"), nullable("v", "int"))
	var source, mirror []store.Row
	for i := range int64(125) {
		row := store.Row{i % 5, i / 5 % 5, i / 25, i}
		if i%7 > 0 {
			source = append(source, row)
		}
		switch {
		case i%11 == 0:
			mirror = append(mirror, store.Row{row[0], row[1], row[2], nil})
		case i%13 > 0:
			mirror = append(mirror, row)
		}
	}
	s, m := t.load(def, def.Key, source, mirror)
	for i, key := range [][]string{{"a", "b", "c"}, {"c", "a", "b"}, {"b", "c", "a"}} {
		s.query.Key, m.query.Key = key, key
		s.query.From, s.query.Before = nil, nil
		m.query.From, m.query.Before = nil, nil
		t.expect(s, m, 100)
		at := positions(t, s.query.Table, key)
		for n := range 6 {
			s.query.From, s.query.Before = pick(at, source[7*n+i]), pick(at, mirror[len(mirror)-1-9*n])
			if n%2 == 1 {
				s.query.From, s.query.Before = s.query.Before, s.query.From
			}
			m.query.From, m.query.Before = s.query.From, s.query.Before
			t.expect(s, m, 100)
		}
	}
}

// joinBothWays: the source can be the mirror of its mirror.
func joinBothWays(t *twoSides) {
	source, mirror := apart()
	s, m := t.load(people(), byID, source, mirror)
	t.expect(s, m, 100)
	back, err := store.JoinOf(t.Context(), t.mirror.src, t.src)
	require.NoError(t, err, "Join")
	defer back.Close()
	(&twoSides{t.mirror, t.env, back}).expect(m, s, 100)
}

// joinNearlyAll: many keys, of which nearly all differ.
func joinNearlyAll(t *twoSides) {
	source, mirror := peopleRows(3000), peopleRows(3000)
	for i, r := range mirror {
		if i%100 > 0 {
			mirror[i] = store.Row{r[0], r[1], int64(1000 + i)}
		}
	}
	s, m := t.load(people(), byID, source, mirror)
	require.False(t, t.expect(s, m, manySuspects).Undecided)
	require.True(t, t.expect(s, m, 1000).Undecided)
}

// joinSeesChanges: what either side has committed is seen.
func joinSeesChanges(t *twoSides) {
	s, m := t.load(people(), byID, peopleRows(5), peopleRows(5))
	t.expect(s, m, 10)
	for i := range int64(3) {
		for _, e := range []*env{t.env, t.mirror} {
			at := &s
			if e == t.mirror {
				at = &m
			}
			row := store.Row{100 + i, "later", i}
			e.update(func(tx store.Tx) error {
				return tx.Insert(t.Context(), at.query.Table, at.query.Columns, []store.Row{row})
			})
			at.rows = append(at.rows, row)
			t.expect(s, m, 10)
		}
	}
}

// joinHoldsNothing: both sides can be written to between two answers, and a table
// that came later is seen.
func joinHoldsNothing(t *twoSides) {
	s, m := t.load(people(), byID, peopleRows(5), peopleRows(4))
	for i := range 3 {
		t.expect(s, m, 10)
		def := people()
		def.Name = fmt.Sprint("later", i)
		later, its := t.load(def, byID, peopleRows(3), peopleRows(2))
		t.expect(later, its, 10)
		for e, tab := range map[*env]store.Table{t.env: later.query.Table, t.mirror: its.query.Table} {
			e.update(func(tx store.Tx) error { return tx.Drop(t.Context(), tab) })
		}
		_, err := t.join.Suspects(t.Context(), later.query, its.query, 10)
		require.ErrorIs(t, err, store.ErrTableNotFound, "a table that is gone")
	}
}

// joinThatMirror: of two databases with the same tables that one is read which was
// given.
func joinThatMirror(t *twoSides) {
	s, m := t.load(people(), byID, peopleRows(5), peopleRows(4))
	third := *t.env
	third.src, third.st = t.other()
	tab := third.load(people(), peopleRows(3)...)
	join, err := store.JoinOf(t.Context(), t.src, third.src)
	require.NoError(t, err, "Join")
	defer join.Close()
	other := &twoSides{t.env, &third, join}
	for range 2 {
		t.expect(s, m, 10)
		other.expect(s, side{store.Query{Table: tab, Columns: tab.ColumnNames(), Key: byID}, peopleRows(3)}, 10)
	}
}

// joinConcurrent: ranges are joined at the same time.
func joinConcurrent(t *twoSides) {
	source, mirror := apart()
	s, m := t.load(people(), byID, source, mirror)
	var asked sync.WaitGroup
	type answer struct {
		s, m  side
		found store.Suspects
		err   error
	}
	answers := make([]answer, 12)
	for i := range answers {
		a := &answers[i]
		a.s, a.m = s, m
		a.s.query.From, a.s.query.Before = store.Row{int64(40 * i)}, store.Row{int64(40*i + 100)}
		a.m.query.From, a.m.query.Before = a.s.query.From, a.s.query.Before
		asked.Go(func() { a.found, a.err = t.join.Suspects(t.Context(), a.s.query, a.m.query, 50) })
	}
	asked.Wait()
	for _, a := range answers {
		require.NoError(t, a.err)
		checkSuspects(t, a.found, a.s, a.m, 50)
	}
}

// refused asks for suspects, which has to fail.
func (t *twoSides) refused(ctx context.Context, what string, s, m store.Query, limit int) error {
	t.Helper()
	found, err := t.join.Suspects(ctx, s, m, limit)
	require.Error(t, err, what)
	require.Empty(t, found.Keys, what)
	return err
}

func joinRefused(t *twoSides) {
	s, m := t.load(people(), byID, peopleRows(3), peopleRows(3))
	with := func(change func(q *store.Query)) store.Query {
		q := s.query
		change(&q)
		return q
	}
	noKey := with(func(q *store.Query) { q.Key = nil })
	t.refused(t.Context(), "no key", noKey, noKey, 10)
	t.refused(t.Context(), "keys of two lengths", s.query, with(func(q *store.Query) { q.Key = []string{"id", "age"} }), 10)
	t.refused(t.Context(), "a column less", s.query, with(func(q *store.Query) { q.Columns = byID }), 10)
	t.refused(t.Context(), "a limit of 0", s.query, m.query, 0)
}

func joinMissing(t *twoSides) {
	s, m := t.load(people(), byID, peopleRows(3), peopleRows(3))
	other := s.query
	other.Table.Name = "nobody"
	for name, queries := range map[string][2]store.Query{"of the source": {other, m.query}, "of the mirror": {s.query, other}} {
		err := t.refused(t.Context(), "a table "+name+" that does not exist", queries[0], queries[1], 10)
		require.ErrorIs(t, err, store.ErrTableNotFound, name)
		require.NotErrorIs(t, err, errors.ErrUnsupported, name)
	}
}

func joinUnknownColumn(t *twoSides) {
	s, m := t.load(people(), byID, peopleRows(3), peopleRows(3))
	other := s.query
	other.Columns = []string{"id", "shoe", "age"}
	t.refused(t.Context(), "a column of the source that does not exist", other, m.query, 10)
	t.refused(t.Context(), "a column of the mirror that does not exist", s.query, other, 10)
}

func joinCancelled(t *twoSides) {
	s, m := t.load(people(), byID, peopleRows(3), peopleRows(2))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, t.refused(ctx, "cancelled", s.query, m.query, 10), context.Canceled)
	t.expect(s, m, 10)
	_, err := store.JoinOf(ctx, t.src, t.mirror.src)
	require.ErrorIs(t, err, context.Canceled, "Join, cancelled")
}

// joinAnotherKind: a Source that the engine does not know is not joined, whatever it
// says of itself.
func joinAnotherKind(t *env) {
	other, _ := t.other()
	_, err := store.JoinOf(t.Context(), t.src, stranger{other, other})
	require.ErrorIs(t, err, errors.ErrUnsupported, "Join with a Source of another kind")
}

// stranger is a Source that has the identity of another one.
type stranger struct {
	store.Source
	of store.Source
}

func (s stranger) Identity(ctx context.Context) (store.Identity, error) {
	return store.IdentityOf(ctx, s.of)
}
