package crm

import (
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/so-mirror/mirror/store"
)

// writer makes the text of row i, before it is fitted to its column.
type writer func(i int, d dice) string

// text chooses the maker of a column of text of at most length UTF-16 units.
func (p *planner) text(column string, length int, seed uint64) maker {
	if w, people := p.prose(column); w != nil {
		if people && length < store.MaxLength {
			return spiced(w, length, seed)
		}
		return func(i int, d dice) any { return fit(w(i, d), length) }
	}
	return spiced(words(headings), length, seed) // user-defined and unknown columns
}

func words(list []string) writer { return func(_ int, d dice) string { return pick(&d, list) } }

// prose returns what writes a column, or nil, and whether people type it, so
// that it holds what people type.
func (p *planner) prose(column string) (w writer, people bool) {
	if w := p.list(column); w != nil {
		return w, false
	}
	switch p.table + "." + column {
	case "contact.name":
		return company, true
	case "project.name":
		return heading, true
	case "document.name":
		return func(_ int, d dice) string {
			return pick(&d, fileNames) + "_" + strconv.Itoa(2004+d.n(22)) + "-" + strconv.Itoa(d.n(10_000)) + pick(&d, fileTypes)
		}, true
	case "associate.name":
		return func(i int, d dice) string { return pick(&d, logins) + strconv.Itoa(i) }, true
	case "text.text":
		return note, true
	case "email.description", "phone.description", "associate.tooltip", "binaryobject.description":
		return words(departments), true
	}
	switch column {
	case "department":
		return words(departments), true
	case "lastname":
		return lastName, true
	case "firstname":
		return words(firstNames), true
	case "middlename":
		return words(middleNames), true
	case "author", "attention":
		return person, true
	case "kananame", "kanalname", "kanafname":
		return words([]string{"ヤマダ", "サトウ", "ﾔﾏﾀﾞ", "カブシキガイシャ", "ハナコ", "かな"}), false
	case "title", "search_title", "heading", "header", "searchname":
		if p.table == "person" {
			return words(titles), true
		}
		return heading, true
	case "post1", "post2", "post3":
		return words(titles), true
	case "mrmrs", "salutation":
		return words(salutations), false
	case "initials":
		return func(_ int, d dice) string { return capitals(&d, 2+d.n(2)) }, false
	case "zipcode", "city", "county":
		seed := p.seed(p.table, "city") // one place for the three
		return func(i int, _ dice) string {
			d := rowDice(seed, i)
			d.next()
			at := pick(&d, places)
			switch column {
			case "zipcode":
				return at.zip
			case "city":
				return at.city
			}
			return at.county
		}, column == "city"
	case "state":
		return func(_ int, d dice) string { return capitals(&d, 2) }, false
	case "address1", "address2", "address3", "location", "locationaddress":
		return func(_ int, d dice) string { return pick(&d, streets) + " " + strconv.Itoa(1+d.few(200)) }, true
	case "soundex":
		return func(_ int, d dice) string { return capitals(&d, 1) + strconv.Itoa(100+d.n(900)) }, false
	case "orgnr", "person_number":
		return func(_ int, d dice) string { return strconv.Itoa(800_000_000 + d.n(200_000_000)) }, false
	case "number1", "number2", "project_number", "our_ref", "your_ref":
		return func(_ int, d dice) string {
			return capitals(&d, 1+d.n(3)) + "-" + strconv.Itoa(d.n(100_000))
		}, true
	case "dbi_key", "centralservice_videomeet_id":
		return guid, true
	case "encryptedcheck":
		return func(_ int, d dice) string { return hexes(&d, 4) }, false
	case "phone":
		return func(_ int, d dice) string { return phoneNumber(d, " ") }, false
	case "searchphonenumber":
		seed := p.seed(p.table, "phone")
		return func(i int, _ dice) string { return phoneNumber(rowDice(seed, i), "") }, false
	case "email_address", "from_address", "filter_address", "username":
		return func(_ int, d dice) string {
			return pick(&d, logins) + strconv.Itoa(d.few(5000)) + "@" + pick(&d, domains)
		}, true
	case "protocol":
		return words([]string{"SMTP", "SMTP", "smtp", ""}), false
	case "message_id":
		return func(i int, d dice) string {
			return "<" + strconv.Itoa(i) + "." + hexes(&d, 1) + "@" + pick(&d, domains) + ">"
		}, false
	case "join_videomeet_url", "exturl", "extref":
		return func(_ int, d dice) string {
			return "https://meet.example.com/j/" + strconv.Itoa(d.n(1_000_000_000)) + "?pwd=" + hexes(&d, 2) + "&navn=" + pick(&d, firstNames)
		}, false
	case "rejectreason", "lastbouncereason", "display_filter", "extrainfo":
		return func(_ int, d dice) string { return passage(&d, 1+d.few(12)) }, true
	case "mimetype":
		return words(mimeTypes), false
	case "conceptualtype":
		return words([]string{"PersonImage", "ProjectImage", "ProductImage", "Logo"}), false
	case "language":
		return words(languages), false
	case "userflags":
		return func(_ int, d dice) string { return strconv.FormatUint(d.next()&0xFFFF, 2) }, false
	case "tags":
		return func(_ int, d dice) string {
			var b []byte
			for range d.few(6) {
				b = append(strconv.AppendInt(append(b, '['), int64(1+d.n(60)), 10), ']')
			}
			return string(b)
		}, false
	case "body", "debug_info":
		return longNote, false
	case "html_text", "html_body":
		return func(i int, d dice) string { return "<html><body><p>" + longNote(i, d) + "</p></body></html>" }, false
	case "email_header":
		return func(_ int, d dice) string {
			return "Received: from " + pick(&d, domains) + " by mail.example.com with ESMTPS id " + hexes(&d, 1) +
				";\r\nSubject: " + pick(&d, headings) + "\r\nMIME-Version: 1.0\r\n"
		}, false
	}
	return nil, false
}

