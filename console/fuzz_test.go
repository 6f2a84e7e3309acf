package console

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// FuzzRequests asks for anything. Whatever it is, the console answers with a page that is
// no fault of its own, and shows nothing as HTML that it was sent.
func FuzzRequests(f *testing.F) {
	w := newWorld(f, "Cust1")
	w.open()
	w.customers["Cust1"].lose(f, "contact", 3)
	compared := w.run(job{Member: "Cust1", Kind: kindComparison})
	w.run(job{Member: "Cust1", Kind: kindChange, Request: request{Of: compared.ID, Change: change{Operation: opApply}}})
	// What is asked for in the fuzzing is begun, and goes no further.
	w.customers["Cust1"].onOpen(func(context.Context) error { return errors.New("not now") })
	for _, r := range w.c.routeTable() {
		f.Add(r.method, concrete(r.path), "of=1&table=contact&q=x&page=2&before=9&state=running", "confirm=Cust1&tables=contact&of=1")
	}
	f.Add("GET", "/mirrors/%3Cscript%3E", "q=<script>alert(1)</script>", "")
	f.Add("POST", "/mirrors/Cust1/comparisons", "", "tables=%00%ff&depth=<img src=x onerror=alert(1)>")
	f.Add("GET", "/mirrors/Cust1/comparisons/99999999999999999999", "before=-1&page=-9223372036854775808", "")
	f.Add("GET", "/mirrors/Cust1/comparisons/1/since/1", "q=\u202e\x00", "")
	f.Fuzz(func(t *testing.T, method, path, query, form string) {
		const mark = "xq7<b>\"'&"
		target := &url.URL{Path: path, RawQuery: query}
		if query != "" {
			target.RawQuery += "&"
		}
		target.RawQuery += "q=" + url.QueryEscape(mark) + "&table=" + url.QueryEscape(mark)
		req, err := http.NewRequest(method, "http://localhost/", strings.NewReader(form+"&tables="+url.QueryEscape(mark)))
		if err != nil || strings.HasSuffix(path, "/events") && w.c.jobs.get(1) != nil {
			t.Skip()
		}
		req.URL.Path, req.URL.RawQuery = path, target.RawQuery
		if !strings.HasPrefix(path, "/") {
			t.Skip()
		}
		req.RequestURI, req.RemoteAddr = req.URL.RequestURI(), "127.0.0.1:1"
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		rec := httptest.NewRecorder()
		w.c.ServeHTTP(rec, req.WithContext(ctx))
		require.Less(t, rec.Code, 500, "%s %s: %s", method, req.URL, rec.Body)
		require.NotContains(t, rec.Body.String(), mark)
		require.NotContains(t, rec.Body.String(), "xq7<")
		if to := rec.Header().Get("Location"); to != "" {
			require.Regexp(t, regexp.MustCompile(`^/[^/\\]|^/$`), to, "it leads elsewhere")
		}
	})
}
