package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/heal"
	"github.com/so-mirror/mirror/replica"
)

// handClock is a clock that a test moves.
type handClock struct{ t time.Time }

func (c *handClock) Now() time.Time                             { return c.t }
func (c *handClock) Sleep(context.Context, time.Duration) error { return nil }

// progressApp is a run whose standard error is no terminal, and its clock.
func progressApp() (a *app, stderr *bytes.Buffer, clock *handClock) {
	stderr, clock = &bytes.Buffer{}, &handClock{time.Date(2026, 3, 1, 12, 0, 0, 0, time.Local)}
	return &app{err: stderr, out: &bytes.Buffer{}, env: func(string) string { return "" }, clock: clock}, stderr, clock
}

func TestProgressLines(t *testing.T) {
	a, stderr, clock := progressApp()
	report := a.comparing()
	at := func(seconds int, o mirror.Progress) {
		clock.t = clock.t.Add(time.Duration(seconds) * time.Second)
		report(o)
	}
	at(0, mirror.Progress{Table: "contact", Rows: 0, Expected: 200_000, Tables: 3})
	at(9, mirror.Progress{Table: "contact", Rows: 90_000, Expected: 200_000, Remaining: 11 * time.Second, Tables: 3})
	require.Empty(t, stderr.String())
	at(1, mirror.Progress{Table: "contact", Rows: 100_000, Expected: 200_000, Remaining: 10 * time.Second, Tables: 3})
	require.Equal(t, "All 0 of 3 tables, 10,000 rows/s; contact 100,000 of 200,000 rows, 10,000 rows/s, 10s left\n", stderr.String())
	stderr.Reset()
	at(9, mirror.Progress{Table: "contact", Rows: 200_000, Expected: 200_000, TablesDone: 1, Tables: 3})
	at(1, mirror.Progress{Table: "per\x1bson", Rows: 1, Expected: 5, TablesDone: 1, Tables: 3})
	require.Equal(t, `All 1 of 3 tables, 10,000 rows/s; per\x1bson 1 of 5 rows`+"\n", stderr.String(), "nothing steers the terminal")
}

// A comparison that begins hours after another one, as those of a heal do, has only begun.
func TestProgressOfAnotherComparison(t *testing.T) {
	a, stderr, clock := progressApp()
	report := a.comparing()
	report(mirror.Progress{Table: "contact", Rows: 400, Expected: 400, TablesDone: 1, Tables: 2})
	report(mirror.Progress{Table: "person", Rows: 400, Expected: 400, TablesDone: 2, Tables: 2})
	clock.t = clock.t.Add(time.Hour)
	report(mirror.Progress{Table: "contact", Rows: 400, Expected: 400, Tables: 2})
	require.Empty(t, stderr.String())
	clock.t = clock.t.Add(10 * time.Second)
	report(mirror.Progress{Table: "person", Rows: 1, Expected: 400, TablesDone: 1, Tables: 2})
	require.Contains(t, stderr.String(), "All 1 of 2 tables")
}

func TestProgressQuiet(t *testing.T) {
	a, stderr, clock := progressApp()
	a.flags.quiet = true
	report := a.comparing()
	for range 3 {
		clock.t = clock.t.Add(time.Minute)
		report(mirror.Progress{Table: "contact", Tables: 2})
	}
	a.progress().end()
	require.Empty(t, stderr.String())
}

func TestProgressOfWaiting(t *testing.T) {
	a, stderr, clock := progressApp()
	r := &heal.WaitReport{Next: clock.t.Add(20 * time.Minute), Tables: []heal.WaitTable{
		{Table: "contact", State: heal.WaitFilling, Rows: 10, Expected: 40, Remaining: 30 * time.Second}, {Table: "person", State: heal.WaitRequested},
	}}
	a.waited(r)
	clock.t = clock.t.Add(30 * time.Second)
	a.waited(r)
	require.Equal(t, "All 0 of 2 tables populated, next cycle about 12:20; contact 10 of 40 rows, 30s left\n", stderr.String())
	stderr.Reset()
	r.Tables[0].State = heal.WaitPopulated
	clock.t = clock.t.Add(30 * time.Second)
	a.waited(r)
	require.Equal(t, "All 1 of 2 tables populated, next cycle about 12:20\n", stderr.String())
}

func TestProgressOfChecking(t *testing.T) {
	a, stderr, clock := progressApp()
	for range 2 {
		a.checked(replica.Progress{TablesDone: 2, Tables: 3, Open: 1200, Next: clock.t.Add(time.Minute)})
		clock.t = clock.t.Add(10 * time.Second)
	}
	require.Equal(t, "All 2 of 3 tables, 1,200 rows that differ are read again at 12:01:10\n", stderr.String())
}

// Bars are above nothing: once they are gone, what was written stands alone.
func TestProgressBarsGiveWay(t *testing.T) {
	a, stderr, clock := progressApp()
	a.errTerm = true
	report := a.comparing()
	for range 3 {
		report(mirror.Progress{Table: "contact", Rows: 5, Expected: 10, Tables: 2})
		clock.t = clock.t.Add(time.Second)
	}
	a.note("a note")
	a.progress().end()
	a.note("the end")
	require.Contains(t, stderr.String(), "a note\n")
	require.True(t, strings.HasSuffix(stderr.String(), "the end\n"), stderr.String())
	require.NotContains(t, stderr.String(), "All", "no bar is drawn where the writer is no terminal")
}
