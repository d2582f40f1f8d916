package roles_test

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/handlers/ingest/tmdb"
	"github.com/projectionist/projectionist/handlers/roles"
)

var update = flag.Bool("update", false, "rewrite testdata")

// recorder is a dispatcher that keeps under which key each command was said.
type recorder struct {
	b     *bench
	mu    sync.Mutex
	steps map[string][]string // by actor, in order
	facts []string            // under which key each was published, of which run and by whom
}

var (
	uuids  = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	hashes = regexp.MustCompile(`[0-9a-f]{32,64}`)
)

func (d *recorder) Dispatch(ctx context.Context, c commands.Command, m handlers.Meta) (handlers.Result, error) {
	cause := "?"
	for c, err := range d.b.log.Ledger().Read(ctx, 0) {
		if err != nil {
			break
		}
		for i := range c.Events {
			if c.Events[i].ID == m.Causation {
				cause = c.Events[i].Type()
			}
		}
	}
	line := strings.ReplaceAll(m.IdempotencyKey, m.Causation, "<"+cause+">")
	line = hashes.ReplaceAllString(uuids.ReplaceAllString(line, "UUID"), "HASH")
	line = c.CommandType() + " " + line
	if m.IfMatch != nil {
		line += fmt.Sprintf(" if-match %d", *m.IfMatch)
	}
	line += " of " + hashes.ReplaceAllString(uuids.ReplaceAllString(m.Correlation, "UUID"), "HASH")
	by := m.Actor
	if _, is := c.(*commands.KeepTaskLog); is { // beside the task that comes next
		by += ", logs"
	}
	d.mu.Lock()
	d.steps[by] = append(d.steps[by], line)
	d.mu.Unlock()
	return d.b.outer.Dispatch(ctx, c, m)
}

// TestSteps compares under which idempotency keys the commands of both workflows are said, when they go well
// and when they do not, with what they were when the first logs were written. They are in people's logs: one that changes
// makes a repeat a second event.
func TestSteps(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/genre/movie/list":
			fmt.Fprint(w, `{"genres":[]}`)
		case "/movie/popular", "/movie/top_rated":
			fmt.Fprint(w, `{"page":1,"total_pages":1,"results":[{"id":601,"title":"Popular"}]}`)
		default:
			fmt.Fprint(w, `{"id":601,"title":"Popular","release_date":"1999-03-30"}`)
		}
	}))
	defer server.Close()
	b := newBench(t)
	d := &recorder{b: b, steps: map[string][]string{}}
	c := b.config(t.TempDir(), d)
	own := b.roles(c.Dir)
	own.TMDB = tmdb.Config{Key: "k", BaseURL: server.URL}
	c.Lease, c.Heartbeat = time.Hour, 59*time.Minute // no renewal but with a checkpoint
	b.run(b.reactorsWith(c, own))
	id := b.importWorld(1000)
	b.waitEnded(id)
	for run, workflow := range map[string]string{"good": roles.DataCollection, "none": "no_such_workflow"} {
		b.dispatch(&commands.RequestWorkflowRun{RunID: run, Workflow: workflow, RunType: "manual"})
		b.waitEnded(run)
	}
	b.dispatch(&commands.RequestWorkflowRun{RunID: "bad", Workflow: roles.TrainingPipeline, RunType: "manual", Conf: map[string]string{"als.dims": "4"}})
	b.waitEnded("bad")

	d.check("testdata/steps.txt", "")
}

// check compares the steps of a run, or of all, with what a file has.
func (d *recorder) check(path, of string) {
	t := d.b.t
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	var text strings.Builder
	for _, actor := range slices.Sorted(maps.Keys(d.steps)) {
		steps := slices.DeleteFunc(slices.Clone(d.steps[actor]), func(s string) bool { return !strings.HasSuffix(s, of) })
		if len(steps) > 0 { // else it has worked on another run alone
			fmt.Fprintf(&text, "%s\n", actor)
		}
		if actor == "reactor:trigger" || actor == "reactor:workflows" || strings.HasSuffix(actor, ", logs") { // of runs in any order
			slices.Sort(steps)
		}
		for _, s := range steps {
			fmt.Fprintf(&text, "  %s\n", s)
		}
	}
	if *update {
		must(t, os.WriteFile(path, []byte(text.String()), 0o644))
	}
	want, err := os.ReadFile(path)
	must(t, err)
	if text.String() != string(want) {
		t.Errorf("the steps are others than in %s:\n%s", path, text.String())
	}
}
