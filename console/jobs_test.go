package console

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/heal"
	"github.com/so-mirror/mirror/store/memory"
)

func TestComparison(t *testing.T) {
	w := newWorld(t, "Cust1").open()
	j := w.run(job{Member: "Cust1", Kind: kindComparison})
	require.Equal(t, statusDone, j.Status, j.Error)
	require.Equal(t, "good", j.Summary.Level)

	w.customers["Cust1"].lose(t, "contact", 7)
	j = w.run(job{Member: "Cust1", Kind: kindComparison})
	require.Equal(t, statusDone, j.Status, j.Error)
	require.Equal(t, "bad", j.Summary.Level)
	require.EqualValues(t, 7, j.Summary.Differing)
	require.EqualValues(t, 7, j.Summary.Diverged)
	require.Equal(t, 1, j.Summary.Stale)
	report, err := documentOf[mirror.Report](t.Context(), w.c.state, j.ID)
	require.NoError(t, err)
	require.EqualValues(t, 7, report.Table("contact").Missing)
	tables, err := w.c.state.tables(t.Context(), j.ID)
	require.NoError(t, err)
	require.Len(t, tables, len(report.Tables))
}

// TestRepair goes from a comparison by a reset and a cycle to one that finds nothing.
func TestRepair(t *testing.T) {
	w := newWorld(t, "Cust1").open()
	c := w.customers["Cust1"]
	c.lose(t, "contact", 7)
	compared := w.run(job{Member: "Cust1", Kind: kindComparison})

	changed := w.run(job{Member: "Cust1", Kind: kindChange, Request: request{Of: compared.ID, Change: change{Operation: opApply}}})
	require.Equal(t, statusDone, changed.Status, changed.Error)
	lsn, ok := c.mirror.LSN("Cust1", "contact")
	require.True(t, ok)
	require.EqualValues(t, -1, lsn)

	waiting := w.c.members[fold("Cust1")].busy(kindWaiting)
	require.NotNil(t, waiting, "a reset is waited for")
	c.cycle(t)
	done := w.end(waiting.id)
	require.Equal(t, statusDone, done.Status, done.Error)
	require.Equal(t, changed.ID, done.Request.Of)
	report, err := documentOf[heal.WaitReport](t.Context(), w.c.state, waiting.id)
	require.NoError(t, err)
	require.Equal(t, heal.WaitPopulated, report.Tables[0].State)
	require.Equal(t, "good", w.run(job{Member: "Cust1", Kind: kindComparison}).Summary.Level)

	entries, err := w.c.state.entries(t.Context(), fold("Cust1"))
	require.NoError(t, err)
	require.Len(t, entries, 2)
	require.Equal(t, mirror.JournalDone, entries[1].Entry.Event)
	require.Equal(t, "ada", entries[0].Actor)
	require.Equal(t, changed.ID, entries[0].Job)
}

func TestUndo(t *testing.T) {
	w := newWorld(t, "Cust1").open()
	c := w.customers["Cust1"]
	c.lose(t, "contact", 7)
	before, _ := c.mirror.LSN("Cust1", "contact")
	compared := w.run(job{Member: "Cust1", Kind: kindComparison})
	changed := w.run(job{Member: "Cust1", Kind: kindChange, Request: request{Of: compared.ID, Change: change{Operation: opApply}}})
	undo := w.run(job{Member: "Cust1", Kind: kindChange, Request: request{Of: changed.ID, Change: change{Operation: opUndo}}})
	require.Equal(t, statusDone, undo.Status, undo.Error)
	after, _ := c.mirror.LSN("Cust1", "contact")
	require.Equal(t, before, after)
	changed, err := w.c.state.job(t.Context(), changed.ID)
	require.NoError(t, err)
	require.Equal(t, undo.ID, changed.Summary.Undone)

	again := w.run(job{Member: "Cust1", Kind: kindChange, Request: request{Of: changed.ID, Change: change{Operation: opUndo}}})
	require.Equal(t, statusFailed, again.Status)
	require.Contains(t, again.Error, "cannot undo")
}

// TestChangesThatFail holds what is refused to change nothing and to say why.
func TestChangesThatFail(t *testing.T) {
	w := newWorld(t, "Cust1").open()
	c := w.customers["Cust1"]
	before, _ := c.mirror.LSN("Cust1", "contact")
	for name, q := range map[string]struct {
		request request
		want    string
	}{
		"hard reset without the word": {request{Change: change{Operation: opHardReset, Confirm: "Cust2"}}, "not confirmed"},
		"unknown table":               {request{Tables: []string{"contcat"}, Change: change{Operation: opReset}}, "contcat"},
		"no tables":                   {request{Change: change{Operation: opReset}}, "no tables"},
		"no comparison":               {request{Of: 999, Change: change{Operation: opApply}}, "There is no such page"},
		"unknown operation":           {request{Change: change{Operation: "explode"}}, "explode"},
	} {
		t.Run(name, func(t *testing.T) {
			j := w.run(job{Member: "Cust1", Kind: kindChange, Request: q.request})
			require.Equal(t, statusFailed, j.Status)
			require.Contains(t, j.Error, q.want)
			require.Equal(t, mirror.OutcomeNotDone, j.Summary.Outcome)
			lsn, ok := c.mirror.LSN("Cust1", "contact")
			require.True(t, ok)
			require.Equal(t, before, lsn)
		})
	}
}

