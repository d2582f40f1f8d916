package v1

import (
	"cmp"
	"context"
	"net/http"
	"strconv"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml/recipe/all"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

// Training is a request to train, or to take over what was trained elsewhere.
type Training struct {
	Algorithm string                `json:"algorithm"` // a recipe, or movie_predictor; "" is the first recipe
	Params    map[string]api.Scalar `json:"params"`
	Actor     string                `json:"-"`
	Request   string                `json:"-"`
}

// train trains by hand, told line by line: what it is trained on, each step with its loss, and the version at the end.
func (s *Surface) train(w http.ResponseWriter, r *http.Request) error {
	var t Training
	if err := api.ReadJSON(w, r, &t, false); err != nil {
		return err
	}
	if s.Train == nil {
		return fault.New(fault.Unavailable, "models are not trained here")
	}
	if err := t.asked(r); err != nil {
		return err
	}
	return s.StreamLines(w, r, func(ctx context.Context, out *api.Lines) (any, error) { return s.Train(ctx, t, out) })
}

// Tuning is a request to search parameters; those that are given are not varied.
type Tuning struct {
	Training
	Trials   int    `json:"trials"` // 0 is as many as a search has where nobody says
	Seed     uint64 `json:"seed"`
	Parallel int    `json:"parallel"` // trials at once; 0 is one
}

// tune searches parameters, told line by line: each trial as it ends, and the version of the best at the end.
func (s *Surface) tune(w http.ResponseWriter, r *http.Request) error {
	var t Tuning
	if err := api.ReadJSON(w, r, &t, false); err != nil {
		return err
	}
	if s.Tune == nil {
		return fault.New(fault.Unavailable, "models are not trained here")
	}
	if err := t.asked(r); err != nil {
		return err
	}
	return s.StreamLines(w, r, func(ctx context.Context, out *api.Lines) (any, error) { return s.Tune(ctx, t, out) })
}

func (t *Training) asked(r *http.Request) error {
	m, err := api.MetaOf(r)
	t.Actor, t.Request = m.Actor, m.Correlation
	return err
}

// importModel registers a version from a safetensors file, which is the body.
func (s *Surface) importModel(w http.ResponseWriter, r *http.Request) error {
	if err := api.QueryOf(r).Err(); err != nil {
		return err
	}
	if s.Import == nil {
		return fault.New(fault.Unavailable, "models are not taken in here")
	}
	var t Training
	if err := t.asked(r); err != nil {
		return err
	}
	done, err := s.Begin() // it holds the file
	if err != nil {
		return err
	}
	defer done()
	file, err := api.ReadBody(w, r, weightsBytesMax)
	if err != nil {
		return err
	}
	res, err := s.Import(r.Context(), r.PathValue("model"), file, t)
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusCreated, res)
}

// weights gives a version's weights as a file that others read, format=safetensors or onnx.
func (s *Surface) weights(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "format")
	format := cmp.Or(q.Str("format"), all.Safetensors)
	if err := q.Err(); err != nil {
		return err
	}
	n, err := versionOf(r)
	if err != nil {
		return err
	}
	name := r.PathValue("model")
	v, ok, err := fold.Of[*projections.Registry](s.Views).Version(name, n)
	if err != nil {
		return err
	}
	if !ok {
		return fault.New(fault.NotFound, "no version %d of model %q", n, api.Short(name))
	}
	if v.Blob == "" {
		return fault.New(fault.Conflict, "%s version %d was registered without weights that this program has", api.Short(name), n)
	}
	if v.Bytes > weightsBytesMax {
		return fault.New(fault.TooLarge, "the weights have %d bytes; up to %d are given as a file", v.Bytes, weightsBytesMax)
	}
	done, err := s.Begin() // it holds the weights twice
	if err != nil {
		return err
	}
	defer done()
	b, err := s.Blobs.Get(v.Blob)
	if err != nil {
		return err
	}
	f, err := all.Export(v.Algorithm, b, format)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.FormatInt(f.Size(), 10))
	w.WriteHeader(http.StatusOK)
	f.WriteTo(w) //nolint:errcheck // the client is gone
	return nil
}
