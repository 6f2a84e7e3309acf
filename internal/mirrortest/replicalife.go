package mirrortest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/cycle"
	"github.com/so-mirror/mirror/store/memory"
)

// ReplicaLives holds the simulated newer client to its customer's data, row by
// row, through random writes, Steps, crashes, re-synchronizations, lost commits and
// restores of the tenant. A row that the replica alone has must be one that a
// restore left behind.
func ReplicaLives(t *testing.T, open Open, lives int) {
	var seen struct{ crashes, ghosts, delayed int }
	for seed := range uint64(lives) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			l := newLife(t, open(t), seed)
			for range 50 {
				for range l.rnd.IntN(5) {
					l.write()
				}
				l.happen()
			}
			l.catchUp()
			seen.crashes += l.crashes
			seen.ghosts += l.ghostsSeen
			seen.delayed += l.delayed
		})
	}
	require.NotZero(t, seen.crashes)
	require.NotZero(t, seen.ghosts)
	require.NotZero(t, seen.delayed)
}

// life is a customer with a replica, and what is known of the replica.
type life struct {
	t        *testing.T
	rnd      *rand.Rand
	db       *memory.Store
	customer *cycle.Customer
	replica  *cycle.Replica
	store    store.Store
	delay    int

	base   content   // when all had arrived last
	past   []content // the customer at each Step since
	calm   bool      // nothing but Steps since
	ghosts map[string]ghosts

	crashes, ghostsSeen, delayed int
}

// content is rows by table and key, as text.
type content map[string]map[string]string

// ghosts are rows of one table that the replica alone has since a restore at a
// version.
type ghosts struct {
	since store.LSN
	keys  []store.Row
}

var lifeTables = []memory.Table{
	{Name: "link", Columns: []string{"v int null", "b nvarchar(9)", "a int", "note ntext null"}, Key: []string{"a", "b"}},
	{Name: "moment", Columns: []string{"id bigint", "at datetime null"}, Key: []string{"id"}},
	{Name: "log", Columns: []string{"n int not null", "line nvarchar(9) null"}}, // no key
}

func newLife(t *testing.T, st store.Store, seed uint64) *life {
	rnd := rand.New(rand.NewPCG(seed, 7))
	l := &life{t: t, rnd: rnd, db: memory.New(lifeTables...), store: st, delay: rnd.IntN(3), ghosts: map[string]ghosts{}}
	l.customer = cycle.NewCustomer(ContextID, l.db)
	for range 30 {
		l.write()
	}
	l.replica = cycle.NewReplica(l.customer, flakyStore{Store: st, rnd: rnd}, &cycle.ReplicaOptions{
		Delay: l.delay, SnapshotRows: 1 + rnd.IntN(9), TransactionEvents: 1 + rnd.IntN(9), Partitions: 1 + rnd.IntN(3),
		KeepCase: rnd.IntN(2) == 0,
	})
	require.NoError(t, retry(func() error { return l.replica.Provision(t.Context()) }))
	return l
}

// flakyStore rolls back some of its Updates, and loses the outcome of others.
type flakyStore struct {
	store.Store
	rnd *rand.Rand
}

var errFlaky = errors.New("the connection was lost")

func (f flakyStore) Update(ctx context.Context, fn func(store.Tx) error) error {
	fate := f.rnd.IntN(30)
	err := f.Store.Update(ctx, func(tx store.Tx) error {
		if err := fn(tx); err != nil || fate != 0 {
			return err
		}
		return errFlaky
	})
	if err == nil && fate == 1 {
		return fmt.Errorf("%w: %w", store.ErrOutcomeUnknown, errFlaky)
	}
	return err
}

// Identity tells the client where tables go.
func (f flakyStore) Identity(ctx context.Context) (store.Identity, error) {
	return store.IdentityOf(ctx, f.Store)
}

// retry calls f until the store is not flaky.
func retry(f func() error) error {
	for {
		if err := f(); !errors.Is(err, errFlaky) {
			return err
		}
	}
}

// write changes the customer.
func (l *life) write() {
	l.t.Helper()
	ctx, rnd := l.t.Context(), l.rnd
	link, moment, log := Definition(l.t, l.db, "link"), Definition(l.t, l.db, "moment"), Definition(l.t, l.db, "log")
	key := func() []store.Cell {
		return []store.Cell{{Column: "a", Value: rnd.IntN(5)}, {Column: "b", Value: string(rune('a' + rnd.IntN(5)))}}
	}
	undone := errors.New("undone")
	err := l.customer.Update(ctx, func(tx store.Tx) error {
		for range 1 + rnd.IntN(3) {
			var err error
			var n int64
			k := key()
			switch rnd.IntN(24) {
			case 0:
				err = tx.Truncate(ctx, link)
			case 1:
				_, err = tx.Delete(ctx, link, k[:1])
			case 2: // move a row to another key
				to := key()
				if _, err = tx.Delete(ctx, link, to); err == nil {
					_, err = tx.Set(ctx, link, k, to)
				}
			case 3:
				err = tx.Insert(ctx, log, log.ColumnNames(), []store.Row{{rnd.IntN(5), "x"}})
			case 4:
				_, err = tx.Delete(ctx, log, []store.Cell{{Column: "n", Value: rnd.IntN(5)}})
			case 5, 6, 7, 8:
				id := []store.Cell{{Column: "id", Value: rnd.IntN(20)}}
				if n, err = tx.Delete(ctx, moment, id); err == nil && n == 0 {
					err = tx.Insert(ctx, moment, []string{"id", "at"}, []store.Row{{id[0].Value, day.Add(time.Duration(rnd.IntN(9)) * time.Hour)}})
				}
			case 9, 10, 11:
				_, err = tx.Delete(ctx, link, k)
			default:
				set := []store.Cell{{Column: "v", Value: rnd.IntN(9)}, {Column: "note", Value: fmt.Sprint("note ", rnd.IntN(9))}}
				if n, err = tx.Set(ctx, link, k, set); err == nil && n == 0 {
					err = tx.Insert(ctx, link, []string{"a", "b", "v", "note"}, []store.Row{{k[0].Value, k[1].Value, set[0].Value, nil}})
				}
			}
			if err != nil {
				return err
			}
		}
		if rnd.IntN(6) == 0 {
			return undone
		}
		return nil
	})
	require.True(l.t, err == nil || errors.Is(err, undone), err)
}

