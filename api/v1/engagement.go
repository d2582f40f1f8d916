package v1

import (
	"net/http"
	"time"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

func (s *Surface) engagementRoutes(r *api.Routes) {
	r.Handle("GET /api/v1/engagement", s.engagement, "engagement")
}

const (
	engagementDays    = 30 // without a from
	engagementDaysMax = 366
	engagementRowsMax = 10_000
)

// engaged is counts with the shares they make; one of nothing is left out.
type engaged struct {
	projections.EngagementCounts
	ClickRate    *float64 `json:"click_rate,omitempty"`   // of the lists, those with a film that was taken up
	Satisfaction *float64 `json:"satisfaction,omitempty"` // of the films that were liked or disliked, those liked
}

func withShares(c projections.EngagementCounts) engaged {
	return engaged{c, share(c.ListsTaken, c.Lists), share(c.FilmsLiked, c.FilmsLiked+c.FilmsDisliked)}
}

func share(part, of uint64) *float64 {
	if of == 0 {
		return nil
	}
	v := float64(part) / float64(of)
	return &v
}

type engagementDay struct {
	Day          string `json:"day"` // UTC
	ModelName    string `json:"model_name,omitempty"`
	ModelVersion int    `json:"model_version,omitempty"`
	engaged
}

// engagement is what came of recommendations by day and model version, and together: see [projections.Engagement]. from and to are moments; all
// days that begin in between are told, today until now.
func (s *Surface) engagement(w http.ResponseWriter, r *http.Request) error {
	const day = 24 * time.Hour
	q := api.QueryOf(r, "from", "to")
	from, to := q.Millis("from"), q.Millis("to")
	if to == 0 {
		to = s.Now().UnixMilli() + 1
	}
	if from == 0 {
		from = time.UnixMilli(to - 1).Truncate(day).Add(-(engagementDays - 1) * day).UnixMilli()
	}
	switch {
	case q.Err() != nil:
	case from >= to:
		q.Fault("from", "is not before to")
	case to-from > engagementDaysMax*day.Milliseconds():
		q.Fault("from", "is more than %d days before to; ask for a year at a time", engagementDaysMax)
	}
	if err := q.Err(); err != nil {
		return err
	}
	days, err := fold.Of[*projections.Engagement](s.Views).Days(from, to, engagementRowsMax)
	if err != nil {
		return err
	}
	out := struct {
		Days  []engagementDay `json:"days"`
		Total engaged         `json:"total"`
	}{Days: make([]engagementDay, len(days))}
	var total projections.EngagementCounts
	for i, d := range days {
		total.Add(&d.EngagementCounts)
		name, err := s.registry().NameOf(d.ModelName)
		if err != nil {
			return err
		}
		out.Days[i] = engagementDay{time.UnixMilli(d.DayMillis).UTC().Format(time.DateOnly), name, d.ModelVersion, withShares(d.EngagementCounts)}
	}
	total.People = 0 // somebody may come on several days
	out.Total = withShares(total)
	return api.WriteJSON(w, http.StatusOK, out)
}
