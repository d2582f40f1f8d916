package roles

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers/react"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/internal/memory"
	"github.com/projectionist/projectionist/ml/recipe"
	"github.com/projectionist/projectionist/ml/recipe/all"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// Tuning is a search for parameters.
type Tuning struct {
	Training     // parameters that are given are not varied
	Trials   int // 2 or more
	Seed     uint64
	Parallel int // trials at once, at most; 1 or more
}

// Trial is a configuration that was tried.
type Trial struct {
	Rung    int                `json:"rung"` // from 1
	Rungs   int                `json:"rungs"`
	Trial   int                `json:"trial"` // from 0, the parameters as they are given
	Share   float64            `json:"share"` // of the people it was tried on
	Score   *float64           `json:"score"` // nil: it could not be trained
	Failed  string             `json:"failed,omitempty"`
	Figures map[string]float64 `json:"figures,omitempty"`
	Params  map[string]string  `json:"params"` // that are varied
	RunID   string             `json:"run_id"`
	Before  bool               `json:"before,omitempty"` // it had been tried before the search was cut off
}

// Tuned is a search that has ended.
type Tuned struct {
	*Registered
	SearchID string            `json:"search_run_id"`
	Trials   int               `json:"trials"`
	Best     int               `json:"best_trial"`
	Score    *float64          `json:"score"`
	Metric   string            `json:"metric"`
	Params   map[string]string `json:"params"` // that are varied, of the best
}

// Tags of the runs of a search.
const (
	tagParent = "mlflow.parentRunId" // as MLflow's pages nest runs
	tagSearch = "projectionist.search"
)

// What the run of a search has as parameters, beside those that are given, and as metrics.
const (
	paramTrials    = "search.trials"
	paramSeed      = "search.seed"
	paramCut       = "search.cut"
	paramAlgorithm = "search.algorithm"
	metricScore    = "score"
)

// searchesMax bounds how many times the same search is done again.
const searchesMax = 10_000

// search is a search under way.
type search struct {
	*hand
	r       *recipe.Recipe
	t       Tuning
	trials  []recipe.Params
	varied  []string
	id      string // of its run
	tell    func(Trial)
	telling sync.Mutex
}

// said tells of a trial.
func (s *search) said(t Trial) {
	s.telling.Lock()
	defer s.telling.Unlock()
	s.tell(t)
}

// Tune searches parameters, each trial a run below one, and registers a version of the best, trained on everything. The same search
// that was cut off, whenever and however, goes on where it was, on the data it began with; one that has ended is a new one. Errors: as of
// Train.
func (b *ByHand) Tune(ctx context.Context, t Tuning, told Told, tell func(Trial)) (*Tuned, error) {
	if t.Algorithm == "" {
		return nil, fault.Field("algorithm", "is needed: say what to tune")
	}
	r, err := all.Find(t.Algorithm)
	if err != nil {
		return nil, err
	}
	switch {
	case t.Trials < 2 || t.Trials > recipe.TrialsMax:
		return nil, fault.Field("trials", "is %d; want 2 to %d", t.Trials, recipe.TrialsMax)
	case t.Parallel < 1 || t.Parallel > parallelMax:
		return nil, fault.Field("parallel", "is %d; want 1 to %d", t.Parallel, parallelMax)
	}
	trials, err := r.Trials(t.Params, t.Trials, t.Seed)
	if err != nil {
		return nil, err
	}
	if len(trials) < 2 {
		return nil, fault.Field("algorithm", "there is no parameter of %s to vary", r.Name).WithHint("give fewer of them with params")
	}
	if told.Progress == nil {
		told.Progress = func(string, int64, int64) {}
	}
	told.Sizes, told.Epoch = func([]recipe.Size) {}, func(Epoch) {}
	s := &search{hand: &hand{ByHand: b, Training: t.Training, told: told}, r: r, t: t, trials: trials, tell: tell}
	for _, d := range r.Searched() {
		if _, given := t.Params[d.Name]; !given {
			s.varied = append(s.varied, d.Name)
		}
	}
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	done, err := s.run(ctx)
	if err != nil {
		return nil, s.stopped(ctx, s.id, err)
	}
	return done, nil
}

