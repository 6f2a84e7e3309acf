package mssql

import (
	"errors"
	"fmt"
	"io"
	"testing"

	mssqldb "github.com/microsoft/go-mssqldb"
	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store/sqlstore"
)

func TestClassify(t *testing.T) {
	number := func(n int32, others ...int32) error {
		e := mssqldb.Error{Number: n, Message: fmt.Sprint("message ", n)}
		for _, o := range append(others, n) {
			e.All = append(e.All, mssqldb.Error{Number: o})
		}
		return fmt.Errorf("query: %w", e)
	}
	other := func(text string) error { return mssqldb.Error{Number: otherServer, Message: text} }
	for _, c := range []struct {
		name string
		err  error
		want sqlstore.ErrorClass
	}{
		{"invalid object name", number(208), sqlstore.ErrorTableNotFound},
		{"deadlock victim", number(1205), sqlstore.ErrorDeadlock},
		{"lock timeout", number(1222), sqlstore.ErrorLockTimeout},
		{"select denied", number(229), sqlstore.ErrorPermission},
		{"column denied", number(230), sqlstore.ErrorPermission},
		{"create table denied", number(262), sqlstore.ErrorPermission},
		{"no user of the database", number(916), sqlstore.ErrorPermission},
		{"cannot find the object", number(1088), sqlstore.ErrorPermission},
		{"cannot drop", number(3701), sqlstore.ErrorPermission},
		{"cannot truncate", number(4701), sqlstore.ErrorPermission},
		{"login failed", number(18456), sqlstore.ErrorLogin},
		{"untrusted domain", number(18452), sqlstore.ErrorLogin},
		{"cannot open the database, and so the login failed", number(18456, 4060), sqlstore.ErrorLogin},
		{"the reason is not the last error", number(3621, 229), sqlstore.ErrorPermission},
		{"session killed", number(596), sqlstore.ErrorConnection},
		{"Azure fails over", number(40613), sqlstore.ErrorConnection},
		{"the server gave up", fmt.Errorf("x: %w", mssqldb.ServerError{}), sqlstore.ErrorConnection},
		{"a broken stream", mssqldb.StreamError{InnerError: io.ErrUnexpectedEOF}, sqlstore.ErrorConnection},
		{"duplicate key", number(2627), sqlstore.ErrorConstraint},
		{"NULL where none is allowed", number(515), sqlstore.ErrorConstraint},
		{"no number", errors.New("lock timeout"), sqlstore.ErrorOther},
		{"another server's lock timeout", other("canceling statement due to lock timeout"), sqlstore.ErrorLockTimeout},
		{"another server's missing table", other(`relation "x" does not exist`), sqlstore.ErrorTableNotFound},
		{"nothing to rename", number(15225), sqlstore.ErrorTableNotFound},
		{"another server has nothing to rename", other("There is no object with the given @objname."), sqlstore.ErrorTableNotFound},
		{"another server's missing function", other("function x() does not exist"), sqlstore.ErrorOther},
		{"another server's permission", other("permission denied for table x"), sqlstore.ErrorPermission},
		{"another server's deadlock", other("deadlock detected"), sqlstore.ErrorDeadlock},
		{"lock for updates: late", appLockError(-1), sqlstore.ErrorBusy},
		{"lock for updates: cancelled", appLockError(-2), sqlstore.ErrorOther},
		{"lock for updates: deadlock", appLockError(-3), sqlstore.ErrorDeadlock},
		{"lock for updates: refused", appLockError(-999), sqlstore.ErrorOther},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, c.want, classify(c.err))
			if c.want != sqlstore.ErrorOther {
				require.NotEmpty(t, advice(c.want, c.err), "an operator is told what to do")
			}
		})
	}
	require.Contains(t, advice(sqlstore.ErrorOther, number(3952)), "Options.Isolation")
	require.Empty(t, advice(sqlstore.ErrorOther, number(2627)))
}

// TestUnsupported: a server or a table without change tracking is no fault.
func TestUnsupported(t *testing.T) {
	for want, list := range map[bool][]error{
		true: {
			mssqldb.Error{Number: 195, Message: "'CHANGE_TRACKING_CURRENT_VERSION' is not a recognized built-in function name."},
			fmt.Errorf("x: %w", mssqldb.Error{Number: 22105, Message: "Change tracking is not enabled on table 'x'."}),
			mssqldb.Error{Number: otherServer, Message: "function change_tracking_current_version() does not exist"},
			mssqldb.Error{Number: otherServer, Message: "'rowset function' is not currently supported in Babelfish"},
		},
		false: {
			mssqldb.Error{Number: 229, Message: "The VIEW CHANGE TRACKING permission was denied on the object 'x'."},
			mssqldb.Error{Number: otherServer, Message: "deadlock detected"},
			io.EOF,
		},
	} {
		for _, err := range list {
			got := unsupported(err)
			require.Equal(t, want, errors.Is(got, errors.ErrUnsupported), err)
			require.ErrorContains(t, got, err.Error())
			require.Equal(t, classify(err), classify(got))
		}
	}
	require.NoError(t, unsupported(nil))
}

// TestRefused: only an answer of the server tells that a commit was not carried
// out.
func TestRefused(t *testing.T) {
	require.True(t, refused(fmt.Errorf("x: %w", mssqldb.Error{Number: 1205})))
	require.True(t, refused(mssqldb.Error{Number: 0, Message: "server does not have an active transaction"}))
	require.False(t, refused(errors.New("faild to send CommitXact: broken pipe")))
	require.False(t, refused(mssqldb.StreamError{InnerError: io.EOF}))
}
