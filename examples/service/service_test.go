package main

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/codes"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/fleet"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

var lost = fmt.Errorf("%w: connection reset by peer", store.ErrConnection)

// A stale table turns the health to 503, and a cycle that mends it turns it back.
func TestStaleUntilMended(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, "Cust1")
		b := serve(t, nil, w)
		b.requireHealth(200, stateOK)

		w.damage("contact", "name", 3)
		b.pass(24*time.Hour + poll) // what was damaged in the mirror itself is seen when all rows are read
		h := b.requireHealth(503, stateStale)
		require.Equal(t, map[string]int{stateStale: 1}, h.Mirrors)
		require.Equal(t, "Cust1", h.Not[0].Mirror)
		require.Equal(t, []string{"contact"}, h.Not[0].Stale)
		require.InDelta(t, 1, testutil.ToFloat64(b.metrics.stale), 0)
		require.InDelta(t, 3, testutil.ToFloat64(b.metrics.rows.WithLabelValues("Cust1", "changed")), 0)
		require.InDelta(t, 3, testutil.ToFloat64(b.metrics.diverged), 0)
		require.InDelta(t, 1, testutil.ToFloat64(b.metrics.tables.WithLabelValues("Cust1", "different")), 0)
		require.Empty(t, must(b.journal.Entries()), "a service that was not asked to repairs nothing")
		require.Equal(t, 200, b.get("/healthz").Code, "a restart would mend nothing")

		m, err := mirror.New("Cust1", w.mirror, nil)
		require.NoError(t, err)
		_, err = m.ResetTables(t.Context(), []string{"contact"}, nil)
		require.NoError(t, err)
		b.pass(poll)
		b.requireHealth(503, stateStale) // a reset alone mends nothing

		w.cycle()
		b.pass(poll)
		b.requireHealth(200, stateOK)
		require.InDelta(t, 0, testutil.ToFloat64(b.metrics.stale), 0)
		require.InDelta(t, 0, testutil.ToFloat64(b.metrics.rows.WithLabelValues("Cust1", "changed")), 0)
	})
}

// A table that is gone is stale, too, though no row of it was compared.
func TestTableIsGone(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, "Cust1")
		gone := w.table(w.mirror, "person")
		require.NoError(t, w.mirror.Update(t.Context(), func(tx store.Tx) error { return tx.Drop(t.Context(), gone) }))
		b := serve(t, nil, w)
		require.Equal(t, []string{"person"}, b.requireHealth(503, stateStale).Not[0].Stale)
	})
}

func TestStaleTables(t *testing.T) {
	report := func(incomplete bool, tables ...mirror.TableReport) *mirror.Report {
		return &mirror.Report{ContextID: "Cust1", Depth: mirror.DepthRows, Incomplete: incomplete, Tables: tables}
	}
	table := func(verdict mirror.Verdict, diverged int64) mirror.TableReport {
		return mirror.TableReport{Table: "contact", Verdict: verdict, MirrorName: "contact", Changed: 3, Diverged: diverged, SourceRows: 100, MirrorRows: 100, HasMetadata: true, MetadataRows: 1}
	}
	doubtful := table(mirror.VerdictDifferent, 3)
	doubtful.MetadataDoubt = "two tables have this name"
	before := []string{"contact"}
	for name, c := range map[string]struct {
		report *mirror.Report
		before []string
		want   []string
	}{
		"diverged":                         {report(false, table(mirror.VerdictDifferent, 3)), nil, before},
		"diverged, and nothing resets it":  {report(false, doubtful), nil, before},
		"not known":                        {report(false, table(mirror.VerdictDifferent, 0)), before, []string{}},
		"was stale, and failed":            {report(false, table(mirror.VerdictFailed, 0)), before, before},
		"was stale, and is not through":    {report(true, table(mirror.VerdictUnfinished, 0)), before, before},
		"was stale, and was not looked at": {report(true), before, before},
		"was stale, and is nowhere":        {report(false), before, []string{}},
		"failed":                           {report(false, table(mirror.VerdictFailed, 0)), nil, []string{}},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.want, staleTables(c.report, c.before)) })
	}
}

