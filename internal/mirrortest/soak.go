package mirrortest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/heal"
	"github.com/so-mirror/mirror/journal"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/cycle"
)

// soakVariable is how long Soak is to take, as time.ParseDuration reads it.
const soakVariable = "MIRROR_SOAK"

// SoakTime returns how long a test runs Soak: 3 seconds, or what the environment
// says.
func SoakTime(t testing.TB) time.Duration {
	t.Helper()
	text := os.Getenv(soakVariable)
	if text == "" {
		return 3 * time.Second
	}
	d, err := time.ParseDuration(text)
	require.NoError(t, err, soakVariable)
	return d
}

// Soak lets cycles, a customer that changes, resets of all kinds and comparisons
// run against one mirror at once, for about d. Every transaction of the mirror
// is taken down in the order of the commits, and what the library said is held
// against that afterwards.
func Soak(t *testing.T, open Open, d time.Duration) {
	// Registered first, so that it runs after the stores are closed.
	ignore := goleak.IgnoreCurrent()
	pools := goleak.IgnoreTopFunction("database/sql.(*DB).connectionOpener")
	t.Cleanup(func() { goleak.VerifyNone(t, ignore, pools) })

	store, database := open(t), open(t)
	s := &soak{
		T: t, until: time.Now().Add(d), log: &ledger{}, counts: map[string]int{},
		customer: cycle.NewCustomer(ContextID, database), journal: filepath.Join(t.TempDir(), "journal.jsonl"),
	}
	s.store = witnessed{through{store}, s.log}
	e := &env{T: t, openSource: open, store: store}
	e.load(s.customer, soakTables()...)
	s.start()
	requireIdle(t, store)
	requireIdle(t, database)
	s.judge(e)

	for _, name := range slices.Sorted(maps.Keys(s.counts)) {
		t.Logf("%6d %s", s.counts[name], name)
	}
	const shown = 10
	for _, p := range s.problems[:min(shown, len(s.problems))] {
		t.Log(p)
	}
	require.Zero(t, len(s.problems), "problems, of which the first ones are above")
}

// requireIdle demands that a pool has no connection in use.
func requireIdle(t *testing.T, st store.Store) {
	t.Helper()
	p, ok := st.(store.Pool)
	if !ok {
		return
	}
	pool, _ := p.PoolLimit()
	if db, ok := pool.(interface{ Stats() sql.DBStats }); ok {
		require.Zero(t, db.Stats().InUse, "connections in use")
	}
}

// soakTables are what the customer begins with.
func soakTables() []table {
	sale := table{name: "sale", columns: []store.Column{notNull("sale_id", "int"), notNull("line", "nvarchar(8)"), col("amount", "float")},
		key: []string{"sale_id", "line"}}
	log := table{name: "log", columns: []store.Column{col("what", "nvarchar(40)"), col("weight", "float")}}
	contacts, persons := contact(), person()
	for i := range soakContacts {
		contacts.rows = append(contacts.rows, store.Row{i, fmt.Sprint("Ærlig ", i), day})
	}
	for i := range soakPersons {
		persons.rows = append(persons.rows, store.Row{i, fmt.Sprint("Ångström ", i)})
	}
	for i := range 30 {
		sale.rows = append(sale.rows, store.Row{i / 3, fmt.Sprint("line ", i%3), float64(i)})
		log.rows = append(log.rows, store.Row{fmt.Sprint("call ", i/2), 0.5})
	}
	return []table{contacts, persons, sale, log}
}

const (
	soakContacts = 240
	soakPersons  = 90
)

var soakNames = []string{"contact", "person", "sale", "log"}

// soak is one run.
type soak struct {
	*testing.T
	until    time.Time
	store    store.Store // the mirror's, with witness
	customer *cycle.Customer
	log      *ledger
	journal  string

	mu       sync.Mutex
	counts   map[string]int
	problems []string
	claims   []claim
	done     map[string]int // the operations that succeeded, by the IDs of their receipts
	undone   int
}

// claim is something that was said about the mirror, between two moments. It is
// right when it was at one time between them.
type claim struct {
	from, to int
	what     string
	holds    func(w *world) bool
}

func (s *soak) count(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts[name]++
}

func (s *soak) problem(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.problems = append(s.problems, fmt.Sprintf(format, args...))
}

