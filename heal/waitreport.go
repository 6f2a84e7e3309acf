package heal

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/store"
)

// WaitState is how far a table has come after a reset.
type WaitState string

// The states.
const (
	// WaitRequested: no cycle has reached the table yet.
	WaitRequested WaitState = "requested"

	// WaitFilling: a cycle is populating it.
	WaitFilling WaitState = "filling"

	// WaitPopulated: it has a valid LSN again.
	WaitPopulated WaitState = "populated"

	// WaitLost: it has a valid LSN, and was not populated. A cycle that was
	// running when the table was reset wrote its own LSN over the -1.
	WaitLost WaitState = "lost"

	// WaitNotRequested: no receipt says that it was reset, and its LSN was valid at the
	// first look, so that there is nothing to wait for.
	WaitNotRequested WaitState = "not-requested"
)

// WaitReport is how far the tables have come.
type WaitReport struct {
	ContextID string      `json:"contextId"`
	Started   time.Time   `json:"started"`
	Time      time.Time   `json:"time"`
	Next      time.Time   `json:"nextCycle"` // when the next cycle is to be expected
	Tables    []WaitTable `json:"tables"`

	// Receipts are those of resets that were repeated.
	Receipts []*mirror.Receipt `json:"receipts,omitempty"`
}

// WaitTable is one table of a [WaitReport].
type WaitTable struct {
	Table string     `json:"table"`
	State WaitState  `json:"state"`
	LSN   *store.LSN `json:"lsn"`

	// Rows of Expected are there; Expected is 0 when it is not known.
	Rows     int64 `json:"rows"`
	Expected int64 `json:"expected"`

	// Remaining estimates how long the filling takes, from the rows so far.
	Remaining time.Duration `json:"-"` // seconds in JSON

	// Proof says how it is known that the table was populated, or that its
	// reset was lost; "" when only its LSN says so.
	Proof string `json:"proof,omitempty"`

	// Resets is how often the reset was repeated.
	Resets int `json:"resets,omitempty"`
}

// waitTable is the JSON form of a WaitTable.
type waitTable struct {
	waitFields
	Remaining float64 `json:"remaining,omitempty"`
}

type waitFields WaitTable

// MarshalJSON returns the fields, and the remaining time in seconds.
func (t WaitTable) MarshalJSON() ([]byte, error) {
	return json.Marshal(waitTable{waitFields(t), t.Remaining.Seconds()})
}

// UnmarshalJSON parses what MarshalJSON returns.
func (t *WaitTable) UnmarshalJSON(data []byte) error {
	var j waitTable
	if err := json.Unmarshal(data, &j); err != nil {
		return err
	}
	*t = WaitTable(j.waitFields)
	t.Remaining = text.Seconds(j.Remaining)
	return nil
}

// String returns the text that WriteText writes.
func (r *WaitReport) String() string { return text.Of(r) }

// WriteJSON writes the report as indented JSON.
func (r *WaitReport) WriteJSON(w io.Writer) error { return text.WriteJSON(w, r) }

// WriteText writes the report for people.
func (r *WaitReport) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "Waiting for %s since %s, %s\n", text.Printable(r.ContextID), r.Started.Format(time.DateTime+" MST"), text.Duration(r.Time.Sub(r.Started)))
	var g text.Grid
	g.Row("TABLE", "STATE", "ROWS", "EXPECTED", "LSN", "")
	for _, t := range r.Tables {
		note := t.Proof
		if t.Remaining > 0 {
			note = "about " + text.Duration(t.Remaining) + " left"
		}
		if t.Resets > 0 {
			note = strings.TrimPrefix(note+fmt.Sprintf("; reset again: %d", t.Resets), "; ")
		}
		g.Row(t.Table, string(t.State), text.Count(t.Rows), text.Dash(t.Expected), store.FormatLSN(t.LSN), note)
	}
	b.WriteString(g.Text("  ", "lrrr"))
	state := func(s WaitState) bool {
		return slices.ContainsFunc(r.Tables, func(t WaitTable) bool { return t.State == s })
	}
	if state(WaitRequested) && !state(WaitFilling) {
		expected := "is to be"
		if r.Next.Before(r.Time) {
			expected = "was to be"
		}
		fmt.Fprintf(&b, "The next cycle %s expected by %s.\n", expected, r.Next.Format(time.DateTime+" MST"))
	}
	_, err := io.WriteString(w, b.String())
	return err
}
