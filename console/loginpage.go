package console

import (
	"net/http"
	"path"
	"strings"

	"github.com/so-mirror/mirror/console/internal/ui"
)

// loginPage is where somebody logs in.
type loginPage struct {
	To    string
	Token ui.Field
}

func (c *Console) loginPage(v *visit) error {
	return c.showLogin(v, v.FormValue("to"), "", http.StatusOK)
}

func (c *Console) showLogin(v *visit, to, wrong string, code int) error {
	if len(c.logins.tokens) == 0 {
		return errNotFound
	}
	p := loginPage{To: within(to), Token: ui.Field{Name: "token", Type: "password", Label: "Token", Required: true, Complete: "current-password", Error: wrong}}
	return c.show(v, page{name: "login", title: "Log in", data: p, bare: true, code: code})
}

func (c *Console) logIn(v *visit) error {
	if len(c.logins.tokens) == 0 {
		return errNotFound
	}
	to := within(v.PostFormValue("to"))
	ok, err := c.logins.logIn(v.Request, strings.TrimSpace(v.PostFormValue("token")))
	if err != nil {
		return err
	}
	if !ok {
		return c.showLogin(v, to, "This is nobody's token.", http.StatusUnauthorized)
	}
	return c.see(v, to, "")
}

func (c *Console) logOut(v *visit) error {
	if err := c.logins.logOut(v.Request); err != nil {
		return err
	}
	return c.see(v, "/", "")
}

// within returns a path below the base to go to, "/" for what is none: an address of
// another site looks like one to browsers when it begins with two slashes.
func within(to string) string {
	where, _, _ := strings.Cut(to, "?")
	if !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") || strings.ContainsFunc(to, func(r rune) bool { return r == '\\' || r < ' ' || r == 0x7f }) ||
		path.Clean(where) != where {
		return "/"
	}
	return to
}
