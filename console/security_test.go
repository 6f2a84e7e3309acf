package console

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
)

const adasToken = "ada's token, which is long"

// withLogin makes a console with tokens.
func withLogin(t *testing.T, options ...func(*Options)) *world {
	w := newWorld(t, "Cust1")
	w.opts.Tokens = map[string]string{"ada": adasToken, "grace": "grace's token, which is long"}
	for _, set := range options {
		set(&w.opts)
	}
	return w.open()
}

// logIn logs the client in.
func (w *world) logIn(token string) answer {
	return w.do(w.request("POST", "/login", url.Values{"token": {token}}))
}

// concrete returns a path of a route that could be asked for.
func concrete(path string) string {
	return strings.NewReplacer("{$}", "", "{mirror}", "Cust1", "{job}", "1", "{before}", "1", "{file}", "console.css").Replace(path)
}

// TestRoutes holds each route to what it answers whom.
func TestRoutes(t *testing.T) {
	open := withLogin(t)
	readOnly := withLogin(t, func(o *Options) { o.ReadOnly = true })
	wrong, foreign, ro := *open, *open, *readOnly
	jar := func() *http.Client {
		jar, err := cookiejar.New(nil)
		require.NoError(t, err)
		c := *open.client
		c.Jar = jar
		return &c
	}
	wrong.client, foreign.client, ro.client = jar(), jar(), jar()
	require.Equal(t, http.StatusUnauthorized, wrong.logIn("nobody's token, at all").code)
	require.Equal(t, http.StatusSeeOther, foreign.logIn(adasToken).code)
	require.Equal(t, http.StatusSeeOther, ro.logIn(adasToken).code)

	for _, r := range open.c.routeTable() {
		name := r.method + " " + r.path
		path := concrete(r.path)
		form := func() url.Values {
			if r.method == "POST" {
				return url.Values{}
			}
			return nil
		}
		if r.path != "/login" { // whose tries are limited
			for who, w := range map[string]*world{"no login": open, "wrong token": &wrong} {
				t.Run(who+"/"+name, func(t *testing.T) {
					a := w.do(w.request(r.method, path, form()))
					switch {
					case r.public:
						require.Equal(t, http.StatusOK, a.code)
					case r.method == "POST" || strings.HasSuffix(path, "/events"):
						require.Equal(t, http.StatusUnauthorized, a.code, a.body)
					default:
						require.Equal(t, http.StatusSeeOther, a.code, a.body)
						require.Equal(t, "/login?to="+url.QueryEscape(path), a.header.Get("Location"))
					}
				})
			}
		}
		if r.method == "POST" {
			t.Run("foreign origin/"+name, func(t *testing.T) {
				for header, value := range map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"} {
					req := foreign.request(r.method, path, url.Values{"token": {adasToken}})
					req.Header.Set(header, value)
					a := foreign.do(req)
					require.Equal(t, http.StatusForbidden, a.code)
					require.Contains(t, a.body, "another site")
				}
			})
			t.Run("GET instead/"+name, func(t *testing.T) {
				a := foreign.do(foreign.request("GET", path, nil))
				require.NotEqual(t, http.StatusInternalServerError, a.code)
			})
		}
		t.Run("read-only/"+name, func(t *testing.T) {
			called := false
			table := ro.c.routeTable()
			for i := range table {
				table[i].do = func(*visit) error { called = true; return errNotFound }
			}
			req := ro.request(r.method, path, form())
			for _, cookie := range ro.client.Jar.Cookies(req.URL) {
				req.AddCookie(cookie)
			}
			rec := httptest.NewRecorder()
			ro.c.routes(table).ServeHTTP(rec, req)
			require.Equal(t, !r.changes, called, "whether it is there")
			if r.changes {
				require.Contains(t, []int{http.StatusNotFound, http.StatusMethodNotAllowed}, rec.Code)
			}
		})
	}
	for _, method := range []string{"PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"} {
		a := foreign.do(foreign.request(method, "/mirrors/Cust1", nil))
		require.Equal(t, http.StatusMethodNotAllowed, a.code, method)
	}
}

