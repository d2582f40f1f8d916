package api

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections/fold"
)

// Query reads a request's parameters and collects what is wrong with them.
type Query struct {
	values url.Values
	errs   []error
}

// QueryOf refuses parameters that are not known here: a misspelt one would silently change the answer.
// after= is known everywhere. One whose name stands here with * behind it may be given several times.
func QueryOf(r *http.Request, known ...string) *Query {
	q := &Query{}
	var err error
	if q.values, err = url.ParseQuery(r.URL.RawQuery); err != nil {
		q.Fault("", "the query cannot be read: %v", err)
	}
	for _, name := range slices.Sorted(maps.Keys(q.values)) {
		switch {
		case slices.Contains(known, name+"*"):
		case name == KnownAtParam && !slices.Contains(known, name):
			q.errs = append(q.errs, notThen())
		case name != "after" && !slices.Contains(known, name):
			f := fault.Field(Short(name), "is not a parameter of this request")
			if len(known) > 0 {
				f.WithHint("it takes %s", strings.ReplaceAll(strings.Join(known, ", "), "*", ""))
			}
			q.errs = append(q.errs, f)
		case len(q.values[name]) > 1:
			q.Fault(name, "is given %d times", len(q.values[name]))
		}
	}
	return q
}

// Fault notes what is wrong with a parameter.
func (q *Query) Fault(field, format string, args ...any) {
	q.errs = append(q.errs, fault.Field(field, format, args...))
}

// Add notes a fault; nil is none.
func (q *Query) Add(err error) {
	if err != nil {
		q.errs = append(q.errs, err)
	}
}

// Faults is how many faults were noted.
func (q *Query) Faults() int { return len(q.errs) }

// Err is all that was noted, nil for nothing.
func (q *Query) Err() error {
	if len(q.errs) == 1 {
		return q.errs[0]
	}
	return errors.Join(q.errs...)
}

// Str is a parameter as it came, "" when absent.
func (q *Query) Str(name string) string { return q.values.Get(name) }

// All are the values of a parameter that may be given several times, nil when absent.
func (q *Query) All(name string) []string { return q.values[name] }

// Number reads a whole number of [min, max], or what it is when absent.
func (q *Query) Number(name string, absent, min, max int64) int64 {
	v := q.Str(name)
	if v == "" {
		return absent
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < min || n > max {
		q.Fault(name, "is %q; want a whole number of %d to %d", Short(v), min, max)
		return absent
	}
	return n
}

// Flag reads true or false; absent is false.
func (q *Query) Flag(name string) bool {
	v := q.Str(name)
	if v == "" {
		return false
	}
	b, err := strconv.ParseBool(v)
	if err != nil {
		q.Fault(name, "is %q; want true or false", Short(v))
	}
	return b
}

// List reads names as [SplitNames] does.
func (q *Query) List(name string) []string { return q.split(name, q.Str(name)) }

// Names are the values of a parameter that may be given several times, each of which may be several names: see [SplitNames].
func (q *Query) Names(name string) (list []string) {
	for _, v := range q.values[name] {
		list = append(list, q.split(name, v)...)
	}
	return list
}

func (q *Query) split(name, text string) []string {
	list, err := SplitNames(text)
	if err != nil {
		q.Fault(name, "%v", err)
	}
	return list
}

// SplitNames gives the names of a list, which has commas between them; none of an empty text. As in CSV (RFC 4180), a name that holds a comma
// or begins with a double quote stands in double quotes, and each of its own is doubled: JoinNames writes it so. Error: a quoted name that does
// not end, or that something but a comma follows.
func SplitNames(text string) (list []string, err error) {
	for rest := text; rest != "" || list != nil; {
		var name string
		if !strings.HasPrefix(rest, `"`) {
			next, after, more := strings.Cut(rest, ",")
			if list = append(list, next); !more {
				return list, nil
			}
			rest = after
			continue
		}
		for rest = rest[1:]; ; {
			part, after, ends := strings.Cut(rest, `"`)
			if !ends {
				return nil, fmt.Errorf("has %s, which begins with a double quote and does not end with one", Short(text))
			}
			name, rest = name+part, after
			if !strings.HasPrefix(rest, `"`) {
				break
			}
			name, rest = name+`"`, rest[1:]
		}
		list = append(list, name)
		if rest == "" {
			return list, nil
		}
		if rest[0] != ',' {
			return nil, fmt.Errorf("has %s, where a comma has to follow on the double quote that ends a name", Short(text))
		}
		rest = rest[1:]
	}
	return list, nil
}

// JoinNames is what [SplitNames] gives the names of.
func JoinNames(names ...string) string {
	quoted := make([]string, len(names))
	for i, name := range names {
		if quoted[i] = name; name == "" && len(names) == 1 || strings.HasPrefix(name, `"`) || strings.Contains(name, ",") {
			quoted[i] = `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
		}
	}
	return strings.Join(quoted, ",")
}

// Share reads a number of 0 to 1, 0 when absent.
func (q *Query) Share(name string) float64 {
	v := q.Str(name)
	if v == "" {
		return 0
	}
	x, err := strconv.ParseFloat(v, 64)
	if err != nil || !(x >= 0 && x <= 1) {
		q.Fault(name, "is %q; want a number of 0 to 1", Short(v))
		return 0
	}
	return x
}

// Millis reads a time; 0 when absent.
func (q *Query) Millis(name string) int64 {
	v := q.Str(name)
	if v == "" {
		return 0
	}
	ms, err := ParseTime(v)
	if err != nil {
		q.Fault(name, "%v", err)
	}
	return ms
}

// Page reads limit= and cursor=.
func (q *Query) Page() fold.PageQuery {
	return fold.PageQuery{Cursor: q.Str("cursor"), Limit: int(q.Number("limit", PageLimitDefault, 1, fold.PageLimitMax))}
}

// CheckID says what is wrong with the id of a person or film.
func CheckID(field, v string) error {
	switch {
	case v == "":
		return fault.Field(field, "must not be empty")
	case len(v) > events.IDBytesMax:
		return fault.Field(field, "has %d bytes; the most is %d", len(v), events.IDBytesMax)
	case !utf8.ValidString(v) || strings.IndexFunc(v, unicode.IsControl) >= 0:
		return fault.Field(field, "must be UTF-8 without control characters")
	}
	return nil
}

// Found answers with what a view was asked for, or says that there is no such thing.
func Found[T any](w http.ResponseWriter, v T, ok bool, err error, format string, args ...any) error {
	switch {
	case err != nil:
		return err
	case !ok:
		return fault.New(fault.NotFound, format, args...)
	}
	return WriteJSON(w, http.StatusOK, v)
}

// Paged answers with a piece of a list.
func Paged[T any](w http.ResponseWriter, p fold.Page[T], err error) error {
	if err != nil {
		return err
	}
	return WriteJSON(w, http.StatusOK, p)
}

// Short cuts what a client sent to what fits a message.
func Short(v string) string {
	if len(v) > 80 {
		v = strings.ToValidUTF8(v[:80], "") + "…"
	}
	return v
}
