package console

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/fleet"
)

// entry writes what a process that was killed left in the journal of a change.
func (w *world) entry(j job, member string, event mirror.JournalEvent, undo bool) {
	w.t.Helper()
	receipt := &mirror.Receipt{Operation: mirror.OperationReset, ContextID: member, Tables: []mirror.ReceiptTable{{Table: "contact", Actions: []mirror.Action{mirror.ActionResetLSN}}}}
	e := mirror.JournalEntry{Version: 1, ContextID: member, Event: event, Time: w.c.now(), Undo: undo, ID: "op" + member}
	if event == mirror.JournalIntent {
		e.Receipt = receipt
	}
	require.NoError(w.t, recorder{w.c.state, "ada", j.ID}.Append(w.t.Context(), e))
}

// TestChangeBeingMade does not call a change unknown that is being made while another
// mirror's changes are found out about.
func TestChangeBeingMade(t *testing.T) {
	w := newWorld(t, "Cust1", "Cust2").open()
	held, reached := make(chan struct{}), make(chan struct{})
	release := sync.OnceFunc(func() { close(held) })
	t.Cleanup(release)
	w.customers["Cust2"].onOpen(func(context.Context) error {
		close(reached)
		<-held
		return nil
	})
	j, err := w.c.jobs.start(t.Context(), job{Member: "cust2", Kind: kindChange, Actor: "ada", Request: request{Tables: []string{"contact"}, Change: change{Operation: opReset}}})
	require.NoError(t, err)
	<-reached
	w.customers["Cust2"].onOpen(nil)
	w.entry(j, "Cust2", mirror.JournalIntent, false)
	w.lost(w.reset("Cust1", "contact").ID)
	w.post("/mirrors/Cust1/reconcile", nil)
	require.NotContains(t, w.get("/mirrors/Cust2"), "It is not known whether")
	w.entry(j, "Cust2", mirror.JournalDone, false)
	release()
	require.Equal(t, statusDone, w.end(j.ID).Status)
	require.NotContains(t, w.get("/mirrors/Cust2"), "It is not known whether")
	require.NotContains(t, w.get("/journal"), "without a known end")
}

// TestFoundDone says of a change that was found to be done what it says of each that was.
func TestFoundDone(t *testing.T) {
	for _, restart := range []bool{false, true} {
		w := newWorld(t, "Cust1").open()
		w.customers["Cust1"].lose(t, "contact", 3)
		compared := w.run(job{Member: "Cust1", Kind: kindComparison})
		require.Contains(t, w.get("/mirrors/Cust1"), "only a reset mends that")
		j := w.run(job{Member: "Cust1", Kind: kindChange, Request: request{Of: compared.ID, Change: change{Operation: opApply}}})
		require.Equal(t, statusDone, j.Status, j.Error)
		require.NotContains(t, w.get("/mirrors/Cust1"), "only a reset mends that")
		w.lost(j.ID)
		if restart {
			_, err := w.c.state.db.ExecContext(t.Context(), "UPDATE job SET state='running' WHERE id=?", j.ID)
			require.NoError(t, err)
			w.close()
			w.open()
		}
		w.post("/mirrors/Cust1/reconcile", nil)
		require.NotContains(t, w.get("/mirrors/Cust1"), "only a reset mends that", restart)
	}
}

// TestRefusedAfterDone does not forget what was done for what was refused since.
func TestRefusedAfterDone(t *testing.T) {
	w := newWorld(t, "Cust1").open()
	w.customers["Cust1"].lose(t, "contact", 3)
	compared := w.run(job{Member: "Cust1", Kind: kindComparison})
	j := w.run(job{Member: "Cust1", Kind: kindChange, Request: request{Of: compared.ID, Change: change{Operation: opApply}}})
	require.Equal(t, statusDone, j.Status, j.Error)
	again := w.run(job{Member: "Cust1", Kind: kindChange, Request: request{Of: compared.ID, Change: change{Operation: opApply}}})
	require.Equal(t, statusFailed, again.Status)
	require.NotContains(t, w.get("/mirrors/Cust1"), "only a reset mends that")
	w.close()
	w.open()
	require.NotContains(t, w.get("/mirrors/Cust1"), "only a reset mends that")
}

// TestResetOfIdentical does not call a mirror identical after some of its tables were reset.
func TestResetOfIdentical(t *testing.T) {
	w := newWorld(t, "Cust1").open()
	w.run(job{Member: "Cust1", Kind: kindComparison})
	require.Contains(t, w.get("/mirrors/Cust1"), ">identical<")
	w.reset("Cust1", "contact")
	other := w.reset("Cust1", "person")
	require.NotContains(t, w.get("/mirrors/Cust1"), `</h1> <span class="badge good">`)
	undo := w.run(job{Member: "Cust1", Kind: kindChange, Request: request{Of: other.ID, Change: change{Operation: opUndo}}})
	require.Equal(t, statusDone, undo.Status, undo.Error)
	require.NotContains(t, w.get("/mirrors/Cust1"), `</h1> <span class="badge good">`)
}

// TestMemberTakenAway opens with changes of a mirror that is no longer configured.
func TestMemberTakenAway(t *testing.T) {
	w := newWorld(t, "Cust1", "Cust2").open()
	done := w.reset("Cust2", "contact")
	undo := job{Member: "cust2", Kind: kindChange, Status: statusRunning, Actor: "ada", Asked: w.c.now(), Request: request{Of: done.ID, Change: change{Operation: opUndo}}}
	require.NoError(t, w.c.state.add(t.Context(), &undo))
	w.entry(undo, "Cust2", mirror.JournalIntent, true)
	w.entry(undo, "Cust2", mirror.JournalDone, true)
	w.close()
	w.fleet = &fleet.Fleet{Members: w.fleet.Members[:1]}
	w.open()
	w.get("/")
	w.get("/jobs")
	w.get("/journal")
}

// TestUndoNotMarked calls an undo done that was made and only not marked.
func TestUndoNotMarked(t *testing.T) {
	w := newWorld(t, "Cust1").open()
	done := w.reset("Cust1", "contact")
	_, err := w.c.state.db.ExecContext(t.Context(), "CREATE TEMP TRIGGER full BEFORE UPDATE OF summary ON main.job WHEN NEW.id="+"1"+" BEGIN SELECT RAISE(ABORT, 'disk full'); END")
	require.NoError(t, err)
	require.EqualValues(t, 1, done.ID)
	undo := w.run(job{Member: "Cust1", Kind: kindChange, Request: request{Of: done.ID, Change: change{Operation: opUndo}}})
	require.Equal(t, statusDone, undo.Status, undo.Error)
}

// TestLookAfterClockWasAhead looks at a mirror that was looked at while the clock was wrong.
func TestLookAfterClockWasAhead(t *testing.T) {
	w := newWorld(t, "Cust1")
	w.opts.Look = time.Hour
	w.open()
	m := w.c.members["cust1"]
	ahead := w.c.now().AddDate(4, 0, 0)
	m.setLook(look{Time: ahead})
	w.c.lookAtAll(t.Context())
	require.True(t, m.seen().Time.Before(ahead))
}
