package mirrortest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/so-mirror/mirror/internal/superoffice"
	"github.com/so-mirror/mirror/replica"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/cycle"
	"github.com/so-mirror/mirror/store/memory"
)

// ReplicaChecks holds replica.Check to what the two sides are: an old mirror that
// cycles fill, and a replica that the newer client fills, damaged in each way.
// Counts are held against those of brute force.
func ReplicaChecks(t *testing.T, open Open) {
	for _, s := range checkScenarios() {
		t.Run(s.name, func(t *testing.T) {
			ignore := goleak.IgnoreCurrent()
			pools := goleak.IgnoreTopFunction("database/sql.(*DB).connectionOpener")
			t.Cleanup(func() { goleak.VerifyNone(t, ignore, pools) })
			newTwins(t, open, s).run(s)
		})
	}
}

// checkScenario is one check of a customer's mirror beside a replica.
type checkScenario struct {
	name   string
	client cycle.ReplicaOptions
	opts   replica.Options

	// before happens after both sides were filled, and during while the check
	// waits, by the minute.
	before func(w *twins)
	during map[int]func(w *twins)

	// Cycles end every 20 minutes and the client writes every minute, unless they
	// stopped. A cycle sends the table pulse, and contact unless that is quiet.
	noCycles, noSteps, quiet bool

	customer bool // the reference is the customer's database

	// want are the tables that are not replica.Equal, and counts of rows in them.
	want     map[string]replica.TableReport
	decision replica.Decision
	reason   string // is part of one of the reasons, or of a table's
	moved    bool   // rows changed before the last reading: counts are those of want alone
}

// twins are a customer, the old mirror, and the new replica.
type twins struct {
	*testing.T
	db       *memory.Store
	customer *cycle.Customer
	mirror   store.Store
	task     *cycle.Task
	replica  store.Store
	client   *cycle.Replica
	clock    *Clockwork
	pulses   int
}

// twinTables are the customer's tables. The first two columns that stamp a row are
// those of SuperOffice's tables; person and link have none.
func twinTables() []memory.Table {
	contact := memory.Table{Name: "contact", Columns: []string{
		"contact_id int", "name nvarchar(219) null", "text ntext null", "body nvarchar(max) null", "data varbinary(max) null", "at datetime null",
		"updated datetime null", "updatedCount smallint null",
	}, Key: []string{"contact_id"}}
	person := memory.Table{Name: "person", Columns: []string{"person_id int", "lastname nvarchar(99) null", "rank float null"}, Key: []string{"person_id"}}
	link := memory.Table{Name: "link", Columns: []string{"note nvarchar(40) null", "b nvarchar(8)", "a int"}, Key: []string{"a", "b"}}
	log := memory.Table{Name: "log", Columns: []string{"n int not null", "line nvarchar(40) null"}}
	for i := range 12 {
		contact.Rows = append(contact.Rows, twinContact(i, 1))
		person.Rows = append(person.Rows, store.Row{i, fmt.Sprint("Ærlig ", i), float64(i) / 3})
		link.Rows = append(link.Rows, store.Row{fmt.Sprint("note ", i), fmt.Sprint("b", i%4), i / 4})
		log.Rows = append(log.Rows, store.Row{i, fmt.Sprint("line ", i)})
	}
	pulse := memory.Table{Name: "pulse", Columns: []string{"pulse_id int", "beat int"}, Key: []string{"pulse_id"}, Rows: []store.Row{{1, 0}}}
	bag := memory.Table{Name: "bag", Columns: []string{"v nvarchar(9)", "n int null"}, Rows: []store.Row{{"a", 1}, {"a", 1}, {"b", nil}}}
	return []memory.Table{bag, contact, person, link, log, pulse}
}

// twinContact is the row of a contact that was changed count times.
func twinContact(id, count int) store.Row {
	return store.Row{id, fmt.Sprint("Company ", id, " ", count), fmt.Sprint("text ", id, " ", count), fmt.Sprint("body ", id), []byte{byte(id), 0}, day,
		day.Add(time.Duration(count) * time.Second), count}
}

