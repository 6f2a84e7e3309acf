package console

import (
	"encoding/binary"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// wire is a TCP proxy before a T-SQL server, whose connections come to harm as a test asks.
type wire struct {
	t        *testing.T
	upstream string
	address  string
	dialed   atomic.Int64

	mu    sync.Mutex
	l     net.Listener
	conns map[net.Conn]bool
	cut   cutting
	held  chan struct{} // closed when hold has come to its bytes
	free  chan struct{} // closed when what is held goes on
	left  int64         // bytes of answers before they are held; below 0: never
	wg    sync.WaitGroup
}

// cutting is the moment of a transaction at which its connection is cut.
type cutting string

const (
	cutNever        cutting = ""
	cutInside       cutting = "before the commit"
	cutBeforeServer cutting = "in the commit, which never arrives"
	cutBeforeAnswer cutting = "in the commit, whose answer never comes"
)

func newWire(t *testing.T, upstream string) *wire {
	w := &wire{t: t, upstream: upstream, address: "127.0.0.1:0", conns: map[net.Conn]bool{}, left: -1}
	w.up()
	t.Cleanup(func() {
		w.down()
		w.wg.Wait()
	})
	return w
}

// up has the server there.
func (w *wire) up() {
	l, err := net.Listen("tcp", w.address)
	require.NoError(w.t, err)
	w.mu.Lock()
	w.l, w.address = l, l.Addr().String()
	w.mu.Unlock()
	w.wg.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			w.dialed.Add(1)
			server, err := net.Dial("tcp", w.upstream)
			if err != nil {
				_ = client.Close()
				return
			}
			w.join(client, server)
		}
	})
}

// down has the server away: its connections end, and no new one is made.
func (w *wire) down() {
	w.mu.Lock()
	l := w.l
	w.mu.Unlock()
	_ = l.Close()
	w.drop()
}

// drop ends all connections.
func (w *wire) drop() {
	w.release()
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.conns {
		_ = c.Close()
	}
	clear(w.conns)
}

// cutAt has the next transactions cut.
func (w *wire) cutAt(at cutting) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = at
}

// hold lets so many bytes of answers pass, and closes what it returns when it holds the rest.
func (w *wire) hold(bytes int64) <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.held, w.free, w.left = make(chan struct{}), make(chan struct{}), bytes
	return w.held
}

// release lets go what is held.
func (w *wire) release() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.free != nil {
		close(w.free)
	}
	w.free, w.left = nil, -1
}

// pass waits while answers are held.
func (w *wire) pass(n int) {
	w.mu.Lock()
	if w.left < 0 {
		w.mu.Unlock()
		return
	}
	before := w.left
	w.left = max(0, w.left-int64(n))
	free := w.free
	if before > 0 && w.left == 0 {
		close(w.held)
	}
	hold := w.left == 0
	w.mu.Unlock()
	if hold {
		<-free
	}
}

// join passes on what client and server say.
func (w *wire) join(client, server net.Conn) {
	_ = server.(*net.TCPConn).SetReadBuffer(1 << 18) // so that what is held is the server's to send
	w.mu.Lock()
	w.conns[client] = true
	w.mu.Unlock()
	var lost atomic.Bool // the answer to a commit
	w.wg.Go(func() {
		defer server.Close()
		defer client.Close()
		buf := make([]byte, 1<<12)
		for {
			n, err := server.Read(buf)
			if err != nil {
				return
			}
			w.pass(n)
			if lost.Load() {
				_ = client.Close()
			} else if _, err := client.Write(buf[:n]); err != nil {
				_ = server.(*net.TCPConn).CloseWrite()
				_, _ = io.Copy(io.Discard, server)
				return
			}
		}
	})
	w.wg.Go(func() {
		// The server is told that there is no more, and its answer is read to the end: a
		// reset makes Babelfish crash.
		defer server.(*net.TCPConn).CloseWrite()
		defer func() {
			w.mu.Lock()
			delete(w.conns, client)
			w.mu.Unlock()
			_ = client.Close()
		}()
		begun := false
		for w.forward(client, server, &begun, &lost) {
		}
	})
}

// forward passes a packet of the client on, and reports whether there may be more.
func (w *wire) forward(client io.Reader, server io.Writer, begun *bool, lost *atomic.Bool) bool {
	const headerSize, transactionManager, beginRequest, commitRequest = 8, 0x0e, 5, 7
	header := make([]byte, headerSize)
	if _, err := io.ReadFull(client, header); err != nil {
		return false
	}
	body := make([]byte, int(binary.BigEndian.Uint16(header[2:]))-headerSize)
	if _, err := io.ReadFull(client, body); err != nil {
		return false
	}
	request := uint16(0)
	if header[0] == transactionManager {
		request = binary.LittleEndian.Uint16(body[binary.LittleEndian.Uint32(body):])
	}
	w.mu.Lock()
	cut := w.cut
	w.mu.Unlock()
	switch {
	case cut == cutInside && *begun && request != beginRequest:
		return false
	case cut == cutBeforeServer && request == commitRequest:
		return false
	case cut == cutBeforeAnswer && request == commitRequest:
		lost.Store(true)
	}
	*begun = request == beginRequest
	if _, err := server.Write(append(header, body...)); err != nil {
		return false
	}
	if lost.Load() {
		_, _ = client.Read(make([]byte, 1)) // until the other direction closes it
	}
	return !lost.Load()
}
