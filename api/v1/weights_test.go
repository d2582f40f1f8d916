package v1_test

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/ml/recipe"
	"github.com/projectionist/projectionist/ml/recipe/all"
)

// registered registers weights as a version of a model, by an algorithm and as a program of some code says it.
func (w *fixture) registered(name, algorithm, code string, weights []byte) {
	w.t.Helper()
	like := w.get("/api/v1/models/als/versions/1").want(200)
	hash, size, err := w.blobs.Put(w.t.Context(), bytes.NewReader(weights))
	w.must(err)
	w.cfg.Dispatcher.Dispatch(w.t.Context(), &commands.RegisterModel{Name: name}, handlers.Meta{}) //nolint:errcheck // it may be there
	res, err := w.cfg.Dispatcher.Dispatch(w.t.Context(), &commands.RegisterModelVersion{Name: name, RunID: strings.Repeat("a", 32), Algorithm: algorithm, Params: map[string]string{}, CodeVersion: code,
		DatasetID: "d", DatasetCut: like.at("dataset_cut"), FeaturesHash: like.at("features_hash"), Blob: hash, Bytes: size, Slot: events.ProductionSlot}, handlers.Meta{})
	w.must(err)
	w.folded(res.Position)
}

// A version that cannot answer here is not put in the slot: what serves goes on, and the log has nothing of it.
func TestDeployOfWhatCannotServe(t *testing.T) {
	w := newFixture(t)
	w.train()
	w.post("/api/v1/models/als/versions/1/deploy", nil).want(200)
	good, err := w.blobs.Get(w.get("/api/v1/models/als/versions/1").at("blob"))
	w.must(err)
	with := func(first float32) []byte { // in the first tensor
		b := bytes.Clone(good)
		binary.LittleEndian.PutUint32(b[16+binary.LittleEndian.Uint32(b[12:]):], math.Float32bits(first))
		return binary.LittleEndian.AppendUint32(b[:len(b)-4], crc32.Checksum(b[:len(b)-4], crc32.MakeTable(crc32.Castagnoli)))
	}
	w.registered("als", "als", "hybrid-ials/2", with(float32(math.NaN())))
	w.registered("als", "als", "hybrid-ials/2", good[:len(good)-1])
	w.registered("magic", "magic", "magic/1", good)
	w.registered("popularity", "popularity", "popularity/1", with(.5))
	before := w.get("/api/v1/log/topics").want(200)
	for path, want := range map[string]struct {
		status int
		says   string
	}{"als/versions/2": {500, "value 0 is NaN"}, "als/versions/3": {500, "checksum"}, "magic/versions/1": {409, "cannot be served by this program"}, "popularity/versions/1": {500, "weights of popularity version 1"}} {
		got := w.post("/api/v1/models/"+path+"/deploy", nil).want(want.status)
		if !strings.Contains(string(got.Body), want.says) {
			t.Errorf("%s: %s; want %q", path, got.Body, want.says)
		}
	}
	if after := w.get("/api/v1/log/topics").want(200); !bytes.Equal(after.Body, before.Body) {
		t.Errorf("the log has more: %s", after.Body)
	}
	if got := w.get("/api/v1/recommendations?user_id=1").want(200); got.at("model_name") != "als" || got.at("model_version") != "1" {
		t.Errorf("%s", got.Body)
	}
}

// Weights are given in the format that is asked for, and what has no such form says so.
func TestWeights(t *testing.T) {
	w := newFixture(t)
	w.train()
	d := &ml.Dataset{Users: []string{"1"}, Items: []string{"1", "2"}, Samples: []ml.Sample{{Rating: 4, Weight: 1}, {Item: 1, Rating: 2, Weight: 1}}}
	r, err := all.Find("svdpp")
	w.must(err)
	p, err := r.Parse(nil)
	w.must(err)
	trained, err := r.Make(t.Context(), recipe.Input{Data: d}, p, recipe.Hooks{})
	w.must(err)
	w.registered("svdpp", "svdpp", "svdpp/1", trained.Bytes)
	for _, query := range []string{"", "?format=safetensors"} {
		for _, model := range []string{"als", "svdpp"} {
			got := w.get("/api/v1/models/" + model + "/versions/1/weights" + query).want(200)
			if f, err := ml.DecodeSafetensors(got.Body); err != nil || len(f.Tensors) == 0 {
				t.Errorf("%s%s: %v", model, query, err)
			}
		}
	}
	if got := w.get("/api/v1/models/svdpp/versions/1/weights?format=onnx").want(200); !bytes.Contains(got.Body, []byte("ReduceSum")) || !bytes.Contains(got.Body, []byte("rating")) {
		t.Errorf("%d bytes that are no graph", len(got.Body))
	}
	if got := w.get("/api/v1/models/als/versions/1/weights?format=onnx").problem(409, ""); !strings.Contains(got.Detail, "als is no graph of ONNX; those of "+strings.Join(all.Graphs(), ", ")) {
		t.Errorf("%+v", got)
	}
	w.get("/api/v1/models/als/versions/1/weights?format=pickle").problem(400, "format")
	w.get("/api/v1/models/als/versions/1/weights?fmt=onnx").problem(400, "fmt")
	w.get("/api/v1/models/als/versions/9/weights?format=onnx").problem(404, "")
}
