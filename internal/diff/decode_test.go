package diff_test

import (
	"context"
	"database/sql/driver"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/internal/diff"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

// storing is a source that keeps times as text, in one of several spellings and
// behind their type, and decimals as text. It hands them over in memory that it uses again.
type storing struct {
	store.Source
	form    string
	decoded *atomic.Int64
	spell   func(t time.Time) string
}

func (s storing) StoredForm() string { return s.form }

func (s storing) Decoder(t store.Type) func(driver.Value) driver.Value {
	switch t.Kind() {
	case store.KindTime:
		return func(v driver.Value) driver.Value {
			s.decoded.Add(1)
			moment, err := time.Parse(t.Name+" "+time.RFC3339Nano, string(v.([]byte)))
			if err != nil {
				panic(err)
			}
			return moment
		}
	case store.KindDecimal:
		return func(v driver.Value) driver.Value {
			s.decoded.Add(1)
			return []byte(v.(string)[1:])
		}
	default:
		return nil
	}
}

func (s storing) Rows(ctx context.Context, q store.Query) iter.Seq2[[]store.Row, error] {
	return func(yield func([]store.Row, error) bool) {
		var texts [][]byte
		for batch, err := range s.Source.Rows(ctx, q) {
			for _, b := range texts {
				copy(b, "overwritten")
			}
			var rows []store.Row
			for _, r := range batch {
				r = r.Clone()
				for i, name := range q.Columns {
					if !slices.Contains(q.Stored, name) {
						continue
					}
					switch v := r[i].(type) {
					case time.Time:
						c, _ := q.Table.Column(name)
						text := []byte(c.Type.Name + " " + s.spell(v))
						r[i], texts = text, append(texts, text)
					case []byte:
						r[i] = "=" + string(v)
					}
				}
				rows = append(rows, r)
			}
			if !yield(rows, err) {
				return
			}
		}
	}
}

func plainly(t time.Time) string { return t.Format(time.RFC3339Nano) }

// oddly spells some times in another way.
func oddly(t time.Time) string {
	if t.Second()%2 == 0 {
		return t.Format("2006-01-02T15:04:05.000Z07:00")
	}
	return plainly(t)
}

// moments makes a table with times and decimals, and damages a copy of it.
func moments(t testing.TB, r *rand.Rand) *sides {
	at := time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
	row := func(id int) store.Row {
		row := store.Row{int64(id), at.Add(time.Duration(r.IntN(5)) * time.Second), at.Add(time.Duration(r.IntN(3)) * time.Second), fmt.Sprintf("%d.50", r.IntN(3))}
		for i := range row[1:] {
			if r.IntN(8) == 0 {
				row[i+1] = nil
			}
		}
		return row
	}
	var source, mirrored []store.Row
	for id := range 200 {
		got := row(id)
		source = append(source, got)
		switch r.IntN(20) {
		case 0: // missing
		case 1:
			mirrored = append(mirrored, row(id))
		case 2:
			mirrored = append(mirrored, got.Clone(), row(id))
		default:
			mirrored = append(mirrored, got.Clone())
		}
	}
	mirrored = append(mirrored, row(500), row(501), row(501))
	columns := []string{"id int", "a datetime null", "b datetime null", "d decimal(9,2) null"}
	key := []string{"id"}
	if r.IntN(4) == 0 {
		key = nil
	}
	return newSides(t, columns, key, source, mirrored)
}

// What is found does not depend on whether a Source decodes values or the
// comparison does.
func TestDecodedFindings(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			s := moments(t, rand.New(rand.NewPCG(seed, 0)))
			type pair struct{ source, mirror store.Row }
			compare := func(source, mirrored store.Source) (diff.Findings, map[string]int64) {
				told := map[string]int64{}
				var mu sync.Mutex
				table := s.table
				table.Differs = func(kind diff.Kind, a, b store.Row, n int64) {
					mu.Lock()
					defer mu.Unlock()
					told[fmt.Sprint(kind, pair{a, b})] += n
				}
				o := diff.Options{Source: source, Mirror: mirrored, Clock: wall{}, Slots: make(chan struct{}, 1), Strategy: diff.Stream, MaxSamples: 100, MaxKeys: 100}
				found, err := diff.New(o).Table(table).Compare(t.Context())
				require.NoError(t, err)
				return found, told
			}
			want, wantTold := compare(s.source, s.mirror)
			var decoded atomic.Int64
			source := storing{s.source, "text", &decoded, plainly}
			got, told := compare(source, storing{s.mirror, "text", &decoded, oddly})
			require.Equal(t, want, got)
			require.Equal(t, wantTold, told)
			if s.table.Keyless {
				require.Zero(t, decoded.Load(), "all columns are the key, which the Source decodes")
			} else {
				require.NotZero(t, decoded.Load())
			}

			decoded.Store(0)
			got, _ = compare(source, storing{s.mirror, "another text", &decoded, oddly})
			require.Equal(t, want, got)
			got, _ = compare(source, s.mirror)
			require.Equal(t, want, got)
			require.Zero(t, decoded.Load(), "another form, or none")
		})
	}
}

// Values that are stored alike are not decoded, but for those of the first rows,
// whose size is taken.
func TestEqualValuesAreNotDecoded(t *testing.T) {
	var rows []store.Row
	for id := range 1000 {
		rows = append(rows, store.Row{int64(id), time.Date(2026, 2, 3, 4, 5, id, 0, time.UTC)})
	}
	s := newSides(t, []string{"id int", "a datetime"}, []string{"id"}, rows, rows)
	var decoded atomic.Int64
	o := diff.Options{
		Source: storing{s.source, "text", &decoded, plainly}, Mirror: storing{s.mirror, "text", &decoded, plainly},
		Clock: wall{}, Slots: make(chan struct{}, 1), Strategy: diff.Stream,
	}
	found, err := diff.New(o).Table(s.table).Compare(t.Context())
	require.NoError(t, err)
	require.Equal(t, counts(s.count()), counts(found))
	require.Equal(t, found.Sampled, decoded.Load())
}

// Columns of two types are decoded by the Sources, each of which knows its own.
func TestOtherTypesAreNotDecoded(t *testing.T) {
	row := store.Row{int64(1), time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)}
	s := newSides(t, []string{"id int", "a datetime"}, []string{"id"}, []store.Row{row}, nil)
	s.mirror = memory.New(memory.Table{Name: "t", Columns: []string{"id int", "a datetime2(7)"}, Rows: []store.Row{row}})
	tables, err := s.mirror.Tables(t.Context())
	require.NoError(t, err)
	s.table.Mirror = diff.Side{Table: tables[0], Columns: tables[0].Columns}
	var decoded atomic.Int64
	o := diff.Options{
		Source: storing{s.source, "text", &decoded, plainly}, Mirror: storing{s.mirror, "text", &decoded, plainly},
		Clock: wall{}, Slots: make(chan struct{}, 1), Strategy: diff.Stream,
	}
	found, err := diff.New(o).Table(s.table).Compare(t.Context())
	require.NoError(t, err)
	require.Equal(t, diff.Findings{SourceRows: 1, MirrorRows: 1}, counts(found))
	require.Zero(t, decoded.Load())
}
