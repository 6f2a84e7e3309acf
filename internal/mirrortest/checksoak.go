package mirrortest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/internal/superoffice"
	"github.com/so-mirror/mirror/replica"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/cycle"
)

// CheckSoak checks replicas for about d while customers write, cycles fill the old
// mirror, the client fills the replica, and both are reset, interrupted and
// restored. Rows that nobody writes are damaged before, in one way or none: a check
// must say that, or that it does not know, and nothing else.
//
// Its time are the client's Steps, so no verdict depends on how fast this runs.
func CheckSoak(t *testing.T, open Open, d time.Duration) {
	ignore := goleak.IgnoreCurrent()
	pools := goleak.IgnoreTopFunction("database/sql.(*DB).connectionOpener")
	t.Cleanup(func() { goleak.VerifyNone(t, ignore, pools) })
	until := time.Now().Add(d)
	counts := map[string]int{}
	for seed := uint64(0); seed < uint64(len(harms)) || time.Now().Before(until); seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			s := newCheckSoak(t, open, seed)
			s.judge(s.check())
			for what, n := range s.counts {
				counts[what] += n
			}
		})
		if t.Failed() {
			break
		}
	}
	for _, what := range slices.Sorted(maps.Keys(counts)) {
		t.Logf("%6d %s", counts[what], what)
	}
	if !t.Failed() && canJoin(t, open, open) {
		require.Positive(t, counts[joinedChunks])
	}
}

// joinedChunks is counted for ranges of which one engine looked at both sides.
const joinedChunks = "ranges joined in one engine"

// harm is a damage of one row of a table, that of id 3, or of a row more, and what a
// check may say of the table besides that it is not decided.
type harm struct {
	name, table string
	do          func(s *checkSoak)
	mirror      bool // it is the mirror's
	says        replica.Verdict
	count       func(*replica.TableReport) int64
}

func lostRows(t *replica.TableReport) int64  { return t.NewStale }
func ghostRows(t *replica.TableReport) int64 { return t.Ghosts }

var harms = []harm{
	{name: "none"},
	{"a row is missing in the replica", "contact", func(s *checkSoak) { s.delete(s.replica, "contact", "contact_id", 3) }, false, replica.NewStale, lostRows},
	{"a row is missing in the replica, of a quiet table", "link", func(s *checkSoak) { s.delete(s.replica, "link", "a", 0, "b", "b3") }, false, replica.NewStale, lostRows},
	{"a ghost", "contact", func(s *checkSoak) { s.insert(s.replica, "contact", twinContact(900, 1)) }, false, replica.Ghosts, ghostRows},
	{"a ghost without stamps", "person", func(s *checkSoak) { s.insert(s.replica, "person", store.Row{900, "Ghost", 0.5}) }, false, replica.Ghosts, ghostRows},
	{"a ghost in a quiet table", "link", func(s *checkSoak) { s.insert(s.replica, "link", store.Row{"ghost", "b9", 9}) }, false, replica.Ghosts, ghostRows},
	{"an old row", "contact", func(s *checkSoak) { s.contact(s.replica, 3, 0) }, false, replica.NewStale, lostRows},
	{"NULL", "contact", func(s *checkSoak) { s.set(s.replica, "contact", cells("contact_id", 3), cells("text", nil)) }, false, replica.NewStale, lostRows},
	{"a placeholder", "contact", func(s *checkSoak) {
		s.set(s.replica, "contact", cells("contact_id", 3), cells("body", superoffice.Unavailable))
	}, false, replica.NewStale, lostRows},
	{"a rounded time", "contact", func(s *checkSoak) {
		s.set(s.replica, "contact", cells("contact_id", 3), cells("at", day.Add(4*time.Millisecond)))
	}, false, replica.NewStale, lostRows},
	{"another value", "person", func(s *checkSoak) { s.set(s.replica, "person", cells("person_id", 3), cells("rank", 99.0)) }, false, replica.Undecided,
		func(t *replica.TableReport) int64 { return t.Conflicts }},
	{"the mirror has an old row", "contact", func(s *checkSoak) { s.contact(s.mirror, 3, 0) }, true, replica.OldStale,
		func(t *replica.TableReport) int64 { return t.OldStale }},
	{"the mirror kept a row", "person", func(s *checkSoak) { s.insert(s.mirror, "person", store.Row{900, "Kept", 0.5}) }, true, replica.NewStale, lostRows},
	{"the mirror lost a row", "person", func(s *checkSoak) { s.delete(s.mirror, "person", "person_id", 3) }, true, replica.Ghosts, ghostRows},
}

