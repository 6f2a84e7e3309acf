package mirror

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/so-mirror/mirror/internal/sum"
	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/store"
)

// Operation is what a [Receipt] records.
type Operation string

const (
	OperationReset     Operation = "reset tables"
	OperationHardReset Operation = "hard reset"
	OperationApply     Operation = "apply plan"
)

// Action is one thing done to a table, in this order.
type Action string

const (
	ActionResetLSN       Action = "reset-lsn"       // the LSN was set to -1
	ActionTruncate       Action = "truncate"        // the rows were deleted
	ActionDeleteMetadata Action = "delete-metadata" // the metadata row was deleted
	ActionDrop           Action = "drop"            // the table was dropped
)

// Outcome is what became of an operation.
type Outcome string

const (
	OutcomeDone      Outcome = "done"      // the change is in the database, or was
	OutcomeNotDone   Outcome = "not-done"  // nothing was changed
	OutcomeOvertaken Outcome = "overtaken" // the metadata rows were written since, so the database no longer tells
	OutcomeUnknown   Outcome = "unknown"   // the connection was lost during the commit; Reconcile finds out
)

const receiptVersion = 1

// Receipt records what an operation did and everything that was there before
// but the data: keep it until the next cycle has run. It survives JSON without
// loss; [Mirror.Undo] takes it back.
type Receipt struct {
	Version   int       `json:"version"`
	ContextID string    `json:"contextId"`
	Operation Operation `json:"operation"`
	ID        string    `json:"id,omitempty"`     // of all that is recorded: a changed receipt is ErrInvalidDocument
	DryRun    bool      `json:"dryRun,omitempty"` // nothing was done

	// Outcome is OutcomeUnknown when the receipt came with store.ErrOutcomeUnknown,
	// and in a Reconciled what was found out. Otherwise it is "", and done.
	Outcome Outcome   `json:"outcome,omitempty"`
	Time    time.Time `json:"time"` // right before the commit, in UTC

	// Mirror is the database that was changed, where it can be told. Undo refuses
	// another one, whose LSNs are others.
	Mirror store.Identity `json:"mirror,omitzero"`

	// Metadata is the definition of the metadata table when the whole of it was taken
	// away, otherwise nil. Kept is the name that it has since then, "" when it was
	// dropped.
	MetadataTable string       `json:"metadataTable"`
	Metadata      *store.Table `json:"metadata,omitempty"`
	Kept          string       `json:"kept,omitempty"`

	// NotUndone says what Undo does not bring back, a sentence each. Lost are columns
	// of the metadata table whose type the library does not know, so that a deleted
	// row cannot be put back with their values.
	NotUndone []string `json:"notUndone,omitempty"`
	Lost      []string `json:"lost,omitempty"`

	Tables []ReceiptTable `json:"tables"`
}

// ReceiptTable is one table of a [Receipt], as it was before the operation.
type ReceiptTable struct {
	Table    string         `json:"table"`
	Actions  []Action       `json:"actions,omitempty"`  // what was done, nothing where nothing was needed
	Note     string         `json:"note,omitempty"`     // why nothing was needed
	LSN      *store.LSN     `json:"lsn"`                // the previous one, nil for NULL and for no row
	Present  bool           `json:"present"`            // whether the table existed
	Rows     int64          `json:"rows"`               // how many it had
	Schema   string         `json:"schema,omitempty"`   // a fingerprint of its columns and key
	Metadata [][]store.Cell `json:"metadata,omitempty"` // the whole previous metadata rows, normally one
}

// String returns the text that WriteText writes.
func (r *Receipt) String() string { return text.Of(r) }

// WriteJSON writes the receipt as indented JSON.
func (r *Receipt) WriteJSON(w io.Writer) error { return text.WriteJSON(w, r) }

