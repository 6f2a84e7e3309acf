package customers

import (
	"context"
	"errors"
	"fmt"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/fleet"
)

// OpenFleet returns the customers of the file as a fleet. Each has all that its databases
// need to be opened, and none is opened. What they cannot be opened for shows no secret.
func (f *File) OpenFleet(env Environment) (*fleet.Fleet, error) {
	all := &fleet.Fleet{Concurrency: f.Concurrency, Timeout: f.Timeout}
	for _, e := range f.Entries() {
		c := &Customer{}
		if err := e.Fill(c, env); err != nil {
			return nil, err
		}
		switch {
		case c.Context == "":
			return nil, e.Errorf("whose mirror is this? Add a line such as \"context: Cust10195\"")
		case c.Mirror.Where == "":
			return nil, e.Errorf("%s has no mirror", c.Context)
		case c.Source.Where == "":
			return nil, e.Errorf("%s has no source to compare with", c.Context)
		}
		env.Secrets.AddOf(c.Source.Where)
		env.Secrets.AddOf(c.Mirror.Where)
		all.Members = append(all.Members, fleet.Member{ContextID: c.Context, Open: func(ctx context.Context) (*fleet.Connection, error) {
			connection, err := c.open(ctx)
			return connection, env.Secrets.HideIn(err)
		}})
	}
	return all, nil
}

func (c *Customer) open(ctx context.Context) (*fleet.Connection, error) {
	to, closeMirror, err := c.Mirror.OpenStore(ctx)
	if err != nil {
		return nil, fmt.Errorf("mirror: %w", err)
	}
	from, closeSource, err := c.Source.OpenSource(ctx)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("source: %w", err), closeMirror())
	}
	closing := func() error { return errors.Join(closeSource(), closeMirror()) }
	m, err := mirror.New(c.Context, to, &c.Names)
	if err != nil {
		return nil, errors.Join(err, closing())
	}
	return &fleet.Connection{Mirror: m, Source: from, Compare: &c.Compare, Close: closing}, nil
}
