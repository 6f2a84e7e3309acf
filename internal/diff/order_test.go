package diff_test

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"math"
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

// tied serves rows in the order of their keys, and those of one key in the order in
// which it has them, as they are spelled.
type tied struct {
	*memory.Store
	rows []store.Row
}

func (s tied) Rows(_ context.Context, q store.Query) iter.Seq2[[]store.Row, error] {
	var key []store.Column
	for _, name := range q.Key {
		c, _ := q.Table.Column(name)
		key = append(key, c)
	}
	rows := slices.Clone(s.rows)
	slices.SortStableFunc(rows, func(a, b store.Row) int { return store.CompareKeys(key, a, b) })
	rows = slices.DeleteFunc(rows, func(r store.Row) bool {
		return q.From != nil && store.CompareKeys(key, r, q.From) < 0 || q.Before != nil && store.CompareKeys(key, r, q.Before) >= 0
	})
	if q.Limit > 0 {
		rows = rows[:min(int(q.Limit), len(rows))]
	}
	return func(yield func([]store.Row, error) bool) {
		for batch := range slices.Chunk(rows, 7) {
			if !yield(batch, nil) {
				return
			}
		}
	}
}

// RowsAt implements store.KeyReader.
func (s tied) RowsAt(ctx context.Context, q store.Query, keys []store.Row) iter.Seq2[[]store.Row, error] {
	return func(yield func([]store.Row, error) bool) {
		for _, key := range keys {
			q.From = key
			for batch := range s.Rows(ctx, q) {
				c, _ := q.Table.Column(q.Key[0])
				n := 0
				for n < len(batch) && store.CompareKeys([]store.Column{c}, batch[n], key) == 0 {
					n++
				}
				if n > 0 && !yield(batch[:n], nil) {
					return
				}
				if n < len(batch) {
					break
				}
			}
		}
	}
}

// told is all that a comparison tells.
type told struct {
	found diff.Findings
	err   string
	seen  []string // by Table.Differs
	again []diff.Findings
}

func (r told) String() string {
	b, err := json.MarshalIndent(r.found, "", " ")
	if err != nil {
		panic(err)
	}
	again, err := json.MarshalIndent(r.again, "", " ")
	if err != nil {
		panic(err)
	}
	return fmt.Sprintf("%s\n%s\n%s\n%s", r.err, b, strings.Join(r.seen, "\n"), again)
}

// ties is a table of which both sides have the keys several times.
type ties struct {
	*sides
	source, mirror []store.Row
	options        diff.Options
	onDiffers      func(source, mirror store.Row)
}

// newTies makes a table whose first column is the key, or none. Neither side
// declares it.
func newTies(t testing.TB, columns []string, keyless bool, source, mirrored []store.Row) ties {
	t.Helper()
	s := newSides(t, columns, nil, source, mirrored)
	if !keyless {
		s.table.Key, s.table.Keyless, s.table.Ranged = 1, false, true
	}
	return ties{sides: s, source: source, mirror: mirrored, options: diff.Options{MaxKeys: 10_000, MaxSamples: 100}}
}

