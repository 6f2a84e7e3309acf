package mssql

import (
	"context"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
)

const password = "s3cr#t/p@ss;w%zz"

func TestParseDSN(t *testing.T) {
	escaped := url.UserPassword("svc", password).String()
	for name, dsn := range map[string]string{
		"URL":  "sqlserver://" + escaped + "@db.example.com:1444?database=Mirror_Cust1",
		"ADO":  `server=db.example.com,1444;user id=svc;password="` + password + `";database=Mirror_Cust1`,
		"ODBC": "odbc:server=db.example.com;port=1444;user id=svc;password={" + password + "};database=Mirror_Cust1",
	} {
		t.Run(name, func(t *testing.T) {
			cfg, err := parseDSN(dsn)
			require.NoError(t, err)
			require.Equal(t, "db.example.com", cfg.Host)
			require.EqualValues(t, 1444, cfg.Port)
			require.Equal(t, "svc", cfg.User)
			require.Equal(t, password, cfg.Password)
			require.Equal(t, "Mirror_Cust1", cfg.Database)
			require.False(t, cfg.ReadOnlyIntent, "change tracking cannot be read on a secondary")
		})
	}
	cfg, err := parseDSN("sqlserver://svc:x@db.example.com?database=d&ApplicationIntent=ReadOnly")
	require.NoError(t, err)
	require.True(t, cfg.ReadOnlyIntent)
}

func TestPacketSize(t *testing.T) {
	for dsn, want := range map[string]uint16{
		"sqlserver://svc:x@db.example.com?database=d":                     8000,
		"sqlserver://svc:x@db.example.com?database=d&packet+size=1024":    1024,
		"server=db.example.com;user id=svc;password=x;packet size=16000":  16000,
		"odbc:server=db.example.com;user id=svc;password=x;packet size=1": 512, // the least that the driver takes
	} {
		cfg, err := parseDSN(dsn)
		require.NoError(t, err)
		require.Equal(t, want, cfg.PacketSize, dsn)
	}
}

func TestOpenHidesThePassword(t *testing.T) {
	for name, dsn := range map[string]string{
		"not escaped, a slash":     "sqlserver://svc:12/geheim@127.0.0.1:1?database=d",
		"not escaped, a hash":      "sqlserver://svc:12#geheim@127.0.0.1:1?database=d",
		"not escaped, a question":  "sqlserver://svc:12?geheim@127.0.0.1:1",
		"not escaped, a percent":   "sqlserver://svc:%zzgeheim@127.0.0.1:1",
		"an at sign and a hash":    "sqlserver://svc:12@geheim#x@127.0.0.1:1?dial+timeout=1",
		"an at sign and a slash":   "sqlserver://svc:12@geheim/x@127.0.0.1:1?dial+timeout=1",
		"two at signs":             "sqlserver://svc:12@geheim@127.0.0.1:1",
		"no port":                  "sqlserver://svc:geheim@127.0.0.1:x",
		"a parameter that is bad":  "sqlserver://svc:geheim@127.0.0.1:1?encrypt=geheim",
		"an ADO string":            "server=127.0.0.1;port=x;user id=svc;password=geheim",
		"an ODBC string":           "odbc:server=127.0.0.1;password={geheim",
		"nobody there":             "sqlserver://svc:geheim@127.0.0.1:1?database=d&dial+timeout=1",
		"nobody there, ADO":        "server=127.0.0.1;port=1;user id=svc;password=geheim;dial timeout=1",
		"no string at all":         "geheim\x00",
		"a control character":      "sqlserver://svc:geheim\n@127.0.0.1:1",
		"the password is the host": "sqlserver://geheim:@:1:1",
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			if name == "no string at all" {
				cancel() // the driver takes it for an empty ADO string, of this machine
			}
			defer cancel()
			_, err := Open(ctx, dsn, nil)
			require.Error(t, err)
			require.NotContains(t, err.Error(), "geheim")
			_, err = OpenSource(ctx, dsn, nil)
			require.Error(t, err)
			require.NotContains(t, err.Error(), "geheim")
		})
	}
}

func TestOpenReachesNobody(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := l.Addr().String()
	require.NoError(t, l.Close())
	_, err = Open(t.Context(), "sqlserver://svc:geheim@"+addr+"?database=d", nil)
	require.ErrorIs(t, err, store.ErrConnection)
	require.ErrorContains(t, err, "check that the server is up and reachable")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = Open(ctx, "sqlserver://svc:geheim@"+addr+"?database=d", nil)
	require.ErrorIs(t, err, context.Canceled)
}

func FuzzDSN(f *testing.F) {
	f.Add("svc", password, "db", "encrypt=disable")
	f.Add("", "", "", "")
	f.Add("a:b", "//@?#", "[::1]:1433", "database=x&port=y")
	f.Fuzz(func(t *testing.T, user, pass, host, rest string) {
		const marker = "<secret>"
		pass += marker
		for _, dsn := range []string{
			"sqlserver://" + user + ":" + pass + "@" + host + "?" + rest,
			"sqlserver://" + url.UserPassword(user, pass).String() + "@" + host + "?" + rest,
			"server=" + host + ";user id=" + user + ";password=" + pass + ";" + rest,
			"odbc:server=" + host + ";user id=" + user + ";password={" + pass + "};" + rest,
			pass,
		} {
			if _, err := parseDSN(dsn); err != nil {
				require.NotContains(t, err.Error(), marker)
				require.NotContains(t, err.Error(), url.QueryEscape(marker))
			}
		}
		// A password that is escaped arrives whole.
		cfg, err := parseDSN("sqlserver://" + url.UserPassword("svc", pass).String() + "@127.0.0.1?database=d")
		require.NoError(t, err)
		require.Equal(t, pass, cfg.Password)
	})
}

func FuzzQuote(f *testing.F) {
	for _, name := range []string{"", "select", "we]ird", "[x]", "]", "]]", "contact; drop table x", "a\x00b", "'", "\xff"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		quoted := quote(name)
		require.True(t, strings.HasPrefix(quoted, "[") && strings.HasSuffix(quoted, "]"))
		inner := quoted[1 : len(quoted)-1]
		require.NotContains(t, strings.ReplaceAll(inner, "]]", ""), "]", "nothing ends the name before its end")
		require.Equal(t, name, strings.ReplaceAll(inner, "]]", "]"))
	})
}

// A password with a semicolon moves what follows it into the next key.
func TestServerNamedTwice(t *testing.T) {
	for _, dsn := range []string{
		"server=box;user id=u;password=S3c;server=ret", "odbc:server=box;uid=u;pwd=S3c;Server=ret", "data source=box;password=x;addr=ret",
	} {
		_, err := parseDSN(dsn)
		require.ErrorIs(t, err, errDSNTwice, dsn)
	}
	_, err := parseDSN("server=box;user id=u;password=S3cret")
	require.NoError(t, err)
}

func TestLockTimeoutHasALimit(t *testing.T) {
	_, err := (&Options{LockTimeout: 1000 * time.Hour}).check()
	require.ErrorContains(t, err, "longer than SQL Server's limit")
	_, err = (&Options{LockTimeout: maxLockTimeout}).check()
	require.NoError(t, err)
}
