package console

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestJobsPage(t *testing.T) {
	w := newWorld(t, "Cust1", "Cust2").open()
	require.Contains(t, w.get("/jobs"), "No job has run yet")
	require.Contains(t, w.get("/jobs?state=running"), "Nothing is running")

	c := w.customers["Cust1"]
	c.lose(t, "contact", 7)
	compared := w.run(job{Member: "Cust1", Kind: kindComparison})
	changed := w.run(job{Member: "Cust1", Kind: kindChange, Request: request{Of: compared.ID, Change: change{Operation: opApply}}})
	w.run(job{Member: "Cust1", Kind: kindChange, Request: request{Of: changed.ID, Change: change{Operation: opUndo}}})
	w.end(changed.ID + 1) // waiting follows by itself
	w.customers["Cust2"].onOpen(func(context.Context) error { return errors.New("no route to <b>\u202e") })
	failed := w.run(job{Member: "Cust2", Kind: kindComparison, Actor: "<i>bob"})
	html := w.get("/jobs")
	require.Equal(t, []string{"Comparison 5", "Undo 4", "Waiting 3", "Reset by a plan 2", "Comparison 1"}, firstCells(html))
	require.Contains(t, html, "The mirror differs from its source: 7 rows.")
	require.Contains(t, html, "Taken back by job 4.")
	require.Contains(t, html, "&lt;i&gt;bob")
	require.Contains(t, html, "no route to &lt;b&gt;\ufffd")
	require.Contains(t, html, fmt.Sprintf(`action="/jobs/%d/resume"`, failed.ID))
	require.Contains(t, html, "Run again")
	require.NotContains(t, html, `action="/jobs/1/`, "what was done needs nothing")
	require.NotContains(t, html, `action="/jobs/2/`)
	require.NotContains(t, html, "hx-trigger", "nothing moves")

	t.Run("running", func(t *testing.T) {
		hold := make(chan struct{})
		c.onOpen(func(ctx context.Context) error {
			select {
			case <-hold:
			case <-ctx.Done():
			}
			return ctx.Err()
		})
		j, err := w.c.jobs.start(t.Context(), job{Member: fold("Cust1"), Kind: kindComparison, Actor: "ada"})
		require.NoError(t, err)
		html := w.get("/jobs?state=running")
		require.Equal(t, []string{fmt.Sprintf("Comparison %d", j.ID)}, firstCells(html))
		require.Contains(t, html, `hx-get="/jobs?state=running"`)
		stop := fmt.Sprintf("/jobs/%d/stop", j.ID)
		require.Contains(t, html, `action="`+stop+`"`)
		w.post(stop, nil)
		require.Equal(t, statusStopped, w.end(j.ID).Status)
		require.Contains(t, w.get("/jobs"), "stopped")
		close(hold)
		w.post(fmt.Sprintf("/jobs/%d/resume", j.ID), nil)
		require.Equal(t, statusDone, w.end(j.ID).Status)
	})
	t.Run("pages", func(t *testing.T) {
		for i := range jobsShown {
			j := job{Member: "gone<x>", Kind: kindComparison, Status: statusStopped, Actor: "ada", Asked: w.c.now(), Summary: summary{Resumable: i == 0}}
			require.NoError(t, w.c.state.add(t.Context(), &j))
		}
		html := w.get("/jobs")
		require.Contains(t, html, "gone&lt;x&gt;")
		require.NotContains(t, html, "/resume", "nobody has that mirror")
		next := between(html, `rel="next" href="`, `"`)
		html = w.get(strings.ReplaceAll(next, "&amp;", "&"))
		require.Len(t, firstCells(html), 6)
		require.Contains(t, html, `rel="prev" href="/jobs"`)
		require.NotContains(t, html, `rel="next"`)
		require.Contains(t, w.get("/jobs?before=1"), "No job is older")
		for _, before := range []string{"abc", "-3", "1e9", "99999999999999999999"} {
			require.Equal(t, 400, w.do(w.request("GET", "/jobs?before="+before, nil)).code)
		}
	})
}
