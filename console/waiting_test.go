package console

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/heal"
	"github.com/so-mirror/mirror/internal/crm"
	"github.com/so-mirror/mirror/replica"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/cycle"
	"github.com/so-mirror/mirror/store/memory"
)

// TestWaiting shows what waits for a cycle, from the reset until it is populated.
func TestWaiting(t *testing.T) {
	w := newWorld(t, "Cust1").open()
	c := w.customers["Cust1"]
	m := w.c.members[fold("Cust1")]
	body := w.get("/mirrors/Cust1/waiting")
	require.Contains(t, body, "The mirror was not looked at yet")
	require.Contains(t, body, "every 20 minutes, none from 23:00 to 06:00 UTC; one is due by")
	require.Equal(t, http.StatusConflict, w.submit("/mirrors/Cust1/waiting", nil).code)
	require.NoError(t, w.c.lookAt(t.Context(), m))
	require.Contains(t, w.get("/mirrors/Cust1/waiting"), "No table waits for a cycle")

	changed := w.reset("Cust1", "contact")
	body = w.get("/mirrors/Cust1/waiting")
	require.Contains(t, body, "Stop waiting")
	require.Contains(t, body, fmt.Sprintf("/mirrors/Cust1/changes/%d", changed.ID))
	require.Contains(t, body, "sse-connect")
	first := w.waiting("Cust1")
	w.post(fmt.Sprintf("/jobs/%d/stop", first.ID), nil)
	require.NoError(t, w.c.lookAt(t.Context(), m))
	body = w.get("/mirrors/Cust1/waiting")
	require.Contains(t, body, "Waiting was stopped.")
	require.Contains(t, body, "reset requested")

	w.post("/mirrors/Cust1/waiting", nil)
	again := w.waiting("Cust1")
	require.Equal(t, changed.ID, again.Request.Of)
	w.post("/mirrors/Cust1/waiting", nil)
	require.Equal(t, again.ID, w.waiting("Cust1").ID, "it is waited for once")
	c.cycle(t)
	require.Equal(t, statusDone, w.end(again.ID).Status)
	require.NoError(t, w.c.lookAt(t.Context(), m))
	body = w.get("/mirrors/Cust1/waiting")
	require.Contains(t, body, "All is populated.")
	require.Contains(t, body, "populated")
	require.NotContains(t, body, "Wait for the cycle")
	require.Contains(t, w.get(fmt.Sprintf("/mirrors/Cust1/changes/%d", changed.ID)), "A cycle has begun to populate contact since.")
}

// TestWaitingAll waits for a mirror that was reset as a whole.
func TestWaitingAll(t *testing.T) {
	w := newWorld(t, "Cust1").open()
	c := w.customers["Cust1"]
	j := w.run(job{Member: "Cust1", Kind: kindChange, Request: request{Change: change{Operation: opHardReset, Confirm: "Cust1"}}})
	require.Equal(t, statusDone, j.Status, j.Error)
	w.post(fmt.Sprintf("/jobs/%d/stop", w.waiting("Cust1").ID), nil)
	require.NoError(t, w.c.lookAt(t.Context(), w.c.members["cust1"]))
	body := w.get("/mirrors/Cust1/waiting")
	require.Contains(t, body, "no metadata row")
	require.NotContains(t, body, "No table waits")
	w.post("/mirrors/Cust1/waiting", nil)
	waiting := w.waiting("Cust1")
	c.cycle(t)
	ended := w.end(waiting.ID)
	require.Equal(t, statusDone, ended.Status, ended.Error)
	require.Equal(t, "good", ended.Summary.Level)
}

// TestWaitingFailed says why waiting was of no use.
func TestWaitingFailed(t *testing.T) {
	w := newWorld(t, "Cust1").open()
	m := w.c.members[fold("Cust1")]
	for name, q := range map[string]struct {
		j    job
		want string
	}{
		"lost":    {job{Status: statusFailed, Error: heal.ErrLostReset.Error() + ": contact"}, "A reset was lost."},
		"overdue": {job{Status: statusFailed, Error: heal.ErrOverdue.Error() + ": contact"}, "No cycle came in time."},
		"failed":  {job{Status: statusFailed, Error: "no route to host"}, "no route to host"},
		"newer":   {job{Status: statusStopped, Error: errFollowed.Error()}, "together with what was reset since"},
	} {
		t.Run(name, func(t *testing.T) {
			q.j.Member, q.j.Kind, q.j.Asked = m.key, kindWaiting, time.Now()
			require.NoError(t, w.c.state.add(t.Context(), &q.j))
			m.ended(q.j)
			require.Contains(t, w.get("/mirrors/Cust1/waiting"), q.want)
		})
	}
}

// replicated gives a customer a replica, which is as it should be.
func (w *world) replicated(id string) *memory.Store {
	its := memory.New()
	client := cycle.NewReplica(w.customers[id].customer, its, nil)
	require.NoError(w.t, client.Provision(w.t.Context()))
	require.NoError(w.t, client.CatchUp(w.t.Context()))
	return its
}

func TestValidation(t *testing.T) {
	w := newWorld(t, "Cust1", "Cust2")
	its := w.replicated("Cust1")
	w.opts.Replica = func(_ context.Context, id string) (*Replica, error) {
		if id == "Cust2" {
			return nil, errors.New("no route to host")
		}
		return &Replica{Reference: w.customers[id].mirror, Replica: its, Options: &replica.Options{ContextID: id, MaxWait: -1}}, nil
	}
	w.open()
	require.Contains(t, w.get("/mirrors/Cust1/validation"), "The replica was never checked")

	check := func(id string) (string, job) {
		to := w.post("/mirrors/"+id+"/validation", nil)
		var n int64
		_, err := fmt.Sscanf(to, "/mirrors/"+id+"/validation/%d", &n)
		require.NoError(t, err, to)
		return to, w.end(n)
	}
	page, j := check("Cust1")
	require.Equal(t, statusDone, j.Status, j.Error)
	require.Contains(t, w.get(page), "Save as HTML")
	require.Contains(t, w.get(page+"/report.html"), "<!doctype html>")
	require.Contains(t, w.get(page+"/report.json"), `"decision"`)

	def, ok := crm.Table("contact")
	require.True(t, ok)
	tables, err := its.Tables(t.Context())
	require.NoError(t, err)
	require.NoError(t, its.Update(t.Context(), func(tx store.Tx) error {
		for _, table := range tables {
			if fold(table.Name) == fold(def.Name) {
				return tx.Truncate(t.Context(), table)
			}
		}
		return errors.New("no contact")
	}))
	_, j = check("Cust1")
	require.NotEqual(t, "good", j.Summary.Level)
	body := w.get("/mirrors/Cust1/validation")
	require.Contains(t, body, page)
	require.Contains(t, body, template.HTMLEscapeString(j.Summary.Verdict))

	page, j = check("Cust2")
	require.Equal(t, statusFailed, j.Status)
	require.Contains(t, w.get(page), "no route to host")
	require.Equal(t, http.StatusNotFound, w.do(w.request("GET", page+"/report.json", nil)).code)
	require.Equal(t, http.StatusNotFound, w.do(w.request("GET", fmt.Sprintf("/mirrors/Cust1/validation/%d", j.ID), nil)).code, "another mirror's")

	w.close()
	w.opts.Replica = nil
	w.open()
	require.Contains(t, w.get("/mirrors/Cust1/validation"), "No replica is configured")
	require.Equal(t, http.StatusConflict, w.submit("/mirrors/Cust1/validation", nil).code)
	require.NotContains(t, w.get("/mirrors/Cust1/reset"), "/validation")
}
