package roles_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/handlers/react"
	"github.com/projectionist/projectionist/handlers/roles"
	"github.com/projectionist/projectionist/handlers/workflow"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/ml/features"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/streams"
)

const operatorsWorkflow = `name: all_of_it
params:
  - {name: model, default: als}
  - {name: path, default: sets/ratings.csv}
  - {name: topic, default: user-events}
  - {name: file, default: als.safetensors}
  - {name: definitions, default: ""}
  - {name: of, default: "films, genres, people, ratings"}
tasks:
  - {name: ready, operator: features, with: {path: "{{ params.definitions }}"}}
  - {name: cut, operator: dataset, needs: [ready]}
  - {name: table, operator: export, needs: [cut], with: {what: dataset, dataset: "{{ tasks.cut.dataset_id }}", path: "{{ params.path }}"}}
  - {name: weights, operator: export, needs: [table], with: {what: model, model: "{{ params.model }}", path: "{{ params.file }}"}}
  - {name: acts, operator: export, needs: [weights], with: {what: topic, topic: "{{ params.topic }}", path: acts.jsonl}}
  - {name: tried, operator: try, needs: [acts], with: {model: "{{ params.model }}", people: 7, k: 3}}
  - {name: check, operator: drift, needs: [tried], with: {least: 100, of: "{{ params.of }}"}}
`

// ranks gives every second person the same list by all, and others another one by the version that is tried.
func ranks(_ context.Context, model string, version int, user string, k int) (films []string, by string, err error) {
	if model != "" && version != 1 {
		return nil, "", fault.New(fault.NotFound, "no version %d", version)
	}
	for i := range k {
		films = append(films, strconv.Itoa(i))
	}
	if n, _ := strconv.Atoi(user); model != "" && n%2 == 1 {
		films[k-1] = "other"
	}
	return films, "als/1", nil
}

// operators are a bench with a trained version, on which the operators are tried.
func operators(t *testing.T) (b *bench, d *recorder, own roles.Config, run func(conf map[string]string) *projections.WorkflowRun) {
	b = newBench(t)
	d = &recorder{b: b, steps: map[string][]string{}}
	c := b.config(t.TempDir(), d)
	own = b.roles(c.Dir)
	own.Rank = ranks
	own.Publish = func(ctx context.Context, facts []commands.Fact, m handlers.Meta) (handlers.Published, error) {
		d.mu.Lock()
		d.facts = append(d.facts, strings.ReplaceAll(m.IdempotencyKey, m.Causation, "<cause>")+" of "+m.Correlation+" by "+m.Actor)
		d.mu.Unlock()
		return b.outer.Publish(ctx, facts, m)
	}
	c.Lease, c.Heartbeat = time.Hour, 59*time.Minute // no renewal but with a checkpoint
	c.Feed = b.log.Feed()
	b.run(b.reactorsWith(c, own))
	if trained := b.waitEnded(b.importWorld(2000)); trained.State != "success" {
		t.Fatal(trained.Reason)
	}
	d.mu.Lock()
	d.steps = map[string][]string{}
	d.mu.Unlock()
	def, err := workflow.Parse([]byte(operatorsWorkflow), roles.Operators())
	must(t, err)
	b.dispatch(&commands.DefineWorkflow{Workflow: def.Name, Source: def.Source(), Hash: def.Hash()})
	n := 0
	return b, d, own, func(conf map[string]string) *projections.WorkflowRun {
		t.Helper()
		n++
		id := fmt.Sprint("r", n)
		b.dispatch(&commands.RequestWorkflowRun{RunID: id, Workflow: def.Name, RunType: "manual", Conf: conf})
		ended := b.waitEnded(id)
		return &ended
	}
}

