package mirrortest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/journal"
	"github.com/so-mirror/mirror/store"
)

// faultCall is one call of an operation to its store, to the transaction, or to
// the journal.
type faultCall struct{ part, method, table string }

const (
	ofStore   = "store"
	ofTx      = "tx"
	ofJournal = "journal"

	beginUpdate = "Update"
	endUpdate   = "Commit"
)

func (c faultCall) String() string { return strings.TrimSpace(c.part + "." + c.method + " " + c.table) }

// fault strikes one call. The zero value only counts them.
type fault struct {
	at          int
	mode        faultMode
	calls       []faultCall
	struck      bool
	inJournal   func(f *fault, call faultCall, effect func() error) error // strikes the next call to the journal
	cancel      context.CancelFunc
	path        string
	afterCommit func(err error) error
}

// with gives a Mirror to fn that lives as long as it runs.
func (f *fault) with(t *testing.T, store store.Store, journal *journal.File, fn func(ctx context.Context, m *mirror.Mirror)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	f.cancel = cancel
	opts := &mirror.Options{}
	if journal != nil {
		opts.Journal = faultJournal{journal, f}
	}
	m, err := mirror.New(ContextID, faultStore{store, f}, opts)
	require.NoError(t, err)
	fn(ctx, m)
}

// call makes one call, which fails if it is its turn.
func (f *fault) call(c faultCall, effect func() error) error {
	f.calls = append(f.calls, c)
	if len(f.calls) == f.at {
		f.struck = true
		return f.mode.strike(f, c, effect)
	}
	if f.inJournal != nil && c.part == ofJournal {
		strike := f.inJournal
		f.inJournal = nil
		return strike(f, c, effect)
	}
	return effect()
}

var (
	errFault = errors.New("fault")

	// errAgain is a deadlock that the store answers by running the function
	// again.
	errAgain = errors.New("run it again")
)

// faultMode is a way in which a call fails.
type faultMode struct {
	kind, name string

	// expect says what becomes of the operation, and whether the call can fail
	// in this way.
	expect func(c faultCall) (want faultOutcome, possible bool)
	strike func(f *fault, c faultCall, effect func() error) error
}

func (m faultMode) String() string {
	if m.name == "" {
		return m.kind
	}
	return m.kind + ", " + m.name
}

// faultOutcome is what an operation with a fault comes to.
type faultOutcome struct {
	done    bool
	err     error // nil when nobody notices
	journal bool  // whether the error is ErrJournal, too
}

func faultModes() []faultMode {
	isDone := func(c faultCall) bool { return c.method == string(mirror.JournalDone) }
	failing := func(c faultCall, err error) faultOutcome {
		return faultOutcome{done: isDone(c), err: err, journal: c.part == ofJournal}
	}
	// ends are the calls that have an effect only together with others.
	ends := func(c faultCall) bool { return c.method == beginUpdate || c.method == endUpdate }
	lost := fmt.Errorf("%w: connection reset by peer", store.ErrConnection)
	unknown := fmt.Errorf("%w: %w", store.ErrOutcomeUnknown, lost)
	unknownCanceled := fmt.Errorf("%w: %w", store.ErrOutcomeUnknown, context.Canceled)

	modes := []faultMode{
		{
			kind:   "error before the effect",
			expect: func(c faultCall) (faultOutcome, bool) { return failing(c, errFault), true },
			strike: failBefore(errFault),
		},
		{
			kind:   "error after the effect",
			expect: func(c faultCall) (faultOutcome, bool) { return failing(c, errFault), !ends(c) },
			strike: failAfter(errFault),
		},
		{
			kind: "connection lost", name: "before the effect",
			expect: func(c faultCall) (faultOutcome, bool) {
				return failing(c, store.ErrConnection), c.part != ofJournal && c.method != endUpdate
			},
			strike: failBefore(lost),
		},
		{
			kind: "connection lost", name: "after the effect",
			expect: func(c faultCall) (faultOutcome, bool) {
				return failing(c, store.ErrConnection), c.part != ofJournal && !ends(c)
			},
			strike: failAfter(lost),
		},
		{
			kind: "canceled", name: "before the effect",
			expect: func(c faultCall) (faultOutcome, bool) {
				if isDone(c) {
					return faultOutcome{done: true}, true
				}
				return faultOutcome{err: context.Canceled}, true
			},
			strike: func(f *fault, _ faultCall, effect func() error) error {
				f.cancel()
				return effect()
			},
		},
		{
			kind: "canceled", name: "after the effect",
			expect: func(c faultCall) (faultOutcome, bool) {
				if isDone(c) || c.method == endUpdate {
					return faultOutcome{done: true}, true
				}
				return faultOutcome{err: context.Canceled}, c.method != beginUpdate
			},
			strike: func(f *fault, c faultCall, effect func() error) error {
				if c.method == endUpdate {
					f.afterCommit = func(err error) error { f.cancel(); return err }
					return nil
				}
				err := effect()
				f.cancel()
				return err
			},
		},
		{
			kind: midwayKind,
			expect: func(c faultCall) (faultOutcome, bool) {
				return failing(c, errFault), c.method == "Rows" || c.method == "RowsAt"
			},
			strike: failAfter(errFault),
		},
		{
			kind: "run again",
			expect: func(c faultCall) (faultOutcome, bool) {
				return faultOutcome{done: true}, c.part == ofTx || c.method == endUpdate
			},
			strike: failAfter(errAgain),
		},
	}
	commit := func(name string, done bool, answer error, canceled bool) faultMode {
		return faultMode{
			kind: "outcome of the commit unknown", name: name,
			expect: func(c faultCall) (faultOutcome, bool) {
				return faultOutcome{done: done, err: store.ErrOutcomeUnknown}, c.method == endUpdate
			},
			strike: func(f *fault, _ faultCall, _ func() error) error {
				f.afterCommit = func(error) error {
					if canceled {
						f.cancel()
					}
					return answer
				}
				if done {
					return nil
				}
				return errFault
			},
		}
	}
	modes = append(modes,
		commit("committed", true, unknown, false),
		commit("not committed", false, unknown, false),
		commit("committed and canceled", true, unknown, true),
		commit("not committed and canceled", false, unknown, true),
		commit("committed, lost by the canceling", true, unknownCanceled, true),
		commit("not committed, lost by the canceling", false, unknownCanceled, true))
	for _, torn := range tears() {
		modes = append(modes, faultMode{
			kind: "journal torn", name: torn.name,
			expect: func(c faultCall) (faultOutcome, bool) { return failing(c, errFault), c.part == ofJournal },
			strike: tear(torn, errFault),
		}, faultMode{
			kind: "commit refused and journal torn", name: torn.name,
			expect: func(c faultCall) (faultOutcome, bool) { return faultOutcome{err: errFault}, c.method == endUpdate },
			strike: func(f *fault, _ faultCall, _ func() error) error {
				f.inJournal = tear(torn, errors.New("disk full"))
				return errFault
			},
		}, faultMode{
			kind: "run again and journal torn", name: torn.name,
			expect: func(c faultCall) (faultOutcome, bool) {
				return faultOutcome{err: errFault, journal: true}, c.method == endUpdate
			},
			strike: func(f *fault, _ faultCall, _ func() error) error {
				f.inJournal = tear(torn, errFault)
				return errAgain
			},
		})
	}
	return modes
}

