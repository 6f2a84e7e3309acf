package sqlite

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/jmoiron/sqlx"

	"github.com/so-mirror/mirror/store"
)

// file is what is known of a database.
type file struct {
	asked atomic.Bool
	utf8  atomic.Bool   // text is in the order of code points
	units atomic.Uint32 // the encoding, if it is one of 16 bits: see wide

	mu    sync.Mutex
	known map[knownBy]*spellings
}

// prepare asks once in which encoding text is stored, which is fixed with the
// first table. As long as there is no answer text is ordered as in UTF-16, which
// is right and slow; whatever failed fails what is asked next, too.
func (f *file) prepare(ctx context.Context, q sqlx.QueryerContext) error {
	if f.asked.Load() {
		return nil
	}
	var text struct {
		Encoding string
		Tables   bool
	}
	err := sqlx.GetContext(ctx, q, &text, "SELECT encoding, EXISTS (SELECT 1 FROM sqlite_schema) AS tables FROM pragma_encoding")
	if err == nil {
		f.utf8.Store(text.Encoding == "UTF-8")
		if text.Tables {
			f.units.Store(uint32(wides[text.Encoding]))
			f.asked.Store(true)
		}
	}
	return nil
}

// knownBy is a connection of the driver, and the name by which it knows a file.
type knownBy struct{ conn, schema any }

// spellings is what one connection found out, and the state of the database
// that it found it in: what SQLite counts of its own changes, of those of
// others, and of changes of the schema.
type spellings struct {
	state  string
	tables map[string]bool
}

// maxKnown bounds how many connections are remembered.
const maxKnown = 64

// plain reports whether all times in columns of a table are stored by the one
// layout of their type, so that they are in order as text, and columns of types
// that are no text hold none. A table is looked
// through once for each state of the database.
func (f *file) plain(ctx context.Context, conn *sqlx.Conn, table string, types []store.Type, columns []string) (bool, error) {
	schema, _, _ := strings.Cut(table, ".") // of this package
	id := knownBy{schema: schema}
	if err := conn.Raw(func(dc any) error { id.conn = dc; return nil }); err != nil {
		return false, err
	}
	state, err := stateOf(ctx, conn, schema)
	if err != nil {
		return false, err
	}
	name := table + " " + strings.Join(columns, " ")
	f.mu.Lock()
	known := f.known[id]
	if known != nil && known.state == state {
		if plain, ok := known.tables[name]; ok {
			f.mu.Unlock()
			return plain, nil
		}
	}
	f.mu.Unlock()

	conditions := make([]string, len(columns))
	for i, c := range columns {
		switch types[i].Kind() {
		case store.KindTime, store.KindTimeOfDay:
			conditions[i] = fmt.Sprintf("NOT %s('%s', %s)", spelledFunction, timeLayout(types[i]), c)
		default:
			conditions[i] = fmt.Sprintf("typeof(%s) = 'text'", c)
		}
	}
	var odd int
	query := fmt.Sprintf("SELECT EXISTS (SELECT 1 FROM %s WHERE %s)", table, strings.Join(conditions, " OR "))
	if err := conn.GetContext(ctx, &odd, query); err != nil {
		return false, err
	}

	f.mu.Lock()
	defer f.mu.Unlock()
	if known = f.known[id]; known == nil || known.state != state {
		if len(f.known) >= maxKnown || f.known == nil {
			f.known = map[knownBy]*spellings{}
		}
		known = &spellings{state: state, tables: map[string]bool{}}
		f.known[id] = known
	}
	known.tables[name] = odd == 0
	return odd == 0, nil
}

// stateOf returns the state in which a connection sees a file.
func stateOf(ctx context.Context, conn *sqlx.Conn, schema string) (state string, err error) {
	for _, query := range []string{"SELECT total_changes()", "PRAGMA " + schema + ".data_version", "PRAGMA " + schema + ".schema_version"} {
		var n int64
		if err := conn.GetContext(ctx, &n, query); err != nil {
			return "", err
		}
		state += fmt.Sprint(n, " ")
	}
	return state, nil
}
