package customers

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

// LoginHelp says how one logs in to SQL Server, for the help of a program.
func LoginHelp(program string) string {
	return `How to log in to SQL Server is said by the URL, as go-mssqldb understands it:

  sqlserver://user:password@host?database=name           a login of SQL Server
  sqlserver://host?database=name                         on Windows, as who runs ` + program + `
  sqlserver://DOMAIN%5Cuser:password@host?database=name  NTLM, elsewhere than on Windows
  sqlserver://host?database=name&authenticator=krb5      Kerberos, with the ticket of kinit
  sqlserver://host?database=name&fedauth=ActiveDirectoryDefault
                                                         Microsoft Entra ID; other kinds are
      ActiveDirectoryManagedIdentity, ActiveDirectoryWorkloadIdentity, ActiveDirectoryAzCli,
      ActiveDirectoryServicePrincipal, ActiveDirectoryInteractive and more`
}

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
func sqlServer(ctx context.Context, where string, o *mssql.Options) (*mssql.Store, func() error, error) {
	if !strings.HasPrefix(strings.ToLower(where), "sqlserver://") {
		return nil, nil, mistakef("such a URL is not understood: want sqlserver://host?database=name, or the name of a SQLite file")
	}
	if isEntra(where) {
		return entra(ctx, where, o)
	}
	s, err := mssql.Open(ctx, where, o)
	if err != nil {
		return nil, nil, err
	}
	return s, s.Close, nil
}

// entra opens a database of SQL Server with a login by Microsoft Entra ID.
func entra(ctx context.Context, where string, o *mssql.Options) (*mssql.Store, func() error, error) {
	if _, err := msdsn.Parse(where); err != nil { // it quotes the URL
		return nil, nil, errors.New("this is no URL that go-mssqldb understands, such as sqlserver://host?database=name&fedauth=ActiveDirectoryDefault (its text is left out, because it may hold a password)")
	}
	connector, err := azuread.NewConnector(withPackets(where))
	if err != nil {
		return nil, nil, err
	}
	db := sqlx.NewDb(dbsql.OpenDB(connector), azuread.DriverName)
	db.SetMaxIdleConns(8)
	db.SetConnMaxIdleTime(time.Minute)
	s, err := mssql.New(db, o)
	if err == nil {
		_, err = s.Isolation(ctx)
	}
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return s, db.Close, nil
}

// withPackets asks for packets of the size that mssql.Open asks for, unless the URL says
// another one.
func withPackets(where string) string {
	if strings.Contains(strings.ToLower(where), "packet") {
		return where
	}
	return where + "&packet+size=8000"
}
