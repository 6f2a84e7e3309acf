package storetest

import (
	"context"
	"database/sql/driver"
	"fmt"
	"maps"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

func TestRun(t *testing.T) {
	Run(t, func(testing.TB) store.Store { return tracked() }, Objects(seedObject))
}

func TestRunSource(t *testing.T) {
	RunSource(t, func(testing.TB) (store.Source, store.Store) {
		st := memory.New()
		return struct{ store.Source }{st}, st
	})
}

func BenchmarkMemory(b *testing.B) {
	Bench(b, func(testing.TB) store.Store { return memory.New() })
}

func TestSkip(t *testing.T) {
	t.Run("unknown contract", func(t *testing.T) {
		_, err := skipped([]skip{{"rows/limits", "no reason"}})
		require.ErrorContains(t, err, `"rows/limits": no such contract`)
		require.ErrorContains(t, err, "\nrows/limit\n", "the contracts that exist")
	})
	t.Run("area instead of contract", func(t *testing.T) {
		_, err := skipped([]skip{{"rows", "too many"}})
		require.Error(t, err)
	})
	t.Run("empty reason", func(t *testing.T) {
		_, err := skipped([]skip{{"rows/limit", " "}})
		require.ErrorContains(t, err, "the reason is empty")
	})
	t.Run("known contract", func(t *testing.T) {
		skips, err := skipped([]skip{{"rows/limit", "no LIMIT"}, {"tx/panic", "no panic"}})
		require.NoError(t, err)
		require.Equal(t, map[string]string{"rows/limit": "no LIMIT", "tx/panic": "no panic"}, skips)
	})
	t.Run("several contracts", func(t *testing.T) {
		skips, err := skipped([]skip{{"cut/b*", "no bounds"}})
		require.NoError(t, err)
		require.Equal(t, map[string]string{"cut/bounds": "no bounds"}, skips)
		_, err = skipped([]skip{{"cut/z*", "no reason"}})
		require.ErrorContains(t, err, `"cut/z*": no such contract`)
	})
	t.Run("leaves out that contract alone", func(t *testing.T) {
		var ran []string
		note := func(name string) func(*env) { return func(*env) { ran = append(ran, name) } }
		as := []area{{name: "rows", contracts: []contract{{"from", note("from")}, {"limit", note("limit")}, {"before", note("before")}}}}
		open := func(testing.TB) (store.Source, store.Store) { return nil, nil }
		run(t, as, open, []Option{Skip("rows/limit", "no LIMIT")})
		require.Equal(t, []string{"from", "before"}, ran)
	})
}

func TestContractNames(t *testing.T) {
	seen := map[string]bool{}
	for _, a := range areas() {
		for _, c := range a.contracts {
			name := a.name + "/" + c.name
			require.Regexp(t, `^[a-z]+/[a-z0-9]+(-[a-z0-9]+)*$`, name)
			require.False(t, seen[name], "%s is there twice", name)
			seen[name] = true
		}
	}
}

// recorder is the T of a check that is expected to fail.
type recorder struct {
	ctx context.Context

	mu     sync.Mutex
	errors []string
}

func (r *recorder) Helper()                  {}
func (r *recorder) Context() context.Context { return r.ctx }
func (r *recorder) FailNow()                 { runtime.Goexit() }

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, text, _ := strings.Cut(fmt.Sprintf(format, args...), "Error:") // without the trace before it
	r.errors = append(r.errors, strings.Join(strings.Fields(text), " "))
}

// attempt runs a check on stores that open returns, and returns what it found wrong.
func attempt[S store.Store](t *testing.T, check func(*env), open func() S) []string {
	t.Helper()
	st := open()
	return attemptOn(t, check, env{src: st, st: st, other: func() (store.Source, store.Store) { st := open(); return st, st }, object: seedObject})
}

func attemptOn(t *testing.T, check func(*env), on env) []string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r := &recorder{ctx: ctx}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if p := recover(); p != nil {
				r.Errorf("Error: panic: %v", p)
			}
		}()
		on.T, on.skip = r, func(string) { runtime.Goexit() }
		check(&on)
	}()
	<-done
	return r.errors
}

// TestBrokenStores breaks a Store in every way that a contract is there for,
// and has that contract find it.
func TestBrokenStores(t *testing.T) {
	checks := checks()
	caught := map[string]bool{}
	for _, b := range brokenStores {
		t.Run(b.name, func(t *testing.T) {
			for _, pattern := range b.fails {
				matched := false
				for _, name := range slices.Sorted(maps.Keys(checks)) {
					if ok, err := path.Match(pattern, name); err != nil || !ok {
						require.NoError(t, err)
						continue
					}
					matched, caught[name] = true, true
					found := attempt(t, checks[name], b.open)
					require.NotEmpty(t, found, "%s passes", name)
					t.Logf("%s: %s", name, found[0])
				}
				require.True(t, matched, "no contract is named %s", pattern)
			}
		})
	}
	t.Run("no contract is idle", func(t *testing.T) {
		for name := range checks {
			require.True(t, caught[name], "no broken store is caught by %s", name)
		}
	})
}

// TestWrapper: what the broken stores are made from breaks nothing by itself.
func TestWrapper(t *testing.T) {
	for name, check := range checks() {
		if strings.HasPrefix(name, "decode/") {
			require.Empty(t, attempt(t, check, func() *storing { return &storing{Store: memory.New()} }), name)
			continue
		}
		require.Empty(t, attempt(t, check, func() *broken { return &broken{Store: tracked()} }), name)
		if strings.HasPrefix(name, "verbatim/") || name == "keys/verbatim" || name == "keys/spelled" || name == "join/any-value" {
			require.Empty(t, attempt(t, check, func() *broken { return &broken{Store: anyValues()} }), name)
		}
	}
	same := func() *broken {
		return &broken{Store: memory.New(), rows: func(src store.Source, ctx context.Context, q store.Query) rowSeq {
			return again(ctx, src, q, func(_ []store.Column, rows []store.Row) []store.Row { return rows })
		}}
	}
	for _, name := range []string{"order/case", "rows/from"} {
		require.Empty(t, attempt(t, checks()[name], same), name)
	}
	for name, check := range checks() {
		if strings.HasPrefix(name, "digest/") {
			same := func() *broken {
				return summingValues(func(_ store.Column, v driver.Value) driver.Value { return v })
			}
			require.Empty(t, attempt(t, check, same), name)
		}
	}
}

// A Source and a Store of one database say so.
func TestIdentityOfTwoHandles(t *testing.T) {
	st := memory.New()
	check := checks()["identity/same-database"]
	require.Empty(t, attemptOn(t, check, env{src: struct{ *memory.Store }{st}, st: st}))
	src := &broken{Store: st, identity: func(i store.Identifier, ctx context.Context) (store.Identity, error) {
		id, err := i.Identity(ctx)
		id.ID += " read"
		return id, err
	}}
	require.NotEmpty(t, attemptOn(t, check, env{src: src, st: st}))
}
