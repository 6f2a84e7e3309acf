package customers

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Secrets are the texts that no output may show. The zero value has none. It is safe for
// concurrent use.
type Secrets struct {
	lock sync.RWMutex
	all  []string // the longest first, because one may be the beginning of another
}

// Add adds texts.
func (s *Secrets) Add(secrets ...string) {
	s.lock.Lock()
	defer s.lock.Unlock()
	for _, secret := range secrets {
		if secret != "" && !slices.Contains(s.all, secret) {
			s.all = append(s.all, secret)
		}
	}
	slices.SortStableFunc(s.all, func(a, b string) int { return len(b) - len(a) })
}

// AddOf adds those of a connection string.
func (s *Secrets) AddOf(where string) { s.Add(SecretsOf(where)...) }

// Hide returns a text without them.
func (s *Secrets) Hide(text string) string {
	s.lock.RLock()
	defer s.lock.RUnlock()
	for _, secret := range s.all {
		text = strings.ReplaceAll(text, secret, "***")
	}
	return text
}

// HideIn returns an error whose text is without them: a driver may quote what it was told.
func (s *Secrets) HideIn(err error) error {
	if err == nil {
		return nil
	}
	return shown{err, s.Hide(err.Error())}
}

// shown is an error as it may be shown.
type shown struct {
	error
	says string
}

func (h shown) Error() string { return h.says }

// Unwrap returns the error itself.
func (h shown) Unwrap() error { return h.error }

// SecretsOf returns what must not be seen of a connection string, as it is written and as
// it is meant.
func SecretsOf(where string) (secrets []string) {
	if !(Database{Where: where}).IsURL() {
		return secretsOfNoURL(where)
	}
	if _, rest, ok := strings.Cut(where, "://"); ok {
		if i := strings.LastIndex(rest, "@"); i >= 0 {
			if _, password, ok := strings.Cut(rest[:i], ":"); ok && password != "" {
				secrets = append(secrets, password)
				if plain, err := url.PathUnescape(password); err == nil && plain != password {
					secrets = append(secrets, plain)
				}
			}
		}
	}
	_, query, _ := strings.Cut(where, "?")
	for part := range strings.FieldsFuncSeq(query, func(r rune) bool { return r == '&' || r == ';' }) {
		name, value, _ := strings.Cut(part, "=")
		if isSecret.MatchString(name) && value != "" {
			secrets = append(secrets, value)
			if plain, err := url.QueryUnescape(value); err == nil && plain != value {
				secrets = append(secrets, plain)
			}
		}
	}
	return secrets
}

// secretsOfNoURL are those of what is no URL, though it was meant as a connection string:
// as ADO or ODBC write it, or with a slip in it.
func secretsOfNoURL(where string) (secrets []string) {
	for _, m := range settingOfADO.FindAllStringSubmatch(where, -1) {
		if value := strings.TrimSpace(m[2]); isSecret.MatchString(strings.TrimSpace(m[1])) && value != "" {
			secrets = append(secrets, value)
		}
	}
	if m := slippedURL.FindStringSubmatch(where); m != nil {
		secrets = append(secrets, m[1])
	}
	return secrets
}

var (
	settingOfADO = regexp.MustCompile(`([^;:?&={}]+)=\s*(\{[^}]*\}|"[^"]*"|'[^']*'|[^;]*)`)
	slippedURL   = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]+:[^@]*?:(.+)@`)
)

var isSecret = regexp.MustCompile(`(?i)^(password|pwd|.*secret|.*token|.*assertion)$`)
