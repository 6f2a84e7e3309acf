package mirrortest

import (
	"fmt"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/internal/superoffice"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/cycle"
	"github.com/so-mirror/mirror/store/memory"
)

// replicaScenarios are what the simulated newer client does to a database.
func replicaScenarios() []scenario {
	return []scenario{
		{"what is copied and how it is called", replicaTables},
		{"names as the customer spells them, and other places", replicaNames},
		{"a change arrives when it is due", replicaDelay},
		{"a crash before the offset moved", replicaCrash},
		{"several partitions", replicaPartitions},
		{"re-synchronization is empty, filling, full", replicaResync},
		{"a restore of the tenant leaves ghosts", replicaRestore},
		{"changes that are no longer known", replicaForgotten},
		{"a replica restored from its backup", replicaBackup},
		{"large values that did not change", replicaLarge},
		{"times are cut to milliseconds", replicaTimes},
		{"a table without a key", replicaWithoutKey},
		{"the customer's schema changes", replicaSchema},
		{"what is not possible", replicaRefuses},
	}
}

func replicaTables(t *env) {
	var tables []memory.Table
	for name := range superoffice.NotCopiedTables() {
		tables = append(tables, memory.Table{Name: name, Columns: []string{"id int"}, Key: []string{"id"}})
	}
	p := t.client(&cycle.ReplicaOptions{SkipTables: []string{" Project "}}, append(tables,
		Companies(store.Row{1, "a"}),
		memory.Table{Name: "UserPreference", Columns: []string{"id int"}, Key: []string{"id"}},
		memory.Table{Name: "project", Columns: []string{"id int"}, Key: []string{"id"}},
		memory.Table{Name: "dictionary", Columns: []string{"id int"}, Key: []string{"id"}},
		memory.Table{Name: "memo", Columns: []string{"memo_id int not null", "Text ntext null", "code nvarchar(9) not null default (N'x')"}},
		memory.Table{Name: "link", Columns: []string{"v int null", "b nvarchar(9)", "a int"}, Key: []string{"a", "b"}},
	)...)
	p.catchUp()
	all, err := t.store.Tables(t.Context())
	require.NoError(t, err)
	var names []string
	for _, tb := range all {
		names = append(names, strings.TrimPrefix(tb.Name, "crm7."))
	}
	require.ElementsMatch(t, []string{"CONTACT", "DICTIONARY", "LINK", "MEMO", "_ReplicationState"}, names)
	p.has("contact", "1 a")

	text, _ := p.replica.Table("Memo")
	require.Equal(t, []string{"MEMO_ID"}, text.Key, "the first column, where there is no key")
	require.Equal(t, []string{"MEMO_ID", "TEXT", "CODE"}, text.ColumnNames())
	require.Equal(t, "nvarchar(max)", text.Columns[1].Type.String())
	require.False(t, text.Columns[2].Nullable)
	link, _ := p.replica.Table("link")
	require.Equal(t, []string{"A", "B"}, link.Key)
	for _, name := range []string{"binaryobject", "userpreference", "project"} {
		_, ok := p.replica.Table(name)
		require.False(t, ok, name)
	}

	state := t.table(superoffice.ReplicaState)
	rows := strings.Join(p.texts(state, nil), "\n")
	require.Contains(t, rows, "1 session-1 tenant-cust10195 CfDJ8-simulated-token-of-cust10195 cust10195-cdc:0:1 <nil> <nil>")
	for _, name := range []string{"CONTACT", "DICTIONARY", "LINK", "MEMO"} {
		require.Contains(t, rows, name+" ", "a schema hash")
	}
}

