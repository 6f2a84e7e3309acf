package mssql

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/jmoiron/sqlx"

	"github.com/so-mirror/mirror/store"
)

// server is what has to be known of a server and a database before SQL can be
// written for them. It is asked once.
type server struct {
	opts     Options
	facts    atomic.Pointer[facts]
	digest   atomic.Pointer[digestFacts]
	inMemory sync.Map // quoted names of memory-optimised tables
}

type facts struct {
	Schema       *string `db:"default_schema"`
	Snapshot     int     `db:"snapshot_state"`
	ReadSnapshot bool    `db:"read_snapshot"`
	UTF8         int     `db:"utf8_code_page"`
	SchemaID     int     `db:"schema_id"`
	Undefined    *string `db:"undefined_byte"` // as the driver delivers it
	UnitBytes    int     `db:"unit_bytes"`     // of a letter of nvarchar as varbinary

	catalogueFacts
}

// catalogueFacts say which columns the catalogue views have, by their size; 0 is
// none. What a version does not know it cannot be asked for.
type catalogueFacts struct {
	Periods   int `db:"has_periods"`
	Encrypted int `db:"has_encryption"`
	Graphs    int `db:"has_graphs"`
	Masks     int `db:"has_masks"`
	Ledgers   int `db:"has_ledgers"`
	Memory    int `db:"has_memory"`
	Temporal  int `db:"has_temporal"`
	Policies  int `db:"has_policies"`
	Edges     int `db:"has_edges"`
	Depends   int `db:"has_dependencies"`
}

const factsQuery = `SELECT SCHEMA_NAME() AS default_schema, d.snapshot_isolation_state AS snapshot_state,
	d.is_read_committed_snapshot_on AS read_snapshot,
	COALESCE(CONVERT(int, COLLATIONPROPERTY('` + utf8Collation + `', 'CodePage')), 0) AS utf8_code_page,
	COALESCE(SCHEMA_ID(@p1), 0) AS schema_id,
	CHAR(129) AS undefined_byte, DATALENGTH(CONVERT(varbinary(4), N'a')) AS unit_bytes,
	COALESCE(COL_LENGTH('sys.columns', 'generated_always_type'), 0) AS has_periods,
	COALESCE(COL_LENGTH('sys.columns', 'encryption_type'), 0) AS has_encryption,
	COALESCE(COL_LENGTH('sys.columns', 'graph_type'), 0) AS has_graphs,
	COALESCE(COL_LENGTH('sys.columns', 'is_masked'), 0) AS has_masks,
	COALESCE(COL_LENGTH('sys.columns', 'is_dropped_ledger_column'), 0) AS has_ledgers,
	COALESCE(COL_LENGTH('sys.tables', 'is_memory_optimized'), 0) AS has_memory,
	COALESCE(COL_LENGTH('sys.tables', 'temporal_type'), 0) AS has_temporal,
	COALESCE(COL_LENGTH('sys.security_predicates', 'predicate_type'), 0) AS has_policies,
	COALESCE(COL_LENGTH('sys.edge_constraint_clauses', 'from_object_id'), 0) AS has_edges,
	COALESCE(COL_LENGTH('sys.sql_dependencies', 'referenced_major_id'), 0) AS has_dependencies
FROM sys.databases AS d WHERE d.database_id = DB_ID()`

func (s *server) prepare(ctx context.Context, q sqlx.QueryerContext) error {
	if s.facts.Load() != nil {
		return nil
	}
	var f facts
	if err := sqlx.GetContext(ctx, q, &f, s.limitLocks()+factsQuery, s.opts.Schema); err != nil {
		return err
	}
	if s.opts.Schema != "" && f.SchemaID == 0 {
		return fmt.Errorf("option Schema: the database has no schema %q, or the login may not see it", s.opts.Schema)
	}
	s.facts.Store(&f)
	return nil
}

func (s *server) schema() string {
	if s.opts.Schema != "" {
		return s.opts.Schema
	}
	if f := s.facts.Load(); f != nil && f.Schema != nil {
		return *f.Schema
	}
	return "dbo" // as SQL Server does for a login without a default schema
}

func (s *server) utf8() bool {
	f := s.facts.Load()
	return f != nil && f.UTF8 == 65001
}

func (s *server) catalogue() catalogueFacts {
	if f := s.facts.Load(); f != nil {
		return f.catalogueFacts
	}
	return catalogueFacts{}
}

// text returns what the server does with text.
func (s *server) text() textRules {
	f := s.facts.Load()
	return textRules{
		utf8:  s.utf8(),
		units: f != nil && f.UnitBytes == 2,
		// SQL Server sends bytes as they are stored; Babelfish converts, and
		// sends a question mark for what its code page lacks.
		converted: f != nil && f.Undefined != nil && *f.Undefined == "?",
	}
}

// The states of sys.databases.snapshot_isolation_state.
const snapshotOn = 1

func (s *server) isolation() string {
	f := s.facts.Load()
	switch {
	case s.opts.Isolation == IsolationSnapshot,
		s.opts.Isolation == IsolationAuto && f != nil && f.Snapshot == snapshotOn:
		return "snapshot"
	case f != nil && f.ReadSnapshot:
		return "read committed snapshot"
	default:
		return "read committed"
	}
}

// memoryOptimised reports whether the catalogue, when it was last read, had the
// table in memory.
func (s *server) memoryOptimised(t store.Table) bool {
	_, ok := s.inMemory.Load(s.tableName(t))
	return ok
}

// hint is that of a table that is read. One in memory can be read neither in a
// session under SNAPSHOT nor with UPDLOCK.
func (s *server) hint(t store.Table, inTx bool) string {
	switch {
	case s.memoryOptimised(t) && inTx:
		return " WITH (SERIALIZABLE)"
	case s.memoryOptimised(t):
		return " WITH (SNAPSHOT)"
	case inTx:
		return " WITH (UPDLOCK, HOLDLOCK)"
	default:
		return ""
	}
}

// tableName returns the quoted name with its schema.
func (s *server) tableName(t store.Table) string {
	if t.Schema == "" {
		t.Schema = s.schema()
	}
	return quote(t.Schema) + "." + quote(t.Name)
}
