package door

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
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
		c.mechanism, c.bare = true, req.Version == 0
	}
	return &r
}

// bareAuthenticate reads the PLAIN message of a client whose handshake was of version 0: a length and the
// message, without a request around it, answered by a length of 0. librdkafka takes a broker that does not
// advertise that version for one without SASL, though it uses the next.
func (c *conn) bareAuthenticate() error {
	var head [4]byte
	if _, err := io.ReadFull(c.br, head[:]); err != nil {
		return unexpected(err)
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > strangerFrameBytesMax {
		return fmt.Errorf("a PLAIN message of %d bytes; at most %d are allowed", n, strangerFrameBytesMax)
	}
	req := kmsg.NewPtrSASLAuthenticateRequest()
	req.SASLAuthBytes = make([]byte, n)
	if _, err := io.ReadFull(c.br, req.SASLAuthBytes); err != nil {
		return unexpected(err)
	}
	if !c.idle.end() {
		return errDone
	}
	c.bare = false
	if r := c.saslAuthenticate(req).(*kmsg.SASLAuthenticateResponse); r.ErrorCode != codeNone {
		return errSASL // there is no other answer
	}
	c.nc.SetDeadline(time.Time{})
	_, err := c.write([]byte{0, 0, 0, 0})
	return err
}

var errSASL = errors.New("SASL authentication failed")

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
