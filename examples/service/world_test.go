package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/fleet"
	"github.com/so-mirror/mirror/heal"
	"github.com/so-mirror/mirror/journal"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/cycle"
	"github.com/so-mirror/mirror/store/memory"
)

const poll = 5 * time.Minute

// world is a customer, the mirror, and the Mirroring Task between them.
type world struct {
	t        *testing.T
	id       string
	source   *memory.Store // below the customer
	mirror   *memory.Store
	customer *cycle.Customer
	open     atomic.Int64 // connections that are open

	mu       sync.Mutex
	as       store.Source // what the service is given as source
	failOpen error
}

func newWorld(t *testing.T, id string) *world {
	t.Helper()
	contact := memory.Table{Name: "contact", Columns: []string{"contact_id int", "name nvarchar(219)"}, Key: []string{"contact_id"}}
	for i := range 20 {
		contact.Rows = append(contact.Rows, store.Row{i, "Company"})
	}
	person := memory.Table{Name: "person", Columns: []string{"person_id int", "lastname nvarchar(99)"}, Key: []string{"person_id"},
		Rows: []store.Row{{1, "Åse"}, {2, "Bo"}}}
	w := &world{t: t, id: id, source: memory.New(contact, person), mirror: memory.New()}
	w.customer = cycle.NewCustomer(id, w.source)
	w.as = w.customer
	w.customer.Advance(812)
	w.cycle()
	return w
}

func (w *world) member() fleet.Member {
	return fleet.Member{ContextID: w.id, Open: func(context.Context) (*fleet.Connection, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.failOpen != nil {
			return nil, w.failOpen
		}
		m, err := mirror.New(w.id, w.mirror, nil)
		w.open.Add(1)
		return &fleet.Connection{Mirror: m, Source: w.as, Close: func() error { w.open.Add(-1); return nil }}, err
	}}
}

// becomes changes what the service is given from the next look on.
func (w *world) becomes(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
}

// cycle plays one cycle of the Mirroring Task.
func (w *world) cycle() {
	w.t.Helper()
	_, err := (&cycle.Task{Customer: w.customer, Mirror: w.mirror}).Run(w.t.Context())
	require.NoError(w.t, err)
}

// work changes a row at the customer, so that the next cycle moves an LSN.
func (w *world) work() { w.change(w.customer, "person", 1, "lastname", time.Now().String()) }

// damage changes so many rows of the mirror behind everybody's back.
func (w *world) damage(table, column string, rows int) {
	for i := range rows {
		w.change(w.mirror, table, i+1, column, "damaged")
	}
}

func (w *world) change(s store.Store, table string, key int, column, value string) {
	w.t.Helper()
	t := w.table(s, table)
	require.NoError(w.t, s.Update(w.t.Context(), func(tx store.Tx) error {
		n, err := tx.Set(w.t.Context(), t, []store.Cell{{Column: t.Key[0], Value: key}}, []store.Cell{{Column: column, Value: value}})
		require.EqualValues(w.t, 1, n)
		return err
	}))
}

func (w *world) table(s store.Source, name string) store.Table {
	w.t.Helper()
	tables, err := s.Tables(w.t.Context())
	require.NoError(w.t, err)
	for _, t := range tables {
		if t.Name == name {
			return t
		}
	}
	require.Fail(w.t, "no table "+name)
	return store.Table{}
}

// bench is a service in a bubble of its own time, with all that it tells.
type bench struct {
	*service
	t       *testing.T
	spans   *tracetest.InMemoryExporter
	journal journal.Memory
	stop    func() error

	mu      sync.Mutex
	records []*mirror.Report
}

// inBubble runs a test whose time stands still unless all wait for it. One that leaves a
// goroutine behind fails.
func inBubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, test)
}

// serve starts a service over these mirrors, whose first look is through when it returns.
func serve(t *testing.T, change func(*service), worlds ...*world) *bench {
	t.Helper()
	b := &bench{t: t, spans: tracetest.NewInMemoryExporter()}
	b.service = &service{fleet: &fleet.Fleet{Timeout: time.Hour}, poll: poll, full: 24 * time.Hour, maxAge: 12 * time.Hour,
		schedule: heal.Schedule{NightFrom: time.Hour, NightTo: time.Hour}, journal: &b.journal, log: slog.New(slog.DiscardHandler),
		tracer: sdktrace.NewTracerProvider(sdktrace.WithSyncer(b.spans)).Tracer("test"), metrics: newMetrics(),
		record: func(_ context.Context, r *mirror.Report) error {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.records = append(b.records, r)
			return nil
		}}
	for _, w := range worlds {
		b.fleet.Members = append(b.fleet.Members, w.member())
	}
	if change != nil {
		change(b.service)
	}
	jobs, err := b.start()
	require.NoError(t, err)
	b.stop = sync.OnceValue(jobs.Shutdown)
	t.Cleanup(func() {
		require.NoError(t, b.stop())
		for _, w := range worlds {
			require.Zero(t, w.open.Load(), "all connections are closed")
		}
	})
	synctest.Wait()
	return b
}

// pass lets time pass, and what is due happen.
func (b *bench) pass(d time.Duration) {
	time.Sleep(d + time.Millisecond) // what is due by then is before, and not at the same time
	synctest.Wait()
}

func (b *bench) get(path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	b.handler(http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w
}

// health asks for the health, and returns the body with the code.
func (b *bench) health() (int, health) {
	b.t.Helper()
	w := b.get("/health")
	var h health
	require.NoError(b.t, json.Unmarshal(w.Body.Bytes(), &h))
	return w.Code, h
}

func (b *bench) requireHealth(code int, status string) health {
	b.t.Helper()
	got, h := b.health()
	require.Equal(b.t, status, h.Status, h)
	require.Equal(b.t, code, got)
	return h
}

// last is the last report that was recorded.
func (b *bench) last() *mirror.Report {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.records[len(b.records)-1]
}

func (b *bench) errorsOf(id, reason string) float64 {
	return testutil.ToFloat64(b.metrics.errors.WithLabelValues(id, reason))
}

// did lists the spans of a name since the last call.
func (b *bench) did(name string) (found []tracetest.SpanStub) {
	for _, s := range b.spans.GetSpans() {
		if s.Name == name {
			found = append(found, s)
		}
	}
	b.spans.Reset()
	return found
}
