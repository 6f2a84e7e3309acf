package ui

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestColumnClass(t *testing.T) {
	number, wide := Column{Name: "Rows", Number: true}, Column{Name: "Why", Wide: true}
	for name, c := range map[string]struct {
		column Column
		cell   Cell
		want   string
	}{
		"text":           {Column{}, Cell{Text: "contact"}, ""},
		"number":         {number, Cell{Text: "1,200"}, "n"},
		"no number":      {number, Cell{Text: "–"}, "n blank"},
		"no time":        {Column{}, Cell{Time: &Moment{}}, "blank"},
		"time":           {Column{}, Cell{Time: &Moment{Text: "12:00"}}, ""},
		"sentence":       {wide, Cell{Text: "many words, none of them long"}, "why"},
		"long word":      {Column{}, Cell{Text: strings.Repeat("W", 19)}, "long"},
		"many bytes":     {Column{}, Cell{Text: strings.Repeat("ø", 18)}, ""},
		"long note":      {Column{}, Cell{Text: "x", Note: "of " + strings.Repeat("y", 99)}, "long"},
		"nothing at all": {Column{}, Cell{}, ""},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.want, c.column.Class(c.cell)) })
	}
}

func TestCellNamed(t *testing.T) {
	for name, c := range map[string]struct {
		cell Cell
		want bool
	}{
		"text":    {Cell{Text: "12"}, true},
		"time":    {Cell{Time: &Moment{Text: "12:00"}}, true},
		"badge":   {Cell{Badge: &Badge{Text: "identical"}}, false},
		"dash":    {Cell{Text: "-"}, false},
		"no time": {Cell{Time: &Moment{}}, false},
		"nothing": {Cell{}, false},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.want, c.cell.Named()) })
	}
}
