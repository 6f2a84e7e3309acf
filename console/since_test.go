package console

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/internal/crm"
	"github.com/so-mirror/mirror/store"
)

// missing are differences of the rows that the mirror lacks, by their key.
func missing(t *testing.T, ids ...int) (all []mirror.Difference) {
	t.Helper()
	def, ok := crm.Table("contact")
	require.True(t, ok)
	for _, id := range ids {
		all = append(all, mirror.Difference{Kind: mirror.DiffMissing, Key: []store.Cell{store.NewCell(def.Columns[0], int64(id))}, Rows: 1})
	}
	return all
}

func TestChangesSince(t *testing.T) {
	table := func(verdict mirror.Verdict, do ...func(*mirror.TableReport)) *mirror.TableReport {
		tr := &mirror.TableReport{Table: "contact", Verdict: verdict, Key: []string{"contact_id"}}
		for _, f := range do {
			f(tr)
		}
		return tr
	}
	lacks := func(ids ...int) func(*mirror.TableReport) {
		return func(tr *mirror.TableReport) { tr.Missing, tr.Differences = int64(len(ids)), missing(t, ids...) }
	}
	pending := func(n int64) func(*mirror.TableReport) { return func(tr *mirror.TableReport) { tr.Pending = n } }
	leftOut := func(column string) func(*mirror.TableReport) {
		return func(tr *mirror.TableReport) { tr.NotCompared = []mirror.Omission{{Column: column}} }
	}
	reason := func(tr *mirror.TableReport) { tr.Reason = "connection lost" }
	truncated := func(tr *mirror.TableReport) { tr.Truncated = true }
	report := func(t *mirror.TableReport, do ...func(*mirror.Report)) *mirror.Report {
		r := &mirror.Report{Depth: mirror.DepthRows, Tables: []mirror.TableReport{{Table: "Other", Verdict: mirror.VerdictIdentical}}}
		if t != nil {
			r.Tables = append(r.Tables, *t)
		}
		for _, f := range do {
			f(r)
		}
		return r
	}
	depth := func(d mirror.Depth) func(*mirror.Report) { return func(r *mirror.Report) { r.Depth = d } }
	only := func(r *mirror.Report) { r.Scope.OnlyTables = []string{"other"} }
	stopped := func(r *mirror.Report) { r.Incomplete = true }

	identical, different := table(mirror.VerdictIdentical), table(mirror.VerdictDifferent, lacks(1, 2))
	for name, c := range map[string]struct {
		was, is     *mirror.Report
		want        became
		isNew, gone int
	}{
		"identical":                  {report(identical), report(identical), becameNothing, 0, 0},
		"as before":                  {report(different), report(different), becameNothing, 0, 0},
		"new":                        {report(identical), report(different), becameNew, 2, 0},
		"mended":                     {report(different), report(identical), becameMended, 0, 2},
		"worse":                      {report(different), report(table(mirror.VerdictDifferent, lacks(1, 2, 3))), becameWorse, 1, 0},
		"better":                     {report(different), report(table(mirror.VerdictDifferent, lacks(2))), becameBetter, 0, 1},
		"other rows":                 {report(different), report(table(mirror.VerdictDifferent, lacks(2, 3))), becameOther, 1, 1},
		"pending by now":             {report(different), report(table(mirror.VerdictPending, lacks(1, 2), pending(2))), becameBetter, 0, 0},
		"no longer pending":          {report(table(mirror.VerdictPending, lacks(1, 2), pending(2))), report(different), becameWorse, 0, 0},
		"failed by now":              {report(different), report(table(mirror.VerdictFailed, reason)), becameOnlyOld, 0, 0},
		"failed, and was identical":  {report(identical), report(table(mirror.VerdictFailed, reason)), becameOnlyOld, 0, 0},
		"failed before":              {report(table(mirror.VerdictFailed, reason)), report(different), becameOnlyNow, 0, 0},
		"failed twice":               {report(table(mirror.VerdictFailed, reason)), report(table(mirror.VerdictFailed, reason)), becameNothing, 0, 0},
		"failed and unfinished":      {report(table(mirror.VerdictFailed)), report(table(mirror.VerdictUnfinished)), becameUntold, 0, 0},
		"half of a schema":           {report(different), report(table(mirror.VerdictSchemaDiffers, reason)), becameOnlyOld, 0, 0},
		"not asked for":              {report(different), report(nil, only), becameOnlyOld, 0, 0},
		"not come to":                {report(different), report(nil, stopped), becameOnlyOld, 0, 0},
		"gone":                       {report(different), report(nil), becameGone, 0, 0},
		"was not asked for":          {report(nil, only), report(different), becameOnlyNow, 0, 0},
		"a new table":                {report(nil), report(different), becameThere, 0, 0},
		"only counted by now":        {report(different), report(identical, depth(mirror.DepthCount)), becameUntold, 0, 0},
		"was only counted":           {report(identical, depth(mirror.DepthCount)), report(different), becameUntold, 0, 0},
		"counted, and read the same": {report(different, depth(mirror.DepthCount)), report(identical), becameMended, 0, 0},
		"read, and counted apart":    {report(different), report(different, depth(mirror.DepthCount)), becameNothing, 0, 0},
		"other columns left out":     {report(different), report(table(mirror.VerdictIdentical, leftOut("name"))), becameUntold, 0, 0},
		"fewer columns left out":     {report(table(mirror.VerdictIdentical, leftOut("name"))), report(different), becameUntold, 0, 0},
		"not all keys were kept":     {report(table(mirror.VerdictDifferent, lacks(1), func(t *mirror.TableReport) { t.Missing = 9 })), report(different), becameBetter, 0, 0},
		"not all keys are kept":      {report(different), report(table(mirror.VerdictDifferent, lacks(3), func(t *mirror.TableReport) { t.Missing = 9 })), becameWorse, 1, 0},
		"truncated":                  {report(different), report(table(mirror.VerdictDifferent, lacks(1), truncated)), becameNothing, 0, 0},
		"another key":                {report(different), report(table(mirror.VerdictDifferent, lacks(3, 4, 5), func(t *mirror.TableReport) { t.Key = []string{"x"} })), becameWorse, 0, 0},
		"table missing by now":       {report(different), report(table(mirror.VerdictMissing)), becameOther, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			changed, same := changesSince(c.was, c.is)
			if c.want == becameNothing {
				require.Empty(t, changed)
				require.Equal(t, len(c.is.Tables), same)
				return
			}
			require.Len(t, changed, 1)
			require.Equal(t, 1, same)
			require.Equal(t, c.want, changed[0].Became)
			require.Len(t, changed[0].New, c.isNew)
			require.Len(t, changed[0].Mended, c.gone)
		})
	}
	t.Run("arrived", func(t *testing.T) {
		arrived := table(mirror.VerdictDifferent, lacks(1, 2), pending(1))
		arrived.Differences[0].State = mirror.DiffArrived
		changed, _ := changesSince(report(different), report(arrived))
		require.Equal(t, becameBetter, changed[0].Became)
		require.Len(t, changed[0].Mended, 1)
	})
	t.Run("counted apart", func(t *testing.T) {
		counted := func(source, mirrored int64) *mirror.Report {
			return report(table(mirror.VerdictDifferent, func(t *mirror.TableReport) { t.SourceRows, t.MirrorRows = source, mirrored }), depth(mirror.DepthCount))
		}
		changed, _ := changesSince(counted(10, 7), counted(10, 9))
		require.Equal(t, becameBetter, changed[0].Became)
	})
	t.Run("whichever the case of a name", func(t *testing.T) {
		upper := table(mirror.VerdictIdentical)
		upper.Table = "CONTACT"
		changed, _ := changesSince(report(different), report(upper))
		require.Equal(t, becameMended, changed[0].Became)
	})
}