func (s *soak) claim(from int, what string, holds func(w *world) bool) {
	to := s.log.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.claims = append(s.claims, claim{from, to, what, holds})
}

func (s *soak) running() bool { return time.Now().Before(s.until) }

// start runs everything until it has ended.
func (s *soak) start() {
	s.done = map[string]int{}
	s.cycle(s.T.Context(), rand.New(rand.NewPCG(1, 0)), 0)
	actors := []func(r *rand.Rand, m *mirror.Mirror){s.resetter, s.hardResetter, s.planner, s.comparer, s.rechecker, s.reconciler}
	var busy, world sync.WaitGroup
	for i, act := range actors {
		journal, err := journal.Open(s.journal)
		require.NoError(s, err)
		m, err := mirror.New(ContextID, s.store, &mirror.Options{Journal: journal})
		require.NoError(s, err)
		busy.Go(func() {
			defer journal.Close()
			r := rand.New(rand.NewPCG(2, uint64(i)))
			for s.running() {
				act(r, m)
				pause(r, 30)
			}
		})
	}
	stop := make(chan struct{})
	open := func() bool {
		select {
		case <-stop:
			return false
		default:
			return true
		}
	}
	// The cycles go on until nobody waits for one.
	world.Go(func() {
		r := rand.New(rand.NewPCG(3, 0))
		for n := 1; open(); n++ {
			s.cycle(s.T.Context(), r, n)
			pause(r, 6)
		}
	})
	world.Go(func() {
		r := rand.New(rand.NewPCG(3, 1))
		for n := 0; open() && s.running(); n++ {
			s.change(r, n)
			pause(r, 3)
		}
	})
	busy.Wait()
	close(stop)
	world.Wait()
}

// pause lets others work for up to so many milliseconds.
func pause(r *rand.Rand, milliseconds int) {
	time.Sleep(time.Duration(r.IntN(1000*milliseconds)) * time.Microsecond)
}

// cycle plays a cycle of the Mirroring Task, in small batches.
func (s *soak) cycle(ctx context.Context, r *rand.Rand, n int) {
	task := &cycle.Task{
		Customer: s.customer, Mirror: s.store, BatchSize: 400 + r.IntN(4000),
		BeforeCommit: func(string, bool) { pause(r, 2) },
	}
	if r.IntN(12) == 0 && n > 0 {
		task.FailAfterBatches = 1 + r.IntN(6)
	}
	from := s.log.now()
	result, err := task.Run(by(ctx, actor{cycle: n + 1}))
	for _, t := range result.Tables {
		s.count("cycle: table " + string(t.Action))
	}
	switch {
	case err == nil:
		s.count("cycle: completed")
	case errors.Is(err, cycle.ErrInterrupted):
		s.count("cycle: interrupted")
	case secondRow(err):
		// An undo put the row, or the table, back after the cycle had found none.
		s.count("cycle: stopped, the metadata was there after all")
	default:
		s.refused("cycle", from, err)
	}
}

// secondRow reports whether a store refused a second row with one key, or a
// second metadata table.
func secondRow(err error) bool {
	return errors.Is(err, store.ErrConstraint) || strings.Contains(err.Error(), "create the metadata table")
}

