package replica

import (
	"fmt"
	"slices"

	"github.com/so-mirror/mirror/internal/match"
	"github.com/so-mirror/mirror/internal/superoffice"
	"github.com/so-mirror/mirror/store"
)

// sharedPrefixes finds the TablePrefix of the newer client where it is part of the
// tables' names: what stands before the reference's name in most of the replica's
// names, and likewise the other way round.
func sharedPrefixes(reference, replica []store.Table, known []string) []string {
	var found []string
	for _, sides := range [][2][]store.Table{{reference, replica}, {replica, reference}} {
		bare := map[string]bool{}
		for _, t := range sides[0] {
			bare[store.FoldName(store.TrimPrefix(t.Name, known))] = true
		}
		votes, matched := map[string]int{}, 0
		for _, t := range sides[1] {
			folded := store.FoldName(store.TrimPrefix(t.Name, known))
			if bare[folded] {
				matched++
				continue
			}
			for i := range folded {
				if i > 0 && bare[folded[i:]] {
					votes[folded[:i]]++
				}
			}
		}
		best := ""
		for prefix, n := range votes {
			if n > votes[best] || n == votes[best] && len(prefix) < len(best) {
				best = prefix
			}
		}
		// A name or two can end like another one by chance.
		if votes[best] > matched {
			found = append(found, best)
		}
	}
	return found
}

// withKeys returns the tables with the keys by which they are compared: the newer
// client gives every table one, and where only one side declares a key the other
// side's rows are told apart by the same columns. Lent are the names of the tables of
// the reference for which that was done: nothing keeps such a key from being there twice.
func withKeys(reference, replica []store.Table, prefixes []string) (a, b []store.Table, lent map[string]bool) {
	lent = map[string]bool{}
	a, b = slices.Clone(reference), slices.Clone(replica)
	byName := map[string]*store.Table{}
	for i, t := range b {
		byName[store.FoldName(store.TrimPrefix(t.Name, prefixes))] = &b[i]
	}
	for i := range a {
		if other := byName[store.FoldName(store.TrimPrefix(a[i].Name, prefixes))]; other != nil && len(a[i].Key) == 0 {
			a[i].Key = keyOf(&a[i], other.Key)
			lent[a[i].String()] = true
		}
	}
	return a, b, lent
}

// keyOf returns the columns of t that key means, nil when t lacks one.
func keyOf(t *store.Table, key []string) (own []string) {
	for _, name := range key {
		c, ok := t.Column(name)
		if !ok {
			return nil
		}
		own = append(own, c.Name)
	}
	return own
}

// newTable plans the check of a table.
func (c *check) newTable(p match.Pair) *table {
	t := &table{c: c, pair: p, report: &TableReport{Table: p.Name}}
	if p.Source != nil {
		t.report.Table, t.report.ReferenceName = store.TrimPrefix(p.Source.Name, c.prefixes), p.Source.String()
	}
	if p.Mirror != nil {
		t.report.ReplicaName = p.Mirror.String()
	}
	if reason := c.excluded(p); reason != "" {
		t.report.Verdict, t.report.Reason = Excluded, reason
		return t
	}
	switch {
	case p.Twins != "":
		t.report.Verdict, t.report.Reason = Undecided, p.Twins
		return t
	case p.Mirror == nil:
		t.report.Verdict, t.report.Reason = NewStale, "the replica does not have the table"
		return t
	}
	t.report.Schema = c.schema(p)
	if p.Plan.Incomparable != "" {
		t.report.Verdict, t.report.Reason = Undecided, "its rows cannot be compared: "+p.Plan.Incomparable
		return t
	}
	t.plan = p.Plan
	t.plan.Differs = t.differs
	if c.lent[t.plan.Source.Table.String()] {
		t.plan.Source.Table.Key = nil
	}
	t.run = c.engine.Table(t.plan.Table)
	for _, col := range t.plan.Source.Columns[:t.plan.Key] {
		t.report.Key = append(t.report.Key, col.Name)
	}
	t.report.Keyless = t.plan.Keyless
	for _, stamp := range c.o.Stamps {
		for i, col := range t.plan.Source.Columns {
			if store.FoldName(col.Name) == store.FoldName(stamp) {
				t.stamps = append(t.stamps, i)
			}
		}
	}
	for _, o := range t.plan.NotCompared {
		t.report.NotCompared = append(t.report.NotCompared, fmt.Sprintf("%s: %s", o.Column, o.Reason))
		_, before := p.Source.Column(o.Column)
		_, after := p.Mirror.Column(o.Column)
		t.leftOut = t.leftOut || before && after && !o.Requested
	}
	return t
}

// excluded says why a table is not checked, "" when it is.
func (c *check) excluded(p match.Pair) string {
	folded := store.FoldName(p.Name)
	reason, notCopied := superoffice.NotCopied(folded)
	switch {
	case p.NotMirrored == match.Skipped:
		return p.NotMirrored
	case notCopied && p.Mirror == nil:
		return "not copied by the newer client: " + reason
	case superoffice.UnclearCopy(folded) && (p.Mirror == nil || p.Source == nil):
		return "it is not documented whether the newer client copies it, and only one side has it"
	case p.NotMirrored != "" && (p.Source == nil || p.Mirror == nil):
		return p.NotMirrored
	case p.Source == nil:
		return "only the replica has it, so there is nothing to compare it with"
	case notCopied: // a snapshot of an older version, which nothing keeps up
		return "not copied by the newer client, which does not keep it up: " + reason
	default:
		return p.NotMirrored
	}
}
