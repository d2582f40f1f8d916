package mlflow

import (
	"bytes"
	"encoding/json"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
)

// request is what a client has sent: a message of MLflow's protocol, from the query of a GET or the JSON of a body.
// Fields that are not known are passed over, as there. It keeps the first fault.
type request struct {
	fields map[string]json.RawMessage
	query  url.Values // of a GET
	err    error
}

// read reads a request's message.
func read(w http.ResponseWriter, r *http.Request) (*request, error) {
	q := &request{}
	if r.Method == http.MethodGet {
		var err error
		if q.query, err = url.ParseQuery(r.URL.RawQuery); err != nil {
			return nil, invalid("the query cannot be read: %v", err)
		}
		return q, nil
	}
	body, err := api.ReadBody(w, r, bodyBytesMax)
	if err != nil {
		return nil, err
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); r.Method != http.MethodDelete && (err != nil || kind != "application/json") {
		return nil, invalid("Bad Request. Content-Type must be one of ['application/json'] (got %q).", api.Short(r.Header.Get("Content-Type")))
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return q, nil
	}
	if !utf8.Valid(body) || json.Unmarshal(body, &q.fields) != nil {
		return nil, &refusal{codeBad, "Malformed JSON data in request body; want an object.", http.StatusBadRequest}
	}
	return q, nil
}

// raw is a field as JSON; nil where it is not set.
func (q *request) raw(name string) json.RawMessage {
	if values := q.query[name]; len(values) > 0 {
		b, _ := json.Marshal(values[0]) //nolint:errcheck // of a string
		return b
	}
	if v := q.fields[name]; string(v) != "null" {
		return v
	}
	return nil
}

// has says whether a field is set.
func (q *request) has(name string) bool { return q.raw(name) != nil }

func (q *request) fault(err error) {
	if q.err == nil {
		q.err = err
	}
}

func (q *request) wrong(name string, raw json.RawMessage) {
	q.fault(invalid("Invalid value %s for parameter '%s' supplied.", api.Short(string(raw)), name))
}

// needs refuses a request without a field.
func (q *request) needs(name string) {
	if raw := q.raw(name); raw == nil || string(raw) == `""` {
		q.lacks(name)
	}
}

// text is a field that is text; "" where it is not set.
func (q *request) text(name string) (v string) {
	if raw := q.raw(name); raw != nil && json.Unmarshal(raw, &v) != nil {
		q.wrong(name, raw)
	}
	return v
}

// required is a field of text that must be there.
func (q *request) required(name string) string {
	q.needs(name)
	return q.text(name)
}

// whole is a field that is a whole number, as a number or in quotes; absent where it is not set.
func (q *request) whole(name string, absent int64) int64 {
	raw := q.raw(name)
	if raw == nil {
		return absent
	}
	n, err := strconv.ParseInt(strings.Trim(string(raw), `"`), 10, 64)
	if err != nil {
		q.wrong(name, raw)
	}
	return n
}

// flag is a field that is true or false; absent is false.
func (q *request) flag(name string) bool {
	raw := q.raw(name)
	if raw == nil {
		return false
	}
	v, err := strconv.ParseBool(strings.Trim(string(raw), `"`))
	if err != nil {
		q.wrong(name, raw)
	}
	return v
}

// texts is a field that is a list of texts.
func (q *request) texts(name string) (v []string) {
	if q.query != nil {
		return q.query[name]
	}
	if raw := q.raw(name); raw != nil && json.Unmarshal(raw, &v) != nil {
		q.wrong(name, raw)
	}
	return v
}

// pair is a tag or a param.
type pair struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// pairs is a field that is a list of tags or params, by key; of those of one key the last. A value that is longer than
// bytesMax is cut, as MLflow does.
func (q *request) pairs(name string, lettersMax int) (all map[string]string, n int) {
	var list []pair
	if raw := q.raw(name); raw != nil && json.Unmarshal(raw, &list) != nil {
		q.wrong(name, raw)
		return nil, 0
	}
	all = map[string]string{}
	for i, p := range list {
		q.key(name+"["+strconv.Itoa(i)+"].key", p.Key)
		all[p.Key] = cut(p.Value, lettersMax)
	}
	return all, len(list)
}

// metric is a value of a metric as clients send it.
type metric struct {
	Key       string   `json:"key"`
	Value     *float   `json:"value"`
	Timestamp *integer `json:"timestamp"`
	Step      integer  `json:"step"`

	ModelID string `json:"model_id"`
	Dataset string `json:"dataset_name"`
	Digest  string `json:"dataset_digest"`
}

// float is a number, or the name of one that JSON has not.
type float float64

