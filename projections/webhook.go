package projections

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// Webhooks is who wants to be told of what happens in the registry, what each is still to be told, and what became of the last
// deliveries. What is to be told is folded when it happens, by what was wanted then.
//
//	d id -> Webhook      a created id -> id
//	q id offset index part -> Due
//	l id offset index -> EndedDelivery, the last EndedKept of each
//	m key -> told: what is known of a model
type Webhooks struct{ r fold.Reader }

// NewWebhooks makes the view "webhooks".
func NewWebhooks() *Webhooks { return &Webhooks{} }

// Webhook is who wants to be told.
type Webhook struct {
	events.WebhookCreated
	Deleted bool `json:"deleted,omitempty"`
	fold.Stamp
}

// Due is what a webhook is to be told.
type Due struct {
	DeliveryID  string         `json:"delivery_id"`
	Event       string         `json:"event"` // "model_version.created"
	Offset      int64          `json:"offset"`
	Index       int            `json:"index"`
	Part        int            `json:"part"`
	EventMillis int64          `json:"event_millis"`
	Data        map[string]any `json:"data"`
}

// EndedDelivery is what became of a delivery.
type EndedDelivery struct {
	events.WebhookDelivery
	Delivered bool `json:"delivered"`
	fold.Origin
}

// EndedKept is how many ended deliveries of a webhook are kept at hand; all of them are in its stream.
const EndedKept = 100

// told is what is known of a model: what it is called, whether it is a prompt, and what webhooks are told that has come of the
// commit that is folded, which may say more of it.
type told struct {
	Name   string `json:"name"`
	Prompt bool   `json:"prompt,omitempty"`
	Begun  *begun `json:"begun,omitempty"`
	key    string
}

type begun struct {
	Offset  int64          `json:"offset"`
	Index   int            `json:"index"`
	Version int            `json:"version,omitempty"` // 0: the model itself
	Event   string         `json:"event"`
	Data    map[string]any `json:"data"`
}

var webhookDocs = fold.Documents[Webhook]{
	Table: 'd',
	ID:    func(in *fold.Input) (string, bool) { return webhookOf(in.Event.Data) },
	Fold: func(h *Webhook, in *fold.Input) {
		switch x := in.Event.Data.(type) {
		case *events.WebhookCreated:
			h.WebhookCreated = *x
		case *events.WebhookRenamed:
			h.Name = x.Name
		case *events.WebhookDescribed:
			h.Description = x.Description
		case *events.WebhookMoved:
			h.URL = x.URL
		case *events.WebhookSubscribed:
			h.Events = x.Events
		case *events.WebhookSecretSet:
			h.Secret = x.Secret
		case *events.WebhookEnabled:
			h.Disabled = false
		case *events.WebhookDisabled:
			h.Disabled = true
		case *events.WebhookDeleted:
			h.Deleted = true
		}
	},
	Index: func(h *Webhook) []fold.Key {
		if h.Deleted {
			return nil
		}
		return []fold.Key{fold.Table('a').Millis(h.CreatedMillis).Str(h.WebhookID)}
	},
	Stamp: func(h *Webhook) *fold.Stamp { return &h.Stamp },
}

// webhookOf is the webhook that an event of a definition is of; false for another event.
func webhookOf(d events.Data) (string, bool) {
	switch x := d.(type) {
	case *events.WebhookCreated:
		return x.WebhookID, true
	case *events.WebhookRenamed:
		return x.WebhookID, true
	case *events.WebhookDescribed:
		return x.WebhookID, true
	case *events.WebhookMoved:
		return x.WebhookID, true
	case *events.WebhookSubscribed:
		return x.WebhookID, true
	case *events.WebhookSecretSet:
		return x.WebhookID, true
	case *events.WebhookEnabled:
		return x.WebhookID, true
	case *events.WebhookDisabled:
		return x.WebhookID, true
	case *events.WebhookDeleted:
		return x.WebhookID, true
	}
	return "", false
}

func (*Webhooks) Spec() fold.Spec {
	return fold.Spec{Name: "webhooks", Format: 1, Topics: fold.LedgerTopics, Indexed: true}
}

func (v *Webhooks) Open(r fold.Reader) error { v.r = r; return nil }
func (*Webhooks) Flush(fold.Writer) error    { return nil }

