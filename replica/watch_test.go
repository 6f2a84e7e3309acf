package replica_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/replica"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/cycle"
	"github.com/so-mirror/mirror/store/memory"
)

// resyncing is a customer, its replica with a ghost in each table, and the client,
// which plays a Step each time that a minute is over while it runs.
type resyncing struct {
	t        *testing.T
	db       *memory.Store
	customer *cycle.Customer
	store    store.Store // of the replica
	client   *cycle.Replica
	clock    *clock
	start    time.Time
	runs     bool
	after    map[int]func() // what happens at a minute
	states   map[string][]replica.WatchState
	reports  []*replica.WatchReport
}

var resync = resyncOf("crm7.contact", "crm7.empty")

func newResyncing(t *testing.T, open func(*testing.T) store.Store) *resyncing {
	t.Helper()
	var rows []store.Row
	for n := range 20 {
		rows = append(rows, store.Row{n + 1, fmt.Sprint("company ", n), "long", at(n), 1})
	}
	r := &resyncing{t: t, runs: true, after: map[int]func(){}, states: map[string][]replica.WatchState{}}
	r.db = memory.New(contact(rows...), memory.Table{Name: "empty", Columns: []string{"id int"}, Key: []string{"id"}})
	r.customer = cycle.NewCustomer("Cust6647", r.db)
	r.store = open(t)
	r.client = cycle.NewReplica(r.customer, r.store, &cycle.ReplicaOptions{SnapshotRows: 5})
	require.NoError(t, r.client.Provision(t.Context()))
	require.NoError(t, r.client.CatchUp(t.Context()))
	r.insert("contact", []string{"CONTACT_ID", "NAME"}, store.Row{99, "ghost"})
	r.insert("empty", []string{"ID"}, store.Row{99})
	minute := 0
	r.clock = newClock(func(now time.Time) {
		for ; now.Sub(r.start) >= time.Duration(minute+1)*time.Minute; minute++ {
			if r.runs {
				if err := r.client.Step(t.Context()); err != nil {
					require.ErrorIs(t, err, cycle.ErrInterrupted)
				}
			}
			if f := r.after[minute+1]; f != nil {
				f()
			}
		}
	})
	r.start = r.clock.now
	return r
}

// insert adds a row behind the client's back.
func (r *resyncing) insert(table string, columns []string, row store.Row) {
	r.t.Helper()
	def, ok := r.client.Table(table)
	require.True(r.t, ok)
	require.NoError(r.t, r.store.Update(r.t.Context(), func(tx store.Tx) error {
		return tx.Insert(r.t.Context(), def, columns, []store.Row{row})
	}))
}

// request asks the client over HTTP.
func (r *resyncing) request() {
	r.t.Helper()
	server := httptest.NewServer(r.client.Handler(token))
	defer server.Close()
	q := replica.Request{BaseURL: server.URL, Token: token, Client: server.Client()}
	require.NoError(r.t, q.Resync(r.t.Context(), resync))
}

func (r *resyncing) watch(ctx context.Context, reference, rep store.Source, o *replica.WatchOptions) (*replica.WatchReport, error) {
	if o == nil {
		o = &replica.WatchOptions{}
	}
	if o.Check == nil {
		o.Check = &replica.Options{}
	}
	o.Check.Clock = r.clock
	o.Progress = func(report *replica.WatchReport) {
		r.reports = append(r.reports, report)
		for _, t := range report.Tables {
			if n := len(r.states[t.Table]); n == 0 || r.states[t.Table][n-1] != t.State {
				r.states[t.Table] = append(r.states[t.Table], t.State)
			}
		}
	}
	return replica.Watch(ctx, reference, rep, resync, o)
}

var filled = []replica.WatchState{replica.WatchEmpty, replica.WatchFilling, replica.WatchFull, replica.WatchEqual}

// Each table is seen to go empty, to fill and to become equal.
func TestWatch(t *testing.T) {
	for engine, open := range engines {
		t.Run(engine, func(t *testing.T) {
			r := newResyncing(t, open)
			r.request()
			report, err := r.watch(t.Context(), r.customer, r.store, nil)
			require.NoError(t, err)
			require.True(t, report.Equal(), report)
			require.Equal(t, filled, r.states["contact"])
			require.Equal(t, []replica.WatchState{replica.WatchEmpty, replica.WatchFull, replica.WatchEqual}, r.states["empty"])
			require.Equal(t, "it was seen empty", report.Tables[0].Proof)
			require.EqualValues(t, 20, report.Tables[0].Rows)
			require.EqualValues(t, 20, report.Tables[0].Expected)
			require.Equal(t, "cust6647", report.ContextID)
			require.Equal(t, replica.Go, report.Check.Decision)
			require.Len(t, report.Check.Tables, 2)
			require.Contains(t, report.String(), "contact  equal    20")

			var again replica.WatchReport
			require.NoError(t, json.Unmarshal([]byte(asJSON(t, r.reports[3])), &again))
			require.Equal(t, *r.reports[3], again)
		})
	}
}

