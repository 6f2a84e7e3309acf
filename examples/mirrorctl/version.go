package main

import (
	"fmt"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is which program this is.
type version struct {
	Module   string `json:"module"`
	Version  string `json:"version"` // (devel) when it was built from a working copy
	Revision string `json:"revision,omitempty"`
	Time     string `json:"time,omitempty"` // of the revision
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Say which version this is",
		Long:    "Version names the module's version, the revision that it was built from, and the version of Go.",
		Example: example("mirrorctl version", "mirrorctl version -o json"),
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			info, _ := debug.ReadBuildInfo()
			v := versionOf(info)
			return a.show(jsonOf(v), func(p *page) { p.line("%s", v) })
		},
	}
}

// versionOf reads what the linker noted down, which is nothing in some builds.
func versionOf(info *debug.BuildInfo) version {
	if info == nil {
		return version{Module: "unknown", Version: "unknown", Go: "unknown"}
	}
	v := version{Module: info.Main.Path, Version: info.Main.Version, Go: info.GoVersion}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Revision = s.Value
		case "vcs.time":
			v.Time = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}

func (v version) String() string {
	s := fmt.Sprintf("mirrorctl %s of %s, %s", v.Version, v.Module, v.Go)
	if v.Revision != "" {
		s += fmt.Sprintf("\nrevision %s of %s", v.Revision, v.Time)
	}
	if v.Modified {
		s += ", with changes that are not committed"
	}
	return s
}