func (v *float) UnmarshalJSON(b []byte) error {
	f, err := strconv.ParseFloat(strings.Trim(string(b), `"`), 64)
	*v = float(f)
	return err
}

// integer is a whole number, as a number or in quotes.
type integer int64

func (v *integer) UnmarshalJSON(b []byte) error {
	n, err := strconv.ParseInt(strings.Trim(string(b), `"`), 10, 64)
	*v = integer(n)
	return err
}

func (q *request) lacks(path string) {
	q.fault(invalid("Missing value for required parameter '%s'. See the API docs for more information about request parameters.", path))
}

// event is the metric as it is recorded. at is where it stands in the request, with a point behind, "" for the request itself.
func (q *request) event(at string, m metric) events.Metric {
	switch {
	case m.Key == "":
		q.lacks(at + "key")
		return events.Metric{}
	case m.Value == nil:
		q.lacks(at + "value")
		return events.Metric{}
	case m.Timestamp == nil:
		q.lacks(at + "timestamp")
		return events.Metric{}
	}
	q.key(at+"name", m.Key)
	return events.Metric{Key: m.Key, Value: events.Number(*m.Value), Step: int64(m.Step), TimestampMillis: int64(*m.Timestamp),
		ModelID: m.ModelID, DatasetName: m.Dataset, DatasetDigest: m.Digest}
}

// metrics is a field that is a list of metrics.
func (q *request) metrics(name string) []events.Metric {
	var list []metric
	if raw := q.raw(name); raw != nil && json.Unmarshal(raw, &list) != nil {
		q.wrong(name, raw)
		return nil
	}
	all := make([]events.Metric, 0, len(list))
	for i, m := range list {
		all = append(all, q.event(name+"["+strconv.Itoa(i)+"].", m))
	}
	return all
}

// key refuses what cannot be the key of a metric, param or tag: it may stand for a file's name. at is where it stands in
// the request, as MLflow calls it.
func (q *request) key(at, key string) {
	switch {
	case key == "":
		q.lacks(at)
	case strings.ContainsFunc(key, notInKeys):
		q.fault(invalid("Invalid value \"%s\" for parameter '%s' supplied: Names may only contain alphanumerics, underscores (_), dashes (-), periods (.), spaces ( ), colon(:) and slashes (/).", api.Short(key), at))
	case !ownPath(key):
		q.fault(invalid("Invalid value \"%s\" for parameter '%s' supplied: Names may be treated as files in certain cases, and must not resolve to other names when treated as such. This name would resolve to '%s'", api.Short(key), at, api.Short(resolved(key))))
	case len(key) > commands.KeyBytesMax:
		q.fault(invalid("'%s' exceeds the maximum length of %d characters", at, commands.KeyBytesMax))
	}
}

// Limits of values, in letters, as MLflow counts them. Longer ones of runs and logged models are cut, others refused.
const (
	paramLettersMax         = 6000
	tagLettersMax           = 8000
	experimentTagLettersMax = 5000
	modelTagLettersMax      = 100_000
)

// cut is the first letters of a text.
func cut(v string, lettersMax int) string {
	if len(v) <= lettersMax {
		return v
	}
	n := 0
	for at := range v {
		if n++; n > lettersMax {
			return v[:at]
		}
	}
	return v
}

// bounded is a field of text that has at most so many letters.
func (q *request) bounded(name string, lettersMax int) string {
	v := q.text(name)
	q.short(name, v, lettersMax)
	return v
}

func (q *request) short(name, v string, lettersMax int) {
	if len(v) > lettersMax && utf8.RuneCountInString(v) > lettersMax {
		q.fault(invalid("'%s' exceeds the maximum length of %d characters", name, lettersMax))
	}
}

// boundedTags is the field "tags" of what refuses values that are too long.
func (q *request) boundedTags(lettersMax int) map[string]string {
	tags, _ := q.pairs("tags", lettersMax+1)
	for _, v := range tags {
		q.short("value", v, lettersMax)
	}
	return tags
}

// by says who wants a change: X-Actor, or who has sent credentials, or else the client that this API is for.
func by(r *http.Request, at int64) (handlers.Meta, error) {
	m, err := api.MetaOf(r)
	if err != nil {
		return m, err
	}
	if r.Header.Get("X-Actor") == "" {
		m.Actor = "mlflow"
		if user, _, ok := r.BasicAuth(); ok {
			m.Actor = user
		}
	}
	if at != 0 {
		if at < events.TimeMillisMin || at >= events.TimeMillisEnd {
			return m, invalid("Invalid value %d: want Unix milliseconds from 1970 to 2100", at)
		}
		m.Time = time.UnixMilli(at)
	}
	return m, nil
}
