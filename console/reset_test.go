package console

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"github.com/so-mirror/mirror/internal/crm"
	"github.com/so-mirror/mirror/store"
)

// form returns what a browser would send of the form on a page that has a field, as it is
// before anybody touches it.
func form(t *testing.T, body, field string) url.Values {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(body))
	require.NoError(t, err)
	for n := range doc.Descendants() {
		if n.Type == html.ElementNode && n.Data == "form" {
			if values, has := fields(n, field); has {
				return values
			}
		}
	}
	require.Fail(t, "no form has the field "+field, body)
	return nil
}

func fields(f *html.Node, field string) (values url.Values, has bool) {
	values = url.Values{}
	for n := range f.Descendants() {
		attr := map[string]string{}
		for _, a := range n.Attr {
			attr[a.Key] = a.Val
		}
		name, named := attr["name"]
		if !named || n.Type != html.ElementNode {
			continue
		}
		has = has || name == field
		_, checked := attr["checked"]
		switch {
		case n.Data == "textarea" && n.FirstChild != nil:
			values.Add(name, n.FirstChild.Data)
		case attr["type"] == "checkbox" && !checked, attr["type"] == "text":
		case n.Data == "input":
			values.Add(name, attr["value"])
		}
	}
	return values, has
}

// submit sends a form, and returns what is answered.
func (w *world) submit(path string, values url.Values) answer {
	w.t.Helper()
	return w.do(w.request("POST", path, values))
}

// followed is the job that an answer leads to, when it is over.
func (w *world) followed(a answer) job {
	w.t.Helper()
	require.Equal(w.t, http.StatusSeeOther, a.code, a.body)
	var id int64
	to := a.header.Get("Location")
	_, err := fmt.Sscanf(to[strings.LastIndexByte(to, '/')+1:], "%d", &id)
	require.NoError(w.t, err, to)
	return w.end(id)
}

// changes is how many changes were asked for.
func (w *world) changes() int {
	w.t.Helper()
	all, err := w.c.state.jobs(w.t.Context(), jobQuery{Kinds: []kind{kindChange}})
	require.NoError(w.t, err)
	return len(all)
}

func (c *customer) lsn(t *testing.T, table string) int64 {
	t.Helper()
	lsn, ok := c.mirror.LSN(c.id, table)
	require.True(t, ok)
	return int64(lsn)
}

// TestReset goes from a comparison to the receipt, and undoes that.
func TestReset(t *testing.T) {
	w := newWorld(t, "Cust1").open()
	c := w.customers["Cust1"]
	require.Contains(t, w.get("/mirrors/Cust1/reset"), "never compared")
	w.run(job{Member: "Cust1", Kind: kindComparison})
	require.Contains(t, w.get("/mirrors/Cust1/reset"), "There is nothing to reset")
	before := c.lsn(t, "contact")
	c.lose(t, "contact", 7)
	compared := w.run(job{Member: "Cust1", Kind: kindComparison})

	body := w.get("/mirrors/cust1/reset")
	require.Contains(t, body, "7 rows diverged")
	require.Contains(t, body, "as it is until the next cycle, then empty until it is populated")
	chosen := form(t, body, "table")
	require.Equal(t, []string{"contact"}, chosen["table"])

	a := w.submit("/mirrors/Cust1/reset", chosen)
	require.Equal(t, http.StatusOK, a.code)
	require.Contains(t, a.body, "The database takes this as it is now")
	require.NotContains(t, a.body, "f-confirm", "what is mild is not typed")
	require.Equal(t, before, c.lsn(t, "contact"), "nothing is done before it is confirmed")
	confirmed := form(t, a.body, "stage")
	a = w.submit("/mirrors/Cust1/reset", confirmed)
	changed := w.followed(a)
	require.Equal(t, statusDone, changed.Status, changed.Error)
	require.Equal(t, compared.ID, changed.Request.Of)
	require.EqualValues(t, -1, c.lsn(t, "contact"))
	page := fmt.Sprintf("/mirrors/Cust1/changes/%d", changed.ID)
	body = w.get(page)
	require.Contains(t, body, "1 table is reset")
	require.Contains(t, body, fmt.Sprint(before), "the LSN before")
	require.Contains(t, w.get(page+"/receipt.json"), `"operation": "apply`)

	t.Run("sent again", func(t *testing.T) {
		again := w.followed(w.submit("/mirrors/Cust1/reset", confirmed))
		require.Equal(t, changed.ID, again.ID)
		require.Equal(t, 1, w.changes())
		other := url.Values{"mode": {modeTables}, "once": confirmed["once"], "table": {"person"}, "stage": {"confirm"}, "confirm": {"Cust1"}}
		require.Equal(t, http.StatusConflict, w.submit("/mirrors/Cust1/reset", other).code)
	})
	t.Run("from the same comparison once more", func(t *testing.T) {
		a := w.submit("/mirrors/Cust1/reset", form(t, w.get("/mirrors/Cust1/reset"), "table"))
		require.Equal(t, http.StatusConflict, a.code)
		require.Contains(t, a.body, "The mirror is no longer what the plan saw")
		require.Contains(t, a.body, "another metadata row than the plan saw")
		require.Equal(t, 1, w.changes())
	})
	t.Run("undone", func(t *testing.T) {
		undo := form(t, body, "once")
		undone := w.followed(w.submit(page+"/undo", undo))
		require.Equal(t, statusDone, undone.Status, undone.Error)
		require.Equal(t, before, c.lsn(t, "contact"))
		require.Contains(t, w.get(fmt.Sprintf("/mirrors/Cust1/changes/%d", undone.ID)), "The change is undone")
		require.Contains(t, w.get(page), "It was undone already.")
		require.Equal(t, undone.ID, w.followed(w.submit(page+"/undo", undo)).ID)
		require.Equal(t, http.StatusConflict, w.submit(fmt.Sprintf("/mirrors/Cust1/changes/%d/undo", undone.ID), undo).code)
		require.Equal(t, 2, w.changes())
	})
}

