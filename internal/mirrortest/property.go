package mirrortest

import (
	"database/sql/driver"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

// place writes a value down so that two values have one text when CompareKeys
// cannot tell them apart, and whole so that they have one when they are equal.
// Neither uses the code under test.
func place(typ store.Type, v driver.Value) string {
	switch x := v.(type) {
	case float64:
		if x == 0 {
			v = 0.0
		}
	case time.Time:
		return fmt.Sprint("time ", x.UnixNano())
	}
	return whole(typ, v)
}

func whole(typ store.Type, v driver.Value) string {
	switch x := v.(type) {
	case nil:
		return "NULL"
	case float64:
		return fmt.Sprintf("float %x", math.Float64bits(x))
	case time.Time:
		_, offset := x.Zone()
		return fmt.Sprint("time ", x.UnixNano(), " ", offset)
	case []byte:
		if typ.Kind() == store.KindDecimal {
			r, ok := new(big.Rat).SetString(string(x))
			if !ok {
				panic(fmt.Sprintf("%q is not a number", x))
			}
			return r.String()
		}
		return fmt.Sprintf("bytes %x", x)
	default:
		return fmt.Sprintf("%T %q", x, fmt.Sprint(x))
	}
}

// twoSides are a table of the source and what the mirror made of it.
type twoSides struct {
	source, mirror memory.Table
	types          []store.Type // of the columns of source
	at             []int        // where the mirror has the columns of source
	key            []int        // positions of the source's key in its columns
	respell        Respell      // nil: values are stored as the store writes them
}

// Respell stores values of a table in other spellings, some of them chosen by r.
type Respell func(t *testing.T, st store.Store, table store.Table, r *rand.Rand)

// Unfit reports whether an engine cannot hold a value of a type, in a key or
// elsewhere; for nil, whether it can hold none of the type.
type Unfit func(typ store.Type, key bool, v driver.Value) bool

// keyOf returns the text of a source row's key: all of the row without a key.
func (s twoSides) keyOf(row store.Row) string {
	if len(s.key) == 0 {
		return s.textOf(row)
	}
	var b strings.Builder
	for _, i := range s.key {
		fmt.Fprintf(&b, "%q ", place(s.types[i], row[i]))
	}
	return b.String()
}

func (s twoSides) textOf(row store.Row) string {
	var b strings.Builder
	for i, v := range row {
		fmt.Fprintf(&b, "%q ", whole(s.types[i], v))
	}
	return b.String()
}

type tally struct{ equal, missing, extra, changed, duplicate int64 }

func (t *tally) add(o tally) {
	t.equal += o.equal
	t.missing += o.missing
	t.extra += o.extra
	t.changed += o.changed
	t.duplicate += o.duplicate
}

// group are the rows of both sides that share a key.
type group struct {
	count        map[string]int64 // source less mirror, by row
	source, mirr int64
	rows         [2]store.Row
}

// tally counts what differs of a group.
func (g *group) tally(keyless bool) (n tally) {
	var left, right int64
	for _, n := range g.count {
		left += max(n, 0)
		right += max(-n, 0)
	}
	n.equal = g.source - left
	if g.source == 0 || g.mirr == 0 || keyless {
		n.missing, n.extra = left, right
		return n
	}
	n.changed = min(left, right)
	n.missing, n.duplicate = left-n.changed, right-n.changed
	return n
}

// groups holds everything in memory: rows by key, and how often each side has them.
func (s twoSides) groups() map[string]*group {
	groups := map[string]*group{}
	of := func(row store.Row) *group {
		k := s.keyOf(row)
		if groups[k] == nil {
			groups[k] = &group{count: map[string]int64{}}
		}
		return groups[k]
	}
	for _, row := range s.source.Rows {
		g := of(row)
		g.count[s.textOf(row)]++
		g.source++
		g.rows[0] = row
	}
	for _, moved := range s.mirror.Rows {
		row := make(store.Row, len(moved))
		for i := range row {
			row[i] = moved[s.at[i]]
		}
		g := of(row)
		g.count[s.textOf(row)]--
		g.mirr++
		g.rows[1] = row
	}
	return groups
}

// bruteForce counts what differs.
func (s twoSides) bruteForce() (total tally, columns map[string]int64) {
	columns = map[string]int64{}
	for _, g := range s.groups() {
		total.add(g.tally(len(s.key) == 0))
		if len(s.key) > 0 && g.source == 1 && g.mirr == 1 {
			for i, typ := range s.types {
				if whole(typ, g.rows[0][i]) != whole(typ, g.rows[1][i]) {
					columns[fmt.Sprintf("c%d", i)]++
				}
			}
		}
	}
	return total, columns
}

// repeats says whether a key repeats in the mirror; which of its rows is the
// changed one is then fixed, but not by brute force.
func (s twoSides) repeats() bool {
	seen := map[string]bool{}
	for _, moved := range s.mirror.Rows {
		row := make(store.Row, len(moved))
		for i := range row {
			row[i] = moved[s.at[i]]
		}
		if k := s.keyOf(row); seen[k] {
			return true
		} else {
			seen[k] = true
		}
	}
	return false
}

// Property compares random tables with random damage, by all strategies, in steps
// of any size and with any concurrency, and demands that the report equals what
// brute force finds in memory, and is one whether rows are streamed or joined in one
// engine, and in whatever order the rows of one key come. Tune, which may be nil, makes the
// steps of a comparison small.
func Property(t *testing.T, open Open, seeds int, tune func(m *mirror.Mirror, n int), limits ...Unfit) {
	PropertyRespelled(t, open, seeds, nil, tune, limits...)
}

// PropertyRespelled is Property for tables whose values are stored in several
// spellings.
func PropertyRespelled(t *testing.T, open Open, seeds int, respell Respell, tune func(m *mirror.Mirror, n int), limits ...Unfit) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent(), goleak.IgnoreTopFunction("database/sql.(*DB).connectionOpener"))
	var sum tally
	used := map[mirror.Strategy]int{}
	joins, joinable := 0, canJoin(t, open, open)
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 0))
			s := randomSides(r, limits)
			s.respell = respell
			opts := &mirror.CompareOptions{
				MaxSamples: []int{-1, 0, 1, 3, 1 << 20}[r.IntN(5)],
				Tuning:     mirror.Tuning{Concurrency: r.IntN(4), DigestRows: 1 + r.Int64N(40), SplitRows: max(0, r.Int64N(40)-10)},
				Strategy:   []mirror.Strategy{mirror.StrategyStream, mirror.StrategyDigest, mirror.StrategyAuto, mirror.StrategyJoin}[r.IntN(4)],
			}
			source, store := s.load(t, open, r)
			m, err := mirror.New(ContextID, store, nil)
			require.NoError(t, err)
			if tune != nil {
				tune(m, 1+r.IntN(20))
			}
			report, err := m.Compare(t.Context(), source, opts)
			require.NoError(t, err)
			want := s.check(t, report, opts)
			sum.add(want)
			used[report.Tables[0].Strategy]++

			again, err := m.Compare(t.Context(), source, opts)
			require.NoError(t, err)
			report.Tables[0].Elapsed, again.Tables[0].Elapsed = 0, 0
			again.Tables[0].RowBytes = report.Tables[0].RowBytes // of the first rows of a range, which Auto cuts by the clock
			if opts.Strategy == mirror.StrategyAuto {
				LeaveRanges(report, again)
			}
			require.Equal(t, report.Tables, again.Tables, "a report is the same however often the comparison runs")

			joined := oneReport(t, m, source, *opts)
			s.check(t, joined, opts)
			joins += Joined(joined)

			opts.Strategy = strategies[r.IntN(len(strategies))]
			shuffling := NewMirror(t, newShuffled(store, seed), nil)
			if tune != nil {
				tune(shuffling, 1+r.IntN(20))
			}
			inAnyOrder, err := shuffling.Compare(t.Context(), newShuffled(source, seed), opts)
			require.NoError(t, err)
			LeaveRanges(joined, inAnyOrder)
			require.Equal(t, ReportText(t, joined, false), ReportText(t, inAnyOrder, false), "the order of the rows of one key does not count: %s", s.about(inAnyOrder, opts))
		})
	}
	t.Logf("%d seeds: %+v, %v, %d joined", seeds, sum, used, joins)
	for _, n := range []int64{sum.equal, sum.missing, sum.extra, sum.changed, sum.duplicate} {
		require.Greater(t, n, int64(seeds/4), "the tables are damaged in every way")
	}
	require.Greater(t, used[mirror.StrategyDigest], seeds/10, "digests are used")
	if joinable {
		require.Greater(t, joins, seeds/8, "one engine reads both sides")
	}
}

