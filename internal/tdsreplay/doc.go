// Package tdsreplay lets tests talk to a SQL Server that is not there: it
// records the TDS conversations of a test with a real server into a text file,
// and later answers the same requests from that file. The client is the real
// driver over a real TCP connection in both modes.
//
//	var record = flag.Bool("record", false, "record testdata from MIRROR_TEST_SQLSERVER_DSN")
//
//	func open(t *testing.T) *sql.DB {
//		live := ""
//		if *record {
//			live = os.Getenv("MIRROR_TEST_SQLSERVER_DSN")
//		}
//		db, err := sql.Open("sqlserver", tdsreplay.DSN(t, live, tdsreplay.File(t), "master"))
//		require.NoError(t, err)
//		t.Cleanup(func() { db.Close() })
//		return db
//	}
//
// # How requests are matched
//
// A request is answered by what it says, whichever connection asks: which
// connection of a pool runs a statement is not the same in two runs. The text
// of a request is its SQL, the name of the procedure, and every parameter with
// its type and value; a request of the transaction manager is its kind,
// isolation level and name; a bulk load is its bytes; a login is the database
// and whether it is read-only. Parameters are shown with the types of the
// protocol, whose sizes are in bytes. Transaction descriptors, packet sizes and
// requests to reset the session are left out.
//
// Requests with the same text get the recorded answers in the recorded order,
// so a SELECT before and after an UPDATE is right as long as the test is
// sequential. When the answers are used up, the next such request fails the
// test, except for
//   - connecting, whose last answer serves any number of connections,
//   - batches of SET statements, which a pool sends once per connection,
//   - a request that was recorded several times, always with the same answer.
//
// A request that was not recorded fails the test with a diff against the
// recorded request most like it, and the client gets an error. A response that
// the client cancelled is played up to the point where it did, and the rest
// only after it cancels again.
//
// # What a test must do
//
//   - Be deterministic: names of databases and tables from t.Name() and not
//     from a random number or the time, a fixed clock, no order of a map, no
//     loop that polls until something happens.
//   - Use one transcript a test (see [File]), and one of its own for a login
//     that is to fail.
//   - Set up what the test itself is not about over a connection of its own to
//     the live server, which then needs no replay.
//   - Keep tables small. Requests longer than 4 KiB keep only their beginning
//     and a digest, responses are compressed.
//
// A replay has no locks and no clock: nothing waits for anything, so a test
// about waiting can only run live. TLS, integrated login, MARS and read-only
// routing are not supported.
//
// # Secrets
//
// A login is never stored. The recorder hides host name, process and hardware
// address from the server, and replaces user name, password and the server's
// name in responses by as many x; SQL that contains the user name or the
// password is refused. A user name of less than four characters, such as sa,
// is not looked for. Other secrets in SQL are the test's responsibility.
package tdsreplay
