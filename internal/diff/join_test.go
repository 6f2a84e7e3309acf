package diff_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/internal/diff"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

// keyed gives the mirror the source's key, and leaves one row of each.
func (s *sides) keyed(t testing.TB) *sides {
	key := s.table.Key
	seen := map[string]bool{}
	var rows []store.Row
	for _, row := range s.mirrored {
		if k := spell(row[:key]); !seen[k] {
			seen[k] = true
			rows = append(rows, row)
		}
	}
	def := s.table.Source.Table
	columns := make([]string, len(def.Columns))
	for i, c := range def.Columns {
		columns[i] = c.Name + " " + c.Type.String()
		if c.Nullable {
			columns[i] += " null"
		}
	}
	k := newSides(t, columns, def.Key, s.sourceRows, nil)
	k.mirror, k.mirrored = memory.New(memory.Table{Name: "t", Columns: columns, Key: def.Key, Rows: rows}), rows
	k.table.Mirror = k.table.Source
	return k
}

// cutting is a store that makes cuts.
type cutting struct{ *memory.Store }

func (c cutting) Cut(ctx context.Context, q store.Query, n int64) (store.Row, error) {
	q.Columns = q.Key
	for rows, err := range c.Rows(ctx, q) {
		if err != nil {
			return nil, err
		}
		if int64(len(rows)) > n {
			return rows[n].Clone(), nil
		}
		n -= int64(len(rows))
	}
	return nil, nil
}

// joined is an engine that reads both sides. It suspects some keys too many.
type joined struct {
	s *sides

	mu      sync.Mutex
	r       *rand.Rand
	calls   int
	failing int // the call that fails; 0: none
}

func (j *joined) Close() error { return nil }

var errNoEngine = errors.New("the engine is gone")

func (j *joined) Suspects(ctx context.Context, source, mirror store.Query, limit int) (found store.Suspects, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.calls++; j.calls == j.failing {
		return found, errNoEngine
	}
	keys, same := map[string]store.Row{}, map[string]string{}
	for i, side := range []struct {
		st *memory.Store
		q  store.Query
		n  *int64
	}{{j.s.source, source, &found.SourceRows}, {j.s.mirror, mirror, &found.MirrorRows}} {
		for rows, err := range side.st.Rows(ctx, side.q) {
			if err != nil {
				return found, err
			}
			for _, row := range rows {
				*side.n++
				key := row[:len(source.Key)]
				switch k := spell(key); {
				case i == 0:
					keys[k], same[k] = key.Clone(), spell(row)
				case same[k] != spell(row):
					keys[k] = key.Clone()
				case j.r.IntN(10) > 0:
					delete(keys, k)
				}
			}
		}
	}
	for _, key := range keys {
		found.Keys = append(found.Keys, key)
	}
	if len(keys) > limit || j.r.IntN(8) == 0 {
		found.Undecided, found.Keys = true, nil
	}
	slices.SortFunc(found.Keys, j.s.table.Order)
	return found, nil
}

func (s *sides) joinEngine(j *joined, o diff.Options) *diff.Engine {
	o.Source, o.Mirror, o.Clock, o.Join = cutting{s.source}, s.mirror, wall{}, j
	return diff.New(o)
}