func TestSincePage(t *testing.T) {
	w := newWorld(t, "Cust1", "Cust2").open()
	c := w.customers["Cust1"]
	c.lose(t, "contact", 3)
	first := w.run(job{Member: "Cust1", Kind: kindComparison})
	c.lose(t, "person", 2)
	second := w.run(job{Member: "Cust1", Kind: kindComparison})
	other := w.run(job{Member: "Cust2", Kind: kindComparison})
	// Their times may be within one millisecond of each other.
	for i, j := range []job{first, second} {
		_, err := w.c.state.db.Exec("UPDATE job SET ended=? WHERE id=?", millis(time.Now().Add(time.Duration(i-2)*time.Hour)), j.ID)
		require.NoError(t, err)
	}
	at := func(later, before int64) string {
		return fmt.Sprintf("/mirrors/Cust1/comparisons/%d/since/%d", later, before)
	}
	html := w.get(at(second.ID, first.ID))
	require.Contains(t, html, "differs by now")
	require.Contains(t, html, "person_id=")
	require.NotContains(t, html, "mended")
	require.Equal(t, html, w.get(at(first.ID, second.ID)), "their time says which is the earlier one")

	// What was gone on with afterwards is the later one, whatever its number is.
	_, err := w.c.state.db.Exec("UPDATE job SET ended=? WHERE id=?", millis(time.Now()), first.ID)
	require.NoError(t, err)
	require.Contains(t, w.get(at(second.ID, first.ID)), "mended")

	for name, path := range map[string]string{
		"of another mirror": at(first.ID, other.ID), "of none": at(first.ID, 999), "no number": fmt.Sprintf("/mirrors/Cust1/comparisons/%d/since/x", first.ID),
	} {
		require.Equal(t, http.StatusNotFound, w.do(w.request("GET", path, nil)).code, name)
	}
	require.Equal(t, http.StatusBadRequest, w.do(w.request("GET", at(first.ID, first.ID), nil)).code)

	again := w.run(job{Member: "Cust1", Kind: kindComparison, Request: request{Depth: mirror.DepthCount, Tables: []string{"person"}}})
	html = w.get(at(again.ID, second.ID))
	require.Contains(t, html, "cannot be told fully")
	require.Contains(t, html, "compared only before")
	_, err = w.c.state.db.Exec("UPDATE job SET document=NULL WHERE id=?", again.ID)
	require.NoError(t, err)
	require.Equal(t, http.StatusNotFound, w.do(w.request("GET", at(again.ID, second.ID), nil)).code)

	reached, release := w.held("Cust1")
	running := jobAt(t, w.post("/mirrors/Cust1/comparisons", nil))
	<-reached
	require.Equal(t, http.StatusConflict, w.do(w.request("GET", at(running, second.ID), nil)).code)
	release()
	w.end(running)
}

