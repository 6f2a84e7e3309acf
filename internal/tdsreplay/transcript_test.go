package tdsreplay

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	return string(b)
}

func TestCoalesce(t *testing.T) {
	var s secrets
	login := &exchange{request: request{kindLogin, "x"}, times: 1, response: doneToken(0), complete: true, held: -1}
	refused := *login
	refused.response, refused.closed = doneToken(doneError), true
	got, err := s.clean([]*exchange{login, login, &refused, batch("a", doneToken(0)), batch("b", value(1)), batch("a", doneToken(0)), batch("b", value(2)), login})
	require.NoError(t, err)
	var text []string
	for _, e := range got {
		text = append(text, fmt.Sprintf("%s %s %d %v", e.kind, e.text, e.times, e.closed))
	}
	require.Equal(t, []string{"login x 1 false", "login x 1 false", "batch a 2 false", "batch b 1 false", "batch b 1 false", "login x 1 false"}, text)
}

func TestTranscriptText(t *testing.T) {
	for name, text := range map[string]string{
		"plain": "SELECT 1", "empty": "", "lines": "a\nb\n\nc\n", "blanks": "a \n  b\t", "returns": "a\r\nb", "quotes": `"a"`,
		"marks": "| a\n< b\n# c\n\n= d", "not text": "\xff\x00", "wide": "Ærø 𝄞 \u00a0",
	} {
		t.Run(name, func(t *testing.T) {
			want := batch(text, bytes.Repeat([]byte("x"), 10000))
			want.times, want.held, want.closed, want.complete = 3, 17, true, false
			b := appendTranscript(nil, []*exchange{want, batch("b", []byte{1})})
			require.NotRegexp(t, `[ \t\r]\n`, string(b), "an editor may take that away")
			got, err := parseTranscript(string(b))
			require.NoError(t, err)
			require.Equal(t, []*exchange{want, batch("b", []byte{1})}, got)
			got, err = parseTranscript(strings.ReplaceAll(string(b), "\n", "\r\n"))
			require.NoError(t, err)
			require.Equal(t, want, got[0])
		})
	}
}

func TestDamagedTranscript(t *testing.T) {
	for text, want := range map[string]string{
		"":                                    "line 1",
		"tdsreplay 2\n":                       "line 1",
		magic + "\n\nquery\n":                 `line 3: "query" is not a kind`,
		magic + "\n\nbatch often\n":           `"often" is not a flag`,
		magic + "\n\nbatch times=0\n":         `"times=0" is not a flag`,
		magic + "\n\nbatch held=1\n":          "held=1 is beyond",
		magic + "\n\nbatch\nSELECT 1\n":       "unexpected line",
		magic + "\n\nbatch\n< AAAA\n| a":      "unexpected line",
		magic + "\n\nbatch\n< AAAA\n= AAAA\n": "unexpected line",
		magic + "\n\nbatch\n< !\n":            "decode response",
		magic + "\n\nbatch\n= AAAA\n":         "unpack response",
		magic + "\n\nbatch\n\"a\n":            "unquote",
	} {
		_, err := parseTranscript(text)
		require.ErrorContains(t, err, want, text)
	}
	long := string(appendTranscript(nil, []*exchange{batch("", make([]byte, 1000)), batch("", []byte{1})}))
	for room, want := range map[int]error{999: errRoom, 1000: errRoom, 1001: nil} {
		_, err := parseWithin(long, room)
		require.ErrorIs(t, err, want, room)
	}
}

func TestLongText(t *testing.T) {
	long := strings.Repeat("SELECT 'Ærø'\n", 1000)
	got := shorten(long)
	require.Less(t, len(got), maxText)
	require.True(t, strings.HasPrefix(long, got[:1000]))
	require.NotEqual(t, got, shorten(long+"x"))
	oneLine := shorten(strings.Repeat("Æ", 5000))
	require.NotContains(t, oneLine, "\uFFFD")
	require.Equal(t, "short", shorten("short"))
}

func TestFile(t *testing.T) {
	t.Run("a/b c", func(t *testing.T) {
		require.Equal(t, filepath.Join("testdata", "TestFile-a-b_c.tds"), File(t))
	})
}

func FuzzTranscript(f *testing.F) {
	f.Add(string(appendTranscript(nil, []*exchange{batch("a \n\"b\"", value(1)), batch("c", make([]byte, 500))})))
	f.Add(magic + "\n\nrpc times=2 held=1 partial closed\n|\n| a\n\"\\x00\"\n< AAAA\n")
	f.Fuzz(func(t *testing.T, text string) {
		exchanges, err := parseTranscript(text)
		if err != nil {
			return
		}
		again, err := parseTranscript(string(appendTranscript(nil, exchanges)))
		require.NoError(t, err)
		require.Equal(t, len(exchanges), len(again))
		for i, e := range exchanges {
			require.Equal(t, e.request, again[i].request)
			require.True(t, e.sameAnswer(again[i]) && e.times == again[i].times)
		}
	})
}
