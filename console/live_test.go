package console

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/fleet"
	"github.com/so-mirror/mirror/heal"
	"github.com/so-mirror/mirror/internal/crm"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/cycle"
	"github.com/so-mirror/mirror/store/mssql"
)

// liveEnv names the server of TestLive, whose login may create databases.
const liveEnv = "MIRROR_TEST_SQLSERVER_DSN"

// liveApp is how the console's own sessions on the server are told from the test's.
const liveApp = "console under test"

// liveWorld is a console over a mirror on a T-SQL server, which it reaches by a wire.
type liveWorld struct {
	*world
	whole    *testing.T
	password string
	wire     *wire
	admin    *mssql.Store
	source   *mssql.Store
	mirror   *mssql.Store
	customer *cycle.Customer
	names    [2]string // of the databases of source and mirror
	urls     [2]string // by the wire
	compared *mirror.CompareOptions
	log      lockedBuffer
	answers  lockedBuffer
}

// lockedBuffer is a buffer for many writers.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// overheard keeps all that the console answers.
type overheard struct {
	http.RoundTripper
	to io.Writer
}

func (k overheard) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := k.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	fmt.Fprintln(k.to, resp.Header)
	body := resp.Body
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.TeeReader(body, k.to), body}
	return resp, nil
}

// tracked is a customer's database with the change tracking that the test simulates, since
// not every T-SQL server has one.
type tracked struct {
	*mssql.Source
	tracker store.ChangeTracker
}

func (t tracked) Version(ctx context.Context) (store.LSN, error) { return t.tracker.Version(ctx) }

func (t tracked) MinValidVersion(ctx context.Context, of store.Table) (store.LSN, error) {
	return t.tracker.MinValidVersion(ctx, of)
}

func (t tracked) Changed(ctx context.Context, of store.Table, since store.LSN, keys []store.Row) ([]bool, error) {
	return t.tracker.Changed(ctx, of, since, keys)
}

func (t tracked) ChangedKeys(ctx context.Context, of store.Table, since store.LSN, after store.Row, n int) ([]store.Row, error) {
	return t.tracker.ChangedKeys(ctx, of, since, after, n)
}

// newLiveWorld makes two databases, which the end of the test drops, fills the mirror, and
// opens a console over it.
func newLiveWorld(t *testing.T) *liveWorld {
	t.Helper()
	dsn := os.Getenv(liveEnv)
	if dsn == "" {
		t.Skipf("needs a T-SQL server: set %s to such as sqlserver://user:password@host:1433?database=master&encrypt=disable", liveEnv)
	}
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	require.Equal(t, "disable", u.Query().Get("encrypt"), "%s: the test cuts connections at their commits, which it cannot see in TLS: say encrypt=disable", liveEnv)
	ctx := t.Context()
	w := &liveWorld{whole: t, world: &world{t: t, path: filepath.Join(t.TempDir(), "console.db"), fleet: &fleet.Fleet{Timeout: 20 * time.Second}}}
	w.password, _ = u.User.Password()
	require.NotEmpty(t, w.password)
	w.wire = newWire(t, u.Host)
	w.admin, err = mssql.Open(ctx, dsn, nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.admin.Close()) })
	w.source, w.mirror = w.database(u, 0), w.database(u, 1)
	require.NoError(t, crm.Load(ctx, w.source, crm.Options{Contacts: 20}, "contact", "person", "country"))
	w.exec(w.source, "CREATE TABLE big (big_id int NOT NULL PRIMARY KEY, name nvarchar(200) NOT NULL, amount int NOT NULL)")
	w.exec(w.source, "INSERT INTO big (big_id, name, amount) VALUES (0, N'"+strings.Repeat("alike ", 16)+"', 7)")
	w.customer = cycle.NewCustomer("Cust1", w.source)
	w.cycle()

	w.opts = Options{Look: -1, poll: 50 * time.Millisecond, Logger: slog.New(slog.NewJSONHandler(&w.log, nil))}
	wrong, err := url.Parse(w.urls[1])
	require.NoError(t, err)
	wrong.User = url.UserPassword(u.User.Username(), w.password+"x")
	w.fleet.Members = []fleet.Member{
		{ContextID: "Cust1", Open: w.connect},
		{ContextID: "Cust2", Open: func(ctx context.Context) (*fleet.Connection, error) { // whose password was changed
			s, err := mssql.Open(ctx, wrong.String(), nil)
			if err != nil {
				return nil, err
			}
			m, err := mirror.New("Cust2", s, nil)
			return &fleet.Connection{Mirror: m, Close: s.Close}, err
		}},
	}
	w.reopen()
	return w
}

