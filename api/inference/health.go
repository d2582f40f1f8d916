package inference

import (
	"net/http"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections/recommend"
)

// state is what can be answered now. A part that cannot says why.
type state struct {
	Status      string `json:"status"`       // healthy, degraded (no ratings) or unhealthy (no lists)
	ModelLoaded bool   `json:"model_loaded"` // one that predicts ratings
	Model       string `json:"model,omitempty"`
	Version     int    `json:"version,omitempty"`
	Predict     string `json:"predict"`   // ok, or why not
	Recommend   string `json:"recommend"` // ok, or why not
}

const ok = "ok"

// state is of the version that is named, or of what answers where none is.
func (s *Surface) state(v recommend.Version) state {
	out := state{Status: "healthy", Model: v.Model, Version: v.Number, Predict: ok, Recommend: ok}
	res, err := s.Recommend.Predict(v, "", nil)
	if err == nil {
		out.ModelLoaded, out.Model, out.Version = true, res.ModelName, res.ModelVersion
	} else {
		out.Status, out.Predict = "degraded", said(err)
	}
	list, err := s.Recommend.Popular(1)
	if err == nil && len(list) == 0 {
		err = fault.New(fault.Unavailable, "the catalogue is empty").WithHint("import a data set: projectionist import PATH")
	}
	if err == nil && v.Model != "" {
		_, err = s.Recommend.RecommendBy(v.Model, v.Number, recommend.Request{K: 1, NowMillis: s.Now().UnixMilli()})
	}
	if err != nil {
		out.Status, out.Recommend = "unhealthy", said(err)
	}
	return out
}

func said(err error) string {
	p := api.FieldProblemOf(err)
	return withHint(p.Message, p.Hint)
}

// health says what can be answered. Its status is 200 as long as the process lives, as on every listener.
func (s *Surface) health(w http.ResponseWriter, r *http.Request) error {
	version, err := by(r)
	if err != nil {
		return err
	}
	if version.Model != "" {
		if version, err = s.Recommend.Predicts(version); err != nil {
			return err
		}
	}
	return api.WriteJSON(w, http.StatusOK, s.state(version))
}
