package mirror

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/so-mirror/mirror/internal/metadata"
	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/store"
)

const journalVersion = 1

// Journal keeps what operations are about to change, for the time after a crash
// of the process. Package journal has one in a file, and one for tests.
type Journal interface {
	// Append writes an entry down, which survives a crash when it returns nil. It is
	// called inside of transactions: be quick, and do not use the mirror's database.
	Append(ctx context.Context, e JournalEntry) error
}

// JournalEvent is what a [JournalEntry] tells. After an intent alone the process
// ended, or the answer of the commit was lost: see [Mirror.Reconcile].
type JournalEvent string

const (
	JournalIntent JournalEvent = "intent" // all is done but the commit; every operation begins with it
	JournalDone   JournalEvent = "done"   // the transaction was committed
	JournalFailed JournalEvent = "failed" // the transaction was rolled back
)

// JournalEntry is one event of an operation.
type JournalEntry struct {
	Version   int          `json:"version"`
	ContextID string       `json:"contextId"`
	Event     JournalEvent `json:"event"`
	Time      time.Time    `json:"time"`
	Undo      bool         `json:"undo,omitempty"`    // the receipt is taken back, and not carried out
	ID        string       `json:"id"`                // of the operation, which all of its entries share
	Receipt   *Receipt     `json:"receipt,omitempty"` // with the intent
}

// errUnrecorded says that a change was committed and its journal does not say so.
var errUnrecorded = errors.New("it was done, but that is not in the journal")

// journaled writes down what happens to one receipt.
type journaled struct {
	m    *Mirror
	undo bool
	id   string // of the open intent, "" when there is none
}

func (j *journaled) append(ctx context.Context, event JournalEvent, receipt *Receipt) error {
	if j.m.journal == nil {
		return nil
	}
	err := j.m.journal.Append(ctx, JournalEntry{
		Version: journalVersion, ContextID: j.m.contextID, Event: event, Time: j.m.clock.Now().UTC(), Undo: j.undo, ID: j.id, Receipt: receipt,
	})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrJournal, err)
	}
	return nil
}

// intend is called last in a transaction, each time that it is tried.
func (j *journaled) intend(ctx context.Context, receipt *Receipt) error {
	if err := j.failed(ctx); err != nil {
		return err
	}
	j.id = rand.Text() // two operations can have the same receipt, by a coarse clock
	err := j.append(ctx, JournalIntent, receipt)
	if err != nil {
		j.id = "" // whether it is there or not, nothing follows it
	}
	return err
}

// failed closes the intent of a try that was rolled back.
func (j *journaled) failed(ctx context.Context) error {
	if j.id == "" {
		return nil
	}
	err := j.append(ctx, JournalFailed, nil)
	j.id = ""
	return err
}

// end writes down how the transaction ended, and returns what the caller is to
// know: that it failed, or that it was done but is not in the journal.
func (j *journaled) end(ctx context.Context, err error) error {
	ctx = context.WithoutCancel(ctx)
	switch {
	case err == nil:
		if err := j.append(ctx, JournalDone, nil); err != nil {
			return fmt.Errorf("%w: %w", errUnrecorded, err)
		}
		return nil
	case errors.Is(err, store.ErrOutcomeUnknown):
		return err // the intent stays open
	default:
		// An intent that stays open is found not to have happened.
		_ = j.failed(ctx)
		return err
	}
}

// Reconciled is an operation of a journal, and what became of it. Undo takes the
// Receipt back when the Outcome is OutcomeDone.
type Reconciled struct {
	Receipt *Receipt  `json:"receipt"`
	Undo    bool      `json:"undo,omitempty"` // the operation was to take the receipt back
	Time    time.Time `json:"time"`           // when it was about to be committed
	Outcome Outcome   `json:"outcome"`
	Proof   string    `json:"proof"` // how the outcome is known: "journal" or "database"; "" with OutcomeUnknown
}

