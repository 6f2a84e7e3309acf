package tdsreplay

import (
	"bytes"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// encrypting is a PRELOGIN response of a server that insists on encryption.
func encrypting(prelogin *exchange) *exchange {
	e := *prelogin
	e.response = bytes.Clone(e.response)
	for opt := e.response; opt[0] != 0xFF; opt = opt[5:] {
		if opt[0] == 1 {
			e.response[int(opt[1])<<8|int(opt[2])] = 3
		}
	}
	return &e
}

// TestNoSecrets looks through everything that is committed.
func TestNoSecrets(t *testing.T) {
	files, err := filepath.Glob("testdata/*.tds")
	require.NoError(t, err)
	stores, err := filepath.Glob("../../store/*/testdata/*.tds")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	require.NotEmpty(t, stores)
	files = append(files, stores...)
	words := []string{"babelfish_user", "mirror_nobody", "wrong password"}
	if dsn, err := url.Parse(os.Getenv("MIRROR_TEST_SQLSERVER_DSN")); err == nil && dsn.User != nil {
		password, _ := dsn.User.Password()
		words = append(words, password)
	}
	for _, file := range files {
		text := read(t, file)
		exchanges, err := parseTranscript(text)
		require.NoError(t, err)
		for _, w := range words {
			require.NotContains(t, strings.ToLower(text), strings.ToLower(w), file)
			for _, e := range exchanges {
				folded := bytes.ToLower(e.response)
				require.False(t, bytes.Contains(folded, []byte(strings.ToLower(w))), "%s: %q in %s %s", file, w, e.kind, e.text)
				require.False(t, bytes.Contains(folded, encodeUTF16(strings.ToLower(w))), "%s: wide %q in %s %s", file, w, e.kind, e.text)
			}
		}
	}
}

func TestScrub(t *testing.T) {
	var s secrets
	require.NoError(t, s.addLogin(login{user: "Jane", password: "hunter2"}))
	require.NoError(t, s.addLogin(login{user: "sa"}))
	require.Error(t, s.addLogin(login{user: "Jane", password: "abc"}))
	s.addServer("BOX")
	in := append([]byte("jane JANE hunter2 sa BOX "), encodeUTF16("jAnE HUNTER2 Janet BOX")...)
	in = append(append(in, 3), encodeUTF16("BOX")...)
	want := append([]byte("xxxx xxxx xxxxxxx sa BOX "), encodeUTF16("xxxx xxxxxxx xxxxt BOX")...)
	want = append(append(want, 3), encodeUTF16("xxx")...)
	require.Equal(t, string(want), string(s.scrub(in)))
	require.NotEqual(t, string(in), string(want), "scrub changes nothing of what it is given")
	for _, text := range []string{"GRANT SELECT TO jane", "0x68756e74657232", "0x" + fmt.Sprintf("%x", encodeUTF16("Jane"))} {
		require.Error(t, s.check(text), text)
	}
	require.NoError(t, s.check("SELECT 'sa'"))
}

func TestClean(t *testing.T) {
	s := secrets{words: []string{"jane"}}
	begin := func(id byte) []byte {
		return append([]byte{tokenEnvChange, 11, 0, envBegin, 8, id, 8, 7, 6, 5, 4, 3, 2, 0}, doneToken(0)...)
	}
	one, two := batch("begin", begin(7)), batch("begin", begin(9))
	got, err := s.clean([]*exchange{batch("who", errorResponse("it is Jane")), one, two})
	require.NoError(t, err)
	require.Len(t, got, 2)
	require.Equal(t, errorResponse("it is xxxx"), got[0].response)
	require.Equal(t, 2, got[1].times)
	require.Equal(t, begin(7), one.response, "what was recorded stays")
}

// TestLoginHidden looks at what a server gets to see.
func TestLoginHidden(t *testing.T) {
	seen := make(chan message, 1)
	up := listen(t, func(c net.Conn, _ *server) {
		if _, err := readMessage(c); err != nil {
			return
		}
		c.Write(appendPackets(nil, typeReply, connecting(t)[0].response, packetSize, true))
		m, err := readMessage(c)
		if err == nil {
			seen <- m
		}
	})
	t.Cleanup(up.close)
	db := connect(t, dsn(Record(newFakeT(t), up.addr(), filepath.Join(t.TempDir(), "x.tds")), "someone")+"&workstation+id=mine")
	require.Error(t, db.PingContext(t.Context()))
	m := <-seen
	l, ok := readLogin(m.data)
	require.True(t, ok)
	require.Equal(t, "xxxx", l.hostName)
	require.Equal(t, "someone", l.user)
	require.Equal(t, "some password", l.password)
	require.Equal(t, make([]byte, 4), m.data[loginPID:loginPID+4])
	require.Equal(t, make([]byte, 6), m.data[loginClientID:loginClientID+6])
}

func TestAnonymous(t *testing.T) {
	b := make([]byte, loginFixed)
	put := func(at int, s string) {
		b[at], b[at+1], b[at+2] = byte(len(b)), byte(len(b)>>8), byte(len(s))
		b = append(b, encodeUTF16(s)...)
	}
	put(loginHost, "workstation")
	put(loginUser, "jane")
	put(loginDatabase, "crm")
	b[loginPID], b[loginClientID], b[loginTypeFlags] = 7, 7, loginReadOnly
	l, ok := readLogin(anonymous(b))
	require.True(t, ok)
	require.Equal(t, login{database: "crm", user: "jane", hostName: "xxxxxxxxxxx", readOnly: true}, l)
	require.Equal(t, `database="crm" readonly`, l.text())
	require.Zero(t, anonymous(b)[loginPID])
	require.Zero(t, anonymous(b)[loginClientID])
}
