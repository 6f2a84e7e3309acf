package main

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/fleet"
)

// metrics have a mirror as their label, and never a table: which ones are stale, /health and
// the log say. There are about 25 series for each mirror.
type metrics struct {
	registry                              *prometheus.Registry
	tables, rows                          *prometheus.GaugeVec
	stale, pending, diverged, when, cycle *prometheus.GaugeVec
	errors, resets                        *prometheus.CounterVec
	duration                              *prometheus.HistogramVec
}

var (
	verdicts = []mirror.Verdict{mirror.VerdictIdentical, mirror.VerdictPending, mirror.VerdictDifferent, mirror.VerdictMissing,
		mirror.VerdictExtra, mirror.VerdictSchemaDiffers, mirror.VerdictNotMirrored, mirror.VerdictIncomparable,
		mirror.VerdictFailed, mirror.VerdictUnfinished}
	kinds = []mirror.DiffKind{mirror.DiffMissing, mirror.DiffExtra, mirror.DiffChanged, mirror.DiffDuplicate}
)

func newMetrics() *metrics {
	registry := prometheus.NewRegistry()
	make := promauto.With(registry)
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return make.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, append([]string{"mirror"}, labels...))
	}
	return &metrics{
		registry: registry,
		tables:   gauge("mirror_tables", "Tables by the verdict of the last comparison.", "verdict"),
		stale:    gauge("mirror_stale_tables", "Tables that are proven to be stale: no cycle mends them."),
		rows:     gauge("mirror_differing_rows", "Rows that differ, by how.", "kind"),
		pending:  gauge("mirror_pending_rows", "Rows that differ and are known to come with the next cycle."),
		diverged: gauge("mirror_diverged_rows", "Rows that differ and are known to stay so."),
		when:     gauge("mirror_last_comparison_timestamp_seconds", "When a comparison last came to its end, 0 for never."),
		cycle:    gauge("mirror_last_cycle_timestamp_seconds", "When a cycle was last seen to have moved an LSN, 0 for never."),
		errors: make.NewCounterVec(prometheus.CounterOpts{Name: "mirror_errors_total",
			Help: "Looks at a mirror that failed, by the reason."}, []string{"mirror", "reason"}),
		resets: make.NewCounterVec(prometheus.CounterOpts{Name: "mirror_table_resets_total",
			Help: "Tables that the service has reset."}, []string{"mirror"}),
		duration: make.NewHistogramVec(prometheus.HistogramOpts{Name: "mirror_comparison_duration_seconds",
			Help:    "How long a comparison took that came to its end, of all rows or of what changed.",
			Buckets: prometheus.ExponentialBuckets(0.25, 4, 9)}, []string{"rows"}), // to 4.5 hours
	}
}

// add has a mirror's series there before anything is known of it.
func (m *metrics) add(id string) {
	for _, v := range []*prometheus.GaugeVec{m.stale, m.pending, m.diverged, m.when, m.cycle} {
		v.WithLabelValues(id).Set(0)
	}
	m.resets.WithLabelValues(id).Add(0)
}

// took notes the time of a comparison that came to its end.
func (m *metrics) took(since *mirror.Report, r fleet.Result) {
	if r.Report == nil || r.Report.Incomplete {
		return
	}
	rows := "all"
	if since != nil {
		rows = "changed"
	}
	m.duration.WithLabelValues(rows).Observe(r.Elapsed.Seconds())
}

// found says what a report does. One that did not come to its end says nothing of the whole.
func (m *metrics) found(r *mirror.Report, stale []string) {
	m.stale.WithLabelValues(r.ContextID).Set(float64(len(stale)))
	if r.Incomplete {
		return
	}
	m.when.WithLabelValues(r.ContextID).Set(float64(r.Finished.Unix()))
	tables, rows := map[mirror.Verdict]int{}, map[mirror.DiffKind]int64{}
	var pending, diverged int64
	for _, t := range r.Tables {
		tables[t.Verdict]++
		rows[mirror.DiffMissing] += t.Missing
		rows[mirror.DiffExtra] += t.Extra
		rows[mirror.DiffChanged] += t.Changed
		rows[mirror.DiffDuplicate] += t.Duplicate
		pending, diverged = pending+t.Pending, diverged+t.Diverged
	}
	for _, v := range verdicts {
		m.tables.WithLabelValues(r.ContextID, string(v)).Set(float64(tables[v]))
	}
	for _, k := range kinds {
		m.rows.WithLabelValues(r.ContextID, string(k)).Set(float64(rows[k]))
	}
	m.pending.WithLabelValues(r.ContextID).Set(float64(pending))
	m.diverged.WithLabelValues(r.ContextID).Set(float64(diverged))
}
