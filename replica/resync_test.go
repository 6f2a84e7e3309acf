package replica_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/replica"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/cycle"
	"github.com/so-mirror/mirror/store/memory"
)

// The tables are named as the client wants them whatever the two databases call
// them, and nothing that is printed to be pasted can do harm.
func TestProposal(t *testing.T) {
	for name, tc := range map[string]struct {
		reference, replica store.Table // names alone
		tables, notInShell []string
		command, body      string
		path               string
	}{
		"schemas": {
			store.Table{Schema: "dbo", Name: "person"}, store.Table{Schema: "crm7", Name: "PERSON"},
			[]string{"crm7.person"}, nil, "resync-tables crm7.person", `{"tables":["crm7.person"]}`, "/api/v1/replication/cust6647/resync",
		},
		"prefixes in the names": {
			store.Table{Name: "crm7.Person"}, store.Table{Name: "so_PERSON"},
			[]string{"crm7.person"}, nil, "resync-tables crm7.person", `{"tables":["crm7.person"]}`, "/api/v1/replication/cust6647/resync",
		},
		"a name for the shell": {
			store.Table{Name: `a;rm -rf ~ $(id) 'x' "y" & | > %PATH%`}, store.Table{Name: `A;RM -RF ~ $(ID) 'X' "Y" & | > %PATH%`},
			[]string{`crm7.a;rm -rf ~ $(id) 'x' "y" & | > %path%`}, []string{`crm7.a;rm -rf ~ $(id) 'x' "y" & | > %path%`}, "",
			`{"tables":["crm7.a;rm -rf ~ $(id) \u0027x\u0027 \"y\" \u0026 | \u003e %path%"]}`, "/api/v1/replication/cust6647/resync",
		},
		"a name for the terminal": {
			store.Table{Name: "a\x1b[2J\u202eb\nø😀"}, store.Table{Name: "A\x1b[2J\u202eB\nØ😀"},
			[]string{"crm7.a\x1b[2j\u202eb\nø😀"}, []string{"crm7.a\x1b[2j\u202eb\nø😀"}, "",
			`{"tables":["crm7.a\u001b[2j\u202eb\n\u00f8\ud83d\ude00"]}`, "/api/v1/replication/cust6647/resync",
		},
		"an option": {
			store.Table{Name: "-rf"}, store.Table{Name: "-RF"},
			[]string{"crm7.-rf"}, []string{"crm7.-rf"}, "", `{"tables":["crm7.-rf"]}`, "/api/v1/replication/cust6647/resync",
		},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := contact(store.Row{1, "Alfa", nil, at(1), 1}), replicated()
			a.Schema, a.Name = tc.reference.Schema, tc.reference.Name
			b.Schema, b.Name = tc.replica.Schema, tc.replica.Name
			report, err := replica.Check(t.Context(), memory.New(a), memory.New(b, state("cust6647-cdc:0:1")), &replica.Options{Clock: newClock(nil), ContextID: "Cust6647"})
			require.NoError(t, err)
			require.NotNil(t, report.Resync, report)
			require.Equal(t, tc.tables, report.Resync.Tables)
			require.Equal(t, tc.notInShell, report.Resync.NotInCommand)
			require.Equal(t, tc.command, report.Resync.Command)
			require.Equal(t, tc.body, report.Resync.Body)
			require.Equal(t, tc.path, report.Resync.Path)
			require.Contains(t, report.Resync.String(), tc.body, "shown as it is")
			require.EqualValues(t, 1, report.Resync.Rows)
			require.Positive(t, report.Resync.Bytes)
		})
	}
}

