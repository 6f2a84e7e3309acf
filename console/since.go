package console

import (
	"fmt"
	"slices"
	"strings"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store"
)

// became is what happened to a table between two comparisons.
type became string

const (
	becameNew     became = "new"      // it differs, and did not
	becameWorse   became = "worse"    // more of it differs
	becameOther   became = "other"    // it differs otherwise
	becameBetter  became = "better"   // less of it differs
	becameMended  became = "mended"   // it differed, and is the same on both sides
	becameUntold  became = "untold"   // the two comparisons do not tell
	becameOnlyNow became = "only now" // the earlier one did not compare it
	becameOnlyOld became = "only old" // the later one did not compare it
	becameThere   became = "there"    // one of the sides has it by now
	becameGone    became = "gone"     // neither side has it any more
	becameNothing became = ""
)

// becameOrder lists them, those first that one looks at first.
var becameOrder = []became{becameNew, becameWorse, becameOther, becameOnlyOld, becameUntold, becameBetter, becameOnlyNow, becameThere, becameGone, becameMended}

// difference is what changed of a table between two comparisons.
type difference struct {
	Table         string
	Before, After *mirror.TableReport // nil where the comparison does not have it
	Became        became
	Why           string // of what is not told

	// Keys that differ and did not, and that differed and do not, where both comparisons
	// kept all of theirs; those of which less is known are not told.
	New, Mended []mirror.Difference
}

// changesSince are the tables that are not what they were in an earlier comparison, and how
// many are.
func changesSince(before, after *mirror.Report) (changed []difference, same int) {
	earlier := map[string]*mirror.TableReport{}
	for i := range before.Tables {
		earlier[store.FoldName(before.Tables[i].Table)] = &before.Tables[i]
	}
	add := func(d difference) {
		if d.Became == becameNothing && len(d.New)+len(d.Mended) == 0 {
			same++
			return
		}
		if d.Became == becameNothing {
			d.Became = becameOther
		}
		changed = append(changed, d)
	}
	later := map[string]bool{}
	for i := range after.Tables {
		t := &after.Tables[i]
		later[store.FoldName(t.Table)] = true
		add(differenceOf(before, after, earlier[store.FoldName(t.Table)], t))
	}
	for i := range before.Tables {
		if t := &before.Tables[i]; !later[store.FoldName(t.Table)] {
			add(differenceOf(before, after, t, nil))
		}
	}
	slices.SortStableFunc(changed, func(x, y difference) int {
		if n := slices.Index(becameOrder, x.Became) - slices.Index(becameOrder, y.Became); n != 0 {
			return n
		}
		return strings.Compare(x.Table, y.Table)
	})
	return changed, same
}

// differenceOf is what became of a table that one of the comparisons has at least.
func differenceOf(before, after *mirror.Report, was, is *mirror.TableReport) difference {
	d := difference{Before: was, After: is}
	switch {
	case was == nil:
		d.Table, d.Became = is.Table, becameOnlyNow
		if whole(before) {
			d.Became = becameThere
		}
		return d
	case is == nil:
		d.Table, d.Became = was.Table, becameOnlyOld
		if whole(after) {
			d.Became = becameGone
		}
		return d
	}
	d.Table = is.Table
	switch {
	case !settled(was) && !settled(is):
		if was.Verdict != is.Verdict {
			d.Became, d.Why = becameUntold, "neither compared it to the end"
		}
		return d
	case !settled(was):
		d.Became = becameOnlyNow
		return d
	case !settled(is):
		d.Became = becameOnlyOld
		return d
	}
	d.Became, d.Why = judge(before, after, was, is)
	if d.Became == becameUntold || !rowByRow(was) || !rowByRow(is) || before.Depth != mirror.DepthRows || after.Depth != mirror.DepthRows || columnsWhy(was, is) != "" || !slices.Equal(was.Key, is.Key) {
		return d
	}
	if kept(was) {
		d.New = less(is, was)
	}
	if kept(is) {
		d.Mended = less(was, is)
	}
	return d
}

// whole reports whether a comparison names every table that a side has.
func whole(r *mirror.Report) bool {
	return len(r.Scope.OnlyTables) == 0 && !r.Incomplete && len(r.Mistakes) == 0 && len(r.Tables) > 0
}

// settled reports whether a table was compared to its end, as far as the comparison goes.
func settled(t *mirror.TableReport) bool {
	switch t.Verdict {
	case mirror.VerdictIdentical, mirror.VerdictPending, mirror.VerdictDifferent, mirror.VerdictMissing, mirror.VerdictExtra:
		return true
	case mirror.VerdictSchemaDiffers:
		return t.Reason == ""
	default:
		return false
	}
}

