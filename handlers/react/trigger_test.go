package react_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/handlers/react"
	"github.com/projectionist/projectionist/internal/racing"
)

// publish writes facts and waits until all have done with them.
func (b *bench) publish(facts ...commands.Fact) {
	b.Helper()
	_, err := b.outer.Publish(b.Context(), facts, handlers.Meta{Actor: "test"})
	b.must(err)
	synctest.Wait()
}

func (b *bench) drift(model string, score float64) {
	b.Helper()
	b.publish(&commands.PublishDrift{ModelDrift: events.ModelDrift{ModelName: model, DriftScore: score, Threshold: .7, Metrics: map[string]float64{"accuracy_drop": .1}}})
}

// rated publishes n ratings, each of another person.
func (b *bench) rated(n int) {
	b.Helper()
	var facts []commands.Fact
	for i := range n {
		facts = append(facts, &commands.RecordInteraction{Interaction: events.Interaction{UserID: fmt.Sprint("u", i), MovieID: "m", Kind: "rating", Rating: 3}})
	}
	b.publish(facts...)
}

// triggered are the runs that triggers have asked for, in their order.
func (b *bench) triggered() (runs []*events.WorkflowRunRequested) {
	for _, e := range all[events.WorkflowRunRequested](b) {
		if e.Triggered != nil {
			runs = append(runs, e)
		}
	}
	return runs
}

// process is one whose triggers look at the bench's facts.
func (b *bench) process(dir string) (r *react.Reactors, stop func()) {
	c := b.config(dir, nil)
	c.Feed, c.Holder = b.log.Feed(), ""
	return b.run(c, roles(well, well, nil))
}

// TestTrigger goes through an alert that begins, goes on and ceases: a run for each beginning, whose conf is of the event, with
// cooldown and budget; and what is not fired is said why.
func TestTrigger(t *testing.T) {
	bubble(t, func(b *bench) {
		b.define(`name: retrain
params: [{name: model, default: ""}, {name: drop, type: number, default: 0}]
triggers:
  - {name: drift, event: model.drift, when: event.drift_score >= event.threshold, hysteresis: 6h, by: event.model_name, cooldown: 10m, budget: 3 per 1d,
     conf: {model: "{{ event.model_name }}", drop: "{{ event.metrics.accuracy_drop }}"}}
tasks: [{name: stir, operator: stir}]
`)
		r, stop := b.process(b.TempDir())
		synctest.Wait()
		want := func(runs int, state, reason, last string) *events.WorkflowRunRequested {
			t.Helper()
			all, s := b.triggered(), r.Triggers()[0]
			if len(all) != runs || s.State != state || !strings.Contains(s.Reason, reason) || s.Last == nil && last != "" || s.Last != nil && s.Last.Word != last {
				t.Fatalf("%d runs, %s: %s; last %+v", len(all), s.State, s.Reason, s.Last)
			}
			if runs == 0 {
				return nil
			}
			return all[runs-1]
		}
		want(0, "waiting", "", "")
		b.drift("als", .5)
		want(0, "waiting", "has not begun", "condition false")
		b.drift("als", .8)
		first := want(1, "waiting", "", "counted")
		if tr := first.Triggered; first.RunType != "triggered" || first.Conf["model"] != "als" || first.Conf["drop"] != "0.1" || tr.Position != "model-drift-alerts/0@1" || tr.Counted != 1 || tr.Cut != "model-drift-alerts/0:2" {
			t.Fatalf("%+v %+v", first, tr)
		}
		if run := b.ended(first.RunID); run.State != "success" || run.Triggered == nil {
			t.Errorf("%+v", run)
		}
		b.drift("als", .9)
		want(1, "waiting", "", "condition goes on")
		b.drift("knn", .8) // another subject, while it cools down
		b.drift("als", .1)
		want(1, "cooling_down", "until 2000-01-01T00:10:00Z", "condition has ceased")
		b.drift("knn", .1) // and is well again before that
		want(1, "waiting", "has not begun", "condition has ceased")
		b.drift("als", .8)
		want(1, "cooling_down", "until", "counted")
		time.Sleep(11 * time.Minute)
		synctest.Wait()
		want(2, "waiting", "", "counted")
		time.Sleep(7 * time.Hour) // nobody has said any more that it drifts
		b.drift("als", .8)
		want(3, "waiting", "", "counted")
		time.Sleep(time.Hour)
		b.drift("knn", .8)
		want(3, "over_budget", "3 runs were asked for in 24h0m0s: over budget until 2000-01-02T00:00:00Z", "counted")
		b.dispatch(&commands.PauseWorkflow{Workflow: "retrain"})
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		want(3, "paused", "", "counted")
		stop()
		for _, e := range b.triggered() {
			if run := b.ended(e.RunID); run.State != "success" {
				t.Errorf("%+v", run)
			}
		}
	})
}

