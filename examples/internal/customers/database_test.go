package customers

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store/sqlite"
)

func TestDatabaseOfAFile(t *testing.T) {
	d := Database{Where: filepath.Join(t.TempDir(), "mirror.db")}
	_, _, err := d.OpenStore(t.Context())
	require.ErrorContains(t, err, "mirror.db")
	made, err := sqlite.Create(t.Context(), d.Where)
	require.NoError(t, err)
	require.NoError(t, made.Close())

	s, closing, err := d.OpenStore(t.Context())
	require.NoError(t, err)
	_, err = s.Tables(t.Context())
	require.NoError(t, err)
	require.NoError(t, closing())
	src, closing, err := d.OpenSource(t.Context())
	require.NoError(t, err)
	require.NoError(t, closing())
	_, err = src.Tables(t.Context())
	require.Error(t, err, "it is closed")
}

func TestDatabaseMistakes(t *testing.T) {
	for name, c := range map[string]struct {
		Database
		want string
	}{
		"a file with a schema":         {Database{"mirror.db", "crm7"}, "a SQLite file has no schema crm7"},
		"a connection string of ADO":   {Database{Where: "server=h;password=hemlig"}, "with a password in it this is no file, and no URL"},
		"a URL with a slip":            {Database{Where: "sqlserver:/u:hemlig@h"}, "with a password in it this is no file, and no URL"},
		"a URL of another kind":        {Database{Where: "postgres://u:hemlig@h"}, "such a URL is not understood"},
		"a file that is named as none": {Database{Where: "", Schema: "dbo"}, "a SQLite file has no schema dbo"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := c.OpenStore(t.Context())
			_, _, readErr := c.OpenSource(t.Context())
			for _, err := range []error{err, readErr} {
				require.ErrorContains(t, err, c.want)
				require.ErrorAs(t, err, &Mistake{})
				require.NotContains(t, err.Error(), "hemlig")
			}
		})
	}
}