// A name that JSON cannot hold would become another name.
func TestProposalOfNoText(t *testing.T) {
	a, b := contact(store.Row{1, "Alfa", nil, at(1), 1}), replicated()
	a.Name, b.Name = "a\xffb", "A\xffB"
	report, err := replica.Check(t.Context(), memory.New(a), memory.New(b, state("cust6647-cdc:0:1")), &replica.Options{Clock: newClock(nil)})
	require.NoError(t, err)
	require.Equal(t, replica.NoGo, report.Decision)
	require.Nil(t, report.Resync)
	require.Contains(t, strings.Join(report.Warnings, "\n"), "not valid UTF-8")
}

func TestCommandLeavesOut(t *testing.T) {
	r := replica.NewResync("Cust6647", []string{"crm7.person", "crm7.a b"})
	require.Equal(t, "resync-tables crm7.person", r.Command)
	require.Equal(t, []string{"crm7.a b"}, r.NotInCommand)
	require.Contains(t, r.String(), "all but crm7.a b")
}

func FuzzResyncBody(f *testing.F) {
	for _, s := range []string{"crm7.person", "'", "\"\\", "\u2028", "😀", "</script>", "\x7f"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		body := replica.ResyncBody([]string{name})
		for _, c := range []byte(body) {
			require.True(t, c >= ' ' && c <= '~' && c != '\'', "%q", body)
		}
		var got struct{ Tables []string }
		require.NoError(t, json.Unmarshal([]byte(body), &got))
		if utf8.ValidString(name) {
			require.Equal(t, []string{name}, got.Tables)
		}
	})
}

// client is a replica whose client can be asked, and what it was asked.
func client(t *testing.T, token string) (*httptest.Server, *cycle.Replica) {
	t.Helper()
	db := memory.New(contact(store.Row{1, "Alfa", nil, at(1), 1}))
	r := cycle.NewReplica(cycle.NewCustomer("Cust6647", db), memory.New(), nil)
	require.NoError(t, r.Provision(t.Context()))
	server := httptest.NewServer(r.Handler(token))
	t.Cleanup(server.Close)
	return server, r
}

const token = "tok/en+that=is-a-secret"

func TestRequestOfTheClient(t *testing.T) {
	server, _ := client(t, token)
	for name, tc := range map[string]struct {
		token, id string
		tables    []string
		refused   string
	}{
		"requested":            {token, "Cust6647", []string{"crm7.contact"}, ""},
		"another token":        {"x" + token, "Cust6647", []string{"crm7.contact"}, "401 Unauthorized"},
		"no token":             {"", "Cust6647", []string{"crm7.contact"}, "401 Unauthorized"},
		"another customer":     {token, "Cust1", []string{"crm7.contact"}, "404 Not Found: unknown context identifier"},
		"another table":        {token, "Cust6647", []string{"crm7.sale"}, "400 Bad Request"},
		"a table without crm7": {token, "Cust6647", []string{"contact"}, "400 Bad Request"},
	} {
		t.Run(name, func(t *testing.T) {
			q := replica.Request{BaseURL: server.URL + "/", Token: tc.token, Client: server.Client()}
			err := q.Resync(t.Context(), replica.NewResync(tc.id, tc.tables))
			if tc.refused == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, replica.ErrRefused)
			require.ErrorContains(t, err, tc.refused)
			require.NotContains(t, err.Error(), token)
		})
	}
}

// answering is a server that notes requests and answers as f does.
func answering(t *testing.T, f http.HandlerFunc) (*httptest.Server, *[]*http.Request) {
	t.Helper()
	var got []*http.Request
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		got = append(got, r)
		f(w, r)
	}))
	t.Cleanup(server.Close)
	return server, &got
}