// TestChangeNotBegun says of a mirror that cannot be opened that nothing was changed.
func TestChangeNotBegun(t *testing.T) {
	w := newWorld(t, "Cust1").open()
	w.customers["Cust1"].onOpen(func(context.Context) error { return errors.New("no route to host") })
	j := w.run(job{Member: "Cust1", Kind: kindChange, Request: request{Tables: []string{"contact"}, Change: change{Operation: opReset}}})
	require.Equal(t, statusFailed, j.Status)
	require.Equal(t, mirror.OutcomeNotDone, j.Summary.Outcome)
	body := w.get(fmt.Sprintf("/mirrors/Cust1/changes/%d", j.ID))
	require.Contains(t, body, "Failed: nothing was changed")
	require.Contains(t, body, "no route to host")
}

// TestStopSilent stops a job whose driver waits for a server that says nothing.
func TestStopSilent(t *testing.T) {
	w := newWorld(t, "Cust1").open()
	reached, release := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(release) })
	w.customers["Cust1"].onOpen(func(context.Context) error {
		close(reached)
		<-release
		return errors.New("no answer")
	})
	j, err := w.c.jobs.start(t.Context(), job{Member: fold("Cust1"), Kind: kindComparison, Actor: "ada"})
	require.NoError(t, err)
	<-reached
	require.True(t, w.c.jobs.stop(j.ID))
	require.Equal(t, statusStopped, w.end(j.ID).Status)
}

