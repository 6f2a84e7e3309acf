package console

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/so-mirror/mirror"
)

// keepLook keeps what a mirror said of itself.
func (s *state) keepLook(ctx context.Context, member string, l look, status *mirror.Status) error {
	var doc []byte
	var err error
	if status != nil {
		if doc, err = packed(status); err != nil {
			return err
		}
	}
	// The status of the last look that succeeded stays.
	_, err = s.db.ExecContext(ctx, `INSERT INTO look (member, time, error, document) VALUES (?,?,?,?)
		ON CONFLICT (member) DO UPDATE SET time=excluded.time, error=excluded.error, document=coalesce(excluded.document, document)`,
		member, millis(l.Time), l.Err, doc)
	return err
}

// looks returns the last look at each mirror.
func (s *state) looks(ctx context.Context) (map[string]look, error) {
	rows, err := s.reads.QueryxContext(ctx, "SELECT member, time, error, document FROM look")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := map[string]look{}
	for rows.Next() {
		var member, failed string
		var at int64
		var doc []byte
		if err := rows.Scan(&member, &at, &failed, &doc); err != nil {
			return nil, err
		}
		var status *mirror.Status
		if len(doc) > 0 && failed == "" {
			if status, err = unpacked[mirror.Status](doc); err != nil {
				return nil, err
			}
		}
		l := lookOf(status, nil, timeOf(at))
		l.Err = failed
		all[member] = l
	}
	return all, rows.Err()
}

// status returns what a mirror said of itself when that was read last, nil for never.
func (s *state) status(ctx context.Context, member string) (*mirror.Status, error) {
	var docs [][]byte
	if err := s.reads.SelectContext(ctx, &docs, "SELECT document FROM look WHERE member=? AND document IS NOT NULL", member); err != nil || len(docs) == 0 {
		return nil, err
	}
	return unpacked[mirror.Status](docs[0])
}

// lastJobs are the last jobs of each kind of each member that are over, of changes those that
// counts has.
const lastJobs = `SELECT max(id) FROM job WHERE state NOT IN ('queued', 'running')
	AND (kind<>'change' OR state='done' AND json_extract(request, '$.change.operation')<>'undo') GROUP BY member, kind`

// last returns the last job of each kind of each member that is over.
func (s *state) last(ctx context.Context) ([]job, error) {
	return s.selectJobs(ctx, "WHERE id IN ("+lastJobs+")")
}

// standing returns the last change of a member, or of each for "", that was done and not
// taken back.
func (s *state) standing(ctx context.Context, member string) ([]job, error) {
	return s.selectJobs(ctx, `WHERE id IN (SELECT max(id) FROM job WHERE kind='change' AND state='done' AND (?='' OR member=?)
		AND coalesce(json_extract(request, '$.change.operation'), '')<>'undo' AND coalesce(json_extract(summary, '$.undone'), 0)=0 GROUP BY member)`, member, member)
}

