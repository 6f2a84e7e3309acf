package htmlreport_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/fleet"
	"github.com/so-mirror/mirror/heal"
	"github.com/so-mirror/mirror/htmlreport"
	"github.com/so-mirror/mirror/replica"
	"github.com/so-mirror/mirror/store"
)

// pages are pages of every kind, by name.
func pages(t *testing.T) map[string][]byte {
	t.Helper()
	w := newWorld(t)
	before := w.compare(nil)
	w.breakDown()
	w.fallBehind()
	r := w.compare(nil)
	plan := r.Plan()
	wrong := *r
	wrong.Mistakes = []string{"the source has the metadata table of Cust20301, so it is a mirror"}
	wrong.Incomplete, wrong.Checkpoint = true, &mirror.Checkpoint{}
	healed := &heal.Report{ContextID: customer, Started: noon, Finished: noon.Add(47 * time.Minute), Stopped: "what is left needs a hard reset, which healing leaves to you: see the last plan",
		Rounds: []heal.Round{{Report: r, Plan: plan, Receipt: receipt(plan), Wait: waited(plan)}, {Report: r, Plan: plan}}}
	out := map[string][]byte{}
	for name, write := range map[string]func(io.Writer) error{
		"compare":   func(w io.Writer) error { return htmlreport.WriteCompare(w, r, nil) },
		"identical": func(w io.Writer) error { return htmlreport.WriteCompare(w, before, before.Plan()) },
		"wrong":     func(w io.Writer) error { return htmlreport.WriteCompare(w, &wrong, wrong.Plan()) },
		"plan":      func(w io.Writer) error { return htmlreport.WritePlan(w, plan, r) },
		"heal":      func(w io.Writer) error { return htmlreport.WriteHeal(w, healed) },
		"validate":  func(w io.Writer) error { return htmlreport.WriteValidation(w, validation()) },
		"fleet":     func(w io.Writer) error { return htmlreport.WriteFleet(w, members(r, before, &wrong), nil) },
	} {
		var b bytes.Buffer
		require.NoError(t, write(&b), name)
		out[name] = b.Bytes()
	}
	return out
}

func receipt(p *mirror.Plan) *mirror.Receipt {
	r := &mirror.Receipt{ContextID: p.ContextID, Operation: mirror.OperationApply, Time: noon.Add(time.Minute), MetadataTable: customer + "_mirroring",
		NotUndone: []string{"the rows of text, which was truncated"}}
	for _, t := range p.Tables {
		if t.Step.Acts() {
			r.Tables = append(r.Tables, mirror.ReceiptTable{Table: t.Table, Actions: []mirror.Action{mirror.ActionResetLSN}, LSN: t.LSN, Present: true, Rows: t.Rows})
		}
	}
	return r
}

func waited(p *mirror.Plan) *heal.WaitReport {
	w := &heal.WaitReport{ContextID: p.ContextID, Started: noon, Time: noon.Add(23 * time.Minute), Next: noon.Add(20 * time.Minute)}
	lsn := store.LSN(5003)
	for i, t := range p.Tables {
		state := []heal.WaitState{heal.WaitPopulated, heal.WaitFilling, heal.WaitLost, heal.WaitRequested}[i%4]
		w.Tables = append(w.Tables, heal.WaitTable{Table: t.Table, State: state, LSN: &lsn, Rows: t.Rows, Expected: t.Rows, Proof: "it was seen empty", Resets: i % 2})
	}
	return w
}

func validation() *replica.Report {
	cell := func(column string, v any) store.Cell { return store.Cell{Column: column, Value: v} }
	return &replica.Report{
		ContextID: "cust10195", Started: noon, Finished: noon.Add(9 * time.Minute), Decision: replica.NoGo,
		Reasons: []string{"person: the replica lacks 3 rows that the old mirror has, and they are older than its delay", "1 table is missing"},
		Notes:   []string{"2 views of the old mirror's database are missing in the replica's."}, Warnings: []string{"the reference's isolation cannot be told"},
		Reference: replica.Side{Role: "mirror", ContextID: customer, Identity: store.Identity{Engine: "SQL Server", Version: "16.0.4165", Server: "sql01.partner.example", Database: "Mirror_Cust10195", Schema: "dbo"}},
		Replica:   replica.Side{Role: "replica", ContextID: "cust10195", Identity: store.Identity{Engine: "SQL Server", Version: "16.0.4165", Server: "sql01.partner.example", Database: "Replica_Cust10195", Schema: "crm7"}},
		Scope:     replica.Scope{MaxWait: 300, Program: "example.com/check v1.2.0", SkipTables: []string{"ticket"}}, State: replica.State{Moves: 4},
		Tables: []replica.TableReport{
			{Table: "appointment", Verdict: replica.Equal, Counted: true, ReferenceRows: 4800, ReplicaRows: 4800},
			{Table: "binaryobject", Verdict: replica.Excluded, Reason: "the newer client does not copy it"},
			{Table: "contact", Verdict: replica.Ghosts, Counted: true, ReferenceRows: 1200, ReplicaRows: 1203, Ghosts: 3, Key: []string{"contact_id"},
				Samples: []replica.Sample{{What: replica.Extra, Key: []store.Cell{cell("contact_id", int64(17))}}}},
			{Table: "person", Verdict: replica.NewStale, Reason: "the replica lacks rows", Counted: true, ReferenceRows: 3000, ReplicaRows: 2997, NewStale: 4, Lag: 12, Key: []string{"person_id"},
				Samples: []replica.Sample{{What: replica.Missing, Key: []store.Cell{cell("person_id", int64(5))}},
					{What: replica.LargeNull, Key: []store.Cell{cell("person_id", int64(9))}, Columns: []replica.SampleColumn{{Column: "note", Reference: cell("note", "Prefers calls before noon."), Replica: cell("note", nil)}}}},
				Schema:      []replica.SchemaFinding{{Column: "title", What: "narrower", Reference: "nvarchar(239)", Replica: "nvarchar(60)", Breaks: true}},
				NotCompared: []string{"version: rowversion differs in every database"}},
			{Table: "sale", Verdict: replica.OldStale, Counted: true, ReferenceRows: 480, ReplicaRows: 481, OldStale: 1},
		},
		Lacks:  []replica.Lack{{Object: store.Object{Kind: store.ObjectView, Schema: "dbo", Name: "vw_contacts"}, Without: []string{"crm7.sale"}}},
		Resync: &replica.Resync{Tables: []string{"crm7.person"}, Rows: 3000, Bytes: 2_000_000, Command: "resync-tables crm7.person", Method: "POST", Path: "/api/v1/replication/cust10195/resync", Body: `{"tables": ["crm7.person"]}`},
	}
}

func members(damaged, identical, wrong *mirror.Report) (results []fleet.Result) {
	for i := range 24 {
		r := fleet.Result{ContextID: fmt.Sprintf("Cust%05d", 10195+i*37), Report: identical, Elapsed: time.Second}
		switch i {
		case 3:
			r.Report = damaged
		case 7:
			r.Report, r.Err = wrong, wrong.Err()
		case 11:
			r.Report, r.Err = nil, fmt.Errorf("%s: open: %w", r.ContextID, errors.New("login failed for user 'mirror_reader'"))
		}
		if r.Report != nil {
			r.Plan = r.Report.Plan()
		}
		results = append(results, r)
	}
	return results
}
