package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/heal"
	"github.com/so-mirror/mirror/replica"
)

const (
	barDelay  = 300 * time.Millisecond // what is over sooner needs no bar
	barWidth  = 30
	nameWidth = 24
	lineEvery = 10 * time.Second // where there is no terminal
)

// gauge is how far a piece of work has come.
type gauge struct {
	key         string // which it is
	name        string
	done, total int64
	unit        string        // of done and total
	rows        int64         // read so far, for the rate
	left        time.Duration // 0 when nobody knows
	remark      string        // in the place of how much is left
	order       int           // bars from top to bottom, a line's parts from its end
}

// progress shows on the standard error how far a command has come: by bars on a
// terminal, elsewhere by a line every ten seconds. It is safe for concurrent use.
type progress struct {
	err   io.Writer
	bars  bool // it is a terminal
	quiet bool
	now   func() time.Time
	clean func(string) string

	mu      sync.Mutex
	began   time.Time
	lined   time.Time // when the last line was written
	running map[string]*running
	shown   *mpb.Progress
}

// running is a gauge and what shows it.
type running struct {
	mu    sync.Mutex // the bar reads it at any time
	gauge gauge
	began time.Time
	base  int64 // rows when it began
	now   func() time.Time
	bar   *mpb.Bar
}

// progress returns what shows how far the command has come.
func (a *app) progress() *progress {
	a.progressOnce.Do(func() {
		a.shownProgress = &progress{
			err: a.err, bars: a.errTerm && a.env("TERM") != "dumb", quiet: a.flags.quiet,
			now: a.now, clean: a.printable, running: map[string]*running{},
		}
	})
	return a.shownProgress
}

// set shows gauges, which are new or take the place of earlier ones.
func (p *progress) set(gauges ...gauge) {
	if p.quiet {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	if p.began.IsZero() {
		p.began, p.lined = now, now
	}
	for _, g := range gauges {
		r := p.running[g.key]
		if r == nil {
			r = &running{began: now, base: g.rows, now: p.now}
			p.running[g.key] = r
		}
		r.mu.Lock()
		r.gauge = g
		r.mu.Unlock()
	}
	switch {
	case !p.bars:
		p.line(now)
	case now.Sub(p.began) >= barDelay:
		p.draw()
	}
}

// drop takes a gauge away.
func (p *progress) drop(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r := p.running[key]; r != nil && r.bar != nil {
		r.bar.Abort(true)
	}
	delete(p.running, key)
}

// end takes all away, so that nothing of it is left on the terminal when a result comes.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
	p.running, p.began = map[string]*running{}, time.Time{}
}

// above runs write while no bars are there; they come again below what it wrote.
func (p *progress) above(write func() (int, error)) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
	return write()
}

// Write writes to the standard error, above the bars if there are any.
func (p *progress) Write(b []byte) (int, error) {
	return p.above(func() (int, error) { return p.err.Write(b) })
}

// erase takes the bars from the terminal, until the next draw.
func (p *progress) erase() {
	if p.shown == nil {
		return
	}
	for _, r := range p.running {
		if r.bar != nil {
			r.bar.Abort(true)
			r.bar = nil
		}
	}
	p.shown.Wait()
	p.shown = nil
}

// draw makes bars of the gauges that have none, and tells all where they are.
func (p *progress) draw() {
	if p.shown == nil {
		p.shown = mpb.New(mpb.WithOutput(p.err))
	}
	for _, r := range p.running {
		g := r.get()
		if r.bar == nil {
			r.bar = p.shown.New(0, // it then does not end by itself when it is full
				mpb.BarStyle().Lbound("").Filler("█").Tip("").Padding("░").Rbound(""),
				mpb.BarPriority(g.order), mpb.BarWidth(barWidth),
				mpb.PrependDecorators(decor.Name(text.Snip(p.clean(noBreaks(g.name)), nameWidth, "…"), decor.WCSyncSpaceR)),
				mpb.AppendDecorators(
					r.column(func(g gauge) string { return g.count() }),
					r.column(func(gauge) string { return r.rate() }),
					r.column(func(g gauge) string { return p.clean(g.rest()) }),
				),
			)
		}
		r.bar.SetTotal(max(g.total, g.done), false)
		r.bar.SetCurrent(g.done)
	}
}

func (r *running) get() gauge {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.gauge
}

func (r *running) column(of func(gauge) string) decor.Decorator {
	return decor.Any(func(decor.Statistics) string { return " " + noBreaks(of(r.get())) }, decor.WCSyncSpace)
}

func (g gauge) count() string {
	if g.total == 0 {
		return fmt.Sprintf("%s %s", number(g.done), g.unit)
	}
	return fmt.Sprintf("%s of %s %s", number(g.done), number(g.total), g.unit)
}

