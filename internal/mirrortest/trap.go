package mirrortest

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store"
)

// trap is a case of Compare that something simpler than Compare gets wrong.
type trap struct {
	name, reason string
	loose        bool

	// catalogue changes columns as Tables returns them, for what Create
	// cannot create. Default: nothing.
	catalogue func(c *store.Column)

	pairs []pair
}

// pair is a table of both sides and what the report must say about it. Each
// pair is a table of its own, so that one difference cannot hide another.
type pair struct {
	source, mirror table
	want           []diff // the rows that differ, in any order

	// What follows is checked only when source is the source. The other way
	// round is checked when there is nothing of it.
	schema      []mirror.SchemaDifference
	notCompared []mirror.Omission
	oneWay      bool
}

// diff is some rows that differ.
type diff struct {
	kind    mirror.DiffKind
	key     store.Row
	columns []string // that changed
	rows    int64    // default: 1
}

func missing(key ...driver.Value) diff { return diff{kind: mirror.DiffMissing, key: key} }
func extra(key ...driver.Value) diff   { return diff{kind: mirror.DiffExtra, key: key} }

func changed(key driver.Value, columns ...string) diff {
	return diff{kind: mirror.DiffChanged, key: store.Row{key}, columns: columns}
}

func (d diff) times(n int64) diff {
	d.rows = n
	return d
}

// reversed is what missing, extra and changed rows are the other way round.
func (d diff) reversed() diff {
	switch d.kind {
	case mirror.DiffMissing:
		d.kind = mirror.DiffExtra
	case mirror.DiffExtra:
		d.kind = mirror.DiffMissing
	}
	return d
}

// texts are what is compared, one for each row. Key holds literals or the
// values of a report.
func (d diff) texts(t *env, columns []store.Column) []string {
	t.Helper()
	return slices.Repeat([]string{d.text(t, columns)}, int(max(1, d.rows)))
}

func (d diff) text(t *env, columns []store.Column) string {
	t.Helper()
	require.Len(t, d.key, len(columns))
	values := make([]string, len(columns))
	for i, c := range columns {
		v, err := store.Normalize(c.Type, d.key[i])
		require.NoError(t, err)
		switch v := v.(type) {
		case []byte:
			values[i] = fmt.Sprintf("%q", v)
		case time.Time:
			values[i] = v.UTC().Format(time.RFC3339Nano) // a key is found without its offset,
		case float64:
			values[i] = fmt.Sprint(v + 0) // and without the sign of zero
		default:
			values[i] = fmt.Sprintf("%#v", v)
		}
	}
	text := fmt.Sprintf("%s %s", d.kind, strings.Join(values, ", "))
	if len(d.columns) > 0 { // which are in the order of the source, whichever that is
		text += ": " + strings.Join(slices.Sorted(slices.Values(d.columns)), ", ")
	}
	return text
}

var strategies = []mirror.Strategy{mirror.StrategyStream, mirror.StrategyDigest, mirror.StrategyJoin, mirror.StrategyAuto}

// strategiesOf leaves out those that need one engine for both sides, where there is none.
func strategiesOf(t *env, source, target store.Store) []mirror.Strategy {
	t.Helper()
	if !joinable(t, source, target) {
		return strategies[:2]
	}
	return strategies
}

// joinable reports whether one engine reads both sides.
func joinable(t testing.TB, source, target store.Source) bool {
	t.Helper()
	join, err := store.JoinOf(t.Context(), source, target)
	if errors.Is(err, errors.ErrUnsupported) {
		return false
	}
	require.NoError(t, err)
	require.NoError(t, join.Close())
	return true
}

func trapScenarios() []scenario {
	return append(scenariosOf(traps()), changingScenarios()...)
}

func scenariosOf(traps []trap) []scenario {
	var list []scenario
	for _, tr := range traps {
		list = append(list, scenario{name: tr.name, run: func(t *env) {
			t.Log("a trap, because " + tr.reason)
			for i := range tr.pairs {
				name := fmt.Sprintf("t%02d", i+1)
				tr.pairs[i].source.name, tr.pairs[i].mirror.name = name, name
				t.load(t.store, tr.pairs[i].mirror)
			}
			src := t.openSource(t)
			for _, p := range tr.pairs {
				t.load(src, p.source)
			}
			for _, strategy := range strategiesOf(t, src, t.store) {
				tr.check(t, strategy, src, t.store, false)
				tr.check(t, strategy, t.store, src, true)
			}
		}})
	}
	return list
}

