package kafka

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"hash"
	"strconv"
	"strings"

	"github.com/projectionist/projectionist/internal/fault"
)

// mechanisms are what SASL.Mechanism may be, with the hash of those that are SCRAM.
var mechanisms = map[string]func() hash.Hash{
	"PLAIN":         nil,
	"SCRAM-SHA-256": sha256.New,
	"SCRAM-SHA-512": sha512.New,
}

const (
	// A server may ask for any work and so hold the client up; Kafka's own maximum is 16384.
	scramIterationsMax = 1 << 20
	scramIterationsMin = 4096 // RFC 7677, 4; Kafka's own minimum
)

// scram is the client's side of RFC 5802 without channel binding. Names and passwords are taken as they
// are: SASLprep would change only those with characters outside ASCII.
type scram struct {
	hash     func() hash.Hash
	nonce    string // chosen anew for each conversation unless a test gives one
	user     string
	password string
	step     int
	first    string // client-first-message-bare
	server   []byte // the signature the server has to give
}

// Begin prepares a conversation.
func (s *scram) Begin(user, password, authzID string) error {
	if authzID != "" {
		return fault.Field("sasl", "SCRAM on behalf of %q: authorization ids are not supported", authzID)
	}
	if s.nonce == "" {
		b := make([]byte, 24)
		if _, err := rand.Read(b); err != nil {
			return err
		}
		s.nonce = base64.RawURLEncoding.EncodeToString(b)
	}
	s.user, s.password = strings.NewReplacer("=", "=3D", ",", "=2C").Replace(user), password
	s.step = 0
	return nil
}

// Done says whether the server has proved itself.
func (s *scram) Done() bool { return s.step == 3 }

// Step answers the server's message.
func (s *scram) Step(challenge string) (string, error) {
	s.step++
	switch s.step {
	case 1:
		s.first = "n=" + s.user + ",r=" + s.nonce
		return "n,," + s.first, nil
	case 2:
		return s.prove(challenge)
	case 3:
		return "", s.verify(challenge)
	}
	return "", fault.New(fault.Forbidden, "SCRAM: the server goes on after the end")
}

func (s *scram) prove(challenge string) (string, error) {
	attrs := scramAttributes(challenge)
	nonce := attrs['r']
	salt, err := base64.StdEncoding.DecodeString(attrs['s'])
	n, nerr := strconv.Atoi(attrs['i'])
	switch {
	case attrs['e'] != "":
		return "", fault.New(fault.Forbidden, "SCRAM: the server refuses: %s", attrs['e'])
	case !strings.HasPrefix(nonce, s.nonce) || len(nonce) == len(s.nonce):
		return "", fault.New(fault.Forbidden, "SCRAM: the server's nonce does not continue ours")
	case err != nil || len(salt) == 0:
		return "", fault.New(fault.Forbidden, "SCRAM: the server's salt is no base64")
	case nerr != nil || n < scramIterationsMin || n > scramIterationsMax:
		return "", fault.New(fault.Forbidden, "SCRAM: the server wants %q iterations; %d to %d are allowed", attrs['i'], scramIterationsMin, scramIterationsMax)
	}
	salted, err := pbkdf2.Key(s.hash, s.password, salt, n, s.hash().Size())
	if err != nil {
		return "", fmt.Errorf("SCRAM: %w", err)
	}
	final := "c=biws,r=" + nonce
	message := s.first + "," + challenge + "," + final
	key := s.mac(salted, "Client Key")
	h := s.hash()
	h.Write(key)
	signature := s.mac(h.Sum(nil), message)
	for i := range key {
		key[i] ^= signature[i]
	}
	s.server = s.mac(s.mac(salted, "Server Key"), message)
	return final + ",p=" + base64.StdEncoding.EncodeToString(key), nil
}

func (s *scram) verify(challenge string) error {
	attrs := scramAttributes(challenge)
	if attrs['e'] != "" {
		return fault.New(fault.Forbidden, "SCRAM: the server refuses: %s", attrs['e'])
	}
	got, err := base64.StdEncoding.DecodeString(attrs['v'])
	if err != nil || !hmac.Equal(got, s.server) {
		return fault.New(fault.Forbidden, "SCRAM: the server does not know the password: it is another one than it says")
	}
	return nil
}

func (s *scram) mac(key []byte, message string) []byte {
	m := hmac.New(s.hash, key)
	m.Write([]byte(message))
	return m.Sum(nil)
}

func scramAttributes(message string) map[byte]string {
	attrs := map[byte]string{}
	for _, part := range strings.Split(message, ",") {
		if len(part) >= 2 && part[1] == '=' {
			attrs[part[0]] = part[2:]
		}
	}
	return attrs
}