func replicaNames(t *env) {
	p := t.client(&cycle.ReplicaOptions{KeepCase: true, TablePrefix: "SO_", Token: "secret", State: cycle.StateColumns{
		ID: "n", Session: "s", Tenant: "t", Token: "x", Offset: "position", Table: "what", SchemaHash: "h",
	}}, Companies(store.Row{1, "a"}))
	p.catchUp()
	require.Equal(t, []string{"contact_id", "name"}, t.table("SO_contact").ColumnNames())
	p.has("contact", "1 a")
	state := t.table(superoffice.ReplicaState)
	require.Equal(t, []string{"n", "s", "t", "x", "position", "what", "h"}, state.ColumnNames())
	require.Equal(t, "secret cust10195-cdc:0:1", p.texts(state, []string{"x", "position"})[0])

	// Another program of the client goes on with what is there. It has no topic with
	// that offset, so everything comes once more.
	p.delete("contact", 1)
	p.insert("contact", store.Row{2, "b"})
	p.replica = cycle.NewReplica(p.customer, t.store, &cycle.ReplicaOptions{KeepCase: true, TablePrefix: "so_", State: cycle.StateColumns{
		ID: "n", Session: "s", Tenant: "t", Token: "x", Offset: "position", Table: "what", SchemaHash: "h",
	}})
	require.NoError(t, p.replica.Provision(t.Context()))
	p.catchUp()
	p.has("contact", "1 a", "2 b")
}

func replicaDelay(t *env) {
	p := t.client(&cycle.ReplicaOptions{Delay: 2}, Companies(store.Row{1, "a"}, store.Row{2, "b"}))
	p.step()
	p.step()
	p.has("contact")
	require.Equal(t, "cust10195-cdc:0:0", p.offset())
	p.step()
	p.has("contact", "1 a", "2 b")
	require.Equal(t, "cust10195-cdc:0:2", p.offset())

	p.set("contact", "name", 1, "A")
	p.step()
	p.set("contact", "name", 1, "AA")
	p.delete("contact", 2)
	p.insert("contact", store.Row{3, "c"})
	p.step()
	p.has("contact", "1 a", "2 b")
	p.step()
	p.has("contact", "1 A", "2 b")
	p.step()
	p.has("contact", "1 AA", "3 c")
	require.Equal(t, "cust10195-cdc:0:6", p.offset())
	p.step()
	require.Equal(t, "cust10195-cdc:0:6", p.offset(), "nothing changed, nothing moves")
}

func replicaCrash(t *env) {
	var rows []store.Row
	for i := range 10 {
		rows = append(rows, store.Row{i, "a"})
	}
	p := t.client(&cycle.ReplicaOptions{TransactionEvents: 4}, Companies(rows...))
	contact, _ := p.replica.Table("contact")
	crash := func(n int) {
		t.Helper()
		p.replica.FailAfterRows(n)
		require.ErrorIs(t, p.replica.Step(t.Context()), cycle.ErrInterrupted)
	}
	crash(6)
	require.Len(t, p.texts(contact, nil), 6)
	require.Equal(t, "cust10195-cdc:0:4", p.offset(), "of the last transaction that was whole")
	crash(0)
	require.Len(t, p.texts(contact, nil), 6)
	crash(100)
	require.Len(t, p.texts(contact, nil), 10)
	require.Equal(t, "cust10195-cdc:0:8", p.offset(), "all is there, and the last is written again")

	// What somebody does to a row in between, the same event does away with.
	require.NoError(t, t.store.Update(t.Context(), func(tx store.Tx) error {
		_, err := tx.Delete(t.Context(), contact, []store.Cell{{Column: "CONTACT_ID", Value: 9}})
		return err
	}))
	p.step()
	require.Len(t, p.texts(contact, nil), 10)
	require.Equal(t, "cust10195-cdc:0:10", p.offset())

	p.delete("contact", 3)
	p.set("contact", "name", 4, "b")
	crash(1)
	require.Len(t, p.texts(contact, nil), 9)
	require.Contains(t, p.texts(contact, nil), "4 a")
	p.step()
	require.Contains(t, p.texts(contact, nil), "4 b")
}

func replicaPartitions(t *env) {
	p := t.client(&cycle.ReplicaOptions{Partitions: 2}, Companies(store.Row{1, "a"}, store.Row{2, "b"}),
		memory.Table{Name: "person", Columns: []string{"person_id int"}, Key: []string{"person_id"}, Rows: []store.Row{{1}}})
	offsets := func() []string {
		t.Helper()
		return p.texts(t.table(superoffice.ReplicaState), []string{"TopicOffset"})[:2]
	}
	p.step()
	require.Equal(t, []string{"cust10195-cdc:0:2", "cust10195-cdc:1:1"}, offsets())
	p.insert("person", store.Row{2})
	p.step()
	require.Equal(t, []string{"cust10195-cdc:0:2", "cust10195-cdc:1:2"}, offsets())
	p.has("person", "1", "2")
}

