package heal

import (
	"cmp"
	"fmt"
	"time"
)

// Schedule says when cycles of the Mirroring Task begin. Its zero value is what
// SuperOffice documents: every 20 minutes, and none at night. The pages of
// different years say from 23:00 to 06:00 and from 01:30 to 03:00; the longer
// night holds both. There are none during maintenance either, which nobody can
// know in advance.
type Schedule struct {
	// Every is the time between the beginnings of two cycles.
	// Default: 20 minutes.
	Every time.Duration

	// Late is by how much a cycle may come later, because other jobs of that
	// customer run long. Default: one hour.
	Late time.Duration

	// NightFrom and NightTo are times of day between which no cycle begins, as
	// durations since midnight. The night is over midnight when NightTo is not
	// after NightFrom. Default: 23:00 and 06:00. No night at all is a NightTo
	// that is NightFrom, and not 0.
	NightFrom, NightTo time.Duration

	// Location is the time zone of the times of day. The documentation names
	// none. Default: UTC.
	Location *time.Location
}

func (s Schedule) filled() Schedule {
	s.Every = cmp.Or(s.Every, 20*time.Minute)
	s.Late = cmp.Or(s.Late, time.Hour)
	if s.NightFrom == 0 && s.NightTo == 0 {
		s.NightFrom, s.NightTo = 23*time.Hour, 6*time.Hour
	}
	if s.Location == nil {
		s.Location = time.UTC
	}
	return s
}

func (s Schedule) check() error {
	const day = 24 * time.Hour
	if s.Every < 0 || s.Late < 0 || s.NightFrom < 0 || s.NightTo < 0 || s.NightFrom > day || s.NightTo > day {
		return fmt.Errorf("schedule: durations are not negative, and times of day not after 24:00")
	}
	return nil
}

// NextCycle estimates when the cycle after the one that began at t begins.
func (s Schedule) NextCycle(t time.Time) time.Time {
	s = s.filled()
	return s.afterNight(t.Add(s.Every))
}

// overdue is the time by which a cycle that began after t has certainly begun.
func (s Schedule) overdue(t time.Time) time.Time {
	s = s.filled()
	late := s.NextCycle(t).Add(s.Late)
	if morning := s.afterNight(late); !morning.Equal(late) {
		return s.afterNight(morning.Add(s.Late))
	}
	return late
}

// afterNight returns t, or the end of the night that t falls into.
func (s Schedule) afterNight(t time.Time) time.Time {
	if s.NightFrom == s.NightTo {
		return t
	}
	local := t.In(s.Location)
	for day := -1; day <= 0; day++ {
		from := atTimeOfDay(local, day, s.NightFrom)
		to := atTimeOfDay(local, day, s.NightTo)
		if s.NightTo < s.NightFrom {
			to = atTimeOfDay(local, day+1, s.NightTo)
		}
		if !local.Before(from) && local.Before(to) {
			return to.In(t.Location())
		}
	}
	return t
}

// atTimeOfDay returns a time of day some days after t, by the clocks of t's time
// zone. One that the clocks skip is the moment at which they do.
func atTimeOfDay(t time.Time, days int, d time.Duration) time.Time {
	on := func(zone *time.Location) time.Time {
		return time.Date(t.Year(), t.Month(), t.Day()+days,
			int(d/time.Hour), int(d%time.Hour/time.Minute), int(d%time.Minute/time.Second), int(d%time.Second), zone)
	}
	at, asked := on(t.Location()), on(time.UTC)
	_, offset := at.Zone()
	start, end := at.ZoneBounds()
	switch shown := at.Add(time.Duration(offset) * time.Second); {
	case shown.Before(asked):
		return end
	case shown.After(asked):
		return start
	default:
		return at
	}
}
