package replica

import (
	"database/sql/driver"
	"io"
	"slices"
	"time"

	"github.com/so-mirror/mirror/internal/diff"
	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/store"
)

const reportVersion = 1

// Decision is what a check comes to.
type Decision string

// The decisions.
const (
	// Go: the replica is as good as the reference, or better.
	Go Decision = "go"

	// NoGo: something of the replica is proven to be wrong, or missing.
	NoGo Decision = "no-go"

	// NotYet: nothing is proven to be wrong, and not everything is known: check
	// again.
	NotYet Decision = "not-yet"
)

// Verdict is what a check found about one table.
type Verdict string

// The verdicts.
const (
	Equal         Verdict = "equal"           // all rows were equal when they were read first
	EqualAfterLag Verdict = "equal-after-lag" // rows that differed became equal while the check looked on
	Excluded      Verdict = "excluded"        // it is not compared; the Reason says why
	OldStale      Verdict = "old-stale"       // the old mirror does not follow: the replica's rows are newer
	NewStale      Verdict = "new-stale"       // the replica lacks rows, or has old ones or damaged ones
	Ghosts        Verdict = "ghosts"          // the replica has rows that the reference does not have
	Undecided     Verdict = "undecided"       // it is not known, or not by whose fault; the Reason says more
)

// Report is the result of a check. It can be kept as evidence: its JSON form is
// stable, fields are added and never renamed.
type Report struct {
	Version   int       `json:"version"`
	ContextID string    `json:"contextId,omitempty"`
	Started   time.Time `json:"started"`
	Finished  time.Time `json:"finished"`

	Decision Decision `json:"decision"`

	// Reasons say what keeps the decision from being a go, the gravest first.
	// Notes are what else whoever swaps the databases should know.
	Reasons []string `json:"reasons,omitempty"`
	Notes   []string `json:"notes,omitempty"`

	Reference Side `json:"reference"`
	Replica   Side `json:"replica"`

	// Scope says what was checked and how long. AsOf is that of the options.
	Scope Scope     `json:"scope"`
	AsOf  time.Time `json:"asOf,omitzero"`

	// State is what the replica's own state tells.
	State State `json:"state"`

	// Tables are sorted by name.
	Tables []TableReport `json:"tables"`

	// Lacks are objects besides tables that the reference's database has and the
	// replica's does not; InventoryKnown is false when a side cannot tell.
	Lacks          []Lack `json:"lacks,omitempty"`
	InventoryKnown bool   `json:"inventoryKnown"`

	// Resync is what the client has to re-synchronize, nil for nothing.
	Resync *Resync `json:"resync,omitempty"`

	// Warnings concern the check itself.
	Warnings []string `json:"warnings,omitempty"`
}

// Scope says what a check looked at, and by which program.
type Scope struct {
	// OnlyTables, SkipTables and IgnoreColumns are those of the options; Stamps and
	// RoundedTimes, too.
	OnlyTables    []string `json:"onlyTables,omitempty"`
	SkipTables    []string `json:"skipTables,omitempty"`
	IgnoreColumns []string `json:"ignoreColumns,omitempty"`
	Stamps        []string `json:"stamps"`
	RoundedTimes  bool     `json:"roundedTimes,omitempty"`

	// Interval and MaxWait are in seconds.
	Interval float64 `json:"interval"`
	MaxWait  float64 `json:"maxWait"`

	// Stopped says why the check ended before its time, "" when it did not.
	Stopped string `json:"stopped,omitempty"`

	// Program is the Go module that made the check, with its version.
	Program string `json:"program,omitempty"`
}

// leavesOut reports whether the caller left something out.
func (s *Scope) leavesOut() bool { return len(s.OnlyTables)+len(s.SkipTables)+len(s.IgnoreColumns) > 0 }

