package tdsreplay

import (
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
)

// DSN returns the connection string of a server for one test: a recorder in
// front of the server that live names, or, when live is empty, a replay of
// file. live is a URL as go-mssqldb takes it, without an instance's name, whose
// parameters are kept; database and encrypt are set. Add further parameters
// behind a "&".
func DSN(t testing.TB, live, file, database string) string {
	t.Helper()
	u := &url.URL{Scheme: "sqlserver", User: url.UserPassword("replay", "replay")}
	query := url.Values{}
	if live == "" {
		u.Host = Replay(t, file)
	} else {
		var err error
		if u, err = url.Parse(live); err != nil || u.Scheme != "sqlserver" || strings.Trim(u.Path, "/") != "" {
			// No part of live is shown: it holds a password.
			t.Fatal("tdsreplay: the live server is not given as sqlserver://user:password@host:port")
		}
		port := u.Port()
		if port == "" {
			port = "1433"
		}
		query = u.Query()
		u.Host = Record(t, net.JoinHostPort(u.Hostname(), port), file)
	}
	query.Set("database", database)
	query.Set("encrypt", "disable")
	u.RawQuery = query.Encode()
	return u.String()
}

// File returns the name of the transcript of a test: "testdata/Name.tds", with
// a "-" between the names of subtests.
func File(t testing.TB) string {
	t.Helper()
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == '.':
			return r
		}
		return '-'
	}, t.Name())
	return filepath.Join("testdata", name+".tds")
}
