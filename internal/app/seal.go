package app

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/internal/secret"
)

const (
	// SealVariable names the key that seals the secrets of webhooks and signs tokens of users, any text. Nodes of one log need the same. Without it the data folder
	// has a key of its own, in sealFile.
	SealVariable = "PROJECTIONIST_SEAL_KEY"
	sealFile     = "seal.key"
	sealPrefix   = "v1:"
)

// seals seals secrets, so that the log may hold them: AES-256-GCM, bound to what the secret is of.
type seals struct {
	dir     string
	secrets *secret.Store

	mu  sync.Mutex
	key []byte // nil until it is needed
}

// load reads the key, or makes one.
func (s *seals) load() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.key != nil {
		return s.key, nil
	}
	text, err := s.secrets.Setting(SealVariable)
	if err != nil {
		return nil, err
	}
	if text == "" {
		if text, err = s.file(); err != nil {
			return nil, err
		}
	}
	sum := sha256.Sum256([]byte(text))
	s.key = sum[:]
	return s.key, nil
}

// file is the key of the data folder, made if there is none: whole, or not at all.
func (s *seals) file() (string, error) {
	path := filepath.Join(s.dir, sealFile)
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		fresh := make([]byte, 32)
		rand.Read(fresh) // never fails
		b = []byte(hex.EncodeToString(fresh) + "\n")
		err = writeFile(path, b)
	}
	if err == nil && len(b) != 65 {
		err = fault.New(fault.Corrupt, "%s holds no key", path).WithHint("put it back from a backup, or remove it and give webhooks their secrets again")
	}
	return strings.TrimSpace(string(b)), err
}

// Key is a key for one purpose, which tells nothing of the one that seals.
func (s *seals) Key(purpose string) ([]byte, error) {
	key, err := s.load()
	if err != nil {
		return nil, err
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("key for " + purpose))
	return mac.Sum(nil), nil
}

// Seal makes of a secret what the log may hold. The same secret of the same thing is sealed the same.
func (s *seals) Seal(of, secret string) (string, error) {
	key, gcm, err := s.cipher()
	if err != nil {
		return "", err
	}
	mac := hmac.New(sha256.New, key) // so no nonce is of two secrets
	mac.Write([]byte(of + "\x00" + secret))
	nonce := mac.Sum(nil)[:gcm.NonceSize()]
	return sealPrefix + base64.StdEncoding.EncodeToString(gcm.Seal(nonce, nonce, []byte(secret), []byte(of))), nil
}

// Unseal gives the secret back, to who has the key.
func (s *seals) Unseal(of, sealed string) (string, error) {
	_, gcm, err := s.cipher()
	if err != nil {
		return "", err
	}
	text, ok := strings.CutPrefix(sealed, sealPrefix)
	b, err := base64.StdEncoding.DecodeString(text)
	if ok && err == nil && len(b) > gcm.NonceSize() {
		if secret, err := gcm.Open(nil, b[:gcm.NonceSize()], b[gcm.NonceSize():], []byte(of)); err == nil {
			return string(secret), nil
		}
	}
	return "", fault.New(fault.Unavailable, "the secret was sealed with another key").
		WithHint("start with the key in $%s, or the file %s of the data folder it was set on; or set the secret again", SealVariable, sealFile)
}

func (s *seals) cipher() (key []byte, gcm cipher.AEAD, err error) {
	if key, err = s.load(); err != nil {
		return nil, nil, err
	}
	block, err := aes.NewCipher(key)
	if err == nil {
		gcm, err = cipher.NewGCM(block)
	}
	return key, gcm, err
}