// compare compares the rows in the order that each side has them in.
func (s ties) compare(t testing.TB, strategy diff.Strategy) told {
	t.Helper()
	o := s.options
	o.Source, o.Mirror = tied{s.sides.source, s.source}, tied{s.sides.mirror, s.mirror}
	o.Strategy, o.Clock, o.Slots, o.DigestRows = strategy, wall{}, make(chan struct{}, 1), 3
	table := s.table
	var out told
	var mu sync.Mutex
	table.Differs = func(kind diff.Kind, source, mirror store.Row, rows int64) {
		mu.Lock()
		defer mu.Unlock()
		if s.onDiffers != nil {
			s.onDiffers(source, mirror)
		}
		out.seen = append(out.seen, fmt.Sprintf("%s %s %s %d", kind, spell(source), spell(mirror), rows))
	}
	run := diff.New(o).Table(table)
	found, err := run.Compare(t.Context())
	if out.found = found; err != nil {
		out.err = err.Error()
	}
	out.found.Sampled, out.found.Bytes = 0, 0
	if table.Keyless || err != nil {
		return out
	}
	var last store.Row
	var keys []store.Row
	for _, d := range found.Keys {
		key, err := run.KeyOf(d.Key)
		require.NoError(t, err)
		if last == nil || run.Order(last, key) != 0 {
			keys, last = append(keys, key), key
		}
	}
	seen := slices.Clone(out.seen)
	for _, key := range keys {
		again, err := run.CompareKey(t.Context(), key)
		require.NoError(t, err)
		again.Sampled, again.Bytes = 0, 0 // of the first rows, whichever they are
		out.again = append(out.again, again)
		for _, d := range again.Keys {
			require.True(t, slices.ContainsFunc(found.Keys, func(f diff.Difference) bool { return f.Kind == d.Kind && f.Sum == d.Sum }) || len(found.Keys) == o.MaxKeys,
				"a key that is read again tells the same: %v, %v", d, found.Keys)
		}
	}
	since, err := diff.New(o).Table(table).CompareSince(t.Context(), diff.Since{
		Listings: []func(context.Context, store.Row, int) ([]store.Row, error){func(context.Context, store.Row, int) ([]store.Row, error) { return keys, nil }},
	})
	require.NoError(t, err)
	since.Sampled = 0
	out.again, out.seen = append(out.again, since.Findings), seen
	return out
}

var strategies = []diff.Strategy{diff.Stream, diff.Digest, diff.Auto}

// permutations calls f with all orders of rows.
func permutations(rows []store.Row, f func(rows []store.Row)) {
	var permute func(n int)
	permute = func(n int) {
		if n == len(rows) {
			f(slices.Clone(rows))
			return
		}
		for i := n; i < len(rows); i++ {
			rows[n], rows[i] = rows[i], rows[n]
			permute(n + 1)
			rows[n], rows[i] = rows[i], rows[n]
		}
	}
	permute(0)
}

