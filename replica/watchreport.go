package replica

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/so-mirror/mirror/internal/text"
)

// WatchState is how far a table has come after its re-synchronization was
// requested.
type WatchState string

// The states.
const (
	// WatchRequested: nothing of the re-synchronization was seen.
	WatchRequested WatchState = "requested"

	// WatchEmpty: the client truncated the table.
	WatchEmpty WatchState = "empty"

	// WatchFilling: the client sends its rows.
	WatchFilling WatchState = "filling"

	// WatchFull: it has about as many rows as the reference.
	WatchFull WatchState = "full"

	// WatchEqual: the check found it equal.
	WatchEqual WatchState = "equal"
)

// WatchReport is how far the tables have come.
type WatchReport struct {
	ContextID string       `json:"contextId,omitempty"`
	Started   time.Time    `json:"started"`
	Time      time.Time    `json:"time"`
	Tables    []WatchTable `json:"tables"` // sorted by name

	// Check is the check of the tables at the end, nil before that. Its decision is
	// about these tables alone.
	Check *Report `json:"check,omitempty"`
}

// WatchTable is one table of a [WatchReport].
type WatchTable struct {
	Table string     `json:"table"`
	State WatchState `json:"state"`

	// Rows of Expected, which are those of the reference, are there.
	Rows     int64 `json:"rows"`
	Expected int64 `json:"expected"`

	// Remaining estimates how long the filling takes, from the rows so far; 0 when
	// it is not known.
	Remaining time.Duration `json:"-"` // seconds in JSON

	// Proof says how it is known that the table was re-synchronized, "" when it is
	// not.
	Proof string `json:"proof,omitempty"`

	// Verdict and Reason are those of the check at the end, "" before that.
	Verdict Verdict `json:"verdict,omitempty"`
	Reason  string  `json:"reason,omitempty"`
}

// watchTable is the JSON form of a WatchTable.
type watchTable struct {
	watchFields
	Remaining float64 `json:"remaining,omitempty"`
}

type watchFields WatchTable

// MarshalJSON returns the fields, and the remaining time in seconds.
func (t WatchTable) MarshalJSON() ([]byte, error) {
	return json.Marshal(watchTable{watchFields(t), t.Remaining.Seconds()})
}

// UnmarshalJSON parses what MarshalJSON returns.
func (t *WatchTable) UnmarshalJSON(data []byte) error {
	var j watchTable
	if err := json.Unmarshal(data, &j); err != nil {
		return err
	}
	*t = WatchTable(j.watchFields)
	t.Remaining = text.Seconds(j.Remaining)
	return nil
}

// Equal reports whether the check at the end found every table equal.
func (r *WatchReport) Equal() bool {
	return len(r.Tables) > 0 && !slices.ContainsFunc(r.Tables, func(t WatchTable) bool { return t.State != WatchEqual })
}

// String returns the text that WriteText writes.
func (r *WatchReport) String() string { return text.Of(r) }

// WriteJSON writes the report as indented JSON.
func (r *WatchReport) WriteJSON(w io.Writer) error { return text.WriteJSON(w, r) }

// WriteText writes the report for people.
func (r *WatchReport) WriteText(w io.Writer) error {
	var b strings.Builder
	b.WriteString("Re-synchronization")
	if r.ContextID != "" {
		b.WriteString(" of " + text.Printable(r.ContextID))
	}
	fmt.Fprintf(&b, ", watched since %s, %s\n", r.Started.UTC().Format("2006-01-02 15:04:05 MST"), text.Duration(r.Time.Sub(r.Started)))
	var g text.Grid
	g.Row("TABLE", "STATE", "ROWS", "EXPECTED", "")
	for _, t := range r.Tables {
		note := t.Proof
		switch {
		case t.Verdict != "" && t.State != WatchEqual:
			note = strings.TrimSuffix(string(t.Verdict)+": "+t.Reason, ": ")
		case t.Remaining > 0:
			note = "about " + text.Duration(t.Remaining) + " left"
		}
		g.Row(text.Name(t.Table), string(t.State), text.Count(t.Rows), text.Count(t.Expected), note)
	}
	b.WriteString(g.Text("  ", "lrr"))
	if r.Check != nil {
		b.WriteString("\nThe check of these tables:\n" + r.Check.String())
	}
	_, err := io.WriteString(w, b.String())
	return err
}
