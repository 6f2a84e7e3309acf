package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/internal/crm"
	"github.com/so-mirror/mirror/store/cycle"
	"github.com/so-mirror/mirror/store/sqlite"
)

const (
	token = "0123456789abcdef-hemlig"
	other = "fedcba9876543210-hemlig"
)

// output is what a program writes, which somebody else reads meanwhile.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
	line chan struct{} // closed with the first line
	once sync.Once
}

func (o *output) Write(data []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	defer o.once.Do(func() { close(o.line) })
	return o.text.Write(data)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// running is a program that serves.
type running struct {
	*program
	url      string
	out, err *output
	stop     context.CancelFunc
	ended    chan int // its exit code
}

func testProgram(env map[string]string) (p *program, out, errs *output) {
	out, errs = &output{line: make(chan struct{})}, &output{line: make(chan struct{})}
	return newProgram(out, errs, func(name string) string { return env[name] }), out, errs
}

// start runs a program on a port of its own, until it serves.
func start(t *testing.T, env map[string]string, args ...string) *running {
	t.Helper()
	args = append(args, "--listen", "127.0.0.1:0", "--state", filepath.Join(t.TempDir(), "state", "console.db"))
	return startTo(t, env, func(ctx context.Context, p *program) int { return p.run(ctx, args) })
}

func startTo(t *testing.T, env map[string]string, serve func(context.Context, *program) int) *running {
	t.Helper()
	r := &running{ended: make(chan int, 1)}
	r.program, r.out, r.err = testProgram(env)
	ctx, stop := context.WithCancel(t.Context())
	r.stop = stop
	go func() { r.ended <- serve(ctx, r.program) }()
	t.Cleanup(func() { r.exit() })
	select {
	case <-r.out.line:
	case code := <-r.ended:
		r.ended <- code
		require.Fail(t, "it did not start", "exit code %d: %s", code, r.err)
	}
	r.url = regexp.MustCompile(`https?://[^ ]*/`).FindString(r.out.String())
	require.NotEmpty(t, r.url, r.out)
	return r
}

// exit stops a program and returns its exit code.
func (r *running) exit() int {
	r.stop()
	code := <-r.ended
	r.ended <- code
	return code
}

// write makes a file that nobody else may read.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// world makes customer.db and mirror.db of Cust1 in a directory, with a file that names them.
func world(t *testing.T, more string) (config string) {
	t.Helper()
	dir := t.TempDir()
	source, err := sqlite.Create(t.Context(), filepath.Join(dir, "customer.db"))
	require.NoError(t, err)
	defer source.Close()
	mirrored, err := sqlite.Create(t.Context(), filepath.Join(dir, "mirror.db"))
	require.NoError(t, err)
	defer mirrored.Close()
	require.NoError(t, crm.Load(t.Context(), source, crm.Options{Contacts: 20}, "contact", "person"))
	_, err = (&cycle.Task{Customer: cycle.NewCustomer("Cust1", source), Mirror: mirrored}).Run(t.Context())
	require.NoError(t, err)
	config = filepath.Join(dir, "file.yaml")
	require.NoError(t, os.WriteFile(config, []byte("context: Cust1\nsource: customer.db\nmirror: mirror.db\n"+more), 0o600))
	return config
}

// A mistake is refused with what to do, before anything is made or opened.
func TestMistakes(t *testing.T) {
	tokens := write(t, "tokens.yaml", "ada: "+token+"\n")
	open := write(t, "open.yaml", "ada: "+token+"\n")
	require.NoError(t, os.Chmod(open, 0o644))
	file := write(t, "file.yaml", "context: Cust1\nsource: sqlserver://u:hemlig@h\nmirror: sqlserver://u:${MIRROR_PASSWORD}@h\n")
	config := func(text string) string { return write(t, "file.yaml", text) }
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no file":                         {nil, "which mirrors? Name the file that says where they are by --config, or try it out: console demo"},
		"a file that is not there":        {[]string{"--config", "nowhere.yaml"}, "--config: open nowhere.yaml"},
		"a word too much":                 {[]string{"serve"}, `unknown command "serve" for "console"`},
		"a word too much for the demo":    {[]string{"demo", "me"}, `unknown command "me" for "console demo"`},
		"an unknown flag":                 {[]string{"--port", "80"}, "unknown flag: --port"},
		"the demo's own file":             {[]string{"demo", "--config", "x"}, "unknown flag: --config"},
		"no address":                      {[]string{"--config", file, "--listen", "8080"}, `--listen "8080": want such as 127.0.0.1:8080`},
		"every address":                   {[]string{"--config", file, "--listen", ":8080"}, "--listen :8080: other machines reach that, so it needs a login: --token-file"},
		"every address, spelled out":      {[]string{"demo", "--listen", "[::]:8080"}, "other machines reach that"},
		"an address of the network":       {[]string{"--config", file, "--listen", "192.0.2.1:8080"}, "other machines reach that"},
		"half of TLS":                     {[]string{"demo", "--tls-cert", "c.pem"}, "--tls-cert and --tls-key: name both files, or none"},
		"no certificate":                  {[]string{"demo", "--tls-cert", file, "--tls-key", file}, "--tls-cert and --tls-key: tls: failed to find any PEM data"},
		"a proxy without addresses":       {[]string{"demo", "--proxy-header", "X-User"}, "--proxy-header and --proxy-trusted: say both"},
		"a proxy without a header":        {[]string{"demo", "--proxy-trusted", "127.0.0.1"}, "--proxy-header and --proxy-trusted: say both"},
		"a proxy without a number":        {[]string{"demo", "--proxy-header", "X-User", "--proxy-trusted", "proxy.example.com"}, `--proxy-trusted "proxy.example.com": want an address such as 10.0.0.5`},
		"everybody is a proxy":            {[]string{"demo", "--proxy-header", "X-User", "--proxy-trusted", "10.0.0.0/8,::/0"}, "--proxy-trusted ::/0: that is everybody"},
		"tokens that are not there":       {[]string{"demo", "--token-file", "nowhere.yaml"}, "--token-file: open nowhere.yaml"},
		"tokens that everybody may read":  {[]string{"demo", "--token-file", open}, "others on this machine can read or change it: chmod 600 "},
		"a time that is none":             {[]string{"demo", "--keep", "90 days"}, `invalid argument "90 days" for "--keep"`},
		"less than no time":               {[]string{"demo", "--keep", "-1h"}, "--keep -1h0m0s: want more than 0"},
		"no cycle":                        {[]string{"demo", "--cycle", "0s"}, "--cycle 0s: want more than 0"},
		"less than no comparison":         {[]string{"demo", "--concurrency", "-1"}, "--concurrency -1: want a number from 1 on"},
		"an unknown level":                {[]string{"demo", "--log-level", "loud"}, `invalid argument "loud" for "--log-level"`},
		"a variable that is not there":    {[]string{"--config", file}, "file.yaml:3: the environment has no MIRROR_PASSWORD, or it is empty"},
		"nobody's mirror":                 {[]string{"--config", config("mirror: m.db\nsource: s.db\n")}, `file.yaml:1: whose mirror is this? Add a line such as "context: Cust10195"`},
		"no mirror":                       {[]string{"--config", config("source: s.db\nmembers: [A]\n")}, "file.yaml:2: A has no mirror"},
		"no source":                       {[]string{"--config", config("mirror: s.db\nmembers:\n- A\n")}, "file.yaml:3: A has no source to compare with"},
		"a slip in the file":              {[]string{"--config", config("miror: hemlig\n")}, "unknown key miror: did you mean mirror?"},
		"a state that is a directory":     {[]string{"--config", world(t, ""), "--state", t.TempDir()}, "is no file: name one"},
		"a state that everybody may read": {[]string{"--config", world(t, ""), "--state", open}, "everybody on this machine can read what it holds of customers: chmod 600 "},
		"a login, and mistakes all along": {[]string{"--config", file, "--token-file", tokens, "--listen", "nowhere.invalid:http-alt-x"}, "--listen "},
	} {
		t.Run(name, func(t *testing.T) {
			p, out, errs := testProgram(nil)
			ctx, stop := context.WithTimeout(t.Context(), time.Minute) // what is not refused would be served for ever
			defer stop()
			require.Equal(t, exitUsage, p.run(ctx, c.args), errs)
			require.Contains(t, errs.String(), "console: ")
			require.Contains(t, errs.String(), c.want)
			require.Contains(t, errs.String(), "--help")
			require.Empty(t, out.String())
			require.NotContains(t, errs.String(), "hemlig")
		})
	}
}

