// Command service shows how a service embeds the library: it compares each mirror of a fleet
// after every cycle of the Mirroring Task, and tells health checks, Prometheus, a trace and
// the console what it found. Its README.md says how to run it.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/so-mirror/mirror/console"
	"github.com/so-mirror/mirror/examples/internal/customers"
	"github.com/so-mirror/mirror/journal"
)

// stopTimeout bounds each part of the stop.
const stopTimeout = 20 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Getenv, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "service:", err)
		os.Exit(1)
	}
}

// run serves until ctx is done.
func run(ctx context.Context, args []string, getenv func(string) string, w io.Writer) (err error) {
	s := &service{metrics: newMetrics()}
	flags := flag.NewFlagSet("service", flag.ContinueOnError)
	flags.SetOutput(w)
	config := flags.String("config", getenv("MIRROR_CONFIG"), "`file` with the customers, as that of mirrorctl")
	listen := flags.String("listen", "127.0.0.1:8080", "`address` to serve at")
	state := flags.String("state", ".", "`directory` for the journal and what the console keeps")
	readOnly := flags.Bool("read-only", true, "let the console change no mirror")
	flags.DurationVar(&s.poll, "poll", 5*time.Minute, "time between two looks at a mirror")
	flags.DurationVar(&s.full, "full", 24*time.Hour, "time after which all rows are compared again")
	flags.DurationVar(&s.maxAge, "max-age", 12*time.Hour, "age from which a comparison says nothing any more")
	flags.BoolVar(&s.repair, "repair", false, "reset what is proven stale")
	if err := flags.Parse(args); err != nil {
		return err
	}
	switch {
	case flags.NArg() > 0:
		return fmt.Errorf("unexpected argument %q: all is said by flags", flags.Arg(0))
	case s.poll <= 0 || s.full <= 0 || s.maxAge <= 0:
		return errors.New("-poll, -full and -max-age: want more than 0")
	}
	secrets := &customers.Secrets{}
	s.log = newLog(w, secrets)
	file, err := customers.Read(*config)
	if err != nil {
		return err
	}
	if s.fleet, err = file.OpenFleet(customers.Environment{Get: getenv, Secrets: secrets}); err != nil {
		return err
	}
	s.fleet.Timeout = cmp.Or(s.fleet.Timeout, 2*time.Hour) // so that none hangs for ever

	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	defer listener.Close()
	changes, err := journal.Open(filepath.Join(*state, "journal.jsonl")) // as mirrorctl names it
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, changes.Close()) }()
	s.journal = changes
	tracer, flush, err := newTracer(ctx, getenv, w)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bounded(ctx, flush)) }()
	s.tracer = tracer
	pages, err := console.Open(filepath.Join(*state, "console.db"), s.fleet, &console.Options{
		BasePath: "/console", ReadOnly: *readOnly, Tokens: tokens(getenv), Logger: s.log, Look: s.poll, Schedule: s.schedule,
	})
	if err != nil {
		return err
	}
	s.record = pages.Record
	return s.serve(ctx, listener, pages)
}

// tokens are who may log in to the console from elsewhere than this machine.
func tokens(getenv func(string) string) map[string]string {
	if token := getenv("CONSOLE_TOKEN"); token != "" {
		return map[string]string{"operator": token}
	}
	return nil
}

// newLog returns a log whose errors show no secret: a driver's may quote the connection string.
func newLog(w io.Writer, secrets *customers.Secrets) *slog.Logger {
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if err, ok := a.Value.Any().(error); ok {
			a.Value = slog.StringValue(secrets.Hide(err.Error()))
		}
		return a
	}}))
}

func (s *service) handler(pages http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok\n") })
	mux.HandleFunc("GET /health", s.serveHealth)
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{}))
	mux.Handle("/console/", pages)
	return mux
}

// serve compares and serves until ctx is done, and then stops both, each part in its time.
func (s *service) serve(ctx context.Context, listener net.Listener, pages *console.Console) error {
	s.metrics.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	jobs, err := s.start()
	if err != nil {
		return errors.Join(err, pages.Close())
	}
	server := &http.Server{Handler: s.handler(pages), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, IdleTimeout: 2 * time.Minute,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelWarn)}
	s.log.Info("listening", "address", listener.Addr().String(), "mirrors", len(s.members))
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err = <-failed:
	case <-ctx.Done():
		s.log.Info("stopping")
	}
	// The console's streams of events end with it, and Shutdown waits for them.
	return errors.Join(err, jobs.Shutdown(), pages.Close(), bounded(ctx, server.Shutdown))
}

// bounded gives a stop its time, although ctx is done.
func bounded(ctx context.Context, stop func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	return stop(ctx)
}
