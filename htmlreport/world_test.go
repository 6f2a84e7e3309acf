package htmlreport_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/internal/crm"
	"github.com/so-mirror/mirror/internal/mirrortest"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

const customer = "Cust10195"

var noon = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

// world is a customer's database and a mirror that has gone wrong in every way.
type world struct {
	t              *testing.T
	source, mirror *memory.Store
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, source: memory.New(), mirror: memory.New()}
	opts := crm.Options{Contacts: 700}
	both := []string{"contact", "person", "appointment", "document", "project", "text", "country", "category", "business",
		"associate", "address", "phone", "email", "ticket", "udpersonsmall", "sale"}
	require.NoError(t, crm.Load(t.Context(), w.source, opts, append(both, "traveltransactionlog")...))
	require.NoError(t, crm.Load(t.Context(), w.mirror, opts, both...))
	for _, s := range []*memory.Store{w.source, w.mirror} {
		require.NoError(t, s.Seed(memory.Table{Name: "tag", Columns: []string{"tag_id int", "name nvarchar(100) null", "version rowversion"}, Key: []string{"tag_id"}}))
		require.NoError(t, s.Seed(memory.Table{Name: "registry", Columns: []string{"registry_id int"}, Key: []string{"registry_id"}}))
	}
	lsns := map[string]store.LSN{}
	for _, name := range append(both, "tag") {
		lsns[name] = 4711
	}
	lsns["ticket"] = store.ResendAll // somebody has reset it
	require.NoError(t, w.mirror.Seed(memory.Metadata(customer, lsns)))
	return w
}

// lastnames are edits that the mirror did not get.
var lastnames = []struct{ source, mirror any }{
	{"Ødegård-Berg", "Ødegård"}, {"O’Brien", "O’Brien\u200b"}, {"Sørensen", "Sørensen "}, {"Müller-Lüdenscheid", "Müller‑Lüdenscheidt"},
	{"محمد العربي", "محمود العربي"}, {"山田花子", "山田太郎"}, {"Nguy\u1ec5n Văn An", "Nguye\u0302\u0303n Văn An"}, {nil, "NULL"},
}

// fallBehind makes the mirror lack what happened: it stopped following one table, lost a
// piece of another, missed single edits of a third, and waits for a cycle with a fourth.
func (w *world) fallBehind() {
	w.t.Helper()
	persons := w.keys("person")
	w.change(w.source, func(tx store.Tx) {
		for i, n := range lastnames {
			w.set(tx, "person", persons[18+i*171], "lastname", n.source)
		}
	})
	w.change(w.mirror, func(tx store.Tx) {
		contacts, appointments := w.keys("contact"), w.keys("appointment")
		w.remove(tx, "contact", contacts[len(contacts)*86/100:]...)
		w.remove(tx, "appointment", appointments[2301:2391]...)
		w.set(tx, "appointment", appointments[77], "location", "Møterom 4")
		for i, n := range lastnames {
			w.set(tx, "person", persons[18+i*171], "lastname", n.mirror)
		}
		w.set(tx, "person", persons[955], "title", nil)
		w.set(tx, "person", persons[1500], "year_of_birth", int64(1959))
	})
	w.source.TrackChanges(5000, 100)
	w.work()
}

// work is what the customer did since the last cycle.
func (w *world) work() {
	w.t.Helper()
	w.change(w.source, func(tx store.Tx) {
		documents, persons := w.keys("document"), w.keys("person")
		for i := range 60 {
			w.set(tx, "document", documents[len(documents)*(30+i)/100], "header", "Renamed offer.docx")
		}
		w.remove(tx, "person", persons[1600])
		w.set(tx, "text", w.keys("text")[12], "text", "Sent the contract.")
	})
}

