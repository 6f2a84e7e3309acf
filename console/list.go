package console

import (
	"encoding/json"
	"hash/fnv"
	"net/url"
	"strconv"
	"strings"

	"github.com/so-mirror/mirror/console/internal/ui"
	"github.com/so-mirror/mirror/internal/text"
)

// What the pages with lists share: the words that are looked for, and the pages.

// listQuery is what the address of a list says.
type listQuery struct {
	q     string // what names are to have in them
	state string // "" for all
	page  int    // from 1 on
}

const (
	maxSearch = 200
	maxPage   = 1 << 20
)

// listOf reads what a form or an address says. What makes no sense is left out: a list is
// for looking, and shows what it is narrowed to.
func listOf(form url.Values) listQuery {
	q := listQuery{q: text.Clip(strings.TrimSpace(strings.ToValidUTF8(form.Get("q"), "")), maxSearch), state: form.Get("state"), page: 1}
	if n, err := strconv.Atoi(form.Get("page")); err == nil && n > 1 {
		q.page = min(n, maxPage)
	}
	return q
}

// matches reports whether a folded name is looked for.
func (q listQuery) matches(folded string) bool {
	return q.q == "" || strings.Contains(folded, fold(q.q))
}

// address is where a list like this one is, with more names and values.
func (q listQuery) address(path string, more ...string) string {
	v := url.Values{}
	if q.q != "" {
		v.Set("q", q.q)
	}
	if q.state != "" {
		v.Set("state", q.state)
	}
	if q.page > 1 {
		v.Set("page", strconv.Itoa(q.page))
	}
	for i := 0; i+1 < len(more); i += 2 {
		v.Set(more[i], more[i+1])
	}
	if len(v) == 0 {
		return path
	}
	return path + "?" + v.Encode()
}

// of is the same list, narrowed to a state.
func (q listQuery) of(state string) listQuery {
	q.state, q.page = state, 1
	return q
}

// hidden is the same for a form.
func (q listQuery) hidden() []ui.Hidden {
	var all []ui.Hidden
	if q.q != "" {
		all = append(all, ui.Hidden{Name: "q", Value: q.q})
	}
	if q.state != "" {
		all = append(all, ui.Hidden{Name: "state", Value: q.state})
	}
	if q.page > 1 {
		all = append(all, ui.Hidden{Name: "page", Value: strconv.Itoa(q.page)})
	}
	return all
}

// paged cuts a page from a list. A page behind the last one is the last.
func paged[T any](all []T, q *listQuery, size int, path, label string) ([]T, ui.Pager) {
	q.page = max(1, min(q.page, (len(all)+size-1)/size))
	from := (q.page - 1) * size
	to := min(from+size, len(all))
	pager := ui.Pager{Label: label}
	if len(all) > size {
		pager.Text = count(from+1) + " to " + count(to) + " of " + count(len(all))
	}
	at := func(page int) string {
		to := *q
		to.page = page
		return to.address(path)
	}
	if from > 0 {
		pager.Previous = at(q.page - 1)
	}
	if to < len(all) {
		pager.Next = at(q.page + 1)
	}
	return all[from:to], pager
}

// digest tells whether a list still shows the same.
func digest(shown any) (string, error) {
	h := fnv.New64a()
	err := json.NewEncoder(h).Encode(shown)
	return strconv.FormatUint(h.Sum64(), 36), err
}
