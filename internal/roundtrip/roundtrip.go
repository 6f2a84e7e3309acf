// Package roundtrip counts what a program asks of a database: over TDS each request
// that waits for an answer, in an embedded engine each statement. What opens a
// connection does not count.
package roundtrip

import (
	"context"
	"database/sql/driver"
	"errors"
	"net"
	"sync/atomic"
)

// Counter counts. The zero Counter is ready; it is safe for concurrent use.
type Counter struct{ n atomic.Int64 }

// Count returns the number of round trips since the last call.
func (c *Counter) Count() int { return int(c.n.Swap(0)) }

// The types and the status of TDS packets, MS-TDS 2.2.3.1.
const (
	typeBatch  = 0x01
	typeRPC    = 0x03
	typeBulk   = 0x07
	typeTran   = 0x0E
	statusLast = 0x01
	headerSize = 8
)

// DialContext connects to a server that speaks TDS without encryption. It makes a
// Counter the dialer of a connector of go-mssqldb, which writes packet by packet.
func (c *Counter) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return &tdsConn{Conn: conn, c: c}, nil
}

type tdsConn struct {
	net.Conn
	c *Counter
}

// Write implements net.Conn.
func (t *tdsConn) Write(packet []byte) (int, error) {
	if len(packet) >= headerSize && packet[1]&statusLast != 0 {
		switch packet[0] {
		case typeBatch, typeRPC, typeBulk, typeTran:
			t.c.n.Add(1)
		}
	}
	return t.Conn.Write(packet)
}

// Connector returns a connector that counts the statements of an embedded engine.
func (c *Counter) Connector(inner driver.Connector) driver.Connector {
	return connector{inner, c}
}

type connector struct {
	driver.Connector
	c *Counter
}

// queryConn is what a connection can do whose statements are counted.
type queryConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.SessionResetter
	driver.Validator
}

// Connect implements driver.Connector.
func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	inner, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	q, ok := inner.(queryConn)
	if !ok {
		return nil, errors.Join(errors.New("the driver's connection runs no statements by itself"), inner.Close())
	}
	return &conn{q, c.c}, nil
}

// conn counts a prepared statement once, however often it is run.
type conn struct {
	queryConn
	c *Counter
}

// PrepareContext implements driver.ConnPrepareContext.
func (c *conn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	c.c.n.Add(1)
	return c.queryConn.PrepareContext(ctx, query)
}

// ExecContext implements driver.ExecerContext.
func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	c.c.n.Add(1)
	return c.queryConn.ExecContext(ctx, query, args)
}

// QueryContext implements driver.QueryerContext.
func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	c.c.n.Add(1)
	return c.queryConn.QueryContext(ctx, query, args)
}
