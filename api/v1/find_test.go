package v1_test

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
)

type foundItem struct{ Kind, ID, Title, Detail string }

func (w *fixture) find(query string) (items []foundItem) {
	w.t.Helper()
	var v struct{ Items []foundItem }
	w.get("/api/v1/find?" + query).want(200).into(&v)
	return v.Items
}

func (w *fixture) dispatch(c commands.Command) handlers.Result {
	w.t.Helper()
	res, err := w.cfg.Dispatcher.Dispatch(context.Background(), c, handlers.Meta{Actor: "test"})
	w.must(err)
	w.folded(res.Position)
	return res
}

// What has a text as its id comes first, then as its name, then what begins with it, then what has its words.
func TestFind(t *testing.T) {
	w := newFixture(t)
	w.defineWorkflows()
	w.train()
	experiment := events.ExperimentID("Night runs", 1)
	w.dispatch(&commands.CreateExperiment{Name: "Night runs"})
	for i, name := range []string{"blend of nights", "night", "Nightly 2", "day"} {
		w.dispatch(&commands.StartRun{RunID: fmt.Sprintf("%c%031d", 'a'+i, i), ExperimentID: experiment, Name: name})
	}
	w.dispatch(&commands.ListMovie{Dataset: "test", Movie: events.Movie{MovieID: "77", Title: "Night on Earth", Year: 1991}})
	w.dispatch(&commands.ListMovie{Dataset: "test", Movie: events.Movie{MovieID: "78", Title: "Night", Year: 1990}})
	run := w.dispatch(&commands.RequestWorkflowRun{RunID: "nightly-run", Workflow: "movie_training_pipeline", RunType: "manual"})
	act := w.post("/api/v1/feedback", `{"user_id":"u-night","movie_id":"1","interaction_type":"click"}`).want(200)

	var kinds []string
	for _, it := range w.find("q=night&k=50") {
		kinds = append(kinds, it.Kind+" "+it.Title)
	}
	want := []string{"movie Night", "run night", "workflow_run nightly-run", "movie Night on Earth", "experiment Night runs", "run Nightly 2", "run blend of nights"}
	if fmt.Sprint(kinds) != fmt.Sprint(want) {
		t.Errorf("night: %q, want %q", kinds, want)
	}
	position := act.at("position")
	for q, want := range map[string]foundItem{
		"77":                              {"movie", "77", "Night on Earth", "1991"},
		"u-night":                         {"user", "u-night", "u-night", ""},
		strings.Repeat("0", 31) + "0":     {},
		"a" + strings.Repeat("0", 31):     {"run", "a" + strings.Repeat("0", 31), "blend of nights", "RUNNING"},
		experiment:                        {"experiment", experiment, "Night runs", ""},
		"als":                             {"model", "als", "als", "1 versions"},
		"als/1":                           {"version", "als/1", "als version 1", "als"},
		"ALS v1":                          {"version", "als/1", "als version 1", "als"},
		"movie_training_pipeline":         {"workflow", "movie_training_pipeline", "movie_training_pipeline", ""},
		"nightly-run":                     {"workflow_run", "nightly-run", "nightly-run", "movie_training_pipeline · queued"},
		"movie_features":                  {"feature_view", "movie_features", "movie_features", ""},
		"user-events":                     {"topic", "user-events", "user-events", "3 partitions"},
		"run/a" + strings.Repeat("0", 31): {"stream", "run/a" + strings.Repeat("0", 31), "run/a" + strings.Repeat("0", 31), ""},
		run.Events[0].ID:                  {"event", run.Events[0].ID, "", run.Position.String()},
		run.Position.String():             {"event", run.Events[0].ID, "workflow.run_requested", run.Position.String()},
		position:                          {"event", act.at("event_id"), "user.interaction", position},
	} {
		items := w.find("q=" + url.QueryEscape(q))
		if want.Kind == "" {
			if len(items) != 0 {
				t.Errorf("%s: %+v", q, items)
			}
			continue
		}
		if len(items) == 0 || items[0].Kind != want.Kind || items[0].ID != want.ID || want.Title != "" && items[0].Title != want.Title || want.Detail != "" && !strings.HasPrefix(items[0].Detail, want.Detail) {
			t.Errorf("%s: %+v, want %+v", q, items, want)
		}
	}
	if n := len(w.find("q=film&k=5")); n != 5 {
		t.Errorf("%d of 5 films", n)
	}
	for _, q := range []string{"???", "user-events/0@4711", "user-events/7@1", "a/b/c", "\"'<img>", strings.Repeat("x", 256), "mlops-events/0@99999999999999999999"} {
		if items := w.find("q=" + url.QueryEscape(q)); len(items) != 0 {
			t.Errorf("%q: %+v", q, items)
		}
	}
	for query, field := range map[string]string{"": "q", "q=+": "q", "q=x&k=0": "k", "q=x&k=51": "k", "q=" + strings.Repeat("x", 257): "q", "q=x&kind=run": "kind"} {
		w.get("/api/v1/find?"+query).problem(400, field)
	}
}

// At a moment what came later is not found, and what was deleted since is.
func TestFindThen(t *testing.T) {
	w := newFixture(t)
	before := w.get("/api/v1/log/moment").at("cut")
	w.dispatch(&commands.CreateExperiment{Name: "late"})
	late := w.dispatch(&commands.StartRun{RunID: strings.Repeat("b", 32), ExperimentID: events.ExperimentID("late", 1), Name: "late run"})
	after := w.get("/api/v1/log/moment").at("cut")
	w.dispatch(&commands.DeleteRun{RunID: strings.Repeat("b", 32)})
	w.post("/api/v1/feedback", `{"user_id":"newcomer","movie_id":"1","interaction_type":"click"}`).want(200)
	for _, c := range []struct {
		q, at string
		want  []string
	}{
		{"late", before, nil},
		{"late", after, []string{"experiment", "run"}},
		{late.Events[0].ID, before, nil},
		{late.Events[0].ID, after, []string{"event"}},
		{late.Position.String(), before, nil},
		{"run/" + strings.Repeat("b", 32), before, nil},
		{"run/" + strings.Repeat("b", 32), after, []string{"stream"}},
		{"newcomer", after, nil},
		{"1", before, []string{"movie", "user"}},
	} {
		var kinds []string
		for _, it := range w.find("q=" + url.QueryEscape(c.q) + "&known_at=" + url.QueryEscape(c.at)) {
			kinds = append(kinds, it.Kind)
		}
		if len(kinds) > len(c.want) {
			kinds = kinds[:max(len(c.want), 1)]
		}
		if !slices.Equal(kinds, c.want) {
			t.Errorf("%s at %s: %v, want %v", c.q, c.at, kinds, c.want)
		}
	}
}

// asked is dispatch for a command that an event has led to.
func (w *fixture) asked(c commands.Command, cause string) handlers.Result {
	w.t.Helper()
	res, err := w.cfg.Dispatcher.Dispatch(context.Background(), c, handlers.Meta{Actor: "reactor:workflows", Causation: cause})
	w.must(err)
	w.folded(res.Position)
	return res
}
