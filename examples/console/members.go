package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/console"
	"github.com/so-mirror/mirror/examples/internal/customers"
	"github.com/so-mirror/mirror/fleet"
	"github.com/so-mirror/mirror/replica"
	"github.com/so-mirror/mirror/store"
)

// fleetOf is the customers of a file. Each has all that its databases need to be opened, and
// none is opened.
func (p *program) fleetOf(file *customers.File) (*fleet.Fleet, []customers.Customer, error) {
	all := &fleet.Fleet{Concurrency: cmp.Or(p.flags.concurrency, file.Concurrency), Timeout: file.Timeout}
	var known []customers.Customer
	env := customers.Environment{Get: p.env, Secrets: &p.secrets}
	for _, e := range file.Entries() {
		var c customers.Customer
		if err := errors.Join(e.Fill(&c, env), e.FillReplica(&c, env)); err != nil {
			return nil, nil, err
		}
		switch {
		case c.Context == "":
			return nil, nil, e.Errorf("whose mirror is this? Add a line such as \"context: Cust10195\"")
		case c.Mirror.Where == "":
			return nil, nil, e.Errorf("%s has no mirror", c.Context)
		case c.Source.Where == "":
			return nil, nil, e.Errorf("%s has no source to compare with", c.Context)
		}
		for _, d := range []customers.Database{c.Source, c.Mirror, c.Replica} {
			p.secrets.AddOf(d.Where)
		}
		known = append(known, c)
		all.Members = append(all.Members, fleet.Member{ContextID: c.Context, Open: func(ctx context.Context) (*fleet.Connection, error) {
			conn, err := p.connect(ctx, c)
			return conn, p.harmless(err)
		}})
	}
	return all, known, nil
}

// connect opens the databases of a customer.
func (p *program) connect(ctx context.Context, c customers.Customer) (_ *fleet.Connection, err error) {
	var open closers
	defer func() {
		if err != nil {
			err = errors.Join(err, open.Close())
		}
	}()
	mirrored, closing, err := c.Mirror.OpenStore(ctx)
	if err != nil {
		return nil, fmt.Errorf("mirror: %w", err)
	}
	open = append(open, closing)
	source, closing, err := p.openSource(ctx, c.Source)
	if err != nil {
		return nil, fmt.Errorf("source: %w", err)
	}
	open = append(open, closing)
	m, err := mirror.New(c.Context, mirrored, &c.Names)
	if err != nil {
		return nil, err
	}
	return &fleet.Connection{Mirror: m, Source: source, Compare: &c.Compare, Close: open.Close}, nil
}

// replicas opens what is read to validate the replica of a customer, nil for none that has
// one.
func (p *program) replicas(known []customers.Customer) func(context.Context, string) (*console.Replica, error) {
	with := map[string]customers.Customer{}
	for _, c := range known {
		if c.Replica.Where != "" {
			with[store.FoldName(c.Context)] = c
		}
	}
	if len(with) == 0 {
		return nil
	}
	return func(ctx context.Context, contextID string) (*console.Replica, error) {
		c, ok := with[store.FoldName(contextID)]
		if !ok {
			return nil, nil
		}
		r, err := openReplica(ctx, c)
		return r, p.harmless(err)
	}
}

// openReplica opens a replica and the mirror that it is compared with, both to read alone.
func openReplica(ctx context.Context, c customers.Customer) (_ *console.Replica, err error) {
	var open closers
	defer func() {
		if err != nil {
			err = errors.Join(err, open.Close())
		}
	}()
	reference, closing, err := c.Mirror.OpenSource(ctx)
	if err != nil {
		return nil, fmt.Errorf("reference: %w", err)
	}
	open = append(open, closing)
	its, closing, err := c.Replica.OpenSource(ctx)
	if err != nil {
		return nil, fmt.Errorf("replica: %w", err)
	}
	open = append(open, closing)
	o := &replica.Options{ContextID: c.Context, SkipTables: c.Compare.SkipTables}
	return &console.Replica{Reference: reference, Replica: its, Options: o, Close: open.Close}, nil
}

// closers close what was opened.
type closers []func() error

// Close closes all of it.
func (all closers) Close() (err error) {
	for _, c := range all {
		err = errors.Join(err, c())
	}
	return err
}

// harmless is an error whose text may be shown: a driver can quote what it was told.
func (p *program) harmless(err error) error {
	if err == nil {
		return nil
	}
	return hidden{err, p.secrets.Hide(err.Error())}
}

type hidden struct {
	error
	says string
}

func (h hidden) Error() string { return h.says }

func (h hidden) Unwrap() error { return h.error }

// serveFile serves the customers of the file of --config.
func (p *program) serveFile(ctx context.Context) error {
	if p.flags.config == "" {
		return usagef("which mirrors? Name the file that says where they are by --config, or try it out: console demo")
	}
	s, err := p.serving()
	if err != nil {
		return err
	}
	file, err := customers.Read(p.flags.config)
	if err != nil {
		return err
	}
	if line := file.PasswordForAll(); line > 0 {
		fmt.Fprintf(p.err, "Warning: %s:%d: everybody on this machine can read the password in it. Write ${NAME} and put it into the environment, or: chmod 600 %s\n", file.Name, line, file.Name)
	}
	all, known, err := p.fleetOf(file)
	if err != nil {
		return err
	}
	s.options.Replica = p.replicas(known)
	return p.serve(ctx, all, s)
}