// list returns what writes the columns of the tables that are fixed lists.
func (p *planner) list(column string) writer {
	var names []string
	switch p.table {
	case "category":
		names = categories
	case "business":
		names = businesses
	case "country":
		return countryText(column)
	default:
		return nil
	}
	if column != "name" && column != "tooltip" {
		return nil
	}
	return func(i int, _ dice) string { return names[i%len(names)] + again(i, len(names)) }
}

// again tells apart the entries of a list that is longer than its vocabulary.
func again(i, n int) string {
	if i < n {
		return ""
	}
	return " " + strconv.Itoa(i/n+1)
}

func countryText(column string) writer {
	var field func(c country) string
	switch column {
	case "name", "tooltip":
		return func(i int, _ dice) string { return countries[i%len(countries)].name + again(i, len(countries)) }
	case "english_name":
		field = func(c country) string { return c.english }
	case "abbrev2":
		field = func(c country) string { return c.abbrev2 }
	case "abbrev3":
		field = func(c country) string { return c.abbrev3 }
	case "zip_prefix":
		field = func(c country) string { return c.abbrev2 + "-" }
	case "domainname":
		field = func(c country) string { return "." + strings.ToLower(c.abbrev2) }
	case "dialinprefix":
		field = func(c country) string { return "+" + c.dial }
	case "dialoutprefix":
		field = func(country) string { return "00" }
	case "interareaprefix":
		field = func(country) string { return "0" }
	case "orgnrtext":
		field = func(country) string { return "Org.nr." }
	default:
		field = func(country) string { return "" }
	}
	return func(i int, _ dice) string { return field(countries[i%len(countries)]) }
}

func countryNumber(column string) maker {
	switch column {
	case "isonumber":
		return func(i int, _ dice) any { return countries[i%len(countries)].number }
	case "defaultlcid":
		return func(i int, _ dice) any { return countries[i%len(countries)].lcid }
	case "isbuiltin":
		return func(int, dice) any { return int64(1) }
	}
	return nil
}

func company(_ int, d dice) string {
	if d.oneIn(3) {
		return pick(&d, lastNames) + " " + pick(&d, companyMiddles) + pick(&d, companySuffixes)
	}
	return pick(&d, companyHeads) + " " + pick(&d, companyMiddles) + pick(&d, companySuffixes)
}

func lastName(_ int, d dice) string {
	if d.oneIn(12) {
		return pick(&d, lastNames) + "-" + pick(&d, lastNames)
	}
	return pick(&d, lastNames)
}

func person(_ int, d dice) string { return pick(&d, firstNames) + " " + pick(&d, lastNames) }

func heading(_ int, d dice) string {
	if d.oneIn(2) {
		return pick(&d, headings)
	}
	return pick(&d, headings) + " #" + strconv.Itoa(d.n(100_000))
}

func capitals(d *dice, n int) string {
	var b [4]byte
	for i := range n {
		b[i] = byte('A' + d.n(26))
	}
	return string(b[:n])
}

