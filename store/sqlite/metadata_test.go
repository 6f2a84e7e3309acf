package sqlite_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store"
)

// dataOf is every row of a table as SQLite stores it, its number included.
func dataOf(t *testing.T, db *sqlx.DB, table string, columns ...string) []string {
	t.Helper()
	exprs := []string{"quote(rowid)"}
	for _, c := range columns {
		exprs = append(exprs, "quote("+c+")")
	}
	var rows []string
	require.NoError(t, db.Select(&rows, fmt.Sprintf("SELECT %s FROM %q ORDER BY rowid", strings.Join(exprs, " || ' ' || "), table)))
	return rows
}

func newMirror(t *testing.T, st store.Store) *mirror.Mirror {
	t.Helper()
	m, err := mirror.New("C1", st, nil)
	require.NoError(t, err)
	return m
}

func throughJSON(t *testing.T, r *mirror.Receipt) *mirror.Receipt {
	t.Helper()
	text, err := json.Marshal(r)
	require.NoError(t, err)
	var back mirror.Receipt
	require.NoError(t, json.Unmarshal(text, &back))
	return &back
}

// Undo of a whole hard reset brings back what the library knows nothing about.
func TestUndoOfHardResetIsExact(t *testing.T) {
	db, st := database(t, `
		CREATE TABLE contact (contact_id int PRIMARY KEY);
		CREATE TABLE "C1_mirroring" (
			id INTEGER PRIMARY KEY AUTOINCREMENT,
			tablename nvarchar(128) NOT NULL CONSTRAINT one UNIQUE,
			LSN bigint NOT NULL CHECK (LSN >= -1),
			twice AS (LSN * 2) STORED,
			at datetime DEFAULT (strftime('%Y', 'now') || '-01-01'),
			shape geometry);
		CREATE INDEX ix ON "C1_mirroring" (LSN DESC) WHERE LSN > 0;
		CREATE TABLE log (name text);
		CREATE TRIGGER tr AFTER UPDATE ON "C1_mirroring" BEGIN INSERT INTO log VALUES (new.tablename); END;
		CREATE VIEW lsns AS SELECT tablename, LSN FROM C1_mirroring;
		INSERT INTO "C1_mirroring" (id, tablename, LSN, shape) VALUES (40, 'contact', 812, x'0102'), (41, 'dbo.person', 7, 'text')`)
	m := newMirror(t, st)
	columns := []string{"id", "tablename", "LSN", "twice", "at", "shape"}
	schema, rows := schemaOf(t, db), dataOf(t, db, "C1_mirroring", columns...)

	dry, err := m.HardReset(t.Context(), &mirror.HardResetOptions{DryRun: true})
	require.NoError(t, err)
	require.Empty(t, dry.NotUndone)
	require.Equal(t, schema, schemaOf(t, db))
	receipt, err := m.HardReset(t.Context(), &mirror.HardResetOptions{Confirm: "C1"})
	require.NoError(t, err)

	// A service that finds no table makes one of the same names.
	_, err = db.Exec(`CREATE TABLE C1_mirroring (tablename nvarchar(128) NOT NULL CONSTRAINT one UNIQUE, LSN bigint)`)
	require.NoError(t, err)
	var n int
	require.NoError(t, db.Get(&n, "SELECT COUNT(*) FROM lsns"))
	require.Zero(t, n, "a view of the name is of the new table")
	require.ErrorIs(t, m.Undo(t.Context(), receipt), mirror.ErrCannotUndo)
	db.MustExec("DROP TABLE C1_mirroring")

	require.NoError(t, m.Undo(t.Context(), throughJSON(t, receipt)))
	require.Equal(t, schema, schemaOf(t, db))
	require.Equal(t, rows, dataOf(t, db, "C1_mirroring", columns...))
	_, err = db.Exec("INSERT INTO C1_mirroring (tablename, LSN) VALUES ('sale', 5)")
	require.NoError(t, err)
	require.Contains(t, dataOf(t, db, "C1_mirroring", "id", "tablename")[2], "42")
	_, err = db.Exec("INSERT INTO C1_mirroring (tablename, LSN) VALUES ('contact', 5)")
	require.ErrorContains(t, err, "UNIQUE")
	_, err = db.Exec("INSERT INTO C1_mirroring (tablename, LSN) VALUES ('log', -2)")
	require.ErrorContains(t, err, "CHECK")
	db.MustExec("UPDATE C1_mirroring SET LSN = 6 WHERE tablename = 'sale'")
	require.Len(t, dataOf(t, db, "log", "name"), 1, "the trigger is there")
}

