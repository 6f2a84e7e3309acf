package replica_test

import (
	"context"
	"errors"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/replica"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is a clock that sleeping moves, and that has things happen meanwhile.
type clock struct {
	now   time.Time
	sleep func(now time.Time)
}

func newClock(during func(time.Time)) *clock {
	return &clock{now: time.Date(2026, 2, 3, 12, 0, 0, 0, time.UTC), sleep: during}
}

func (c *clock) Now() time.Time { return c.now }

func (c *clock) Sleep(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c.now = c.now.Add(d)
	if c.sleep != nil {
		c.sleep(c.now)
	}
	return nil
}

var columns = []string{"contact_id int", "name nvarchar(219) null", "text ntext null", "updated datetime null", "updatedCount smallint null"}

func at(minute int) time.Time { return time.Date(2026, 2, 3, 11, minute, 0, 0, time.UTC) }

func contact(rows ...store.Row) memory.Table {
	return memory.Table{Name: "contact", Columns: columns, Key: []string{"contact_id"}, Rows: rows}
}

// replicated is the table as the newer client makes it.
func replicated(rows ...store.Row) memory.Table {
	return memory.Table{Schema: "crm7", Name: "CONTACT", Columns: []string{
		"CONTACT_ID int", "NAME nvarchar(219) null", "TEXT nvarchar(max) null", "UPDATED datetime null", "UPDATEDCOUNT smallint null",
	}, Key: []string{"CONTACT_ID"}, Rows: rows}
}

func state(offset string) memory.Table {
	return memory.Table{Schema: "crm7", Name: "_ReplicationState", Columns: []string{"id int", "session nvarchar(99)", "accessToken nvarchar(99)", "topicOffset nvarchar(99)"},
		Key: []string{"id"}, Rows: []store.Row{{1, "s-1", "SECRET", offset}}}
}

func metadataTable(lsn int) memory.Table {
	return memory.Table{Name: "Cust6647_mirroring", Columns: []string{"tablename nvarchar(128)", "LSN bigint"}, Key: []string{"tablename"},
		Rows: []store.Row{{"contact", lsn}}}
}

// Each class of a row against a customer's database, whose rows are there at once.
func TestClasses(t *testing.T) {
	good := func(n int) store.Row { return store.Row{n, "Alfa", "long", at(n), 1} }
	with := func(n, column int, v any) store.Row {
		row := good(n)
		row[column] = v
		return row
	}
	for name, tc := range map[string]struct {
		reference, replica []store.Row
		opts               replica.Options
		found              map[replica.What]int64
		verdict            replica.Verdict
		decision           replica.Decision
	}{
		"equal":       {[]store.Row{good(1)}, []store.Row{good(1)}, replica.Options{}, nil, replica.Equal, replica.Go},
		"missing":     {[]store.Row{good(1), good(2)}, []store.Row{good(1)}, replica.Options{}, map[replica.What]int64{replica.Missing: 1}, replica.NewStale, replica.NoGo},
		"ghost":       {[]store.Row{good(1)}, []store.Row{good(1), good(2)}, replica.Options{}, map[replica.What]int64{replica.Extra: 1}, replica.Ghosts, replica.NoGo},
		"older":       {[]store.Row{with(1, 3, at(9))}, []store.Row{good(1)}, replica.Options{}, map[replica.What]int64{replica.Older: 1}, replica.NewStale, replica.NoGo},
		"older count": {[]store.Row{with(1, 4, 2)}, []store.Row{good(1)}, replica.Options{}, map[replica.What]int64{replica.Older: 1}, replica.NewStale, replica.NoGo},
		"newer":       {[]store.Row{good(1)}, []store.Row{with(1, 3, at(9))}, replica.Options{}, map[replica.What]int64{replica.Newer: 1}, replica.NewStale, replica.NoGo},
		"NULL":        {[]store.Row{good(1)}, []store.Row{with(1, 2, nil)}, replica.Options{}, map[replica.What]int64{replica.LargeNull: 1}, replica.NewStale, replica.NoGo},
		"placeholder": {[]store.Row{good(1)}, []store.Row{with(1, 2, "__debezium_unavailable_value")}, replica.Options{},
			map[replica.What]int64{replica.Placeholder: 1}, replica.NewStale, replica.NoGo},
		"NULL in a short column is another value": {[]store.Row{good(1)}, []store.Row{with(1, 1, nil)}, replica.Options{},
			map[replica.What]int64{replica.Changed: 1}, replica.Undecided, replica.NoGo},
		"rounded": {[]store.Row{good(1)}, []store.Row{with(1, 3, at(1).Add(10*time.Second/3/1000))}, replica.Options{},
			map[replica.What]int64{replica.Rounded: 1}, replica.NewStale, replica.NoGo},
		"rounded, accepted": {[]store.Row{good(1)}, []store.Row{with(1, 3, at(1).Add(10*time.Second/3/1000))}, replica.Options{RoundedTimes: true},
			map[replica.What]int64{replica.Rounded: 1}, replica.Equal, replica.Go},
		"changed": {[]store.Row{good(1)}, []store.Row{with(1, 1, "alfa")}, replica.Options{},
			map[replica.What]int64{replica.Changed: 1}, replica.Undecided, replica.NoGo},
		"after the backup": {[]store.Row{good(1)}, []store.Row{with(1, 3, at(9)), good(8)}, replica.Options{AsOf: at(5)},
			map[replica.What]int64{replica.AfterBackup: 2}, replica.Equal, replica.Go},
		"ghost of before the backup": {[]store.Row{good(1)}, []store.Row{good(1), good(2)}, replica.Options{AsOf: at(5)},
			map[replica.What]int64{replica.Extra: 1}, replica.Ghosts, replica.NoGo},
		"missing since the backup": {[]store.Row{good(1), good(2)}, []store.Row{good(1)}, replica.Options{AsOf: at(5)},
			map[replica.What]int64{replica.Missing: 1}, replica.Undecided, replica.NotYet},
		"not long enough": {[]store.Row{good(1), good(2)}, []store.Row{good(1)}, replica.Options{MaxWait: time.Minute},
			map[replica.What]int64{replica.Missing: 1}, replica.Undecided, replica.NotYet},
	} {
		t.Run(name, func(t *testing.T) {
			tc.opts.Clock = newClock(nil)
			report, err := replica.Check(t.Context(), memory.New(contact(tc.reference...)), memory.New(replicated(tc.replica...), state("cust6647-cdc:0:1")), &tc.opts)
			require.NoError(t, err)
			table := report.Table("contact")
			require.Equal(t, tc.found, table.Found)
			require.Equal(t, tc.verdict, table.Verdict, table.Reason)
			require.Equal(t, tc.decision, report.Decision, report)
			require.EqualValues(t, len(tc.reference), table.ReferenceRows)
			require.EqualValues(t, len(tc.replica), table.ReplicaRows)
			require.NotContains(t, report.String(), "SECRET")
		})
	}
}

// Beside an old mirror a difference waits for the side that is behind.
func TestBesideAMirror(t *testing.T) {
	row := func(n, count int) store.Row { return store.Row{n, "Alfa", nil, at(count), count} }
	for name, tc := range map[string]struct {
		mirror, replica []store.Row
		cycles          int  // that end while the check looks on, one in 20 minutes
		arrives         bool // the first cycle brings the replica's rows
		verdict         replica.Verdict
		decision        replica.Decision
	}{
		"the old mirror is behind, and a cycle comes": {[]store.Row{row(1, 1)}, []store.Row{row(1, 2)}, 3, true, replica.EqualAfterLag, replica.Go},
		"the old mirror is behind for good":           {[]store.Row{row(1, 1)}, []store.Row{row(1, 2)}, 3, false, replica.OldStale, replica.Go},
		"no cycle comes":                              {[]store.Row{row(1, 1)}, []store.Row{row(1, 2)}, 0, false, replica.Undecided, replica.NotYet},
		"one cycle is not enough":                     {[]store.Row{row(1, 1)}, []store.Row{row(1, 2)}, 1, false, replica.Undecided, replica.NotYet},
		"the replica is behind, and no cycle comes":   {[]store.Row{row(1, 2)}, []store.Row{row(1, 1)}, 0, false, replica.NewStale, replica.NoGo},
		"ghosts":                        {[]store.Row{row(1, 1)}, []store.Row{row(1, 1), row(2, 1)}, 3, false, replica.Ghosts, replica.NoGo},
		"ghosts need cycles":            {[]store.Row{row(1, 1)}, []store.Row{row(1, 1), row(2, 1)}, 1, false, replica.Undecided, replica.NotYet},
		"a new row that a cycle brings": {[]store.Row{row(1, 1)}, []store.Row{row(1, 1), row(2, 1)}, 2, true, replica.EqualAfterLag, replica.Go},
		"missing":                       {[]store.Row{row(1, 1), row(2, 1)}, []store.Row{row(1, 1)}, 3, false, replica.NewStale, replica.NoGo},
		"the table is sent whole next":  {[]store.Row{row(1, 1)}, []store.Row{row(1, 2)}, -1, false, replica.Undecided, replica.NotYet},
	} {
		t.Run(name, func(t *testing.T) {
			lsn := 100
			if tc.cycles < 0 {
				lsn = -1
			}
			old := memory.New(contact(tc.mirror...), metadataTable(lsn))
			done := 0
			start := newClock(nil).now
			c := newClock(func(now time.Time) {
				if done >= tc.cycles || now.Sub(start) < time.Duration(done+1)*20*time.Minute {
					return
				}
				done++
				require.NoError(t, old.Seed(metadataTable(100+done)))
				if tc.arrives {
					require.NoError(t, old.Seed(contact(tc.replica...)))
				}
			})
			report, err := replica.Check(t.Context(), old, memory.New(replicated(tc.replica...), state("cust6647-cdc:0:1")), &replica.Options{Clock: c})
			require.NoError(t, err)
			require.Equal(t, tc.verdict, report.Table("contact").Verdict, report)
			require.Equal(t, tc.decision, report.Decision, report)
			require.Equal(t, "Cust6647", report.ContextID)
		})
	}
}

// Wrong databases are refused before a row is read.
func TestWrongDatabases(t *testing.T) {
	same := memory.New(contact(), state("cust6647-cdc:0:1"))
	for name, sides := range map[string][2]store.Source{
		"the same":                {same, same},
		"exchanged":               {memory.New(replicated(), state("cust6647-cdc:0:1")), memory.New(contact(), metadataTable(1))},
		"of two customers":        {memory.New(contact(), metadataTable(1)), memory.New(replicated(), state("cust1-cdc:0:1"))},
		"two old mirrors":         {memory.New(contact(), metadataTable(1)), memory.New(contact(), metadataTable(1))},
		"two replicas":            {memory.New(replicated(), state("cust6647-cdc:0:1")), memory.New(replicated(), state("cust1-cdc:0:1"))},
		"a customer's as replica": {memory.New(replicated(), state("cust6647-cdc:0:1")), memory.New(contact())},
		"no table in common":      {memory.New(contact()), memory.New(memory.Table{Name: "PERSON", Columns: []string{"ID int"}}, state("cust6647-cdc:0:1"))},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := replica.Check(t.Context(), sides[0], sides[1], &replica.Options{Clock: newClock(nil)})
			require.ErrorIs(t, err, mirror.ErrWrongDatabase)
		})
	}
}

