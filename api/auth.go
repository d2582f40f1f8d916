package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
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
