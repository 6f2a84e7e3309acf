package crm

import (
	"encoding/binary"
	"math"
	"strings"
	"time"

	"github.com/so-mirror/mirror/store"
)

// nullShare returns how many of 256 values of a nullable column are NULL.
func nullShare(table, column, soType string) uint64 {
	switch column {
	case "name", "lastname", "city", "text", "registered", "activedate", "targettablenumber", "targetrecordid",
		"english_name", "abbrev2", "abbrev3", "isonumber", "created_at":
		return 2
	case "kananame", "kanalname", "kanafname", "rejectreason", "deleteddate", "email_header", "debug_info", "state",
		"lastbouncereason", "validto", "modified_by_workflow_when":
		return 240
	}
	if strings.HasPrefix(column, "dbi_") {
		return 230
	}
	switch table {
	case "category", "business", "country":
		return 12
	case "udpersonsmall":
		var n uint64 // of the user-defined field: the higher, the fewer use it
		for _, c := range []byte(column) {
			if c >= '0' && c <= '9' {
				n = n*10 + uint64(c-'0')
			}
		}
		return 60 + 3*n
	}
	switch soType {
	case "Bool", "Enum", "UShort", "Short":
		return 20
	case "FK", "Id":
		return 90
	case "Double":
		return 50
	case "Blob":
		return 10
	case "Clob", "FKArray":
		return 100
	case "DateTime", "UtcDateTime":
		return 90
	default:
		return 70
	}
}

// target returns the folded name of the table whose keys a column holds, or
// "" when that table is not in Tables or is none.
func (p *planner) target(column string) string {
	switch column {
	case "person_id", "supportpersonid", "invitedpersonid", "cust_id", "customer_id":
		return "person"
	case "associate_id", "supportassociateid", "assignedby":
		return "associate"
	case "contact_id", "project_id", "sale_id", "document_id", "ticket_id", "country_id", "text_id", "appointment_id":
		return strings.TrimSuffix(column, "_id")
	case "owner_id", "targetrecordid", "record_id":
		return "contact"
	case "business_idx", "category_idx":
		return strings.TrimSuffix(column, "_idx")
	case "emailid":
		return "email"
	case "mother_id":
		return p.table
	case "userdef_id":
		if p.table == "person" {
			return "udpersonsmall"
		}
	case "nddappointment_id", "nmdappointment_id":
		return "appointment"
	case "postittext_id", "agenda_text_id", "internal_notes_text_id":
		return "text"
	}
	if strings.HasSuffix(column, "_associate_id") {
		return "associate"
	}
	return ""
}

// isNull returns what tells whether a nullable column of Tables is NULL in
// row i.
func (p *planner) isNull(column string) func(i int) bool {
	folded := store.FoldName(column)
	seed, nulls := p.seed(p.table, folded), nullShare(p.table, folded, p.schema[folded].soType)
	return func(i int) bool { return rowDice(seed, i).null(nulls) }
}

