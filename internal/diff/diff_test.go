package diff_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/so-mirror/mirror/internal/diff"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// wall is the system's clock.
type wall struct{}

func (wall) Now() time.Time { return time.Now() }

func (wall) Sleep(context.Context, time.Duration) error { return errors.ErrUnsupported }

// sides are one table in two stores.
type sides struct {
	source, mirror       *memory.Store
	sourceRows, mirrored []store.Row
	table                diff.Table
}

// newSides puts rows into two stores. Without a key the table is keyless. The
// mirror's table never has one, so that keys can repeat there.
func newSides(t testing.TB, columns, key []string, source, mirrored []store.Row) *sides {
	t.Helper()
	s := &sides{sourceRows: source, mirrored: mirrored}
	s.source = memory.New(memory.Table{Name: "t", Columns: columns, Key: key, Rows: source})
	s.mirror = memory.New(memory.Table{Name: "t", Columns: columns, Rows: mirrored})
	side := func(st *memory.Store) diff.Side {
		tables, err := st.Tables(t.Context())
		require.NoError(t, err)
		return diff.Side{Table: tables[0], Columns: tables[0].Columns}
	}
	s.table = diff.Table{Source: side(s.source), Mirror: side(s.mirror), Key: len(key), Ranged: true}
	if len(key) == 0 {
		s.table.Key, s.table.Keyless, s.table.Ranged = len(columns), true, false
	}
	return s
}

func (s *sides) engine(o diff.Options) *diff.Engine {
	o.Source, o.Mirror, o.Clock = s.source, s.mirror, wall{}
	if o.Slots == nil {
		o.Slots = make(chan struct{}, 1)
	}
	if o.DigestRows == 0 {
		o.DigestRows = 64
	}
	return diff.New(o)
}

// spell writes values down so that two rows are equal when their texts are.
func spell(row store.Row) string {
	var b strings.Builder
	for _, v := range row {
		fmt.Fprintf(&b, "%T %q|", v, fmt.Sprint(v))
	}
	return b.String()
}

// count is brute force: the rows of each key as multisets.
func (s *sides) count() (want diff.Findings) {
	want.SourceRows, want.MirrorRows = int64(len(s.sourceRows)), int64(len(s.mirrored))
	type rows struct{ source, mirror map[string]int64 }
	keys := map[string]rows{}
	add := func(all []store.Row, of func(rows) map[string]int64) {
		for _, row := range all {
			k := spell(row[:s.table.Key])
			if _, ok := keys[k]; !ok {
				keys[k] = rows{map[string]int64{}, map[string]int64{}}
			}
			of(keys[k])[spell(row)]++
		}
	}
	add(s.sourceRows, func(r rows) map[string]int64 { return r.source })
	add(s.mirrored, func(r rows) map[string]int64 { return r.mirror })
	for _, r := range keys {
		var left, right int64
		for row, n := range r.source {
			left += n - min(n, r.mirror[row])
		}
		for row, n := range r.mirror {
			right += n - min(n, r.source[row])
		}
		changed := min(left, right)
		if s.table.Keyless {
			changed = 0
		}
		want.Changed += changed
		want.Missing += left - changed
		if len(r.source) > 0 && !s.table.Keyless {
			want.Duplicate += right - changed
		} else {
			want.Extra += right - changed
		}
	}
	return want
}

// counts are what brute force counts.
func counts(f diff.Findings) diff.Findings {
	return diff.Findings{SourceRows: f.SourceRows, MirrorRows: f.MirrorRows, Missing: f.Missing, Extra: f.Extra, Changed: f.Changed, Duplicate: f.Duplicate}
}

