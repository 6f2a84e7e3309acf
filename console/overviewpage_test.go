package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/fleet"
)

// mirrorsOf returns the mirrors of a list in their order.
func mirrorsOf(html string) (ids []string) {
	for _, m := range regexp.MustCompile(`id="m-([^"]*)"`).FindAllStringSubmatch(html, -1) {
		ids = append(ids, m[1])
	}
	return ids
}

func TestCondition(t *testing.T) {
	now := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	hour := now.Add(-time.Hour)
	compared := func(s summary) job {
		return job{ID: 7, Status: statusDone, Started: hour, Ended: hour, Summary: s}
	}
	good := summary{Level: "good", Verdict: "The mirror is identical to its source", Whole: true}
	stale := summary{Level: "bad", Verdict: "The mirror differs from its source", Stale: 2, Differing: 9}
	reset := func(r request) job {
		r.Change.Operation = opApply
		return job{ID: 9, Status: statusDone, Started: now, Ended: now, Request: r}
	}
	waits := look{Tables: map[mirror.TableState]int{mirror.TableResetRequested: 1}}
	for name, test := range map[string]struct {
		is    glance
		rank  rank
		badge string
		says  string
	}{
		"nothing is known":         {glance{}, rankOld, "never compared", "Nobody"},
		"a change is not known":    {glance{unknown: 2, look: look{Err: "no"}, compared: compared(stale)}, rankUnknown, "change not known", "2 changes"},
		"another database":         {glance{look: look{Err: "x", Mistakes: []string{"it has cust2_mirroring"}}}, rankUnreadable, "wrong database", "it has cust2_mirroring."},
		"it cannot be read":        {glance{look: look{Err: "login failed\nfor <sa>"}, compared: compared(stale)}, rankUnreadable, "cannot be read", "login failed for <sa>"},
		"the comparison failed":    {glance{compared: job{ID: 7, Status: statusFailed, Error: "no source"}}, rankUnreadable, "comparison failed", "no source"},
		"it is stale":              {glance{compared: compared(stale), look: waits}, rankStale, "stale", "only a reset"},
		"rows have diverged":       {glance{compared: compared(summary{Level: "bad", Diverged: 1})}, rankStale, "stale", "only a reset"},
		"its metadata is wrong":    {glance{compared: compared(good), look: look{Tables: map[mirror.TableState]int{mirror.TableInvalid: 1}}}, rankDiffers, "metadata invalid", "1 table cannot"},
		"it differs":               {glance{compared: compared(summary{Level: "unsure", Verdict: "The mirror differs, maybe", Differing: 3})}, rankDiffers, "differs", "maybe."},
		"not all was compared":     {glance{compared: compared(summary{Level: "unsure", Verdict: "Not everything was compared"})}, rankDiffers, "not all compared", "Not everything"},
		"there is no cycle yet":    {glance{look: look{State: mirror.MirrorAwaitingFirstCycle}}, rankWaiting, "awaits its first cycle", "next cycle creates it"},
		"a table waits":            {glance{compared: compared(good), look: waits}, rankWaiting, "waiting", "1 table anew"},
		"it is behind":             {glance{compared: compared(summary{Level: "waiting", Verdict: "x"})}, rankWaiting, "behind", "brings them"},
		"it was reset, and waits":  {glance{compared: compared(stale), changed: reset(request{Of: 7}), look: waits}, rankWaiting, "waiting", "1 table anew"},
		"it was reset":             {glance{compared: compared(stale), changed: reset(request{Of: 7})}, rankOld, "reset since", "Only another one"},
		"one of two was reset":     {glance{compared: compared(stale), changed: reset(request{Of: 7, Tables: []string{"a"}})}, rankStale, "stale", "only a reset"},
		"both were reset":          {glance{compared: compared(stale), changed: reset(request{Of: 7, Tables: []string{"a", "b"}})}, rankOld, "reset since", "Only another one"},
		"an older one was reset":   {glance{compared: compared(stale), changed: reset(request{Of: 6})}, rankStale, "stale", "only a reset"},
		"the comparison has ended": {glance{compared: job{ID: 7, Status: statusStopped, Ended: hour}}, rankOld, "not compared", "was stopped"},
		"the comparison is old":    {glance{compared: job{ID: 7, Ended: now.Add(-25 * time.Hour), Summary: good}}, rankOld, "compared long ago", "25 hours old"},
		"a part was compared":      {glance{compared: compared(summary{Level: "good", Verdict: "The numbers of rows are the same"})}, rankGood, "no difference found", "Not every row"},
		"all is well":              {glance{compared: compared(good)}, rankGood, "identical", "identical to its source."},
	} {
		t.Run(name, func(t *testing.T) {
			is := test.is.condition(now)
			require.Equal(t, test.rank, is.rank)
			require.Equal(t, test.badge, is.badge.Text)
			require.Contains(t, is.means, test.says)
		})
	}
	t.Run("all was reset before it was compared", func(t *testing.T) {
		g := glance{compared: compared(stale), changed: reset(request{Change: change{All: true}})}
		g.changed.Request.Change.Operation = opReset
		require.Equal(t, rankOld, g.condition(now).rank, "it was after it")
		g.changed.Started = hour.Add(-time.Minute)
		require.Equal(t, rankStale, g.condition(now).rank)
	})
	t.Run("a reset was undone", func(t *testing.T) {
		g := glance{compared: compared(stale), changed: reset(request{Of: 7})}
		g.changed.Summary.Undone = 10
		require.Equal(t, rankStale, g.condition(now).rank)
		g.changed = job{ID: 10, Status: statusDone, Started: now, Request: request{Of: 9, Change: change{Operation: opUndo}}}
		require.Equal(t, rankStale, g.condition(now).rank)
	})
}