// A constraint of the metadata table is found before anything is touched, and by
// a dry run.
func TestConstraintsOfMetadata(t *testing.T) {
	for name, c := range map[string]struct {
		lsn, more, want string
		tables          []string
	}{
		"CHECK":            {"bigint CONSTRAINT positive CHECK (LSN >= 0)", "", "CHECK constraint failed: positive", []string{"contact"}},
		"a CHECK no name":  {"bigint CHECK (LSN >= 0)", "", "CHECK constraint failed: LSN >= 0", []string{"contact"}},
		"UNIQUE":           {"bigint UNIQUE", "", "UNIQUE constraint failed: C1_mirroring.LSN", []string{"contact", "person"}},
		"a unique index":   {"bigint", "CREATE UNIQUE INDEX ix ON C1_mirroring (LSN)", "UNIQUE constraint failed: C1_mirroring.LSN", []string{"contact", "person"}},
		"a trigger":        {"bigint", "CREATE TRIGGER tr BEFORE UPDATE ON C1_mirroring BEGIN SELECT RAISE(ABORT, 'not by hand'); END", "not by hand", []string{"contact"}},
		"an unsigned type": {"tinyint", "", `column "LSN" is tinyint`, []string{"contact"}},
	} {
		t.Run(name, func(t *testing.T) {
			db, st := database(t, `CREATE TABLE contact (id int); CREATE TABLE person (id int); INSERT INTO contact VALUES (1), (2);
				CREATE TABLE C1_mirroring (tablename nvarchar(128), LSN `+c.lsn+`);
				INSERT INTO C1_mirroring VALUES ('contact', 8), ('person', 9);`+c.more)
			m := newMirror(t, st)
			for _, opts := range []mirror.ResetOptions{{}, {DryRun: true}, {Truncate: true}, {Truncate: true, DryRun: true}} {
				_, err := m.ResetTables(t.Context(), c.tables, &opts)
				require.ErrorIs(t, err, mirror.ErrMetadata)
				require.ErrorContains(t, err, c.want)
				require.ErrorContains(t, err, "HardReset of that table deletes its metadata row instead")
				require.Equal(t, []string{"1 'contact' 8", "2 'person' 9"}, dataOf(t, db, "C1_mirroring", "tablename", "LSN"))
				require.Len(t, dataOf(t, db, "contact", "id"), 2)
			}
			_, err := m.HardReset(t.Context(), &mirror.HardResetOptions{Confirm: "C1", Tables: c.tables})
			require.NoError(t, err)
		})
	}
	t.Run("rows that cannot be deleted", func(t *testing.T) {
		db, st := database(t, `CREATE TABLE contact (id int);
			CREATE TABLE C1_mirroring (tablename nvarchar(128), LSN bigint); INSERT INTO C1_mirroring VALUES ('contact', 8);
			CREATE TRIGGER tr BEFORE DELETE ON C1_mirroring BEGIN SELECT RAISE(ABORT, 'kept'); END`)
		for _, dry := range []bool{true, false} {
			_, err := newMirror(t, st).HardReset(t.Context(), &mirror.HardResetOptions{Confirm: "C1", Tables: []string{"contact"}, DropData: true, DryRun: dry})
			require.ErrorIs(t, err, mirror.ErrMetadata)
			require.ErrorContains(t, err, "kept")
			require.ErrorContains(t, err, "HardReset of the whole mirror")
		}
		require.Len(t, schemaOf(t, db), 3)
	})
}

