package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"time"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/console/internal/ui"
	"github.com/so-mirror/mirror/internal/text"
)

// trialTimeout is how long a page waits for the trial of what it proposes.
const trialTimeout = 10 * time.Second

// limitWord is typed where the source may be the wrong database.
const limitWord = "right source"

// startReset shows what would be done until that is confirmed, and then does it.
func (c *Console) startReset(v *visit) error {
	m, err := c.member(v)
	if err != nil {
		return err
	}
	p, err := c.propose(v.Context(), m, v.PostForm)
	var wrong choiceError
	if errors.As(err, &wrong) {
		return c.showReset(v, m, v.PostForm.Get("of"), v.PostForm["table"], wrong.Error(), http.StatusUnprocessableEntity)
	}
	if err != nil {
		return err
	}
	typed, given := v.PostForm.Get("confirm"), v.PostForm.Has("confirm")
	limit := v.PostForm.Get("limit")
	if v.PostForm.Get("stage") == "limit" {
		limit, typed, given = typed, "", false
	}
	if p.limit != nil && limit != limitWord {
		return c.showLimit(v, m, p, v.PostForm.Get("stage") == "limit")
	}
	p.request.Change.TooMuch = p.limit != nil
	p.typed = p.typed || p.limit != nil
	switch {
	case p.typed && typed != m.ContextID:
		return c.showConfirm(v, m, p, given)
	case !p.typed && v.PostForm.Get("stage") != "confirm":
		return c.showConfirm(v, m, p, false)
	}
	if p.typed {
		p.request.Change.Confirm = typed
	}
	return c.startChange(v, m, p.request, p.same)
}

// startChange has a change made, once for a form however often it is sent.
func (c *Console) startChange(v *visit, m *member, r request, same func(job) bool) error {
	j, err := c.jobs.start(v.Context(), job{Member: m.key, Kind: kindChange, Actor: v.actor, Request: r})
	var asked errAsked
	switch busy := (errBusy{}); {
	case errors.As(err, &asked) && asked.Kind == kindChange && same(asked.job):
		return c.see(v, c.path(asked.job), "This form was sent before: this is what came of it.")
	case errors.As(err, &asked):
		return httpError{http.StatusConflict, "This form was used before for something else. Load its page anew."}
	case errors.As(err, &busy):
		return c.see(v, c.path(busy.job), "This change is being made right now, so yours was not begun.")
	case err != nil:
		return err
	}
	return c.see(v, c.path(j), "")
}

// confirmView is the page on which a change is confirmed.
type confirmView struct {
	Head     ui.Head
	Tabs     ui.Tabs
	Steps    []ui.Step
	Messages []ui.Message
	Tiles    []ui.Tile
	Table    ui.Table
	Refused  *ui.Table // why it would be refused, table by table
	Confirm  *ui.Confirm
	Plain    *ui.Button
	Back     string
}

func (c *Console) showConfirmView(v *visit, m *member, p confirmView, code int) error {
	p.Tabs, p.Steps = c.tabs(m, tabReset), resetSteps(2)
	return c.show(v, page{name: "confirm", title: "Confirm reset of " + text.Name(m.ContextID), nav: "mirrors", data: p, code: code,
		crumbs: m.crumbs(ui.Link{Name: "Reset", URL: m.path("/reset")}, ui.Link{Name: "Confirm"})})
}

// back is the page on which the proposal was chosen.
func (c *Console) back(m *member, p *proposal) string {
	q := url.Values{}
	if p.request.Of > 0 {
		q.Set("of", fmt.Sprint(p.request.Of))
	}
	const most = 100 // or the address is too long
	for _, name := range p.request.Tables[:min(most, len(p.request.Tables))] {
		q.Add("table", name)
	}
	to := c.base + m.path("/reset")
	if len(q) > 0 {
		to += "?" + q.Encode()
	}
	return to
}

// showLimit asks whether the source is the right database.
func (c *Console) showLimit(v *visit, m *member, p *proposal, wrong bool) error {
	what := fmt.Sprintf("%s of the %s compared rows of the mirror are not so at the source.", count(p.limit.Count), count(p.limit.Of))
	if p.limit.What == "tables" {
		what = fmt.Sprintf("%s of the %s compared tables would be reset.", count(p.limit.Count), count(p.limit.Of))
	}
	confirm := &ui.Confirm{
		URL: c.base + m.path("/reset"), Title: "Is the source the right database?", Word: limitWord, Button: "The source is right", Back: c.back(m, p),
		Lead: []string{what, "A real incident seldom damages so much: the source may be another customer's database, an old copy, or a test system.",
			"Check which database the comparison read. A reset from the wrong one sends everything for nothing."},
		Hidden: append(p.hidden(), ui.Hidden{Name: "stage", Value: "limit"}),
	}
	code := http.StatusOK
	if wrong {
		code, confirm.Error = http.StatusUnprocessableEntity, "That is not it. Go back unless you have checked the source."
	}
	view := confirmView{Head: ui.Head{Title: "More differs than an incident damages", Lead: "Nothing was changed yet."}, Confirm: confirm}
	return c.showConfirmView(v, m, view, code)
}

