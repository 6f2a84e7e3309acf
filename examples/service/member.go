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
	failed   error          // of the last comparison

	checkpoint *mirror.Checkpoint // where a comparison that did not come to its end goes on
	full       time.Time          // when all rows were compared
	lsns       map[string]store.LSN
	cycled     bool // a cycle has been since the comparison
	again      bool // what failed in it may work at another time
	rechecks   int
}

func (m *member) set(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
}

func (m *member) found(report *mirror.Report, stale []string, all bool, err error) {
	m.report, m.stale, m.checkpoint, m.again = report, stale, report.Checkpoint, store.IsTransient(err)
	if !report.Incomplete {
		m.compared, m.cycled = report.Finished, false
		if all {
			m.full = report.Started
		}
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

// wasReset notes the -1 that a reset wrote, as a cycle can bring the LSN back that was there,
// and returns the number of tables.
func (m *member) wasReset(receipt *mirror.Receipt) (tables int) {
	for _, t := range receipt.Tables {
		if len(t.Actions) > 0 {
			m.lsns[t.Table] = store.ResendAll
			tables++
		}
	}
	return tables
}

// Why a mirror is compared.
const (
	dueFirst   = "it was not compared yet"
	dueResume  = "the comparison before did not come to its end"
	dueAgain   = "what failed may work now"
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
	case m.again:
		return dueAgain
	case m.cycled:
		return dueCycle
	case now.After(schedule.NextCycle(m.compared).Add(cmp.Or(schedule.Late, time.Hour))):
		return dueOverdue
	default:
		return ""
	}
}
