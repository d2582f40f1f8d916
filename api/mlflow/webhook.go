package mlflow

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

// Webhooks is what it takes to send something to a webhook.
type Webhooks struct {
	// Check refuses a URL that nothing is sent to.
	Check func(ctx context.Context, url string) error
	// Seal makes of a secret what the log may hold.
	Seal func(webhook, secret string) (string, error)
	// Test sends an example of an event, "" being the first that the webhook is told of; status is 0 where there was no answer.
	Test func(ctx context.Context, h *projections.Webhook, event string) (status int, body string, err error)
}

func (s *Surface) webhookRoutes(r routes) {
	r.handle("POST", "mlflow/webhooks", s.createWebhook)
	r.handle("GET", "mlflow/webhooks", s.listWebhooks, "webhooks")
	r.handle("GET", "mlflow/webhooks/{id}", s.getWebhook, "webhooks")
	r.handle("PATCH", "mlflow/webhooks/{id}", s.updateWebhook)
	r.handle("DELETE", "mlflow/webhooks/{id}", s.deleteWebhook)
	r.handle("POST", "mlflow/webhooks/{id}/test", s.testWebhook)
}

// webhook is a webhook as MLflow has it: its secret is told nobody.
type webhook struct {
	ID          string         `json:"webhook_id"`
	Name        string         `json:"name"`
	URL         string         `json:"url"`
	Events      []webhookEvent `json:"events"`
	Description string         `json:"description,omitempty"`
	Status      string         `json:"status"`
	Created     int64          `json:"creation_timestamp"`
	Updated     int64          `json:"last_updated_timestamp"`
}

type webhookEvent struct {
	Entity string `json:"entity"` // REGISTERED_MODEL
	Action string `json:"action"` // CREATED
}

func (e webhookEvent) name() string { return strings.ToLower(e.Entity + "." + e.Action) }

const (
	webhookActive   = "ACTIVE"
	webhookDisabled = "DISABLED"
)

func showWebhook(h *projections.Webhook) webhook {
	v := webhook{ID: h.WebhookID, Name: h.Name, URL: h.URL, Description: h.Description, Status: webhookActive, Created: h.CreatedMillis, Updated: h.UpdatedMillis}
	if h.Disabled {
		v.Status = webhookDisabled
	}
	for _, event := range h.Events {
		entity, action, _ := strings.Cut(strings.ToUpper(event), ".")
		v.Events = append(v.Events, webhookEvent{entity, action})
	}
	return v
}

func noWebhook(id string) error { return missing("Webhook with ID %s not found.", api.Short(id)) }

func (s *Surface) webhookAt(ctx context.Context, id string) (*projections.Webhook, error) {
	h, ok, err := fold.Of[*projections.Webhooks](s.Views).Webhook(id)
	if err == nil && !ok && isRunID(id) {
		h, ok, err = projections.FoldWebhook(s.Log.Ledger().ReadStream(ctx, "webhook/"+id, 0), fold.At{})
	}
	if err == nil && !ok {
		err = noWebhook(id)
	}
	return &h, err
}

// subscriptions reads what a webhook is to be told of; nil where that is not set.
func (q *request) subscriptions(name string) (all []string) {
	var list []webhookEvent
	if raw := q.raw(name); raw != nil && json.Unmarshal(raw, &list) != nil {
		q.wrong(name, raw)
	}
	for _, e := range list {
		all = append(all, e.name())
	}
	return all
}

// disabled reads a webhook's status; nil where it is not set.
func (q *request) disabled() *bool {
	if !q.has("status") {
		return nil
	}
	status := strings.ToUpper(q.text("status"))
	if status != webhookActive && status != webhookDisabled {
		q.fault(invalid("Invalid webhook status: %s. Valid values are ACTIVE, DISABLED.", api.Short(status)))
	}
	off := status == webhookDisabled
	return &off
}

// given is a field of text; nil where it is not set.
func (q *request) given(name string) *string {
	if !q.has(name) {
		return nil
	}
	v := q.text(name)
	return &v
}

// sealed is a secret as the log may hold it; "" stays.
func (s *Surface) sealed(id, secret string) (string, error) {
	if secret == "" {
		return "", nil
	}
	if len(secret) > webhookSecretMax {
		return "", invalid("The secret has %d bytes; the most is %d.", len(secret), webhookSecretMax)
	}
	return s.Webhooks.Seal(id, secret)
}

const webhookSecretMax = 1000

// checkAddress refuses what is no address of a webhook, in MLflow's words. Whether http is one, and where it leads, is
// for who sends to judge.
func checkAddress(address string) error {
	if strings.TrimSpace(address) == "" {
		return invalid("Webhook URL cannot be empty or just whitespace: '%s'", api.Short(address))
	}
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return invalid("Invalid webhook URL '%s': %v", api.Short(address), err)
	case u.Scheme != "https" && u.Scheme != "http":
		return invalid("Invalid webhook URL scheme: '%s'. Allowed schemes are: https.", api.Short(u.Scheme))
	case u.Hostname() == "":
		return invalid("Webhook URL must include a hostname: '%s'", api.Short(address))
	}
	return nil
}