// breakDown makes what else can be wrong with a mirror, before it falls behind.
func (w *world) breakDown() {
	w.t.Helper()
	w.change(w.source, func(tx store.Tx) {
		w.set(tx, "text", w.keys("text")[7], "text", "Called about the renewal. They want a quote before Monday, delivered to both offices; ask Kari first.")
	})
	w.change(w.mirror, func(tx store.Tx) {
		w.remove(tx, "ticket", w.keys("ticket")[:25]...)
		w.set(tx, "text", w.keys("text")[7], "text", "Called about the renewal.\nThey want a quote before Friday, delivered to both offices;  ask Kari first.\u202e")
		require.NoError(w.t, tx.Drop(w.t.Context(), w.table(w.mirror, "sale")))
		project := w.table(w.mirror, "project")
		rows := w.rows(w.mirror, project)
		require.NoError(w.t, tx.Drop(w.t.Context(), project))
		for i, c := range project.Columns {
			if c.Name == "name" {
				project.Columns[i].Type = store.MustType("nvarchar(60)")
			}
		}
		require.NoError(w.t, tx.Create(w.t.Context(), project))
		require.NoError(w.t, tx.Insert(w.t.Context(), project, project.ColumnNames(), rows))
	})
	require.NoError(w.t, w.mirror.Seed(memory.Table{Name: "oldlist", Columns: []string{"oldlist_id int"}, Key: []string{"oldlist_id"}, Rows: []store.Row{{1}, {2}}}))
	w.source.FailTable(memory.Rows, "email", errors.New("Arithmetic overflow error converting expression to data type datetime"))
}

func (w *world) change(s *memory.Store, do func(store.Tx)) {
	w.t.Helper()
	require.NoError(w.t, s.Update(w.t.Context(), func(tx store.Tx) error {
		do(tx)
		return nil
	}))
}

func (w *world) table(s store.Source, name string) store.Table {
	w.t.Helper()
	tables, err := s.Tables(w.t.Context())
	require.NoError(w.t, err)
	for _, t := range tables {
		if t.Name == name {
			return t
		}
	}
	require.Fail(w.t, "no table "+name)
	return store.Table{}
}

func (w *world) rows(s store.Source, t store.Table) (rows []store.Row) {
	w.t.Helper()
	for batch, err := range s.Rows(w.t.Context(), store.Query{Table: t, Key: t.Key}) {
		require.NoError(w.t, err)
		for _, r := range batch {
			rows = append(rows, r.Clone())
		}
	}
	return rows
}

// keys are the keys of a table at the source.
func (w *world) keys(name string) (ids []int64) {
	w.t.Helper()
	for _, r := range w.rows(w.source, w.table(w.source, name)) {
		ids = append(ids, r[0].(int64))
	}
	return ids
}

func (w *world) remove(tx store.Tx, name string, ids ...int64) {
	w.t.Helper()
	t := w.table(w.source, name)
	for _, id := range ids {
		n, err := tx.Delete(w.t.Context(), t, []store.Cell{{Column: t.Key[0], Value: id}})
		require.NoError(w.t, err)
		require.EqualValues(w.t, 1, n, "%s %d", name, id)
	}
}

func (w *world) set(tx store.Tx, name string, id int64, column string, value any) {
	w.t.Helper()
	t := w.table(w.source, name)
	n, err := tx.Set(w.t.Context(), t, []store.Cell{{Column: t.Key[0], Value: id}}, []store.Cell{{Column: column, Value: value}})
	require.NoError(w.t, err)
	require.EqualValues(w.t, 1, n, "%s %d", name, id)
}

// compare returns what a comparison finds, the same each time.
func (w *world) compare(opts *mirror.CompareOptions) *mirror.Report {
	w.t.Helper()
	m, err := mirror.New(customer, w.mirror, &mirror.Options{Clock: mirrortest.Clock{Time: ticking()}})
	require.NoError(w.t, err)
	if opts == nil {
		opts = &mirror.CompareOptions{MaxSamples: 12, IgnoreColumns: []string{"contact.soundEx"}}
	}
	opts.Tuning.Concurrency = 1
	report, err := m.Compare(context.WithoutCancel(w.t.Context()), w.source, opts)
	require.NoError(w.t, err)
	name(&report.Source, "db-online-7.example", "Cust10195", "crm7")
	name(&report.Mirror, "sql01.partner.example", "Mirror_Cust10195", "dbo")
	return report
}

// name gives a store in memory, which has an identity of its own each time, the names of
// a server's.
func name(s *mirror.Side, server, database, schema string) {
	s.Engine, s.Version, s.Server, s.Database, s.Schema = "SQL Server", "16.0.4165", server, database, schema
	s.ID = "mssql:" + server + "/" + database + "/" + schema
}

func ticking() func() time.Time {
	now := noon
	return func() time.Time {
		now = now.Add(37 * time.Millisecond)
		return now
	}
}
