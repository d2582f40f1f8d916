package roles

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers/react"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml/drift"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/projections/trainset"
	"github.com/projectionist/projectionist/streams"
)

// driftOf is what drift is measured of: films by how often they were met, their genres, whether people are known to the model, stars, and kinds of acts.
var driftOf = []string{"films", "genres", "people", "ratings", "kinds"}

const (
	driftSteps  = 10 // bins of films that the model knows
	ratingSteps = 10 // of half a star
)

// What a check puts out. They are in the log: never change one.
const (
	outMeasured = "measured"
	outScore    = "drift_score"
	outAlert    = "alert"
	outWhy      = "reason"
)

// checkDrift measures how far what has come since a model version was trained is from what it was trained on, by the distance of Jensen and Shannon, and raises an alert
// where the largest of its distances has reached the threshold. It measures the acts that the log has taken since the version's cut, whenever they happened, each once.
func checkDrift(ctx context.Context, w *job) (map[string]string, error) {
	args, err := w.Args()
	if err != nil {
		return nil, err
	}
	threshold, err := strconv.ParseFloat(args[argThreshold], 64)
	if err != nil {
		return nil, err
	}
	least, err := strconv.ParseFloat(args[argLeast], 64)
	if err != nil {
		return nil, err
	}
	of, err := driftParts(args[argOf])
	if err != nil {
		return nil, react.Permanent(err)
	}
	if w.cfg.Publish == nil {
		return nil, react.Permanent(fault.New(fault.Unavailable, "this process publishes no alerts"))
	}
	head, err := w.head(ctx)
	if err != nil {
		return nil, err
	}
	model, version, err := w.checked(ctx, args[argModel], args[argVersion])
	if err != nil {
		return nil, err
	}
	out := map[string]string{"model": "", "version": "", "cut": "", "until": head.String(), "acts": "0", outMeasured: "false", outAlert: "false", outScore: "0", "threshold": args[argThreshold], outWhy: ""}
	if version == nil {
		out[outWhy] = "no model version serves"
		return out, nil
	}
	out["model"], out["version"], out["cut"] = model, strconv.Itoa(version.Version), version.DatasetCut
	cut, err := streams.ParseCut(version.DatasetCut)
	if err != nil || len(cut) == 0 {
		return nil, react.Permanent(fault.New(fault.Invalid, "version %d of %s was not trained here: what it was trained on is not known", version.Version, model))
	}
	before, after, err := w.spread(ctx, cut, head)
	if err != nil {
		return nil, err
	}
	out["acts"], out["reference_acts"] = number(after.acts), number(before.acts)
	if after.acts < max(least, 1) {
		out[outWhy] = fmt.Sprintf("%v acts have come since, of %v that are needed", after.acts, least)
		w.Log().Info("too little has come to tell of drift", "model", model, "version", version.Version, "acts", after.acts, "least", least)
		return out, nil
	}
	score, most, figures := 0., "", map[string]float64{"acts": after.acts, "reference_acts": before.acts}
	for _, name := range driftOf {
		d, ok := drift.Distance(before.parts[name], after.parts[name])
		if !ok {
			continue
		}
		out["drift."+name], figures["drift_"+name] = number(d), d
		if slices.Contains(of, name) && d > score {
			score, most = d, name
		}
	}
	figures["feature_drift"] = score
	out[outMeasured], out[outScore] = "true", number(score)
	w.Log().Info("drift measured", "model", model, "version", version.Version, outScore, score, "threshold", threshold, "most", most, "acts", after.acts, "figures", figures)
	if score < threshold || score == 0 {
		return out, nil
	}
	alert := &commands.PublishDrift{ModelDrift: events.ModelDrift{ModelName: model, ModelVersion: out["version"], DriftScore: score, Threshold: threshold, Metrics: figures}}
	said, err := w.cfg.Publish(ctx, []commands.Fact{alert}, w.Meta(w.Task()+"/alert/"+react.HashID(head.String())))
	if err != nil {
		return nil, err
	}
	out[outAlert], out[outWhy] = "true", fmt.Sprintf("%s have drifted by %.3f", most, score)
	out["alert_id"], out["alert_position"] = said.Events[0].ID, said.Positions[0].String()
	return out, nil
}

// driftParts reads what counts for the score.
func driftParts(text string) (of []string, err error) {
	for _, name := range strings.Split(text, ",") {
		if name = strings.TrimSpace(name); !slices.Contains(driftOf, name) {
			return nil, fault.Field(argOf, "is %q; want some of %s, with commas between", text, strings.Join(driftOf, ", "))
		}
		of = append(of, name)
	}
	return of, nil
}

// head is the log's head when the task first started, the same at every try.
func (w *job) head(ctx context.Context) (streams.Cut, error) {
	pinned, err := w.Resume(ctx)
	if err != nil {
		return nil, err
	}
	if pinned != nil {
		return streams.ParseCut(string(pinned))
	}
	head, err := fold.HeadCut(ctx, w.cfg.Log, time.Time{})
	if err != nil {
		return nil, err
	}
	return head, w.Save(ctx, []byte(head.String()))
}

