package customers

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/so-mirror/mirror/store"
)

// kind is what a key's value is.
type kind int

const (
	word kind = iota
	list
	truth
)

// customerKeys are the keys of a customer, which all may also stand at the top of a
// fleet's file, but for the context.
var customerKeys = map[string]kind{
	"context": word, "source": word, "mirror": word, "source-schema": word, "mirror-schema": word,
	"replica": word, "replica-schema": word,
	"schema-prefixes": list, "skip-tables": list, "ignore-columns": list, "source-is-copy": truth,
	"metadata-table": word, "table-column": word, "lsn-column": word, "former-ids": list,
}

// fileKeys are the keys that stand at the top alone.
var fileKeys = []string{"members", "state-dir", "concurrency", "timeout"}

// parser reads a file. No error of it holds a value of the file, because
// that may be a secret, and a key only if it looks like one.
type parser struct{ file string }

func (p parser) errorf(line int, format string, args ...any) error {
	return mistakef("%s:%d: %w", p.file, line, fmt.Errorf(format, args...))
}

// Parse parses a file.
func Parse(name string, data []byte) (*File, error) {
	p := parser{name}
	var doc yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(data))
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, p.errorf(1, "the file is empty")
	case err != nil:
		return nil, p.syntax(err)
	}
	var more yaml.Node
	if err := dec.Decode(&more); err == nil {
		return nil, p.errorf(more.Line, "a second document begins: a file has one")
	} else if !errors.Is(err, io.EOF) {
		return nil, p.syntax(err)
	}
	return p.top(behind(doc.Content[0]))
}

var yamlLine = regexp.MustCompile(`line (\d+): `)

// syntax is what the parser of YAML says, without what it quotes.
func (p parser) syntax(err error) error {
	line, what := 1, strings.TrimPrefix(err.Error(), "yaml: ")
	if m := yamlLine.FindStringSubmatchIndex(what); m != nil {
		line, _ = strconv.Atoi(what[m[2]:m[3]])
		what = what[m[1]:]
	}
	if strings.Contains(what, "anchor") {
		what = "an alias has no anchor: put a value that begins with * into quotes"
	}
	return p.errorf(line, "this is no YAML: %s", what)
}

// behind is the node that an alias means.
func behind(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode && n.Alias != nil {
		n = n.Alias
	}
	return n
}