// String returns one line: what was intended, and what became of it.
func (r Reconciled) String() string {
	if r.Receipt == nil {
		return "no receipt"
	}
	doing := string(r.Receipt.Operation)
	if r.Undo {
		doing = "undo of " + doing
	}
	says := ", says the " + r.Proof
	if r.Outcome == OutcomeUnknown {
		says = ", because it is of another database:" + Side{Identity: r.Receipt.Mirror}.where(" ")
	}
	return fmt.Sprintf("%s of %s, %s, intended %s: %s%s",
		text.Printable(doing), text.Printable(r.Receipt.ContextID), r.Receipt.what(), r.Time.Format(time.DateTime+" MST"), r.Outcome, says)
}

// Reconcile says for each operation of a journal whether it happened, in the
// order of the intents. Where the journal itself does not tell, because the
// process ended between the intent and the commit's answer, the metadata table
// does: an operation changed all of its rows or none. It writes nothing. A cycle
// that populates a table of a source that did not change gives it the LSN back
// that it had, so such a table is told to be as before.
//
// Entries of other customers are passed over. What the journal does not tell of an
// operation on another database of this customer is OutcomeUnknown, without a Proof:
// Reconcile of that mirror finds out. For a database that was renamed or moved since
// see Options.FormerIDs. An entry of another version, or one that does not follow
// from those before it, is ErrInvalidDocument.
func (m *Mirror) Reconcile(ctx context.Context, entries []JournalEntry) ([]Reconciled, error) {
	all, open, err := m.follow(entries)
	if err == nil {
		err = m.findOut(ctx, all, open)
	}
	if err != nil {
		return nil, store.WrapError(ctx, err, "reconcile "+m.contextID)
	}
	for i, r := range all {
		if !r.Undo {
			receipt := *r.Receipt
			receipt.Outcome = r.Outcome
			all[i].Receipt = &receipt
		}
	}
	return all, nil
}

// follow returns the operations of a journal, and which of them, by ID, have no end.
func (m *Mirror) follow(entries []JournalEntry) (all []Reconciled, open map[string]int, err error) {
	open = map[string]int{}
	for i, e := range entries {
		refuse := func(reason string) ([]Reconciled, map[string]int, error) {
			return nil, nil, fmt.Errorf("%w: entry %d: %s", errInvalidJournal, i+1, reason)
		}
		if !sameCustomer(e.ContextID, m.contextID) {
			continue
		}
		if e.Version != journalVersion {
			return refuse(fmt.Sprintf("its version is %d, this library knows %d", e.Version, journalVersion))
		}
		at, isOpen := open[e.ID]
		switch e.Event {
		case JournalIntent:
			if isOpen || e.ID == "" {
				return refuse("an operation begins twice, or has no ID")
			}
			if err := m.CheckReceipt(e.Receipt); err != nil {
				return refuse(err.Error())
			}
			open[e.ID] = len(all)
			all = append(all, Reconciled{Receipt: e.Receipt, Undo: e.Undo, Time: e.Time, Proof: "database"})
		case JournalDone, JournalFailed:
			if !isOpen {
				return refuse("an operation ends that did not begin")
			}
			delete(open, e.ID)
			all[at].Proof, all[at].Outcome = "journal", OutcomeDone
			if e.Event == JournalFailed {
				all[at].Outcome = OutcomeNotDone
			}
		default:
			return refuse(fmt.Sprintf("unknown event %q", text.Clip(string(e.Event), text.MaxName)))
		}
	}
	return all, open, nil
}

