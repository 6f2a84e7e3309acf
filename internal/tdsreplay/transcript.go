package tdsreplay

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// exchange is a request and what the server answered.
type exchange struct {
	request

	// times is how often in a row the same request got the same answer.
	times int

	// response is what the server sent: a whole message when complete.
	// Otherwise the client or, when closed, the server went away. A complete
	// response can be closed too.
	response []byte
	complete bool
	closed   bool

	// held is how much of response had been sent when the client cancelled,
	// or -1 if it did not.
	held int
}

func (e *exchange) sameAnswer(o *exchange) bool {
	return e.complete == o.complete && e.closed == o.closed && e.held == o.held && bytes.Equal(e.response, o.response)
}

const (
	magic = "tdsreplay 1"
	note  = "# Recorded by internal/tdsreplay: record again instead of editing."

	// maxTranscript bounds the sum of all responses.
	maxTranscript = 64 << 20
	maxTimes      = 1 << 20
	lineLength    = 100
)

// appendTranscript writes one block an exchange: a line of kind and flags, the
// text of the request behind '|' (quoted behind '"' where a line could be
// damaged by an editor), and the response in base64 behind '<', or behind '='
// when compressed.
func appendTranscript(b []byte, exchanges []*exchange) []byte {
	b = append(b, magic+"\n"+note+"\n"...)
	for _, e := range exchanges {
		b = append(b, '\n')
		b = append(b, e.kind...)
		if e.times > 1 {
			b = fmt.Appendf(b, " times=%d", e.times)
		}
		if e.held >= 0 {
			b = fmt.Appendf(b, " held=%d", e.held)
		}
		if !e.complete {
			b = append(b, " partial"...)
		}
		if e.closed {
			b = append(b, " closed"...)
		}
		b = append(b, '\n')
		if e.text != "" {
			for line := range strings.SplitSeq(e.text, "\n") {
				b = appendLine(b, line)
			}
		}
		b = appendResponse(b, e.response)
	}
	return b
}

func appendLine(b []byte, line string) []byte {
	switch {
	case line == "":
		b = append(b, '|')
	case plain(line):
		b = append(append(b, "| "...), line...)
	default:
		b = strconv.AppendQuote(b, line)
	}
	return append(b, '\n')
}

func plain(line string) bool {
	if !utf8.ValidString(line) || strings.HasSuffix(line, " ") || strings.HasSuffix(line, "\t") {
		return false
	}
	return strings.IndexFunc(line, func(r rune) bool { return r != '\t' && !unicode.IsPrint(r) }) < 0
}

func appendResponse(b, response []byte) []byte {
	mark := byte('<')
	var packed bytes.Buffer
	z, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err == nil {
		z.Write(response) // a bytes.Buffer takes everything
		z.Close()
		if packed.Len() < len(response) {
			mark, response = '=', packed.Bytes()
		}
	}
	text := base64.StdEncoding.EncodeToString(response)
	for len(text) > 0 {
		n := min(len(text), lineLength)
		b = append(b, mark, ' ')
		b = append(append(b, text[:n]...), '\n')
		text = text[n:]
	}
	return b
}

// parseTranscript is the reverse of appendTranscript. It refuses what is
// damaged, and more than maxTranscript bytes of responses.
func parseTranscript(text string) ([]*exchange, error) { return parseWithin(text, maxTranscript) }

func parseWithin(text string, room int) ([]*exchange, error) {
	var exchanges []*exchange
	var block []string
	number, start := 0, 0
	flush := func() error {
		if len(block) == 0 {
			return nil
		}
		e, err := parseExchange(block, room)
		if err != nil {
			return fmt.Errorf("line %d: %w", start, err)
		}
		room -= len(e.response)
		exchanges = append(exchanges, e)
		block = block[:0]
		return nil
	}
	for line := range strings.SplitSeq(text, "\n") {
		number++
		line = strings.TrimSuffix(line, "\r")
		switch {
		case number == 1:
			if line != magic {
				return nil, fmt.Errorf("line 1: not a transcript: it does not begin with %q", magic)
			}
		case strings.HasPrefix(line, "#"):
		case line == "":
			if err := flush(); err != nil {
				return nil, err
			}
		default:
			if len(block) == 0 {
				start = number
			}
			block = append(block, line)
		}
	}
	if err := flush(); err != nil {
		return nil, err
	}
	return exchanges, nil
}

func parseExchange(block []string, room int) (*exchange, error) {
	e := &exchange{times: 1, held: -1, complete: true}
	words := strings.Fields(block[0])
	if len(words) == 0 {
		return nil, errors.New("the kind of request is missing")
	}
	switch e.kind = words[0]; e.kind {
	case kindPrelogin, kindLogin, kindBatch, kindRPC, kindTran, kindBulk:
	default:
		return nil, fmt.Errorf("%q is not a kind of request", e.kind)
	}
	for _, w := range words[1:] {
		name, value, _ := strings.Cut(w, "=")
		n, err := strconv.ParseUint(value, 10, 31)
		switch {
		case w == "partial":
			e.complete = false
		case w == "closed":
			e.closed = true
		case name == "times" && err == nil && n >= 1 && n <= maxTimes:
			e.times = int(n)
		case name == "held" && err == nil:
			e.held = int(n)
		default:
			return nil, fmt.Errorf("%q is not a flag of a request", w)
		}
	}
	var lines []string
	var coded strings.Builder
	packed := false
	for _, line := range block[1:] {
		switch {
		case coded.Len() == 0 && line == "|":
			lines = append(lines, "")
		case coded.Len() == 0 && strings.HasPrefix(line, "| "):
			lines = append(lines, line[2:])
		case coded.Len() == 0 && line[0] == '"':
			s, err := strconv.Unquote(line)
			if err != nil {
				return nil, fmt.Errorf("unquote %s: %w", line, err)
			}
			lines = append(lines, s)
		case strings.HasPrefix(line, "< ") && !packed:
			coded.WriteString(line[2:])
		case strings.HasPrefix(line, "= ") && (packed || coded.Len() == 0):
			packed = true
			coded.WriteString(line[2:])
		default:
			return nil, fmt.Errorf("unexpected line %.40q", line)
		}
	}
	e.text = strings.Join(lines, "\n")
	var err error
	if e.response, err = base64.StdEncoding.DecodeString(coded.String()); err != nil {
		return nil, fmt.Errorf("decode response: %w", err)
	}
	if packed {
		if e.response, err = unpack(e.response, room); err != nil {
			return nil, err
		}
	}
	if len(e.response) > room {
		return nil, errRoom
	}
	if e.held > len(e.response) {
		return nil, fmt.Errorf("held=%d is beyond the response of %d bytes", e.held, len(e.response))
	}
	return e, nil
}

var errRoom = fmt.Errorf("the responses are longer than %d bytes together", maxTranscript)

func unpack(b []byte, room int) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("unpack response: %w", err)
	}
	out, err := io.ReadAll(io.LimitReader(z, int64(room)+1))
	if err != nil {
		return nil, fmt.Errorf("unpack response: %w", err)
	}
	if len(out) > room {
		return nil, errRoom
	}
	return out, nil
}
