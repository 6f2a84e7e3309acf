package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/so-mirror/mirror/store"
)

// peer is a program of the system that finds what differs in two files.
type peer struct {
	name    string // as a contestant
	program string
	debian  string // the package that has it
}

func peers() []peer {
	return []peer{{bySqldiff, "sqldiff", "sqlite3-tools"}, {byShell, "sqlite3", "sqlite3"}}
}

func (p peer) missing() string {
	return fmt.Sprintf("%s is not installed (Debian's package %s)", p.program, p.debian)
}

func missingPeers() []peer {
	var missing []peer
	for _, p := range peers() {
		if _, err := exec.LookPath(p.program); err != nil {
			missing = append(missing, p)
		}
	}
	return missing
}

// peerFacts are the versions of the peers, also of those that are not there.
func peerFacts(ctx context.Context) []fact {
	var facts []fact
	for _, p := range peers() {
		version := "missing: " + p.missing()
		if _, err := exec.LookPath(p.program); err == nil {
			version = "of an unknown version"
			if out, err := exec.CommandContext(ctx, "dpkg-query", "-W", "-f", "${Version}", p.debian).Output(); err == nil {
				version = p.debian + " " + string(bytes.TrimSpace(out))
			}
		}
		facts = append(facts, fact{p.program, version})
	}
	return facts
}

// run runs the program and returns the lines that it wrote. Starting it is part of
// its time.
func (r *result) run(ctx context.Context, program string, args ...string) ([]string, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	started := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	var watch sync.WaitGroup
	ended := make(chan struct{})
	watch.Go(func() { r.PeakMiB = watchPeak(cmd.Process.Pid, ended) })
	err := cmd.Wait()
	r.Seconds = time.Since(started).Seconds()
	close(ended)
	watch.Wait()
	if err != nil || stderr.Len() > 0 {
		return nil, errors.Join(err, fmt.Errorf("%s: %s", program, strings.TrimSpace(stderr.String())))
	}
	if stdout.Len() == 0 {
		return nil, nil
	}
	return strings.Split(strings.TrimSuffix(stdout.String(), "\n"), "\n"), nil
}

// watchPeak looks at the peak of another process until it ended. What the system
// reports at its end is no less than what its parent had when it was started.
func watchPeak(pid int, ended <-chan struct{}) (peak float64) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if now, err := peakMiB(strconv.Itoa(pid)); err == nil {
			peak = now
		}
		select {
		case <-ended:
			return peak
		case <-tick.C:
		}
	}
}

// runPeer has a peer compare two files.
func runPeer(ctx context.Context, t task, r *result) error {
	if t.Contestant == bySqldiff {
		lines, err := r.run(ctx, "sqldiff", "--primarykey", "--table", "contact", t.Mirror, t.Source)
		for _, line := range lines {
			if !strings.HasPrefix(line, "UPDATE ") {
				return fmt.Errorf("unexpected answer of sqldiff: %s", line)
			}
		}
		r.Changed = int64(len(lines))
		return err
	}
	statements := append([]string{"ATTACH " + literal(t.Mirror) + " AS mirror"}, exceptOfFiles(curveTable(t.Columns))...)
	lines, err := r.run(ctx, "sqlite3", t.Source, strings.Join(statements, "; "))
	r.Changed = int64(len(lines)) / 2
	return err
}

func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// exceptOfFiles are the queries for the keys of the rows that only one file has.
// A changed row is in both answers.
func exceptOfFiles(t store.Table) []string {
	columns := strings.Join(quotedColumns(t), ", ")
	return exceptBothWays(t, [2]string{columns, columns}, [2]string{"main." + t.Name, "mirror." + t.Name})
}

func exceptBothWays(t store.Table, columns, tables [2]string) []string {
	one := func(i, j int) string {
		return fmt.Sprintf("SELECT %s FROM (SELECT %s FROM %s EXCEPT SELECT %s FROM %s) AS d", t.Key[0], columns[i], tables[i], columns[j], tables[j])
	}
	return []string{one(0, 1), one(1, 0)}
}

// exceptByDriver runs the same queries on one connection of the store's driver.
func exceptByDriver(ctx context.Context, db *sqlx.DB, attach string, queries []string) (changed int64, err error) {
	conn, err := db.Connx(ctx)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if attach != "" {
		if _, err := conn.ExecContext(ctx, "ATTACH ? AS mirror", attach); err != nil {
			return 0, err
		}
	}
	found := 0
	for _, query := range queries {
		var keys []int64
		if err := conn.SelectContext(ctx, &keys, query); err != nil {
			return 0, err
		}
		found += len(keys)
	}
	return int64(found / 2), nil
}
