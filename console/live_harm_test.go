package console

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
)

// heldBytes is what is answered before a comparison is in the middle of table big.
const heldBytes = 1 << 20

// middle begins a comparison, and returns when it is in the middle of table big.
func (w *liveWorld) middle() (id int64) {
	w.t.Helper()
	held := w.wire.hold(heldBytes)
	id = w.begin()
	select {
	case <-held:
	case <-w.c.jobs.get(id).done:
		w.t.Fatal("the comparison ended before it was held")
	case <-time.After(time.Minute):
		w.t.Fatal("the comparison does not come to its middle")
	}
	return id
}

func (w *liveWorld) testStop(t *testing.T) {
	w.grow(15)
	w.compared = &mirror.CompareOptions{Strategy: mirror.StrategyStream, Tables: []string{"big"}, Tuning: mirror.Tuning{CheckpointEvery: time.Nanosecond}}
	defer func() { w.compared = nil }()

	w.sub("by its button", func(t *testing.T) {
		id := w.middle()
		page := fmt.Sprintf("/mirrors/Cust1/comparisons/%d", id)
		require.Contains(t, w.get(page), "Stop")
		w.post(fmt.Sprintf("/jobs/%d/stop", id), nil)
		w.wire.release()
		j := w.end(id)
		require.Equal(t, statusStopped, j.Status, j.Error)
		require.True(t, j.Summary.Resumable)
		require.Contains(t, w.get(page), "Go on")
		w.post(fmt.Sprintf("/jobs/%d/resume", id), nil)
		j = w.end(id)
		require.Equal(t, statusDone, j.Status, j.Error)
		require.Equal(t, mirror.VerdictIdentical, w.report(j).Table("big").Verdict)
		require.EqualValues(t, 1<<15, w.report(j).Table("big").SourceRows)
	})
	w.sub("with the process", func(t *testing.T) {
		id := w.middle()
		closed := make(chan struct{})
		go func() {
			defer close(closed)
			w.close()
		}()
		<-w.c.ending
		w.wire.release()
		<-closed
		w.reopen()
		j := w.end(id)
		require.Equal(t, statusDone, j.Status, j.Error)
		require.Equal(t, mirror.VerdictIdentical, w.report(j).Table("big").Verdict)
		require.EqualValues(t, 1<<15, w.report(j).Table("big").SourceRows)
	})
}

// kill has the server end the console's sessions.
func (w *liveWorld) kill() {
	w.t.Helper()
	var ids []int
	require.NoError(w.t, w.admin.DB().SelectContext(w.t.Context(), &ids, "SELECT session_id FROM sys.dm_exec_sessions WHERE program_name = @p1", liveApp))
	require.NotEmpty(w.t, ids)
	for _, id := range ids {
		w.exec(w.admin, fmt.Sprintf("KILL %d", id))
	}
}

func (w *liveWorld) testLostComparing(t *testing.T) {
	w.compared = &mirror.CompareOptions{Strategy: mirror.StrategyStream, Tables: []string{"big"}, Tuning: mirror.Tuning{CheckpointEvery: time.Nanosecond}}
	defer func() { w.compared = nil }()
	for _, q := range []struct {
		name string
		harm func()
	}{
		{"by KILL", func() {
			w.kill()
			w.wire.release()
		}},
		{"by the network", w.wire.drop},
		{"with the server", w.wire.down},
	} {
		w.sub(q.name, func(t *testing.T) {
			id := w.middle()
			q.harm()
			j := w.end(id)
			body := w.get(fmt.Sprintf("/mirrors/Cust1/comparisons/%d", id))
			require.Equal(t, statusDone, j.Status, j.Error)
			require.Equal(t, mirror.VerdictFailed, w.report(j).Table("big").Verdict)
			t.Log(w.report(j).Table("big").Reason)
			require.Contains(t, body, "Not everything was compared")
			if q.name == "with the server" {
				w.wire.up()
			}
		})
	}
	j, _ := w.compare()
	require.Equal(t, statusDone, j.Status, j.Error)
	require.Equal(t, mirror.VerdictIdentical, w.report(j).Table("big").Verdict)
}

