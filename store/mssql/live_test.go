package mssql_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"database/sql/driver"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jmoiron/sqlx"
	mssqldb "github.com/microsoft/go-mssqldb"
	"github.com/microsoft/go-mssqldb/msdsn"
	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/internal/mirrortest"
	"github.com/so-mirror/mirror/internal/tdsreplay"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/mssql"
	"github.com/so-mirror/mirror/store/storetest"
)

// dsnVariable names the server of the tests that need one. Its login may
// create databases.
const dsnVariable = "MIRROR_TEST_SQLSERVER_DSN"

// record has the tests' conversations with that server written to testdata.
// Without a server the tests replay them.
var record = flag.Bool("record", false, "write testdata/*.tds from the server in "+dsnVariable)

// versionFile holds what the recorded server says it is.
const versionFile = "testdata/version.txt"

// testServer is the server of this run. It lends databases without tables, one
// test at a time, and creates as many as are wanted at once.
type testServer struct {
	dsn       string
	config    msdsn.Config
	admin     *sqlx.DB
	babelfish bool
	prefix    string

	mu      sync.Mutex
	created []string
	free    []*database
}

// database is a database with a pool of connections that are warm already.
type database struct {
	name string
	db   *sqlx.DB
}

// spare is how many databases there are before the first test. A scenario that
// needs no more leaves no goroutine of a new pool behind.
const spare = 4

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

// liveServer returns the server that the variable names.
func liveServer(t testing.TB) *testServer {
	t.Helper()
	dsn := os.Getenv(dsnVariable)
	if dsn == "" {
		t.Skip(dsnVariable + " is not set: it names the server for this test, sqlserver://user:password@host:1433?database=master")
	}
	live.once.Do(func() { live.server, live.err = newTestServer(dsn) })
	require.NoError(t, live.err)
	return live.server
}

// replaying reports whether there is no server, so that the test's transcript
// answers. A test without one is skipped.
func replaying(t testing.TB) bool { return os.Getenv(dsnVariable) == "" }

func isBabelfish(t testing.TB) bool {
	t.Helper()
	if replaying(t) {
		version, err := os.ReadFile(versionFile)
		return err == nil && strings.Contains(string(version), "Babelfish")
	}
	return liveServer(t).babelfish
}

func newTestServer(dsn string) (*testServer, error) {
	cfg, err := msdsn.Parse(dsn)
	if err != nil {
		return nil, fmt.Errorf("%s is not a connection string", dsnVariable)
	}
	s := &testServer{dsn: dsn, config: cfg, prefix: "mirror_test_" + strings.ToLower(rand.Text()[:8])}
	s.admin = s.pool(cfg.Database)
	var version string
	if err := s.admin.Get(&version, "SELECT @@VERSION"); err != nil {
		return nil, err
	}
	s.babelfish = strings.Contains(version, "Babelfish")
	if *record {
		return s, os.WriteFile(versionFile, []byte(version+"\n"), 0o644)
	}
	for range spare {
		d, err := s.create(fmt.Sprintf("%s_%d", s.prefix, len(s.created)+1))
		if err != nil {
			return nil, err
		}
		s.free = append(s.free, d)
	}
	return s, nil
}

func (s *testServer) pool(database string) *sqlx.DB {
	cfg := s.config
	cfg.Database = database
	return sqlx.NewDb(sql.OpenDB(mssqldb.NewConnectorConfig(cfg)), "sqlserver")
}

func (s *testServer) create(name string) (*database, error) {
	statements := []string{"DROP DATABASE IF EXISTS [" + name + "]", "CREATE DATABASE [" + name + "]"}
	if !s.babelfish {
		statements = append(statements, "ALTER DATABASE ["+name+"] SET ALLOW_SNAPSHOT_ISOLATION ON")
	}
	for _, stmt := range statements {
		if _, err := s.admin.Exec(stmt); err != nil {
			return nil, err
		}
	}
	s.created = append(s.created, name)
	return &database{name, s.pool(name)}, nil
}