// load creates both tables and takes over what the stores made of the values.
func (s *twoSides) load(t *testing.T, open Open, r *rand.Rand) (source, st store.Store) {
	t.Helper()
	side := func(table *memory.Table) store.Store {
		st := open(t)
		def, rows, ok := memory.New(*table).Table(table.Name)
		require.True(t, ok)
		var created store.Table
		require.NoError(t, st.Update(t.Context(), func(tx store.Tx) error {
			if err := tx.Create(t.Context(), def); err != nil {
				return err
			}
			tables, err := tx.Tables(t.Context())
			if err != nil {
				return err
			}
			created = tables[0]
			if len(rows) == 0 {
				return nil
			}
			return tx.Insert(t.Context(), created, created.ColumnNames(), rows)
		}))
		if s.respell != nil {
			s.respell(t, st, created, r)
		}
		table.Rows = nil
		for batch, err := range st.Rows(t.Context(), store.Query{Table: created}) {
			require.NoError(t, err)
			for _, row := range batch {
				table.Rows = append(table.Rows, row.Clone())
			}
		}
		require.Len(t, table.Rows, len(rows))
		return st
	}
	return side(&s.source), side(&s.mirror)
}

// about is what is compared, for people.
func (s twoSides) about(report *mirror.Report, opts *mirror.CompareOptions) string {
	return fmt.Sprintf("options %+v\nsource %v key %v\nmirror %v key %v\n%s",
		*opts, s.source.Columns, s.source.Key, s.mirror.Columns, s.mirror.Key, report)
}

