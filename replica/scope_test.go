package replica_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/replica"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

// A go for a part says first that it is for a part.
func TestLeftOutByRequest(t *testing.T) {
	old := memory.New(contact(), memory.Table{Name: "person", Columns: []string{"id int"}, Key: []string{"id"}, Rows: []store.Row{{1}}}, metadataTable(1))
	its := memory.New(replicated(), memory.Table{Schema: "crm7", Name: "PERSON", Columns: []string{"ID int"}, Key: []string{"ID"}}, state("cust6647-cdc:0:1"))
	for name, tc := range map[string]struct {
		opts replica.Options
		says string
	}{
		"tables to skip":    {replica.Options{SkipTables: []string{"person"}}, "Left out by request: 1 table (person)."},
		"tables to check":   {replica.Options{Tables: []string{"contact"}}, "Left out by request: all tables but contact."},
		"columns to ignore": {replica.Options{SkipTables: []string{"person"}, IgnoreColumns: []string{"text"}}, "Left out by request: 1 table (person); the columns text."},
	} {
		t.Run(name, func(t *testing.T) {
			tc.opts.Clock, tc.opts.MaxWait = newClock(nil), -1
			report, err := replica.Check(t.Context(), old, its, &tc.opts)
			require.NoError(t, err)
			require.Equal(t, replica.Go, report.Decision, report)
			require.Contains(t, strings.ReplaceAll(report.String(), "\n", " "), "GO: the replica is good. This is only about what was checked. "+tc.says)
			if person := report.Table("person"); person != nil {
				require.False(t, person.Counted, "0 rows are no number of rows")
			}
			require.True(t, report.Table("contact").Counted)
			require.Equal(t, tc.opts.SkipTables, report.Scope.SkipTables)
			require.EqualValues(t, 60, report.Scope.Interval)
		})
	}
}

// A check that was stopped says so before anything else, and is never a go.
func TestStopped(t *testing.T) {
	row := store.Row{1, "Alfa", nil, at(1), 1}
	ctx, cancel := context.WithCancel(t.Context())
	report, err := replica.Check(ctx, memory.New(contact(row), metadataTable(1)), memory.New(replicated(), state("cust6647-cdc:0:1")), &replica.Options{Clock: newClock(func(time.Time) { cancel() })})
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, replica.NotYet, report.Decision)
	require.Contains(t, report.Scope.Stopped, "canceled")
	require.Contains(t, report.String(), "stopped before its end, so this is no decision")
	require.Empty(t, report.Warnings)
}

// What the replica's database has and cannot work is named with what it lacks.
func TestBrokenObjects(t *testing.T) {
	old, its := memory.New(contact(), metadataTable(1)), memory.New(replicated(), state("cust6647-cdc:0:1"))
	view := store.Object{Kind: store.ObjectView, Name: "sales", Uses: []store.ObjectName{{Name: "contact"}, {Name: "sale"}}}
	old.SetObjects(view)
	its.SetObjects(view)
	report, err := replica.Check(t.Context(), old, its, &replica.Options{Clock: newClock(nil), MaxWait: -1})
	require.NoError(t, err)
	require.Equal(t, replica.NoGo, report.Decision)
	require.Equal(t, []string{"1 view that cannot work in the replica's database: sales (uses sale, which the replica does not have)"}, report.Reasons)
}

// A table of which it is not documented whether the client keeps it up fails no
// check, and is not waited for.
func TestUnclearTables(t *testing.T) {
	dictionary := func(name string, id int) memory.Table {
		return memory.Table{Name: name, Columns: []string{"id int"}, Key: []string{"id"}, Rows: []store.Row{{id}}}
	}
	for name, its := range map[string]memory.Table{
		"equal":  dictionary("DICTIONARY", 1),
		"rows":   dictionary("DICTIONARY", 2),
		"column": {Name: "DICTIONARY", Columns: []string{"id smallint"}, Key: []string{"id"}, Rows: []store.Row{{1}}},
	} {
		t.Run(name, func(t *testing.T) {
			c := newClock(func(time.Time) { t.Error("it waits") })
			report, err := replica.Check(t.Context(), memory.New(contact(), dictionary("dictionary", 1), metadataTable(1)),
				memory.New(replicated(), its, state("cust6647-cdc:0:1")), &replica.Options{Clock: c})
			require.NoError(t, err)
			require.Equal(t, replica.Go, report.Decision, report)
			table := report.Table("dictionary")
			if name == "equal" {
				require.Equal(t, replica.Equal, table.Verdict)
				return
			}
			require.Equal(t, replica.Excluded, table.Verdict)
			require.Contains(t, table.Reason, "not documented whether the newer client keeps it up, and it differs")
			require.Nil(t, report.Resync)
		})
	}
}