// database makes a database, and returns the test's own way to it.
func (w *liveWorld) database(u *url.URL, i int) *mssql.Store {
	w.t.Helper()
	ctx := w.t.Context()
	w.names[i] = fmt.Sprintf("mirror_test_console_%d_%s", os.Getpid(), []string{"source", "mirror"}[i])
	w.exec(w.admin, "CREATE DATABASE ["+w.names[i]+"]")
	at := *u
	q := at.Query()
	q.Set("database", w.names[i])
	at.RawQuery = q.Encode()
	s, err := mssql.Open(ctx, at.String(), nil)
	require.NoError(w.t, err)
	w.t.Cleanup(func() {
		require.NoError(w.t, s.Close())
		_, err := w.admin.DB().ExecContext(context.WithoutCancel(ctx), "DROP DATABASE ["+w.names[i]+"]")
		require.NoError(w.t, err)
	})
	at.Host = w.wire.address
	q.Set("app name", liveApp)
	at.RawQuery = q.Encode()
	w.urls[i] = at.String()
	return s
}

// connect opens the databases as a program does.
func (w *liveWorld) connect(ctx context.Context) (*fleet.Connection, error) {
	its, err := mssql.Open(ctx, w.urls[1], nil)
	if err != nil {
		return nil, err
	}
	src, err := mssql.OpenSource(ctx, w.urls[0], nil)
	if err != nil {
		_ = its.Close()
		return nil, err
	}
	m, err := mirror.New("Cust1", its, nil)
	return &fleet.Connection{Mirror: m, Source: tracked{src, w.customer}, Compare: w.compared, Close: func() error {
		_ = src.Close()
		return its.Close()
	}}, err
}

// reopen opens the console, after a stop of the process, too.
func (w *liveWorld) reopen() {
	w.t.Helper()
	at := w.t
	w.t = w.whole // the console outlives the step that opens it again
	w.open()
	w.t = at
	w.client.Transport = overheard{http.DefaultTransport.(*http.Transport).Clone(), &w.answers}
}

// cycle plays a cycle of the Mirroring Task.
func (w *liveWorld) cycle() {
	w.t.Helper()
	_, err := (&cycle.Task{Customer: w.customer, Mirror: w.mirror}).Run(w.t.Context())
	require.NoError(w.t, err)
}

func (w *liveWorld) exec(s *mssql.Store, statement string) {
	w.t.Helper()
	_, err := s.DB().ExecContext(w.t.Context(), statement)
	require.NoError(w.t, err, statement)
}

// grow has table big have 2^n rows on both sides.
func (w *liveWorld) grow(n int) {
	w.t.Helper()
	for i := range n {
		for _, s := range []*mssql.Store{w.source, w.mirror} {
			w.exec(s, fmt.Sprintf("INSERT INTO big (big_id, name, amount) SELECT big_id + %d, name, amount FROM big", 1<<i))
		}
	}
}

// damage has the mirror lose a row of each table.
func (w *liveWorld) damage(tables ...string) {
	w.t.Helper()
	for _, table := range tables {
		w.exec(w.mirror, fmt.Sprintf("DELETE FROM %s WHERE %[1]s_id = 3", table))
	}
}

// lsn is what the mirror's metadata has of a table, nil for nothing.
func (w *liveWorld) lsn(table string) (lsn *int64) {
	w.t.Helper()
	var all []int64
	require.NoError(w.t, w.mirror.DB().SelectContext(w.t.Context(), &all, "SELECT LSN FROM Cust1_mirroring WHERE tablename = @p1", table))
	if len(all) == 1 {
		return &all[0]
	}
	return nil
}

// begin starts a comparison by the page's form.
func (w *liveWorld) begin() (id int64) {
	w.t.Helper()
	to := w.post("/mirrors/Cust1/comparisons", nil)
	_, err := fmt.Sscanf(to, "/mirrors/Cust1/comparisons/%d", &id)
	require.NoError(w.t, err, to)
	return id
}

