package roles_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/handlers/roles"
	recipes "github.com/projectionist/projectionist/ml/recipe/all"
	"github.com/projectionist/projectionist/streams"
)

// watching runs this process's roles, with triggers that look at facts.
func (b *bench) watching() (stop func()) {
	b.t.Helper()
	c := b.config(b.t.TempDir(), nil)
	c.Feed = b.log.Feed()
	return b.run(b.reactors(c))
}

// alert publishes one of a model, with the threshold .7, and waits until all have done with it.
func (b *bench) alert(model string, score float64) {
	b.t.Helper()
	b.facts(&commands.PublishDrift{ModelDrift: events.ModelDrift{ModelName: model, DriftScore: score, Threshold: .7}})
}

func (b *bench) facts(facts ...commands.Fact) {
	b.t.Helper()
	_, err := b.outer.Publish(b.t.Context(), facts, handlers.Meta{Actor: "test"})
	must(b.t, err)
	time.Sleep(time.Second)
	synctest.Wait()
}

// TestDriftRetrains: an alert that has reached its threshold asks for a training run, and not again while it goes on; a model that is
// named as a recipe is trained by that.
func TestDriftRetrains(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.watching()
		synctest.Wait()
		want := func(n int, when string) *events.WorkflowRunRequested {
			t.Helper()
			runs := all[events.WorkflowRunRequested](b)
			if len(runs) != n {
				t.Fatalf("%s: %d runs; want %d", when, len(runs), n)
			}
			if n == 0 {
				return nil
			}
			return runs[n-1]
		}
		b.alert("movie_predictor", .69)
		b.facts(&commands.PublishDrift{ModelDrift: events.ModelDrift{ModelName: "movie_predictor"}})
		must(t, b.log.Feed().Publish(t.Context(), events.DriftAlertsTopic, []streams.Record{{Value: []byte("{")}}))
		want(0, "below the threshold, without a score, or not to be read")
		b.alert("movie_predictor", .85)
		first := want(1, "above the threshold")
		if first.Workflow != roles.TrainingPipeline || len(first.Conf) != 0 || first.Triggered.Position != "model-drift-alerts/0@3" {
			t.Errorf("%+v %+v", first, first.Triggered)
		}
		b.alert("movie_predictor", .9)
		want(1, "while it goes on")
		b.alert("popularity", .7)
		if second := want(2, "of a recipe's model"); second.Conf["algorithm"] != "popularity" {
			t.Errorf("%+v", second)
		}
		must(t, b.log.Feed().Publish(t.Context(), events.DriftAlertsTopic, []streams.Record{{Value: fmt.Appendf(nil, `{"model_name":"%s","drift_score":2,"threshold":1}`, strings.Repeat("é", 400))}}))
		time.Sleep(11 * time.Minute)
		synctest.Wait()
		want(3, "of another model, after the cooldown")
	})
}

// TestDriftRecipes: the triggers know every recipe by name.
func TestDriftRecipes(t *testing.T) {
	for _, d := range roles.Definitions() {
		for i := range d.Triggers {
			if tr := &d.Triggers[i]; tr.Event == "model.drift" {
				for _, r := range recipes.Recipes() {
					if !strings.Contains(tr.When.String(), `event.model_name == "`+r.Name+`"`) {
						t.Errorf("%s of %s does not know %s", tr.Name, d.Name, r.Name)
					}
				}
			}
		}
	}
}

// TestOverloadNotifies: a service that is not well is told of, once while it goes on.
func TestOverloadNotifies(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.watching()
		say := func(status string) {
			b.facts(&commands.PublishHealth{SystemHealth: events.SystemHealth{ServiceName: "movie-api", Status: status, CPUUsage: 95, MemoryUsage: 88.5}})
		}
		say("ok")
		say("degraded")
		say("degraded")
		var told []string
		for _, e := range all[events.TaskSucceeded](b) {
			told = append(told, e.Output["message"])
		}
		if len(told) != 1 || told[0] != "movie-api is degraded: CPU 95 %, memory 88.5 %" {
			t.Errorf("%q", told)
		}
	})
}