func TestRequestAsItIsSent(t *testing.T) {
	for code := 200; code < 300; code += 33 {
		server, got := answering(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
		q := replica.Request{BaseURL: server.URL + "/proxy/?a=b#c", Token: token, Client: server.Client()}
		require.NoError(t, q.Resync(t.Context(), replica.NewResync("Cust 66/47", []string{"crm7.person"})))
		require.Len(t, *got, 1)
		r := (*got)[0]
		require.Equal(t, http.MethodPost, r.Method)
		require.Equal(t, "/proxy/api/v1/replication/cust%2066%2F47/resync?a=b", r.RequestURI)
		require.Equal(t, "Bearer "+token, r.Header.Get("Authorization"))
		require.Equal(t, "application/json", r.Header.Get("Content-Type"))
		body, _ := io.ReadAll(r.Body)
		require.JSONEq(t, `{"tables":["crm7.person"]}`, string(body))
	}
}

// A redirect gives the token to nobody, and is no answer.
func TestRedirect(t *testing.T) {
	for _, code := range []int{301, 302, 303, 307, 308} {
		elsewhere, stolen := answering(t, func(http.ResponseWriter, *http.Request) {})
		server, _ := answering(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL+"/?"+token, code) })
		q := replica.Request{BaseURL: server.URL, Token: token, Client: server.Client()}
		err := q.Resync(t.Context(), replica.NewResync("Cust6647", []string{"crm7.person"}))
		require.ErrorIs(t, err, replica.ErrRefused)
		require.ErrorContains(t, err, "set BaseURL")
		require.NotContains(t, err.Error(), token)
		require.Empty(t, *stolen)
	}
}

// No answer makes an error show a secret, whole or in parts.
func TestNoSecretInErrors(t *testing.T) {
	const password = "pass word/of-mine"
	for name, f := range map[string]http.HandlerFunc{
		"the token": func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, "bad: "+r.Header.Get("Authorization"), 401)
		},
		"a part of it":     func(w http.ResponseWriter, _ *http.Request) { http.Error(w, token[3:], 401) },
		"cut by the limit": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, strings.Repeat(token, 500), 500) },
		"the password":     func(w http.ResponseWriter, _ *http.Request) { http.Error(w, password, 403) },
		"a bad redirect": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "http://["+token)
			w.WriteHeader(302)
		},
		"a lost connection": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"without an answer": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
	} {
		t.Run(name, func(t *testing.T) {
			server, _ := answering(t, f)
			base, err := url.Parse(server.URL)
			require.NoError(t, err)
			base.User = url.UserPassword("me", password)
			q := replica.Request{BaseURL: base.String(), Token: token, Client: server.Client()}
			err = q.Resync(t.Context(), replica.NewResync("Cust6647", []string{"crm7.person"}))
			require.Error(t, err)
			for _, secret := range []string{token, token[3:12], password, url.PathEscape(password), "me:"} {
				require.NotContains(t, err.Error(), secret)
			}
		})
	}
}

// What net/http makes of a user and a password is a secret as well.
func TestNoCredentialsInErrors(t *testing.T) {
	server, _ := answering(t, func(w http.ResponseWriter, r *http.Request) { http.Error(w, r.Header.Get("Authorization"), 401) })
	base, err := url.Parse(server.URL)
	require.NoError(t, err)
	base.User = url.UserPassword("me", "word")
	q := replica.Request{BaseURL: base.String(), Client: server.Client()}
	err = q.Resync(t.Context(), replica.NewResync("Cust6647", []string{"crm7.person"}))
	require.ErrorContains(t, err, "repeats a secret")
	require.NotContains(t, err.Error(), "bWU6d29yZA")
}

// An endless answer is not read to its end, and a long one not shown.
func TestEndlessAnswer(t *testing.T) {
	server, _ := answering(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(500)
		for r.Context().Err() == nil {
			if _, err := io.WriteString(w, strings.Repeat("no\x1b", 1000)); err != nil {
				return
			}
		}
	})
	q := replica.Request{BaseURL: server.URL, Client: server.Client()}
	err := q.Resync(t.Context(), replica.NewResync("Cust6647", []string{"crm7.person"}))
	require.ErrorIs(t, err, replica.ErrRefused)
	require.Less(t, len(err.Error()), 400)
	require.NotContains(t, err.Error(), "\x1b")
}