func (*Webhooks) Apply(w fold.Writer, in []fold.Input) error {
	for i := range in {
		if err := webhookDocs.Apply(w, in[i:i+1]); err != nil {
			return err
		}
		if in[i].Event == nil {
			continue
		}
		if err := applyWebhooks(w, &in[i]); err != nil {
			return fold.PoisonAt(&in[i], err)
		}
	}
	return nil
}

func applyWebhooks(w fold.Writer, in *fold.Input) error {
	switch x := in.Event.Data.(type) {
	case *events.WebhookDelivered:
		return endDelivery(w, in, EndedDelivery{x.WebhookDelivery, true, fold.OriginOf(in)})
	case *events.WebhookDeliveryFailed:
		return endDelivery(w, in, EndedDelivery{x.WebhookDelivery, false, fold.OriginOf(in)})
	case *events.WebhookDeleted:
		return fold.DeleteAll(w, fold.Table('q').Str(x.WebhookID))
	case *events.WebhookDisabled:
		return fold.DeleteAll(w, fold.Table('q').Str(x.WebhookID))
	}
	key, ok := modelKey(in)
	if _, claimed := in.Event.Data.(*events.ModelNameClaimed); !ok || claimed {
		return nil
	}
	m := told{key: key, Name: key}
	if _, err := fold.GetJSON(w, fold.Table('m').Str(key), &m); err != nil {
		return err
	}
	m.key = key
	if m.Begun != nil && m.Begun.Offset != in.Position.Offset {
		m.Begun = nil
	}
	if err := m.apply(w, in); err != nil {
		return err
	}
	if _, gone := in.Event.Data.(*events.ModelDeleted); gone {
		return w.Delete(fold.Table('m').Str(key))
	}
	return fold.SetJSON(w, fold.Table('m').Str(key), &m)
}

// Tags that make a model a prompt, and say what kind and text it is of.
const (
	promptTag     = "mlflow.prompt.is_prompt"
	promptKindTag = "_mlflow_prompt_type"
	promptTextTag = "mlflow.prompt.text"
)

// event is what MLflow calls what happens to a model, or to its version: of prompts it has other names.
func (m *told) event(what string) string {
	if !m.Prompt {
		return what
	}
	return map[string]string{"registered_model.created": "prompt.created", "model_version.created": "prompt_version.created", "model_version_tag.set": "prompt_version_tag.set",
		"model_version_tag.deleted": "prompt_version_tag.deleted", "model_version_alias.created": "prompt_alias.created", "model_version_alias.deleted": "prompt_alias.deleted"}[what]
}

// apply puts what an event says into what webhooks are to be told.
func (m *told) apply(w fold.Writer, in *fold.Input) error {
	switch x := in.Event.Data.(type) {
	case *events.ModelRegistered:
		m.Name, m.Prompt = x.Name, false
		return m.begin(w, in, 0, "registered_model.created", map[string]any{"name": x.Name, "tags": map[string]string{}, "description": x.Description})
	case *events.ModelRenamed:
		m.Name = x.To
	case *events.ModelVersionRegistered:
		return m.begin(w, in, x.Version, "model_version.created", versionData(m.Name, x.Version, "runs:/"+x.RunID+"/model", x.RunID))
	case *events.ModelVersionAdded:
		return m.begin(w, in, x.Version, "model_version.created", versionData(m.Name, x.Version, x.Source, x.RunID))
	case *events.ModelDescribed:
		if m.Begun != nil && m.Begun.Version == x.Version {
			m.Begun.Data["description"] = x.Description
			return m.tell(w, in, m.Begun.Index, 0, m.Begun.Event, m.Begun.Data)
		}
	case *events.ModelTagsSet:
		return m.tagged(w, in, x)
	case *events.ModelTagRemoved:
		if x.Version > 0 {
			return m.tell(w, in, in.Index, 0, m.event("model_version_tag.deleted"), map[string]any{"name": m.Name, "version": strconv.Itoa(x.Version), "key": x.Key})
		}
		if m.Prompt {
			return m.tell(w, in, in.Index, 0, "prompt_tag.deleted", map[string]any{"name": m.Name, "key": x.Key})
		}
	case *events.ModelAliasSet:
		return m.tell(w, in, in.Index, 0, m.event("model_version_alias.created"), map[string]any{"name": m.Name, "alias": x.Alias, "version": strconv.Itoa(x.Version)})
	case *events.ModelAliasRemoved:
		return m.tell(w, in, in.Index, 0, m.event("model_version_alias.deleted"), map[string]any{"name": m.Name, "alias": x.Alias})
	}
	return nil
}

