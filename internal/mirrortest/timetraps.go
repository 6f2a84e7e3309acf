package mirrortest

import "github.com/so-mirror/mirror"

// timeTraps are about times, and their types.
func timeTraps() []trap {
	return []trap{
		{
			name:   "datetime and datetime2",
			reason: "one instant has steps of 1/300 s here and of less there, and the driver rounds to milliseconds",
			loose:  true,
			pairs: concat(
				[]pair{
					alike("datetime", "datetime2(6)", two{utc("2026-02-03T04:05:06.003Z"), utc("2026-02-03T04:05:06.003333Z")},
						two{utc("2026-02-03T04:05:06.007Z"), utc("2026-02-03T04:05:06.006667Z")}, two{utc("2026-02-03T04:05:06.007Z"), utc("2026-02-03T04:05:06.007Z")},
						two{utc("2026-02-03T04:05:06Z"), utc("2026-02-03T04:05:06.0016Z")}, two{utc("2026-02-03T04:05:07Z"), utc("2026-02-03T04:05:06.999Z")},
						two{utc("1753-01-01T00:00:00Z"), utc("1753-01-01T00:00:00Z")}, two{utc("9999-12-31T23:59:59.997Z"), utc("9999-12-31T23:59:59.996667Z")}, two{nil, nil}),
					alike("smalldatetime", "datetime2(6)", two{utc("2026-02-03T04:05:00Z"), utc("2026-02-03T04:05:29.999999Z")}, two{utc("2026-02-03T04:06:00Z"), utc("2026-02-03T04:05:30Z")}),
					alike("date", "datetime2(6)", two{utc("2026-02-03T00:00:00Z"), utc("2026-02-03T23:59:59.999999Z")}),
					alike("datetime2(3)", "datetime2(6)", two{utc("2026-02-03T04:05:06.123Z"), utc("2026-02-03T04:05:06.123499Z")}, two{utc("2026-02-03T04:05:06.124Z"), utc("2026-02-03T04:05:06.1235Z")}),
					alike("time(0)", "time(3)", two{utc("0001-01-01T04:05:06Z"), utc("0001-01-01T04:05:06.499Z")}),
				},
				differing("datetime", "datetime2(6)", two{utc("2026-02-03T04:05:06.003Z"), utc("2026-02-03T04:05:06.007Z")}, two{utc("2026-02-03T04:05:06Z"), utc("2026-02-03T04:05:06.0017Z")},
					two{utc("2026-02-03T04:05:06.997Z"), utc("2026-02-03T04:05:06.9984Z")}, two{utc("2026-02-03T00:00:00Z"), nil}),
				differing("smalldatetime", "datetime2(6)", two{utc("2026-02-03T04:05:00Z"), utc("2026-02-03T04:05:30Z")}),
				differing("date", "datetime2(6)", two{utc("2026-02-03T00:00:00Z"), utc("2026-02-02T23:59:59.999999Z")}),
				differing("datetime2(3)", "datetime2(6)", two{utc("2026-02-03T04:05:06.123Z"), utc("2026-02-03T04:05:06.1235Z")})),
		},
		{
			name:   "datetime and datetime2, without loose types",
			reason: "that the values are equal does not make the schemas equal",
			pairs: []pair{{
				source: values("datetime", utc("2026-02-03T04:05:06.003Z")), mirror: values("datetime2(6)", utc("2026-02-03T04:05:06.003333Z")),
				schema: []mirror.SchemaDifference{{Column: "v", What: "type", Source: "datetime", Mirror: "datetime2(6)"}}, oneWay: true,
			}, {
				source: values("datetime", utc("2026-02-03T04:05:06.003Z")), mirror: values("datetime2(6)", utc("2026-02-03T04:05:06.007Z")),
				schema: []mirror.SchemaDifference{{Column: "v", What: "type", Source: "datetime", Mirror: "datetime2(6)"}}, oneWay: true, want: []diff{changed(1, "v")},
			}},
		},
		{
			name:   "datetime and datetime2 as a key",
			reason: "the mirror's key is the source's only after rounding",
			loose:  true,
			pairs: []pair{
				{source: keys("datetime", utc("2026-02-03T04:05:06.003Z"), utc("2026-02-03T04:05:06.007Z")), mirror: keys("datetime2(6)", utc("2026-02-03T04:05:06.003333Z"), utc("2026-02-03T04:05:06.006667Z"))},
				{source: keys("datetime", utc("2026-02-03T04:05:06.003Z"), utc("2026-02-03T04:05:06.007Z")), mirror: keys("datetime2(6)", utc("2026-02-03T04:05:06.006667Z")),
					want: []diff{missing(utc("2026-02-03T04:05:06.003Z"))}, oneWay: true},
			},
		},
		{
			name:   "times at their limits",
			reason: "a count of nanoseconds ends in 2262 and begins in 1677, and a step of datetime is not a whole number of milliseconds",
			pairs: concat(
				differ("datetime", two{utc("2026-02-03T04:05:06.003Z"), utc("2026-02-03T04:05:06.007Z")}, two{utc("2026-02-03T04:05:06Z"), utc("2026-02-03T04:05:06.003Z")},
					two{utc("1753-01-01T00:00:00Z"), utc("1753-01-01T00:00:00.003Z")}, two{utc("9999-12-31T23:59:59.997Z"), utc("9999-12-31T23:59:59.993Z")}),
				differ("datetime2(6)", two{utc("0001-01-01T00:00:00Z"), utc("0001-01-01T00:00:00.000001Z")}, two{utc("9999-12-31T23:59:59.999999Z"), utc("9999-12-31T23:59:59.999998Z")},
					two{utc("1677-09-21T00:12:43Z"), utc("2262-04-11T23:47:16Z")}, two{utc("0001-01-01T00:00:00Z"), nil}, two{utc("2262-04-11T23:47:16Z"), utc("2262-04-11T23:47:17Z")}),
				differ("date", two{utc("0001-01-01T00:00:00Z"), utc("0001-01-02T00:00:00Z")}, two{utc("9999-12-31T00:00:00Z"), utc("9999-12-30T00:00:00Z")}, two{utc("1582-10-04T00:00:00Z"), utc("1582-10-15T00:00:00Z")}),
				differ("smalldatetime", two{utc("1900-01-01T00:00:00Z"), utc("2079-06-06T23:59:00Z")}, two{utc("2026-02-03T04:05:00Z"), utc("2026-02-03T04:06:00Z")}),
				without("datetime2(6)", utc("0001-01-01T00:00:00Z"), utc("1677-09-21T00:12:43Z"), utc("1969-12-31T23:59:59.999999Z"), utc("1970-01-01T00:00:00Z"), utc("2262-04-12T00:00:00Z"), utc("9999-12-31T23:59:59.999999Z")),
				without("datetime", utc("1753-01-01T00:00:00Z"), utc("1899-12-31T23:59:59.997Z"), utc("1900-01-01T00:00:00Z"), utc("1900-01-01T00:00:00.003Z"), utc("9999-12-31T23:59:59.997Z"))),
		},
		{
			name:   "time of day",
			reason: "drivers put it on a day of their own",
			pairs: concat(
				differ("time(6)", two{utc("0001-01-01T00:00:00Z"), utc("0001-01-01T23:59:59.999999Z")}, two{utc("0001-01-01T04:05:06Z"), utc("0001-01-01T04:05:06.000001Z")}, two{utc("0001-01-01T00:00:00Z"), nil}),
				differ("time(0)", two{utc("0001-01-01T23:59:59Z"), utc("0001-01-01T23:59:58Z")}),
				without("time(3)", utc("0001-01-01T00:00:00Z"), utc("0001-01-01T09:00:00Z"), utc("0001-01-01T09:00:00.001Z"), utc("0001-01-01T10:00:00Z"), utc("0001-01-01T23:59:59.999Z"))),
		},
		{
			name:   "one instant with two offsets",
			reason: "SQL compares datetimeoffset by the instant alone",
			pairs: concat(
				differ("datetimeoffset(0)", two{utc("2026-02-03T04:05:06Z"), utc("2026-02-03T05:05:06+01:00")}, two{utc("2026-02-03T04:05:06-14:00"), utc("2026-02-03T04:05:06+14:00")},
					two{utc("2026-02-03T09:50:06+05:45"), utc("2026-02-03T04:05:06Z")}, two{utc("2026-02-03T04:05:06+01:00"), utc("2026-02-03T04:05:07+01:00")}),
				[]pair{
					identical(keys("datetimeoffset(0)", utc("2026-02-03T04:05:06Z"), utc("2026-02-03T04:05:06+01:00"), utc("2026-02-03T02:30:06-01:00"))),
					{source: keys("datetimeoffset(0)", utc("2026-02-03T04:05:06Z")), mirror: keys("datetimeoffset(0)", utc("2026-02-03T05:05:06+01:00")), want: []diff{changed(utc("2026-02-03T04:05:06Z"), "k")}},
				}),
		},
	}
}