func TestRequestWhenDone(t *testing.T) {
	server, _ := client(t, token)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	q := replica.Request{BaseURL: server.URL, Token: token, Client: server.Client()}
	require.Equal(t, context.Canceled, q.Resync(ctx, replica.NewResync("Cust6647", []string{"crm7.contact"})))
}

// What cannot be sent as it is meant is not sent.
func TestBadRequest(t *testing.T) {
	good := replica.NewResync("Cust6647", []string{"crm7.person"})
	path := func(path string) *replica.Resync {
		r := *good
		r.Path = path
		return &r
	}
	for name, tc := range map[string]struct {
		q    replica.Request
		r    *replica.Resync
		says string
	}{
		"nothing":                   {replica.Request{BaseURL: "http://host"}, nil, "nothing to re-synchronize"},
		"no tables":                 {replica.Request{BaseURL: "http://host"}, &replica.Resync{}, "nothing to re-synchronize"},
		"no context identifier":     {replica.Request{BaseURL: "http://host"}, replica.NewResync("", []string{"crm7.person"}), "context identifier"},
		"a path to another host":    {replica.Request{BaseURL: "http://host"}, path("@evil.example/api/v1/replication/x/resync"), "not the path"},
		"a path that climbs":        {replica.Request{BaseURL: "http://host"}, path("/api/v1/replication/../resync"), "not the path"},
		"one in disguise":           {replica.Request{BaseURL: "http://host"}, path("/api/v1/replication/%2E./resync"), "not the path"},
		"one behind a slash":        {replica.Request{BaseURL: "http://host"}, path("/api/v1/replication/..%2f..%5cx/resync"), "not the path"},
		"a path to another request": {replica.Request{BaseURL: "http://host"}, path("/api/v1/replication/x/delete?/resync"), "not the path"},
		"no URL":                    {replica.Request{BaseURL: "ho st\x00:" + token}, good, "BaseURL is no URL"},
		"no host":                   {replica.Request{BaseURL: "/" + token}, good, "BaseURL is no URL"},
		"another scheme":            {replica.Request{BaseURL: "file://host/" + token}, good, "BaseURL is no URL"},
		"a token of two lines":      {replica.Request{BaseURL: "http://127.0.0.1:1", Token: token + "\r\nX: y"}, good, "header"},
	} {
		t.Run(name, func(t *testing.T) {
			err := tc.q.Resync(t.Context(), tc.r)
			require.ErrorContains(t, err, tc.says)
			require.NotErrorIs(t, err, replica.ErrRefused)
			require.NotContains(t, err.Error(), token)
		})
	}
}

// The method and the body are those of the tables, also when the report was kept in
// a file that somebody changed.
func TestRequestOfAFile(t *testing.T) {
	server, got := answering(t, func(http.ResponseWriter, *http.Request) {})
	r := replica.NewResync("Cust6647", []string{"crm7.person"})
	r.Method, r.Body = http.MethodDelete, `{"tables":["crm7.contact"]}`
	q := replica.Request{BaseURL: server.URL, Client: server.Client()}
	require.NoError(t, q.Resync(t.Context(), r))
	body, _ := io.ReadAll((*got)[0].Body)
	require.Equal(t, http.MethodPost, (*got)[0].Method)
	require.JSONEq(t, `{"tables":["crm7.person"]}`, string(body))
}

// broken fails as a proxy can, with the address in its message.
type broken struct{ err error }

func (b broken) RoundTrip(*http.Request) (*http.Response, error) { return nil, b.err }

func TestTransportShowsASecret(t *testing.T) {
	q := replica.Request{BaseURL: "http://host", Token: token, Client: &http.Client{Transport: broken{errors.New("cannot send " + token)}}}
	err := q.Resync(t.Context(), replica.NewResync("Cust6647", []string{"crm7.person"}))
	require.ErrorContains(t, err, "repeats a secret")
	require.NotContains(t, err.Error(), token)
}
