// Package mirrortest holds the scenarios of the library's operations. Every
// store runs them, so that what holds for the fake holds for real SQL.
package mirrortest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store"
)

// ContextID is the customer of all scenarios.
const ContextID = "Cust10195"

// Open returns a Store of a database without tables that no one else uses.
type Open func(t testing.TB) store.Store

// Skip leaves out one scenario, named as its test is ("compare/identical"), or
// all scenarios of an area ("spellings"), and gives the reason to whoever reads
// the test's output.
type Skip struct{ Scenario, Reason string }

// Run runs all scenarios but those skipped.
func Run(t *testing.T, open Open, skips ...Skip) {
	run(t, open, open, skips,
		area{"status", statusScenarios()},
		area{"compare", compareScenarios()},
		area{"sides", sideScenarios()},
		area{"traps", trapScenarios()},
		area{"spellings", scenariosOf(spellings())},
		area{"reset", resetScenarios()},
		area{"hard reset", hardResetScenarios()},
		area{"undo", undoScenarios()},
		area{"databases", databaseScenarios()},
		area{"metadata", metadataScenarios()},
		area{"keep", keepScenarios()},
		area{"procedure", procedureScenarios()},
		area{"replica", replicaScenarios()},
	)
}

// RunTraps runs the traps with a source and a mirror that differ in more than
// their tables: in engine or collation.
func RunTraps(t *testing.T, source, mirror Open, skips ...Skip) {
	run(t, source, mirror, skips, area{"traps", trapScenarios()})
}

// area is a group of scenarios.
type area struct {
	name      string
	scenarios []scenario
}

func run(t *testing.T, source, open Open, skips []Skip, areas ...area) {
	known, reasons := map[string]bool{}, map[string]string{}
	for _, a := range areas {
		known[a.name] = true
		for _, s := range a.scenarios {
			known[a.name+"/"+s.name] = true
		}
	}
	for _, s := range skips {
		require.True(t, known[s.Scenario], "there is no scenario %q", s.Scenario)
		reasons[s.Scenario] = s.Reason
	}
	for _, a := range areas {
		t.Run(a.name, func(t *testing.T) {
			joins := &joins{}
			if reason := reasons[a.name]; reason != "" {
				t.Skip(reason)
			}
			for _, s := range a.scenarios {
				t.Run(s.name, func(t *testing.T) {
					if reason := reasons[a.name+"/"+s.name]; reason != "" {
						t.Skip(reason)
					}
					// Registered first, so that it runs after the stores are closed.
					ignore := goleak.IgnoreCurrent()
					// Pools are the caller's: a store never opens one.
					pools := goleak.IgnoreTopFunction("database/sql.(*DB).connectionOpener")
					t.Cleanup(func() { goleak.VerifyNone(t, ignore, pools) })
					joins.scenarios++
					s.run(&env{T: t, openSource: source, store: open(t), joins: joins})
				})
			}
			joins.require(t, a, source, open)
		})
	}
}

type scenario struct {
	name string
	run  func(t *env)
}

// env is what a scenario works with: a mirror's store, filled by the scenario.
type env struct {
	*testing.T
	openSource Open
	store      store.Store
	joins      *joins
}

// table is a table with its rows, as a scenario writes it down.
type table struct {
	name    string
	columns []store.Column
	key     []string
	rows    []store.Row
}

func col(name, typ string) store.Column {
	return store.Column{Name: name, Type: store.MustType(typ), Nullable: true}
}

func notNull(name, typ string) store.Column {
	return store.Column{Name: name, Type: store.MustType(typ)}
}

// contact is the table that most scenarios use.
func contact(rows ...store.Row) table {
	return table{
		name:    "contact",
		columns: []store.Column{notNull("contact_id", "int"), col("name", "nvarchar(219)"), col("updated", "datetime")},
		key:     []string{"contact_id"},
		rows:    rows,
	}
}

func person(rows ...store.Row) table {
	return table{
		name:    "person",
		columns: []store.Column{notNull("person_id", "int"), col("lastname", "nvarchar(99)")},
		key:     []string{"person_id"},
		rows:    rows,
	}
}

