package roles_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/handlers/roles"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml/recipe"
	recipes "github.com/projectionist/projectionist/ml/recipe/all"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/projections/trainset"
)

func (b *bench) byHand() *roles.ByHand {
	return &roles.ByHand{Config: b.roles(b.t.TempDir()), Dispatcher: b.outer, Blobs: b.blobs, Now: time.Now}
}

func (b *bench) head() int64 {
	b.t.Helper()
	n, err := b.log.Ledger().Head(context.Background(), time.Time{})
	must(b.t, err)
	return n
}

// What is trained by hand is told as it goes, registered with what it takes to train it again, and not deployed.
func TestByHand(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.importWorld(2000)
		for algorithm, params := range map[string]map[string]string{
			"als": {"als.dim": "4", "als.sweeps": "2"}, "popularity": nil, "movie_predictor": {"hidden": "4", "movie_predictor.epochs": "2"},
			"neural_cf": {"neural_cf.users": "20", "neural_cf.movies": "300", "neural_cf.epochs": "4", "neural_cf.dropout": "0", "neural_cf.embedding": "8", "neural_cf.patience": "0", "neural_cf.batch": "16"},
			"ease":      {"ease.lambda": "10"}, "itemknn": {"itemknn.k": "20"}, "nextitem": {"nextitem.films": "50"}, "bpr": {"bpr.epochs": "3"},
			"mf": {"mf.samples": "3", "mf.burn": "3"}, "svdpp": {"svdpp.epochs": "3"}, "blend": {"als.dim": "4", "als.sweeps": "2"},
		} {
			var sizes []recipe.Size
			var epochs []roles.Epoch
			done, err := b.byHand().Train(t.Context(), roles.Training{Algorithm: algorithm, Params: params, Actor: "user:anna", Request: "r1"},
				roles.Told{Sizes: func(s []recipe.Size) { sizes = s }, Epoch: func(e roles.Epoch) { epochs = append(epochs, e) }})
			must(t, err)
			if done.Model != algorithm || done.Version != 1 {
				t.Errorf("%+v", done)
			}
			m, _, err := projections.FoldModel(b.log.Ledger().ReadStream(t.Context(), "model/"+algorithm, 0), fold.At{})
			must(t, err)
			v := m.Version(1)
			run, _, err := projections.FoldRun(b.log.Ledger().ReadStream(t.Context(), "run/"+done.RunID, 0), fold.At{})
			must(t, err)
			if v == nil || v.Blob != done.Blob || v.RunID != done.RunID || v.Stage != projections.StageNone || run.Status != "FINISHED" || run.DatasetID != v.DatasetID {
				t.Errorf("version %+v of run %+v", v, run)
			}
			if blobOf(&run, "model/MLmodel") == "" || blobOf(&run, "model/"+algorithm+".bin") != done.Blob || run.Tags["mlflow.source.name"] != "projectionist train "+algorithm ||
				!slices.ContainsFunc(all[events.RunInputsLogged](b), func(e *events.RunInputsLogged) bool { return e.RunID == done.RunID && e.Datasets[0].Name != "" }) {
				t.Errorf("the run says less of itself than one of the pipeline: %v %v", run.Artifacts, run.Tags)
			}
			var views []string
			for _, read := range v.FeatureViews {
				views = append(views, read.View)
			}
			reads := map[string]string{"movie_predictor": "movie_features user_features"}[algorithm] // no recipe is given a feature
			if v.FeatureViews == nil || strings.Join(views, " ") != reads {
				t.Errorf("%s says that it was trained on the feature views %v", algorithm, v.FeatureViews)
			}
			for name, x := range done.Figures {
				if run.Metrics[name].Value != events.Number(x) {
					t.Errorf("the run's %s is %v, not %v", name, run.Metrics[name].Value, x)
				}
			}
			if _, sha, err := roles.Rebuild(t.Context(), b.log, &v.ModelVersionRegistered, nil); err != nil || sha != v.Blob {
				t.Errorf("%s is trained again to %s, %v; want %s", algorithm, sha, err, v.Blob)
			}
			if r, err := recipes.Find(algorithm); algorithm != "movie_predictor" && (err != nil || !r.Predicts) {
				continue
			}
			validates := algorithm == "movie_predictor" || algorithm == "neural_cf"
			if len(epochs) < 2 || epochs[1].Loss == nil || (epochs[1].Validation != nil) != validates || *epochs[len(epochs)-1].Loss >= *epochs[0].Loss {
				t.Errorf("%s: %d epochs, losses %v", algorithm, len(epochs), losses(epochs))
			}
			names := map[string]recipe.Size{}
			for _, s := range sizes {
				names[s.Name] = s
			}
			if names["training ratings"].N == 0 || (names["validation ratings"].N != 0) != validates || names["parameters"].N == 0 {
				t.Errorf("%s: sizes %+v", algorithm, sizes)
			}
			if algorithm == "neural_cf" && (!strings.Contains(names["people"].Note, "those with the most ratings, of ") || !strings.Contains(names["films"].Note, "nobody's yet")) {
				t.Errorf("sizes %+v", sizes)
			}
		}
		if n := len(all[events.ModelDeployed](b)); n != 0 {
			t.Errorf("%d deployments", n)
		}
	})
}