// happen plays one thing.
func (l *life) happen() {
	l.t.Helper()
	ctx := l.t.Context()
	switch n := l.rnd.IntN(40); {
	case n == 0:
		l.calm = false
		require.NoError(l.t, retry(func() error { return l.replica.Resync(ctx, "crm7.link", "crm7.LOG") }))
		delete(l.ghosts, "link")
		delete(l.ghosts, "log")
	case n == 1:
		l.restore()
	case n < 6:
		l.replica.FailAfterRows(l.rnd.IntN(12))
		l.step()
	case n < 10:
		l.catchUp()
	default:
		l.step()
	}
}

// restore remembers which rows the replica keeps although the customer lost them.
func (l *life) restore() {
	l.t.Helper()
	l.calm = false
	require.NoError(l.t, retry(func() error { return l.replica.RestoreTenant(l.t.Context()) }))
	version, err := l.customer.Version(l.t.Context())
	require.NoError(l.t, err)
	_, have := l.read(l.store)
	there, _ := l.read(l.customer)
	for table, keys := range have {
		g := ghosts{since: version}
		for _, key := range keys {
			if _, ok := there[table][fmt.Sprint(key)]; !ok {
				g.keys = append(g.keys, key)
			}
		}
		l.ghosts[table] = g
	}
}

// surviving returns the ghosts whose keys the customer did not use again.
func (l *life) surviving(table string) []store.Row {
	l.t.Helper()
	ctx, g := l.t.Context(), l.ghosts[table]
	def := Definition(l.t, l.db, table)
	def.Key = lifeKey(table)
	oldest, err := l.customer.MinValidVersion(ctx, def)
	require.NoError(l.t, err)
	if len(g.keys) == 0 || oldest > g.since { // truncated, or without a key: it came whole
		return nil
	}
	changed, err := l.customer.Changed(ctx, def, g.since, g.keys)
	require.NoError(l.t, err)
	var keys []store.Row
	for i, key := range g.keys {
		if !changed[i] {
			keys = append(keys, key)
		}
	}
	return keys
}

func (l *life) step() {
	l.t.Helper()
	now, _ := l.read(l.customer)
	if err := l.replica.Step(l.t.Context()); err != nil {
		require.True(l.t, errors.Is(err, cycle.ErrInterrupted) || errors.Is(err, errFlaky), err)
		l.crashes++
		l.calm = false
		return
	}
	l.past = append(l.past, now)
	if !l.calm {
		return
	}
	want := l.base
	if n := len(l.past) - l.delay; n > 0 {
		want = l.past[n-1]
	}
	have, _ := l.read(l.store)
	require.Equal(l.t, want, have, "the customer %d Steps ago", l.delay)
	l.delayed++
}

// catchUp demands that all has arrived.
func (l *life) catchUp() {
	l.t.Helper()
	for {
		err := l.replica.CatchUp(l.t.Context())
		if err == nil {
			break
		}
		require.True(l.t, errors.Is(err, cycle.ErrInterrupted) || errors.Is(err, errFlaky), err)
		l.crashes++
	}
	want, _ := l.read(l.customer)
	have, _ := l.read(l.store)
	l.base, l.past, l.calm = want, nil, true
	for table := range l.ghosts {
		for _, key := range l.surviving(table) {
			key := fmt.Sprint(key)
			require.Contains(l.t, have[table], key)
			require.NotContains(l.t, want[table], key)
			delete(have[table], key)
			l.ghostsSeen++
			l.calm = false // Steps are compared without ghosts
		}
	}
	require.Equal(l.t, want, have)
}

func lifeKey(table string) []string {
	for _, lit := range lifeTables {
		if lit.Name == table && lit.Key != nil {
			return lit.Key
		}
	}
	return []string{"n"}
}

// read returns the rows of all tables, and their keys.
func (l *life) read(src store.Source) (content, map[string][]store.Row) {
	l.t.Helper()
	all, keys := content{}, map[string][]store.Row{}
	for _, lit := range lifeTables {
		def := Definition(l.t, l.db, lit.Name)
		names := slices.Concat(lifeKey(lit.Name), def.ColumnNames())
		if src == l.store {
			var ok bool
			def, ok = l.replica.Table(lit.Name)
			require.True(l.t, ok)
			for i, name := range names {
				c, ok := def.Column(name)
				require.True(l.t, ok, "%s.%s", def, name)
				names[i] = c.Name
			}
		}
		n := len(lifeKey(lit.Name))
		rows := map[string]string{}
		for batch, err := range src.Rows(l.t.Context(), store.Query{Table: def, Columns: names, Key: names[:n]}) {
			require.NoError(l.t, err)
			for _, row := range batch {
				rows[fmt.Sprint(row[:n])] = fmt.Sprint(row[n:])
				keys[lit.Name] = append(keys[lit.Name], row[:n].Clone())
			}
		}
		all[lit.Name] = rows
	}
	return all, keys
}
