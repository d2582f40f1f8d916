package v1

import (
	"context"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// purging is what is to go for good: of what is deleted, that which was so long ago, or what is named.
type purging struct {
	OlderThan    string   `json:"older_than"` // such as 30d or 2d8h5m20s; "" is any time
	Runs         []string `json:"run_ids"`
	Experiments  []string `json:"experiment_ids"`
	LoggedModels []string `json:"logged_model_ids"`
	DryRun       bool     `json:"dry_run"` // say what would go
}

// purgedNamed is how many ids of each kind an answer has.
const purgedNamed = 100

// purged is what goes, or has gone.
type purged struct {
	DryRun       bool     `json:"dry_run"`
	Experiments  []string `json:"experiment_ids"` // the first of them
	Runs         []string `json:"run_ids"`
	LoggedModels []string `json:"logged_model_ids"`

	ExperimentCount  int      `json:"experiments"`
	RunCount         int      `json:"runs"`
	LoggedModelCount int      `json:"logged_models"`
	Versions         []string `json:"registered_versions"` // that have their files from these runs and logged models
	Blobs            int      `json:"blobs"`               // which nothing names then
	Bytes            int64    `json:"bytes"`
	SweptBlobs       int      `json:"swept_blobs"` // at once; those of the last day go within the next
	SweptBytes       int64    `json:"swept_bytes"`
}

// gc lets deleted experiments, runs and logged models go for good, as MLflow's command of that name does.
func (s *Surface) gc(w http.ResponseWriter, r *http.Request) error {
	var v purging
	if err := api.ReadJSON(w, r, &v, true); err != nil {
		return err
	}
	age, err := ageOf(v.OlderThan)
	if err != nil {
		return err
	}
	m, err := api.MetaOf(r)
	if err != nil {
		return err
	}
	return s.Stream(w, r, func(ctx context.Context, progress func(string, int64, int64)) (any, error) {
		p := &purge{v: s.Views, named: &v, before: s.Now().Add(-age).UnixMilli()}
		if err := p.plan(ctx); err != nil {
			return nil, err
		}
		out, err := s.purged(ctx, p, v.DryRun)
		if err != nil || v.DryRun {
			return out, err
		}
		done, total, last := int64(0), int64(len(p.all)), streams.Position{}
		for _, c := range p.all {
			res, err := s.Dispatcher.Dispatch(ctx, c, m)
			switch {
			case err == nil:
				last = res.Position
			case !fault.Is(err, fault.NotFound): // else purged by somebody else
				return nil, err
			}
			done++
			progress("purge", done, total)
		}
		if last.Topic != "" {
			s.Settle(ctx, []streams.Position{last}, "runs", "logged-models")
		}
		if s.Sweep != nil {
			out.SweptBlobs, out.SweptBytes, err = s.Sweep(ctx)
		}
		return out, err
	})
}

var ages = regexp.MustCompile(`^(?:([\d.]+)d)?(?:([\d.]+)h)?(?:([\d.]+)m)?(?:([\d.]+)s)?$`)

// ageOf reads an age as MLflow writes it.
func ageOf(text string) (time.Duration, error) {
	m := ages.FindStringSubmatch(text)
	var seconds float64
	for i, unit := range []float64{24 * 3600, 3600, 60, 1} {
		if m == nil || m[i+1] == "" {
			continue
		}
		n, err := strconv.ParseFloat(m[i+1], 64)
		if err != nil {
			m = nil
			break
		}
		seconds += n * unit
	}
	if m == nil || seconds > math.MaxInt64/float64(time.Second) {
		return 0, fault.Field("older_than", "is %q; want an age such as '8h', '2d8h5m20s' or '2m4s'", api.Short(text))
	}
	return time.Duration(seconds * float64(time.Second)), nil
}

// purge is what a request comes to: commands, in an order in which it can be broken off and begun again. An experiment goes
// before what is in it: nothing can be added or restored then.
type purge struct {
	v       *fold.Runner
	named   *purging
	before  int64 // Unix milliseconds: deleted by then
	all     []commands.Command
	streams []string // of runs and logged models
	seen    map[string]bool
}

func (p *purge) any() bool {
	return len(p.named.Runs)+len(p.named.Experiments)+len(p.named.LoggedModels) == 0
}

func (p *purge) runs() *projections.Runs { return fold.Of[*projections.Runs](p.v) }
func (p *purge) models() *projections.LoggedModels {
	return fold.Of[*projections.LoggedModels](p.v)
}

func (p *purge) plan(ctx context.Context) error {
	p.seen = map[string]bool{}
	if !p.any() {
		return p.planNamed(ctx)
	}
	for id, err := range p.runs().PurgedExperiments() { // of which something may be left
		if err == nil {
			err = p.within(ctx, id, true)
		}
		if err != nil {
			return err
		}
	}
	return eachOf(ctx, p.runs().Experiments, func(e *projections.Experiment) error {
		if e.Deleted && e.DeletedMillis <= p.before {
			p.add("experiment/"+e.ExperimentID, &commands.PurgeExperiment{ExperimentID: e.ExperimentID})
			return p.within(ctx, e.ExperimentID, true)
		}
		return p.within(ctx, e.ExperimentID, false)
	})
}

// within adds what is in an experiment: all, or what is deleted.
func (p *purge) within(ctx context.Context, experiment string, all bool) error {
	gone := ""
	if all {
		gone = experiment
	}
	runs := func(q fold.PageQuery) (fold.Page[projections.Run], error) { return p.runs().Runs(experiment, q) }
	err := eachOf(ctx, runs, func(r *projections.Run) error {
		if all || r.Deleted && r.DeletedAt <= p.before {
			p.add("run/"+r.RunID, &commands.PurgeRun{RunID: r.RunID, Experiment: gone})
		}
		return nil
	})
	if err != nil {
		return err
	}
	models := func(q fold.PageQuery) (fold.Page[projections.LoggedModel], error) {
		return p.models().Models(experiment, q)
	}
	return eachOf(ctx, models, func(m *projections.LoggedModel) error {
		if all || m.Deleted && m.DeletedAt <= p.before {
			p.add("logged-model/"+m.ModelID, &commands.PurgeLoggedModel{ModelID: m.ModelID, Experiment: gone})
		}
		return nil
	})
}

func (p *purge) add(stream string, c commands.Command) {
	if p.seen[stream] {
		return
	}
	p.seen[stream] = true
	p.all = append(p.all, c)
	if _, is := c.(*commands.PurgeExperiment); !is {
		p.streams = append(p.streams, stream)
	}
}

// planNamed adds what is named, and nothing else.
func (p *purge) planNamed(ctx context.Context) error {
	for _, id := range p.named.Experiments {
		e, ok, err := p.runs().Experiment(id)
		if err := p.may("experiment_ids", "experiment "+id, ok, e.Deleted, e.DeletedMillis, err); err != nil {
			return err
		}
		p.add("experiment/"+id, &commands.PurgeExperiment{ExperimentID: id})
		if err := p.within(ctx, id, true); err != nil {
			return err
		}
	}
	for _, id := range p.named.Runs {
		r, ok, err := p.runs().Run(id)
		if err := p.may("run_ids", "run "+id, ok, r.Deleted, r.DeletedAt, err); err != nil {
			return err
		}
		p.add("run/"+id, &commands.PurgeRun{RunID: id})
	}
	for _, id := range p.named.LoggedModels {
		m, ok, err := p.models().Model(id)
		if err := p.may("logged_model_ids", "logged model "+id, ok, m.Deleted, m.DeletedAt, err); err != nil {
			return err
		}
		p.add("logged-model/"+id, &commands.PurgeLoggedModel{ModelID: id})
	}
	return nil
}

// may refuses to purge what is not deleted, or not for so long.
func (p *purge) may(field, what string, ok, deleted bool, at int64, err error) error {
	what = api.Short(what)
	switch {
	case err != nil:
		return err
	case !ok:
		return fault.New(fault.NotFound, "no %s", what)
	case !deleted:
		return fault.Field(field, "%s is not deleted: only what is can be purged", what)
	case at > p.before:
		return fault.Field(field, "%s was deleted at %s, which is not that long ago", what, time.UnixMilli(at).UTC().Format(time.RFC3339))
	}
	return nil
}

// eachOf hands out all of a list that comes in pages.
func eachOf[T any](ctx context.Context, page func(fold.PageQuery) (fold.Page[T], error), each func(*T) error) error {
	for q := (fold.PageQuery{Limit: fold.PageLimitMax}); ; {
		p, err := page(q)
		if err == nil {
			err = ctx.Err()
		}
		for i := range p.Items {
			if err == nil {
				err = each(&p.Items[i])
			}
		}
		if q.Cursor = p.Next; err != nil || q.Cursor == "" {
			return err
		}
	}
}

// purged says what a plan comes to.
func (s *Surface) purged(ctx context.Context, p *purge, dry bool) (*purged, error) {
	out := &purged{DryRun: dry, Experiments: []string{}, Runs: []string{}, LoggedModels: []string{}, Versions: []string{}}
	named := func(list *[]string, n *int, id string) {
		if *n++; *n <= purgedNamed {
			*list = append(*list, id)
		}
	}
	for _, c := range p.all {
		var versions []projections.ModelVersion
		var err error
		switch c := c.(type) {
		case *commands.PurgeExperiment:
			named(&out.Experiments, &out.ExperimentCount, c.ExperimentID)
		case *commands.PurgeRun:
			named(&out.Runs, &out.RunCount, c.RunID)
			versions, err = s.registry().ByRun(c.RunID)
		case *commands.PurgeLoggedModel:
			named(&out.LoggedModels, &out.LoggedModelCount, c.ModelID)
			versions, err = s.registry().ByLoggedModel(c.ModelID)
		}
		if err != nil {
			return nil, err
		}
		for i := range versions {
			if name := versions[i].Name + "/" + strconv.Itoa(versions[i].Version); versions[i].Blob == "" && !slices.Contains(out.Versions, name) && len(out.Versions) < purgedNamed {
				out.Versions = append(out.Versions, name) // whose weights are not kept by the version itself
			}
		}
	}
	if s.Freed == nil {
		return out, nil
	}
	var err error
	out.Blobs, out.Bytes, err = s.Freed(ctx, p.streams)
	return out, err
}