// TestStopAndRestart stops a comparison, by its button and with the process, and goes on.
func TestStopAndRestart(t *testing.T) {
	hold := func(w *world) (reached, release chan struct{}) {
		reached, release = make(chan struct{}, 8), make(chan struct{})
		w.customers["Cust1"].onOpen(func(ctx context.Context) error {
			reached <- struct{}{}
			select {
			case <-release:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		return reached, release
	}
	start := func(w *world) int64 {
		j, err := w.c.jobs.start(t.Context(), job{Member: fold("Cust1"), Kind: kindComparison, Actor: "ada"})
		require.NoError(t, err)
		return j.ID
	}
	t.Run("by its button", func(t *testing.T) {
		w := newWorld(t, "Cust1").open()
		reached, release := hold(w)
		id := start(w)
		<-reached
		_, err := w.c.jobs.start(t.Context(), job{Member: fold("Cust1"), Kind: kindComparison})
		require.ErrorAs(t, err, &errBusy{})
		require.True(t, w.c.jobs.stop(id))
		require.Equal(t, statusStopped, w.end(id).Status)
		close(release)
		_, err = w.c.jobs.resume(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, statusDone, w.end(id).Status)
		_, err = w.c.jobs.resume(t.Context(), id)
		require.ErrorIs(t, err, errNotResumable)
	})
	t.Run("with the process", func(t *testing.T) {
		w := newWorld(t, "Cust1")
		var logged bytes.Buffer
		w.opts.Logger = slog.New(slog.NewTextHandler(&logged, nil))
		w.open()
		reached, release := hold(w)
		id := start(w)
		<-reached
		w.close()
		require.Regexp(t, `msg="job interrupted: it goes on at the next start" .*mirror=Cust1 .*\n`, logged.String())
		require.NotContains(t, logged.String(), "elapsed=")
		close(release)
		w.open()
		j := w.end(id)
		require.Equal(t, statusDone, j.Status, j.Error)
		require.Zero(t, j.Resumed, "a stop in good order is none of the restarts that are counted")
	})
}

// TestPanic holds the panic of a driver to be one job's end.
func TestPanic(t *testing.T) {
	w := newWorld(t, "Cust1").open()
	w.customers["Cust1"].onOpen(func(context.Context) error { panic("at the driver") })
	j := w.run(job{Member: "Cust1", Kind: kindComparison})
	require.Equal(t, statusFailed, j.Status)
	require.Contains(t, j.Error, "at the driver")
	w.customers["Cust1"].onOpen(func(context.Context) error { return errors.New("no route to host") })
	require.Contains(t, w.run(job{Member: "Cust1", Kind: kindComparison}).Error, "no route to host")
	w.customers["Cust1"].onOpen(nil)
	require.Equal(t, statusDone, w.run(job{Member: "Cust1", Kind: kindComparison}).Status)
}

// TestOneProcess refuses a state that another process has.
func TestOneProcess(t *testing.T) {
	w := newWorld(t, "Cust1").open()
	_, err := Open(w.path, w.fleet, nil)
	require.ErrorContains(t, err, "another process has it open")
	w.close()
	w.open()
}

func TestCleanUp(t *testing.T) {
	w := newWorld(t, "Cust1", "Cust2").open()
	for range 5 {
		w.run(job{Member: "Cust1", Kind: kindComparison})
	}
	w.run(job{Member: "Cust2", Kind: kindComparison})
	n, err := w.c.state.cleanUp(t.Context(), time.Now().Add(-time.Hour), 3)
	require.NoError(t, err)
	require.EqualValues(t, 2, n)
	n, err = w.c.state.cleanUp(t.Context(), time.Now().Add(time.Hour), 3)
	require.NoError(t, err)
	require.EqualValues(t, 2, n, "the last one of each mirror stays")
	all, err := w.c.state.jobs(t.Context(), jobQuery{})
	require.NoError(t, err)
	require.Len(t, all, 2)
}

// TestReconcileAnotherDatabase leaves a change of another database open for that one.
func TestReconcileAnotherDatabase(t *testing.T) {
	w := newWorld(t, "Cust1").open()
	c := w.customers["Cust1"]
	right := c.mirror
	changed := w.run(job{Member: "Cust1", Kind: kindChange, Request: request{Tables: []string{"contact"}, Change: change{Operation: opReset}}})
	require.Equal(t, statusDone, changed.Status, changed.Error)
	if l := w.c.members[fold("Cust1")].busy(kindWaiting); l != nil { // has nothing to do with it
		w.c.jobs.stop(l.id)
		w.end(l.id)
	}
	// As if the process had died before it knew.
	_, err := w.c.state.db.ExecContext(t.Context(), "DELETE FROM journal WHERE event<>'intent'")
	require.NoError(t, err)
	_, err = w.c.state.change(t.Context(), changed.ID, func(j *job) { j.Status = statusUnknown })
	require.NoError(t, err)
	require.NoError(t, w.c.recount(t.Context(), ""))

	c.swap(memory.New())
	c.cycle(t)
	found, err := w.c.reconcile(t.Context(), w.c.members[fold("Cust1")], "ada")
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.Equal(t, "1 change was of another database, which alone can tell.", foundText(found))
	require.Equal(t, 1, w.c.members[fold("Cust1")].openChanges())

	c.swap(right)
	found, err = w.c.reconcile(t.Context(), w.c.members[fold("Cust1")], "ada")
	require.NoError(t, err)
	require.Equal(t, mirror.OutcomeDone, found[0].Outcome)
	require.Zero(t, w.c.members[fold("Cust1")].openChanges())
	require.Equal(t, statusDone, w.end(changed.ID).Status)
}

// TestSessionsStay holds logins to last over a restart, and to end with their time.
func TestSessionsStay(t *testing.T) {
	w := withLogin(t)
	require.Equal(t, 303, w.logIn(adasToken).code)
	cookies := w.client.Jar.Cookies(must(url.Parse(w.server.URL)))
	w.close()
	w.open()
	ask := func() int {
		req := w.request("GET", "/", nil)
		req.AddCookie(cookies[0])
		return w.do(req).code
	}
	require.Equal(t, 200, ask())
	_, err := w.c.state.db.ExecContext(t.Context(), "UPDATE session SET expires=1")
	require.NoError(t, err)
	require.Equal(t, 303, ask())
	for _, file := range []string{w.path, w.path + "-wal"} {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		require.False(t, bytes.Contains(data, []byte(cookies[0].Value)), "who reads the file cannot log in with it")
	}
}

// TestNothingIsLeftRunning counts what goes on after Close.
func TestNothingIsLeftRunning(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	w := newWorld(t, "Cust1")
	w.opts.Look = time.Hour
	c, err := Open(w.path, w.fleet, &w.opts)
	require.NoError(t, err)
	require.NoError(t, c.Close())
	require.NoError(t, c.Close(), "a second time is as well")
}

// TestStateIsNobodyElses looks at the files that the state is in.
func TestStateIsNobodyElses(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("has no such permissions")
	}
	w := newWorld(t, "Cust1").open()
	w.run(job{Member: "Cust1", Kind: kindComparison})
	files, err := os.ReadDir(filepath.Dir(w.path))
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(files), 4)
	for _, f := range files {
		info, err := f.Info()
		require.NoError(t, err)
		require.Zero(t, info.Mode().Perm()&0o077, f.Name())
	}
}

// TestReadsDoNotWait has a page shown while something is written down.
func TestReadsDoNotWait(t *testing.T) {
	w := newWorld(t, "Cust1").open()
	w.run(job{Member: "Cust1", Kind: kindComparison})
	require.ErrorIs(t, w.c.state.tx(t.Context(), func(tx *sqlx.Tx) error {
		_, err := tx.ExecContext(t.Context(), "UPDATE job SET error='being written'")
		require.NoError(t, err)
		require.NotContains(t, w.get("/mirrors/Cust1/comparisons"), "being written")
		return errStopped
	}), errStopped)
}
