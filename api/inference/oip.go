package inference

import (
	"cmp"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml/recipe/all"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/projections/recommend"
)

// The paths below /v2 are the Open Inference Protocol's, KServe's version 2, in JSON
// (https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md).

const oip = "/v2"

// ofOIP says whether a path is the protocol's, and errors are told in its form.
func ofOIP(path string) bool { return path == oip || strings.HasPrefix(path, oip+"/") }

func (s *Surface) oipRoutes(r *api.Routes) {
	r.Handle("GET /v2", s.oipServer)
	r.Handle("GET /v2/health/live", s.oipLive)
	r.Handle("GET /v2/health/ready", s.oipReady, views...)
	for _, path := range []string{"/v2/models/{name}", "/v2/models/{name}/versions/{version}"} {
		r.Handle("GET "+path, s.oipModel, views...)
		r.Handle("GET "+path+"/ready", s.oipModelReady, views...)
		r.Handle("POST "+path+"/infer", s.infer, views...)
	}
}

// oipError is how the protocol tells what went wrong.
func oipError(w http.ResponseWriter, p *api.Problem) {
	text := withHint(strings.TrimPrefix(p.Field+": "+p.Detail, ": "), p.Hint)
	if p.Status == http.StatusMethodNotAllowed {
		text = http.StatusText(p.Status)
	}
	api.WriteJSON(w, p.Status, struct { //nolint:errcheck // it has a JSON form
		Error string `json:"error"`
	}{text})
}

func (s *Surface) oipServer(w http.ResponseWriter, r *http.Request) error {
	if err := api.QueryOf(r).Err(); err != nil {
		return err
	}
	version := "devel"
	if info, ok := debug.ReadBuildInfo(); ok {
		version = cmp.Or(strings.Trim(info.Main.Version, "()"), version)
	}
	return api.WriteJSON(w, http.StatusOK, struct {
		Name       string   `json:"name"`
		Version    string   `json:"version"`
		Extensions []string `json:"extensions"`
	}{"projectionist", version, []string{}})
}

func (s *Surface) oipLive(w http.ResponseWriter, r *http.Request) error {
	if err := api.QueryOf(r).Err(); err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, struct {
		Live bool `json:"live"`
	}{true})
}

// oipReady says that lists can be made. The specification's text and its schema name its field differently: both are there.
func (s *Surface) oipReady(w http.ResponseWriter, r *http.Request) error {
	if err := api.QueryOf(r).Err(); err != nil {
		return err
	}
	if st := s.state(recommend.Version{}); st.Recommend != ok {
		return fault.New(fault.Unavailable, "%s", st.Recommend)
	}
	return api.WriteJSON(w, http.StatusOK, struct {
		Live  bool `json:"live"`
		Ready bool `json:"ready"`
	}{true, true})
}

// served is a version as the protocol is asked for it.
type served struct {
	recommend.Version
	versions  []string
	algorithm string
	predicts  bool
}

// asked is the version that a path names, of a model without one the newest.
func (s *Surface) asked(r *http.Request) (served, error) {
	if err := api.QueryOf(r).Err(); err != nil {
		return served{}, err
	}
	out := served{Version: recommend.Version{Model: r.PathValue("name")}, versions: []string{}}
	if text := r.PathValue("version"); text != "" {
		n, err := strconv.ParseUint(text, 10, 31)
		if err != nil || n == 0 {
			return out, fault.New(fault.NotFound, "no version %q of model %q: a version is a number from 1", api.Short(text), api.Short(out.Model))
		}
		out.Number = int(n)
	}
	if out.Model == "" {
		return out, fault.New(fault.NotFound, "no model %q", "")
	}
	var err error
	if out.Version, err = s.Recommend.Predicts(out.Version); err != nil {
		return out, err
	}
	m, _, err := fold.Of[*projections.Registry](s.Views).Model(out.Model)
	if err != nil {
		return out, err
	}
	for i := range m.Versions {
		out.versions = append(out.versions, strconv.Itoa(m.Versions[i].Version))
	}
	if v := m.Version(out.Number); v != nil {
		recipe, err := all.Find(v.Algorithm)
		if err != nil {
			return out, fault.Wrap(fault.Conflict, err, "%s version %d cannot be served by this program", out.Model, out.Number)
		}
		out.algorithm, out.predicts = recipe.Name, recipe.Predicts && v.Algorithm != ""
	}
	return out, nil
}

// Names of tensors.
const (
	tensorUser   = "user_id"
	tensorMovie  = "movie_id"
	tensorRating = "rating"
	tensorListed = "recommended_movie_id"
	tensorScore  = "recommended_score"
)