func (g gauge) rest() string {
	if g.remark != "" || g.left < time.Second {
		return g.remark
	}
	return g.left.Round(time.Second).String() + " left"
}

// rate is how fast rows come, once that can be said.
func (r *running) rate() string {
	g := r.get()
	elapsed := r.now().Sub(r.began)
	if g.rows <= r.base || elapsed < barDelay {
		return ""
	}
	return number(int64(float64(g.rows-r.base)/elapsed.Seconds())) + " rows/s"
}

// line writes where all gauges are, if it is time for that.
func (p *progress) line(now time.Time) {
	if now.Sub(p.lined) < lineEvery {
		return
	}
	p.lined = now
	var parts []string
	all := slices.SortedFunc(maps.Values(p.running), func(a, b *running) int {
		return cmp.Or(cmp.Compare(b.gauge.order, a.gauge.order), cmp.Compare(a.gauge.name, b.gauge.name))
	})
	for _, r := range all {
		g := r.get()
		said := []string{g.count()}
		for _, s := range []string{r.rate(), g.rest()} {
			if s != "" {
				said = append(said, s)
			}
		}
		parts = append(parts, g.name+" "+strings.Join(said, ", "))
	}
	fmt.Fprintln(p.err, p.clean(noBreaks(strings.Join(parts, "; "))))
}

// comparing returns what Options.Progress calls while the mirror of one command is
// compared: a gauge for the tables, and one for each table that is read.
func (a *app) comparing() func(mirror.Progress) {
	var done int
	var rows tally
	p := a.progress()
	return func(o mirror.Progress) {
		if o.TablesDone < done { // another comparison begins
			done, rows = 0, tally{}
			p.end() // cycles may have been waited for since
		}
		rows.add(o)
		var gauges []gauge
		if o.Tables > 1 {
			gauges = append(gauges, gauge{name: "All", done: int64(o.TablesDone), total: int64(o.Tables), unit: "tables", rows: rows.sum, order: 1})
		}
		key := "table " + o.Table
		if o.TablesDone > done {
			done = o.TablesDone
			p.drop(key)
		} else {
			gauges = append(gauges, gauge{key: key, name: o.Table, done: o.Rows, total: o.Expected, unit: "rows", rows: o.Rows, left: o.Remaining})
		}
		p.set(gauges...)
	}
}

// tally adds up the rows of several tables of which each says its own.
type tally struct {
	of  map[string]int64
	sum int64
}

func (t *tally) add(o mirror.Progress) {
	if t.of == nil {
		t.of = map[string]int64{}
	}
	t.sum += o.Rows - t.of[o.Table]
	t.of[o.Table] = o.Rows
}

// comparingMember is comparing for one of a fleet's members, which has one gauge.
func (a *app) comparingMember(contextID string) func(mirror.Progress) {
	var rows tally
	p := a.progress()
	return func(o mirror.Progress) {
		rows.add(o)
		p.set(gauge{key: "member " + contextID, name: contextID, done: int64(o.TablesDone), total: int64(o.Tables), unit: "tables", rows: rows.sum, remark: o.Table})
	}
}

// looked counts the members of a fleet that are done with. Who is left takes about as
// long as they did.
func (a *app) looked(contextID string, done, members int, began time.Time) {
	p := a.progress()
	p.drop("member " + contextID)
	g := gauge{name: "All", done: int64(done), total: int64(members), unit: "customers", order: 1}
	if done > 0 {
		g.left = time.Duration(float64(a.now().Sub(began)) / float64(done) * float64(members-done))
	}
	p.set(g)
}

// waited shows where tables are that are waited for; it is a heal.WaitOptions.Progress.
func (a *app) waited(r *heal.WaitReport) {
	p := a.progress()
	all := gauge{name: "All", total: int64(len(r.Tables)), unit: "tables populated", order: 1}
	var gauges []gauge
	for _, t := range r.Tables {
		key := "table " + t.Table
		switch t.State {
		case heal.WaitFilling:
			gauges = append(gauges, gauge{key: key, name: t.Table, done: t.Rows, total: t.Expected, unit: "rows", left: t.Remaining})
			continue
		case heal.WaitPopulated, heal.WaitNotRequested:
			all.done++
		}
		p.drop(key)
	}
	if all.done < all.total {
		all.remark = "next cycle about " + r.Next.Local().Format("15:04")
	}
	p.set(append(gauges, all)...)
}

// checked shows where the check of a replica is; it is a replica.Options.Progress.
func (a *app) checked(o replica.Progress) {
	g := gauge{name: "All", done: int64(o.TablesDone), total: int64(o.Tables), unit: "tables"}
	if o.Open > 0 {
		g.remark = fmt.Sprintf("%s rows that differ are read again at %s", number(int64(o.Open)), o.Next.Local().Format("15:04:05"))
	}
	a.progress().set(g)
}