func newTwins(t *testing.T, open Open, s checkScenario) *twins {
	w := &twins{T: t, db: memory.New(twinTables()...), mirror: open(t), replica: open(t), clock: NewClockwork()}
	w.customer = cycle.NewCustomer(ContextID, w.db)
	w.task = &cycle.Task{Customer: w.customer, Mirror: w.mirror, BatchSize: 200}
	s.client.SkipTables = []string{"bag"} // to which the client would give a key
	w.client = cycle.NewReplica(w.customer, w.replica, &s.client)
	w.cycle()
	require.NoError(t, w.client.Provision(t.Context()))
	w.catchUp()
	bag := w.table(w.db, "bag")
	bag.Schema, bag.Name = superoffice.ReplicaSchema, "BAG"
	if other := w.table(w.replica, "person"); other.Schema != "" || !strings.Contains(other.Name, ".") {
		bag.Schema = other.Schema
	} else {
		bag.Schema, bag.Name = "", superoffice.ReplicaSchema+".BAG"
	}
	require.NoError(t, w.replica.Update(t.Context(), func(tx store.Tx) error { return tx.Create(t.Context(), bag) }))
	w.insert(w.replica, "bag", twinTables()[0].Rows...)
	return w
}

func (w *twins) cycle() {
	w.Helper()
	_, err := w.task.Run(w.Context())
	require.NoError(w, err)
}

// pulse is a cycle that sends one table.
func (w *twins) pulse() {
	w.Helper()
	w.beat(&checkScenario{quiet: true})
	w.cycle()
}

// interrupted is a cycle that stops behind the table contact.
func (w *twins) interrupted() {
	w.Helper()
	task := *w.task
	task.BatchSize, task.FailAfterBatches = 1<<20, 1
	w.beat(&checkScenario{})
	_, err := task.Run(w.Context())
	require.ErrorIs(w, err, cycle.ErrInterrupted)
}

func (w *twins) catchUp() {
	w.Helper()
	require.NoError(w, w.client.CatchUp(w.Context()))
}

// beat has the next cycle send something.
func (w *twins) beat(s *checkScenario) {
	w.Helper()
	w.pulses++
	w.set(w.customer, "pulse", cells("pulse_id", 1), cells("beat", w.pulses))
	if !s.quiet {
		w.set(w.customer, "contact", cells("contact_id", 11), cells("updatedCount", 100+w.pulses))
	}
}

// cells are names and values.
func cells(kv ...any) (cells []store.Cell) {
	for i := 0; i < len(kv); i += 2 {
		cells = append(cells, store.Cell{Column: kv[i].(string), Value: kv[i+1]})
	}
	return cells
}

// table finds a table of a side by the customer's name.
func (w *twins) table(src store.Source, name string) store.Table {
	w.Helper()
	tables, err := src.Tables(w.Context())
	require.NoError(w, err)
	for _, t := range tables {
		if store.FoldName(store.TrimPrefix(t.Name, []string{superoffice.ReplicaSchema + "."})) == store.FoldName(name) {
			return t
		}
	}
	require.Fail(w, "no table "+name)
	return store.Table{}
}

// spelled are cells with the column names of a table.
func (w *twins) spelled(t store.Table, cells []store.Cell) []store.Cell {
	w.Helper()
	own := slices.Clone(cells)
	for i := range own {
		c, ok := t.Column(own[i].Column)
		require.True(w, ok, "%s.%s", t, own[i].Column)
		own[i].Column = c.Name
	}
	return own
}

// set changes the rows of a side that have the values of where.
func (w *twins) set(st store.Store, name string, where, set []store.Cell) {
	w.Helper()
	t := w.table(st, name)
	require.NoError(w, st.Update(w.Context(), func(tx store.Tx) error {
		n, err := tx.Set(w.Context(), t, w.spelled(t, where), w.spelled(t, set))
		require.Positive(w, n)
		return err
	}))
}

