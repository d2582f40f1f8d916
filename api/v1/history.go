package v1

import (
	"context"
	"net/http"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

func (s *Surface) movieHistory(w http.ResponseWriter, r *http.Request) error {
	id, err := movieOf(r)
	if err != nil {
		return err
	}
	h, _, err := s.historyQuery(r, nil, "order", "limit", "cursor")
	if err != nil {
		return err
	}
	p, err := s.histories().MoviePage(id, h)
	return api.Paged(w, p, err)
}

// titledFact is a fact with what its film is called, at the moment that is asked for.
type titledFact struct {
	projections.Fact
	Title string `json:"title,omitempty"`
	Year  int    `json:"year,omitempty"`
}

// userHistory is what a person did; with titles=true, and what the films are called.
func (s *Surface) userHistory(w http.ResponseWriter, r *http.Request) error {
	id, err := userOf(r)
	if err != nil {
		return err
	}
	titles := false
	h, m, err := s.historyQuery(r, func(q *api.Query) { titles = q.Flag("titles") }, "order", "limit", "cursor", "titles")
	if err != nil {
		return err
	}
	p, err := s.histories().UserPage(id, h)
	if err != nil || !titles {
		return api.Paged(w, p, err)
	}
	films := s.filmsAt(r.Context(), &m)
	out := fold.Page[titledFact]{Items: make([]titledFact, len(p.Items)), Next: p.Next}
	for i, f := range p.Items {
		ref, err := films.ref(f.MovieID)
		if err != nil {
			return err
		}
		out.Items[i] = titledFact{f, ref.Title, ref.Year}
	}
	return api.WriteJSON(w, http.StatusOK, out)
}

func (s *Surface) histories() *projections.Histories { return fold.Of[*projections.Histories](s.Views) }

// historyQuery reads which piece of a history is asked for; with known_after, of what the log took after a moment alone. Nothing is known of someone unknown, which is no error. more reads what else the request takes.
func (s *Surface) historyQuery(r *http.Request, more func(*api.Query), params ...string) (h projections.HistoryQuery, m api.Moment, err error) {
	q := api.QueryOf(r, append([]string{api.AsOfParam, api.KnownAtParam, knownAfterParam, "from", "to"}, params...)...)
	h = projections.HistoryQuery{FromMillis: q.Millis("from"), ToMillis: q.Millis("to"), Page: q.Page()}
	switch order := q.Str("order"); order {
	case "", "newest":
		h.Newest = true
	case "oldest":
	default:
		q.Fault("order", "is %q; want newest or oldest", api.Short(order))
	}
	if h.ToMillis != 0 && h.ToMillis <= h.FromMillis {
		q.Fault("to", "is not after from")
	}
	if more != nil {
		more(q)
	}
	if m, err = s.Moment(r.Context(), q); err != nil {
		return h, m, err
	}
	h.At = m.At
	if text := q.Str(knownAfterParam); text != "" {
		h.After, err = s.after(r.Context(), text, &m)
	}
	return h, m, err
}

// after is the cut that known_after stands for, which lies before the moment that is asked for.
func (s *Surface) after(ctx context.Context, text string, m *api.Moment) (streams.Cut, error) {
	after, err := s.knownAfter(ctx, text)
	if err != nil || m.At.RecordedMillis == 0 && m.At.Cut == nil {
		return after, err
	}
	known, err := s.known(ctx, m)
	if err == nil && beyond(after, known) {
		err = fault.Field(knownAfterParam, "is not before %s", api.KnownAtParam)
	}
	return after, err
}

func (s *Surface) movieTimes(w http.ResponseWriter, r *http.Request) error {
	id, err := movieOf(r)
	if err != nil {
		return err
	}
	return s.times(w, r, id, s.histories().MovieTimes)
}

func (s *Surface) userTimes(w http.ResponseWriter, r *http.Request) error {
	id, err := userOf(r)
	if err != nil {
		return err
	}
	return s.times(w, r, id, s.histories().UserTimes)
}

// times is how a history lies along the two times.
func (s *Surface) times(w http.ResponseWriter, r *http.Request, id string,
	read func(context.Context, string, projections.HistoryQuery, int) (projections.HistoryTimes, error)) error {
	buckets := int64(timesBucketsDefault)
	h, _, err := s.historyQuery(r, func(q *api.Query) {
		buckets = q.Number("buckets", buckets, projections.TimesBucketsMin, projections.TimesBucketsMax)
	}, "buckets")
	if err != nil {
		return err
	}
	t, err := read(r.Context(), id, h, int(buckets))
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, t)
}
