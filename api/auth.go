package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// The user that is right on this machine alone, where no credentials are needed: the clients of the systems that
// this program stands in for send it unasked.
const (
	UserDefault     = "admin"
	PasswordDefault = "admin"
)

// credentials are what requests may come with. Secrets are compared by their sums, in constant time.
type credentials struct {
	token  *[sha256.Size]byte           // of the bearer token; nil: none is right
	users  map[string][sha256.Size]byte // of passwords, by user
	needed bool                         // by every request
}

func newCredentials(token string, users map[string]string) credentials {
	c := credentials{users: map[string][sha256.Size]byte{}, needed: token != "" || len(users) > 0}
	if token != "" {
		sum := sha256.Sum256([]byte(token))
		c.token = &sum
		c.users[TokenUser] = sum
	}
	for user, password := range users {
		c.users[user] = sha256.Sum256([]byte(password))
	}
	if !c.needed {
		c.users[UserDefault] = sha256.Sum256([]byte(PasswordDefault))
	}
	return c
}

// TokenUser is the user whose password is the token, for clients that know of users only.
const TokenUser = "projectionist"

// admit says whether a request has the credentials that are wanted, and the user whose they are, if any. What it has must
// be right, also where nothing is wanted. Whether the program lives may be asked by everybody.
func (c *credentials) admit(r *http.Request) (user string, ok bool) {
	if r.Method == http.MethodGet && (r.URL.Path == "/healthz" || r.URL.Path == "/health") {
		return "", true
	}
	if r.Header.Get("Authorization") == "" {
		return "", !c.needed
	}
	if user, password, ok := r.BasicAuth(); ok {
		return user, c.right(user, password)
	}
	token, ok := Bearer(r)
	return "", ok && c.isToken(token)
}

// right says whether a password is the user's.
func (c *credentials) right(user, password string) bool {
	want, known := c.users[user]
	sum := sha256.Sum256([]byte(password))
	return subtle.ConstantTimeCompare(sum[:], want[:]) == 1 && known
}

func (c *credentials) isToken(token string) bool {
	sum := sha256.Sum256([]byte(token))
	return c.token != nil && subtle.ConstantTimeCompare(sum[:], c.token[:]) == 1
}

// Bearer is the bearer token of a request, if it has one.
func Bearer(r *http.Request) (token string, ok bool) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.TrimSpace(token), strings.EqualFold(scheme, "Bearer")
}

// Open says whether requests need no credentials.
func (c *Core) Open() bool { return !c.credentials.needed }

// Right says whether a password is a user's.
func (c *Core) Right(user, password string) bool { return c.credentials.right(user, password) }

// IsToken says whether a bearer token is the program's own.
func (c *Core) IsToken(token string) bool { return c.credentials.isToken(token) }

// SessionCookie has the session of a browser whose user gave credentials once: a token as of [Core.Sign].
const SessionCookie = "projectionist_session"

// session is the user of a request that comes with a session and without other credentials. Only what a page of this very address makes
// a browser send counts, or the user by themselves: a cookie is sent for pages of other ports of the machine, too.
func (c *Core) session(r *http.Request) (user string, ok bool) {
	cookie, err := r.Cookie(SessionCookie)
	if err != nil || r.Header.Get("Authorization") != "" || CrossSite(r) || r.Header.Get("Sec-Fetch-Site") == "same-site" {
		return "", false
	}
	user, err = c.Verify(cookie.Value)
	return user, err == nil
}

// own says whether the request is meant for this program by the name it was asked under. Without
// credentials only this machine can reach it, but so can a page in this machine's browser whose name was
// made to resolve to it (DNS rebinding): such a request has that page's name as its host.
func (c *Core) own(r *http.Request) bool {
	if c.credentials.needed || r.Host == "" { // HTTP/1.0: no browser
		return true
	}
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	ip := net.ParseIP(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && ip.IsLoopback() || slices.Contains(c.Hosts, host)
}

// CrossSite says whether a page of another site made a browser send the request, as an image or a link does.
func CrossSite(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "cross-site":
		return true
	case "same-origin", "same-site", "none":
		return false
	}
	for _, from := range []string{r.Header.Get("Origin"), r.Header.Get("Referer")} {
		if u, err := url.Parse(from); from != "" && (err != nil || !strings.EqualFold(u.Host, r.Host)) {
			return true
		}
	}
	return false
}
