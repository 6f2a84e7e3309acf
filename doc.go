// Package mirror keeps database mirrors of SuperOffice CRM Online honest.
//
// A partner of SuperOffice keeps a mirror: a SQL Server copy of a customer's
// CRM database, fed every 20 minutes by the vendor's Mirroring Task. When a
// mirror stops following, the documented way is to compare tables by eye, to
// set LSN to -1 in the table <context identifier>_mirroring, or to drop that
// table. This package does it properly:
//
//   - [Mirror.Status] says what the mirror's database says about itself.
//   - [Mirror.Compare] compares the mirror with the customer's database, or
//     with any other copy, row by row and by value, and tells rows that the
//     next cycle sends anyway from those that no cycle repairs.
//   - [Mirror.Recheck] finds that out over time, where the source tracks no changes.
//   - [Report.Plan] is the smallest set of resets that repairs what was found,
//     and [Mirror.Apply] carries it out if nothing has moved since.
//   - [Mirror.ResetTables] makes the next cycle wipe and repopulate tables.
//   - [Mirror.HardReset] makes it start from nothing.
//   - [Mirror.Undo] takes a reset back before the next cycle begins.
//   - [Mirror.Reconcile] tells after a crash, from a [Journal], what happened.
//
// Package heal waits until a cycle has populated what was reset, notices a reset
// that was lost, and is all of this as one call; package fleet looks at the mirrors
// of many customers. Package replica checks what the vendor's newer client made
// before it takes the mirror's place. Package htmlreport writes all of their reports for
// people to look at, and package console serves pages over many mirrors. Package journal is a [Journal] in a file.
// Package store is what a database must be able to do.
//
// A mirror that lost rows is found and repaired like this:
//
//	m, err := mirror.New("Cust10195", store, nil)
//	if err != nil {
//		return err
//	}
//	report, err := m.Compare(ctx, source, nil)
//	if err != nil {
//		return err
//	}
//	if err := report.Err(); err != nil {
//		return err // a table could not be compared, or the source is the wrong database
//	}
//	if plan := report.Plan(); !plan.Empty() {
//		receipt, err := m.Apply(ctx, plan, nil)
//		...
//	}
//
// # What is reset
//
// [Report.Plan], [Report.Stale], [Mirror.Apply] and package heal follow one policy.
// A step is the mildest that mends the table whatever the Mirroring Task does about
// it; where a milder one may do, that is tried first.
//
//   - Reset, because it is proven to need it: rows that diverged; an LSN ahead of
//     the source; a table with a metadata row that the mirror does not have; rows
//     that differ in a table whose LSN has expired, since only a reset makes sure
//     that they are sent.
//   - Left alone, because it is pending: rows that changed at the source after the
//     LSN, and everything in a table whose LSN is -1.
//   - Not known yet (StepUnknown), and left alone unless Unknown of ApplyOptions or
//     heal.Options is set: rows that differ where the source tracks no changes, and
//     columns or a key that differ. Recheck after the next cycles finds out.
//   - Columns or a key that still differ after cycles that must have seen them are
//     reset, and hard reset when a reset did not mend them either. A table with
//     several metadata rows is hard reset, too. Hard resets need
//     ApplyOptions.Confirm; without it the rest of a plan is applied all the same.
//   - Nothing is reset when so much differs that the source may be the wrong
//     database: see ApplyOptions.MaxRowShare.
//
// # What holds
//
//   - Compare takes Sources, which cannot be written to.
//   - A reset changes all of its tables or none. Two at once take turns, or the
//     second is [store.ErrBusy].
//   - Whatever fails, the mirror is as it was before. The exceptions are
//     [store.ErrOutcomeUnknown], when the connection broke during the commit, and an
//     ErrJournal that comes with a Receipt. With a [Journal], Mirror.Reconcile finds
//     out what happened, also when the process died.
//   - What is not known about a metadata row is kept and put back untouched.
//   - A table is never judged by a sample, and columns that were not compared are named.
//   - A difference is called pending only with proof that a cycle sends it, diverged
//     only with proof that none does, and otherwise neither.
//
// # Stores
//
// A [store.Source] can be read, a [store.Store] also written to. Package store/mssql
// is SQL Server, store/sqlite keeps mirrors in files, store/memory is a fake for unit
// tests, and store/sqlstore makes a Store of any database/sql driver and one Dialect.
// All deliver the same values in the same order, which the suite in store/storetest
// holds them to. Package store/cycle plays the vendor's Mirroring Task.
//
// # Where the rules come from
//
// The rules are those of SuperOffice's documentation of database mirroring and of SQL
// Server's of its types. RULES.md in the repository has them, with what is assumed of
// the Mirroring Task because it is not documented, and what is done about it. Nothing
// is called repaired by an assumption.
//
// # The way through the packages
//
// A row on its way through Compare: the mirror.Mirror asks each store.Source for its
// catalogue (mssql or sqlite, by way of sqlstore), finds out which databases they
// are (sides.go), and has internal/match pair their tables (match.go) and plan by which
// columns the rows of each pair are compared (plan.go). Each table goes to
// internal/diff: its rows come from both Sources in key order, in one range or
// several (range.go, cursor.go); join.go leaves out the keys whose rows one engine finds
// alike and digest.go ranges that both sides sum up alike, as strategy.go chooses, and
// merge.go walks the rest and counts what differs, by the order and the equality of
// package store. With an earlier report since.go reads only what changed. pending.go, which the engine asks what becomes of a
// difference, asks the source's change tracking. verdict.go makes a verdict of what was
// found, report.go holds it, render.go shows it. A table without a key is told apart
// by all its columns (plan.go of internal/match) and counted in groups of equal rows
// (group.go). checkpoint.go keeps how far each range has come, and range.go goes on
// there.
//
// A table's name on its way through ResetTables: resync.go counts its rows, and in
// one store.Tx has internal/metadata read the metadata table and match its rows with
// tables (match.go), refuses what the name cannot mean, has the LSN written and reads
// it back (write.go). A commit whose answer is lost is store.ErrOutcomeUnknown
// (store/sqlstore/store.go), and Reconcile finds out (journal.go). The Receipt says what was there before, goes to the Journal
// right before the commit, and is what Undo needs (undo.go). HardReset goes the same
// way and renames the table that it takes away.
package mirror
