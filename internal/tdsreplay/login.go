package tdsreplay

import (
	"encoding/binary"
	"math"
	"strconv"
)

// login is what this package reads of a LOGIN7 message, MS-TDS 2.2.6.4.
type login struct {
	packetSize                            int
	database                              string
	readOnly                              bool
	user, password, newPassword, hostName string
}

const (
	loginPacketSize  = 8
	loginPID         = 16
	loginTypeFlags   = 26
	loginHost        = 36
	loginUser        = 40
	loginPassword    = 44
	loginDatabase    = 68
	loginClientID    = 72
	loginNewPassword = 86
	loginFixed       = 94

	loginReadOnly = 0x20
)

func readLogin(b []byte) (login, bool) {
	if len(b) < loginFixed {
		return login{}, false
	}
	l := login{
		packetSize: int(min(binary.LittleEndian.Uint32(b[loginPacketSize:]), math.MaxUint16)),
		readOnly:   b[loginTypeFlags]&loginReadOnly != 0,
	}
	for _, f := range []struct {
		at        int
		to        *string
		scrambled bool
	}{
		{loginHost, &l.hostName, false}, {loginUser, &l.user, false}, {loginDatabase, &l.database, false},
		{loginPassword, &l.password, true}, {loginNewPassword, &l.newPassword, true},
	} {
		value, ok := loginField(b, f.at)
		if !ok {
			return login{}, false
		}
		if f.scrambled {
			plain := make([]byte, len(value))
			for i, x := range value {
				x ^= 0xA5
				plain[i] = x<<4 | x>>4
			}
			value = plain
		}
		s, ok := decodeUTF16(value)
		if !ok {
			return login{}, false
		}
		*f.to = s
	}
	return l, true
}

// loginField returns the bytes that the offset and length at that place mean.
func loginField(b []byte, at int) ([]byte, bool) {
	from := int(binary.LittleEndian.Uint16(b[at:]))
	n := 2 * int(binary.LittleEndian.Uint16(b[at+2:]))
	if n == 0 {
		return nil, true
	}
	if from < loginFixed || from+n > len(b) {
		return nil, false
	}
	return b[from : from+n], true
}

func (l login) text() string {
	text := "database=" + strconv.Quote(l.database)
	if l.readOnly {
		text += " readonly"
	}
	return text
}

// anonymous returns the login without what tells where the client runs.
func anonymous(b []byte) []byte {
	b = append([]byte(nil), b...)
	clear(b[loginPID : loginPID+4])
	clear(b[loginClientID : loginClientID+6])
	host, _ := loginField(b, loginHost)
	for i := range len(host) / 2 {
		host[2*i], host[2*i+1] = 'x', 0
	}
	return b
}