// Columns of the state that are not known to hold offsets are not read at all.
func TestStateReadsOffsetsAlone(t *testing.T) {
	rep := &reading{Source: memory.New(replicated(), state("cust6647-cdc:0:1"))}
	_, err := replica.Check(t.Context(), memory.New(contact()), rep, &replica.Options{Clock: newClock(nil)})
	require.NoError(t, err)
	require.NotEmpty(t, rep.columns)
	for _, c := range rep.columns {
		require.Equal(t, []string{"topicOffset"}, c)
	}
}

// A failure of one table is its verdict, and is tried again when it may pass.
func TestTableFails(t *testing.T) {
	row := store.Row{1, "Alfa", nil, at(1), 1}
	broken := errors.New("disk on fire")
	rep := memory.New(replicated(row), state("cust6647-cdc:0:1"))
	rep.FailTable(memory.Rows, "crm7.CONTACT", broken)
	report, err := replica.Check(t.Context(), memory.New(contact(row)), rep, &replica.Options{Clock: newClock(nil)})
	require.NoError(t, err)
	require.Equal(t, replica.Undecided, report.Table("contact").Verdict)
	require.Contains(t, report.Table("contact").Reason, "disk on fire")
	require.Equal(t, replica.NotYet, report.Decision)
}

// stamped is a row that was changed count times.
func stamped(n, count int) store.Row { return store.Row{n, "Alfa", nil, at(count), count} }

