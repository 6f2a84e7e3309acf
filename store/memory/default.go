package memory

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/so-mirror/mirror/store"
)

// defaultForm says what a default expression is.
type defaultForm uint8

const (
	noDefault     defaultForm = iota
	nullDefault               // NULL
	numberDefault             // a number
	textDefault               // quoted text
	funcDefault               // a function whose value is not deterministic
	otherDefault              // anything else
)

var (
	numberLiteral = regexp.MustCompile(`^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$`)
	textLiteral   = regexp.MustCompile(`^[Nn]?'((?:[^']|'')*)'$`)
)

// parseDefault returns the number or the text that a default expression is, in
// any number of parentheses.
func parseDefault(expr string) (string, defaultForm) {
	expr = strings.TrimSpace(expr)
	for len(expr) > 1 && expr[0] == '(' && expr[len(expr)-1] == ')' {
		expr = strings.TrimSpace(expr[1 : len(expr)-1])
	}
	switch lower := strings.ToLower(expr); lower {
	case "":
		return "", noDefault
	case "null":
		return "", nullDefault
	case "getdate()", "getutcdate()", "sysdatetime()", "sysutcdatetime()", "sysdatetimeoffset()",
		"current_timestamp", "newid()", "newsequentialid()":
		return "", funcDefault
	}
	if numberLiteral.MatchString(expr) {
		return expr, numberDefault
	}
	if m := textLiteral.FindStringSubmatch(expr); m != nil {
		return strings.ReplaceAll(m[1], "''", "'"), textDefault
	}
	return "", otherDefault
}

// defaults returns a row with the values of all columns that an Insert does not
// name. What is not a literal has no deterministic value and counts as NULL.
func (t *table) defaults(named columns) (store.Row, error) {
	row := make(store.Row, len(t.def.Columns))
	for i, c := range t.def.Columns {
		if c.Generated || slices.Contains(named.index, i) {
			continue
		}
		text, form := parseDefault(c.Default)
		if form == numberDefault || form == textDefault {
			v, err := defaultValue(c.Type, text, form)
			if err != nil {
				return nil, fmt.Errorf("column %s: default %s: %w", c.Name, c.Default, err)
			}
			row[i] = v
		}
		if row[i] == nil && !c.Nullable {
			reason := "no value, and no default"
			if c.Default != "" {
				reason = "no value, and no literal as its default"
			}
			return nil, fmt.Errorf("column %s: NULL is not allowed: %s", c.Name, reason)
		}
	}
	return row, nil
}

// timeLayouts are the texts that stand for times in defaults. Fractions of a
// second are parsed without being in the layout.
var timeLayouts = []string{
	"2006-01-02", "20060102", "2006-01-02 15:04:05", "2006-01-02T15:04:05",
	"15:04:05", "15:04", "2006-01-02 15:04:05 -07:00", time.RFC3339,
}

// defaultValue converts a literal to a value of t, as SQL Server does.
func defaultValue(t store.Type, text string, form defaultForm) (driver.Value, error) {
	number := strings.TrimSpace(text)
	if number == "" {
		number = "0" // SQL Server: CONVERT(int, '') is 0
	}
	switch t.Kind() {
	case store.KindBool, store.KindInt, store.KindFloat:
		if n, err := strconv.ParseInt(number, 10, 64); err == nil && t.Kind() == store.KindInt {
			return store.Normalize(t, n)
		}
		f, err := strconv.ParseFloat(number, 64)
		if err != nil {
			return nil, errors.New("not a number")
		}
		switch t.Kind() {
		case store.KindBool:
			return f != 0, nil
		case store.KindInt:
			return store.Normalize(t, int64(f))
		}
		return store.Normalize(t, f)
	case store.KindDecimal:
		return store.Normalize(t, number)
	case store.KindString:
		return store.Normalize(t, text)
	}
	if form == textDefault {
		switch t.Kind() {
		case store.KindGUID:
			return store.Normalize(t, text)
		case store.KindTime, store.KindTimeOfDay, store.KindTimeOffset:
			for _, layout := range timeLayouts {
				if v, err := time.Parse(layout, text); err == nil {
					return store.Normalize(t, v)
				}
			}
		}
	}
	return nil, fmt.Errorf("this store cannot make a value of %s from it", t)
}