// findOut asks the database what became of the operations that are open.
func (m *Mirror) findOut(ctx context.Context, all []Reconciled, open map[string]int) error {
	if len(open) == 0 {
		return nil
	}
	is, err := m.databaseOf(ctx, all)
	if err != nil {
		return err
	}
	for id, at := range open {
		if m.another(all[at].Receipt.Mirror, is) {
			all[at].Outcome, all[at].Proof = OutcomeUnknown, ""
			delete(open, id)
		}
	}
	if len(open) == 0 {
		return nil
	}
	tables, err := m.store.Tables(ctx)
	if err != nil {
		return err
	}
	md, err := m.readMetadata(ctx, m.store, tables)
	if _, err := stateWithout(err); err != nil {
		return err
	}
	for _, at := range open {
		if all[at].Outcome = m.outcomeBy(is, all[at], all[at+1:]); all[at].Outcome == "" {
			all[at].Outcome = m.outcome(md, all[at].Receipt, all[at].Undo)
		}
	}
	return nil
}

// databaseOf asks which database this is, when one of the operations knows its own.
func (m *Mirror) databaseOf(ctx context.Context, all []Reconciled) (store.Identity, error) {
	if !slices.ContainsFunc(all, func(r Reconciled) bool { return r.Receipt.Mirror.ID != "" }) {
		return store.Identity{}, nil
	}
	return store.IdentityOf(ctx, m.store)
}

// outcomeBy tells from what a later operation of the journal saw in its own
// transaction whether r happened, "" when none saw a metadata row of it. What the
// database has by now is what that one did. One on another database saw nothing of r.
func (m *Mirror) outcomeBy(is store.Identity, r Reconciled, later []Reconciled) Outcome {
	for _, l := range later {
		if m.another(l.Receipt.Mirror, is) || is.ID == "" && m.another(l.Receipt.Mirror, r.Receipt.Mirror) {
			continue
		}
		if l.Undo && l.Receipt.ID == r.Receipt.ID { // Undo checks that the receipt is carried out
			if r.Undo {
				return OutcomeNotDone
			}
			return OutcomeDone
		}
		if l.Undo {
			continue
		}
		md := &metadata.Table{}
		saw := *r.Receipt
		saw.Tables = nil
		for _, rt := range r.Receipt.Tables {
			i := slices.IndexFunc(l.Receipt.Tables, func(o ReceiptTable) bool { return store.FoldName(o.Table) == store.FoldName(rt.Table) })
			if i < 0 {
				continue
			}
			saw.Tables = append(saw.Tables, rt)
			md.Add(rt.Table, l.Receipt.Tables[i].Metadata)
		}
		if len(saw.Tables) > 0 {
			return m.outcome(md, &saw, r.Undo)
		}
	}
	return ""
}

// outcome tells from the metadata table whether a receipt was carried out, or,
// with undo, taken back.
func (m *Mirror) outcome(md *metadata.Table, receipt *Receipt, undo bool) Outcome {
	before, after := m.evidence(md, receipt)
	if undo {
		before, after = after, before
	}
	switch {
	case after && !before:
		return OutcomeDone
	case before && !after:
		return OutcomeNotDone
	default:
		return OutcomeOvertaken
	}
}

// evidence reports whether some metadata rows are as they were before the
// receipt was carried out, and whether some are as they are after it.
func (m *Mirror) evidence(md *metadata.Table, receipt *Receipt) (before, after bool) {
	if receipt.Metadata != nil {
		if md == nil {
			return false, true
		}
		var was [][]store.Cell
		for _, rt := range receipt.Tables {
			was = append(was, rt.Metadata...)
		}
		return m.names.SameRows(was, md.AllCells()), false
	}
	silent := false
	for _, rt := range receipt.Tables {
		if len(rt.Actions) == 0 {
			continue
		}
		is := md.Cells(rt.Table)
		asBefore := m.names.SameRows(rt.Metadata, is)
		asAfter := len(is) == 0 && md != nil
		if slices.Contains(rt.Actions, ActionResetLSN) {
			asAfter = m.names.SameRows(m.names.Reset(rt.Metadata), is)
			if asAfter && asBefore { // its LSN was -1 already, so it tells nothing
				silent = silent || !slices.Contains(rt.Actions, ActionTruncate)
				continue
			}
		}
		before, after = before || asBefore, after || asAfter
	}
	if !before && !after && silent { // nothing was to change, and nothing did
		return false, true
	}
	return before, after
}