// check holds a report against brute force.
func (s twoSides) check(t *testing.T, report *mirror.Report, opts *mirror.CompareOptions) tally {
	t.Helper()
	want, columns := s.bruteForce()
	about := func() string { return s.about(report, opts) }
	require.Len(t, report.Tables, 1)
	tr := report.Tables[0]
	got := tally{tr.SourceRows - tr.Changed - tr.Missing, tr.Missing, tr.Extra, tr.Changed, tr.Duplicate}
	if want != got {
		require.Equal(t, want, got, about())
	}
	require.EqualValues(t, len(s.source.Rows), tr.SourceRows)
	require.EqualValues(t, len(s.mirror.Rows), tr.MirrorRows)
	require.Equal(t, tr.SourceRows, want.equal+tr.Changed+tr.Missing)
	require.Equal(t, tr.MirrorRows, want.equal+tr.Changed+tr.Extra+tr.Duplicate)
	require.Equal(t, len(s.key) == 0, tr.Keyless)

	verdict := mirror.VerdictIdentical
	if want.missing+want.extra+want.changed+want.duplicate > 0 {
		verdict = mirror.VerdictDifferent
	}
	if len(s.source.Key) != len(s.mirror.Key) {
		verdict = mirror.VerdictSchemaDiffers
	}
	require.Equal(t, verdict, tr.Verdict)
	require.Equal(t, verdict == mirror.VerdictIdentical, report.Identical())

	if !s.repeats() {
		changed := map[string]int64{}
		for _, c := range tr.ChangedColumns {
			changed[c.Column] = c.Rows
		}
		require.Equal(t, columns, changed, "columns of changed rows\n%s", report)
	}
	if len(s.key) > 0 {
		var rows int64
		for _, d := range tr.Differences {
			rows += d.Rows
		}
		require.Equal(t, want.missing+want.extra+want.changed+want.duplicate, rows, "every key that differs is kept")
	}
	s.checkSamples(t, tr, opts.MaxSamples, about)
	s.checkStretches(t, tr, about)
	return want
}

