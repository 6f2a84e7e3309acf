package sqlstore

import (
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/so-mirror/mirror/store"
)

// replacement is what drivers put in the place of what is no text.
const replacement = string(utf8.RuneError)

// errInexact says that a text came with a replacement character.
var errInexact = errors.New("text that the driver cannot deliver")

// exactly prepares columns with Codec.Exact. They are read by it when it is
// known that this is needed, and when the reading could not be taken up in the
// middle: it has no key, or does not read it.
func (r *reader) exactly(q store.Query, exact bool) {
	if !slices.ContainsFunc(r.cols, func(c column) bool { return c.Exact != nil }) {
		return
	}
	r.tail = newTail(q, r.cols)
	if r.tail != nil && !exact {
		return
	}
	r.tail = nil
	for i := range r.cols {
		c := &r.cols[i]
		if c.Exact == nil {
			continue
		}
		c.Select, c.Decode, c.Exact = c.Exact.Select, c.Exact.Decode, nil
		if slices.Contains(q.Key, c.Name) {
			r.texts = append(r.texts, i)
		}
	}
}

// checkKey refuses a key that is no text: code points order keys, and half a
// surrogate pair is none.
func (r *reader) checkKey(row store.Row) error {
	for _, i := range r.texts {
		if v, ok := row[i].(string); ok && !utf8.ValidString(v) {
			return fmt.Errorf("column %s: the key %q holds half a surrogate pair, which has no place in the order of keys: %w",
				r.cols[i].Name, v[:min(len(v), 60)], errors.ErrUnsupported)
		}
	}
	return nil
}

// tail is what a reading handed over of the last key: the rows that another one,
// which begins with that key, has to leave out.
type tail struct {
	key       []store.Column
	at        []int // the key's columns in a row
	types     []store.Type
	unique    bool // a key is one row
	rows      []store.Row
	lost      bool  // there were more than maxTail
	delivered int64 // rows in all
}

// maxTail is how many rows of one key are remembered.
const maxTail = 10_000

// newTail returns nil when rows do not hold the key.
func newTail(q store.Query, cols []column) *tail {
	t := &tail{unique: len(q.Table.Key) > 0}
	for _, name := range q.Key {
		i := slices.IndexFunc(cols, func(c column) bool { return c.Name == name })
		if i < 0 {
			return nil
		}
		t.key, t.at = append(t.key, cols[i].Column), append(t.at, i)
	}
	if len(t.key) == 0 {
		return nil
	}
	for _, name := range q.Table.Key {
		t.unique = t.unique && slices.Contains(q.Key, name)
	}
	for _, c := range cols {
		t.types = append(t.types, c.Type)
	}
	return t
}

func (t *tail) keyOf(row store.Row) store.Row {
	key := make(store.Row, len(t.at))
	for i, at := range t.at {
		key[i] = row[at]
	}
	return key
}

func (t *tail) sameKey(a, b store.Row) bool {
	for i, at := range t.at {
		if store.CompareKeys(t.key[i:i+1], a[at:at+1], b[at:at+1]) != 0 {
			return false
		}
	}
	return true
}

// add takes note of a batch.
func (t *tail) add(batch []store.Row) {
	t.delivered += int64(len(batch))
	first := len(batch) - 1
	for first > 0 && !t.unique && t.sameKey(batch[first-1], batch[first]) {
		first--
	}
	if first > 0 || len(t.rows) == 0 || t.unique || !t.sameKey(t.rows[0], batch[0]) {
		t.rows, t.lost = t.rows[:0], false
	}
	for _, row := range batch[first:] {
		if len(t.rows) == maxTail {
			t.lost = true
			return
		}
		t.rows = append(t.rows, row.Clone())
	}
}

// take reports whether a row was handed over already.
func (t *tail) take(row store.Row) bool {
	if len(t.rows) == 0 {
		return false
	}
	if !t.sameKey(t.rows[0], row) {
		t.rows = nil
		return false
	}
	i := slices.IndexFunc(t.rows, func(known store.Row) bool {
		for i, typ := range t.types {
			if !t.unique && !store.EqualValues(typ, typ, known[i], row[i]) {
				return false
			}
		}
		return true
	})
	if i < 0 {
		return false
	}
	t.rows = slices.Delete(t.rows, i, i+1)
	return true
}

// rest returns what is left to read of q and its keys, and what of it to leave
// out.
func (r *reader) rest(q store.Query, keys []store.Row) (store.Query, []store.Row, *tail, error) {
	t := r.tail
	if t.delivered == 0 {
		return q, keys, nil, nil
	}
	if t.lost {
		return q, keys, nil, fmt.Errorf("%w, after more than %d rows with one key: read the table again", errInexact, maxTail)
	}
	last := t.keyOf(t.rows[0])
	if keys != nil {
		for len(keys) > 1 && store.CompareKeys(t.key, keys[0], last) < 0 {
			keys = keys[1:]
		}
		return q, keys, t, nil
	}
	q.From = last
	if q.Limit > 0 {
		q.Limit += int64(len(t.rows)) - t.delivered
	}
	return q, keys, t, nil
}
