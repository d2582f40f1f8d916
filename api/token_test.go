package api_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/api/apitest"
)

// TestToken: a token is its user's until it expires; one that was tampered with, that another key or password made, or that says
// another algorithm, is nobody's.
func TestToken(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	b := apitest.New(t, func() time.Time { return now })
	core := func(change func(*api.Config)) *api.Core {
		c := b.Core.Config
		c.Factories = nil // the bench has the folder
		c.Users, c.TokenKey = map[string]string{"ann": "secret", "bob": "other"}, func() ([]byte, error) { return []byte("key"), nil }
		change(&c)
		made, err := api.New(c)
		b.Must(err)
		t.Cleanup(func() { b.Must(made.Close()) })
		return made
	}
	same := func(*api.Config) {}
	c := core(same)
	token, err := c.Sign("ann", time.Hour)
	b.Must(err)
	for name, other := range map[string]*api.Core{"its own": c, "another start": core(same)} {
		if user, err := other.Verify(token); user != "ann" || err != nil {
			t.Errorf("%s: %q, %v", name, user, err)
		}
	}
	for name, other := range map[string]*api.Core{
		"another key":      core(func(c *api.Config) { c.TokenKey = func() ([]byte, error) { return []byte("no"), nil } }),
		"another password": core(func(c *api.Config) { c.Users = map[string]string{"ann": "changed"} }),
		"a user who left":  core(func(c *api.Config) { c.Users = map[string]string{"bob": "other"} }),
	} {
		if user, err := other.Verify(token); user != "" || !errors.Is(err, api.ErrToken) {
			t.Errorf("%s: %q, %v", name, user, err)
		}
	}
	parts := strings.Split(token, ".")
	encode := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	claims, err := base64.RawURLEncoding.DecodeString(parts[1])
	b.Must(err)
	for name, bad := range map[string]string{
		"":                    "",
		"text":                "nope",
		"dots":                "..",
		"no signature":        parts[0] + "." + parts[1] + ".",
		"no algorithm":        encode(`{"alg":"none"}`) + "." + parts[1] + ".",
		"another algorithm":   encode(`{"alg":"HS256"}`) + "." + parts[1] + "." + parts[2],
		"another user":        parts[0] + "." + encode(strings.Replace(string(claims), `"ann"`, `"bob"`, 1)) + "." + parts[2],
		"another end":         parts[0] + "." + encode(strings.Replace(string(claims), `"exp":`, `"exp":9`, 1)) + "." + parts[2],
		"a part more":         token + ".x",
		"larger than a token": token + strings.Repeat("A", 1<<20),
	} {
		if user, err := c.Verify(bad); user != "" || !errors.Is(err, api.ErrToken) {
			t.Errorf("%q: %q, %v", name, user, err)
		}
	}
	now = now.Add(time.Hour)
	if _, err := c.Verify(token); err != nil { // clocks may differ a little
		t.Errorf("at its end: %v", err)
	}
	now = now.Add(time.Minute)
	if user, err := c.Verify(token); user != "" || !errors.Is(err, api.ErrTokenExpired) {
		t.Errorf("after its end: %q, %v", user, err)
	}
}
