package roles_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/handlers/react"
	"github.com/projectionist/projectionist/handlers/roles"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/projections/trainset"
)

func tuning(algorithm string) roles.Tuning {
	return roles.Tuning{Training: roles.Training{Algorithm: algorithm, Actor: "user:anna", Request: "r1"}, Trials: 5, Seed: 3, Parallel: 2}
}

// dying is a process that is killed after so many commands: nothing it does later has any effect.
type dying struct {
	react.Dispatcher
	mu   sync.Mutex
	left int
}

var errKilled = errors.New("killed")

func (d *dying) Dispatch(ctx context.Context, c commands.Command, m handlers.Meta) (handlers.Result, error) {
	d.mu.Lock()
	d.left--
	dead := d.left < 0
	d.mu.Unlock()
	if dead {
		return handlers.Result{}, errKilled
	}
	return d.Dispatcher.Dispatch(ctx, c, m)
}

// A search is a run with runs below it, and what it registers can be trained again from the log.
func TestTune(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.importWorld(2000)
		for _, algorithm := range []string{"popularity", "neural_cf"} {
			x := tuning(algorithm)
			if algorithm == "neural_cf" {
				x.Params = map[string]string{"neural_cf.epochs": "2", "neural_cf.embedding": "4"}
			}
			var tried []roles.Trial
			done, err := b.byHand().Tune(t.Context(), x, roles.Told{}, func(t roles.Trial) { tried = append(tried, t) })
			must(t, err)
			if len(tried) != 5 || done.Trials != 5 || done.Version != 1 || done.Model != algorithm {
				t.Fatalf("%+v after %+v", done, tried)
			}
			best := 0
			for _, trial := range tried {
				if trial.Score == nil || trial.Before || trial.Share != 1 {
					t.Errorf("%+v", trial)
				} else if *trial.Score > *done.Score {
					t.Errorf("%s: trial %d has %v, the best %v", algorithm, trial.Trial, *trial.Score, *done.Score)
				} else if trial.Trial == done.Best {
					best++
					if !maps.Equal(trial.Params, done.Params) {
						t.Errorf("%v, the best %v", trial.Params, done.Params)
					}
				}
				run, _, err := projections.FoldRun(b.log.Ledger().ReadStream(t.Context(), "run/"+trial.RunID, 0), fold.At{})
				must(t, err)
				if run.Status != "FINISHED" || run.Tags["mlflow.parentRunId"] != done.SearchID || float64(run.Metrics["score"].Value) != *trial.Score || run.Params["search.cut"] == "" {
					t.Errorf("%+v", run)
				}
				for name, v := range x.Params {
					if run.Params[name] != v {
						t.Errorf("%s is %s in trial %d", name, run.Params[name], trial.Trial)
					}
				}
			}
			if best != 1 {
				t.Errorf("trial %d is the best of %+v", done.Best, tried)
			}
			parent, _, err := projections.FoldRun(b.log.Ledger().ReadStream(t.Context(), "run/"+done.SearchID, 0), fold.At{})
			must(t, err)
			if parent.Status != "FINISHED" || float64(parent.Metrics["score"].Value) != *done.Score || parent.Params["search.trials"] != "5" {
				t.Errorf("%+v", parent)
			}
			m, _, err := projections.FoldModel(b.log.Ledger().ReadStream(t.Context(), "model/"+algorithm, 0), fold.At{})
			must(t, err)
			v := m.Version(1)
			for name, value := range done.Params {
				if v.Params[name] != value {
					t.Errorf("the version has %s %s, the best trial %s", name, v.Params[name], value)
				}
			}
			if v.DatasetCut != parent.Params["search.cut"] {
				t.Errorf("trained on %s, searched on %s", v.DatasetCut, parent.Params["search.cut"])
			}
			if again, err := trainset.Rebuild(t.Context(), b.log, &v.ModelVersionRegistered, nil); err != nil || again.SHA256 != done.Blob {
				t.Errorf("trained again to %+v: %v", again, err)
			}
		}
		// The same again is another search, with the same outcome.
		again, err := b.byHand().Tune(t.Context(), tuning("popularity"), roles.Told{}, func(trial roles.Trial) {
			if trial.Before {
				t.Errorf("%+v", trial)
			}
		})
		must(t, err)
		if again.Version != 2 {
			t.Errorf("%+v", again)
		}
		if n := len(all[events.ModelDeployed](b)); n != 0 {
			t.Errorf("%d deployments", n)
		}
	})
}

