package mirrortest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store"
)

// JoinFaults compares in one engine that reads both sides and fails at each of its
// calls in turn: with an error, with a panic, by being unable, by a cancellation, and
// by keys that cannot be. The report must be that of a stream, or say that the table
// failed; a comparison that was cancelled must end there when it goes on.
func JoinFaults(t *testing.T, open Open) {
	if !canJoin(t, open, open) {
		t.Skip("one engine cannot read two of these databases")
	}
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent(), goleak.IgnoreTopFunction("database/sql.(*DB).connectionOpener"))
	e := &env{T: t, openSource: open, store: open(t)}
	contacts, persons := contact(), person()
	for i := range 40 {
		contacts.rows = append(contacts.rows, store.Row{i, fmt.Sprint("name ", i), day})
		persons.rows = append(persons.rows, store.Row{i, fmt.Sprint("name ", i)})
	}
	e.load(e.store, contacts, persons)
	for i, r := range contacts.rows {
		if i%9 == 4 {
			contacts.rows[i] = store.Row{r[0], "changed", nil}
		}
	}
	contacts.rows = append(slices.Delete(contacts.rows, 20, 23), store.Row{1000, "new", nil})
	source := e.source(contacts, persons)
	want, err := NewMirror(t, e.store, nil).Compare(t.Context(), source, &mirror.CompareOptions{Strategy: mirror.StrategyStream})
	require.NoError(t, err)
	struck := map[string]int{}
	for _, tuning := range []mirror.Tuning{{DigestRows: 2, Concurrency: 1}, {DigestRows: 3, Concurrency: 3}} {
		o := mirror.CompareOptions{Strategy: mirror.StrategyJoin, Tuning: tuning}
		for _, mode := range tripModes() {
			for at := 1; ; at++ {
				f := &trip{at: at, mode: mode, chunk: 4 * tuning.DigestRows}
				f.compare(t, source, e.store, o, want)
				if f.struck == "" {
					break
				}
				struck[mode.name+" at "+f.struck]++
			}
		}
	}
	t.Logf("%v", struck)
	for _, mode := range tripModes() {
		for _, call := range []string{callJoin, callCut, callEnd, callSuspects, callRowsAt} {
			if mode.lie == nil || call == callSuspects {
				require.Positive(t, struck[mode.name+" at "+call], "%s at %s", mode.name, call)
			}
		}
	}
}

// The calls that a join is made of.
const (
	callJoin     = "Join"
	callCut      = "Cut"
	callEnd      = "Cut at the end" // of a table that differs, for its last key
	callSuspects = "Suspects"
	callRowsAt   = "RowsAt"
)

// tripMode is a way in which a call fails.
type tripMode struct {
	name string
	call func(f *trip) error
	lie  func(found *store.Suspects) // of Suspects alone
}

const (
	panics = "panic"
	unable = "unable"
)

func tripModes() []tripMode {
	modes := []tripMode{
		{name: "error", call: func(*trip) error { return errFault }},
		{name: panics, call: func(*trip) error { panic(errFault) }},
		{name: unable, call: func(*trip) error { return fmt.Errorf("%w: %w", errFault, errors.ErrUnsupported) }},
		{name: "lost", call: func(*trip) error { return fmt.Errorf("%w: %w", errFault, store.ErrConnection) }},
		{name: "cancelled", call: func(f *trip) error { f.cancel(); return nil }},
		{name: "cancelled, with an error", call: func(f *trip) error { f.cancel(); return context.Canceled }},
	}
	for name, lie := range map[string]func(found *store.Suspects){
		"keys descend":         func(s *store.Suspects) { s.Keys = []store.Row{{int64(5)}, {int64(3)}} },
		"a key comes twice":    func(s *store.Suspects) { s.Keys = []store.Row{{int64(3)}, {int64(3)}} },
		"a key has no values":  func(s *store.Suspects) { s.Keys = []store.Row{{}} },
		"a key is NULL":        func(s *store.Suspects) { s.Keys = []store.Row{{nil}} },
		"a key is of no chunk": func(s *store.Suspects) { s.Keys = []store.Row{{int64(-5)}, {int64(3)}, {int64(2000)}} },
	} {
		modes = append(modes, tripMode{name: name, call: func(*trip) error { return nil }, lie: lie})
	}
	return modes
}

// trip strikes one call.
type trip struct {
	at     int
	mode   tripMode
	cancel context.CancelFunc

	mu     sync.Mutex
	calls  int
	struck string
	open   int // joins that nobody closed
	chunk  int64
}

