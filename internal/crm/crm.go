// Package crm makes realistic SuperOffice tables and rows for tests,
// benchmarks and examples. A row is computed from the options, the table's
// name and the row's number alone: two databases made alike are equal, and
// millions of rows need no memory.
package crm

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"

	"github.com/so-mirror/mirror/store"
)

// Options say how much data there is. The zero value of each field is its
// default.
type Options struct {
	// Seed chooses among databases of the same size. Default: 0.
	Seed uint64

	// Contacts is the number of rows of table contact. The other tables grow
	// with it in the proportions of a CRM database; lists such as country
	// stay as they are. Default: 1,000.
	Contacts int

	// Counts sets the number of rows of single tables, 0 included, under one
	// spelling of each name. Default: in proportion to Contacts.
	Counts map[string]int

	// Schema is the schema prefix of the tables that Load creates, such as
	// "crm7". It has no influence on the rows. Default: none.
	Schema string
}

// size is the number of rows of a table: per thousand contacts, but at least
// least and, when most is not 0, at most most.
type size struct{ perMille, least, most int }

var sizes = map[string]size{
	"contact":              {perMille: 1000},
	"person":               {perMille: 2500},
	"address":              {perMille: 1300},
	"associate":            {perMille: 10, least: 3},
	"appointment":          {perMille: 4000},
	"sale":                 {perMille: 400},
	"project":              {perMille: 50, least: 1},
	"projectmember":        {perMille: 200},
	"document":             {perMille: 700},
	"email":                {perMille: 2000},
	"phone":                {perMille: 3000},
	"text":                 {perMille: 600},
	"ticket":               {perMille: 800},
	"ej_message":           {perMille: 1600},
	"selectionmember":      {perMille: 1500},
	"category":             {least: len(categories)},
	"business":             {least: len(businesses)},
	"country":              {least: len(countries)},
	"udpersonsmall":        {perMille: 500},
	"salehist":             {},
	"binaryobject":         {perMille: 50, least: 1, most: 500}, // up to 64 kB each
	"traveltransactionlog": {perMille: 1000},
}

// Rows returns the number of rows of a table, whose name is found as
// [store.FoldName] folds names. It is 0 for a table that is not in Tables.
func (o Options) Rows(table string) int {
	name := store.FoldName(table)
	for t, n := range o.Counts {
		if store.FoldName(t) == name {
			return max(n, 0)
		}
	}
	contacts := o.Contacts
	if contacts == 0 {
		contacts = 1000
	}
	s, ok := sizes[name]
	if !ok {
		return 0
	}
	n := max(contacts, 0)*s.perMille/1000 + s.least*btoi(s.perMille == 0)
	n = max(n, s.least)
	if s.most > 0 {
		n = min(n, s.most)
	}
	return n
}

//go:embed schema.tsv
var schemaTSV string

// schemaColumn is what the vendor's documentation says about a column.
type schemaColumn struct {
	name   string
	soType string
	key    bool
}

type schema struct {
	tables  []store.Table
	columns map[string]map[string]schemaColumn // by folded names
}

var parsedSchema = sync.OnceValue(parseSchema)

// parseSchema panics on a malformed file: it is part of the program.
func parseSchema() schema {
	s := schema{columns: map[string]map[string]schemaColumn{}}
	lines := strings.Split(strings.TrimSpace(schemaTSV), "\n")
	for _, line := range lines[1:] {
		f := strings.Split(line, "\t")
		table, column, soType, sqlType, null, pk := f[0], f[2], f[3], f[4], f[5] == "1", f[6] == "1"
		folded := store.FoldName(table)
		if s.columns[folded] == nil {
			s.columns[folded] = map[string]schemaColumn{}
			s.tables = append(s.tables, store.Table{Name: table})
		}
		s.columns[folded][store.FoldName(column)] = schemaColumn{name: column, soType: soType, key: pk}
		t := &s.tables[len(s.tables)-1]
		t.Columns = append(t.Columns, store.Column{Name: column, Type: store.MustType(sqlType), Nullable: null})
		if pk {
			t.Key = append(t.Key, column)
		}
	}
	return s
}

// Tables returns all tables, contact first, in the vendor's spelling and
// without a schema prefix. The caller may change what it gets.
func Tables() []store.Table {
	tables := slices.Clone(parsedSchema().tables)
	for i := range tables {
		tables[i].Columns = slices.Clone(tables[i].Columns)
		tables[i].Key = slices.Clone(tables[i].Key)
	}
	return tables
}

// Table returns the table of that name, found as [store.FoldName] folds names.
func Table(name string) (store.Table, bool) {
	for _, t := range Tables() {
		if store.FoldName(t.Name) == store.FoldName(name) {
			return t, true
		}
	}
	return store.Table{}, false
}

// Rows yields all rows of t in the order of their numbers, which is the order
// of their keys. A row is the caller's to keep. See [NewGenerator] for t.
func Rows(t store.Table, opts Options) iter.Seq[store.Row] {
	return NewGenerator(t, opts).All()
}

// Row returns row i of t, counted from 0. Use a [Generator] for many rows.
func Row(t store.Table, i int, opts Options) store.Row {
	return NewGenerator(t, opts).Row(i)
}

// An Update inserts in chunks of at most that many rows or, roughly, bytes.
const (
	chunkRows  = 500
	chunkBytes = 1 << 20
)

// Load creates the named tables in store and inserts their rows, one Update
// for each table. No names means all tables. It holds one chunk of rows in
// memory, about 1 MB. A name that is not in Tables is
// [store.ErrTableNotFound], and nothing is created.
func Load(ctx context.Context, st store.Store, opts Options, names ...string) error {
	tables := Tables()
	if len(names) > 0 {
		tables = tables[:0]
		for _, name := range names {
			t, ok := Table(name)
			if !ok {
				return fmt.Errorf("load table %q: %w", name, store.ErrTableNotFound)
			}
			tables = append(tables, t)
		}
	}
	for _, t := range tables {
		t.Schema = opts.Schema
		err := st.Update(ctx, func(tx store.Tx) error { return fill(ctx, tx, t, opts) })
		if cerr := ctx.Err(); cerr != nil && errors.Is(err, cerr) {
			return cerr
		}
		if err != nil {
			return fmt.Errorf("load table %s: %w", t, err)
		}
	}
	return nil
}

func fill(ctx context.Context, tx store.Tx, t store.Table, opts Options) error {
	if err := tx.Create(ctx, t); err != nil {
		return err
	}
	columns := t.ColumnNames()
	var chunk []store.Row
	size := 0
	insert := func() error {
		if len(chunk) == 0 {
			return nil
		}
		err := tx.Insert(ctx, t, columns, chunk)
		chunk, size = nil, 0 // a store in memory may keep what it was given
		return err
	}
	for row := range Rows(t, opts) {
		chunk = append(chunk, row)
		size += rowSize(row)
		if len(chunk) == chunkRows || size >= chunkBytes {
			if err := insert(); err != nil {
				return err
			}
		}
	}
	return insert()
}

func rowSize(row store.Row) int {
	n := 8 * len(row)
	for _, v := range row {
		switch x := v.(type) {
		case string:
			n += len(x)
		case []byte:
			n += len(x)
		}
	}
	return n
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
