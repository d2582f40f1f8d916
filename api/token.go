package api

import (
	"crypto/hmac"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Tokens that users are given for their passwords are JSON Web Tokens (RFC 7519) with HMAC-SHA-512, as Airflow's are. The key
// comes of the program's and of the password: a token is worth nothing any more when its user has another, or is gone.

// Why a token is worth nothing.
var (
	ErrToken        = errors.New("the token is none of this program's, or its user's password was changed")
	ErrTokenExpired = errors.New("the token has expired")
)

const (
	tokenBytesMax = 4096
	tokenAudience = "apache-airflow" // which those who look into theirs expect
	tokenHeader   = `{"alg":"HS512","typ":"JWT"}`
	tokenLeeway   = 10 * time.Second // of clocks of several nodes
)

// claims are what a token says; times are in Unix seconds.
type claims struct {
	Subject   string   `json:"sub"`
	Role      string   `json:"role"`
	Teams     []string `json:"teams"`
	ID        string   `json:"jti"`
	Audience  string   `json:"aud"`
	NotBefore int64    `json:"nbf"`
	Expires   int64    `json:"exp"`
	Issued    int64    `json:"iat"`
}

// Sign gives a user, who must be known, a token for a while.
func (c *Core) Sign(user string, lifetime time.Duration) (string, error) {
	now := c.Now()
	body, err := json.Marshal(claims{Subject: user, Role: "admin", Teams: []string{}, ID: strings.ReplaceAll(uuid.NewString(), "-", ""), Audience: tokenAudience,
		NotBefore: now.Unix(), Expires: now.Add(lifetime).Unix(), Issued: now.Unix()})
	if err != nil {
		return "", err
	}
	text := base64.RawURLEncoding.EncodeToString([]byte(tokenHeader)) + "." + base64.RawURLEncoding.EncodeToString(body)
	mac, err := c.tokenMAC(user, text)
	return text + "." + base64.RawURLEncoding.EncodeToString(mac), err
}

// Verify gives the user of a token. The error is [ErrToken] or [ErrTokenExpired], or that there is no key.
func (c *Core) Verify(token string) (user string, err error) {
	text, signature, ok := cutLast(token)
	head, body, both := strings.Cut(text, ".")
	if !ok || !both || len(token) > tokenBytesMax {
		return "", ErrToken
	}
	var header struct {
		Algorithm string `json:"alg"`
	}
	var says claims
	mac, err := base64.RawURLEncoding.DecodeString(signature)
	if err != nil || decodePart(head, &header) != nil || decodePart(body, &says) != nil || header.Algorithm != "HS512" || says.Audience != tokenAudience {
		return "", ErrToken
	}
	if _, known := c.credentials.users[says.Subject]; !known {
		return "", ErrToken
	}
	want, err := c.tokenMAC(says.Subject, text)
	switch now := c.Now(); {
	case err != nil:
		return "", err
	case !hmac.Equal(mac, want) || time.Unix(says.NotBefore, 0).After(now.Add(tokenLeeway)):
		return "", ErrToken
	case !now.Before(time.Unix(says.Expires, 0).Add(tokenLeeway)):
		return "", ErrTokenExpired
	}
	return says.Subject, nil
}

func (c *Core) tokenMAC(user, text string) ([]byte, error) {
	key, err := c.TokenKey()
	if err != nil {
		return nil, err
	}
	password := c.credentials.users[user]
	of := hmac.New(sha512.New, key)
	of.Write(append(password[:], user...))
	mac := hmac.New(sha512.New, of.Sum(nil))
	mac.Write([]byte(text))
	return mac.Sum(nil), nil
}

func cutLast(token string) (before, after string, found bool) {
	i := strings.LastIndexByte(token, '.')
	if i < 0 {
		return "", "", false
	}
	return token[:i], token[i+1:], true
}

func decodePart(part string, into any) error {
	b, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, into)
}
