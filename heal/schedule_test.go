package heal_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/heal"
)

func TestNextCycle(t *testing.T) {
	oslo, err := time.LoadLocation("Europe/Oslo")
	require.NoError(t, err)
	santiago, err := time.LoadLocation("America/Santiago") // its clocks skip the hour from midnight
	require.NoError(t, err)
	late := heal.Schedule{Location: santiago, NightFrom: 22 * time.Hour, NightTo: 30 * time.Minute}
	at := func(s string) time.Time {
		v, err := time.Parse(time.RFC3339, s)
		require.NoError(t, err)
		return v
	}
	for _, c := range []struct {
		name     string
		schedule heal.Schedule
		after    string
		want     string
	}{
		{"by day", heal.Schedule{}, "2026-02-03T12:00:00Z", "2026-02-03T12:20:00Z"},
		{"the last before the night", heal.Schedule{}, "2026-02-03T22:39:59Z", "2026-02-03T22:59:59Z"},
		{"into the night", heal.Schedule{}, "2026-02-03T22:40:00Z", "2026-02-04T06:00:00Z"},
		{"after midnight", heal.Schedule{}, "2026-02-04T02:00:00Z", "2026-02-04T06:00:00Z"},
		{"the end of the night", heal.Schedule{}, "2026-02-04T05:40:00Z", "2026-02-04T06:00:00Z"},
		{"the short night", heal.Schedule{NightFrom: 90 * time.Minute, NightTo: 3 * time.Hour}, "2026-02-04T01:15:00Z", "2026-02-04T03:00:00Z"},
		{"before the short night", heal.Schedule{NightFrom: 90 * time.Minute, NightTo: 3 * time.Hour}, "2026-02-03T23:50:00Z", "2026-02-04T00:10:00Z"},
		{"no night", heal.Schedule{NightFrom: time.Hour, NightTo: time.Hour}, "2026-02-03T23:50:00Z", "2026-02-04T00:10:00Z"},
		{"more often", heal.Schedule{Every: 5 * time.Minute}, "2026-02-03T12:00:00Z", "2026-02-03T12:05:00Z"},
		{"a night in the hour that is skipped", heal.Schedule{Location: oslo, NightFrom: 2 * time.Hour, NightTo: 3 * time.Hour}, "2026-03-29T12:00:00Z", "2026-03-29T12:20:00Z"},
		{"in Norway", heal.Schedule{Location: oslo}, "2026-02-03T21:50:00Z", "2026-02-04T05:00:00Z"},
		{"the night in which the clocks go forward", heal.Schedule{Location: oslo}, "2026-03-28T21:50:00Z", "2026-03-29T04:00:00Z"},
		{"a night that ends in the hour that is skipped", late, "2026-09-05T22:30:00-04:00", "2026-09-06T01:00:00-03:00"},
		{"the night before that", late, "2026-09-04T22:30:00-04:00", "2026-09-05T00:30:00-04:00"},
		{"the end of that night", late, "2026-09-06T00:40:00-03:00", "2026-09-06T01:00:00-03:00"},
		{"a night that begins in the hour that is skipped", heal.Schedule{Location: santiago, NightFrom: 30 * time.Minute, NightTo: 2 * time.Hour},
			"2026-09-05T23:30:00-04:00", "2026-09-05T23:50:00-04:00"},
		{"a night that begins as the clocks go forward", heal.Schedule{Location: santiago, NightFrom: 30 * time.Minute, NightTo: 2 * time.Hour},
			"2026-09-05T23:45:00-04:00", "2026-09-06T02:00:00-03:00"},
		{"a night until the last nanosecond", heal.Schedule{NightFrom: time.Hour, NightTo: 2*time.Hour - 1}, "2026-02-03T01:00:00Z", "2026-02-03T01:59:59.999999999Z"},
		{"a night until 24:00", heal.Schedule{NightFrom: 22 * time.Hour, NightTo: 24 * time.Hour}, "2026-02-03T22:00:00Z", "2026-02-04T00:00:00Z"},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, at(c.want).UTC(), c.schedule.NextCycle(at(c.after)).UTC())
		})
	}
}