// top reads the whole file.
func (p parser) top(n *yaml.Node) (*File, error) {
	c := &File{Name: p.file}
	var members *yaml.Node
	base, err := p.entry(n, fileKeys, func(key string, v *yaml.Node) (err error) {
		switch key {
		case "members":
			members, c.Fleet = v, true
		case "state-dir":
			if c.stateDir.text, err = p.text(key, v); err == nil && strings.Contains(c.stateDir.text, "{{") {
				err = p.errorf(v.Line, "state-dir: it is one for all customers, so {{context}} cannot be filled in")
			}
			c.stateDir.line = v.Line
		case "concurrency":
			c.Concurrency, err = parsed(p, key, v, parseCount)
		case "timeout":
			c.Timeout, err = parsed(p, key, v, parseDuration)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	c.base = base
	if !c.Fleet {
		if id := base.settings["context"]; id != nil {
			err = p.checkContext(id[0])
		}
		return c, err
	}
	if id := base.settings["context"]; id != nil {
		return nil, p.errorf(id[0].line, "each of the members has a context of its own, and the top has none")
	}
	return c, p.members(c, members)
}

// members reads the customers of a fleet.
func (p parser) members(c *File, n *yaml.Node) error {
	if n.Kind != yaml.SequenceNode {
		return p.errorf(n.Line, "members: want a list of context identifiers, or of what is known of each")
	}
	lines := map[string]int{}
	for _, item := range n.Content {
		item = behind(item)
		own := Entry{file: p.file, line: item.Line, settings: map[string]setting{}}
		var err error
		if item.Kind == yaml.ScalarNode {
			own.settings["context"] = setting{{item.Value, item.Line}}
		} else if own, err = p.entry(item, nil, nil); err != nil {
			return err
		}
		id := own.settings["context"]
		if id == nil {
			return p.errorf(item.Line, "a member has no context")
		}
		if err := p.checkContext(id[0]); err != nil {
			return err
		}
		folded := store.FoldName(id[0].text)
		if line := lines[folded]; line > 0 {
			return p.errorf(id[0].line, "%s is a member twice, first in line %d", id[0].text, line)
		}
		lines[folded] = id[0].line
		all := maps.Clone(c.base.settings)
		maps.Copy(all, own.settings)
		own.settings = all
		c.members = append(c.members, own)
	}
	if c.members == nil {
		return p.errorf(n.Line, "members: there is none")
	}
	return nil
}

// checkContext holds a context identifier to its rule.
func (p parser) checkContext(s scalar) error {
	if !IsContext(s.text) {
		return p.errorf(s.line, "this is no context identifier: it is letters, digits, '_' and '-', and starts with a letter, such as Cust10195")
	}
	return nil
}

// entry reads the keys of a customer; other keys are handed on.
func (p parser) entry(n *yaml.Node, others []string, other func(string, *yaml.Node) error) (Entry, error) {
	e := Entry{file: p.file, line: n.Line, settings: map[string]setting{}}
	if n.Kind != yaml.MappingNode {
		return e, p.errorf(n.Line, "want lines such as \"mirror: mirror.db\"")
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], behind(n.Content[i+1])
		key := k.Value
		kind, known := customerKeys[key]
		switch {
		case k.Kind != yaml.ScalarNode || !known && !slices.Contains(others, key):
			return e, p.unknown(k, others)
		case seen[key]:
			return e, p.errorf(k.Line, "%s is there twice", key)
		case v.Kind == yaml.ScalarNode && (v.Tag == "!!null" || v.Value == ""):
			return e, p.errorf(k.Line, "%s has no value", key)
		}
		seen[key] = true
		var err error
		if known {
			e.settings[key], err = p.setting(key, kind, v)
		} else {
			err = other(key, v)
		}
		if err != nil {
			return e, err
		}
	}
	return e, nil
}

var keyLike = regexp.MustCompile(`^[A-Za-z][A-Za-z_-]{0,29}$`)

// unknown is the error of a key that there is not.
func (p parser) unknown(k *yaml.Node, others []string) error {
	known := append(slices.Collect(maps.Keys(customerKeys)), others...)
	switch {
	case k.Kind != yaml.ScalarNode || !keyLike.MatchString(k.Value):
		return p.errorf(k.Line, "this is no key: known are %s", strings.Join(slices.Sorted(slices.Values(known)), ", "))
	case others == nil && slices.Contains(fileKeys, k.Value):
		return p.errorf(k.Line, "%s stands at the top of the file, not at a member", k.Value)
	}
	if like := nearest(k.Value, known, "did you mean %s?"); like != "" {
		return p.errorf(k.Line, "unknown key %s: %s", k.Value, like)
	}
	return p.errorf(k.Line, "unknown key %s: known are %s", k.Value, strings.Join(slices.Sorted(slices.Values(known)), ", "))
}

// setting reads a value.
func (p parser) setting(key string, k kind, v *yaml.Node) (s setting, err error) {
	if k == list && v.Kind == yaml.SequenceNode {
		for _, item := range v.Content {
			text, err := p.text(key, behind(item))
			if err != nil {
				return nil, err
			}
			s = append(s, scalar{text, item.Line})
		}
		return s, nil
	}
	text, err := p.text(key, v)
	if err == nil && k == truth && text != "true" && text != "false" {
		err = p.errorf(v.Line, "%s: want true or false", key)
	}
	return setting{{text, v.Line}}, err
}

// text reads a value that is one text.
func (p parser) text(key string, v *yaml.Node) (string, error) {
	if v.Kind == yaml.MappingNode && len(v.Content) > 0 && v.Content[0].Kind == yaml.MappingNode {
		return "", p.errorf(v.Line, "%s: put a value that begins with {{ into quotes", key)
	}
	if v.Kind != yaml.ScalarNode || v.Tag == "!!null" {
		return "", p.errorf(v.Line, "%s: want one value", key)
	}
	if err := checkScalar(v.Value); err != nil {
		return "", p.errorf(v.Line, "%s: %w", key, err)
	}
	return v.Value, nil
}

// parsed reads a value that is more than a text.
func parsed[T any](p parser, key string, v *yaml.Node, parse func(string) (T, error)) (T, error) {
	var t T
	text, err := p.text(key, v)
	if err == nil {
		if t, err = parse(text); err != nil {
			err = p.errorf(v.Line, "%s: %w", key, err)
		}
	}
	return t, err
}

func parseCount(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		return 0, errors.New("want a number from 1 on")
	}
	return n, nil
}

func parseDuration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return 0, errors.New("want a time such as 90s or 30m")
	}
	return d, nil
}