// TestTriggerOne: one run at a time, and what comes meanwhile is one run.
func TestTriggerOne(t *testing.T) {
	bubble(t, func(b *bench) {
		b.define("name: learn\ntriggers: [{name: ratings, event: user.interaction, when: event.interaction_type == 'rating' and event.rating >= 3, count: 5}]\ntasks: [{name: knead, operator: knead}]\n")
		r, _ := b.process(b.TempDir())
		b.rated(4)
		if s := r.Triggers()[0]; len(b.triggered()) != 0 || s.Pending != 4 || s.Reason != "4 of 5 events" {
			t.Fatalf("%+v", s)
		}
		b.publish(&commands.RecordInteraction{Interaction: events.Interaction{UserID: "u", MovieID: "m", Kind: "rating", Rating: 2}}, &commands.RecordInteraction{Interaction: events.Interaction{UserID: "u", MovieID: "m", Kind: "click"}})
		if len(b.triggered()) != 0 {
			t.Fatal("what does not fit counts")
		}
		b.rated(1)
		b.rated(7)
		b.settle()
		runs := b.triggered()
		if len(runs) != 2 || runs[0].Triggered.Counted != 5 || runs[1].Triggered.Counted != 7 {
			t.Fatalf("%d runs, %+v", len(runs), runs)
		}
	})
}

// TestTriggerRefused: a run whose conf its workflow does not take ends at once, and says why.
func TestTriggerRefused(t *testing.T) {
	bubble(t, func(b *bench) {
		b.define("name: learn\nparams: [{name: score, type: number, maximum: 1}]\ntriggers: [{name: d, event: model.drift, conf: {score: '{{ event.drift_score }}'}}]\ntasks: [{name: stir, operator: stir}]\n")
		b.process(b.TempDir())
		b.drift("als", 3)
		b.drift("als", .5)
		b.settle()
		runs := b.triggered()
		if len(runs) != 2 {
			t.Fatalf("%d runs", len(runs))
		}
		if run := b.ended(runs[0].RunID); run.State != "failed" || !strings.Contains(run.Reason, "conf.score") || len(run.Tasks) != 0 {
			t.Errorf("%+v", run)
		}
		if run := b.ended(runs[1].RunID); run.State != "success" {
			t.Errorf("%+v", run)
		}
	})
}

// TestTriggerLedger: events of the ledger trigger too, those of before the definition do not; and a workflow may follow another.
func TestTriggerLedger(t *testing.T) {
	bubble(t, func(b *bench) {
		b.list("1")
		b.define("name: after\ntriggers: [{name: film, event: movie.listed}, {name: bread, event: workflow.run_ended, when: event.state == 'success' and event.run_id == 'r1'}]\ntasks: [{name: stir, operator: stir}]\n")
		b.process(b.TempDir())
		b.list("2")
		b.request("r1")
		b.settle()
		var got []string
		for _, e := range b.triggered() {
			got = append(got, e.Triggered.Trigger+" "+e.Triggered.Type)
		}
		if slices.Sort(got); !slices.Equal(got, []string{"bread workflow.run_ended", "film movie.listed"}) {
			t.Errorf("%v", got)
		}
	})
}

// TestTriggerExact has processes come and go, die, lose what they kept, and definitions be put in force again, while facts come in: the runs that were
// asked for and what is left over are for each fact once.
func TestTriggerExact(t *testing.T) {
	for seed := range uint64(racing.Rounds(6)) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			bubble(t, func(b *bench) {
				rnd := rand.New(rand.NewPCG(seed, 1))
				source := "name: learn\n%s\ntriggers: [{name: ratings, event: user.interaction, count: 7, cooldown: 2s}]\ntasks: [{name: stir, operator: stir}]\n"
				b.define(fmt.Sprintf(source, "description: one"))
				type process struct {
					r    *react.Reactors
					stop func()
					dead *mortal
				}
				dirs, running := []string{b.TempDir(), b.TempDir(), b.TempDir()}, map[int]process{}
				total := int64(0)
				for range 60 {
					i := rnd.IntN(len(dirs))
					switch p, up := running[i]; {
					case !up:
						switch rnd.IntN(3) {
						case 0:
							b.must(os.RemoveAll(filepath.Join(dirs[i], "reactors", "triggers.json")))
						case 1:
							b.must(os.MkdirAll(filepath.Join(dirs[i], "reactors"), 0o700))
							b.must(os.WriteFile(filepath.Join(dirs[i], "reactors", "triggers.json"), []byte("{"), 0o600))
						}
						dead := &mortal{Dispatcher: b.outer}
						c := b.config(dirs[i], dead)
						c.Feed = b.log.Feed()
						r, stop := b.run(c, roles(well, well, nil))
						running[i] = process{r, stop, dead}
					case rnd.IntN(3) == 0:
						p.dead.dead.Store(rnd.IntN(2) == 0)
						p.stop()
						delete(running, i)
					case rnd.IntN(6) == 0:
						b.define(fmt.Sprintf(source, fmt.Sprint("description: v", rnd.IntN(1000))))
					}
					n := rnd.IntN(12)
					total += int64(n)
					b.rated(n)
					time.Sleep(time.Duration(rnd.IntN(3000)) * time.Millisecond)
				}
				for i, p := range running {
					p.stop()
					delete(running, i)
				}
				r, _ := b.process(b.TempDir())
				b.settle()
				counted := r.Triggers()[0].Pending
				for _, e := range b.triggered() {
					counted += e.Triggered.Counted
					if e.Triggered.Counted < 7 {
						t.Errorf("a run for %d events", e.Triggered.Counted)
					}
				}
				if counted != total {
					t.Errorf("%d facts were published, and %d counted", total, counted)
				}
				if len(b.triggered()) < 5 {
					t.Errorf("%d runs", len(b.triggered()))
				}
			})
		})
	}
}
