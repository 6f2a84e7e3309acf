package tdsreplay

import (
	"bytes"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTokens(t *testing.T) {
	ack := []byte{tokenEnvChange, 3, 0, envResetAck, 0, 0}
	require.Equal(t, value(1), withoutResetAck(append(ack, value(1)...)))
	require.Equal(t, value(1), withoutResetAck(value(1)))
	require.True(t, onlyDone(append(ack, doneToken(0)...)))
	require.False(t, onlyDone(value(1)))
	require.False(t, onlyDone(errorResponse("no")))
	require.False(t, confirmsAttention(value(1)))
	require.True(t, confirmsAttention(append(value(1), doneToken(doneAttn)...)))

	begin := []byte{tokenEnvChange, 11, 0, envBegin, 8, 9, 8, 7, 6, 5, 4, 3, 2, 0}
	sameTransaction(begin)
	require.Equal(t, []byte{tokenEnvChange, 11, 0, envBegin, 8, 1, 0, 0, 0, 0, 0, 0, 0, 0}, begin)
}

func TestMalformed(t *testing.T) {
	f := newFakeT(t)
	addr := Replay(f, write(t))
	for _, b := range [][]byte{{1, 1, 0, 7, 0, 0, 1, 0}, {0x11, 1, 0, 8, 0, 0, 1, 0}} {
		c, err := net.Dial("tcp", addr)
		require.NoError(t, err)
		_, err = c.Write(b)
		require.NoError(t, err)
		_, err = c.Read(make([]byte, 1))
		require.Error(t, err)
		c.Close()
	}
	require.Len(t, f.reported(), 2)
	require.Contains(t, f.reported()[0], "shorter than its header")
	require.Contains(t, f.reported()[1], "type 0x11 is not supported")
}

func FuzzMessage(f *testing.F) {
	f.Add(appendPackets(nil, typeBatch, append([]byte{4, 0, 0, 0}, encodeUTF16("SELECT 1")...), 16, true))
	f.Add(appendPackets(nil, typeLogin, make([]byte, loginFixed), packetSize, true))
	f.Add(appendPackets(nil, typeTran, []byte{4, 0, 0, 0, 5, 0, 2, 0}, packetSize, true))
	rpc := []byte{4, 0, 0, 0, 0xFF, 0xFF, 10, 0, 0, 0, 0, 0, 0xE7, 4, 0, 0, 0, 0, 0, 0, 4, 0, 'a', 0, 'b', 0}
	rpc = append(rpc, 0, 0, 0xE7, 0xFF, 0xFF, 0, 0, 0, 0, 0, 0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 2, 0, 0, 0, 'a', 0, 0, 0, 0, 0)
	rpc = append(rpc, 0, 0, 0x6A, 5, 10, 2, 5, 1, 2, 3, 4, 5, 0, 1, 0x2A, 7, 0, 0, 0, 0x1F, 0, 0, 0x26, 8, 4, 1, 0, 0, 0)
	f.Add(appendPackets(nil, typeRPC, rpc, packetSize, true))
	f.Add(append([]byte{typeReply, 1, 0, 8, 0, 0, 0, 0}, errorResponse("x")...))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := readMessage(bytes.NewReader(b))
		if err != nil {
			return
		}
		require.LessOrEqual(t, len(m.data)+headerSize, len(b))
		again, err := readMessage(bytes.NewReader(appendPackets(nil, m.typ, m.data, packetSize, true)))
		require.NoError(t, err)
		require.True(t, bytes.Equal(m.data, again.data))
		req, err := describe(m)
		if err == nil {
			require.LessOrEqual(t, len(req.text), 2*maxText+2*len(b))
			again, err := parseTranscript(string(appendTranscript(nil, []*exchange{{request: req, times: 1, held: -1, complete: true}})))
			require.NoError(t, err)
			require.Equal(t, req, again[0].request)
		}
		if l, ok := readLogin(m.data); ok {
			hidden, ok := readLogin(anonymous(m.data))
			require.True(t, ok)
			require.Equal(t, len(encodeUTF16(l.hostName)), len(encodeUTF16(hidden.hostName)))
		}
		readLoginResponse(m.data)
		onlyDone(m.data)
		confirmsAttention(m.data)
		withoutResetAck(m.data)
		wantsTLS(m.data)
		sameTransaction(m.data)
	})
}
