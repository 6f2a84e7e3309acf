package mirrortest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/journal"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

// fewestFaults are numbers below which the matrix of Faults has lost a part.
// They do not depend on the store: the calls are those of the operations.
var fewestFaults = map[string]int{
	"error before the effect":         180,
	"error after the effect":          150,
	"connection lost":                 260,
	"canceled":                        340,
	midwayKind:                        22,
	"run again":                       95,
	"outcome of the commit unknown":   96,
	"journal torn":                    160,
	"commit refused and journal torn": 80,
	"run again and journal torn":      80,
}

// Faults runs each operation that changes a mirror as often as it calls its
// store and its journal, and each time another call fails, in every way in which
// it can. Afterwards a new Mirror over the same database and the same journal
// must find all of the change or none, know from the journal which of the two it
// is, be able to take it back, and to do it again.
func Faults(t *testing.T, open Open) {
	kinds := map[string]int{}
	for _, op := range faultOps() {
		t.Run(op.name, func(t *testing.T) {
			store := open(t)
			s := newStand(t, store, op)
			for n, call := range s.calls {
				for _, mode := range faultModes() {
					want, possible := mode.expect(call)
					if !possible {
						continue
					}
					t.Run(fmt.Sprintf("%d %s, %s", n+1, call, mode), func(t *testing.T) {
						s.strike(t, store, n+1, call, mode, want)
						kinds[mode.kind]++
					})
				}
			}
		})
	}
	if !t.Failed() {
		requireFaults(t, kinds, fewestFaults)
	}
}

func requireFaults(t *testing.T, kinds, fewest map[string]int) {
	t.Helper()
	all := 0
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		t.Logf("%d faults: %s", kinds[kind], kind)
		all += kinds[kind]
	}
	t.Logf("%d faults", all)
	for kind, n := range fewest {
		require.GreaterOrEqual(t, kinds[kind], n, "faults: %s", kind)
	}
}

// faultOp is an operation that changes a mirror.
type faultOp struct {
	name   string
	lsns   []any    // of the metadata table. Default: faultLSNs
	named  []string // tables that it may change. Default: all metadata rows, no data
	lossy  bool     // it deletes rows, so it cannot be undone
	again  error    // what it says when all is done already, nil when it succeeds
	undoes bool     // it takes back what do did
	do     func(ctx context.Context, m *mirror.Mirror, plan *mirror.Plan) (*mirror.Receipt, error)
}

// faultLSNs: PERSON is a table of another case, appointment one that is absent.
// No operation but those on all tables names sale.
func faultLSNs() []any { return []any{"contact", 812, "PERSON", 900, "sale", 41, "appointment", 5} }

func faultOps() []faultOp {
	reset := func(tables []string, opts mirror.ResetOptions) func(context.Context, *mirror.Mirror, *mirror.Plan) (*mirror.Receipt, error) {
		return func(ctx context.Context, m *mirror.Mirror, _ *mirror.Plan) (*mirror.Receipt, error) {
			return m.ResetTables(ctx, tables, &opts)
		}
	}
	hardReset := func(opts mirror.HardResetOptions) func(context.Context, *mirror.Mirror, *mirror.Plan) (*mirror.Receipt, error) {
		opts.Confirm = ContextID
		return func(ctx context.Context, m *mirror.Mirror, _ *mirror.Plan) (*mirror.Receipt, error) {
			return m.HardReset(ctx, &opts)
		}
	}
	apply := func(lossy bool) func(context.Context, *mirror.Mirror, *mirror.Plan) (*mirror.Receipt, error) {
		return func(ctx context.Context, m *mirror.Mirror, plan *mirror.Plan) (*mirror.Receipt, error) {
			p := *plan
			p.Tables = slices.Clone(plan.Tables)
			for i := range p.Tables {
				switch step := &p.Tables[i]; {
				case lossy && step.Table == "contact":
					step.Step = mirror.StepTruncate
				case store.FoldName(step.Table) == "person":
					step.Step, step.Drop = mirror.StepHardReset, lossy
				}
			}
			return m.Apply(ctx, &p, &mirror.ApplyOptions{Confirm: ContextID, Unknown: true})
		}
	}
	some := []string{"contact", "Person"}
	tracked := []string{"contact", "person", "sale", "appointment"}
	planned := []string{"contact", "person", "appointment"}
	ops := []faultOp{
		{name: "reset", named: some, do: reset(some, mirror.ResetOptions{})},
		{name: "reset all", named: tracked, do: reset(nil, mirror.ResetOptions{All: true})},
		{name: "truncate", named: some, lossy: true, do: reset(some, mirror.ResetOptions{Truncate: true})},
		{name: "truncate all", named: tracked, lossy: true, do: reset(nil, mirror.ResetOptions{All: true, Truncate: true})},
		{name: "reset of what is reset already", named: some, lsns: []any{"contact", 812, "person", -1, "sale", 41},
			do: reset(some, mirror.ResetOptions{})},
		{name: "truncate of what is reset already", named: some, lsns: []any{"contact", 812, "person", -1, "sale", 41},
			lossy: true, do: reset(some, mirror.ResetOptions{Truncate: true})},
		{name: "hard reset", again: mirror.ErrNoMetadata, do: hardReset(mirror.HardResetOptions{})},
		{name: "hard reset of tables", named: some, do: hardReset(mirror.HardResetOptions{Tables: some})},
		{name: "hard reset of a table with several rows", named: some,
			lsns: []any{"contact", 812, "Contact", 813, "person", nil, "person", nil, "sale", 41},
			do:   hardReset(mirror.HardResetOptions{Tables: some})},
		{name: "hard reset with data", named: some, lossy: true, again: store.ErrTableNotFound,
			do: hardReset(mirror.HardResetOptions{Tables: some, DropData: true})},
		{name: "apply", named: planned, lossy: true, again: mirror.ErrMoved, do: apply(true)},
		{name: "apply without loss", named: planned, again: mirror.ErrMoved, do: apply(false)},
	}
	for _, op := range ops {
		if !op.lossy {
			op.name, op.undoes, op.again = "undo of "+op.name, true, mirror.ErrCannotUndo
			ops = append(ops, op)
		}
	}
	return ops
}