func versionData(name string, version int, source, run string) map[string]any {
	data := map[string]any{"name": name, "version": strconv.Itoa(version), "source": source, "run_id": nil, "tags": map[string]string{}, "description": nil}
	if run != "" {
		data["run_id"] = run
	}
	return data
}

// begin tells of something new. What the same commit goes on to say of it belongs to it.
func (m *told) begin(w fold.Writer, in *fold.Input, version int, event string, data map[string]any) error {
	m.Begun = &begun{in.Position.Offset, in.Index, version, m.event(event), data}
	if m.Begun.Event == "prompt_version.created" {
		delete(data, "source")
		delete(data, "run_id")
		data["template"] = nil
	}
	return m.tell(w, in, in.Index, 0, m.Begun.Event, data)
}

// tagged tells of tags that are set: of each by itself, unless they are of something new.
func (m *told) tagged(w fold.Writer, in *fold.Input, x *events.ModelTagsSet) error {
	prompt := x.Version == 0 && x.Tags[promptTag] == "true"
	if m.Begun != nil && m.Begun.Version == x.Version {
		b := m.Begun
		if prompt && !m.Prompt { // so it was none that begun
			if err := retract(w, in, b.Index); err != nil {
				return err
			}
			m.Prompt, b.Event = true, "prompt.created"
		}
		tags := maps.Clone(x.Tags)
		if m.Prompt {
			if text, ok := tags[promptTextTag]; ok && b.Version > 0 {
				b.Data["template"] = text
			}
			maps.DeleteFunc(tags, func(key, _ string) bool {
				return slices.Contains([]string{promptTag, promptKindTag, promptTextTag}, key)
			})
		}
		b.Data["tags"] = tags
		return m.tell(w, in, b.Index, 0, b.Event, b.Data)
	}
	m.Prompt = m.Prompt || prompt
	for part, key := range slices.Sorted(maps.Keys(x.Tags)) {
		event, data := m.event("model_version_tag.set"), map[string]any{"name": m.Name, "version": strconv.Itoa(x.Version), "key": key, "value": x.Tags[key]}
		if x.Version == 0 {
			if !m.Prompt {
				return nil
			}
			event = "prompt_tag.set"
			delete(data, "version")
		}
		if err := m.tell(w, in, in.Index, part, event, data); err != nil {
			return err
		}
	}
	return nil
}

// deliveryID derives from what is told, and to whom: a repeat has the same.
func deliveryID(webhook, event string, index, part int) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{"webhook delivery", webhook, event, strconv.Itoa(index), strconv.Itoa(part)}, "\x00")))
	id := hex.EncodeToString(sum[:16])
	return strings.Join([]string{id[:8], id[8:12], id[12:16], id[16:20], id[20:]}, "-")
}

func dueKey(webhook string, offset int64, index, part int) fold.Key {
	return fold.Table('q').Str(webhook).U64(uint64(offset)).U32(uint32(index)).U32(uint32(part))
}

// tell puts something among what each webhook that wants it is to be told.
func (m *told) tell(w fold.Writer, in *fold.Input, index, part int, event string, data map[string]any) error {
	for h, err := range allWebhooks(w) {
		if err != nil {
			return err
		}
		if h.Disabled || !slices.Contains(h.Events, event) {
			continue
		}
		offset := in.Position.Offset
		d := Due{deliveryID(h.WebhookID, in.Event.ID, index, part), event, offset, index, part, in.Event.Time.UnixMilli(), data}
		if old, ok, err := dueAt(w, dueKey(h.WebhookID, offset, index, part)); err != nil {
			return err
		} else if ok {
			d.DeliveryID = old.DeliveryID
		}
		if err := fold.SetJSON(w, dueKey(h.WebhookID, offset, index, part), &d); err != nil {
			return err
		}
	}
	return nil
}

func dueAt(r fold.Reader, key fold.Key) (d Due, ok bool, err error) {
	ok, err = fold.GetJSON(r, key, &d)
	return d, ok, err
}