// Numbers of rows, minute by minute, and what they are taken for.
func TestWatchCounts(t *testing.T) {
	const requested, empty, filling, full = replica.WatchRequested, replica.WatchEmpty, replica.WatchFilling, replica.WatchFull
	count := func(from, by, n int) (counts []int) {
		for i := range n {
			counts = append(counts, from+i*by)
		}
		return counts
	}
	for name, tc := range map[string]struct {
		replica, reference []int // the last number stays
		opts               replica.WatchOptions
		states             []replica.WatchState
		left               []int // minutes
		minutes            int   // until the check
		overdue            bool
	}{
		"it fills":                    {[]int{100, 0, 50, 75, 100}, []int{100}, replica.WatchOptions{}, []replica.WatchState{requested, empty, filling, full}, []int{1, 1}, 4, false},
		"it is seen half full":        {[]int{900, 400, 500, 600, 1000}, []int{1000}, replica.WatchOptions{}, []replica.WatchState{requested, filling, full}, []int{5, 4}, 4, false},
		"it shrinks by deletes":       {[]int{900, 500}, []int{1000}, replica.WatchOptions{}, []replica.WatchState{requested}, nil, 30, true},
		"it is truncated again":       {[]int{1000, 0, 500, 800, 300, 1000}, []int{1000}, replica.WatchOptions{}, []replica.WatchState{requested, empty, filling, full}, []int{1, 1}, 5, false},
		"it is emptied when full":     {[]int{0, 1000, 500, 0, 1000}, []int{1000}, replica.WatchOptions{Poll: time.Minute}, []replica.WatchState{empty, full}, nil, 1, false},
		"the reference grows":         {[]int{0, 500, 1000, 1500, 2000}, []int{1000, 1000, 2000}, replica.WatchOptions{}, []replica.WatchState{empty, filling, full}, []int{1, 2, 1}, 4, false},
		"the reference shrinks":       {[]int{0, 500, 600}, []int{1000, 1000, 600}, replica.WatchOptions{}, []replica.WatchState{empty, filling, full}, []int{1, 1}, 3, false},
		"the reference has more":      {[]int{0, 500, 995}, []int{1000}, replica.WatchOptions{}, []replica.WatchState{empty, filling, full}, []int{1, 0, 0}, 4, false},
		"the reference has much more": {[]int{0, 500, 900}, []int{1000}, replica.WatchOptions{Stall: 5 * time.Minute}, []replica.WatchState{empty, filling}, nil, 7, true},
		"it is slow":                  {count(0, 10, 101), []int{1000}, replica.WatchOptions{Stall: 3 * time.Minute}, []replica.WatchState{empty, filling, full}, nil, 100, false},
		"it is too slow":              {count(0, 10, 101), []int{1000}, replica.WatchOptions{Limit: 90 * time.Minute}, []replica.WatchState{empty, filling}, nil, 90, true},
	} {
		t.Run(name, func(t *testing.T) {
			rows := func(mt memory.Table, column string, counts []int, minute int) memory.Table {
				mt.Columns, mt.Key = []string{column + " int"}, []string{column}
				for n := range counts[min(minute, len(counts)-1)] {
					mt.Rows = append(mt.Rows, store.Row{n - 100}) // a resynchronized table has other rows than before
				}
				if minute == 0 && len(mt.Rows) > 0 {
					mt.Rows[0] = store.Row{-101}
				}
				return mt
			}
			reference := memory.New(rows(memory.Table{Name: "contact"}, "id", tc.reference, 0))
			rep := memory.New(rows(memory.Table{Name: "CONTACT"}, "ID", tc.replica, 0), state("cust6647-cdc:0:1"))
			require.NoError(t, reference.Seed(rows(memory.Table{Name: "contact"}, "id", tc.reference, 1)))
			c := newClock(nil)
			start, checked := c.now, -1
			c.sleep = func(now time.Time) {
				minute := int(now.Sub(start) / time.Minute)
				require.NoError(t, reference.Seed(rows(memory.Table{Name: "contact"}, "id", tc.reference, minute)))
				require.NoError(t, rep.Seed(rows(memory.Table{Name: "CONTACT"}, "ID", tc.replica, minute)))
			}
			var states []replica.WatchState
			var left []int
			o := tc.opts
			o.Poll, o.Check = time.Minute, &replica.Options{Clock: c, MaxWait: -1}
			o.Progress = func(r *replica.WatchReport) {
				if r.Check != nil {
					return
				}
				checked = int(c.now.Sub(start) / time.Minute)
				if s := r.Tables[0].State; len(states) == 0 || states[len(states)-1] != s {
					states = append(states, s)
				}
				if d := r.Tables[0].Remaining; d > 0 {
					left = append(left, int(d.Round(time.Minute)/time.Minute))
				}
			}
			report, err := replica.Watch(t.Context(), reference, rep, resyncOf("crm7.contact"), &o)
			require.Equal(t, tc.overdue, errors.Is(err, replica.ErrOverdue), err)
			require.Equal(t, tc.states, states)
			require.Equal(t, tc.minutes, checked)
			if tc.left != nil {
				require.Equal(t, tc.left, left)
			}
			if !tc.overdue {
				require.NoError(t, err)
				require.NotNil(t, report.Check)
			}
		})
	}
}