// checkSoak is one check in a world that moves.
type checkSoak struct {
	*twins
	rnd      *rand.Rand
	harm     harm
	opts     replica.Options
	ticks    *stepClock
	customer bool // the reference is the customer's database
	repairs  bool // tables are sent again whole while the check looks on
	slow     bool // reads take their time

	repaired atomic.Bool // the damaged table may be good by now
	looked   atomic.Bool // the check has read the client's offsets

	mu      sync.Mutex
	counts  map[string]int
	emptied map[string]bool // tables that the client truncated meanwhile: they lack rows until they are filled
}

func (s *checkSoak) count(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts[what]++
}

// reserved are the ids that nobody writes.
const reserved = 10

func newCheckSoak(t *testing.T, open Open, seed uint64) *checkSoak {
	r := rand.New(rand.NewPCG(seed, 13))
	s := &checkSoak{
		twins: newTwins(t, open, checkScenario{client: cycle.ReplicaOptions{SnapshotRows: 4 + r.IntN(40), TransactionEvents: 1 + r.IntN(20), Partitions: 1 + r.IntN(2), FirstOffset: 1 << 20}}),
		rnd:   r, harm: harms[seed%uint64(len(harms))], ticks: newStepClock(), counts: map[string]int{}, emptied: map[string]bool{},
		customer: r.IntN(4) == 0, repairs: r.IntN(2) == 0, slow: r.IntN(2) == 0,
	}
	s.task.BatchSize = 100 + r.IntN(600)
	if s.harm.mirror {
		s.customer = false
	}
	var rows []store.Row
	for i := range 40 {
		rows = append(rows, twinContact(100+i, 1))
	}
	s.insert(s.twins.customer, "contact", rows...)
	s.catchUp()
	s.cycle()
	if s.harm.do != nil {
		s.harm.do(s)
	}
	s.opts = replica.Options{
		Clock: s.ticks, MaxWait: 90 * time.Minute, MaxKeys: []int{3, 1000, 1000}[r.IntN(3)],
		Strategy: strategies[r.IntN(len(strategies))],
		Tuning:   mirror.Tuning{Concurrency: 1 + r.IntN(4), DigestRows: 1 + r.Int64N(30), SplitRows: r.Int64N(30)},
	}
	return s
}

// stepClock is a clock whose minutes are the client's Steps.
type stepClock struct {
	mu    sync.Mutex
	steps int
	moved chan struct{} // closed at the next step
}

func newStepClock() *stepClock { return &stepClock{moved: make(chan struct{})} }

func (c *stepClock) tick() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.steps++
	close(c.moved)
	c.moved = make(chan struct{})
}

// Now implements mirror.Clock.
func (c *stepClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return Noon.Add(time.Duration(c.steps) * time.Minute)
}

