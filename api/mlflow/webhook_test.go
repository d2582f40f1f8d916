package mlflow_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/api/mlflow"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
)

// TestWebhooks: webhooks are made, listed, changed, tested and deleted as MLflow's client does it, and their secrets are told nobody.
func TestWebhooks(t *testing.T) {
	w := newFixture(t)
	var tested string
	hooks := mlflow.Webhooks{
		Check: func(_ context.Context, url string) error {
			if strings.Contains(url, "10.0.0.1") {
				return fault.Field("url", "leads inside")
			}
			return nil
		},
		Seal: func(id, secret string) (string, error) { return "sealed " + fmt.Sprint(len(secret)), nil },
		Test: func(_ context.Context, h *projections.Webhook, event string) (int, string, error) {
			if tested = event; h.Name == "broken" {
				return 0, "", errors.New("no answer")
			}
			return 503, "later", nil
		},
	}
	s := w.Core.Serve(mlflow.New(w.Core, mlflow.Config{Blobs: w.blobs, Webhooks: hooks}))
	do := func(status int, method, path, body string) map[string]any {
		t.Helper()
		a := ask(s, method, rest+path, body)
		if a.Code != status || strings.Contains(a.Text, "word") {
			t.Fatalf("%s %s %s: %d %s; want %d", method, path, body, a.Code, a.Text, status)
		}
		return a.Object
	}
	const events = `"events": [{"entity": "REGISTERED_MODEL", "action": "CREATED"}, {"entity": "MODEL_VERSION_TAG", "action": "SET"}]`
	v := do(200, "POST", "webhooks", `{"name": "hook", "url": "https://example.com/x", `+events+`, "secret": "word", "description": "what"}`)
	id := at(v, "webhook", "webhook_id").(string)
	shown := at(do(200, "GET", "webhooks/"+id, ""), "webhook")
	equal(t, "shown", []any{at(shown, "name"), at(shown, "url"), at(shown, "status"), at(shown, "description"), at(shown, "events", 1, "entity"), at(shown, "events", 1, "action"), at(shown, "secret")},
		"[hook https://example.com/x ACTIVE what MODEL_VERSION_TAG SET <nil>]")
	second := at(do(200, "POST", "webhooks", `{"name": "broken", "url": "https://example.com/y", "status": "DISABLED", `+events+`}`), "webhook", "webhook_id").(string)
	equal(t, "listed", len(column(do(200, "GET", "webhooks", ""), "webhooks")), 2)
	page := do(200, "GET", "webhooks?max_results=1", "")
	rest := do(200, "GET", "webhooks?max_results=1&page_token="+page["next_page_token"].(string), "")
	equal(t, "pages", []any{len(column(page, "webhooks")), len(column(rest, "webhooks")), at(page, "webhooks", 0, "webhook_id") != at(rest, "webhooks", 0, "webhook_id"), rest["next_page_token"]}, "[1 1 true <nil>]")
	v = do(200, "PATCH", "webhooks/"+id, `{"name": "other", "status": "DISABLED", "description": "", "events": [{"entity": "PROMPT", "action": "CREATED"}]}`)
	equal(t, "changed", []any{at(v, "webhook", "name"), at(v, "webhook", "status"), at(v, "webhook", "url"), column(at(v, "webhook"), "events", "entity"), at(v, "webhook", "description")}, "[other DISABLED https://example.com/x [PROMPT] <nil>]")
	r := at(do(200, "POST", "webhooks/"+id+"/test", `{}`), "result")
	equal(t, "tested", []any{at(r, "success"), at(r, "response_status"), at(r, "response_body"), tested}, "[false 503 later ]")
	r = at(do(200, "POST", "webhooks/"+second+"/test", `{"event": {"entity": "MODEL_VERSION", "action": "CREATED"}}`), "result")
	equal(t, "tested", []any{at(r, "success"), at(r, "error_message"), tested}, "[false Failed to test webhook: no answer model_version.created]")
	before := w.Head()
	for body, status := range map[string]int{`{"name": "a b", "url": "https://x/", ` + events + `}`: 400, `{"name": "x", "url": "ftp://x/", ` + events + `}`: 400, `{"name": "x", "url": "https://10.0.0.1/", ` + events + `}`: 400,
		`{"name": "x", "url": "https://x/"}`: 400, `{"name": "x", "url": "https://x/", "events": []}`: 400, `{"name": "x", "url": "https://x/", "events": [{"entity": "MODEL_VERSION", "action": "EXCEEDED"}]}`: 400,
		`{"name": "x", "url": "https://x/", "status": "ASLEEP", ` + events + `}`: 400, `{"name": "x", "url": "https://x/", "secret": "` + strings.Repeat("s", 1001) + `", ` + events + `}`: 400} {
		do(status, "POST", "webhooks", body)
	}
	do(400, "PATCH", "webhooks/"+id, `{"url": "https://10.0.0.1/"}`)
	do(400, "POST", "webhooks/"+id+"/test", `{"event": {"entity": "MODEL_VERSION", "action": "SET"}}`)
	do(404, "PATCH", "webhooks/nope", `{"name": "x"}`)
	do(404, "GET", "webhooks/"+strings.Repeat("0", 32), "")
	if after := w.Head(); after != before {
		t.Errorf("%d commits of what was refused", after-before)
	}
	do(200, "DELETE", "webhooks/"+id, "")
	do(404, "DELETE", "webhooks/"+id, "")
	do(404, "GET", "webhooks/"+id, "")
	equal(t, "left", column(do(200, "GET", "webhooks", ""), "webhooks", "webhook_id"), "["+second+"]")
}
