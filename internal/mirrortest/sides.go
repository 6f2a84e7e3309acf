package mirrortest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/so-mirror/mirror/fleet"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/heal"
	"github.com/so-mirror/mirror/store"
)

// sideScenarios are about what the two sides are, and what was looked at.
func sideScenarios() []scenario {
	rows := []store.Row{{1, "a", nil}, {2, "b", nil}}
	small := func(name string) table {
		return table{name: name, columns: []store.Column{notNull("id", "int")}, key: []string{"id"}, rows: []store.Row{{1}}}
	}
	foreign := metadata()
	foreign.name = "Cust9_mirroring"
	replica := table{name: "_ReplicationState", columns: []store.Column{notNull("id", "int")}}
	refused := func(t *env, source store.Source, opts *mirror.CompareOptions, text string) {
		t.Helper()
		r, err := t.mirror(nil).Compare(t.Context(), source, opts)
		require.Nil(t, r)
		require.ErrorIs(t, err, mirror.ErrWrongDatabase)
		require.ErrorContains(t, err, text)
	}
	copies := &mirror.CompareOptions{SourceIsCopy: true}
	return []scenario{
		{name: "the report says what the sides are", run: func(t *env) {
			t.load(t.store, contact(rows...), metadata("contact", 5))
			r := t.compare(t.source(contact(rows...), small("login")), nil)
			require.Equal(t, "customer", r.Source.Role)
			require.Equal(t, "mirror", r.Mirror.Role)
			require.Equal(t, ContextID, r.Mirror.ContextID)
			require.Empty(t, r.Source.ContextID)
			text := r.String()
			require.Contains(t, text, "\nSource: a customer's database")
			require.Contains(t, text, "\nMirror: the mirror of Cust10195")
			again, err := t.mirror(nil).Recheck(t.Context(), t.source(contact(rows...)), unidentified(r), nil)
			require.NoError(t, err)
			require.Equal(t, "unknown", again.Source.Role, "no table tells")
			require.Contains(t, again.String(), "\nSource: a database that its tables do not identify")
			require.Contains(t, again.String(), "\nMirror: the mirror of Cust10195")
		}},
		{name: "the same database", run: func(t *env) {
			t.load(t.store, contact(rows...), metadata("contact", 5))
			r := t.compare(t.source(contact(rows...)), nil)
			const text = "the source and the mirror are the same database"
			refused(t, t.store, nil, text)
			refused(t, t.store, copies, text)
			m := t.mirror(nil)
			_, err := heal.Wait(t.Context(), m, nil, &heal.WaitOptions{Tables: []string{"contact"}, Source: t.store})
			require.ErrorIs(t, err, mirror.ErrWrongDatabase)
			require.ErrorContains(t, err, text)
			_, err = m.Recheck(t.Context(), t.store, r, nil)
			require.ErrorContains(t, err, text)
		}},
		{name: "swapped", run: func(t *env) {
			t.load(t.store, contact(rows...), person())
			refused(t, t.source(contact(), person(), metadata("contact", 5)), nil, "the two sides are swapped: the source has the metadata table Cust10195_mirroring and the mirror has none")
			refused(t, t.source(contact(), replica), nil, "the two sides are swapped: the source has a table _ReplicationState and the mirror has none")
		}},
		{name: "another copy as source", run: func(t *env) {
			t.load(t.store, contact(rows...), metadata("contact", 5))
			for _, c := range []struct {
				source store.Store
				role   string
				text   string
			}{
				{t.source(contact(rows...), metadata("contact", 9)), "mirror", "the source has the metadata table Cust10195_mirroring, so it is a copy"},
				{t.source(contact(rows...), replica), "replica", "the source has a table _ReplicationState, so it is a copy"},
			} {
				refused(t, c.source, nil, c.text+" and not the customer's database: set CompareOptions.SourceIsCopy if it is meant")
				r := t.compare(c.source, copies)
				require.True(t, r.Identical(), "%s", r)
				require.True(t, r.SourceIsCopy)
				require.Equal(t, c.role, r.Source.Role)
				_, err := t.mirror(nil).Recheck(t.Context(), c.source, r, nil)
				require.NoError(t, err, "the report knows that it is a copy")
			}
		}},
		{name: "the mirror of another customer as source", run: func(t *env) {
			t.load(t.store, contact(rows...), metadata("contact", 5))
			source := t.source(contact(rows...), foreign)
			const text = "the source has the metadata table Cust9_mirroring, so it is the mirror of another customer than Cust10195"
			refused(t, source, nil, text)
			refused(t, source, copies, text)
		}},
		{name: "a table that only ends like a metadata table", run: func(t *env) {
			t.load(t.store, contact(rows...), small("own_mirroring"))
			r := t.compare(t.source(contact(rows...), small("own_mirroring")), nil)
			require.NoError(t, r.Err())
			require.True(t, r.Identical())
		}},
		{name: "the metadata table of another customer", run: func(t *env) {
			t.load(t.store, contact(rows...), foreign)
			const text = "the mirror has no metadata table Cust10195_mirroring, but Cust9_mirroring: is the context identifier right?"
			r := t.compare(t.source(contact(rows...)), nil)
			require.ErrorIs(t, r.Err(), mirror.ErrWrongDatabase)
			require.ErrorContains(t, r.Err(), text)
			require.False(t, r.Identical())
			require.Contains(t, r.String(), "\nWrong database: "+text+"\n")
			require.Equal(t, mirror.Side{Identity: r.Mirror.Identity, Role: "mirror", ContextID: "Cust9"}, r.Mirror)
			var back mirror.Report
			data, err := json.Marshal(r)
			require.NoError(t, err)
			require.NoError(t, json.Unmarshal(data, &back))
			require.ErrorIs(t, back.Err(), mirror.ErrWrongDatabase, "through JSON")
			st, err := t.mirror(nil).Status(t.Context())
			require.NoError(t, err)
			require.ErrorIs(t, st.Err(), mirror.ErrWrongDatabase)
			require.Contains(t, st.String(), "Wrong database: "+text+"\n")
			fleet := fleet.Fleet{Members: []fleet.Member{{ContextID: ContextID, Open: func(context.Context) (*fleet.Connection, error) {
				return &fleet.Connection{Mirror: t.mirror(nil)}, nil
			}}}}
			for result := range fleet.Status(t.Context()) {
				require.ErrorIs(t, result.Err, mirror.ErrWrongDatabase)
				require.NotNil(t, result.Status)
			}
			_, err = t.mirror(nil).ResetTables(t.Context(), []string{"contact"}, nil)
			require.ErrorIs(t, err, mirror.ErrNoMetadata)
			require.ErrorContains(t, err, "but Cust9_mirroring: is the context identifier right?")
		}},
		{name: "the customer's own database as mirror", run: func(t *env) {
			t.load(t.store, contact(rows...), small("login"), small("registry"), small("locking"))
			r := t.compare(t.source(contact(rows...)), nil)
			require.ErrorIs(t, r.Err(), mirror.ErrWrongDatabase)
			require.ErrorContains(t, r.Err(), "is it the customer's own database?")
			require.Equal(t, "customer", r.Mirror.Role)
		}},
		{name: "nothing to compare with", run: func(t *env) {
			t.load(t.store, contact(rows...), metadata("contact", 5))
			refused(t, t.source(), nil, "the source has no tables: check the database, the schema and the login's permissions")
			refused(t, t.source(person()), nil, "the source and the mirror have no table in common")
			prefixed := contact(rows...)
			prefixed.name = "crm7.contact"
			refused(t, t.source(prefixed), nil, `name it in CompareOptions.SchemaPrefixes, such as "crm7."`)
		}},
		{name: "a mirror that awaits its first cycle is no mistake", run: func(t *env) {
			source := t.source(contact(rows...), person())
			r := t.compare(source, nil)
			require.NoError(t, r.Err())
			st, err := t.mirror(nil).Status(t.Context())
			require.NoError(t, err)
			require.NoError(t, st.Err())
			require.Equal(t, []string{"there are no tables at all: unless the mirror is new, check the database, the schema and the login's permissions"}, st.Warnings)
			t.load(t.store, contact(rows...), person())
			require.NoError(t, t.compare(source, nil).Err(), "so after a hard reset")
		}},
		{name: "a side that lacks many tables", run: func(t *env) {
			var all, some []table
			var lsns []any
			for i := range 12 {
				all = append(all, small(fmt.Sprintf("t%02d", i)))
				if lsns = append(lsns, all[i].name, 5); i >= 3 {
					some = append(some, all[i])
				}
			}
			t.load(t.store, append(all, metadata(lsns...))...)
			r := t.compare(t.source(some...), nil)
			require.ErrorIs(t, r.Err(), mirror.ErrWrongDatabase)
			require.ErrorContains(t, r.Err(), "the source lacks 3 of the 12 tables that the metadata table lists, such as t00, t01, t02: is it the right database, and may the login see all tables?")
			require.NoError(t, t.compare(t.source(some...), &mirror.CompareOptions{SkipTables: []string{"t00", "t01", "t02"}}).Err(), "left out by request")
			require.NoError(t, t.compare(t.source(some...), &mirror.CompareOptions{Tables: []string{"t00", "t03"}}).Err(), "one of two")
			require.NoError(t, t.compare(t.source(all[2:]...), nil).Err(), "two come and go with a version")
			full := t.source(all...)
			st, err := t.mirror(nil).Status(t.Context())
			require.NoError(t, err)
			require.NoError(t, st.Err())
			require.NoError(t, t.store.Update(t.Context(), func(tx store.Tx) error {
				for _, name := range []string{"t00", "t01", "t02"} {
					if err := tx.Drop(t.Context(), t.table(name)); err != nil {
						return err
					}
				}
				return nil
			}))
			const text = "the mirror lacks 3 of the 12 tables that the metadata table lists, such as t00, t01, t02"
			r = t.compare(full, nil)
			require.ErrorContains(t, r.Err(), text)
			_, err = t.mirror(nil).Apply(t.Context(), r.Plan(), nil)
			require.ErrorIs(t, err, mirror.ErrWrongDatabase)
			st, err = t.mirror(nil).Status(t.Context())
			require.NoError(t, err)
			require.ErrorIs(t, st.Err(), mirror.ErrWrongDatabase)
			require.ErrorContains(t, st.Err(), text)
		}},
		{name: "a report is about its source", run: func(t *env) {
			t.load(t.store, contact(rows...), metadata("contact", 5))
			source := t.source(contact())
			if _, ok := source.(store.Identifier); !ok {
				t.Skip("the store does not tell which database it serves")
			}
			r := t.compare(source, nil)
			if r.Source.ID == "" {
				t.Skip("the database does not tell which one it is")
			}
			_, err := t.mirror(nil).Recheck(t.Context(), t.source(contact()), r, nil)
			require.ErrorIs(t, err, mirror.ErrWrongDatabase)
			require.ErrorContains(t, err, "the report is about another source")
		}},
		{name: "what was looked at", run: func(t *env) {
			odd := table{name: "odd", columns: []store.Column{notNull("id", "int"), col("what", "sql_variant"), col("note", "int")}, key: []string{"id"}, rows: []store.Row{{1, nil, 1}}}
			twin := odd
			twin.name = "twin"
			tables := []table{contact(rows...), odd, twin, person(), small("email")}
			t.load(t.store, append(tables, metadata())...)
			source := t.source(append(tables, small("login"))...)
			r := t.compare(source, &mirror.CompareOptions{SkipTables: []string{"email"}, IgnoreColumns: []string{"odd.note", "twin.note"}})
			require.Equal(t, "4 identical, 2 not-mirrored.", r.Summary())
			require.False(t, r.Identical(), "two columns were left out")
			require.Equal(t, mirror.Scope{Tables: 6, Compared: 4, LeftOut: 2, SkipTables: []string{"email"}}, r.Scope)
			text := r.String()
			for _, want := range []string{
				"Scope: 4 of 6 tables compared (1 never mirrored, 1 skipped by request), without 4 columns of 2 tables, 2 of them by request\n",
				"\n  skipped by request: email\n", "\n  never mirrored: login\n",
				"\n  Columns that were not compared:\n    odd, twin: what (type sql_variant cannot be compared); note (ignored by request)\n",
				"\nThat is not all: 2 columns were left out that nobody asked to leave out (see IgnoreColumns).\n",
			} {
				require.Contains(t, text, want)
			}
			var b bytes.Buffer
			require.NoError(t, r.WriteJSON(&b))
			require.Contains(t, b.String(), `"reason": "type sql_variant cannot be compared"`)

			asked := t.compare(source, &mirror.CompareOptions{IgnoreColumns: []string{"what"}, Tables: []string{"odd", "CONTACT"}})
			require.True(t, asked.Identical(), "what was left out was asked for")
			require.Equal(t, mirror.Scope{Tables: 6, Compared: 2, OnlyTables: []string{"odd", "CONTACT"}}, asked.Scope)
			require.Contains(t, asked.String(), "Scope: 2 of 6 tables compared (4 not named), without 1 column of 1 table, 1 of them by request\n")
			counted := t.compare(source, &mirror.CompareOptions{Depth: mirror.DepthCount})
			require.True(t, counted.Identical(), "as far as numbers of rows go")
			require.Contains(t, counted.String(), "compared (1 never mirrored), no value of them\n")
		}},
		{name: "a sample has the state of its own difference", run: func(t *env) {
			long := strings.Repeat("k", 60)
			text := func(rows ...store.Row) table {
				return table{name: "letter", columns: []store.Column{notNull("k", "nvarchar(100)"), col("v", "int")}, key: []string{"k"}, rows: rows}
			}
			first, second := long+"-the first 73", long+"-the second73"
			require.Len(t, first, 73)
			t.load(t.store, text(store.Row{first, 1}, store.Row{second, 1}), metadata("letter", 5))
			source := t.source(text(store.Row{first, 2}, store.Row{second, 2}))
			r := t.compare(source, nil)
			require.Equal(t, r.Table("letter").Samples[0].Key[0].String(), r.Table("letter").Samples[1].Key[0].String(), "they print alike")
			e := env{T: t.T, store: t.store}
			require.NoError(t, t.store.Update(t.Context(), func(tx store.Tx) error {
				_, err := tx.Set(t.Context(), e.table("letter"), []store.Cell{{Column: "k", Value: first}}, []store.Cell{{Column: "v", Value: 2}})
				return err
			}))
			for _, report := range []*mirror.Report{r, throughJSON(t, r)} {
				again, err := t.mirror(nil).Recheck(t.Context(), source, report, nil)
				require.NoError(t, err)
				states := map[any]mirror.DiffState{}
				for _, s := range again.Table("letter").Samples {
					states[s.Key[0].Value] = s.State
				}
				require.Equal(t, map[any]mirror.DiffState{first: mirror.DiffArrived, second: mirror.DiffUnknown}, states)
			}
		}},
		{name: "names that are none of a table", run: func(t *env) {
			t.load(t.store, contact(rows...), person(), metadata("contact", 5, "person", 5))
			source := t.source(contact(rows...), person())
			m := t.mirror(nil)
			compare := func(names ...string) error {
				_, err := m.Compare(t.Context(), source, &mirror.CompareOptions{Tables: names})
				return err
			}
			reset := func(names ...string) error {
				_, err := m.ResetTables(t.Context(), names, nil)
				return err
			}
			hard := func(names ...string) error {
				_, err := m.HardReset(t.Context(), &mirror.HardResetOptions{Tables: names, Confirm: ContextID})
				return err
			}
			wait := func(names ...string) error {
				_, err := heal.Wait(t.Context(), m, nil, &heal.WaitOptions{Tables: names})
				return err
			}
			apply := func(names ...string) error {
				_, err := m.Apply(t.Context(), t.compare(source, nil).Plan(), &mirror.ApplyOptions{Tables: names, Force: true})
				return err
			}
			t.unchanged(func() {
				for name, op := range map[string]func(...string) error{"compare": compare, "reset": reset, "hard": hard, "wait": wait, "apply": apply} {
					var refusal *mirror.Error
					require.ErrorAs(t, op("cust10195_MIRRORING"), &refusal, name)
					require.Contains(t, refusal.Error(), `"cust10195_MIRRORING" is the metadata table: `, name)
					require.Empty(t, refusal.Tables[0].Closest, name)
				}
				for name, op := range map[string]func(...string) error{"compare": compare, "reset": reset, "hard": hard} {
					for _, prefixed := range []string{"crm7.person", "dbo2.contact"} {
						err := op(prefixed)
						require.ErrorIs(t, err, store.ErrTableNotFound, name)
						require.ErrorContains(t, err, fmt.Sprintf("(did you mean %q?)", prefixed[5:]), name)
						require.ErrorContains(t, err, "CompareOptions.SchemaPrefixes", name)
					}
				}
				_, err := m.ResetTables(t.Context(), []string{"contact"}, &mirror.ResetOptions{All: true})
				require.ErrorContains(t, err, "All is set and tables are named")
				_, err = m.HardReset(t.Context(), &mirror.HardResetOptions{Confirm: ContextID, All: true, Tables: []string{"contact"}})
				require.ErrorContains(t, err, "All is set and tables are named")
			})
			all := t.compare(source, nil)
			require.True(t, all.Identical())
			require.Len(t, all.Tables, 2)
		}},
		{name: "a canceled context", run: func(t *env) {
			t.load(t.store, contact(rows...))
			_, err := t.mirror(nil).Compare(canceled(t), t.source(contact()), nil)
			require.Equal(t, context.Canceled, err)
		}},
	}
}

// unidentified is a report that does not say which databases it is about.
func unidentified(r *mirror.Report) *mirror.Report {
	c := *r
	c.Source.ID, c.Mirror.ID = "", ""
	return &c
}

// throughJSON is a report that was kept as JSON.
func throughJSON(t *env, r *mirror.Report) *mirror.Report {
	t.Helper()
	data, err := json.Marshal(r)
	require.NoError(t, err)
	var back mirror.Report
	require.NoError(t, json.Unmarshal(data, &back))
	return &back
}