func TestOverview(t *testing.T) {
	w := newWorld(t, "Beta", "Alpha", "Gamma", "Delta").open()
	html := w.get("/")
	require.Equal(t, []string{"alpha", "beta", "delta", "gamma"}, mirrorsOf(html))
	require.Contains(t, html, "never compared")
	require.Contains(t, html, `<li class="tile neutral"><b>4</b> <span>to be compared</span>`)

	w.customers["Gamma"].lose(t, "contact", 7)
	w.run(job{Member: "Gamma", Kind: kindComparison})
	w.run(job{Member: "Alpha", Kind: kindComparison})
	w.c.members["delta"].setLook(look{Err: `login failed for "<b>x` + "\u202e"})
	html = w.get("/")
	require.Equal(t, []string{"delta", "gamma", "beta", "alpha"}, mirrorsOf(html), "those first that need a hand")
	require.Contains(t, html, "login failed for &#34;&lt;b&gt;x\ufffd")
	require.NotContains(t, html, "<b>x")
	require.Contains(t, html, "Reset 1 table")
	require.Contains(t, html, ">7<")

	t.Run("narrowed", func(t *testing.T) {
		require.Equal(t, []string{"gamma"}, mirrorsOf(w.get("/?state=stale")))
		require.Len(t, mirrorsOf(w.get("/?state=nonsense")), 4, "a state that there is not is none")
	})
	t.Run("searched", func(t *testing.T) {
		require.Equal(t, []string{"gamma"}, mirrorsOf(w.get("/?q=GAMM")))
		for _, q := range []string{"%", "%25", "_", "\u202e", "ünïcode", "\x00", "\xff\xfe<script>", strings.Repeat("x", 3000), "gamma\n"} {
			html := w.get("/?q=" + url.QueryEscape(q))
			require.NotContains(t, html, "<script>")
			if q != "gamma\n" {
				require.Contains(t, html, "No mirror matches", "%q", q)
			}
		}
		require.Contains(t, w.get("/?q=gamma&state=good"), "No mirror matches")
	})
	t.Run("pages that there are not", func(t *testing.T) {
		for _, page := range []string{"abc", "-1", "0", "2", "99999999999999999999", "1e3", ""} {
			require.Len(t, mirrorsOf(w.get("/?page="+page)), 4, page)
		}
	})
}

// anew reads the list as it does by itself.
func (w *world) anew(html, more string) answer {
	w.t.Helper()
	at := regexp.MustCompile(`hx-get="([^"]*seen=[^"]*)"`).FindStringSubmatch(html)
	require.NotNil(w.t, at)
	req := w.request("GET", strings.ReplaceAll(at[1], "&amp;", "&")+more, nil)
	req.Header.Set("HX-Request", "true")
	return w.do(req)
}

func TestOverviewAnew(t *testing.T) {
	w := newWorld(t, "Alpha", "Beta")
	w.open()
	html := w.get("/?q=a&state=old")
	require.Equal(t, http.StatusNoContent, w.anew(html, "").code, "nothing is new")
	w.c.members["beta"].setLook(look{Err: "gone"})
	a := w.anew(html, "")
	require.Equal(t, http.StatusOK, a.code)
	require.Equal(t, []string{"alpha"}, mirrorsOf(a.body))
	require.Equal(t, http.StatusNoContent, w.anew(html, "&mirror=Alpha").code, "somebody chooses")

	w.post("/comparisons", url.Values{})
	require.NotContains(t, w.anew(html, "").body, "Nothing was chosen", "the next page says it, and not a part of one")
	require.Contains(t, w.get("/"), "Nothing was chosen")
}

