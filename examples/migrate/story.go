package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/replica"
	"github.com/so-mirror/mirror/store/cycle"
)

// token is what the simulated client wants to see.
const token = "the-token-of-the-client"

// The partner's own view of the old mirror, and the same on the names that the
// newer client gives.
const (
	oldView = `CREATE VIEW open_sales AS SELECT c.name, s.heading, s.amount FROM sale s JOIN contact c ON c.contact_id = s.contact_id WHERE s.status = 1`
	newView = `CREATE VIEW open_sales AS SELECT c.name, s.heading, s.amount FROM "crm7.SALE" s JOIN "crm7.CONTACT" c ON c.contact_id = s.contact_id WHERE s.status = 1`
)

// story is one play of the migration.
type story struct {
	*program
	*world
	dir    string
	before *replica.Report
	err    error // of writing
}

func (p *program) story(ctx context.Context, keep string) (err error) {
	dir := keep
	if keep != "" {
		if err = os.Mkdir(keep, 0o777); errors.Is(err, os.ErrExist) {
			err = fmt.Errorf("%s is there already: -keep makes a new directory", keep)
		}
	} else if dir, err = os.MkdirTemp("", "mirror-migrate-"); err == nil {
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	if err != nil {
		return err
	}
	w, err := newWorld(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	s := &story{program: p, world: w, dir: dir}
	return s.play(ctx, keep != "")
}

func (s *story) play(ctx context.Context, keep bool) error {
	if err := s.tell(ctx, s.sideBySide, s.goesWrong, s.noGo); err != nil {
		return err
	}
	if !keep {
		return s.tell(ctx, s.resync, s.goAhead, s.swapNames, s.rollBack)
	}
	s.say("\nThe files stay in %s. Against the customer's database two commit intervals are enough:\n", s.dir)
	customer := filepath.Join(s.dir, "customer.db")
	s.say("  go run ./examples/migrate -interval 1s -reference %s -replica %s", customer, s.new.path)
	s.say("\nOr, with mirrorctl:\n\n  mirrorctl validate --interval 1s --reference %s --replica %s", customer, s.new.path)
	return s.err
}

// tell plays chapters as long as somebody reads them.
func (s *story) tell(ctx context.Context, chapters ...func(context.Context) error) error {
	for _, chapter := range chapters {
		if err := chapter(ctx); err != nil {
			return err
		}
		if s.err != nil {
			return s.err
		}
	}
	return nil
}

func (s *story) sideBySide(ctx context.Context) error {
	s.heading("An old mirror and a new replica, side by side")
	if err := own(ctx, s.old, oldView, `CREATE INDEX ix_sale_status ON sale (status)`); err != nil {
		return err
	}
	s.say("%-22s the old mirror: a cycle of the Mirroring Task every 20 minutes", s.name(s.old))
	s.say("%-22s the replica: a commit of the newer client every minute", s.name(s.new))
	s.say("The customer works on all the time. The clock is simulated: hours take seconds.")
	return s.Sleep(ctx, time.Hour)
}

func (s *story) goesWrong(ctx context.Context) error {
	s.heading("Something goes wrong in the replica")
	const lost, emptied = 12, 20
	if err := s.restore(ctx, "appointment", lost); err != nil {
		return err
	}
	s.say("The customer's database is restored from a backup, which lacks the last %d appointments.", lost)
	s.say("The client takes a new snapshot, and deletes nothing.")
	if err := s.Sleep(ctx, cycleEvery); err != nil {
		return err
	}
	s.losing = true
	for i := range emptied {
		if err := s.change(ctx, "text", i, "seqno", 7); err != nil {
			return err
		}
	}
	if err := s.Sleep(ctx, cycleEvery); err != nil {
		return err
	}
	s.losing = false
	s.say("%d texts are moved. Where one has a long text, which did not change, the client writes NULL.", emptied)
	return nil
}

func (s *story) noGo(ctx context.Context) error {
	s.heading("The check: no-go")
	report, err := s.check(ctx, s.old.path, s.new.path)
	if err != nil {
		return err
	}
	s.before = report
	return s.expect(report, replica.NoGo)
}

func (s *story) resync(ctx context.Context) (err error) {
	s.heading("Create the view anew, and re-synchronize what the check names")
	url, stop, err := serve(s.client)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	if err := own(ctx, s.new, newView); err != nil {
		return err
	}
	s.say("CREATE VIEW open_sales, on the replica's names of the tables")
	with := *s.program
	with.env = func(string) string { return token }
	c := &command{
		program: &with, reference: s.old.path, replica: s.new.path, client: url, opts: &replica.Options{Clock: s.world, Interval: stepEvery},
	}
	return c.resync(ctx, s.before.Resync)
}

// serve has the simulated client listen on a port of this machine.
func serve(client *cycle.Replica) (url string, stop func() error, err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{Handler: client.Handler(token), ReadHeaderTimeout: time.Minute}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	return "http://" + listener.Addr().String(), func() error {
		err := server.Close()
		if end := <-served; !errors.Is(end, http.ErrServerClosed) {
			err = errors.Join(err, end)
		}
		return err
	}, nil
}

func (s *story) goAhead(ctx context.Context) error {
	s.heading("The check again: go")
	report, err := s.check(ctx, s.old.path, s.new.path)
	if err != nil {
		return err
	}
	s.before = report
	return s.expect(report, replica.Go)
}

func (s *story) swapNames(ctx context.Context) error {
	s.heading("Swap the names")
	_, err := s.check(ctx, s.new.path, s.old.path)
	if !errors.Is(err, mirror.ErrWrongDatabase) {
		return fmt.Errorf("the check after the swap did not refuse before it: %w", err)
	}
	s.say("Before the swap the check after it refuses:\n  %v\n", err)
	s.stopped = true
	if err := s.swap(ctx); err != nil {
		return err
	}
	s.stopped = false
	if err := s.Sleep(ctx, 5*time.Minute); err != nil {
		return err
	}
	s.say("With the task, the client and all readers stopped, the two files were renamed. On SQL Server\nthat is, as its documentation has it (nobody ran it here), in master and with nobody connected:\n")
	for _, move := range [][2]string{{"Mirror_Cust10195", "Mirror_Cust10195_old"}, {"Replica_Cust10195", "Mirror_Cust10195"}, {"Mirror_Cust10195_old", "Replica_Cust10195"}} {
		s.say("  ALTER DATABASE [%s] MODIFY NAME = [%s];", move[0], move[1])
	}
	s.heading("The check after the swap: which database is it, and is it still good?")
	report, err := s.check(ctx, s.old.path, s.new.path)
	if err != nil {
		return err
	}
	if err := s.expect(report, replica.Go); err != nil {
		return err
	}
	if err := report.CheckSwap(s.before); err != nil {
		return err
	}
	s.say("The names were swapped: %s is the replica now.", s.name(s.new))
	return nil
}

func (s *story) rollBack(ctx context.Context) error {
	s.heading("The way back")
	if err := s.Sleep(ctx, time.Hour); err != nil {
		return err
	}
	s.say("An hour later a reader turns out to fail on the new names of tables. Both sides were kept up,\nso the names are swapped back.\n")
	if err := s.swap(ctx); err != nil {
		return err
	}
	report, err := s.check(ctx, s.old.path, s.new.path)
	if err != nil {
		return err
	}
	if err := s.expect(report, replica.Go); err != nil {
		return err
	}
	s.say("\n%s is the old mirror again. The names stay until the reader is mended.", s.name(s.old))
	return nil
}

// check is what the command does with the same two databases.
func (s *story) check(ctx context.Context, reference, rep string) (*replica.Report, error) {
	return check(ctx, reference, rep, &replica.Options{Clock: s.world, MaxWait: 2 * time.Hour, MaxSamples: 2})
}

func (s *story) expect(report *replica.Report, want replica.Decision) error {
	s.say("%s", strings.TrimRight(report.String(), "\n"))
	if report.Decision != want {
		return fmt.Errorf("the check says %s, want %s", report.Decision, want)
	}
	return nil
}

func (s *story) name(f *file) string { return filepath.Base(f.path) }

func (s *story) heading(text string) { s.say("\n%s\n%s", text, strings.Repeat("=", len(text))) }

func (s *story) say(format string, args ...any) {
	if s.err == nil {
		_, s.err = fmt.Fprintf(s.out, format+"\n", args...)
	}
}