// SQLite holds values of any type in a column: names that are blobs, and LSNs
// that are text. They are called that, and nothing of them is lost.
func TestMetadataOfOtherTypes(t *testing.T) {
	db, st := database(t, `CREATE TABLE contact (id int); CREATE TABLE person (id int); CREATE TABLE sale (id int); CREATE TABLE log (id int); CREATE TABLE project (id int);
		CREATE TABLE C1_mirroring (tablename nvarchar(128), LSN bigint, at datetime, flag bit);
		INSERT INTO C1_mirroring VALUES (x'636f6e74616374', 5, 'never', 'true'), ('person', 'five', '2026-01-01 00:00:00', 1),
			('sale', 5.5, NULL, 2), (CAST('dbo.log' AS BLOB), x'05', NULL, NULL), ('project', NULL, NULL, NULL)`)
	columns := []string{"tablename", "LSN", "at", "flag"}
	before := dataOf(t, db, "C1_mirroring", columns...)
	m := newMirror(t, st)
	status, err := m.Status(t.Context())
	require.NoError(t, err)
	want := map[string]string{
		"contact": "", "person": `its LSN is text, "five", and not an integer: reset it`, "sale": "its LSN is 5.5, which is no integer: reset it",
		"log": "its LSN is stored as bytes, 0x05, and not as an integer: reset it", "project": "its LSN is NULL: reset it",
	}
	got := map[string]string{}
	for _, ts := range status.Tables {
		got[ts.Table] = ts.Reason
	}
	require.Equal(t, want, got)

	tables := []string{"contact", "person", "sale", "log", "project"}
	receipt, err := m.ResetTables(t.Context(), tables, nil)
	require.NoError(t, err)
	require.Contains(t, receipt.String(), `its LSN is text, "five", and not an integer`)
	var lsns []int
	require.NoError(t, db.Select(&lsns, "SELECT LSN FROM C1_mirroring"))
	require.Equal(t, []int{-1, -1, -1, -1, -1}, lsns)
	again, err := m.ResetTables(t.Context(), tables, nil)
	require.NoError(t, err)
	require.Equal(t, store.ResendAll, *again.Tables[1].LSN)
	require.NoError(t, m.Undo(t.Context(), throughJSON(t, receipt)))
	require.Equal(t, before, dataOf(t, db, "C1_mirroring", columns...))

	receipt, err = m.HardReset(t.Context(), &mirror.HardResetOptions{Confirm: "C1", Tables: tables})
	require.NoError(t, err)
	require.Contains(t, receipt.String(), `its LSN is text, "five", and not an integer`)
	require.Empty(t, dataOf(t, db, "C1_mirroring", columns...))
	require.NoError(t, m.Undo(t.Context(), throughJSON(t, receipt)))
	require.Equal(t, before, dataOf(t, db, "C1_mirroring", columns...))

	receipt, err = m.HardReset(t.Context(), &mirror.HardResetOptions{Confirm: "C1"})
	require.NoError(t, err)
	require.Contains(t, receipt.String(), `its LSN is text, "five", and not an integer`)
	require.NoError(t, m.Undo(t.Context(), throughJSON(t, receipt)))
	require.Equal(t, before, dataOf(t, db, "C1_mirroring", columns...))
}

// The LSN of a file that another program made.
func TestTypesOfLSN(t *testing.T) {
	for _, typ := range []string{"INTEGER", "int", "numeric(18,0)", "NUMERIC(18)", "decimal_text(18,0)", ""} {
		t.Run(typ, func(t *testing.T) {
			db, st := database(t, `CREATE TABLE contact (id int); CREATE TABLE C1_mirroring (tablename, LSN `+typ+`);
				INSERT INTO C1_mirroring VALUES ('contact', 812)`)
			m, before := newMirror(t, st), dataOf(t, db, "C1_mirroring", "LSN")
			status, err := m.Status(t.Context())
			require.NoError(t, err)
			require.EqualValues(t, 812, *status.Tables[0].LSN)
			receipt, err := m.ResetTables(t.Context(), []string{"contact"}, nil)
			require.NoError(t, err)
			var lsn int
			require.NoError(t, db.Get(&lsn, "SELECT LSN FROM C1_mirroring"))
			require.Equal(t, -1, lsn)
			require.NoError(t, m.Undo(t.Context(), throughJSON(t, receipt)))
			require.Equal(t, before, dataOf(t, db, "C1_mirroring", "LSN"))
		})
	}
}

