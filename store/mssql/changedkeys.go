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

// ChangedKeys implements store.ChangeTracker. Each call sorts all changes after
// since.
func (s *Source) ChangedKeys(ctx context.Context, t store.Table, since store.LSN, after store.Row, n int) (keys []store.Row, err error) {
	doing := "list changed keys of " + t.String()
	switch {
	case len(t.Key) == 0:
		return nil, noKey(doing)
	case n < 1:
		return nil, fmt.Errorf("%s: asked for %d keys: ask for at least one", doing, n)
	}
	columns := make([]store.Column, len(t.Key))
	for i, name := range t.Key {
		var ok bool
		if columns[i], ok = t.Column(name); !ok {
			return nil, fmt.Errorf("%s: it has no column %q", doing, name)
		}
	}
	err = s.sql.Query(ctx, doing, func(ctx context.Context, q sqlx.QueryerContext) error {
		keys, err = s.changedKeys(ctx, q, t, columns, since, after, n)
		return unsupported(err)
	})
	return keys, err
}

// changedKeys asks from the key after on, which the answer then begins with, until
// there are n others. It asks again only when the server tells keys apart that
// CompareKeys does not.
func (s *Source) changedKeys(ctx context.Context, q sqlx.QueryerContext, t store.Table, columns []store.Column, since store.LSN, after store.Row, n int) (keys []store.Row, err error) {
	known := 0 // rows with the key after, as far as they were seen
	if after != nil {
		known = 1
	}
	for {
		limit := n - len(keys) + known
		page, err := s.sql.ReadDerived(ctx, q, store.Query{Table: t, Columns: t.Key, Key: t.Key, From: after, Limit: int64(limit)}, s.changes(t, columns, since))
		if err != nil {
			return nil, err
		}
		for _, key := range page {
			order := 1
			if after != nil {
				order = store.CompareKeys(columns, key, after)
			}
			switch {
			case order < 0:
				return nil, store.ErrOrder
			case order == 0:
				known++
			default:
				keys, after, known = append(keys, key), key, 1
			}
			if len(keys) == n {
				return keys, nil
			}
		}
		if len(page) < limit {
			return keys, nil
		}
	}
}

// changes is the change table of t. The version is checked behind the keys: what
// was cleaned up before was also cleaned up meanwhile.
func (s *Source) changes(t store.Table, columns []store.Column, since store.LSN) sqlstore.Derived {
	return sqlstore.Derived{
		From: func(bind func(v any) string) string { return s.changesTable(t, columns, bind(int64(since))) },
		Then: func(bind func(v any) string) string { return minVersionQuery(bind(s.server.tableName(t))) },
		Check: func(v any) error {
			least, ok := v.(int64)
			switch {
			case !ok:
				return fmt.Errorf("%w: %s", errors.ErrUnsupported, tableUntracked)
			case since < store.LSN(least):
				return expired(since, store.LSN(least))
			default:
				return nil
			}
		},
	}
}

// changesTable returns what follows FROM. Where a collation or padding takes "a"
// and "A" for one key, nothing is documented of which of them the change table has,
// so the spelling that the row has now is added.
func (s *Source) changesTable(t store.Table, columns []store.Column, since string) string {
	changes := fmt.Sprintf("CHANGETABLE(CHANGES %s, %s) AS c", s.server.tableName(t), since)
	var tracked, current, same, exact []string
	for _, column := range columns {
		c, r := "c."+quote(column.Name), "r."+quote(column.Name)
		tracked, current, same = append(tracked, c), append(current, r), append(same, r+" = "+c)
		if k := codec(column.Type, s.server.text()); k.Order != nil { // the server's equality is not CompareKeys'
			exact = append(exact, k.Equal(r, c))
		}
	}
	if len(exact) == 0 {
		return changes
	}
	return fmt.Sprintf("(SELECT %[1]s FROM %[2]s UNION ALL SELECT %[3]s FROM %[2]s JOIN %[4]s AS r ON %[5]s WHERE NOT (%[6]s)) AS c",
		strings.Join(tracked, ", "), changes, strings.Join(current, ", "), s.server.tableName(t), strings.Join(same, " AND "), strings.Join(exact, " AND "))
}
