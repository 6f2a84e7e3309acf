package console

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store"
)

// firstCells returns the names of the rows of a page's last table.
func firstCells(html string) (names []string) {
	html = html[strings.LastIndex(html, "<table"):]
	for _, m := range regexp.MustCompile(`<th role="rowheader" scope="row">(?:<a[^>]*>)?<bdi>(.*?)</bdi>`).FindAllStringSubmatch(html, -1) {
		names = append(names, m[1])
	}
	return names
}

func TestMirrorPage(t *testing.T) {
	w := newWorld(t, "Cust1").open()
	c := w.customers["Cust1"]
	html := w.get("/mirrors/cust1")
	require.Contains(t, html, "Nobody has looked at this mirror yet")
	require.Contains(t, html, "never compared")
	require.NotContains(t, html, "c-search", "there is nothing to look for")

	require.Equal(t, "/mirrors/Cust1", w.post("/mirrors/Cust1/look", nil))
	html = w.get("/mirrors/Cust1")
	require.Contains(t, html, "The mirror was looked at.")
	require.Equal(t, []string{"contact", "country", "document", "person", "sale"}, firstCells(html))
	require.Contains(t, html, "synced")

	c.lose(t, "sale", 7)
	j := w.run(job{Member: "Cust1", Kind: kindComparison})
	html = w.get("/mirrors/Cust1")
	require.Equal(t, []string{"sale", "contact", "country", "document", "person"}, firstCells(html), "those first that need a hand")
	require.Contains(t, html, "only a reset mends that")
	require.Contains(t, html, `<a class="button primary" href="/mirrors/Cust1/reset?of=1">Reset what differs</a>`)
	require.Contains(t, html, `action="/mirrors/Cust1/comparisons/1/recheck"`)
	require.Contains(t, html, `action="/mirrors/Cust1/comparisons"`)
	link := regexp.MustCompile(`href="(/mirrors/Cust1/comparisons/1)#(t\d+)"><bdi>7 missing</bdi>`).FindStringSubmatch(html)
	require.NotNil(t, link)
	require.Regexp(t, `id="`+link[2]+`"[^>]*>\s*<div class="who"><h3[^>]*>sale<`, w.get(link[1]), "the link leads to the table")
	require.Equal(t, j.ID, int64(1))

	t.Run("narrowed", func(t *testing.T) {
		require.Equal(t, []string{"sale"}, firstCells(w.get("/mirrors/Cust1?state=hand")))
		require.Equal(t, []string{"contact", "country"}, firstCells(w.get("/mirrors/Cust1?q=CO&state=synced")))
		require.Len(t, firstCells(w.get("/mirrors/Cust1?state=nonsense&page=abc")), 5)
		for _, q := range []string{"%", "ø", "\u202e<b>", "\x00"} {
			html := w.get("/mirrors/Cust1?q=" + url.QueryEscape(q))
			require.Contains(t, html, "No table matches")
			require.NotContains(t, html, "<b>\"")
		}
	})
	t.Run("reset", func(t *testing.T) {
		changed := w.run(job{Member: "Cust1", Kind: kindChange, Request: request{Of: 1, Change: change{Operation: opApply}}})
		require.Equal(t, statusDone, changed.Status, changed.Error)
		w.post("/mirrors/Cust1/look", nil)
		html := w.get("/mirrors/Cust1")
		require.Contains(t, html, "reset requested")
		require.Contains(t, html, "The next cycle populates 1 table anew.")
		require.NotContains(t, html, "Reset what differs")
		require.Contains(t, html, `Waiting <span class="tab-n">1</span>`)
	})
	t.Run("running", func(t *testing.T) {
		hold := make(chan struct{})
		c.onOpen(func(context.Context) error { <-hold; return nil })
		id, err := w.c.jobs.start(t.Context(), job{Member: fold("Cust1"), Kind: kindComparison, Actor: "ada <x>"})
		require.NoError(t, err)
		html := w.get("/mirrors/Cust1")
		require.Contains(t, html, "What is going on")
		require.Contains(t, html, "ada &lt;x&gt;")
		require.Contains(t, html, "See the comparison")
		require.NotContains(t, html, `action="/mirrors/Cust1/comparisons"`)
		close(hold)
		w.end(id.ID)
		c.onOpen(nil)
	})
	require.Equal(t, http.StatusNotFound, w.do(w.request("GET", "/mirrors/nobody", nil)).code)
	require.Equal(t, http.StatusNotFound, w.do(w.request("POST", "/mirrors/nobody/look", url.Values{})).code)
}

func TestMirrorPageReadOnly(t *testing.T) {
	w := newWorld(t, "Cust1")
	w.opts.ReadOnly = true
	w.open()
	w.customers["Cust1"].lose(t, "sale", 7)
	w.run(job{Member: "Cust1", Kind: kindComparison})
	html := w.get("/mirrors/Cust1")
	require.Contains(t, html, "only a reset mends that")
	require.NotContains(t, html, "Reset what differs")
	require.Contains(t, html, `action="/mirrors/Cust1/comparisons"`, "comparing changes nothing")
	w.post("/mirrors/Cust1/look", nil)
}

