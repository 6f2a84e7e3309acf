package mirrortest

import (
	"time"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/internal/superoffice"
	"github.com/so-mirror/mirror/replica"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/cycle"
)

// one is the report of contact with a verdict.
func one(verdict replica.Verdict, counts replica.TableReport) map[string]replica.TableReport {
	counts.Verdict = verdict
	return map[string]replica.TableReport{"contact": counts}
}

func checkScenarios() []checkScenario {
	lost := func(columns ...string) func(table, column string) bool {
		return func(_, column string) bool {
			for _, c := range columns {
				if c == column {
					return true
				}
			}
			return false
		}
	}
	// A client whose snapshots are small is long in coming to person.
	manyContacts := func(w *twins) {
		var rows []store.Row
		for i := range 60 {
			rows = append(rows, twinContact(100+i, 1))
		}
		w.insert(w.customer, "contact", rows...)
		w.cycle()
		w.catchUp()
		w.delete(w.replica, "person", "person_id", 2)
	}
	// resumed loses what was on its way to the client, which takes all rows again:
	// those that lag come late, and what is deleted stays.
	lagging := func(w *twins) {
		manyContacts(w)
		w.contact(w.customer, 159, 2)
		w.insert(w.customer, "contact", twinContact(160, 1))
		w.delete(w.customer, "contact", "contact_id", 1)
		w.set(w.customer, "person", cells("person_id", 11), cells("lastname", "Late"))
		w.cycle()
	}
	resumed := map[int]func(w *twins){1: func(w *twins) { require.NoError(w, w.client.RestoreTenant(w.Context())) }}
	slow := cycle.ReplicaOptions{SnapshotRows: 1}
	resync := func(w *twins) {
		require.NoError(w, w.client.Resync(w.Context(), "crm7.contact", "crm7.link", "crm7.log", "crm7.person"))
	}
	return []checkScenario{
		{name: "nothing happened", decision: replica.Go},
		{name: "upper and lower case, one schema, keys, ntext", client: cycle.ReplicaOptions{KeepCase: true}, decision: replica.Go},

		// Lag on either side.
		{name: "the mirror is behind, and a cycle comes", before: func(w *twins) {
			w.contact(w.customer, 1, 2)
			w.delete(w.customer, "contact", "contact_id", 2)
			w.insert(w.customer, "contact", twinContact(50, 1))
			w.set(w.customer, "person", cells("person_id", 3), cells("rank", 0.5))
			w.catchUp()
		}, want: map[string]replica.TableReport{"contact": {Verdict: replica.EqualAfterLag, Lag: 3}, "person": {Verdict: replica.EqualAfterLag, Lag: 1}}, decision: replica.Go},
		{name: "the replica is behind, and an interval passes", before: func(w *twins) {
			w.contact(w.customer, 1, 2)
			w.delete(w.customer, "contact", "contact_id", 2)
			w.insert(w.customer, "contact", twinContact(50, 1))
			w.cycle()
		}, want: one(replica.EqualAfterLag, replica.TableReport{Lag: 3}), decision: replica.Go},
		{name: "both are behind, each for itself", before: func(w *twins) {
			w.contact(w.customer, 1, 2)
			w.catchUp()
			w.contact(w.customer, 1, 3)
			w.contact(w.customer, 2, 3)
		}, want: one(replica.EqualAfterLag, replica.TableReport{Lag: 1}), decision: replica.Go},
		{name: "the replica's changes take two intervals", client: cycle.ReplicaOptions{Delay: 1}, before: func(w *twins) {
			w.contact(w.customer, 1, 2)
			w.cycle()
		}, want: one(replica.EqualAfterLag, replica.TableReport{Lag: 1}), decision: replica.Go},

		// The mirror does not follow.
		{name: "the mirror stopped", noCycles: true, before: func(w *twins) {
			w.contact(w.customer, 1, 2)
			w.insert(w.customer, "contact", twinContact(50, 1))
			w.delete(w.customer, "contact", "contact_id", 2)
			w.catchUp()
		}, want: one(replica.Undecided, replica.TableReport{Open: 3}), decision: replica.NotYet, reason: "no cycle of the old mirror was seen to end"},
		{name: "the mirror lost an update", before: func(w *twins) {
			w.contact(w.customer, 1, 2)
			w.cycle()
			w.catchUp()
			w.contact(w.mirror, 1, 1)
		}, want: one(replica.OldStale, replica.TableReport{OldStale: 1}), decision: replica.Go},
		{name: "the mirror lost an update of a quiet table", quiet: true, before: func(w *twins) {
			w.contact(w.customer, 1, 2)
			w.cycle()
			w.catchUp()
			w.contact(w.mirror, 1, 1)
		}, want: one(replica.OldStale, replica.TableReport{OldStale: 1}), decision: replica.Go},
		{name: "the mirror's table is sent whole next, and no cycle comes", noCycles: true, before: func(w *twins) {
			w.contact(w.mirror, 1, 0)
			w.setLSN("contact", -1)
		}, want: one(replica.Undecided, replica.TableReport{Open: 1}), decision: replica.NotYet, reason: "the old mirror sends the whole table with its next cycle"},
		{name: "the mirror's table is sent whole, and a cycle comes", before: func(w *twins) {
			w.contact(w.mirror, 1, 0)
			w.setLSN("contact", -1)
		}, want: one(replica.EqualAfterLag, replica.TableReport{Lag: 1}), moved: true, decision: replica.Go},
		{name: "the mirror's table was wiped, and the replica lacks all of it too", noCycles: true, before: func(w *twins) {
			w.setLSN("person", -1)
			for _, st := range []store.Store{w.mirror, w.replica} {
				require.NoError(w, st.Update(w.Context(), func(tx store.Tx) error { return tx.Truncate(w.Context(), w.table(st, "person")) }))
			}
		}, want: map[string]replica.TableReport{"person": {Verdict: replica.Undecided}}, decision: replica.NotYet,
			reason: "the old mirror sends the whole table with its next cycle"},
		{name: "the mirror's table has no metadata row", noCycles: true, before: func(w *twins) {
			w.delete(w.mirror, superoffice.MetadataTable(ContextID), "tablename", "contact")
			w.contact(w.mirror, 1, 0)
		}, want: one(replica.Undecided, replica.TableReport{Open: 1}), decision: replica.NotYet, reason: "the old mirror has no LSN for the table"},

		{name: "the mirror's cycles stop in the middle for an hour", noCycles: true, before: func(w *twins) {
			w.insert(w.customer, "person", store.Row{50, "New", 1.0})
			w.catchUp()
		}, during: map[int]func(w *twins){20: (*twins).interrupted, 40: (*twins).interrupted, 60: (*twins).interrupted, 80: (*twins).cycle},
			want:     map[string]replica.TableReport{"person": {Verdict: replica.EqualAfterLag, Lag: 1}, "contact": {Verdict: replica.Equal}},
			decision: replica.Go},
		{name: "the mirror's cycles stop before a table each time", noCycles: true, before: func(w *twins) {
			w.insert(w.customer, "person", store.Row{50, "New", 1.0})
			w.set(w.customer, "link", cells("a", 1, "b", "b2"), cells("note", "new"))
			w.insert(w.customer, "log", store.Row{50, "new"})
			w.catchUp()
		}, during: map[int]func(w *twins){20: (*twins).interrupted, 40: (*twins).interrupted, 60: (*twins).interrupted},
			want:     map[string]replica.TableReport{"person": {Verdict: replica.Undecided, Open: 1}, "link": {Verdict: replica.Undecided, Open: 1}, "log": {Verdict: replica.Undecided, Open: 1}},
			decision: replica.NotYet, reason: "too few cycles of the old mirror ended"},
		{name: "a table that only the mirror has, and that is not mirrored", before: func(w *twins) {
			own := store.Table{Name: "own", Columns: []store.Column{notNull("id", "int")}, Key: []string{"id"}}
			require.NoError(w, w.mirror.Update(w.Context(), func(tx store.Tx) error { return tx.Create(w.Context(), own) }))
		}, want: map[string]replica.TableReport{"own": {Verdict: replica.Excluded}}, decision: replica.Go, reason: "not mirrored"},

		{name: "a table that only the replica has", before: func(w *twins) {
			own := store.Table{Name: "own", Columns: []store.Column{notNull("id", "int")}, Key: []string{"id"}}
			require.NoError(w, w.replica.Update(w.Context(), func(tx store.Tx) error { return tx.Create(w.Context(), own) }))
			w.contact(w.customer, 1, 2)
			w.catchUp()
		}, want: map[string]replica.TableReport{"own": {Verdict: replica.Excluded}, "contact": {Verdict: replica.EqualAfterLag, Lag: 1}}, decision: replica.Go},

		// The replica is wrong.
		{name: "a table that neither side gives a key", before: func(w *twins) {
			w.delete(w.replica, "bag", "v", "b")
			w.insert(w.replica, "bag", store.Row{"a", 1}, store.Row{"c", 2})
		}, want: map[string]replica.TableReport{"bag": {Verdict: replica.NewStale, NewStale: 1, Ghosts: 2}}, decision: replica.NoGo, reason: "row missing"},
		{name: "a table that neither side gives a key, and a cycle comes", before: func(w *twins) {
			w.insert(w.customer, "bag", store.Row{"d", 4}, store.Row{"d", 4})
			w.insert(w.replica, "bag", store.Row{"d", 4}, store.Row{"d", 4})
		}, want: map[string]replica.TableReport{"bag": {Verdict: replica.EqualAfterLag, Lag: 2}}, moved: true, decision: replica.Go},
		{name: "missing", before: func(w *twins) { w.delete(w.replica, "contact", "contact_id", 2) },
			want: one(replica.NewStale, replica.TableReport{NewStale: 1}), decision: replica.NoGo, reason: "missing, unless the old mirror failed to delete them"},
		{name: "missing in a quiet table", quiet: true, before: func(w *twins) { w.delete(w.replica, "link", "a", 1, "b", "b2") },
			want: map[string]replica.TableReport{"link": {Verdict: replica.NewStale, NewStale: 1}}, decision: replica.NoGo, reason: "row missing"},
		{name: "missing, and no time", opts: replica.Options{MaxWait: -1}, before: func(w *twins) { w.delete(w.replica, "contact", "contact_id", 2) },
			want: one(replica.Undecided, replica.TableReport{Open: 1}), decision: replica.NotYet},
		{name: "older, while the mirror rests", noCycles: true, before: func(w *twins) { w.contact(w.replica, 1, 0) },
			want: one(replica.NewStale, replica.TableReport{NewStale: 1}), decision: replica.NoGo, reason: "row older"},
		{name: "the client stopped", noSteps: true, before: func(w *twins) {
			w.contact(w.customer, 1, 2)
			w.delete(w.customer, "contact", "contact_id", 2)
			w.cycle()
		}, want: map[string]replica.TableReport{"contact": {Verdict: replica.NewStale, NewStale: 1, Ghosts: 1}}, decision: replica.NoGo, reason: "row older"},
		{name: "other values, the same stamps", before: func(w *twins) {
			w.set(w.replica, "contact", cells("contact_id", 4), cells("name", "Other"))
			w.set(w.replica, "person", cells("person_id", 4), cells("lastname", nil))
		}, want: map[string]replica.TableReport{"contact": {Verdict: replica.Undecided, Conflicts: 1}, "person": {Verdict: replica.Undecided, Conflicts: 1}},
			decision: replica.NoGo, reason: "nothing tells which side is right"},
		{name: "ghosts of a restore", before: func(w *twins) {
			w.insert(w.customer, "contact", twinContact(50, 1), twinContact(51, 1))
			w.insert(w.customer, "person", store.Row{50, "Ghost", 1.0})
			w.insert(w.customer, "log", store.Row{50, "ghost"})
			w.catchUp()
			for table, key := range map[string]string{"contact": "contact_id", "person": "person_id"} { // the backup was older
				w.delete(w.db, table, key, 50)
			}
			w.delete(w.db, "contact", "contact_id", 51)
			w.delete(w.db, "log", "n", 50)
			require.NoError(w, w.client.RestoreTenant(w.Context()))
			w.catchUp()
			w.cycle()
		}, want: map[string]replica.TableReport{"contact": {Verdict: replica.Ghosts, Ghosts: 2}, "person": {Verdict: replica.Ghosts, Ghosts: 1}, "log": {Verdict: replica.Ghosts, Ghosts: 1}},
			decision: replica.NoGo, reason: "ghosts"},
		{name: "large values that a change did not touch are NULL", client: cycle.ReplicaOptions{NullLarge: lost("text", "data")},
			before: func(w *twins) {
				w.set(w.customer, "contact", cells("contact_id", 1), cells("name", "New", "updatedCount", 2))
				w.set(w.customer, "contact", cells("contact_id", 2), cells("text", "new", "data", []byte{7}, "updatedCount", 2))
				w.cycle()
				w.catchUp()
			}, quiet: true,
			want: one(replica.NewStale, replica.TableReport{NewStale: 1}), decision: replica.NoGo, reason: "NULL in place of a large value"},
		{name: "large values that a change did not touch are a placeholder", client: cycle.ReplicaOptions{PlaceholderLarge: lost("text", "data")},
			before: func(w *twins) {
				w.set(w.customer, "contact", cells("contact_id", 1), cells("name", "New", "updatedCount", 2))
				w.set(w.customer, "contact", cells("contact_id", 3), cells("text", "new", "updatedCount", 2))
				w.cycle()
				w.catchUp()
			}, quiet: true,
			want: one(replica.NewStale, replica.TableReport{NewStale: 2}), decision: replica.NoGo, reason: "with a placeholder in place of a large value"},
		{name: "times are rounded", before: func(w *twins) {
			w.set(w.replica, "contact", cells("contact_id", 4), cells("at", day.Add(4*time.Millisecond)))
		}, want: one(replica.NewStale, replica.TableReport{NewStale: 1}), decision: replica.NoGo, reason: "rounded"},
		{name: "times are rounded, and that is accepted", opts: replica.Options{RoundedTimes: true}, before: func(w *twins) {
			w.set(w.replica, "contact", cells("contact_id", 4), cells("at", day.Add(4*time.Millisecond)))
		}, decision: replica.Go},
		{name: "a crash in the middle, and the client goes on", before: func(w *twins) {
			for i := range 6 {
				w.contact(w.customer, i, 2)
			}
			w.cycle()
			w.client.FailAfterRows(3)
			require.ErrorIs(w, w.client.Step(w.Context()), cycle.ErrInterrupted)
		}, want: one(replica.EqualAfterLag, replica.TableReport{Lag: 3}), decision: replica.Go},
		{name: "a crash in the middle, and the client does not go on", noSteps: true, noCycles: true, before: func(w *twins) {
			for i := range 6 {
				w.contact(w.customer, i, 2)
			}
			w.cycle()
			w.client.FailAfterRows(3)
			require.ErrorIs(w, w.client.Step(w.Context()), cycle.ErrInterrupted)
		}, want: one(replica.NewStale, replica.TableReport{NewStale: 3}), decision: replica.NoGo},
		{name: "every fault at once", before: func(w *twins) {
			w.delete(w.replica, "contact", "contact_id", 0)
			w.contact(w.replica, 1, 0)
			w.insert(w.replica, "contact", twinContact(60, 1))
			w.contact(w.mirror, 2, 0)
			w.set(w.replica, "contact", cells("contact_id", 3), cells("body", nil))
			w.set(w.replica, "contact", cells("contact_id", 4), cells("data", []byte(superoffice.Unavailable)))
			w.set(w.replica, "contact", cells("contact_id", 5), cells("at", day.Add(-4*time.Millisecond)))
			w.set(w.replica, "contact", cells("contact_id", 6), cells("name", "Other", "body", nil))
			w.contact(w.customer, 7, 9)
			w.catchUp()
		}, want: one(replica.NewStale, replica.TableReport{NewStale: 5, Ghosts: 1, OldStale: 1, Conflicts: 1, Lag: 1}), decision: replica.NoGo},

		// More rows differ than are read again.
		{name: "more rows are late than are read again", opts: replica.Options{MaxKeys: 2}, before: func(w *twins) {
			for i := range 5 {
				w.contact(w.customer, i, 2)
			}
			w.cycle()
		}, want: one(replica.EqualAfterLag, replica.TableReport{Lag: 5}), moved: true, decision: replica.Go},
		{name: "more rows are late than are read again, and some for good", opts: replica.Options{MaxKeys: 2}, before: func(w *twins) {
			for i := range 5 {
				w.contact(w.customer, i, 2)
			}
			w.cycle()
			w.contact(w.replica, 8, 0)
		}, want: one(replica.NewStale, replica.TableReport{Lag: 5, NewStale: 1}), moved: true, decision: replica.NoGo},
		{name: "more rows stay behind in the mirror than are read again", opts: replica.Options{MaxKeys: 2}, before: func(w *twins) {
			for i := range 5 {
				w.contact(w.customer, i, 2)
			}
			w.cycle()
			w.catchUp()
			for i := range 5 {
				w.contact(w.mirror, i, 1)
			}
		}, want: one(replica.Undecided, replica.TableReport{OldStale: 2, Open: 3}), decision: replica.NotYet, reason: "more rows differ than are read again"},
		{name: "a row that was late is late again, as it was before", opts: replica.Options{MaxKeys: 1}, before: func(w *twins) {
			w.set(w.replica, "person", cells("person_id", 1), cells("rank", 7.0))
			w.set(w.replica, "person", cells("person_id", 2), cells("rank", 7.0))
		}, during: map[int]func(w *twins){ // the first is seen equal, and then as it was
			21: func(w *twins) { w.set(w.replica, "person", cells("person_id", 1), cells("rank", 1.0/3)) },
			22: func(w *twins) { w.set(w.replica, "person", cells("person_id", 1), cells("rank", 7.0)) },
			83: func(w *twins) { w.set(w.replica, "person", cells("person_id", 1), cells("rank", 1.0/3)) },
			86: func(w *twins) { w.set(w.replica, "person", cells("person_id", 2), cells("rank", 2.0/3)) },
		}, quiet: true, want: map[string]replica.TableReport{"person": {Verdict: replica.EqualAfterLag, Lag: 2}}, moved: true, decision: replica.Go},

		// While the check looks on.
		{name: "a mirror that lacks changes of one table lacks its new rows, too", quiet: true, noCycles: true, before: func(w *twins) {
			w.contact(w.customer, 1, 2)
			w.insert(w.customer, "contact", twinContact(50, 1))
			w.delete(w.customer, "contact", "contact_id", 2)
			w.catchUp()
			w.task.SkipTables = []string{"contact"}
		}, during: map[int]func(w *twins){20: (*twins).pulse, 40: (*twins).pulse, 60: (*twins).pulse, 80: (*twins).pulse},
			want: one(replica.Undecided, replica.TableReport{OldStale: 1, Open: 2}), decision: replica.NotYet},
		{name: "re-synchronized while the check looks on", client: cycle.ReplicaOptions{SnapshotRows: 2}, before: func(w *twins) {
			w.delete(w.replica, "contact", "contact_id", 2)
			w.contact(w.replica, 1, 0)
		}, during: map[int]func(w *twins){1: func(w *twins) { require.NoError(w, w.client.Resync(w.Context(), "crm7.contact")) }},
			want: one(replica.EqualAfterLag, replica.TableReport{Lag: 2}), decision: replica.Go},
		{name: "re-synchronized for longer than four cycles", client: cycle.ReplicaOptions{SnapshotRows: 1}, before: manyContacts, during: map[int]func(w *twins){1: resync},
			want: map[string]replica.TableReport{"person": {Verdict: replica.EqualAfterLag, Lag: 1}}, decision: replica.Go},
		{name: "re-synchronized for longer than the check looks on", client: cycle.ReplicaOptions{SnapshotRows: 1}, opts: replica.Options{MaxWait: 85 * time.Minute}, before: manyContacts, during: map[int]func(w *twins){1: resync},
			want: map[string]replica.TableReport{"person": {Verdict: replica.Undecided, Open: 1}}, decision: replica.NotYet, reason: "the client fills the table again"},
		{name: "the tenant is resumed, and takes longer than two cycles", client: slow, before: lagging, during: resumed,
			want: map[string]replica.TableReport{
				"contact": {Verdict: replica.Undecided, Lag: 2, Open: 1}, "person": {Verdict: replica.Undecided, Lag: 1, Open: 1},
			}, decision: replica.NotYet, reason: "the client takes all rows again"},
		{name: "a row is missing, and the mirror's table is wiped while the check looks on", noCycles: true, before: func(w *twins) {
			w.delete(w.replica, "contact", "contact_id", 2)
		}, during: map[int]func(w *twins){5: func(w *twins) { // a cycle has begun to send it
			require.NoError(w, w.mirror.Update(w.Context(), func(tx store.Tx) error { return tx.Truncate(w.Context(), w.table(w.mirror, "contact")) }))
			w.setLSN("contact", -1)
		}}, want: one(replica.Undecided, replica.TableReport{Open: 1}), decision: replica.NotYet, reason: "the old mirror sends the whole table with its next cycle"},
		{name: "a restore of the tenant while the check looks on", before: func(w *twins) {
			for i := range 9 { // too many for those after the restore to hide it from the mirror
				w.set(w.customer, "pulse", cells("pulse_id", 1), cells("beat", -i-1))
			}
			w.contact(w.customer, 1, 2)
			w.insert(w.customer, "contact", twinContact(50, 1))
			w.cycle()
			w.catchUp()
			w.contact(w.replica, 1, 0)
			w.delete(w.replica, "contact", "contact_id", 50)
		}, during: map[int]func(w *twins){1: func(w *twins) { // the customer's row is that of a backup
			w.contact(w.db, 1, 1)
			w.delete(w.db, "contact", "contact_id", 50)
			w.customer.Restore(1)
			require.NoError(w, w.client.RestoreTenant(w.Context()))
		}}, want: one(replica.EqualAfterLag, replica.TableReport{Lag: 2}), decision: replica.NotYet, reason: "the client takes all rows again"},
		{name: "the tenant is resumed when a table was compared, and a delete in it is lost", before: func(w *twins) {
			w.contact(w.customer, 1, 2)
			w.cycle()
		}, during: map[int]func(w *twins){1: func(w *twins) {
			w.delete(w.customer, "person", "person_id", 3)
			require.NoError(w, w.client.RestoreTenant(w.Context()))
		}}, want: one(replica.EqualAfterLag, replica.TableReport{Lag: 1}), decision: replica.NotYet, reason: "the client takes all rows again"},

		// The reference is the customer's database.
		{name: "the customer's database: lag, ghosts, missing, older, newer", customer: true, before: func(w *twins) {
			w.contact(w.customer, 1, 2)
			w.insert(w.replica, "contact", twinContact(60, 1))
			w.delete(w.replica, "contact", "contact_id", 3)
			w.contact(w.replica, 4, 0)
			w.contact(w.replica, 5, 9)
		}, want: one(replica.NewStale, replica.TableReport{Lag: 1, Ghosts: 1, NewStale: 3}), decision: replica.NoGo},
		{name: "the customer's database: the tenant is resumed", customer: true, client: slow, before: lagging, during: resumed,
			want: map[string]replica.TableReport{
				"contact": {Verdict: replica.Undecided, Open: 3}, "person": {Verdict: replica.Undecided, Open: 2},
			}, decision: replica.NotYet, reason: "the client takes all rows again"},
		{name: "a backup of the customer's database", customer: true, opts: replica.Options{AsOf: day.Add(5 * time.Second)}, noSteps: true, before: func(w *twins) {
			w.contact(w.replica, 1, 9)                          // after the backup
			w.insert(w.replica, "contact", twinContact(60, 9))  // too
			w.insert(w.replica, "contact", twinContact(61, 1))  // a ghost
			w.contact(w.replica, 4, 0)                          // older
			w.delete(w.replica, "contact", "contact_id", 3)     // deleted since, or missing
			w.insert(w.replica, "contact", twinContact(62, 5))  // in the second of the backup
			w.insert(w.replica, "person", store.Row{50, "", 0}) // who knows when
			w.insert(w.replica, "contact", store.Row{63, "no stamp", nil, nil, nil, nil, nil, nil})
		}, want: map[string]replica.TableReport{"contact": {Verdict: replica.NewStale, NewStale: 1, Ghosts: 1, Open: 2}, "person": {Verdict: replica.Undecided, Open: 1}},
			decision: replica.NoGo},
	}
}