// TestOperators: features that are up to date, exports that are what the log has, a try that says what differs, a check of drift that has too little and one that raises an
// alert, by which a model is trained again; and under which keys their commands are said.
func TestOperators(t *testing.T) {
	b, d, own, run := operators(t)
	r := run(nil)
	if r.State != "success" {
		t.Fatalf("%s\n%+v", r.Reason, r.Tasks)
	}
	ready, cut := r.TaskOf("ready").Output, r.TaskOf("cut").Output
	definitions, err := features.Parse([]byte(features.DefaultYAML()))
	must(t, err)
	if ready["features_hash"] != definitions.Hash() || ready["views"] != strconv.Itoa(len(definitions.Views)) || ready["cut"] == "" || ready["features"] == "0" {
		t.Errorf("%v", ready)
	}
	read := func(out map[string]string) []byte {
		t.Helper()
		raw, err := os.ReadFile(filepath.Join(out["folder"], filepath.FromSlash(out["path"])))
		must(t, err)
		if sum := sha256.Sum256(raw); hex.EncodeToString(sum[:]) != out["sha256"] || strconv.Itoa(len(raw)) != out["bytes"] || out["folder"] != own.Dir {
			t.Errorf("%v", out)
		}
		return raw
	}
	table, err := csv.NewReader(bytes.NewReader(read(r.TaskOf("table").Output))).ReadAll()
	must(t, err)
	if got := r.TaskOf("table").Output; got["path"] != "data/exports/sets/ratings.csv" || got["rows"] != cut["rows"] || strconv.Itoa(len(table)-1) != cut["rows"] || got["cut"] != cut["cut"] {
		t.Errorf("%v of %v", got, cut)
	}
	if head := table[0]; head[0] != "user_id" || head[len(head)-1] != "rating" || len(table[1]) != len(head) || len(head) < 10 {
		t.Errorf("%v", head)
	}
	file, err := ml.DecodeSafetensors(read(r.TaskOf("weights").Output))
	must(t, err)
	if len(file.Tensors) == 0 {
		t.Errorf("%+v", file)
	}
	lines := 0
	for s := bufio.NewScanner(bytes.NewReader(read(r.TaskOf("acts").Output))); s.Scan(); lines++ {
		var line struct {
			Position string
			Value    events.Interaction
			Headers  map[string]string
		}
		if err := json.Unmarshal(s.Bytes(), &line); err != nil || !strings.HasPrefix(line.Position, "user-events/") || line.Value.UserID == "" || line.Headers["ce_type"] != "user.interaction" && line.Headers["ce_type"] == "" {
			t.Fatalf("%s: %v", s.Text(), err)
		}
	}
	if lines != 2000 || r.TaskOf("acts").Output["rows"] != "2000" {
		t.Errorf("%d lines", lines)
	}
	tried := r.TaskOf("tried").Output
	same, _ := strconv.Atoi(tried["same"])
	if tried["people"] != "7" || tried["model"] != "als" || tried["version"] != "1" || tried["serving"] != "als/1" || same == 0 || same == 7 || tried["same_first"] != "1" ||
		tried["films"] != "4" || tried["films_only_tried"] != "1" || tried["serving_films"] != "3" || tried["overlap_least"] != strconv.FormatFloat(2./3, 'g', -1, 64) {
		t.Errorf("%v", tried)
	}
	if check := r.TaskOf("check").Output; check["measured"] != "false" || check["alert"] != "false" || check["acts"] != "0" || check["model"] != "als" || check["version"] != "1" || !strings.Contains(check["reason"], "of 100") {
		t.Errorf("%v", check)
	}

	// More of the same is no drift; what comes by people and of films that the model does not know is.
	same2 := b.choices(2300)[2000:]
	_, err = b.outer.PublishMany(t.Context(), events.UserEventsTopic, same2, handlers.Meta{})
	must(t, err)
	mine := strings.Replace(features.DefaultYAML(), "half_life: 30d", "half_life: 20d", 1)
	changed, err := features.Parse([]byte(mine))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(own.Dir, "mine.yaml"), []byte(mine), 0o600))
	second := run(map[string]string{"of": "films, genres, ratings", "definitions": "mine.yaml"})
	if got := second.TaskOf("ready").Output["features_hash"]; got != changed.Hash() || got == definitions.Hash() || second.TaskOf("cut").Output["features_hash"] != got {
		t.Errorf("by %s; want %s", got, changed.Hash())
	}
	check := second.TaskOf("check").Output
	if check["measured"] != "true" || check["alert"] != "false" || check["acts"] != "300" || check["reference_acts"] != "2000" || check["drift.ratings"] == "" {
		t.Errorf("%v", check)
	}
	low, err := strconv.ParseFloat(check["drift_score"], 64)
	must(t, err)
	var strange []handlers.Identified
	for i := range 900 {
		strange = append(strange, handlers.Identified{ID: fmt.Sprint("new-", i), Fact: &commands.RecordInteraction{Interaction: events.Interaction{
			UserID: fmt.Sprint("new", i%90), MovieID: fmt.Sprint("unheard", i%40), Kind: "rating", Rating: .5, Timestamp: events.FormatTime(time.Date(2025, 2, 1, 0, 0, i, 0, time.UTC))}}})
	}
	_, err = b.outer.PublishMany(t.Context(), events.UserEventsTopic, strange, handlers.Meta{})
	must(t, err)
	check = run(nil).TaskOf("check").Output
	high, err := strconv.ParseFloat(check["drift_score"], 64)
	must(t, err)
	if check["alert"] != "true" || check["acts"] != "1200" || high < .3 || low >= .3 || check["alert_position"] != "model-drift-alerts/0@0" {
		t.Fatalf("%v, after %v", check, low)
	}
	if want := "evaluator/<cause>/check/alert/" + react.HashID(check["until"]) + " of r3 by reactor:evaluator"; len(d.facts) != 1 || d.facts[0] != want {
		t.Errorf("%q; want %q", d.facts, want)
	}
	d.check("testdata/steps_operators.txt", " of r1")
	var alert events.ModelDrift
	for rec, err := range b.log.Feed().Read(t.Context(), driftAlerts, 0) {
		must(t, err)
		must(t, json.Unmarshal(rec.Value, &alert))
	}
	if alert.ModelName != "als" || alert.ModelVersion != "1" || alert.DriftScore != high || alert.Threshold != .3 || alert.Metrics["feature_drift"] != high || alert.Metrics["drift_people"] == 0 {
		t.Errorf("%+v", alert)
	}
	for end := time.Now().Add(5 * time.Minute); ; time.Sleep(10 * time.Millisecond) {
		asked := all[events.WorkflowRunRequested](b)
		if last := asked[len(asked)-1]; last.Triggered != nil {
			if last.Workflow != roles.TrainingPipeline || last.Triggered.EventID != check["alert_id"] || last.Conf["algorithm"] != "als" {
				t.Errorf("%+v", last)
			}
			b.waitEnded(last.RunID)
			return
		}
		if time.Now().After(end) {
			t.Fatal("nothing is trained")
		}
	}
}

