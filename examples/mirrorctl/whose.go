package main

import (
	"context"
	"path/filepath"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store"
)

// changedDatabase says which database a receipt is about, which the receipt itself does
// not: a customer can have several mirrors, and the LSNs of one are wrong for another.
type changedDatabase struct {
	Receipt  string `json:"receipt"`  // its ID
	Database string `json:"database"` // store.Identity.ID
}

func (s state) databasesPath() string { return filepath.Join(s.dir, "databases.jsonl") }

// remember notes which database a change is about, before it is committed.
func (s state) remember(receipt, database string) error {
	if database == "" {
		return nil
	}
	return addLines(s.databasesPath(), changedDatabase{receipt, database})
}

// databaseOf returns the database that a receipt is about, "" where nobody knows.
func (s state) databaseOf(receipt string) (database string) {
	lines, _ := linesOf[changedDatabase](s.databasesPath())
	for _, c := range lines {
		if c.Receipt == receipt {
			database = c.Database
		}
	}
	return database
}

// sameDatabase refuses a receipt of another mirror of the customer.
func (a *app) sameDatabase(ctx context.Context, t *target, path string, r *mirror.Receipt) error {
	was := a.state().databaseOf(r.ID)
	now, err := store.IdentityOf(ctx, t.store)
	if err == nil && was != "" && now.ID != "" && was != now.ID {
		err = refusef("%s is the receipt of another mirror than %s, whose LSNs are others: nothing was changed",
			path, side(mirror.Side{Identity: now, Role: "mirror", ContextID: t.context}, ""))
	}
	return err
}