// random makes a table and damages a copy of it.
func random(t testing.TB, r *rand.Rand) *sides {
	texts := []string{"", " ", "a", "A", "a ", "ä", "\u00e4\u0308", "𝛑", "z"}
	key := func(n int) store.Row { return store.Row{int64(n) - 20} }
	columns, names := []string{"id int", "name nvarchar(20) null", "n int null"}, []string{"id"}
	switch r.IntN(4) {
	case 0: // a composite key with texts
		columns[1] = "name nvarchar(20)"
		names = []string{"id", "name"}
		key = func(n int) store.Row { return store.Row{int64(n / len(texts)), texts[n%len(texts)]} }
	case 1:
		names = nil
		key = func(n int) store.Row { return store.Row{int64(n / 3)} }
	}
	complete := func(row store.Row) store.Row {
		for len(row) < 3 {
			if r.IntN(6) == 0 {
				row = append(row, nil)
			} else if len(row) == 1 {
				row = append(row, texts[r.IntN(len(texts))])
			} else {
				row = append(row, int64(r.IntN(3)))
			}
		}
		return row
	}
	var source, mirrored []store.Row
	rows, damage := r.IntN(400), r.IntN(30)
	for n := range rows {
		row := complete(key(n))
		source = append(source, row)
		switch hit := r.IntN(100) < damage; {
		case !hit:
			mirrored = append(mirrored, row)
		case r.IntN(4) == 0: // lost
		case r.IntN(3) == 0: // twice, or more, alike or not
			for range 1 + r.IntN(3) {
				mirrored = append(mirrored, complete(key(n)))
			}
			mirrored = append(mirrored, row)
		default:
			mirrored = append(mirrored, complete(key(n)))
		}
	}
	for range r.IntN(5) {
		mirrored = append(mirrored, complete(key(rows+r.IntN(9))))
	}
	return newSides(t, columns, names, source, mirrored)
}

// coin settles differences by their keys: every third stays open, the others
// are pending or diverged in turn.
type coin struct{ t testing.TB }

func (c coin) state(key []store.Cell) diff.State {
	n := 0
	for _, b := range []byte(store.FormatCells(key)) {
		n += int(b)
	}
	return []diff.State{diff.Unknown, diff.Pending, diff.Diverged}[n%3]
}

func (c coin) Settle(_ context.Context, found *diff.Findings, open []diff.Open) error {
	for _, d := range open {
		cells := make([]store.Cell, len(d.Key))
		for i, v := range d.Key {
			cells[i] = store.Cell{Column: []string{"id", "name"}[i], Value: v}
		}
		found.Settle(d, c.state(cells))
	}
	return nil
}

// Random tables, compared in every way, against brute force. Some comparisons are
// stopped and resumed from what they had noted, by way of JSON.
func TestProperty(t *testing.T) {
	seeds := 400
	if testing.Short() {
		seeds = 50
	}
	for seed := range uint64(seeds) {
		r := rand.New(rand.NewPCG(seed, 1))
		s := random(t, r)
		want := s.count()
		for _, strategy := range []diff.Strategy{diff.Stream, diff.Digest, diff.Auto} {
			o := diff.Options{
				Strategy: strategy, DigestRows: int64(1 + r.IntN(100)), MaxKeys: 10_000, MaxSamples: r.IntN(10),
				Slots: make(chan struct{}, 1+r.IntN(3)),
			}
			if r.IntN(2) == 0 {
				o.SplitRows = int64(1 + r.IntN(150))
			}
			if r.IntN(2) == 0 {
				n := 1 + r.IntN(20)
				o.Steps = diff.Steps{Open: n, CheckEvery: int64(n), NoteEvery: time.Nanosecond}
			}
			name := fmt.Sprintf("seed %d, %s, %+v", seed, strategy, o)
			table := s.table
			if !table.Keyless && r.IntN(2) == 0 {
				table.Settler = func() diff.Settler { return coin{t} }
			}

			// The first attempt is cancelled at a random place that it notes.
			ctx, cancel := context.WithCancel(t.Context())
			stopAt, saves := r.IntN(12), 0
			var first *diff.Run
			var noted []byte
			broken := o
			broken.Slots = make(chan struct{}) // one goroutine, so saves need no lock
			broken.Save = func() {
				if saves++; saves == stopAt {
					var err error
					noted, err = json.Marshal(first.Ranges())
					require.NoError(t, err)
					cancel()
				}
			}
			first = s.engine(broken).Table(table)
			_, err := first.Compare(ctx)
			cancel()
			if err != nil {
				require.ErrorIs(t, err, context.Canceled, name)
			}

			run := s.engine(o).Table(table)
			if noted != nil && table.Ranged {
				var ranges []diff.Range
				require.NoError(t, json.Unmarshal(noted, &ranges), name)
				require.True(t, run.Resume(ranges), name)
			}
			got, err := run.Compare(t.Context())
			require.NoError(t, err, name)
			require.Equal(t, want, counts(got), name)
			require.NoError(t, got.Check(), name)
			require.Empty(t, o.Slots, name)
			if table.Keyless {
				require.Empty(t, got.Keys, name)
				continue
			}
			checkKeys(t, name, s, got, table.Settler != nil)
			checkBins(t, name, s, got)
		}
	}
}

