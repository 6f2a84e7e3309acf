package main

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/so-mirror/mirror/internal/diff"
)

// The slow link: what a branch office has to a data centre. Both directions are
// limited by themselves, and all connections share them.
const (
	linkBitsPerSecond = 20_000_000
	linkDelay         = 10 * time.Millisecond // one way; a round trip takes two
)

// slowLink is a TCP proxy that is as slow as a long line. It counts what TCP
// carries, without the headers of TCP and IP.
type slowLink struct {
	listener net.Listener
	target   string
	up, down lane
	wg       sync.WaitGroup
	stop     context.CancelFunc
}

// lane is one direction.
type lane struct {
	perSecond int // bytes
	delay     time.Duration
	carried   atomic.Int64

	mu   sync.Mutex
	free time.Time // when what was sent so far is on the line
}

const (
	packetBytes = 4 << 10
	// queued is how much may wait at the beginning of a lane, as in a
	// router: a sender that wakes up late does not leave the lane idle.
	queued = 10 * time.Millisecond
)

// newSlowLink listens on a port of its own until it is closed.
func newSlowLink(ctx context.Context, target string, bitsPerSecond int, delay time.Duration) (*slowLink, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	l := &slowLink{listener: listener, target: target, stop: stop}
	for _, lane := range []*lane{&l.up, &l.down} {
		lane.perSecond, lane.delay = bitsPerSecond/8, delay
	}
	l.wg.Go(func() { l.accept(ctx) })
	return l, nil
}

func (l *slowLink) addr() string { return l.listener.Addr().String() }

// bytes is how much went over the link, in both directions.
func (l *slowLink) bytes() int64 { return l.up.carried.Load() + l.down.carried.Load() }

// close ends all connections.
func (l *slowLink) close() error {
	l.stop()
	err := l.listener.Close()
	l.wg.Wait()
	return err
}

func (l *slowLink) accept(ctx context.Context) {
	for {
		client, err := l.listener.Accept()
		if err != nil {
			return // closed
		}
		l.wg.Go(func() { l.serve(ctx, client) })
	}
}

func (l *slowLink) serve(ctx context.Context, client net.Conn) {
	server, err := new(net.Dialer).DialContext(ctx, "tcp", l.target)
	if err != nil {
		_ = client.Close() // all that the client sees is an end
		return
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	context.AfterFunc(ctx, func() { // readers do not look at a context
		_ = client.Close()
		_ = server.Close()
	})
	var wg sync.WaitGroup
	wg.Go(func() { l.up.carry(ctx, server, client); stop() })
	wg.Go(func() { l.down.carry(ctx, client, server); stop() })
	wg.Wait()
}

// packet is a piece of a stream that arrives at a certain time.
type packet struct {
	data    []byte
	arrives time.Time
}

// carry moves a stream from one connection to the other until either ends.
func (l *lane) carry(ctx context.Context, to io.Writer, from io.Reader) {
	line := make(chan packet, 1024) // what is on its way; the queue bounds it
	var wg sync.WaitGroup
	defer wg.Wait()
	defer close(line)
	ctx, stop := context.WithCancel(ctx)
	wg.Go(func() {
		defer stop() // nobody takes packets any more
		for p := range line {
			if sleepUntil(ctx, p.arrives) != nil {
				return
			}
			if _, err := to.Write(p.data); err != nil {
				return
			}
		}
	})
	buf := make([]byte, packetBytes)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			sent := l.send(n)
			select {
			case line <- packet{append([]byte(nil), buf[:n]...), sent.Add(l.delay)}:
			case <-ctx.Done():
				return
			}
			err = errors.Join(err, sleepUntil(ctx, sent.Add(-queued)))
		}
		if err != nil {
			return
		}
	}
}

// send takes n bytes and returns when the last of them is on the line.
func (l *lane) send(n int) time.Time {
	l.carried.Add(int64(n))
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := time.Now(); l.free.Before(now) {
		l.free = now
	}
	l.free = l.free.Add(time.Duration(n) * time.Second / time.Duration(l.perSecond))
	return l.free
}

func sleepUntil(ctx context.Context, t time.Time) error {
	return diff.SystemClock{}.Sleep(ctx, time.Until(t))
}
