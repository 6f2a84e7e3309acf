package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
)

// lost has the answer of a change never come, as far as the state can tell.
func (w *world) lost(id int64) {
	w.t.Helper()
	for _, query := range []string{"DELETE FROM journal WHERE event<>'intent' AND job=?", "UPDATE job SET state='unknown', document=NULL WHERE id=?"} {
		_, err := w.c.state.db.ExecContext(w.t.Context(), query, id)
		require.NoError(w.t, err)
	}
	require.NoError(w.t, w.c.recount(w.t.Context(), ""))
}

func TestJournalPages(t *testing.T) {
	w := newWorld(t, "Cust1", "Cust2").open()
	require.Contains(t, w.get("/journal"), "Nothing was done yet")
	require.Contains(t, w.get("/mirrors/Cust1/journal"), "Nothing was done yet")

	done := w.reset("Cust1", "contact", "sale")
	w.reset("Cust2", "person")
	html := w.get("/journal")
	require.Contains(t, html, fmt.Sprintf(`<a href="/mirrors/Cust1/changes/%d"><b>Reset of 2 tables in Cust1</b></a>`, done.ID))
	require.Contains(t, html, "<p>contact, sale</p>")
	require.Contains(t, html, "<bdi>ada</bdi>")
	require.Less(t, strings.Index(html, "Cust2"), strings.Index(html, "Cust1"), "the newest first")
	html = w.get("/mirrors/Cust1/journal")
	require.Contains(t, html, "<b>Reset of 2 tables</b>")
	require.NotContains(t, html, "Cust2")

	undo := w.run(job{Member: "Cust1", Kind: kindChange, Request: request{Of: done.ID, Change: change{Operation: opUndo}}})
	require.Equal(t, statusDone, undo.Status, undo.Error)
	html = w.get("/mirrors/Cust1/journal")
	require.Contains(t, html, "Undo: reset of 2 tables")
	require.Contains(t, html, fmt.Sprintf("Job %d took it back.", undo.ID))

	for path, code := range map[string]int{"/journal?before=abc": 400, "/journal?before=-1": 400, "/mirrors/nobody/journal": 404} {
		require.Equal(t, code, w.do(w.request("GET", path, nil)).code, path)
	}
	require.Contains(t, w.get("/journal?before=1"), "Nothing is older")
}

func TestJournalUnknown(t *testing.T) {
	w := newWorld(t, "Cust1", "Cust2").open()
	j := w.reset("Cust1", "contact")
	w.lost(j.ID)
	html := w.get("/journal")
	require.Contains(t, html, "1 change without a known end.")
	require.Contains(t, html, `href="/?state=unknown"`)
	require.Contains(t, html, "not known whether it was done")
	require.Contains(t, html, `action="/mirrors/Cust1/reconcile"`)
	require.Equal(t, []string{"cust1"}, mirrorsOf(w.get("/?state=unknown")))
	require.Contains(t, w.get("/jobs"), "end not known")
	require.Contains(t, w.get("/mirrors/Cust1"), "It is not known whether 1 change of this mirror happened.")

	t.Run("the database cannot be asked", func(t *testing.T) {
		w.customers["Cust1"].onOpen(func(context.Context) error { return errors.New("no route to <b>host\u202e") })
		a := w.do(w.request("POST", "/mirrors/Cust1/reconcile", url.Values{}))
		require.Equal(t, http.StatusBadGateway, a.code)
		require.Contains(t, a.body, "no route to &lt;b&gt;host\ufffd")
		w.customers["Cust1"].onOpen(nil)
	})
	require.Equal(t, "/mirrors/Cust1/journal", w.post("/mirrors/Cust1/reconcile", nil))
	html = w.get("/mirrors/Cust1/journal")
	require.Contains(t, html, "1 change was done.")
	require.Contains(t, html, "the database says that it was done. That was found out just now.")
	require.NotContains(t, html, "without a known end")
	w.post("/mirrors/Cust1/reconcile", nil)
	require.Contains(t, w.get("/mirrors/Cust1/journal"), "Every change has a known end.")

	t.Run("the database no longer tells", func(t *testing.T) {
		j := w.reset("Cust2", "sale")
		w.lost(j.ID)
		w.customers["Cust2"].cycle(t)
		w.customers["Cust2"].cycle(t)
		require.NoError(t, w.c.state.reconcile(t.Context(), map[string]mirror.Outcome{operationOf(t, w, j.ID): mirror.OutcomeOvertaken}, w.c.now()))
		require.Contains(t, w.get("/mirrors/Cust2/journal"), "nobody knows")
	})
	t.Run("it was not done", func(t *testing.T) {
		j := w.reset("Cust2", "contact")
		w.lost(j.ID)
		require.NoError(t, w.c.state.reconcile(t.Context(), map[string]mirror.Outcome{operationOf(t, w, j.ID): mirror.OutcomeNotDone}, w.c.now()))
		require.Contains(t, w.get("/mirrors/Cust2/journal"), "the database says that nothing was changed")
	})
}

