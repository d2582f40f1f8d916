package feast

import (
	"net/http"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/projections/featurestore"
)

// materializing is the body of a request to materialize.
type materializing struct {
	start, end string
	views      []string
	noTimes    bool
}

func (r *reading) materializing(body []byte) (m materializing) {
	for _, f := range r.fields(body) {
		none := string(f.value) == "null"
		switch {
		case f.name == "start_ts" && !none:
			m.start = r.text(f.value, f.name)
		case f.name == "end_ts" && !none:
			m.end = r.text(f.value, f.name)
		case f.name == "feature_views" && !none:
			for i, v := range r.list(f.value, f.name) {
				m.views = append(m.views, r.text(v, f.name, i))
			}
		case f.name == "disable_event_timestamp":
			m.noTimes = r.truth(f.value, f.name)
		}
	}
	return m
}

// materialize says that nothing is to be done.
func (s *Surface) materialize(w http.ResponseWriter, r *http.Request) error {
	return s.upToDate(w, r, func(m *materializing, _ []byte) *refusal {
		if m.noTimes {
			return nil
		}
		if m.start == "" || m.end == "" {
			return plainError("start_ts and end_ts are required when disable_event_timestamp is False")
		}
		start, err := events.TimeMillis(m.start)
		end := int64(0)
		if err == nil {
			end, err = events.TimeMillis(m.end)
		}
		switch {
		case err != nil:
			return plainError("Invalid timestamp format: %s", err)
		case start >= end:
			return plainError("start_ts (%s) must be before end_ts (%s)", m.start, m.end)
		}
		return nil
	})
}

// materializeIncremental says the same.
func (s *Surface) materializeIncremental(w http.ResponseWriter, r *http.Request) error {
	return s.upToDate(w, r, func(m *materializing, body []byte) *refusal {
		if m.end == "" {
			return &refusal{http.StatusUnprocessableEntity, invalid(detail{"missing", []any{"body", "end_ts"}, "Field required", rawOf(body), nil})}
		}
		if _, err := events.TimeMillis(m.end); err != nil {
			return plainError("Invalid timestamp format: %s", err)
		}
		return nil
	})
}

// report is what there is to say. Feast's client logs it.
type report struct {
	Status  string   `json:"status"`
	Message string   `json:"message"`
	Views   []string `json:"feature_views"`
}

// upToDate answers a request to materialize: values are computed when they are read, and pushed ones are served when
// their push is answered, so that no store lags behind another.
func (s *Surface) upToDate(w http.ResponseWriter, r *http.Request, check func(*materializing, []byte) *refusal) error {
	body, err := api.ReadBody(w, r, api.BodyBytesMax)
	if err != nil {
		return err
	}
	q := api.QueryOf(r, "async", "force")
	async := q.Flag("async")
	q.Flag("force")
	if err := q.Err(); err != nil {
		return err
	}
	reg, err := s.Features.Registry()
	if err != nil {
		return err
	}
	rd := &reading{}
	m := rd.materializing(body)
	var refused *refusal
	switch {
	case len(rd.details) > 0:
		refused = &refusal{http.StatusUnprocessableEntity, invalid(rd.details...)}
	default:
		if refused = check(&m, body); refused == nil {
			m.views, refused = materialized(reg, m.views)
		}
	}
	if refused != nil {
		return api.WriteJSON(w, refused.status, refused.body)
	}
	status, word := http.StatusOK, "completed"
	if async {
		status, word = http.StatusAccepted, "accepted"
	}
	return api.WriteJSON(w, status, report{word, "nothing is to be materialized: values are computed when they are read, and pushed ones are served when the push is answered", m.views})
}

// materialized are the views that are asked for, all where none are named.
func materialized(reg *featurestore.Registry, names []string) ([]string, *refusal) {
	if names == nil {
		names = []string{}
		for _, v := range reg.Views {
			names = append(names, v.Name)
		}
		for _, x := range reg.External {
			names = append(names, x.Name)
		}
	}
	for _, name := range names {
		if reg.View(name) == nil && reg.ExternalNamed(name) == nil {
			return nil, noView(name)
		}
	}
	return names, nil
}
