package console

import (
	"context"
	"encoding/json"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/so-mirror/mirror"
)

// recorder is the mirror.Journal of a job: its entries are on disk before the change is
// committed, with who asked for it.
type recorder struct {
	*state
	actor string
	job   int64
}

// Append implements mirror.Journal.
func (r recorder) Append(ctx context.Context, e mirror.JournalEntry) error {
	entry, err := json.Marshal(e)
	if err != nil {
		return err
	}
	_, err = r.durable.ExecContext(ctx, "INSERT INTO journal (member, actor, job, operation, event, time, entry) VALUES (?,?,?,?,?,?,?)",
		fold(e.ContextID), r.actor, r.job, e.ID, e.Event, millis(e.Time), entry)
	return err
}

// journaled is an entry of the journal.
type journaled struct {
	ID    int64
	Actor string
	Job   int64
	Entry mirror.JournalEntry

	// Outcome is what was found out of an intent whose end the journal does not have,
	// "" for nothing.
	Outcome mirror.Outcome
}

type journalRow struct {
	ID      int64  `db:"id"`
	Actor   string `db:"actor"`
	Job     int64  `db:"job"`
	Entry   []byte `db:"entry"`
	Outcome string `db:"outcome"`
}

func journaledOf(rows []journalRow) ([]journaled, error) {
	all := make([]journaled, 0, len(rows))
	for _, r := range rows {
		j := journaled{ID: r.ID, Actor: r.Actor, Job: r.Job, Outcome: mirror.Outcome(r.Outcome)}
		if err := json.Unmarshal(r.Entry, &j.Entry); err != nil {
			return nil, err
		}
		all = append(all, j)
	}
	return all, nil
}

const journalColumns = "j.id, j.actor, j.job, j.entry, coalesce(r.outcome, '') AS outcome FROM journal j LEFT JOIN reconciled r ON r.operation = j.operation"

// operationEntry is one operation of the journal, with its intent.
type operationEntry struct {
	journaled

	Ended  mirror.JournalEvent // "" where the journal has no end
	EndAt  time.Time
	There  bool  // its job is not cleaned up
	Undone int64 // the job that took it back
}

// operations returns the operations of a member, or of all for "", the newest first.
func (s *state) operations(ctx context.Context, member string, before int64, limit int) ([]operationEntry, error) {
	var rows []struct {
		journalRow
		Ended  string `db:"ended"`
		EndAt  int64  `db:"endat"`
		There  bool   `db:"there"`
		Undone int64  `db:"undone"`
	}
	err := s.reads.SelectContext(ctx, &rows, `SELECT j.id, j.actor, j.job, j.entry, coalesce(r.outcome, '') AS outcome,
			coalesce(e.event, '') AS ended, coalesce(e.time, r.time, 0) AS endat, k.id IS NOT NULL AS there, coalesce(json_extract(k.summary, '$.undone'), 0) AS undone
		FROM journal j LEFT JOIN reconciled r ON r.operation = j.operation LEFT JOIN job k ON k.id = j.job
			LEFT JOIN journal e ON e.id = (SELECT max(id) FROM journal WHERE operation = j.operation AND event <> 'intent')
		WHERE j.event = 'intent' AND (?='' OR j.member=?) AND (?=0 OR j.id<?) ORDER BY j.id DESC LIMIT ?`, member, member, before, before, limit)
	if err != nil {
		return nil, err
	}
	all := make([]operationEntry, 0, len(rows))
	for _, r := range rows {
		j, err := journaledOf([]journalRow{r.journalRow})
		if err != nil {
			return nil, err
		}
		all = append(all, operationEntry{j[0], mirror.JournalEvent(r.Ended), timeOf(r.EndAt), r.There, r.Undone})
	}
	return all, nil
}

// entries returns all entries of a member, in their order.
func (s *state) entries(ctx context.Context, member string) ([]journaled, error) {
	var rows []journalRow
	if err := s.reads.SelectContext(ctx, &rows, "SELECT "+journalColumns+" WHERE j.member=? ORDER BY j.id", member); err != nil {
		return nil, err
	}
	return journaledOf(rows)
}

// open returns the intents without an end that were not reconciled, of a member or of all
// for "", the oldest first.
func (s *state) open(ctx context.Context, member string) ([]journaled, error) {
	var rows []journalRow
	err := s.reads.SelectContext(ctx, &rows, "SELECT "+journalColumns+` WHERE (?='' OR j.member=?) AND j.event='intent' AND r.operation IS NULL
		AND NOT EXISTS (SELECT 1 FROM journal e WHERE e.operation=j.operation AND e.event<>'intent') ORDER BY j.id`, member, member)
	if err != nil {
		return nil, err
	}
	return journaledOf(rows)
}

// reconcile keeps what was found out of operations. One that was overtaken is known to be
// unknowable, and so is closed, too.
func (s *state) reconcile(ctx context.Context, found map[string]mirror.Outcome, at time.Time) error {
	return s.tx(ctx, func(tx *sqlx.Tx) error {
		for operation, outcome := range found {
			if _, err := tx.ExecContext(ctx, "INSERT OR REPLACE INTO reconciled (operation, outcome, time) VALUES (?,?,?)", operation, outcome, millis(at)); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *state) tx(ctx context.Context, do func(tx *sqlx.Tx) error) error {
	tx, err := s.db.BeginTxx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := do(tx); err != nil {
		return err
	}
	return tx.Commit()
}