// showConfirm shows what would be done and asks to confirm it.
func (c *Console) showConfirm(v *visit, m *member, p *proposal, wrong bool) error {
	view := confirmView{Back: c.back(m, p), Table: p.table()}
	view.Head = ui.Head{Title: p.title(), Lead: "Nothing was changed yet."}
	if p.mode == modePlan {
		var sum proposed
		for _, t := range p.tables {
			sum.add(mirror.PlanTable{Rows: t.rows, Bytes: t.bytes, Batches: t.batches})
		}
		view.Tiles = sum.tiles(len(p.tables))
	}
	code := http.StatusOK
	switch receipt, err := c.try(v.Context(), m, p); {
	case errors.Is(err, errTrial):
		view.Messages = append(view.Messages, ui.Message{Level: "unsure", Head: "Not tried.", Text: trialText(err) + " Should anything stand in the way, the change is refused as a whole."})
	case refusalOf(err) != "":
		return c.showRefused(v, m, p, view, err)
	case err != nil:
		view.Messages = append(view.Messages, ui.Message{Level: "unsure", Head: "Not tried.", Text: message(err.Error())})
	default:
		view.Table = p.tried(receipt)
		if p.mode != modePlan {
			view.Tiles = receiptTiles(receipt)
		}
		view.Messages = append(view.Messages, ui.Message{Level: "good", Head: "Tried.", Text: "The database takes this as it is now; the trial was rolled back."})
		for _, loss := range receipt.NotUndone {
			p.losses = append(p.losses, text.Printable(loss)+".")
		}
	}
	if p.typed {
		view.Confirm = &ui.Confirm{
			URL: c.base + m.path("/reset"), Title: p.title(), Lead: p.lead(), Losses: p.losses, Word: m.ContextID, Button: p.button(), Back: view.Back,
			Hidden: append(p.hidden(), ui.Hidden{Name: "stage", Value: "confirm"}),
		}
		if p.limit != nil {
			view.Confirm.Hidden = append(view.Confirm.Hidden, ui.Hidden{Name: "limit", Value: limitWord})
		}
		if wrong {
			code, view.Confirm.Error = http.StatusUnprocessableEntity, "That is not exactly "+m.ContextID+". Capitals and blanks count. Nothing was changed."
		}
	} else {
		view.Plain = &ui.Button{Name: p.button(), URL: c.base + m.path("/reset"), Post: true, Class: "primary", Hidden: append(p.hidden(), ui.Hidden{Name: "stage", Value: "confirm"})}
	}
	return c.showConfirmView(v, m, view, code)
}

// showRefused says what stands in the way of a proposal.
func (c *Console) showRefused(v *visit, m *member, p *proposal, view confirmView, err error) error {
	view.Head.Lead = "This would be refused. Nothing was changed."
	why := refusalText(refusalOf(err))
	view.Messages = append(view.Messages, ui.Message{Level: "bad", Head: why.title + ".", Text: why.next})
	if all := refusedTablesOf(err); len(all) > 0 {
		view.Refused = reasons(all)
	} else {
		view.Messages = append(view.Messages, ui.Message{Level: "neutral", Text: message(err.Error())})
	}
	if refusalOf(err) == refusedMoved && !p.request.Change.SkipMoved && len(refusedTablesOf(err)) < len(p.tables) {
		view.Plain = &ui.Button{Name: "Leave these out", URL: c.base + m.path("/reset"), Post: true, Hidden: append(p.hidden(), ui.Hidden{Name: "skipmoved", Value: "on"})}
	}
	view.Tiles = nil
	return c.showConfirmView(v, m, view, http.StatusConflict)
}

// reasons lists tables, each with what is to be said of it.
func reasons(all []tableSummary) *ui.Table {
	t := &ui.Table{Label: "Tables that stand in the way", Columns: []ui.Column{{Name: "Table"}, {Name: "Why", Wide: true}}}
	for _, s := range all {
		t.Rows = append(t.Rows, ui.Row{Class: "bad", Cells: []ui.Cell{{Text: text.Name(s.Table)}, {Text: text.Printable(s.Reason)}}})
	}
	return t
}