// TestOperatorsRefuse: what cannot be is said at the first try, with the field and what to do; and no file is written beside its folder.
func TestOperatorsRefuse(t *testing.T) {
	_, _, own, run := operators(t)
	out := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(own.Dir, "data", "exports"), 0o700))
	must(t, os.Symlink(out, filepath.Join(own.Dir, "data", "exports", "link")))
	must(t, os.MkdirAll(filepath.Join(own.Dir, "folder.yaml"), 0o700))
	must(t, os.WriteFile(filepath.Join(out, "out.yaml"), []byte("secret: 7\n"), 0o600))
	must(t, os.Symlink(filepath.Join(out, "out.yaml"), filepath.Join(own.Dir, "link.yaml")))
	must(t, os.WriteFile(filepath.Join(own.Dir, "bad.yaml"), []byte("entities: 7\n"), 0o600))
	for _, c := range []struct {
		conf map[string]string
		task string
		says string
	}{
		{map[string]string{"definitions": "nowhere.yaml"}, "ready", "path: "},
		{map[string]string{"definitions": "bad.yaml"}, "ready", "cannot be used"},
		{map[string]string{"definitions": "data"}, "ready", "want a .yaml file"},
		{map[string]string{"definitions": "folder.yaml"}, "ready", "is no file"},
		{map[string]string{"definitions": "../out.yaml"}, "ready", "path: "},
		{map[string]string{"definitions": "link.yaml"}, "ready", "path: "},
		{map[string]string{"path": "../../END"}, "table", "leads out of data/exports"},
		{map[string]string{"path": "/etc/passwd"}, "table", "leads out of data/exports"},
		{map[string]string{"path": "a/../../b.csv"}, "table", "leads out of data/exports"},
		{map[string]string{"path": "sets/.hidden"}, "table", "begins with a dot"},
		{map[string]string{"path": "sets/"}, "table", "name of a file"},
		{map[string]string{"path": "link/stolen.csv"}, "table", "and link is a link"},
		{map[string]string{"model": "nope"}, "weights", `no model "nope"`},
		{map[string]string{"file": "als.onnx"}, "weights", "als is no graph of ONNX; those of neural_cf, "},
		{map[string]string{"topic": "gossip"}, "acts", "want one of mlops-events, user-events"},
		{map[string]string{"of": "moods"}, "check", "want some of films, genres, people, ratings, kinds"},
	} {
		r := run(c.conf)
		task := r.TaskOf(c.task)
		if strings.Contains(task.Error, "secret") || r.State != "failed" || task.State != "failed" || task.Try != 1 || !strings.Contains(task.Error, c.says) {
			t.Errorf("%v: %s of %s after %d tries: %s; want %q", c.conf, task.State, c.task, task.Try, task.Error, c.says)
		}
	}
	if left, err := os.ReadDir(out); err != nil || len(left) != 1 {
		t.Errorf("%v, %v", left, err)
	}
}

// TestExportedGraph: weights whose path ends so are a graph.
func TestExportedGraph(t *testing.T) {
	_, _, own, run := operators(t)
	r := run(map[string]string{"model": "movie_predictor", "file": "sets/baseline.ONNX"})
	out := r.TaskOf("weights").Output
	raw, err := os.ReadFile(filepath.Join(own.Dir, "data", "exports", "sets", "baseline.ONNX"))
	must(t, err)
	if out["path"] != "data/exports/sets/baseline.ONNX" || out["bytes"] != strconv.Itoa(len(raw)) || out["model"] != "movie_predictor" || !bytes.Contains(raw, []byte("Gemm")) {
		t.Errorf("%v, %d bytes", out, len(raw))
	}
}

var driftAlerts = streams.TP{Topic: events.DriftAlertsTopic}