// A row that the replica lacks is in neither side while the old mirror is wiped, and
// is back when the cycle ends.
func TestWipedWhileKeysAreRead(t *testing.T) {
	old := memory.New(contact(stamped(1, 1), stamped(2, 1)), metadataTable(100))
	start, lsn := newClock(nil).now, 100
	c := newClock(func(now time.Time) {
		switch minute := now.Sub(start) / time.Minute; {
		case minute == 1:
			require.NoError(t, old.Seed(metadataTable(-1)))
			require.NoError(t, old.Seed(contact()))
		case minute == 3:
			require.NoError(t, old.Seed(contact(stamped(1, 1), stamped(2, 1))))
			fallthrough
		case minute%20 == 0:
			lsn++
			require.NoError(t, old.Seed(metadataTable(lsn)))
		}
	})
	report, err := replica.Check(t.Context(), old, memory.New(replicated(stamped(1, 1)), state("cust6647-cdc:0:1")), &replica.Options{Clock: c})
	require.NoError(t, err)
	require.Equal(t, replica.NewStale, report.Table("contact").Verdict, report)
	require.EqualValues(t, 1, report.Table("contact").NewStale)
	require.Equal(t, replica.NoGo, report.Decision)
}

// Tables that are empty on both sides tell nothing while the old mirror may be
// wiped, and nothing says that it is not.
func TestMetadataCannotBeRead(t *testing.T) {
	old := memory.New(contact(), metadataTable(-1))
	old.FailTable(memory.Rows, "Cust6647_mirroring", errors.New("denied"))
	report, err := replica.Check(t.Context(), old, memory.New(replicated(), state("cust6647-cdc:0:1")), &replica.Options{Clock: newClock(nil)})
	require.NoError(t, err)
	require.Equal(t, replica.NotYet, report.Decision, report)
	require.Contains(t, report.Table("contact").Reason, "metadata table cannot be read: read metadata: denied")
}