// Datatypes of tensors.
const (
	typeBytes = "BYTES"
	typeFP32  = "FP32"
)

// tensorMeta is what is known of a tensor without a request.
type tensorMeta struct {
	Name     string `json:"name"`
	Datatype string `json:"datatype"`
	Shape    []int  `json:"shape"`
}

// signature is what a version takes and gives. Who predicts ratings gives them for pairs of a person and a film; everyone
// gives a list for each person.
func (v *served) signature() (in, out []tensorMeta) {
	in = []tensorMeta{{tensorUser, typeBytes, []int{-1}}}
	out = []tensorMeta{{tensorListed, typeBytes, []int{-1, -1}}, {tensorScore, typeFP32, []int{-1, -1}}}
	if v.predicts {
		in = append(in, tensorMeta{tensorMovie, typeBytes, []int{-1}})
		out = append([]tensorMeta{{tensorRating, typeFP32, []int{-1}}}, out...)
	}
	return in, out
}

func (s *Surface) oipModel(w http.ResponseWriter, r *http.Request) error {
	v, err := s.asked(r)
	if err != nil {
		return err
	}
	in, out := v.signature()
	return api.WriteJSON(w, http.StatusOK, struct {
		Name     string       `json:"name"`
		Versions []string     `json:"versions"`
		Platform string       `json:"platform"`
		Inputs   []tensorMeta `json:"inputs"`
		Outputs  []tensorMeta `json:"outputs"`
	}{v.Model, v.versions, "projectionist_" + v.algorithm, in, out})
}

// oipModelReady says that a version's weights are at hand; it reads them if need be.
func (s *Surface) oipModelReady(w http.ResponseWriter, r *http.Request) error {
	v, err := s.asked(r)
	if err == nil {
		_, err = s.Recommend.RecommendBy(v.Model, v.Number, recommend.Request{K: 1, NowMillis: s.Now().UnixMilli()})
	}
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, struct {
		Name  string `json:"name"`
		Ready bool   `json:"ready"`
	}{v.Model, true})
}

// tensor is one that is answered.
type tensor struct {
	Name     string `json:"name"`
	Shape    []int  `json:"shape"`
	Datatype string `json:"datatype"`
	Data     any    `json:"data"` // in row-major order
}

// inferred is an answer.
type inferred struct {
	ModelName    string   `json:"model_name"`
	ModelVersion string   `json:"model_version"`
	ID           string   `json:"id,omitempty"`
	Outputs      []tensor `json:"outputs"`
}

// infer answers with ratings where films are given, with lists where not, or with what is asked for.
func (s *Surface) infer(w http.ResponseWriter, r *http.Request) error {
	v, err := s.asked(r)
	if err != nil {
		return err
	}
	req, err := readInfer(w, r, &v)
	if err != nil {
		return err
	}
	out := inferred{ModelName: v.Model, ModelVersion: strconv.Itoa(v.Number), ID: req.id, Outputs: []tensor{}}
	made := map[string]tensor{}
	if req.wants(tensorRating) {
		start := time.Now()
		ratings, err := s.Recommend.PredictPairs(v.Version, req.pairs())
		if err != nil {
			return err
		}
		s.Predicted(api.OperationPredict, v.algorithm, start)
		data := make([]float32, len(ratings))
		for i := range ratings {
			data[i] = float32(ratings[i].Predictions[0].Rating)
		}
		made[tensorRating] = tensor{tensorRating, []int{len(data)}, typeFP32, data}
	}
	if req.wants(tensorListed) || req.wants(tensorScore) {
		lists, err := s.lists(r, v.Version, req.users, recommend.Request{K: req.k, Again: !req.excludeSeen, Current: true, Rules: req.rules}, req.record)
		if err != nil {
			return err
		}
		made[tensorListed], made[tensorScore] = tensorsOf(lists)
	}
	for _, name := range req.outputs {
		out.Outputs = append(out.Outputs, made[name])
	}
	return api.WriteJSON(w, http.StatusOK, out)
}

// tensorsOf are lists as rows of as many columns as the longest has; a shorter one ends in "" and 0.
func tensorsOf(lists []listed) (movies, scores tensor) {
	width := 0
	for _, l := range lists {
		width = max(width, len(l.Items))
	}
	ids, score := make([]string, len(lists)*width), make([]float32, len(lists)*width)
	for i, l := range lists {
		for k := range l.Items {
			ids[i*width+k], score[i*width+k] = l.Items[k].MovieID, float32(l.Items[k].Score)
		}
	}
	shape := []int{len(lists), width}
	return tensor{tensorListed, shape, typeBytes, ids}, tensor{tensorScore, shape, typeFP32, score}
}