// midwayKind has faultRows break off after the first row.
const midwayKind = "rows broke off midway"

func failBefore(err error) func(*fault, faultCall, func() error) error {
	return func(*fault, faultCall, func() error) error { return err }
}

func failAfter(err error) func(*fault, faultCall, func() error) error {
	return func(_ *fault, _ faultCall, effect func() error) error {
		if failed := effect(); failed != nil {
			return failed
		}
		return err
	}
}

// torn is a way in which the end of a line is missing.
type torn struct {
	name  string
	bytes func(line int64) int64 // that reach the file
}

func tears() []torn {
	return []torn{
		{"one byte", func(int64) int64 { return 1 }},
		{"half", func(line int64) int64 { return line / 2 }},
		{"all but two bytes", func(line int64) int64 { return line - 2 }},
		{"all but its end", func(line int64) int64 { return line - 1 }},
		{"whole, and an error all the same", func(line int64) int64 { return line }},
	}
}

// tear lets only a part of an entry reach the file.
func tear(torn torn, err error) func(*fault, faultCall, func() error) error {
	return func(f *fault, _ faultCall, effect func() error) error {
		before, failed := os.Stat(f.path)
		if failed != nil {
			return failed
		}
		if failed := effect(); failed != nil {
			return failed
		}
		after, failed := os.Stat(f.path)
		if failed != nil {
			return failed
		}
		if failed := os.Truncate(f.path, before.Size()+torn.bytes(after.Size()-before.Size())); failed != nil {
			return failed
		}
		return err
	}
}

// faultJournal is a journal with a fault.
type faultJournal struct {
	file *journal.File
	f    *fault
}

func (j faultJournal) Append(ctx context.Context, e mirror.JournalEntry) error {
	return j.f.call(faultCall{part: ofJournal, method: string(e.Event)}, func() error { return j.file.Append(ctx, e) })
}

// faultStore is a store with a fault.
type faultStore struct {
	store store.Store
	f     *fault
}

func (s faultStore) Tables(ctx context.Context) ([]store.Table, error) {
	return faultTables(ctx, s.f, ofStore, s.store)
}

// Identity is no call that fails: it changes nothing that is judged.
func (s faultStore) Identity(ctx context.Context) (store.Identity, error) {
	return copied{s.store}.Identity(ctx)
}

// copied is the store of a database whose copies stand for itself: Kills copies the
// one that an operation begins with for each process.
type copied struct{ store.Store }

func (copied) Identity(context.Context) (store.Identity, error) {
	return store.Identity{Engine: "copied", ID: "copied"}, nil
}

func (s faultStore) Count(ctx context.Context, t store.Table) (int64, error) {
	return faultCount(ctx, s.f, ofStore, s.store, t)
}

func (s faultStore) Rows(ctx context.Context, q store.Query) iter.Seq2[[]store.Row, error] {
	return faultRows(s.f, faultCall{ofStore, "Rows", q.Table.Name}, s.store.Rows(ctx, q), func(error) {})
}

