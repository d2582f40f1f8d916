package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// waitMax bounds how long a query waits for a view. Views fold within milliseconds: one that has not
// caught up by then is rebuilding or halted, and the client should know.
const waitMax = 5 * time.Second

// query reads a request's parameters and collects what is wrong with them.
type query struct {
	values url.Values
	errs   []error
}

// queryOf refuses parameters that are not known here: a misspelt one would silently change the answer.
// after= is known everywhere.
func queryOf(r *http.Request, known ...string) *query {
	q := &query{}
	var err error
	if q.values, err = url.ParseQuery(r.URL.RawQuery); err != nil {
		q.fault("", "the query cannot be read: %v", err)
	}
	for _, name := range sortedKeys(q.values) {
		switch {
		case name != "after" && !slices.Contains(known, name):
			f := fault.Field(short(name), "is not a parameter of this request")
			if len(known) > 0 {
				f.WithHint("it takes %s", strings.Join(known, ", "))
			}
			q.errs = append(q.errs, f)
		case len(q.values[name]) > 1:
			q.fault(name, "is given %d times", len(q.values[name]))
		}
	}
	return q
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func (q *query) fault(field, format string, args ...any) {
	q.errs = append(q.errs, fault.Field(field, format, args...))
}

func (q *query) err() error {
	if len(q.errs) == 1 {
		return q.errs[0]
	}
	return errors.Join(q.errs...)
}

func (q *query) str(name string) string { return q.values.Get(name) }

// number reads a whole number of [min, max], or what it is when absent.
func (q *query) number(name string, absent, min, max int64) int64 {
	v := q.str(name)
	if v == "" {
		return absent
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < min || n > max {
		q.fault(name, "is %q; want a whole number of %d to %d", short(v), min, max)
		return absent
	}
	return n
}

func (q *query) flag(name string) bool {
	v := q.str(name)
	if v == "" {
		return false
	}
	b, err := strconv.ParseBool(v)
	if err != nil {
		q.fault(name, "is %q; want true or false", short(v))
	}
	return b
}

// list reads names separated by commas.
func (q *query) list(name string) []string {
	if v := q.str(name); v != "" {
		return strings.Split(v, ",")
	}
	return nil
}

// millis reads a time; 0 when absent.
func (q *query) millis(name string) int64 {
	v := q.str(name)
	if v == "" {
		return 0
	}
	ms, err := parseTime(v)
	if err != nil {
		q.fault(name, "%v", err)
	}
	return ms
}

func (q *query) page() fold.PageQuery {
	return fold.PageQuery{Cursor: q.str("cursor"), Limit: int(q.number("limit", 0, 1, fold.PageLimitMax))}
}

// id is an id that a client may give as a string or as a non-negative whole number.
type id string

func (v *id) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, (*string)(v))
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return &json.UnmarshalTypeError{Value: short(string(b)), Type: reflect.TypeFor[id]()} // gets its field from the decoder
		}
	}
	*v = id(b)
	return nil
}

// scalar is a setting that a client may give as a string, a number, true or false; it is kept as text.
type scalar string

func (v *scalar) UnmarshalJSON(b []byte) error {
	switch b[0] {
	case '"':
		return json.Unmarshal(b, (*string)(v))
	case '{', '[', 'n':
		return &json.UnmarshalTypeError{Value: "nested value or null", Type: reflect.TypeFor[scalar]()}
	}
	*v = scalar(b)
	return nil
}

// checkID says what is wrong with the id of a person or film.
func checkID(field, v string) error {
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

func userOf(r *http.Request) (string, error) {
	v := r.PathValue("user")
	return events.CanonicalUser(v), checkID("user", v)
}

func movieOf(r *http.Request) (string, error) {
	v := r.PathValue("movie")
	return events.CanonicalMovie(v), checkID("movie", v)
}

// awaitQuery waits for what after= names.
func (s *Server) awaitQuery(r *http.Request, views []string) error {
	if !strings.Contains(r.URL.RawQuery, "after=") {
		return nil
	}
	return s.await(r.Context(), r.URL.Query().Get("after"), views...)
}

// await waits until the views have folded the records at the positions, separated by commas; "" is none.
func (s *Server) await(ctx context.Context, after string, views ...string) error {
	if after == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, waitMax)
	defer cancel()
	for _, text := range strings.Split(after, ",") {
		p, err := streams.ParsePosition(text)
		if err == nil && !known(p.TP) {
			err = fmt.Errorf("the log has no partition %s", p.TP)
		}
		if err != nil {
			return fault.Field("after", "%v", err)
		}
		if err := s.Views.Wait(ctx, p, views...); err != nil {
			return err
		}
	}
	return nil
}

// known says whether the log has the partition.
func known(tp streams.TP) bool {
	return slices.Contains(streams.PartitionsOf(tp.Topic), tp)
}

// found answers with what a view was asked for, or says that there is no such thing.
func found[T any](w http.ResponseWriter, v T, ok bool, err error, format string, args ...any) error {
	switch {
	case err != nil:
		return err
	case !ok:
		return fault.New(fault.NotFound, format, args...)
	}
	return writeJSON(w, http.StatusOK, v)
}

func paged[T any](w http.ResponseWriter, p fold.Page[T], err error) error {
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, p)
}
