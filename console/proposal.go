package console

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/console/internal/ui"
	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/store"
)

// What a form asks to reset.
const (
	modePlan   = "plan"   // what a plan says
	modeTables = "tables" // tables that are named
	modeAll    = "all"    // all that have a metadata row
	modeMirror = "mirror" // the metadata table
)

// proposal is what a form asks for, which is not done before it is confirmed.
type proposal struct {
	mode    string
	request request
	tables  []proposed
	losses  []string           // what cannot be undone
	typed   bool               // it is confirmed by the context identifier
	limit   *mirror.LimitError // the source may be the wrong database
}

// proposed is what is to be done to a table, or the sum of that.
type proposed struct {
	name        string
	step        mirror.Step
	drop        bool
	lsn         *store.LSN
	rows, bytes int64
	batches     int64
	unknown     bool // of how many bytes
	meantime    string
}

func (p *proposed) add(t mirror.PlanTable) {
	p.rows, p.bytes, p.batches = p.rows+t.Rows, p.bytes+t.Bytes, p.batches+t.Batches
	p.unknown = p.unknown || t.Rows > 0 && t.Bytes == 0
}

func (p *proposed) tiles(tables int) []ui.Tile {
	size, sent := megabytes(p.rows, p.bytes), count(p.batches)
	if p.unknown {
		size, sent = "?", "?"
	}
	return []ui.Tile{
		{Class: "pending", N: count(tables), Label: noun(tables, "table to reset", "tables to reset")},
		{N: count(p.rows), Label: "rows to send"},
		{N: size, Label: "MB to send"},
		{N: sent, Label: noun(p.batches, "batch", "batches") + " of at most 1 MB"},
	}
}

