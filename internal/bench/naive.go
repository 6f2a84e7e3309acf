package main

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
)

// contact is what a service would declare to compare contacts by itself.
type contact struct {
	ContactID             int64          `db:"contact_id"`
	Name                  string         `db:"name"`
	Kananame              sql.NullString `db:"kananame"`
	Department            sql.NullString `db:"department"`
	Number1               sql.NullString `db:"number1"`
	Number2               sql.NullString `db:"number2"`
	AssociateID           sql.NullInt64  `db:"associate_id"`
	CountryID             int64          `db:"country_id"`
	BusinessIdx           int64          `db:"business_idx"`
	CategoryIdx           int64          `db:"category_idx"`
	Xstop                 sql.NullInt64  `db:"xstop"`
	Nomailing             sql.NullInt64  `db:"nomailing"`
	Registered            time.Time      `db:"registered"`
	RegisteredAssociateID int64          `db:"registered_associate_id"`
	Updated               time.Time      `db:"updated"`
	UpdatedAssociateID    int64          `db:"updated_associate_id"`
	TextID                sql.NullInt64  `db:"text_id"`
	MotherID              sql.NullInt64  `db:"mother_id"`
	UserdefID             sql.NullInt64  `db:"userdef_id"`
	OrgNr                 sql.NullString `db:"orgNr"`
	SoundEx               sql.NullString `db:"soundEx"`
	Source                sql.NullInt64  `db:"source"`
	Userdef2ID            sql.NullInt64  `db:"userdef2_id"`
	ActiveInterests       sql.NullInt64  `db:"activeInterests"`
	UpdatedCount          int64          `db:"updatedCount"`
	GroupID               sql.NullInt64  `db:"group_id"`
	TzLocationID          sql.NullInt64  `db:"tzLocationId"`
	TicketPriorityID      sql.NullInt64  `db:"ticketPriorityId"`
	Deleted               sql.NullInt64  `db:"deleted"`
	SupportLanguageID     sql.NullInt64  `db:"supportLanguageId"`
	SupportAssociateID    sql.NullInt64  `db:"supportAssociateId"`
	SupportPersonID       sql.NullInt64  `db:"supportPersonId"`
	DbiAgentID            sql.NullInt64  `db:"dbi_agent_id"`
	DbiKey                sql.NullString `db:"dbi_key"`
	DbiLastSyncronized    sql.NullTime   `db:"dbi_last_syncronized"`
	DbiLastModified       sql.NullTime   `db:"dbi_last_modified"`
	ActiveErpLinks        sql.NullInt64  `db:"activeErpLinks"`
	DeletedDate           sql.NullTime   `db:"DeletedDate"`
}

// contact6 and contact1 are the same for a table with fewer columns.
type contact6 struct {
	ContactID   int64          `db:"contact_id"`
	Name        string         `db:"name"`
	CategoryIdx int64          `db:"category_idx"`
	Registered  time.Time      `db:"registered"`
	Updated     time.Time      `db:"updated"`
	OrgNr       sql.NullString `db:"orgNr"`
}

type contact1 struct {
	ContactID int64 `db:"contact_id"`
}

// naiveOf returns the program for a table with so many columns.
func naiveOf(columns int) func(ctx context.Context, source, mirrored *sqlx.DB, want int) (changed int64, err error) {
	switch columns {
	case 1:
		return func(ctx context.Context, source, mirrored *sqlx.DB, want int) (int64, error) {
			return compareStructs(ctx, source, mirrored, want, func(c *contact1) int64 { return c.ContactID })
		}
	case 6:
		return func(ctx context.Context, source, mirrored *sqlx.DB, want int) (int64, error) {
			return compareStructs(ctx, source, mirrored, want, func(c *contact6) int64 { return c.ContactID })
		}
	default:
		return compareNaively
	}
}

// compareNaively is what this library is measured against: select both tables,
// put one of them into a map, and compare structs. Its authors would stop here.
func compareNaively(ctx context.Context, source, mirrored *sqlx.DB, want int) (changed int64, err error) {
	return compareStructs(ctx, source, mirrored, want, func(c *contact) int64 { return c.ContactID })
}

func compareStructs[T comparable](ctx context.Context, source, mirrored *sqlx.DB, want int, key func(*T) int64) (changed int64, err error) {
	const query = "SELECT * FROM contact"
	var sourceRows, mirrorRows []T
	if err := source.SelectContext(ctx, &sourceRows, query); err != nil {
		return 0, err
	}
	if err := mirrored.SelectContext(ctx, &mirrorRows, query); err != nil {
		return 0, err
	}
	byKey := make(map[int64]*T, len(mirrorRows))
	for i := range mirrorRows {
		byKey[key(&mirrorRows[i])] = &mirrorRows[i]
	}
	missing := 0
	for i := range sourceRows {
		other, ok := byKey[key(&sourceRows[i])]
		switch {
		case !ok:
			missing++
		case sourceRows[i] != *other:
			changed++
		}
	}
	if len(sourceRows) != want || len(mirrorRows) != want || missing > 0 {
		return 0, fmt.Errorf("read %d and %d rows, not %d, and %d are missing", len(sourceRows), len(mirrorRows), want, missing)
	}
	return changed, nil
}