// check compares every pair, one way or the other.
func (tr trap) check(t *env, strategy mirror.Strategy, source, target store.Store, back bool) {
	t.Helper()
	if tr.catalogue != nil {
		source, target = retold{through{source}, tr.catalogue}, retold{through{target}, tr.catalogue}
	}
	m, err := mirror.New(ContextID, target, nil)
	require.NoError(t, err)
	r, err := m.Compare(t.Context(), source, &mirror.CompareOptions{
		Strategy: strategy, LooseTypes: tr.loose, MaxSamples: 1000, Tuning: mirror.Tuning{Concurrency: 1},
	})
	require.NoError(t, err)
	if strategy == mirror.StrategyJoin {
		t.joins.add(r)
		oneReport(t, m, source, mirror.CompareOptions{LooseTypes: tr.loose, Tuning: mirror.Tuning{DigestRows: 1}})
	}
	require.Len(t, r.Tables, len(tr.pairs))
	for i, p := range tr.pairs {
		got := r.Tables[i]
		src, mir := p.source, p.mirror
		if back {
			if p.oneWay {
				continue
			}
			src, mir = mir, src
		}
		what := fmt.Sprintf("%s, strategy %s, the other way round: %t, of:\n%v\n%v\n%s", got.Table, strategy, back, src.rows, mir.rows, got.Reason)
		key := keyOf(src, got.Key)
		var want, found []string
		var counted counts
		for _, d := range p.want {
			if back {
				d = d.reversed()
			}
			want = append(want, d.texts(t, key)...)
			counted.add(d.kind, max(1, d.rows))
		}
		for _, s := range got.Samples {
			found = append(found, diffOf(s).texts(t, key)...)
		}
		verdict := mirror.VerdictIdentical
		if len(want) > 0 {
			verdict = mirror.VerdictDifferent
		}
		if !back {
			require.Equal(t, p.schema, got.Schema, what)
			require.Equal(t, p.notCompared, got.NotCompared, what)
			if len(p.schema) > 0 {
				verdict = mirror.VerdictSchemaDiffers
			}
		}
		require.Equal(t, verdict, got.Verdict, what)
		require.ElementsMatch(t, want, found, what)
		require.Equal(t, counted, countsOf(&got), what)
		requireSums(t, &got)
		require.EqualValues(t, len(src.rows), got.SourceRows, what)
		require.EqualValues(t, len(mir.rows), got.MirrorRows, what)
		require.Equal(t, len(src.key) == 0, got.Keyless, what)
	}
}

func (c *counts) add(kind mirror.DiffKind, rows int64) {
	switch kind {
	case mirror.DiffMissing:
		c.missing += rows
	case mirror.DiffExtra:
		c.extra += rows
	case mirror.DiffChanged:
		c.changed += rows
	case mirror.DiffDuplicate:
		c.duplicate += rows
	}
}

func keyOf(tb table, names []string) []store.Column {
	var cols []store.Column
	for _, name := range names {
		c, _ := store.Table{Columns: tb.columns}.Column(name)
		cols = append(cols, c)
	}
	return cols
}

func diffOf(s mirror.Difference) diff {
	d := diff{kind: s.Kind, rows: s.Rows}
	for _, c := range s.Key {
		d.key = append(d.key, c.Value)
	}
	for _, c := range s.Columns {
		d.columns = append(d.columns, store.FoldName(c.Column))
	}
	return d
}

// requireSums demands what the comment of mirror.TableReport says of counts.
func requireSums(t *env, tr *mirror.TableReport) {
	t.Helper()
	equal := tr.SourceRows - tr.Changed - tr.Missing
	require.GreaterOrEqual(t, equal, int64(0), "%+v", tr)
	require.Equal(t, tr.MirrorRows, equal+tr.Changed+tr.Extra+tr.Duplicate, "%+v", tr)
}

// through is a store with the capabilities of the one below.
type through struct{ store.Store }

func (s through) Identity(ctx context.Context) (store.Identity, error) {
	return identityOf(ctx, s.Store)
}

func (s through) PoolLimit() (pool any, connections int) {
	if p, ok := s.Store.(store.Pool); ok {
		return p.PoolLimit()
	}
	return s, 0
}

func (s through) DigestScheme() string {
	if d, ok := s.Store.(store.Digester); ok {
		return d.DigestScheme()
	}
	return ""
}

