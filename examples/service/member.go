package main

import (
	"cmp"
	"sync"
	"time"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/fleet"
	"github.com/so-mirror/mirror/heal"
	"github.com/so-mirror/mirror/store"
)

// member is a mirror and what is known of it. Its looks come one after the other; the
// health endpoint reads meanwhile.
type member struct {
	fleet.Member

	mu       sync.Mutex
	report   *mirror.Report // the last one that is about this mirror
	stale    []string       // tables that are proven stale
	compared time.Time      // when a comparison last came to its end
	err      error          // of the last look

	checkpoint *mirror.Checkpoint // where a comparison that did not come to its end goes on
	full       time.Time          // when all rows were compared
	lsns       map[string]store.LSN
	cycled     bool // a cycle has been since the comparison
	rechecks   int
}

func (m *member) set(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
}

func (m *member) found(report *mirror.Report, stale []string) {
	m.report, m.stale, m.checkpoint = report, stale, report.Checkpoint
	if !report.Incomplete {
		m.compared, m.cycled = report.Finished, false
	}
	if report.Rechecked.IsZero() {
		m.rechecks = 0
	}
}

// sees reports whether a cycle wrote an LSN since the look before: -1 is written by resets.
func (m *member) sees(status *mirror.Status) (cycle bool) {
	now := map[string]store.LSN{}
	for _, t := range status.Tables {
		if t.LSN == nil {
			continue
		}
		now[t.Table] = *t.LSN
		if before, ok := m.lsns[t.Table]; *t.LSN != store.ResendAll && m.lsns != nil && (!ok || before != *t.LSN) {
			cycle = true
		}
	}
	m.lsns, m.cycled = now, m.cycled || cycle
	return cycle
}

// wasReset notes the -1 that a reset wrote: a cycle can bring the LSN back that was there.
func (m *member) wasReset(receipt *mirror.Receipt) {
	for _, t := range receipt.Tables {
		m.lsns[t.Table] = store.ResendAll
	}
}

// Why a mirror is compared.
const (
	dueFirst   = "it was not compared yet"
	dueResume  = "the comparison before did not come to its end"
	dueCycle   = "a cycle has been"
	dueOverdue = "no cycle came in time"
)

// due says why the mirror is to be compared now, "" when it is not. A cycle that had nothing
// to send moves no LSN, so after a while it is compared all the same.
func (m *member) due(schedule heal.Schedule, now time.Time) string {
	switch {
	case m.report == nil:
		return dueFirst
	case m.report.Incomplete:
		return dueResume
	case m.cycled:
		return dueCycle
	case now.After(schedule.NextCycle(m.compared).Add(cmp.Or(schedule.Late, time.Hour))):
		return dueOverdue
	default:
		return ""
	}
}
