package eval

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/ml/online"
	"github.com/projectionist/projectionist/ml/recipe"
)

// Protocols, in the order in which they run.
const (
	LeaveOneOut   = "leave-one-out"
	NextItem      = "next-item"
	TimeSplit     = "time-split"
	Strong        = "strong-generalisation"
	Rating        = "rating"
	Prequential   = "prequential"
	PrequentialOf = "prequential-top"
)

// Known is what is added to the name of time-split for its rows of people that were there before.
const Known = "/known"

// Protocols are all there are.
func Protocols() []string {
	return []string{LeaveOneOut, NextItem, TimeSplit, Strong, Rating, Prequential, PrequentialOf}
}

// MetricsOf are the metrics of a protocol, the main one first: by it rankings are compared.
func MetricsOf(protocol string) []string {
	switch protocol {
	case LeaveOneOut:
		return []string{NDCG10, HR10, MRR, NDCG10Of100, HR10Of100}
	case TimeSplit, TimeSplit + Known:
		return []string{NDCG10, HR10, Recall20, MRR}
	case Strong:
		return []string{NDCG100, Recall20, Recall50}
	case Rating:
		return []string{RMSE, MAE}
	}
	return []string{HR10, NDCG10, MRR}
}

// Options say what to do. The zero value of a number is no bound, but for K.
type Options struct {
	Protocols []string         // in any order
	Recipes   []*recipe.Recipe // beside counting
	Params    map[string]map[string]string
	Seed      uint64
	People    int     // who are asked at most, of a protocol, drawn by Seed
	Moments   int     // that are judged at most of a prequential protocol, evenly over time
	Trials    int     // configurations that are tried on validation; below 2 the defaults are taken
	TopStars  float64 // from which ratings are in the stream of prequential-top

	Row      func(Row) error                                       // is given each row when it is finished
	Progress func(protocol, algorithm, stage string, done, of int) // may be nil
	// Over says that no further training is to begin: rows then say so. May be nil.
	Over func() bool
	// Measure begins to measure a piece of work, and gives what ends it; may be nil.
	Measure func() func() Cost
}

// Cost is what a piece of work took.
type Cost struct {
	Seconds   float64
	PeakBytes uint64 // of the process while it lasted
}

// Metric is a figure with its interval over people, 95 %; without one where fewer than two people leave it unknown.
type Metric struct {
	Name  string   `json:"name"`
	Value float64  `json:"value"`
	Low   *float64 `json:"low,omitempty"`
	High  *float64 `json:"high,omitempty"`
}

// Against is how much more a row has than another of the same protocol, in its main metric and at the same asks.
type Against struct {
	Algorithm string `json:"algorithm"`
	Metric
}

// Kinds of rows.
const (
	KindCounting = "counting" // no model, only counts
	KindRecipe   = "recipe"   // as it is served
	KindPart     = "part"     // what a part of a recipe's ranking gives alone
)

// Where parameters come from.
const (
	FromDefaults   = "defaults"
	FromValidation = "validation"
	FromGiven      = "given"
)

// Row is what one algorithm reached by one protocol.
type Row struct {
	Protocol   string              `json:"protocol"`
	Split      string              `json:"split,omitempty"` // of the set's own files
	Algorithm  string              `json:"algorithm"`
	Kind       string              `json:"kind"`
	Metrics    []Metric            `json:"metrics,omitempty"`
	Against    []Against           `json:"against,omitempty"` // counting, and parts of its own
	People     int                 `json:"people"`
	Asks       int                 `json:"asks"`             // lists, or ratings that were predicted
	Params     []map[string]string `json:"params,omitempty"` // of each training, where they differ; else once
	ParamsFrom string              `json:"params_from,omitempty"`
	Trials     int                 `json:"trials,omitempty"`
	Trainings  int                 `json:"trainings,omitempty"`
	SearchSecs float64             `json:"search_seconds,omitempty"`
	TrainSecs  float64             `json:"train_seconds,omitempty"`
	JudgeSecs  float64             `json:"judge_seconds"`
	PeakBytes  uint64              `json:"peak_bytes,omitempty"`
	Seed       uint64              `json:"seed"`
	Unjudged   string              `json:"unjudged,omitempty"` // why there are no figures
}

// Main is the row's main figure, NaN without any.
func (r *Row) Main() float64 {
	if len(r.Metrics) == 0 {
		return math.NaN()
	}
	return r.Metrics[0].Value
}

// run is an evaluation under way.
type run struct {
	*Options
	d *Data
}