// Sleep implements mirror.Clock.
func (c *stepClock) Sleep(ctx context.Context, d time.Duration) error {
	for until := c.Now().Add(d); c.Now().Before(until); {
		c.mu.Lock()
		moved := c.moved
		c.mu.Unlock()
		if !c.Now().Before(until) {
			break
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return ctx.Err()
}

// dawdling is a store whose reads take their time.
type dawdling struct{ through }

func (d dawdling) Rows(ctx context.Context, q store.Query) iter.Seq2[[]store.Row, error] {
	return dawdled(d.through.Rows(ctx, q))
}

func (d dawdling) RowsAt(ctx context.Context, q store.Query, keys []store.Row) iter.Seq2[[]store.Row, error] {
	return dawdled(d.through.RowsAt(ctx, q, keys))
}

func dawdled(rows iter.Seq2[[]store.Row, error]) iter.Seq2[[]store.Row, error] {
	return func(yield func([]store.Row, error) bool) {
		dawdle()
		for batch, err := range rows {
			if !yield(batch, err) {
				return
			}
			dawdle()
		}
	}
}

func (d dawdling) DigestEvery(ctx context.Context, q store.Query, n int64) ([]store.Digest, error) {
	dawdle()
	return d.through.DigestEvery(ctx, q, n)
}

func (d dawdling) DigestAt(ctx context.Context, q store.Query, cuts []store.Row) ([]store.Digest, error) {
	dawdle()
	return d.through.DigestAt(ctx, q, cuts)
}

func dawdle() { time.Sleep(time.Duration(rand.IntN(3000)) * time.Microsecond) }

// stateRead is a replica that tells when its state was read.
type stateRead struct {
	through
	read func()
}

func (s stateRead) Rows(ctx context.Context, q store.Query) iter.Seq2[[]store.Row, error] {
	rows := s.through.Rows(ctx, q)
	if q.Table.Name != superoffice.ReplicaState {
		return rows
	}
	return func(yield func([]store.Row, error) bool) {
		rows(yield)
		s.read()
	}
}

// check has everything run until the check has ended.
func (s *checkSoak) check() *replica.Report {
	ctx, stop := context.WithCancel(s.Context())
	var world sync.WaitGroup
	failed := make(chan error, 4)
	run := func(n uint64, act func(ctx context.Context, r *rand.Rand, n int) error) {
		r := rand.New(rand.NewPCG(s.rnd.Uint64(), n))
		world.Go(func() {
			for n := 1; ctx.Err() == nil; n++ {
				if err := act(ctx, r, n); err != nil && ctx.Err() == nil && !store.IsTransient(err) {
					failed <- err
					stop()
				}
			}
		})
	}
	run(1, s.write)
	run(2, s.cycles)
	run(3, s.steps)
	if s.repairs {
		run(4, s.repair)
	}
	wrap := func(src store.Store) store.Source {
		if s.slow {
			return dawdling{through{src}}
		}
		return src
	}
	reference := wrap(joinCounted{through{s.mirror}, func() { s.count(joinedChunks) }})
	if s.customer {
		reference = reaching{s.twins.customer}
	}
	report, err := replica.Check(ctx, reference, wrap(stateRead{through{s.replica}, func() { s.looked.Store(true) }}), &s.opts)
	stop()
	world.Wait()
	select {
	case err := <-failed:
		require.NoError(s, err)
	default:
	}
	require.NoError(s, err)
	return report
}

// write changes the customer. Each value is new, as stamps of real rows are.
func (s *checkSoak) write(ctx context.Context, r *rand.Rand, n int) error {
	pause(r, 2)
	// The customer must not outrun a slow database of the others.
	if minutes := int(s.ticks.Now().Sub(Noon) / time.Minute); n > 10*(minutes+1) {
		if err := s.ticks.Sleep(ctx, time.Minute); err != nil {
			return err
		}
	}
	c := s.twins.customer
	contact, person, log, pulse := s.table(s.db, "contact"), s.table(s.db, "person"), s.table(s.db, "log"), s.table(s.db, "pulse")
	return c.Update(ctx, func(tx store.Tx) error {
		if _, err := tx.Set(ctx, pulse, cells("pulse_id", 1), cells("beat", n)); err != nil {
			return err
		}
		for range r.IntN(4) {
			id := reserved + r.IntN(150)
			switch r.IntN(10) {
			case 0, 1:
				if _, err := tx.Delete(ctx, contact, cells("contact_id", id)); err != nil {
					return err
				}
			case 2, 3, 4, 5:
				row := twinContact(id, n+1)
				var set []store.Cell
				for i, name := range contact.ColumnNames() {
					set = append(set, store.Cell{Column: name, Value: row[i]})
				}
				if done, err := tx.Set(ctx, contact, set[:1], set[1:]); err != nil || done > 0 {
					return err
				}
				if err := tx.Insert(ctx, contact, contact.ColumnNames(), []store.Row{row}); err != nil {
					return err
				}
			case 6, 7:
				id = reserved + r.IntN(20)
				if done, err := tx.Set(ctx, person, cells("person_id", id), cells("lastname", fmt.Sprint("changed ", n))); err != nil || done > 0 {
					return err
				}
				if err := tx.Insert(ctx, person, person.ColumnNames(), []store.Row{{id, fmt.Sprint("new ", n), float64(n)}}); err != nil {
					return err
				}
			case 8:
				if _, err := tx.Delete(ctx, person, cells("person_id", reserved+r.IntN(20))); err != nil {
					return err
				}
			case 9:
				if r.IntN(20) == 0 {
					if err := tx.Insert(ctx, log, log.ColumnNames(), []store.Row{{1000 + n, "new"}}); err != nil {
						return err
					}
				}
			}
		}
		return nil
	})
}

// cycles plays a cycle of the Mirroring Task every few Steps. No two in a row stop in
// the middle.
func (s *checkSoak) cycles(ctx context.Context, r *rand.Rand, n int) error {
	if err := s.ticks.Sleep(ctx, time.Duration(1+r.IntN(6))*time.Minute); err != nil {
		return err
	}
	task := *s.task
	task.BeforeCommit = func(string, bool) { pause(r, 2) }
	if n%2 == 0 && r.IntN(3) == 0 {
		task.FailAfterBatches = 1 + r.IntN(6)
	}
	_, err := task.Run(ctx)
	if errors.Is(err, cycle.ErrInterrupted) {
		s.count("cycle interrupted")
		return nil
	}
	s.count("cycle")
	return err
}

// steps plays the client. A minute is over when one Step was whole.
func (s *checkSoak) steps(ctx context.Context, r *rand.Rand, _ int) error {
	pause(r, 4)
	if r.IntN(8) == 0 {
		s.client.FailAfterRows(r.IntN(20))
	}
	err := s.client.Step(ctx)
	if errors.Is(err, cycle.ErrInterrupted) {
		s.count("step interrupted")
		return nil
	}
	if err == nil {
		s.ticks.tick()
		s.count("step")
	}
	return err
}

// repair has tables sent again whole, on either side.
func (s *checkSoak) repair(ctx context.Context, r *rand.Rand, _ int) error {
	if err := s.ticks.Sleep(ctx, time.Duration(3+r.IntN(20))*time.Minute); err != nil {
		return err
	}
	name := []string{"contact", "person", "link", "log"}[r.IntN(4)]
	switch r.IntN(5) {
	case 0, 1: // the mirror's
		if s.harm.mirror && name == s.harm.table {
			s.repaired.Store(true)
		}
		md := s.table(s.mirror, superoffice.MetadataTable(ContextID))
		s.count("mirror reset")
		return s.mirror.Update(ctx, func(tx store.Tx) error {
			_, err := tx.Set(ctx, md, cells("tablename", name), cells("LSN", -1))
			return err
		})
	case 2, 3: // the client truncates it: what the mirror lost, too, is equal then
		if name == s.harm.table {
			s.repaired.Store(true)
		}
		s.mu.Lock()
		s.emptied[name] = true
		s.mu.Unlock()
		s.count("replica re-synchronized")
		return s.client.Resync(ctx, superoffice.ReplicaSchema+"."+name)
	default: // a suspension, after which all rows come again
		if !s.looked.Load() {
			return nil // a check that begins later cannot know of it: its ghosts are some
		}
		if !s.harm.mirror {
			s.repaired.Store(true)
		}
		s.count("tenant resumed")
		return s.client.RestoreTenant(ctx)
	}
}

// judge holds a report against what was damaged.
func (s *checkSoak) judge(report *replica.Report) {
	s.Helper()
	about := func() string {
		var b strings.Builder
		_ = report.WriteJSON(&b)
		return fmt.Sprintf("%s; customer %t, repairs %t, repaired %t, slow %t, %+v\n%s", s.harm.name, s.customer, s.repairs, s.repaired.Load(), s.slow, s.opts, b.String())
	}
	if report.State.Resets > 0 { // what was on its way to the replica is lost, and comes late or, of deletes, never
		require.NotEqual(s, replica.Go, report.Decision, about())
		s.counts["resume of the tenant seen"]++
	}
	for i := range report.Tables {
		tr := &report.Tables[i]
		if s.emptied[tr.Table] && tr.Verdict == replica.NewStale {
			s.counts[tr.Table+" new-stale while it was filled"]++
			continue
		}
		proven := tr.OldStale + tr.NewStale + tr.Ghosts + tr.Conflicts
		if tr.Table != s.harm.table {
			require.Contains(s, []replica.Verdict{replica.Equal, replica.EqualAfterLag, replica.Undecided}, tr.Verdict, "%s: %s", tr.Table, about())
			require.Zero(s, proven, "%s: %s", tr.Table, about())
			s.counts[tr.Table+" "+string(tr.Verdict)]++
			continue
		}
		s.counts[s.harm.name+": "+string(tr.Verdict)]++
		allowed := []replica.Verdict{s.harm.says, replica.Undecided}
		if s.repaired.Load() {
			allowed = append(allowed, replica.Equal, replica.EqualAfterLag)
		}
		require.Contains(s, allowed, tr.Verdict, "%s: %s", tr.Table, about())
		require.LessOrEqual(s, proven, int64(1), about())
		require.Equal(s, proven, s.harm.count(tr), about())
	}
}