// tables are the mirror before the operation.
func (op faultOp) tables() []table {
	lsns := op.lsns
	if lsns == nil {
		lsns = faultLSNs()
	}
	md := metadata(lsns...)
	md.columns = append(md.columns, col("started", "datetime2(7)"), col("remark", "nvarchar(50)"), notNull("weight", "decimal(9,2)"))
	for i := range md.rows {
		remark := any("Å 'quoted' \x01")
		if i%2 == 1 {
			remark = nil
		}
		md.rows[i] = append(md.rows[i], day.Add(100), remark, "1.50")
	}
	return append(faultData(), md,
		table{name: "own_notes", columns: []store.Column{notNull("id", "int")}, rows: []store.Row{{1}, {2}}})
}

func faultData() []table {
	return []table{
		contact(store.Row{1, "A", day}, store.Row{2, "B", nil}, store.Row{3, nil, nil}),
		person(store.Row{1, "Ängström"}, store.Row{2, "O'Hara"}),
		{name: "sale", columns: []store.Column{col("what", "nvarchar(20)"), col("amount", "decimal(9,2)")},
			rows: []store.Row{{"chair", "9.50"}, {"chair", "9.50"}, {"desk", nil}}},
	}
}

// fill makes the tables all that there is in a store.
func fill(t testing.TB, st store.Store, tables []table) {
	t.Helper()
	ctx := t.Context()
	require.NoError(t, st.Update(ctx, func(tx store.Tx) error {
		old, err := tx.Tables(ctx)
		if err != nil {
			return err
		}
		for _, tb := range old {
			if err := tx.Drop(ctx, tb); err != nil {
				return err
			}
		}
		for _, tb := range tables {
			def := store.Table{Name: tb.name, Columns: tb.columns, Key: tb.key}
			if err := tx.Create(ctx, def); err != nil {
				return err
			}
			if err := tx.Insert(ctx, def, def.ColumnNames(), tb.rows); err != nil {
				return err
			}
		}
		return nil
	}))
}

// snapshot is a whole database as text: the definition and the rows of each
// table, and the metadata rows of each table by themselves.
type snapshot map[string][]string

func takeSnapshot(t testing.TB, st store.Store) snapshot {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	s := snapshot{}
	tables, err := st.Tables(ctx)
	require.NoError(t, err)
	for _, tb := range tables {
		key := store.FoldName(tb.Name)
		isMetadata := key == store.FoldName(mirror.MetadataTableName(ContextID))
		s[key] = []string{fmt.Sprintf("%+v", tb)}
		for batch, err := range st.Rows(ctx, store.Query{Table: tb}) {
			require.NoError(t, err)
			for _, row := range batch {
				if isMetadata {
					key = "metadata of " + store.FoldName(row[0].(string))
				}
				s[key] = append(s[key], fmt.Sprintf("%#v", []any{row}))
			}
		}
	}
	for _, lines := range s {
		slices.Sort(lines)
	}
	return s
}

// keptName is what the metadata table is called after a hard reset, folded.
const keptName = "before_hard_reset_cust10195"