func (s through) DigestEvery(ctx context.Context, q store.Query, n int64) ([]store.Digest, error) {
	if d, ok := s.Store.(store.Digester); ok {
		return d.DigestEvery(ctx, q, n)
	}
	return nil, errors.ErrUnsupported
}

func (s through) DigestAt(ctx context.Context, q store.Query, cuts []store.Row) ([]store.Digest, error) {
	if d, ok := s.Store.(store.Digester); ok {
		return d.DigestAt(ctx, q, cuts)
	}
	return nil, errors.ErrUnsupported
}

func (s through) StoredForm() string {
	if d, ok := s.Store.(store.Decoder); ok {
		return d.StoredForm()
	}
	return ""
}

func (s through) Decoder(t store.Type) func(stored driver.Value) driver.Value {
	if d, ok := s.Store.(store.Decoder); ok {
		return d.Decoder(t)
	}
	return nil
}

func (s through) RowsAt(ctx context.Context, q store.Query, keys []store.Row) iter.Seq2[[]store.Row, error] {
	return store.RowsAt(ctx, s.Store, q, keys)
}

// retold is a store whose catalogue says something else about its columns.
type retold struct {
	through
	retell func(c *store.Column)
}

func (s retold) Tables(ctx context.Context) ([]store.Table, error) {
	tables, err := s.Store.Tables(ctx)
	for _, tb := range tables {
		for i := range tb.Columns {
			s.retell(&tb.Columns[i])
		}
	}
	return tables, err
}

// changing is a store that somebody else changes after each of the first few
// answers: after a batch, after digests, or after the engine named what may differ.
type changing struct {
	through
	change func(n int) error // nil: not now
	n      *int
}

// changesAtMost is how many changes there are during one comparison.
const changesAtMost = 3

func (s changing) answered() error {
	if *s.n == changesAtMost {
		return nil
	}
	*s.n++
	return s.change(*s.n - 1)
}

func (s changing) Rows(ctx context.Context, q store.Query) iter.Seq2[[]store.Row, error] {
	return s.read(s.through.Rows(ctx, q))
}

func (s changing) RowsAt(ctx context.Context, q store.Query, keys []store.Row) iter.Seq2[[]store.Row, error] {
	return s.read(s.through.RowsAt(ctx, q, keys))
}

func (s changing) read(rows iter.Seq2[[]store.Row, error]) iter.Seq2[[]store.Row, error] {
	return func(yield func([]store.Row, error) bool) {
		for batch, err := range rows {
			if !yield(batch, err) {
				return
			}
			if err := s.answered(); err != nil {
				yield(nil, err)
				return
			}
		}
	}
}

func (s changing) DigestEvery(ctx context.Context, q store.Query, n int64) ([]store.Digest, error) {
	digests, err := s.through.DigestEvery(ctx, q, n)
	if err != nil {
		return nil, err
	}
	return digests, s.answered()
}

func (s changing) DigestAt(ctx context.Context, q store.Query, cuts []store.Row) ([]store.Digest, error) {
	digests, err := s.through.DigestAt(ctx, q, cuts)
	if err != nil {
		return nil, err
	}
	return digests, s.answered()
}

func (s changing) Join(ctx context.Context, mirror store.Source) (store.Join, error) {
	join, err := s.through.Join(ctx, mirror)
	if err != nil {
		return nil, err
	}
	return changingJoin{join, s}, nil
}

// joining is a store beside one that changes when the two were joined.
type joining struct {
	through
	beside changing
}

func (s joining) Join(ctx context.Context, mirror store.Source) (store.Join, error) {
	join, err := s.through.Join(ctx, mirror)
	if err != nil {
		return nil, err
	}
	return changingJoin{join, s.beside}, nil
}

// changingJoin is a join of a store that changes.
type changingJoin struct {
	store.Join
	of changing
}

func (j changingJoin) Suspects(ctx context.Context, source, mirror store.Query, limit int) (store.Suspects, error) {
	found, err := j.Join.Suspects(ctx, source, mirror, limit)
	if err != nil {
		return found, err
	}
	return found, j.of.answered()
}