// TestResetTwiceAtOnce makes one change of a form that is sent by an impatient hand.
func TestResetTwiceAtOnce(t *testing.T) {
	w := newWorld(t, "Cust1").open()
	w.customers["Cust1"].lose(t, "contact", 7)
	w.run(job{Member: "Cust1", Kind: kindComparison})
	confirmed := form(t, w.submit("/mirrors/Cust1/reset", form(t, w.get("/mirrors/Cust1/reset"), "table")).body, "stage")
	var wg sync.WaitGroup
	codes := make([]int, 8)
	for i := range codes {
		wg.Go(func() {
			resp, err := w.client.PostForm(w.server.URL+"/mirrors/Cust1/reset", confirmed)
			if err == nil {
				codes[i] = resp.StatusCode
				_ = resp.Body.Close()
			}
		})
	}
	wg.Wait()
	for _, code := range codes {
		require.Equal(t, http.StatusSeeOther, code)
	}
	require.Equal(t, 1, w.changes())
}

// TestUndoTooLate refuses an undo after a cycle, and does not forget the reset for that.
func TestUndoTooLate(t *testing.T) {
	w := newWorld(t, "Cust1").open()
	c := w.customers["Cust1"]
	c.lose(t, "contact", 7)
	compared := w.run(job{Member: "Cust1", Kind: kindComparison})
	changed := w.run(job{Member: "Cust1", Kind: kindChange, Request: request{Of: compared.ID, Change: change{Operation: opApply}}})
	require.Equal(t, statusDone, changed.Status, changed.Error)
	c.cycle(t)
	undo := w.run(job{Member: "Cust1", Kind: kindChange, Request: request{Of: changed.ID, Change: change{Operation: opUndo}}})
	require.Equal(t, statusFailed, undo.Status)
	body := w.get(fmt.Sprintf("/mirrors/Cust1/changes/%d", undo.ID))
	require.Contains(t, body, "It can no longer be undone.")
	require.NotContains(t, body, "The next cycle populates", "it did already")
	last, ok := w.c.members["cust1"].lastOf(kindWaiting)
	if l := w.c.members["cust1"].busy(kindWaiting); l != nil {
		<-l.done
		last, ok = w.c.members["cust1"].lastOf(kindWaiting)
	}
	require.True(t, ok)
	require.Equal(t, statusDone, last.Status, last.Error)

	check := func(t *testing.T) {
		body := w.get("/mirrors/Cust1")
		require.Contains(t, body, "reset since")
		require.NotContains(t, body, "Reset what differs")
		body = w.get(fmt.Sprintf("/mirrors/Cust1/changes/%d", changed.ID))
		require.Contains(t, body, "A cycle has begun to populate contact since.")
		require.NotContains(t, body, "The next cycle populates")
	}
	t.Run("now", check)
	t.Run("after a restart", func(t *testing.T) {
		w.close()
		w.open()
		check(t)
	})
}

// TestUnrecorded does not say that an undo failed of which only the end is not recorded.
func TestUnrecorded(t *testing.T) {
	w := newWorld(t, "Cust1").open()
	changed := w.reset("Cust1", "contact")
	_, err := w.c.state.db.ExecContext(t.Context(), "CREATE TRIGGER full BEFORE INSERT ON journal WHEN new.event<>'intent' BEGIN SELECT raise(ABORT, 'disk full'); END")
	require.NoError(t, err)
	undo := w.run(job{Member: "Cust1", Kind: kindChange, Request: request{Of: changed.ID, Change: change{Operation: opUndo}}})
	require.Equal(t, statusUnknown, undo.Status, undo.Error)
	require.Contains(t, w.get(fmt.Sprintf("/mirrors/Cust1/changes/%d", undo.ID)), "Not known yet whether it was done")
	w.post("/mirrors/Cust1/reconcile", nil)
	require.Contains(t, w.get(fmt.Sprintf("/mirrors/Cust1/changes/%d", undo.ID)), "The change is undone")
	require.Contains(t, w.get(fmt.Sprintf("/mirrors/Cust1/changes/%d", changed.ID)), "It was undone already.")
}