func (w *twins) delete(st store.Store, name string, where ...any) {
	w.Helper()
	t := w.table(st, name)
	require.NoError(w, st.Update(w.Context(), func(tx store.Tx) error {
		n, err := tx.Delete(w.Context(), t, w.spelled(t, cells(where...)))
		require.Positive(w, n)
		return err
	}))
}

// insert adds rows in the order of the customer's columns.
func (w *twins) insert(st store.Store, name string, rows ...store.Row) {
	w.Helper()
	t := w.table(st, name)
	require.NoError(w, st.Update(w.Context(), func(tx store.Tx) error { return tx.Insert(w.Context(), t, t.ColumnNames()[:len(rows[0])], rows) }))
}

// setLSN sets the LSN of a table of the mirror, nil for NULL.
func (w *twins) setLSN(name string, lsn any) {
	w.Helper()
	w.set(w.mirror, superoffice.MetadataTable(ContextID), cells("tablename", name), cells("LSN", lsn))
}

// contact is twinContact written to a side.
func (w *twins) contact(st store.Store, id, count int) {
	w.Helper()
	names := w.table(w.db, "contact").ColumnNames()
	var set []store.Cell
	for i, v := range twinContact(id, count)[1:] {
		set = append(set, store.Cell{Column: names[i+1], Value: v})
	}
	w.set(st, "contact", cells("contact_id", id), set)
}

func (w *twins) run(s checkScenario) {
	if s.before != nil {
		s.before(w)
	}
	for minute := 1; minute <= 100; minute++ {
		at := time.Duration(minute)*time.Minute - time.Second
		if f := s.during[minute]; f != nil {
			w.clock.After(at-time.Second, func() { f(w) })
		}
		if minute%20 == 0 && !s.noCycles {
			w.clock.After(at-time.Second, func() {
				w.beat(&s)
				w.cycle()
			})
		}
		if !s.noSteps {
			w.clock.After(at, func() { require.NoError(w, w.client.Step(w.Context())) })
		}
	}
	reference := store.Source(w.mirror)
	if s.customer {
		reference = w.customer
	}
	found := w.bruteForce(reference, &s.opts)
	s.opts.Clock = w.clock
	report, err := replica.Check(w.Context(), reference, w.replica, &s.opts)
	require.NoError(w, err)
	w.judge(s, report, found)
}

// judge holds a report against the scenario and what brute force found.
func (w *twins) judge(s checkScenario, report *replica.Report, found map[string]map[replica.What]int64) {
	w.Helper()
	about := func() string {
		var b strings.Builder
		_ = report.WriteJSON(&b)
		return report.String() + b.String()
	}
	reasons := slices.Clone(report.Reasons)
	for _, tr := range report.Tables {
		want, ok := s.want[tr.Table]
		if !ok {
			want.Verdict = replica.Equal
		}
		require.Equal(w, want.Verdict, tr.Verdict, "%s: %s", tr.Table, about())
		got := [...]int64{tr.Lag, tr.OldStale, tr.NewStale, tr.Ghosts, tr.Conflicts, tr.Open}
		require.Equal(w, [...]int64{want.Lag, want.OldStale, want.NewStale, want.Ghosts, want.Conflicts, want.Open}, got, "%s: lag, old, new, ghosts, conflicts, open: %s", tr.Table, about())
		if len(found[tr.Table]) == 0 {
			found[tr.Table] = nil
		}
		if !s.moved {
			require.Equal(w, found[tr.Table], tr.Found, "%s: %s", tr.Table, about())
		}
		reasons = append(reasons, tr.Reason)
	}
	for name := range s.want {
		require.NotNil(w, report.Table(name), name)
	}
	require.Equal(w, s.decision, report.Decision, about())
	require.Contains(w, strings.Join(reasons, "\n"), s.reason, about())
	require.NotContains(w, about(), "simulated-token")
}

