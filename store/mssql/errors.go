package mssql

import (
	"errors"
	"strings"

	mssqldb "github.com/microsoft/go-mssqldb"

	"github.com/so-mirror/mirror/store/sqlstore"
)

// numbered is an error that the server sent.
type numbered interface {
	error
	SQLErrorNumber() int32
}

// errorClasses are the error numbers of SQL Server and Azure SQL that mean
// something here, as sys.messages documents them.
var errorClasses = map[int32]sqlstore.ErrorClass{
	208:   sqlstore.ErrorTableNotFound, // invalid object name
	15225: sqlstore.ErrorTableNotFound, // sp_rename finds no item of the name
	15248: sqlstore.ErrorTableNotFound, // it finds none of the name and the type

	220:  sqlstore.ErrorConstraint, // overflow of a small type
	271:  sqlstore.ErrorConstraint, // the column is computed
	515:  sqlstore.ErrorConstraint, // NULL
	547:  sqlstore.ErrorConstraint, // CHECK or FOREIGN KEY
	2601: sqlstore.ErrorConstraint, // unique index
	2627: sqlstore.ErrorConstraint, // PRIMARY KEY or UNIQUE
	3609: sqlstore.ErrorConstraint, // a trigger ended the transaction
	8102: sqlstore.ErrorConstraint, // the column is an identity
	8115: sqlstore.ErrorConstraint, // overflow

	1205: sqlstore.ErrorDeadlock,
	1222: sqlstore.ErrorLockTimeout,

	229:   sqlstore.ErrorPermission, // denied on the object
	230:   sqlstore.ErrorPermission, // denied on the column
	262:   sqlstore.ErrorPermission, // denied in the database
	297:   sqlstore.ErrorPermission, // this action
	300:   sqlstore.ErrorPermission, // denied on the server
	916:   sqlstore.ErrorPermission, // the login is no user of the database
	1088:  sqlstore.ErrorPermission, // cannot find the object, or no permission
	2760:  sqlstore.ErrorPermission, // the schema does not exist, or no permission
	3701:  sqlstore.ErrorPermission, // cannot drop: does not exist, or no permission
	3704:  sqlstore.ErrorPermission, // no permission for this operation on the table
	4701:  sqlstore.ErrorPermission, // cannot truncate: does not exist, or no permission
	4902:  sqlstore.ErrorPermission, // cannot find the object, or no permission
	15151: sqlstore.ErrorPermission, // cannot find the object, or no permission
	15247: sqlstore.ErrorPermission, // this action

	4060:  sqlstore.ErrorLogin, // cannot open the database
	4064:  sqlstore.ErrorLogin, // cannot open the default database
	18450: sqlstore.ErrorLogin, // not defined as a valid login of a trusted connection
	18451: sqlstore.ErrorLogin, // only administrators may connect now
	18452: sqlstore.ErrorLogin, // untrusted domain
	18456: sqlstore.ErrorLogin, // login failed
	18470: sqlstore.ErrorLogin, // the account is disabled
	18486: sqlstore.ErrorLogin, // the account is locked
	18487: sqlstore.ErrorLogin, // the password expired
	18488: sqlstore.ErrorLogin, // the password must be changed
	40615: sqlstore.ErrorLogin, // Azure: the address is not allowed by the firewall

	511:  sqlstore.ErrorUnsupported, // a row would pass 8,060 bytes, be it one to sort
	1540: sqlstore.ErrorUnsupported, // a row to sort would pass them
	8618: sqlstore.ErrorUnsupported, // every row to sort would

	596:   sqlstore.ErrorConnection, // the session was killed
	6005:  sqlstore.ErrorConnection, // shutdown in progress
	6006:  sqlstore.ErrorConnection, // the server is stopping
	17142: sqlstore.ErrorConnection, // the server is paused
	17830: sqlstore.ErrorConnection, // network error while logging in
	10928: sqlstore.ErrorConnection, // Azure: too many requests
	10929: sqlstore.ErrorConnection, // Azure: the server is too busy
	40197: sqlstore.ErrorConnection, // Azure: the service failed over
	40501: sqlstore.ErrorConnection, // Azure: the service is busy
	40613: sqlstore.ErrorConnection, // Azure: the database is not available now
}

