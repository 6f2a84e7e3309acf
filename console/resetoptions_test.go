package console

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/internal/crm"
	"github.com/so-mirror/mirror/store"
)

// TestResetUnknown resets a table of which it is not known yet, when that is asked for.
func TestResetUnknown(t *testing.T) {
	w := newWorld(t, "Cust1").open()
	c := w.customers["Cust1"]
	c.lose(t, "contact", 7)
	w.run(job{Member: "Cust1", Kind: kindComparison, Request: request{Depth: mirror.DepthCount}})
	body := w.get("/mirrors/Cust1/reset")
	require.Contains(t, body, "Not known yet")
	chosen := form(t, body, "table")
	require.Empty(t, chosen["table"], "a cycle may mend it")
	require.Equal(t, http.StatusUnprocessableEntity, w.submit("/mirrors/Cust1/reset", chosen).code)
	chosen.Set("unknown", "on")
	a := w.submit("/mirrors/Cust1/reset", chosen)
	require.Equal(t, http.StatusOK, a.code, a.body)
	j := w.followed(w.submit("/mirrors/Cust1/reset", form(t, a.body, "stage")))
	require.Equal(t, statusDone, j.Status, j.Error)
	require.Equal(t, change{Operation: opApply, Unknown: true}, j.Request.Change)
	require.EqualValues(t, -1, c.lsn(t, "contact"))
}

// TestResetSchema drops a table whose columns differ, when that is asked for and confirmed.
func TestResetSchema(t *testing.T) {
	w := newWorld(t, "Cust1").open()
	c := w.customers["Cust1"]
	def, _ := crm.Table("contact")
	require.NoError(t, c.mirror.Update(t.Context(), func(tx store.Tx) error {
		if err := tx.Drop(t.Context(), def); err != nil {
			return err
		}
		def.Columns = def.Columns[:len(def.Columns)-1]
		return tx.Create(t.Context(), def)
	}))
	w.run(job{Member: "Cust1", Kind: kindComparison})
	chosen := form(t, w.get("/mirrors/Cust1/reset"), "hardreset")
	chosen.Set("table", "contact")
	chosen.Set("hardreset", "on")
	a := w.submit("/mirrors/Cust1/reset", chosen)
	require.Equal(t, http.StatusOK, a.code, a.body)
	require.Contains(t, a.body, "contact is dropped. Undo does not bring it back.")
	confirmed := form(t, a.body, "confirm")
	confirmed.Set("confirm", "CUST1")
	require.Equal(t, http.StatusUnprocessableEntity, w.submit("/mirrors/Cust1/reset", confirmed).code)
	confirmed.Set("confirm", "Cust1")
	j := w.followed(w.submit("/mirrors/Cust1/reset", confirmed))
	require.Equal(t, statusDone, j.Status, j.Error)
	_, there := c.mirror.LSN("Cust1", "contact")
	require.False(t, there)
}

// TestResetMoved leaves out what moved since the plan was made, when that is asked for.
func TestResetMoved(t *testing.T) {
	w := newWorld(t, "Cust1").open()
	c := w.customers["Cust1"]
	c.lose(t, "contact", 7)
	c.lose(t, "sale", 2)
	w.run(job{Member: "Cust1", Kind: kindComparison})
	chosen := form(t, w.get("/mirrors/Cust1/reset"), "table")
	a := w.submit("/mirrors/Cust1/reset", chosen)
	require.Equal(t, http.StatusOK, a.code)
	confirmed := form(t, a.body, "stage")
	w.reset("Cust1", "sale") // in another tab

	late := w.followed(w.submit("/mirrors/Cust1/reset", confirmed))
	require.Equal(t, refusedMoved, late.Summary.Refused)
	require.EqualValues(t, 1, c.lsn(t, "contact"), "all of it or nothing")
	body := w.get(w.c.path(late))
	require.Contains(t, body, "The mirror is no longer what the plan saw.")
	require.Contains(t, body, "another metadata row than the plan saw")
	require.Contains(t, body, "Compare again")

	a = w.submit("/mirrors/Cust1/reset", form(t, w.get("/mirrors/Cust1/reset"), "table"))
	require.Equal(t, http.StatusConflict, a.code)
	a = w.submit("/mirrors/Cust1/reset", form(t, a.body, "skipmoved"))
	require.Equal(t, http.StatusOK, a.code, a.body)
	require.Contains(t, a.body, "left alone")
	j := w.followed(w.submit("/mirrors/Cust1/reset", form(t, a.body, "stage")))
	require.Equal(t, statusDone, j.Status, j.Error)
	require.EqualValues(t, -1, c.lsn(t, "contact"))
	require.Contains(t, w.get(w.c.path(j)), "1 table is reset")
}