func noun[N int | int64](n N, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// formOnce is how the page writes the name of a form.
var formOnce = regexp.MustCompile(`^[A-Z2-7]{16,64}$`)

// choiceError is what is wrong with what was chosen.
type choiceError string

func (e choiceError) Error() string { return string(e) }

// propose makes of a form what it asks for.
func (c *Console) propose(ctx context.Context, m *member, form url.Values) (*proposal, error) {
	p := &proposal{mode: form.Get("mode")}
	p.request.Once = form.Get("once")
	if !formOnce.MatchString(p.request.Once) {
		return nil, choiceError("The form was incomplete. Choose again.")
	}
	status, err := c.state.status(ctx, m.key)
	if err != nil {
		return nil, err
	}
	switch p.mode {
	case modePlan:
		err = c.proposePlan(ctx, m, p, form)
	case modeTables, modeAll:
		err = proposeTables(p, form, status)
	case modeMirror:
		p.proposeMirror(m, status)
	default:
		err = choiceError("Choose what to reset.")
	}
	return p, err
}

// proposePlan takes the chosen tables from the plan of a comparison.
func (c *Console) proposePlan(ctx context.Context, m *member, p *proposal, form url.Values) error {
	j, _, err := c.comparisonFor(ctx, m, form.Get("of"))
	if errors.Is(err, errNoComparison) || form.Get("of") == "" {
		return choiceError("The form was incomplete. Choose again.")
	}
	if err != nil {
		return err
	}
	report, err := documentOf[mirror.Report](ctx, c.state, j.ID)
	if err != nil {
		return err
	}
	plan := report.Plan()
	p.request.Of = j.ID
	q := &p.request.Change
	q.Operation, q.HardReset, q.SkipMoved = opApply, form.Get("hardreset") != "", form.Get("skipmoved") != ""
	named, all := form["table"], form.Get("unknown") != ""
	for _, t := range plan.Tables {
		unknown := t.Step == mirror.StepUnknown && t.Metadata != ""
		if !hasName(named, t.Table) && !(unknown && all) {
			continue
		}
		named = slices.DeleteFunc(named, func(n string) bool { return store.FoldName(n) == store.FoldName(t.Table) })
		switch {
		case q.HardReset && t.Schema && t.Metadata != "":
			t.Step, t.Drop = mirror.StepHardReset, true
			t.Meanwhile = "gone from now on, until the next cycle has created and populated it"
		case unknown:
			q.Unknown, t.Step = true, mirror.StepReset
			t.Meanwhile = "as it is until the next cycle, then empty until it is populated"
		case !t.Step.Acts():
			return choiceError("The plan leaves " + shown(t.Table) + " alone: " + text.Printable(t.Reason) + ".")
		}
		p.request.Tables = append(p.request.Tables, t.Table)
		p.tables = append(p.tables, proposed{name: t.Table, step: t.Step, drop: t.Drop, lsn: t.LSN, rows: t.Rows, bytes: t.Bytes, batches: t.Batches, meantime: t.Meanwhile})
	}
	switch {
	case len(named) > 0:
		return choiceError("The plan has no step for " + shown(named[0]) + ".")
	case len(p.tables) == 0:
		return choiceError("Choose at least one table.")
	}
	p.weigh(int(plan.ComparedTables))
	if err := plan.CheckRows("apply plan", 0); !errors.As(err, &p.limit) && len(p.tables) >= mostResets && 2*int64(len(p.tables)) > plan.ComparedTables {
		p.limit = &mirror.LimitError{Op: "apply plan", ContextID: m.ContextID, What: "tables", Count: int64(len(p.tables)), Of: plan.ComparedTables, Limit: 0.5}
	}
	return nil
}

// mostResets is from how many tables on a share of them says something.
const mostResets = 6

// weigh finds out what cannot be undone, and how the proposal is confirmed.
func (p *proposal) weigh(of int) {
	p.typed = 2*len(p.tables) > of
	for _, t := range p.tables {
		switch {
		case t.step == mirror.StepTruncate:
			p.losses = append(p.losses, fmt.Sprintf("%s is emptied at once. Undo does not bring its rows back.", shown(t.name)))
		case t.step == mirror.StepHardReset && t.drop:
			p.losses = append(p.losses, fmt.Sprintf("%s is dropped. Undo does not bring it back.", shown(t.name)))
		case t.step == mirror.StepHardReset:
			p.losses = append(p.losses, fmt.Sprintf("%s loses its metadata rows.", shown(t.name)))
		}
	}
	p.typed = p.typed || len(p.losses) > 0
}

// proposeTables takes tables that were named, or all.
func proposeTables(p *proposal, form url.Values, status *mirror.Status) error {
	q := &p.request.Change
	q.Operation, q.All, q.Truncate = opReset, p.mode == modeAll, form.Get("truncate") != ""
	step, meantime := mirror.StepReset, "as it is until the next cycle, then empty until it is populated"
	if q.Truncate {
		step, meantime = mirror.StepTruncate, "empty from now on, until the next cycle has populated it"
	}
	var names []string
	if q.All {
		names = mirrored(status)
	} else {
		for _, name := range slices.Concat(form["table"], each(strings.Split(form.Get("tables"), "\n"), strings.TrimSpace)) {
			if name != "" && !hasName(names, name) {
				names = append(names, name)
			}
		}
		if p.request.Tables = names; len(names) == 0 {
			return choiceError("Name at least one table.")
		}
	}
	for _, name := range names {
		t := proposed{name: name, step: step, meantime: meantime}
		if s := statusFor(status, name); s != nil {
			t.rows, t.lsn = s.Rows, s.LSN
		}
		p.tables = append(p.tables, t)
	}
	p.weigh(len(mirrored(status)))
	p.typed = p.typed || q.All
	return nil
}

// proposeMirror takes the metadata table away.
func (p *proposal) proposeMirror(m *member, status *mirror.Status) {
	p.request.Change.Operation, p.typed = opHardReset, true
	for _, name := range mirrored(status) {
		t := proposed{name: name, step: mirror.StepHardReset, meantime: "as it is until the next cycle, then empty until it is populated"}
		if s := statusFor(status, name); s != nil {
			t.rows, t.lsn = s.Rows, s.LSN
		}
		p.tables = append(p.tables, t)
	}
	p.losses = []string{"The metadata table of " + shown(m.ContextID) + " is taken away: the next cycle begins from nothing.", "Every table is emptied and sent again, which can take hours."}
}

// mirrored are the tables with a metadata row.
func mirrored(s *mirror.Status) (names []string) {
	if s == nil {
		return nil
	}
	for _, t := range s.Tables {
		if t.State != mirror.TableNoMetadata {
			names = append(names, t.Table)
		}
	}
	return names
}

func statusFor(s *mirror.Status, name string) *mirror.TableStatus {
	if s == nil {
		return nil
	}
	if i := slices.IndexFunc(s.Tables, func(t mirror.TableStatus) bool { return store.FoldName(t.Table) == store.FoldName(name) }); i >= 0 {
		return &s.Tables[i]
	}
	return nil
}

// hidden are the fields that ask for the proposal again.
func (p *proposal) hidden() []ui.Hidden {
	all := []ui.Hidden{{Name: "mode", Value: p.mode}, {Name: "once", Value: p.request.Once}}
	if p.request.Of > 0 {
		all = append(all, ui.Hidden{Name: "of", Value: strconv.FormatInt(p.request.Of, 10)})
	}
	for _, name := range p.request.Tables {
		all = append(all, ui.Hidden{Name: "table", Value: name})
	}
	q := p.request.Change
	for _, option := range []struct {
		name string
		set  bool
	}{{"hardreset", q.HardReset}, {"skipmoved", q.SkipMoved}, {"truncate", q.Truncate}} {
		if option.set {
			all = append(all, ui.Hidden{Name: option.name, Value: "on"})
		}
	}
	return all
}

// same reports whether a job was asked for the same.
func (p *proposal) same(j job) bool {
	x, y := p.request, j.Request
	x.Change.Confirm, y.Change.Confirm = "", ""
	x.Change.TooMuch, y.Change.TooMuch = false, false
	return x.Of == y.Of && x.Change == y.Change && slices.Equal(x.Tables, y.Tables)
}
