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
	if canJoin(t, open, open) {
		require.Positive(t, s.counts[joinedTables], "one engine reads both sides")
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
