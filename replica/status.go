package replica

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/so-mirror/mirror/internal/diff"
	"github.com/so-mirror/mirror/internal/metadata"
	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/store"
)

// Life says whether something was seen to happen in a replica.
type Life string

// The signs of life.
const (
	Moves       Life = "moves"   // offsets, or numbers of rows, are others than before
	Still       Life = "still"   // nothing moved, which a quiet customer can be the reason of
	LifeUnknown Life = "unknown" // nothing was read before, or what was read cannot be compared
)

// Status is what a replica's database says about itself, and what moved since an
// earlier Status.
type Status struct {
	Time    time.Time `json:"time"`
	Replica Side      `json:"replica"`

	// State is what the replica's own state tells. Its Moves is 1 when the offsets
	// are others than in the earlier Status.
	State State `json:"state"`

	// Since is the time of the earlier Status, zero without one. Life is what moved
	// since, LifeReason says by what it is known.
	Since      time.Time `json:"since,omitzero"`
	Life       Life      `json:"life"`
	LifeReason string    `json:"lifeReason"`

	// Tables are sorted by name.
	Tables []TableStatus `json:"tables"`
}

// TableStatus is one table of a [Status].
type TableStatus struct {
	Table string `json:"table"` // with its schema

	// Rows is how many there are, nil when they could not be counted; Unknown says
	// why.
	Rows    *int64 `json:"rows"`
	Unknown string `json:"unknown,omitempty"`

	// Change is how many rows more or, below 0, fewer there are than in the earlier
	// Status; nil when that is not known. At 0 rows may have changed all the same.
	Change *int64 `json:"change"`
}

// statusFields are those of a Status, statusJSON is its JSON form.
type (
	statusFields Status
	statusJSON   struct {
		statusFields
		Mark string `json:"mark,omitempty"` // State.sum
	}
)

// MarshalJSON returns the fields, and what the next StatusOf needs to see the
// offsets move.
func (s Status) MarshalJSON() ([]byte, error) {
	return json.Marshal(statusJSON{statusFields(s), s.State.sum})
}

// UnmarshalJSON parses what MarshalJSON returns.
func (s *Status) UnmarshalJSON(data []byte) error {
	var j statusJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return err
	}
	*s = Status(j.statusFields)
	s.State.sum = j.Mark
	return nil
}

// StatusOf reads the state of a replica and counts the rows of its tables. Before is
// an earlier Status of the same replica, or nil; it tells what moved since. Of opts
// only State, ContextID and Clock count; nil means their defaults.
//
// What cannot be read is unknown, and no error. It is mirror.ErrWrongDatabase when
// the database is an old mirror, of another customer than opts say, or another one
// than before.
func StatusOf(ctx context.Context, replica store.Source, before *Status, opts *Options) (*Status, error) {
	if replica == nil {
		return nil, errors.New("status of a replica: the source is nil: pass the replica")
	}
	var o Options
	if opts != nil {
		o = *opts
	}
	if o.Clock == nil {
		o.Clock = diff.SystemClock{}
	}
	s := &Status{Time: o.Clock.Now().UTC(), Life: LifeUnknown}
	if err := s.read(ctx, replica, before, &o); err != nil {
		return nil, store.WrapError(ctx, err, "status of a replica")
	}
	s.compare(before)
	return s, nil
}

