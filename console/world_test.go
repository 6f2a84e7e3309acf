package console

import (
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/fleet"
	"github.com/so-mirror/mirror/internal/crm"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/cycle"
	"github.com/so-mirror/mirror/store/memory"
)

// world is the customers' databases and their mirrors, and a console over them.
type world struct {
	t         testing.TB
	path      string // of the state
	opts      Options
	fleet     *fleet.Fleet
	customers map[string]*customer

	c      *Console
	server *httptest.Server
	client *http.Client
}

// customer is one customer's database and its mirror.
type customer struct {
	id       string
	customer *cycle.Customer
	source   *memory.Store
	mirror   *memory.Store

	mu     sync.Mutex
	opened func(ctx context.Context) error // called when a connection is opened
}

// worldTables are what each customer has.
var worldTables = []string{"contact", "person", "sale", "document", "country"}

const worldContacts = 40

// newWorld makes a console over the mirrors of customers, which are as they should be.
func newWorld(t testing.TB, ids ...string) *world {
	t.Helper()
	w := &world{t: t, path: filepath.Join(t.TempDir(), "console.db"), opts: Options{Look: -1, poll: time.Millisecond}, fleet: &fleet.Fleet{}, customers: map[string]*customer{}}
	for _, id := range ids {
		c := &customer{id: id, source: memory.New(), mirror: memory.New()}
		require.NoError(t, crm.Load(t.Context(), c.source, crm.Options{Contacts: worldContacts}, worldTables...))
		c.customer = cycle.NewCustomer(id, c.source)
		c.cycle(t)
		w.customers[id] = c
		w.fleet.Members = append(w.fleet.Members, fleet.Member{ContextID: id, Open: func(ctx context.Context) (*fleet.Connection, error) {
			c.mu.Lock()
			opened, st := c.opened, c.mirror
			c.mu.Unlock()
			if opened != nil {
				if err := opened(ctx); err != nil {
					return nil, err
				}
			}
			m, err := mirror.New(id, st, nil)
			return &fleet.Connection{Mirror: m, Source: c.customer}, err
		}})
	}
	return w
}

// onOpen has something called when a connection is opened, nil for nothing.
func (c *customer) onOpen(do func(ctx context.Context) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.opened = do
}

// swap puts another database in the mirror's place.
func (c *customer) swap(st *memory.Store) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mirror = st
}

// cycle has the Mirroring Task feed the mirror.
func (c *customer) cycle(t testing.TB) {
	t.Helper()
	_, err := (&cycle.Task{Customer: c.customer, Mirror: c.mirror}).Run(t.Context())
	require.NoError(t, err)
}

// lose has the mirror lose rows of a table.
func (c *customer) lose(t testing.TB, table string, n int) {
	t.Helper()
	def, ok := crm.Table(table)
	require.True(t, ok)
	require.NoError(t, c.mirror.Update(t.Context(), func(tx store.Tx) error {
		for i := range n {
			row := crm.Row(def, i, crm.Options{Contacts: worldContacts})
			if _, err := tx.Delete(t.Context(), def, []store.Cell{{Column: def.Key[0], Value: row[0]}}); err != nil {
				return err
			}
		}
		return nil
	}))
}

// open opens the console and serves it.
func (w *world) open() *world {
	w.t.Helper()
	var err error
	w.c, err = Open(w.path, w.fleet, &w.opts)
	require.NoError(w.t, err)
	c := w.c
	w.server = httptest.NewServer(w.c)
	w.t.Cleanup(func() { w.close(); _ = c })
	jar, err := cookiejar.New(nil)
	require.NoError(w.t, err)
	w.client = &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return w
}

// close ends the process, as far as a test can tell.
func (w *world) close() {
	if w.c == nil {
		return
	}
	w.server.CloseClientConnections()
	w.server.Close()
	require.NoError(w.t, w.c.Close())
	w.c = nil
}

// answer is what the console answered.
type answer struct {
	code   int
	header http.Header
	body   string
}

func (w *world) do(req *http.Request) answer {
	w.t.Helper()
	resp, err := w.client.Do(req)
	require.NoError(w.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(w.t, err)
	return answer{resp.StatusCode, resp.Header, string(body)}
}

func (w *world) request(method, path string, form url.Values) *http.Request {
	w.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.server.URL+path, body)
	require.NoError(w.t, err)
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return req
}

// get returns a page that must be there.
func (w *world) get(path string) string {
	w.t.Helper()
	a := w.do(w.request("GET", path, nil))
	require.Equal(w.t, http.StatusOK, a.code, "%s: %s", path, a.body)
	return a.body
}

// post does something, and returns the page that it leads to.
func (w *world) post(path string, form url.Values) (location string) {
	w.t.Helper()
	if form == nil {
		form = url.Values{}
	}
	a := w.do(w.request("POST", path, form))
	require.Equal(w.t, http.StatusSeeOther, a.code, "%s: %s", path, a.body)
	return a.header.Get("Location")
}

// run starts a job and returns it when it is over.
func (w *world) run(j job) job {
	w.t.Helper()
	j.Member = fold(j.Member)
	if j.Actor == "" {
		j.Actor = "ada"
	}
	started, err := w.c.jobs.start(w.t.Context(), j)
	require.NoError(w.t, err)
	return w.end(started.ID)
}

// end waits for the end of a job.
func (w *world) end(id int64) job {
	w.t.Helper()
	if l := w.c.jobs.get(id); l != nil {
		select {
		case <-l.done:
		case <-time.After(30 * time.Second):
			w.t.Fatalf("job %d does not end", id)
		}
	}
	j, err := w.c.state.job(w.t.Context(), id)
	require.NoError(w.t, err)
	return j
}
