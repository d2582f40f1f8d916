package airflow

import (
	_ "embed"
	"fmt"
	"html/template"
	"net/http"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

//go:embed home.html
var homeHTML string

var homePage = api.NewPage(homeHTML, template.FuncMap{"seconds": func(v *float64) string { return fmt.Sprintf("%.1f\u00a0s", *v) }, "before": triesBefore})

// triesShown bounds how many tries of a task have a link on the page, beside the last.
const triesShown = 10

// triesBefore are the numbers of the tries before one, the latest of them.
func triesBefore(last int) (numbers []int) {
	for n := max(1, last-triesShown); n < last; n++ {
		numbers = append(numbers, n)
	}
	return numbers
}

func (s *Surface) pageRoutes(r *api.Routes) { r.Handle("GET /{$}", s.home, "workflows") }

// homeRuns are how many runs of each workflow the page shows.
const homeRuns = 20

// home is the page for people: the workflows, their last runs, and each run's tasks.
func (s *Surface) home(w http.ResponseWriter, r *http.Request) error {
	type shownRun struct {
		dagRun
		Actor, Reason string
		Late          bool
		Tasks         []instance
	}
	type shown struct {
		Name, Description string
		Paused            bool
		Host              string // that was asked
		Runs              []shownRun
	}
	var all []shown
	known, err := s.Workflows.All()
	if err != nil {
		return err
	}
	for i := range known {
		wf := &known[i]
		v := shown{Name: wf.Name, Paused: wf.Paused, Host: r.Host}
		if wf.Err != nil {
			v.Description = "It cannot be used: " + wf.Err.Error()
		} else {
			v.Description = wf.Definition.Description
		}
		p, err := fold.Of[*projections.Workflows](s.Views).Runs(wf.Name, "", fold.PageQuery{Limit: homeRuns})
		if err != nil {
			return err
		}
		for _, run := range p.Items {
			one := shownRun{dagRun: dagRunOf(&run), Actor: run.Actor, Reason: run.Reason, Late: run.Late}
			d, err := s.Workflows.Under(&run)
			if err == nil {
				one.Tasks = instancesOf(&run, d)
			}
			v.Runs = append(v.Runs, one)
		}
		all = append(all, v)
	}
	return api.WritePage(w, homePage, all)
}
