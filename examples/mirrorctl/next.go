package main

import (
	"regexp"
	"runtime"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/so-mirror/mirror/examples/internal/customers"
)

// commandLine is a command as one pastes it.
type commandLine []string // words, and flags with their values

// commandLine begins a command with the flags that say where databases are.
func (a *app) commandLine(where []string, words ...string) commandLine {
	c := commandLine{"mirrorctl"}
	for _, w := range words {
		c = append(c, quoted(w))
	}
	return append(c, where...)
}

func (c commandLine) String() string { return strings.Join(c, " ") }

// where are the flags by which another command finds the same databases. What the
// environment says it says to that one, too, and a password never is in it.
func (a *app) where(contextID string) (flags []string) {
	add := func(name, value string) {
		if value != "" {
			flags = append(flags, "--"+name+" "+quoted(value))
		}
	}
	for _, f := range []struct{ name, value string }{{"source", a.flags.source}, {"mirror", a.flags.mirror}} {
		if len(customers.SecretsOf(f.value)) == 0 {
			add(f.name, f.value)
		}
	}
	if a.flags.context == "" && a.env(envContext) == "" {
		add("context", contextID)
	}
	add("context", a.flags.context)
	add("config", a.flags.config)
	add("state-dir", a.flags.stateDir)
	return flags
}

// again are the flags of a command besides where, to call it once more, without some.
func (a *app) again(cmd *cobra.Command, without ...string) (flags []string) {
	without = append(without, "source", "mirror", "context", "config", "state-dir", "output", "quiet")
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if slices.Contains(without, f.Name) {
			return
		}
		values := []string{f.Value.String()}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			values = list.GetSlice()
		}
		for _, v := range values {
			switch {
			case f.Value.Type() == "bool" && v == "true":
				flags = append(flags, "--"+f.Name)
			case f.Value.Type() == "bool":
				flags = append(flags, "--"+f.Name+"="+v)
			default:
				flags = append(flags, "--"+f.Name+" "+quoted(v))
			}
		}
	})
	return flags
}

var isPlainWord = regexp.MustCompile(`^[\p{L}\p{N}@%+=:,./_-]+$`)

// quoted is a word as a shell takes it.
func quoted(word string) string {
	switch {
	case isPlainWord.MatchString(word):
		return word
	case runtime.GOOS == "windows":
		return `"` + word + `"`
	default:
		return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
	}
}

// next writes a command to paste. It is broken where a shell lets it be broken.
func (p *page) next(c commandLine) {
	const indent = "  "
	line := indent + p.clean(c[0])
	for _, part := range c[1:] {
		part = p.clean(part)
		if text.StringWidth(line)+1+text.StringWidth(part)+len(" \\") > p.width && strings.TrimSpace(line) != "" && runtime.GOOS != "windows" {
			p.WriteString(p.paint(head, line+" \\") + "\n")
			line = indent + indent + part
			continue
		}
		line += " " + part
	}
	p.WriteString(p.paint(head, line) + "\n")
}

// secretless says of which flags the password is not in the commands that are shown.
func (a *app) secretless() (envs []string) {
	for _, f := range []struct{ value, env string }{{a.flags.source, envSource}, {a.flags.mirror, envMirror}} {
		if len(customers.SecretsOf(f.value)) > 0 {
			envs = append(envs, f.env)
		}
	}
	return envs
}

// todo writes what to do next: a sentence, and the command.
func (a *app) todo(p *page, sentence string, c commandLine) {
	p.line("%s", sentence)
	p.next(c)
	if envs := a.secretless(); envs != nil {
		p.note("Set %s first: the URL holds a password, so it is not shown.", strings.Join(envs, " and "))
	}
}
