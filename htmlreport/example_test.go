package htmlreport_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/htmlreport"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

// A comparison as a file that can be mailed.
func Example() {
	ctx := context.Background()
	contact := func(rows ...store.Row) memory.Table {
		return memory.Table{Name: "contact", Columns: []string{"contact_id int", "name nvarchar(219)"}, Key: []string{"contact_id"}, Rows: rows}
	}
	source := memory.New(contact(store.Row{1, "Alfa"}, store.Row{2, "Bravo"}))
	m, err := mirror.New("Cust10195", memory.New(contact(store.Row{1, "Alfa"}), memory.Metadata("Cust10195", map[string]store.LSN{"contact": 7})), nil)
	if err != nil {
		log.Fatal(err)
	}
	report, err := m.Compare(ctx, source, nil)
	if err != nil {
		log.Fatal(err)
	}

	dir, err := os.MkdirTemp("", "report-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	f, err := os.Create(filepath.Join(dir, "report.html"))
	if err != nil {
		log.Fatal(err)
	}
	if err := htmlreport.WriteCompare(f, report, report.Plan()); err != nil {
		log.Fatal(err)
	}
	if err := f.Close(); err != nil {
		log.Fatal(err)
	}
	fmt.Println(report.Summary())
	// Output: 1 different.
}
