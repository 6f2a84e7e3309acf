package console

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/fleet"
)

// TestOthersDatabase leaves the file of another program as it is.
func TestOthersDatabase(t *testing.T) {
	w := newWorld(t, "Cust1")
	db, err := sql.Open("sqlite", w.path)
	require.NoError(t, err)
	_, err = db.ExecContext(t.Context(), "CREATE TABLE contact (contact_id int)")
	require.NoError(t, err)
	require.NoError(t, db.Close())
	before, err := os.ReadFile(w.path)
	require.NoError(t, err)
	_, err = Open(w.path, w.fleet, &w.opts)
	require.ErrorContains(t, err, "a database of something else")
	after, err := os.ReadFile(w.path)
	require.NoError(t, err)
	require.Equal(t, before, after)
}

// TestTokensAreReplaced ends the sessions of a token with it.
func TestTokensAreReplaced(t *testing.T) {
	w := withLogin(t)
	require.Equal(t, http.StatusSeeOther, w.logIn(adasToken).code)
	cookie := w.client.Jar.Cookies(must(url.Parse(w.server.URL)))[0]
	w.close()
	w.opts.Tokens = map[string]string{"ada": "ada has a new token now"}
	w.open()
	req := w.request("GET", "/", nil)
	req.AddCookie(cookie)
	require.Equal(t, http.StatusSeeOther, w.do(req).code)
}

// TestEndThatIsNotKept shows the end of a job that the state could not take.
func TestEndThatIsNotKept(t *testing.T) {
	w := newWorld(t, "Cust1").open()
	_, err := w.c.state.db.ExecContext(t.Context(), "CREATE TRIGGER full BEFORE UPDATE ON job WHEN new.state='done' BEGIN SELECT raise(abort, 'disk full'); END")
	require.NoError(t, err)
	j, err := w.c.jobs.start(t.Context(), job{Member: fold("Cust1"), Kind: kindComparison})
	require.NoError(t, err)
	<-w.c.jobs.get(j.ID).done
	html := w.get(fmt.Sprintf("/mirrors/Cust1/comparisons/%d", j.ID))
	require.Contains(t, html, "could not be kept")
	require.NotContains(t, html, "sse-connect")
	_, err = w.c.state.db.ExecContext(t.Context(), "DROP TRIGGER full")
	require.NoError(t, err)
	require.Equal(t, statusDone, w.run(job{Member: "Cust1", Kind: kindComparison}).Status, "another one can be asked for")
}

// TestSilentDriver closes a console whose database does not answer, and whose driver does
// not hear that nobody waits.
func TestSilentDriver(t *testing.T) {
	w := newWorld(t, "Cust1")
	w.opts.grace = 20 * time.Millisecond
	w.open()
	reached, release := make(chan struct{}), make(chan struct{})
	member := w.c.members[fold("Cust1")]
	open := member.Open
	member.Open = func(ctx context.Context) (*fleet.Connection, error) {
		conn, err := open(ctx)
		conn.Close = func() error { close(reached); <-release; return nil }
		return conn, err
	}
	_, err := w.c.jobs.start(t.Context(), job{Member: fold("Cust1"), Kind: kindComparison})
	require.NoError(t, err)
	<-reached
	c := w.c
	w.c = nil
	w.server.Close()
	require.ErrorContains(t, c.Close(), "does not answer")
	close(release)
	c.jobs.wg.Wait()
	require.NoError(t, c.state.close())
}

// TestWhileClosing asks a console that is being stopped for jobs of each kind.
func TestWhileClosing(t *testing.T) {
	w := newWorld(t, "Cust1")
	w.opts.Replica = func(context.Context, string) (*Replica, error) { return nil, nil }
	w.open()
	require.NoError(t, w.c.lookAt(t.Context(), w.c.order[0]))
	done := w.run(job{Member: "Cust1", Kind: kindChange, Request: request{Tables: []string{"contact"}, Change: change{Operation: opReset}}})
	w.c.jobs.mu.Lock()
	w.c.jobs.closed = true
	w.c.jobs.mu.Unlock()
	for path, form := range map[string]url.Values{
		"/comparisons": {}, "/validation": {}, "/waiting": {}, fmt.Sprintf("/changes/%d/undo", done.ID): {"once": {"AAAAAAAAAAAAAAAAAAAAAAAAAA"}},
	} {
		a := w.do(w.request("POST", "/mirrors/Cust1"+path, form))
		require.Equal(t, http.StatusServiceUnavailable, a.code, path)
		require.Contains(t, a.body, "Try again when it is back", path)
	}
}
