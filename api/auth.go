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

// authorised says whether a request has the credentials that are wanted.
func (c *Core) authorised(r *http.Request) bool {
	if c.Token == "" || r.URL.Path == "/healthz" {
		return true
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	sum := sha256.Sum256([]byte(strings.TrimSpace(token)))
	return strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare(sum[:], c.tokenSum[:]) == 1
}

// own says whether the request is meant for this program by the name it was asked under. Without
// credentials only this machine can reach it, but so can a page in this machine's browser whose name was
// made to resolve to it (DNS rebinding): such a request has that page's name as its host.
func (c *Core) own(r *http.Request) bool {
	if c.Token != "" || r.Host == "" { // HTTP/1.0: no browser
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