// A join, in chunks of any size, stopped, resumed, and with an engine that fails
// in the middle, finds to the byte what a stream finds.
func TestJoinProperty(t *testing.T) {
	seeds := 400
	if testing.Short() {
		seeds = 50
	}
	joins, failures, resumed := 0, 0, 0
	for seed := range uint64(seeds) {
		r := rand.New(rand.NewPCG(seed, 2))
		s := random(t, r)
		if s.table.Keyless {
			continue
		}
		s = s.keyed(t)
		o := diff.Options{
			Strategy: []diff.Strategy{diff.Join, diff.Auto}[r.IntN(2)], DigestRows: int64(1 + r.IntN(40)), MaxKeys: 10_000, MaxSamples: r.IntN(10),
			Slots: make(chan struct{}, 1+r.IntN(3)),
		}
		if r.IntN(2) == 0 {
			o.Steps = diff.Steps{Open: 1 + r.IntN(20)}
		}
		table := s.table
		if r.IntN(2) == 0 {
			table.Settler = func() diff.Settler { return coin{t} }
		}
		if r.IntN(4) == 0 {
			table.MaxDifferences = int64(1 + r.IntN(20))
		}
		name := fmt.Sprintf("seed %d, %+v", seed, o)

		streamed := o
		streamed.Strategy = diff.Stream
		want, wantErr := s.engine(streamed).Table(table).Compare(t.Context())

		// The first attempt is cancelled at a random place that it notes.
		ctx, cancel := context.WithCancel(t.Context())
		stopAt, saves := r.IntN(6), 0
		var first *diff.Run
		var noted []byte
		broken := o
		broken.Slots = make(chan struct{})
		broken.Save = func() {
			if saves++; saves == stopAt {
				var err error
				noted, err = json.Marshal(first.Ranges())
				require.NoError(t, err)
				cancel()
			}
		}
		j := &joined{s: s, r: r}
		if r.IntN(4) == 0 {
			j.failing = 1 + r.IntN(4)
		}
		first = s.joinEngine(j, broken).Table(table)
		_, err := first.Compare(ctx)
		cancel()
		if err != nil && !errors.Is(err, diff.ErrEnough) {
			require.ErrorIs(t, err, context.Canceled, name)
		}
		j.calls = 0
		run := s.joinEngine(j, o).Table(table)
		if noted != nil && table.MaxDifferences == 0 {
			var ranges []diff.Range
			require.NoError(t, json.Unmarshal(noted, &ranges), name)
			require.True(t, run.Resume(ranges), name)
			resumed++
		}
		got, err := run.Compare(t.Context())
		require.Equal(t, wantErr, err, name)
		enough := errors.Is(err, diff.ErrEnough)
		if enough && table.Settler != nil {
			// Where it stops depends on when differences are settled.
			require.GreaterOrEqual(t, got.Different(), table.MaxDifferences, name)
			continue
		}
		if enough {
			got.SourceRows, got.MirrorRows = want.SourceRows, want.MirrorRows // of what was not compared
		}
		wantText, err := json.Marshal(want)
		require.NoError(t, err)
		gotText, err := json.Marshal(got)
		require.NoError(t, err)
		require.Equal(t, string(wantText), string(gotText), name)
		require.NoError(t, got.Check(), name)
		require.Empty(t, o.Slots, name)
		if enough && j.failing > 0 {
			continue // it may have stopped before
		}
		strategy, reason := run.Strategy()
		if j.failing > 0 && j.calls >= j.failing {
			failures++
			require.NotEqual(t, diff.Join, strategy, name)
			require.Contains(t, reason, errNoEngine.Error(), name)
			continue
		}
		require.Equal(t, diff.Join, strategy, name)
		joins++
	}
	require.Greater(t, joins, seeds/4)
	require.Greater(t, failures, seeds/40)
	require.Greater(t, resumed, seeds/10)
}

// What one engine cannot join is compared otherwise, and says why.
func TestNoJoin(t *testing.T) {
	rows := []store.Row{{1, 1}, {2, 2}}
	s := newSides(t, []string{"id int", "n int"}, []string{"id"}, rows, rows)
	j := &joined{s: s, r: rand.New(rand.NewPCG(1, 1))}
	for _, c := range []struct {
		name  string
		table func() (diff.Table, *joined)
		why   string
	}{
		{"the mirror's table has no key", func() (diff.Table, *joined) { return s.table, j }, "the mirror's table does not have the primary key"},
		{"no key at all", func() (diff.Table, *joined) {
			return newSides(t, []string{"id int", "n int"}, nil, rows, rows).table, j
		}, "the table has no primary key"},
		{"a key that may be NULL", func() (diff.Table, *joined) {
			k := s.keyed(t).table
			k.Mirror.Columns = slices.Clone(k.Mirror.Columns)
			k.Mirror.Columns[0].Nullable, k.Ranged = true, false
			return k, j
		}, "column id of the key may be NULL"},
		{"a key of another type", func() (diff.Table, *joined) {
			k := s.keyed(t).table
			k.Mirror.Columns = slices.Clone(k.Mirror.Columns)
			k.Mirror.Columns[0].Type, k.Ranged = store.MustType("bigint"), false
			return k, j
		}, "column id of the key is int at the source and bigint in the mirror"},
		{"another type", func() (diff.Table, *joined) {
			k := s.keyed(t).table
			k.Mirror.Columns = slices.Clone(k.Mirror.Columns)
			k.Mirror.Columns[1].Type = store.MustType("float")
			return k, j
		}, "column n has two types, int and float"},
		{"no engine that anybody asked for", func() (diff.Table, *joined) { return s.keyed(t).table, nil }, "nobody asked for one engine for both sides"},
		{"no engine", func() (diff.Table, *joined) { return s.keyed(t).table, nil }, "they are on two servers"},
	} {
		t.Run(c.name, func(t *testing.T) {
			table, j := c.table()
			o := diff.Options{Strategy: diff.Join, NoJoin: "they are on two servers", DigestRows: 8, Source: s.source, Mirror: s.mirror, Clock: wall{}}
			if j != nil {
				o.Join = j
			}
			if strings.HasPrefix(c.why, "nobody") {
				o.NoJoin = ""
			}
			strategy, why := diff.New(o).Table(table).Strategy()
			require.Equal(t, diff.Stream, strategy)
			require.Equal(t, c.why, why)
		})
	}
}

