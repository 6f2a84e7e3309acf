// Package cycle simulates what fills a copy of a customer's database, on any pair
// of stores: a [Task] plays one cycle of the vendor's Mirroring Task, a [Replica]
// one commit interval of its newer client. With it a test or an example shows what
// a reset or a re-synchronization does without a vendor, a server or a wait of 20
// minutes.
package cycle

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/so-mirror/mirror/internal/superoffice"
	"github.com/so-mirror/mirror/store"
)

// ErrInterrupted is what Run returns when it stopped at Task.FailAfterBatches.
var ErrInterrupted = errors.New("cycle interrupted")

// ErrMetadata: a column of the metadata table is missing, or a table has several
// rows.
var ErrMetadata = errors.New("unexpected metadata table")

// DefaultBatchSize is the vendor's preference BatchSize, in bytes.
const DefaultBatchSize = 1_000_000

// Task is a simulated Mirroring Task. Customer and Mirror are required. No two
// cycles of one customer may run at once.
type Task struct {
	Customer *Customer
	Mirror   store.Store

	// BatchSize is the estimated size in bytes from which a batch is sent.
	// Default: DefaultBatchSize.
	BatchSize int

	// SkipTables are tables that are not sent, besides the blocked ones: the
	// customer's preference SkipTable. Default: none.
	SkipTables []string

	// Literal plays a task that does no more than the vendor's documentation
	// promises. A table that is there keeps its columns and its key unless the
	// source's changed, as the schema hash of its metadata row tells; one that
	// was gone is created empty and keeps its LSN; and one that was quiet is not
	// sent although its LSN is older than the tracked changes. Default: all of
	// that is noticed, and sent.
	Literal bool

	// MetadataTable is the name of the metadata table.
	// Default: "<context identifier>_mirroring".
	MetadataTable string

	// TableColumn and LSNColumn are the metadata table's columns.
	// Default: "tablename" and "LSN".
	TableColumn, LSNColumn string

	// Progress is called after each batch with the number of rows of the
	// table sent so far. Default: no progress.
	Progress func(table string, rows int64)

	// BeforeCommit is called before each batch is written, outside of any
	// transaction; last is true for the one that carries the LSN. It may
	// write to the mirror, so that a test can play a reset that the cycle
	// overtakes. The last batch of a table is written when reading has
	// ended, the others while rows of the customer's table are being read.
	BeforeCommit func(table string, last bool)

	// FailAfterBatches makes Run stop with ErrInterrupted in place of the
	// batch after so many. What was committed stays. Default: never.
	FailAfterBatches int
}

// Run plays one cycle: it creates, alters and drops tables of the mirror as
// the customer's are, and sends each table whole or by its changes since the
// LSN. Of the mirror's tables it drops only those that the metadata table
// names. A table whose columns or primary key changed is dropped and created
// anew; defaults alone do not count. Computed columns, rowversion, and columns
// without a SQL Server type are not mirrored.
//
// The Result is never nil; with an error it holds the tables that were
// finished. A metadata table that cannot be used is ErrMetadata.
func (t *Task) Run(ctx context.Context) (*Result, error) {
	r := &run{
		task:   t,
		result: &Result{ContextID: t.Customer.ContextID()},
		size:   t.BatchSize,
	}
	if r.size <= 0 {
		r.size = DefaultBatchSize
	}
	r.names = names{table: t.MetadataTable, tableColumn: t.TableColumn, lsnColumn: t.LSNColumn}
	if r.names.table == "" {
		r.names.table = superoffice.MetadataTable(t.Customer.ContextID())
	}
	if r.names.tableColumn == "" {
		r.names.tableColumn = "tablename"
	}
	if r.names.lsnColumn == "" {
		r.names.lsnColumn = "LSN"
	}
	r.unsent = map[string]bool{store.FoldName(r.names.table): true}
	for name := range superoffice.Blocked() {
		r.unsent[name] = true
	}
	for _, name := range t.SkipTables {
		r.unsent[store.FoldName(strings.TrimSpace(name))] = true
	}
	err := r.run(ctx)
	slices.SortStableFunc(r.result.Tables, func(a, b TableResult) int { return strings.Compare(a.Table, b.Table) })
	return r.result, err
}