func (s *testServer) close() error {
	for _, d := range s.free {
		if err := d.db.Close(); err != nil {
			return err
		}
	}
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

// take returns the database of that name, or any when it is "".
func (s *testServer) take(name string) (*database, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, d := range s.free {
		if name == "" || d.name == name {
			s.free = slices.Delete(s.free, i, i+1)
			return d, nil
		}
	}
	if name == "" {
		name = fmt.Sprintf("%s_%d", s.prefix, len(s.created)+1)
	}
	return s.create(name)
}

// give takes a database back and drops what is in it, the tables that others
// reference last. Beyond the spare ones it closes the pool.
func (s *testServer) give(d *database) error {
	d.db.SetMaxOpenConns(0) // as a test may have limited it
	if err := dropObjects(d.db); err != nil {
		return err
	}
	var tables []string
	err := d.db.Select(&tables, `SELECT CONVERT(nvarchar(128), t.name) FROM sys.tables AS t
		ORDER BY CASE WHEN EXISTS (SELECT 1 FROM sys.foreign_keys AS f
			WHERE f.referenced_object_id = t.object_id AND f.parent_object_id <> t.object_id) THEN 1 ELSE 0 END`)
	if err != nil {
		return err
	}
	for _, t := range tables {
		if _, err := d.db.Exec("DROP TABLE " + mssqldb.TSQLQuoter{}.ID(t)); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.free) >= spare && !*record {
		return d.db.Close()
	}
	s.free = append(s.free, d)
	return nil
}

// openDB returns a pool on a database without tables that no one else uses: of
// the live server, of the live server through a recorder, or of a replay.
func openDB(t testing.TB) *sqlx.DB { return openThrough(t, nil) }

// openThrough is openDB with a pool whose connections dialer makes.
func openThrough(t testing.TB, dialer mssqldb.Dialer) *sqlx.DB {
	t.Helper()
	if !*record && !replaying(t) {
		s := liveServer(t)
		d, err := s.take("")
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, s.give(d)) })
		if dialer == nil {
			return d.db
		}
		cfg := s.config
		cfg.Database = d.name
		return openPool(t, cfg, dialer)
	}
	n := ordinal(t)
	name, file := fmt.Sprintf("mirror_replay_%d", n), tdsreplay.File(t)
	if n > 1 {
		file = fmt.Sprintf("%s-%d.tds", strings.TrimSuffix(file, ".tds"), n)
	}
	upstream := ""
	if *record {
		s := liveServer(t)
		d, err := s.take(name)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, s.give(d)) })
		upstream = s.dsn
	} else if _, err := os.Stat(file); err != nil {
		t.Fatalf("there is no transcript %s: record it with -record and %s", file, dsnVariable)
	}
	cfg, err := msdsn.Parse(tdsreplay.DSN(t, upstream, file, name))
	require.NoError(t, err)
	return openPool(t, cfg, dialer)
}

