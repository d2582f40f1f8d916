package events

// WebhookCreated says that somebody wants to be told of things that happen, at a URL. Stream "webhook/ID".
type WebhookCreated struct {
	WebhookID   string   `json:"webhook_id"`
	Name        string   `json:"name"`
	URL         string   `json:"url"`
	Events      []string `json:"events"` // "model_version.created", as MLflow names them
	Description string   `json:"description,omitempty"`
	Secret      string   `json:"secret,omitempty"` // that signs, sealed: only who has the key can read it
	Disabled    bool     `json:"disabled,omitempty"`
}

func (*WebhookCreated) EventType() string { return "webhook.created" }

// WebhookRenamed gives a webhook another name.
type WebhookRenamed struct {
	WebhookID string `json:"webhook_id"`
	Name      string `json:"name"`
}

func (*WebhookRenamed) EventType() string { return "webhook.renamed" }

// WebhookDescribed says what a webhook is for.
type WebhookDescribed struct {
	WebhookID   string `json:"webhook_id"`
	Description string `json:"description"`
}

func (*WebhookDescribed) EventType() string { return "webhook.described" }

// WebhookMoved says that a webhook is told at another URL from now on, of what waits too.
type WebhookMoved struct {
	WebhookID string `json:"webhook_id"`
	URL       string `json:"url"`
}

func (*WebhookMoved) EventType() string { return "webhook.moved" }

// WebhookSubscribed says what a webhook is told of from now on, and nothing else.
type WebhookSubscribed struct {
	WebhookID string   `json:"webhook_id"`
	Events    []string `json:"events"`
}

func (*WebhookSubscribed) EventType() string { return "webhook.subscribed" }

// WebhookSecretSet gives a webhook another secret to sign with.
type WebhookSecretSet struct {
	WebhookID string `json:"webhook_id"`
	Secret    string `json:"secret"` // sealed; "" for none: nothing is signed
}

func (*WebhookSecretSet) EventType() string { return "webhook.secret_set" }

// WebhookEnabled says that a webhook is told again.
type WebhookEnabled struct {
	WebhookID string `json:"webhook_id"`
}

func (*WebhookEnabled) EventType() string { return "webhook.enabled" }

// WebhookDisabled says that a webhook is told nothing from now on; of what happens meanwhile it is not told later.
type WebhookDisabled struct {
	WebhookID string `json:"webhook_id"`
}

func (*WebhookDisabled) EventType() string { return "webhook.disabled" }

// WebhookDeleted ends a webhook.
type WebhookDeleted struct {
	WebhookID string `json:"webhook_id"`
}

func (*WebhookDeleted) EventType() string { return "webhook.deleted" }

// WebhookDelivery is what a webhook was to be told: of an event of the ledger, by its place, the part of it.
type WebhookDelivery struct {
	WebhookID  string `json:"webhook_id"`
	DeliveryID string `json:"delivery_id"` // the same at every attempt
	Event      string `json:"event"`       // "model_version.created"
	Offset     int64  `json:"offset"`      // of the commit in the ledger
	Index      int    `json:"index"`       // of the event in it
	Part       int    `json:"part"`        // of the event: 0, but for those of several tags
	Attempts   int    `json:"attempts"`
	Status     int    `json:"status,omitempty"` // of the last answer, 0 for none
	Error      string `json:"error,omitempty"`
}

// WebhookDelivered says that a webhook was told.
type WebhookDelivered struct{ WebhookDelivery }

func (*WebhookDelivered) EventType() string { return "webhook.delivered" }

// WebhookDeliveryFailed says that a webhook could not be told, and that it is not tried again.
type WebhookDeliveryFailed struct{ WebhookDelivery }

func (*WebhookDeliveryFailed) EventType() string { return "webhook.delivery_failed" }
