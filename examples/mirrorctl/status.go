package main

import (
	"cmp"

	"github.com/spf13/cobra"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store"
)

func (a *app) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "status",
		GroupID: groupLook,
		Short:   "Say what the mirror's database says about itself",
		Long: `Status lists the tables of a mirror with their rows and their LSN: which wait for the next
cycle, which are being filled, which are not fed at all. It needs no source.`,
		Example: example("mirrorctl status --mirror mirror.db", "mirrorctl status --mirror mirror.db -o json"),
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), need{}, func(t *target) error {
				s, err := t.m.Status(cmd.Context())
				if err != nil {
					return err
				}
				if err := a.show(s, func(p *page) { p.status(s) }); err != nil {
					return err
				}
				return s.Err()
			})
		},
	}
}

// stateWords say what the states of a mirror mean.
var stateWords = map[mirror.MirrorState]string{
	mirror.MirrorHasMetadata:        "fed by the Mirroring Task",
	mirror.MirrorAwaitingFirstCycle: "no metadata table, awaiting its first cycle",
	mirror.MirrorReplica:            "a replica, fed by the newer client",
}

func (p *page) status(s *mirror.Status) {
	p.heading("Mirror of %s: %s", s.ContextID, cmp.Or(stateWords[s.State], string(s.State)))
	for _, mistake := range s.Mistakes {
		p.warn("wrong database: %s", mistake)
	}
	for _, w := range s.Warnings {
		p.warn("%s", w)
	}
	var rows []row
	for _, t := range s.Tables {
		r := row{cells: []cell{plain(t.Table), plain(string(t.State)), plain(number(t.Rows)), plain(store.FormatLSN(t.LSN))}}
		if t.Reason != "" {
			r.notes = append(r.notes, t.Reason)
		}
		rows = append(rows, r)
	}
	if rows != nil {
		p.grid([]column{{title: "TABLE"}, {title: "STATE"}, {title: "ROWS", number: true}, {title: "LSN", number: true}}, rows)
	}
}
