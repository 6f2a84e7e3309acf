package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store"
)

// staleTables are the tables that are proven to be other than at the source and not to be
// mended by the next cycle. One that was stale before is until it is compared to its end.
func staleTables(report *mirror.Report, before []string) []string {
	stale := []string{}
	for _, t := range report.Plan().Tables {
		if t.Step.Acts() {
			stale = append(stale, t.Table)
		}
	}
	for _, t := range report.Tables {
		if t.Diverged > 0 { // also where the metadata table does not allow a reset
			stale = append(stale, t.Table)
		}
	}
	for _, name := range before {
		t := report.Table(name)
		if t == nil && report.Incomplete || t != nil && (t.Verdict == mirror.VerdictFailed || t.Verdict == mirror.VerdictUnfinished) {
			stale = append(stale, name)
		}
	}
	slices.Sort(stale)
	return slices.Compact(stale)
}

// The states of a mirror, the worst first.
const (
	stateStale   = "stale"   // a table is proven stale
	stateFailed  = "failed"  // the last look or comparison failed
	stateOld     = "old"     // the last comparison was too long ago
	stateUnknown = "unknown" // there was none yet
	stateOK      = "ok"
)

// health is the body of /health.
type health struct {
	Status  string         `json:"status"`
	Mirrors map[string]int `json:"mirrors"` // how many are in which state
	Not     []mirrorHealth `json:"notOk,omitempty"`
}

// mirrorHealth is a mirror that is not ok. Texts of errors are for the log alone: they name
// servers and logins.
type mirrorHealth struct {
	Mirror   string     `json:"mirror"`
	Status   string     `json:"status"`
	Stale    []string   `json:"stale,omitempty"`
	Reason   string     `json:"reason,omitempty"` // as in mirror_errors_total
	Compared *time.Time `json:"compared,omitempty"`
}

func (m *member) health(now time.Time, maxAge time.Duration) mirrorHealth {
	m.mu.Lock()
	defer m.mu.Unlock()
	h := mirrorHealth{Mirror: m.ContextID, Status: stateOK, Stale: m.stale}
	if when := m.compared; !when.IsZero() {
		h.Compared = &when
	}
	failed := cmp.Or(m.err, m.failed)
	if failed != nil {
		h.Reason = reason(failed)
	}
	switch {
	case len(m.stale) > 0:
		h.Status = stateStale
	case failed != nil:
		h.Status = stateFailed
	case m.compared.IsZero():
		h.Status = stateUnknown
	case now.Sub(m.compared) > maxAge:
		h.Status = stateOld
	}
	return h
}

// serveHealth answers 503 when a table is proven stale, and for nothing else: that a mirror
// could not be compared says nothing about its rows.
func (s *service) serveHealth(w http.ResponseWriter, _ *http.Request) {
	h := health{Status: stateOK, Mirrors: map[string]int{}}
	order := []string{stateStale, stateFailed, stateOld, stateUnknown, stateOK}
	for _, m := range s.members {
		one := m.health(time.Now(), s.maxAge)
		h.Mirrors[one.Status]++
		if one.Status != stateOK {
			h.Not = append(h.Not, one)
		}
		if slices.Index(order, one.Status) < slices.Index(order, h.Status) {
			h.Status = one.Status
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if h.Status == stateStale {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(h) // whoever asked has gone
}

// reason is what kind of failure an error is: one of few words, for a label.
func reason(err error) string {
	for _, r := range []struct {
		err  error
		word string
	}{
		{mirror.ErrWrongDatabase, "wrong_database"},
		{mirror.ErrTooMuch, "too_much"},
		{store.ErrOutcomeUnknown, "outcome_unknown"},
		{mirror.ErrJournal, "journal"},
		{context.DeadlineExceeded, "timeout"},
		{store.ErrConnection, "connection"},
		{store.ErrLogin, "login"},
		{store.ErrPermission, "permission"},
		{errRecord, "record"},
	} {
		if errors.Is(err, r.err) {
			return r.word
		}
	}
	return "other"
}
