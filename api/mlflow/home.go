package mlflow

import (
	_ "embed"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

//go:embed home.html
var homeHTML string

var homePage = api.NewPage(homeHTML, template.FuncMap{"iso": iso, "figure": figure})

// How much the page shows; the rest is asked for by the API.
const (
	homeExperiments = 50
	homeRuns        = 20 // of each experiment, the newest
	homeModels      = 100
	homeVersions    = 20 // of each model, the newest
	homeFigures     = 30 // metrics, and params, of each run and version
)

func iso(millis int64) string {
	if millis == 0 {
		return ""
	}
	return time.UnixMilli(millis).UTC().Format("2006-01-02 15:04:05")
}

func figure(v events.Number) string { return strconv.FormatFloat(float64(v), 'g', 5, 64) }

type homeExperiment struct {
	shownExperiment
	Runs []homeRun
}

type homeRun struct {
	*run
	Reason          string
	Metrics, Params int // that are not shown
}

// some are the first of a list that the page shows, and how many it does not.
func some[T any](all []T) ([]T, int) {
	n := min(len(all), homeFigures)
	return all[:n], len(all) - n
}

type homeModel struct {
	model
	Versions []homeVersion
}

type homeVersion struct {
	shownVersion
	Names   []string // of its metrics
	More    int      // that are not shown
	Changed int64    // its stage
}

// home is the page for people: experiments with their runs, and models with their versions.
func (s *Surface) home(w http.ResponseWriter, _ *http.Request) error {
	v := struct {
		Asked       string // the moment it is as of, "" for now
		Experiments []homeExperiment
		Models      []homeModel
		Pages       bool // MLflow's are at /
	}{Asked: s.Asked(), Pages: s.Pages.Dir() != ""}
	p, err := s.runsView().Experiments(fold.PageQuery{Limit: homeExperiments})
	if err != nil {
		return err
	}
	for i := range p.Items {
		e := &p.Items[i]
		if e.Deleted {
			continue
		}
		one := homeExperiment{shownExperiment: showExperiment(e)}
		runs, err := s.runsView().Runs(e.ExperimentID, fold.PageQuery{Limit: homeRuns})
		if err != nil {
			return err
		}
		for j := range runs.Items {
			if !runs.Items[j].Deleted {
				v := homeRun{run: runOf(&runs.Items[j], e), Reason: runs.Items[j].Reason}
				v.Data.Metrics, v.Metrics = some(v.Data.Metrics)
				v.Data.Params, v.Params = some(v.Data.Params)
				one.Runs = append(one.Runs, v)
			}
		}
		v.Experiments = append(v.Experiments, one)
	}
	if v.Models, err = s.homeModels(); err != nil {
		return err
	}
	return api.WritePage(w, homePage, v)
}

func (s *Surface) registry() *projections.Registry { return fold.Of[*projections.Registry](s.Views) }

func (s *Surface) homeModels() (all []homeModel, err error) {
	models, err := s.registry().Models(fold.PageQuery{Limit: homeModels})
	if err != nil {
		return nil, err
	}
	for i := range models.Items {
		m := &models.Items[i]
		one := homeModel{model: modelOf(m)}
		for j := len(m.Versions) - 1; j >= max(0, len(m.Versions)-homeVersions); j-- {
			shown, err := s.Guide().show(m, &m.Versions[j])
			if err != nil {
				return nil, err
			}
			names, more := some(slices.Sorted(maps.Keys(shown.Metrics)))
			one.Versions = append(one.Versions, homeVersion{shown, names, more, m.Versions[j].StagedMillis})
		}
		all = append(all, one)
	}
	return all, nil
}
