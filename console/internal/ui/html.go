package ui

import (
	"html/template"
	"strconv"
	"strings"
)

// The components that a page has by the hundred write themselves: templates take ten times
// as long for a table of a hundred rows, and most of the time of a page. Everything goes
// through text, attr or url, which escape it.

// markup is HTML that is being written.
type markup struct{ strings.Builder }

// raw adds what is written here, and never data.
func (m *markup) raw(html ...string) {
	for _, h := range html {
		m.WriteString(h)
	}
}

func (m *markup) text(s string) { template.HTMLEscape(m, []byte(s)) }

// attr adds an attribute, unless it is empty.
func (m *markup) attr(name, value string) {
	if value == "" {
		return
	}
	m.raw(" ", name, `="`)
	m.text(value)
	m.raw(`"`)
}

// url adds an attribute that leads somewhere, which is a page of the console.
func (m *markup) url(name, value string) {
	if !strings.HasPrefix(value, "/") || strings.HasPrefix(value, "//") || strings.HasPrefix(value, `/\`) {
		value = "#"
	}
	m.attr(name, value)
}

// flag adds an attribute without a value.
func (m *markup) flag(name string, is bool) {
	if is {
		m.raw(" ", name)
	}
}

func (m *markup) html() template.HTML { return template.HTML(m.String()) }

// HTML is the table. Narrow, its rows are laid out anew, and the roles keep it a table.
func (t Table) HTML() template.HTML {
	var m markup
	m.raw(`<table class="grid data" role="table"`)
	m.attr("aria-label", t.Label)
	m.raw(`><thead role="rowgroup"><tr role="row">`)
	for _, c := range t.Columns {
		m.raw(`<th role="columnheader" scope="col"`)
		if c.Number {
			m.raw(` class="n"`)
		}
		m.raw(">")
		m.text(c.Name)
		m.raw("</th>")
	}
	m.raw("</tr></thead>\n<tbody role=\"rowgroup\">")
	for _, r := range t.Rows {
		m.raw(`<tr role="row"`)
		m.attr("class", r.Class)
		m.raw(">")
		for i, c := range r.Cells {
			c.write(&m, i, t.Columns[i])
		}
		m.raw("</tr>\n")
	}
	m.raw("</tbody></table>\n")
	return m.html()
}

// write writes the cell of a column. The first one of a row is its name.
func (c Cell) write(m *markup, i int, column Column) {
	if i == 0 {
		m.raw(`<th role="rowheader" scope="row">`)
		c.inside(m)
		m.raw("</th>")
		return
	}
	m.raw(`<td role="cell"`)
	m.attr("class", column.Class(c))
	if c.Named() {
		m.attr("data-name", column.Name)
	}
	m.raw(">")
	c.inside(m)
	m.raw("</td>")
}

func (c Cell) inside(m *markup) {
	if c.Check != nil {
		c.Check.write(m)
	}
	switch {
	case c.URL != "":
		m.raw("<a")
		m.url("href", c.URL)
		m.attr("id", c.ID)
		m.raw("><bdi>")
		m.text(c.Text)
		m.raw("</bdi></a>")
	case c.Text != "":
		m.raw("<bdi>")
		m.text(c.Text)
		m.raw("</bdi>")
	}
	if c.Badge != nil {
		c.Badge.write(m)
	}
	if c.Time != nil {
		c.Time.write(m)
	}
	if c.Progress != nil {
		c.Progress.write(m)
	}
	if c.Note != "" {
		m.raw(" <small>")
		m.text(c.Note)
		m.raw("</small>")
	}
	if c.Action != nil {
		c.Action.write(m)
	}
}

func (c Check) write(m *markup) {
	m.raw(`<label class="check`)
	if c.Heard {
		m.raw(" alone")
	}
	m.raw(`"><input type="checkbox"`)
	m.attr("id", c.ID)
	m.attr("name", c.Name)
	m.attr("value", c.Value)
	m.flag("checked", c.Checked)
	m.flag("disabled", c.Disabled)
	m.raw("> <bdi")
	if c.Heard {
		m.raw(` class="vh"`)
	}
	m.raw(">")
	m.text(c.Label)
	m.raw("</bdi></label>")
	if c.Heard {
		m.raw(" ")
	}
}

// HTML is the badge.
func (b Badge) HTML() template.HTML {
	var m markup
	b.write(&m)
	return m.html()
}

func (b Badge) write(m *markup) {
	m.raw("<span")
	m.attr("class", "badge "+b.Class)
	m.raw(">")
	m.text(b.Text)
	m.raw("</span>")
}

// HTML is the time, and how long ago it was.
func (t Moment) HTML() template.HTML {
	var m markup
	t.write(&m)
	return m.html()
}

func (t Moment) write(m *markup) {
	switch {
	case t.Stamp != "":
		m.raw("<time")
		m.attr("datetime", t.Stamp)
		m.raw(">")
		m.text(t.Text)
		m.raw("</time>")
	case t.Text != "":
		m.text(t.Text)
	default:
		m.raw("–")
	}
	if t.Ago != "" {
		m.raw(" <small>")
		m.text(t.Ago)
		m.raw("</small>")
	}
}

// HTML is the bar, with its text.
func (p Progress) HTML() template.HTML {
	var m markup
	p.write(&m)
	return m.html()
}

func (p Progress) write(m *markup) {
	m.raw("<div")
	m.attr("class", "progress "+p.Class)
	m.raw("><progress")
	m.attr("aria-label", p.Label)
	if p.Max != 0 {
		m.attr("max", strconv.FormatInt(p.Max, 10))
		m.attr("value", strconv.FormatInt(p.Value, 10))
	}
	m.raw("></progress>")
	if p.Text != "" {
		m.raw("<span>")
		m.text(p.Text)
		m.raw("</span>")
	}
	m.raw("</div>")
}

// HTML is the button.
func (b Button) HTML() template.HTML {
	var m markup
	b.write(&m)
	return m.html()
}

func (b Button) write(m *markup) {
	if b.Post {
		m.raw(`<form method="post"`)
		m.url("action", b.URL)
		m.raw(">")
		for _, h := range b.Hidden {
			m.raw(`<input type="hidden"`)
			m.attr("name", h.Name)
			m.raw(` value="`)
			m.text(h.Value)
			m.raw(`">`)
		}
		m.raw("<button")
		m.attr("id", b.ID)
	} else {
		m.raw("<a")
	}
	m.attr("class", "button "+b.Class)
	if !b.Post {
		m.url("href", b.URL)
	}
	m.raw(">")
	m.text(b.Name)
	if b.Of != "" {
		m.raw(`<span class="vh"> `)
		m.text(b.Of)
		m.raw("</span>")
	}
	if b.Post {
		m.raw("</button></form>")
		return
	}
	m.raw("</a>")
}
