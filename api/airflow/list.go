package airflow

import (
	"encoding/json"
	"errors"
	"maps"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
)

// asked reads limit and offset as Airflow does: what is over the most is the most, and 0 is what is usual.
func asked(q *api.Query) projections.Page {
	return bounded(q.Number("limit", limitDefault, 0, math.MaxInt32), q.Number("offset", 0, 0, offsetMax))
}

func bounded(limit, offset int64) projections.Page {
	if limit == 0 {
		limit = limitDefault
	}
	return projections.Page{Offset: offset, Limit: min(limit, limitMax)}
}

// order reads order_by: by what, and whether backwards. orders gives what is allowed the names that it has here.
func order(q *api.Query, orders map[string]string) (by string, back bool) {
	return orderOf(q.Str("order_by"), orders, q.Add)
}

func orderOf(text string, orders map[string]string, add func(error)) (by string, back bool) {
	name := strings.TrimLeft(text, "-")
	by, ok := orders[name]
	if !ok && text != "" {
		add(fault.New(fault.Invalid, "Ordering with '%s' is disallowed or the attribute does not exist on the model", api.Short(name)).
			WithHint("it takes %s", strings.Join(slices.Sorted(maps.Keys(orders)), ", ")))
	}
	return by, strings.HasPrefix(text, "-")
}

// several are the values of a parameter that may be given several times, and with commas between them; nil when absent.
func several(q *api.Query, name string) (all []string) {
	for _, v := range q.All(name) {
		all = append(all, strings.Split(v, ",")...)
	}
	return all
}

func span(q *api.Query, name string) projections.Between {
	return projections.Between{From: q.Millis(name + "_gte"), To: q.Millis(name + "_lte")}
}

// only is a value without the fields that are not asked for; none asked for is all. schema is Airflow's name for what has the fields.
func only(v any, fields []string, schema string) (any, error) {
	if len(fields) == 0 {
		return v, nil
	}
	raw, err := api.EncodeJSON(v)
	if err != nil {
		return nil, err
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(raw, &all); err != nil {
		return nil, err
	}
	some := map[string]json.RawMessage{}
	for _, name := range fields {
		value, ok := all[name]
		if !ok {
			return nil, titled{schema + " error", fault.New(fault.Invalid, "%s not in %s", api.Short(name), schema)}
		}
		some[name] = value
	}
	return some, nil
}

// eachOnly is only for each of a list.
func eachOnly[T any](list []T, fields []string, schema string) ([]any, error) {
	all := make([]any, len(list))
	for i := range list {
		v, err := only(list[i], fields, schema)
		if err != nil {
			return nil, err
		}
		all[i] = v
	}
	return all, nil
}

// answerList answers with a list under a name, and how many there are in all.
func answerList(w http.ResponseWriter, name string, list any, total int64) error {
	return api.WriteJSON(w, http.StatusOK, map[string]any{name: list, "total_entries": total})
}

// gone answers that it was deleted.
func gone(w http.ResponseWriter) error {
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// titled is a fault under the title that Airflow gives it.
type titled struct {
	title string
	err   *fault.Error
}

func (t titled) Error() string { return t.err.Error() }
func (t titled) Unwrap() error { return t.err }

// missing says that there is no such thing.
func missing(title, format string, args ...any) error {
	return titled{title, fault.New(fault.NotFound, format, args...)}
}

// faults are those of a body.
type faults []error

func (f *faults) add(err error) { *f = append(*f, err) }

func (f *faults) err() error {
	if len(*f) == 1 {
		return (*f)[0]
	}
	return errors.Join(*f...)
}

// momentOf reads a time that must have a zone.
func momentOf(text string) (int64, error) {
	if _, err := time.Parse("2006-01-02T15:04:05.999999999", strings.Replace(text, " ", "T", 1)); err == nil {
		return 0, errors.New("Naive datetime is disallowed: write its zone, such as +00:00") //nolint:staticcheck // Airflow's words
	}
	return api.ParseTime(text)
}
