package mirrortest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/so-mirror/mirror/internal/superoffice"
	"github.com/so-mirror/mirror/replica"
	"github.com/so-mirror/mirror/store"
	"github.com/stretchr/testify/require"
)

// differingRow is a row that differs, by brute force.
type differingRow struct {
	what  replica.What
	dated bool // the replica's row tells when it was written
}

// judge holds a report against brute force, and returns what that found.
func (p *frozen) judge(t *testing.T, report *replica.Report) map[replica.What]int64 {
	t.Helper()
	tr := report.Table("stock")
	about := func() string {
		var b strings.Builder
		_ = report.WriteJSON(&b)
		return fmt.Sprintf("%+v\nmirror %t, %d cycles, quiet %t, names %v %v key %v\n%s", p.opts, p.mirror, p.moves, p.quiet, p.names, p.types, p.key, b.String())
	}
	rows, exact := p.bruteForce()
	found := map[replica.What]int64{}
	for _, d := range rows {
		found[d.what]++
	}
	require.EqualValues(t, len(p.sides[0]), tr.ReferenceRows, about())
	require.EqualValues(t, len(p.sides[1]), tr.ReplicaRows, about())
	require.Equal(t, len(p.key) == 0, tr.Keyless, about())
	var total, explained int64
	for what, n := range tr.Found {
		if total += n; p.counts(what) {
			explained += n
		}
	}
	require.EqualValues(t, len(rows), total, about())
	require.Equal(t, found[replica.Missing], tr.Found[replica.Missing], about())
	require.Equal(t, explained, tr.OldStale+tr.NewStale+tr.Ghosts+tr.Conflicts+tr.Open, about())
	require.Zero(t, tr.Lag, about())
	if exact { // otherwise it is not fixed which rows of a key belong together
		want := maps.Clone(found)
		if len(want) == 0 {
			want = nil
		}
		require.Equal(t, want, tr.Found, about())
		p.judgeOutcomes(t, tr, rows, about)
	}
	want := replica.Equal
	switch {
	case tr.NewStale > 0:
		want = replica.NewStale
	case tr.Ghosts > 0:
		want = replica.Ghosts
	case tr.Conflicts+tr.Open > 0:
		want = replica.Undecided
	case tr.OldStale > 0:
		want = replica.OldStale
	}
	require.Equal(t, want, tr.Verdict, about())
	return found
}

// judgeOutcomes holds what became of the rows against what has to become of them as
// long as nothing moves.
func (p *frozen) judgeOutcomes(t *testing.T, tr *replica.TableReport, rows []differingRow, about func() string) {
	t.Helper()
	want := map[string]int64{}
	behind := slices.ContainsFunc(rows, func(d differingRow) bool { return d.what == replica.Newer })
	for _, d := range rows {
		if p.counts(d.what) {
			want[p.outcome(d, behind)]++
			p.keys++
		}
	}
	if len(p.key) == 0 && want["open"] > 0 { // such a table is one
		want = map[string]int64{"open": int64(p.keys)}
	}
	got := map[string]int64{"old": tr.OldStale, "new": tr.NewStale, "ghost": tr.Ghosts, "conflict": tr.Conflicts, "open": tr.Open}
	for name, n := range got {
		switch {
		case len(p.key) == 0 || p.keys <= p.opts.MaxKeys:
			require.Equal(t, want[name], n, "%s: %s", name, about())
		case name != "open":
			require.LessOrEqual(t, n, want[name], "%s: %s", name, about())
		}
	}
	if wrong := want["new"] + want["ghost"] + want["conflict"]; wrong > 0 && p.opts.MaxKeys >= 1000 {
		require.NotEqual(t, replica.Equal, tr.Verdict)
	}
}

// counts reports whether rows that differ so have to be explained.
func (p *frozen) counts(what replica.What) bool {
	return what != replica.AfterBackup && (what != replica.Rounded || !p.opts.RoundedTimes)
}

// outcome is what becomes of a row that stays as it is.
func (p *frozen) outcome(d differingRow, behind bool) string {
	passed := !p.mirror || !p.quiet && p.moves >= 2 || p.quiet && p.moves >= 4
	backup := !p.opts.AsOf.IsZero()
	switch {
	case d.what == replica.Older:
		return "new"
	case d.what == replica.Newer && p.mirror && passed:
		return "old"
	case d.what == replica.Newer && !p.mirror && !backup:
		return "new"
	case d.what == replica.Newer, !passed, p.mirror && p.quiet && behind, backup && (d.what == replica.Missing || !d.dated):
		return "open"
	case d.what == replica.Extra:
		return "ghost"
	case d.what == replica.Changed:
		return "conflict"
	default:
		return "new"
	}
}

