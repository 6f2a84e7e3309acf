package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

const (
	minToken     = 16
	maxTokenFile = 1 << 20
)

// readTokens reads the file of those who may log in: lines such as "ada: token", or any
// other way in which YAML has a name for each token. No error holds one.
func readTokens(name string) (map[string]string, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	switch {
	case err != nil:
		return nil, err
	case othersMay(info, 0o027):
		return nil, fmt.Errorf("%s: others on this machine can read or change it: chmod 600 %s, and make new tokens", name, name)
	}
	data, err := io.ReadAll(io.LimitReader(file, maxTokenFile))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil { // its text may quote a token
		return nil, fmt.Errorf("%s: want lines such as \"ada: token\", and a token with anything else than letters and digits in quotes", name)
	}
	if doc.Kind == 0 || doc.Content[0].Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%s: want lines such as \"ada: token\"", name)
	}
	return tokensOf(name, doc.Content[0].Content)
}

// tokensOf are the tokens of names and tokens in turn.
func tokensOf(name string, nodes []*yaml.Node) (map[string]string, error) {
	tokens, lines := map[string]string{}, map[string]int{}
	for i := 0; i+1 < len(nodes); i += 2 {
		who, token := nodes[i], nodes[i+1]
		if err := checkToken(who, token); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, who.Line, err)
		}
		if _, twice := tokens[who.Value]; twice {
			return nil, fmt.Errorf("%s:%d: the name is there twice: give each token a name of its own", name, who.Line)
		}
		if line := lines[token.Value]; line > 0 {
			return nil, fmt.Errorf("%s:%d: line %d has the same token: make one for each, such as by: openssl rand -hex 24", name, who.Line, line)
		}
		tokens[who.Value], lines[token.Value] = token.Value, who.Line
	}
	if len(tokens) == 0 {
		return nil, fmt.Errorf("%s: there is no token in it: want lines such as \"ada: token\"", name)
	}
	return tokens, nil
}

func checkToken(who, token *yaml.Node) error {
	switch {
	case who.Kind != yaml.ScalarNode || token.Kind != yaml.ScalarNode || who.Value == "":
		return errors.New("want one token for a name, such as \"ada: token\"")
	case utf8.RuneCountInString(token.Value) < minToken:
		return fmt.Errorf("the token is shorter than %d characters: make one such as by: openssl rand -hex 24", minToken)
	}
	return nil
}