func replicaResync(t *env) {
	p := t.client(&cycle.ReplicaOptions{SnapshotRows: 2}, Companies(store.Row{1, "a"}, store.Row{2, "b"}, store.Row{3, "c"}),
		memory.Table{Name: "person", Columns: []string{"person_id int"}, Key: []string{"person_id"}, Rows: []store.Row{{1}}})
	p.catchUp()
	require.NoError(t, p.replica.Resync(t.Context(), "CRM7.Contact", "crm7.contact"))
	p.has("contact")
	p.has("person", "1")
	p.step()
	p.has("contact", "1 a", "2 b")
	require.NoError(t, p.replica.Resync(t.Context(), "crm7.contact"))
	p.has("contact")
	p.step()
	p.has("contact", "1 a", "2 b") // asked again, it begins anew
	p.delete("contact", 1)         // it was read already
	p.set("contact", "name", 3, "d")
	p.insert("contact", store.Row{4, "e"})
	p.step()
	p.has("contact", "2 b", "3 d", "4 e")
	p.catchUp()
	p.has("contact", "2 b", "3 d", "4 e")

	for _, names := range [][]string{nil, {"contact"}, {"dbo.contact"}, {"crm7."}, {"crm7.person", "crm7.sale"}, {"crm7.binaryobject"}} {
		require.ErrorContains(t, p.replica.Resync(t.Context(), names...), `name tables of this replica as in "crm7.person"`, names)
	}
	p.has("person", "1")
}

func replicaRestore(t *env) {
	p := t.client(&cycle.ReplicaOptions{Delay: 1}, Companies(store.Row{1, "a"}, store.Row{2, "b"}, store.Row{3, "c"}))
	p.catchUp()
	p.delete("contact", 2)
	p.set("contact", "name", 3, "d")
	p.step() // on its way, and lost
	require.NoError(t, p.replica.RestoreTenant(t.Context()))
	require.Equal(t, "cust10195-cdc:0:0", p.offset())
	require.Equal(t, "session-2", p.texts(t.table(superoffice.ReplicaState), []string{"SessionId"})[0])
	p.catchUp()
	p.has("contact", "1 a", "2 b", "3 d")
	require.Equal(t, "cust10195-cdc:0:2", p.offset())

	p.insert("contact", store.Row{4, "e"})
	p.delete("contact", 1)
	p.catchUp()
	p.has("contact", "2 b", "3 d", "4 e")
	p.insert("contact", store.Row{2, "back"})
	p.catchUp()
	p.has("contact", "2 back", "3 d", "4 e")
	p.delete("contact", 2)
	p.catchUp()
	p.has("contact", "3 d", "4 e")
}

func replicaForgotten(t *env) {
	p := t.client(nil, Companies(store.Row{1, "a"}, store.Row{2, "b"}))
	p.catchUp()
	version, err := p.customer.Version(t.Context())
	require.NoError(t, err)
	p.delete("contact", 2)
	p.customer.Forget(int64(version) + 1)
	p.catchUp()
	p.has("contact", "1 a", "2 b")
	require.NoError(t, p.replica.Resync(t.Context(), "crm7.contact"))
	p.catchUp()
	p.has("contact", "1 a")

	p.insert("contact", store.Row{3, "after the backup"})
	p.catchUp()
	require.NoError(t, p.db.Seed(Companies(store.Row{1, "a"})))
	p.customer.Restore(int64(version))
	p.catchUp()
	p.has("contact", "1 a", "3 after the backup")
}

