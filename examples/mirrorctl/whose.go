package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"

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
	file, err := os.OpenFile(s.databasesPath(), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	err = json.NewEncoder(file).Encode(changedDatabase{receipt, database})
	return errors.Join(err, file.Close())
}

// databaseOf returns the database that a receipt is about, "" where nobody knows.
func (s state) databaseOf(receipt string) (database string) {
	data, err := os.ReadFile(s.databasesPath())
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(data)) {
		var c changedDatabase
		if json.Unmarshal([]byte(line), &c) == nil && c.Receipt == receipt {
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