// checkKeys holds the keys to the counts, to their states, and to what reading
// them once more finds.
func checkKeys(t *testing.T, name string, s *sides, got diff.Findings, settled bool) {
	t.Helper()
	var sum diff.Findings
	for _, d := range got.Keys {
		switch d.Kind {
		case diff.Missing:
			sum.Missing += d.Rows
		case diff.Extra:
			sum.Extra += d.Rows
		case diff.Changed:
			sum.Changed += d.Rows
		case diff.Duplicate:
			sum.Duplicate += d.Rows
		}
		want := diff.Unknown
		if settled {
			want = coin{t}.state(d.Key)
		}
		require.Equal(t, want, d.State, name)
		switch want {
		case diff.Pending:
			sum.Pending += d.Rows
		case diff.Diverged:
			sum.Diverged += d.Rows
		}
	}
	require.Equal(t, sum, diff.Findings{
		Missing: got.Missing, Extra: got.Extra, Changed: got.Changed, Duplicate: got.Duplicate, Pending: got.Pending, Diverged: got.Diverged,
	}, name)
	run := s.engine(diff.Options{Strategy: diff.Stream}).Table(s.table)
	for _, d := range got.Keys[:min(len(got.Keys), 5)] {
		key, err := run.KeyOf(d.Key)
		require.NoError(t, err, name)
		again, err := run.CompareKey(t.Context(), key)
		require.NoError(t, err, name)
		require.True(t, slices.ContainsFunc(again.Keys, func(a diff.Difference) bool { return a.Kind == d.Kind && a.Sum == d.Sum }), name)
	}
}

// A settler that fails ends the comparison with its error, and what it had not
// settled is not taken over.
func TestSettlerFails(t *testing.T) {
	s := newSides(t, []string{"id int", "n int"}, []string{"id"}, []store.Row{{1, 1}, {2, 2}}, []store.Row{{1, 1}})
	broken := errors.New("no answer")
	s.table.Settler = func() diff.Settler { return failing{broken} }
	run := s.engine(diff.Options{Strategy: diff.Stream, MaxKeys: 10}).Table(s.table)
	found, err := run.Compare(t.Context())
	require.ErrorIs(t, err, broken)
	require.Zero(t, found.SourceRows)
	require.Nil(t, run.Ranges()[0].Next, "the next comparison begins at the first row")
}

type failing struct{ err error }

func (f failing) Settle(context.Context, *diff.Findings, []diff.Open) error { return f.err }

// A comparison does not stop between two rows of one key, which would be counted
// twice when it goes on.
func TestNoStopWithinAKey(t *testing.T) {
	twice := []store.Row{{1, 1}, {2, 1}, {2, 2}, {2, 2}, {2, 3}, {3, 1}}
	once := []store.Row{{1, 1}, {3, 1}}
	s := newSides(t, []string{"id int", "n int"}, []string{"id"}, once, twice)
	s.table.Settler = func() diff.Settler { return coin{t} }
	run := s.engine(diff.Options{Strategy: diff.Stream, MaxKeys: 10, Steps: diff.Steps{Open: 1}}).Table(s.table)
	found, err := run.Compare(t.Context())
	require.NoError(t, err)
	require.Equal(t, s.count(), counts(found))
	require.Len(t, found.Keys, 3, "equal rows are one difference")
}

