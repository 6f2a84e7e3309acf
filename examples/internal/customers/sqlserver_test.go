package customers

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/microsoft/go-mssqldb/integratedauth"
	"github.com/microsoft/go-mssqldb/msdsn"
	"github.com/stretchr/testify/require"
)

// preLogin is a server that takes the first packet of a connection and hangs up; it
// returns what the packet holds, by kind.
func preLogin(t *testing.T) (addr string, options <-chan map[byte][]byte) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	found := make(chan map[byte][]byte, 10)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			head := make([]byte, 8)
			if _, err := io.ReadFull(conn, head); err == nil {
				body := make([]byte, int(binary.BigEndian.Uint16(head[2:]))-len(head))
				if _, err := io.ReadFull(conn, body); err == nil {
					found <- preLoginOptions(body)
				}
			}
			conn.Close()
		}
	}()
	return l.Addr().String(), found
}

func preLoginOptions(body []byte) map[byte][]byte {
	options := map[byte][]byte{}
	for at := 0; at+5 <= len(body) && body[at] != 0xFF; at += 5 {
		from, n := int(binary.BigEndian.Uint16(body[at+1:])), int(binary.BigEndian.Uint16(body[at+3:]))
		options[body[at]] = body[from : from+n]
	}
	return options
}

// A URL with fedauth asks the server for a login by Entra ID, another one does not.
func TestLoginByEntra(t *testing.T) {
	const fedAuthRequired = 0x06
	for name, c := range map[string]struct {
		query string
		want  bool
	}{
		"a login of the server": {"database=d", false},
		"Entra ID, a token":     {"database=d&fedauth=ActiveDirectoryServicePrincipalAccessToken&password=hemlig", true},
		"Entra ID, a secret":    {"database=d&FedAuth=ActiveDirectoryServicePrincipal&user+id=app%40tenant&password=hemlig", true},
		"Entra ID, the default": {"database=d&fedauth=ActiveDirectoryDefault", true},
	} {
		t.Run(name, func(t *testing.T) {
			addr, options := preLogin(t)
			where := fmt.Sprintf("sqlserver://%s?%s&encrypt=disable&dial+timeout=5", addr, c.query)
			_, _, err := Database{Where: where}.OpenStore(t.Context())
			require.Error(t, err)
			require.NotContains(t, hidden(where, err), "hemlig")
			_, asked := (<-options)[fedAuthRequired]
			require.Equal(t, c.want, asked)
		})
	}
}

// hidden is an error as it may be shown.
func hidden(where string, err error) string {
	var s Secrets
	s.AddOf(where)
	return s.Hide(err.Error())
}

func TestLoginErrors(t *testing.T) {
	for name, c := range map[string]struct{ where, want string }{
		"no kind of Entra ID":  {"sqlserver://h?fedauth=Nonsense&password=hemlig", "Invalid federated authentication type 'Nonsense'"},
		"a secret is missing":  {"sqlserver://h?fedauth=ActiveDirectoryServicePrincipal&user+id=app", "Must provide 'password' parameter"},
		"no URL of the driver": {"sqlserver://h?fedauth=ActiveDirectoryDefault&port=hemlig", "this is no URL that go-mssqldb understands"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := Database{Where: c.where}.OpenStore(t.Context())
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, hidden(c.where, err), "hemlig")
		})
	}
}

func TestPacketSize(t *testing.T) {
	require.Equal(t, "sqlserver://h?fedauth=x&packet+size=8000", withPackets("sqlserver://h?fedauth=x"))
	require.Equal(t, "sqlserver://h?fedauth=x&Packet+Size=512", withPackets("sqlserver://h?fedauth=x&Packet+Size=512"))
}

func TestKerberosIsThere(t *testing.T) {
	config := msdsn.Config{Parameters: map[string]string{"authenticator": "krb5", "krb5-configfile": "/nowhere/krb5.conf", "krb5-credcachefile": "/nowhere/cc"}}
	_, err := integratedauth.GetIntegratedAuthenticator(config)
	require.ErrorContains(t, err, "/nowhere/krb5.conf")
}
