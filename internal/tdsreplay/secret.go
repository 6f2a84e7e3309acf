package tdsreplay

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"
)

// minSecret is the length from which on a name is looked for: shorter ones are
// a part of too many words.
const minSecret = 4

// secrets are what must not come into a transcript.
type secrets struct {
	// words are user names and passwords, servers the names of servers.
	words, servers []string
}

func (s *secrets) addLogin(l login) error {
	for _, p := range []string{l.password, l.newPassword} {
		if p != "" && len(p) < minSecret {
			return fmt.Errorf("the password has less than %d characters and could not be found again", minSecret)
		}
	}
	for _, w := range []string{l.user, l.password, l.newPassword} {
		if len(w) >= minSecret && !slices.Contains(s.words, w) {
			s.words = append(s.words, w)
		}
	}
	return nil
}

func (s *secrets) addServer(name string) {
	if !slices.Contains(s.servers, name) {
		s.servers = append(s.servers, name)
	}
}

// check fails when the text of a request gives something away.
func (s *secrets) check(text string) error {
	folded := strings.ToLower(text)
	for _, w := range s.words {
		for _, form := range []string{strings.ToLower(w), fmt.Sprintf("%x", w), fmt.Sprintf("%x", encodeUTF16(w))} {
			if strings.Contains(folded, form) {
				return errors.New("a request contains the login's user name or password: " +
					"use a login whose name is a part of no other word, and leave out what names it")
			}
		}
	}
	return nil
}

// scrub returns response with every secret replaced by as many x, so that no
// length in it changes.
func (s *secrets) scrub(response []byte) []byte {
	out := bytes.Clone(response)
	for _, w := range s.words {
		mask(out, []byte(w), []byte(strings.Repeat("x", len(w))))
		wide := encodeUTF16(w)
		mask(out, wide, wideX(len(wide)/2))
	}
	for _, name := range s.servers {
		// Errors and messages end with the server's name behind its length.
		wide := encodeUTF16(name)
		n := byte(len(utf16.Encode([]rune(name))))
		mask(out, append([]byte{n}, wide...), append([]byte{n}, wideX(int(n))...))
	}
	return out
}

func wideX(n int) []byte { return bytes.Repeat([]byte{'x', 0}, n) }

// mask overwrites old, in any case of ASCII letters, with new of the same
// length.
func mask(b, old, new []byte) {
	if len(old) == 0 {
		return
	}
	lower := func(c byte) byte {
		if 'A' <= c && c <= 'Z' {
			return c + 'a' - 'A'
		}
		return c
	}
	old = bytes.Clone(old)
	for i := range old {
		old[i] = lower(old[i])
	}
	first := [2]byte{old[0], bytes.ToUpper(old[:1])[0]}
	for i := 0; i+len(old) <= len(b); i++ {
		if b[i] != first[0] && b[i] != first[1] {
			continue
		}
		same := true
		for j := range old {
			if lower(b[i+j]) != old[j] {
				same = false
				break
			}
		}
		if same {
			copy(b[i:], new)
		}
	}
}
