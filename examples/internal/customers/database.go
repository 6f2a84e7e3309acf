package customers

import (
	"context"
	"errors"
	"strings"

	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/mssql"
	"github.com/so-mirror/mirror/store/sqlite"
)

// Database is where a database is.
type Database struct {
	Where  string // the name of a SQLite file, or such as sqlserver://user@host?database=name
	Schema string // on a server. Default: that of the login
}

// IsURL tells a connection string from the name of a file.
func (d Database) IsURL() bool { return strings.Contains(d.Where, "://") }

// OpenStore opens a database to read and to write. The caller closes it by what is returned
// besides. An error is a [Mistake] where another name is wanted, and may quote a secret.
func (d Database) OpenStore(ctx context.Context) (store.Store, func() error, error) {
	if d.IsURL() {
		s, closing, err := sqlServer(ctx, d.Where, &mssql.Options{Schema: d.Schema})
		if err != nil {
			return nil, nil, err
		}
		return s, closing, nil
	}
	if err := d.checkFile(); err != nil {
		return nil, nil, err
	}
	s, err := sqlite.Open(ctx, d.Where)
	if err != nil {
		return nil, nil, err
	}
	return s, s.Close, nil
}

// OpenSource opens a database to read alone, as [Database.OpenStore] does to write.
func (d Database) OpenSource(ctx context.Context) (store.Source, func() error, error) {
	if d.IsURL() {
		s, closing, err := sqlServer(ctx, d.Where, &mssql.Options{Schema: d.Schema})
		if err != nil {
			return nil, nil, err
		}
		return &s.Source, closing, nil // which cannot be written to
	}
	if err := d.checkFile(); err != nil {
		return nil, nil, err
	}
	s, err := sqlite.OpenSource(ctx, d.Where)
	if err != nil {
		return nil, nil, err
	}
	return s, s.Close, nil
}

// checkFile refuses what cannot be the name of a SQLite file.
func (d Database) checkFile() error {
	switch {
	case len(SecretsOf(d.Where)) > 0:
		return errNoURL
	case d.Schema != "":
		return mistakef("a SQLite file has no schema %s", d.Schema)
	default:
		return nil
	}
}

// errNoURL says how a connection string is written. Its text may be a password.
var errNoURL = Mistake{errors.New("with a password in it this is no file, and no URL: write it such as sqlserver://user:password@host?database=name")}