// classify looks at all errors of an answer: the one that says why need not be
// the last one.
func classify(err error) sqlstore.ErrorClass {
	var lock appLockError
	if errors.As(err, &lock) && lock == lockNotGranted {
		return sqlstore.ErrorBusy
	}
	var severe mssqldb.ServerError
	var stream mssqldb.StreamError
	if errors.As(err, &severe) || errors.As(err, &stream) {
		return sqlstore.ErrorConnection
	}
	for _, e := range answers(err) {
		if class, ok := errorClasses[e.SQLErrorNumber()]; ok {
			return class
		}
		if e.SQLErrorNumber() == otherServer {
			return classifyText(e.Error())
		}
	}
	return sqlstore.ErrorOther
}

// answers returns the errors that the server sent, the last one first.
func answers(err error) []numbered {
	var last numbered
	if !errors.As(err, &last) {
		return nil
	}
	list := []numbered{last}
	var e mssqldb.Error
	if errors.As(err, &e) {
		for i := len(e.All) - 1; i >= 0; i-- {
			list = append(list, e.All[i])
		}
	}
	return list
}

// otherServer is the number that Babelfish, a server that speaks T-SQL, gives
// to every error that it has no number of SQL Server's for.
const otherServer = 33557097

func classifyText(text string) sqlstore.ErrorClass {
	switch {
	case strings.Contains(text, "lock timeout"):
		return sqlstore.ErrorLockTimeout
	case strings.Contains(text, "deadlock detected"):
		return sqlstore.ErrorDeadlock
	case strings.Contains(text, "permission denied"), strings.Contains(text, "must be owner of"):
		return sqlstore.ErrorPermission
	case strings.Contains(text, "relation \"") && strings.Contains(text, "does not exist"),
		strings.Contains(text, "no object with the given @objname"):
		return sqlstore.ErrorTableNotFound
	default:
		return sqlstore.ErrorOther
	}
}

// refused reports whether the server itself ended the transaction.
func refused(err error) bool {
	var n numbered
	return errors.As(err, &n)
}

// Errors of a server without change tracking, and of a table without it.
const (
	noFunction = 195
	notTracked = 22105
)

// Errors with an advice of their own.
const (
	snapshotNotAllowed = 3952
	secondary          = 22117 // change tracking on a secondary replica
	inMemory           = 41332 // a memory-optimised table under SNAPSHOT
	inMemoryToo        = 41368 // or under READ COMMITTED in a transaction
)

// advice tells an operator what to do.
func advice(class sqlstore.ErrorClass, err error) string {
	switch class {
	case sqlstore.ErrorTableNotFound:
		return "it does not exist in this database, or the login may not see it"
	case sqlstore.ErrorDeadlock:
		return "another transaction needs the same rows: try again when the mirroring service is idle"
	case sqlstore.ErrorLockTimeout:
		return "another transaction, perhaps a running cycle, holds a lock: wait for it to end and try again"
	case sqlstore.ErrorBusy:
		return "wait for it to end and try again"
	case sqlstore.ErrorPermission:
		return "the object does not exist, or the login lacks a permission: Preflight lists what it lacks, with the GRANT for it"
	case sqlstore.ErrorLogin:
		return "check the login, its password and the database's name in the connection string, and that the login is a user of that database"
	case sqlstore.ErrorConstraint:
		return "a constraint of the table, a trigger or a type of a column refuses the values: the server's message names it"
	case sqlstore.ErrorUnsupported:
		return "the columns by which rows are ordered, or a row itself, are longer than the 8,060 bytes that the server takes"
	case sqlstore.ErrorConnection:
		return "check that the server is up and reachable, and try again"
	}
	for _, e := range answers(err) {
		switch e.SQLErrorNumber() {
		case secondary:
			return "change tracking cannot be read on a readable secondary: connect to the primary, without ApplicationIntent=ReadOnly"
		case inMemory, inMemoryToo:
			return "the table is memory-optimised, which this store learns from its catalogue: call Tables before reading"
		case snapshotNotAllowed:
			return "the database does not allow snapshot isolation: open the store anew, or set Options.Isolation to read committed"
		}
	}
	return ""
}

// appLockError is a negative result of sp_getapplock. It has the number of the
// error that the same failure is when it meets a row's lock.
type appLockError int

const lockNotGranted appLockError = -1 // within the timeout

func (e appLockError) Error() string {
	switch e {
	case lockNotGranted:
		return "another update of this mirror did not end within the lock timeout"
	case -2:
		return "the wait for another update of this mirror was cancelled"
	case -3:
		return "chosen as the victim of a deadlock between updates of this mirror"
	default:
		return "the lock for updates of this mirror was refused"
	}
}

func (e appLockError) SQLErrorNumber() int32 {
	switch e {
	case lockNotGranted:
		return 1222
	case -3:
		return 1205
	default:
		return 0
	}
}