// TestConfirm takes the context identifier exactly as it is spelled.
func TestConfirm(t *testing.T) {
	w := newWorld(t, "Cust1", "Cust2").open()
	c := w.customers["Cust1"]
	begin := func(extra ...string) url.Values {
		values := form(t, w.get("/mirrors/Cust1/reset"), "tables")
		for i := 0; i < len(extra); i += 2 {
			values.Set(extra[i], extra[i+1])
		}
		a := w.submit("/mirrors/Cust1/reset", values)
		require.Equal(t, http.StatusOK, a.code, a.body)
		return form(t, a.body, "confirm")
	}
	for name, typed := range map[string]string{
		"nothing": "", "lower case": "cust1", "a blank before": " Cust1", "a blank after": "Cust1 ", "a no-break space": "Cust1\u00a0", "another mirror": "Cust2",
		"a Cyrillic letter": "\u0421ust1", "full width": "\uff23ust1", "decomposed": "Cust1\u0301", "zero width": "Cu\u200bst1", "twice": "Cust1Cust1", "quoted": `"Cust1"`,
	} {
		t.Run(name, func(t *testing.T) {
			values := begin("mode", modeTables, "tables", "contact", "truncate", "on")
			values.Set("confirm", typed)
			a := w.submit("/mirrors/Cust1/reset", values)
			require.Equal(t, http.StatusUnprocessableEntity, a.code)
			require.Contains(t, a.body, "That is not exactly Cust1")
			require.Zero(t, w.changes())
		})
	}
	rows := func(table string) int64 {
		def, _ := crm.Table(table)
		n, err := c.mirror.Count(t.Context(), def)
		require.NoError(t, err)
		return n
	}
	t.Run("what needs it", func(t *testing.T) {
		for name, extra := range map[string][]string{
			"truncation": {"mode", modeTables, "tables", "contact", "truncate", "on"}, "all": {"mode", modeAll}, "the whole mirror": {"mode", modeMirror},
			"more than half": {"mode", modeTables, "tables", "contact\nperson\r\nsale\n\n document"},
		} {
			t.Run(name, func(t *testing.T) { require.False(t, begin(extra...).Has("confirm")) })
		}
	})
	t.Run("right", func(t *testing.T) {
		values := begin("mode", modeTables, "tables", "contact", "truncate", "on")
		values.Set("confirm", "Cust1")
		j := w.followed(w.submit("/mirrors/Cust1/reset", values))
		require.Equal(t, statusDone, j.Status, j.Error)
		require.Zero(t, rows("contact"))
		body := w.get(fmt.Sprintf("/mirrors/Cust1/changes/%d", j.ID))
		require.Contains(t, body, "The rows of contact are gone")
	})
	t.Run("the whole mirror", func(t *testing.T) {
		values := begin("mode", modeMirror)
		values.Set("confirm", "Cust1")
		j := w.followed(w.submit("/mirrors/Cust1/reset", values))
		require.Equal(t, statusDone, j.Status, j.Error)
		_, ok := c.mirror.LSN("Cust1", "contact")
		require.False(t, ok)
		a := w.submit("/mirrors/Cust1/reset", form(t, w.get("/mirrors/Cust1/reset"), "tables"))
		require.Equal(t, http.StatusUnprocessableEntity, a.code, "no table is named")
	})
}