// That the replica's rows are newer says nothing about columns that nobody read.
func TestNewerRowsWithColumnsLeftOut(t *testing.T) {
	with := func(mt memory.Table, column string) memory.Table {
		mt.Columns = append(slices.Clone(mt.Columns), column)
		for i := range mt.Rows {
			mt.Rows[i] = append(mt.Rows[i].Clone(), nil)
		}
		return mt
	}
	old, lsn := memory.New(with(contact(stamped(1, 1)), "shape geography null"), metadataTable(1)), 1
	c := newClock(func(time.Time) {
		lsn++
		require.NoError(t, old.Seed(metadataTable(lsn)))
	})
	report, err := replica.Check(t.Context(), old, memory.New(with(replicated(stamped(1, 2)), "SHAPE geography null"), state("cust6647-cdc:0:1")), &replica.Options{Clock: c})
	require.NoError(t, err)
	require.EqualValues(t, 1, report.Table("contact").OldStale)
	require.Equal(t, replica.Undecided, report.Table("contact").Verdict)
	require.Equal(t, replica.NotYet, report.Decision, report)
}

// Several offsets of one partition, of which some are of the past, are no restore.
func TestSeveralOffsetsOfAPartition(t *testing.T) {
	st := state("cust6647-cdc:0:7")
	st.Rows = append(st.Rows, store.Row{2, "s-0", "SECRET", "cust6647-cdc:0:5"})
	report, err := replica.Check(t.Context(), memory.New(contact(stamped(1, 1))), memory.New(replicated(), st), &replica.Options{Clock: newClock(nil)})
	require.NoError(t, err)
	require.Equal(t, replica.NewStale, report.Table("contact").Verdict, report)
}

// A check that is cut off is no go, even when all rows were read by then.
func TestCutOffAtTheEnd(t *testing.T) {
	for name, wrap := range map[string]func(store.Source) store.Source{
		"with objects":    func(s store.Source) store.Source { return s },
		"without objects": func(s store.Source) store.Source { return &reading{Source: s} },
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			report, err := replica.Check(ctx, wrap(memory.New(contact(stamped(1, 1)))), wrap(memory.New(replicated(stamped(1, 1)), state("cust6647-cdc:0:1"))), &replica.Options{
				Clock: newClock(nil), Progress: func(p replica.Progress) {
					if p.TablesDone == p.Tables {
						cancel()
					}
				},
			})
			require.Equal(t, context.Canceled, err)
			require.Equal(t, replica.NotYet, report.Decision, report)
		})
	}
}