func TestRepair(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, "Cust1")
		w.damage("contact", "name", 3)
		b := serve(t, func(s *service) { s.repair = true }, w)
		b.requireHealth(503, stateStale)
		lsn, _ := w.mirror.LSN("Cust1", "contact")
		require.Equal(t, store.ResendAll, lsn)
		repair := b.did("repair")
		require.Len(t, repair, 1)
		require.Len(t, repair[0].Events, 2, "the intent and that it was done")
		require.Len(t, must(b.journal.Entries()), 2)
		require.InDelta(t, 1, testutil.ToFloat64(b.metrics.resets), 0)

		// The customer is quiet, so the cycle brings the LSN back that was there, and before
		// the next look.
		w.cycle()
		again, _ := w.mirror.LSN("Cust1", "contact")
		require.Equal(t, store.LSN(812), again)
		b.pass(poll)
		b.requireHealth(200, stateOK)
		require.Len(t, must(b.journal.Entries()), 2, "it is not reset again")
	})
}

func TestWhenItCompares(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, "Cust1")
		b := serve(t, nil, w)
		first := b.did("compare")
		require.Len(t, first, 1)
		b.pass(3 * poll)
		require.Empty(t, b.did("compare"), "no cycle has been")

		w.work()
		b.pass(poll)
		require.Empty(t, b.did("compare"), "the customer's work alone is no cycle")
		w.cycle()
		b.pass(poll)
		require.Len(t, b.did("compare"), 1)
		require.NotNil(t, b.last().Table("contact").Basis, "only what changed was read")
		require.InDelta(t, float64(time.Now().Unix()), testutil.ToFloat64(b.metrics.cycle), poll.Seconds())

		b.pass(time.Hour + 20*time.Minute + poll)
		require.Len(t, b.did("compare"), 1, "a quiet cycle moves no LSN")
	})
}

// A look that takes long is not begun again beside itself, and the others go on.
func TestOneHangs(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		slow, quick := newWorld(t, "Slow"), newWorld(t, "Quick")
		slow.source.DelayAt(memory.Rows, 1, 240*time.Hour)
		b := serve(t, func(s *service) { s.fleet.Timeout = 58 * time.Minute }, slow, quick)
		h := b.requireHealth(200, stateUnknown) // which is not stale
		require.Equal(t, map[string]int{stateOK: 1, stateUnknown: 1}, h.Mirrors)
		b.pass(50 * time.Minute)
		require.EqualValues(t, 1, slow.open.Load(), "ten polls, and one look")

		b.pass(9 * time.Minute)
		h = b.requireHealth(200, stateFailed)
		require.Equal(t, "timeout", h.Not[0].Reason)
		require.InDelta(t, 1, b.errorsOf("Slow", "timeout"), 0)
		require.InDelta(t, 0, testutil.ToFloat64(b.metrics.when.WithLabelValues("Slow")), 0, "it did not come to its end")

		slow.source.ResetCalls()
		b.pass(poll)
		b.requireHealth(200, stateOK)
		read := map[string]bool{}
		for _, c := range slow.source.Calls() {
			if c.Method == memory.Rows || c.Method == memory.Digest {
				read[c.Table] = true
			}
		}
		require.Len(t, read, 1, "it went on from the checkpoint, with the table that hung")
	})
}

func TestMirrorHangs(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, "Cust1")
		w.mirror.DelayAt(memory.Tables, 1, 240*time.Hour)
		b := serve(t, nil, w)
		b.pass(time.Hour + time.Minute)
		require.InDelta(t, 1, b.errorsOf("Cust1", "timeout"), 0)
		b.pass(poll)
		b.requireHealth(200, stateOK)
	})
}

// With one place, the second waits for the first and is not passed over.
func TestTheyTakeTurns(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		slow, quick := newWorld(t, "Slow"), newWorld(t, "Quick")
		slow.source.DelayAt(memory.Rows, 1, 30*time.Minute)
		quick.source.DelayAt(memory.Rows, 1, 30*time.Minute)
		b := serve(t, func(s *service) { s.fleet.Concurrency = 1 }, slow, quick)
		b.pass(29 * time.Minute)
		require.EqualValues(t, 1, slow.open.Load()+quick.open.Load())
		b.pass(32 * time.Minute)
		require.Equal(t, map[string]int{stateOK: 2}, b.requireHealth(200, stateOK).Mirrors)
	})
}

