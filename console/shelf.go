package console

import (
	"bytes"
	"html/template"
	"slices"
	"sync"
	"time"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/htmlreport"
)

// reportPart is what the page of a comparison shows of its report.
type reportPart struct {
	html             template.HTML
	plan             *mirror.Plan // nobody changes it
	acts             bool         // it resets something
	unknown          int64        // rows that a recheck can find out about
	compared, tables int
}

// partOf makes the part of a report.
func partOf(r *mirror.Report) (*reportPart, error) {
	plan := r.Plan()
	var b bytes.Buffer
	if err := htmlreport.WriteComparePart(&b, r, plan); err != nil {
		return nil, err
	}
	return &reportPart{template.HTML(b.String()), plan, !plan.Empty(), r.Unknown(), r.Scope.Compared, len(r.Tables)}, nil
}

// maxShelf is how many bytes of reports are kept as they were last shown: to read and lay
// out a large one takes about a tenth of a second, and several people look at one.
const maxShelf = 8 << 20

// shelf keeps the parts of the reports that were looked at last.
type shelf struct {
	mu    sync.Mutex
	parts []shelved // the last used at the end
	size  int
}

type shelved struct {
	id   int64
	at   time.Time // a comparison that is gone on with ends again
	part *reportPart
}

// get returns the part of a comparison's report, nil for none.
func (s *shelf) get(j job) *reportPart {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.parts, func(p shelved) bool { return p.id == j.ID && p.at.Equal(j.Ended) })
	if i < 0 {
		return nil
	}
	p := s.parts[i]
	s.parts = append(slices.Delete(s.parts, i, i+1), p)
	return p.part
}

// put keeps a part, and drops those that were not used for longest.
func (s *shelf) put(j job, part *reportPart) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.parts = slices.DeleteFunc(s.parts, func(p shelved) bool {
		if p.id == j.ID {
			s.size -= len(p.part.html)
		}
		return p.id == j.ID
	})
	s.parts = append(s.parts, shelved{j.ID, j.Ended, part})
	s.size += len(part.html)
	for s.size > maxShelf {
		s.size -= len(s.parts[0].part.html)
		s.parts = slices.Delete(s.parts, 0, 1)
	}
}

// reportPart returns the part of a comparison's report, which is read at most once.
func (c *Console) reportPart(v *visit, j job) (*reportPart, error) {
	if part := c.shelf.get(j); part != nil {
		return part, nil
	}
	r, err := documentOf[mirror.Report](v.Context(), c.state, j.ID)
	if err != nil {
		return nil, err
	}
	part, err := partOf(r)
	if err == nil {
		c.shelf.put(j, part)
	}
	return part, err
}
