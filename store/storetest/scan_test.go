package storetest

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/so-mirror/mirror/store"
)

// Join implements store.Joiner for another broken store: it reads both.
func (b *broken) Join(ctx context.Context, mirror store.Source) (store.Join, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m, ok := mirror.(*broken)
	if !ok && b.unknown != nil {
		var err error
		if m, err = b.unknown(mirror); err != nil {
			return nil, err
		}
	} else if !ok {
		return nil, fmt.Errorf("the mirror is a %T: %w", mirror, errors.ErrUnsupported)
	}
	j := &scan{source: b.Store, mirror: m.Store}
	if b.joining != nil {
		b.joining(j)
	}
	return j, nil
}

// scan is a join that reads all rows. Each of its functions is a fault; nil is none.
type scan struct {
	source, mirror store.Source

	ask    func(source, mirror *store.Query, limit *int)
	read   func(src store.Source, ctx context.Context, q store.Query) ([]store.Row, error)
	fold   func(c store.Column, v driver.Value) driver.Value // values that become alike are alike
	pick   func(missing, extra, changed []store.Row) []store.Row
	answer func(found *store.Suspects, limit int)
	failed func(err error) error
	lax    bool // what cannot be compared is taken for equal
}

func (j *scan) Close() error { return nil }

func (j *scan) Suspects(ctx context.Context, source, mirror store.Query, limit int) (found store.Suspects, err error) {
	if j.ask != nil {
		j.ask(&source, &mirror, &limit)
	}
	if found, err = j.suspects(ctx, source, mirror, limit); err != nil && j.failed != nil {
		err = j.failed(err)
	}
	return found, err
}

func (j *scan) suspects(ctx context.Context, source, mirror store.Query, limit int) (found store.Suspects, err error) {
	if limit < 1 || len(source.Key) == 0 || len(source.Key) != len(mirror.Key) || len(source.Columns) != len(mirror.Columns) {
		if j.lax {
			return found, nil
		}
		return found, errors.New("no key, no limit, or other columns")
	}
	sourceKeys, sourceRows, err := j.rows(ctx, j.source, source)
	if err != nil {
		return found, err
	}
	mirrorKeys, mirrorRows, err := j.rows(ctx, j.mirror, mirror)
	if err != nil {
		return found, err
	}
	found.SourceRows, found.MirrorRows = int64(len(sourceRows)), int64(len(mirrorRows))
	var missing, extra, changed []store.Row
	for text, row := range sourceRows {
		switch its, ok := mirrorRows[text]; {
		case !ok:
			missing = append(missing, sourceKeys[text])
		case its != row:
			changed = append(changed, sourceKeys[text])
		}
	}
	for text := range mirrorRows {
		if _, ok := sourceRows[text]; !ok {
			extra = append(extra, mirrorKeys[text])
		}
	}
	if j.pick != nil {
		missing, extra, changed = j.pick(missing, extra, changed), nil, nil
	}
	key := make([]store.Column, len(source.Key))
	for i, name := range source.Key {
		key[i], _ = source.Table.Column(name)
	}
	compare := func(a, b store.Row) int { return store.CompareKeys(key, a, b) }
	found.Keys = slices.Concat(missing, extra, changed)
	slices.SortFunc(found.Keys, compare)
	found.Keys = slices.CompactFunc(found.Keys, func(a, b store.Row) bool { return compare(a, b) == 0 })
	if j.answer != nil {
		j.answer(&found, limit)
	} else if len(found.Keys) > limit {
		found.Keys, found.Undecided = nil, true
	}
	return found, nil
}

// rows returns the keys and the rows of q by the text of the key.
func (j *scan) rows(ctx context.Context, src store.Source, q store.Query) (keys map[string]store.Row, rows map[string]string, err error) {
	n := len(q.Key)
	all := q
	all.Columns = slices.Concat(q.Key, q.Columns)
	read := collect
	if j.read != nil {
		read = func(ctx context.Context, src store.Source, q store.Query) ([]store.Row, error) {
			return j.read(src, ctx, q)
		}
	}
	list, err := read(ctx, src, all)
	if err != nil {
		return nil, nil, err
	}
	keys, rows = map[string]store.Row{}, map[string]string{}
	for _, r := range list {
		text := j.text(q, all.Columns[:n], r[:n])
		keys[text], rows[text] = r[:n], j.text(q, q.Columns, r[n:])
	}
	return keys, rows, nil
}

func (j *scan) text(q store.Query, names []string, values store.Row) string {
	var b strings.Builder
	for i, v := range values {
		if j.fold != nil {
			c, _ := q.Table.Column(names[i])
			v = j.fold(c, v)
		}
		text := valueText(v)
		fmt.Fprintf(&b, "%T %d %s|", v, len(text), text)
	}
	return b.String()
}
