package api

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

// MetaOf reads what a request says beside its command: Idempotency-Key, If-Match (a revision as in
// ETag), If-None-Match: * (it must not exist yet) and X-Actor (who wants it; without it the user whose credentials it has).
func MetaOf(r *http.Request) (handlers.Meta, error) {
	m := handlers.Meta{Actor: "api", Correlation: RequestID(r), IdempotencyKey: r.Header.Get("Idempotency-Key")}
	if user := requestOf(r).user; plain(user, actorBytesMax) {
		m.Actor = user
	}
	if actor := r.Header.Get("X-Actor"); actor != "" {
		if !plain(actor, actorBytesMax) {
			return m, fault.Field("X-Actor", "must be 1 to %d printable ASCII characters", actorBytesMax)
		}
		m.Actor = actor
	}
	if v := r.Header.Get("If-None-Match"); v != "" {
		if v != "*" {
			return m, fault.Field("If-None-Match", "is %q; only * is taken: the thing must not exist yet", Short(v))
		}
		none := streams.NoStream
		m.IfMatch = &none
	}
	if v := r.Header.Get("If-Match"); v != "" {
		n, err := strconv.ParseInt(strings.Trim(strings.TrimPrefix(v, "W/"), `"`), 10, 64)
		if err != nil || n < 0 || m.IfMatch != nil {
			return m, fault.Field("If-Match", "is %q; want one revision, such as \"3\", as the ETag of a read has it", Short(v))
		}
		revision := streams.Revision(n)
		m.IfMatch = &revision
	}
	return m, nil
}

// Keyed is an id for what a request makes: derived from its idempotency key, so that a repeat makes the
// same, or else random.
func Keyed(m handlers.Meta, kind string) string {
	if m.IdempotencyKey == "" {
		return strings.ReplaceAll(uuid.NewString(), "-", "")
	}
	sum := sha256.Sum256([]byte(kind + "\x00" + m.IdempotencyKey))
	return hex.EncodeToString(sum[:16])
}

// SetETag says which revision was answered, for a later If-Match.
func SetETag(w http.ResponseWriter, revision streams.Revision) {
	if revision >= 0 {
		w.Header().Set("ETag", fmt.Sprintf(`"%d"`, revision))
	}
}
