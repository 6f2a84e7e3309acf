package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/console"
	"github.com/so-mirror/mirror/examples/internal/demo"
	"github.com/so-mirror/mirror/fleet"
	"github.com/so-mirror/mirror/heal"
	"github.com/so-mirror/mirror/replica"
	"github.com/so-mirror/mirror/store/cycle"
)

func (p *program) demoCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "demo",
		Short: "Serve a damaged mirror that is made for it, to try the pages on",
		Long: `Demo makes a customer's database, its damaged mirror and the replica of a newer client in a
temporary directory, and serves them. Cycles of the Mirroring Task are simulated, so that a
reset is filled again. It needs no server, and leaves nothing behind.`,
		Example: "  console demo\n  console demo --listen 127.0.0.1:9000 --cycle 30s",
		Args:    usageOf(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return p.demo(cmd.Context()) },
	}
	c.Flags().DurationVar(&p.flags.cycle, "cycle", time.Minute, "time between two cycles")
	return c
}

// demo serves a world that is made for it.
func (p *program) demo(ctx context.Context) (err error) {
	if p.flags.cycle <= 0 {
		return usagef("--cycle %s: want more than 0, such as 1m", p.flags.cycle)
	}
	s, err := p.serving()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "mirror-console-demo-")
	if err != nil {
		return fmt.Errorf("make the demo's directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	w, err := demo.New(ctx, dir)
	if err != nil {
		return fmt.Errorf("make the demo's databases: %w", err)
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	its, err := w.AddReplica(ctx, dir)
	if err != nil {
		return fmt.Errorf("make the demo's replica: %w", err)
	}
	p.flags.state = cmp.Or(p.flags.state, filepath.Join(dir, "console.db"))
	all := &fleet.Fleet{Concurrency: p.flags.concurrency, Members: []fleet.Member{{ContextID: demo.Context, Open: func(context.Context) (*fleet.Connection, error) {
		m, err := mirror.New(demo.Context, w.Mirror, nil)
		return &fleet.Connection{Mirror: m, Source: w.Customer}, err
	}}}}
	s.options.Schedule = heal.Schedule{Every: p.flags.cycle, Late: p.flags.cycle, NightFrom: time.Hour, NightTo: time.Hour} // no night
	s.options.Replica = func(context.Context, string) (*console.Replica, error) {
		// Its cycles come faster than the vendor's, so less time proves as much.
		o := &replica.Options{ContextID: demo.Context, Interval: p.flags.cycle, MaxWait: 4 * p.flags.cycle}
		return &console.Replica{Reference: w.Mirror, Replica: its, Options: o}, nil
	}
	stop := p.cycles(ctx, w)
	defer stop()
	return p.serve(ctx, all, s)
}

// cycles plays cycles until what it returns is called, which waits for the last one.
func (p *program) cycles(ctx context.Context, w *demo.World) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var playing sync.WaitGroup
	playing.Go(func() {
		every := time.NewTicker(p.flags.cycle)
		defer every.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-every.C:
			}
			if _, err := (&cycle.Task{Customer: w.Customer, Mirror: w.Mirror}).Run(ctx); err != nil && ctx.Err() == nil {
				p.log.Warn("the demo's cycle failed", "error", err)
			}
		}
	})
	return func() {
		cancel()
		playing.Wait()
	}
}
