package main

import (
	"context"
	"io"
	"iter"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/examples/internal/customers"
	"github.com/so-mirror/mirror/fleet"
	"github.com/so-mirror/mirror/store"
)

// gated is a source whose rows come when its gate is open.
type gated struct {
	store.Source
	gate    <-chan struct{}
	waiting chan<- struct{} // is told that somebody waits for rows
}

func (g gated) Rows(ctx context.Context, q store.Query) iter.Seq2[[]store.Row, error] {
	return func(yield func([]store.Row, error) bool) {
		select {
		case g.waiting <- struct{}{}:
		default:
		}
		select {
		case <-g.gate:
			g.Source.Rows(ctx, q)(yield)
		case <-ctx.Done():
			yield(nil, ctx.Err())
		}
	}
}

// A comparison that runs is stopped with the program, and goes on with the next one.
func TestStopDuringAComparison(t *testing.T) {
	config, state := world(t, ""), filepath.Join(t.TempDir(), "console.db")
	gate, waiting := make(chan struct{}), make(chan struct{}, 1)
	serve := func(ctx context.Context, p *program) int {
		p.flags = flags{listen: "127.0.0.1:0", state: state, look: -1}
		p.log = p.logger()
		file, err := customers.Read(config)
		if err != nil {
			return exitUsage
		}
		all, err := file.OpenFleet(customers.Environment{Get: p.env, Secrets: &p.secrets})
		if err != nil {
			return exitUsage
		}
		open := all.Members[0].Open
		all.Members[0].Open = func(ctx context.Context) (*fleet.Connection, error) {
			c, err := open(ctx)
			if err == nil {
				c.Source = gated{c.Source, gate, waiting}
			}
			return c, err
		}
		s, err := p.serving()
		if err == nil {
			err = p.serve(ctx, all, s)
		}
		if err != nil {
			_, _ = io.WriteString(p.err, err.Error())
			return exitError
		}
		return exitDone
	}

	r := startTo(t, nil, serve)
	c := client(t)
	answer, err := c.PostForm(r.url+"mirrors/Cust1/comparisons", url.Values{"depth": {"rows"}})
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, http.StatusSeeOther, answer.StatusCode)
	page := answer.Header.Get("Location")
	<-waiting
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+"jobs/1/events", nil)
	require.NoError(t, err)
	request.Header.Set("Accept", "text/event-stream")
	events, err := c.Do(request) // somebody looks on
	require.NoError(t, err)
	defer events.Body.Close()
	require.Equal(t, http.StatusOK, events.StatusCode)
	require.Equal(t, exitDone, r.exit(), r.err)
	require.NotContains(t, r.err.String(), "some requests were not answered")
	_, err = io.Copy(io.Discard, events.Body)
	require.NoError(t, err, "the stream came to its end")

	again := startTo(t, nil, serve)
	<-waiting // without anybody asking for it
	_, text := get(t, c, again.url+page[1:])
	require.Contains(t, text, "It goes on when this page is closed.")
	close(gate)
	require.Eventually(t, func() bool {
		_, text = get(t, c, again.url+page[1:])
		return strings.Contains(text, "The mirror is identical to its source")
	}, 30*time.Second, 20*time.Millisecond)
	require.Equal(t, exitDone, again.exit(), again.err)
}