func (s *Status) read(ctx context.Context, replica store.Source, before *Status, o *Options) error {
	tables, err := replica.Tables(ctx)
	if err != nil {
		return err
	}
	if s.Replica.Identity, err = store.IdentityOf(ctx, replica); err != nil {
		return err
	}
	if before != nil && before.Replica.ID != "" && s.Replica.ID != "" && before.Replica.ID != s.Replica.ID {
		return wrongDatabase("the earlier status is of another database, %s", text.Printable(before.Replica.Database))
	}
	source, in := replica, tables
	if o.State != nil {
		source = o.State
		if in, err = source.Tables(ctx); err != nil {
			return fmt.Errorf("state: %w", err)
		}
	}
	state := newStateReader(source, in)
	if before != nil {
		state.sum = before.State.sum
	}
	state.look(ctx)
	s.State = state.State
	if state.table != nil {
		s.Replica.Role, s.Replica.ContextID = roleReplica, state.contextID()
	} else {
		s.Replica.Role = roleUnknown
		if c := (metadata.Names{ContextID: o.ContextID}.WithDefaults()).Contents(tables, nil); c.Own != nil || len(c.Others) > 0 {
			return wrongDatabase("it is an old mirror: its status is that of mirror.New")
		}
	}
	if is := s.Replica.ContextID; is != "" && o.ContextID != "" && store.FoldName(is) != store.FoldName(o.ContextID) {
		return wrongDatabase("the replica's offsets are of %q, not of %q", text.Name(is), text.Name(o.ContextID))
	}
	for _, t := range tables {
		if isNoData(t.Name) {
			continue
		}
		ts := TableStatus{Table: t.String()}
		if rows, err := replica.Count(ctx, t); err == nil {
			ts.Rows = &rows
		} else {
			ts.Unknown = text.Err(err).Error()
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		s.Tables = append(s.Tables, ts)
	}
	slices.SortFunc(s.Tables, func(a, b TableStatus) int { return strings.Compare(store.FoldName(a.Table), store.FoldName(b.Table)) })
	return ctx.Err()
}

// compare tells what moved since an earlier Status.
func (s *Status) compare(before *Status) {
	if before == nil {
		s.LifeReason = "there is no earlier status to compare with"
		return
	}
	s.Since = before.Time
	rows := map[string]*int64{}
	for _, t := range before.Tables {
		rows[store.FoldName(t.Table)] = t.Rows
	}
	changed, compared := 0, 0
	for i := range s.Tables {
		t := &s.Tables[i]
		was := rows[store.FoldName(t.Table)]
		if was == nil || t.Rows == nil {
			continue
		}
		compared++
		change := *t.Rows - *was
		if t.Change = &change; change != 0 {
			changed++
		}
	}
	switch {
	case s.State.Moves > 0:
		s.Life, s.LifeReason = Moves, "its offsets moved"
	case changed > 0:
		s.Life, s.LifeReason = Moves, tablesOf(changed)+" with another number of rows"
	case s.State.Unknown != "":
		s.LifeReason = s.State.Unknown
	case before.State.sum == "":
		s.LifeReason = "the earlier status does not know the offsets"
	default:
		s.Life, s.LifeReason = Still, fmt.Sprintf("its offsets and the numbers of rows of %s are as before", tablesOf(compared))
	}
}

// WriteJSON writes the status as indented JSON.
func (s *Status) WriteJSON(w io.Writer) error { return text.WriteJSON(w, s) }

// String returns what WriteText writes.
func (s *Status) String() string { return text.Of(s) }

// WriteText writes the status for people.
func (s *Status) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", s.Replica)
	fmt.Fprintf(&b, "Life:    %s: %s", s.Life, text.Printable(s.LifeReason))
	if !s.Since.IsZero() {
		fmt.Fprintf(&b, " (since %s)", s.Since.UTC().Format("2006-01-02 15:04:05 MST"))
	}
	b.WriteString("\n")
	switch {
	case s.State.Unknown != "":
		fmt.Fprintf(&b, "Offsets: unknown: %s\n", text.Printable(s.State.Unknown))
	case len(s.State.Offsets) == 0:
		b.WriteString("Offsets: not shown, because they are not spelled as the client is known to spell them\n")
	default:
		fmt.Fprintf(&b, "Offsets: %s\n", list(s.State.Offsets))
	}
	if s.State.Table != "" {
		read := "none"
		if len(s.State.Columns) > 0 {
			read = list(s.State.Columns)
		}
		fmt.Fprintf(&b, "State:   %s, columns read: %s; not read: %d\n", text.Printable(s.State.Table), read, s.State.NotRead)
	}
	var g text.Grid
	g.Row("TABLE", "ROWS", "CHANGE", "")
	for _, t := range s.Tables {
		rows, change := "unknown", "unknown"
		if t.Rows != nil {
			rows = text.Count(*t.Rows)
		}
		if t.Change != nil {
			if change = text.Count(*t.Change); *t.Change > 0 {
				change = "+" + change
			}
		}
		g.Row(text.Name(t.Table), rows, change, t.Unknown)
	}
	if g.Len() > 1 {
		b.WriteString(g.Text("  ", "rr"))
	}
	fmt.Fprintf(&b, "Read: %s\n", s.Time.UTC().Format("2006-01-02 15:04:05 MST"))
	_, err := io.WriteString(w, b.String())
	return err
}
