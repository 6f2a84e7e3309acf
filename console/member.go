package console

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/fleet"
)

// member is one mirror, with what the list of all mirrors shows of it.
type member struct {
	fleet.Member
	key     string
	timeout time.Duration // of a look

	mu      sync.Mutex
	look    look
	last    map[kind]job // the last one of each kind that ended, and that found something out
	jobs    map[int64]*live
	unknown int // changes without a known end
	changed job // the last change that was done and not taken back, the zero one for none

	trial sync.Mutex // of what a change would do
}

// defaultTimeout bounds a look, so that mirrors that never answer do not keep the others
// from being looked at.
const defaultTimeout = 5 * time.Minute

func newMember(m fleet.Member, timeout time.Duration) *member {
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	return &member{Member: m, key: fold(m.ContextID), timeout: timeout, last: map[kind]job{}, jobs: map[int64]*live{}}
}

// open opens the member's databases.
func (m *member) open(ctx context.Context) (*fleet.Connection, error) {
	conn, err := m.dial(ctx)
	if err != nil {
		return nil, err
	}
	if conn.Close == nil {
		own := *conn
		own.Close = func() error { return nil }
		conn = &own
	}
	if conn.Mirror == nil || fold(conn.Mirror.ContextID()) != m.key {
		return nil, errors.Join(fmt.Errorf("member %s opened no mirror, or another customer's", m.ContextID), conn.Close())
	}
	return conn, nil
}

// dial calls Open, and no longer waits for it when ctx is done: a driver may wait for the
// answer of a silent server all the same.
func (m *member) dial(ctx context.Context) (*fleet.Connection, error) {
	type opened struct {
		conn     *fleet.Connection
		err      error
		panicked any
	}
	answer := make(chan opened, 1)
	go func() {
		var o opened
		defer func() {
			o.panicked = recover()
			answer <- o
		}()
		o.conn, o.err = m.Open(ctx)
	}()
	select {
	case o := <-answer:
		if o.panicked != nil {
			panic(o.panicked) // it is the job's
		}
		return o.conn, o.err
	case <-ctx.Done():
		go func() {
			if o := <-answer; o.err == nil && o.conn != nil && o.conn.Close != nil {
				_ = o.conn.Close()
			}
		}()
		return nil, context.Cause(ctx)
	}
}

func (m *member) running(l *live) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.jobs[l.id] = l
}

func (m *member) over(l *live) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.jobs[l.id] == l { // somebody may have gone on with it already
		delete(m.jobs, l.id)
	}
}

// ended takes the end of a job.
func (m *member) ended(j job) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if j.Status.over() && j.counts() && j.ID >= m.last[j.Kind].ID {
		m.last[j.Kind] = j
	}
}

// setChanges takes how many changes have no known end, and the last one that stands.
func (m *member) setChanges(unknown int, last job) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.unknown, m.changed = unknown, last
}

// live returns the jobs that are queued or running, the oldest first.
func (m *member) live() []*live {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make([]*live, 0, len(m.jobs))
	for _, id := range slices.Sorted(maps.Keys(m.jobs)) {
		all = append(all, m.jobs[id])
	}
	return all
}

// busy returns the job of a kind that is queued or running, nil for none.
func (m *member) busy(kinds ...kind) *live {
	for _, l := range m.live() {
		if slices.Contains(kinds, l.kind) {
			return l
		}
	}
	return nil
}

// lastOf returns the last job of the kinds that found something out.
func (m *member) lastOf(kinds ...kind) (last job, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, k := range kinds {
		if j, found := m.last[k]; found && j.ID > last.ID {
			last, ok = j, true
		}
	}
	return last, ok
}

// look is what a mirror's database said of itself.
type look struct {
	Time     time.Time
	Err      string
	State    mirror.MirrorState
	Tables   map[mirror.TableState]int
	Rows     int64
	Mistakes []string
}

func lookOf(s *mirror.Status, err error, at time.Time) look {
	l := look{Time: at, Tables: map[mirror.TableState]int{}}
	if err != nil {
		l.Err = err.Error()
	}
	if s == nil {
		return l
	}
	l.State, l.Mistakes = s.State, s.Mistakes
	for _, t := range s.Tables {
		l.Tables[t.State]++
		l.Rows += t.Rows
	}
	return l
}

// seen returns the last look.
func (m *member) seen() look {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.look
}

// setLook takes a look.
func (m *member) setLook(l look) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.look = l
}

// openChanges is how many changes have no known end.
func (m *member) openChanges() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.unknown
}

// lookAt reads the status of a mirror and keeps it.
func (c *Console) lookAt(ctx context.Context, m *member) error {
	status, err := c.statusOf(ctx, m)
	if ctx.Err() != nil && status == nil { // it was not the mirror's fault
		return ctx.Err()
	}
	l := lookOf(status, err, c.now())
	m.setLook(l)
	if kept := c.state.keepLook(context.WithoutCancel(ctx), m.key, l, status); kept != nil {
		c.log.Warn("status not kept", "mirror", m.ContextID, "error", kept)
	}
	return err
}

func (c *Console) statusOf(ctx context.Context, m *member) (status *mirror.Status, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, m.timeout, fmt.Errorf("no answer in %s", m.timeout))
	defer cancel()
	conn, err := m.open(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	status, err = conn.Mirror.Status(ctx)
	if err == nil {
		err = status.Err()
	}
	return status, err
}