// What does not fit a table, or does not cover it, is not resumed.
func TestResumeRefuses(t *testing.T) {
	s := newSides(t, []string{"id int", "n int"}, []string{"id"}, []store.Row{{1, 1}, {2, 2}}, []store.Row{{1, 1}, {2, 2}})
	key := func(n int64) []store.Cell { return []store.Cell{{Column: "id", Value: n}} }
	for name, tc := range map[string]struct {
		ranges []diff.Range
		ok     bool
	}{
		"the whole table":           {[]diff.Range{{}}, true},
		"two ranges":                {[]diff.Range{{Before: key(2)}, {Next: key(2)}}, true},
		"nothing":                   {nil, false},
		"the end is missing":        {[]diff.Range{{Before: key(2)}}, false},
		"a gap that is not ordered": {[]diff.Range{{Before: key(2)}, {Next: key(1)}}, false},
		"begins behind its end":     {[]diff.Range{{Next: key(2), Before: key(1)}, {Next: key(2)}}, false},
		"another column":            {[]diff.Range{{Next: []store.Cell{{Column: "n", Value: int64(1)}}}}, false},
		"a value of another type":   {[]diff.Range{{Next: []store.Cell{{Column: "id", Value: "x"}}}}, false},
		"more columns":              {[]diff.Range{{Found: diff.Findings{Columns: make([]int64, 3)}}}, false},
		"more keys than are kept":   {[]diff.Range{{Found: diff.Findings{Keys: make([]diff.Difference, 11)}}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			run := s.engine(diff.Options{Strategy: diff.Stream, MaxKeys: 10}).Table(s.table)
			require.Equal(t, tc.ok, run.Resume(tc.ranges))
		})
	}
}

// ErrEnough comes with at least so many differences, and pending ones do not
// count.
func TestEnough(t *testing.T) {
	var source []store.Row
	for n := range 1000 {
		source = append(source, store.Row{n, n})
	}
	s := newSides(t, []string{"id int", "n int"}, []string{"id"}, source, nil)
	s.table.MaxDifferences = 10
	o := diff.Options{Strategy: diff.Stream, MaxKeys: 2000, Steps: diff.Steps{Open: 5}}
	found, err := s.engine(o).Table(s.table).Compare(t.Context())
	require.ErrorIs(t, err, diff.ErrEnough)
	require.EqualValues(t, 10, found.Missing)
	s.table.Settler = func() diff.Settler { return allPending{} }
	found, err = s.engine(o).Table(s.table).Compare(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1000, found.Pending)
}

type allPending struct{}

func (allPending) Settle(_ context.Context, found *diff.Findings, open []diff.Open) error {
	for _, d := range open {
		found.Settle(d, diff.Pending)
	}
	return nil
}

// Findings that no comparison can have made are refused.
func TestFindingsCheck(t *testing.T) {
	for name, f := range map[string]diff.Findings{
		"negative":                 {Missing: -1},
		"more than a table has":    {SourceRows: diff.MaxCount + 1},
		"more missing than rows":   {SourceRows: 1, Missing: 2},
		"more extra than rows":     {MirrorRows: 1, Extra: 1, Duplicate: 1},
		"more pending than differ": {SourceRows: 5, Missing: 1, Pending: 2},
	} {
		t.Run(name, func(t *testing.T) { require.Error(t, f.Check()) })
	}
	require.NoError(t, (&diff.Findings{SourceRows: 2, MirrorRows: 2, Changed: 1, Missing: 1, Extra: 1, Pending: 2, Diverged: 1}).Check())
}