func openPool(t testing.TB, cfg msdsn.Config, dialer mssqldb.Dialer) *sqlx.DB {
	t.Helper()
	connector := mssqldb.NewConnectorConfig(cfg)
	connector.Dialer = dialer
	db := sqlx.NewDb(sql.OpenDB(connector), "sqlserver")
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

// ordinals count the databases that each running test has opened.
var ordinals sync.Map

func ordinal(t testing.TB) int {
	n := 1
	if v, ok := ordinals.Load(t.Name()); ok {
		n = v.(int) + 1
	}
	ordinals.Store(t.Name(), n)
	t.Cleanup(func() { ordinals.Delete(t.Name()) })
	return n
}

// binaryCollation is the collation of the tables that the suites create: their keys
// differ by nothing but case.
const binaryCollation = "Latin1_General_BIN2"

func newStore(t testing.TB, db *sqlx.DB, opts *mssql.Options) *mssql.Store {
	t.Helper()
	st, err := mssql.New(db, opts)
	require.NoError(t, err)
	return st
}

func open(t testing.TB) store.Store {
	t.Helper()
	st := newStore(t, openDB(t), &mssql.Options{Collation: binaryCollation})
	if *record || replaying(t) {
		return apart{st}
	}
	return st
}

// apart streams: in which order one statement names the rows of two databases is not
// for a transcript to tell. TestJoin records what a join sends.
type apart struct{ *mssql.Store }

func (apart) Cut(context.Context, store.Query, int64) (store.Row, error) {
	return nil, errors.ErrUnsupported
}

func (apart) Join(context.Context, store.Source) (store.Join, error) {
	return nil, errors.ErrUnsupported
}

const guidOrder = "Babelfish orders uniqueidentifier by its text"

// skips are the contracts that cannot be met, with those of writes or without:
// by Babelfish, which is not SQL Server, and by a transcript, which is no
// server. SQL Server meets all, but for those of a store.Decoder, which this is not.
func skips(t testing.TB, writes bool) []storetest.Option {
	t.Helper()
	const undecoded = "the driver delivers the values of a Row"
	reasons := map[string]string{"decode/values": undecoded, "decode/columns-asked-for": undecoded}
	if isBabelfish(t) {
		const (
			nul    = "Babelfish refuses the character U+0000"
			digits = "Babelfish keeps 6 digits of a second"

			dependencies = "Babelfish's sys.sql_expression_dependencies is always empty"
			indexNames   = "Babelfish adds to the name of an index, and lists that of a view in lower case"
		)
		maps.Copy(reasons, map[string]string{
			"tables/types":                digits,
			"tables/hostile-names":        "Babelfish does not parse ]] in a quoted name",
			"order/nul-character":         nul,
			"order/guid":                  guidOrder,
			"order/primary-key":           guidOrder,
			"order/datetime2":             digits,
			"order/time":                  digits,
			"order/datetimeoffset":        digits,
			"order/same-instant":          digits,
			"values/nul-character":        nul,
			"values/datetime2":            digits,
			"values/time":                 digits,
			"values/datetimeoffset":       digits,
			"keys/kind-guid":              guidOrder,
			"keys/index-guid":             guidOrder,
			"keys/kind-nul-character":     nul,
			"keys/kind-datetime2":         digits,
			"keys/index-datetime2":        digits,
			"keys/kind-time":              digits,
			"keys/index-time":             digits,
			"keys/kind-datetimeoffset":    digits,
			"keys/index-datetimeoffset":   digits,
			"keys/kind-same-instant":      digits,
			"keys/index-same-instant":     digits,
			"cut/key-guid":                guidOrder,
			"cut/key-nul-character":       nul,
			"cut/key-datetime2":           digits,
			"cut/key-time":                digits,
			"cut/key-datetimeoffset":      digits,
			"cut/key-same-instant":        digits,
			"join/key-guid":               guidOrder,
			"join/key-nul-character":      nul,
			"join/key-datetime2":          digits,
			"join/key-time":               digits,
			"join/key-datetimeoffset":     digits,
			"join/key-same-instant":       digits,
			"join/values-nul-character":   nul,
			"join/values-seventh-digit":   digits,
			"digest/key-guid":             guidOrder,
			"digest/key-bytes-zeros":      "Babelfish makes a number of MAX of bytes",
			"digest/key-datetimeoffset":   digits,
			"digest/values-nul-character": nul,
			"digest/values-seventh-digit": digits,
			"write/defaults":              "Babelfish's catalogue spells a default as a CAST",
			"write/where-nul-character":   nul,
			"write/where-nchar":           "Babelfish pads nchar to code points, not to UTF-16 units",
			"write/where-datetime2":       digits,
			"write/where-time":            digits,
			"write/where-datetimeoffset":  digits,
			"objects/view-uses":           dependencies,
			"objects/view-of-views":       dependencies,
			"objects/procedure-uses":      dependencies,
			"objects/hostile-names":       dependencies,
			"objects/index":               indexNames,
			"objects/index-unique":        indexNames,
			"objects/names":               indexNames,
			"objects/synonym":             "Babelfish has no synonyms",
			"objects/grant":               "Babelfish's sys.database_permissions is always empty",
			"objects/deny":                "Babelfish has no DENY",
			"rename/names-in-capitals":    "Babelfish does not find a table by a name like ÆØÅ that sp_rename gave it",
		})
	}
	if *record || replaying(t) {
		const parallel = "a transcript cannot tell which of several connections came first"
		maps.Copy(reasons, map[string]string{
			"concurrent/readers":            parallel,
			"concurrent/readers-and-writer": parallel,
			"tx/lost-updates":               parallel,
			"cut/*":                         "a transcript is of stores that stream",
			"join/*":                        "a transcript is of stores that stream",
			"cancel/goroutines":             "its transcript would be larger than all others together",
		})
	}
	var opts []storetest.Option
	for contract, reason := range reasons {
		if writes || !strings.HasPrefix(contract, "write/") && !strings.HasPrefix(contract, "tx/") {
			opts = append(opts, storetest.Skip(contract, reason))
		}
	}
	return opts
}

func TestConformance(t *testing.T) {
	storetest.Run(t, open, append(skips(t, true), storetest.Objects(makeObject))...)
}

// A Source reads as a Store does, so its transcripts would be those of
// TestConformance once more.
func TestConformanceOfSource(t *testing.T) {
	if *record {
		t.Skip("it is not recorded")
	}
	liveServer(t)
	storetest.RunSource(t, func(t testing.TB) (store.Source, store.Store) {
		db := openDB(t)
		src, err := mssql.NewSource(db, nil)
		require.NoError(t, err)
		return src, newStore(t, db, &mssql.Options{Collation: binaryCollation})
	}, append(skips(t, false), storetest.Objects(makeObject))...)
}

const (
	blanks = "SQL Server takes keys for duplicates that differ by blanks at the end"
	zeros  = "SQL Server takes keys for duplicates that differ by zeros at the end"
)

// trapSkips are the traps that no table here can hold.
func trapSkips(t testing.TB) []mirrortest.Skip {
	t.Helper()
	skips := []mirrortest.Skip{
		{Scenario: "traps/keys that differ in a blank at the end, in one table", Reason: blanks},
		{Scenario: "traps/keys that differ in a zero at the end, in one table", Reason: zeros},
	}
	if isBabelfish(t) {
		skips = append(skips, mirrortest.Skip{Scenario: "traps/GUID keys", Reason: guidOrder})
	}
	return skips
}

func TestScenarios(t *testing.T) {
	if !replaying(t) {
		liveServer(t) // whose pools are not a leak of the first scenario
	}
	skips := append(trapSkips(t),
		mirrortest.Skip{Scenario: "compare/keys that only look alike, strings", Reason: blanks},
		mirrortest.Skip{Scenario: "compare/keys that only look alike, bytes", Reason: zeros},
		mirrortest.Skip{Scenario: "spellings", Reason: "a column of SQL Server holds values of its type alone, and each has one spelling"})
	if isBabelfish(t) {
		const brackets = "Babelfish does not parse ]] in a quoted name"
		skips = append(skips, mirrortest.Skip{Scenario: "compare/keys that only look alike, GUIDs", Reason: guidOrder},
			mirrortest.Skip{Scenario: "metadata/names with a schema, in brackets, in quotes", Reason: brackets},
			mirrortest.Skip{Scenario: "metadata/the whole mirror, with names in other spellings", Reason: brackets},
			mirrortest.Skip{Scenario: "keep/a long context identifier", Reason: "Babelfish shortens names of more than 63 bytes"})
	}
	mirrortest.Run(t, open, skips...)
}

// TestReplicaChecks is not recorded: a check reads the same again and again.
func TestReplicaChecks(t *testing.T) {
	if *record {
		t.Skip("it is not recorded")
	}
	liveServer(t) // whose pools are not a leak of the first scenario
	mirrortest.ReplicaChecks(t, open)
}

// TestTrapsOfCollations: source and mirror order text in different ways.
func TestTrapsOfCollations(t *testing.T) {
	if *record {
		t.Skip("it is not recorded")
	}
	liveServer(t)
	folding := func(t testing.TB) store.Store {
		t.Helper()
		return newStore(t, openDB(t), &mssql.Options{Collation: "Latin1_General_CI_AS"})
	}
	skips := append(trapSkips(t), mirrortest.Skip{Scenario: "traps/keys that differ in case", Reason: "the collation ignores case"})
	t.Run("of the source", func(t *testing.T) { mirrortest.RunTraps(t, folding, open, skips...) })
	t.Run("of the mirror", func(t *testing.T) { mirrortest.RunTraps(t, open, folding, skips...) })
}

// TestCheckSoak is not recorded: what happens when is not fixed.
func TestCheckSoak(t *testing.T) {
	if *record {
		t.Skip("it is not recorded")
	}
	liveServer(t) // whose pools are not a leak
	mirrortest.CheckSoak(t, open, mirrortest.SoakTime(t))
}

// TestCheckProperty is not recorded: its tables are too large for transcripts.
func TestCheckProperty(t *testing.T) {
	if *record {
		t.Skip("it is not recorded")
	}
	babelfish := liveServer(t).babelfish
	mirrortest.CheckProperty(t, open, 40, func(_ store.Type, _ bool, v driver.Value) bool {
		text, _ := v.(string)
		return babelfish && strings.Contains(text, "\x00")
	})
}

// TestProperty is not recorded: its tables are too large for transcripts.
func TestProperty(t *testing.T) {
	if *record {
		t.Skip("it is not recorded")
	}
	babelfish := liveServer(t).babelfish
	mirrortest.Property(t, open, 100, nil, func(typ store.Type, key bool, v driver.Value) bool {
		text, _ := v.(string)
		switch {
		case babelfish && typ.Kind() == store.KindGUID:
			return true // guidOrder: a table without a key is in the order of all columns
		case babelfish && strings.Contains(text, "\x00"):
			return true
		case !key:
			return false
		case typ.Name == "char": // what its code page lacks becomes a question mark
			return strings.ContainsAny(text, "\ufffd\U00010000") || strings.HasSuffix(text, " ")
		case typ.Kind() == store.KindString:
			return typ.Name == "xml" || strings.HasSuffix(text, " ") // see blanks; xml cannot be a key
		default:
			return typ.Kind() == store.KindBytes // see zeros
		}
	})
}