func TestStartComparisons(t *testing.T) {
	w := newWorld(t, "Alpha", "Beta", "Gamma")
	hold := make(chan struct{})
	w.customers["Gamma"].onOpen(func(ctx context.Context) error {
		select {
		case <-hold:
		case <-ctx.Done():
		}
		return nil
	})
	w.open()
	require.Equal(t, "/?page=2&q=a", w.post("/comparisons", url.Values{"mirror": {"ALPHA", "Gamma", "alpha"}, "q": {"a"}, "page": {"2"}}))
	html := w.get("/?q=a&page=2")
	require.Contains(t, html, "2 comparisons asked for")
	require.Contains(t, html, "With a job")
	require.Regexp(t, `<a href="/mirrors/Gamma/comparisons/\d+"[^>]*><bdi>Comparison</bdi></a><div class="progress `, html)
	require.Equal(t, []string{"gamma"}, mirrorsOf(w.get("/?state=running&q=gam")))

	require.Equal(t, "/?q=b", w.post("/comparisons", url.Values{"all": {"1"}, "q": {"b"}, "mirror": {"Gamma"}}), "all that match, and not the chosen ones")
	require.Contains(t, w.get("/"), "1 comparison asked for")
	w.post("/comparisons", url.Values{"mirror": {"Gamma"}})
	require.Contains(t, w.get("/"), "1 mirror had one already.")
	close(hold)
	for _, l := range w.c.members["gamma"].live() {
		w.end(l.id)
	}

	a := w.do(w.request("POST", "/comparisons", url.Values{"mirror": {"Beta", "<b>no\u202e"}}))
	require.Equal(t, http.StatusBadRequest, a.code)
	require.Contains(t, a.body, "There is no mirror \u2068&lt;b&gt;no\ufffd\u2069. Nothing was started.")
	jobs, err := w.c.state.jobs(t.Context(), jobQuery{})
	require.NoError(t, err)
	require.Len(t, jobs, 3)
	w.post("/comparisons", url.Values{"all": {"1"}, "q": {"nobody"}})
	require.Contains(t, w.get("/"), "Nothing was chosen")
}

func TestOverviewPages(t *testing.T) {
	w := manyMirrors(t, 120)
	html := w.get("/?q=cust")
	require.Len(t, mirrorsOf(html), mirrorsShown)
	require.Contains(t, html, "1 to 50 of 120")
	require.Contains(t, html, `rel="next" href="/?page=2&amp;q=cust"`)
	require.NotContains(t, html, `rel="prev"`)
	seen := map[string]bool{}
	for page := 1; page <= 3; page++ {
		for _, id := range mirrorsOf(w.get(fmt.Sprintf("/?page=%d", page))) {
			require.False(t, seen[id], id)
			seen[id] = true
		}
	}
	require.Len(t, seen, 120)
	html = w.get("/?page=77")
	require.Contains(t, html, "101 to 120 of 120")
	require.NotContains(t, html, `rel="next"`)
	require.Contains(t, html, "Compare all 120<")
	require.Contains(t, w.get("/?q=cust11"), "that match")
}

// manyMirrors is a console over mirrors that were all compared, of each kind some.
func manyMirrors(t testing.TB, n int) *world {
	t.Helper()
	w := &world{t: t, path: t.TempDir() + "/console.db", opts: Options{Look: -1}, fleet: &fleet.Fleet{}, customers: map[string]*customer{}}
	for i := range n {
		w.fleet.Members = append(w.fleet.Members, fleet.Member{ContextID: fmt.Sprintf("Cust%05d", 10000+i*37), Open: func(context.Context) (*fleet.Connection, error) {
			return nil, errors.New("it is not there")
		}})
	}
	w.open()
	now := w.c.now()
	for i, m := range w.c.order {
		l := look{Time: now, State: mirror.MirrorHasMetadata, Tables: map[mirror.TableState]int{mirror.TableSynced: 300}, Rows: 5000000}
		j := job{ID: int64(i + 1), Member: m.key, Kind: kindComparison, Status: statusDone, Started: now.Add(-time.Hour), Ended: now.Add(-time.Hour),
			Summary: summary{Level: "good", Verdict: "The mirror is identical to its source", Whole: true, Tables: map[mirror.Verdict]int{mirror.VerdictIdentical: 300}}}
		switch i % 40 {
		case 3:
			l.Err = "open: login failed for user 'mirror_reader'"
		case 7:
			j.Summary = summary{Level: "bad", Verdict: "The mirror differs from its source", Stale: 1 + i%5, Differing: int64(i), Whole: true, Tables: map[mirror.Verdict]int{mirror.VerdictDifferent: 3, mirror.VerdictIdentical: 297}}
		case 11:
			l.Tables[mirror.TableResetRequested] = 4
		case 17:
			j.Ended = now.Add(-72 * time.Hour)
		}
		m.setLook(l)
		if i%40 != 19 {
			m.ended(j)
		}
	}
	return w
}

func BenchmarkOverview(b *testing.B) {
	w := manyMirrors(b, 2000)
	for name, address := range map[string]string{"all": "/", "searched": "/?q=cust1&state=good&page=3"} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				r := httptest.NewRequestWithContext(b.Context(), "GET", "http://localhost"+address, nil)
				r.RemoteAddr = "127.0.0.1:1"
				rec := httptest.NewRecorder()
				w.c.ServeHTTP(rec, r)
				require.Equal(b, http.StatusOK, rec.Code)
			}
		})
	}
}
