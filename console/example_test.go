package console_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/console"
	"github.com/so-mirror/mirror/fleet"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

// A service mounts the console beside its own pages, and shows the comparisons that it
// makes itself there.
func ExampleOpen() {
	dir, err := os.MkdirTemp("", "console")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	contact := memory.Table{Name: "contact", Columns: []string{"contact_id int"}, Key: []string{"contact_id"}, Rows: []store.Row{{1}, {2}}}
	source, copied := memory.New(contact), memory.New(contact, memory.Metadata("Cust10195", map[string]store.LSN{"contact": 812}))
	member := fleet.Member{ContextID: "Cust10195", Open: func(context.Context) (*fleet.Connection, error) {
		m, err := mirror.New("Cust10195", copied, nil)
		return &fleet.Connection{Mirror: m, Source: source}, err
	}}

	c, err := console.Open(filepath.Join(dir, "console.db"), &fleet.Fleet{Members: []fleet.Member{member}}, &console.Options{BasePath: "/console"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	mux := http.NewServeMux()
	mux.Handle("/console/", c)
	server := httptest.NewServer(mux)
	defer server.Close()

	conn, err := member.Open(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	report, err := conn.Mirror.Compare(context.Background(), conn.Source, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := c.Record(context.Background(), report); err != nil {
		fmt.Println(err)
		return
	}
	answer, err := http.Get(server.URL + "/console/mirrors/Cust10195/comparisons/1")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer answer.Body.Close()
	fmt.Println(answer.Status)
	// Output: 200 OK
}