// An engine delivers the rows of one key in any order, and another one for another
// statement. What is found is the same.
func TestOrderWithinAKey(t *testing.T) {
	dec := func(s string) []byte { return []byte(s) }
	east := time.FixedZone("", 3600)
	noon := time.Date(2026, 2, 3, 12, 0, 0, 0, time.UTC)
	minus := math.Copysign(0, -1)
	for _, c := range []struct {
		name           string
		columns        []string
		keyless        bool
		anyValue       bool
		mirrored       string // the type of the mirror's last column
		source, mirror []store.Row
	}{
		{name: "a changed row and duplicates", columns: []string{"id int", "a int", "b int"},
			source: []store.Row{{int64(1), int64(1), int64(1)}},
			mirror: []store.Row{{int64(1), int64(1), int64(2)}, {int64(1), int64(2), int64(1)}, {int64(1), int64(3), int64(3)}}},
		{name: "several on either side", columns: []string{"id int", "a int", "b int"},
			source: []store.Row{{int64(1), int64(1), int64(1)}, {int64(1), int64(2), nil}, {int64(1), int64(9), int64(9)}},
			mirror: []store.Row{{int64(1), int64(1), int64(2)}, {int64(1), int64(2), int64(1)}, {int64(1), int64(9), int64(9)}, {int64(1), int64(2), int64(1)}}},
		{name: "more at the source", columns: []string{"id int", "a int", "b nvarchar(9)"},
			source: []store.Row{{int64(1), int64(1), "a"}, {int64(1), int64(2), "b"}, {int64(1), int64(2), "b"}, {int64(2), int64(5), "c"}},
			mirror: []store.Row{{int64(1), int64(1), "A"}, {int64(2), int64(5), "c"}}},
		{name: "the source alone", columns: []string{"id int", "a int"},
			source: []store.Row{{int64(1), int64(1)}, {int64(1), int64(2)}, {int64(1), int64(1)}, {int64(1), nil}},
			mirror: []store.Row{{int64(2), int64(1)}}},
		{name: "the mirror alone", columns: []string{"id int", "a int"},
			source: []store.Row{{int64(2), int64(1)}},
			mirror: []store.Row{{int64(1), int64(1)}, {int64(1), int64(2)}, {int64(1), int64(1)}, {int64(1), nil}}},
		{name: "one number in several spellings", columns: []string{"id int", "n decimal(9,3)"},
			source: []store.Row{{int64(1), dec("1.5")}, {int64(1), dec("1.50")}, {int64(1), dec("2.0")}},
			mirror: []store.Row{{int64(1), dec("1.500")}, {int64(1), dec("3.0")}, {int64(1), dec("3")}, {int64(1), dec("03")}}},
		{name: "duplicates in several spellings", columns: []string{"id int", "n decimal(9,3)"},
			source: []store.Row{{int64(1), dec("1.5")}},
			mirror: []store.Row{{int64(1), dec("1.500")}, {int64(1), dec("1.50")}, {int64(1), dec("1.50")}, {int64(1), dec("+1.5")}}},
		{name: "one side alone in several spellings", columns: []string{"id int", "n decimal(9,3)"},
			source: []store.Row{{int64(1), dec("1.5")}, {int64(1), dec("1.50")}, {int64(1), dec("1.500")}},
			mirror: []store.Row{{int64(2), dec("1.5")}, {int64(2), dec("1.50")}, {int64(2), dec("1.500")}}},
		{name: "the key in several spellings", columns: []string{"n decimal(9,3)", "a int"},
			source: []store.Row{{dec("1.5"), int64(1)}, {dec("1.50"), int64(1)}, {dec("1.50"), int64(2)}},
			mirror: []store.Row{{dec("1.500"), int64(3)}, {dec("1.50"), int64(3)}, {dec("01.5"), int64(4)}}},
		{name: "zeros of either sign", columns: []string{"id int", "f float"},
			source: []store.Row{{int64(1), 0.0}, {int64(1), 2.0}, {int64(1), 0.0}},
			mirror: []store.Row{{int64(1), minus}, {int64(1), -1.0}, {int64(1), minus}, {int64(1), 0.0}}},
		{name: "moments with an offset", columns: []string{"id int", "at datetimeoffset(3)"},
			source: []store.Row{{int64(1), noon}, {int64(1), noon.In(east)}},
			mirror: []store.Row{{int64(1), noon.In(time.FixedZone("", -3600))}, {int64(1), noon.In(time.FixedZone("", 7200))}, {int64(1), noon.Add(1)}}},
		{name: "times of two types", columns: []string{"id int", "at datetime2(7)"}, mirrored: "datetime",
			source: []store.Row{{int64(1), noon.Add(300)}, {int64(1), noon}, {int64(1), noon.Add(time.Second)}},
			mirror: []store.Row{{int64(1), noon}, {int64(1), noon.Add(time.Hour)}, {int64(1), noon.Add(2 * time.Hour)}}},
		{name: "values of any type", columns: []string{"id int", "v any"}, anyValue: true,
			source: []store.Row{{int64(1), int64(1)}, {int64(1), 1.0}, {int64(1), "1"}},
			mirror: []store.Row{{int64(1), []byte("1")}, {int64(1), 0.0}, {int64(1), minus}, {int64(1), int64(0)}}},
		{name: "whole numbers of two types", columns: []string{"id int", "v int"}, anyValue: true,
			source: []store.Row{{int64(1), 5.0}, {int64(1), int64(5)}, {int64(1), true}},
			mirror: []store.Row{{int64(1), int64(5)}, {int64(1), 5.0}, {int64(1), int64(1)}, {int64(1), 5.0}}},
		{name: "no key", columns: []string{"n decimal(9,3)", "f float"}, keyless: true,
			source: []store.Row{{dec("1.5"), 0.0}, {dec("1.50"), minus}, {dec("1.5"), minus}},
			mirror: []store.Row{{dec("1.5"), 0.0}, {dec("1.500"), 0.0}, {dec("01.5"), minus}, {dec("1.5"), 0.0}}},
		{name: "no key, one side alone", columns: []string{"n decimal(9,3)", "f float"}, keyless: true,
			source: []store.Row{{dec("1.5"), 0.0}, {dec("1.50"), minus}, {dec("1.5"), minus}},
			mirror: []store.Row{{dec("2"), 0.0}, {dec("2.0"), 0.0}, {dec("2"), minus}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, o := range []diff.Options{{MaxKeys: 10_000, MaxSamples: 100}, {MaxKeys: 1, MaxSamples: 1}} {
				s := newTies(t, c.columns, c.keyless, valid(c.source, c.anyValue, 0), valid(c.mirror, c.anyValue, 100))
				s.table.AnyValue, s.options = c.anyValue, o
				if c.mirrored != "" {
					s.table.Mirror.Columns = slices.Clone(s.table.Mirror.Columns)
					s.table.Mirror.Columns[len(c.columns)-1].Type = store.MustType(c.mirrored)
				}
				has := func(side []store.Row, row store.Row) bool {
					return row == nil || slices.ContainsFunc(side, func(r store.Row) bool { return spell(r) == spell(row) })
				}
				s.onDiffers = func(source, mirror store.Row) {
					if !has(c.source, source) || !has(c.mirror, mirror) {
						t.Errorf("a side does not have the row so: %v, %v", source, mirror)
					}
				}
				var want told
				permutations(c.source, func(source []store.Row) {
					permutations(c.mirror, func(mirrored []store.Row) {
						s.source, s.mirror = source, mirrored
						for _, strategy := range strategies {
							got := s.compare(t, strategy)
							if want.seen == nil {
								require.NotEmpty(t, got.seen)
								want = got
							}
							require.Equal(t, want.String(), got.String(), "%s\n%v\n%v", strategy, source, mirrored)
						}
					})
				})
			}
		})
	}
}

