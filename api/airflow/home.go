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

var homePage = api.NewPage(homeHTML, template.FuncMap{"seconds": func(v *float64) string { return fmt.Sprintf("%.1f\u00a0s", *v) }})

func (s *Surface) pageRoutes(r *api.Routes) { r.Handle("GET /{$}", s.home, "workflows") }

// homeRuns are how many runs of each workflow the page shows.
const homeRuns = 20

// home is the page for people: the workflows, their last runs, and each run's tasks.
func (s *Surface) home(w http.ResponseWriter, r *http.Request) error {
	type shownRun struct {
		dagRun
		Actor, Reason string
		Tasks         []instance
	}
	type shown struct {
		Name, Description string
		Runs              []shownRun
	}
	var all []shown
	for i := range s.Workflows {
		wf := &s.Workflows[i]
		v := shown{Name: wf.Name, Description: wf.Description}
		p, err := fold.Of[*projections.Workflows](s.Views).Runs(wf.Name, "", fold.PageQuery{Limit: homeRuns})
		if err != nil {
			return err
		}
		for _, run := range p.Items {
			one := shownRun{dagRun: dagRunOf(&run), Actor: run.Actor, Reason: run.Reason}
			for at := range wf.Tasks {
				one.Tasks = append(one.Tasks, instanceOf(&run, wf, at))
			}
			v.Runs = append(v.Runs, one)
		}
		all = append(all, v)
	}
	return api.WritePage(w, homePage, all)
}
