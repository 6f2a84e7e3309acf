package console

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/console/internal/ui"
)

func TestAgo(t *testing.T) {
	for want, d := range map[string]time.Duration{
		"just now": 59 * time.Second, "1 minute ago": 119 * time.Second, "119 minutes ago": 2*time.Hour - 1, "2 hours ago": 2 * time.Hour,
		"47 hours ago": 48*time.Hour - 1, "2 days ago": 48 * time.Hour, "1,000 days ago": 24000 * time.Hour, "in 37 seconds": -37 * time.Second, "in 3 minutes": -3 * time.Minute, "in 2 days": -50 * time.Hour,
	} {
		require.Equal(t, want, ago(d))
	}
}

func TestNamed(t *testing.T) {
	require.Equal(t, "", named(nil))
	require.Equal(t, "contact, \u2068ש\ufffd\u2069", named([]string{"contact", "ש\u202e"}))
	many := []string{"a", "b", "c", "d", "e", "f", "g", "h", "i"}
	require.Equal(t, "a, b, c, d, e, f, g, h, i", named(many), "one more would say no less")
	require.Equal(t, "a, b, c, d, e, f, g, h and 2 more", named(append(many, "j")))
	require.Equal(t, `<bdi>&lt;b&gt;`+"\ufffd"+`</bdi>`, string(escaped("<b>\u202e")))
	require.Equal(t, "two lines", message("two\n\tlines"))
}

func TestBadges(t *testing.T) {
	require.Equal(t, &ui.Badge{Class: "changed", Text: "different"}, verdictBadge(mirror.VerdictDifferent))
	require.Equal(t, &ui.Badge{Class: "neutral", Text: "new"}, verdictBadge("new"))
	require.Less(t, gravity(mirror.VerdictDifferent), gravity(mirror.VerdictIdentical))
	require.Greater(t, gravity("new"), gravity(mirror.VerdictNotMirrored))
	require.Equal(t, &ui.Badge{Class: "waiting", Text: "done"}, jobBadge(job{Status: statusDone, Summary: summary{Level: "waiting"}}))
	require.Equal(t, &ui.Badge{Class: "neutral", Text: "undone"}, jobBadge(job{Status: statusDone, Summary: summary{Undone: 3}}))
}

func TestTabs(t *testing.T) {
	w := newWorld(t, "Cust1")
	w.opts.BasePath = "/m"
	w.open()
	m := w.c.order[0]
	m.setLook(look{Tables: map[mirror.TableState]int{mirror.TableResetRequested: 3}})
	tabs := w.c.tabs(m, tabReset)
	require.Len(t, tabs.Tabs, 5, "there is no replica")
	require.Equal(t, ui.Tab{Name: "Reset", URL: "/m/mirrors/Cust1/reset", Current: true}, tabs.Tabs[2])
	require.Equal(t, ui.Tab{Name: "Waiting", URL: "/m/mirrors/Cust1/waiting", N: "3"}, tabs.Tabs[3])
	require.Equal(t, []ui.Link{{Name: "Mirrors", URL: "/"}, {Name: "Cust1", URL: "/mirrors/Cust1"}, {Name: "Reset"}}, m.crumbs(ui.Link{Name: "Reset"}))
}