// bruteForce finds the rows that differ, holding everything in memory. It is exact
// unless keys with several rows differ.
func (p *frozen) bruteForce() (all []differingRow, exact bool) {
	type group struct {
		count map[string]int64 // reference less replica, by row
		rows  [2][]store.Row
	}
	groups := map[string]*group{}
	for side, rows := range p.sides {
		for _, row := range rows {
			k := ""
			for i := range len(p.key) {
				k += fmt.Sprintf("%q ", place(p.types[i], row[i]))
			}
			if len(p.key) == 0 {
				k = p.text(row)
			}
			if groups[k] == nil {
				groups[k] = &group{count: map[string]int64{}}
			}
			g := groups[k]
			g.count[p.text(row)] += int64(1 - 2*side)
			g.rows[side] = append(g.rows[side], row)
		}
	}
	exact = true
	for _, g := range groups {
		var left, right int64
		for _, n := range g.count {
			left += max(n, 0)
			right += max(-n, 0)
		}
		if len(g.rows[0]) == 1 && len(g.rows[1]) == 1 {
			if left > 0 {
				what, dated := p.difference(g.rows[0][0], g.rows[1][0])
				all = append(all, differingRow{what, dated})
			}
			continue
		}
		exact = exact && (left+right == 0 || len(g.rows[0]) == 0 || len(g.rows[1]) == 0 || len(p.key) == 0)
		both := min(left, right)
		if len(p.key) == 0 {
			both = 0
		}
		for range left - both {
			all = append(all, differingRow{what: replica.Missing})
		}
		for range right {
			what, dated := p.backup(replica.Extra, g.rows[1][0])
			all = append(all, differingRow{what, dated})
		}
	}
	return all, exact
}

// text is one for rows that are equal.
func (p *frozen) text(row store.Row) string {
	var b strings.Builder
	for i, v := range row {
		fmt.Fprintf(&b, "%q ", whole(p.types[i], v))
	}
	return b.String()
}

// backup is what a row of the replica is in view of when it was written.
func (p *frozen) backup(what replica.What, its store.Row) (replica.What, bool) {
	i := slices.Index(p.names, "updated")
	if i < 0 {
		return what, false
	}
	at, ok := its[i].(time.Time)
	if ok && !p.opts.AsOf.IsZero() && !at.Before(p.opts.AsOf) {
		what = replica.AfterBackup
	}
	return what, ok
}

// difference says how two rows of a key differ.
func (p *frozen) difference(row, its store.Row) (replica.What, bool) {
	near := func(i int) bool {
		a, ok := row[i].(time.Time)
		b, also := its[i].(time.Time)
		return ok && also && a.Sub(b).Abs() < 5*time.Millisecond
	}
	differs := func(i int) bool { return whole(p.types[i], row[i]) != whole(p.types[i], its[i]) }
	grave := []replica.What{"", replica.Rounded, replica.Placeholder, replica.LargeNull, replica.Changed}
	worst := 0
	for i := range row {
		large, isPlaceholder := strings.Contains(p.replicaTypes[i], "max"), false
		switch v := its[i].(type) {
		case string:
			isPlaceholder = v == superoffice.Unavailable
		case []byte:
			isPlaceholder = string(v) == superoffice.Unavailable
		}
		what := replica.Changed
		switch {
		case !differs(i):
			what = ""
		case large && isPlaceholder:
			what = replica.Placeholder
		case large && its[i] == nil:
			what = replica.LargeNull
		case near(i):
			what = replica.Rounded
		}
		worst = max(worst, slices.Index(grave, what))
	}
	what := grave[worst]
	for _, stamp := range []string{"updatedCount", "updated"} { // the last word is that of the first stamp
		i := slices.Index(p.names, stamp)
		if i < 0 || row[i] == nil || its[i] == nil || !differs(i) || near(i) {
			continue
		}
		older := false
		if stamp == "updated" {
			older = row[i].(time.Time).After(its[i].(time.Time))
		} else {
			older = row[i].(int64) > its[i].(int64)
		}
		if what = replica.Newer; older {
			what = replica.Older
		}
	}
	return p.backup(what, its)
}
