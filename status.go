package mirror

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/so-mirror/mirror/internal/metadata"
	"github.com/so-mirror/mirror/internal/superoffice"
	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/store"
)

// MirrorState is the state of a mirror as a whole.
type MirrorState string

const (
	MirrorHasMetadata        MirrorState = "has-metadata"         // the metadata table exists
	MirrorAwaitingFirstCycle MirrorState = "awaiting-first-cycle" // there is none; the next cycle creates it and populates all
	MirrorReplica            MirrorState = "replica"              // fed by the newer client: Compare works, resets are ErrReplica
)

// stateWithout returns the state that a missing metadata table stands for. The
// error is nil for those that are states.
func stateWithout(err error) (MirrorState, error) {
	switch {
	case errors.Is(err, ErrNoMetadata):
		return MirrorAwaitingFirstCycle, nil
	case errors.Is(err, ErrReplica):
		return MirrorReplica, nil
	default:
		return MirrorHasMetadata, err
	}
}

// TableState is the state of a table, as far as the mirror's database tells.
type TableState string

const (
	TableSynced         TableState = "synced"          // it has an LSN and receives changes
	TableResetRequested TableState = "reset-requested" // its LSN is -1, so the next cycle populates it
	TableAbsent         TableState = "absent"          // a metadata row without a table
	TableNoMetadata     TableState = "no-metadata-row" // the next cycle populates it, or drops it if the source lacks it
	TableInvalid        TableState = "invalid"         // the metadata row cannot be right; see the Reason
)

// Status is what a mirror's database says about itself.
type Status struct {
	ContextID     string        `json:"contextId"`
	Time          time.Time     `json:"time"`
	State         MirrorState   `json:"state"`
	MetadataTable string        `json:"metadataTable"`
	Warnings      []string      `json:"warnings,omitempty"` // findings that concern no table
	Mistakes      []string      `json:"mistakes,omitempty"` // why this is hardly the mirror that is meant; see Err
	Tables        []TableStatus `json:"tables"`             // by name
}

// TableStatus is one table of a [Status]. The Rows of a table whose reset is requested
// are the old ones until a cycle wipes them, then those sent so far: only the last
// batch of a table brings its LSN.
type TableStatus struct {
	Table  string     `json:"table"`
	State  TableState `json:"state"`
	Rows   int64      `json:"rows"`
	LSN    *store.LSN `json:"lsn"` // nil for NULL and for no metadata row
	Reason string     `json:"reason,omitempty"`
}

// Status reads the metadata table and counts the rows of every table. That the
// metadata table is missing is a state; one of an unexpected shape is ErrMetadata. A
// nil error does not mean that it is the right database: see [Status.Err].
func (m *Mirror) Status(ctx context.Context) (*Status, error) {
	tables, err := m.store.Tables(ctx)
	if err != nil {
		return nil, store.WrapError(ctx, err, "status of "+m.contextID)
	}
	st := &Status{ContextID: m.contextID, Time: m.clock.Now().UTC(), State: MirrorHasMetadata, MetadataTable: m.names.Table}
	md, err := m.readMetadata(ctx, m.store, tables)
	if st.State, err = stateWithout(err); err != nil {
		return nil, store.WrapError(ctx, err, "status of "+m.contextID)
	}
	if st.State == MirrorAwaitingFirstCycle && len(tables) == 0 {
		st.Warnings = append(st.Warnings, noTables)
	}
	if err := m.statusOfCatalogue(ctx, st, md, tables); err != nil {
		return nil, store.WrapError(ctx, err, "status of "+m.contextID)
	}
	if md != nil {
		st.addAbsent(md)
	}
	st.Mistakes = m.names.Mistakes(m.names.Contents(tables, nil))
	if st.State == MirrorAwaitingFirstCycle && st.Mistakes == nil {
		st.Warnings = append(st.Warnings, otherCustomers(tables)...)
	}
	if s := st.lacking(); s != "" {
		st.Mistakes = append(st.Mistakes, s)
	}
	slices.SortFunc(st.Tables, func(a, b TableStatus) int { return strings.Compare(store.FoldName(a.Table), store.FoldName(b.Table)) })
	return st, nil
}

// findMetadata returns the metadata table among tables, or why there is none.
func (m *Mirror) findMetadata(tables []store.Table) (store.Table, error) {
	if t, ok := m.names.Find(tables); ok {
		return t, nil
	}
	there := m.names.Contents(tables, nil)
	mistake := wrong(m.names.Mistakes(there))
	switch name := text.Name(m.names.Table); {
	case there.Replica:
		return store.Table{}, fmt.Errorf("%w: it has no LSN to set; use its own program: %s", ErrReplica, superoffice.ResyncCommand(m.contextID, nil))
	case len(tables) == 0:
		return store.Table{}, fmt.Errorf("%w %q: %s", ErrNoMetadata, name, noTables)
	case mistake != nil:
		return store.Table{}, fmt.Errorf("%w %q: %w", ErrNoMetadata, name, mistake)
	default:
		return store.Table{}, fmt.Errorf("%w %q: the next cycle of the Mirroring Task creates it and populates every table", ErrNoMetadata, name)
	}
}

