package tdsreplay

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"strings"
	"unicode/utf16"
)

// The tokens of a response that this package looks at, MS-TDS 2.2.7.
const (
	tokenReturnStatus = 0x79
	tokenOrder        = 0xA9
	tokenError        = 0xAA
	tokenInfo         = 0xAB
	tokenLoginAck     = 0xAD
	tokenEnvChange    = 0xE3
	tokenDone         = 0xFD
	tokenDoneProc     = 0xFE
	tokenDoneInProc   = 0xFF
)

const (
	envPacketSize = 4
	envBegin      = 8
	envCommit     = 9
	envRollback   = 10
	envResetAck   = 18
	envRouting    = 20

	doneError = 0x02
	doneCount = 0x10
	doneAttn  = 0x20
	doneLen   = 12
)

// walk calls fn for the tokens of a response until one whose length needs more
// than itself to know, such as a row, and reports whether it got to the end.
func walk(response []byte, fn func(token byte, body []byte)) bool {
	c := cursor{b: response}
	for len(c.b) > 0 {
		token := c.u8()
		var body []byte
		switch token {
		case tokenReturnStatus:
			body = c.take(4)
		case tokenDone, tokenDoneProc, tokenDoneInProc:
			body = c.take(doneLen)
		case tokenOrder, tokenError, tokenInfo, tokenLoginAck, tokenEnvChange:
			body = c.take(int(c.u16()))
		default:
			return false
		}
		if c.bad {
			return false
		}
		fn(token, body)
	}
	return true
}

// onlyDone reports whether a response says nothing but that it is done.
func onlyDone(response []byte) bool {
	quiet := true
	complete := walk(response, func(token byte, body []byte) {
		switch token {
		case tokenError, tokenReturnStatus:
			quiet = false
		case tokenDone, tokenDoneProc, tokenDoneInProc:
			if binary.LittleEndian.Uint16(body)&(doneError|doneCount) != 0 {
				quiet = false
			}
		}
	})
	return complete && quiet
}

// confirmsAttention reports whether a complete response ends with the answer
// to an attention: a response always ends with a DONE.
func confirmsAttention(response []byte) bool {
	n := len(response) - doneLen - 1
	if n < 0 || response[n] != tokenDone && response[n] != tokenDoneProc {
		return false
	}
	return binary.LittleEndian.Uint16(response[n+1:])&doneAttn != 0
}

// withoutResetAck drops the answer to a request to reset the session, because
// which request carries that depends on the pool.
func withoutResetAck(response []byte) []byte {
	if len(response) < 4 || response[0] != tokenEnvChange || response[3] != envResetAck {
		return response
	}
	n := 3 + int(binary.LittleEndian.Uint16(response[1:]))
	if n > len(response) {
		return response
	}
	return response[n:]
}

// sameTransaction gives every transaction the descriptor 1, so that two
// recordings are the same. A client sends it back, and it is not looked at.
func sameTransaction(response []byte) {
	walk(response, func(token byte, body []byte) {
		if token != tokenEnvChange || len(body) == 0 {
			return
		}
		switch body[0] {
		case envBegin, envCommit, envRollback:
			c := cursor{b: body[1:]}
			for range 2 {
				if id := c.take(int(c.u8())); len(id) > 0 {
					clear(id)
					id[0] = 1
				}
			}
		}
	})
}

// loginResponse is what a recorder or a replay needs to know of a response to
// a login.
type loginResponse struct {
	serverNames []string
	packetSize  int
	routed      bool
}

func readLoginResponse(response []byte) loginResponse {
	var l loginResponse
	walk(response, func(token byte, body []byte) {
		c := cursor{b: body}
		switch token {
		case tokenError, tokenInfo:
			c.take(6)
			c.utf16(int(c.u16()))
			if name, ok := c.utf16(int(c.u8())); ok && name != "" {
				l.serverNames = append(l.serverNames, name)
			}
		case tokenEnvChange:
			switch c.u8() {
			case envPacketSize:
				if s, ok := c.utf16(int(c.u8())); ok {
					l.packetSize, _ = strconv.Atoi(s)
				}
			case envRouting:
				l.routed = true
			}
		}
	})
	return l
}

// doneToken is a response, or the end of one.
func doneToken(status uint16) []byte {
	b := []byte{tokenDone}
	b = binary.LittleEndian.AppendUint16(b, status)
	return append(b, make([]byte, doneLen-2)...)
}

// errorResponse is an error of severity 16, which leaves the connection usable.
func errorResponse(text string) []byte {
	const number, state, class = 50000, 1, 16
	server, msg := encodeUTF16("tdsreplay"), encodeUTF16(text)
	var body []byte
	body = binary.LittleEndian.AppendUint32(body, number)
	body = append(body, state, class)
	body = binary.LittleEndian.AppendUint16(body, uint16(len(msg)/2))
	body = append(body, msg...)
	body = append(body, byte(len(server)/2))
	body = append(body, server...)
	body = append(body, 0, 1, 0, 0, 0)
	b := []byte{tokenError}
	b = binary.LittleEndian.AppendUint16(b, uint16(len(body)))
	b = append(b, body...)
	return append(b, doneToken(doneError)...)
}

func encodeUTF16(s string) []byte {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return b
}

// decodeUTF16 fails for what does not encode back to the same bytes.
func decodeUTF16(b []byte) (string, bool) {
	if len(b)%2 != 0 {
		return "", false
	}
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = binary.LittleEndian.Uint16(b[2*i:])
	}
	s := string(utf16.Decode(units))
	if strings.ContainsRune(s, '\uFFFD') && !bytes.Equal(encodeUTF16(s), b) {
		return "", false
	}
	return s, true
}

// cursor reads little-endian fields. Reading past the end sets bad and gives
// zeros.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) take(n int) []byte {
	if c.bad || n < 0 || n > len(c.b) {
		c.bad, c.b = true, nil
		return nil
	}
	b := c.b[:n]
	c.b = c.b[n:]
	return b
}

func (c *cursor) u8() byte {
	if b := c.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (c *cursor) u16() uint16 {
	if b := c.take(2); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

func (c *cursor) u32() uint32 {
	if b := c.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (c *cursor) u64() uint64 {
	if b := c.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// utf16 reads text of n UTF-16 units.
func (c *cursor) utf16(n int) (string, bool) {
	b := c.take(2 * n)
	if c.bad {
		return "", false
	}
	return decodeUTF16(b)
}