// WriteText writes the receipt for people.
func (r *Receipt) WriteText(w io.Writer) error {
	var b strings.Builder
	verb := "done"
	switch {
	case r.DryRun:
		verb = "dry run, nothing was changed"
	case r.Outcome == OutcomeUnknown:
		verb = "not known whether it was done"
	case r.Outcome == OutcomeNotDone:
		verb = "not done"
	case r.Outcome == OutcomeOvertaken:
		verb = "not known whether it was done, because a cycle has written since"
	}
	fmt.Fprintf(&b, "%s of %s: %s, %s\n", text.Printable(string(r.Operation)), text.Printable(r.ContextID), verb, r.Time.Format(time.DateTime+" MST"))
	if r.Metadata != nil {
		taken := "drop " + text.Printable(r.MetadataTable)
		if r.Kept != "" {
			taken = fmt.Sprintf("rename %s to %s", text.Printable(r.MetadataTable), text.Printable(r.Kept))
		}
		fmt.Fprintf(&b, "  %s: the next cycle creates it anew and populates everything\n", taken)
	}
	var g text.Grid
	g.Row("TABLE", "ACTIONS", "ROWS", "PREVIOUS LSN", "")
	for _, t := range r.Tables {
		actions := make([]string, len(t.Actions))
		for i, a := range t.Actions {
			actions[i] = string(a)
		}
		g.Row(t.Table, strings.Join(actions, ", "), text.Count(t.Rows), store.FormatLSN(t.LSN), t.Note)
	}
	b.WriteString(g.Text("  ", "lrr"))
	if len(r.NotUndone) > 0 {
		b.WriteString("Undo does not bring back\n")
	}
	for _, loss := range r.NotUndone {
		fmt.Fprintf(&b, "  - %s.\n", text.Printable(loss))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// what names in a few words what the receipt is about.
func (r *Receipt) what() string {
	if r.Metadata != nil {
		return "the whole mirror"
	}
	const most = 3
	var names []string
	for _, t := range r.Tables {
		names = append(names, text.Printable(t.Table))
	}
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}

// UnmarshalJSON refuses fields that this version does not know.
func (r *Receipt) UnmarshalJSON(data []byte) error {
	type plain Receipt
	if err := text.ParseJSON(data, (*plain)(r)); err != nil {
		return fmt.Errorf("%w: %w", errInvalidReceipt, err)
	}
	return nil
}

// CheckReceipt returns ErrInvalidDocument unless this mirror wrote the receipt.
func (m *Mirror) CheckReceipt(r *Receipt) error {
	switch {
	case r == nil:
		return fmt.Errorf("%w: it is nil", errInvalidReceipt)
	case r.Version != receiptVersion:
		return fmt.Errorf("%w: its version is %d, this library knows %d", errInvalidReceipt, r.Version, receiptVersion)
	case !sameCustomer(r.ContextID, m.contextID):
		return fmt.Errorf("%w: it is of customer %q", errInvalidReceipt, text.Clip(r.ContextID, text.MaxName))
	case r.DryRun:
		return fmt.Errorf("%w: it is of a dry run, so there is nothing to undo", errInvalidReceipt)
	case !slices.Contains([]Outcome{"", OutcomeDone, OutcomeNotDone, OutcomeOvertaken, OutcomeUnknown}, r.Outcome):
		return fmt.Errorf("%w: unknown outcome %q", errInvalidReceipt, text.Clip(string(r.Outcome), text.MaxName))
	case r.Operation != OperationReset && r.Operation != OperationHardReset && r.Operation != OperationApply:
		return fmt.Errorf("%w: unknown operation %q", errInvalidReceipt, text.Clip(string(r.Operation), text.MaxName))
	case r.Metadata != nil && !m.names.IsTable(r.Metadata.Name):
		return fmt.Errorf("%w: its metadata table is %q, not %q", errInvalidReceipt, text.Clip(r.Metadata.Name, text.MaxName), text.Name(m.names.Table))
	case r.Kept != "" && (r.Metadata == nil || store.FoldName(r.Kept) != store.FoldName(m.names.Kept()) || !m.names.IsTable(r.MetadataTable)):
		return fmt.Errorf("%w: it kept %q as %q, which no hard reset does", errInvalidReceipt, text.Name(r.MetadataTable), text.Name(r.Kept))
	}
	for _, t := range r.Tables {
		for _, a := range t.Actions {
			switch {
			case a != ActionResetLSN && a != ActionTruncate && a != ActionDeleteMetadata && a != ActionDrop:
				return fmt.Errorf("%w: unknown action %q", errInvalidReceipt, text.Clip(string(a), text.MaxName))
			case a == ActionResetLSN && len(t.Metadata) != 1, a == ActionDeleteMetadata && len(t.Metadata) == 0:
				return fmt.Errorf("%w: the metadata row of %q is missing", errInvalidReceipt, text.Clip(t.Table, text.MaxName))
			}
		}
		for _, row := range t.Metadata {
			if !m.names.Fits(row, t.Table, t.LSN, len(t.Metadata) > 1) {
				return fmt.Errorf("%w: the metadata row of %q does not fit it", errInvalidReceipt, text.Clip(t.Table, text.MaxName))
			}
		}
	}
	if r.ID != r.fingerprint() {
		return fmt.Errorf("%w: its ID is not that of what it records: it was changed or damaged", errInvalidReceipt)
	}
	return nil
}

// fingerprint identifies what a receipt records, which is all of it but what
// became of the operation. It finds damage; who wants to can compute it anew.
func (r *Receipt) fingerprint() string {
	recorded := *r
	recorded.ID, recorded.Outcome = "", ""
	text, err := json.Marshal(recorded)
	if err != nil {
		text = []byte(err.Error())
	}
	// What is no text is written so, and as itself once it was read back.
	text = bytes.ReplaceAll(text, []byte(`\ufffd`), []byte("\ufffd"))
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

// fingerprint identifies the columns and the key of a table.
func fingerprint(t store.Table) string {
	h := sha256.New()
	for _, c := range t.Columns {
		fmt.Fprintf(h, "%q %s %t %t\n", store.FoldName(c.Name), c.Type, c.Nullable, c.Generated)
	}
	fmt.Fprintf(h, "%q", t.Key)
	return "sha256:" + sum.Hex(h)
}