func (s *Surface) createWebhook(w http.ResponseWriter, r *http.Request) error {
	q, err := read(w, r)
	if err != nil {
		return err
	}
	c := &commands.CreateWebhook{Name: q.required("name"), URL: q.required("url"), Events: q.subscriptions("events"), Description: q.text("description")}
	off, secret := q.disabled(), q.text("secret")
	q.needs("events")
	m, err := by(r, 0)
	if q.err != nil || err != nil {
		return cmp.Or(q.err, err)
	}
	c.WebhookID, c.Disabled = api.Keyed(m, "webhook"), off != nil && *off
	if err := checkAddress(c.URL); err != nil {
		return err
	}
	if err := c.Validate(); err != nil {
		return err
	}
	if err := s.Webhooks.Check(r.Context(), c.URL); err != nil {
		return err
	}
	if c.Secret, err = s.sealed(c.WebhookID, secret); err != nil {
		return err
	}
	if _, err := s.act(r, c, 0, "webhooks"); err != nil {
		return err
	}
	return s.answerWebhook(w, r, c.WebhookID)
}

func (s *Surface) answerWebhook(w http.ResponseWriter, r *http.Request, id string) error {
	h, err := s.webhookAt(r.Context(), id)
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, map[string]any{"webhook": showWebhook(h)})
}

func (s *Surface) getWebhook(w http.ResponseWriter, r *http.Request) error {
	return s.answerWebhook(w, r, r.PathValue("id"))
}

// Bounds of a list of webhooks.
const (
	webhooksDefault = 100
	webhooksMax     = 1000
)

func (s *Surface) listWebhooks(w http.ResponseWriter, r *http.Request) error {
	q, err := read(w, r)
	if err != nil {
		return err
	}
	if n := q.whole("max_results", webhooksDefault); n < 0 || n > webhooksMax {
		return invalid("max_results must be between 1 and %d.", webhooksMax)
	}
	asked := q.page(webhooksDefault, webhooksMax, true, "webhooks")
	if asked.size == 0 { // as clients that say nothing do
		asked.size = webhooksDefault
	}
	if q.err != nil {
		return q.err
	}
	pages, err := newPager[webhook](asked, webhookOrder)
	if err != nil {
		return err
	}
	for h, err := range everyOne(fold.Of[*projections.Webhooks](s.Views).Webhooks) {
		if err != nil {
			return err
		}
		pages.by[0], pages.by[1] = number(float64(h.CreatedMillis)), text(h.WebhookID)
		pages.take(func() webhook { return showWebhook(h) })
	}
	v := struct {
		Webhooks []webhook `json:"webhooks,omitempty"`
		Next     string    `json:"next_page_token,omitempty"`
	}{}
	if v.Webhooks, v.Next, err = pages.end(); err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, v)
}

// webhookOrder is newest first, of one moment by id.
var webhookOrder = order{{ofAttribute, "creation_timestamp", true, true}, {ofAttribute, "webhook_id", false, false}}

func (s *Surface) updateWebhook(w http.ResponseWriter, r *http.Request) error {
	q, err := read(w, r)
	if err != nil {
		return err
	}
	c := &commands.UpdateWebhook{WebhookID: r.PathValue("id"), Name: q.given("name"), URL: q.given("url"), Events: q.subscriptions("events"),
		Description: q.given("description"), Secret: q.given("secret"), Disabled: q.disabled()}
	for _, unset := range []**string{&c.Name, &c.URL} { // "" is not set, there
		if *unset != nil && **unset == "" {
			*unset = nil
		}
	}
	if q.err != nil {
		return q.err
	}
	if _, err := s.webhookAt(r.Context(), c.WebhookID); err != nil {
		return err
	}
	if c.URL != nil {
		if err := checkAddress(*c.URL); err != nil {
			return err
		}
	}
	if err := c.Validate(); err != nil {
		return err
	}
	if c.URL != nil {
		if err := s.Webhooks.Check(r.Context(), *c.URL); err != nil {
			return err
		}
	}
	if c.Secret != nil {
		if *c.Secret, err = s.sealed(c.WebhookID, *c.Secret); err != nil {
			return err
		}
	}
	if _, err := s.act(r, c, 0, "webhooks"); err != nil {
		return inWords(err, map[fault.Code]error{fault.NotFound: noWebhook(c.WebhookID)})
	}
	return s.answerWebhook(w, r, c.WebhookID)
}

func (s *Surface) deleteWebhook(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	if _, err := s.webhookAt(r.Context(), id); err != nil {
		return err
	}
	_, err := s.act(r, &commands.DeleteWebhook{WebhookID: id}, 0, "webhooks")
	return done(w, inWords(err, map[fault.Code]error{fault.NotFound: noWebhook(id)}))
}

// testWebhook sends an example, once, and says what came of it.
func (s *Surface) testWebhook(w http.ResponseWriter, r *http.Request) error {
	q, err := read(w, r)
	if err != nil {
		return err
	}
	var event webhookEvent
	name := ""
	if raw := q.raw("event"); raw != nil {
		if json.Unmarshal(raw, &event) != nil {
			q.wrong("event", raw)
		}
		name = event.name()
		if !slices.Contains(commands.WebhookEvents, name) {
			q.fault(invalid("Invalid webhook event: %s", api.Short(name)))
		}
	}
	if q.err != nil {
		return q.err
	}
	h, err := s.webhookAt(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	result := struct {
		Success bool   `json:"success"`
		Status  int    `json:"response_status,omitempty"`
		Body    string `json:"response_body,omitempty"`
		Error   string `json:"error_message,omitempty"`
	}{}
	result.Status, result.Body, err = s.Webhooks.Test(r.Context(), h, name)
	if result.Success = err == nil && result.Status < 300; err != nil {
		result.Error = "Failed to test webhook: " + err.Error()
	}
	return api.WriteJSON(w, http.StatusOK, map[string]any{"result": result})
}