type names struct{ table, tableColumn, lsnColumn string }

// run is one cycle.
type run struct {
	task    *Task
	result  *Result
	size    int
	names   names
	unsent  map[string]bool // folded names of tables that are never sent
	meta    metadata
	tables  map[string]store.Table // the mirror's, by folded name
	batches int
}

func (r *run) run(ctx context.Context) error {
	source, err := r.task.Customer.Tables(ctx)
	if err != nil {
		return store.WrapError(ctx, err, "list the customer's tables")
	}
	source = slices.DeleteFunc(slices.Clone(source), func(t store.Table) bool {
		return r.unsent[store.FoldName(t.Name)]
	})
	slices.SortFunc(source, func(a, b store.Table) int { return strings.Compare(a.Name, b.Name) })
	if err := r.openMetadata(ctx); err != nil {
		return err
	}
	results, err := r.alter(ctx, source)
	if err != nil {
		return err
	}
	for i, t := range source {
		if err := r.send(ctx, t, &results[i]); err != nil {
			return store.WrapError(ctx, err, "mirror "+t.Name)
		}
		r.result.Tables = append(r.result.Tables, results[i])
	}
	return nil
}

// listMirror reads the mirror's catalogue.
func (r *run) listMirror(ctx context.Context) error {
	all, err := r.task.Mirror.Tables(ctx)
	if err != nil {
		return store.WrapError(ctx, err, "list the mirror's tables")
	}
	r.tables = make(map[string]store.Table, len(all))
	for _, t := range all {
		if folded := store.FoldName(t.Name); r.tables[folded].Name == "" {
			r.tables[folded] = t
		}
	}
	return nil
}

// alter makes the mirror's tables what the customer's are and returns the
// beginning of each result.
func (r *run) alter(ctx context.Context, source []store.Table) ([]TableResult, error) {
	rows, err := r.readMetadata(ctx)
	if err != nil {
		return nil, err
	}
	results := make([]TableResult, len(source))
	seen := make(map[string]bool, len(source))
	altered := false
	for i, t := range source {
		folded := store.FoldName(t.Name)
		if seen[folded] {
			return nil, fmt.Errorf("the customer has two tables named %q", t.Name)
		}
		seen[folded] = true
		res := &results[i]
		res.Table = t.Name
		res.Before = rows[folded].value()
		want := mirrored(t)
		if len(want.Columns) == 0 {
			return nil, fmt.Errorf("table %s has no column that can be mirrored", t)
		}
		for _, name := range t.Key {
			if _, ok := want.Column(name); !ok {
				return nil, fmt.Errorf("table %s: column %s of the primary key cannot be mirrored", t, name)
			}
		}
		old, exists := r.tables[folded]
		row := rows[folded]
		known := r.task.Literal && (row.hash == schemaHash(want) || row.name == "" && exists) && hasKey(want, old, exists)
		if !exists {
			res.Action, res.Reason = Created, "it was not in the mirror"
		} else {
			why := difference(want, old)
			if why == "" || known {
				continue
			}
			res.Action, res.Reason = Recreated, why+": dropped, created anew, repopulated"
		}
		altered = true
		err := r.task.Mirror.Update(ctx, func(tx store.Tx) error {
			if exists {
				if err := tx.Drop(ctx, old); err != nil {
					return err
				}
			}
			if err := tx.Create(ctx, want); err != nil || known {
				return err
			}
			return r.meta.invalidate(ctx, tx, rows[folded])
		})
		if err != nil {
			return nil, store.WrapError(ctx, err, "create "+t.Name+" in the mirror")
		}
	}
	dropped, err := r.dropGone(ctx, rows, seen)
	if err != nil {
		return nil, err
	}
	if altered || dropped {
		return results, r.listMirror(ctx)
	}
	return results, nil
}

