package memory

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Method names what a fault strikes and what [Store.Calls] records. Reads of a
// Tx count together with those of the Store.
type Method string

// The methods of store.Store and store.Tx, Digest: both methods of store.Digester
// that read, RowsAt: that of store.KeyReader, Cut: that of store.Cutter, Track: the
// methods of store.ChangeTracker where changes are tracked, Objects: that of
// store.Inventorier, and Commit: the end of an Update whose function returned nil.
const (
	Tables   Method = "Tables"
	Count    Method = "Count"
	Rows     Method = "Rows"
	Digest   Method = "Digest"
	RowsAt   Method = "RowsAt"
	Cut      Method = "Cut"
	Track    Method = "Track"
	Objects  Method = "Objects"
	Update   Method = "Update"
	Commit   Method = "Commit"
	Create   Method = "Create"
	Drop     Method = "Drop"
	Truncate Method = "Truncate"
	Insert   Method = "Insert"
	Set      Method = "Set"
	Delete   Method = "Delete"
	Rename   Method = "Rename"
)

// Call is one call of a method.
type Call struct {
	Method Method

	// Table is the table with its schema, as store.Table.String returns it.
	// It is empty for Tables, Objects, Update, Commit and what asks for the version.
	Table string
}

// fault strikes one call of a method.
type fault struct {
	method Method
	call   int    // counted from the beginning of the store
	table  string // strikes every call on that table instead
	delay  time.Duration
	err    error
	after  bool // err comes after the effect: the commit, or that many rows
	rows   int
}

// FailAt makes the nth call of method from now, counted from 1, return err as
// it is and do nothing else. Rows yields err instead of rows, Commit rolls
// back. As FailAt is a mistake of the test when it can have no effect, it
// panics on an unknown method, an n below 1 and a nil err; so do the other
// methods that prepare faults.
func (s *Store) FailAt(method Method, n int, err error) {
	s.prepare("FailAt", n, err == nil, fault{method: method, err: err})
}

// FailTable makes every call of method on a table return err from now on, as
// FailAt does. The table is named as in Call; it panics when there is none, except
// for Create, and when method has no table.
func (s *Store) FailTable(method Method, table string, err error) {
	bad := err == nil
	switch method {
	case Tables, Objects, Update, Commit:
		bad = true
	case Create:
		bad = bad || table == ""
	default:
		known := false
		for _, t := range s.committed() {
			known = known || t.def.String() == table
		}
		if !known {
			panic(fmt.Sprintf("memory.FailTable: there is no table %q: nothing would ever happen", table))
		}
	}
	s.prepare("FailTable", 1, bad, fault{method: method, table: table, err: err})
}

// FailAfterRows makes the next iteration over Rows yield n rows, or all rows if
// there are fewer, and then err.
func (s *Store) FailAfterRows(n int, err error) {
	s.prepare("FailAfterRows", 1, err == nil || n < 0, fault{method: Rows, err: err, after: true, rows: n})
}

// FailAfterCommit makes the nth commit from now, counted from 1, succeed and
// Update return err nevertheless, as when the connection is lost before the
// answer: store.ErrOutcomeUnknown.
func (s *Store) FailAfterCommit(n int, err error) {
	s.prepare("FailAfterCommit", n, err == nil, fault{method: Commit, err: err, after: true})
}

// DelayAt makes the nth call of method from now, counted from 1, wait for d
// before it does anything. The wait ends with the context's error when the
// context is done. A delayed commit holds off other Updates.
func (s *Store) DelayAt(method Method, n int, d time.Duration) {
	s.prepare("DelayAt", n, false, fault{method: method, delay: d})
}

func (s *Store) prepare(caller string, n int, bad bool, f fault) {
	switch f.method {
	case Tables, Count, Rows, Digest, RowsAt, Cut, Track, Objects, Update, Commit, Create, Drop, Truncate, Insert, Set, Delete, Rename:
	default:
		bad = true
	}
	if bad || n < 1 {
		panic(fmt.Sprintf("memory.%s: call %d of %q with error %v: nothing would ever happen", caller, n, f.method, f.err))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f.call = s.counts[f.method] + n
	s.faults = append(s.faults, f)
}

// Calls returns the calls since New or ResetCalls in their order, those that
// failed too.
func (s *Store) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

// ResetCalls forgets the recorded calls. Prepared faults stay as they are.
func (s *Store) ResetCalls() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = nil
}

// begin records a call, and delays and fails it when a fault is due. It returns
// the fault that is due after the call's effect, if there is one.
func (s *Store) begin(ctx context.Context, m Method, table string) (after fault, err error) {
	delay := time.Duration(0)
	s.mu.Lock()
	s.calls = append(s.calls, Call{m, table})
	s.counts[m]++
	call := s.counts[m]
	s.faults = slices.DeleteFunc(s.faults, func(f fault) bool {
		if f.method != m {
			return false
		}
		if f.table != "" {
			if f.table == table && err == nil {
				err = f.err
			}
			return false
		}
		if f.call != call {
			return false
		}
		delay += f.delay
		switch {
		case f.after && after.err == nil:
			after = f
		case !f.after && err == nil:
			err = f.err
		}
		return true
	})
	s.mu.Unlock()
	if cerr := ctx.Err(); cerr != nil {
		return fault{}, cerr
	}
	if delay > 0 {
		timer := time.NewTimer(delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return fault{}, ctx.Err()
		}
	}
	return after, err
}
