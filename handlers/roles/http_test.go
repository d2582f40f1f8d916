package roles_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers/roles"
	"github.com/projectionist/projectionist/handlers/workflow"
	"github.com/projectionist/projectionist/projections"
)

// define puts a definition in force.
func (b *bench) define(source string) {
	b.t.Helper()
	d, err := workflow.Parse([]byte(source), roles.Operators())
	must(b.t, err)
	b.dispatch(&commands.DefineWorkflow{Workflow: d.Name, Source: d.Source(), Hash: d.Hash()})
}

// said are the logs of all tries so far, and what the ledger says beside.
func (b *bench) said() string {
	b.t.Helper()
	var all strings.Builder
	for c, err := range b.log.Ledger().Read(context.Background(), 0) {
		must(b.t, err)
		if strings.HasPrefix(c.Stream, "workflow/") {
			continue
		}
		for i := range c.Events {
			all.Write(c.Events[i].Raw)
			if e, ok := c.Events[i].Data.(*events.TaskLogKept); ok {
				text, err := b.blobs.Get(e.Log)
				must(b.t, err)
				all.Write(text)
			}
		}
	}
	return all.String()
}

// received is what a server was sent.
type received struct {
	mu   sync.Mutex
	all  []*http.Request
	body []string
}

func (s *received) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	s.all, s.body = append(s.all, r), append(s.body, string(b))
	n := len(s.all)
	s.mu.Unlock()
	switch r.URL.Path {
	case "/busy":
		if n == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
	case "/no":
		http.Error(w, "no: "+r.Header.Get("X-Api-Key"), http.StatusForbidden)
		return
	case "/away":
		http.Redirect(w, r, "http://localhost:1/elsewhere", http.StatusFound)
		return
	case "/moved":
		http.Redirect(w, r, "/here", http.StatusFound)
		return
	case "/large":
		fmt.Fprint(w, strings.Repeat("x", 20_000))
		return
	case "/endless":
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 1<<20)); err != nil {
				return
			}
		}
		return
	}
	fmt.Fprintf(w, `{"items":[{"id":7,"a/b":"said %s"}]}`, r.Header.Get("X-Api-Key"))
}

