package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cpuguy83/go-md2man/v2/md2man"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
)

// TestDocs: docs/commands.md and the man page are what the commands say of themselves.
// go test ./examples/mirrorctl -run TestDocs -update writes them anew.
func TestDocs(t *testing.T) {
	for name, made := range map[string][]byte{
		"commands.md": manual(false),
		"mirrorctl.1": append(bytes.TrimSpace(md2man.Render(manual(true))), '\n'),
	} {
		path := filepath.Join("..", "..", "docs", name)
		if *update {
			require.NoError(t, os.WriteFile(path, made, 0o644))
			continue
		}
		there, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, string(there), string(made), "write it anew: go test ./examples/mirrorctl -run TestDocs -update")
	}
}

// TestManWidth: flags do not run past the end of a line of the man page.
func TestManWidth(t *testing.T) {
	all := allCommands()
	lists := []string{all[0].Root().PersistentFlags().FlagUsagesWrapped(flagWidth(true)), environment, exitCodes}
	for _, c := range all {
		lists = append(lists, ownFlags(c, flagWidth(true)))
	}
	for line := range strings.Lines(strings.Join(lists, "\n")) {
		require.LessOrEqual(t, len(strings.TrimRight(line, "\n")), manWidth, line)
	}
}

// TestHelp: each command says what one needs to use it.
func TestHelp(t *testing.T) {
	for _, c := range allCommands() {
		t.Run(c.CommandPath(), func(t *testing.T) {
			require.NotEmpty(t, c.Short)
			require.NotEmpty(t, c.Long)
			require.NotNil(t, c.Args)
			require.NotEqual(t, ".", c.Short[len(c.Short)-1:])
			if c.HasSubCommands() {
				return
			}
			lines := strings.Split(strings.ReplaceAll(c.Example, " \\\n", " "), "\n")
			require.GreaterOrEqual(t, len(lines), 2, "two examples")
			for _, line := range lines {
				require.Contains(t, line, c.CommandPath())
			}
			for line := range strings.Lines(c.Long + "\n" + c.Example) {
				require.LessOrEqual(t, len([]rune(line)), 120, line)
			}
		})
	}
}

// allCommands returns every command, group by group.
func allCommands() (all []*cobra.Command) {
	a := &app{in: strings.NewReader(""), out: io.Discard, err: io.Discard, env: func(string) string { return "" }, width: 80}
	root := a.root()
	for _, group := range append(root.Groups(), &cobra.Group{}) {
		for _, c := range root.Commands() {
			if c.GroupID == group.ID && c.IsAvailableCommand() && c.Name() != "help" && c.Name() != "completion" {
				all = append(append(all, c), c.Commands()...)
			}
		}
	}
	return all
}

// topics are what help says more about.
func topics(root *cobra.Command) (all []*cobra.Command) {
	for _, c := range root.Commands() {
		if c.IsAdditionalHelpTopicCommand() && c.Name() != "help" {
			all = append(all, c)
		}
	}
	return all
}

// manual writes the manual as Markdown: as a page to read, or as what a man page is made of.
func manual(man bool) []byte {
	var b strings.Builder
	commands := allCommands()
	root := commands[0].Root()
	intro, _, _ := strings.Cut(root.Long, "\n\nExit codes:")
	if man {
		b.WriteString("% \"MIRRORCTL\" \"1\" \"\" \"mirror\" \"User commands\"\n# NAME\nmirrorctl - " + strings.ToLower(root.Short[:1]) + root.Short[1:] + "\n\n" +
			"# SYNOPSIS\n**mirrorctl** *command* [*flags*]\n\n# DESCRIPTION\n" + intro + "\n\n")
	} else {
		b.WriteString("# mirrorctl\n\nMade by `go test ./examples/mirrorctl -run TestDocs -update` from what the commands say of themselves.\n\n" + intro + "\n\n" +
			"    go install github.com/so-mirror/mirror/examples/mirrorctl@latest\n    mirrorctl demo\n\n")
	}
	section := func(title string) {
		if man {
			title = strings.ToUpper(title)
		}
		b.WriteString(strings.Repeat("#", level(man, 2)) + " " + title + "\n\n")
	}
	if !man {
		section("Commands")
		b.WriteString("| | |\n|---|---|\n")
		for _, c := range commands {
			if !c.HasSubCommands() {
				fmt.Fprintf(&b, "| [`%s`](#%s) | %s |\n", c.CommandPath(), strings.ReplaceAll(c.CommandPath(), " ", "-"), c.Short)
			}
		}
		b.WriteString("\n")
	}
	section("Exit codes")
	b.WriteString(fenced(strings.TrimPrefix(exitCodes, "Exit codes:\n")))
	section("Environment")
	b.WriteString(fenced(environment))
	section("Completion")
	b.WriteString("Shells complete commands, flags and, where a database answers at once, tables and context identifiers. " +
		"This loads it into bash, which needs the package bash-completion for it; `mirrorctl completion --help` has zsh, fish and PowerShell.\n\n" + fenced("source <(mirrorctl completion bash)"))
	section("Flags of every command")
	b.WriteString(fenced(root.PersistentFlags().FlagUsagesWrapped(flagWidth(man))))
	if man {
		section("Commands")
	}
	for _, c := range commands {
		b.WriteString(strings.Repeat("#", level(man, 3)) + " " + c.CommandPath() + "\n\n" + c.Short + ".\n\n" + c.Long + "\n\n")
		if c.HasSubCommands() {
			continue
		}
		b.WriteString(fenced(c.UseLine()))
		if flags := ownFlags(c, flagWidth(man)); flags != "" {
			b.WriteString(fenced(flags))
		}
		b.WriteString("Examples:\n\n" + fenced(c.Example))
	}
	for _, c := range topics(root) {
		section(c.Short)
		b.WriteString(fenced(c.Long))
	}
	return []byte(strings.TrimSpace(b.String()) + "\n")
}

// level is the number of a heading: in a man page the first one is a section.
func level(man bool, n int) int {
	if man {
		return n - 1
	}
	return n
}

// manWidth is what man has room for on a terminal of 80 columns, of which it indents 7.
const manWidth = 73

// flagWidth is how wide lists of flags are; pflag wraps them a little late.
func flagWidth(man bool) int {
	if man {
		return manWidth - 2
	}
	return 96
}

// environment are the names that are read.
const environment = envSource + `     the customer's database, as --source
` + envMirror + `     the mirror's database, as --mirror
` + envContext + `    context identifier, as --context
` + envConfig + `     the file of --config
` + envState + `  the directory of --state-dir
` + envReference + `  the database to compare with: validate --reference
` + envReplica + `    the database to check, as validate --replica
` + envShards + `     how many parts a fleet has. ` + envJobIndex + ` is
                     which one, from 0 on
` + envCompletion + `
                     how long completion asks a database (default 500ms)
NO_COLOR             no colours, whatever it says
COLUMNS              width of the output`

func fenced(s string) string {
	return "```\n" + strings.TrimRight(s, "\n") + "\n```\n\n"
}

func ownFlags(c *cobra.Command, width int) string {
	own := pflag.NewFlagSet("", pflag.ContinueOnError)
	c.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
		if f.Name != "help" {
			own.AddFlag(f)
		}
	})
	return own.FlagUsagesWrapped(width)
}