// shift is a clock that moves when it is told to.
type shift struct {
	mu  sync.Mutex
	now time.Time
}

func (c *shift) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *shift) Sleep(context.Context, time.Duration) error { return errors.ErrUnsupported }

func (c *shift) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// A listing that repeats a page, or is out of order, ends the comparison.
func TestSinceListings(t *testing.T) {
	rows := []store.Row{{1, 1}, {2, 2}, {3, 3}}
	s := newSides(t, []string{"id int", "n int"}, []string{"id"}, rows, rows[:2]).keyed(t)
	page := func(n int, key func(i int) int64) []store.Row {
		keys := make([]store.Row, n)
		for i := range keys {
			keys[i] = store.Row{key(i)}
		}
		return keys
	}
	for name, list := range map[string]func(after store.Row, n int) []store.Row{
		"the same page":           func(_ store.Row, n int) []store.Row { return page(n, func(i int) int64 { return int64(i) }) },
		"the same key":            func(_ store.Row, n int) []store.Row { return page(n, func(int) int64 { return 1 }) },
		"out of order":            func(store.Row, int) []store.Row { return page(2, func(i int) int64 { return int64(2 - i) }) },
		"more than one asked for": func(_ store.Row, n int) []store.Row { return page(n+1, func(i int) int64 { return int64(i) }) },
	} {
		t.Run(name, func(t *testing.T) {
			run := s.engine(diff.Options{Strategy: diff.Stream, MaxKeys: 10}).Table(s.table)
			_, err := run.CompareSince(t.Context(), diff.Since{Listings: []func(context.Context, store.Row, int) ([]store.Row, error){
				func(_ context.Context, after store.Row, n int) ([]store.Row, error) { return list(after, n), nil },
			}})
			require.ErrorIs(t, err, store.ErrOrder)
			require.Nil(t, run.Ranges(), "it is no place to resume from")
		})
	}
	t.Run("in pages", func(t *testing.T) {
		run := s.engine(diff.Options{Strategy: diff.Stream, MaxKeys: 10}).Table(s.table)
		found, err := run.CompareSince(t.Context(), diff.Since{Listings: []func(context.Context, store.Row, int) ([]store.Row, error){
			func(_ context.Context, after store.Row, n int) ([]store.Row, error) {
				if after != nil {
					return page(1, func(int) int64 { return 20_000 }), nil
				}
				return page(n, func(i int) int64 { return int64(i) }), nil
			},
		}})
		require.NoError(t, err)
		require.EqualValues(t, 16<<10+1, found.Keys)
		require.EqualValues(t, 1, found.Missing)
	})
}

// moving is a join of rows that change as soon as the keys are named.
type moving struct {
	*joined
	move func()
}

func (j moving) Suspects(ctx context.Context, source, mirror store.Query, limit int) (store.Suspects, error) {
	found, err := j.joined.Suspects(ctx, source, mirror, limit)
	j.move()
	return found, err
}

// Counts add up, whatever became of suspect rows before they were read.
func TestJoinOfMovingRows(t *testing.T) {
	columns, key := []string{"id int", "n int null"}, []string{"id"}
	type change func(t *testing.T, st *memory.Store)
	insert := func(id int) change {
		return func(t *testing.T, st *memory.Store) {
			require.NoError(t, st.Update(t.Context(), func(tx store.Tx) error {
				return tx.Insert(t.Context(), store.Table{Name: "t"}, []string{"id"}, []store.Row{{id}})
			}))
		}
	}
	remove := func(id int) change {
		return func(t *testing.T, st *memory.Store) {
			require.NoError(t, st.Update(t.Context(), func(tx store.Tx) error {
				_, err := tx.Delete(t.Context(), store.Table{Name: "t"}, []store.Cell{{Column: "id", Value: id}})
				return err
			}))
		}
	}
	for name, c := range map[string]struct{ source, mirror change }{
		"a missing row came":               {nil, insert(3)},
		"an extra row went":                {nil, remove(9)},
		"a missing row went at the source": {remove(3), nil},
		"an extra row came at the source":  {insert(9), nil},
		"a changed row went on one side":   {remove(4), nil},
		"a changed row went on the other":  {nil, remove(4)},
		"all of it":                        {remove(3), remove(9)},
		"one for the other":                {insert(9), insert(3)},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSides(t, columns, key, []store.Row{{1, nil}, {2, nil}, {3, nil}, {4, 1}, {5, nil}}, []store.Row{{1, nil}, {2, nil}, {4, 2}, {5, nil}, {9, nil}}).keyed(t)
			j := moving{&joined{s: s, r: rand.New(rand.NewPCG(1, 3))}, func() {
				if c.source != nil {
					c.source(t, s.source)
				}
				if c.mirror != nil {
					c.mirror(t, s.mirror)
				}
			}}
			o := diff.Options{Strategy: diff.Join, DigestRows: 64, MaxSamples: 10, Slots: make(chan struct{}, 1), Source: cutting{s.source}, Mirror: s.mirror, Clock: wall{}, Join: j}
			run := diff.New(o).Table(s.table)
			f, err := run.Compare(t.Context())
			require.NoError(t, err)
			strategy, _ := run.Strategy()
			require.Equal(t, diff.Join, strategy)
			require.NoError(t, f.Check())
			equal := f.SourceRows - f.Changed - f.Missing
			require.Equal(t, f.MirrorRows, equal+f.Changed+f.Extra+f.Duplicate, "%+v", f)
			require.InDelta(t, 5, f.SourceRows, 1)
			require.InDelta(t, 5, f.MirrorRows, 1)
		})
	}
}