// Run judges by every protocol that is asked for, and gives rows as they are finished. Errors: those of Row, ctx done,
// a split that knows what it judges. What a recipe cannot do is in its row.
func Run(ctx context.Context, d *Data, o Options) error {
	if o.Progress == nil {
		o.Progress = func(string, string, string, int, int) {}
	}
	if o.Over == nil {
		o.Over = func() bool { return false }
	}
	if o.Measure == nil {
		o.Measure = func() func() Cost { return func() Cost { return Cost{} } }
	}
	r := &run{&o, d}
	wanted := func(p string) bool { return slices.Contains(o.Protocols, p) }
	var views []string
	for _, p := range []string{LeaveOneOut, NextItem} {
		if wanted(p) {
			views = append(views, p)
		}
	}
	if len(views) > 0 {
		if err := r.leaveOneOut(ctx, views); err != nil {
			return err
		}
	}
	if wanted(TimeSplit) {
		if err := r.ranked(ctx, "", []string{TimeSplit, TimeSplit + Known}, byTime, nil); err != nil {
			return err
		}
	}
	if wanted(Strong) {
		if err := r.ranked(ctx, "", []string{Strong}, byPeople, nil); err != nil {
			return err
		}
	}
	if wanted(Rating) {
		if err := r.rating(ctx); err != nil {
			return err
		}
	}
	if wanted(Prequential) {
		if err := r.prequential(ctx, Prequential, d.Acts); err != nil {
			return err
		}
	}
	if wanted(PrequentialOf) {
		var top []ml.Sample
		for _, s := range d.Acts {
			if s.Rating >= float32(o.TopStars) {
				top = append(top, s)
			}
		}
		return r.prequential(ctx, PrequentialOf, top)
	}
	return nil
}

// Trainings is how many models are trained for what is asked, without those of searches.
func Trainings(d *Data, o *Options) int {
	given, n := 0, 0
	for i := range d.Given {
		if !d.Given[i].Fold() {
			given++
		}
	}
	predictors := 0
	for _, r := range o.Recipes {
		if r.Predicts {
			predictors++
		}
	}
	wanted := func(p string) bool { return slices.Contains(o.Protocols, p) }
	if wanted(LeaveOneOut) || wanted(NextItem) {
		n += len(o.Recipes) * max(1, given)
	}
	for _, p := range []string{TimeSplit, Strong} {
		if wanted(p) {
			n += len(o.Recipes)
		}
	}
	if wanted(Rating) {
		n += predictors * foldsFor(d)
	}
	for _, p := range []string{Prequential, PrequentialOf} {
		if wanted(p) {
			n += len(o.Recipes) * len(retrained)
		}
	}
	return n
}

// leaveOneOut takes the splits that came with the set as they are, and makes one where there is none.
func (r *run) leaveOneOut(ctx context.Context, views []string) error {
	given := false
	for i := range r.d.Given {
		g := &r.d.Given[i]
		if g.Fold() {
			continue
		}
		given = true
		r := &run{r.Options, g.Of}
		p, err := ofGiven(g.Of, g, r.Options)
		if err != nil { // the file is at fault
			if err := r.unjudged(Row{Split: g.Name, Kind: KindCounting, Algorithm: OfOnline(online.Popularity), Unjudged: err.Error()}, views); err != nil {
				return err
			}
			continue
		}
		if err := r.ranked(ctx, g.Name, views, leaveLastOut, &givenPart{p, slices.Concat(g.Train, g.Test)}); err != nil {
			return err
		}
	}
	if given {
		return nil
	}
	return r.ranked(ctx, "", views, leaveLastOut, nil)
}

type givenPart struct {
	*part
	acts []ml.Sample // of both its halves
}

