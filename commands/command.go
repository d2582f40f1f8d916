package commands

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
)

// Command asks for a change of one stream of the ledger.
type Command interface {
	// CommandType is the wire name, such as "model.register_version". Ids of commits derive from it, so
	// it never changes.
	CommandType() string
	// Stream is the stream the command is for, such as "model/NAME".
	Stream() string
	// Validate reports every fault of the request at once.
	Validate() error
}

// Fact is something that has happened outside, to be published to a feed.
type Fact interface {
	// FactType is the wire name; ids of facts derive from it.
	FactType() string
	// Topic is the feed's topic.
	Topic() string
	// Key decides the partition: facts of one key stay in order.
	Key() string
	// Subject is who or what it is about, such as "user/7".
	Subject() string
	// Time is the fact's own timestamp as given; "" leaves it to the publisher's clock.
	Time() string
	// Event is the payload, its timestamp being the given one (ISO 8601). It shares nothing that the
	// publisher changes.
	Event(timestamp string) events.Data
	// Validate reports every fault of the request at once.
	Validate() error
}

// Limits of requests. Those of runs are MLflow's own, so that its clients meet nothing new.
const (
	IDBytesMax       = events.IDBytesMax // an id is part of stream names and of keys of views
	NameBytesMax     = 256               // MLflow's longest model name
	TextBytesMax     = 8192              // descriptions, notes, reasons, overviews
	TraceBytesMax    = 64 << 10          // errors with their causes
	DocumentBytesMax = 1 << 20           // a definitions file
	KeyBytesMax      = 250               // keys of metrics, params and tags
	ParamBytesMax    = 4 * 6000          // of as many letters, of the widest
	TagBytesMax      = 4 * 8000          // likewise
	ModelTagBytesMax = 4 * 100_000       // of registered models and their versions: the text of a prompt is one
	BatchMax         = 1000              // metrics in one command
	PairsMax         = 100               // params or tags in one command
)

// faults collects what is wrong with a request.
type faults struct{ errs []error }

func (f *faults) add(field, format string, args ...any) {
	f.errs = append(f.errs, fault.Field(field, format, args...))
}

func (f *faults) err() error { return errors.Join(f.errs...) }

// id wants a non-empty id that can be part of a stream's name.
func (f *faults) id(field, v string) {
	f.required(field, v, IDBytesMax)
	if strings.ContainsRune(v, '/') {
		f.add(field, "must not hold a slash")
	}
	f.addressable(field, v)
}

// reachable wants what a URL's path can name at all.
func (f *faults) reachable(field, v string) {
	if v == "." || v == ".." {
		f.add(field, "must not be %q: no address could name it", v)
	}
}

// addressable wants what can stand in a URL's path as it is, and be told from others by looking at it.
func (f *faults) addressable(field, v string) {
	f.reachable(field, v)
	switch {
	case v != strings.TrimFunc(v, unicode.IsSpace):
		f.add(field, "must not begin or end with a blank")
	case strings.ContainsFunc(v, turnsText):
		f.add(field, "must not hold a character that turns the direction of text")
	}
}

// turnsText says whether a character changes the order in which others are shown (UAX #9).
func turnsText(r rune) bool { return r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 }

// required wants a non-empty line of text.
func (f *faults) required(field, v string, bytesMax int) {
	if v == "" {
		f.add(field, "must not be empty")
		return
	}
	f.line(field, v, bytesMax)
}

// line wants at most bytesMax bytes of UTF-8 without control characters.
func (f *faults) line(field, v string, bytesMax int) {
	f.text(field, v, bytesMax)
	if i := strings.IndexFunc(v, unicode.IsControl); i >= 0 {
		r, _ := utf8.DecodeRuneInString(v[i:])
		f.add(field, "must not hold the control character %U", r)
	}
}

// text wants at most bytesMax bytes of UTF-8; empty is fine.
func (f *faults) text(field, v string, bytesMax int) {
	if len(v) > bytesMax {
		f.add(field, "has %d bytes; the most is %d", len(v), bytesMax)
	}
	if !utf8.ValidString(v) {
		f.add(field, "must be valid UTF-8")
	}
}

// trace wants some account of an error. It may hold anything an error can say, bytes that are not
// UTF-8 too: a failure is not left unrecorded for its wording.
func (f *faults) trace(field, v string) {
	if v == "" {
		f.add(field, "must not be empty")
	}
	if len(v) > TraceBytesMax {
		f.add(field, "has %d bytes; the most is %d: cut it", len(v), TraceBytesMax)
	}
}

// sha256 wants 64 lower-case hex digits.
func (f *faults) sha256(field, v string) { f.hex(field, v, 64, "a SHA-256") }

func (f *faults) hex(field, v string, digits int, what string) {
	ok := len(v) == digits
	for i := 0; ok && i < len(v); i++ {
		ok = v[i] >= '0' && v[i] <= '9' || v[i] >= 'a' && v[i] <= 'f'
	}
	if !ok {
		f.add(field, "must be %s: %d lower-case hex digits", what, digits)
	}
}

func (f *faults) atLeast(field string, v, least int64) {
	if v < least {
		f.add(field, "is %d; the least is %d", v, least)
	}
}

func (f *faults) finite(field string, v float64) {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		f.add(field, "is %v; want a finite number", v)
	}
}

func (f *faults) nonNegative(field string, v float64) {
	if f.finite(field, v); v < 0 {
		f.add(field, "is %v; the least is 0", v)
	}
}

// pairs wants at most pairsMax entries with keys as MLflow takes them and values of bytesMax bytes.
func (f *faults) pairs(field string, m map[string]string, pairsMax, bytesMax int) {
	if len(m) > pairsMax {
		f.add(field, "has %d entries; the most is %d", len(m), pairsMax)
		return
	}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		f.key(field, k)
		f.text(keyField(field, k), m[k], bytesMax)
	}
}

// somePairs wants pairs, and at least one.
func (f *faults) somePairs(field string, m map[string]string, pairsMax, bytesMax int) {
	if len(m) == 0 {
		f.add(field, "must not be empty")
	}
	f.pairs(field, m, pairsMax, bytesMax)
}

// key wants a key of a metric, param or tag.
func (f *faults) key(field, k string) {
	if k == "" {
		f.add(field, "has an entry with an empty key")
		return
	}
	f.line(keyField(field, k), k, KeyBytesMax)
}

func keyField(field, k string) string {
	if k == "" || !utf8.ValidString(k) || len(k) > KeyBytesMax {
		return field
	}
	return fmt.Sprintf("%s.%s", field, k)
}

// timestamp wants an ISO 8601 time of [1970, 2100), or nothing.
func (f *faults) timestamp(field, v string) {
	if v == "" {
		return
	}
	if millis, err := events.TimeMillis(v); err != nil {
		f.add(field, "%v", err)
	} else if millis < events.TimeMillisMin || millis >= events.TimeMillisEnd {
		f.add(field, "%s is outside 1970 to 2100", v)
	}
}

func (f *faults) oneOf(field, v string, allowed ...string) {
	for _, a := range allowed {
		if v == a {
			return
		}
	}
	f.add(field, "is %q; want one of %s", v, strings.Join(allowed, ", "))
}