// metadata is the metadata table with a column that the library knows nothing
// about; lsns are pairs of a table's name and its LSN.
func metadata(lsns ...any) table {
	m := table{
		name:    mirror.MetadataTableName(ContextID),
		columns: []store.Column{notNull("tablename", "nvarchar(128)"), col("LSN", "bigint"), col("schemahash", "varbinary(32)")},
	}
	for i := 0; i < len(lsns); i += 2 {
		m.rows = append(m.rows, store.Row{lsns[i], lsns[i+1], []byte{0xff, 0x00, byte(i)}})
	}
	return m
}

var day = time.Date(2026, 2, 3, 4, 5, 6, 7e6, time.UTC)

func (t *env) load(st store.Store, tables ...table) {
	t.Helper()
	require.NoError(t, st.Update(t.Context(), func(tx store.Tx) error {
		for _, tb := range tables {
			def := store.Table{Name: tb.name, Columns: tb.columns, Key: tb.key}
			if err := tx.Create(t.Context(), def); err != nil {
				return err
			}
			if len(tb.rows) == 0 || tb.isSpelled() {
				continue
			}
			if err := tx.Insert(t.Context(), def, def.ColumnNames(), tb.rows); err != nil {
				return err
			}
		}
		return nil
	}))
	for _, tb := range tables {
		if tb.isSpelled() {
			t.insertSpelled(st, tb)
		}
	}
}

// source returns another store with these tables.
func (t *env) source(tables ...table) store.Store {
	t.Helper()
	s := t.openSource(t)
	t.load(s, tables...)
	return s
}

func (t *env) mirror(opts *mirror.Options) *mirror.Mirror {
	t.Helper()
	return NewMirror(t, t.store, opts)
}

// NewMirror returns the mirror of the customer in a store.
func NewMirror(t testing.TB, st store.Store, opts *mirror.Options) *mirror.Mirror {
	t.Helper()
	m, err := mirror.New(ContextID, st, opts)
	require.NoError(t, err)
	return m
}

// table finds a table of the store.
func (t *env) table(name string) store.Table {
	t.Helper()
	tables, err := t.store.Tables(t.Context())
	require.NoError(t, err)
	for _, tb := range tables {
		if store.FoldName(tb.Name) == store.FoldName(name) {
			return tb
		}
	}
	require.Fail(t, "no table "+name)
	return store.Table{}
}

// rows reads all rows of a table, in key order.
func (t *env) rows(name string) []store.Row {
	t.Helper()
	tb := t.table(name)
	var rows []store.Row
	for batch, err := range t.store.Rows(t.Context(), store.Query{Table: tb, Key: tb.ColumnNames()[:1]}) {
		require.NoError(t, err)
		for _, r := range batch {
			rows = append(rows, r.Clone())
		}
	}
	return rows
}

// dump is everything in the store: what must not change when something fails.
func (t *env) dump() map[string][]store.Row {
	t.Helper()
	tables, err := t.store.Tables(t.Context())
	require.NoError(t, err)
	all := map[string][]store.Row{}
	for _, tb := range tables {
		all[tb.Name] = t.rows(tb.Name)
	}
	return all
}

// unchanged runs f and demands that it leaves the store as it was.
func (t *env) unchanged(f func()) {
	t.Helper()
	before := t.dump()
	f()
	require.Equal(t, before, t.dump())
}

func canceled(t *env) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

func lsn(n int64) *store.LSN {
	l := store.LSN(n)
	return &l
}

// Dump returns all that a store holds, by table.
// dump is everything in a store as text, by table: its definition and its rows.
func Dump(t testing.TB, st store.Store) map[string][]string {
	t.Helper()
	ctx := context.Background()
	all := map[string][]string{}
	defs, err := st.Tables(ctx)
	require.NoError(t, err)
	for _, def := range defs {
		var rows []string
		for batch, err := range st.Rows(ctx, store.Query{Table: def}) {
			require.NoError(t, err)
			for _, row := range batch {
				rows = append(rows, fmt.Sprintf("%#v", []any{row}))
			}
		}
		slices.Sort(rows)
		all[def.String()] = append([]string{fmt.Sprintf("%+v", def)}, rows...)
	}
	return all
}