// next counts a call and says whether it is the one that fails.
func (f *trip) next(call string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.mode.lie != nil && call != callSuspects {
		return false
	}
	if f.calls++; f.calls == f.at {
		f.struck = call
	}
	return f.calls == f.at
}

func (f *trip) fails(call string) error {
	if !f.next(call) {
		return nil
	}
	return f.mode.call(f)
}

// compare compares once.
func (f *trip) compare(t *testing.T, source, st store.Store, o mirror.CompareOptions, want *mirror.Report) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	f.cancel = cancel
	m := NewMirror(t, tripped{through{st}, f}, nil)
	report, err := m.Compare(ctx, tripped{through{source}, f}, &o)
	name := fmt.Sprintf("%s at call %d, %s, of %+v", f.mode.name, f.at, f.struck, o.Tuning)
	require.Zero(t, f.open, "joins that are open, %s", name)
	tables := func(r *mirror.Report) string { return ReportText(t, &mirror.Report{Tables: r.Tables}, false) }
	if ctx.Err() != nil {
		require.ErrorIs(t, err, context.Canceled, name)
		if report == nil {
			return
		}
		require.True(t, report.Incomplete, name)
		data, err := json.Marshal(report.Checkpoint)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(data, &o.Resume))
		report, err = NewMirror(t, st, nil).Compare(t.Context(), source, &o)
		require.NoError(t, err, name)
		require.Equal(t, tables(want), tables(report), "gone on: %s", name)
		return
	}
	require.NoError(t, err, name)
	if f.struck == callRowsAt && f.mode.name != unable || f.struck == callCut && f.mode.name == panics {
		failed := 0
		for i, tr := range report.Tables {
			if tr.Verdict == mirror.VerdictFailed {
				failed++
				require.Contains(t, tr.Reason, errFault.Error(), name)
				continue
			}
			require.Equal(t, tables(&mirror.Report{Tables: want.Tables[i : i+1]}), tables(&mirror.Report{Tables: report.Tables[i : i+1]}), name)
		}
		require.Equal(t, 1, failed, "%s: %s", name, report)
		return
	}
	if f.struck == callEnd && f.mode.lie == nil {
		require.Nil(t, report.Table("contact").Range, name)
		all := *want
		all.Tables = slices.Clone(want.Tables)
		LeaveRanges(&all, report)
		want = &all
	}
	require.Equal(t, tables(want), tables(report), name)
	inPieces := f.struck == callCut && f.mode.name == unable // all rows are one range
	if f.struck != "" && f.struck != callRowsAt && f.struck != callEnd && !inPieces {
		require.Less(t, Joined(report), len(report.Tables), name)
	}
	if f.struck == "" || f.struck == callEnd {
		require.Equal(t, len(report.Tables), Joined(report), name)
	}
}

// tripped is a side with a fault.
type tripped struct {
	through
	f *trip
}

func (s tripped) Cut(ctx context.Context, q store.Query, n int64) (store.Row, error) {
	call := callCut
	if n < s.f.chunk {
		call = callEnd
	}
	if err := s.f.fails(call); err != nil {
		return nil, err
	}
	return s.through.Cut(ctx, q, n)
}

func (s tripped) RowsAt(ctx context.Context, q store.Query, keys []store.Row) iter.Seq2[[]store.Row, error] {
	return func(yield func([]store.Row, error) bool) {
		if err := s.f.fails(callRowsAt); err != nil {
			yield(nil, err)
			return
		}
		for batch, err := range s.through.RowsAt(ctx, q, keys) {
			if !yield(batch, err) {
				return
			}
		}
	}
}

func (s tripped) Join(ctx context.Context, mirror store.Source) (store.Join, error) {
	if err := s.f.fails(callJoin); err != nil {
		return nil, err
	}
	join, err := s.through.Join(ctx, mirror)
	if err != nil {
		return nil, err
	}
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	s.f.open++
	return trippedJoin{join, s.f}, nil
}

type trippedJoin struct {
	store.Join
	f *trip
}

func (j trippedJoin) Close() error {
	j.f.mu.Lock()
	defer j.f.mu.Unlock()
	j.f.open--
	return j.Join.Close()
}

func (j trippedJoin) Suspects(ctx context.Context, source, mirror store.Query, limit int) (store.Suspects, error) {
	strikes := j.f.next(callSuspects)
	if strikes {
		if err := j.f.mode.call(j.f); err != nil {
			return store.Suspects{}, err
		}
	}
	found, err := j.Join.Suspects(ctx, source, mirror, limit)
	if strikes && j.f.mode.lie != nil && err == nil {
		found.Undecided = false
		j.f.mode.lie(&found)
	}
	return found, err
}
