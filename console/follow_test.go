package console

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/heal"
)

// reset resets tables of a mirror.
func (w *world) reset(id string, tables ...string) job {
	w.t.Helper()
	j := w.run(job{Member: id, Kind: kindChange, Request: request{Tables: tables, Change: change{Operation: opReset}}})
	require.Equal(w.t, statusDone, j.Status, j.Error)
	return j
}

// waiting returns the job that waits for a mirror, which there must be.
func (w *world) waiting(id string) job {
	w.t.Helper()
	l := w.c.members[fold(id)].busy(kindWaiting)
	require.NotNil(w.t, l)
	j, _ := l.now()
	return j
}

// TestFollow has one job wait for all that was reset.
func TestFollow(t *testing.T) {
	w := newWorld(t, "Cust1").open()
	first := w.reset("Cust1", "contact", "person")
	one := w.waiting("Cust1")
	require.Equal(t, first.ID, one.Request.Of)
	second := w.reset("Cust1", "person", "sale")
	two := w.waiting("Cust1")
	require.Equal(t, []int64{second.ID, first.ID}, two.Request.changes())
	ended := w.end(one.ID)
	require.Equal(t, statusStopped, ended.Status)
	require.Contains(t, ended.Error, "together with what was reset since")

	t.Run("after a restart", func(t *testing.T) {
		w.close()
		w.open()
		require.Equal(t, two.ID, w.waiting("Cust1").ID)
	})
	t.Run("without what was undone", func(t *testing.T) {
		undo := w.run(job{Member: "Cust1", Kind: kindChange, Request: request{Of: second.ID, Change: change{Operation: opUndo}}})
		require.Equal(t, statusDone, undo.Status, undo.Error)
		require.Equal(t, statusStopped, w.end(two.ID).Status)
		require.Equal(t, []int64{first.ID}, w.waiting("Cust1").Request.changes())
	})
	t.Run("when an undo is refused", func(t *testing.T) {
		again := w.run(job{Member: "Cust1", Kind: kindChange, Request: request{Of: second.ID, Change: change{Operation: opUndo}}})
		require.Equal(t, statusFailed, again.Status)
		require.Equal(t, refusedUndo, again.Summary.Refused)
		require.Equal(t, []int64{first.ID}, w.waiting("Cust1").Request.changes())
	})
	last := w.waiting("Cust1")
	w.customers["Cust1"].cycle(t)
	require.Equal(t, statusDone, w.end(last.ID).Status)
	report, err := documentOf[heal.WaitReport](t.Context(), w.c.state, last.ID)
	require.NoError(t, err)
	require.Len(t, report.Tables, 2)
	for _, table := range report.Tables {
		require.Equal(t, heal.WaitPopulated, table.State, table.Table)
	}
}

// TestFollowedOpening has a newer job take over from one that is still opening its mirror.
func TestFollowedOpening(t *testing.T) {
	w := newWorld(t, "Cust1").open()
	reached := make(chan struct{}, 1)
	w.customers["Cust1"].onOpen(func(ctx context.Context) error {
		reached <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	})
	j, err := w.c.jobs.start(t.Context(), job{Member: fold("Cust1"), Kind: kindWaiting, Request: request{Tables: []string{"contact"}}})
	require.NoError(t, err)
	l := w.c.jobs.get(j.ID)
	<-reached
	l.cancel(errFollowed)
	require.Equal(t, statusStopped, w.end(j.ID).Status)
}

// TestFollowAway waits for a mirror that cannot be opened at first.
func TestFollowAway(t *testing.T) {
	w := newWorld(t, "Cust1").open()
	c := w.customers["Cust1"]
	opened := 0
	c.onOpen(func(context.Context) error {
		if opened++; opened > 1 && opened < 5 {
			return errors.New("no route to host")
		}
		return nil
	})
	w.reset("Cust1", "contact")
	waiting := w.waiting("Cust1")
	c.cycle(t)
	j := w.end(waiting.ID)
	require.Equal(t, statusDone, j.Status, j.Error)
	require.GreaterOrEqual(t, opened, 5)
}

// TestAskedOnce starts one job for a form that is sent twice.
func TestAskedOnce(t *testing.T) {
	w := newWorld(t, "Cust1", "Cust2").open()
	asked := job{Member: fold("Cust1"), Kind: kindChange, Request: request{Once: "abc", Tables: []string{"contact"}, Change: change{Operation: opReset}}}
	first := w.run(asked)
	again, err := w.c.jobs.start(t.Context(), asked)
	require.ErrorAs(t, err, &errAsked{})
	require.Equal(t, first.ID, again.ID)
	asked.Member = fold("Cust2")
	require.NotEqual(t, first.ID, w.run(asked).ID)
	changes, err := w.c.state.jobs(t.Context(), jobQuery{Kinds: []kind{kindChange}})
	require.NoError(t, err)
	require.Len(t, changes, 2)
}

func TestRefusals(t *testing.T) {
	for err, want := range map[error]refusal{
		&mirror.LimitError{}: refusedTooMuch, &mirror.Error{Err: mirror.ErrMoved}: refusedMoved, mirror.ErrNoMetadata: refusedMetadata, nil: "", errClosing: "",
	} {
		require.Equal(t, want, refusalOf(err))
	}
	all := refusedTablesOf(&mirror.Error{Tables: []mirror.TableError{{Table: "contcat", Closest: "contact"}}})
	require.Equal(t, []tableSummary{{Table: "contcat", Reason: "there is no such table (is contact meant?)"}}, all)
}