// valid are rows that a store takes in place of those, as many of each key: their
// values do not count but for digests.
func valid(rows []store.Row, anyValue bool, first int) []store.Row {
	if !anyValue {
		return rows
	}
	var out []store.Row
	for i, r := range rows {
		out = append(out, store.Row{r[0], int64(first + i)})
	}
	return out
}

// More rows than there is room for are the least of them, and a rest.
func TestOrderBeyondTheBounds(t *testing.T) {
	long := func(n int) string { return fmt.Sprint(n) + strings.Repeat("x", 1<<20) }
	rows := func(n int, of func(i int) store.Row) (out []store.Row) {
		for i := range n {
			out = append(out, of(i))
		}
		return out
	}
	number := func(first int) func(int) store.Row {
		return func(i int) store.Row {
			return store.Row{int64(7), fmt.Sprint((first + i) / 2), []byte(fmt.Sprint(i%3, ".0"))}
		}
	}
	texts := func(first int) func(int) store.Row {
		return func(i int) store.Row { return store.Row{int64(7), long(first + i), []byte("1")} }
	}
	columns := []string{"id int", "s nvarchar(max)", "n decimal(9,3)"}
	for _, c := range []struct {
		name           string
		source, mirror []store.Row
		err            string
	}{
		{name: "the mirror has more", source: rows(2, number(0)), mirror: rows(1500, number(3))},
		{name: "the mirror alone", mirror: rows(1500, number(0))},
		{name: "the source alone", source: rows(1500, number(0))},
		{name: "no room for the mirror's", source: rows(1000, number(0)), mirror: rows(700, number(1001))},
		{name: "long rows of the mirror", source: rows(1, texts(0)), mirror: rows(14, texts(1))},
		{name: "long rows of the source", source: rows(8, texts(0)), mirror: rows(3, texts(6))},
		{name: "too many at the source", source: rows(1001, number(0)), mirror: rows(1, number(0)), err: "too many different rows of the source"},
		{name: "one that is longer at the source", mirror: rows(1, number(0)),
			source: append([]store.Row{{int64(7), strings.Repeat("x", 2<<20), nil}}, rows(7, texts(0))...)},
		{name: "too long at the source", source: rows(9, texts(0)), mirror: rows(1, number(0)), err: "too many different rows of the source"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			s := newTies(t, columns, false, c.source, c.mirror)
			var want told
			for range 3 {
				got := s.compare(t, diff.Stream)
				if want.seen == nil {
					want = got
				}
				require.Contains(t, got.err, c.err)
				require.Equal(t, c.err == "", got.err == "", got.err)
				require.Equal(t, want.found, got.found)
				require.Equal(t, want.seen, got.seen)
				require.Equal(t, want.again, got.again)
				for _, side := range [][]store.Row{s.source, s.mirror} {
					r.Shuffle(len(side), func(i, j int) { side[i], side[j] = side[j], side[i] })
				}
			}
		})
	}
}

