package mssql

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jmoiron/sqlx"

	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/sqlstore"
)

const versionQuery = "SELECT CHANGE_TRACKING_CURRENT_VERSION()"

// minVersionQuery asks for the minimum valid version of the table that a
// parameter names.
func minVersionQuery(param string) string {
	return "SELECT CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID(" + param + "))"
}

// Why a version is NULL.
const (
	databaseUntracked = "change tracking is off: ALTER DATABASE ... SET CHANGE_TRACKING = ON"
	tableUntracked    = "change tracking is off for the table, or the login lacks VIEW CHANGE TRACKING"
)

// Version implements store.ChangeTracker.
func (s *Source) Version(ctx context.Context) (store.LSN, error) {
	return s.version(ctx, "read change tracking version", databaseUntracked, versionQuery)
}

// MinValidVersion implements store.ChangeTracker.
func (s *Source) MinValidVersion(ctx context.Context, t store.Table) (store.LSN, error) {
	return s.version(ctx, "read minimum valid version of "+t.String(), tableUntracked,
		s.server.limitLocks()+minVersionQuery("@p1"), s.server.tableName(t))
}

// version reads a version, whose absence means that there is no tracking.
func (s *Source) version(ctx context.Context, doing, absent, query string, args ...any) (store.LSN, error) {
	var v *int64
	err := s.sql.Query(ctx, doing, func(ctx context.Context, q sqlx.QueryerContext) error {
		err := sqlx.GetContext(ctx, q, &v, query, args...)
		if err == nil && v == nil {
			return fmt.Errorf("%w: %s", errors.ErrUnsupported, absent)
		}
		return unsupported(err)
	})
	if err != nil {
		return 0, err
	}
	return store.LSN(*v), nil
}

// unsupported marks an error that says that there is no change tracking.
func unsupported(err error) error {
	for _, e := range answers(err) {
		n, text := e.SQLErrorNumber(), e.Error()
		if n == noFunction || n == notTracked || n == otherServer &&
			(strings.Contains(text, "function change_tracking_") || strings.Contains(text, "not currently supported")) {
			return fmt.Errorf("%w: %w", errors.ErrUnsupported, err)
		}
	}
	return err
}

// Changed implements store.ChangeTracker. It asks for as many keys at once as
// a statement can have.
func (s *Source) Changed(ctx context.Context, t store.Table, since store.LSN, keys []store.Row) ([]bool, error) {
	doing := "read changes of " + t.String()
	if len(t.Key) == 0 {
		return nil, noKey(doing)
	}
	changed := make([]bool, len(keys))
	chunk := (maxParams - 1) / len(t.Key)
	for from := 0; from < len(keys); from += chunk {
		var hits []int
		err := s.sql.Query(ctx, doing, func(ctx context.Context, q sqlx.QueryerContext) error {
			text, args, err := s.changesText(t, since, keys[from:min(from+chunk, len(keys))])
			if err != nil {
				return err
			}
			return unsupported(sqlx.SelectContext(ctx, q, &hits, text, args...))
		})
		if err != nil {
			return nil, err
		}
		for _, i := range hits {
			changed[from+i] = true
		}
	}
	// Asked last: what was cleaned up before was also cleaned up meanwhile.
	least, err := s.MinValidVersion(ctx, t)
	if err != nil {
		return nil, err
	}
	if since < least {
		return nil, fmt.Errorf("%s: %w", doing, expired(since, least))
	}
	return changed, nil
}

func noKey(doing string) error {
	return fmt.Errorf("%s: %w: changes are tracked by primary key, and it has none", doing, errors.ErrUnsupported)
}

func expired(since, least store.LSN) error {
	return fmt.Errorf("version %d is older than the oldest that is known, %d: read the table anew", since, least)
}

// changesText returns the query for the numbers of those keys that changed.
func (s *Source) changesText(t store.Table, since store.LSN, keys []store.Row) (string, []any, error) {
	columns := make([]store.Column, len(t.Key))
	codecs := make([]sqlstore.Codec, len(t.Key))
	names := make([]string, len(t.Key))
	conditions := make([]string, len(t.Key))
	for i, name := range t.Key {
		c, ok := t.Column(name)
		if !ok {
			return "", nil, fmt.Errorf("table %s has no column %q", t, name)
		}
		columns[i], codecs[i], names[i] = c, codec(c.Type, textRules{}), fmt.Sprintf("k%d", i)
		column, value := "c."+quote(c.Name), "k."+names[i]
		if equal := codecs[i].Equal; equal != nil {
			conditions[i] = equal(column, value)
		} else {
			conditions[i] = column + " = " + value
		}
	}
	args := []any{int64(since)}
	var b strings.Builder
	b.WriteString("SELECT k.n FROM (VALUES ")
	for n, key := range keys {
		if len(key) != len(columns) {
			return "", nil, fmt.Errorf("key has %d values for %d columns", len(key), len(columns))
		}
		if n > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "(%d", n)
		for i, c := range columns {
			v, err := store.Normalize(c.Type, key[i])
			if err != nil {
				return "", nil, fmt.Errorf("column %s: %w", c.Name, err)
			}
			arg := any(v)
			if v != nil && codecs[i].Encode != nil {
				arg = codecs[i].Encode(v)
			}
			args = append(args, arg)
			param := fmt.Sprintf("@p%d", len(args))
			if codecs[i].Param != nil {
				param = codecs[i].Param(param)
			}
			b.WriteString(", " + param)
		}
		b.WriteString(")")
	}
	fmt.Fprintf(&b, ") AS k (n, %s) WHERE EXISTS (SELECT 1 FROM CHANGETABLE(CHANGES %s, @p1) AS c WHERE %s)",
		strings.Join(names, ", "), s.server.tableName(t), strings.Join(conditions, " AND "))
	return b.String(), args, nil
}