// What a trigger makes of a write is read before the transaction ends.
func TestTriggersOfMetadata(t *testing.T) {
	const (
		reset  = "reset"
		remove = "delete"
		undo   = "undo"
	)
	for name, c := range map[string]struct{ trigger, refused, says string }{
		"an LSN is set back": {
			`AFTER UPDATE ON C1_mirroring WHEN new.LSN = -1 BEGIN UPDATE C1_mirroring SET LSN = old.LSN WHERE tablename = old.tablename; END`,
			reset, `"contact" has LSN 812 after it was set to -1: a trigger of the metadata table changes it`,
		},
		"a row is deleted instead": {
			`AFTER UPDATE ON C1_mirroring BEGIN DELETE FROM C1_mirroring WHERE tablename = old.tablename; END`,
			reset, `"contact" has 0 metadata rows after a write that leaves 1: a trigger of the metadata table changes that`,
		},
		"a deleted row comes back": {
			`AFTER DELETE ON C1_mirroring BEGIN INSERT INTO C1_mirroring VALUES (old.tablename, old.LSN, old.n); END`,
			remove, `"contact" has 1 metadata rows after a write that leaves 0: a trigger of the metadata table changes that`,
		},
		"a truncation gives an LSN": {
			`AFTER DELETE ON contact BEGIN UPDATE C1_mirroring SET LSN = 5 WHERE tablename = 'contact'; END`,
			"truncate", `"contact" has LSN 5 after it was set to -1: a trigger of the metadata table changes it`,
		},
		"an LSN is not put back": {
			`AFTER UPDATE ON C1_mirroring WHEN new.LSN > -1 BEGIN UPDATE C1_mirroring SET LSN = -1 WHERE tablename = old.tablename; END`,
			undo + reset, `"contact" has LSN -1 after it was set to 812: a trigger of the metadata table changes it`,
		},
		"a row is put back with another LSN": {
			`AFTER INSERT ON C1_mirroring BEGIN UPDATE C1_mirroring SET LSN = 3 WHERE tablename = new.tablename; END`,
			undo + remove, `"contact" has LSN 3 after it was set to 812: a trigger of the metadata table changes it`,
		},
		"only another column changes": {`AFTER UPDATE ON C1_mirroring BEGIN UPDATE C1_mirroring SET n = n + 1 WHERE tablename = old.tablename; END`, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, st := database(t, `
				CREATE TABLE contact (contact_id int PRIMARY KEY);
				INSERT INTO contact VALUES (1);
				CREATE TABLE C1_mirroring (tablename nvarchar(128) NOT NULL, LSN bigint NOT NULL, n int);
				INSERT INTO C1_mirroring VALUES ('contact', 812, 0);
				CREATE TRIGGER tr `+c.trigger)
			m := newMirror(t, st)
			status := func() string {
				s, err := m.Status(t.Context())
				require.NoError(t, err)
				return s.String()
			}
			for op, do := range map[string]func(dryRun bool) (*mirror.Receipt, error){
				reset: func(dryRun bool) (*mirror.Receipt, error) {
					return m.ResetTables(t.Context(), []string{"contact"}, &mirror.ResetOptions{DryRun: dryRun})
				},
				remove: func(dryRun bool) (*mirror.Receipt, error) {
					return m.HardReset(t.Context(), &mirror.HardResetOptions{Confirm: "C1", Tables: []string{"contact"}, DryRun: dryRun})
				},
				"truncate": func(dryRun bool) (*mirror.Receipt, error) {
					return m.ResetTables(t.Context(), []string{"contact"}, &mirror.ResetOptions{Truncate: true, DryRun: dryRun})
				},
			} {
				if c.refused != op && c.refused != undo+op {
					continue
				}
				before := status()
				for _, dryRun := range []bool{true, false} {
					r, err := do(dryRun)
					if dryRun && op == "truncate" { // rows are not deleted for it
						continue
					}
					if c.refused == op {
						require.ErrorIs(t, err, mirror.ErrMetadata)
						require.ErrorContains(t, err, c.says)
						require.Nil(t, r)
						require.Equal(t, before, status())
						continue
					}
					require.NoError(t, err)
					if dryRun {
						continue
					}
					after := status()
					err = m.Undo(t.Context(), r)
					require.ErrorIs(t, err, mirror.ErrCannotUndo)
					require.ErrorContains(t, err, c.says)
					require.Equal(t, after, status())
				}
			}
			if c.refused == "" {
				_, err := m.ResetTables(t.Context(), []string{"contact"}, nil)
				require.NoError(t, err)
			}
		})
	}
}
