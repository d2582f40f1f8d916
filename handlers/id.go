package handlers

import (
	"strconv"

	"github.com/google/uuid"
)

// namespace is this program's own, drawn once: ids derived from it meet no one else's (RFC 9562, 5.5).
var namespace = uuid.UUID{0x5d, 0x0e, 0x2f, 0x6b, 0x91, 0x34, 0x4c, 0x58, 0xa7, 0x1c, 0x3e, 0xd2, 0x88, 0x40, 0xb9, 0x67}

// nameID is the UUID (version 5) of the parts: the same parts give the same id, for ever. Each part is
// preceded by its length, so that no two lists of parts run into one.
func nameID(parts ...string) string {
	var name []byte
	for _, part := range parts {
		name = append(append(strconv.AppendInt(name, int64(len(part)), 10), ':'), part...)
	}
	return uuid.NewSHA1(namespace, name).String()
}
