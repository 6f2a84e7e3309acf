package mssql_test

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
)

// TestCommitIsCut cuts the connection when a commit is on its way.
func TestCommitIsCut(t *testing.T) {
	s := waiting(t)
	d, err := s.take("")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.give(d)) })
	loadNumbers(t, newStore(t, d.db, nil))
	for name, arrives := range map[string]bool{"before the server": false, "after the server": true} {
		t.Run(name, func(t *testing.T) {
			cfg := s.config
			cfg.Database = d.name
			cfg.Host, cfg.Port = cutAtCommit(t, net.JoinHostPort(cfg.Host, fmt.Sprint(cmp.Or(cfg.Port, 1433))), arrives)
			db := sqlx.NewDb(openConfig(cfg), "sqlserver")
			defer db.Close()
			runs := 0
			err := newStore(t, db, nil).Update(t.Context(), func(tx store.Tx) error {
				runs++
				return setNumber(t.Context(), 1)(tx)
			})
			require.ErrorIs(t, err, store.ErrOutcomeUnknown)
			require.Equal(t, 1, runs, "never tried again")
		})
	}
}

// cutAtCommit is a proxy that closes both connections at the first request of
// the transaction manager to commit, before or after the server has it.
func cutAtCommit(t *testing.T, upstream string, arrives bool) (host string, port uint64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var wg sync.WaitGroup
	t.Cleanup(func() {
		l.Close()
		wg.Wait()
	})
	wg.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", upstream)
			if err != nil {
				client.Close()
				return
			}
			var committing atomic.Bool
			wg.Go(func() {
				defer server.Close()
				defer client.Close()
				buf := make([]byte, 1<<15)
				for {
					n, err := server.Read(buf)
					if err != nil {
						return
					}
					if committing.Load() {
						client.Close()
					} else if _, err := client.Write(buf[:n]); err != nil {
						return
					}
				}
			})
			wg.Go(func() {
				// The server is told that there is no more, and its answer is
				// read to the end: a reset makes Babelfish crash.
				defer server.(*net.TCPConn).CloseWrite()
				defer client.Close()
				for forwardPacket(client, server, &committing, arrives) {
				}
			})
		}
	})
	addr := l.Addr().(*net.TCPAddr)
	return addr.IP.String(), uint64(addr.Port)
}

// forwardPacket forwards one packet of the client and reports whether there may
// be more. What the server answers to a commit is lost.
func forwardPacket(client io.Reader, server net.Conn, committing *atomic.Bool, arrives bool) bool {
	const headerSize, transactionManager, commitRequest = 8, 0x0e, 7
	header := make([]byte, headerSize)
	if _, err := io.ReadFull(client, header); err != nil {
		return false
	}
	body := make([]byte, int(binary.BigEndian.Uint16(header[2:]))-headerSize)
	if _, err := io.ReadFull(client, body); err != nil {
		return false
	}
	commit := header[0] == transactionManager && binary.LittleEndian.Uint16(body[binary.LittleEndian.Uint32(body):]) == commitRequest
	committing.Store(commit)
	if commit && !arrives {
		return false
	}
	if _, err := server.Write(append(header, body...)); err != nil {
		return false
	}
	if commit {
		_, _ = client.Read(make([]byte, 1)) // until the other direction closes it
	}
	return !commit
}
