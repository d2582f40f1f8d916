package handlers

import (
	"crypto/rand"
	"crypto/sha1"
	"encoding/hex"
	"io"
	"strconv"
)

// namespace is this program's own, drawn once: ids derived from it meet no one else's (RFC 9562, 5.5).
var namespace = [16]byte{0x5d, 0x0e, 0x2f, 0x6b, 0x91, 0x34, 0x4c, 0x58, 0xa7, 0x1c, 0x3e, 0xd2, 0x88, 0x40, 0xb9, 0x67}

// nameID is the UUID (version 5) of the parts: the same parts give the same id, for ever. Each part is
// preceded by its length, so that no two lists of parts run into one.
func nameID(parts ...string) string {
	h := sha1.New()
	h.Write(namespace[:])
	for _, part := range parts {
		io.WriteString(h, strconv.Itoa(len(part))+":"+part)
	}
	var u [16]byte
	copy(u[:], h.Sum(nil))
	return formatUUID(u, 5)
}

// RandomID is a random UUID (version 4).
func RandomID() string {
	var u [16]byte
	rand.Read(u[:]) // never fails: the program ends if the system has no randomness
	return formatUUID(u, 4)
}

func formatUUID(u [16]byte, version byte) string {
	u[6] = u[6]&0x0f | version<<4
	u[8] = u[8]&0x3f | 0x80
	var b [36]byte
	hex.Encode(b[:8], u[:4])
	hex.Encode(b[9:13], u[4:6])
	hex.Encode(b[14:18], u[6:8])
	hex.Encode(b[19:23], u[8:10])
	hex.Encode(b[24:], u[10:])
	b[8], b[13], b[18], b[23] = '-', '-', '-', '-'
	return string(b[:])
}