// change changes some rows of the customer.
func (s *soak) change(r *rand.Rand, n int) {
	def := func(tb table) store.Table { return store.Table{Name: tb.name, Columns: tb.columns, Key: tb.key} }
	cells := func(kv ...any) (cells []store.Cell) {
		for i := 0; i < len(kv); i += 2 {
			cells = append(cells, store.Cell{Column: kv[i].(string), Value: kv[i+1]})
		}
		return cells
	}
	tables := soakTables()
	ctx := s.T.Context()
	err := s.customer.Update(ctx, func(tx store.Tx) error {
		for range 1 + r.IntN(4) {
			at, key, set := 0, cells("contact_id", r.IntN(soakContacts)), cells("name", fmt.Sprint("changed ", n), "updated", day.Add(time.Duration(n)*time.Second))
			switch r.IntN(12) {
			case 0, 1, 2:
				at, key, set = 1, cells("person_id", r.IntN(soakPersons)), cells("lastname", fmt.Sprint("changed ", n))
			case 3, 4:
				at, key, set = 2, cells("sale_id", r.IntN(10), "line", fmt.Sprint("line ", r.IntN(3))), cells("amount", float64(n))
			case 5:
				if r.IntN(10) > 0 {
					continue
				}
				if err := tx.Insert(ctx, def(tables[3]), []string{"what"}, []store.Row{{fmt.Sprint("new ", n)}}); err != nil {
					return err
				}
				continue
			}
			tb := def(tables[at])
			if r.IntN(4) == 0 {
				if _, err := tx.Delete(ctx, tb, key); err != nil {
					return err
				}
				continue
			}
			changed, err := tx.Set(ctx, tb, key, set)
			if err != nil || changed > 0 {
				if err != nil {
					return err
				}
				continue
			}
			var columns []string
			var row store.Row
			for _, c := range append(key, set...) {
				columns, row = append(columns, c.Column), append(row, c.Value)
			}
			if err := tx.Insert(ctx, tb, columns, []store.Row{row}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		s.problem("the customer's own change: %v", err)
	}
	s.count("customer: changes")
	if r.IntN(200) == 0 { // the end of the retention
		version, err := s.customer.Version(ctx)
		if err != nil {
			s.problem("version: %v", err)
		}
		s.customer.Forget(int64(version))
		s.count("customer: changes forgotten")
	}
}

// some picks tables.
func some(r *rand.Rand) []string {
	names := slices.Clone(soakNames)
	r.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	return names[:1+r.IntN(2)]
}

// operate runs an operation, and holds its receipt against the transactions that
// it made.
func (s *soak) operate(name string, do func(ctx context.Context) (*mirror.Receipt, error)) *mirror.Receipt {
	op := s.log.operation()
	from := s.log.now()
	receipt, err := do(by(s.T.Context(), actor{op: op}))
	made := s.log.of(op)
	if err != nil {
		s.refused(name, from, err)
		if len(made) > 0 {
			s.problem("%s was refused with %v, and made %v", name, err, made)
		}
		return nil
	}
	s.count(name)
	s.mu.Lock()
	s.done[receipt.ID] = op
	s.mu.Unlock()
	var want []deed
	if receipt.Metadata != nil {
		want = append(want, deed{kind: dropped, table: store.FoldName(receipt.MetadataTable)})
	}
	for _, rt := range receipt.Tables {
		if receipt.Metadata != nil {
			break
		}
		for _, a := range rt.Actions {
			d := deed{table: rt.Table}
			switch a {
			case mirror.ActionResetLSN:
				d.kind, d.lsn = marked, store.ResendAll
			case mirror.ActionTruncate:
				d.kind = emptied
			case mirror.ActionDeleteMetadata:
				d.kind = forgotten
			case mirror.ActionDrop:
				d.kind = dropped
			}
			want = append(want, d)
		}
	}
	// What a constraint can refuse comes first.
	onMetadata := func(d deed) int { return map[deedKind]int{emptied: 1, dropped: 1}[d.kind] }
	slices.SortStableFunc(want, func(a, b deed) int { return onMetadata(a) - onMetadata(b) })
	if len(made) != 1 && len(want) > 0 || len(made) > 1 {
		s.problem("%s made %d transactions", name, len(made))
	} else if len(made) == 1 && !slices.Equal(want, made[0].deeds) {
		s.problem("%s: the receipt says %v, done was %v", name, want, made[0].deeds)
	}
	return receipt
}

// undo takes a receipt back, or is refused.
func (s *soak) undo(r *rand.Rand, m *mirror.Mirror, receipt *mirror.Receipt) {
	pause(r, 4)
	op := s.log.operation()
	from := s.log.now()
	s.mu.Lock()
	undoes := s.done[receipt.ID]
	s.mu.Unlock()
	err := m.Undo(by(s.T.Context(), actor{op: op, undoes: undoes}), receipt)
	made := s.log.of(op)
	if err != nil {
		s.refused("undo", from, err)
		if len(made) > 0 {
			s.problem("undo was refused with %v, and made %v", err, made)
		}
		return
	}
	s.count("undo")
	s.mu.Lock()
	s.undone++
	s.mu.Unlock()
	if len(made) != 1 {
		s.problem("undo made %d transactions", len(made))
		return
	}
	for _, rt := range receipt.Tables {
		lsn := store.ResendAll - 1
		if rt.LSN != nil {
			lsn = *rt.LSN
		}
		back := deed{kind: marked, table: rt.Table, lsn: lsn}
		if len(rt.Actions) > 0 && !slices.Contains(made[0].deeds, back) {
			s.problem("undo of %v did %v", receipt, made[0].deeds)
		}
	}
}

// refused counts an error that may happen, and claims that it was right.
func (s *soak) refused(name string, from int, err error) {
	for _, allowed := range []error{store.ErrBusy, store.ErrLockTimeout, store.ErrDeadlock, mirror.ErrMoved, mirror.ErrCannotUndo} {
		if errors.Is(err, allowed) {
			s.count(name + ": " + allowed.Error())
			return
		}
	}
	switch {
	case strings.Contains(err.Error(), populated):
		s.count(name + ": " + populated)
	case errors.Is(err, mirror.ErrNoMetadata):
		s.count(name + ": " + mirror.ErrNoMetadata.Error())
		s.claim(from, name+": "+err.Error(), func(w *world) bool { return !w.metadata })
	case errors.Is(err, store.ErrTableNotFound):
		s.count(name + ": " + store.ErrTableNotFound.Error())
		s.claim(from, name+": "+err.Error(), func(w *world) bool {
			return !w.metadata || slices.ContainsFunc(soakNames, func(n string) bool { return !w.tables[n].present })
		})
	default:
		s.problem("%s: %v", name, err)
	}
}

// resetter resets tables, and takes that back or waits for a cycle now and then.
func (s *soak) resetter(r *rand.Rand, m *mirror.Mirror) {
	names := some(r)
	o := &mirror.ResetOptions{All: r.IntN(10) == 0}
	if o.All {
		names = nil
	}
	o.Truncate = r.IntN(3) == 0
	name := "reset tables"
	if o.Truncate {
		name += ", truncated"
	}
	receipt := s.operate(name, func(ctx context.Context) (*mirror.Receipt, error) { return m.ResetTables(ctx, names, o) })
	if receipt == nil {
		return
	}
	switch r.IntN(3) {
	case 0:
		s.undo(r, m, receipt)
	case 1:
		s.wait(r, m, receipt)
	}
}

func (s *soak) wait(r *rand.Rand, m *mirror.Mirror, receipt *mirror.Receipt) {
	if !slices.ContainsFunc(receipt.Tables, func(rt mirror.ReceiptTable) bool { return len(rt.Actions) > 0 }) {
		return
	}
	from := s.log.now()
	ctx, cancel := context.WithTimeout(s.T.Context(), time.Minute)
	defer cancel()
	o := &heal.WaitOptions{Poll: 2 * time.Millisecond}
	if r.IntN(2) == 0 {
		o.Source = s.customer
	}
	report, err := heal.Wait(ctx, m, receipt, o)
	var lost *mirror.Error
	switch {
	case errors.Is(err, mirror.ErrLostReset) && errors.As(err, &lost):
		s.count("wait: " + mirror.ErrLostReset.Error())
		for _, t := range lost.Tables {
			s.claim(from, fmt.Sprintf("wait says that the reset of %s is lost: %s", t.Table, t.Reason), func(w *world) bool {
				return w.tables[store.FoldName(t.Table)].spoiled()
			})
		}
	case err != nil:
		s.refused("wait", from, err)
	default:
		s.count("wait: populated")
		for _, t := range report.Tables {
			s.claim(from, "wait says that "+t.Table+" has an LSN again", func(w *world) bool { return w.tables[store.FoldName(t.Table)].valid() })
		}
	}
}

// hardResetter makes hard resets of tables, and seldom of the mirror.
func (s *soak) hardResetter(r *rand.Rand, m *mirror.Mirror) {
	o := &mirror.HardResetOptions{Confirm: ContextID, Tables: some(r), DropData: r.IntN(2) == 0}
	name := "hard reset of tables"
	switch {
	case r.IntN(8) == 0:
		name, o.Tables, o.DropData = "hard reset of the mirror", nil, false
	case o.DropData:
		name += ", dropped"
	}
	receipt := s.operate(name, func(ctx context.Context) (*mirror.Receipt, error) { return m.HardReset(ctx, o) })
	if receipt != nil && r.IntN(2) == 0 {
		s.undo(r, m, receipt)
	}
	pause(r, 100)
}

// planner applies the plan of a comparison without change tracking: it resets
// what may be pending only.
func (s *soak) planner(r *rand.Rand, m *mirror.Mirror) {
	report := s.compare(r, m, through{s.customer}, "untracked")
	if report == nil {
		return
	}
	plan := report.Plan()
	o := &mirror.ApplyOptions{Confirm: ContextID, SkipMoved: r.IntN(2) == 0, Unknown: r.IntN(4) > 0, MaxRowShare: 1, MaxTableShare: 1}
	if plan.Empty() && !o.Unknown {
		s.count("plan: empty")
		return
	}
	pause(r, 10)
	if !slices.ContainsFunc(plan.Tables, func(t mirror.PlanTable) bool { return t.Step != mirror.StepNone }) {
		s.count("plan: empty")
		return
	}
	receipt := s.operate("apply plan", func(ctx context.Context) (*mirror.Receipt, error) { return m.Apply(ctx, plan, o) })
	if receipt != nil && r.IntN(3) == 0 {
		s.undo(r, m, receipt)
	}
}

// comparer compares with change tracking.
func (s *soak) comparer(r *rand.Rand, m *mirror.Mirror) { s.compare(r, m, s.customer, "tracked") }

func (s *soak) compare(r *rand.Rand, m *mirror.Mirror, source store.Source, how string) *mirror.Report {
	o := &mirror.CompareOptions{Strategy: mirror.StrategyStream, Concurrency: 1 + r.IntN(3), DigestRows: 64}
	if r.IntN(2) == 0 {
		o.Strategy = mirror.StrategyDigest
	}
	if r.IntN(3) == 0 {
		o.SplitRows = 100
	}
	from := s.log.now()
	report, err := m.Compare(s.T.Context(), source, o)
	name := "compare, " + how + ", " + string(o.Strategy)
	if err != nil {
		s.refused(name, from, err)
		return nil
	}
	s.count(name)
	s.verdicts(name, from, report, nil)
	return report
}

// populated is the text of a comparison that met a cycle twice.
const populated = "populated anew while it was compared"

// verdicts claims that what a report says, and the one before it did not, is
// right.
func (s *soak) verdicts(name string, from int, report, before *mirror.Report) {
	for i := range report.Tables {
		t := &report.Tables[i]
		folded := store.FoldName(t.Table)
		if before != nil && t.Verdict == before.Tables[i].Verdict && t.Diverged == before.Tables[i].Diverged {
			continue
		}
		s.count("verdict: " + string(t.Verdict))
		switch {
		case t.Verdict == mirror.VerdictFailed:
			s.refused(name+" of "+t.Table, from, t.Err)
		case t.Verdict == mirror.VerdictMissing:
			s.claim(from, name+" says that "+t.Table+" is missing", func(w *world) bool { return !w.tables[folded].present })
		case t.Verdict == mirror.VerdictExtra, t.Verdict == mirror.VerdictSchemaDiffers, t.Verdict == mirror.VerdictIncomparable:
			s.problem("%s: %s", name, report)
		case t.Verdict == mirror.VerdictDifferent && t.Diverged > 0:
			s.count("verdict: different, diverged")
			lsns := "LSN -"
			if t.LSN != nil {
				lsns = fmt.Sprint("LSN ", *t.LSN)
			}
			if t.LastLSN != nil {
				lsns += fmt.Sprint(", last ", *t.LastLSN)
			}
			s.claim(from, fmt.Sprintf("%s says that %d rows of %s diverged (%d missing, %d extra, %d changed, %d pending, %s, %d moves)",
				name, t.Diverged, t.Table, t.Missing, t.Extra, t.Changed, t.Pending, lsns, t.Moves), func(w *world) bool { return w.tables[folded].spoiled() })
		}
	}
}

// rechecker follows the differences of a comparison for some cycles.
func (s *soak) rechecker(r *rand.Rand, m *mirror.Mirror) {
	source, how := store.Source(s.customer), "tracked"
	if r.IntN(2) == 0 {
		source, how = through{s.customer}, "untracked"
	}
	from := s.log.now()
	report := s.compare(r, m, source, how)
	for range 4 {
		if report == nil || !s.running() {
			return
		}
		pause(r, 30)
		again, err := m.Recheck(s.T.Context(), source, report, nil)
		if err != nil {
			s.refused("recheck, "+how, from, err)
			return
		}
		s.count("recheck, " + how)
		s.verdicts("recheck, "+how, from, again, report)
		report = again
	}
}

// reconciler reads the journal while others write it.
func (s *soak) reconciler(r *rand.Rand, m *mirror.Mirror) {
	pause(r, 200)
	from := s.log.now()
	if _, err := m.Reconcile(s.T.Context(), s.entries()); err != nil {
		s.refused("reconcile", from, err)
		return
	}
	s.count("reconcile")
}

func (s *soak) entries() []mirror.JournalEntry {
	file, err := os.Open(s.journal)
	if err != nil {
		s.problem("journal: %v", err)
		return nil
	}
	defer file.Close()
	entries, err := journal.Read(file)
	if err != nil {
		s.problem("journal: %v", err)
	}
	return entries
}

// judge holds everything that was said against what happened.
func (s *soak) judge(t *env) {
	ctx := t.Context()
	task := &cycle.Task{Customer: s.customer, Mirror: s.store}
	for n := range 3 {
		result, err := task.Run(by(ctx, actor{cycle: 1_000_000 + n}))
		require.NoError(t, err)
		if n < 2 {
			continue
		}
		for _, tr := range result.Tables {
			require.Equal(t, cycle.Unchanged, tr.Action, "nothing changes any more")
		}
	}
	history := s.log.history()
	last := history[len(history)-1]
	for _, c := range s.claims {
		if !slices.ContainsFunc(history[max(0, c.from-1):c.to+1], c.holds) {
			s.problem("%s; it was not so at any time from %d to %d:\n%s", c.what, c.from, c.to, s.log.text(c.from, c.to))
		}
	}
	begun := map[int]int{} // where an operation stands
	for i, tx := range s.log.all {
		begun[tx.op] = i
		if tx.undoes == 0 || !tx.committed {
			continue
		}
		for _, d := range tx.deeds {
			// An LSN is put back only where the rows are what they were.
			if history[i+1].tables[d.table].spoiled() && !history[begun[tx.undoes]].tables[d.table].spoiled() {
				s.problem("an undo put the LSN of %s back, whose rows are gone:\n%s", d.table, s.log.text(begun[tx.undoes], i+2))
			}
		}
	}
	require.True(t, last.metadata)
	status, err := t.mirror(nil).Status(ctx)
	require.NoError(t, err)
	for _, ts := range status.Tables {
		require.NotNil(t, ts.LSN, ts.Table)
		require.Equal(t, last.tables[ts.Table].lsn, *ts.LSN, "what was taken down is what happened")
	}
	require.Len(t, status.Tables, len(soakNames))

	// The journal tells what succeeded.
	found, err := t.mirror(nil).Reconcile(ctx, s.entries())
	require.NoError(t, err)
	done, undone := map[string]int{}, 0
	for _, f := range found {
		require.Equal(t, "journal", f.Proof, "every operation was told how it ended")
		switch {
		case f.Outcome != mirror.OutcomeDone:
			s.count("journal: not done")
		case f.Undo:
			undone++
		default:
			require.Zero(t, done[f.Receipt.ID], "one ID, one operation")
			done[f.Receipt.ID] = s.done[f.Receipt.ID]
		}
	}
	require.Equal(t, s.done, done, "no more and no less")
	require.Equal(t, s.undone, undone)

	// A table whose rows a reset deleted while a cycle sent it is the only one
	// that may differ, and it must be found.
	lost := map[string]bool{}
	for _, w := range history {
		for name, st := range w.tables {
			if st.lost {
				lost[fmt.Sprint(name, st.lostAt)] = true
			}
		}
	}
	s.mu.Lock()
	s.counts["resets that a running cycle overtook"] = len(lost)
	s.mu.Unlock()
	final := t.compare(s.customer, nil)
	var broken []string
	for _, tr := range final.Tables {
		if !last.tables[tr.Table].spoiled() {
			require.Equal(t, mirror.VerdictIdentical, tr.Verdict, "%s", final)
			continue
		}
		s.count("tables that a lost reset left incomplete")
		if tr.Verdict != mirror.VerdictIdentical {
			require.Equal(t, mirror.VerdictDifferent, tr.Verdict, "%s", final)
			if !tr.Keyless {
				require.Positive(t, tr.Diverged, "%s", final)
			}
		}
		broken = append(broken, tr.Table)
	}
	if broken != nil {
		_, err := t.mirror(nil).ResetTables(ctx, broken, nil)
		require.NoError(t, err)
		_, err = task.Run(ctx)
		require.NoError(t, err)
		require.True(t, t.compare(s.customer, nil).Identical(), "%s", t.compare(s.customer, nil))
	}
}

// actor is who a transaction belongs to: a cycle, or an operation, which can
// take another one back.
type actor struct{ cycle, op, undoes int }

type actorKey struct{}

func by(ctx context.Context, a actor) context.Context { return context.WithValue(ctx, actorKey{}, a) }

// deed is one thing that a transaction does to the mirror, of those that matter.
type deed struct {
	kind  deedKind
	table string    // folded
	lsn   store.LSN // of marked
}

type deedKind string

const (
	created   deedKind = "create"
	dropped   deedKind = "drop"
	emptied   deedKind = "truncate"
	marked    deedKind = "mark" // its metadata row has that LSN
	forgotten deedKind = "forget"
)

// transaction is what was committed, or not.
type transaction struct {
	actor
	deeds     []deed
	committed bool
}

func (tx transaction) String() string { return fmt.Sprintf("%+v %v", tx.actor, tx.deeds) }

// ledger has the transactions in the order of their commits.
type ledger struct {
	mu         sync.Mutex
	all        []*transaction
	operations int
}

// add is called at the end of a transaction, while it still holds its lock.
func (l *ledger) add(tx *transaction) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, tx)
}

func (l *ledger) settle(tx *transaction) {
	l.mu.Lock()
	defer l.mu.Unlock()
	tx.committed = true
}

// now is a moment: the number of transactions. All of them have ended but the
// last one.
func (l *ledger) now() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.all)
}