// ranked judges by a split, in one or two views of it.
func (r *run) ranked(ctx context.Context, name string, views []string, split splitter, given *givenPart) error {
	acts := r.d.Acts
	var p *part
	var err error
	if given != nil {
		p, acts = given.part, given.acts
	} else if p, err = split(r.d, acts, r.Options); err != nil {
		return r.unjudged(Row{Kind: KindCounting, Algorithm: OfOnline(online.Popularity), Unjudged: err.Error()}, views)
	}
	parts := make([]*part, len(views))
	for i, view := range views {
		parts[i] = p
		switch view {
		case NextItem:
			moved := *p
			moved.asks = slices.Clone(p.asks)
			if err := moved.asOf(acts); err != nil {
				return err
			}
			parts[i] = &moved
		case TimeSplit + Known:
			some := *p
			some.asks = slices.DeleteFunc(slices.Clone(p.asks), func(a ask) bool { return a.stranger })
			parts[i] = &some
		}
	}
	if len(p.asks) == 0 {
		return r.unjudged(Row{Split: name, Kind: KindCounting, Algorithm: OfOnline(online.Popularity), Unjudged: "nobody has films enough to be asked about"}, views)
	}
	films := p.train.Films()
	counted := make([][]finding, len(views))
	judge := func(row Row, s scorer) error {
		for i, view := range views {
			row := row
			row.Protocol, row.Split = view, name
			end := r.Measure()
			metrics := MetricsOf(view)
			if name != "" && view == LeaveOneOut && parts[i].asks[0].negatives == nil {
				metrics = metrics[:3]
			}
			found, err := parts[i].judge(ctx, s, metrics, func(done, of int) { r.Progress(view, row.Algorithm, "judge", done, of) })
			if err != nil {
				return err
			}
			cost := end()
			row.JudgeSecs, row.PeakBytes = cost.Seconds, max(row.PeakBytes, cost.PeakBytes)
			if row.Kind == KindCounting {
				counted[i] = found
			}
			person := people(len(parts[i].asks))
			if err := r.rows(row, metrics, found, counted[i], person, len(person)); err != nil {
				return err
			}
		}
		return nil
	}
	if err := judge(Row{Kind: KindCounting}, newCounts(films)); err != nil {
		return err
	}
	for _, rec := range r.Recipes {
		row := Row{Protocol: views[0], Split: name, Kind: KindRecipe, Algorithm: rec.Name}
		chosen, err := r.choose(ctx, &row, rec, len(r.d.Users), r.onSplit(views[0], rec, p.train.Data.Samples, split))
		if err != nil {
			return err
		}
		row.Params = []map[string]string{chosen}
		model, err := r.train(ctx, &row, rec, p.train, chosen)
		if err != nil {
			return err
		}
		if row.Unjudged != "" {
			if err := r.unjudged(row, views); err != nil {
				return err
			}
			continue
		}
		if err := judge(row, byRanker{model.Ranker(films, nil)}); err != nil {
			return err
		}
	}
	return nil
}

// isOver is why a row has no figures that was not begun in time.
const isOver = "the time that was given is over"

// train trains; what the recipe cannot is in row.Unjudged.
func (r *run) train(ctx context.Context, row *Row, rec *recipe.Recipe, in recipe.Input, p recipe.Params) (recipe.Model, error) {
	if r.Over() {
		row.Unjudged = isOver
		return nil, nil
	}
	end := r.Measure()
	model, err := rec.Train(ctx, in, p, recipe.Hooks{NoLoss: true, Progress: func(stage string, done, of int, _ float64) {
		r.Progress(row.Protocol, rec.Name, stage, done, of)
	}})
	cost := end()
	row.Trainings++
	row.TrainSecs += cost.Seconds
	row.PeakBytes = max(row.PeakBytes, cost.PeakBytes)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		row.Unjudged = err.Error()
	}
	return model, nil
}

// rows gives a row for the whole and each part of a ranking.
func (r *run) rows(row Row, metrics []string, found, counted []finding, person []int, people int) error {
	whole := row.Algorithm
	rivals := slices.Clone(counted)
	for _, f := range found {
		if row.Kind == KindRecipe && f.part != "" {
			rivals = append(rivals, finding{whole + ":" + f.part, f.values})
		}
	}
	for _, f := range found {
		row := row
		switch {
		case row.Kind == KindCounting:
			row.Algorithm = f.part
		case f.part != "":
			row.Kind, row.Algorithm = KindPart, whole+":"+f.part
		}
		row.People, row.Asks = people, len(person)
		row.Metrics = nil
		for k, name := range metrics {
			row.Metrics = append(row.Metrics, metricOf(name, f.values[k], person, people))
		}
		if slices.ContainsFunc(row.Metrics, func(m Metric) bool { return math.IsNaN(m.Value) || math.IsInf(m.Value, 0) }) {
			row.Metrics, row.Against, row.Unjudged = nil, nil, "what it says is no finite number"
			if err := r.row(row); err != nil {
				return err
			}
			continue
		}
		row.Against = nil
		for _, other := range rivals {
			if other.part == row.Algorithm {
				continue
			}
			diff := make([]float64, len(person))
			for i := range diff {
				diff[i] = f.values[0][i] - other.values[0][i]
			}
			e := recipe.Estimate(diff, person, people)
			row.Against = append(row.Against, Against{other.part, interval(metrics[0], e.Mean, e.Low, e.High)})
		}
		if err := r.row(row); err != nil {
			return err
		}
	}
	return nil
}