// TestHTTP sends requests as definitions say, and puts out what is answered.
func TestHTTP(t *testing.T) {
	const key = "hunter2-hunter2"
	t.Setenv("PROJECTIONIST_SECRET_key", key)
	for name, test := range map[string]struct {
		with    string
		private bool
		tries   int
		output  map[string]string // in part
		fails   string
	}{
		"get":        {"{url: URL/x}", true, 1, map[string]string{"status": "200", "body": `{"items":[{"id":7,"a/b":"said "}]}`, "cut": "false", "value": ""}, ""},
		"post":       {`{url: URL/x, method: POST, headers: {X-Api-Key: "{{ secret.key }}", X-Run: "{{ run.id }}"}, body: '{"k": "{{ secret.key }}"}', pointer: /items/0/a~1b}`, true, 1, map[string]string{"value": "said ***"}, ""},
		"number":     {"{url: URL/x, pointer: /items/0/id}", true, 1, map[string]string{"value": "7"}, ""},
		"nowhere":    {"{url: URL/x, pointer: /items/1}", true, 1, nil, "nothing at /items/1"},
		"again":      {"{url: URL/busy, method: PUT}", true, 2, map[string]string{"status": "200"}, ""},
		"refused":    {`{url: URL/no, headers: {X-Api-Key: "{{ secret.key }}"}}`, true, 1, nil, "answered 403 Forbidden: no: ***"},
		"expected":   {`{url: URL/no, expect: "200,400-404"}`, true, 1, map[string]string{"status": "403"}, ""},
		"away":       {"{url: URL/away}", true, 1, nil, "answered 302"},
		"moved":      {"{url: URL/moved}", true, 1, map[string]string{"status": "200"}, ""},
		"large":      {"{url: URL/large}", true, 1, map[string]string{"bytes": "20000", "cut": "true"}, ""},
		"endless":    {"{url: URL/endless}", true, 1, nil, "more than 4194304 bytes"},
		"http":       {"{url: URL/x}", false, 1, nil, "must begin with https://"},
		"private":    {"{url: \"https://127.0.0.1:9/\"}", false, 1, nil, "127.0.0.1, which is no public address"},
		"no address": {"{url: \"{{ run.id }}\"}", true, 1, nil, "is no address of HTTP"},
		"no secret":  {`{url: URL/x, headers: {X-Api-Key: "{{ secret.other }}"}}`, true, 1, nil, "there is no secret other"},
		"bad header": {`{url: URL/x, headers: {X-Api-Key: "{{ params.evil }}"}}`, true, 1, nil, "with.headers.X-Api-Key: holds an end of line"},
	} {
		t.Run(name, func(t *testing.T) {
			b, got := newBench(t), &received{}
			server := httptest.NewServer(got)
			t.Cleanup(server.Close)
			b.define("name: asking\nparams: [{name: evil, default: \"a\\nX-Evil: 1\"}]\ntasks:\n  - {name: ask, operator: http, retry_delay: 1s, with: " + strings.ReplaceAll(test.with, "URL", server.URL) + "}\n")
			c := b.config(t.TempDir(), nil)
			own := b.roles(c.Dir)
			own.HTTPPrivate = test.private
			b.run(b.reactorsWith(c, own))
			b.dispatch(&commands.RequestWorkflowRun{RunID: "r1", Workflow: "asking", RunType: "manual"})
			run := b.waitEnded("r1")
			task := run.TaskOf("ask")
			if task.Try != test.tries || (task.State == projections.StateSuccess) != (test.fails == "") || !strings.Contains(task.Error, test.fails) {
				t.Errorf("%+v", task)
			}
			for name, want := range test.output {
				if task.Output[name] != want {
					t.Errorf("%s is %q; want %q", name, task.Output[name], want)
				}
			}
			if said := b.said(); strings.Contains(said, key) || !strings.Contains(said, "task started") {
				t.Errorf("the secret is in %s", said)
			}
			switch name {
			case "post":
				if r := got.all[0]; r.Header.Get("X-Api-Key") != key || r.Header.Get("X-Run") != "r1" || got.body[0] != `{"k": "`+key+`"}` {
					t.Errorf("%v %q", r.Header, got.body)
				}
			case "again":
				if a, b := got.all[0].Header.Get("Idempotency-Key"), got.all[1].Header.Get("Idempotency-Key"); a == "" || a != b {
					t.Errorf("%q, then %q", a, b)
				}
			case "bad header", "no secret", "http":
				if len(got.all) != 0 {
					t.Errorf("%v", got.all)
				}
			}
		})
	}
}

// TestSecretsInDefinitions refuses secrets where no operator takes them.
func TestSecretsInDefinitions(t *testing.T) {
	for text, want := range map[string]string{
		`{name: a, operator: http, with: {url: "https://x/{{ secret.key }}"}}`:                           "tasks[0].with.url: secret.key may not stand here, line 3",
		`{name: a, operator: fetch, with: {pages: "{{ secret.key }}"}}`:                                  "secret.key may not stand here",
		`{name: a, operator: http, with: {url: "https://x/"}, when: secret.key == "x"}`:                  "secret.key may not stand in a condition",
		`{name: a, operator: http, with: {url: "https://x/", headers: "X: y"}}`:                          "tasks[0].with.headers: is a text, expected a mapping, line 3",
		`{name: a, operator: http, with: {url: "https://x/", headers: {"a b": c}}}`:                      `"a b" is not a name`,
		`{name: a, operator: http, with: {url: "https://x/", headers: {A: "{{ secret.key }} {{ x }}"}}}`: "names nothing by {{ x }}",
		`{name: a, operator: http, with: {url: "https://x/", method: STEAL}}`:                            "want one of GET",
		`{name: a, operator: http}`: "tasks[0].with.url: is missing: operator http needs it, line 3",
		`{name: a, operator: http, with: {url: "https://x/", headers: {A: "{{ secret.key }}"}}}`: "",
	} {
		_, err := workflow.Parse([]byte("name: x\ntasks:\n  - "+text+"\n"), roles.Operators())
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s:\n%v\nwant %s", text, err, want)
		}
	}
}