// The time that is left is estimated by the rows that came: 5 a minute.
func TestWatchEstimates(t *testing.T) {
	r := newResyncing(t, engines["memory"])
	r.request()
	_, err := r.watch(t.Context(), r.customer, r.store, nil)
	require.NoError(t, err)
	var left []time.Duration
	for _, report := range r.reports {
		if d := report.Tables[0].Remaining; report.Tables[0].Rows == 10 && report.Time.Sub(r.start)%time.Minute == 0 {
			left = append(left, d)
			require.Contains(t, report.String(), "about 2m0s left")
		}
	}
	require.Equal(t, []time.Duration{2 * time.Minute}, left)
}

// What the client does, and what comes of it.
func TestWatchTheClient(t *testing.T) {
	requested := []replica.WatchState{replica.WatchRequested}
	for name, tc := range map[string]struct {
		do    func(r *resyncing)
		opts  replica.WatchOptions
		want  []replica.WatchState // of contact
		equal bool
		proof string
		err   error
	}{
		"it begins late":  {do: func(r *resyncing) { r.after[10] = r.request }, want: append(requested, filled...), equal: true, proof: "it was seen empty"},
		"it never begins": {do: func(*resyncing) {}, want: requested, err: replica.ErrOverdue},
		"it never begins, and the numbers of rows are alike": {do: func(r *resyncing) {
			def, _ := r.client.Table("contact")
			require.NoError(r.t, r.store.Update(r.t.Context(), func(tx store.Tx) error {
				_, err := tx.Delete(r.t.Context(), def, []store.Cell{{Column: "CONTACT_ID", Value: 1}})
				return err
			}))
		}, want: requested, err: replica.ErrOverdue},
		"it never begins, and the replica goes on": {do: func(r *resyncing) {
			for minute := 1; minute < 60; minute++ {
				r.after[minute] = func() { r.write(1000 + minute) }
			}
		}, opts: replica.WatchOptions{Limit: 50 * time.Minute}, want: requested, err: replica.ErrOverdue},
		"it is done between two looks": {do: func(r *resyncing) {
			r.after[1] = func() { r.request(); require.NoError(r.t, r.client.CatchUp(r.t.Context())) }
		}, want: []replica.WatchState{replica.WatchRequested, replica.WatchFull, replica.WatchEqual}, equal: true, proof: "its rows are those of the reference"},
		"it was done before": {do: func(r *resyncing) { r.request(); require.NoError(r.t, r.client.CatchUp(r.t.Context())) },
			want: []replica.WatchState{replica.WatchFull, replica.WatchEqual}, equal: true, proof: "its rows are those of the reference"},
		"it is seen with fewer rows": {do: func(r *resyncing) {
			r.after[1] = func() { r.request(); require.NoError(r.t, r.client.Step(r.t.Context())) }
		}, opts: replica.WatchOptions{Poll: time.Minute}, want: []replica.WatchState{replica.WatchRequested, replica.WatchFilling, replica.WatchFull, replica.WatchEqual},
			equal: true, proof: "it was seen with much fewer rows"},
		"it crashes in the middle, and goes on": {do: func(r *resyncing) {
			r.request()
			r.client.FailAfterRows(3)
			r.after[2] = func() { r.runs = false }
			r.after[20] = func() { r.runs = true }
		}, want: filled, equal: true, proof: "it was seen empty"},
		"it crashes in the middle": {do: func(r *resyncing) {
			r.request()
			r.after[3] = func() { r.runs = false }
		}, want: []replica.WatchState{replica.WatchEmpty, replica.WatchFilling}, err: replica.ErrOverdue},
		"it begins anew in the middle": {do: func(r *resyncing) {
			r.request()
			r.after[3] = r.request
		}, opts: replica.WatchOptions{Poll: 10 * time.Second}, want: append([]replica.WatchState{replica.WatchEmpty, replica.WatchFilling}, filled...),
			equal: true},
		"a row is wrong at the end": {do: func(r *resyncing) {
			r.request()
			r.after[4] = func() { r.insert("contact", []string{"CONTACT_ID", "NAME"}, store.Row{98, "ghost"}) }
		}, opts: replica.WatchOptions{}, want: filled[:3]},
	} {
		for engine, open := range engines {
			t.Run(name+"/"+engine, func(t *testing.T) {
				r := newResyncing(t, open)
				tc.do(r)
				opts := tc.opts
				report, err := r.watch(t.Context(), r.customer, r.store, &opts)
				if tc.err == nil {
					require.NoError(t, err)
				} else {
					require.ErrorIs(t, err, tc.err)
					var e *mirror.Error
					require.ErrorAs(t, err, &e)
					require.Equal(t, "contact", e.Tables[0].Table)
				}
				require.Equal(t, tc.want, slices.Compact(r.states["contact"]), report)
				require.Equal(t, tc.equal, report.Equal())
				if tc.proof != "" {
					require.Equal(t, tc.proof, report.Tables[0].Proof)
				}
			})
		}
	}
}