func (p *proposal) title() string {
	n := len(p.tables)
	switch {
	case p.mode == modeMirror:
		return "Hard reset of the whole mirror"
	case p.mode == modeAll:
		return "Reset all tables"
	default:
		return fmt.Sprintf("Reset %s", plural(n, "table"))
	}
}

func (p *proposal) button() string {
	switch {
	case p.mode == modeMirror:
		return "Take the metadata table away"
	case len(p.losses) > 0:
		return p.title() + " for good"
	default:
		return p.title()
	}
}

// lead says why it is typed.
func (p *proposal) lead() []string {
	switch {
	case p.mode == modeMirror || p.mode == modeAll:
		return []string{"Every table is sent again. Whoever reads the mirror meanwhile finds tables that are empty."}
	case len(p.losses) > 0:
		return []string{"What is lost:"}
	default:
		return []string{"These are more than half of the tables: whoever reads the mirror meanwhile finds tables that are empty."}
	}
}

// table shows what is proposed.
func (p *proposal) table() ui.Table {
	t := ui.Table{Label: "What is done", Columns: []ui.Column{{Name: "Table"}, {Name: "Step"}, {Name: "LSN", Number: true}, {Name: "Rows", Number: true}, {Name: "Meanwhile", Wide: true}}}
	for _, row := range p.tables {
		lsn := "–"
		if row.lsn != nil {
			lsn = fmt.Sprint(int64(*row.lsn))
		}
		t.Rows = append(t.Rows, ui.Row{Cells: []ui.Cell{{Text: text.Name(row.name)}, {Badge: stepBadge(row.step, row.drop)}, {Text: lsn}, {Text: count(row.rows)}, {Text: row.meantime}}})
	}
	return t
}

// tried shows what the trial of a proposal did.
func (p *proposal) tried(r *mirror.Receipt) ui.Table {
	t := receiptTable(r, "What is done")
	meanwhile := map[string]string{}
	for _, row := range p.tables {
		meanwhile[fold(row.name)] = row.meantime
	}
	for i, rt := range r.Tables {
		if cell := &t.Rows[i].Cells[len(t.Rows[i].Cells)-1]; cell.Text == "" && meanwhile[fold(rt.Table)] != "" {
			cell.Text = "Meanwhile: " + meanwhile[fold(rt.Table)]
		}
	}
	return t
}

// receiptTiles are the sums of what a receipt acts on.
func receiptTiles(r *mirror.Receipt) []ui.Tile {
	tables, rows := len(acted(r)), int64(0)
	for _, t := range acted(r) {
		rows += t.Rows
	}
	return []ui.Tile{{Class: "pending", N: count(tables), Label: noun(tables, "table to reset", "tables to reset")}, {N: count(rows), Label: "rows are in them now"}}
}

// errTrial: a proposal was not tried.
var errTrial = errors.New("not tried")

func trialText(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "The database did not answer in time."
	}
	return "Another trial or change is running."
}

// try tries a proposal, which changes nothing. A mirror has one trial at a time.
func (c *Console) try(ctx context.Context, m *member, p *proposal) (*mirror.Receipt, error) {
	if m.busy(kindChange) != nil || !m.trial.TryLock() {
		return nil, errTrial
	}
	type outcome struct {
		receipt *mirror.Receipt
		err     error
	}
	ended := make(chan outcome, 1)
	ctx, cancel := context.WithTimeout(ctx, trialTimeout)
	defer cancel()
	go func() { // a driver may not hear that it is to stop
		o := outcome{err: errors.New("internal error: the log has more")}
		defer func() {
			if r := recover(); r != nil {
				c.log.Error("trial panicked", "mirror", m.ContextID, "panic", r, "stack", string(debug.Stack()))
			}
			m.trial.Unlock()
			ended <- o
		}()
		o.receipt, o.err = c.dryRun(ctx, m, p.request)
	}()
	select {
	case o := <-ended:
		if o.err != nil && ctx.Err() != nil {
			return nil, fmt.Errorf("%w: %w", errTrial, context.DeadlineExceeded)
		}
		return o.receipt, o.err
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", errTrial, context.DeadlineExceeded)
	}
}

func (c *Console) dryRun(ctx context.Context, m *member, r request) (receipt *mirror.Receipt, err error) {
	conn, err := m.open(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	r.Tables = slices.Clone(r.Tables)
	return c.jobs.do(ctx, conn.Mirror, job{Member: m.key, Kind: kindChange, Request: r}, true)
}
