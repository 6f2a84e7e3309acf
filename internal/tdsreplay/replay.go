package tdsreplay

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// cancelWait is how long a client may take to cancel what it cancelled when it
// was recorded.
const cancelWait = 30 * time.Second

// Replay starts a server that answers as file records, and returns its
// address. A request that file does not answer fails the test and gets an
// error. How much was not asked is logged when the test ends. Clients use
// encrypt=disable and any user and password.
func Replay(t testing.TB, file string) (addr string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("tdsreplay: %v (transcripts are written by recording against a live server)", err)
	}
	exchanges, err := parseTranscript(string(text))
	if err != nil {
		t.Fatalf("tdsreplay: %s: %v", file, err)
	}
	r := newReplayer(t, file, exchanges)
	s := listen(t, r.serve)
	t.Cleanup(func() {
		s.close()
		r.logUnused()
	})
	return s.addr()
}

type replayer struct {
	t         testing.TB
	file      string
	exchanges []*exchange

	mu     sync.Mutex
	queues map[request]*queue
}

// queue holds the answers to one request.
type queue struct {
	answers []*exchange
	// next answer, and how often it was given already.
	next, given int
}

func newReplayer(t testing.TB, file string, exchanges []*exchange) *replayer {
	r := &replayer{t: t, file: file, exchanges: exchanges, queues: map[request]*queue{}}
	for _, e := range exchanges {
		q := r.queues[e.request]
		if q == nil {
			q = &queue{}
			r.queues[e.request] = q
		}
		q.answers = append(q.answers, e)
	}
	return r
}

// answer returns nil, and says why, when there is none.
func (r *replayer) answer(req request) (*exchange, string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	q := r.queues[req]
	if q == nil {
		why := fmt.Sprintf("%s has no answer to this %s, nor any other of its kind:\n%s", r.file, req.kind, req.text)
		if e := closest(req, r.exchanges); e != nil {
			why = fmt.Sprintf("%s has no answer to this %s. The closest recorded (-) and what was asked (+):\n%s",
				r.file, req.kind, diffLines(e.text, req.text))
		}
		return nil, why + "\nRecord again if this is meant to be asked."
	}
	if q.next == len(q.answers) {
		if e := q.answers[q.next-1]; q.repeats() {
			return e, ""
		}
		n := 0
		for _, e := range q.answers {
			n += e.times
		}
		return nil, fmt.Sprintf("%s answers this %s %s, and it was asked once more:\n%s", r.file, req.kind, times(n), req.text)
	}
	e := q.answers[q.next]
	if q.given++; q.given == e.times {
		q.next, q.given = q.next+1, 0
	}
	return e, ""
}

// repeats reports whether the last answer serves any further request.
func (q *queue) repeats() bool {
	e := q.answers[len(q.answers)-1]
	switch {
	case e.kind == kindPrelogin || e.kind == kindLogin:
		return true
	case !e.complete || e.closed || e.held >= 0:
		return false
	}
	return len(q.answers) == 1 && e.times > 1 || e.kind == kindBatch && onlySets(e.text) && onlyDone(e.response)
}

// onlySets reports whether each line or statement of a batch begins with SET.
func onlySets(sql string) bool {
	found := false
	for stmt := range strings.FieldsFuncSeq(sql, func(r rune) bool { return r == ';' || r == '\n' }) {
		stmt = strings.TrimSpace(stmt)
		if stmt == "" {
			continue
		}
		if len(stmt) < 4 || !strings.EqualFold(stmt[:4], "set ") {
			return false
		}
		found = true
	}
	return found
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

func (r *replayer) logUnused() {
	r.mu.Lock()
	defer r.mu.Unlock()
	unused, all := 0, 0
	first := ""
	for _, e := range r.exchanges {
		if e.kind == kindPrelogin || e.kind == kindLogin {
			continue
		}
		all += e.times
		q := r.queues[e.request]
		left := 0
		for i, a := range q.answers {
			switch {
			case a != e:
			case i == q.next:
				left = e.times - q.given
			case i > q.next:
				left = e.times
			}
		}
		if left > 0 && first == "" {
			first = e.kind + " " + e.text
		}
		unused += left
	}
	if unused > 0 {
		r.t.Logf("tdsreplay: %s: %d of %d recorded requests were not asked, the first of them: %s", r.file, unused, all, clip(first, 200))
	}
}

func clip(s string, n int) string {
	if runes := []rune(s); len(runes) > n {
		return string(runes[:n]) + "..."
	}
	return s
}

// player is one connection of a replayer.
type player struct {
	r    *replayer
	c    net.Conn
	size int
}

func (r *replayer) serve(c net.Conn, _ *server) {
	p := &player{r: r, c: c, size: packetSize}
	if err := p.run(); !gone(err) {
		r.t.Errorf("tdsreplay: %s: %v", r.file, err)
	}
}

func (p *player) run() error {
	for {
		m, err := readMessage(p.c)
		if err != nil {
			return err
		}
		if m.typ == typeAttention {
			if err := p.send(doneToken(doneAttn), true); err != nil {
				return err
			}
			continue
		}
		req, err := describe(m)
		if err != nil {
			return err
		}
		e, why := p.r.answer(req)
		if e == nil {
			p.r.t.Errorf("tdsreplay: %s", why)
			if err := p.send(errorResponse("tdsreplay: "+clip(why, 1000)), true); err != nil {
				return err
			}
			continue
		}
		if err := p.play(e); err != nil {
			return err
		}
		if m.typ == typeLogin {
			p.agree(m, e)
		}
		if e.closed {
			return nil
		}
	}
}

func (p *player) play(e *exchange) error {
	rest := e.response
	if e.held >= 0 {
		if err := p.send(rest[:e.held], false); err != nil {
			return err
		}
		rest = rest[e.held:]
		if err := p.awaitCancel(e); err != nil {
			return err
		}
	}
	if err := p.send(rest, e.complete); err != nil {
		return err
	}
	if e.complete {
		if e.held >= 0 && !confirmsAttention(e.response) {
			return p.send(doneToken(doneAttn), true)
		}
		return nil
	}
	if e.closed {
		return nil
	}
	// The client hung up before the end of the response.
	if err := p.awaitCancel(e); err != nil {
		return err
	}
	return p.send(doneToken(doneAttn), true)
}

// awaitCancel waits for an attention, or for the client to hang up.
func (p *player) awaitCancel(e *exchange) error {
	if err := p.c.SetReadDeadline(time.Now().Add(cancelWait)); err != nil {
		return err
	}
	m, err := readMessage(p.c)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("the client cancelled this %s when it was recorded, and did not within %v:\n%s", e.kind, cancelWait, e.text)
	}
	if err != nil {
		return err
	}
	if m.typ != typeAttention {
		return fmt.Errorf("a message of type %#x came before the end of the response to this %s:\n%s", m.typ, e.kind, e.text)
	}
	return p.c.SetReadDeadline(time.Time{})
}

func (p *player) send(data []byte, last bool) error {
	_, err := p.c.Write(appendPackets(nil, typeReply, data, p.size, last))
	return err
}

// agree sets the size of packets that both sides of a login accept.
func (p *player) agree(m message, e *exchange) {
	const smallest = 512
	if l, ok := readLogin(m.data); ok && l.packetSize >= smallest {
		p.size = min(p.size, l.packetSize)
	}
	if n := readLoginResponse(e.response).packetSize; n >= smallest {
		p.size = min(p.size, n)
	}
}
