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
//   - [Mirror.Recheck] finds that out over time, where the source does not
//     track changes.
//   - [Report.Plan] is the smallest set of resets that repairs what was found,
//     and [Mirror.Apply] carries it out if nothing has moved since.
//   - [Mirror.ResetTables] makes the next cycle wipe and repopulate tables.
//   - [Mirror.HardReset] makes it start from nothing.
//   - [Mirror.Undo] takes a reset back before the next cycle begins.
//   - [Mirror.Wait] follows tables until a cycle has populated them, and notices
//     a reset that was lost.
//   - [Mirror.Heal] is all of that as one call. It never makes a hard reset.
//   - [Mirror.Reconcile] tells after a crash, from a [Journal], what happened.
//   - [Fleet] looks at the mirrors of many customers.
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
//		return err // a table could not be compared
//	}
//	if plan := report.Plan(); !plan.Empty() {
//		receipt, err := m.Apply(ctx, plan, nil)
//		...
//	}
//
// # Stores
//
// A [Source] is a database that can be read, a [Store] one that can also be
// written to. Package store/mssql is SQL Server, store/sqlite keeps mirrors in
// files, store/memory is a fake for unit tests, and store/sqlstore makes a Store
// of any database/sql driver and one Dialect. All of them deliver the same values ([Kind]) in the same
// order ([CompareKeys]), which the suite in store/storetest holds them to.
// Package store/cycle plays the vendor's Mirroring Task.
//
// # What holds
//
//   - Compare takes Sources, which cannot be written to.
//   - A reset changes all of the tables it was given, or none. Two of them at
//     once take turns, or the second is ErrBusy.
//   - With a Journal, what a process that died was about to do is known.
//   - Whatever fails, the mirror is as it was before. The exceptions are
//     ErrOutcomeUnknown, when the connection broke during the commit, and an
//     ErrJournal that comes with a Receipt.
//   - What is not known about a metadata row is kept and put back untouched.
//   - A table is never judged by a sample, and every column that was not
//     compared is named in the [Report].
//   - A mirror lags by design. A difference is called pending only with proof
//     that a cycle sends it, diverged only with proof that none does, and
//     otherwise neither.
//
// # Where the rules come from
//
// SuperOffice's documentation of database mirroring states what an LSN of -1
// does, what a missing metadata table does, which tables are never mirrored
// (see [BlockedTables]), and that primary keys, types, nullability and defaults
// are mirrored while foreign keys, indexes and collations are not. SQL Server's
// documentation states the types and their order. The comments name the rule
// where one is applied.
package mirror
