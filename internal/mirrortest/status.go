package mirrortest

import (
	"context"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store"
)

func statusScenarios() []scenario {
	return []scenario{
		{name: "a state for each table", run: func(t *env) {
			t.load(t.store,
				contact(store.Row{1, "A", day}, store.Row{2, "B", nil}),
				person(),
				table{name: "sale", columns: []store.Column{notNull("sale_id", "int")}, rows: []store.Row{{1}}},
				table{name: "project", columns: []store.Column{notNull("project_id", "int")}, rows: []store.Row{{1}}},
				table{name: "email", columns: []store.Column{notNull("email_id", "int")}},
				table{name: "phone", columns: []store.Column{notNull("phone_id", "int")}},
				table{name: "text", columns: []store.Column{notNull("text_id", "int")}},
				metadata("Contact", 812, "person", -1, "sale", -1, "document", 5, "email", nil, "phone", -7, "text", 1, "TEXT", 2),
			)
			st, err := t.mirror(nil).Status(t.Context())
			require.NoError(t, err)
			require.Equal(t, mirror.MirrorHasMetadata, st.State)
			require.Equal(t, "Cust10195_mirroring", st.MetadataTable)
			require.Equal(t, []mirror.TableStatus{
				{Table: "contact", State: mirror.TableSynced, Rows: 2, LSN: lsn(812)},
				{Table: "document", State: mirror.TableAbsent, LSN: lsn(5)},
				{Table: "email", State: mirror.TableInvalid, Reason: "its LSN is NULL: reset it"},
				{Table: "person", State: mirror.TableResetRequested, LSN: lsn(-1)},
				{Table: "phone", State: mirror.TableInvalid, LSN: lsn(-7), Reason: "its LSN is neither -1 nor a version: reset it"},
				{Table: "project", State: mirror.TableNoMetadata, Rows: 1},
				{Table: "sale", State: mirror.TableResetRequested, Rows: 1, LSN: lsn(-1)},
				{Table: "text", State: mirror.TableInvalid, Reason: "has 2 rows in the metadata table: HardReset of that table deletes them all"},
			}, st.Tables)
		}},
		{name: "no metadata table is a state", run: func(t *env) {
			t.load(t.store, contact(store.Row{1, "A", day}))
			st, err := t.mirror(nil).Status(t.Context())
			require.NoError(t, err)
			require.Equal(t, mirror.MirrorAwaitingFirstCycle, st.State)
			require.Equal(t, []mirror.TableStatus{{Table: "contact", State: mirror.TableNoMetadata, Rows: 1}}, st.Tables)
			var b strings.Builder
			require.NoError(t, st.WriteText(&b))
			require.Contains(t, b.String(), "no table Cust10195_mirroring: the next cycle creates it and populates everything")
		}},
		{name: "metadata names are overridden", run: func(t *env) {
			md := metadata("contact", 812)
			md.name, md.columns[0].Name, md.columns[1].Name = "sync state", "TABLE", "version"
			t.load(t.store, contact(), md)
			st, err := t.mirror(&mirror.Options{MetadataTable: "Sync State", TableColumn: "table", LSNColumn: "VERSION"}).Status(t.Context())
			require.NoError(t, err)
			require.Equal(t, []mirror.TableStatus{{Table: "contact", State: mirror.TableSynced, LSN: lsn(812)}}, st.Tables)
		}},
		{name: "metadata table without an LSN column", run: func(t *env) {
			md := metadata()
			md.columns[1].Name = "version"
			t.load(t.store, md)
			_, err := t.mirror(nil).Status(t.Context())
			require.ErrorIs(t, err, mirror.ErrMetadata)
			require.ErrorContains(t, err, `no column "LSN" among tablename, version, schemahash`)
		}},
		{name: "metadata table with an LSN of the wrong type", run: func(t *env) {
			md := metadata()
			md.columns[1].Type = store.MustType("nvarchar(20)")
			t.load(t.store, md)
			_, err := t.mirror(nil).Status(t.Context())
			require.ErrorIs(t, err, mirror.ErrMetadata)
			require.ErrorContains(t, err, `column "LSN" is nvarchar(20), not an integer`)
		}},
		{name: "canceled", run: func(t *env) {
			t.load(t.store, contact(), metadata())
			_, err := t.mirror(nil).Status(canceled(t))
			require.Equal(t, context.Canceled, err)
		}},
	}
}
