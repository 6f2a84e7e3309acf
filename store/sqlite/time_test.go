package sqlite

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestParseTimeEveryDay(t *testing.T) {
	end := time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
	for day := time.Date(0, 1, 1, 23, 59, 58, 7_000_000, time.UTC); day.Before(end); day = day.AddDate(0, 0, 1) {
		text := day.Format("2006-01-02 15:04:05.000")
		got, ok := parseDateTime(text)
		if !ok || got != day { // require is too slow for 3.6 million days
			require.True(t, ok)
			require.Equal(t, day, got, text)
		}
	}
}

func TestParseTimeRefuses(t *testing.T) {
	for _, text := range []string{
		"", "2026", "2026-", "2026-02", "2026-02-0", "2026-00-01", "2026-13-01", "2026-02-00", "2026-02-29", "1900-02-29",
		"2026-04-31", "2026-02-03 ", "2026-02-03 04", "2026-02-03 24:00:00", "2026-02-03 04:60:00", "2026-02-03 04:05:60",
		"2026-02-03 04:05:06.", "2026-02-03 04:05:06.0123456789", "2026-02-03 04:05:06,5", "2026-02-03_04:05:06",
		"2026-02-03Z", "2026-02-03 04:05:06ZZ", "2026-02-03 04:05:06z", "04:05:06Z", "2026-02-03 Z", "2026-02-03 04:05:06.Z", "2026/02/03", "2026-02/03", "-026-02-03", "20x6-02-03", "2026-0x-03", "2026-02-0x", "2026-02-03 0x:05:06",
		"2026-02-03 04:x5:06", "2026-02-03 04:05:x6", "2026-02-03 04:05:06.0x", "04:05", "24:00:00", "04-05-06", "2026-02-03 -1:05:06",
	} {
		t.Run(text, func(t *testing.T) {
			_, ok := parseDateTime(text)
			require.False(t, ok)
		})
	}
}

// FuzzParseTime holds parseDateTime against the standard library.
func FuzzParseTime(f *testing.F) {
	for _, text := range []string{
		"2026-02-03", "2024-02-29 04:05:06.007", "04:05:06.1234567", "0001-01-01 00:00:00", "9999-12-31T23:59:59.999999999", "2026-02-30",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, ok := parseDateTime(text)
		if !ok {
			for _, layout := range []string{"2006-01-02 15:04:05.000", time.DateTime, time.DateOnly, time.TimeOnly} {
				want, err := time.Parse(layout, text)
				require.False(t, err == nil && want.Format(layout) == text, "%q is refused", text)
			}
			return
		}
		if len(text) > 4 && text[4] != '-' {
			text = "0001-01-01 " + text
		}
		if len(text) == len(time.DateOnly) {
			text += " 00:00:00"
		}
		want, err := time.Parse(time.DateTime, text[:10]+" "+strings.TrimSuffix(text[11:], "Z"))
		require.NoError(t, err)
		require.Equal(t, want, got)
	})
}

func BenchmarkParseTime(b *testing.B) {
	for b.Loop() {
		if _, ok := parseDateTime("2026-02-03 04:05:06.007"); !ok {
			b.Fatal("refused")
		}
	}
}
