package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/so-mirror/mirror/console"
	"github.com/so-mirror/mirror/examples/internal/customers"
	"github.com/so-mirror/mirror/replica"
	"github.com/so-mirror/mirror/store"
)

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
	env := customers.Environment{Get: p.env, Secrets: &p.secrets}
	all, err := file.OpenFleet(env)
	if err != nil {
		return err
	}
	all.Concurrency = cmp.Or(p.flags.concurrency, all.Concurrency)
	if s.options.Replica, err = replicas(file, env); err != nil {
		return err
	}
	return p.serve(ctx, all, s)
}

// replicas opens what is read to validate the replica of a customer, nil if none has one.
func replicas(file *customers.File, env customers.Environment) (func(context.Context, string) (*console.Replica, error), error) {
	with := map[string]customers.Customer{}
	for _, e := range file.Entries() {
		var c customers.Customer
		if err := errors.Join(e.Fill(&c, env), e.FillReplica(&c, env)); err != nil {
			return nil, err
		}
		if c.Replica.Where != "" {
			env.Secrets.AddOf(c.Replica.Where)
			with[store.FoldName(c.Context)] = c
		}
	}
	if len(with) == 0 {
		return nil, nil
	}
	return func(ctx context.Context, contextID string) (*console.Replica, error) {
		c, ok := with[store.FoldName(contextID)]
		if !ok {
			return nil, nil
		}
		r, err := openReplica(ctx, c)
		return r, env.Secrets.HideIn(err)
	}, nil
}

// openReplica opens a replica and the mirror that it is compared with, both to read alone.
func openReplica(ctx context.Context, c customers.Customer) (*console.Replica, error) {
	reference, closeReference, err := c.Mirror.OpenSource(ctx)
	if err != nil {
		return nil, fmt.Errorf("reference: %w", err)
	}
	its, closeReplica, err := c.Replica.OpenSource(ctx)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("replica: %w", err), closeReference())
	}
	return &console.Replica{
		Reference: reference, Replica: its,
		Options: &replica.Options{ContextID: c.Context, SkipTables: c.Compare.SkipTables},
		Close:   func() error { return errors.Join(closeReplica(), closeReference()) },
	}, nil
}
