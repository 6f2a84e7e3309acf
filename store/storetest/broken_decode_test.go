package storetest

import (
	"context"
	"database/sql/driver"
	"slices"
	"time"

	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

// brokenDecoders are faults of what decodes values.
var brokenDecoders = []fault{
	{"a Decoder loses fractions of seconds", func() store.Store {
		return &storing{Store: memory.New(), parse: func(s string) time.Time { return parseStored(s).Truncate(time.Second) }}
	}, []string{"decode/values"}},
	{"a Decoder knows one type of time alone", func() store.Store {
		return &storing{Store: memory.New(), types: []string{"datetime"}}
	}, []string{"decode/values"}},
	{"values come as they are stored where nobody asked for it", func() store.Store {
		return &storing{Store: memory.New(), always: true}
	}, []string{"decode/columns-asked-for"}},
}

// storing is a store that keeps times as text.
type storing struct {
	store.Store
	parse  func(s string) time.Time
	types  []string // that it decodes; nil: all
	always bool
}

func parseStored(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		panic(err)
	}
	return t
}

func (s *storing) StoredForm() string { return "text" }

func (s *storing) Decoder(t store.Type) func(driver.Value) driver.Value {
	if !store.IsTime(t) || s.types != nil && !slices.Contains(s.types, t.Name) {
		return nil
	}
	parse := s.parse
	if parse == nil {
		parse = parseStored
	}
	return func(v driver.Value) driver.Value {
		text, ok := v.(string)
		if !ok {
			return v
		}
		return parse(text)
	}
}

func (s *storing) Rows(ctx context.Context, q store.Query) rowSeq {
	if q.Columns == nil {
		q.Columns = q.Table.ColumnNames()
	}
	return eachBatch(s.Store.Rows(ctx, q), func(batch []store.Row) []store.Row {
		var rows []store.Row
		for _, r := range batch {
			r = r.Clone()
			for i, v := range r {
				t, ok := v.(time.Time)
				if ok && (s.always || slices.Contains(q.Stored, q.Columns[i])) {
					r[i] = t.Format(time.RFC3339Nano)
				}
			}
			rows = append(rows, r)
		}
		return rows
	})
}
