//go:build !race

package console

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/internal/browsertest"
	"github.com/so-mirror/mirror/internal/crm"
	"github.com/so-mirror/mirror/replica"
)

// resetWorld has mirrors in each state that a reset goes through.
func resetWorld(t *testing.T) *world {
	w := newWorld(t, "Cust1", "Cust2", "Cust3", "Cust4", "Cust5")
	its := w.replicated("Cust1")
	w.opts.Replica = func(ctx context.Context, id string) (*Replica, error) {
		switch id {
		case "Cust2":
			return nil, errors.New("login failed for user 'replica_reader'")
		case "Cust3":
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return &Replica{Reference: w.customers[id].mirror, Replica: its, Options: &replica.Options{ContextID: id, MaxWait: -1}}, nil
	}
	w.opts.poll = 50 * time.Millisecond
	w.open()
	w.customers["Cust1"].lose(t, "contact", 7)
	w.customers["Cust1"].lose(t, "sale", 2)
	for _, table := range worldTables {
		def, ok := crm.Table(table)
		require.True(t, ok)
		w.customers["Cust2"].spoil(t, def)
	}
	w.customers["Cust3"].lose(t, "document", 1)
	for _, id := range []string{"Cust1", "Cust2", "Cust3"} {
		require.Equal(t, statusDone, w.run(job{Member: id, Kind: kindComparison}).Status)
		require.NoError(t, w.c.lookAt(t.Context(), w.c.members[fold(id)]))
	}
	return w
}

// walk are pages, each with what is done on the one before to come to it.
type walk []struct {
	name, visit, do, want string
	like                  bool // another one, so that it is only looked at in pictures
}

const submitForm = `document.querySelector("main form [name=%s]").closest("form").requestSubmit()`

// TestResetInBrowser looks at the pages from a plan to what is populated as people do.
func TestResetInBrowser(t *testing.T) {
	t.Parallel()
	w, b := resetWorld(t), browsertest.New(t)
	undone := w.reset("Cust4", "contact")
	require.Equal(t, statusDone, w.run(job{Member: "Cust4", Kind: kindChange, Request: request{Of: undone.ID, Change: change{Operation: opUndo}}}).Status)
	lost := w.reset("Cust5", "sale", "contact")
	_, err := w.c.state.db.ExecContext(t.Context(), "UPDATE job SET state='unknown' WHERE id=?", lost.ID)
	require.NoError(t, err)
	failed := w.run(job{Member: "Cust4", Kind: kindChange, Request: request{Tables: []string{"contcat"}, Change: change{Operation: opReset}}})
	truncated := w.run(job{Member: "Cust4", Kind: kindChange, Request: request{Tables: []string{"sale"}, Change: change{Operation: opReset, Truncate: true}}})
	require.NoError(t, w.c.lookAt(t.Context(), w.c.members["cust4"]))
	w.run(job{Member: "Cust2", Kind: kindValidation})
	checked := w.run(job{Member: "Cust1", Kind: kindValidation})
	checking, err := w.c.jobs.start(t.Context(), job{Member: "cust3", Kind: kindValidation, Actor: "ada"})
	require.NoError(t, err)
	w.c.jobs.get(checking.ID).checked(replica.Progress{Tables: 5, TablesDone: 5, Open: 12, Next: time.Now().Add(time.Minute)})
	waiting := w.reset("Cust3", "contact", "sale")
	change := func(j job) string {
		return fmt.Sprintf("/mirrors/%s/changes/%d", w.c.members[j.Member].ContextID, j.ID)
	}

	for _, s := range (walk{
		{"reset", "/mirrors/Cust1/reset", `document.querySelectorAll("details").forEach((d) => d.open = true)`, "What is reset", false},
		{"reset-nothing-chosen", "", `document.querySelectorAll("[name=table]").forEach((c) => c.checked = false); ` + fmt.Sprintf(submitForm, "of"), "Choose at least one table.", false},
		{"reset-confirm", "/mirrors/Cust1/reset", fmt.Sprintf(submitForm, "of"), "The database takes this", false},
		{"reset-typed", "/mirrors/Cust1/reset", `document.querySelector("#f-tables").value = "contact"; document.querySelector("#f-truncate").checked = true; ` + fmt.Sprintf(submitForm, "tables"), "Type Cust1 to confirm", false},
		{"reset-wrong", "", `document.querySelector("#f-confirm").value = "cust1"; ` + fmt.Sprintf(submitForm, "confirm"), "That is not exactly Cust1.", false},
		{"reset-refused", "/mirrors/Cust1/reset", `document.querySelector("#f-tables").value = "contcat\n<b>person"; ` + fmt.Sprintf(submitForm, "tables"), "is contact meant?", false},
		{"reset-limit", "/mirrors/Cust2/reset", fmt.Sprintf(submitForm, "of"), "Is the source the right database?", false},
		{"reset-limit-typed", "", `document.querySelector("#f-confirm").value = "right source"; ` + fmt.Sprintf(submitForm, "confirm"), "Type Cust2 to confirm", true},
		{"reset-never-compared", "/mirrors/Cust5/reset", "", "never compared", true},
		{"change-done", change(waiting), "", "2 tables are reset", false},
		{"change-undone", change(undone), "", "and undone", true},
		{"change-truncated", change(truncated), "", "The rows of sale are gone", false},
		{"change-refused", change(failed), "", "Refused: nothing was changed", true},
		{"change-unknown", change(lost), "", "Not known yet", false},
		{"waiting", "/mirrors/Cust3/waiting", "", "waits for a cycle", false},
		{"waiting-none", "/mirrors/Cust2/waiting", "", "No table waits", true},
		{"waiting-open", "/mirrors/Cust4/waiting", "", "sale", true},
		{"validation", "/mirrors/Cust1/validation", "", "Checks so far", false},
		{"validation-running", fmt.Sprintf("/mirrors/Cust3/validation/%d", checking.ID), "", "12 keys to be read again", false},
		{"validation-failed", "/mirrors/Cust2/validation", "", "replica_reader", true},
		{"validation-report", fmt.Sprintf("/mirrors/Cust1/validation/%d", checked.ID), "", "Save as HTML", false},
	}) {
		pictures := flag.Lookup("pictures").Value.String()
		if s.like && pictures == "" {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			b := b.Of(t)
			b.Look(1024, 900, "light", "screen")
			if s.visit != "" {
				b.Visit(w.server.URL + s.visit)
			}
			if s.do != "" {
				browsertest.Eval[any](b, s.do+"; 0")
			}
			require.Eventually(t, func() bool {
				return browsertest.Eval[bool](b, fmt.Sprintf("document.readyState === 'complete' && document.querySelector('main').textContent.replace(/\\s+/g, ' ').includes(%q)", s.want))
			}, 20*time.Second, 20*time.Millisecond, s.want)
			b.Check("structure", s.name)
			b.Axe(s.name)
			for _, scheme := range []string{"light", "dark"} {
				b.Look(1024, 900, scheme, "screen")
				b.Check("contrast", scheme)
			}
			b.Look(320, 900, "light", "screen")
			b.Check("overflow", s.name)
			if pictures != "" {
				picturesOf(t, b, pictures, s.name)
			}
		})
	}
}