const hexDigits = "0123456789abcdef"

func appendHex(b []byte, x uint64, digits int) []byte {
	for range digits {
		b = append(b, hexDigits[x&15])
		x >>= 4
	}
	return b
}

// hexes returns n times 16 hexadecimal digits.
func hexes(d *dice, n int) string {
	var buf [64]byte
	b := buf[:0]
	for range n {
		b = appendHex(b, d.next(), 16)
	}
	return string(b)
}

func guid(_ int, d dice) string {
	var buf [36]byte
	b := buf[:0]
	for i, digits := range [...]int{8, 4, 4, 4, 12} {
		if i > 0 {
			b = append(b, '-')
		}
		b = appendHex(b, d.next(), digits)
	}
	return string(b)
}

// phoneNumber returns a Norwegian number such as "+47 22 51 80 00".
func phoneNumber(d dice, sep string) string {
	var buf [32]byte
	b := buf[:0]
	if d.oneIn(2) {
		b = append(append(b, "+47"...), sep...)
	}
	for i := range 4 {
		if i > 0 {
			b = append(b, sep...)
		}
		n := d.n(100)
		b = append(b, byte('0'+n/10), byte('0'+n%10))
	}
	return string(b)
}

// corpus is running text and the offsets at which sentences begin. Passages
// are cut out of it, so that long texts cost nothing to make.
type corpus struct {
	text   string
	starts []int
}

const longest = 12_000 // characters of a passage

var theCorpus = sync.OnceValue(func() corpus {
	var c corpus
	var b strings.Builder
	d := dice(1)
	for b.Len() < 8*longest {
		c.starts = append(c.starts, b.Len())
		b.WriteString(pick(&d, sentences))
	}
	c.text = b.String()
	return c
})

// passage returns n sentences.
func passage(d *dice, n int) string {
	c := theCorpus()
	from := d.n(len(c.starts) - n)
	return c.text[c.starts[from]:c.starts[from+n]]
}

func note(_ int, d dice) string { return passage(&d, 1+d.few(60)) }

// longNote is a note, and sometimes so long that what only looks at the
// beginning of a text, or at 8,000 bytes, takes it for another.
func longNote(_ int, d dice) string {
	if d.oneIn(96) {
		return prefixOf(theCorpus().text, 8000+d.few(longest-8000)) + hexes(&d, 1)
	}
	return passage(&d, 1+d.few(40))
}

// spiced makes w's texts and, now and then, what tells careless comparisons
// from exact ones: the previous row's text in another case or with blanks at
// its end, nothing, something odd, or as much as fits into the column.
func spiced(w writer, length int, seed uint64) maker {
	before := func(i int) string { return w(i-1, rowDice(seed, i-1)) }
	return func(i int, d dice) any {
		var s string
		switch e := d & 0xFF; {
		case e < 2:
			s = strings.ToUpper(before(i))
		case e < 4:
			s = strings.ToLower(before(i))
		case e < 5:
			s = before(i) + " "
		case e < 7:
			s = w(i, d) + "   "[:1+d.n(3)]
		case e < 10:
			s = ""
		case e < 13:
			s = pick(&d, odd)
		case e < 14 && i&3 == 0:
			s = full(&d, length)
		default:
			s = w(i, d)
		}
		return fit(s, length)
	}
}

// full returns text of exactly length UTF-16 units, ending in two that belong
// together, if there is room for them.
func full(d *dice, length int) string {
	if length < 2 {
		return "xx"[:length]
	}
	c := theCorpus()
	s := c.text[c.starts[d.n(len(c.starts)/2)]:]
	s = prefixOf(s, length-2)
	return s + strings.Repeat("x", length-2-utf16Length(s)) + "😀"
}

// fit cuts s to at most length UTF-16 units.
func fit(s string, length int) string {
	if len(s) <= length { // a unit is at least one byte
		return s
	}
	return prefixOf(s, length)
}

// prefixOf returns the longest prefix of s of at most length UTF-16 units.
func prefixOf(s string, length int) string {
	for i, r := range s {
		length -= units(r)
		if length < 0 {
			return s[:i]
		}
	}
	return s
}

func utf16Length(s string) int {
	n := 0
	for _, r := range s {
		n += units(r)
	}
	return n
}

func units(r rune) int {
	if utf8.RuneLen(r) == 4 {
		return 2
	}
	return 1
}