func (l *ledger) operation() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.operations++
	return l.operations
}

// of returns what an operation committed.
func (l *ledger) of(op int) (made []transaction) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, tx := range l.all {
		if tx.op == op && tx.committed {
			made = append(made, *tx)
		}
	}
	return made
}

// text lists what was committed in between.
func (l *ledger) text(from, to int) string {
	var b strings.Builder
	for i := max(0, from-1); i < to && i < len(l.all); i++ {
		if tx := l.all[i]; tx.committed && len(tx.deeds) > 0 {
			fmt.Fprintf(&b, "  %d: %s\n", i, tx)
		}
	}
	return b.String()
}

// world is the mirror after a transaction.
type world struct {
	metadata bool
	tables   map[string]state
}

// state is what is known of a table.
type state struct {
	present, tracked bool
	lsn              store.LSN
	whole            bool // its rows are at least as new as its LSN
	filling          int  // the cycle that wiped it and has not ended it yet
	owed             bool // it was reset, and no cycle has wiped it since
	lost             bool // that was overwritten
	lostAt           int
}

func (s state) valid() bool { return s.tracked && s.lsn >= 0 }

// spoiled says that rows are missing which no cycle will send.
func (s state) spoiled() bool { return s.valid() && !s.whole }

// history returns the world before the first transaction and after each.
func (l *ledger) history() []*world {
	w := &world{tables: map[string]state{}}
	all := []*world{w}
	meta := store.FoldName(mirror.MetadataTableName(ContextID))
	for i, tx := range l.all {
		if tx.committed && len(tx.deeds) > 0 {
			w = &world{metadata: w.metadata, tables: maps.Clone(w.tables)}
			for _, d := range tx.deeds {
				if d.table == meta {
					w.metadata = d.kind == created
					if d.kind == dropped {
						for name, st := range w.tables {
							st.tracked, st.owed = false, false
							w.tables[name] = st
						}
					}
					continue
				}
				w.tables[d.table] = w.tables[d.table].after(tx, d, i)
			}
		}
		all = append(all, w)
	}
	return all
}

