//go:build !race

package console

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/internal/browsertest"
)

// listsWorld has mirrors in many states, a job that does not end, and a change without a
// known end.
func listsWorld(t *testing.T) *world {
	ids := []string{"Nordlys_production_database_with_a_name_that_is_rather_long"}
	for i := range 7 {
		ids = append(ids, fmt.Sprintf("Cust%05d", 10000+i*37))
	}
	w := newWorld(t, ids...)
	w.opts.BasePath = "/m"
	w.open()
	for _, id := range ids[:5] {
		if id == ids[2] {
			w.customers[id].lose(t, "sale", 9)
			w.customers[id].lose(t, "contact", 3)
		}
		require.NoError(t, w.c.lookAt(t.Context(), w.c.members[fold(id)]))
		require.Equal(t, statusDone, w.run(job{Member: id, Kind: kindComparison}).Status)
	}
	w.reset(ids[3], "contact")
	require.NoError(t, w.c.lookAt(t.Context(), w.c.members[fold(ids[3])]))
	lost := w.reset(ids[4], "sale", "contact")
	_, err := w.c.state.db.ExecContext(t.Context(), "DELETE FROM journal WHERE event<>'intent' AND job=?", lost.ID)
	require.NoError(t, err)
	_, err = w.c.state.db.ExecContext(t.Context(), "UPDATE job SET state='unknown' WHERE id=?", lost.ID)
	require.NoError(t, err)
	require.NoError(t, w.c.recount(t.Context(), ""))
	w.customers[ids[5]].onOpen(func(context.Context) error {
		return errors.New("open: mssql: login failed for user 'mirror_reader' <b>\u202e: a text that goes on and on, as those of drivers do: dial tcp 10.20.30.40:1433: i/o timeout")
	})
	require.Error(t, w.c.lookAt(t.Context(), w.c.members[fold(ids[5])]))
	w.run(job{Member: ids[5], Kind: kindComparison, Actor: "kari.nordmann@partner.example"})
	w.customers[ids[6]].onOpen(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
	started, err := w.c.jobs.start(t.Context(), job{Member: fold(ids[6]), Kind: kindComparison, Actor: "ada"})
	require.NoError(t, err)
	w.c.jobs.get(started.ID).compared(mirror.Progress{Table: "contact", Rows: 700, Expected: 1200, Tables: 312, TablesDone: 40})
	return w
}

// TestListsInBrowser looks at the lists as people do.
func TestListsInBrowser(t *testing.T) {
	t.Parallel()
	w, b := listsWorld(t), browsertest.New(t)
	at := func(path string) string { return w.server.URL + "/m" + path }
	pictures := flag.Lookup("pictures").Value.String()
	for name, path := range map[string]string{
		"overview": "/", "overview-none": "/?q=%25", "overview-narrowed": "/?state=stale&q=cust", "mirror": "/mirrors/Cust10037", "mirror-never": "/mirrors/Cust10222", "mirror-running": "/mirrors/Cust10185",
		"mirror-unreadable": "/mirrors/Cust10148", "mirror-unknown": "/mirrors/Cust10111", "jobs": "/jobs", "journal": "/journal", "mirror-journal": "/mirrors/Cust10111/journal",
		"journal-empty": "/mirrors/Cust10222/journal", "jobs-older": "/jobs?before=1",
	} {
		t.Run(name, func(t *testing.T) {
			b := b.Of(t)
			b.Look(1024, 900, "light", "screen")
			b.Visit(at(path))
			b.Check("structure", name)
			b.Axe(name)
			for _, scheme := range []string{"light", "dark"} {
				b.Look(1024, 900, scheme, "screen")
				b.Check("contrast", scheme)
			}
			for _, width := range []int{320, 740, 1024} {
				b.Look(width, 900, "light", "screen")
				b.Check("overflow", fmt.Sprintf("%s, %d px wide", name, width))
			}
			if pictures != "" {
				picturesOf(t, b, pictures, name)
			}
			b.Quiet()
		})
	}
	t.Run("a list that is read anew keeps the focus and what is chosen", func(t *testing.T) {
		b := b.Of(t)
		b.Visit(at("/"))
		gone := func() bool {
			return browsertest.Eval[bool](b, "document.querySelector('#list').textContent.includes('gone away')")
		}
		refresh := func() {
			browsertest.Eval[bool](b, `window.settled = false; document.body.addEventListener("htmx:afterRequest", () => { window.settled = true }, {once: true}); htmx.trigger("#list", "refresh"); true`)
			require.Eventually(t, func() bool { return browsertest.Eval[bool](b, "window.settled") }, 20*time.Second, 20*time.Millisecond)
		}
		browsertest.Eval[bool](b, "document.getElementById('m-cust10222').focus(); document.getElementById('c-cust10222').checked = true")
		w.c.members["cust10148"].setLook(look{Err: "gone away"})
		refresh()
		require.False(t, gone(), "nothing moves while somebody chooses")
		browsertest.Eval[bool](b, "document.getElementById('c-cust10222').checked = false; true")
		refresh()
		require.Eventually(t, gone, 20*time.Second, 20*time.Millisecond)
		require.Equal(t, "m-cust10222", browsertest.Eval[string](b, "document.activeElement.id"))
		require.Equal(t, 1, browsertest.Eval[int](b, "document.querySelectorAll('#list').length"))
		b.Quiet()
	})
	t.Run("what goes on disappears when it is over", func(t *testing.T) {
		b := b.Of(t)
		b.Visit(at("/mirrors/Cust10185"))
		jobs := func() int { return browsertest.Eval[int](b, "document.querySelectorAll('#jobs a').length") }
		require.Equal(t, 1, jobs())
		l := w.c.members["cust10185"].busy(kindComparison)
		require.True(t, w.c.jobs.stop(l.id))
		w.end(l.id)
		browsertest.Eval[bool](b, `htmx.trigger("#jobs", "refresh"); true`)
		require.Eventually(t, func() bool { return jobs() == 0 }, 20*time.Second, 20*time.Millisecond)
		b.Quiet()
	})
}

// picturesOf takes pictures of a page, to look at.
func picturesOf(t *testing.T, b *browsertest.Browser, dir, name string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(dir, 0o755))
	for _, width := range []int{390, 1600} {
		for _, scheme := range []string{"light", "dark"} {
			b.Look(width, 900, scheme, "screen")
			height := min(2600, browsertest.Eval[int](b, "document.scrollingElement.scrollHeight"))
			b.Look(width, height, scheme, "screen")
			require.NoError(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s-%d-%s.png", name, width, scheme)), b.Picture(0, width, height), 0o600))
		}
	}
}
