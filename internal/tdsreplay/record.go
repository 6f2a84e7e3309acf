package tdsreplay

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// Record starts a proxy for the server at upstream ("host:port") and returns
// its address. When the test ends, what was said is written to file, unless
// the test failed. Close all connections before, such as with a t.Cleanup that
// is registered after this call. Clients use encrypt=disable.
func Record(t testing.TB, upstream, file string) (addr string) {
	t.Helper()
	r := &recorder{t: t, upstream: upstream}
	s := listen(t, r.serve)
	t.Cleanup(func() {
		s.close()
		switch {
		case r.failed != nil:
			t.Errorf("tdsreplay: record %s: %v", file, r.failed)
		case t.Failed():
			t.Logf("tdsreplay: %s is not written: the test failed", file)
		default:
			if err := r.write(file); err != nil {
				t.Errorf("tdsreplay: record %s: %v", file, err)
			}
		}
	})
	return s.addr()
}

type recorder struct {
	t        testing.TB
	upstream string

	mu        sync.Mutex
	exchanges []*exchange
	secrets   secrets
	failed    error
}

// fail keeps the first reason for which there can be no transcript.
func (r *recorder) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed == nil {
		r.failed = err
	}
}

// write needs all connections to be closed.
func (r *recorder) write(file string) error {
	exchanges, err := r.secrets.clean(r.exchanges)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	if err := os.WriteFile(file, appendTranscript(nil, exchanges), 0o666); err != nil {
		return fmt.Errorf("write transcript: %w", err)
	}
	return nil
}

// clean returns what goes into a transcript: no secrets, and repetitions
// counted.
func (s *secrets) clean(exchanges []*exchange) ([]*exchange, error) {
	var out []*exchange
	last := map[request]*exchange{}
	size := 0
	for _, e := range exchanges {
		connecting := e.kind == kindPrelogin || e.kind == kindLogin
		if err := s.check(e.text); err != nil {
			return nil, err
		}
		c := *e
		c.response = s.scrub(e.response)
		sameTransaction(c.response)
		if connecting {
			// Whether the server or the client hangs up first after a
			// refused login is a matter of luck.
			c.closed = c.closed && !c.complete
		}
		if prev := last[c.request]; prev != nil && prev.sameAnswer(&c) && prev.times < maxTimes {
			if !connecting {
				prev.times++
			}
			continue
		}
		if size += len(c.response); size > maxTranscript {
			return nil, errRoom
		}
		last[c.request] = &c
		out = append(out, &c)
	}
	return out, nil
}

// conversation is one connection of a recorder.
type conversation struct {
	r *recorder

	mu sync.Mutex
	// cur is the request whose response is not complete, last the one before.
	cur, last *exchange
	// reset: the current request asked for a reset of the session.
	reset bool
	// attention: the server owes the confirmation of an attention.
	attention bool
}

func (r *recorder) serve(client net.Conn, s *server) {
	up, err := net.Dial("tcp", r.upstream)
	if err != nil {
		r.t.Errorf("tdsreplay: connect to %s: %v", r.upstream, err)
		return
	}
	if !s.track(up) {
		up.Close()
		return
	}
	c := &conversation{r: r}
	done := make(chan struct{})
	go func() {
		defer close(done)
		byServer, err := c.responses(client, up)
		if !gone(err) {
			r.fail(err)
		}
		c.ended(byServer)
		client.Close()
	}()
	if err := c.requests(client, up); !gone(err) {
		r.fail(err)
	}
	c.ended(false)
	up.Close()
	<-done
}

func (c *conversation) requests(client io.Reader, up io.Writer) error {
	for {
		m, err := readMessage(client)
		if err != nil {
			return err
		}
		if m.typ == typeAttention {
			c.mu.Lock()
			if c.cur != nil && c.cur.held < 0 {
				c.cur.held = len(c.cur.response)
			}
			c.attention = true
			c.mu.Unlock()
		} else {
			req, err := describe(m)
			if err != nil {
				return err
			}
			if m.typ == typeLogin {
				l, ok := readLogin(m.data)
				if !ok {
					return errors.New("the login is malformed")
				}
				c.r.mu.Lock()
				err := c.r.secrets.addLogin(l)
				c.r.mu.Unlock()
				if err != nil {
					return err
				}
				m.raw = appendPackets(nil, typeLogin, anonymous(m.data), packetSize, true)
			}
			c.begin(req, m.reset)
		}
		if _, err := up.Write(m.raw); err != nil {
			return err
		}
	}
}

func (c *conversation) begin(req request, reset bool) {
	e := &exchange{request: req, times: 1, held: -1}
	c.mu.Lock()
	c.cur, c.reset = e, reset
	c.mu.Unlock()
	c.r.mu.Lock()
	c.r.exchanges = append(c.r.exchanges, e)
	c.r.mu.Unlock()
}

// responses reports whether it was the server that hung up.
func (c *conversation) responses(client io.Writer, up io.Reader) (byServer bool, err error) {
	for {
		p, err := readPacket(up)
		if err != nil {
			return !errors.Is(err, net.ErrClosed), err
		}
		if err := c.received(p); err != nil {
			return false, err
		}
		if _, err := client.Write(p.raw); err != nil {
			return false, err
		}
	}
}

func (c *conversation) received(p packet) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.cur
	if e == nil {
		if p.last() {
			c.attention = false
		}
		return nil
	}
	if len(e.response)+len(p.data) > maxMessage {
		return errTooLarge
	}
	e.response = append(e.response, p.data...)
	if !p.last() {
		return nil
	}
	e.complete = true
	if c.attention && confirmsAttention(e.response) {
		c.attention = false
	}
	switch e.kind {
	case kindPrelogin:
		if wantsTLS(e.response) {
			return errors.New("the server wants encryption, which cannot be recorded")
		}
	case kindLogin:
		l := readLoginResponse(e.response)
		if l.routed {
			return errors.New("the server routes the login to another one: record against that one")
		}
		c.r.mu.Lock()
		for _, name := range l.serverNames {
			c.r.secrets.addServer(name)
		}
		c.r.mu.Unlock()
	default:
		if c.reset && e.held < 0 {
			e.response = withoutResetAck(e.response)
		}
	}
	c.cur, c.last = nil, e
	return nil
}

// ended notes who went away first. What was said after that is of no account.
func (c *conversation) ended(byServer bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if byServer {
		if c.cur != nil {
			c.cur.closed = true
		} else if c.last != nil {
			c.last.closed = true
		}
	}
	c.cur, c.last = nil, nil
}

// wantsTLS reads the option ENCRYPTION of a PRELOGIN response, MS-TDS 2.2.6.5.
func wantsTLS(response []byte) bool {
	const encryption, terminator, notSupported = 1, 0xFF, 2
	for opt := response; len(opt) >= 5 && opt[0] != terminator; opt = opt[5:] {
		at := int(opt[1])<<8 | int(opt[2])
		if opt[0] == encryption {
			return at < len(response) && response[at] != notSupported
		}
	}
	return false
}