// integer chooses the maker of a column of integers.
func (p *planner) integer(column, soType string, c store.Column, seed uint64) maker {
	if p.table == "country" {
		if m := countryNumber(column); m != nil {
			return m
		}
	}
	if to := p.target(column); to != "" && c.Type.Name != "smallint" {
		return p.reference(column, to, c.Nullable)
	}
	small := func(n int) maker { return func(_ int, d dice) any { return int64(d.few(n)) } }
	even := func(lo, hi int) maker { return func(_ int, d dice) any { return int64(lo + d.n(hi-lo+1)) } }
	switch column {
	case "rank":
		return func(i int, d dice) any { return int64(1 + i%97) }
	case "year_of_birth":
		return even(1930, 2007)
	case "month_of_birth":
		return even(1, 12)
	case "day_of_birth":
		return even(1, 28)
	case "probability":
		return func(_ int, d dice) any { return int64(d.n(11) * 10) }
	case "lcid", "defaultlcid":
		return func(_ int, d dice) any { return pick(&d, lcids) }
	case "updatedcount":
		return small(400)
	case "deleted":
		if _, ok := p.schema["deleteddate"]; ok {
			isNull := p.isNull("DeletedDate")
			return func(i int, _ dice) any { return int64(btoi(!isNull(i))) }
		}
		return even(0, 0)
	case "retired", "xstop", "nomailing", "isencrypted", "important", "waiting_for_approval", "activeerplinks":
		return func(_ int, d dice) any { return int64(btoi(d.oneIn(40))) }
	case "atype_idx":
		return even(1, 3)
	case "ptype_idx":
		return even(1, 6)
	case "targettablenumber":
		return func(int, dice) any { return int64(5) } // contact
	case "prev_record_id":
		k := p.keys(p.table)
		return func(i int, _ dice) any {
			if i == 0 {
				return int64(0)
			}
			return k.at(i - 1)
		}
	case "originalsize", "blobsize":
		isNull, data := p.isNull("binaryData"), p.seed(p.table, "binarydata")
		return func(i int, _ dice) any {
			if isNull(i) {
				return int64(0)
			}
			d := rowDice(data, i)
			return int64(blobSize(&d))
		}
	case "sentiment", "sentimentconfidence":
		return even(-100, 100)
	case "tablenumber":
		return even(1, 300)
	case "num_replies", "num_messages":
		return small(40)
	}
	switch soType {
	case "Bool":
		return func(_ int, d dice) any { return int64(btoi(d.oneIn(4))) }
	case "Enum":
		return small(2 + int(seed%5))
	case "FK", "Id":
		return small(4 + int(seed%40)) // lists that are not in Tables
	}
	edges, most := []int64{math.MinInt16, math.MaxInt16, -1}, 12
	if c.Type.Name != "smallint" {
		edges, most = []int64{math.MinInt32, math.MaxInt32, -1}, 20_000
	}
	return func(_ int, d dice) any {
		if d.oneIn(256) {
			return pick(&d, edges)
		}
		return int64(d.few(most))
	}
}

// reference makes keys of table to, and 0 where SuperOffice writes 0 for none.
func (p *planner) reference(column, to string, nullable bool) maker {
	k, none := p.keys(to), 0
	switch {
	case to == "project" || to == "appointment":
		none = 128
	case nullable:
		none = 24
	}
	if to == "country" && k.rows > 0 { // most are neighbours
		return func(_ int, d dice) any { return k.at(d.few(1 + d.few(k.rows))) }
	}
	if column == "targetrecordid" { // of contact, as targetTableNumber says
		seed, contact := p.seed(p.table, "contact_id"), k
		return func(i int, _ dice) any {
			d := rowDice(seed, i)
			d.next()
			return contact.pick(&d)
		}
	}
	return func(_ int, d dice) any {
		if int(d.next()&0xFF) < none {
			return int64(0)
		}
		return k.pick(&d)
	}
}

var lcids = []int64{1044, 1053, 1030, 1035, 2057, 1031, 1043}

// floatEdges are where floats lose digits or signs on their way through text,
// and the ends of SQL Server's range.
var floatEdges = []float64{
	math.Copysign(0, -1), 0, 0.1, 0.30000000000000004, 1e-300, -1e-300, 0.5, 1.5, 2.5, -0.5, 1.0 / 3,
	123456.789, 1234567.25, 1 << 53, 1<<53 - 1, 2.2250738585072014e-308, math.MaxFloat64, -math.MaxFloat64,
}

func (p *planner) float(column string) maker {
	scale, least, most := 100.0, 0, 50_000_000
	switch column {
	case "wgs84latitude": // of northern Europe
		scale, least, most = 1e6, 47_000_000, 71_000_000
	case "wgs84longitude":
		scale, least, most = 1e6, -24_000_000, 31_000_000
	case "earning_percent":
		scale, least, most = 10, 0, 1000
	}
	return func(_ int, d dice) any {
		switch {
		case d.oneIn(32):
			return pick(&d, floatEdges)
		case least != 0:
			return float64(least+d.n(most-least)) / scale
		default:
			return float64(d.few(most)) / scale
		}
	}
}