// TestChangesAreMarked holds the routes that start changes to be marked so: read-only
// leaves out what is marked.
func TestChangesAreMarked(t *testing.T) {
	c := newWorld(t, "Cust1").open().c
	for _, r := range c.routeTable() {
		if r.method != "POST" {
			require.False(t, r.changes, "a page that changes a mirror: %s", r.path)
			continue
		}
		reads := regexp.MustCompile(`/(login|logout|look|comparisons|stop|resume|recheck|waiting|validation)$`).MatchString(r.path)
		require.Equal(t, !reads, r.changes, r.path)
	}
}

// TestHeaders scans what is sent with each kind of answer.
func TestHeaders(t *testing.T) {
	w := withLogin(t)
	require.Equal(t, http.StatusSeeOther, w.logIn(adasToken).code)
	for _, path := range []string{"/", "/login", "/assets/console.css", "/assets/none", "/mirrors/Cust1", "/mirrors/None", "/jobs/1/events", "/nothing"} {
		h := w.do(w.request("GET", path, nil)).header
		require.Equal(t, policy, h.Get("Content-Security-Policy"), path)
		require.NotContains(t, h.Get("Content-Security-Policy"), "unsafe")
		require.Equal(t, "nosniff", h.Get("X-Content-Type-Options"), path)
		require.Equal(t, "DENY", h.Get("X-Frame-Options"), path)
		require.Equal(t, "same-origin", h.Get("Referrer-Policy"), path)
		require.Equal(t, "same-origin", h.Get("Cross-Origin-Opener-Policy"), path)
		require.Equal(t, "same-origin", h.Get("Cross-Origin-Resource-Policy"), path)
		require.Empty(t, h.Get("Access-Control-Allow-Origin"), path)
		require.Empty(t, h.Get("Server"), path)
		require.Empty(t, h.Get("X-Powered-By"), path)
		if strings.HasSuffix(path, ".css") {
			require.Equal(t, "private, no-cache", h.Get("Cache-Control"))
		} else {
			require.Equal(t, "no-store", h.Get("Cache-Control"), path)
		}
		require.NotEmpty(t, h.Get("Content-Type"), path)
	}
}

func TestCookies(t *testing.T) {
	cookie := func(a answer) *http.Cookie {
		all := (&http.Response{Header: a.header}).Cookies()
		require.Len(t, all, 1)
		return all[0]
	}
	w := withLogin(t)
	plain := cookie(w.logIn(adasToken))
	require.True(t, plain.HttpOnly)
	require.Equal(t, http.SameSiteStrictMode, plain.SameSite)
	require.False(t, plain.Secure)
	require.Equal(t, "/", plain.Path)

	w = withLogin(t, func(o *Options) { o.Secure = true })
	require.True(t, cookie(w.logIn(adasToken)).Secure)

	w = withLogin(t)
	secure := httptest.NewTLSServer(w.c)
	defer secure.Close()
	w.server, w.client = secure, secure.Client()
	w.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	w.client.Transport.(*http.Transport).TLSClientConfig.MinVersion = tls.VersionTLS13
	a := w.logIn(adasToken)
	require.True(t, cookie(a).Secure)
	require.NotEmpty(t, a.header.Get("Strict-Transport-Security"))
}

