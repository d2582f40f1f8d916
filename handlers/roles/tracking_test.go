package roles_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers/react"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

// blobOf is the content of a run's file, by its hash; "" without one.
func blobOf(run *projections.Run, path string) string {
	i := slices.IndexFunc(run.Artifacts, func(a projections.Artifact) bool { return a.Path == path })
	if i < 0 {
		return ""
	}
	return run.Artifacts[i].Blob
}

// TestTracking: whoever looks at a run of the pipeline as MLflow shows runs sees where it came from, what it was given, what
// its weights are and how it was judged. The same training says the same, to the byte.
func TestTracking(t *testing.T) {
	b := newBench(t)
	b.run(b.reactors(b.config(t.TempDir(), nil)))
	id := b.importWorld(3000)
	training := b.waitEnded(id)
	if training.State != "success" {
		t.Fatal(training.Reason)
	}
	given := map[string]events.Dataset{}
	for _, e := range all[events.RunInputsLogged](b) {
		if len(e.Datasets) != 1 || given[e.RunID].Name != "" {
			t.Fatalf("inputs %+v", e)
		}
		given[e.RunID] = e.Datasets[0]
	}
	prepared := training.TaskOf("prepare_training_data").Output
	for name, c := range map[string]struct {
		input, column, in, out string
		files                  []string
	}{
		"als":             {"interactions", `{"type":"string","name":"movie_id","required":true}`, "user_id", "score", []string{"evaluation/report.json", "model/MLmodel", "model/als.bin"}},
		"movie_predictor": {"ratings with features", `{"type":"float","name":"user_features__age","required":true}`, "user_features__age", "rating", []string{"model/MLmodel", "model/movie_predictor.bin"}},
	} {
		run, ok, err := projections.FoldRun(b.log.Ledger().ReadStream(t.Context(), "run/"+react.HashID("run", id, name), 0), fold.At{})
		must(t, err)
		var paths []string
		for _, a := range run.Artifacts {
			paths = append(paths, a.Path)
		}
		if slices.Sort(paths); !ok || !slices.Equal(paths, c.files) {
			t.Fatalf("files of %s: %v", name, paths)
		}
		if run.Tags["mlflow.source.type"] != "JOB" || run.Tags["mlflow.source.name"] != "movie_training_pipeline" || run.Tags["mlflow.user"] != "trainer" || run.Tags["projectionist.workflow_run"] != id || !strings.Contains(run.Tags["mlflow.note.content"], prepared["cut"]) {
			t.Errorf("tags of %s: %v", name, run.Tags)
		}
		d := given[run.RunID]
		var source struct{ Cut, SHA256 string }
		must(t, json.Unmarshal([]byte(d.Source), &source))
		if d.Name != c.input || len(d.Digest) != 16 || !strings.HasPrefix(prepared["blob"], d.Digest) || source.Cut != prepared["cut"] || source.SHA256 != prepared["blob"] ||
			!strings.Contains(d.Schema, c.column) || d.Tags["mlflow.data.context"] != "training" || !strings.Contains(d.Profile, `"num_rows"`) {
			t.Errorf("%s was given %+v", name, d)
		}
		file, err := b.blobs.Get(blobOf(&run, "model/MLmodel"))
		must(t, err)
		said := lines(string(file))
		if said["data"] != name+".bin" || said["sha256"] != blobOf(&run, "model/"+name+".bin") || said["run_id"] != run.RunID || said["artifact_path"] != "model" {
			t.Errorf("MLmodel of %s:\n%s", name, file)
		}
		for part, column := range map[string]string{"inputs": c.in, "outputs": c.out} {
			var columns []struct{ Name, Type string }
			must(t, json.Unmarshal([]byte(said[part]), &columns))
			if len(columns) == 0 || !strings.Contains(fmt.Sprint(columns), column) {
				t.Errorf("%s of %s: %v", part, name, columns)
			}
		}
	}
	als, _, err := projections.FoldRun(b.log.Ledger().ReadStream(t.Context(), "run/"+react.HashID("run", id, "als"), 0), fold.At{})
	must(t, err)
	raw, err := b.blobs.Get(blobOf(&als, "evaluation/report.json"))
	must(t, err)
	var report struct {
		Algorithm, Cut string
		Figures        map[string]float64
	}
	must(t, json.Unmarshal(raw, &report))
	if report.Algorithm != "als" || report.Cut != prepared["cut"] {
		t.Errorf("report %+v", report)
	}
	for _, name := range slices.Sorted(maps.Keys(report.Figures)) {
		if m, ok := als.Metrics[name]; !ok || float64(m.Value) != report.Figures[name] {
			t.Errorf("%s is %v in the report, %v in the run", name, report.Figures[name], m.Value)
		}
	}
	if len(report.Figures) < 10 {
		t.Errorf("%d figures", len(report.Figures))
	}
}

// lines are the scalars of a file of YAML by their keys, whose quotes are single ones.
func lines(file string) map[string]string {
	all := map[string]string{}
	for line := range strings.Lines(file) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		all[key] = strings.ReplaceAll(strings.Trim(value, "'"), "''", "'")
	}
	return all
}