// unjudged gives a row without figures for each view.
func (r *run) unjudged(row Row, views []string) error {
	for _, view := range views {
		row.Protocol = view
		if err := r.row(row); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) row(row Row) error {
	row.Seed = r.Seed
	return r.Row(row)
}

// metricOf is a share, or an error of predictions, with its interval.
func metricOf(name string, values []float64, person []int, people int) Metric {
	e := recipe.Estimate(values, person, people)
	switch name {
	case RMSE:
		return interval(name, math.Sqrt(e.Mean), math.Sqrt(max(0, e.Low)), math.Sqrt(e.High))
	case MAE:
		return interval(name, e.Mean, max(0, e.Low), e.High)
	}
	if !math.IsInf(e.Low, 0) {
		e.Low, e.High = max(0, e.Low), min(1, e.High)
	}
	return interval(name, e.Mean, e.Low, e.High)
}

func interval(name string, value, low, high float64) Metric {
	m := Metric{Name: name, Value: value}
	if !math.IsInf(high, 0) && !math.IsNaN(low+high) {
		m.Low, m.High = &low, &high
	}
	return m
}

// errUnfit says that parameters cannot be judged on what there is: they are then not chosen.
var errUnfit = errors.New("not to be judged")

// errOver says that the time is over in the midst of a search: the defaults are taken, and not trained either.
var errOver = errors.New("the time is over")

// choose finds parameters on validation, where that was asked for and there is something to vary. judge scores
// parameters on a share of the people.
func (r *run) choose(ctx context.Context, row *Row, rec *recipe.Recipe, people int, judge func(ctx context.Context, p recipe.Params, share float64) (float64, error)) (recipe.Params, error) {
	given := r.Params[rec.Name]
	trials, err := rec.Trials(given, max(1, min(r.Trials, recipe.TrialsMax)), r.Seed)
	if err != nil {
		return nil, err
	}
	row.ParamsFrom = FromDefaults
	if len(given) > 0 {
		row.ParamsFrom = FromGiven
	}
	if len(trials) < 2 || r.Over() {
		return trials[0], nil
	}
	end := r.Measure()
	done := 0
	best, err := recipe.Find(trials, recipe.Rungs(len(trials), people), func(_ int, some []int, share float64) ([]float64, error) {
		scores := make([]float64, len(some))
		for i, trial := range some {
			if r.Over() {
				return nil, errOver
			}
			r.Progress(row.Protocol, rec.Name, "search", done, len(trials))
			done++
			var err error
			scores[i], err = judge(ctx, trials[trial], share)
			switch {
			case ctx.Err() != nil:
				return nil, ctx.Err()
			case errors.Is(err, errUnfit):
				return nil, err
			case err != nil: // these parameters do not work on this data
				scores[i] = math.NaN()
			}
		}
		return scores, nil
	})
	cost := end()
	row.SearchSecs += cost.Seconds
	row.PeakBytes = max(row.PeakBytes, cost.PeakBytes)
	if errors.Is(err, errUnfit) || errors.Is(err, errOver) {
		return trials[0], nil
	}
	if err != nil {
		return nil, err
	}
	row.ParamsFrom, row.Trials = FromValidation, len(trials)
	return trials[best], nil
}

// onSplit scores parameters by the same split of the training part.
func (r *run) onSplit(protocol string, rec *recipe.Recipe, acts []ml.Sample, split splitter) func(context.Context, recipe.Params, float64) (float64, error) {
	metric := NDCG10
	if protocol == Strong {
		metric = NDCG100
	}
	var p *part
	var films *recipe.Films
	var of float64 // share that p is of
	return func(ctx context.Context, params recipe.Params, share float64) (float64, error) {
		if p == nil || share != of {
			some := r.d.input(acts, asLiking).Some(share, r.Seed).Data.Samples
			var err error
			if p, err = split(r.d, some, r.Options); err != nil || len(p.asks) == 0 {
				return 0, errUnfit
			}
			if protocol == NextItem {
				if err := p.asOf(some); err != nil {
					return 0, err
				}
			}
			of, films = share, p.train.Films()
		}
		m, err := rec.Train(ctx, p.train, params, recipe.Hooks{NoLoss: true})
		if err != nil {
			return 0, err
		}
		found, err := p.judge(ctx, byRanker{m.Ranker(films, nil)}, []string{metric}, func(int, int) {})
		if err != nil {
			return 0, err
		}
		for _, f := range found {
			if f.part == "" {
				return mean(f.values[0]), nil
			}
		}
		return 0, fmt.Errorf("%s ranks nothing", rec.Name)
	}
}

func mean(values []float64) float64 {
	var sum float64
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}
