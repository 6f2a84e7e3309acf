package replica_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/replica"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares what people read with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(got), 0o600))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), got, "see what changed, then: go test ./replica -update")
}

// Everything that a report can say at once, for somebody who knows no Go.
func TestText(t *testing.T) {
	row := func(n int, name any, minute int) store.Row { return store.Row{n, name, "long", at(minute), minute} }
	named := func(name string, rows ...store.Row) memory.Table {
		table := contact(rows...)
		table.Name = name
		return table
	}
	copied := func(name string, rows ...store.Row) memory.Table {
		table := replicated(rows...)
		table.Name = name
		return table
	}
	narrow := copied("SALE", row(1, "Alfa", 1))
	narrow.Columns = []string{"CONTACT_ID int", "NAME nvarchar(19) null", "UPDATED datetime null", "UPDATEDCOUNT smallint null"}
	narrow.Rows = []store.Row{{1, "Alfa", at(1), 1}}
	reference := memory.New(
		named("contact", row(1, "Alfa", 1), row(2, "Beta", 2), row(3, "Gamma", 3), row(4, "Delta", 4)),
		named("person", row(1, "Alfa", 1)), named("sale", row(1, "Alfa", 1)), named("project", row(1, "Alfa", 1)),
		named("text", row(1, "Alfa", 1)), named("binaryobject"), named("associate", row(1, "Alfa", 1)),
	)
	rep := memory.New(
		copied("CONTACT", row(1, "Alfa", 1), row(2, "Beta", 1), row(3, "Other", 3), row(5, "Ghost", 5)),
		copied("PERSON", row(1, "Alfa", 1), row(2, "Ghost", 2)), narrow,
		copied("TEXT", store.Row{1, "Alfa", nil, at(1), 1}), copied("ASSOCIATE", row(1, "Alfa", 1)), state("cust6647-cdc:0:1"),
	)
	short := &replica.Options{Clock: newClock(nil), MaxWait: time.Minute, Tables: []string{"person", "associate"}}
	for name, opts := range map[string]*replica.Options{
		"no-go.txt":   {Clock: newClock(nil), MaxSamples: 3},
		"not-yet.txt": short,
		"go.txt":      {Clock: newClock(nil), Tables: []string{"associate"}},
	} {
		t.Run(name, func(t *testing.T) {
			report, err := replica.Check(t.Context(), reference, rep, opts)
			require.NoError(t, err)
			got := report.String()
			golden(t, name, got)
			for line := range strings.Lines(got) {
				require.LessOrEqual(t, text.Width(strings.TrimRight(line, "\n")), 100, line)
			}
		})
	}
}

// What stands beside tables: names from outside, and lines that are not to be broken.
func TestTextOfLacks(t *testing.T) {
	long := strings.Repeat("a_long_name", 12)
	r := &replica.Report{
		Decision: replica.NoGo, InventoryKnown: true,
		Tables: []replica.TableReport{{Table: "contact", Verdict: replica.Equal, ReplicaName: "CONTACT"}},
		Lacks: []replica.Lack{
			{Object: store.Object{Kind: store.ObjectView, Name: "logos"}, Without: []string{"binaryobject"}},
			{Object: store.Object{Kind: store.ObjectGrant, Name: "reader", Detail: "grant select", On: store.ObjectName{Schema: "dbo", Name: "contact"}}},
			{Object: store.Object{Kind: store.ObjectIndex, Name: "ix", On: store.ObjectName{Name: "contact"}}},
			{Object: store.Object{Kind: store.ObjectGrant, Name: "reader", Detail: "grant select", On: store.ObjectName{Schema: "dbo"}}},
			{Object: store.Object{Kind: store.ObjectGrant, Name: "reader", Detail: "grant connect"}},
			{Object: store.Object{Kind: store.ObjectGrant, Name: "reader", Detail: "member of db_datareader"}},
			{Object: store.Object{Kind: store.ObjectTrigger, Name: "tr", On: store.ObjectName{Name: "contact"}}},
		},
		Reasons:  []string{"a reason of many words which are " + strings.Repeat("word ", 30), long},
		Notes:    []string{"bell \a"},
		Warnings: []string{"w"},
		Resync:   &replica.Resync{Tables: []string{"crm7." + long}, Command: "resync-tables crm7." + long, Method: "POST", Path: "/", Body: "{}"},
		Started:  at(1), Finished: at(2), AsOf: at(0),
		State: replica.State{Table: "crm7._ReplicationState", Moves: 2},
	}
	golden(t, "lacks.txt", r.String())
}

// The rows that a report shows are those that keep it from a go, as they are by now,
// and not those that were only late.
func TestSamplesAreOfBadRows(t *testing.T) {
	row := func(n, count int) store.Row { return store.Row{n, "Alfa", "long", at(1), count} }
	reference := memory.New(contact(row(1, 2), row(2, 2), row(3, 2), row(4, 2)))
	rep := memory.New(replicated(row(1, 1), row(2, 1), row(3, 1), row(4, 2)), state("cust6647-cdc:0:1"))
	slept := 0
	clock := newClock(func(time.Time) {
		if slept++; slept == 1 { // the replica brings all but one, which arrives damaged
			require.NoError(t, rep.Seed(replicated(row(1, 2), row(2, 2), store.Row{3, "Alfa", nil, at(1), 2}, row(4, 2))))
		}
	})
	report, err := replica.Check(t.Context(), reference, rep, &replica.Options{Clock: clock, MaxSamples: 1})
	require.NoError(t, err)
	samples := report.Table("contact").Samples
	require.Len(t, samples, 1)
	require.Equal(t, replica.LargeNull, samples[0].What)
	require.EqualValues(t, 3, samples[0].Key[0].Value)
	require.Len(t, samples[0].Columns, 1)
}