// checked is the version that is named, or that served when the task was first started; nil where none did.
func (w *job) checked(ctx context.Context, name, called string) (string, *projections.ModelVersion, error) {
	if name == "" {
		started, err := w.started(ctx, w.Task())
		if err != nil {
			return "", nil, err
		}
		if err := w.reaches(ctx, started, projections.NewDeployments()); err != nil {
			return "", nil, err
		}
		d, ok, err := fold.Of[*projections.Deployments](w.cfg.Views).At(events.ProductionSlot, fold.At{Cut: started})
		if err != nil || !ok {
			return "", nil, err
		}
		m, ok, err := projections.FoldModel(w.cfg.Log.Ledger().ReadStream(ctx, "model/"+d.Model, 0), fold.At{})
		if err != nil {
			return "", nil, err
		}
		v := m.Version(d.Version)
		if !ok || v == nil {
			return "", nil, react.Permanent(fault.New(fault.NotFound, "version %d of %s serves, and the registry does not have it", d.Version, d.Model))
		}
		return m.Name, v, nil
	}
	m, v, err := w.versionNamed(ctx, name, called)
	return m.Name, v, err
}

// spread is what a model was trained on, and what has come since, over the same bins.
func (w *job) spread(ctx context.Context, cut, head streams.Cut) (before, after *histogram, err error) {
	load := func(c streams.Cut) (*trainset.Set, error) {
		set, err := w.cfg.Sets.LoadActs(ctx, w.cfg.Log, c, w.reading)
		if fault.Is(err, fault.Conflict) && set != nil { // without any acts
			err = nil
		}
		return set, err
	}
	then, err := load(cut)
	if err != nil {
		return nil, nil, err
	}
	people := map[string]bool{}
	for _, id := range then.Data.Users {
		people[id] = true
	}
	old, err := count(ctx, then, people)
	if err != nil {
		return nil, nil, err
	}
	now, err := load(head)
	if err != nil {
		return nil, nil, err
	}
	fresh, err := count(ctx, now, people)
	if err != nil {
		return nil, nil, err
	}
	fresh.less(old)
	ids := slices.Sorted(maps.Keys(old.films))
	met := make([]float64, len(ids))
	for i, id := range ids {
		met[i] = old.films[id]
	}
	steps := map[string]int{}
	for i, bin := range drift.Steps(met, driftSteps) {
		steps[ids[i]] = bin
	}
	genres, kinds := names{}, names{}
	return old.histogram(steps, now.Movies, genres, kinds), fresh.histogram(steps, now.Movies, genres, kinds), nil
}

// tally is how often acts were of what.
type tally struct {
	acts         float64
	films, kinds map[string]float64
	people       [2]float64 // of people that the model knows, and of others
	ratings      [ratingSteps]float64
}

// count counts the acts of a set.
func count(ctx context.Context, set *trainset.Set, known map[string]bool) (*tally, error) {
	t := &tally{acts: float64(len(set.Data.Samples)), films: map[string]float64{}, kinds: map[string]float64{}}
	met, strange := make([]float64, len(set.Data.Items)), make([]bool, len(set.Data.Users))
	for i, id := range set.Data.Users {
		strange[i] = !known[id]
	}
	for i := range set.Data.Samples {
		if i%65536 == 0 {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
		}
		s := &set.Data.Samples[i]
		met[s.Item]++
		if strange[s.User] {
			t.people[1]++
		} else {
			t.people[0]++
		}
		t.kinds[set.Acts.Kind(i)]++
		if stars := set.Acts.Rating(i); stars > 0 {
			t.ratings[min(max(int(stars*2+.5), 1), ratingSteps)-1]++
		}
	}
	for i, id := range set.Data.Items {
		t.films[id] = met[i]
	}
	return t, nil
}

// less takes away what another has. What was corrected since is less than it was, and counts as nothing.
func (t *tally) less(o *tally) {
	t.acts = max(t.acts-o.acts, 0)
	for _, m := range [][2]map[string]float64{{t.films, o.films}, {t.kinds, o.kinds}} {
		for name, n := range m[1] {
			m[0][name] = max(m[0][name]-n, 0)
		}
	}
	for i, n := range o.people {
		t.people[i] = max(t.people[i]-n, 0)
	}
	for i, n := range o.ratings {
		t.ratings[i] = max(t.ratings[i]-n, 0)
	}
}

// names are the bins of what has a name, in the order in which they were met.
type names map[string]int

func (n names) bin(name string) int {
	at, ok := n[name]
	if !ok {
		at = len(n)
		n[name] = at
	}
	return at
}

// histogram is how many acts are in each bin, by what is measured.
type histogram struct {
	acts  float64
	parts map[string][]float64
}

// histogram puts what was counted into bins. Films that the model does not know are in the bin after the others.
func (t *tally) histogram(steps map[string]int, films map[string]events.Movie, genres, kinds names) *histogram {
	h := &histogram{acts: t.acts, parts: map[string][]float64{"people": t.people[:], "ratings": t.ratings[:]}}
	add := func(part string, bin int, n float64) {
		for len(h.parts[part]) <= bin {
			h.parts[part] = append(h.parts[part], 0)
		}
		h.parts[part][bin] += n
	}
	for _, id := range slices.Sorted(maps.Keys(t.films)) {
		bin, known := steps[id]
		if !known {
			bin = driftSteps
		}
		add("films", bin, t.films[id])
		of := films[id].Genres
		for _, genre := range of {
			add("genres", genres.bin(genre), t.films[id]/float64(len(of)))
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(t.kinds)) {
		add("kinds", kinds.bin(kind), t.kinds[kind])
	}
	return h
}

func number(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }
