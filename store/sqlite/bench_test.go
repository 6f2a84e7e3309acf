package sqlite_test

import (
	"context"
	"database/sql/driver"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/internal/crm"
	"github.com/so-mirror/mirror/store/sqlite"
)

// BenchmarkCompare compares equal contact tables, and beside it reads the same
// rows from both sides through the driver and throws them away.
//
//	go test ./store/sqlite -run '^$' -bench Compare -benchtime 3x
func BenchmarkCompare(b *testing.B) {
	for _, rows := range []int{100_000, 1_000_000} {
		b.Run(fmt.Sprintf("rows=%d", rows), func(b *testing.B) {
			source, target := benchDatabases(b, rows)
			b.Run("driver", func(b *testing.B) {
				query := contactQuery(b)
				measure(b, rows, func() {
					var wg sync.WaitGroup
					for _, db := range []*sqlx.DB{source, target} {
						wg.Go(func() { readAll(b, db, query, rows) })
					}
					wg.Wait()
				})
			})
			b.Run("compare", func(b *testing.B) {
				src, err := sqlite.New(source)
				require.NoError(b, err)
				tgt, err := sqlite.New(target)
				require.NoError(b, err)
				m, err := mirror.New("Cust10195", tgt, nil)
				require.NoError(b, err)
				measure(b, rows, func() {
					report, err := m.Compare(b.Context(), src, nil)
					require.NoError(b, err)
					require.True(b, report.Identical(), "%s", report)
				})
			})
		})
	}
}

// benchDatabases makes two equal databases of contact rows.
func benchDatabases(b *testing.B, rows int) (source, target *sqlx.DB) {
	b.Helper()
	dir := b.TempDir()
	path := filepath.Join(dir, "source.db")
	db, err := sqlite.Open(path)
	require.NoError(b, err)
	st, err := sqlite.New(db)
	require.NoError(b, err)
	require.NoError(b, crm.Load(b.Context(), st, crm.Options{Contacts: rows}, "contact"))
	_, err = db.Exec("PRAGMA wal_checkpoint(TRUNCATE)")
	require.NoError(b, err)
	require.NoError(b, db.Close())
	copied := filepath.Join(dir, "mirror.db")
	from, err := os.Open(path)
	require.NoError(b, err)
	to, err := os.Create(copied)
	require.NoError(b, err)
	_, err = io.Copy(to, from)
	require.NoError(b, err)
	require.NoError(b, from.Close())
	require.NoError(b, to.Close())
	open := func(path string) *sqlx.DB {
		db, err := sqlite.Open(path)
		require.NoError(b, err)
		b.Cleanup(func() { require.NoError(b, db.Close()) })
		return db
	}
	return open(path), open(copied)
}

// contactQuery is the text that the store sends: times as text, in key order.
func contactQuery(b *testing.B) string {
	b.Helper()
	t, ok := crm.Table("contact")
	require.True(b, ok)
	var cols []string
	for _, c := range t.Columns {
		name := `"` + c.Name + `"`
		if c.Type.Kind() == mirror.KindTime {
			name = "+" + name
		}
		cols = append(cols, name)
	}
	return fmt.Sprintf(`SELECT %s FROM "contact" ORDER BY "contact_id"`, strings.Join(cols, ", "))
}

func readAll(b *testing.B, db *sqlx.DB, query string, want int) {
	conn, err := db.Conn(b.Context())
	require.NoError(b, err)
	defer conn.Close()
	require.NoError(b, conn.Raw(func(dc any) error {
		rows, err := dc.(driver.QueryerContext).QueryContext(context.Background(), query, nil)
		if err != nil {
			return err
		}
		defer rows.Close()
		dest := make([]driver.Value, len(rows.Columns()))
		n := 0
		for err = rows.Next(dest); err == nil; err = rows.Next(dest) {
			n++
		}
		if err != io.EOF {
			return err
		}
		if n != want {
			return fmt.Errorf("read %d rows, want %d", n, want)
		}
		return nil
	}))
}

// measure runs f b.N times and reports rows of each side per second, bytes
// allocated per row, and the peak of the process's memory meanwhile.
func measure(b *testing.B, rows int, f func()) {
	b.Helper()
	debug.FreeOSMemory()
	// Linux starts counting the peak anew.
	resets := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) == nil
	b.ReportAllocs()
	for b.Loop() {
		f()
	}
	b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
	if resets {
		b.ReportMetric(peakMiB(b), "peak-MiB")
	}
}

func peakMiB(b *testing.B) float64 {
	b.Helper()
	status, err := os.ReadFile("/proc/self/status")
	require.NoError(b, err)
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 64)
			require.NoError(b, err)
			return kib / 1024
		}
	}
	b.Fatal("no VmHWM in /proc/self/status")
	return 0
}