// noTables is said of a mirror in which nothing is to be seen.
const noTables = "there are no tables at all: unless the mirror is new, check the database, the schema and the login's permissions"

// readMetadata reads the whole metadata table through src, which is the store
// or a transaction of it. Its rows are matched with tables, the catalogue.
func (m *Mirror) readMetadata(ctx context.Context, src store.Source, tables []store.Table) (*metadata.Table, error) {
	t, err := m.findMetadata(tables)
	if err != nil {
		return nil, err
	}
	return m.readMetadataFrom(ctx, src, t, tables)
}

func (m *Mirror) readMetadataFrom(ctx context.Context, src store.Source, t store.Table, tables []store.Table) (*metadata.Table, error) {
	md, err := m.names.Read(ctx, src, t, tables)
	if errors.Is(err, store.ErrTableNotFound) { // dropped since the catalogue was read
		_, err = m.findMetadata(nil)
		err = store.WrapError(ctx, err, "read metadata")
	}
	return md, err
}

// otherCustomers warns of metadata tables of other customers, which suggest
// that the context identifier is wrong.
func otherCustomers(tables []store.Table) []string {
	var warnings []string
	for _, t := range tables {
		if strings.HasSuffix(store.FoldName(t.Name), superoffice.MetadataSuffix) {
			warnings = append(warnings, fmt.Sprintf("there is a table %s: is the context identifier right?", t.Name))
		}
	}
	return warnings
}

// statusOfCatalogue adds the tables that are there, but those of the mirroring
// itself.
func (m *Mirror) statusOfCatalogue(ctx context.Context, st *Status, md *metadata.Table, tables []store.Table) error {
	for _, t := range tables {
		isState := st.State == MirrorReplica && store.FoldName(t.Name) == store.FoldName(superoffice.ReplicaState)
		if m.names.IsTable(t.Name) || isState {
			continue
		}
		if metadata.IsKept(t.Name) {
			st.Warnings = append(st.Warnings, fmt.Sprintf("%s is a metadata table that a hard reset kept for Undo: it can be dropped once a cycle has run", text.Name(t.Name)))
			continue
		}
		rows, err := m.store.Count(ctx, t)
		if err != nil && !unreadable(t) {
			return err
		}
		ts := tableStatus(md, t, rows)
		if err != nil {
			ts.State, ts.Reason = TableInvalid, t.Omit
		}
		if doubt := md.Doubt(t); doubt != "" {
			ts.State, ts.Reason = TableInvalid, doubt
		}
		if _, _, err := findTable(tables, t.Name); err != nil {
			ts.Table, ts.State, ts.Reason = t.String(), TableInvalid, err.Error()
		}
		st.Tables = append(st.Tables, ts)
	}
	return nil
}

// addAbsent adds what metadata rows name that is not there, and the rows of which
// it is not known what they mean. Each name counts once.
func (s *Status) addAbsent(md *metadata.Table) {
	seen := map[string]bool{store.FoldName(s.MetadataTable): true} // a row about itself
	for _, r := range md.Rows {
		var ts TableStatus
		var id string
		switch {
		case r.IsAbsent():
			id = store.FoldName(r.Means.Name)
			if ts = tableStatus(md, r.Means, 0); ts.State != TableInvalid {
				ts.State = TableAbsent
			}
		case r.Means.Name == "" && r.Name != "":
			id = "\x00" + r.Name // it may have the name of a table
			ts = TableStatus{Table: r.Name, State: TableInvalid, LSN: r.LSN, Reason: md.Stray(r)}
		default:
			continue
		}
		if !seen[id] {
			seen[id] = true
			s.Tables = append(s.Tables, ts)
		}
	}
}

// lacking returns what is to be said when many of the tables with a metadata row
// are not there, "" for nothing.
func (s *Status) lacking() string {
	var absent []string
	listed := 0
	for _, t := range s.Tables {
		switch t.State {
		case TableAbsent:
			absent = append(absent, t.Table)
			listed++
		case TableNoMetadata:
		default:
			listed++
		}
	}
	return lacking("mirror", listed, absent)
}

// StatusOf returns the states of some tables, in their order, and counts the rows of
// these alone; it looks for no mistakes and warns of nothing. A table that is not
// there is TableAbsent, with the LSN of its metadata row. The metadata table itself is
// an *Error with store.ErrTableNotFound, and a database with that of another customer
// ErrWrongDatabase. When rows cannot be counted, or a name stands for two tables, the
// error comes with the other states.
func (m *Mirror) StatusOf(ctx context.Context, tables []string) (*Status, error) {
	doing := "status of " + m.contextID
	if err := m.CheckNames("status", tables); err != nil {
		return nil, err
	}
	all, err := m.store.Tables(ctx)
	if err != nil {
		return nil, store.WrapError(ctx, err, doing)
	}
	st := &Status{ContextID: m.contextID, Time: m.clock.Now().UTC(), MetadataTable: m.names.Table}
	md, err := m.readMetadata(ctx, m.store, all)
	if errors.Is(err, ErrWrongDatabase) {
		return nil, store.WrapError(ctx, err, doing)
	}
	if st.State, err = stateWithout(err); err != nil {
		return nil, store.WrapError(ctx, err, doing)
	}
	var failed error
	for _, name := range tables {
		ts, err := m.statusOf(ctx, md, all, name)
		if err == nil {
			st.Tables = append(st.Tables, ts)
			continue
		}
		if failed == nil || store.IsTransient(failed) && !store.IsTransient(err) {
			failed = store.WrapError(ctx, fmt.Errorf("%s: %w", text.Name(name), err), doing)
		}
	}
	return st, failed
}