// rowByRow reports whether a table was there on both sides, so that its rows could be
// compared.
func rowByRow(t *mirror.TableReport) bool {
	return settled(t) && t.Verdict != mirror.VerdictMissing && t.Verdict != mirror.VerdictExtra
}

// judge says what became of a table that both comparisons compared to its end.
func judge(before, after *mirror.Report, was, is *mirror.TableReport) (became, string) {
	wasSame, isSame := was.Verdict == mirror.VerdictIdentical, is.Verdict == mirror.VerdictIdentical
	if wasSame && isSame {
		return becameNothing, ""
	}
	deep, columns := depth(after)-depth(before), columnsWhy(was, is)
	switch {
	case isSame && deep < 0:
		return becameUntold, "the later one did not look so deep"
	case wasSame && deep > 0:
		return becameUntold, "the earlier one did not look so deep"
	case (isSame || wasSame) && columns != "":
		return becameUntold, columns
	case isSame:
		return becameMended, ""
	case wasSame:
		return becameNew, ""
	case deep != 0 || columns != "" || was.Truncated || is.Truncated:
		return otherVerdict(was, is), ""
	}
	return compareFindings(was, is), ""
}

// otherVerdict tells tables that differ by their verdicts alone.
func otherVerdict(was, is *mirror.TableReport) became {
	if was.Verdict != is.Verdict {
		return becameOther
	}
	return becameNothing
}

// compareFindings tells whether more or less of a table differs than did, where the counts
// of both comparisons mean the same.
func compareFindings(was, is *mirror.TableReport) became {
	if !rowByRow(was) || !rowByRow(is) {
		return otherVerdict(was, is)
	}
	worse, better := false, false
	compare := func(was, is int64) {
		worse, better = worse || is > was, better || is < was
	}
	compare(was.DifferingRows(), is.DifferingRows())
	if was.DifferingRows() == 0 && is.DifferingRows() == 0 { // they were only counted
		compare(apart(was), apart(is))
	}
	compare(int64(len(was.Schema)), int64(len(is.Schema)))
	if !worse && !better { // what is pending mends itself
		compare(was.DifferingRows()-was.Pending, is.DifferingRows()-is.Pending)
	}
	switch {
	case worse && better:
		return becameOther
	case worse:
		return becameWorse
	case better:
		return becameBetter
	case was.Missing != is.Missing || was.Extra != is.Extra || was.Changed != is.Changed || was.Duplicate != is.Duplicate ||
		was.Diverged != is.Diverged || !slices.Equal(was.Schema, is.Schema) || was.Verdict != is.Verdict:
		return becameOther
	default:
		return becameNothing
	}
}

func apart(t *mirror.TableReport) int64 {
	return max(t.SourceRows-t.MirrorRows, t.MirrorRows-t.SourceRows)
}

// depth orders depths.
func depth(r *mirror.Report) int {
	return slices.Index([]mirror.Depth{mirror.DepthSchema, mirror.DepthCount, mirror.DepthRows}, r.Depth)
}

// columnsWhy says why what two comparisons found of a table cannot be told apart from what
// they looked at: they left out other columns. "" for none.
func columnsWhy(was, is *mirror.TableReport) string {
	names := func(t *mirror.TableReport) (all []string) {
		for _, o := range t.NotCompared {
			all = append(all, store.FoldName(o.Column))
		}
		slices.Sort(all)
		return all
	}
	if slices.Equal(names(was), names(is)) {
		return ""
	}
	return "they left out other columns"
}

// kept reports whether a report has every key that differs.
func kept(t *mirror.TableReport) bool {
	var n int64
	for _, d := range t.Differences {
		n += d.Rows
	}
	return n == t.DifferingRows() && !t.Truncated
}

// less are the keys that differ in one report of a table and not in another. Keys of rows
// that a recheck found to be the same by now do not differ.
func less(t, without *mirror.TableReport) (only []mirror.Difference) {
	other := map[string]bool{}
	for _, d := range without.Differences {
		if d.State != mirror.DiffArrived {
			other[keyOf(d)] = true
		}
	}
	for _, d := range t.Differences {
		if d.State != mirror.DiffArrived && !other[keyOf(d)] {
			only = append(only, d)
		}
	}
	return only
}

// keyOf identifies the row of a difference, whatever its values are.
func keyOf(d mirror.Difference) string {
	var b []byte
	for _, cell := range d.Key {
		value := fmt.Sprint(cell.Value)
		b = fmt.Appendf(b, "%T %d:%s", cell.Value, len(value), value)
	}
	return string(b)
}