// TestSinceNothing compares a mirror twice.
func TestSinceNothing(t *testing.T) {
	w := newWorld(t, "Cust1").open()
	first, second := w.run(job{Member: "Cust1", Kind: kindComparison}), w.run(job{Member: "Cust1", Kind: kindComparison})
	require.Contains(t, w.get(fmt.Sprintf("/mirrors/Cust1/comparisons/%d/since/%d", second.ID, first.ID)), "Nothing changed")
}

// TestSinceHostile escapes what databases call their tables and keys, and bounds what is shown.
func TestSinceHostile(t *testing.T) {
	w := newWorld(t, "Cust1").open()
	evil := "<script>alert(1)</script>\r\n\u202e"
	def, ok := crm.Table("contact")
	require.True(t, ok)
	def.Columns[0].Name = evil
	var ids []mirror.Difference
	for i := range 50 {
		ids = append(ids, mirror.Difference{Kind: mirror.DiffMissing, Rows: 1, Key: []store.Cell{store.NewCell(def.Columns[0], fmt.Sprint(evil, i))}})
	}
	was, is := &mirror.Report{Version: 1, ContextID: "Cust1", Depth: mirror.DepthRows}, &mirror.Report{Version: 1, ContextID: "Cust1", Depth: mirror.DepthRows, Mistakes: []string{evil}}
	for i := range sinceTables + 7 {
		name := fmt.Sprint(evil, i)
		was.Tables = append(was.Tables, mirror.TableReport{Table: name, Verdict: mirror.VerdictIdentical})
		is.Tables = append(is.Tables, mirror.TableReport{Table: name, Verdict: mirror.VerdictDifferent, Missing: 50, Differences: ids})
	}
	is.Tables[3].Verdict, is.Tables[3].Reason = mirror.VerdictFailed, evil
	view := w.c.sinceView(w.c.members[fold("Cust1")], job{ID: 1, Kind: kindComparison, Status: statusDone}, job{ID: 2, Kind: kindComparison, Status: statusDone}, was, is)
	require.Len(t, view.Table.Rows, sinceTables)
	require.Equal(t, "And 7 more tables.", view.More)
	shownKeys := 0
	for _, k := range view.Keys {
		for _, l := range k.Lists {
			shownKeys += len(l.Keys)
		}
	}
	require.Equal(t, sinceAllKeys, shownKeys)
	rec := w.render(t, page{name: "since", data: view})
	require.NotContains(t, rec, "<script>alert")
	require.NotContains(t, rec, "\r")
}