// noDate is what SuperOffice writes for no date.
var noDate = time.Date(1760, 1, 1, 0, 0, 0, 0, time.UTC)

// timeEdges are the ends of datetime's range and dates that code gets wrong.
var timeEdges = []time.Time{
	noDate,
	time.Date(1753, 1, 1, 0, 0, 0, 0, time.UTC),
	time.Date(9999, 12, 31, 23, 59, 59, 997_000_000, time.UTC),
	time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC), // datetime's 0
	time.Date(1899, 12, 31, 23, 59, 59, 997_000_000, time.UTC),
	time.Date(1969, 12, 31, 23, 59, 59, 997_000_000, time.UTC),
	time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC),
	time.Date(2000, 2, 29, 0, 0, 0, 0, time.UTC),
	time.Date(2024, 2, 29, 23, 59, 59, 997_000_000, time.UTC),
	time.Date(2024, 3, 31, 2, 30, 0, 0, time.UTC), // skipped by the clocks of Oslo
	time.Date(2024, 10, 27, 2, 30, 0, 0, time.UTC),
	time.Date(2038, 1, 19, 3, 14, 8, 0, time.UTC),
}

// milliseconds are what datetime rounds to, at both ends of a second.
var milliseconds = []int64{0, 3, 7, 10, 990, 993, 997}

// follows names the column that a time of the same row comes after.
var follows = map[string]string{
	"updated": "registered", "deleteddate": "registered",
	"do_by": "activedate", "enddate": "activedate", "original_start_date": "activedate",
	"last_changed": "created_at", "closed_at": "created_at", "replied_at": "created_at", "changed_at": "created_at",
	"read_by_owner": "created_at", "first_read_by_owner": "created_at", "first_read_by_user": "created_at",
	"read_by_customer": "created_at", "deadline": "created_at", "validto": "validfrom", "lastlogout": "lastlogin",
}

func (p *planner) time(column, soType string) maker {
	none := 0
	switch {
	case column == "done": // not yet
		none = 128
	case soType == "DateTime":
		none = 12
	}
	after, least, most := uint64(0), 60, 90*86400 // seconds
	if base := follows[column]; base != "" {
		after = p.seed(p.table, base)
		if base == "activedate" {
			least, most = 15*60, 6*3600
		}
	}
	ticks := soType == "UtcDateTime"
	return func(i int, d dice) any {
		e := int(d.next() & 0xFF)
		var sec, ms int64
		if after == 0 {
			sec = moment(d)
		} else {
			base := rowDice(after, i)
			base.next() // as for that column's own value
			sec = moment(base) + int64(least+d.few(most))
		}
		switch {
		case e < 4:
			return pick(&d, timeEdges)
		case e < 8:
			ms = pick(&d, milliseconds)
		case e < 8+none:
			return noDate
		case ticks && e&3 == 0:
			ms = (int64(d.n(300))*10 + 1) / 3
		}
		return time.Unix(sec, ms*int64(time.Millisecond)).UTC()
	}
}

// moment returns a time from 2004 to 2025 in Unix seconds, of office hours.
func moment(d dice) int64 {
	const first, days = 1_072_915_200, 8036 // 2004-01-01
	day := days - 1 - d.few(days)
	return first + int64(day)*86400 + 7*3600 + int64(d.n(10*3600))
}

// blob returns binary data of at most length bytes.
func blob(d dice, length int) []byte {
	b := make([]byte, min(blobSize(&d), length))
	var word [8]byte
	for rest := b; len(rest) > 0; {
		binary.LittleEndian.PutUint64(word[:], d.next())
		rest = rest[copy(rest, word[:]):]
	}
	return b
}

// blobSizes are lengths at which something changes: the limits of varbinary
// and HASHBYTES, and of our own.
var blobSizes = []int{0, 0, 1, 2, 255, 256, 7999, 8000, 8001, 1 << 15, 1<<16 - 1, 1 << 16}

func blobSize(d *dice) int {
	if d.oneIn(16) {
		return pick(d, blobSizes)
	}
	return 16 + d.few(4096)
}
