package mirrortest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/heal"
	"github.com/so-mirror/mirror/store"
)

// operate runs an operation, and holds its receipt against the transactions that
// it made.
func (s *soak) operate(name string, do func(ctx context.Context) (*mirror.Receipt, error)) *mirror.Receipt {
	op := s.log.operation()
	from := s.log.now()
	receipt, err := do(by(s.T.Context(), actor{op: op}))
	made := s.log.of(op)
	if err != nil {
		s.refused(name, from, err)
		if len(made) > 0 {
			s.problem("%s was refused with %v, and made %v", name, err, made)
		}
		return nil
	}
	s.count(name)
	s.mu.Lock()
	s.done[receipt.ID] = op
	s.mu.Unlock()
	var want []deed
	if receipt.Metadata != nil {
		want = append(want, deed{kind: dropped, table: store.FoldName(receipt.MetadataTable)})
	}
	for _, rt := range receipt.Tables {
		if receipt.Metadata != nil {
			break
		}
		for _, a := range rt.Actions {
			d := deed{table: rt.Table}
			switch a {
			case mirror.ActionResetLSN:
				d.kind, d.lsn = marked, store.ResendAll
			case mirror.ActionTruncate:
				d.kind = emptied
			case mirror.ActionDeleteMetadata:
				d.kind = forgotten
			case mirror.ActionDrop:
				d.kind = dropped
			}
			want = append(want, d)
		}
	}
	// What a constraint can refuse comes first.
	onMetadata := func(d deed) int { return map[deedKind]int{emptied: 1, dropped: 1}[d.kind] }
	slices.SortStableFunc(want, func(a, b deed) int { return onMetadata(a) - onMetadata(b) })
	if len(made) != 1 && len(want) > 0 || len(made) > 1 {
		s.problem("%s made %d transactions", name, len(made))
	} else if len(made) == 1 && !slices.Equal(want, made[0].deeds) {
		s.problem("%s: the receipt says %v, done was %v", name, want, made[0].deeds)
	}
	return receipt
}

// undo takes a receipt back, or is refused.
func (s *soak) undo(r *rand.Rand, m *mirror.Mirror, receipt *mirror.Receipt) {
	pause(r, 4)
	op := s.log.operation()
	from := s.log.now()
	s.mu.Lock()
	undoes := s.done[receipt.ID]
	s.mu.Unlock()
	err := m.Undo(by(s.T.Context(), actor{op: op, undoes: undoes}), receipt)
	made := s.log.of(op)
	if err != nil {
		s.refused("undo", from, err)
		if len(made) > 0 {
			s.problem("undo was refused with %v, and made %v", err, made)
		}
		return
	}
	s.count("undo")
	s.mu.Lock()
	s.undone++
	s.mu.Unlock()
	if len(made) != 1 {
		s.problem("undo made %d transactions", len(made))
		return
	}
	for _, rt := range receipt.Tables {
		lsn := store.ResendAll - 1
		if rt.LSN != nil {
			lsn = *rt.LSN
		}
		back := deed{kind: marked, table: rt.Table, lsn: lsn}
		if len(rt.Actions) > 0 && !slices.Contains(made[0].deeds, back) {
			s.problem("undo of %v did %v", receipt, made[0].deeds)
		}
	}
}

// refused counts an error that may happen, and claims that it was right.
func (s *soak) refused(name string, from int, err error) {
	for _, allowed := range []error{store.ErrBusy, store.ErrLockTimeout, store.ErrDeadlock, mirror.ErrMoved, mirror.ErrCannotUndo} {
		if errors.Is(err, allowed) {
			s.count(name + ": " + allowed.Error())
			return
		}
	}
	switch {
	case strings.Contains(err.Error(), populated):
		s.count(name + ": " + populated)
	case errors.Is(err, mirror.ErrNoMetadata):
		s.count(name + ": " + mirror.ErrNoMetadata.Error())
		s.claim(from, name+": "+err.Error(), func(w *world) bool { return !w.metadata })
	case errors.Is(err, store.ErrTableNotFound):
		s.count(name + ": " + store.ErrTableNotFound.Error())
		s.claim(from, name+": "+err.Error(), func(w *world) bool {
			return !w.metadata || slices.ContainsFunc(soakNames, func(n string) bool { return !w.tables[n].present })
		})
	default:
		s.problem("%s: %v", name, err)
	}
}