// checkSamples checks that the sample is as large as it may be, in key order,
// and no more than what was counted.
func (s twoSides) checkSamples(t *testing.T, tr mirror.TableReport, limit int, about func() string) {
	t.Helper()
	switch {
	case limit < 0:
		limit = 0
	case limit == 0:
		limit = 10
	}
	texts := func(rows []store.Row, at func(int) int) (keys, values map[string]bool) {
		keys, values = map[string]bool{}, map[string]bool{}
		for _, row := range rows {
			key := ""
			for i, typ := range s.types {
				v := whole(typ, row[at(i)])
				values[fmt.Sprint("c", i, " ", v)] = true
				if len(s.key) == 0 {
					key += v + ", "
				}
			}
			for _, i := range s.key {
				key += whole(s.types[i], row[at(i)]) + ", "
			}
			keys[key] = true
		}
		return keys, values
	}
	sourceKeys, sourceValues := texts(s.source.Rows, func(i int) int { return i })
	mirrorKeys, mirrorValues := texts(s.mirror.Rows, func(i int) int { return s.at[i] })
	column := func(name string) int {
		var i int
		_, err := fmt.Sscanf(strings.ToLower(name), "c%d", &i)
		require.NoError(t, err, about())
		return i
	}

	var rows, full int64
	byKind := map[mirror.DiffKind]int64{}
	for _, sample := range tr.Samples {
		rows += sample.Rows
		byKind[sample.Kind] += sample.Rows
		require.Positive(t, sample.Rows, about())
		require.Len(t, sample.Key, len(tr.Key), about())
		require.Equal(t, sample.Kind == mirror.DiffChanged, len(sample.Columns) > 0, about())
		key := ""
		for _, c := range sample.Key {
			key += whole(s.types[column(c.Column)], c.Value) + ", "
		}
		keys := sourceKeys
		if sample.Kind == mirror.DiffExtra || sample.Kind == mirror.DiffDuplicate {
			keys = mirrorKeys
		}
		require.Contains(t, keys, key, about())
		for _, c := range sample.Columns {
			i := column(c.Column)
			require.Contains(t, sourceValues, fmt.Sprint("c", i, " ", whole(s.types[i], c.Source.Value)), about())
			require.Contains(t, mirrorValues, fmt.Sprint("c", i, " ", whole(s.types[i], c.Mirror.Value)), about())
		}
	}
	full = tr.Missing + tr.Extra + tr.Changed + tr.Duplicate
	require.LessOrEqual(t, len(tr.Samples), limit, about())
	if len(tr.Samples) < limit {
		require.Equal(t, full, rows, about())
		require.Equal(t, []int64{tr.Missing, tr.Extra, tr.Changed, tr.Duplicate},
			[]int64{byKind[mirror.DiffMissing], byKind[mirror.DiffExtra], byKind[mirror.DiffChanged], byKind[mirror.DiffDuplicate]}, about())
	}
	require.LessOrEqual(t, rows, full, about())

	var keyColumns []store.Column
	for _, name := range tr.Key {
		keyColumns = append(keyColumns, store.Column{Type: s.types[column(name)]})
	}
	keyOf := func(sample mirror.Difference) store.Row {
		var row store.Row
		for _, c := range sample.Key {
			row = append(row, c.Value)
		}
		return row
	}
	for i := 1; i < len(tr.Samples); i++ {
		require.LessOrEqual(t, store.CompareKeys(keyColumns, keyOf(tr.Samples[i-1]), keyOf(tr.Samples[i])), 0, about())
	}
}
