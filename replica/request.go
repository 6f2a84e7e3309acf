package replica

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/so-mirror/mirror/internal/superoffice"
	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/store"
)

// Request is how the client is asked over HTTP.
type Request struct {
	// BaseURL is that of the client's API, such as "https://host:5001". Path and
	// query that it has are kept, and so are a user and a password in it.
	BaseURL string

	// Token is sent as a bearer token, as it is. How the endpoint authenticates is
	// not documented. Default: none is sent.
	Token string

	// Client sends the request, with its Transport, Jar and Timeout. Default: one
	// that waits for a minute.
	Client *http.Client
}

// ErrRefused: the client did not answer a request with 2xx.
var ErrRefused = errors.New("resync refused")

// Resync asks the newer client to re-synchronize the tables of r. A nil error says
// that it was requested, and never that it is done: see [Watch]. Redirects are not
// followed, and are ErrRefused, so that only the host of BaseURL gets the token. The
// token and the password of BaseURL are in no error. After an error that is not
// ErrRefused the client may have got the request.
func (q *Request) Resync(ctx context.Context, r *Resync) error {
	req, err := q.request(ctx, r)
	if err != nil {
		return fmt.Errorf("request resync: %w", err)
	}
	client := http.Client{Timeout: time.Minute}
	if q.Client != nil {
		client = *q.Client
	}
	// A POST that is redirected can become a GET, whose 200 says nothing, and
	// net/http hands the token on to subdomains and from https to http.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) { // its URL can hold a secret
			err = u.Err
		}
		if ctx.Err() == nil && q.betrays(req, err.Error()) {
			err = errors.New("the error is not shown, because it repeats a secret")
		}
		return store.WrapError(ctx, err, "request resync")
	}
	defer resp.Body.Close()
	switch code := resp.StatusCode; {
	case code >= 200 && code <= 299:
		return nil
	case code >= 300 && code <= 399:
		return fmt.Errorf("%w: %s: it redirects, which is not followed: set BaseURL to the address that the client itself has", ErrRefused, statusOf(code))
	default:
		return fmt.Errorf("%w: %s%s", ErrRefused, statusOf(code), q.answer(req, resp.Body))
	}
}

// isResyncPath matches the paths that resyncPath makes. A Resync can come out of a
// file, and its path must not choose another host, or another endpoint.
var isResyncPath = regexp.MustCompile("^" + superoffice.ResyncPath(`([^/?#\\]+)`) + "$")

// isSegment reports whether a part of a path leads no server to another place: some
// take "%2e%2e" for "..", and "%2f" for a slash.
func isSegment(escaped string) bool {
	s, err := url.PathUnescape(escaped)
	parts := strings.FieldsFunc(s, func(r rune) bool { return r == '/' || r == '\\' })
	return err == nil && !slices.Contains(parts, ".") && !slices.Contains(parts, "..")
}

// request makes the request. Its errors hold nothing of BaseURL and Token.
func (q *Request) request(ctx context.Context, r *Resync) (*http.Request, error) {
	if r == nil || len(r.Tables) == 0 {
		return nil, errors.New("there is nothing to re-synchronize")
	}
	match := isResyncPath.FindStringSubmatch(r.Path)
	switch {
	case strings.Contains(r.Path, "{"):
		return nil, errors.New("the context identifier is not known: set Options.ContextID of the check")
	case match == nil || !isSegment(match[1]):
		return nil, fmt.Errorf("%q is not the path of the client's endpoint: use the Resync of a report, or NewResync", text.Name(r.Path))
	}
	base, err := url.Parse(q.BaseURL)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, errors.New(`BaseURL is no URL of a server: want "https://host:port"`)
	}
	base.Fragment = ""
	// The method and the body are those of the tables, whatever a file says.
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base.JoinPath(r.Path).String(), strings.NewReader(resyncBody(r.Tables)))
	if err != nil {
		return nil, errors.New("BaseURL and the context identifier make no valid URL")
	}
	req.Header.Set("Content-Type", "application/json")
	if q.Token != "" {
		req.Header.Set("Authorization", "Bearer "+q.Token)
	}
	return req, nil
}

func statusOf(code int) string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", code, http.StatusText(code)))
}

// answer is what an error can show of an answer's body.
func (q *Request) answer(req *http.Request, body io.Reader) string {
	const most, shown = 4 << 10, 200
	said, _ := io.ReadAll(io.LimitReader(body, most)) // what there is of it explains enough
	switch answer := strings.TrimSpace(string(said)); {
	case answer == "":
		return ""
	case q.betrays(req, answer):
		return ": the answer is not shown, because it repeats a secret"
	default:
		return ": " + text.Printable(text.Clip(answer, shown))
	}
}

// betrays reports whether s holds a secret of the request, or a part of one.
func (q *Request) betrays(req *http.Request, s string) bool {
	secrets := []string{q.Token}
	if password, ok := req.URL.User.Password(); ok {
		secrets = append(secrets, password, url.QueryEscape(password))
	}
	if user := req.URL.User; user != nil { // net/http sends it so
		password, _ := user.Password()
		secrets = append(secrets, base64.StdEncoding.EncodeToString([]byte(user.Username()+":"+password)))
	}
	const part = 8 // bytes that do not stand in an answer by chance
	for _, values := range req.URL.Query() {
		for _, v := range values {
			if len(v) >= part { // "api-version=1" is no secret
				secrets = append(secrets, v)
			}
		}
	}
	for _, secret := range secrets {
		if secret != "" && strings.Contains(s, secret) {
			return true
		}
		for i := 0; i+part <= len(secret); i++ {
			if strings.Contains(s, secret[i:i+part]) {
				return true
			}
		}
	}
	return false
}
