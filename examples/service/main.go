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

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/examples/internal/customers"
	"github.com/so-mirror/mirror/fleet"
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

// run serves until ctx is done, and then stops what it began in the opposite order.
func run(ctx context.Context, args []string, getenv func(string) string, w io.Writer) (err error) {
	s := &service{metrics: newMetrics(), record: func(context.Context, *mirror.Report) error { return nil }}
	flags := flag.NewFlagSet("service", flag.ContinueOnError)
	flags.SetOutput(w)
	config := flags.String("config", getenv("MIRROR_CONFIG"), "`file` with the customers, as that of mirrorctl")
	listen := flags.String("listen", "127.0.0.1:8080", "`address` to serve at")
	state := flags.String("state", ".", "`directory` for the journal and what the console keeps")
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
	if s.fleet, err = openFleet(*config, customers.Environment{Get: getenv, Secrets: secrets}); err != nil {
		return err
	}
	file, err := journal.Open(filepath.Join(*state, "journal"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	s.journal = file
	tracer, flush, err := newTracer(getenv, w)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bounded(ctx, flush)) }()
	s.tracer = tracer

	s.metrics.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	jobs, err := s.start()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, jobs.Shutdown()) }()
	return s.serve(ctx, *listen)
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

// openFleet reads who the customers are. Their databases are opened at each look.
func openFleet(config string, env customers.Environment) (*fleet.Fleet, error) {
	file, err := customers.Read(config)
	if err != nil {
		return nil, err
	}
	all := &fleet.Fleet{Concurrency: file.Concurrency, Timeout: cmp.Or(file.Timeout, 2*time.Hour)}
	for _, e := range file.Entries() {
		c := &customers.Customer{}
		if err := e.Fill(c, env); err != nil {
			return nil, err
		}
		if c.Context == "" || c.Mirror.Where == "" || c.Source.Where == "" {
			return nil, e.Errorf("want a context, a mirror and a source")
		}
		env.Secrets.AddOf(c.Source.Where)
		env.Secrets.AddOf(c.Mirror.Where)
		all.Members = append(all.Members, fleet.Member{ContextID: c.Context, Open: func(ctx context.Context) (*fleet.Connection, error) {
			return open(ctx, c)
		}})
	}
	return all, nil
}

func open(ctx context.Context, c *customers.Customer) (*fleet.Connection, error) {
	to, closeMirror, err := c.Mirror.OpenStore(ctx)
	if err != nil {
		return nil, fmt.Errorf("mirror: %w", err)
	}
	from, closeSource, err := c.Source.OpenSource(ctx)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("source: %w", err), closeMirror())
	}
	m, err := mirror.New(c.Context, to, &c.Names)
	if err != nil {
		return nil, errors.Join(err, closeSource(), closeMirror())
	}
	return &fleet.Connection{Mirror: m, Source: from, Compare: &c.Compare, Close: func() error {
		return errors.Join(closeSource(), closeMirror())
	}}, nil
}

func (s *service) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok\n") })
	mux.HandleFunc("GET /health", s.serveHealth)
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{Registry: s.metrics.registry}))
	return mux
}

// serve serves until ctx is done.
func (s *service) serve(ctx context.Context, address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: s.handler(), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, IdleTimeout: 2 * time.Minute,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelWarn)}
	s.log.Info("listening", "address", listener.Addr().String(), "mirrors", len(s.members))
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		s.log.Info("stopping")
		return errors.Join(bounded(ctx, server.Shutdown), ignoreClosed(<-failed))
	}
}

func ignoreClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// bounded gives a stop its time, although ctx is done.
func bounded(ctx context.Context, stop func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	return stop(ctx)
}