// compare compares by the page's form, and returns the job and the page of what it found.
func (w *liveWorld) compare() (job, string) {
	w.t.Helper()
	id := w.begin()
	return w.end(id), w.get(fmt.Sprintf("/mirrors/Cust1/comparisons/%d", id))
}

// report is what a comparison found.
func (w *liveWorld) report(j job) *mirror.Report {
	w.t.Helper()
	r, err := documentOf[mirror.Report](w.t.Context(), w.c.state, j.ID)
	require.NoError(w.t, err)
	return r
}

// change resets a table by the page's forms.
func (w *liveWorld) change(values url.Values) job {
	w.t.Helper()
	a := w.submit("/mirrors/Cust1/reset", w.choose(values))
	require.Equal(w.t, http.StatusOK, a.code, a.body)
	return w.followed(w.submit("/mirrors/Cust1/reset", w.confirmed(a)))
}

// confirmed is the form of a page that asks to confirm, filled in.
func (w *liveWorld) confirmed(a answer) url.Values {
	w.t.Helper()
	values := form(w.t.(*testing.T), a.body, "stage")
	values.Set("confirm", "Cust1")
	return values
}

// choose fills in the form of what is reset by hand.
func (w *liveWorld) choose(values url.Values) url.Values {
	w.t.Helper()
	chosen := form(w.t.(*testing.T), w.get("/mirrors/Cust1/reset"), "tables")
	for name, all := range values {
		chosen[name] = all
	}
	return chosen
}

// undo takes a change back by its page's form.
func (w *liveWorld) undo(j job) job {
	w.t.Helper()
	page := fmt.Sprintf("/mirrors/Cust1/changes/%d", j.ID)
	return w.followed(w.submit(page+"/undo", form(w.t.(*testing.T), w.get(page), "once")))
}

// populated has a cycle come, and waits for who waits for it.
func (w *liveWorld) populated() {
	w.t.Helper()
	waiting := w.waiting("Cust1")
	w.cycle()
	j := w.end(waiting.ID)
	require.Equal(w.t, statusDone, j.Status, j.Error)
	r, err := documentOf[heal.WaitReport](w.t.Context(), w.c.state, j.ID)
	require.NoError(w.t, err)
	for _, table := range r.Tables {
		require.Equal(w.t, heal.WaitPopulated, table.State, table.Table)
	}
	require.Contains(w.t, w.get("/mirrors/Cust1/waiting"), "All is populated.")
}

// identical compares, and finds nothing.
func (w *liveWorld) identical() {
	w.t.Helper()
	j, body := w.compare()
	require.Equal(w.t, statusDone, j.Status, j.Error)
	require.Equal(w.t, "good", j.Summary.Level, j.Summary.Verdict)
	for _, table := range w.report(j).Tables {
		require.Equal(w.t, mirror.VerdictIdentical, table.Verdict, table.Table)
	}
	require.Contains(w.t, body, "identical")
}

// sub runs a step, in which what fails is that step's.
func (w *liveWorld) sub(name string, do func(t *testing.T)) bool {
	of := w.t.(*testing.T)
	return of.Run(name, func(t *testing.T) {
		w.t = t
		defer func() { w.t = of }()
		do(t)
	})
}

// TestLive is what an operator does, over a T-SQL server by its real driver and a socket
// that comes to harm.
func TestLive(t *testing.T) {
	w := newLiveWorld(t)
	for _, step := range []struct {
		name string
		do   func(t *testing.T)
	}{
		{"a reset from the plan", w.testReset},
		{"a hard reset", w.testHardReset},
		{"stopped and gone on with", w.testStop},
		{"lost while comparing", w.testLostComparing},
		{"lost while resetting", w.testLostResetting},
		{"the server is away", w.testAway},
		{"the server does not answer", w.testSilent},
		{"passwords", w.testPasswords},
	} {
		ok := w.sub(step.name, step.do)
		if !ok {
			t.FailNow() // each step builds on those before it
		}
	}
}