// bruteForce reads both sides and counts the rows that differ, by how.
func (w *twins) bruteForce(reference store.Source, opts *replica.Options) map[string]map[replica.What]int64 {
	w.Helper()
	all := map[string]map[replica.What]int64{}
	for _, lit := range twinTables() {
		key := lit.Key
		switch lit.Name {
		case "bag":
			all[lit.Name] = w.bruteForceBag(reference)
			continue
		case "log":
			key = []string{"n"}
		}
		left, right := w.read(reference, lit.Name, key), w.read(w.replica, lit.Name, key)
		found := map[replica.What]int64{}
		for k, row := range left {
			if its, ok := right[k]; !ok {
				found[replica.Missing]++
			} else if what := twinDifference(row, its); what != "" {
				found[afterBackup(its, opts, what)]++
			}
		}
		for k, its := range right {
			if _, ok := left[k]; !ok {
				found[afterBackup(its, opts, replica.Extra)]++
			}
		}
		all[lit.Name] = found
	}
	return all
}

// bruteForceBag is bruteForce of the table that neither side gives a key.
func (w *twins) bruteForceBag(reference store.Source) map[replica.What]int64 {
	w.Helper()
	count := map[string]int64{}
	for side, src := range []store.Source{reference, w.replica} {
		for batch, err := range src.Rows(w.Context(), store.Query{Table: w.table(src, "bag")}) {
			require.NoError(w, err)
			for _, row := range batch {
				count[fmt.Sprint(row)] += int64(1 - 2*side)
			}
		}
	}
	found := map[replica.What]int64{}
	for _, n := range count {
		if n > 0 {
			found[replica.Missing] += n
		} else if n < 0 {
			found[replica.Extra] -= n
		}
	}
	return found
}

// read returns the rows of a table by their keys, as maps of folded column names.
func (w *twins) read(src store.Source, name string, key []string) map[string]map[string]any {
	w.Helper()
	t := w.table(src, name)
	rows := map[string]map[string]any{}
	for batch, err := range src.Rows(w.Context(), store.Query{Table: t}) {
		require.NoError(w, err)
		for _, row := range batch {
			m := map[string]any{}
			for i, c := range t.Columns {
				v := any(row[i])
				if b, ok := v.([]byte); ok {
					v = "bytes " + string(b)
				}
				if at, ok := v.(time.Time); ok {
					v = at.UTC()
				}
				m[strings.ToLower(c.Name)] = v
			}
			k := ""
			for _, c := range key {
				k += fmt.Sprintf("%v|", m[c])
			}
			require.NotContains(w, rows, k)
			rows[k] = m
		}
	}
	return rows
}

func afterBackup(its map[string]any, opts *replica.Options, what replica.What) replica.What {
	if at, ok := its["updated"].(time.Time); ok && !opts.AsOf.IsZero() && !at.Before(opts.AsOf) {
		return replica.AfterBackup
	}
	return what
}

// twinDifference says how two rows of a key differ, "" when they do not.
func twinDifference(a, b map[string]any) replica.What {
	near := func(x, y any) bool {
		s, ok := x.(time.Time)
		t, also := y.(time.Time)
		return ok && also && s.Sub(t).Abs() < 5*time.Millisecond
	}
	if s, ok := a["updated"].(time.Time); ok {
		if t, ok := b["updated"].(time.Time); ok && !near(s, t) {
			return map[int]replica.What{-1: replica.Newer, 1: replica.Older}[s.Compare(t)]
		}
	}
	if s, ok := a["updatedcount"].(int64); ok {
		if t, ok := b["updatedcount"].(int64); ok && s != t {
			return map[int]replica.What{-1: replica.Newer, 1: replica.Older}[cmp.Compare(s, t)]
		}
	}
	grave := []replica.What{"", replica.Rounded, replica.Placeholder, replica.LargeNull, replica.Changed}
	worst := 0
	for _, c := range slices.Sorted(maps.Keys(a)) {
		large := c == "text" || c == "body" || c == "data"
		x, y := a[c], b[c]
		what := replica.Changed
		switch {
		case x == y:
			what = ""
		case large && y == nil:
			what = replica.LargeNull
		case large && strings.HasSuffix(fmt.Sprint(y), superoffice.Unavailable):
			what = replica.Placeholder
		case near(x, y):
			what = replica.Rounded
		}
		worst = max(worst, slices.Index(grave, what))
	}
	return grave[worst]
}
