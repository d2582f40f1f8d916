package door

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const mechanismPlain = "PLAIN"

func (c *conn) saslHandshake(req *kmsg.SASLHandshakeRequest) kmsg.Response {
	r := kmsg.NewSASLHandshakeResponse()
	r.SupportedMechanisms = []string{mechanismPlain}
	switch {
	case c.trusted():
		r.ErrorCode = codeIllegalSASLState
	case req.Mechanism != mechanismPlain:
		r.ErrorCode = codeSASLMechanism
	default:
		c.mechanism = true
	}
	return &r
}

// saslAuthenticate reads "authorization id NUL name NUL password" (RFC 4616).
func (c *conn) saslAuthenticate(req *kmsg.SASLAuthenticateRequest) kmsg.Response {
	r := kmsg.NewSASLAuthenticateResponse()
	fail := func(code int16, message string) kmsg.Response {
		r.ErrorCode, r.ErrorMessage = code, &message
		return &r
	}
	if !c.mechanism || c.trusted() {
		return fail(codeIllegalSASLState, "SaslHandshake comes first, and only once")
	}
	parts := bytes.Split(req.SASLAuthBytes, []byte{0})
	if len(parts) != 3 {
		return fail(codeSASLFailed, "the PLAIN message is malformed")
	}
	name := string(parts[1])
	password, known := c.d.cfg.Users[name]
	// Hashed, so that neither the length nor a missing name shows in the time it takes.
	want, got := sha256.Sum256([]byte(password)), sha256.Sum256(parts[2])
	if subtle.ConstantTimeCompare(want[:], got[:]) != 1 || !known || len(parts[0]) > 0 && string(parts[0]) != name {
		select { // guessing is slow
		case <-time.After(500 * time.Millisecond):
		case <-c.d.ctx.Done():
		}
		return fail(codeSASLFailed, "the name or the password is wrong")
	}
	c.user = name
	return &r
}