// runOf folds a run.
func (s *search) runOf(ctx context.Context, id string) (projections.Run, bool, error) {
	return projections.FoldRun(s.Config.Log.Ledger().ReadStream(ctx, "run/"+id, 0), fold.At{})
}

// taken says whether there ever was a run of this id: one that is not there was purged then.
func (s *search) taken(ctx context.Context, id string) (bool, error) {
	for _, err := range s.Config.Log.Ledger().ReadStream(ctx, "run/"+id, 0) {
		return err == nil, err
	}
	return false, nil
}

// parallelMax bounds how many trials there are at once: each trains on all processors already.
const parallelMax = 64

// Ways in which a run of a search is at rest. One that is cut off in good order is killed, and goes on.
const (
	statusFinished = "FINISHED"
	statusFailed   = "FAILED"
	statusKilled   = "KILLED"
)

// begin finds the run of the same search that has not ended, or starts one, and reads its data.
func (s *search) begin(ctx context.Context) error {
	key := []string{s.r.Name, s.r.Code, strconv.Itoa(s.t.Trials), strconv.FormatUint(s.t.Seed, 10)}
	for _, name := range slices.Sorted(maps.Keys(s.t.Params)) {
		key = append(key, name, s.trials[0][name])
	}
	for n := range searchesMax {
		s.id = react.HashID(append([]string{"search", strconv.Itoa(n)}, key...)...)
		run, there, err := s.runOf(ctx, s.id)
		if err != nil {
			return err
		}
		if there && (run.Status == statusFinished || run.Status == statusFailed || run.Deleted) {
			continue
		}
		if !there {
			if purged, err := s.taken(ctx, s.id); err != nil {
				return err
			} else if purged {
				continue
			}
			return s.start(ctx)
		}
		cut, err := streams.ParseCut(run.Params[paramCut])
		if err != nil {
			return fault.Wrap(fault.Corrupt, err, "parameter %s of run %s", paramCut, s.id)
		}
		if _, err := s.dataAt(ctx, cut); err != nil {
			return err
		}
		s.experiment = run.ExperimentID
		_, err = s.dispatch(ctx, &commands.UpdateRun{RunID: s.id, Status: projections.RunRunning})
		return err
	}
	return fault.New(fault.Conflict, "this search has been done %d times", searchesMax).WithHint("take another seed")
}

func (s *search) start(ctx context.Context) error {
	if _, err := s.data(ctx); err != nil {
		return err
	}
	if err := s.predictable(s.r); err != nil {
		return err
	}
	params := maps.Clone(s.t.Params)
	if params == nil {
		params = map[string]string{}
	}
	params[paramAlgorithm], params[paramTrials], params[paramSeed] = s.r.Name, strconv.Itoa(s.t.Trials), strconv.FormatUint(s.t.Seed, 10)
	params[paramCut] = s.given.Cut
	s.as = named{run: s.id, source: s.source()}
	return s.open(ctx, "tune "+s.r.Name, params)
}

func (s *search) source() string { return "projectionist tune " + s.r.Name }

// errNoTrial ends a search for good. After any other error, of a disk that was full or a blob that was away, the same search goes on.
var errNoTrial = fault.New(fault.Conflict, "no trial could be judged: what was wrong is said by its run")