func losses(epochs []roles.Epoch) (list [][2]float64) {
	for _, e := range epochs {
		list = append(list, [2]float64{*e.Loss, *e.Validation})
	}
	return list
}

// What is wrong is said before anything is in the log.
func TestByHand_Refusals(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		train := func(algorithm string, params map[string]string) error {
			_, err := b.byHand().Train(t.Context(), roles.Training{Algorithm: algorithm, Params: params}, roles.Told{})
			return err
		}
		before := b.head()
		var names []string
		for _, r := range recipes.Recipes() {
			names = append(names, r.Name)
		}
		for says, err := range map[string]error{
			"one of " + strings.Join(names, ", ") + ", movie_predictor": train("nope", nil),
			"neural_cf.epochs":          train("neural_cf", map[string]string{"neural_cf.epochs": "0"}),
			"neural_cf.nope":            train("neural_cf", map[string]string{"neural_cf.nope": "0"}),
			"movie_predictor.epochs":    train("movie_predictor", map[string]string{"movie_predictor.epochs": "x"}),
			"learning_rate is 7":        train("movie_predictor", map[string]string{"learning_rate": "7"}),
			"is no parameter of movie_": train("movie_predictor", map[string]string{"users": "7"}),
		} {
			if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), says) {
				t.Errorf("%v; want %q", err, says)
			}
		}
		if n := b.head(); n != before {
			t.Errorf("%d commits of what was refused", n-before)
		}
		if err := train("neural_cf", nil); !fault.Is(err, fault.Conflict) {
			t.Errorf("an empty log: %v", err)
		}
		_, err := b.outer.Publish(t.Context(), []commands.Fact{&commands.RecordInteraction{Interaction: events.Interaction{UserID: "1", MovieID: "1", Kind: "click",
			Timestamp: "2024-01-01T00:00:00Z"}}}, handlers.Meta{})
		must(t, err)
		for _, algorithm := range []string{"neural_cf", "movie_predictor"} {
			if err := train(algorithm, nil); !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "ratings") {
				t.Errorf("a log without ratings: %v", err)
			}
		}
		if n := len(all[events.RunStarted](b)); n != 0 {
			t.Errorf("%d runs", n)
		}
	})
}

// A training whose asker goes away, or that cannot come to an end, is a run that says so.
func TestByHand_CutOff(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.importWorld(2000)
		ctx, cancel := context.WithCancel(t.Context())
		_, err := b.byHand().Train(ctx, roles.Training{Algorithm: "neural_cf"}, roles.Told{Epoch: func(roles.Epoch) { cancel() }})
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		ended := all[events.RunEnded](b)
		if len(ended) != 1 || ended[0].Status != "FAILED" || !strings.Contains(ended[0].Reason, "canceled") {
			t.Errorf("%+v", ended)
		}
		if n := len(all[events.ModelVersionRegistered](b)); n != 0 {
			t.Errorf("%d versions", n)
		}
	})
}

// Weights that were trained elsewhere are a version that serves, and says that it is not trained from this log.
func TestByHand_Import(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.importWorld(2000)
		h := b.byHand()
		done, err := h.Train(t.Context(), roles.Training{Algorithm: "neural_cf", Params: map[string]string{"neural_cf.epochs": "1", "neural_cf.embedding": "4"}}, roles.Told{})
		must(t, err)
		weights, err := b.blobs.Get(done.Blob)
		must(t, err)
		r, err := recipes.Find("neural_cf")
		must(t, err)
		m, err := r.Decode(weights)
		must(t, err)
		before := b.head()
		if _, err := h.Import(t.Context(), "a/b", r, m, []byte("file"), roles.Training{}); !fault.Is(err, fault.Invalid) || b.head() != before {
			t.Errorf("a name that cannot be: %v, %d commits", err, b.head()-before)
		}
		got, err := h.Import(t.Context(), "from_torch", r, m, []byte("file"), roles.Training{Actor: "user:anna"})
		must(t, err)
		model, _, err := projections.FoldModel(b.log.Ledger().ReadStream(t.Context(), "model/from_torch", 0), fold.At{})
		must(t, err)
		v := model.Version(got.Version)
		if v == nil || v.Algorithm != "neural_cf" || v.Blob != done.Blob || v.Slot != events.ProductionSlot || v.Params["imported.sha256"] != strings.TrimPrefix(v.DatasetID, "imported:") {
			t.Errorf("%+v", v)
		}
		if _, err := trainset.Rebuild(t.Context(), b.log, &v.ModelVersionRegistered, nil); !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "trained elsewhere") {
			t.Error(err)
		}
		// How good it is, its file alone says: that is no metric.
		if names := slices.Sorted(maps.Keys(got.Figures)); !slices.Equal(names, []string{"parameters"}) {
			t.Error(names)
		}
		run, _, err := projections.FoldRun(b.log.Ledger().ReadStream(t.Context(), "run/"+got.RunID, 0), fold.At{})
		must(t, err)
		for name, x := range done.Figures {
			if said := v.Params["imported."+name]; name != "parameters" && (said != strconv.FormatFloat(x, 'g', -1, 64) || run.Params["imported."+name] != said) {
				t.Errorf("the file's %s of %v is told as %q", name, x, said)
			}
		}
		if len(run.Metrics) != 1 || len(v.Params) < 4 {
			t.Errorf("metrics %v, parameters %v", run.Metrics, v.Params)
		}
	})
}