func replicaBackup(t *env) {
	p := t.client(nil, Companies(store.Row{1, "a"}, store.Row{2, "b"}))
	p.catchUp()
	setOffset := func(text any) {
		t.Helper()
		require.NoError(t, t.store.Update(t.Context(), func(tx store.Tx) error {
			_, err := tx.Set(t.Context(), t.table(superoffice.ReplicaState), []store.Cell{{Column: "Id", Value: 1}}, []store.Cell{{Column: "TopicOffset", Value: text}})
			return err
		}))
	}
	for i, offset := range []any{"cust10195-cdc:0:1", "cust10195-cdc:0:3", "cust6647-cdc:0:2", "", nil} {
		p.delete("contact", 1)
		p.insert("contact", store.Row{1, fmt.Sprint("n", i)})
		p.delete("contact", 2)
		setOffset(offset)
		p.catchUp()
		p.has("contact", fmt.Sprint("1 n", i), "2 b")
		require.Equal(t, "cust10195-cdc:0:1", p.offset())
		p.insert("contact", store.Row{2, "b"})
		p.catchUp()
	}
	require.NoError(t, t.store.Update(t.Context(), func(tx store.Tx) error {
		return tx.Truncate(t.Context(), t.table(superoffice.ReplicaState))
	}))
	p.catchUp()
	require.Equal(t, "cust10195-cdc:0:2", p.offset())
}

func replicaLarge(t *env) {
	text := memory.Table{Name: "memo", Columns: []string{
		"memo_id int", "type int", "old ntext null", "body nvarchar(max) null", "must nvarchar(max) not null", "data varbinary(max) null", "fine nvarchar(max) null",
	}, Key: []string{"memo_id"}}
	only := func(columns ...string) func(table, column string) bool {
		return func(table, column string) bool {
			for _, c := range columns {
				if "memo."+c == table+"."+column {
					return true
				}
			}
			return false
		}
	}
	p := t.client(&cycle.ReplicaOptions{NullLarge: only("old", "must", "type"), PlaceholderLarge: only("body", "data", "fine2")}, text)
	p.insert("memo", store.Row{1, 0, "o", "b", "m", []byte("d"), "f"}, store.Row{2, 0, nil, nil, "m", nil, nil})
	p.catchUp()
	p.has("memo", "1 0 o b m d f", "2 0 <nil> <nil> m <nil> <nil>")
	placeholder := superoffice.Unavailable
	for n := 1; n < 3; n++ { // the second time too
		p.set("memo", "type", 1, n)
		p.set("memo", "type", 2, n)
		p.step()
		p.has("memo", fmt.Sprintf("1 %d <nil> %s m %s f", n, placeholder, placeholder),
			fmt.Sprintf("2 %d <nil> <nil> m <nil> <nil>", n))
	}
	p.set("memo", "body", 1, "B")
	p.step()
	p.has("memo", "1 2 <nil> B m "+placeholder+" f", "2 2 <nil> <nil> m <nil> <nil>")
	require.NoError(t, p.replica.Resync(t.Context(), "crm7.memo"))
	p.catchUp()
	p.has("memo", "1 2 o B m d f", "2 2 <nil> <nil> m <nil> <nil>")
	p.delete("memo", 1)
	p.step()
	p.insert("memo", store.Row{1, 3, "o", "B", "m", []byte("d"), "f"}) // no value of a new row is unchanged
	p.step()
	p.has("memo", "1 3 o B m d f", "2 2 <nil> <nil> m <nil> <nil>")
}

func replicaTimes(t *env) {
	at := time.Date(2026, 2, 3, 4, 5, 6, 123_456_000, time.UTC)
	tick := time.Date(2026, 2, 3, 4, 5, 6, 7e6, time.UTC)
	p := t.client(&cycle.ReplicaOptions{RoundTimes: time.Millisecond}, memory.Table{
		Name: "moment", Columns: []string{"id datetime2(7)", "fine datetime2(7) null", "tick datetime null"}, Key: []string{"id"},
		Rows: []store.Row{{at, at, tick}},
	})
	p.catchUp()
	def, _ := p.replica.Table("moment")
	for batch, err := range t.store.Rows(t.Context(), store.Query{Table: def}) {
		require.NoError(t, err)
		for i, want := range []time.Time{at, at.Truncate(time.Millisecond), tick} {
			require.True(t, want.Equal(batch[0][i].(time.Time)), "%s: %s", def.Columns[i].Name, batch[0][i])
		}
	}
}