func TestConnectionLost(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, "Cust1")
		w.damage("contact", "name", 3)
		b := serve(t, nil, w)
		b.requireHealth(503, stateStale)

		// While it is compared again the connection breaks: that it was stale is no less true.
		w.work()
		w.cycle()
		w.source.FailTable(memory.RowsAt, "contact", lost)
		w.source.FailTable(memory.Rows, "contact", lost)
		w.source.FailTable(memory.Digest, "contact", lost)
		b.pass(poll)
		h := b.requireHealth(503, stateStale)
		require.Equal(t, "connection", h.Not[0].Reason)
		require.Equal(t, []string{"contact"}, h.Not[0].Stale)
		require.InDelta(t, 1, b.errorsOf("Cust1", "connection"), 0)
		look := b.did("look")
		require.Equal(t, codes.Error, look[len(look)-1].Status.Code)

		// It cannot even be opened.
		w.becomes(func() { w.failOpen = lost })
		b.pass(poll)
		require.Equal(t, "connection", b.requireHealth(503, stateStale).Not[0].Reason)

		// All is well again, and the damage is gone.
		fresh := newWorld(t, "Cust1")
		w.becomes(func() { w.failOpen, w.as, w.mirror = nil, fresh.as, fresh.mirror })
		b.pass(24 * time.Hour)
		b.requireHealth(200, stateOK)
	})
}

func TestLostOnceWhileComparing(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, "Cust1")
		w.source.FailAfterRows(1, lost)
		b := serve(t, nil, w)
		h := b.requireHealth(200, stateFailed) // a failure is no proof
		require.Equal(t, "connection", h.Not[0].Reason)
		require.Empty(t, h.Not[0].Stale)
		b.pass(poll)
		b.requireHealth(200, stateOK) // it was tried again, without a cycle
	})
}

// A table that can never be read does not have all rows of the others read in each cycle.
func TestTableThatCannotBeRead(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, "Cust1")
		for _, method := range []memory.Method{memory.Rows, memory.RowsAt, memory.Digest} {
			w.source.FailTable(method, "person", store.ErrPermission)
		}
		b := serve(t, nil, w)
		require.Equal(t, "permission", b.requireHealth(200, stateFailed).Not[0].Reason)
		b.pass(3 * poll)
		require.Len(t, b.did("compare"), 1, "it is no use to try again")
		require.Equal(t, "permission", b.requireHealth(200, stateFailed).Not[0].Reason, "nor has anything changed")
		require.InDelta(t, 1, testutil.ToFloat64(b.metrics.tables.WithLabelValues("Cust1", "failed")), 0)

		w.change(w.customer, "contact", 1, "name", "Renamed")
		w.cycle()
		b.pass(poll)
		basis := b.last().Table("contact").Basis
		require.NotNil(t, basis, "only what changed was read")
		require.EqualValues(t, 1, basis.Keys)
	})
}

func TestWrongDatabase(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, "Cust1")
		w.becomes(func() {
			w.as = memory.New(memory.Table{Name: "orders", Columns: []string{"id int"}, Key: []string{"id"}})
		})
		b := serve(t, func(s *service) { s.repair = true }, w)
		require.Equal(t, "wrong_database", b.requireHealth(200, stateFailed).Not[0].Reason)
		require.Empty(t, must(b.journal.Entries()))

		// Tables alike with other rows: too much differs to be an incident.
		other := newWorld(t, "Cust1")
		for i := range 20 {
			other.change(other.source, "contact", i, "name", "Another company")
		}
		w.becomes(func() { w.as = other.customer })
		b.pass(poll)
		require.Equal(t, "too_much", b.requireHealth(200, stateFailed).Not[0].Reason)
		require.Empty(t, must(b.journal.Entries()), "nothing is reset by what another database says")
		require.InDelta(t, 0, testutil.ToFloat64(b.metrics.stale), 0)
	})
}

func TestJournalFails(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, "Cust1")
		w.damage("contact", "name", 3)
		b := serve(t, func(s *service) {
			s.repair = true
			s.journal.(interface{ FailAt(int, error) }).FailAt(1, errors.New("disk full"))
		}, w)
		require.Equal(t, "journal", b.requireHealth(503, stateStale).Not[0].Reason)
		lsn, _ := w.mirror.LSN("Cust1", "contact")
		require.Equal(t, store.LSN(812), lsn, "nothing was changed")
		require.InDelta(t, 0, testutil.ToFloat64(b.metrics.resets), 0)

		w.work()
		w.cycle()
		b.pass(poll)
		lsn, _ = w.mirror.LSN("Cust1", "contact")
		require.Equal(t, store.ResendAll, lsn, "the next comparison tries again")
	})
}

