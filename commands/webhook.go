package commands

import (
	"net/url"
	"regexp"
	"slices"

	"github.com/projectionist/projectionist/events"
)

// WebhookEvents are what a webhook can be told of, by MLflow's names. There are no budgets here, so of these nothing is told.
var WebhookEvents = []string{
	"registered_model.created", "model_version.created", "model_version_tag.set", "model_version_tag.deleted", "model_version_alias.created", "model_version_alias.deleted",
	"prompt.created", "prompt_version.created", "prompt_tag.set", "prompt_tag.deleted", "prompt_version_tag.set", "prompt_version_tag.deleted", "prompt_alias.created", "prompt_alias.deleted",
	"budget_policy.exceeded",
}

// CreateWebhook asks to be told of things that happen, at a URL.
type CreateWebhook struct {
	WebhookID   string   `json:"webhook_id"`
	Name        string   `json:"name"`
	URL         string   `json:"url"`
	Events      []string `json:"events"`
	Description string   `json:"description,omitempty"`
	Secret      string   `json:"secret,omitempty"` // sealed
	Disabled    bool     `json:"disabled,omitempty"`
}

func (*CreateWebhook) CommandType() string { return "webhook.create" }
func (c *CreateWebhook) Stream() string    { return webhookStream(c.WebhookID) }

func (c *CreateWebhook) Validate() error {
	var f faults
	f.id("webhook_id", c.WebhookID)
	f.webhookName(c.Name)
	f.webhookURL(c.URL)
	f.webhookEvents(c.Events)
	f.text("description", c.Description, webhookTextMax)
	f.line("secret", c.Secret, TextBytesMax)
	return f.err()
}

// UpdateWebhook changes of a webhook what is not nil.
type UpdateWebhook struct {
	WebhookID   string   `json:"webhook_id"`
	Name        *string  `json:"name,omitempty"`
	URL         *string  `json:"url,omitempty"`
	Events      []string `json:"events,omitempty"`
	Description *string  `json:"description,omitempty"`
	Secret      *string  `json:"secret,omitempty"` // sealed; "" for none
	Disabled    *bool    `json:"disabled,omitempty"`
}

func (*UpdateWebhook) CommandType() string { return "webhook.update" }
func (c *UpdateWebhook) Stream() string    { return webhookStream(c.WebhookID) }

func (c *UpdateWebhook) Validate() error {
	var f faults
	f.id("webhook_id", c.WebhookID)
	if c.Name != nil {
		f.webhookName(*c.Name)
	}
	if c.URL != nil {
		f.webhookURL(*c.URL)
	}
	if c.Events != nil {
		f.webhookEvents(c.Events)
	}
	if c.Description != nil {
		f.text("description", *c.Description, webhookTextMax)
	}
	if c.Secret != nil {
		f.line("secret", *c.Secret, TextBytesMax)
	}
	return f.err()
}

// DeleteWebhook ends a webhook.
type DeleteWebhook struct {
	WebhookID string `json:"webhook_id"`
}

func (*DeleteWebhook) CommandType() string { return "webhook.delete" }
func (c *DeleteWebhook) Stream() string    { return webhookStream(c.WebhookID) }

func (c *DeleteWebhook) Validate() error {
	var f faults
	f.id("webhook_id", c.WebhookID)
	return f.err()
}

// EndDelivery says what became of a delivery to a webhook, once.
type EndDelivery struct {
	events.WebhookDelivery
	Delivered bool `json:"delivered"`
}

func (*EndDelivery) CommandType() string { return "webhook.end_delivery" }
func (c *EndDelivery) Stream() string    { return webhookStream(c.WebhookID) }

func (c *EndDelivery) Validate() error {
	var f faults
	f.id("webhook_id", c.WebhookID)
	f.required("delivery_id", c.DeliveryID, IDBytesMax)
	f.oneOf("event", c.Event, WebhookEvents...)
	f.atLeast("offset", c.Offset, 0)
	f.atLeast("attempts", int64(c.Attempts), 0)
	f.text("error", c.Error, TextBytesMax)
	return f.err()
}

func webhookStream(id string) string { return "webhook/" + id }

// Limits of webhooks, MLflow's own.
const (
	webhookURLMax  = 500
	webhookTextMax = 1000
)

var webhookNames = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$`)

func (f *faults) webhookName(v string) {
	if !webhookNames.MatchString(v) {
		f.add("name", "%q is invalid; it must start and end with a letter or digit, have at most 63 characters, and contain only letters, digits, dots (.), underscores (_), and hyphens (-)", v)
	}
}

// webhookURL wants an address of HTTP. Where it leads is for who sends to judge.
func (f *faults) webhookURL(v string) {
	f.required("url", v, webhookURLMax)
	u, err := url.Parse(v)
	switch {
	case v == "":
	case err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http":
		f.add("url", "is %q; want https://HOST/PATH", v)
	case u.User != nil:
		f.add("url", "must not hold a user and a password: they would stand in the log")
	}
}

func (f *faults) webhookEvents(all []string) {
	if len(all) == 0 {
		f.add("events", "must not be empty")
	}
	if len(all) > len(WebhookEvents) {
		f.add("events", "has %d entries; there are %d", len(all), len(WebhookEvents))
		return
	}
	for i, e := range all {
		if !slices.Contains(WebhookEvents, e) {
			f.add("events", "has %q; want one of MLflow's, such as model_version.created", e)
		}
		if slices.Contains(all[:i], e) {
			f.add("events", "has %q twice", e)
		}
	}
}
