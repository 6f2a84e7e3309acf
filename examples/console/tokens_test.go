package main

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTokens(t *testing.T) {
	for name, text := range map[string]string{
		"lines":            "ada: " + token + "\n# a remark\ngrace: '" + other + "' # another\n",
		"the form of JSON": `{"ada": "` + token + `", "grace": "` + other + `"}`,
		"ends of lines":    "ada: " + token + "\r\ngrace: " + other + "\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			tokens, err := readTokens(write(t, "tokens", text))
			require.NoError(t, err)
			require.Equal(t, map[string]string{"ada": token, "grace": other}, tokens)
		})
	}
	tokens, err := readTokens(write(t, "tokens", "ada: 0123456789012345\n0xFF: 1e400000000000000\n"))
	require.NoError(t, err)
	require.Equal(t, map[string]string{"ada": "0123456789012345", "0xFF": "1e400000000000000"}, tokens, "numbers are read as they are written")
}

func TestTokenMistakes(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"an empty file":       {"", `want lines such as "ada: token"`},
		"only a remark":       {"# hemlig\n", `want lines such as "ada: token"`},
		"no token":            {"{}\n", "there is no token in it"},
		"a token alone":       {token + "\n", `want lines such as "ada: token"`},
		"a list":              {"- " + token + "\n", `want lines such as "ada: token"`},
		"no YAML":             {"ada: @" + token + "\n", "in quotes"},
		"an alias":            {"ada: *" + token + "\n", "in quotes"},
		"a short token":       {"grace: " + token + "\nada: hemlig\n", ":2: the token is shorter than 16 characters: make one such as by: openssl rand -hex 24"},
		"a name without one":  {"ada:\n", ":1: the token is shorter"},
		"a token without one": {"'': " + token + "\n", ":1: want one token for a name"},
		"a list of tokens":    {"ada: [" + token + "]\n", ":1: want one token for a name"},
		"a name twice":        {"ada: " + token + "\nada: " + other + "\n", ":2: the name is there twice"},
		"a token twice":       {"ada: " + token + "\n\ngrace: " + token + "\n", ":3: line 1 has the same token"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := readTokens(write(t, "tokens", c.text))
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), "hemlig")
			require.NotContains(t, err.Error(), token[:10])
		})
	}
	for _, mode := range []os.FileMode{0o604, 0o602, 0o620} {
		path := write(t, "tokens", "ada: "+token+"\n")
		require.NoError(t, os.Chmod(path, mode))
		_, err := readTokens(path)
		require.ErrorContains(t, err, "others on this machine can read or change it: chmod 600 "+path)
	}
	path := write(t, "tokens", "ada: "+token+"\n")
	require.NoError(t, os.Chmod(path, 0o640))
	_, err := readTokens(path)
	require.NoError(t, err, "a group may have been made for it")
}