func TestRecordFails(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, "Cust1")
		w.damage("contact", "name", 3)
		b := serve(t, func(s *service) {
			s.record = func(context.Context, *mirror.Report) error { return errors.New("disk full") }
		}, w)
		require.Equal(t, "record", b.requireHealth(503, stateStale).Not[0].Reason)
	})
}

func TestPanicOfADriver(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, "Cust1")
		b := serve(t, func(s *service) {
			s.fleet.Members = append(s.fleet.Members,
				fleet.Member{ContextID: "Bad", Open: func(context.Context) (*fleet.Connection, error) { panic("at the driver") }},
				fleet.Member{ContextID: "None"})
		}, w)
		require.Equal(t, map[string]int{stateOK: 1, stateFailed: 2}, b.requireHealth(200, stateFailed).Mirrors)
	})
}

// A driver that panics while it is asked again, or while it is reset, fails its mirror alone.
func TestPanicOutsideOfAComparison(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, "Cust1")
		w.damage("contact", "name", 3)
		b := serve(t, func(s *service) { s.repair, s.journal = true, nil }, w)
		require.Equal(t, "other", b.requireHealth(503, stateStale).Not[0].Reason)
		require.ErrorContains(t, b.members[0].failed, "panic: ")
		lsn, _ := w.mirror.LSN("Cust1", "contact")
		require.Equal(t, store.LSN(812), lsn)
	})
}

// A hard reset is a person's to confirm: the service leaves it, and that is no failure.
func TestRepairLeavesHardResets(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, "Cust1")
		w.damage("contact", "name", 3)
		metadata := w.table(w.mirror, mirror.MetadataTableName("Cust1"))
		require.NoError(t, w.mirror.Update(t.Context(), func(tx store.Tx) error {
			return tx.Insert(t.Context(), metadata, []string{"tablename", "LSN"}, []store.Row{{"CONTACT", 7}})
		}))
		b := serve(t, func(s *service) { s.repair = true }, w)
		h := b.requireHealth(503, stateStale)
		require.Equal(t, []string{"contact"}, h.Not[0].Stale)
		require.Empty(t, h.Not[0].Reason)
		require.Empty(t, must(b.journal.Entries()))
	})
}

// A mirror that is replaced while its comparison is not through is compared anew.
func TestCheckpointOfAnotherDatabase(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, "Cust1")
		w.source.DelayAt(memory.Rows, 1, 240*time.Hour)
		b := serve(t, nil, w)
		b.pass(time.Hour - time.Minute)
		fresh := newWorld(t, "Cust1")
		w.becomes(func() { w.as, w.mirror = fresh.as, fresh.mirror })
		b.pass(time.Minute + 2*poll)
		b.requireHealth(200, stateOK)
		require.InDelta(t, 1, b.errorsOf("Cust1", "wrong_database"), 0)
	})
}

func TestTooOld(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, "Cust1")
		b := serve(t, func(s *service) { s.schedule.Late = 100 * time.Hour }, w)
		b.pass(12*time.Hour - time.Minute)
		b.requireHealth(200, stateOK)
		b.pass(time.Minute)
		h := b.requireHealth(200, stateOld)
		require.NotNil(t, h.Not[0].Compared)
	})
}

// onlyRows is a source that tracks no changes.
type onlyRows struct{ store.Source }

func TestSourceThatTracksNothing(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, "Cust1")
		w.as = onlyRows{w.source}
		w.damage("contact", "name", 3)
		w.work()
		b := serve(t, nil, w)
		b.requireHealth(200, stateOK) // nothing is known yet, which is not stale
		for range 3 {
			w.work()
			w.cycle()
			b.pass(poll)
		}
		require.Equal(t, []string{"contact"}, b.requireHealth(503, stateStale).Not[0].Stale)
		require.NotEmpty(t, b.did("recheck"))
	})
}

// The stop does not wait for what hangs.
func TestStop(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, "Cust1")
		w.source.DelayAt(memory.Rows, 1, 240*time.Hour)
		b := serve(t, nil, w)
		require.EqualValues(t, 1, w.open.Load())
		began := time.Now()
		require.NoError(t, b.stop())
		require.Less(t, time.Since(began), stopTimeout)
		require.Zero(t, w.open.Load())
		require.NoError(t, b.members[0].err, "being stopped is no failure")
		require.Zero(t, testutil.CollectAndCount(b.metrics.errors))
	})
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