// Killed after any of its commands, the same search goes on with what was found, and comes to what it would have come to.
func TestTune_Killed(t *testing.T) {
	var want *roles.Tuned
	commandsOf := 0
	bubble(t, func(t *testing.T, b *bench) {
		b.importWorld(2000)
		h := b.byHand()
		d := &dying{Dispatcher: h.Dispatcher, left: 1 << 30}
		h.Dispatcher = d
		var err error
		want, err = h.Tune(t.Context(), tuning("popularity"), roles.Told{}, func(roles.Trial) {})
		must(t, err)
		commandsOf = 1<<30 - d.left
	})
	if commandsOf < 20 {
		t.Fatalf("%d commands", commandsOf)
	}
	bubble(t, func(t *testing.T, b *bench) {
		b.importWorld(2000)
		kills, versions := 0, 0
		for left := 1; ; left++ { // ever later, of one search
			h := b.byHand()
			h.Dispatcher = &dying{Dispatcher: b.outer, left: left}
			trained, before := map[string]bool{}, 0
			done, err := h.Tune(t.Context(), tuning("popularity"), roles.Told{}, func(x roles.Trial) {
				if trained[x.RunID] {
					t.Errorf("%+v is told twice", x)
				}
				trained[x.RunID] = true
				if x.Before {
					before++
				}
			})
			if errors.Is(err, errKilled) || err != nil && strings.Contains(err.Error(), errKilled.Error()) {
				kills++
				continue
			}
			must(t, err)
			versions++
			if done.Best != want.Best || *done.Score != *want.Score || done.Blob != want.Blob || done.Version != 1 {
				t.Errorf("%+v; want %+v", done, want)
			}
			if before == 0 {
				t.Error("nothing of what was found before is taken")
			}
			break
		}
		if kills < 3 {
			t.Errorf("%d kills", kills)
		}
		finished := map[string]int{}
		for _, e := range all[events.RunEnded](b) {
			finished[fmt.Sprint(e.RunID, e.Status)]++
		}
		for run, n := range finished {
			if n > 1 {
				t.Errorf("%s %d times", run, n)
			}
		}
		if n := len(all[events.ModelVersionRegistered](b)); n != 1 || versions != 1 {
			t.Errorf("%d versions", n)
		}
		scores := 0
		for _, e := range all[events.RunMetricsLogged](b) {
			for _, m := range e.Metrics {
				if m.Key == "score" {
					scores++
				}
			}
		}
		if most := 5 + 1 + kills; scores < 6 || scores > most { // at a kill right between score and end it is logged again
			t.Errorf("%d scores of 5 trials and the search, %d kills", scores, kills)
		}
	})
}

// Who goes away leaves a search that is killed, and finds it again.
func TestTune_CutOff(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.importWorld(2000)
		ctx, cancel := context.WithCancel(t.Context())
		told := 0
		_, err := b.byHand().Tune(ctx, tuning("popularity"), roles.Told{}, func(roles.Trial) {
			if told++; told == 2 {
				cancel()
			}
		})
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		killed := 0
		for _, e := range all[events.RunEnded](b) {
			if e.Status == "KILLED" {
				killed++
			}
		}
		if killed == 0 {
			t.Error("the search says nothing of its end")
		}
		before := 0
		done, err := b.byHand().Tune(t.Context(), tuning("popularity"), roles.Told{}, func(x roles.Trial) {
			if x.Before {
				before++
			}
		})
		must(t, err)
		if done.Version != 1 || before < 2 {
			t.Errorf("%+v, %d trials from before", done, before)
		}
	})
}

