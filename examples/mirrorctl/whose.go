package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store"
)

// changedDatabase says which database a receipt is about. Receipts say so themselves by
// now: earlier versions wrote this down beside them.
type changedDatabase struct {
	Receipt  string `json:"receipt"`  // its ID
	Database string `json:"database"` // store.Identity.ID
}

func (s state) databasesPath() string { return filepath.Join(s.dir, "databases.jsonl") }

// databaseOf returns the database that a receipt is about. Its ID is "" where nobody knows.
func (s state) databaseOf(r *mirror.Receipt) store.Identity {
	database := r.Mirror
	if database.ID != "" {
		return database
	}
	lines, _ := linesOf[changedDatabase](s.databasesPath())
	for _, c := range lines {
		if c.Receipt == r.ID {
			database.ID = c.Database
		}
	}
	return database
}

// sameDatabase refuses a document of another mirror of the customer before anyone is asked
// to confirm it.
func (t *target) sameDatabase(ctx context.Context, path string, of store.Identity) error {
	if err := t.m.CheckDatabase(ctx, of); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
