package console

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/alexedwards/scs/v2"
	"golang.org/x/net/http/httpguts"
)

// Proxy is a proxy before the console that says who somebody is.
type Proxy struct {
	// Header has the name of who is logged in, such as "X-Forwarded-User". The proxy must
	// remove it from what it is sent.
	Header string

	// Trusted are the addresses of the proxy. The header of others is not believed.
	Trusted []netip.Prefix
}

// logins finds out who somebody is.
type logins struct {
	tokens   []token
	proxy    *Proxy
	plain    *scs.SessionManager
	secure   *scs.SessionManager // with a cookie that goes by TLS alone
	always   bool                // secure
	log      *slog.Logger
	required bool
}

type token struct {
	name string
	hash [sha256.Size]byte
}

// mark is what a session has of a login, which ends with the token: it says nothing of it.
func (t token) mark() string {
	sum := sha256.Sum256(append([]byte(t.name+"\x00"), t.hash[:]...))
	return hex.EncodeToString(sum[:])
}

// The rules of tokens and names. A token is as hard to guess as it is long.
const (
	minToken = 16
	maxName  = 100
)

// sessionLife is how long a session lasts. It ends with the browser, too.
const sessionLife = 12 * time.Hour

func newLogins(o *Options, log *slog.Logger) (*logins, error) {
	l := &logins{proxy: o.Proxy, always: o.Secure, log: log, required: len(o.Tokens) > 0 || o.Proxy != nil}
	seen := map[[sha256.Size]byte]bool{}
	for name, text := range o.Tokens {
		t := token{name, sha256.Sum256([]byte(text))}
		switch {
		case !isActor(name):
			return nil, fmt.Errorf("%q is no name for a login: write up to %d printable characters", name, maxName)
		case len(text) < minToken:
			return nil, fmt.Errorf("the token of %s is shorter than %d characters: make one such as by: openssl rand -hex 24", name, minToken)
		case seen[t.hash]:
			return nil, fmt.Errorf("%s has the token of somebody else: give each their own", name)
		}
		seen[t.hash] = true
		l.tokens = append(l.tokens, t)
	}
	if p := o.Proxy; p != nil {
		switch {
		case !httpguts.ValidHeaderFieldName(p.Header):
			return nil, fmt.Errorf("%q is no name of a header", p.Header)
		case len(p.Trusted) == 0:
			return nil, errors.New("the proxy has no address that is trusted: name it, such as 127.0.0.1/32")
		}
	}
	return l, nil
}

// keep has sessions kept in the state.
func (l *logins) keep(s *state, base string) {
	manager := func(secure bool) *scs.SessionManager {
		return &scs.SessionManager{
			Store: sessions{s}, Codec: scs.GobCodec{}, Lifetime: sessionLife, HashTokenInStore: true,
			Cookie: scs.SessionCookie{Name: "mirror_console", Path: base + "/", HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: secure},
			ErrorFunc: func(w http.ResponseWriter, r *http.Request, err error) {
				l.log.Error("session not read or kept", "path", r.URL.Path, "error", err)
				http.Error(w, "Internal error: the log has more.", http.StatusInternalServerError)
			},
		}
	}
	l.plain, l.secure = manager(false), manager(true)
}

// isActor reports whether a text can be the name of who does something.
func isActor(name string) bool {
	return name != "" && len(name) <= maxName && utf8.ValidString(name) && !strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f || r == utf8.RuneError })
}

// sessions returns the manager whose cookie fits the request.
func (l *logins) sessions(r *http.Request) *scs.SessionManager {
	if l.always || r.TLS != nil {
		return l.secure
	}
	return l.plain
}

// with has a request's session loaded and saved.
func (l *logins) with(next http.Handler) http.Handler {
	plain, secure := l.plain.LoadAndSave(next), l.secure.LoadAndSave(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if l.sessions(r) == l.secure {
			secure.ServeHTTP(w, r)
			return
		}
		plain.ServeHTTP(w, r)
	})
}

const (
	keyLogin = "login"
	keyFlash = "flash"
)

// local is who somebody is on a machine where nobody logs in.
const local = "local"

// actor returns who makes a request, "" for nobody who may.
func (l *logins) actor(r *http.Request) string {
	if !l.required {
		return local
	}
	if name := l.proxied(r); name != "" {
		return name
	}
	mark := l.sessions(r).GetString(r.Context(), keyLogin)
	for _, t := range l.tokens {
		if t.mark() == mark {
			return t.name
		}
	}
	return ""
}

// proxied returns who a trusted proxy says somebody is, "" for nobody.
func (l *logins) proxied(r *http.Request) string {
	if l.proxy == nil {
		return ""
	}
	names := r.Header.Values(l.proxy.Header)
	if len(names) != 1 || !isActor(names[0]) { // two are the proxy's and somebody else's
		return ""
	}
	at := addressOf(r)
	for _, p := range l.proxy.Trusted {
		if p.Contains(at) {
			return names[0]
		}
	}
	return ""
}

// addressOf returns the address that a request came from, the invalid one where it is not
// known.
func addressOf(r *http.Request) netip.Addr {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr().Unmap().WithZone("")
}

// isLoopback reports whether a request is this machine's own, by the address that it came
// from and by the name that it asked for: a page elsewhere can have a name of its own mean
// this machine.
func isLoopback(r *http.Request) bool {
	if !addressOf(r).IsLoopback() {
		return false
	}
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	at, err := netip.ParseAddr(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && at.IsLoopback()
}

// logIn begins a session for who has a token.
func (l *logins) logIn(r *http.Request, text string) (bool, error) {
	hash, found := sha256.Sum256([]byte(text)), token{}
	for _, t := range l.tokens { // each is looked at, so that the time tells nothing
		if subtle.ConstantTimeCompare(hash[:], t.hash[:]) == 1 {
			found = t
		}
	}
	if found.name == "" {
		l.log.Warn("login refused", "address", addressOf(r).String())
		return false, nil
	}
	s := l.sessions(r)
	if err := s.RenewToken(r.Context()); err != nil {
		return false, err
	}
	s.Put(r.Context(), keyLogin, found.mark())
	l.log.Info("login", "actor", found.name, "address", addressOf(r).String())
	return true, nil
}

func (l *logins) logOut(r *http.Request) error { return l.sessions(r).Destroy(r.Context()) }

// flash is what the next page says first.
func (l *logins) flash(r *http.Request, text string) {
	l.sessions(r).Put(r.Context(), keyFlash, text)
}

func (l *logins) popFlash(r *http.Request) string {
	return l.sessions(r).PopString(r.Context(), keyFlash)
}