// TestResetRefused says before anything is confirmed what would be refused.
func TestResetRefused(t *testing.T) {
	w := newWorld(t, "Cust1", "Cust2").open()
	c := w.customers["Cust1"]
	c.lose(t, "contact", 7)
	compared := w.run(job{Member: "Cust1", Kind: kindComparison})
	others := w.run(job{Member: "Cust2", Kind: kindComparison})
	once := url.Values{"once": {strings.Repeat("A", 26)}}
	with := func(pairs ...string) url.Values {
		values := url.Values{"once": once["once"]}
		for i := 0; i < len(pairs); i += 2 {
			values.Add(pairs[i], pairs[i+1])
		}
		return values
	}
	of := fmt.Sprint(compared.ID)
	for name, q := range map[string]struct {
		values url.Values
		code   int
		want   string
	}{
		"nothing chosen":          {with("mode", modePlan, "of", of), 422, "Choose at least one table."},
		"not in the plan":         {with("mode", modePlan, "of", of, "table", "person"), 422, "The plan has no step for person."},
		"no form":                 {url.Values{"mode": {modePlan}, "of": {of}, "table": {"contact"}}, 422, "The form was incomplete."},
		"another mirror's":        {with("mode", modePlan, "of", fmt.Sprint(others.ID), "table", "contact"), 404, "There is no such page."},
		"no comparison":           {with("mode", modePlan, "of", "999", "table", "contact"), 404, "There is no such page."},
		"no number":               {with("mode", modePlan, "of", "x", "table", "contact"), 404, "There is no such page."},
		"no mode":                 {with("of", of), 422, "Choose what to reset."},
		"unknown table":           {with("mode", modeTables, "tables", "contcat"), 409, "is contact meant?"},
		"hostile table":           {with("mode", modeTables, "tables", `<script>alert(1)</script>`), 409, "&lt;script&gt;"},
		"the metadata table":      {with("mode", modeTables, "tables", "Cust1_mirroring"), 409, "is the metadata table"},
		"no table":                {with("mode", modeTables, "tables", " \r\n "), 422, "Name at least one table."},
		"unknown table, at once":  {with("mode", modeTables, "tables", "contcat", "confirm", "Cust1", "stage", "confirm"), 303, ""},
		"wrong mirror in address": {nil, 404, "There is no such page."},
	} {
		t.Run(name, func(t *testing.T) {
			path := "/mirrors/Cust1/reset"
			if q.values == nil {
				path, q.values = "/mirrors/Cust3/reset", with("mode", modeAll)
			}
			before := c.lsn(t, "contact")
			a := w.submit(path, q.values)
			require.Equal(t, q.code, a.code, a.body)
			require.Contains(t, a.body, q.want)
			require.NotContains(t, a.body, "<script>alert")
			require.Equal(t, before, c.lsn(t, "contact"))
			if a.code == http.StatusSeeOther {
				j := w.followed(a)
				require.Equal(t, refusedTables, j.Summary.Refused)
				body := w.get(fmt.Sprintf("/mirrors/Cust1/changes/%d", j.ID))
				require.Contains(t, body, "Refused: nothing was changed")
				require.Contains(t, body, "is contact meant?")
			}
		})
	}
	t.Run("read-only", func(t *testing.T) {
		w.close()
		w.opts.ReadOnly = true
		w.open()
		body := w.get("/mirrors/Cust1/reset")
		require.Contains(t, body, "7 rows diverged")
		require.Contains(t, body, "This console changes nothing")
		require.NotContains(t, body, "checkbox")
		require.Equal(t, http.StatusMethodNotAllowed, w.submit("/mirrors/Cust1/reset", with("mode", modeTables, "tables", "contact", "stage", "confirm")).code)
	})
}

// TestTooMuch asks whether the source is right where too much differs.
func TestTooMuch(t *testing.T) {
	w := newWorld(t, "Cust1").open()
	c := w.customers["Cust1"]
	for _, table := range worldTables {
		def, ok := crm.Table(table)
		require.True(t, ok)
		c.spoil(t, def)
	}
	compared := w.run(job{Member: "Cust1", Kind: kindComparison})
	require.Positive(t, compared.Summary.Stale)
	a := w.submit("/mirrors/Cust1/reset", form(t, w.get("/mirrors/Cust1/reset"), "table"))
	require.Equal(t, http.StatusOK, a.code)
	require.Contains(t, a.body, "Is the source the right database?")
	values := form(t, a.body, "confirm")
	for _, typed := range []string{"", "Right source", "Cust1"} {
		values.Set("confirm", typed)
		a = w.submit("/mirrors/Cust1/reset", values)
		require.Equal(t, http.StatusUnprocessableEntity, a.code)
		require.Contains(t, a.body, "Go back unless you have checked the source")
	}
	values.Set("confirm", limitWord)
	a = w.submit("/mirrors/Cust1/reset", values)
	require.Equal(t, http.StatusOK, a.code, a.body)
	values = form(t, a.body, "confirm")
	require.Zero(t, w.changes())
	values.Set("confirm", limitWord)
	require.Equal(t, http.StatusUnprocessableEntity, w.submit("/mirrors/Cust1/reset", values).code)
	values.Set("confirm", "Cust1")
	j := w.followed(w.submit("/mirrors/Cust1/reset", values))
	require.Equal(t, statusDone, j.Status, j.Error)
}

// spoil changes all rows of a table of the mirror.
func (c *customer) spoil(t *testing.T, def store.Table) {
	t.Helper()
	require.NoError(t, c.mirror.Update(t.Context(), func(tx store.Tx) error {
		for _, column := range def.Columns {
			if strings.HasPrefix(column.Type.String(), "nvarchar") {
				_, err := tx.Set(t.Context(), def, nil, []store.Cell{{Column: column.Name, Value: "x"}})
				return err
			}
		}
		return nil
	}))
}