func TestHelp(t *testing.T) {
	for want, args := range map[string][]string{
		"--proxy-trusted":       {"--help"},
		"--cycle":               {"demo", "--help"},
		"schema-prefixes":       {"help", "config"},
		"as who runs console\n": {"help", "login"},
	} {
		p, out, errs := testProgram(nil)
		require.Equal(t, exitDone, p.run(t.Context(), args), errs)
		require.Contains(t, out.String(), want)
		require.Empty(t, errs.String())
	}
}

// A log shows no secret, in whatever a record has it.
func TestLog(t *testing.T) {
	p, _, errs := testProgram(nil)
	p.secrets.Add("hem\"lig")
	p.flags.level = slog.LevelInfo
	log := p.logger().With("with", `hem"lig`)
	log.Debug("quiet")
	log.WithGroup("g").Info(`said hem"lig`, "error", io.EOF, "secret", wrapped{`hem"lig`}, "list", []string{`hem"lig`}, slog.Group("h", "x", `hem"lig`), "n", 3)
	require.NotContains(t, errs.String(), "hem")
	require.Regexp(t, `level=INFO msg="said \*\*\*" with=\*\*\* g.error=EOF g.secret=.*\*\*\*.* g.list=\[\*\*\*\] g.h.x=\*\*\* g.n=3\n$`, errs.String())
	require.NotContains(t, errs.String(), "quiet")
}

type wrapped struct{ Secret string }
