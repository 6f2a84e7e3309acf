package mssql_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/jmoiron/sqlx"
	mssqldb "github.com/microsoft/go-mssqldb"
	"github.com/microsoft/go-mssqldb/msdsn"
	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/internal/mirrortest"
	"github.com/so-mirror/mirror/store/mssql"
	"github.com/so-mirror/mirror/store/storetest"
)

// dsnVariable names the server of the tests that need one. Its login may
// create databases.
const dsnVariable = "MIRROR_TEST_SQLSERVER_DSN"

// testServer is the server of this run. It lends databases without tables, one
// test at a time, and creates as many as are wanted at once.
type testServer struct {
	config    msdsn.Config
	admin     *sqlx.DB
	babelfish bool
	prefix    string

	mu      sync.Mutex
	created []string
	free    []string
}

var live struct {
	once   sync.Once
	server *testServer
	err    error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if live.server != nil {
		if err := live.server.close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

func liveServer(t testing.TB) *testServer {
	t.Helper()
	dsn := os.Getenv(dsnVariable)
	if dsn == "" {
		t.Skip(dsnVariable + " is not set: it names the server for this test, sqlserver://user:password@host:1433?database=master")
	}
	live.once.Do(func() { live.server, live.err = newTestServer(context.Background(), dsn) })
	require.NoError(t, live.err)
	return live.server
}

func newTestServer(ctx context.Context, dsn string) (*testServer, error) {
	cfg, err := msdsn.Parse(dsn)
	if err != nil {
		return nil, fmt.Errorf("%s is not a connection string", dsnVariable)
	}
	s := &testServer{config: cfg, prefix: "mirror_test_" + strings.ToLower(rand.Text()[:8])}
	s.admin = s.pool(cfg.Database)
	var version string
	if err := s.admin.GetContext(ctx, &version, "SELECT @@VERSION"); err != nil {
		return nil, err
	}
	s.babelfish = strings.Contains(version, "Babelfish")
	return s, nil
}

func (s *testServer) pool(database string) *sqlx.DB {
	cfg := s.config
	cfg.Database = database
	return sqlx.NewDb(sql.OpenDB(mssqldb.NewConnectorConfig(cfg)), "sqlserver")
}

func (s *testServer) close() error {
	for _, name := range s.created {
		if !s.babelfish {
			if _, err := s.admin.Exec("ALTER DATABASE [" + name + "] SET SINGLE_USER WITH ROLLBACK IMMEDIATE"); err != nil {
				return err
			}
		}
		if _, err := s.admin.Exec("DROP DATABASE [" + name + "]"); err != nil {
			return err
		}
	}
	return s.admin.Close()
}

// take returns a database without tables.
func (s *testServer) take() (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.free); n > 0 {
		name := s.free[n-1]
		s.free = s.free[:n-1]
		return name, nil
	}
	name := fmt.Sprintf("%s_%d", s.prefix, len(s.created)+1)
	statements := []string{"CREATE DATABASE [" + name + "]"}
	if !s.babelfish {
		statements = append(statements, "ALTER DATABASE ["+name+"] SET ALLOW_SNAPSHOT_ISOLATION ON")
	}
	for _, stmt := range statements {
		if _, err := s.admin.Exec(stmt); err != nil {
			return "", err
		}
	}
	s.created = append(s.created, name)
	return name, nil
}

// give takes a database back and drops its tables, those that reference others
// first.
func (s *testServer) give(name string) error {
	db := s.pool(name)
	defer db.Close()
	var tables []string
	err := db.Select(&tables, `SELECT CONVERT(nvarchar(128), t.name) FROM sys.tables AS t
		ORDER BY CASE WHEN EXISTS (SELECT 1 FROM sys.foreign_keys AS f WHERE f.parent_object_id = t.object_id) THEN 0 ELSE 1 END`)
	if err != nil {
		return err
	}
	for _, t := range tables {
		if _, err := db.Exec("DROP TABLE " + mssqldb.TSQLQuoter{}.ID(t)); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free = append(s.free, name)
	return nil
}

// openDB returns a pool on a database without tables that no one else uses.
func openDB(t testing.TB) *sqlx.DB {
	t.Helper()
	s := liveServer(t)
	name, err := s.take()
	require.NoError(t, err)
	db := s.pool(name)
	t.Cleanup(func() {
		require.NoError(t, db.Close())
		require.NoError(t, s.give(name))
	})
	return db
}

// binary is the collation of the tables that the suites create: their keys
// differ by nothing but case.
const binary = "Latin1_General_BIN2"

func newStore(t testing.TB, db *sqlx.DB, opts *mssql.Options) *mssql.Store {
	t.Helper()
	st, err := mssql.New(db, opts)
	require.NoError(t, err)
	return st
}

func open(t testing.TB) mirror.Store {
	t.Helper()
	return newStore(t, openDB(t), &mssql.Options{Collation: binary})
}

// skips are the contracts that Babelfish cannot meet. SQL Server meets all.
func skips(t testing.TB) []storetest.Option {
	t.Helper()
	if !liveServer(t).babelfish {
		return nil
	}
	var opts []storetest.Option
	return opts
}

func TestConformance(t *testing.T) { storetest.Run(t, open, skips(t)...) }

func TestConformanceOfSource(t *testing.T) {
	storetest.RunSource(t, func(t testing.TB) (mirror.Source, mirror.Store) {
		db := openDB(t)
		src, err := mssql.NewSource(db, nil)
		require.NoError(t, err)
		return src, newStore(t, db, &mssql.Options{Collation: binary})
	}, skips(t)...)
}

func TestScenarios(t *testing.T) {
	liveServer(t)
	mirrortest.Run(t, open)
}
