package sqlite

import (
	"errors"

	"github.com/so-mirror/mirror/store/sqlstore"
)

// Result codes of SQLite. The low byte of an extended code is the code.
const (
	codeBusy       = 5  // another connection holds the lock for writing, and did so for longer than the connection's busy_timeout
	codeReadOnly   = 8  // a file or its directory may not be written
	codeCorrupt    = 11 // the file is damaged
	codeCantOpen   = 14 // the file, or one beside it, cannot be opened
	codeConstraint = 19 // a constraint or a trigger refused a write
	codeNotADB     = 26 // the file is no database

	codeReadOnlyRecovery  = codeReadOnly | 1<<8 // the log has to be taken up
	codeReadOnlyRollback  = codeReadOnly | 3<<8 // the journal has to be played back
	codeReadOnlyCantInit  = codeReadOnly | 5<<8 // the log's index cannot be used
	codeReadOnlyDirectory = codeReadOnly | 6<<8 // no journal can be made
)

// code returns the extended result code of an error, 0 for none.
func code(err error) int {
	var coded interface{ Code() int }
	if !errors.As(err, &coded) {
		return 0
	}
	return coded.Code()
}

// advice says what to do, in words that go well before SQLite's own.
func advice(_ sqlstore.ErrorClass, err error) string {
	switch c := code(err); c {
	case codeReadOnlyRollback:
		return leftJournal
	case codeReadOnlyRecovery, codeReadOnlyCantInit:
		return "the write-ahead log beside the file cannot be read as it is: open it once with a program that may write, such as sqlite3"
	case codeReadOnlyDirectory:
		return "this user may not make a journal in the directory of the file"
	default:
		switch c & 0xff {
		case codeCorrupt:
			return "restore a backup of the file, or have a new one filled"
		case codeNotADB:
			return "check the path, and whether the file is encrypted"
		case codeCantOpen:
			return "check the permissions of the file, of what lies beside it (-journal, -wal, -shm), and of the directory"
		}
		return ""
	}
}