// Random tables whose keys repeat, in random orders of the rows of each key, by any
// strategy, in ranges or not, broken off in one order and continued in another.
func FuzzOrderWithinAKey(f *testing.F) {
	for seed := range uint64(50) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 4))
		values := []any{nil, "a", "A", "a "}
		numbers := []string{"1.5", "1.50", "01.5", "2", "2.0", "-0", "0.0"}
		row := func(id int) store.Row {
			return store.Row{int64(id), values[r.IntN(len(values))], []byte(numbers[r.IntN(len(numbers))]), [...]float64{0, math.Copysign(0, -1), 1}[r.IntN(3)]}
		}
		var source, mirrored []store.Row
		for id := range 1 + r.IntN(30) {
			var own []store.Row
			for range r.IntN(4) {
				own = append(own, row(id))
			}
			source = append(source, own...)
			for _, row := range own {
				if r.IntN(3) > 0 {
					mirrored = append(mirrored, row)
				}
			}
			for range r.IntN(3) {
				mirrored = append(mirrored, row(id))
			}
		}
		columns := []string{"id int", "s nvarchar(9)", "n decimal(9,3)", "f float"}
		s := newTies(t, columns, r.IntN(4) == 0, source, mirrored)
		s.options.MaxSamples, s.options.MaxKeys = r.IntN(20), []int{3, 10_000}[r.IntN(2)]
		var want told
		for range 4 {
			for _, strategy := range strategies {
				s.options.Steps, s.options.SplitRows = diff.Steps{}, 0
				if r.IntN(2) == 0 && s.options.MaxKeys > 3 { // ranges share the places for keys
					s.options.SplitRows = int64(1 + r.IntN(20))
				}
				if r.IntN(2) == 0 {
					s.options.Steps = diff.Steps{Open: 1 + r.IntN(5), CheckEvery: 1, NoteEvery: time.Nanosecond}
				}
				got := s.compare(t, strategy)
				slices.Sort(got.seen) // ranges are compared at the same time
				if want.seen == nil {
					want = got
				}
				require.Equal(t, want.String(), got.String(), "seed %d, %s", seed, strategy)
				if !s.table.Keyless {
					require.Equal(t, want.found, s.resumed(t, r, strategy), "seed %d, %s, resumed", seed, strategy)
				}
				for _, side := range [][]store.Row{s.source, s.mirror} {
					r.Shuffle(len(side), func(i, j int) { side[i], side[j] = side[j], side[i] })
				}
			}
		}
	})
}

// resumed compares in one order until it has noted something, and goes on in another.
func (s ties) resumed(t testing.TB, r *rand.Rand, strategy diff.Strategy) diff.Findings {
	t.Helper()
	options := func() diff.Options {
		o := s.options
		o.Source, o.Mirror = tied{s.sides.source, shuffled(r, s.source)}, tied{s.sides.mirror, shuffled(r, s.mirror)}
		o.Strategy, o.Clock, o.DigestRows, o.SplitRows = strategy, wall{}, 3, 0
		o.Slots = make(chan struct{})
		o.Steps = diff.Steps{CheckEvery: 1, NoteEvery: time.Nanosecond}
		return o
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o := options()
	var first *diff.Run
	var noted []diff.Range
	saves, stopAt := 0, 1+r.IntN(10)
	o.Save = func() {
		if saves++; saves == stopAt {
			noted = first.Ranges()
			cancel()
		}
	}
	first = diff.New(o).Table(s.table)
	_, _ = first.Compare(ctx) // which may have come to the end before
	second := diff.New(options()).Table(s.table)
	if noted != nil {
		require.True(t, second.Resume(noted))
	}
	found, err := second.Compare(t.Context())
	require.NoError(t, err)
	found.Sampled, found.Bytes = 0, 0
	return found
}

func shuffled(r *rand.Rand, rows []store.Row) []store.Row {
	rows = slices.Clone(rows)
	r.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
	return rows
}