func (w *liveWorld) testLostResetting(t *testing.T) {
	for _, q := range []struct {
		at   cutting
		done bool
	}{{cutInside, false}, {cutBeforeServer, false}, {cutBeforeAnswer, true}} {
		w.sub(string(q.at), func(t *testing.T) {
			before := w.lsn("contact")
			a := w.submit("/mirrors/Cust1/reset", w.choose(url.Values{"mode": {modeTables}, "tables": {"contact"}}))
			require.Equal(t, http.StatusOK, a.code, a.body)
			w.wire.cutAt(q.at)
			j := w.followed(w.submit("/mirrors/Cust1/reset", w.confirmed(a)))
			w.wire.cutAt(cutNever)
			page := fmt.Sprintf("/mirrors/Cust1/changes/%d", j.ID)
			body := w.get(page)
			t.Log(j.Status, j.Error)
			if q.at == cutInside {
				require.Equal(t, statusFailed, j.Status, j.Error)
				require.Contains(t, body, "Failed: nothing was changed")
				require.Equal(t, before, w.lsn("contact"))
				return
			}
			require.Equal(t, statusUnknown, j.Status, j.Error)
			require.Contains(t, body, "Not known yet whether it was done")
			require.Contains(t, w.get("/mirrors/Cust1/journal"), "1 change without a known end")
			w.post("/mirrors/Cust1/reconcile", nil)
			body = w.get(page)
			require.NotContains(t, w.get("/mirrors/Cust1/journal"), "without a known end")
			if !q.done {
				require.Equal(t, before, w.lsn("contact"))
				require.Contains(t, body, "Failed: nothing was changed")
				return
			}
			require.EqualValues(t, -1, *w.lsn("contact"))
			require.Contains(t, body, "1 table is reset")
			undone := w.undo(j)
			require.Equal(t, statusDone, undone.Status, undone.Error)
			require.Equal(t, before, w.lsn("contact"))
		})
	}
}

// pages are those of a mirror that are opened at any time.
func (w *liveWorld) pages() []string {
	all := []string{"/", "/jobs", "/journal"}
	for _, page := range []string{"", "/comparisons", "/reset", "/waiting", "/journal", "/validation"} {
		all = append(all, "/mirrors/Cust1"+page)
	}
	return all
}

func (w *liveWorld) testAway(t *testing.T) {
	w.identical()
	w.wire.down()
	defer w.wire.up()
	w.post("/mirrors/Cust1/look", nil)
	for _, page := range w.pages() {
		w.get(page)
	}
	require.Contains(t, w.get("/mirrors/Cust1"), "connection refused")
	require.Contains(t, w.get("/"), "connection refused")
	j, body := w.compare()
	require.Equal(t, statusFailed, j.Status)
	require.Contains(t, body, "connection refused")

	a := w.submit("/mirrors/Cust1/reset", w.choose(url.Values{"mode": {modeTables}, "tables": {"contact"}}))
	require.Equal(t, http.StatusOK, a.code)
	require.Contains(t, a.body, "Not tried.")
	j = w.followed(w.submit("/mirrors/Cust1/reset", w.confirmed(a)))
	require.Equal(t, statusFailed, j.Status)
	require.Equal(t, mirror.OutcomeNotDone, j.Summary.Outcome)
	require.Contains(t, w.get(fmt.Sprintf("/mirrors/Cust1/changes/%d", j.ID)), "Failed: nothing was changed")
}

// testSilent has a server that takes connections and never answers.
func (w *liveWorld) testSilent(t *testing.T) {
	w.wire.hold(1)
	defer w.wire.drop()
	id := w.begin()
	dialed := w.wire.dialed.Load()
	for _, page := range w.pages() {
		w.get(page)
	}
	require.LessOrEqual(t, w.wire.dialed.Load(), dialed+1, "no page asks the server: only the comparison does")
	w.post(fmt.Sprintf("/jobs/%d/stop", id), nil)
	require.Equal(t, statusStopped, w.end(id).Status)
}

func (w *liveWorld) testPasswords(t *testing.T) {
	w.post("/mirrors/Cust2/look", nil)
	require.Contains(t, w.get("/mirrors/Cust2"), "ogin failed")
	j := w.run(job{Member: "Cust2", Kind: kindComparison})
	require.Equal(t, statusFailed, j.Status)
	require.NotEmpty(t, j.Error)
	require.Contains(t, w.get(fmt.Sprintf("/mirrors/Cust2/comparisons/%d", j.ID)), "ogin failed")
	require.NotEmpty(t, w.log.String())
	require.Empty(t, w.secretsIn(), "where the password stands")
	require.NotContains(t, w.answers.String(), w.urls[1])
}
