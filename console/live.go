package console

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/heal"
	"github.com/so-mirror/mirror/replica"
)

// live is a job that is queued or running.
type live struct {
	id     int64
	member string
	kind   kind
	actor  string
	cancel context.CancelCauseFunc
	unkept bool          // its end could not be kept; for who ended it
	done   chan struct{} // closed when the job is over and its end is kept

	mu       sync.Mutex
	job      job
	progress progress
	version  int64
	changed  chan struct{} // closed when version grows
	rendered []byte        // the page's part that moves, of renderedOf
	of       int64
}

func newLive(j job, cancel context.CancelCauseFunc) *live {
	return &live{id: j.ID, member: j.Member, kind: j.Kind, actor: j.Actor, job: j, cancel: cancel, done: make(chan struct{}), changed: make(chan struct{}), version: 1}
}

// progress is where a job is.
type progress struct {
	Tables, TablesDone int
	Rows               int64 // read so far, all tables together
	Reading            []reading
	Finished           []string // the last tables that were finished, the newest first

	Wait  *heal.WaitReport  // of a job that waits
	Check *replica.Progress // of a validation
}

// reading is a table that is being read.
type reading struct {
	Table          string
	Rows, Expected int64
	Remaining      time.Duration
}

// Percent is how many of the tables are done, of a hundred.
func (p progress) Percent() int {
	if p.Tables == 0 {
		return 0
	}
	return min(100, p.TablesDone*100/p.Tables)
}

// finishedShown is how many of the finished tables a page names.
const finishedShown = 8

// compared takes an observation of a comparison.
func (l *live) compared(o mirror.Progress) {
	l.update(func(p *progress) {
		over := o.TablesDone > p.TablesDone
		p.Tables, p.TablesDone = o.Tables, o.TablesDone
		i := slices.IndexFunc(p.Reading, func(r reading) bool { return r.Table == o.Table })
		was := int64(0)
		if i >= 0 {
			was = p.Reading[i].Rows
		}
		p.Rows += o.Rows - was
		switch {
		case over:
			if i >= 0 {
				p.Reading = slices.Delete(slices.Clone(p.Reading), i, i+1)
			}
			p.Finished = append([]string{o.Table}, p.Finished[:min(len(p.Finished), finishedShown-1)]...)
		case i >= 0:
			p.Reading = slices.Clone(p.Reading)
			p.Reading[i] = reading{o.Table, o.Rows, o.Expected, o.Remaining}
		default:
			p.Reading = append(slices.Clone(p.Reading), reading{o.Table, o.Rows, o.Expected, o.Remaining})
			slices.SortFunc(p.Reading, func(x, y reading) int { return cmp.Compare(x.Table, y.Table) })
		}
	})
}

func (l *live) waited(r *heal.WaitReport) {
	l.update(func(p *progress) { p.Wait = r })
}

func (l *live) checked(o replica.Progress) {
	l.update(func(p *progress) { p.Tables, p.TablesDone, p.Check = o.Tables, o.TablesDone, &o })
}

func (l *live) update(do func(p *progress)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	do(&l.progress)
	l.bump()
}

// set changes the job, and tells who looks on.
func (l *live) set(do func(j *job)) job {
	l.mu.Lock()
	defer l.mu.Unlock()
	do(&l.job)
	l.bump()
	return l.job
}

func (l *live) bump() {
	l.version++
	close(l.changed)
	l.changed = make(chan struct{})
}

// now returns the job and where it is.
func (l *live) now() (job, progress) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.job, l.progress
}

// shown returns the part of the page that moves, and a channel that is closed when there
// is another one. All who look on share what is rendered.
func (l *live) shown(render func(*bytes.Buffer, job, progress) error) ([]byte, <-chan struct{}, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of != l.version {
		var b bytes.Buffer
		if err := render(&b, l.job, l.progress); err != nil {
			return nil, nil, err
		}
		l.rendered, l.of = b.Bytes(), l.version
	}
	return l.rendered, l.changed, nil
}
