package console

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"iter"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/fleet"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

// remote is a database that takes its time to answer, as one across a network does.
type remote struct {
	store.Source
	takes *atomic.Int64 // nanoseconds
}

func (r remote) Rows(ctx context.Context, q store.Query) iter.Seq2[[]store.Row, error] {
	time.Sleep(time.Duration(r.takes.Load()))
	return r.Source.Rows(ctx, q)
}

// newFleet makes a console over so many mirrors of so many tables, each of which has been
// compared once. Every tenth mirror has lost rows.
func newFleet(b *testing.B, mirrors, tables int) (w *world, takes *atomic.Int64, stores []*memory.Store) {
	b.Helper()
	takes = new(atomic.Int64)
	table := func(n, rows int) memory.Table {
		t := memory.Table{Name: fmt.Sprint("table", n), Columns: []string{"id int", "name nvarchar(50)"}, Key: []string{"id"}}
		for i := range rows {
			t.Rows = append(t.Rows, store.Row{i, fmt.Sprint("Row ", i)})
		}
		return t
	}
	source, lsns := memory.New(), map[string]store.LSN{}
	for n := range tables {
		require.NoError(b, source.Seed(table(n, 3)))
		lsns[fmt.Sprint("table", n)] = 812
	}
	source.TrackChanges(812, 1)
	w = newWorld(b)
	w.fleet.Concurrency = 4
	for i := range mirrors {
		id := fmt.Sprint("Cust", 10000+i)
		st := memory.New(memory.Metadata(id, lsns))
		for n := range tables {
			rows := 3
			if i%10 == 0 && n%7 == 0 {
				rows = 2
			}
			require.NoError(b, st.Seed(table(n, rows)))
		}
		stores = append(stores, st)
		m, err := mirror.New(id, st, nil)
		require.NoError(b, err)
		w.fleet.Members = append(w.fleet.Members, fleet.Member{ContextID: id, Open: func(context.Context) (*fleet.Connection, error) {
			return &fleet.Connection{Mirror: m, Source: remote{source, takes}}, nil
		}})
	}
	w.open()
	for _, m := range w.c.order {
		require.NoError(b, w.c.lookAt(b.Context(), m))
		require.Equal(b, statusDone, w.run(job{Member: m.ContextID, Kind: kindComparison}).Status)
	}
	return w, takes, append(stores, source)
}

// keepComparing has mirrors compared all the time, a few at once.
func (w *world) keepComparing(b *testing.B, at int) {
	ctx, stop := context.WithCancel(b.Context())
	var wg sync.WaitGroup
	for i := range at {
		wg.Go(func() {
			for n := i; ctx.Err() == nil; n += at {
				m := w.c.order[n%len(w.c.order)]
				j, err := w.c.jobs.start(ctx, job{Member: m.key, Kind: kindComparison, Actor: "load"})
				if err != nil {
					continue
				}
				if l := w.c.jobs.get(j.ID); l != nil {
					<-l.done
				}
			}
		})
	}
	b.Cleanup(func() { stop(); wg.Wait() })
}

// BenchmarkPages has 20 people read pages while 4 comparisons run with a source that answers
// in 20 ms, and says how long 99 of 100 pages take at most.
func BenchmarkPages(b *testing.B) {
	w, takes, _ := newFleet(b, 200, 300)
	takes.Store(int64(20 * time.Millisecond))
	w.keepComparing(b, 4)
	w.client.Transport = &http.Transport{MaxIdleConnsPerHost: 64}
	for _, p := range []struct{ name, path string }{
		{"mirrors", "/"}, {"search", "/?q=Cust101"}, {"mirror", "/mirrors/Cust10010"}, {"comparisons", "/mirrors/Cust10010/comparisons"},
		{"comparison", "/jobs/1"}, {"reset", "/mirrors/Cust10010/reset"}, {"waiting", "/mirrors/Cust10010/waiting"}, {"jobs", "/jobs"}, {"journal", "/journal"},
	} {
		b.Run(p.name, func(b *testing.B) {
			var mu sync.Mutex
			var took []time.Duration
			b.SetParallelism(20 / runtime.GOMAXPROCS(0))
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					began := time.Now()
					path := p.path
					for {
						resp, err := w.client.Get(w.server.URL + path)
						if err != nil {
							b.Error(err)
							return
						}
						_, err = io.Copy(io.Discard, resp.Body)
						resp.Body.Close()
						if path = resp.Header.Get("Location"); path != "" {
							continue
						}
						if err != nil || resp.StatusCode != http.StatusOK {
							b.Errorf("%s: %v %v", p.path, resp.Status, err)
							return
						}
						break
					}
					mu.Lock()
					took = append(took, time.Since(began))
					mu.Unlock()
				}
			})
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
		})
	}
	b.ReportMetric(heap(), "heap-MB")
}

