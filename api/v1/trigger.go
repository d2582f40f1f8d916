package v1

import (
	"net/http"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/handlers/react"
	"github.com/projectionist/projectionist/projections/fold"
)

func (s *Surface) triggerRoutes(r *api.Routes) {
	r.Handle("GET /api/v1/workflows/triggers", s.triggers, "workflows")
}

// triggerUnknown is the state of a trigger that this process does not watch.
const triggerUnknown = "unknown"

// triggers is what workflows are triggered by, and what each trigger has decided last.
func (s *Surface) triggers(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "workflow")
	if err := q.Err(); err != nil {
		return err
	}
	all, err := s.Workflows.All()
	if err != nil {
		return err
	}
	only := q.Str("workflow")
	if only != "" {
		if _, err := s.Workflows.Of(only); err != nil {
			return err
		}
	}
	watched := map[[2]string]react.TriggerStat{}
	if s.Reactors != nil {
		for _, t := range s.Reactors.Triggers() {
			watched[[2]string{t.Workflow, t.Trigger.Name}] = t
		}
	}
	items := []react.TriggerStat{}
	for i := range all {
		k := &all[i]
		if k.Definition == nil || only != "" && k.Name != only {
			continue
		}
		for j := range k.Definition.Triggers {
			t := &k.Definition.Triggers[j]
			stat, ok := watched[[2]string{k.Name, t.Name}]
			if !ok {
				stat = react.TriggerStat{Workflow: k.Name, State: triggerUnknown, Reason: "no process that runs workflows has looked yet"}
				if asked, ok := k.Triggered[t.Name]; ok {
					stat.Run, stat.RunMillis = asked.RunID, asked.Millis[len(asked.Millis)-1]
				}
			}
			stat.Trigger = t
			items = append(items, stat)
		}
	}
	return api.WriteJSON(w, http.StatusOK, fold.Page[react.TriggerStat]{Items: items})
}