// write has the customer get a company.
func (r *resyncing) write(id int) {
	r.t.Helper()
	def, _, _ := r.db.Table("contact")
	require.NoError(r.t, r.customer.Update(r.t.Context(), func(tx store.Tx) error {
		return tx.Insert(r.t.Context(), def, []string{"contact_id", "name", "updated"}, []store.Row{{id, "new", at(1)}})
	}))
}

// A client that never began leaves what the check finds: the ghosts.
func TestWatchSaysWhatIsWrong(t *testing.T) {
	r := newResyncing(t, engines["memory"])
	report, err := r.watch(t.Context(), r.customer, r.store, nil)
	require.ErrorIs(t, err, replica.ErrOverdue)
	require.ErrorContains(t, err, "did the client get the request?")
	require.ErrorContains(t, err, "is the client running?")
	require.Equal(t, replica.NoGo, report.Check.Decision)
	require.Equal(t, replica.Ghosts, report.Tables[0].Verdict)
	require.Contains(t, report.String(), "ghosts: 1 row that only the replica has")
}

// A table that was not seen to be emptied is compared ever more seldom: 180 looks in
// half an hour, and few of them read the rows.
func TestWatchComparesSeldom(t *testing.T) {
	row := store.Row{1, "Alfa", "long", at(1), 1}
	reference := memory.New(contact(row))
	wrong := slices.Clone(row)
	wrong[1] = "Beta"
	_, err := replica.Watch(t.Context(), reference, memory.New(replicated(wrong), state("cust6647-cdc:0:1")), resyncOf("crm7.contact"),
		&replica.WatchOptions{Check: &replica.Options{Clock: newClock(nil), MaxWait: -1}})
	require.ErrorIs(t, err, replica.ErrOverdue)
	read := 0
	for _, call := range reference.Calls() {
		if call.Method == memory.Rows {
			read++
		}
	}
	require.Less(t, read, 12)
}

func resyncOf(tables ...string) *replica.Resync { return replica.NewResync("Cust6647", tables) }

// A call that fails in passing is made again, another ends the watch, and neither
// makes tables equal.
func TestWatchFailures(t *testing.T) {
	boom := errors.New("boom")
	for _, method := range []memory.Method{memory.Tables, memory.Count, memory.Rows} {
		for _, side := range []string{"reference", "replica"} {
			for call := 1; call < 40; call++ {
				for _, err := range []error{boom, store.ErrConnection, store.ErrTableNotFound} {
					r := newResyncing(t, engines["memory"])
					r.request()
					reference, rep := store.Source(r.customer), store.Source(r.store)
					if side == "reference" {
						reference = &faulty{Source: reference, method: method, n: int64(call), err: err}
					} else {
						rep = &faulty{Source: rep, method: method, n: int64(call), err: err}
					}
					report, got := r.watch(t.Context(), reference, rep, nil)
					name := fmt.Sprintf("%s of the %s, call %d: %v", method, side, call, err)
					switch {
					case got != nil:
						require.NotErrorIs(t, got, store.ErrConnection, name)
						require.ErrorIs(t, got, err, name)
						if report != nil {
							require.False(t, report.Equal(), name)
						}
					case report.Equal():
						require.Equal(t, filled, slices.DeleteFunc(r.states["contact"], func(s replica.WatchState) bool { return s == replica.WatchRequested }), name)
					default:
						require.NotErrorIs(t, err, store.ErrConnection, name)
						require.NotEqual(t, replica.Go, report.Check.Decision, name)
					}
				}
			}
		}
	}
}