// resetter resets tables, and takes that back or waits for a cycle now and then.
func (s *soak) resetter(r *rand.Rand, m *mirror.Mirror) {
	names := some(r)
	o := &mirror.ResetOptions{All: r.IntN(10) == 0}
	if o.All {
		names = nil
	}
	o.Truncate = r.IntN(3) == 0
	name := "reset tables"
	if o.Truncate {
		name += ", truncated"
	}
	receipt := s.operate(name, func(ctx context.Context) (*mirror.Receipt, error) { return m.ResetTables(ctx, names, o) })
	if receipt == nil {
		return
	}
	switch r.IntN(3) {
	case 0:
		s.undo(r, m, receipt)
	case 1:
		s.wait(r, m, receipt)
	}
}

func (s *soak) wait(r *rand.Rand, m *mirror.Mirror, receipt *mirror.Receipt) {
	if !slices.ContainsFunc(receipt.Tables, func(rt mirror.ReceiptTable) bool { return len(rt.Actions) > 0 }) {
		return
	}
	from := s.log.now()
	ctx, cancel := context.WithTimeout(s.T.Context(), time.Minute)
	defer cancel()
	o := &heal.WaitOptions{Poll: 2 * time.Millisecond}
	if r.IntN(2) == 0 {
		o.Source = s.customer
	}
	report, err := heal.Wait(ctx, m, receipt, o)
	var lost *mirror.Error
	switch {
	case errors.Is(err, heal.ErrLostReset) && errors.As(err, &lost):
		s.count("wait: " + heal.ErrLostReset.Error())
		for _, t := range lost.Tables {
			s.claim(from, fmt.Sprintf("wait says that the reset of %s is lost: %s", t.Table, t.Reason), func(w *world) bool {
				return w.tables[store.FoldName(t.Table)].spoiled()
			})
		}
	case err != nil:
		s.refused("wait", from, err)
	default:
		s.count("wait: populated")
		for _, t := range report.Tables {
			s.claim(from, "wait says that "+t.Table+" has an LSN again", func(w *world) bool { return w.tables[store.FoldName(t.Table)].valid() })
		}
	}
}

// hardResetter makes hard resets of tables, and seldom of the mirror.
func (s *soak) hardResetter(r *rand.Rand, m *mirror.Mirror) {
	o := &mirror.HardResetOptions{Confirm: ContextID, Tables: some(r), DropData: r.IntN(2) == 0}
	name := "hard reset of tables"
	switch {
	case r.IntN(8) == 0:
		name, o.Tables, o.DropData = "hard reset of the mirror", nil, false
	case o.DropData:
		name += ", dropped"
	}
	receipt := s.operate(name, func(ctx context.Context) (*mirror.Receipt, error) { return m.HardReset(ctx, o) })
	if receipt != nil && r.IntN(2) == 0 {
		s.undo(r, m, receipt)
	}
	pause(r, 100)
}

// planner applies the plan of a comparison without change tracking: it resets
// what may be pending only.
func (s *soak) planner(r *rand.Rand, m *mirror.Mirror) {
	report := s.compare(r, m, through{s.customer}, "untracked")
	if report == nil {
		return
	}
	plan := report.Plan()
	o := &mirror.ApplyOptions{Confirm: ContextID, SkipMoved: r.IntN(2) == 0, Unknown: r.IntN(4) > 0, MaxRowShare: 1, MaxTableShare: 1}
	if plan.Empty() && !o.Unknown {
		s.count("plan: empty")
		return
	}
	pause(r, 10)
	if !slices.ContainsFunc(plan.Tables, func(t mirror.PlanTable) bool { return t.Step != mirror.StepNone }) {
		s.count("plan: empty")
		return
	}
	receipt := s.operate("apply plan", func(ctx context.Context) (*mirror.Receipt, error) { return m.Apply(ctx, plan, o) })
	if receipt != nil && r.IntN(3) == 0 {
		s.undo(r, m, receipt)
	}
}