// failing is a dispatcher of which one command is refused, by a disk that is full for a moment.
type failing struct {
	*handlers.Dispatcher
	metrics atomic.Int64 // before the one that is refused
}

func (d *failing) Dispatch(ctx context.Context, c commands.Command, m handlers.Meta) (handlers.Result, error) {
	if _, ok := c.(*commands.LogMetrics); ok {
		if d.metrics.Add(-1) == 0 {
			return handlers.Result{}, errKilled
		}
	}
	return d.Dispatcher.Dispatch(ctx, c, m)
}

// What fails for a moment ends no search: the same again goes on with what was tried. Of trials at once, one that had its score may not have
// had its end, and one may have ended after.
func TestTune_GoesOnAfterAnError(t *testing.T) {
	for parallel, want := range map[int][2]int{1: {3, 3}, 2: {2, 4}} {
		bubble(t, func(t *testing.T, b *bench) {
			b.importWorld(2000)
			x := tuning("popularity")
			x.Parallel = parallel
			h := b.byHand()
			d := &failing{Dispatcher: b.outer}
			d.metrics.Store(4)
			h.Dispatcher = d
			if _, err := h.Tune(t.Context(), x, roles.Told{}, func(roles.Trial) {}); !errors.Is(err, errKilled) {
				t.Fatal(err)
			}
			before := 0
			done, err := b.byHand().Tune(t.Context(), x, roles.Told{}, func(x roles.Trial) {
				if x.Before {
					before++
				}
			})
			must(t, err)
			if done.Version != 1 || before < want[0] || before > want[1] {
				t.Errorf("%+v, %d trials from before, %d at once", done, before, parallel)
			}
		})
	}
}

// A search that was purged is made again.
func TestTune_Purged(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.importWorld(2000)
		first, err := b.byHand().Tune(t.Context(), tuning("popularity"), roles.Told{}, func(roles.Trial) {})
		must(t, err)
		for _, c := range []commands.Command{&commands.DeleteRun{RunID: first.SearchID}, &commands.PurgeRun{RunID: first.SearchID}} {
			_, err := b.outer.Dispatch(t.Context(), c, handlers.Meta{Actor: "test"})
			must(t, err)
		}
		again, err := b.byHand().Tune(t.Context(), tuning("popularity"), roles.Told{}, func(roles.Trial) {})
		must(t, err)
		if again.SearchID == first.SearchID || again.Version != 2 {
			t.Errorf("%+v after %+v", again, first)
		}
	})
}

func TestTune_Refusals(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		before := b.head()
		for says, change := range map[string]func(*roles.Tuning){
			"one of als":          func(x *roles.Tuning) { x.Algorithm = "nope" },
			"say what to tune":    func(x *roles.Tuning) { x.Algorithm = "" },
			"want 2 to 1000":      func(x *roles.Tuning) { x.Trials = 1 },
			"want 2 to":           func(x *roles.Tuning) { x.Trials = 1001 },
			"want 1 to 64":        func(x *roles.Tuning) { x.Parallel = 65 },
			"is no parameter of":  func(x *roles.Tuning) { x.Params = map[string]string{"nope": "1"} },
			"no parameter of pop": func(x *roles.Tuning) { x.Params = map[string]string{"popularity.half_life_days": "9"} },
		} {
			x := tuning("popularity")
			change(&x)
			if _, err := b.byHand().Tune(t.Context(), x, roles.Told{}, func(roles.Trial) {}); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), says) {
				t.Errorf("%v; want %q", err, says)
			}
		}
		if n := b.head(); n != before {
			t.Errorf("%d commits of what was refused", n-before)
		}
		if _, err := b.byHand().Tune(t.Context(), tuning("popularity"), roles.Told{}, func(roles.Trial) {}); !fault.Is(err, fault.Conflict) {
			t.Errorf("an empty log: %v", err)
		}
		if n := len(all[events.RunStarted](b)); n != 0 {
			t.Errorf("%d runs", n)
		}
	})
}
