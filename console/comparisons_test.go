package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/fleet"
)

// held has the databases of a customer wait before they are opened.
func (w *world) held(id string) (reached chan struct{}, release func()) {
	w.t.Helper()
	reached, free := make(chan struct{}, 8), make(chan struct{})
	w.customers[id].onOpen(func(ctx context.Context) error {
		reached <- struct{}{}
		select {
		case <-free:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	return reached, func() { close(free) }
}

// jobAt is the number of the job whose page that is.
func jobAt(t *testing.T, location string) (id int64) {
	t.Helper()
	_, err := fmt.Sscanf(location[strings.LastIndex(location, "/")+1:], "%d", &id)
	require.NoError(t, err, location)
	return id
}

func TestComparisonsPage(t *testing.T) {
	w := newWorld(t, "Cust1", "Cust2").open()
	require.Contains(t, w.get("/mirrors/Cust1/comparisons"), "never compared")

	w.customers["Cust1"].lose(t, "contact", 7)
	first := w.end(jobAt(t, w.post("/mirrors/Cust1/comparisons", nil)))
	require.Equal(t, "local", first.Actor)
	require.Equal(t, mirror.DepthRows, first.Request.Depth)
	second := w.end(jobAt(t, w.post("/mirrors/Cust1/comparisons", url.Values{"depth": {"rows"}, "since": {"on"}})))
	require.Equal(t, first.ID, second.Request.Of)
	require.Equal(t, statusDone, second.Status, second.Error)

	html := w.get("/mirrors/Cust1/comparisons")
	require.Contains(t, html, fmt.Sprintf(`href="/mirrors/Cust1/comparisons/%d/since/%d"`, second.ID, first.ID))
	require.NotContains(t, html, fmt.Sprintf(`comparisons/%d/since/`, first.ID), "before the first one there is none")
	require.Contains(t, html, "The mirror differs from its source")
	require.Contains(t, html, "only what changed")
	require.Contains(t, w.get("/mirrors/Cust2/comparisons"), "never compared", "another mirror's are not shown")
}

func TestHistoryPages(t *testing.T) {
	w := newWorld(t, "Cust1").open()
	at := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	for i := range comparisonsShown + 3 {
		j := job{Member: fold("Cust1"), Kind: kindComparison, Status: statusDone, Actor: "ada", Asked: at, Started: at, Ended: at.Add(time.Duration(i) * time.Second), Summary: summary{Level: "good", Verdict: "fine"}}
		require.NoError(t, w.c.state.add(t.Context(), &j))
	}
	html := w.get("/mirrors/Cust1/comparisons")
	require.Equal(t, comparisonsShown, strings.Count(html, "/since/"), "the last one of a page is compared with the first one of the next")
	require.Contains(t, html, `href="/mirrors/Cust1/comparisons?before=4"`)
	older := w.get("/mirrors/Cust1/comparisons?before=4")
	require.Equal(t, 2, strings.Count(older, "/since/"))
	require.NotContains(t, older, "?before=")
	require.Contains(t, w.get("/mirrors/Cust1/comparisons?before=1"), "no older ones")
	for _, before := range []string{"x", "-1", "0", "99999999999999999999"} {
		require.Equal(t, http.StatusBadRequest, w.do(w.request("GET", "/mirrors/Cust1/comparisons?before="+before, nil)).code, before)
	}
}

// TestCompareForm holds what cannot be meant to be refused, with what was typed kept.
func TestCompareForm(t *testing.T) {
	w := newWorld(t, "Cust1").open()
	w.run(job{Member: "Cust1", Kind: kindComparison})
	for name, c := range map[string]struct {
		form url.Values
		want []string
	}{
		"a slip":            {url.Values{"tables": {"person\ncontcat"}}, []string{"contcat", "did you mean contact?", ">person\ncontcat</textarea>"}},
		"nothing like it":   {url.Values{"tables": {"zzzzzzzzzzzzzz"}}, []string{"No table is known as zzzzzzzzzzzzzz."}},
		"several":           {url.Values{"tables": {"contcat, persn, slae"}}, []string{"2 other names of these"}},
		"hostile":           {url.Values{"tables": {"<script>alert(1)</script>"}}, []string{"&lt;script&gt;"}},
		"unknown depth":     {url.Values{"depth": {"deep"}}, []string{"no such depth"}},
		"since by counting": {url.Values{"depth": {"count"}, "since": {"on"}}, []string{"read row by row", "checked"}},
	} {
		t.Run(name, func(t *testing.T) {
			a := w.do(w.request("POST", "/mirrors/Cust1/comparisons", c.form))
			require.Equal(t, http.StatusUnprocessableEntity, a.code)
			for _, want := range c.want {
				require.Contains(t, a.body, want)
			}
			require.NotContains(t, a.body, "<script>alert")
		})
	}
	j := w.end(jobAt(t, w.post("/mirrors/Cust1/comparisons", url.Values{"tables": {" CONTACT ,person\r\n\r\ncontact"}, "depth": {"count"}})))
	require.Equal(t, statusDone, j.Status, j.Error)
	require.Equal(t, []string{"contact", "person"}, j.Request.Tables)
	require.Equal(t, mirror.DepthCount, j.Request.Depth)
}

func TestNamedTables(t *testing.T) {
	known := map[string]string{fold("contact"): "Contact", fold("a, b"): "a, b"}
	tables, wrong := namedTables("a, b\ncontact", known)
	require.Empty(t, wrong)
	require.Equal(t, []string{"a, b", "Contact"}, tables, "a comma can be part of a name")
	tables, wrong = namedTables("anything,at all", nil)
	require.Empty(t, wrong, "before the first look nothing is known")
	require.Equal(t, []string{"anything", "at all"}, tables)
	tables, wrong = namedTables(" \n,,\n", known)
	require.Empty(t, tables, wrong)
}

// TestRunningPage stops a comparison and goes on with it, through the pages.
func TestRunningPage(t *testing.T) {
	w := newWorld(t, "Cust1", "Cust2").open()
	reached, release := w.held("Cust1")
	path := w.post("/mirrors/Cust1/comparisons", nil)
	<-reached
	id := jobAt(t, path)
	html := w.get(path)
	require.Contains(t, html, fmt.Sprintf(`sse-connect="/jobs/%d/events"`, id))
	require.Contains(t, html, `<noscript><meta http-equiv="refresh" content="3"></noscript>`)
	require.Contains(t, html, fmt.Sprintf(`action="/jobs/%d/stop"`, id))
	require.Equal(t, 2, strings.Count(html, `role="status"`), "a short line is said aloud, and how it ended")
	require.Contains(t, w.get("/mirrors/Cust1/comparisons"), "See how far it is")
	require.Equal(t, path, w.post("/mirrors/Cust1/comparisons", nil), "there is one at a time")
	require.Contains(t, w.get(path), "One is there already")
	require.Equal(t, http.StatusNotFound, w.do(w.request("GET", path+"/report.html", nil)).code)
	require.Equal(t, http.StatusConflict, w.do(w.request("POST", path+"/recheck", url.Values{})).code)

	require.Equal(t, path, w.post(fmt.Sprintf("/jobs/%d/stop", id), nil))
	html = w.get(path)
	require.Contains(t, html, "was stopped")
	require.Contains(t, html, "begin anew")
	require.NotContains(t, html, "http-equiv=\"refresh\"")
	release()
	require.Equal(t, path, w.post(fmt.Sprintf("/jobs/%d/resume", id), nil))
	require.Equal(t, statusDone, w.end(id).Status)
	require.Contains(t, w.get(path), "The mirror is identical to its source")
}

func TestReportPage(t *testing.T) {
	w := newWorld(t, "Cust1", "Cust2").open()
	w.customers["Cust1"].lose(t, "contact", 7)
	first := w.run(job{Member: "Cust1", Kind: kindComparison})
	second := w.run(job{Member: "Cust1", Kind: kindComparison, Request: request{Tables: []string{"contact"}, Depth: mirror.DepthRows}})
	path := fmt.Sprintf("/mirrors/Cust1/comparisons/%d", second.ID)
	html := w.get(path)
	require.Equal(t, 1, strings.Count(html, "<h1"))
	for _, want := range []string{
		"The mirror differs from its source", fmt.Sprintf(`href="/mirrors/Cust1/reset?of=%d"`, second.ID), path + "/report.html", path + "/report.json",
		fmt.Sprintf(`href="%s/since/%d"`, path, first.ID), `<input type="hidden" name="tables" value="contact">`,
	} {
		require.Contains(t, html, want)
	}
	require.NotContains(t, html, path+"/recheck", "the source tracks its changes")
	require.Equal(t, http.StatusConflict, w.do(w.request("POST", path+"/recheck", url.Values{})).code)
	require.NotContains(t, html, "<style")

	a := w.do(w.request("GET", path+"/report.html", nil))
	require.Equal(t, fmt.Sprintf("attachment; filename=Cust1-comparison-%d.html", second.ID), a.header.Get("Content-Disposition"))
	require.Contains(t, a.header.Get("Content-Security-Policy"), "sandbox; style-src 'sha256-")
	require.Contains(t, a.body, "<!doctype html>")
	a = w.do(w.request("GET", path+"/report.json", nil))
	require.Equal(t, "application/json", a.header.Get("Content-Type"))
	var r mirror.Report
	require.NoError(t, json.Unmarshal([]byte(a.body), &r))
	require.EqualValues(t, 7, r.Table("contact").Missing)

	for name, path := range map[string]string{
		"another mirror's": fmt.Sprintf("/mirrors/Cust2/comparisons/%d", first.ID),
		"no such job":      "/mirrors/Cust1/comparisons/999",
		"no number":        "/mirrors/Cust1/comparisons/x",
		"no such mirror":   fmt.Sprintf("/mirrors/Cust3/comparisons/%d", first.ID),
		"another kind": fmt.Sprintf("/mirrors/Cust1/comparisons/%d",
			w.run(job{Member: "Cust1", Kind: kindChange, Request: request{Of: first.ID, Change: change{Operation: opApply}}}).ID),
	} {
		for _, rest := range []string{"", "/report.html", "/report.json", fmt.Sprintf("/since/%d", second.ID)} {
			require.Equal(t, http.StatusNotFound, w.do(w.request("GET", path+rest, nil)).code, name+rest)
		}
		require.Equal(t, http.StatusNotFound, w.do(w.request("POST", path+"/recheck", url.Values{})).code, name)
	}
}

func TestFailedPage(t *testing.T) {
	w := newWorld(t, "Cust1").open()
	w.customers["Cust1"].onOpen(func(context.Context) error {
		return errors.New("login failed for <script>alert(1)</script>\r\n" + strings.Repeat("x", 9000))
	})
	j := w.run(job{Member: "Cust1", Kind: kindComparison, Actor: "<b>mallory</b>"})
	html := w.get(fmt.Sprintf("/mirrors/Cust1/comparisons/%d", j.ID))
	require.Contains(t, html, "failed")
	require.Contains(t, html, "login failed for &lt;script&gt;")
	require.NotContains(t, html, "<script>alert")
	require.NotContains(t, html, "<b>mallory")
	require.Less(t, len(html), 20000)
	require.Contains(t, html, fmt.Sprintf("/jobs/%d/resume", j.ID))
	require.NotContains(t, w.get("/mirrors/Cust1/comparisons"), "<b>mallory")
	require.Equal(t, http.StatusNotFound, w.do(w.request("GET", fmt.Sprintf("/mirrors/Cust1/comparisons/%d/report.json", j.ID), nil)).code)
}

// TestCleanedUp shows a comparison whose report is no longer there.
func TestCleanedUp(t *testing.T) {
	w := newWorld(t, "Cust1").open()
	j := w.run(job{Member: "Cust1", Kind: kindComparison})
	_, err := w.c.state.db.Exec("UPDATE job SET document=NULL WHERE id=?", j.ID)
	require.NoError(t, err)
	html := w.get(fmt.Sprintf("/mirrors/Cust1/comparisons/%d", j.ID))
	require.Contains(t, html, "Its report was cleaned up")
	require.Contains(t, html, "Compare again")
}

// TestReadOnlyReport offers nothing that changes a mirror.
func TestReadOnlyReport(t *testing.T) {
	w := newWorld(t, "Cust1")
	w.opts.ReadOnly = true
	w.open()
	w.customers["Cust1"].lose(t, "contact", 7)
	j := w.run(job{Member: "Cust1", Kind: kindComparison})
	require.NotContains(t, w.get(fmt.Sprintf("/mirrors/Cust1/comparisons/%d", j.ID)), "reset?of=")
}

// render is the page without a request.
func (w *world) render(t *testing.T, p page) string {
	t.Helper()
	rec := httptest.NewRecorder()
	require.NoError(t, w.c.show(&visit{Request: httptest.NewRequestWithContext(t.Context(), "GET", "/", nil), w: rec}, p))
	return rec.Body.String()
}

// TestTimeIsUp goes on with a comparison whose time was up, and with one that the process
// did not survive too often.
func TestTimeIsUp(t *testing.T) {
	w := newWorld(t, "Cust1").open()
	j := w.run(job{Member: "Cust1", Kind: kindComparison})
	path := fmt.Sprintf("/mirrors/Cust1/comparisons/%d", j.ID)
	require.Equal(t, http.StatusConflict, w.do(w.request("POST", fmt.Sprintf("/jobs/%d/resume", j.ID), url.Values{})).code, "it came to its end")
	_, err := w.c.state.change(t.Context(), j.ID, func(j *job) { j.Summary.Incomplete, j.Summary.Resumable = true, true })
	require.NoError(t, err)
	html := w.get(path)
	require.Contains(t, html, "Its time was up.")
	require.Contains(t, html, ">Go on<")
	w.post(fmt.Sprintf("/jobs/%d/resume", j.ID), nil)
	require.False(t, w.end(j.ID).Summary.Incomplete)

	require.NoError(t, w.c.state.keepCheckpoint(t.Context(), j.ID, &mirror.Checkpoint{Version: 1, ContextID: "Cust1"}))
	_, err = w.c.state.db.Exec("UPDATE job SET state='running', resumed=?, summary='{}' WHERE id=?", maxResumed, j.ID)
	require.NoError(t, err)
	w.close()
	w.open()
	require.Contains(t, w.get(path), "not gone on with by itself")
	require.Contains(t, w.get(path), "begins where it was")
}

// TestGoneOnWithAtOnce keeps a job that somebody goes on with before the last of what it was
// is cleared away.
func TestGoneOnWithAtOnce(t *testing.T) {
	m := newMember(fleet.Member{ContextID: "Cust1"}, 0)
	was, is := newLive(job{ID: 1}, nil), newLive(job{ID: 1}, nil)
	m.running(was)
	m.running(is)
	m.over(was)
	require.Equal(t, []*live{is}, m.live())
	m.over(is)
	require.Empty(t, m.live())
}