// stopped closes a run after work that has failed for good, or was cut off: then the same search goes on with it.
func (s *search) stopped(ctx context.Context, id string, err error) error {
	end := &commands.EndRun{RunID: id, Status: statusKilled, Reason: react.Trace(err.Error())}
	if errors.Is(err, errNoTrial) {
		end.Status = statusFailed
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancel()
	_, again := s.dispatch(ctx, end)
	if fault.Is(again, fault.Conflict) {
		return err
	}
	return errors.Join(err, again)
}

func (s *search) run(ctx context.Context) (*Tuned, error) {
	rungs := recipe.Rungs(len(s.trials), len(s.set.Data.Users))
	var last map[int]float64 // scores of the last rung
	best, err := recipe.Find(s.trials, rungs, func(rung int, some []int, share float64) ([]float64, error) {
		scores, err := s.rung(ctx, rung, len(rungs), some, share)
		last = map[int]float64{}
		for i, v := range scores {
			last[some[i]] = v
		}
		return scores, err
	})
	if err != nil {
		return nil, err
	}
	if math.IsNaN(last[best]) {
		return nil, errNoTrial
	}
	s.told.Progress("train the best on everything", 0, 1)
	done, err := s.best(ctx, s.trials[best])
	if err != nil {
		return nil, err
	}
	score := last[best]
	metric := "ndcg@10"
	if s.r.Predicts {
		metric = "-rmse"
	}
	if _, err := s.dispatch(ctx, &commands.LogMetrics{RunID: s.id, Metrics: metricsOf(map[string]float64{metricScore: score, "best_trial": float64(best)}, 0, s.Now())}); err != nil {
		return nil, err
	}
	if _, err := s.dispatch(ctx, &commands.EndRun{RunID: s.id, Status: statusFinished}); err != nil {
		return nil, err
	}
	return &Tuned{Registered: done, SearchID: s.id, Trials: len(s.trials), Best: best, Score: &score, Metric: metric, Params: s.vary(s.trials[best])}, nil
}

// vary are the parameters that are searched.
func (s *search) vary(p recipe.Params) map[string]string {
	some := map[string]string{}
	for _, name := range s.varied {
		some[name] = p[name]
	}
	return some
}

// rung tries some trials, the first that was not tried before by itself, to see what memory one takes, and the others as many at once as may
// be and fit, should they take twice as much.
func (s *search) rung(ctx context.Context, rung, rungs int, some []int, share float64) ([]float64, error) {
	in := s.set.Input().Some(share, s.t.Seed)
	scores := make([]float64, len(some))
	try := func(ctx context.Context, i int) (before bool, err error) {
		t := Trial{Rung: rung + 1, Rungs: rungs, Trial: some[i], Share: share, Params: s.vary(s.trials[some[i]])}
		v, err := s.trial(ctx, &t, in)
		if err != nil {
			return false, err
		}
		scores[i] = v
		s.said(t)
		return t.Before, nil
	}
	parallel := s.t.Parallel
	if parallel > 1 {
		debug.FreeOSMemory() // what is free must not hide what a trial takes
	}
	at := 0
	for before := true; before && at < len(some); at++ {
		end := memory.Watch()
		var err error
		before, err = try(ctx, at)
		most, first := end()
		if err != nil {
			return nil, err
		}
		if free, ok := memory.Free(); ok && !before {
			parallel = min(parallel, 1+int(free/4/max(1, most-first)))
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var mu sync.Mutex
	var failed error
	var workers sync.WaitGroup
	for range min(parallel, len(some)-at) {
		workers.Go(func() {
			for {
				mu.Lock()
				i := at
				at++
				stop := failed != nil || i >= len(some)
				mu.Unlock()
				if stop {
					return
				}
				if _, err := try(ctx, i); err != nil {
					mu.Lock()
					if failed == nil {
						failed = err
					}
					mu.Unlock()
					cancel()
				}
			}
		})
	}
	workers.Wait()
	return scores, failed
}

// trial tries parameters in a run of its own, or takes the score of one that was tried before the search was cut off.
func (s *search) trial(ctx context.Context, t *Trial, in recipe.Input) (float64, error) {
	t.RunID = react.HashID("trial", s.id, strconv.Itoa(t.Rung), strconv.Itoa(t.Trial))
	run, there, err := s.runOf(ctx, t.RunID)
	if err != nil {
		return 0, err
	}
	if there {
		if run.Deleted {
			return 0, fault.New(fault.Conflict, "run %s of the search is deleted", t.RunID).WithHint("restore it, or take another seed")
		}
		t.Before = true
		switch score, ok := run.Metrics[metricScore]; {
		case run.Status == statusFinished && ok:
			v := float64(score.Value)
			t.Score = &v
			return v, nil
		case run.Status == statusFailed:
			t.Failed = run.Reason
			return math.NaN(), nil
		}
		t.Before = false // it was cut off: it is done again
		if _, err := s.dispatch(ctx, &commands.UpdateRun{RunID: t.RunID, Status: projections.RunRunning}); err != nil {
			return 0, err
		}
	} else {
		if purged, err := s.taken(ctx, t.RunID); err != nil {
			return 0, err
		} else if purged {
			return 0, fault.New(fault.Conflict, "run %s of the search was purged", t.RunID).WithHint("take another seed")
		}
		p := maps.Clone(map[string]string(s.trials[t.Trial]))
		p[paramCut] = s.given.Cut
		name := fmt.Sprintf("%s trial %d, rung %d", s.r.Name, t.Trial, t.Rung)
		tags := sourceTags(sourceLocal, s.source(), s.Actor, fmt.Sprintf("Tried on %.0f %% of the people, on the log up to %s", 100*t.Share, s.given.Cut))
		tags[tagParent], tags[tagSearch] = s.id, s.id
		if _, err := s.dispatch(ctx, &commands.StartRun{RunID: t.RunID, ExperimentID: s.experiment, Name: name, Params: p, DatasetID: s.datasetID, Tags: tags}); err != nil {
			return 0, err
		}
	}
	score, err := s.r.Score(ctx, in, s.trials[t.Trial], func(stage string, done, of int) {
		s.told.Progress(fmt.Sprintf("trial %d, rung %d of %d, %s", t.Trial, t.Rung, t.Rungs, stage), int64(done), int64(of))
	})
	switch {
	case ctx.Err() != nil:
		return 0, s.stopped(ctx, t.RunID, ctx.Err())
	case err != nil: // these parameters do not work on this data
		t.Failed = strings.TrimSpace(err.Error())
		_, err := s.dispatch(ctx, &commands.EndRun{RunID: t.RunID, Status: statusFailed, Reason: react.Trace(t.Failed)})
		return math.NaN(), err
	case math.IsNaN(score.Value) || math.IsInf(score.Value, 0):
		t.Failed = "its predictions are not numbers"
		_, err := s.dispatch(ctx, &commands.EndRun{RunID: t.RunID, Status: statusFailed, Reason: t.Failed})
		return math.NaN(), err
	}
	values := maps.Clone(score.Figures)
	values[metricScore] = score.Value
	if _, err := s.dispatch(ctx, &commands.LogMetrics{RunID: t.RunID, Metrics: metricsOf(values, 0, s.Now())}); err != nil {
		return 0, err
	}
	if _, err := s.dispatch(ctx, &commands.EndRun{RunID: t.RunID, Status: statusFinished}); err != nil {
		return 0, err
	}
	t.Score, t.Figures = &score.Value, score.Figures
	return score.Value, nil
}

// best trains the best on everything, in a run below the search's, and registers it, unless that is done.
func (s *search) best(ctx context.Context, p recipe.Params) (*Registered, error) {
	for n := range searchesMax {
		id := react.HashID("best", s.id, strconv.Itoa(n))
		run, there, err := s.runOf(ctx, id)
		if err != nil {
			return nil, err
		}
		if there {
			done, err := s.registered(ctx, &run)
			if done != nil || err != nil {
				return done, err
			}
			if run.Status == projections.RunRunning { // it was cut off; another does its work
				_, err := s.dispatch(ctx, &commands.EndRun{RunID: id, Status: statusFailed, Reason: "it was cut off, and the best is trained again in another run"})
				if err != nil {
					return nil, err
				}
			}
			continue
		}
		if purged, err := s.taken(ctx, id); err != nil {
			return nil, err
		} else if purged {
			continue
		}
		h := *s.hand
		h.as = named{run: id, source: s.source(), tags: map[string]string{tagParent: s.id, tagSearch: s.id}}
		return h.fit(ctx, s.r, p)
	}
	return nil, fault.New(fault.Conflict, "the best was trained %d times in vain", searchesMax)
}

// registered is the version that a run has made; nil for none.
func (s *search) registered(ctx context.Context, run *projections.Run) (*Registered, error) {
	for c, err := range s.Config.Log.Ledger().ReadStream(ctx, "model/"+s.r.Name, 0) {
		if err != nil {
			return nil, err
		}
		for i := range c.Events {
			if v, ok := c.Events[i].Data.(*events.ModelVersionRegistered); ok && v.RunID == run.RunID {
				return &Registered{Model: s.r.Name, Version: v.Version, RunID: run.RunID, ExperimentID: run.ExperimentID, Blob: v.Blob, Bytes: v.Bytes, Position: c.Position.String()}, nil
			}
		}
	}
	return nil, nil
}
