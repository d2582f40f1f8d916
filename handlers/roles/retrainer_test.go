package roles_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/handlers/roles"
	"github.com/projectionist/projectionist/streams"
)

// retrainer reacts to alerts of the bench's log, in a folder, until stop.
func (b *bench) retrainer(dir string) (stop func()) {
	must(b.t, os.MkdirAll(filepath.Join(dir, "reactors"), 0o700))
	r := &roles.Retrainer{Feed: b.log.Feed(), Ledger: b.log.Ledger(), Views: b.runner, Dispatcher: b.outer, Dir: dir}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); r.Run(ctx) }()
	stop = func() { cancel(); <-ended }
	b.t.Cleanup(stop)
	return stop
}

// alert publishes one of a model, with the threshold .7, and waits until all have done with it.
func (b *bench) alert(model string, score float64) {
	b.t.Helper()
	_, err := b.outer.Publish(b.t.Context(), []commands.Fact{&commands.PublishDrift{ModelDrift: events.ModelDrift{ModelName: model, DriftScore: score, Threshold: .7}}}, handlers.Meta{Actor: "test"})
	must(b.t, err)
	synctest.Wait()
}

func (b *bench) driftRuns() (runs []*events.WorkflowRunRequested) {
	return all[events.WorkflowRunRequested](b)
}

// TestDriftRetrains: an alert that has reached its threshold asks for a training run, once, whoever sees it and however
// often; those that come while that run goes on ask for nothing, the next one does.
func TestDriftRetrains(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		dir := t.TempDir()
		stop := b.retrainer(dir)
		want := func(n int, when string) []*events.WorkflowRunRequested {
			t.Helper()
			runs := b.driftRuns()
			if len(runs) != n {
				t.Fatalf("%s: %d runs; want %d", when, len(runs), n)
			}
			return runs
		}
		end := func(run *events.WorkflowRunRequested) {
			t.Helper()
			time.Sleep(time.Second)
			b.dispatch(&commands.EndWorkflowRun{RunID: run.RunID, State: "failed", Reason: "by the test"})
			time.Sleep(time.Second)
		}
		b.alert("movie_predictor", .69)
		must(t, b.log.Feed().Publish(t.Context(), events.DriftAlertsTopic, []streams.Record{{Value: []byte(`{"model_name":"movie_predictor"}`)}}))
		synctest.Wait()
		want(0, "below the threshold, or without a score")
		b.alert("movie_predictor", .85)
		first := want(1, "above the threshold")[0]
		if first.Workflow != roles.TrainingPipeline || first.RunType != "triggered" || len(first.Conf) != 0 ||
			!strings.Contains(first.Note, "movie_predictor: 0.85 has reached the threshold 0.7, says the alert model-drift-alerts/0@2") {
			t.Errorf("%+v", first)
		}
		for range 3 {
			b.alert("movie_predictor", .9)
		}
		want(1, "while the first run goes on")
		end(first)
		stop()
		b.alert("popularity", .7)
		want(1, "while nobody reacts")
		stop = b.retrainer(dir)
		synctest.Wait()
		if second := want(2, "at the next start")[1]; second.Conf["algorithm"] != "popularity" {
			t.Errorf("of a recipe's model: %+v", second)
		}
		end(b.driftRuns()[1])
		stop()

		// Another node, and one whose place is lost, come to the same.
		for name, place := range map[string]string{"nothing": "", "garbage": "{", "beyond": `{"format":"projectionist-retrainer 1","offset":1000}`} {
			dir := t.TempDir()
			if place != "" {
				must(t, os.MkdirAll(filepath.Join(dir, "reactors"), 0o700))
				must(t, os.WriteFile(filepath.Join(dir, "reactors", "retrainer.place"), []byte(place), 0o600))
			}
			stop := b.retrainer(dir)
			synctest.Wait()
			want(2, name)
			stop()
		}

		// What cannot be read, or has a name that anyone may have written, holds up nobody.
		stop = b.retrainer(dir)
		rec := streams.Record{Value: []byte("{")}
		must(t, b.log.Feed().Publish(t.Context(), events.DriftAlertsTopic, []streams.Record{rec,
			{Value: fmt.Appendf(nil, `{"model_name":"%s","drift_score":2,"threshold":1}`, strings.Repeat("é", 1000))}}))
		synctest.Wait()
		if third := want(3, "after a record that cannot be read")[2]; len(third.Note) > 400 {
			t.Errorf("a note of %d bytes", len(third.Note))
		}
		stop()
	})
}