// unnamed returns what the operation has no business with.
func (op faultOp) unnamed(s snapshot) snapshot {
	rest := maps.Clone(s)
	maps.DeleteFunc(rest, func(key string, _ []string) bool {
		owner, isMetadata := strings.CutPrefix(key, "metadata of ")
		if op.named == nil {
			return isMetadata || key == store.FoldName(mirror.MetadataTableName(ContextID)) || key == keptName
		}
		return slices.ContainsFunc(op.named, func(name string) bool { return store.FoldName(name) == owner })
	})
	return rest
}

// faultPlan compares the mirror with a source in which contact has another row,
// person another column, and appointment is there.
func faultPlan(t testing.TB, st store.Store) *mirror.Plan {
	t.Helper()
	source := memory.New()
	data := faultData()
	data[0].rows[0][1] = "a"
	data[1].columns = append(data[1].columns, col("firstname", "nvarchar(9)"))
	for i := range data[1].rows {
		data[1].rows[i] = append(data[1].rows[i], nil)
	}
	data = append(data, table{name: "appointment", columns: []store.Column{notNull("id", "int")}, rows: []store.Row{{1}}})
	fill(t, source, data)
	m, err := mirror.New(ContextID, st, nil)
	require.NoError(t, err)
	report, err := m.Compare(t.Context(), source, nil)
	require.NoError(t, err)
	report.Mirror.Identity, err = copied{st}.Identity(t.Context())
	require.NoError(t, err)
	return report.Plan()
}

// stand is what the runs of one operation share.
type stand struct {
	op            faultOp
	plan          *mirror.Plan
	receipt       *mirror.Receipt // of what an undo takes back
	journal       []byte          // before the operation
	before, after snapshot
	calls         []faultCall // of a clean run
	leaks         []goleak.Option
}

// newStand runs the operation without a fault.
func newStand(t *testing.T, store store.Store, op faultOp) *stand {
	t.Helper()
	s := &stand{op: op}
	fill(t, store, op.tables())
	world := takeSnapshot(t, store)
	s.plan = faultPlan(t, store)
	path := filepath.Join(journalDir(t), "journal")
	if op.undoes {
		withJournal(t, path, func(journal *journal.File) {
			var err error
			s.receipt, err = s.do(t, store, journal, &fault{})
			require.NoError(t, err)
		})
		var err error
		s.journal, err = os.ReadFile(path)
		require.NoError(t, err)
	}
	s.before = takeSnapshot(t, store)
	clean := &fault{}
	withJournal(t, path, func(journal *journal.File) {
		receipt, err := s.run(t, store, journal, clean)
		require.NoError(t, err)
		require.Equal(t, !op.undoes, receipt != nil)
	})
	s.calls, s.after = clean.calls, takeSnapshot(t, store)
	require.NotEqual(t, s.before, s.after)
	require.Equal(t, op.unnamed(s.before), op.unnamed(s.after))
	if op.undoes {
		require.Equal(t, world, s.after, "an undo brings all of it back")
	}
	pools := goleak.IgnoreTopFunction("database/sql.(*DB).connectionOpener")
	s.leaks = []goleak.Option{goleak.IgnoreCurrent(), pools}
	return s
}

// journalDir is a directory in memory where there is one, because a journal
// waits for the disk with each line.
func journalDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "mirror-faults-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

func withJournal(t *testing.T, path string, fn func(journal *journal.File)) {
	t.Helper()
	journal, err := journal.Open(path)
	require.NoError(t, err)
	fn(journal)
	require.NoError(t, journal.Close())
}

// prepare makes the state before the operation, and its journal.
func (s *stand) prepare(t *testing.T, store store.Store) (path string) {
	t.Helper()
	fill(t, store, s.op.tables())
	if s.op.undoes {
		_, err := s.do(t, store, nil, &fault{})
		require.NoError(t, err)
	}
	path = filepath.Join(journalDir(t), "journal")
	require.NoError(t, os.WriteFile(path, s.journal, 0o600))
	return path
}

// do does what the operation is or, when it is an undo, what it takes back.
func (s *stand) do(t *testing.T, store store.Store, journal *journal.File, f *fault) (receipt *mirror.Receipt, err error) {
	t.Helper()
	f.with(t, store, journal, func(ctx context.Context, m *mirror.Mirror) { receipt, err = s.op.do(ctx, m, s.plan) })
	return receipt, err
}

func (s *stand) run(t *testing.T, store store.Store, journal *journal.File, f *fault) (*mirror.Receipt, error) {
	t.Helper()
	if s.op.undoes {
		return nil, s.undo(t, store, journal, s.receipt, f)
	}
	return s.do(t, store, journal, f)
}

func (s *stand) undo(t *testing.T, store store.Store, journal *journal.File, receipt *mirror.Receipt, f *fault) (err error) {
	t.Helper()
	f.with(t, store, journal, func(ctx context.Context, m *mirror.Mirror) { err = m.Undo(ctx, receipt) })
	return err
}