func operationOf(t *testing.T, w *world, job int64) (id string) {
	t.Helper()
	require.NoError(t, w.c.state.db.GetContext(t.Context(), &id, "SELECT operation FROM journal WHERE job=?", job))
	return id
}

func TestJournalReadOnly(t *testing.T) {
	w := newWorld(t, "Cust1").open()
	w.lost(w.reset("Cust1", "contact").ID)
	w.close()
	w.opts.ReadOnly = true
	w.customers["Cust1"].onOpen(func(context.Context) error { return errors.New("gone") }) // it would be reconciled at once
	w.open()
	for _, path := range []string{"/journal", "/mirrors/Cust1/journal"} {
		html := w.get(path)
		require.Contains(t, html, "1 change without a known end.")
		require.Contains(t, html, "This console is read-only, so it does not ask.")
		require.NotContains(t, html, "/reconcile")
	}
	require.NotEqual(t, http.StatusSeeOther, w.do(w.request("POST", "/mirrors/Cust1/reconcile", url.Values{})).code)
}

// TestJournalHostile holds what is written in a journal to be text, and bounded.
func TestJournalHostile(t *testing.T) {
	w := newWorld(t, "Cust1").open()
	receipt := &mirror.Receipt{Operation: mirror.OperationHardReset}
	for i := range 600 {
		receipt.Tables = append(receipt.Tables, mirror.ReceiptTable{Table: fmt.Sprintf("<script>%d</script>ש\u202e", i), Actions: []mirror.Action{mirror.ActionResetLSN}})
	}
	receipt.Tables = append(receipt.Tables, mirror.ReceiptTable{Table: "untouched"})
	r := recorder{w.c.state, "<b>eve", 77}
	for i := range operationsShown + 2 {
		e := mirror.JournalEntry{Version: 1, ContextID: "Cust1", Event: mirror.JournalIntent, Time: w.c.now(), ID: fmt.Sprint("op", i), Receipt: receipt}
		if i == 1 {
			e.Receipt, e.ContextID = nil, "<x>Gone"
		}
		require.NoError(t, r.Append(t.Context(), e))
		e.Event, e.Receipt = mirror.JournalFailed, nil
		require.NoError(t, r.Append(t.Context(), e))
	}
	html := w.get("/journal")
	require.NotContains(t, html, "<script>0")
	require.NotContains(t, html, "<b>eve")
	require.Contains(t, html, "<b>Hard reset of 600 tables in Cust1</b>")
	require.NotContains(t, html, "/changes/77", "its job was cleaned up")
	require.Contains(t, html, "and 592 more")
	require.Contains(t, html, "<summary>All 600 tables</summary><p><bdi>&lt;script&gt;0&lt;/script&gt;ש\ufffd</bdi>, ")
	require.Contains(t, html, " and 100 more, which the receipt has")
	require.Contains(t, html, "It was rolled back: nothing was changed.")
	require.NotContains(t, html, "untouched")
	next := between(html, `rel="next" href="`, `"`)
	html = w.get(next)
	require.Equal(t, 2, strings.Count(html, `<div class="when">`))
	require.Contains(t, html, "<b>A change in &lt;x&gt;Gone</b>")
	require.Contains(t, html, `rel="prev" href="/journal"`)
}

// between returns what stands between two texts.
func between(s, from, to string) string {
	_, s, _ = strings.Cut(s, from)
	s, _, _ = strings.Cut(s, to)
	return s
}

func TestFoundText(t *testing.T) {
	of := func(all ...mirror.Outcome) (found []mirror.Reconciled) {
		for _, o := range all {
			found = append(found, mirror.Reconciled{Outcome: o})
		}
		return found
	}
	require.Equal(t, "Every change has a known end.", foundText(nil))
	require.Equal(t, "2 changes were done, 1 change was not done.", foundText(of(mirror.OutcomeDone, mirror.OutcomeNotDone, mirror.OutcomeDone)))
	require.Equal(t, "Of 1 change the database no longer tells.", foundText(of(mirror.OutcomeOvertaken)))
	require.Equal(t, "Others are as they were.", foundText(of("new", "newer")))
}
