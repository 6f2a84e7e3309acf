package console

import (
	"bytes"
	"fmt"
	"net/http"
	"time"
)

// The times of streams. Pages are told of changes at most so often: a comparison reports
// faster than anybody reads.
const (
	eventsEvery   = 500 * time.Millisecond
	eventsBeat    = 20 * time.Second // so that proxies keep the connection
	eventsTimeout = 15 * time.Second // of one write
	maxStreams    = 4096
)

// events streams the part of a job's page that moves, as server-sent events: "progress",
// and "said" for who listens. The event "over" says that the page is to be loaded anew.
func (c *Console) events(v *visit) error {
	id, err := jobID(v, "job")
	if err != nil {
		return err
	}
	l := c.jobs.get(id)
	if l == nil {
		if _, err := c.state.job(v.Context(), id); err != nil {
			return err
		}
	}
	if c.streams.Add(1) > maxStreams {
		c.streams.Add(-1)
		return httpError{http.StatusServiceUnavailable, "Too many pages look on. Load this one anew to see how far the job is."}
	}
	defer c.streams.Add(-1)
	s := stream{w: v.w, c: http.NewResponseController(v.w)}
	h := v.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")
	_ = s.c.SetReadDeadline(time.Time{}) // not every writer has one
	if l == nil {
		return s.send("over", nil)
	}
	beat, due := time.NewTicker(eventsBeat), time.NewTimer(0)
	defer beat.Stop()
	defer due.Stop()
	var changed <-chan struct{} // nil while what changed waits to be sent
	told := ""
	for {
		var gone error
		select {
		case <-v.Context().Done():
			return nil
		case <-c.ending:
			return nil
		case <-l.done:
			select {
			case <-c.ending: // the next process goes on with it, and the page with the next stream
			default:
				_ = s.send("over", nil)
			}
			return nil
		case <-beat.C:
			gone = s.beat()
		case <-changed:
			changed = nil
			due.Reset(eventsEvery)
		case <-due.C:
			part, next, err := l.shown(c.renderLive)
			if err != nil {
				return err
			}
			changed, gone = next, s.send("progress", part)
			if now := said(l.now()); now != told && gone == nil {
				told, gone = now, s.send("said", []byte(now))
			}
		}
		if gone != nil {
			return nil
		}
	}
}

// stream writes events.
type stream struct {
	w http.ResponseWriter
	c *http.ResponseController
}

// send writes an event with the lines of its data.
func (s stream) send(event string, data []byte) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "event: %s\n", event)
	data = bytes.ReplaceAll(data, []byte{'\r'}, []byte{'\n'}) // which ends a line of a stream, too
	for line := range bytes.Lines(data) {
		b.WriteString("data: ")
		b.Write(bytes.TrimRight(line, "\n"))
		b.WriteByte('\n')
	}
	if len(data) == 0 {
		b.WriteString("data:\n")
	}
	b.WriteByte('\n')
	return s.write(b.Bytes())
}

func (s stream) beat() error { return s.write([]byte(": still here\n\n")) }

func (s stream) write(data []byte) error {
	_ = s.c.SetWriteDeadline(time.Now().Add(eventsTimeout)) // not every writer has one
	if _, err := s.w.Write(data); err != nil {
		return err
	}
	return s.c.Flush()
}