// TestSession goes through a login's life.
func TestSession(t *testing.T) {
	w := withLogin(t)
	require.Equal(t, http.StatusSeeOther, w.logIn("grace's token, which is long").code)
	before := w.client.Jar.Cookies(must(url.Parse(w.server.URL)))
	a := w.do(w.request("POST", "/login", url.Values{"token": {" " + adasToken + "\n"}, "to": {"/mirrors/Cust1?q=1"}}))
	require.Equal(t, http.StatusSeeOther, a.code)
	require.Equal(t, "/mirrors/Cust1?q=1", a.header.Get("Location"))
	after := w.client.Jar.Cookies(must(url.Parse(w.server.URL)))
	require.NotEqual(t, before, after, "a session that somebody else began is not gone on with")
	require.Contains(t, w.do(w.request("GET", "/nothing", nil)).body, "ada")

	old := w.client.Jar
	w.post("/logout", nil)
	require.Equal(t, http.StatusSeeOther, w.do(w.request("GET", "/", nil)).code)
	w.client.Jar = old
	req := w.request("GET", "/", nil)
	req.AddCookie(after[0])
	require.Equal(t, http.StatusSeeOther, w.do(req).code, "the session is over, whoever still has its cookie")
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// TestWithin holds a login to lead to a page of the console, wherever its address says.
func TestWithin(t *testing.T) {
	for _, to := range []string{"/", "/mirrors/Cust1", "/jobs?state=running"} {
		require.Equal(t, to, within(to))
	}
	for _, to := range []string{"", "//evil.example", "https://evil.example", "/\\evil.example", "/..//evil.example", "/./\\evil", "javascript:alert(1)", "/a\nb", "/\tb", "evil", "/a/../../b"} {
		require.Equal(t, "/", within(to), "%q", to)
	}
}

func TestLoginsAreLimited(t *testing.T) {
	w := withLogin(t)
	for range loginsAMinute {
		require.Equal(t, http.StatusUnauthorized, w.logIn("nobody's token, at all").code)
	}
	a := w.logIn(adasToken)
	require.Equal(t, http.StatusTooManyRequests, a.code)
	require.Contains(t, a.body, "Wait for a minute")
	require.NotEmpty(t, a.header.Get("Retry-After"))
	w.get("/login") // can still be looked at
}

func TestProxy(t *testing.T) {
	w := newWorld(t, "Cust1")
	w.opts.Proxy = &Proxy{Header: "X-Forwarded-User", Trusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	w.open()
	ask := func(names ...string) answer {
		req := w.request("GET", "/nothing", nil)
		for _, n := range names {
			req.Header.Add("X-Forwarded-User", n)
		}
		return w.do(req)
	}
	require.Equal(t, http.StatusForbidden, ask().code)
	a := ask("grace@example.com")
	require.Equal(t, http.StatusNotFound, a.code)
	require.Contains(t, a.body, "grace@example.com")
	require.Equal(t, http.StatusForbidden, ask("grace", "ada").code, "one of them is not the proxy's")
	require.Equal(t, http.StatusForbidden, ask("").code)
	require.Equal(t, http.StatusForbidden, ask(strings.Repeat("x", maxName+1)).code)

	w = newWorld(t, "Cust1")
	w.opts.Proxy = &Proxy{Header: "X-Forwarded-User", Trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	w.open()
	require.Equal(t, http.StatusForbidden, ask("grace").code, "this address is nobody's proxy")
}

// TestLoopback holds a console without a login to this machine's own requests.
func TestLoopback(t *testing.T) {
	w := newWorld(t, "Cust1").open()
	for _, q := range []struct {
		from, host string
		want       int
	}{
		{"127.0.0.1:1", "localhost:8080", 200}, {"127.0.0.1:1", "127.0.0.1", 200}, {"[::1]:1", "[::1]:8080", 200}, {"127.0.0.1:1", "console.localhost", 200},
		{"[::ffff:127.0.0.1]:1", "LOCALHOST", 200},
		{"127.0.0.1:1", "evil.example", 403}, {"127.0.0.1:1", "127.0.0.1.evil.example", 403}, {"127.0.0.1:1", "localhost.evil.example:80", 403},
		{"10.0.0.1:1", "localhost", 403}, {"[fe80::1%eth0]:1", "localhost", 403}, {"", "localhost", 403}, {"127.0.0.1:1", "", 403},
	} {
		r := httptest.NewRequest("GET", "/assets/console.css", nil)
		r.RemoteAddr, r.Host = q.from, q.host
		rec := httptest.NewRecorder()
		w.c.ServeHTTP(rec, r)
		require.Equal(t, q.want, rec.Code, "%q asks %q", q.from, q.host)
	}
}

// TestLimits sends more than anybody has reason to.
func TestLimits(t *testing.T) {
	w := withLogin(t)
	require.Equal(t, http.StatusSeeOther, w.logIn(adasToken).code)
	a := w.do(w.request("POST", "/mirrors/Cust1/comparisons", url.Values{"tables": {strings.Repeat("x", maxBody)}}))
	require.Equal(t, http.StatusRequestEntityTooLarge, a.code)
	a = w.do(w.request("GET", "/?q="+strings.Repeat("x", maxQuery), nil))
	require.Equal(t, http.StatusRequestURITooLong, a.code)
	req := w.request("POST", "/mirrors/Cust1/comparisons", nil)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.URL.RawQuery = "%zz"
	require.Equal(t, http.StatusBadRequest, w.do(req).code)
}

// TestOptions refuses what cannot be meant.
func TestOptions(t *testing.T) {
	for name, q := range map[string]struct {
		change func(w *world)
		want   string
	}{
		"short token":      {func(w *world) { w.opts.Tokens = map[string]string{"ada": "secret"} }, "shorter than 16"},
		"no name":          {func(w *world) { w.opts.Tokens = map[string]string{"": adasToken} }, "no name"},
		"same token twice": {func(w *world) { w.opts.Tokens = map[string]string{"ada": adasToken, "eve": adasToken} }, "somebody else"},
		"no header":        {func(w *world) { w.opts.Proxy = &Proxy{Header: "X User"} }, "header"},
		"nobody trusted":   {func(w *world) { w.opts.Proxy = &Proxy{Header: "X-User"} }, "trusted"},
		"no members":       {func(w *world) { w.fleet.Members = nil }, "no members"},
		"a member twice": {func(w *world) {
			again := w.fleet.Members[0]
			again.ContextID = "CUST1"
			w.fleet.Members = append(w.fleet.Members, again)
		}, "twice"},
		"no context":      {func(w *world) { w.fleet.Members[0].ContextID = "1 2" }, mirror.ErrInvalidContextID.Error()},
		"no Open":         {func(w *world) { w.fleet.Members[0].Open = nil }, "no Open"},
		"pattern":         {func(w *world) { w.opts.BasePath = "/{x}" }, "base path"},
		"no state":        {func(w *world) { w.path = "" }, "state"},
		"state elsewhere": {func(w *world) { w.path = w.path + "/none/console.db" }, "state"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "Cust1")
			q.change(w)
			_, err := Open(w.path, w.fleet, &w.opts)
			require.ErrorContains(t, err, q.want)
			require.NotContains(t, fmt.Sprint(err), adasToken)
		})
	}
}

func TestBasePath(t *testing.T) {
	for _, base := range []string{"/tools/mirrors", "tools/mirrors/", "/tools//mirrors"} {
		w := newWorld(t, "Cust1")
		w.opts.BasePath = base
		w.opts.Tokens = map[string]string{"ada": adasToken}
		w.open()
		a := w.do(w.request("GET", "/tools/mirrors/nothing", nil))
		require.Equal(t, http.StatusSeeOther, a.code)
		require.Equal(t, "/tools/mirrors/login?to=%2Fnothing", a.header.Get("Location"))
		a = w.do(w.request("POST", "/tools/mirrors/login", url.Values{"token": {adasToken}, "to": {"/nothing"}}))
		require.Equal(t, "/tools/mirrors/nothing", a.header.Get("Location"))
		require.Contains(t, a.header.Get("Set-Cookie"), "Path=/tools/mirrors/")
		require.Contains(t, w.do(w.request("GET", "/tools/mirrors/nothing", nil)).body, `href="/tools/mirrors/assets/console.css"`)
		require.Equal(t, http.StatusNotFound, w.do(w.request("GET", "/assets/console.css", nil)).code)
	}
}

// TestAssetsAreAskedForAgain sends a file once.
func TestAssetsAreAskedForAgain(t *testing.T) {
	w := newWorld(t, "Cust1").open()
	for _, name := range []string{"console.css", "report.css", "htmx.min.js", "sse.js", "icon.svg"} {
		first := w.do(w.request("GET", "/assets/"+name, nil))
		require.Equal(t, http.StatusOK, first.code, name)
		require.NotEmpty(t, first.body, name)
		req := w.request("GET", "/assets/"+name, nil)
		req.Header.Set("If-None-Match", first.header.Get("ETag"))
		require.Equal(t, http.StatusNotModified, w.do(req).code, name)
	}
	for _, name := range []string{"README.md", "htmx.LICENSE", "none.css", "../render.go"} {
		require.Equal(t, http.StatusNotFound, w.do(w.request("GET", "/assets/"+url.PathEscape(name), nil)).code, name)
	}
}