// A replica that cannot be reached is overdue in the end, and says why.
func TestWatchIsLost(t *testing.T) {
	r := newResyncing(t, engines["memory"])
	lost := r.store.(*memory.Store)
	for call := 1; call < 400; call++ {
		lost.FailAt(memory.Tables, call, store.ErrConnection)
	}
	report, err := r.watch(t.Context(), r.customer, r.store, nil)
	require.ErrorIs(t, err, replica.ErrOverdue)
	require.ErrorIs(t, err, store.ErrConnection)
	require.ErrorContains(t, err, "could not be looked at")
	require.Len(t, report.Tables, 2)
}

// A table that is dropped and created anew is found again.
func TestWatchATableThatIsDropped(t *testing.T) {
	r := newResyncing(t, engines["memory"])
	def, _ := r.client.Table("contact")
	r.after[1] = func() {
		require.NoError(t, r.store.Update(t.Context(), func(tx store.Tx) error { return tx.Drop(t.Context(), def) }))
		r.runs = false
	}
	r.after[5] = func() {
		r.runs = true
		r.client = cycle.NewReplica(r.customer, r.store, &cycle.ReplicaOptions{SnapshotRows: 5, KeepCase: true})
		require.NoError(t, r.client.Provision(t.Context()))
		require.NoError(t, r.client.Resync(t.Context(), resync.Tables...))
	}
	report, err := r.watch(t.Context(), r.customer, r.store, nil)
	require.NoError(t, err)
	require.True(t, report.Equal(), report)
	require.Equal(t, append([]replica.WatchState{replica.WatchRequested}, filled...), r.states["contact"])
}

func TestWatchWhenDone(t *testing.T) {
	for _, minute := range []int{0, 1, 3, 8} {
		r := newResyncing(t, engines["memory"])
		r.request()
		ctx, cancel := context.WithCancel(t.Context())
		if minute == 0 {
			cancel()
		}
		r.after[minute] = cancel
		report, err := r.watch(ctx, r.customer, r.store, nil)
		cancel()
		if minute == 8 && err == nil {
			continue // it was over by then
		}
		require.Equal(t, context.Canceled, err)
		require.Len(t, report.Tables, 2)
		require.False(t, report.Equal())
	}
}

// What cannot be watched is refused at once.
func TestWatchRefuses(t *testing.T) {
	r := newResyncing(t, engines["memory"])
	o := func(o replica.WatchOptions) *replica.WatchOptions {
		if o.Check == nil {
			o.Check = &replica.Options{Clock: r.clock}
		}
		return &o
	}
	for name, tc := range map[string]struct {
		reference store.Source
		r         *replica.Resync
		o         *replica.WatchOptions
		err       error
		says      string
	}{
		"nothing":                        {r.customer, nil, nil, mirror.ErrNoTables, "pass what was requested"},
		"no tables":                      {r.customer, &replica.Resync{}, nil, mirror.ErrNoTables, "pass what was requested"},
		"an unknown table":               {r.customer, replica.NewResync("", []string{"crm7.contatc"}), nil, store.ErrTableNotFound, "contatc"},
		"a negative option":              {r.customer, resync, o(replica.WatchOptions{Poll: -1}), nil, "cannot be negative"},
		"a negative option of the check": {r.customer, resync, o(replica.WatchOptions{Check: &replica.Options{Interval: -1}}), nil, "cannot be negative"},
		"a skipped table":                {r.customer, resync, o(replica.WatchOptions{Check: &replica.Options{SkipTables: []string{"contact"}}}), nil, "it is not checked: skipped"},
		"the same database":              {r.store, resync, nil, mirror.ErrWrongDatabase, "the same database"},
		"no reference":                   {nil, resync, nil, nil, "a source is nil"},
	} {
		t.Run(name, func(t *testing.T) {
			report, err := replica.Watch(t.Context(), tc.reference, r.store, tc.r, tc.o)
			require.ErrorContains(t, err, tc.says)
			if tc.err != nil {
				require.ErrorIs(t, err, tc.err)
			}
			require.Nil(t, report)
		})
	}
}