// Objects that could not be read may be lacking.
func TestObjectsCannotBeRead(t *testing.T) {
	for name, fails := range map[string]int{"reference": 0, "replica": 1} {
		t.Run(name, func(t *testing.T) {
			old, rep := memory.New(contact(), metadataTable(1)), memory.New(replicated(), state("cust6647-cdc:0:1"))
			[]*memory.Store{old, rep}[fails].FailAt(memory.Objects, 1, store.ErrConnection)
			report, err := replica.Check(t.Context(), old, rep, &replica.Options{Clock: newClock(nil)})
			require.NoError(t, err)
			require.Equal(t, replica.NotYet, report.Decision, report)
			require.Contains(t, report.Reasons[0], "the objects besides tables cannot be read")
		})
	}
}

// What a customer's database has besides tables is none of a replica's, and a backup
// of it has the same.
func TestObjectsOfABackup(t *testing.T) {
	for name, asOf := range map[string]time.Time{"customer": {}, "backup": at(50)} {
		t.Run(name, func(t *testing.T) {
			reference := memory.New(contact())
			reference.SetObjects(store.Object{Kind: store.ObjectView, Name: "v"})
			report, err := replica.Check(t.Context(), reference, memory.New(replicated(), state("cust6647-cdc:0:1")), &replica.Options{Clock: newClock(nil), AsOf: asOf})
			require.NoError(t, err)
			require.Equal(t, replica.Go, report.Decision, report)
		})
	}
}

// One call that fails, wherever it is, makes no replica good that is not.
func TestNoGoAfterFailures(t *testing.T) {
	for _, failure := range []error{errors.New("boom"), store.ErrConnection} {
		for _, method := range []memory.Method{memory.Tables, memory.Count, memory.Rows, memory.Objects} {
			for side := range 2 {
				for n := range 20 {
					old, lsn := memory.New(contact(stamped(1, 1)), metadataTable(1)), 1
					rep := memory.New(replicated(stamped(1, 1), stamped(2, 1)), state("cust6647-cdc:0:1"))
					[]*memory.Store{old, rep}[side].FailAt(method, n+1, failure)
					c := newClock(func(time.Time) {
						lsn++
						require.NoError(t, old.Seed(metadataTable(lsn)))
					})
					report, err := replica.Check(t.Context(), old, rep, &replica.Options{Clock: c, MaxWait: 5 * time.Minute})
					if err == nil {
						require.NotEqual(t, replica.Go, report.Decision, "%v at call %d of %s, side %d: %s", failure, n+1, method, side, report)
					}
				}
			}
		}
	}
}

// hooked calls read when rows of a table are read.
type hooked struct {
	store.Source
	read func(table string)
}

func (h hooked) Rows(ctx context.Context, q store.Query) iter.Seq2[[]store.Row, error] {
	h.read(q.Table.Name)
	return h.Source.Rows(ctx, q)
}

// The client's offsets begin anew while the first table is read, and are as far as
// before when the last one was.
func TestOffsetsBeginAnewWhileTablesAreRead(t *testing.T) {
	other, copied := contact(), replicated()
	other.Name, copied.Name = "zone", "ZONE"
	rep := memory.New(replicated(stamped(1, 1)), copied, state("cust6647-cdc:0:7"))
	c := newClock(nil)
	offsets := map[string]string{"CONTACT": "cust6647-cdc:0:2", "ZONE": "cust6647-cdc:0:9"}
	report, err := replica.Check(t.Context(), memory.New(contact(stamped(1, 2)), other), hooked{rep, func(table string) {
		if offset, ok := offsets[table]; ok {
			delete(offsets, table)
			c.now = c.now.Add(time.Minute)
			require.NoError(t, rep.Seed(state(offset)))
		}
	}}, &replica.Options{Clock: c, Tuning: mirror.Tuning{Concurrency: 1}})
	require.NoError(t, err)
	require.Empty(t, offsets)
	require.Equal(t, replica.Undecided, report.Table("contact").Verdict, report)
	require.Equal(t, 1, report.State.Resets)
	require.Equal(t, replica.NotYet, report.Decision)
	require.Contains(t, report.String(), "its offsets moved 2 times, and began anew, during the check")
}