func (s state) after(tx *transaction, d deed, at int) state {
	switch d.kind {
	case created:
		s.present, s.whole, s.filling, s.owed = true, false, tx.cycle, false
	case dropped:
		s.present, s.whole, s.filling = false, false, 0
	case emptied:
		s.whole, s.filling = false, tx.cycle
		if tx.cycle > 0 {
			s.owed, s.lost = false, false
		}
	case forgotten:
		s.tracked, s.owed = false, false
	case marked:
		s.tracked, s.lsn = true, d.lsn
		if d.lsn < 0 {
			s.owed = s.owed || tx.op > 0
			break
		}
		if tx.cycle > 0 && s.owed {
			s.lost, s.lostAt = true, at
		}
		s.owed = false
		if tx.cycle > 0 && s.filling == tx.cycle {
			s.whole, s.filling = true, 0
		}
	}
	return s
}

// witnessed is a store whose transactions are taken down.
type witnessed struct {
	through
	log *ledger
}

func (s witnessed) Update(ctx context.Context, fn func(tx store.Tx) error) error {
	var made *transaction
	err := s.through.Update(ctx, func(tx store.Tx) error {
		w := &witness{Tx: tx}
		if err := fn(w); err != nil {
			return err
		}
		who, _ := ctx.Value(actorKey{}).(actor)
		made = &transaction{actor: who, deeds: w.deeds}
		s.log.add(made)
		return nil
	})
	if made != nil && err == nil {
		s.log.settle(made)
	}
	return err
}

