// Package console is the page for looking at mirrors that the vendor's documentation says
// there is not: an [http.Handler] over the mirrors of one or many customers. It compares
// them, shows what differs, resets what a plan resets, and keeps a journal of that.
//
//	c, err := console.Open("console.db", &fleet.Fleet{Members: members}, &console.Options{
//		BasePath: "/mirrors", Tokens: map[string]string{"ada": os.Getenv("CONSOLE_TOKEN")},
//	})
//	...
//	defer c.Close()
//	mux.Handle("/mirrors/", c)
//
// It takes whole paths: [http.StripPrefix] is not needed where [Options.BasePath] says the
// same as the pattern.
//
// Comparisons are jobs: they go on when the page is closed, and where they were when the
// process is started again. What is done to a mirror is in the journal before it is
// committed, with who asked for it; after a crash the database is asked what happened.
//
// The pages need no script and no other host; what moves moves by htmx, which is embedded.
// Without [Options.Tokens] and [Options.Proxy] only this machine's own requests are
// answered. Everything from a database is shown as text.
package console

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/fleet"
	"github.com/so-mirror/mirror/heal"
	"github.com/so-mirror/mirror/internal/diff"
	"github.com/so-mirror/mirror/replica"
	"github.com/so-mirror/mirror/store"
)

// Options configure a [Console]. The zero value of each field is its default.
type Options struct {
	// BasePath is where the console is mounted, such as "/mirrors". Default: "/".
	BasePath string

	// ReadOnly leaves out every route that changes a mirror. Comparisons and checks,
	// which only read, can still be asked for.
	ReadOnly bool

	// Tokens are those who may log in, by name, each with a token of at least 16
	// characters. Default: nobody.
	Tokens map[string]string

	// Proxy is who logs people in, instead of Tokens or besides. Default: nobody.
	Proxy *Proxy

	// Secure makes cookies Secure where TLS ends before the console. Default: they are
	// when the console's own request came by TLS.
	Secure bool

	// Logger receives a record for each job, login and change. Default: no logging.
	Logger *slog.Logger

	// Keep is how long jobs with their reports are kept, and KeepReports how many
	// comparisons of a mirror. The last one of each, and changes that can be undone or
	// are not known to be done, stay. Default: 90 days and 100.
	Keep        time.Duration
	KeepReports int

	// Look is the time between two looks at the status of each mirror, which counts the
	// rows of its tables. A negative one looks only when asked to, and when a job begins or
	// ends to wait for a cycle. Default: 5 minutes.
	Look time.Duration

	// Schedule says when cycles of the Mirroring Task begin. Default: what SuperOffice
	// documents.
	Schedule heal.Schedule

	// Replica opens what the validation of a customer's replica reads; nil for a customer
	// without one. Default: there is no validation.
	Replica func(ctx context.Context, contextID string) (*Replica, error)

	// Clock tells the time, and waits. Default: the system's.
	Clock mirror.Clock

	poll  time.Duration // of heal.WaitOptions
	grace time.Duration // of Close, for changes that are being made
}

// Replica is what a validation reads: see [replica.Check].
type Replica struct {
	Reference, Replica store.Source
	Options            *replica.Options // Default: those of replica.Check
	Close              func() error     // Default: nothing to do
}

const (
	defaultKeep        = 90 * 24 * time.Hour
	defaultKeepReports = 100
	defaultLook        = 5 * time.Minute
)

// Console serves the pages, and runs the jobs. It is safe for concurrent use.
type Console struct {
	opts    Options
	base    string // without the slash at its end
	log     *slog.Logger
	state   *state
	jobs    *jobs
	logins  *logins
	pages   *pages
	handler http.Handler
	shelf   shelf

	members map[string]*member // by their folded context identifiers
	order   []*member          // as the fleet has them

	streams  atomic.Int64 // of events
	counting sync.Mutex   // of changes

	stop   context.CancelFunc // of what goes on in the background
	behind chan struct{}      // closed when that has ended
	ending chan struct{}      // closed when Close begins, so that streams end
	close  func() error       // closeAll, once
}

