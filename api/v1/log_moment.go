package v1

import (
	"net/http"
	"time"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/projections/fold"
)

// momentAnswer is what a moment stands for in the log.
type momentAnswer struct {
	Cut       string  `json:"cut"`
	Time      *string `json:"time"`       // when the log took the newest record of the cut; null: it has none
	FirstTime *string `json:"first_time"` // when the log took its first record; null: it is empty
	Head      bool    `json:"head"`       // the cut is all that the log has
}

// moment says which part of the log known_at is; without it, all there is now. Nothing is folded.
func (s *Surface) moment(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	m, err := s.Moment(ctx, api.QueryOf(r, api.KnownAtParam))
	if err != nil {
		return err
	}
	head, err := fold.HeadCut(ctx, s.Log, time.Time{})
	if err != nil {
		return err
	}
	cut := head
	if m.Given() {
		if cut, err = m.Cut(ctx, s.Log); err != nil {
			return err
		}
	}
	v := momentAnswer{Cut: cut.String(), Head: true}
	for tp, next := range head {
		v.Head = v.Head && cut[tp] >= next
	}
	if newest, ok, err := s.Newest(ctx, cut); err != nil {
		return err
	} else if ok {
		v.Time = timeText(newest)
	}
	if first, ok, err := s.First(ctx); err != nil {
		return err
	} else if ok {
		v.FirstTime = timeText(first)
	}
	return api.WriteJSON(w, http.StatusOK, v)
}

func timeText(t time.Time) *string {
	text := events.FormatTime(t)
	return &text
}