// dropGone drops the tables that have a metadata row and that the customer, who
// has those of seen, no longer has. It reports whether there were any.
func (r *run) dropGone(ctx context.Context, rows map[string]metaRow, seen map[string]bool) (dropped bool, _ error) {
	for _, folded := range sortedKeys(rows) {
		if seen[folded] || r.unsent[folded] {
			continue
		}
		row := rows[folded]
		old, exists := r.tables[folded]
		dropped = true
		err := r.task.Mirror.Update(ctx, func(tx store.Tx) error {
			if exists {
				if err := tx.Drop(ctx, old); err != nil {
					return err
				}
			}
			_, err := tx.Delete(ctx, r.meta.table, []store.Cell{{Column: r.meta.name.Name, Value: row.name}})
			return err
		})
		if err != nil {
			return dropped, store.WrapError(ctx, err, "drop "+row.name+" from the mirror")
		}
		r.result.Tables = append(r.result.Tables, TableResult{
			Table: row.name, Action: Dropped, Reason: "the customer no longer has it",
			Before: row.value(), After: store.ResendAll,
		})
	}
	return dropped, nil
}

// hasKey reports whether a table that exists has the columns of the key.
func hasKey(want, old store.Table, exists bool) bool {
	return !exists || !slices.ContainsFunc(want.Key, func(name string) bool {
		_, ok := old.Column(name)
		return !ok
	})
}

// mirrored returns t as the mirror holds it.
func mirrored(t store.Table) store.Table {
	m := store.Table{Name: t.Name, Key: t.Key}
	for _, c := range t.Columns {
		inKey := slices.ContainsFunc(t.Key, func(name string) bool { return sameName(name, c.Name) })
		if _, err := store.ParseType(c.Type.String()); err != nil {
			continue
		}
		if (c.Generated || c.Type.Name == "rowversion") && !inKey {
			continue
		}
		c.Generated = false
		if !literal.MatchString(c.Default) {
			c.Default = "" // not for the mirror to evaluate: every value is sent
		}
		m.Columns = append(m.Columns, c)
	}
	return m
}

// literal matches the defaults that every Tx.Create takes.
var literal = regexp.MustCompile(`^[\s(]*([-+]?[0-9]+(\.[0-9]+)?|[Nn]?'([^']|'')*'|(?i:null))[\s)]*$`)

// difference says how the mirror's table differs from what it should be.
func difference(want, have store.Table) string {
	if !slices.EqualFunc(want.Key, have.Key, sameName) {
		return fmt.Sprintf("the primary key changed from (%s) to (%s)", strings.Join(have.Key, ", "), strings.Join(want.Key, ", "))
	}
	for _, w := range want.Columns {
		h, ok := have.Column(w.Name)
		switch {
		case !ok || h.Generated:
			return fmt.Sprintf("column %s was added", w.Name)
		case h.Type != w.Type:
			return fmt.Sprintf("column %s changed from %s to %s", w.Name, h.Type, w.Type)
		case h.Nullable != w.Nullable:
			return fmt.Sprintf("column %s changed whether it can be NULL", w.Name)
		}
	}
	for _, h := range have.Columns {
		if _, ok := want.Column(h.Name); !ok && !h.Generated {
			return fmt.Sprintf("column %s was removed", h.Name)
		}
	}
	return ""
}

// schemaHash identifies the columns and the key of a table.
func schemaHash(t store.Table) string {
	h := sha256.New()
	for _, c := range t.Columns {
		fmt.Fprintf(h, "%q %s %t %q\n", store.FoldName(c.Name), c.Type, c.Nullable, c.Default)
	}
	for _, name := range t.Key {
		fmt.Fprintf(h, "%q\n", store.FoldName(name))
	}
	return hex.EncodeToString(h.Sum(nil))
}