// Open opens or creates the console's state, a SQLite file that nobody else may read, and
// goes on with the jobs of an earlier process. One process has a file at a time.
//
// The console serves the Members of f, and compares as many at once as its Concurrency
// says. A member's databases are opened when they are needed. What is done to its mirror
// goes to the console's own journal, and not to that of the mirror's options.
func Open(path string, f *fleet.Fleet, opts *Options) (*Console, error) {
	c := &Console{base: "", log: slog.New(slog.DiscardHandler), members: map[string]*member{}, ending: make(chan struct{}), behind: make(chan struct{})}
	if opts != nil {
		c.opts = *opts
	}
	if err := c.check(f); err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	c.stop, c.close = stop, sync.OnceValue(c.closeAll)
	var err error
	if c.state, err = openState(ctx, path); err != nil {
		stop()
		return nil, fmt.Errorf("console: state %s: %w", path, err)
	}
	c.logins.keep(c.state, c.base)
	c.jobs = newJobs(c, f.Concurrency)
	c.handler = c.routes(c.routeTable())
	err = c.load(ctx)
	if err == nil {
		err = c.jobs.restart(ctx)
	}
	if err != nil {
		stop()
		c.jobs.close()
		return nil, errors.Join(fmt.Errorf("console: state %s: %w", path, err), c.state.close())
	}
	go c.background(ctx)
	return c, nil
}

// check refuses options and members that cannot be meant.
func (c *Console) check(f *fleet.Fleet) error {
	if f == nil || len(f.Members) == 0 {
		return errors.New("there are no members: name at least one mirror")
	}
	for _, m := range f.Members {
		if _, err := mirror.New(m.ContextID, nil, nil); errors.Is(err, mirror.ErrInvalidContextID) {
			return err
		}
		if m.Open == nil {
			return fmt.Errorf("member %s has no Open", m.ContextID)
		}
		key := fold(m.ContextID)
		if c.members[key] != nil {
			return fmt.Errorf("%s is a member twice", m.ContextID)
		}
		c.members[key] = newMember(m, f.Timeout)
		c.order = append(c.order, c.members[key])
	}
	if c.opts.Logger != nil {
		c.log = c.opts.Logger
	}
	if c.base = strings.TrimSuffix(path.Clean("/"+c.opts.BasePath), "/"); strings.ContainsAny(c.base, "{}%?#") {
		return fmt.Errorf("%q is no base path: write one such as /mirrors", c.opts.BasePath)
	}
	if c.opts.Keep <= 0 {
		c.opts.Keep = defaultKeep
	}
	if c.opts.KeepReports <= 0 {
		c.opts.KeepReports = defaultKeepReports
	}
	if c.opts.Clock == nil {
		c.opts.Clock = diff.SystemClock{}
	}
	c.opts.grace = cmp.Or(c.opts.grace, closeTimeout)
	if c.opts.Look == 0 {
		c.opts.Look = defaultLook
	}
	var err error
	if c.logins, err = newLogins(&c.opts, c.log); err != nil {
		return err
	}
	c.pages, err = newPages()
	return err
}

// ServeHTTP implements [http.Handler].
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) { c.handler.ServeHTTP(w, r) }

// Close stops the jobs, keeps what they have come to, and waits for them. A change that is
// being made is waited for, half a minute at most. It is an error when a driver does not
// stop; then the state stays open until the process ends.
// Further calls return what the first one did.
func (c *Console) Close() error { return c.close() }

func (c *Console) closeAll() error {
	c.stop()
	close(c.ending)
	ended := c.jobs.close()
	select {
	case <-c.behind:
	case <-time.After(c.opts.grace):
		ended = false
	}
	if !ended {
		return errors.New("console: close: a database does not answer, and what asks it does not stop: the next process finds out what became of it")
	}
	return c.state.close()
}

// Record keeps a comparison that was made elsewhere, such as by a service's scheduler, as
// if the console had made it: pages say that the service did. A mirror that is not one of
// the console's is an error.
func (c *Console) Record(ctx context.Context, r *mirror.Report) error {
	if r == nil { // as a comparison returns it that could not begin
		return errors.New("record comparison: there is no report")
	}
	m := c.members[fold(r.ContextID)]
	if m == nil {
		return fmt.Errorf("record comparison: the console has no mirror %q", r.ContextID)
	}
	j := job{
		Member: m.key, Kind: kindComparison, Status: statusDone, Actor: "the service", Asked: r.Started, Started: r.Started, Ended: r.Finished,
		Request: request{Recorded: true, Depth: r.Depth, Tables: r.Scope.OnlyTables}, Summary: summaryOf(r),
	}
	if err := c.state.add(ctx, &j); err != nil {
		return fmt.Errorf("record comparison: %w", err)
	}
	j.Summary.Resumable = false // who made it has the checkpoint
	if err := c.state.finish(ctx, &j, r, nil, tablesOf(r)); err != nil {
		return fmt.Errorf("record comparison: %w", err)
	}
	m.ended(j)
	return nil
}

// now is the time of the clock.
func (c *Console) now() time.Time {
	return c.opts.Clock.Now().UTC()
}