func (m *Mirror) statusOf(ctx context.Context, md *metadata.Table, all []store.Table, name string) (TableStatus, error) {
	t, ok, err := findTable(all, name)
	if err != nil {
		return TableStatus{}, err
	}
	if ok {
		rows, err := m.store.Count(ctx, t)
		if err == nil {
			ts := tableStatus(md, t, rows)
			ts.Table = name
			if doubt := md.Doubt(t); doubt != "" {
				ts.State, ts.Reason = TableInvalid, doubt
			}
			return ts, nil
		}
		if !errors.Is(err, store.ErrTableNotFound) { // dropped since the catalogue was read
			return TableStatus{}, err
		}
	}
	ts := tableStatus(md, store.Table{Name: name}, 0)
	ts.State = TableAbsent
	return ts, nil
}

// CheckNames refuses, without looking at the database, names that can only mean the
// metadata table: an *Error with store.ErrTableNotFound, of the operation op.
func (m *Mirror) CheckNames(op string, tables []string) error {
	refused := &Error{Op: op, ContextID: m.contextID, Err: store.ErrTableNotFound}
	for _, name := range tables {
		if m.meansMetadata(name) {
			refused.Tables = append(refused.Tables, m.unknownTable(name, nil, "no cycle populates it", ""))
		}
	}
	return refused.orNil()
}

// tableStatus decides the state of a table that exists.
func tableStatus(md *metadata.Table, t store.Table, rows int64) TableStatus {
	ts := TableStatus{Table: t.Name, Rows: rows}
	r, err := md.Row(t)
	switch {
	case err != nil:
		ts.State, ts.Reason = TableInvalid, err.Error()
		return ts
	case r == nil:
		ts.State = TableNoMetadata
		return ts
	}
	ts.LSN = r.LSN
	switch {
	case r.Problem != "":
		ts.State, ts.Reason = TableInvalid, r.Problem+": reset it"
	case r.LSN == nil:
		ts.State, ts.Reason = TableInvalid, "its LSN is NULL: reset it"
	case *r.LSN < store.ResendAll:
		ts.State, ts.Reason = TableInvalid, "its LSN is neither -1 nor a version: reset it"
	case *r.LSN != store.ResendAll:
		ts.State = TableSynced
	default:
		ts.State = TableResetRequested
	}
	return ts
}

// Err wraps ErrWrongDatabase when this is hardly the mirror that is meant, and is nil
// otherwise: a database without this customer's metadata table that has another
// customer's, or is the customer's own by its tables, and one that lacks at least a
// quarter of the tables that the metadata table lists, and at least 3.
func (s *Status) Err() error {
	if err := wrong(s.Mistakes); err != nil {
		return fmt.Errorf("status of %s: %w", s.ContextID, err)
	}
	return nil
}

// String returns the text that WriteText writes.
func (s *Status) String() string { return text.Of(s) }

// WriteJSON writes the status as indented JSON.
func (s *Status) WriteJSON(w io.Writer) error { return text.WriteJSON(w, s) }

// WriteText writes the status as aligned text.
func (s *Status) WriteText(w io.Writer) error {
	var g text.Grid
	g.Row("TABLE", "STATE", "ROWS", "LSN", "")
	for _, t := range s.Tables {
		g.Row(t.Table, string(t.State), text.Count(t.Rows), store.FormatLSN(t.LSN), t.Reason)
	}
	note := ": " + text.Printable(string(s.State))
	if s.State == MirrorHasMetadata {
		note = ""
	}
	if s.State == MirrorAwaitingFirstCycle && s.Mistakes == nil {
		note += fmt.Sprintf(" (no table %s: the next cycle creates it and populates everything)", text.Printable(s.MetadataTable))
	}
	if s.State == MirrorReplica {
		note += " of the newer client (no LSN: its own program re-synchronizes tables)"
	}
	warnings := ""
	for _, mistake := range s.Mistakes {
		warnings += "Wrong database: " + text.Printable(mistake) + "\n"
	}
	for _, warning := range s.Warnings {
		warnings += "Warning: " + text.Printable(warning) + "\n"
	}
	_, err := fmt.Fprintf(w, "Mirror of %s%s\n%s%s", text.Printable(s.ContextID), note, warnings, g.Text("  ", "lrr"))
	return err
}
