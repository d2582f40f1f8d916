package main

import (
	"context"
	"maps"
	"slices"
)

// need is something that a row cannot run without.
type need struct {
	has  string // shell: exit status 0 where it is there
	what string // what is missing otherwise
}

var needs = map[string]need{
	"feast":        {"python -c 'import feast'", "Feast's SDK from PyPI"},
	"mlflow":       {"python -c 'import mlflow'", "MLflow's client from PyPI"},
	"airflow":      {"python -c 'import airflow_client.client'", "Airflow's client from PyPI"},
	"kafka-python": {"python -c 'import kafka'", "kafka-python from PyPI"},
	"kafka-tools":  {"command -v kafka-topics", "Kafka's own tools (a JDK and Maven)"},
	"prometheus":   {"command -v prometheus", "Prometheus (Debian has it as a package)"},
	"grafana":      {"curl -fs http://localhost:3000/api/health", "Grafana at port 3000"},
	"docker":       {"docker version", "Docker"},
	"tmdb":         {"true", "TMDB"},         // a stand-in answers where there is no key
	"apart":        {"false", "a run apart"}, // of what runs the guide itself
	"time":         {`[ -n "${GUIDE_LONG:-}" ]`, "time: set GUIDE_LONG=1 to run it"},
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// lacks are the needs of a row that are not met here; what is found out is remembered.
func (s *session) lacks(ctx context.Context, r *Row) (missing []string) {
	for _, name := range r.Needs {
		has, known := s.has[name]
		if !known {
			res, err := s.run(ctx, "sh", needs[name].has)
			has = err == nil && res.Exit == 0
			if has || slices.Contains([]string{"apart", "docker", "time"}, name) { // the others may be installed by a later row
				s.has[name] = has
			}
		}
		if !has {
			missing = append(missing, needs[name].what)
		}
	}
	return missing
}