// changingScenarios: rows that never change never differ, and counts add up,
// whatever happens to the others meanwhile.
func changingScenarios() []scenario {
	const rows = 600 // several batches of any store
	loaded := func() table {
		tb := contact()
		for i := range rows {
			tb.rows = append(tb.rows, store.Row{i, fmt.Sprint("name ", i), nil})
		}
		return tb
	}
	// change deletes, updates, inserts and moves rows before and behind where
	// the reader is, and adds their keys to touched.
	change := func(t *env, s store.Store, n int, touched map[int64]mirror.DiffKind) error {
		def := contact()
		tb := store.Table{Name: def.name, Columns: def.columns, Key: def.key}
		id := func(n int) []store.Cell { return []store.Cell{{Column: "contact_id", Value: n}} }
		name := []store.Cell{{Column: "name", Value: "changed"}}
		for key, kind := range map[int]mirror.DiffKind{
			10 + n: mirror.DiffMissing, 590 - n: mirror.DiffMissing, 30 + n: mirror.DiffChanged, 300 + n: mirror.DiffChanged, 560 - n: mirror.DiffChanged,
			-1 - n: mirror.DiffExtra, 1000 + n: mirror.DiffExtra, 50 + n: mirror.DiffMissing, 2000 + n: mirror.DiffExtra, 540 - n: mirror.DiffMissing, -1000 - n: mirror.DiffExtra,
		} {
			touched[int64(key)] = kind
		}
		return s.Update(t.Context(), func(tx store.Tx) error {
			for _, key := range []int{10 + n, 590 - n} {
				if _, err := tx.Delete(t.Context(), tb, id(key)); err != nil {
					return err
				}
			}
			for _, key := range []int{30 + n, 300 + n, 560 - n} {
				if _, err := tx.Set(t.Context(), tb, id(key), name); err != nil {
					return err
				}
			}
			for _, move := range [][2]int{{50 + n, 2000 + n}, {540 - n, -1000 - n}} {
				if _, err := tx.Set(t.Context(), tb, id(move[0]), id(move[1])); err != nil {
					return err
				}
			}
			return tx.Insert(t.Context(), tb, []string{"contact_id", "name"}, []store.Row{{-1 - n, "new"}, {1000 + n, "new"}})
		})
	}
	options := func(s mirror.Strategy) *mirror.CompareOptions {
		return &mirror.CompareOptions{Strategy: s, MaxSamples: 1000, Tuning: mirror.Tuning{Concurrency: 1}}
	}
	var list []scenario
	for _, side := range []string{"source", "mirror"} {
		list = append(list, scenario{name: "the " + side + " changes while it is read", run: func(t *env) {
			t.Log("a trap, because a reader without a snapshot sees some of a change, and digests are taken before the rows")
			t.load(t.store, loaded())
			fixed, moving := t.source(loaded()), t.store
			touched := map[int64]mirror.DiffKind{} // what the moving store has: for the mirror, extra rows
			for run, strategy := range strategiesOf(t, fixed, moving) {
				if strategy == mirror.StrategyAuto {
					continue // it is one of the others
				}
				n := 0
				moved := changing{through: through{moving}, n: &n, change: func(n int) error {
					return change(t, moving, changesAtMost*run+n, touched)
				}}
				source, target := store.Store(joining{through{fixed}, moved}), store.Store(moved)
				if side == "source" {
					source, target = moved, fixed
				}
				m, err := mirror.New(ContextID, target, nil)
				require.NoError(t, err)
				r, err := m.Compare(t.Context(), source, options(strategy))
				require.NoError(t, err)
				require.Positive(t, n, "something changed")
				tr := r.Table("contact")
				require.Contains(t, []mirror.Verdict{mirror.VerdictIdentical, mirror.VerdictDifferent}, tr.Verdict, tr.Reason)
				requireSums(t, tr)
				var sampled counts
				for _, s := range tr.Samples {
					require.Contains(t, touched, s.Key[0].Value, "a row that never changed differs, %s, strategy %s", s.Kind, strategy)
					sampled.add(s.Kind, s.Rows)
				}
				require.Equal(t, countsOf(tr), sampled)

				m, err = mirror.New(ContextID, moving, nil)
				require.NoError(t, err)
				r, err = m.Compare(t.Context(), fixed, options(strategy))
				require.NoError(t, err)
				after := map[int64]mirror.DiffKind{}
				for _, s := range r.Table("contact").Samples {
					after[s.Key[0].Value.(int64)] = s.Kind
				}
				require.Equal(t, touched, after, "once it is quiet, every change is found")
			}
		}})
	}
	return list
}

// identical is a pair of a table with itself, its rows inserted the other way
// round.
func identical(tb table) pair {
	mir := tb
	mir.rows = slices.Clone(tb.rows)
	slices.Reverse(mir.rows)
	return pair{source: tb, mirror: mir}
}

// with returns the table with other rows.
func (tb table) with(rows ...store.Row) table {
	tb.rows = rows
	return tb
}
