package cycle

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

func TestReplicaHandler(t *testing.T) {
	const path, body = "/api/v1/replication/cust10195/resync", `{"tables": ["crm7.contact"]}`
	for _, c := range []struct {
		name               string
		method, path, body string
		token, given       string
		status             int
		answer             string
	}{
		{name: "accepted", status: 202},
		{name: "the context identifier as the customer spells it", path: "/api/v1/replication/Cust10195/resync", status: 202},
		{name: "another token", given: "Bearer other", status: 401, answer: "unauthorized"},
		{name: "no scheme", given: "s3cret", status: 401, answer: "unauthorized"},
		{name: "no token", given: "-", status: 401, answer: "unauthorized"},
		{name: "no token to give", token: "-", given: "Bearer ", status: 401, answer: "unauthorized"},
		{name: "another customer", path: "/api/v1/replication/cust6647/resync", status: 404, answer: "unknown context identifier"},
		{name: "another path", path: "/api/v1/replication/cust10195", status: 404, answer: "404 page not found"},
		{name: "another method", method: http.MethodGet, status: 405, answer: "Method Not Allowed"},
		{name: "no body", body: "-", status: 400, answer: "read body: EOF"},
		{name: "no tables", body: "{}", status: 400, answer: `re-synchronize no tables: name tables of this replica as in "crm7.person"`},
		{name: "a name without its schema", body: `{"tables": ["contact"]}`, status: 400, answer: `re-synchronize "contact": name tables of this replica as in "crm7.person"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			or := func(s, def string) string {
				switch s {
				case "":
					return def
				case "-":
					return ""
				}
				return s
			}
			w := newWorld(t, contact(store.Row{1, "a"}))
			r := NewReplica(w.customer, w.mirror, nil)
			require.NoError(t, r.Provision(t.Context()))
			require.NoError(t, r.CatchUp(t.Context()))
			server := httptest.NewServer(r.Handler(or(c.token, "s3cret")))
			defer server.Close()
			req, err := http.NewRequestWithContext(t.Context(), or(c.method, http.MethodPost), server.URL+or(c.path, path), strings.NewReader(or(c.body, body)))
			require.NoError(t, err)
			req.Header.Set("Authorization", or(c.given, "Bearer s3cret"))
			resp, err := server.Client().Do(req)
			require.NoError(t, err)
			defer resp.Body.Close()
			answer, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			require.Equal(t, c.status, resp.StatusCode)
			require.Equal(t, c.answer, strings.TrimSpace(string(answer)))
			if c.status == http.StatusAccepted {
				require.Empty(t, w.rows(w.mirror, "CONTACT"), "truncated at once")
			}
			require.NoError(t, r.Step(t.Context()))
			require.Equal(t, []string{"1 a"}, w.rows(w.mirror, "CONTACT"))
		})
	}

	t.Run("the database fails", func(t *testing.T) {
		db := memory.New()
		w := newWorldWith(t, db, contact())
		r := NewReplica(w.customer, db, nil)
		require.NoError(t, r.Provision(t.Context()))
		db.FailAt(memory.Truncate, 1, errors.New("boom"))
		rec := httptest.NewRecorder()
		req := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
		req.Header.Set("Authorization", "Bearer s3cret")
		r.Handler("s3cret").ServeHTTP(rec, req)
		require.Equal(t, http.StatusInternalServerError, rec.Code)
		require.Equal(t, "truncate the tables to re-synchronize: boom\n", rec.Body.String())
	})
}

// Where the tables go that no option places.
func TestReplicaSchema(t *testing.T) {
	for name, c := range map[string]struct {
		opts ReplicaOptions
		want string
	}{
		"by default":                 {want: "crm7.CONTACT"},
		"a schema":                   {ReplicaOptions{Schema: "dbo"}, "dbo.CONTACT"},
		"a prefix":                   {ReplicaOptions{TablePrefix: "crm7_"}, "crm7_CONTACT"},
		"both":                       {ReplicaOptions{Schema: "dbo", TablePrefix: "crm7_"}, "dbo.crm7_CONTACT"},
		"the case of the customer's": {ReplicaOptions{KeepCase: true}, "crm7.contact"},
	} {
		t.Run(name, func(t *testing.T) {
			// An old mirror in the same database is not touched.
			db := memory.New(memory.Table{Schema: "old", Name: "contact", Columns: []string{"contact_id int"}, Rows: []store.Row{{9}}})
			w := newWorldWith(t, db, contact(store.Row{1, "a"}))
			r := NewReplica(w.customer, db, &c.opts)
			require.NoError(t, r.Provision(t.Context()))
			require.NoError(t, r.CatchUp(t.Context()))
			table, ok := r.Table("Contact")
			require.True(t, ok)
			require.Equal(t, c.want, table.String())
			_, rows, ok := db.Table(c.want)
			require.True(t, ok)
			require.Equal(t, []store.Row{{int64(1), "a"}}, rows)
			_, rows, _ = db.Table("old.contact")
			require.Equal(t, []store.Row{{int64(9)}}, rows)
			_, _, ok = db.Table("_ReplicationState")
			require.True(t, ok)
		})
	}
}

// A transaction whose outcome was lost is not written again when it happened.
func TestReplicaOutcomeUnknown(t *testing.T) {
	db := memory.New()
	w := newWorldWith(t, db, contact(store.Row{1, "a"}, store.Row{2, "b"}))
	r := NewReplica(w.customer, db, nil)
	require.NoError(t, r.Provision(t.Context()))
	db.FailAfterCommit(1, store.ErrOutcomeUnknown)
	require.ErrorIs(t, r.Step(t.Context()), store.ErrOutcomeUnknown)
	w.delete(db, "CONTACT", cells("CONTACT_ID", 1))
	require.NoError(t, r.CatchUp(t.Context()))
	require.Equal(t, []string{"2 b"}, w.rows(db, "CONTACT"))

	db.FailAfterCommit(1, store.ErrOutcomeUnknown)
	require.ErrorIs(t, r.Resync(t.Context(), "crm7.contact"), store.ErrOutcomeUnknown)
	require.Empty(t, w.rows(db, "CONTACT"))
	require.NoError(t, r.CatchUp(t.Context()))
	require.Equal(t, []string{"1 a", "2 b"}, w.rows(db, "CONTACT"))
	w.delete(w.customer, "contact", cells("contact_id", 1))
	require.NoError(t, r.Step(t.Context()))

	db.FailAt(memory.Commit, 1, errors.New("boom"))
	w.insert(w.customer, "contact", store.Row{3, "c"})
	require.EqualError(t, r.Step(t.Context()), "write changes to the replica: boom")
	require.NoError(t, r.Step(t.Context()))
	require.Equal(t, []string{"2 b", "3 c"}, w.rows(db, "CONTACT"))
}

// A topic that was there for long goes on, and a restore begins it anew.
func TestReplicaFirstOffset(t *testing.T) {
	w := newWorld(t, contact(store.Row{1, "a"}, store.Row{2, "b"}))
	r := NewReplica(w.customer, w.mirror, &ReplicaOptions{FirstOffset: 1000, Partitions: 2})
	require.NoError(t, r.Provision(t.Context()))
	offsets := func() []int64 {
		t.Helper()
		offsets, err := r.readOffsets(t.Context())
		require.NoError(t, err)
		return offsets
	}
	require.Equal(t, []int64{1000, 1000}, offsets())
	require.NoError(t, r.CatchUp(t.Context()))
	require.Equal(t, []int64{1002, 1000}, offsets())
	require.Equal(t, []string{"1 a", "2 b"}, w.rows(w.mirror, "CONTACT"))
	require.NoError(t, r.RestoreTenant(t.Context()))
	require.Equal(t, []int64{0, 0}, offsets())
	require.NoError(t, r.CatchUp(t.Context()))
	require.Equal(t, []int64{2, 0}, offsets())
}

// What is read while others write is captured: nothing is lost between a version
// and the rows that are read after it.
func TestReplicaWhileOthersWrite(t *testing.T) {
	w := newWorld(t, manyContacts(50))
	r := NewReplica(w.customer, w.mirror, &ReplicaOptions{SnapshotRows: 7, Delay: 1})
	require.NoError(t, r.Provision(t.Context()))
	def := w.must(w.customer, "contact")
	var group errgroup
	group.run(func() error {
		for i := range 300 {
			err := w.customer.Update(t.Context(), func(tx store.Tx) error {
				id := cells("contact_id", i%60)
				n, err := tx.Delete(t.Context(), def, id)
				if err != nil || n > 0 && i%3 > 0 {
					return err
				}
				return tx.Insert(t.Context(), def, def.ColumnNames(), []store.Row{{i % 60, fmt.Sprint(i)}})
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	group.run(func() error {
		for i := range 60 {
			if i%20 == 0 {
				if err := r.Resync(t.Context(), "crm7.contact"); err != nil {
					return err
				}
			}
			if err := r.Step(t.Context()); err != nil {
				return err
			}
		}
		return nil
	})
	require.NoError(t, group.wait())
	require.NoError(t, r.CatchUp(t.Context()))
	require.Equal(t, w.rows(w.customer, "contact"), w.rows(w.mirror, "CONTACT"))
}

// errgroup runs functions at once and joins their errors.
type errgroup struct {
	wg   sync.WaitGroup
	mu   sync.Mutex
	errs []error
}

func (g *errgroup) run(f func() error) {
	g.wg.Go(func() {
		err := f()
		g.mu.Lock()
		defer g.mu.Unlock()
		g.errs = append(g.errs, err)
	})
}

func (g *errgroup) wait() error {
	g.wg.Wait()
	return errors.Join(g.errs...)
}
