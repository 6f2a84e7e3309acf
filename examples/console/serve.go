package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path"
	"strings"
	"time"

	"github.com/so-mirror/mirror/console"
	"github.com/so-mirror/mirror/fleet"
)

// The times of the server. It has no limit for writing, because events are written for as
// long as somebody looks on: the console bounds each page and each event itself.
const (
	headerTimeout = 10 * time.Second
	readTimeout   = 60 * time.Second
	idleTimeout   = 2 * time.Minute
	stopTimeout   = 10 * time.Second
	maxHeader     = 64 << 10
)

// serving is how the console is served.
type serving struct {
	options *console.Options
	addr    *net.TCPAddr
	tls     *tls.Config // nil without TLS
}

// serving is what the flags say, before anything is made or opened.
func (p *program) serving() (*serving, error) {
	o, err := p.options()
	if err != nil {
		return nil, err
	}
	s := &serving{options: o}
	if s.addr, err = p.address(o.Tokens != nil || o.Proxy != nil); err != nil {
		return nil, err
	}
	if p.flags.cert != "" {
		pair, err := tls.LoadX509KeyPair(p.flags.cert, p.flags.key)
		if err != nil {
			return nil, usagef("--tls-cert and --tls-key: %w", err)
		}
		s.tls = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	}
	return s, nil
}

// serve serves the console until ctx is done.
func (p *program) serve(ctx context.Context, all *fleet.Fleet, s *serving) error {
	state, err := p.statePath()
	if err != nil {
		return err
	}
	listener, err := net.ListenTCP("tcp", s.addr)
	if err != nil {
		return fmt.Errorf("listen on %s: %w: is it served already? Name another address by --listen", p.flags.listen, err)
	}
	c, err := console.Open(state, all, s.options)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	server := &http.Server{
		Handler: c, TLSConfig: s.tls,
		ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(p.log.Handler(), slog.LevelWarn),
	}
	p.announce(len(all.Members), listener.Addr(), s.options)
	p.log.Info("serving", "address", listener.Addr().String(), "members", len(all.Members), "state", state, "readOnly", s.options.ReadOnly)
	err = p.until(ctx, server, listener)
	err = errors.Join(err, c.Close()) // keeps checkpoints
	p.log.Info("stopped")
	return err
}

// until serves until ctx is done. Then it takes no more requests, and waits for those that
// are being answered.
func (p *program) until(ctx context.Context, server *http.Server, listener net.Listener) error {
	ending, end := context.WithCancel(context.Background())
	defer end()
	server.Handler = endless(ending, server.Handler)
	served := make(chan error, 1)
	go func() {
		if server.TLSConfig != nil {
			served <- server.ServeTLS(listener, "", "")
			return
		}
		served <- server.Serve(listener)
	}()
	select {
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	p.log.Info("stopping: a second signal ends it at once")
	end()
	wait, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if err := server.Shutdown(wait); err != nil {
		p.log.Warn("some requests were not answered", "error", err)
		return server.Close()
	}
	return nil
}

// endless ends streams of events when the server stops, which would wait for them.
func endless(ending context.Context, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
			ctx, cancel := context.WithCancel(r.Context())
			defer cancel()
			defer context.AfterFunc(ending, cancel)()
			r = r.WithContext(ctx)
		}
		next.ServeHTTP(w, r)
	})
}

// announce says where the console is and how to log in.
func (p *program) announce(members int, addr net.Addr, o *console.Options) {
	how := "nobody has to log in, because it answers this machine alone"
	switch {
	case o.Tokens != nil && o.Proxy != nil:
		how = fmt.Sprintf("log in with a token of %s, or by the proxy that sends %s", p.flags.tokenFile, o.Proxy.Header)
	case o.Tokens != nil:
		how = "log in with a token of " + p.flags.tokenFile
	case o.Proxy != nil:
		how = fmt.Sprintf("the proxy that sends %s logs people in", o.Proxy.Header)
	}
	mirrors := "1 mirror"
	if members != 1 {
		mirrors = fmt.Sprintf("%d mirrors", members)
	}
	fmt.Fprintf(p.out, "Console of %s: %s (%s). Ctrl+C stops it.\n", mirrors, p.url(addr), how)
	if reached := addr.(*net.TCPAddr).IP; o.Tokens != nil && p.flags.cert == "" && !reached.IsLoopback() {
		fmt.Fprintln(p.err, "Warning: tokens cross the network as they are typed, for others to read: serve by TLS with --tls-cert and --tls-key, or listen on 127.0.0.1 behind a proxy that does.")
	}
}

// url is where a browser finds the console.
func (p *program) url(addr net.Addr) string {
	tcp := *addr.(*net.TCPAddr)
	host := tcp.IP.String()
	if tcp.IP.IsUnspecified() {
		host = "localhost"
		if name, err := os.Hostname(); err == nil {
			host = name
		}
	}
	scheme := "http"
	if p.flags.cert != "" {
		scheme = "https"
	}
	return scheme + "://" + net.JoinHostPort(host, fmt.Sprint(tcp.Port)) + strings.TrimSuffix(path.Clean("/"+p.flags.basePath), "/") + "/"
}