func replicaWithoutKey(t *env) {
	p := t.client(&cycle.ReplicaOptions{SnapshotRows: 1}, memory.Table{Name: "log", Columns: []string{"n int null", "line nvarchar(9) null"},
		Rows: []store.Row{{2, "b"}, {1, "a"}, {3, "c"}}}, Companies(store.Row{1, "a"}, store.Row{2, "b"}))
	p.catchUp()
	p.has("log", "1 a", "2 b", "3 c")
	require.NoError(t, p.replica.Provision(t.Context()))
	p.has("log", "1 a", "2 b", "3 c") // a key that was added is no change
	p.delete("log", 2)
	p.insert("log", store.Row{0, "z"})
	p.step()
	p.has("log", "0 z", "1 a", "3 c")

	p.change("contact", func(tx store.Tx, def store.Table) error {
		if err := tx.Truncate(t.Context(), def); err != nil {
			return err
		}
		return tx.Insert(t.Context(), def, def.ColumnNames(), []store.Row{{2, "B"}, {5, "e"}})
	})
	p.step()
	p.has("contact", "2 B", "5 e")
}

func replicaSchema(t *env) {
	p := t.client(&cycle.ReplicaOptions{Delay: 1}, Companies(store.Row{1, "a"}), memory.Table{Name: "gone", Columns: []string{"id int"}, Key: []string{"id"}, Rows: []store.Row{{1}}})
	p.catchUp()
	gone, _ := p.replica.Table("gone")
	hash := func() []string {
		return p.texts(t.table(superoffice.ReplicaState), []string{"TableName", "SchemaHash"})
	}
	before := hash()
	p.change("gone", func(tx store.Tx, def store.Table) error {
		if err := tx.Drop(t.Context(), def); err != nil {
			return err
		}
		contact := Definition(t.T, p.db, "contact")
		if err := tx.Drop(t.Context(), contact); err != nil {
			return err
		}
		contact.Columns = append(contact.Columns, col("city", "nvarchar(9)"))
		if err := tx.Create(t.Context(), contact); err != nil {
			return err
		}
		return tx.Insert(t.Context(), contact, contact.ColumnNames(), []store.Row{{2, "b", "Oslo"}})
	})
	p.insert("contact", store.Row{3, "c", nil})
	p.step()
	p.step()
	p.has("contact", "2 b", "3 c")
	require.Equal(t, []string{"1"}, p.texts(gone, nil), "it stays as it was")

	p.insert("contact", store.Row{4, "d", nil})
	p.step()
	p.delete("contact", 4)
	require.NoError(t, p.replica.Provision(t.Context()))
	p.has("contact")
	p.catchUp()
	p.has("contact", "2 b Oslo", "3 c <nil>") // what was on its way is of another table
	require.Len(t, hash(), len(before))
	require.NotEqual(t, before, hash())

	p.change("contact", func(tx store.Tx, def store.Table) error {
		if err := tx.Drop(t.Context(), def); err != nil {
			return err
		}
		def.Columns = def.Columns[:1]
		return tx.Create(t.Context(), def)
	})
	require.ErrorContains(t, p.replica.Step(t.Context()), "its column name is gone: call Provision")
	require.NoError(t, p.replica.Provision(t.Context()))

	p.change("contact", func(tx store.Tx, def store.Table) error { // before a snapshot of it was taken
		if err := tx.Drop(t.Context(), def); err != nil {
			return err
		}
		def.Columns, def.Key = []store.Column{notNull("n", "int")}, []string{"n"}
		if err := tx.Create(t.Context(), def); err != nil {
			return err
		}
		return tx.Insert(t.Context(), def, []string{"n"}, []store.Row{{7}})
	})
	require.NoError(t, p.replica.Provision(t.Context()))
	p.catchUp()
	p.has("contact", "7")
}

func replicaRefuses(t *env) {
	customer := cycle.NewCustomer(ContextID, memory.New(Companies()))
	r := cycle.NewReplica(customer, t.store, nil)
	for name, call := range map[string]func() error{
		"step":    func() error { return r.Step(t.Context()) },
		"catchUp": func() error { return r.CatchUp(t.Context()) },
		"resync":  func() error { return r.Resync(t.Context(), "crm7.contact") },
		"restore": func() error { return r.RestoreTenant(t.Context()) },
	} {
		require.ErrorContains(t, call(), "call Provision first", name)
	}
	require.Panics(t, func() { r.FailAfterRows(-1) })
	require.Equal(t, canceled(t).Err(), r.Provision(canceled(t)))
	require.NoError(t, r.Provision(t.Context()))
	require.Equal(t, canceled(t).Err(), r.Step(canceled(t)))
}
