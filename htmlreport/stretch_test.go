package htmlreport_test

import (
	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store"
)

// stretch is temporary.
func stretch(r *mirror.Report) {
	for i := range r.Tables {
		t := &r.Tables[i]
		if len(t.Differences) == 0 || t.Keyless {
			continue
		}
		n := float64(max(t.SourceRows, t.MirrorRows))
		cell := func(v int64) []store.Cell { return []store.Cell{{Column: t.Key[0], Value: v}} }
		t.Range = &mirror.KeyRange{First: cell(1), Last: cell(int64(n))}
		for _, d := range t.Differences {
			id := d.Key[0].Value.(int64)
			at := float64(id-1) / (n - 1)
			if k := len(t.Stretches); k == 0 || at-t.Stretches[k-1].To > 0.012 {
				t.Stretches = append(t.Stretches, mirror.Stretch{First: d.Key, From: at})
			}
			s := &t.Stretches[len(t.Stretches)-1]
			s.Last, s.To = d.Key, at
			switch d.Kind {
			case mirror.DiffMissing:
				s.Missing += d.Rows
			case mirror.DiffExtra:
				s.Extra += d.Rows
			case mirror.DiffChanged:
				s.Changed += d.Rows
			default:
				s.Duplicate += d.Rows
			}
			if d.State == mirror.DiffPending {
				s.Pending += d.Rows
			}
		}
	}
}
