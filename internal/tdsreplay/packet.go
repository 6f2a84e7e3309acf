package tdsreplay

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// The types of TDS packets, MS-TDS 2.2.3.1.1.
const (
	typeBatch     = 0x01
	typeRPC       = 0x03
	typeReply     = 0x04
	typeAttention = 0x06
	typeBulk      = 0x07
	typeTran      = 0x0E
	typeLogin     = 0x10
	typePrelogin  = 0x12
)

// The bits of a packet's status, MS-TDS 2.2.3.1.2.
const (
	statusLast      = 0x01
	statusReset     = 0x08
	statusResetTran = 0x10
)

const (
	headerSize = 8

	// packetSize is what every client accepts: the size before a login.
	packetSize = 4096

	// maxMessage bounds the memory that a peer can make this package use.
	maxMessage = 64 << 20
)

var errTooLarge = fmt.Errorf("message is longer than %d bytes", maxMessage)

// packet is one packet; raw is all of it, data what follows the header.
type packet struct {
	typ    byte
	status byte
	raw    []byte
	data   []byte
}

func (p packet) last() bool { return p.status&statusLast != 0 }

// readPacket returns io.EOF when the peer ended between two packets.
func readPacket(r io.Reader) (packet, error) {
	var h [headerSize]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return packet{}, err
	}
	size := int(binary.BigEndian.Uint16(h[2:]))
	if size < headerSize {
		return packet{}, fmt.Errorf("packet of %d bytes is shorter than its header", size)
	}
	raw := make([]byte, size)
	copy(raw, h[:])
	if _, err := io.ReadFull(r, raw[headerSize:]); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return packet{}, err
	}
	return packet{typ: h[0], status: h[1], raw: raw, data: raw[headerSize:]}, nil
}

// message is all packets up to the last of one message.
type message struct {
	typ   byte
	reset bool
	raw   []byte
	data  []byte
}

func readMessage(r io.Reader) (message, error) {
	var m message
	for {
		p, err := readPacket(r)
		if err != nil {
			if err == io.EOF && m.raw != nil {
				err = io.ErrUnexpectedEOF
			}
			return message{}, err
		}
		if m.raw == nil {
			m.typ = p.typ
			m.reset = p.status&(statusReset|statusResetTran) != 0
		} else if p.typ != m.typ {
			return message{}, fmt.Errorf("packet of type %#x within a message of type %#x", p.typ, m.typ)
		}
		if len(m.raw)+len(p.raw) > maxMessage {
			return message{}, errTooLarge
		}
		m.raw = append(m.raw, p.raw...)
		m.data = append(m.data, p.data...)
		if p.last() {
			return m, nil
		}
	}
}

// appendPackets appends data as packets of at most size bytes. The last one
// ends the message when last is true; otherwise there is no packet without
// data.
func appendPackets(dst []byte, typ byte, data []byte, size int, last bool) []byte {
	for id := byte(1); len(data) > 0 || last; id++ {
		chunk := data[:min(len(data), size-headerSize)]
		data = data[len(chunk):]
		status := byte(0)
		if last && len(data) == 0 {
			status = statusLast
			last = false
		}
		dst = append(dst, typ, status)
		dst = binary.BigEndian.AppendUint16(dst, uint16(headerSize+len(chunk)))
		dst = append(dst, 0, 0, id, 0)
		dst = append(dst, chunk...)
	}
	return dst
}