// retract takes back what an event of the commit that is folded was to tell.
func retract(w fold.Writer, in *fold.Input, index int) error {
	for h, err := range allWebhooks(w) {
		if err == nil {
			err = w.Delete(dueKey(h.WebhookID, in.Position.Offset, index, 0))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// allWebhooks are those that are not deleted, oldest first.
func allWebhooks(r fold.Reader) iter.Seq2[Webhook, error] {
	return func(yield func(Webhook, error) bool) {
		for kv, err := range r.Scan(fold.Table('a'), fold.Table('a').End()) {
			var h Webhook
			if err == nil {
				h, _, err = webhookDocs.Load(r, kv)
			}
			if !yield(h, err) || err != nil {
				return
			}
		}
	}
}

func endDelivery(w fold.Writer, in *fold.Input, d EndedDelivery) error {
	if err := w.Delete(dueKey(d.WebhookID, d.Offset, d.Index, d.Part)); err != nil {
		return err
	}
	if err := fold.SetJSON(w, fold.Table('l').Str(d.WebhookID).Entry(in), &d); err != nil {
		return err
	}
	n, table := 0, fold.Table('l').Str(d.WebhookID)
	var oldest fold.Key
	for kv, err := range w.Scan(table, table.End()) {
		if err != nil {
			return err
		}
		if n++; n == 1 {
			oldest = slices.Clone(kv.Key)
		}
	}
	if n > EndedKept {
		return w.Delete(oldest)
	}
	return nil
}

// Webhook reads one webhook; false for a deleted one.
func (v *Webhooks) Webhook(id string) (Webhook, bool, error) {
	return undeleted(webhookDocs.Get(v.r, id))
}

func undeleted(h Webhook, ok bool, err error) (Webhook, bool, error) {
	if h.Deleted {
		return Webhook{}, false, err
	}
	return h, ok, err
}

// Webhooks pages through the webhooks, newest first.
func (v *Webhooks) Webhooks(q fold.PageQuery) (fold.Page[Webhook], error) {
	return webhookDocs.Paginate(v.r, fold.Table('a'), true, q, nil)
}

// All are all webhooks, oldest first.
func (v *Webhooks) All() iter.Seq2[Webhook, error] { return allWebhooks(v.r) }

// Due pages through what a webhook is to be told, in order.
func (v *Webhooks) Due(id string, q fold.PageQuery) (fold.Page[Due], error) {
	return fold.PageJSON[Due](v.r, fold.Table('q').Str(id), false, q, nil)
}

// Ended pages through the last deliveries to a webhook that have ended, newest first.
func (v *Webhooks) Ended(id string, q fold.PageQuery) (fold.Page[EndedDelivery], error) {
	return fold.PageJSON[EndedDelivery](v.r, fold.Table('l').Str(id), true, q, nil)
}

// FoldWebhook folds what at admits of a "webhook/ID" stream; false when that is nothing.
func FoldWebhook(commits iter.Seq2[*streams.Committed, error], at fold.At) (Webhook, bool, error) {
	return undeleted(webhookDocs.FoldStream(commits, at))
}

// Body is what a webhook is sent of it: the same at every attempt.
func (d *Due) Body() ([]byte, error) {
	entity, action, _ := strings.Cut(d.Event, ".")
	fields := slices.SortedFunc(maps.Keys(d.Data), func(a, b string) int {
		return cmp.Compare(slices.Index(webhookFields, a), slices.Index(webhookFields, b))
	})
	data := []byte("{")
	for i, field := range fields {
		raw, err := json.Marshal(d.Data[field])
		if err != nil {
			return nil, err
		}
		if i > 0 {
			data = append(data, ',')
		}
		data = append(append(strconv.AppendQuote(data, field), ':'), raw...)
	}
	data = append(data, '}')
	return json.Marshal(struct {
		Entity    string          `json:"entity"`
		Action    string          `json:"action"`
		Timestamp string          `json:"timestamp"`
		Data      json.RawMessage `json:"data"`
	}{entity, action, events.FormatTime(time.UnixMilli(d.EventMillis)), data})
}

// webhookFields is the order in which MLflow says what a webhook is told.
var webhookFields = []string{"name", "version", "source", "run_id", "template", "alias", "key", "value", "tags", "description"}