// TableReport is what a check found about one table. Counts are of rows.
type TableReport struct {
	Table   string  `json:"table"` // the reference's name, without schema and prefix
	Verdict Verdict `json:"verdict"`
	Reason  string  `json:"reason,omitempty"`

	// ReferenceName and ReplicaName are the names of the two tables with their
	// schemas, "" where there is none.
	ReferenceName string `json:"referenceName,omitempty"`
	ReplicaName   string `json:"replicaName,omitempty"`

	// ReferenceRows and ReplicaRows are the numbers of rows when all of the table
	// was last read, and Found is how many of them differed then, by how. They are
	// exact, and 0 unless the table was Counted.
	Counted       bool           `json:"counted"`
	ReferenceRows int64          `json:"referenceRows"`
	ReplicaRows   int64          `json:"replicaRows"`
	Found         map[What]int64 `json:"found,omitempty"`

	// What became of rows that differed: Lag became equal, OldStale are newer in
	// the replica than in an old mirror that had its time, NewStale are missing,
	// older or damaged in the replica, Ghosts only the replica has, Conflicts have
	// the same stamps and other values, and Open is not known.
	Lag       int64 `json:"lag,omitempty"`
	OldStale  int64 `json:"oldStale,omitempty"`
	NewStale  int64 `json:"newStale,omitempty"`
	Ghosts    int64 `json:"ghosts,omitempty"`
	Conflicts int64 `json:"conflicts,omitempty"`
	Open      int64 `json:"open,omitempty"`

	// Key are the columns by which rows were told apart. Keyless says that neither
	// side has a key, so that rows are told apart by all their values.
	Key     []string `json:"key,omitempty"`
	Keyless bool     `json:"keyless,omitempty"`

	// Schema are the differences of the definitions, NotCompared the columns whose
	// values were not compared, each with the reason.
	Schema      []SchemaFinding `json:"schema,omitempty"`
	NotCompared []string        `json:"notCompared,omitempty"`

	// Samples are some rows that differ, as they were when they were last read: of
	// keys that are proven wrong before others, and none of keys that became equal.
	Samples []Sample `json:"samples,omitempty"`

	// RowBytes is about how many bytes a row of the reference has, 0 when none was
	// read.
	RowBytes int64 `json:"rowBytes,omitempty"`
}

// Sample is a row that differed.
type Sample struct {
	What What         `json:"what"`
	Key  []store.Cell `json:"key"`

	// Columns are those of a row that both sides have whose values differ.
	Columns []SampleColumn `json:"columns,omitempty"`
}

// SampleColumn is a column with its values on both sides.
type SampleColumn struct {
	Column    string     `json:"column"`
	Reference store.Cell `json:"reference"`
	Replica   store.Cell `json:"replica"`
}

// Table returns the report of a table, found as store.FoldName folds its name
// without schema and prefix, or nil.
func (r *Report) Table(name string) *TableReport {
	for i := range r.Tables {
		if store.FoldName(r.Tables[i].Table) == store.FoldName(name) {
			return &r.Tables[i]
		}
	}
	return nil
}

// WriteJSON writes the report as indented JSON.
func (r *Report) WriteJSON(w io.Writer) error { return text.WriteJSON(w, r) }

// String returns what WriteText writes.
func (r *Report) String() string { return text.Of(r) }

// breaks reports whether readers of the table can fail on the replica.
func (t *TableReport) breaks() bool {
	return slices.ContainsFunc(t.Schema, func(f SchemaFinding) bool { return f.Breaks })
}

// sample is a row that differs, for the report.
func (t *table) sample(d difference, reference, replica store.Row) Sample {
	s := Sample{What: d.what}
	cols, row := t.plan.Source.Columns, reference
	if row == nil {
		cols, row = t.plan.Mirror.Columns, replica
	}
	for i := range t.plan.Key {
		s.Key = append(s.Key, short(cols[i], row[i]))
	}
	if reference != nil && replica != nil {
		for i, m := range t.plan.Mirror.Columns {
			if slices.Contains(d.columns, m.Name) {
				s.Columns = append(s.Columns, SampleColumn{
					Column: t.plan.Source.Columns[i].Name, Reference: short(t.plan.Source.Columns[i], reference[i]), Replica: short(m, replica[i]),
				})
			}
		}
	}
	return s
}

// room is how many more of most samples the report can show, besides those of keys
// whose rows are right in the replica.
func (r *reading) room(most int) int {
	n := most
	for _, k := range r.keys {
		if k.outcome != oldStale {
			n -= len(k.samples)
		}
	}
	return n
}

// resample keeps the rows of a key as they are by now, if it had samples or there is
// room for them.
func (t *table) resample(k *key, now []Sample) {
	kept := len(k.samples) > 0
	k.samples = nil
	if kept || k.outcome != oldStale {
		k.samples = now[:min(len(now), max(0, t.room(t.c.o.MaxSamples)))]
	}
}

// samples are what the report shows, first of the keys that are proven wrong.
func (t *table) samples() (all []Sample) {
	for _, of := range []func(outcome) bool{
		func(o outcome) bool { return o == newStale || o == ghost || o == conflict },
		func(o outcome) bool { return o == open },
		func(o outcome) bool { return o == oldStale },
	} {
		for _, k := range t.keys {
			if of(k.outcome) {
				all = append(all, k.samples...)
			}
		}
	}
	return all[:min(len(all), t.c.o.MaxSamples)]
}

// short is a cell whose value a report can keep.
func short(c store.Column, v driver.Value) store.Cell { return diff.Short(store.NewCell(c, v)) }