func (s faultStore) RowsAt(ctx context.Context, q store.Query, keys []store.Row) iter.Seq2[[]store.Row, error] {
	return faultRows(s.f, faultCall{ofStore, "RowsAt", q.Table.Name}, store.RowsAt(ctx, s.store, q, keys), func(error) {})
}

func (s faultStore) Update(ctx context.Context, fn func(store.Tx) error) error {
	return s.f.call(faultCall{part: ofStore, method: beginUpdate}, func() error {
		err := s.update(ctx, fn)
		if errors.Is(err, errAgain) {
			err = s.update(ctx, fn)
		}
		return err
	})
}

// update runs one transaction. What fails in it is failed for good, whatever fn
// returns: the contract of store.Tx.
func (s faultStore) update(ctx context.Context, fn func(store.Tx) error) error {
	err := s.store.Update(ctx, func(inner store.Tx) error {
		x := &faultTx{Tx: inner, f: s.f}
		if err := fn(x); err != nil {
			return err
		}
		if x.err != nil {
			return x.err
		}
		return s.f.call(faultCall{part: ofStore, method: endUpdate}, func() error { return nil })
	})
	if answer := s.f.afterCommit; answer != nil {
		s.f.afterCommit = nil
		return answer(err)
	}
	return err
}

// faultTx is a transaction with a fault.
type faultTx struct {
	store.Tx
	f   *fault
	err error
}

func (x *faultTx) failed(err error) error {
	if x.err == nil {
		x.err = err
	}
	return err
}

func (x *faultTx) call(method string, t store.Table, effect func() error) error {
	return x.failed(x.f.call(faultCall{ofTx, method, t.Name}, effect))
}

func (x *faultTx) Tables(ctx context.Context) ([]store.Table, error) {
	tables, err := faultTables(ctx, x.f, ofTx, x.Tx)
	return tables, x.failed(err)
}

func (x *faultTx) Count(ctx context.Context, t store.Table) (int64, error) {
	n, err := faultCount(ctx, x.f, ofTx, x.Tx, t)
	return n, x.failed(err)
}

func (x *faultTx) Rows(ctx context.Context, q store.Query) iter.Seq2[[]store.Row, error] {
	return faultRows(x.f, faultCall{ofTx, "Rows", q.Table.Name}, x.Tx.Rows(ctx, q), func(err error) { _ = x.failed(err) })
}

func (x *faultTx) Create(ctx context.Context, t store.Table) error {
	return x.call("Create", t, func() error { return x.Tx.Create(ctx, t) })
}

func (x *faultTx) Drop(ctx context.Context, t store.Table) error {
	return x.call("Drop", t, func() error { return x.Tx.Drop(ctx, t) })
}

func (x *faultTx) Rename(ctx context.Context, t store.Table, name string) error {
	r, ok := x.Tx.(store.Renamer)
	if !ok {
		return errors.ErrUnsupported
	}
	return x.call("Rename", t, func() error { return r.Rename(ctx, t, name) })
}

func (x *faultTx) Truncate(ctx context.Context, t store.Table) error {
	return x.call("Truncate", t, func() error { return x.Tx.Truncate(ctx, t) })
}

func (x *faultTx) Insert(ctx context.Context, t store.Table, columns []string, rows []store.Row) error {
	return x.call("Insert", t, func() error { return x.Tx.Insert(ctx, t, columns, rows) })
}

func (x *faultTx) Set(ctx context.Context, t store.Table, where, set []store.Cell) (n int64, err error) {
	err = x.call("Set", t, func() (err error) { n, err = x.Tx.Set(ctx, t, where, set); return err })
	return n, err
}

func (x *faultTx) Delete(ctx context.Context, t store.Table, where []store.Cell) (n int64, err error) {
	err = x.call("Delete", t, func() (err error) { n, err = x.Tx.Delete(ctx, t, where); return err })
	return n, err
}

func faultTables(ctx context.Context, f *fault, part string, src store.Source) (tables []store.Table, err error) {
	err = f.call(faultCall{part: part, method: "Tables"}, func() (err error) { tables, err = src.Tables(ctx); return err })
	return tables, err
}

func faultCount(ctx context.Context, f *fault, part string, src store.Source, t store.Table) (n int64, err error) {
	err = f.call(faultCall{part, "Count", t.Name}, func() (err error) { n, err = src.Count(ctx, t); return err })
	return n, err
}

func faultRows(f *fault, call faultCall, rows iter.Seq2[[]store.Row, error], failed func(error)) iter.Seq2[[]store.Row, error] {
	return func(yield func([]store.Row, error) bool) {
		stopped := false
		err := f.call(call, func() error {
			midway := len(f.calls) == f.at && f.mode.kind == midwayKind
			for batch, err := range rows {
				if err != nil {
					return err
				}
				if midway {
					batch = batch[:1]
				}
				stopped = !yield(batch, nil)
				if stopped || midway {
					return nil
				}
			}
			return nil
		})
		if err != nil && !stopped {
			failed(err)
			yield(nil, err)
		}
	}
}