// heap is how much is held, in MB.
func heap() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc) / 1e6
}

// BenchmarkStreams has 1,000 pages look on at one comparison, and says how much memory each
// takes on both ends, and how long an event takes to reach all of them.
func BenchmarkStreams(b *testing.B) {
	const pages = 1000
	w := newWorld(b, "Cust1").open()
	release := make(chan struct{})
	w.customers["Cust1"].onOpen(func(context.Context) error { <-release; return nil })
	j, err := w.c.jobs.start(b.Context(), job{Member: fold("Cust1"), Kind: kindComparison})
	require.NoError(b, err)
	l := w.c.jobs.get(j.ID)
	before := heap()
	got := make(chan string, pages)
	client := &http.Client{Transport: &http.Transport{}}
	for range pages {
		resp, err := client.Get(fmt.Sprintf("%s/jobs/%d/events", w.server.URL, j.ID))
		require.NoError(b, err)
		b.Cleanup(func() { resp.Body.Close() })
		go func() {
			for s := bufio.NewScanner(resp.Body); s.Scan(); {
				if event, is := strings.CutPrefix(s.Text(), "event: "); is && event != "said" {
					got <- event
				}
			}
		}()
	}
	all := func() {
		for range pages {
			require.Equal(b, "progress", <-got)
		}
	}
	all()
	each := (heap() - before) * 1000 / pages
	n := int64(0)
	for b.Loop() {
		n++
		l.compared(mirror.Progress{Table: "contact", Rows: n, Expected: 1e9, Tables: 5})
		all()
	}
	b.ReportMetric(each, "kB/page")
	close(release)
	for range pages {
		for <-got != "over" {
		}
	}
}

// BenchmarkMemory reads all pages, and opens and closes streams, while 4 comparisons run,
// and says how much is held after half a minute and at its end:
// go test ./console -run NONE -bench Memory -benchtime 10m.
func BenchmarkMemory(b *testing.B) {
	w, takes, stores := newFleet(b, 200, 300)
	takes.Store(int64(5 * time.Millisecond))
	w.keepComparing(b, 4)
	held := func() float64 {
		for _, s := range stores {
			s.ResetCalls() // the fake keeps them all
		}
		return heap()
	}
	began, first := time.Now(), 0.0
	rounds := 0
	for b.Loop() {
		rounds++
		id := w.c.order[rounds%len(w.c.order)].ContextID
		for _, path := range []string{"/", "/?q=Cust101&page=2", "/jobs", "/journal", "/mirrors/" + id, "/mirrors/" + id + "/comparisons", "/mirrors/" + id + "/reset", "/mirrors/" + id + "/waiting"} {
			w.get(path)
		}
		if j, ok := w.c.members[fold(id)].lastOf(kindComparison); ok {
			w.get(fmt.Sprintf("/mirrors/%s/comparisons/%d", id, j.ID))
			w.get(fmt.Sprintf("/jobs/%d/events", j.ID))
		}
		if first == 0 && rounds > 50 && time.Since(began) > 30*time.Second {
			first = held()
		}
	}
	b.ReportMetric(first, "heap-MB-first")
	b.ReportMetric(held(), "heap-MB-last")
	b.ReportMetric(float64(runtime.NumGoroutine()), "goroutines")
}
