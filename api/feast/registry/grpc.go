package registry

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/internal/fault"
)

// Status codes of gRPC.
const (
	codeInvalid         = 3
	codeNotFound        = 5
	codePermission      = 7
	codeExhausted       = 8
	codeRefused         = 9 // failed precondition
	codeUnimplemented   = 12
	codeInternal        = 13
	codeUnavailable     = 14
	codeUnauthenticated = 16
)

// failure is an error as Feast's client raises it again: of a class of feast.errors.
type failure struct {
	code    int
	class   string
	message string
}

func (f *failure) Error() string { return f.message }

func refuse(code int, class, format string, args ...any) error {
	return &failure{code, class, fmt.Sprintf(format, args...)}
}

// failureOf is any error as one of these.
func failureOf(err error) *failure {
	var f *failure
	if errors.As(err, &f) {
		return f
	}
	var texts []string
	for _, part := range api.Flatten(err) {
		text := api.FieldProblemOf(part)
		line := strings.TrimPrefix(text.Field+": "+text.Message, ": ")
		if text.Hint != "" {
			line += "; " + text.Hint
		}
		texts = append(texts, line)
	}
	code := map[fault.Code]int{fault.Invalid: codeInvalid, fault.NotFound: codeNotFound, fault.Conflict: codeRefused, fault.TooLarge: codeExhausted,
		fault.Forbidden: codePermission, fault.Unavailable: codeUnavailable, fault.Unknown: codeUnavailable}[fault.CodeOf(api.Flatten(err)[0])]
	if code == 0 {
		code = codeInternal
	}
	return &failure{code, "FeastError", strings.Join(texts, "\n")}
}

// details is the document that Feast's client makes its error of.
func (f *failure) details() string {
	text := f.message
	if len(text) > messageBytesMax {
		text = strings.ToValidUTF8(text[:messageBytesMax], "") + "…"
	}
	b, err := json.Marshal(struct {
		Module  string `json:"module"`
		Class   string `json:"class"`
		Message string `json:"message"`
	}{"feast.errors", f.class, text})
	if err != nil {
		panic(err) // texts only
	}
	return string(b)
}

const grpcType = "application/grpc"

// isCall says whether a request speaks gRPC.
func isCall(r *http.Request) bool { return strings.HasPrefix(r.Header.Get("Content-Type"), grpcType) }

// readCall reads the one message of a call.
func readCall(w http.ResponseWriter, r *http.Request) (message, error) {
	if !isCall(r) {
		return nil, fault.Field("Content-Type", "is %q; want %s", api.Short(r.Header.Get("Content-Type")), grpcType)
	}
	body, err := api.ReadBody(w, r, callBytesMax)
	if err != nil {
		return nil, err
	}
	switch {
	case len(body) < frameHead:
		return nil, refuse(codeInvalid, "FeastError", "the call has no message")
	case body[0] != 0:
		return nil, refuse(codeUnimplemented, "FeastError", "the message is compressed; send it as it is")
	case int64(binary.BigEndian.Uint32(body[1:])) != int64(len(body)-frameHead):
		return nil, refuse(codeInvalid, "FeastError", "the call is not one whole message")
	}
	m := message(body[frameHead:])
	return m, m.check()
}

// frameHead is what stands before a message: whether it is compressed, and its length.
const frameHead = 5

// answer writes the message of an answer and its status.
func answer(w http.ResponseWriter, m message) {
	head := make([]byte, frameHead, frameHead+len(m))
	binary.BigEndian.PutUint32(head[1:], uint32(len(m)))
	begin(w)
	w.Write(append(head, m...)) //nolint:errcheck // the client is gone
	end(w, 0, "")
}

func begin(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", grpcType)
	h.Set("Trailer", "Grpc-Status, Grpc-Message")
	w.WriteHeader(http.StatusOK)
}

func end(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Grpc-Status", fmt.Sprint(code))
	if text != "" {
		w.Header().Set("Grpc-Message", percent(text))
	}
}

// fail writes the status of a call that has no answer.
func fail(w http.ResponseWriter, err error) {
	f := failureOf(err)
	begin(w)
	http.NewResponseController(w).Flush() //nolint:errcheck // the client is gone
	end(w, f.code, f.details())
}

// percent spells a text as a status has it: what is not printable ASCII, and %, by its bytes.
func percent(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '%' {
			fmt.Fprintf(&b, "%%%02X", c)
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