// cleanUp removes jobs that ended before a time, and the oldest comparisons where there are
// more than most of a mirror. The last job of each kind stays, and so do those that another
// one that stays is about, and changes whose end is not known. The journal keeps the entries
// of the changes that stay, and of the time.
func (s *state) cleanUp(ctx context.Context, before time.Time, most int) (n int64, err error) {
	err = s.tx(ctx, func(tx *sqlx.Tx) error {
		result, err := tx.ExecContext(ctx, `DELETE FROM job WHERE state NOT IN ('queued', 'running', 'unknown')
			AND id NOT IN (`+lastJobs+`)
			AND id NOT IN (SELECT json_extract(request, '$.of') FROM job WHERE json_extract(request, '$.of') IS NOT NULL AND (state IN ('queued', 'running', 'unknown') OR ended>=?))
			AND (ended<? OR kind IN ('comparison', 'recheck') AND (SELECT count(*) FROM job newer
				WHERE newer.member=job.member AND newer.kind IN ('comparison', 'recheck') AND newer.id>job.id)>=?)`,
			millis(before), millis(before), most)
		if err != nil {
			return err
		}
		if n, err = result.RowsAffected(); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM journal WHERE operation IN (
			SELECT operation FROM journal GROUP BY operation HAVING max(time)<? AND (count(CASE WHEN event<>'intent' THEN 1 END)>0 OR operation IN (SELECT operation FROM reconciled)))
			AND job NOT IN (SELECT id FROM job)`, millis(before))
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "DELETE FROM reconciled WHERE operation NOT IN (SELECT operation FROM journal)")
		return err
	})
	return n, err
}

// change keeps what was found out of a job.
func (s *state) change(ctx context.Context, id int64, do func(j *job)) (j job, err error) {
	err = s.tx(ctx, func(tx *sqlx.Tx) error {
		var r jobRow
		if err := tx.GetContext(ctx, &r, "SELECT "+jobColumns+" FROM job WHERE id=?", id); err != nil {
			return err
		}
		if j, err = r.job(); err != nil {
			return err
		}
		do(&j)
		summary, err := json.Marshal(j.Summary)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "UPDATE job SET state=?, summary=?, error=? WHERE id=?", j.Status, summary, j.Error, id)
		return err
	})
	return j, err
}

// undone marks a change that another one took back.
func (c *Console) undone(ctx context.Context, id, by int64) error {
	j, err := c.state.change(context.WithoutCancel(ctx), id, func(j *job) { j.Summary.Undone = by })
	if m := c.members[j.Member]; err == nil && m != nil { // or it is no longer configured
		m.ended(j)
	}
	return err
}

// settle marks a change with what was found out of it after its process had ended, and
// keeps its receipt from the journal.
func (c *Console) settle(ctx context.Context, id int64, outcome mirror.Outcome) error {
	j, err := c.state.change(ctx, id, func(j *job) {
		j.Summary.Outcome = outcome
		switch outcome {
		case mirror.OutcomeDone:
			j.Status, j.Error = statusDone, "The process ended while it was made. The database says that it was done."
		case mirror.OutcomeNotDone:
			j.Status, j.Error = statusFailed, "The process ended while it was made. The database says that nothing was changed."
		default:
			j.Status, j.Error = statusUnknown, "The process ended while it was made, and the database no longer tells: its metadata rows were written since."
		}
	})
	if isNoRow(err) {
		return nil // it was cleaned up
	}
	if err != nil {
		return err
	}
	if j.Request.Change.Operation == opUndo {
		if outcome == mirror.OutcomeDone {
			return c.undone(ctx, j.Request.Of, j.ID)
		}
		return nil
	}
	receipt, err := c.state.receiptOf(ctx, id)
	if err != nil || receipt == nil {
		return err
	}
	doc, err := packed(receipt)
	if err != nil {
		return err
	}
	_, err = c.state.db.ExecContext(ctx, "UPDATE job SET document=? WHERE id=? AND document IS NULL", doc, id)
	return err
}

// ended finds out from the journal how a change ended that the process did not live to see.
func (c *Console) ended(ctx context.Context, j job) error {
	event, err := c.state.lastEvent(ctx, j.ID)
	if err != nil {
		return err
	}
	j.Ended = c.now()
	j.Status = statusUnknown
	if err := c.state.update(ctx, &j); err != nil {
		return err
	}
	switch event {
	case mirror.JournalDone:
		return c.settle(ctx, j.ID, mirror.OutcomeDone)
	case mirror.JournalIntent:
		_, err := c.state.change(ctx, j.ID, func(j *job) {
			j.Summary.Outcome, j.Error = mirror.OutcomeUnknown, "The process ended before it was known whether the change was made."
		})
		return err
	default: // each change is in the journal before it is committed
		_, err := c.state.change(ctx, j.ID, func(j *job) {
			j.Status, j.Summary.Outcome = statusFailed, mirror.OutcomeNotDone
			j.Error = "The process ended before the change was begun: nothing was changed."
		})
		return err
	}
}

// lastEvent returns the last event that the journal has of a job, "" for none.
func (s *state) lastEvent(ctx context.Context, job int64) (mirror.JournalEvent, error) {
	var events []mirror.JournalEvent
	err := s.reads.SelectContext(ctx, &events, "SELECT event FROM journal WHERE job=? ORDER BY id DESC LIMIT 1", job)
	if err != nil || len(events) == 0 {
		return "", err
	}
	return events[0], nil
}

// receiptOf returns the receipt that the journal has of a job, nil for none.
func (s *state) receiptOf(ctx context.Context, job int64) (*mirror.Receipt, error) {
	var entries [][]byte
	if err := s.reads.SelectContext(ctx, &entries, "SELECT entry FROM journal WHERE job=? AND event='intent' ORDER BY id DESC LIMIT 1", job); err != nil || len(entries) == 0 {
		return nil, err
	}
	var e mirror.JournalEntry
	if err := json.Unmarshal(entries[0], &e); err != nil {
		return nil, err
	}
	return e.Receipt, nil
}

func isNoRow(err error) bool { return errors.Is(err, sql.ErrNoRows) }

// errChanging: a change is being made right now.
var errChanging = errors.New("a change of this mirror is being made right now: its page says how it ends")
