package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers/roles"
	"github.com/projectionist/projectionist/internal/app"
	"github.com/projectionist/projectionist/projections"
)

// asked reads what the program answers to a GET; false where it does not.
func (c *child) asked(path string, into any) bool {
	resp, err := http.Get(c.address + path)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK && json.NewDecoder(resp.Body).Decode(into) == nil
}

// trainings are the runs of the training pipeline, newest first.
func (c *child) trainings() []projections.WorkflowRun {
	var p struct{ Items []projections.WorkflowRun }
	if !c.asked("/api/v1/workflows/runs?workflow="+roles.TrainingPipeline+"&limit=10", &p) {
		return nil
	}
	return p.Items
}

// TestDriftKilled: an alert of drift leads to a training that ends in a model which is promoted or refused, though the program is killed with SIGKILL three times on the
// way: as soon as the run is asked for, when its data is cut, and when the model is trained. The run ends once, no task ends twice, and one command shows all of it from
// the alert on.
func TestDriftKilled(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	world := []string{"--simulate", "users=200,movies=400,events=60000"}
	c := start(t, dir, world...)
	c.ready(t)
	c.until(t, "the first training", func() bool { all := c.trainings(); return len(all) == 1 && all[0].Ended() })

	resp, err := http.Post(c.address+"/api/v1/trigger/model-drift", "application/json", strings.NewReader(`{"model_name":"als","drift_score":0.85,"threshold":0.7}`))
	if err != nil {
		t.Fatal(err)
	}
	var alert struct {
		EventID  string `json:"event_id"`
		Position string `json:"position"`
	}
	err = json.NewDecoder(resp.Body).Decode(&alert)
	resp.Body.Close()
	if err != nil || resp.StatusCode != http.StatusAccepted || alert.Position == "" {
		t.Fatalf("%v, %s, %+v", err, resp.Status, alert)
	}

	// run is the one that the alert asked for, as it is now.
	run := func() (r projections.WorkflowRun, ok bool) {
		for _, r := range c.trainings() {
			if r.Triggered != nil {
				return r, true
			}
		}
		return r, false
	}
	for _, until := range []string{"", "prepare_training_data", "train_movie_model"} {
		var seen projections.WorkflowRun
		c.until(t, "the end of "+until, func() bool {
			r, ok := run()
			seen = r
			return ok && (until == "" || r.TaskOf(until).State == projections.StateSuccess)
		})
		if seen.Ended() {
			t.Fatalf("it is over before it is killed after %q: %s", until, seen.State)
		}
		c.kill()
		c = start(t, dir, world...)
	}
	var ended projections.WorkflowRun
	c.until(t, "the end of the run", func() bool {
		r, ok := run()
		ended = r
		return ok && r.Ended()
	})
	c.ready(t)
	why := exec.Command(os.Args[0], "why", alert.Position, "--server", c.address)
	why.Env, why.Dir = append(os.Environ(), childVariable+"=1"), t.TempDir()
	chain, err := why.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, chain)
	}
	c.stop(t)

	promoted := ended.TaskOf("promote_model").Output
	if ended.State != projections.StateSuccess || promoted["promoted"] != "true" && promoted["promoted"] != "false" || promoted["reason"] == "" || ended.Triggered.EventID != alert.EventID || ended.Triggered.Position != alert.Position {
		t.Errorf("%s %s, %+v: %v", ended.State, ended.Reason, ended.Triggered, promoted)
	}
	t.Logf("promoted: %s, %s\n%s", promoted["promoted"], promoted["reason"], chain)
	want := []string{"model.drift", "workflow.run_requested", "dataset.built", "model.version_registered", "task promote_model succeeded", "workflow.run_ended: workflow run ended: success"}
	if promoted["promoted"] == "true" {
		want = append(want, "model.deployed")
	}
	for _, part := range want {
		if n := bytes.Count(chain, []byte(part)); n == 0 || n > 1 && part != "model.version_registered" { // the baseline is registered too
			t.Errorf("the chain has %q %d times", part, n)
		}
	}
	killed(t, dir, ended.RunID)
}

// killed checks the log of a program that was killed while it worked on a run: of that all has ended once, and views are what the log gives again.
func killed(t *testing.T, dir, id string) {
	t.Helper()
	ctx := context.Background()
	a, err := app.Open(ctx, app.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	ends, tries := map[string]int{}, 0
	for com, err := range a.Log.Ledger().Read(ctx, 0) {
		if err != nil {
			t.Fatal(err)
		}
		for i := range com.Events {
			switch e := com.Events[i].Data.(type) {
			case *events.WorkflowRunRequested:
				if e.Triggered != nil {
					ends["asked for"]++
				}
			case *events.TaskStarted:
				if e.RunID == id {
					tries++
				}
			case *events.TaskSucceeded:
				if e.RunID == id {
					ends[e.Task]++
				}
			case *events.WorkflowRunEnded:
				if e.RunID == id {
					ends["ended"]++
				}
			}
		}
	}
	tasks := []string{"prepare_training_data", "train_movie_model", "evaluate_trained_model", "register_model_to_mlflow", "promote_model"}
	for _, name := range append([]string{"asked for", "ended"}, tasks...) {
		if ends[name] != 1 {
			t.Errorf("%s: %d times", name, ends[name])
		}
	}
	if tries <= len(tasks) {
		t.Errorf("%d tries of %d tasks: no kill met one at work", tries, len(tasks))
	}
	foldedAll(t, a)
	checkEnds(t, a)
	reports, err := a.Views.Verify(ctx, filepath.Join(dir, "scratch"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, rep := range reports {
		if !rep.Equal {
			t.Errorf("view %s differs from its replay: %s", rep.View, rep.Diff)
		}
	}
	t.Logf("%d tries, %d views verified", tries, len(reports))
}
