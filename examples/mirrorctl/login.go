package main

import (
	"context"
	dbsql "database/sql"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/microsoft/go-mssqldb/azuread"
	_ "github.com/microsoft/go-mssqldb/integratedauth/krb5" // authenticator=krb5
	"github.com/microsoft/go-mssqldb/msdsn"

	"github.com/so-mirror/mirror/store/mssql"
)

const loginHelp = `How to log in to SQL Server is said by the URL, as go-mssqldb understands it:

  sqlserver://user:password@host?database=name           a login of SQL Server
  sqlserver://host?database=name                         on Windows, as who runs mirrorctl
  sqlserver://DOMAIN%5Cuser:password@host?database=name  NTLM, elsewhere than on Windows
  sqlserver://host?database=name&authenticator=krb5      Kerberos, with the ticket of kinit
  sqlserver://host?database=name&fedauth=ActiveDirectoryDefault
                                                         Microsoft Entra ID; other kinds are
      ActiveDirectoryManagedIdentity, ActiveDirectoryWorkloadIdentity, ActiveDirectoryAzCli,
      ActiveDirectoryServicePrincipal, ActiveDirectoryInteractive and more`

// isEntra reports whether a URL logs in by Microsoft Entra ID.
func isEntra(where string) bool {
	u, err := url.Parse(where)
	if err != nil {
		return false
	}
	for name := range u.Query() {
		if strings.EqualFold(name, "fedauth") {
			return true
		}
	}
	return false
}

// sqlServer opens a database of SQL Server. Entra ID is brought in here, and not by the
// library, so that who embeds that does not get it.
func sqlServer(ctx context.Context, t *target, where string, o *mssql.Options) (*mssql.Store, error) {
	if !strings.HasPrefix(strings.ToLower(where), "sqlserver://") {
		return nil, usagef("such a URL is not understood: want sqlserver://host?database=name, or the name of a SQLite file")
	}
	if !isEntra(where) {
		return opened(t, func() (*mssql.Store, error) { return mssql.Open(ctx, where, o) })
	}
	if _, err := msdsn.Parse(where); err != nil { // it quotes the URL
		return nil, errors.New("this is no URL that go-mssqldb understands, such as sqlserver://host?database=name&fedauth=ActiveDirectoryDefault (its text is left out, because it may hold a password)")
	}
	connector, err := azuread.NewConnector(withPackets(where))
	if err != nil {
		return nil, err
	}
	db := sqlx.NewDb(dbsql.OpenDB(connector), azuread.DriverName)
	t.closers = append(t.closers, db.Close)
	db.SetMaxIdleConns(8)
	db.SetConnMaxIdleTime(time.Minute)
	s, err := mssql.New(db, o)
	if err == nil {
		_, err = s.Isolation(ctx)
	}
	return s, err
}

// withPackets asks for packets of the size that mssql.Open asks for, unless the URL says
// another one.
func withPackets(where string) string {
	if strings.Contains(strings.ToLower(where), "packet") {
		return where
	}
	return where + "&packet+size=8000"
}
