package console

import (
	"slices"
	"time"

	"github.com/so-mirror/mirror"
)

// job is work that goes on when its page is closed, and that its page finds again.
type job struct {
	ID      int64
	Member  string // the context identifier, folded
	Kind    kind
	Status  status
	Actor   string // who asked for it
	Asked   time.Time
	Started time.Time
	Ended   time.Time
	Resumed int // how often a restart of the process went on with it
	Request request
	Summary summary
	Error   string
}

// kind is what a job does.
type kind string

const (
	kindComparison kind = "comparison"
	kindRecheck    kind = "recheck"
	kindValidation kind = "validation"
	kindWaiting    kind = "waiting"
	kindChange     kind = "change"
)

// comparisons are the kinds whose document is a mirror.Report.
var comparisons = []kind{kindComparison, kindRecheck}

// resumable reports whether a job can be gone on with: after it was stopped or failed, or
// when its time was up.
func (j job) resumable() bool {
	switch {
	case j.Request.Recorded || !slices.Contains([]kind{kindComparison, kindWaiting, kindValidation}, j.Kind):
		return false
	case j.Status == statusDone:
		return j.Kind == kindComparison && j.Summary.Incomplete && j.Summary.Resumable
	default:
		return j.Status == statusStopped || j.Status == statusFailed
	}
}

// heavy reports whether a job reads whole tables, so that only some run at once.
func (k kind) heavy() bool {
	return k == kindComparison || k == kindRecheck || k == kindValidation
}

// status is how far a job has come.
type status string

const (
	statusQueued  status = "queued"
	statusRunning status = "running"
	statusDone    status = "done"
	statusFailed  status = "failed"
	statusStopped status = "stopped" // by its button
	statusUnknown status = "unknown" // a change of which is not known whether it was committed
)

// unfinished are the states of a job that has a future.
var unfinished = []status{statusQueued, statusRunning}

func (s status) over() bool { return !slices.Contains(unfinished, s) }

// request is what a job was asked to do.
type request struct {
	Tables []string     `json:"tables,omitempty"`
	Depth  mirror.Depth `json:"depth,omitempty"`

	// Of is the job that this one is about: the comparison of a recheck or of a plan, the
	// change that is taken back or waited for.
	Of int64 `json:"of,omitempty"`

	// Also are earlier changes whose tables are waited for besides those of Of.
	Also []int64 `json:"also,omitempty"`

	// Once is of the form that asked, so that one that is sent twice asks once.
	Once string `json:"once,omitempty"`

	// Since has only what changed since the last comparison read.
	Since bool `json:"since,omitempty"`

	Change change `json:"change,omitempty"`

	// Recorded says that the comparison was made elsewhere.
	Recorded bool `json:"recorded,omitempty"`
}

// change is what a job of kindChange does.
type change struct {
	Operation operation `json:"operation,omitempty"`

	Unknown   bool `json:"unknown,omitempty"`   // of ApplyOptions
	HardReset bool `json:"hardReset,omitempty"` // of ApplyOptions
	SkipMoved bool `json:"skipMoved,omitempty"` // of ApplyOptions
	All       bool `json:"all,omitempty"`       // of ResetOptions and HardResetOptions
	Truncate  bool `json:"truncate,omitempty"`  // of ResetOptions
	TooMuch   bool `json:"tooMuch,omitempty"`   // the limits of ApplyOptions were lifted

	// Confirm was typed.
	Confirm string `json:"confirm,omitempty"`
}

// operation is what is done to a mirror.
type operation string

const (
	opApply     operation = "apply"
	opReset     operation = "reset"
	opHardReset operation = "hard-reset"
	opUndo      operation = "undo"
)

// summary is what lists show of a job.
type summary struct {
	Level   string `json:"level,omitempty"`   // of htmlreport: good, waiting, unsure, bad, todo or neutral
	Verdict string `json:"verdict,omitempty"` // in a few words

	// Of a report.
	Tables     map[mirror.Verdict]int `json:"tables,omitempty"`
	Differing  int64                  `json:"differing,omitempty"` // rows
	Pending    int64                  `json:"pending,omitempty"`   // of these
	Diverged   int64                  `json:"diverged,omitempty"`  // of these
	Stale      int                    `json:"stale,omitempty"`     // tables that the plan resets
	Whole      bool                   `json:"whole,omitempty"`     // all tables, by their rows
	Incomplete bool                   `json:"incomplete,omitempty"`
	Resumable  bool                   `json:"resumable,omitempty"` // there is a checkpoint

	// Of a change.
	Undone  int64          `json:"undone,omitempty"` // the job that took it back
	Outcome mirror.Outcome `json:"outcome,omitempty"`
	Receipt string         `json:"receipt,omitempty"` // its ID
	Refused refusal        `json:"refused,omitempty"` // why it was not begun
}

// tableSummary is what lists show of a table of a comparison.
type tableSummary struct {
	Table     string         `json:"t"`
	Verdict   mirror.Verdict `json:"v"`
	Source    int64          `json:"s,omitempty"`
	Mirror    int64          `json:"m,omitempty"`
	Missing   int64          `json:"mi,omitempty"`
	Extra     int64          `json:"ex,omitempty"`
	Changed   int64          `json:"ch,omitempty"`
	Duplicate int64          `json:"du,omitempty"`
	Pending   int64          `json:"pe,omitempty"`
	Diverged  int64          `json:"di,omitempty"`
	Schema    int            `json:"sc,omitempty"` // columns and keys that differ
	Reason    string         `json:"r,omitempty"`
}

// counts reports whether a job that is over can be the last one of its kind: a change that
// was refused, or that took another one back, does not hide the one before it.
func (j *job) counts() bool {
	return j.Kind != kindChange || j.Status == statusDone && j.Request.Change.Operation != opUndo
}
