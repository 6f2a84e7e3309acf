//go:build !race

package console

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/internal/browsertest"
	"github.com/so-mirror/mirror/internal/crm"
	"github.com/so-mirror/mirror/store"
)

var update = flag.Bool("update", false, "take the pictures in docs anew")

// TestDocs takes the pictures that README shows. They are not compared, as other fonts draw
// other letters.
func TestDocs(t *testing.T) {
	if !*update {
		t.Skip("takes the pictures in docs with -update")
	}
	ids := []string{"Cust10195", "Cust10231", "Cust11004", "Cust11670", "Cust12008", "Cust12553", "Cust13117"}
	w := newWorld(t, ids...)
	w.opts.Tokens = map[string]string{"ada": adasToken}
	w.open()
	c := w.customers["Cust10195"]
	c.lose(t, "contact", 12)
	c.rename(t, "person", 31)
	w.customers["Cust11004"].lose(t, "document", 3)
	compared := map[string]int64{}
	for _, id := range ids[:6] {
		compared[id] = w.run(job{Member: id, Kind: kindComparison}).ID
	}
	w.run(job{Member: "Cust11004", Kind: kindChange, Request: request{Of: compared["Cust11004"], Change: change{Operation: opApply}}})
	w.customers["Cust12008"].onOpen(func(context.Context) error {
		return errors.New("mssql: login error: Login failed for user 'mirror_reader'")
	})
	for _, m := range w.c.order {
		_ = w.c.lookAt(t.Context(), m)
	}
	b := browsertest.New(t)
	b.Visit(w.server.URL + "/login")
	browsertest.Eval[bool](b, fmt.Sprintf(`(() => { document.querySelector("#f-token").value = %q; document.forms[0].submit(); return true })()`, adasToken))
	until(t, b, `document.querySelector("h1")?.textContent === "Mirrors"`)
	for name, path := range map[string]string{"mirrors": "/", "mirror": "/mirrors/Cust10195"} {
		b.Visit(w.server.URL + path)
		for _, scheme := range []string{"light", "dark"} {
			b.Look(1100, 1200, scheme, "screen")
			bottom := browsertest.Eval[int](b, `document.querySelector("main").getBoundingClientRect().bottom | 0`)
			small := browsertest.Quantized(t, b.Picture(0, 1100, bottom))
			require.Less(t, len(small), 150_000)
			require.NoError(t, os.WriteFile("../docs/console-"+name+"-"+scheme+".png", small, 0o644))
		}
	}
	b.Quiet()
}

// rename gives rows of the mirror another title.
func (c *customer) rename(t testing.TB, table string, n int) {
	t.Helper()
	def, ok := crm.Table(table)
	require.True(t, ok)
	require.NoError(t, c.mirror.Update(t.Context(), func(tx store.Tx) error {
		for i := range n {
			row := crm.Row(def, i, crm.Options{Contacts: worldContacts})
			if _, err := tx.Set(t.Context(), def, []store.Cell{{Column: def.Key[0], Value: row[0]}}, []store.Cell{{Column: "title", Value: "Trainee"}}); err != nil {
				return err
			}
		}
		return nil
	}))
}
