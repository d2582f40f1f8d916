package v1

import (
	"net/http"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml/signal"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

func (s *Surface) signalRoutes(r *api.Routes) {
	r.Handle("GET /api/v1/signals", s.signals, "definitions")
	r.Handle("POST /api/v1/signals", s.defineSignals)
	s.then(r, "GET /api/v1/signals/history", (*Surface).signalsHistory, "definitions")
}

// signals is the definition in force of what acts mean, now or at a moment: as JSON around the file, or the file
// itself where YAML is asked for. "folded" tells by which one the online model has learned.
func (s *Surface) signals(w http.ResponseWriter, r *http.Request) error {
	m, err := s.Moment(r.Context(), api.QueryOf(r, api.AsOfParam, api.KnownAtParam))
	if err != nil {
		return err
	}
	d, ok, err := fold.Of[*projections.Definitions](s.Views).Signals(m.At)
	if !ok || err != nil {
		return api.Found(w, d, ok, err, "what acts mean was not defined")
	}
	api.SetETag(w, d.Revision)
	if wantsYAML(r) {
		return writeYAML(w, d.Definitions)
	}
	read, err := signal.Parse([]byte(d.Definitions))
	if err != nil {
		return fault.Wrap(fault.Corrupt, err, "the definition in force")
	}
	return api.WriteJSON(w, http.StatusOK, struct {
		projections.SignalsDefinition
		Meanings *signal.Definition `json:"meanings"`
		Folded   string             `json:"folded"` // hash
	}{d, read, s.Views.Definition("online")})
}

func (s *Surface) signalsHistory(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "limit", "cursor")
	page := q.Page()
	if err := q.Err(); err != nil {
		return err
	}
	p, err := fold.Of[*projections.Definitions](s.Views).SignalsHistory(page)
	return api.Paged(w, p, err)
}

// defineSignals puts a definition of what acts mean in force. The body is the file.
func (s *Surface) defineSignals(w http.ResponseWriter, r *http.Request) error {
	body, err := api.ReadBody(w, r, api.BodyBytesMax)
	if err != nil {
		return err
	}
	d, err := signal.Parse(body)
	if err != nil {
		return err
	}
	return s.dispatch(w, r, &commands.DefineSignals{Definitions: string(body), Hash: d.Hash()}, http.StatusOK, "definitions")
}