// strike runs the operation with one fault.
func (s *stand) strike(t *testing.T, st store.Store, n int, call faultCall, mode faultMode, want faultOutcome) {
	t.Helper()
	path := s.prepare(t, st)
	f := &fault{at: n, mode: mode, path: path}
	withJournal(t, path, func(journal *journal.File) {
		receipt, err := s.run(t, st, journal, f)
		switch {
		case want.err == nil:
			require.NoError(t, err)
		case want.err == context.Canceled:
			require.True(t, err == context.Canceled, "it comes as it is: %v", err)
		default:
			require.ErrorIs(t, err, want.err)
			require.Equal(t, want.journal, errors.Is(err, mirror.ErrJournal), "%v", err)
		}
		if !s.op.undoes {
			require.Equal(t, want.done || errors.Is(err, store.ErrOutcomeUnknown), receipt != nil, "a receipt of what was done")
		}
	})
	require.True(t, f.struck && f.inJournal == nil && f.afterCommit == nil, "all faults were injected")
	require.Equal(t, call, f.calls[n-1])
	checkPool(t, st)
	goleak.VerifyNone(t, s.leaks...)
	s.verify(t, st, path, want.done)
}

// verify looks at what a run left behind that a fault has ended, as a program
// does that comes after it, and goes on where it stopped.
func (s *stand) verify(t *testing.T, store store.Store, path string, done bool) {
	t.Helper()
	want := s.before
	if done {
		want = s.after
	}
	got := takeSnapshot(t, store)
	require.Equal(t, s.op.unnamed(s.before), s.op.unnamed(got), "what was not named")
	require.Equal(t, want, got, "all of it or nothing: done is %t", done)
	withJournal(t, path, func(journal *journal.File) { s.goOn(t, store, journal, want, done) })
	checkPool(t, store)
}

// goOn finds out what happened, takes it back if it can, and does it again. It
// knows the truth about each operation in the journal.
func (s *stand) goOn(t *testing.T, store store.Store, journal *journal.File, now snapshot, done bool) {
	t.Helper()
	found := reconcile(t, store, journal)
	var truth []mirror.Outcome
	if s.op.undoes {
		truth = append(truth, mirror.OutcomeDone)
	}
	earlier := len(truth)
	for len(truth) < len(found) {
		truth = append(truth, mirror.OutcomeNotDone)
	}
	if done {
		require.Greater(t, len(found), earlier, "what was done is in the journal")
		truth[len(truth)-1] = mirror.OutcomeDone
	}
	requireOutcomes(t, truth, found)

	again := s.op.again
	switch {
	case !done:
		again = nil
	case s.op.undoes:
	case s.op.lossy:
		require.ErrorIs(t, s.undo(t, store, journal, found[len(found)-1].Receipt, &fault{}), mirror.ErrCannotUndo)
		require.Equal(t, now, takeSnapshot(t, store))
	default:
		require.NoError(t, s.undo(t, store, journal, found[len(found)-1].Receipt, &fault{}))
		require.Equal(t, s.before, takeSnapshot(t, store), "taken back from the journal")
		truth = append(truth, mirror.OutcomeDone)
		requireOutcomes(t, truth, reconcile(t, store, journal))
		again = nil
	}
	_, err := s.run(t, store, journal, &fault{})
	if again != nil {
		require.ErrorIs(t, err, again)
	} else {
		require.NoError(t, err)
		truth = append(truth, mirror.OutcomeDone)
	}
	require.Equal(t, s.after, takeSnapshot(t, store), "done again")
	requireOutcomes(t, truth, reconcile(t, store, journal))
}

func requireOutcomes(t *testing.T, want []mirror.Outcome, found []mirror.Reconciled) {
	t.Helper()
	var got, proofs []string
	for _, r := range found {
		got, proofs = append(got, string(r.Outcome)), append(proofs, r.Proof)
	}
	require.Equal(t, fmt.Sprint(want), fmt.Sprint(got), "known from the %s", proofs)
}

// reconcile asks a new Mirror what became of the operations of a journal.
func reconcile(t *testing.T, store store.Store, journal *journal.File) []mirror.Reconciled {
	t.Helper()
	entries, err := journal.Entries()
	require.NoError(t, err)
	m, err := mirror.New(ContextID, copied{store}, nil)
	require.NoError(t, err)
	found, err := m.Reconcile(t.Context(), entries)
	require.NoError(t, err)
	return found
}

// checkPool demands that no connection is in use, and none of a transaction open.
func checkPool(t *testing.T, st store.Store) {
	t.Helper()
	p, ok := st.(store.Pool)
	if !ok {
		return
	}
	pool, _ := p.PoolLimit()
	require.Zero(t, pool.(*sql.DB).Stats().InUse, "connections in use")
}
