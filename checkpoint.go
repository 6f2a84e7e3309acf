package mirror

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/so-mirror/mirror/internal/diff"
	"github.com/so-mirror/mirror/internal/sum"
	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/store"
)

const checkpointVersion = 1

// Checkpoint is how far a comparison has come, for CompareOptions.Resume. Its JSON
// form can be kept.
type Checkpoint struct {
	Version   int
	ContextID string
	Time      time.Time

	source, mirror Side
	tables         []tableCheckpoint
}

// checkpointJSON is the JSON form of a Checkpoint.
type checkpointJSON struct {
	Version   int               `json:"version"`
	ContextID string            `json:"contextId"`
	Time      time.Time         `json:"time"`
	Source    Side              `json:"source,omitzero"`
	Mirror    Side              `json:"mirror,omitzero"`
	Tables    []tableCheckpoint `json:"tables"`
}

// MarshalJSON implements json.Marshaler.
func (c Checkpoint) MarshalJSON() ([]byte, error) {
	return json.Marshal(checkpointJSON{c.Version, c.ContextID, c.Time, c.source, c.mirror, c.tables})
}

// UnmarshalJSON implements json.Unmarshaler.
func (c *Checkpoint) UnmarshalJSON(data []byte) error {
	var j checkpointJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return err
	}
	*c = Checkpoint{Version: j.Version, ContextID: j.ContextID, Time: j.Time, source: j.Source, mirror: j.Mirror, tables: j.Tables}
	return nil
}

// tableCheckpoint is how far the comparison of one table has come.
type tableCheckpoint struct {
	Table string `json:"table"`

	// Plan identifies what is compared: columns, types and key.
	Plan string `json:"plan"`

	// LSN is the table's LSN when its comparison began.
	LSN *store.LSN `json:"lsn,omitempty"`

	// Done is the report of a table that was compared to the end.
	Done *TableReport `json:"done,omitempty"`

	// Ranges are the ranges of keys of a table that was not.
	Ranges []diff.Range `json:"ranges,omitempty"`
}

// WriteJSON writes the checkpoint as indented JSON.
func (c *Checkpoint) WriteJSON(w io.Writer) error { return text.WriteJSON(w, c) }

// check refuses a checkpoint that is not of this customer, or that nobody can
// have written.
func (c *Checkpoint) check(contextID string) error {
	if c.Version != checkpointVersion {
		return document(fmt.Sprintf("checkpoint has version %d, want %d: start without it", c.Version, checkpointVersion))
	}
	if !sameCustomer(c.ContextID, contextID) {
		return document(fmt.Sprintf("checkpoint is of %q, not of %q", text.Clip(c.ContextID, text.MaxName), contextID))
	}
	for _, t := range c.tables {
		if t.Done != nil {
			err := t.Done.check()
			if err == nil && (t.Done.Verdict == VerdictFailed || t.Done.Verdict == VerdictUnfinished) {
				err = errors.New("its report is not of a comparison that ended")
			}
			if err == nil && store.FoldName(t.Done.Table) != store.FoldName(t.Table) {
				err = errors.New("its report is of another table")
			}
			if err != nil {
				return document(fmt.Sprintf("checkpoint of table %q was damaged: %v: start without it", text.Clip(t.Table, text.MaxName), err))
			}
		}
		for _, r := range t.Ranges {
			if err := r.Found.Check(); err != nil {
				return document(fmt.Sprintf("checkpoint of table %q was damaged: %v: start without it", text.Clip(t.Table, text.MaxName), err))
			}
		}
	}
	return nil
}

// planSum identifies what is compared of a table: its definition on both sides,
// and the options that the result depends on.
func (c *comparison) planSum(p pair) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s %t %q\n", c.opts.Depth, c.opts.LooseTypes, c.opts.IgnoreColumns)
	for _, t := range []*store.Table{p.Source, p.Mirror} {
		fmt.Fprintf(h, "%s\n", fingerprint(*t))
	}
	return sum.Hex(h)
}

// begin makes a table's comparison part of the checkpoints.
func (c *comparison) begin(r *running) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.runs[store.FoldName(r.p.Name)] = r
}

// end replaces a table's comparison by its report. A table that failed is
// compared again from where it came to.
func (c *comparison) end(p pair, tr *TableReport) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if tr.Verdict != VerdictFailed && tr.Verdict != VerdictUnfinished {
		delete(c.runs, store.FoldName(p.Name))
		done := *tr
		c.ended = append(c.ended, tableCheckpoint{Table: p.Name, Plan: c.planSum(p), LSN: p.lsn, Done: &done})
	}
}

// snapshot returns how far the comparison has come.
func (c *comparison) snapshot() *Checkpoint {
	c.mu.Lock()
	defer c.mu.Unlock()
	cp := &Checkpoint{
		Version: checkpointVersion, ContextID: c.m.contextID, Time: c.m.clock.Now().UTC(),
		source: c.sourceSide, mirror: c.mirrorSide, tables: slices.Clone(c.ended),
	}
	known := map[string]bool{}
	for _, t := range cp.tables {
		known[store.FoldName(t.Table)] = true
	}
	for folded, r := range c.runs {
		known[folded] = true
		if r.tracking != nil && r.tracking.given() {
			continue // it starts anew
		}
		t := tableCheckpoint{Table: r.p.Name, Plan: c.planSum(r.p), LSN: r.p.lsn, Ranges: r.run.Ranges()}
		if t.Ranges == nil {
			continue
		}
		cp.tables = append(cp.tables, t)
	}
	if c.opts.Resume != nil { // what this comparison did not come to
		for _, t := range c.opts.Resume.tables {
			if !known[store.FoldName(t.Table)] {
				cp.tables = append(cp.tables, t)
			}
		}
	}
	slices.SortFunc(cp.tables, func(a, b tableCheckpoint) int {
		return strings.Compare(store.FoldName(a.Table), store.FoldName(b.Table))
	})
	return cp
}

// checkpoint calls the user's function when it is time.
func (c *comparison) checkpoint() {
	if c.opts.OnCheckpoint == nil {
		return
	}
	c.saving.Lock()
	defer c.saving.Unlock()
	now := c.m.clock.Now()
	if now.Sub(c.saved) < c.opts.Tuning.CheckpointEvery {
		return
	}
	c.saved = now
	c.opts.OnCheckpoint(c.snapshot())
}

// previous returns a table's part of the checkpoint to resume from, nil when
// there is none or the table has to start anew.
func (c *comparison) previous(p pair) *tableCheckpoint {
	if c.opts.Resume == nil {
		return nil
	}
	for i := range c.opts.Resume.tables {
		t := &c.opts.Resume.tables[i]
		if store.FoldName(t.Table) != store.FoldName(p.Name) {
			continue
		}
		fell := (t.LSN == nil) != (p.lsn == nil) || t.LSN != nil && *p.lsn < *t.LSN
		if fell || t.Plan != c.planSum(p) || t.Done != nil && t.Done.Truncated {
			return nil
		}
		return t
	}
	return nil
}
