package prometheus

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

var (
	descTaskSeconds = desc("workflow_task_last_duration_seconds", "How long a task took, from its first try on, the last time that it succeeded.", "workflow", "task")
	descDecisions   = desc("model_gate_decisions", "Versions that the gate has promoted or kept out in the newest 20 runs of the workflow.", "workflow", "decision")
	descSLA         = desc("workflow_sla_missed_total", "Runs of the workflow, and tasks of them, that were not over in the time that its definition gives them.", "workflow")
	descDrift       = desc("model_drift_alerts_total", "Alerts of drift in the log, by whether the score had reached its threshold.", "reached")
)

// workflowsTold bounds the workflows whose runs are told.
const workflowsTold = 50

const newestRuns = 20 // are looked at; a scrape must not read them all

// training tells what workflows did, of the newest runs of each.
func (c *businessCollector) training(out chan<- prometheus.Metric) error {
	view := fold.Of[*projections.Workflows](c.s.Views)
	all, err := c.s.Workflows.All()
	if err != nil {
		return err
	}
	for _, w := range all[:min(len(all), workflowsTold)] {
		if w.SLAMissed > 0 || w.Definition != nil && w.Definition.Timed() {
			told(out, descSLA, prometheus.CounterValue, float64(w.SLAMissed), w.Name)
		}
		if w.Definition == nil {
			continue
		}
		p, err := view.Runs(w.Name, "", fold.PageQuery{Limit: newestRuns})
		if err != nil {
			return err
		}
		decisions, gated := map[bool]int{}, false
		for i := range p.Items {
			if promoted, ok := c.s.Decided(&p.Items[i]); ok {
				decisions[promoted]++
				gated = true
			}
		}
		if gated {
			told(out, descDecisions, prometheus.GaugeValue, float64(decisions[true]), w.Name, "promoted")
			told(out, descDecisions, prometheus.GaugeValue, float64(decisions[false]), w.Name, "kept_out")
		}
		for _, t := range w.Definition.Tasks {
			if millis, ok := lastTook(p.Items, t.Name); ok {
				told(out, descTaskSeconds, prometheus.GaugeValue, float64(millis)/millisOfSecond, w.Name, t.Name)
			}
		}
	}
	return nil
}

// lastTook is how long the task took in the newest run in which it succeeded, of runs from new to old.
func lastTook(runs []projections.WorkflowRun, task string) (millis int64, ok bool) {
	for i := range runs {
		if t := runs[i].TaskOf(task); t.State == projections.StateSuccess {
			return t.EndedMillis - t.StartedMillis, true
		}
	}
	return 0, false
}

func (c *businessCollector) drift(out chan<- prometheus.Metric) error {
	reached, others, err := fold.Of[*projections.Drift](c.s.Views).Counts()
	if err != nil {
		return err
	}
	told(out, descDrift, prometheus.CounterValue, float64(reached), "true")
	told(out, descDrift, prometheus.CounterValue, float64(others), "false")
	return nil
}