func TestMirrorPageLook(t *testing.T) {
	w := newWorld(t, "Cust1").open()
	c, m := w.customers["Cust1"], w.c.order[0]
	c.onOpen(func(context.Context) error { return errors.New("login failed for <b>sa\u202e\nline two") })
	w.post("/mirrors/Cust1/look", nil)
	html := w.get("/mirrors/Cust1")
	require.Contains(t, html, "cannot be read")
	require.Contains(t, html, "login failed for &lt;b&gt;sa\ufffd line two")
	require.Contains(t, html, "Nothing is known of its tables")
	require.NotContains(t, html, "<b>sa")

	t.Run("what was known stays", func(t *testing.T) {
		c.onOpen(nil)
		w.post("/mirrors/Cust1/look", nil)
		c.onOpen(func(context.Context) error { return errors.New("gone") })
		w.post("/mirrors/Cust1/look", nil)
		html := w.get("/mirrors/Cust1")
		require.Contains(t, html, "What is below is from just now.")
		require.Len(t, firstCells(html), 5)
	})
	status := func(s mirror.Status, at time.Time) string {
		t.Helper()
		s.ContextID, s.Time = "Cust1", at
		l := lookOf(&s, nil, at)
		m.setLook(l)
		require.NoError(t, w.c.state.keepLook(t.Context(), m.key, l, &s))
		return w.get("/mirrors/Cust1")
	}
	t.Run("an old one says so", func(t *testing.T) {
		html := status(mirror.Status{State: mirror.MirrorHasMetadata}, w.c.now().Add(-45*time.Minute))
		require.Contains(t, html, "The mirror was last looked at 45 minutes ago.")
		require.Contains(t, html, "There are no tables")
	})
	t.Run("a replica says so", func(t *testing.T) {
		require.Contains(t, status(mirror.Status{State: mirror.MirrorReplica}, w.c.now()), "its own program re-synchronizes tables")
	})
	t.Run("so does one without a cycle", func(t *testing.T) {
		html := status(mirror.Status{State: mirror.MirrorAwaitingFirstCycle, Warnings: []string{"there is <x>", "2", "3", "4", "5"}}, w.c.now())
		require.Contains(t, html, "There is no metadata table yet.")
		require.Contains(t, html, "there is &lt;x&gt;")
		require.Contains(t, html, "There are 2 more warnings.")
	})
	t.Run("hostile names are text", func(t *testing.T) {
		lsn := store.LSN(-1)
		html := status(mirror.Status{State: mirror.MirrorHasMetadata, Tables: []mirror.TableStatus{
			{Table: "<script>alert(1)</script>\u202e", State: mirror.TableInvalid, Reason: "its <LSN> is ש NULL"},
			{Table: "שלום", State: mirror.TableResetRequested, LSN: &lsn, Rows: 1234567}, {Table: "z", State: "odd<", LSN: nil}, {Table: "y", State: mirror.TableAbsent},
		}}, w.c.now())
		require.NotContains(t, html, "<script>alert")
		require.Contains(t, html, "<bdi>&lt;script&gt;alert(1)&lt;/script&gt;\ufffd</bdi>")
		require.Contains(t, html, "<small>\u2068its &lt;LSN&gt; is ש NULL\u2069</small>")
		require.Contains(t, html, "1,234,567")
		require.Equal(t, []string{"&lt;script&gt;alert(1)&lt;/script&gt;\ufffd", "שלום", "y", "z"}, firstCells(html))
	})
}

// TestMirrorPageMaybe says of a table what the list of mirrors says of its mirror.
func TestMirrorPageMaybe(t *testing.T) {
	w := newWorld(t, "Cust1").open()
	for name, test := range map[string]struct {
		summary summary
		table   tableSummary
		maybe   bool
	}{
		"not known yet":      {summary{Level: "unsure", Differing: 7}, tableSummary{Verdict: mirror.VerdictDifferent, Missing: 7}, true},
		"diverged":           {summary{Level: "bad", Differing: 7, Diverged: 7}, tableSummary{Verdict: mirror.VerdictDifferent, Missing: 7, Diverged: 7}, false},
		"the LSN is expired": {summary{Level: "bad", Differing: 7, Stale: 1}, tableSummary{Verdict: mirror.VerdictDifferent, Missing: 7}, false},
		"other columns":      {summary{Level: "unsure", Differing: 7}, tableSummary{Verdict: mirror.VerdictSchemaDiffers, Schema: 1}, false},
	} {
		t.Run(name, func(t *testing.T) {
			j := job{Member: "cust1", Kind: kindComparison, Status: statusDone, Summary: test.summary}
			require.NoError(t, w.c.state.add(t.Context(), &j))
			test.table.Table = "sale"
			require.NoError(t, w.c.state.finish(t.Context(), &j, nil, nil, []tableSummary{test.table}))
			w.c.members["cust1"].ended(j)
			html := w.get("/mirrors/Cust1")
			require.Equal(t, test.maybe, strings.Contains(html, "<b>1</b> <span>table differs, maybe for now"), html)
			require.Equal(t, !test.maybe, strings.Contains(html, "<b>1</b> <span>table needs a hand"), html)
		})
	}
}

func TestDiffering(t *testing.T) {
	for want, s := range map[string]tableSummary{
		"nothing": {Verdict: mirror.VerdictIdentical},
		"1,000 missing, 2 duplicate, 3 of these pending": {Missing: 1000, Duplicate: 2, Pending: 3},
		"1 changed, 2 differences of columns and keys":   {Changed: 1, Schema: 2},
		"5 rows in the source, 6 in the mirror":          {Source: 5, Mirror: 6},
		"read: gone":                                     {Reason: "read:\ngone"},
	} {
		require.Equal(t, want, differing(&s))
	}
}

// TestRecordNothing takes what a comparison returns that could not begin.
func TestRecordNothing(t *testing.T) {
	require.ErrorContains(t, newWorld(t, "Cust1").open().c.Record(t.Context(), nil), "there is no report")
}
