package replica

import (
	"database/sql/driver"
	"slices"
	"time"

	"github.com/so-mirror/mirror/internal/diff"
	"github.com/so-mirror/mirror/internal/superoffice"
	"github.com/so-mirror/mirror/store"
)

// What is how a row of the replica differs from that of the reference.
type What string

// The ways in which rows differ.
const (
	// Missing: only the reference has the row.
	Missing What = "missing"

	// Extra: only the replica has the row.
	Extra What = "extra"

	// Older and Newer: by its stamps the row of the replica is older, or newer.
	Older What = "older"
	Newer What = "newer"

	// LargeNull and Placeholder: the stamps are the same, and the replica has NULL
	// or "__debezium_unavailable_value" in a column of unlimited length. A change
	// data capture does that with values that a change did not touch.
	LargeNull   What = "large-null"
	Placeholder What = "placeholder"

	// Rounded: the stamps are the same, and times differ by less than the rounding
	// of SQL Server's datetime to milliseconds.
	Rounded What = "rounded"

	// Changed: the stamps are the same, or there are none, and values differ.
	Changed What = "changed"

	// AfterBackup: the row of the replica was updated after Options.AsOf.
	AfterBackup What = "after-backup"
)

// rounding is the largest difference that rounding makes: a datetime of SQL
// Server has steps of 1/300 s, and each rounding is off by less than one of them.
const rounding = 5 * time.Millisecond

// counts reports whether rows that differ so have to be explained.
func (w What) counts(c *check) bool {
	return w != AfterBackup && (w != Rounded || !c.o.RoundedTimes)
}

// classify says how two rows of a key differ; a side without a row is nil.
func (t *table) classify(kind diff.Kind, reference, replica store.Row) difference {
	at, dated := t.written(replica)
	// A stamp can be cut to seconds.
	if dated && !t.c.o.AsOf.IsZero() && !at.Before(t.c.o.AsOf.Truncate(time.Second)) {
		return difference{what: AfterBackup}
	}
	switch kind {
	case diff.Missing:
		return difference{what: Missing}
	case diff.Extra, diff.Duplicate:
		return difference{what: Extra, dated: dated}
	}
	d := difference{what: t.newer(reference, replica), dated: dated}
	var what What
	for i := range t.plan.Source.Columns {
		s, m := t.plan.Source.Columns[i], t.plan.Mirror.Columns[i]
		if store.EqualValues(s.Type, m.Type, reference[i], replica[i]) {
			continue
		}
		d.columns = append(d.columns, m.Name)
		// Of several causes the gravest counts: another value explains nothing.
		what = gravest(what, valueClass(s, m, reference[i], replica[i]))
	}
	if d.what == "" {
		d.what = what
	}
	return d
}

// newer says by the stamps which row is newer, "" when they do not tell.
func (t *table) newer(reference, replica store.Row) What {
	for _, i := range t.stamps {
		s, m := t.plan.Source.Columns[i], t.plan.Mirror.Columns[i]
		if reference[i] == nil || replica[i] == nil || store.EqualValues(s.Type, m.Type, reference[i], replica[i]) ||
			isRounding(reference[i], replica[i]) {
			continue
		}
		if store.CompareValues(s.Type, m.Type, reference[i], replica[i]) > 0 {
			return Older
		}
		return Newer
	}
	return ""
}

// written says when a row was written, false when its stamps do not tell.
func (t *table) written(row store.Row) (time.Time, bool) {
	if row == nil {
		return time.Time{}, false
	}
	for _, i := range t.stamps {
		if at, ok := row[i].(time.Time); ok {
			return at, true
		}
	}
	return time.Time{}, false
}

// valueClass says how two values that differ do.
func valueClass(s, m store.Column, reference, replica driver.Value) What {
	switch {
	case isLarge(s.Type) || isLarge(m.Type):
		if text, ok := replica.(string); ok && text == superoffice.Unavailable {
			return Placeholder
		}
		if raw, ok := replica.([]byte); ok && string(raw) == superoffice.Unavailable {
			return Placeholder
		}
		if replica == nil {
			return LargeNull
		}
	case isRounding(reference, replica):
		return Rounded
	}
	return Changed
}

// gravest returns the class that explains least.
func gravest(a, b What) What {
	order := []What{"", Rounded, Placeholder, LargeNull, Changed}
	if slices.Index(order, a) > slices.Index(order, b) {
		return a
	}
	return b
}

func isRounding(a, b driver.Value) bool {
	x, ok := a.(time.Time)
	y, also := b.(time.Time)
	return ok && also && x.Sub(y).Abs() < rounding
}

// isLarge reports whether values of a type are of unlimited length.
func isLarge(t store.Type) bool {
	switch t.Name {
	case "text", "ntext", "image", "xml":
		return true
	default:
		return t.Length == store.MaxLength
	}
}