func (w *liveWorld) testReset(t *testing.T) {
	w.post("/mirrors/Cust1/look", nil)
	require.Contains(t, w.get("/mirrors/Cust1"), "contact")
	require.Empty(t, w.c.members["cust1"].seen().Err)
	w.identical()

	damaged := []string{"contact", "country", "person"}
	w.damage(damaged...)
	compared, body := w.compare()
	require.Equal(t, statusDone, compared.Status, compared.Error)
	require.EqualValues(t, 3, compared.Summary.Diverged, compared.Summary.Verdict)
	require.Contains(t, body, "contact_id")
	require.Contains(t, w.get(fmt.Sprintf("/mirrors/Cust1/comparisons/%d/report.html", compared.ID)), "<!doctype html>")

	before := w.lsn("contact")
	a := w.submit("/mirrors/Cust1/reset", form(t, w.get("/mirrors/Cust1/reset"), "table"))
	require.Equal(t, http.StatusOK, a.code, a.body)
	require.Contains(t, a.body, "The database takes this as it is now")
	values := form(t, a.body, "confirm")
	values.Set("confirm", "cust1")
	wrong := w.submit("/mirrors/Cust1/reset", values)
	require.Equal(t, http.StatusUnprocessableEntity, wrong.code)
	require.Contains(t, wrong.body, "That is not exactly Cust1")
	require.Equal(t, before, w.lsn("contact"), "nothing is done before it is confirmed")
	values.Set("confirm", "Cust1")
	changed := w.followed(w.submit("/mirrors/Cust1/reset", values))
	require.Equal(t, statusDone, changed.Status, changed.Error)
	require.EqualValues(t, -1, *w.lsn("contact"))
	page := fmt.Sprintf("/mirrors/Cust1/changes/%d", changed.ID)
	require.Contains(t, w.get(page), "3 tables are reset")
	receipt := w.get(page + "/receipt.json")
	its, err := w.mirror.Identity(t.Context())
	require.NoError(t, err)
	require.Contains(t, receipt, its.ID, "it says of which database it is")

	undone := w.undo(changed)
	require.Equal(t, statusDone, undone.Status, undone.Error)
	require.Equal(t, before, w.lsn("contact"))
	require.Contains(t, w.get(page), "It was undone already.")

	w.compare()
	values = form(t, w.submit("/mirrors/Cust1/reset", form(t, w.get("/mirrors/Cust1/reset"), "table")).body, "confirm")
	values.Set("confirm", "Cust1")
	again := w.followed(w.submit("/mirrors/Cust1/reset", values))
	require.Equal(t, statusDone, again.Status, again.Error)
	w.populated()
	w.identical()
	require.Contains(t, w.get("/mirrors/Cust1/journal"), "Reset by a plan")
}

func (w *liveWorld) testHardReset(t *testing.T) {
	j := w.change(url.Values{"mode": {modeMirror}})
	require.Equal(t, statusDone, j.Status, j.Error)
	require.Contains(t, w.get(fmt.Sprintf("/mirrors/Cust1/changes/%d", j.ID)), "The whole mirror is reset")
	w.post("/mirrors/Cust1/look", nil)
	require.Equal(t, mirror.MirrorAwaitingFirstCycle, w.c.members["cust1"].seen().State)
	undone := w.undo(j)
	require.Equal(t, statusDone, undone.Status, undone.Error)
	w.identical()

	j = w.change(url.Values{"mode": {modeMirror}})
	require.Equal(t, statusDone, j.Status, j.Error)
	w.populated()
	w.identical()
}

// secretsIn are the places where the password stands.
func (w *liveWorld) secretsIn() (all []string) {
	w.t.Helper()
	holds := func(where, what string) {
		for _, spelled := range []string{w.password, url.QueryEscape(w.password), url.PathEscape(w.password)} {
			if strings.Contains(what, spelled) {
				all = append(all, where)
				return
			}
		}
	}
	holds("a page", w.answers.String())
	holds("the log", w.log.String())
	files, err := filepath.Glob(filepath.Join(filepath.Dir(w.path), "*"))
	require.NoError(w.t, err)
	require.NotEmpty(w.t, files)
	for _, name := range files {
		data, err := os.ReadFile(name)
		require.NoError(w.t, err)
		holds(name, string(data))
	}
	jobs, err := w.c.state.jobs(w.t.Context(), jobQuery{})
	require.NoError(w.t, err)
	for _, j := range jobs {
		holds(fmt.Sprintf("the error of job %d", j.ID), j.Error)
	}
	return all
}
