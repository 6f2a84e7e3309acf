package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/adrg/xdg"

	"github.com/so-mirror/mirror/console"
)

// options are what the flags say of the console. They refuse what is not safe.
func (p *program) options() (*console.Options, error) {
	f := &p.flags
	o := &console.Options{BasePath: f.basePath, ReadOnly: f.readOnly, Secure: f.secure, Keep: f.keep, Look: f.look, Logger: p.log}
	switch {
	case (f.cert == "") != (f.key == ""):
		return nil, usagef("--tls-cert and --tls-key: name both files, or none")
	case (f.proxyHeader == "") != (len(f.trusted) == 0):
		return nil, usagef("--proxy-header and --proxy-trusted: say both, the header and who is believed to send it")
	case f.keep < 0:
		return nil, usagef("--keep %s: want more than 0, such as 2160h", f.keep)
	case f.concurrency < 0:
		return nil, usagef("--concurrency %d: want a number from 1 on", f.concurrency)
	}
	if f.tokenFile != "" {
		tokens, err := readTokens(f.tokenFile)
		if err != nil {
			return nil, usageError{fmt.Errorf("--token-file: %w", err)}
		}
		for _, token := range tokens {
			p.secrets.Add(token)
		}
		o.Tokens = tokens
	}
	if f.proxyHeader != "" {
		o.Proxy = &console.Proxy{Header: f.proxyHeader}
		for _, text := range f.trusted {
			prefix, err := prefixOf(text)
			if err != nil {
				return nil, err
			}
			o.Proxy.Trusted = append(o.Proxy.Trusted, prefix)
		}
	}
	return o, nil
}

// prefixOf is an address, or a range of them.
func prefixOf(text string) (netip.Prefix, error) {
	prefix, err := netip.ParsePrefix(text)
	if addr, failed := netip.ParseAddr(text); failed == nil {
		prefix, err = netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	switch {
	case err != nil:
		return prefix, usagef("--proxy-trusted %q: want an address such as 10.0.0.5, or 10.0.0.0/24", text)
	case prefix.Bits() == 0:
		return prefix, usagef("--proxy-trusted %s: that is everybody, who could all say who they are: name the proxy", text)
	}
	return prefix, nil
}

// address is where to listen: unless there is a login, no other machine may reach it.
func (p *program) address(login bool) (*net.TCPAddr, error) {
	addr, err := net.ResolveTCPAddr("tcp", p.flags.listen)
	switch {
	case err != nil:
		return nil, usagef("--listen %q: want such as 127.0.0.1:8080: %w", p.flags.listen, err)
	case !login && !addr.IP.IsLoopback():
		return nil, usagef("--listen %s: other machines reach that, so it needs a login: --token-file, or --proxy-header with --proxy-trusted", p.flags.listen)
	}
	return addr, nil
}

// statePath is the file of the console's state, in a directory that is made for it.
func (p *program) statePath() (string, error) {
	path := cmp.Or(p.flags.state, filepath.Join(xdg.StateHome, "mirror-console", "console.db"))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", fmt.Errorf("make the directory of --state: %w", err)
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return path, nil
	case err != nil:
		return "", fmt.Errorf("--state: %w", err)
	case !info.Mode().IsRegular():
		return "", usagef("--state %s is no file: name one", path)
	case othersMay(info, 0o007):
		return "", usagef("--state %s: everybody on this machine can read what it holds of customers: chmod 600 %s", path, path)
	}
	return path, nil
}

// othersMay reports whether a file grants some of these rights.
func othersMay(info fs.FileInfo, rights fs.FileMode) bool {
	return runtime.GOOS != "windows" && info.Mode().Perm()&rights != 0
}

// logger logs for people and machines, without secrets.
func (p *program) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(p.err, &slog.HandlerOptions{Level: p.flags.level, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		switch v := a.Value.Resolve(); v.Kind() {
		case slog.KindString:
			a.Value = slog.StringValue(p.secrets.Hide(v.String()))
		case slog.KindAny:
			a.Value = slog.StringValue(p.secrets.Hide(strings.TrimSpace(fmt.Sprint(v.Any()))))
		}
		return a
	}}))
}
