// Package storetest is the conformance suite of [store.Store] and
// [store.Source]. An engine passes it when its tests contain
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t testing.TB) store.Store { return open(t) })
//	}
//
// Each contract is a subtest such as "rows/limit": an area, which is a file of
// this package that says what it demands, and a name. The suite begins with
// everything on. What an engine does not support it declares with [Skip], one
// contract and one reason at a time. The areas "decode", "digest", "keys", "cut",
// "join", "identity", "objects", "changes" and "rename" are left out for an engine
// without that optional capability; "objects" needs the option [Objects], and "join"
// two databases that one engine can read. Run it with the
// race detector. A Store that keeps a lock it should have let go makes it hang, and
// the trace of go test -timeout names the check.
//
// An engine that only reads passes [RunSource], and [Bench] measures reading.
package storetest

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
)

// T is what a check needs of a test. Both *testing.T and the recorder that
// tests this suite have it.
type T interface {
	require.TestingT
	Helper()
	Context() context.Context
}

// Option changes what [Run] and [RunSource] check.
type Option func(*options)

type options struct {
	skips  []skip
	object func(ctx context.Context, st store.Store, o store.Object) error // nil: the engine lists none
}

type skip struct{ contract, reason string }

// Skip leaves out one contract, such as "rows/limit", or several by a pattern of
// [path.Match], such as "join/*", and gives the reason to whoever reads the test's
// output. A name that is not a contract and a reason that is empty fail the test.
func Skip(contract, reason string) Option {
	return func(o *options) { o.skips = append(o.skips, skip{contract, reason}) }
}

// Run checks every contract. It calls open once for each, which returns a
// Store of a database without tables that no one else uses; closing is
// t.Cleanup's work.
func Run(t *testing.T, open func(t testing.TB) store.Store, opts ...Option) {
	run(t, areas(), func(t testing.TB) (store.Source, store.Store) {
		st := open(t)
		return st, st
	}, opts)
}

// RunSource checks the contracts of a Source. Open returns it together with a
// Store of the same database, which is without tables, so that the suite can
// put there what the Source is to read.
func RunSource(t *testing.T, open func(t testing.TB) (store.Source, store.Store), opts ...Option) {
	all := areas()
	run(t, slices.DeleteFunc(all, func(a area) bool { return a.writes }), open, opts)
}

func run(t *testing.T, as []area, open func(t testing.TB) (store.Source, store.Store), opts []Option) {
	t.Helper()
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	skips, err := skipped(o.skips)
	require.NoError(t, err)
	for _, a := range as {
		t.Run(a.name, func(t *testing.T) {
			for _, c := range a.contracts {
				t.Run(c.name, func(t *testing.T) {
					if reason, ok := skips[a.name+"/"+c.name]; ok {
						t.Skip(reason)
					}
					src, st := open(t)
					e := &env{T: t, src: src, st: st, other: func() (store.Source, store.Store) { return open(t) }, object: o.object,
						skip: func(reason string) { t.Skip(reason) }}
					if reason := a.needs(e); reason != "" {
						t.Skip(reason)
					}
					c.check(e)
				})
			}
		})
	}
}

// skipped returns the reason of each contract that is left out.
func skipped(list []skip) (map[string]string, error) {
	checks := checks()
	skips := make(map[string]string, len(list))
	for _, s := range list {
		found := false
		for name := range checks {
			if ok, err := path.Match(s.contract, name); ok && err == nil {
				skips[name], found = s.reason, true
			}
		}
		if !found {
			return nil, fmt.Errorf("skip %q: no such contract, known are:\n%s",
				s.contract, strings.Join(slices.Sorted(maps.Keys(checks)), "\n"))
		}
		if strings.TrimSpace(s.reason) == "" {
			return nil, fmt.Errorf("skip %q: the reason is empty", s.contract)
		}
	}
	return skips, nil
}

// area is the contracts of one file.
type area struct {
	name      string
	writes    bool                // it is about a Store, so a Source is not held to it
	optional  func(t *env) string // why an engine is not held to it, "" if it is
	contracts []contract
}

func (a area) needs(t *env) string {
	if a.optional == nil {
		return ""
	}
	return a.optional(t)
}

type contract struct {
	name  string
	check func(t *env)
}

func areas() []area {
	return []area{
		{name: "tables", contracts: tableContracts()},
		{name: "rows", contracts: rowContracts()},
		{name: "order", contracts: orderContracts()},
		{name: "values", contracts: valueContracts()},
		{name: "cancel", contracts: cancelContracts()},
		{name: "concurrent", contracts: concurrentContracts()},
		{name: "decode", optional: noDecoder, contracts: decodeContracts()},
		{name: "digest", optional: noDigester, contracts: digestContracts()},
		{name: "keys", optional: noKeyReader, contracts: keyContracts()},
		{name: "cut", optional: noCutter, contracts: cutContracts()},
		{name: "join", optional: noJoiner, contracts: joinContracts()},
		{name: "identity", optional: noIdentifier, contracts: identityContracts()},
		{name: "objects", optional: noInventorier, contracts: objectContracts()},
		{name: "verbatim", contracts: verbatimContracts()},
		{name: "changes", optional: noTracker, contracts: changeContracts()},
		{name: "write", writes: true, contracts: writeContracts()},
		{name: "tx", writes: true, contracts: txContracts()},
		{name: "rename", writes: true, optional: noRenamer, contracts: renameContracts()},
	}
}

// checks returns all checks by the full names of their contracts.
func checks() map[string]func(t *env) {
	m := make(map[string]func(t *env))
	for _, a := range areas() {
		for _, c := range a.contracts {
			m[a.name+"/"+c.name] = c.check
		}
	}
	return m
}