// mute is a store that does not find some rows by their keys, or finds them twice.
type mute struct {
	cutting
	times func(key any) int
}

func (s mute) RowsAt(ctx context.Context, q store.Query, keys []store.Row) iter.Seq2[[]store.Row, error] {
	return func(yield func([]store.Row, error) bool) {
		for rows, err := range s.cutting.RowsAt(ctx, q, keys) {
			var some []store.Row
			for _, row := range rows {
				some = append(some, slices.Repeat([]store.Row{row.Clone()}, s.times(row[0]))...)
			}
			if err != nil || len(some) > 0 {
				if !yield(some, err) || err != nil {
					return
				}
			}
		}
	}
}

// Rows of suspect keys that are not those that the engine saw decide nothing.
func TestJoinDoubts(t *testing.T) {
	var rows, others []store.Row
	for i := range 200 {
		rows = append(rows, store.Row{i, i})
		switch i % 50 {
		case 7: // missing
		case 8:
			others = append(others, store.Row{i, -i})
		default:
			others = append(others, store.Row{i, i})
		}
	}
	others = append(others, store.Row{1000, 1})
	s := newSides(t, []string{"id int", "n int"}, []string{"id"}, rows, others).keyed(t)
	o := diff.Options{DigestRows: 10, MaxKeys: 12, MaxSamples: 3, Strategy: diff.Stream}
	want, err := s.engine(o).Table(s.table).Compare(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 9, want.Different())
	for name, times := range map[string]func(source bool, key any) int{
		"all are found":                      func(bool, any) int { return 1 },
		"none is found":                      func(bool, any) int { return 0 },
		"the source finds none":              func(source bool, _ any) int { return map[bool]int{false: 1}[source] },
		"the mirror finds none":              func(source bool, _ any) int { return map[bool]int{true: 1}[source] },
		"none that changed":                  func(_ bool, key any) int { return map[bool]int{false: 1}[key.(int64)%50 == 8] },
		"none that is missing":               func(_ bool, key any) int { return map[bool]int{false: 1}[key.(int64)%50 == 7] },
		"none that is there besides":         func(_ bool, key any) int { return map[bool]int{false: 1}[key.(int64) == 1000] },
		"rows of the mirror are there twice": func(source bool, _ any) int { return map[bool]int{true: 1, false: 2}[source] },
	} {
		t.Run(name, func(t *testing.T) {
			o := o
			o.Strategy, o.Clock = diff.Join, wall{}
			o.Join = &joined{s: s, r: rand.New(rand.NewPCG(1, 1))}
			o.Source = mute{cutting{s.source}, func(key any) int { return times(true, key) }}
			o.Mirror = mute{cutting{s.mirror}, func(key any) int { return times(false, key) }}
			run := diff.New(o).Table(s.table)
			got, err := run.Compare(t.Context())
			require.NoError(t, err)
			require.Equal(t, want, got)
		})
	}
}

// A comparison that ends early says about how many rows it is of.
func TestJoinEndsEarly(t *testing.T) {
	var rows, others []store.Row
	for i := range 1000 {
		rows = append(rows, store.Row{i, i})
		others = append(others, store.Row{i, i + i%50/49})
	}
	s := newSides(t, []string{"id int", "n int"}, []string{"id"}, rows, others).keyed(t)
	s.table.MaxDifferences = 10
	for _, chunk := range []int64{10, 1000} {
		got, err := s.joinEngine(&joined{s: s, r: rand.New(rand.NewPCG(1, 3))}, diff.Options{Strategy: diff.Join, DigestRows: chunk}).Table(s.table).Compare(t.Context())
		require.ErrorIs(t, err, diff.ErrEnough)
		require.EqualValues(t, 10, got.Different())
		require.InDelta(t, 500, got.MirrorRows, 60, "10 of 20 differ so far")
		require.InDelta(t, 500, got.SourceRows, 60)
	}
}