// witness takes down what a transaction does.
type witness struct {
	store.Tx
	deeds []deed
}

func (w *witness) did(err error, kind deedKind, table string, lsn store.LSN) {
	if err == nil {
		w.deeds = append(w.deeds, deed{kind, store.FoldName(table), lsn})
	}
}

func isMetadata(t store.Table) bool {
	return store.FoldName(t.Name) == store.FoldName(mirror.MetadataTableName(ContextID))
}

// named returns the table and the LSN that cells of the metadata table name.
func named(cells []store.Cell) (table string, lsn store.LSN, hasLSN bool) {
	lsn = store.ResendAll - 1 // NULL
	for _, c := range cells {
		switch store.FoldName(c.Column) {
		case "tablename":
			table, _ = c.Value.(string)
		case "lsn":
			hasLSN = true
			if n, ok := c.Value.(int64); ok {
				lsn = store.LSN(n)
			}
		}
	}
	return table, lsn, hasLSN
}

func (w *witness) Create(ctx context.Context, t store.Table) error {
	err := w.Tx.Create(ctx, t)
	w.did(err, created, t.Name, 0)
	return err
}

func (w *witness) Drop(ctx context.Context, t store.Table) error {
	err := w.Tx.Drop(ctx, t)
	if store.FoldName(t.Name) != keptName {
		w.did(err, dropped, t.Name, 0)
	}
	return err
}

