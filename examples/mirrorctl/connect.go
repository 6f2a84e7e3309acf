package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/examples/internal/customers"
	"github.com/so-mirror/mirror/examples/internal/spelling"
	"github.com/so-mirror/mirror/store"
)

// place is where one customer's databases are, and what a file says besides.
type place struct {
	customers.Customer
	entry  customers.Entry // of the file, if that has one
	member bool            // of a fleet that is looked at
}

// place returns what the flags, the environment, and the file say, in this order.
func (a *app) place() (place, error) {
	var p place
	p.Context = cmp.Or(a.flags.context, a.env(envContext))
	p.Source.Where = cmp.Or(a.flags.source, a.env(envSource))
	p.Mirror.Where = cmp.Or(a.flags.mirror, a.env(envMirror))
	if a.config == nil || a.flags.config == "" && a.config.Fleet && p.Context == "" && p.Mirror.Where != "" {
		return p, nil
	}
	e, err := a.config.Pick(p.Context)
	if err != nil {
		return p, err
	}
	p.entry = e
	err = e.Fill(&p.Customer, a.environment())
	return p, err
}

// need is what a command works on.
type need struct {
	source    bool // the customer's database
	change    bool // the mirror is written to
	reconcile bool // whether changes were interrupted is what is asked
}

// target is one customer's databases, open.
type target struct {
	context string
	m       *mirror.Mirror
	store   store.Store
	source  store.Source
	place   place // its compare is for a command to add to

	closers
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

// with opens what a command needs, runs it, and closes that again.
func (a *app) with(ctx context.Context, n need, run func(t *target) error) (err error) {
	p, err := a.place()
	if err != nil {
		return err
	}
	t, err := a.open(ctx, p, n)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.Close()) }()
	defer a.progress().end()
	return run(t)
}

// open opens the databases of one customer.
func (a *app) open(ctx context.Context, p place, n need) (*target, error) {
	switch {
	case p.Mirror.Where == "":
		return nil, usagef("which mirror? Name its database by --mirror or %s", envMirror)
	case n.source && p.Source.Where == "":
		return nil, usagef("compare with what? Name the customer's database by --source or %s", envSource)
	case n.change && p.Context == "":
		return nil, usagef("a command that changes a mirror wants to be told whose it is: --context or %s", envContext)
	}
	t := &target{context: p.Context, place: p}
	if err := a.fill(ctx, t, p, n); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

// fill opens what is needed of a target; it is the caller's to close, whatever fails.
func (a *app) fill(ctx context.Context, t *target, p place, n need) (err error) {
	if t.store, err = a.openMirror(ctx, t, p.Mirror); err != nil {
		return fmt.Errorf("mirror: %w", err)
	}
	if n.source {
		if t.source, err = a.openSource(ctx, t, p.Source); err != nil {
			return fmt.Errorf("source: %w", err)
		}
	}
	if t.context == "" {
		if t.context, err = contextOf(ctx, t.store); err != nil {
			return err
		}
	}
	opts := &p.Names
	opts.Clock = a.clock
	if n.source && !a.flags.quiet { // it costs a count of each table's rows
		opts.Progress = a.comparing()
		if p.member {
			opts.Progress = a.comparingMember(p.Context)
		}
	}
	if err := a.record(t, n, opts); err != nil {
		return err
	}
	t.m, err = mirror.New(t.context, t.store, opts)
	return err
}

func (a *app) openMirror(ctx context.Context, t *target, d customers.Database) (store.Store, error) {
	a.secrets.AddOf(d.Where)
	s, closing, err := d.OpenStore(ctx)
	if err != nil {
		return nil, err
	}
	t.closers = append(t.closers, closing)
	return s, nil
}

func (a *app) openSource(ctx context.Context, t *target, d customers.Database) (store.Source, error) {
	if a.live != nil {
		return a.live, nil
	}
	a.secrets.AddOf(d.Where)
	s, closing, err := d.OpenSource(ctx)
	if err != nil {
		return nil, err
	}
	t.closers = append(t.closers, closing)
	return s, nil
}

// opened opens a database that the target closes.
func opened[D interface{ Close() error }](t *target, open func() (D, error)) (D, error) {
	d, err := open()
	if err == nil {
		t.closers = append(t.closers, d.Close)
	}
	return d, err
}

// metadataSuffix ends the name of a mirror's metadata table.
const metadataSuffix = "_mirroring"

// contextOf returns whose mirror a database holds, if that is one customer's.
func contextOf(ctx context.Context, s store.Store) (string, error) {
	tables, err := s.Tables(ctx)
	if err != nil {
		return "", err
	}
	var found []string
	for _, t := range tables {
		if id, ok := ownerOf(t.Name); ok {
			found = append(found, id)
		}
	}
	switch len(found) {
	case 0:
		return "", usagef("whose mirror is this? It has no table such as Cust10195%s yet: name the customer by --context", metadataSuffix)
	case 1:
		return found[0], nil
	default:
		return "", usagef("whose mirror is meant? This database has those of %s: name one by --context", strings.Join(found, ", "))
	}
}

// warnOfPasswords says of a flag that holds a password which way is better.
func (a *app) warnOfPasswords(cmd *cobra.Command) {
	better := map[string]string{
		"source": envSource + ", or in a file with --config", "mirror": envMirror + ", or in a file with --config",
		"reference": envReference, "replica": envReplica + ", or in a file with --config",
	}
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if where := f.Value.String(); better[f.Name] != "" && len(customers.SecretsOf(where)) > 0 {
			a.secrets.AddOf(where)
			fmt.Fprintf(a.err, "Warning: the password in --%s can be read by everybody on this machine. Put the URL in %s.\n", f.Name, better[f.Name])
		}
	})
}

// printable is a text as a terminal may get it: without passwords, and with everything
// that steers a terminal spelled out.
func (a *app) printable(s string) string { return spelling.Printable(a.secrets.Hide(s)) }
