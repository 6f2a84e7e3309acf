package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// htmlFlag adds --html.
func (a *app) htmlFlag(c *cobra.Command) {
	c.Flags().StringVar(&a.flags.html, "html", "", "also write the result as a page to look at, to this `file`")
}

// writeHTML writes the result as a page, if that was asked for. Rows of the customer are
// in it, so it is nobody else's to read.
func (a *app) writeHTML(write func(w io.Writer) error) error {
	if a.flags.html == "" {
		return nil
	}
	if err := writeWhole(a.flags.html, write); err != nil {
		return fmt.Errorf("write the HTML report: %w", err)
	}
	a.note("HTML report: %s", a.flags.html)
	return nil
}