// Rename is to the metadata table's name, or from it.
func (w *witness) Rename(ctx context.Context, t store.Table, name string) error {
	err := w.Tx.(store.Renamer).Rename(ctx, t, name)
	if isMetadata(t) {
		w.did(err, dropped, t.Name, 0)
		return err
	}
	t.Name = name
	w.did(err, created, name, 0)
	for batch, failed := range w.Rows(ctx, store.Query{Table: t}) {
		err = errors.Join(err, failed)
		for _, row := range batch {
			cells := make([]store.Cell, len(row))
			for i, c := range t.Columns {
				cells[i] = store.Cell{Column: c.Name, Value: row[i]}
			}
			table, lsn, _ := named(cells)
			w.did(err, marked, table, lsn)
		}
	}
	return err
}

func (w *witness) Truncate(ctx context.Context, t store.Table) error {
	err := w.Tx.Truncate(ctx, t)
	w.did(err, emptied, t.Name, 0)
	return err
}

func (w *witness) Insert(ctx context.Context, t store.Table, columns []string, rows []store.Row) error {
	err := w.Tx.Insert(ctx, t, columns, rows)
	if isMetadata(t) {
		for _, row := range rows {
			cells := make([]store.Cell, len(columns))
			for i, c := range columns {
				cells[i] = store.Cell{Column: c, Value: row[i]}
			}
			table, lsn, _ := named(cells)
			w.did(err, marked, table, lsn)
		}
	}
	return err
}

func (w *witness) Set(ctx context.Context, t store.Table, where, set []store.Cell) (int64, error) {
	n, err := w.Tx.Set(ctx, t, where, set)
	if isMetadata(t) && n > 0 {
		table, _, _ := named(where)
		if _, lsn, ok := named(set); ok {
			w.did(err, marked, table, lsn)
		}
	}
	return n, err
}

func (w *witness) Delete(ctx context.Context, t store.Table, where []store.Cell) (int64, error) {
	n, err := w.Tx.Delete(ctx, t, where)
	if isMetadata(t) && n > 0 {
		table, _, _ := named(where)
		w.did(err, forgotten, table, 0)
	}
	return n, err
}
