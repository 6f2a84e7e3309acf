package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// get returns the code and the text of a page.
func get(t *testing.T, c *http.Client, url string) (code int, text string) {
	t.Helper()
	answer, err := c.Get(url)
	require.NoError(t, err)
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return answer.StatusCode, string(data)
}

// client is one that keeps cookies and follows no redirect.
func client(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	c := &http.Client{Jar: jar, Transport: &http.Transport{}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

func TestServe(t *testing.T) {
	r := start(t, nil, "--config", world(t, ""), "--base-path", "/mirrors/", "--look", "-1s")
	require.Regexp(t, `^Console of 1 mirror: http://127\.0\.0\.1:\d+/mirrors/ \(nobody has to log in, because it answers this machine alone\)\. Ctrl\+C stops it\.\n$`, r.out)
	c := client(t)
	code, _ := get(t, c, r.url+"assets/console.css")
	require.Equal(t, http.StatusOK, code)
	code, text := get(t, c, r.url+"no/such/page")
	require.Equal(t, http.StatusNotFound, code)
	require.Contains(t, text, "<html")

	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url, nil)
	require.NoError(t, err)
	request.Host = "mirrors.example.com" // a page of another site, by a name that leads here
	answer, err := c.Do(request)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, http.StatusForbidden, answer.StatusCode)

	require.Equal(t, exitDone, r.exit(), r.err)
	require.Contains(t, r.err.String(), "stopped")
	_, err = c.Get(r.url)
	require.Error(t, err, "nobody listens any more")
}

func TestState(t *testing.T) {
	config := world(t, "")
	r := start(t, nil, "--config", config, "--look", "-1s")
	path := r.flags.state
	for name, want := range map[string]os.FileMode{filepath.Dir(path): 0o700, path: 0o600} {
		info, err := os.Stat(name)
		require.NoError(t, err)
		require.Equal(t, want, info.Mode().Perm(), name)
	}

	// A second one with the same state, and one at the same address.
	p, _, errs := testProgram(nil)
	require.Equal(t, exitError, p.run(t.Context(), []string{"--config", config, "--state", path, "--listen", "127.0.0.1:0"}))
	require.Contains(t, errs.String(), "another process has it open")
	where, err := url.Parse(r.url)
	require.NoError(t, err)
	p, _, errs = testProgram(nil)
	require.Equal(t, exitError, p.run(t.Context(), []string{"--config", config, "--state", filepath.Join(t.TempDir(), "s.db"), "--listen", where.Host}))
	require.Contains(t, errs.String(), "is it served already? Name another address by --listen")
}

// Neither what is printed nor the log nor a page shows a secret.
func TestSecretsStay(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	at := closed.Addr().String()
	require.NoError(t, closed.Close())
	config := write(t, "file.yaml", "context: Cust1\nsource: sqlserver://u:${CRM_PASSWORD}@"+at+"?database=d&dial+timeout=1\n"+
		"mirror: sqlserver://u:spoken-hemlig@"+at+"?database=d&dial+timeout=1\nreplica: sqlserver://u:${NEW_PASSWORD}@"+at+"\n")
	env := map[string]string{"CRM_PASSWORD": "p/hemlig", "NEW_PASSWORD": "q/hemlig"}
	tokens := write(t, "tokens.yaml", "ada: "+token+"\n")
	require.NoError(t, os.Chmod(config, 0o644))
	r := start(t, env, "--config", config, "--token-file", tokens, "--log-level", "debug", "--look", "10ms")
	require.Contains(t, r.out.String(), "(log in with a token of "+tokens+")")
	require.Contains(t, r.err.String(), "Warning: "+config+":3: everybody on this machine can read the password in it.")

	c := client(t)
	code, _ := get(t, c, r.url)
	require.Equal(t, http.StatusSeeOther, code, "to the login")
	for text, want := range map[string]int{"nobody's-token-0123": http.StatusUnauthorized, token: http.StatusSeeOther} {
		answer, err := c.PostForm(r.url+"login", url.Values{"token": {text}})
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		require.Equal(t, want, answer.StatusCode)
	}
	_, page := get(t, c, r.url)
	require.NotContains(t, page, "hemlig")

	require.Equal(t, exitDone, r.exit(), r.err)
	require.NotContains(t, r.err.String()+r.out.String(), "hemlig")
}

func TestTLS(t *testing.T) {
	cert, key := certificate(t)
	tokens := write(t, "tokens.yaml", "ada: "+token+"\n")
	r := start(t, nil, "--config", world(t, ""), "--tls-cert", cert, "--tls-key", key, "--token-file", tokens, "--look", "-1s")
	require.True(t, strings.HasPrefix(r.url, "https://127.0.0.1:"), r.url)
	pool := x509.NewCertPool()
	data, err := os.ReadFile(cert)
	require.NoError(t, err)
	require.True(t, pool.AppendCertsFromPEM(data))
	c := client(t)
	c.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	answer, err := c.PostForm(r.url+"login", url.Values{"token": {token}})
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, http.StatusSeeOther, answer.StatusCode)
	require.NotEmpty(t, answer.Cookies())
	for _, cookie := range answer.Cookies() {
		require.True(t, cookie.Secure && cookie.HttpOnly, cookie)
	}
	c.CloseIdleConnections()
	require.Equal(t, exitDone, r.exit(), r.err)
}

// certificate makes a certificate of 127.0.0.1 and its key.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	made := &x509.Certificate{SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, made, made, private.Public(), private)
	require.NoError(t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	return write(t, "c.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))),
		write(t, "k.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})))
}

// A stream of events does not keep the program from stopping, and neither does a request
// that is being answered, which is.
func TestStop(t *testing.T) {
	p, _, errs := testProgram(nil)
	p.log = p.logger()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	streaming, answering := make(chan struct{}), make(chan struct{})
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/events" {
			close(streaming)
			<-r.Context().Done()
			return
		}
		close(answering)
		<-streaming
		_, _ = io.WriteString(w, "answered")
	})}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.until(ctx, server, listener) }()

	c, where := client(t), "http://"+listener.Addr().String()
	answered := make(chan string, 1)
	go func() {
		answer, err := c.Get(where)
		if err != nil {
			answered <- err.Error()
			return
		}
		defer answer.Body.Close()
		text, _ := io.ReadAll(answer.Body)
		answered <- string(text)
	}()
	<-answering
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, where+"/events", nil)
	require.NoError(t, err)
	request.Header.Set("Accept", "text/event-stream")
	go func() {
		if answer, err := c.Do(request); err == nil {
			answer.Body.Close()
		}
	}()
	<-streaming
	stop()
	require.NoError(t, <-ended)
	require.Equal(t, "answered", <-answered)
	require.NotContains(t, errs.String(), "some requests were not answered")
}
