package console

import (
	"fmt"
	"html/template"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestShelf bounds what is kept, and does not show what a comparison was before it was gone
// on with.
func TestShelf(t *testing.T) {
	var s shelf
	at := time.Now()
	part := func(size int) *reportPart { return &reportPart{html: template.HTML(strings.Repeat("x", size))} }
	one := job{ID: 1, Ended: at}
	require.Nil(t, s.get(one))
	s.put(one, part(10))
	s.put(one, part(20))
	require.Equal(t, 20, s.size)
	require.Len(t, s.get(one).html, 20)
	require.Nil(t, s.get(job{ID: 1, Ended: at.Add(time.Second)}), "it was gone on with")

	s.put(job{ID: 2}, part(maxShelf-20))
	require.NotNil(t, s.get(one))
	s.put(job{ID: 3}, part(1))
	require.Nil(t, s.get(job{ID: 2}), "it was not looked at for longest")
	require.NotNil(t, s.get(one))
	s.put(job{ID: 4}, part(maxShelf+1))
	require.Nil(t, s.get(job{ID: 4}), "what is too large is not kept")
	require.Zero(t, s.size)
	require.Empty(t, s.parts)
}

// TestShelvedPage shows a report a second time as the first.
func TestShelvedPage(t *testing.T) {
	w := newWorld(t, "Cust1").open()
	w.customers["Cust1"].lose(t, "contact", 3)
	j := w.run(job{Member: "Cust1", Kind: kindComparison})
	path := fmt.Sprintf("/mirrors/Cust1/comparisons/%d", j.ID)
	first := w.get(path)
	require.Len(t, w.c.shelf.parts, 1)
	require.Equal(t, first, w.get(path))
	_, err := w.c.state.db.Exec("DELETE FROM job WHERE id=?", j.ID)
	require.NoError(t, err)
	require.Equal(t, 404, w.do(w.request("GET", path, nil)).code, "what was cleaned up is not shown")
}
