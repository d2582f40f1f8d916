package roles_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/projectionist/projectionist/api/apitest"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers/roles"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

// message is what an endpoint was sent.
type message struct {
	id, signature, at, body string
}

// endpoint is who is told, and answers as answer says.
type endpoint struct {
	*httptest.Server
	answer func(n int) int // status of the nth request, from 1
	got    chan message

	mu sync.Mutex
	n  int
}

func newEndpoint(t *testing.T, answer func(n int) int) *endpoint {
	e := &endpoint{answer: answer, got: make(chan message, 1000)}
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		e.mu.Lock()
		e.n++
		n := e.n
		e.mu.Unlock()
		e.got <- message{r.Header.Get("X-MLflow-Delivery-Id"), r.Header.Get("X-MLflow-Signature"), r.Header.Get("X-MLflow-Timestamp"), string(b)}
		w.Header().Set("Location", "http://127.0.0.1:1/")
		w.WriteHeader(answer(n))
	}))
	t.Cleanup(e.Close)
	return e
}

func (e *endpoint) next(t *testing.T) message {
	t.Helper()
	select {
	case m := <-e.got:
		return m
	case <-time.After(5 * time.Minute):
		t.Fatal("nothing was sent")
		return message{}
	}
}

// says is a message's event and data.
func (m message) says(t *testing.T) string {
	t.Helper()
	var v struct {
		Entity, Action string
		Data           map[string]any
	}
	if err := json.Unmarshal([]byte(m.body), &v); err != nil {
		t.Fatal(err)
	}
	b, _ := json.Marshal(v.Data)
	return v.Entity + "." + v.Action + " " + string(b)
}

type hooks struct {
	*apitest.Bench
	t *testing.T
}

func newHooks(t *testing.T) *hooks { return &hooks{apitest.New(t, nil), t} }

// messenger tells until stop.
func (h *hooks) messenger(private bool) (m *roles.Messenger, stop func()) {
	m = &roles.Messenger{Ledger: h.Log.Ledger(), Views: h.Views, Dispatcher: h.Dispatcher, Here: func() bool { return true }, Private: private,
		Unseal: func(_, sealed string) (string, error) { return strings.TrimPrefix(sealed, "sealed "), nil }, Pause: func(int, time.Duration) time.Duration { return time.Millisecond }}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); m.Run(ctx) }()
	stop = sync.OnceFunc(func() { cancel(); <-ended })
	h.t.Cleanup(stop)
	return m, stop
}

func (h *hooks) create(id, url string, of ...string) {
	h.Do(&commands.CreateWebhook{WebhookID: id, Name: id, URL: url, Events: of, Secret: "sealed key of " + id})
}

// ended waits for so many ended deliveries, and gives them, the oldest first.
func (h *hooks) ended(id string, n int) []projections.EndedDelivery {
	h.t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); ; {
		p, err := fold.Of[*projections.Webhooks](h.Views).Ended(id, fold.PageQuery{})
		h.Must(err)
		if len(p.Items) >= n {
			slices.Reverse(p.Items)
			return p.Items
		}
		if time.Now().After(deadline) {
			h.t.Fatalf("%d deliveries to %s have ended, want %d", len(p.Items), id, n)
		}
		h.Must(h.Log.Ledger().Wait(h.t.Context(), h.Head()-1))
	}
}

// TestMessenger: what happens in the registry is told, once each, in order, signed, and to who wants it.
func TestMessenger(t *testing.T) {
	h := newHooks(t)
	all, some := newEndpoint(t, func(int) int { return 200 }), newEndpoint(t, func(int) int { return 204 })
	h.Do(&commands.RegisterModel{Name: "before"})
	h.create("all", all.URL+"/x", commands.WebhookEvents...)
	h.create("some", some.URL, "model_version.created")
	h.messenger(true)
	h.Do(&commands.RegisterModel{Name: "m", Description: "what", Tags: map[string]string{"a": "b"}})
	h.Do(&commands.AddModelVersion{Name: "m", Source: "models:/x", RunID: "r", Description: "first", Tags: map[string]string{"c": "d"}})
	h.Do(&commands.SetModelTags{Name: "m", Tags: map[string]string{"of": "the model"}})
	h.Do(&commands.SetModelTags{Name: "m", Version: 1, Tags: map[string]string{"x": "1", "y": "2"}})
	h.Do(&commands.RemoveModelTag{Name: "m", Version: 1, Key: "x"})
	h.Do(&commands.RenameModel{Name: "m", To: "n"})
	h.Do(&commands.SetModelAlias{Name: "n", Alias: "best", Version: 1})
	h.Do(&commands.RemoveModelAlias{Name: "n", Alias: "best"})
	h.Do(&commands.RegisterModel{Name: "p", Tags: map[string]string{"mlflow.prompt.is_prompt": "true", "_mlflow_prompt_type": "text", "k": "v"}})
	h.Do(&commands.AddModelVersion{Name: "p", Source: "dummy", Tags: map[string]string{"mlflow.prompt.is_prompt": "true", "mlflow.prompt.text": "Hi {{x}}"}})
	h.Do(&commands.SetModelTags{Name: "p", Tags: map[string]string{"k": "w"}})
	h.Do(&commands.SetModelAlias{Name: "p", Alias: "best", Version: 1})
	ids := map[string]bool{}
	for _, want := range []string{
		`registered_model.created {"description":"what","name":"m","tags":{"a":"b"}}`,
		`model_version.created {"description":"first","name":"m","run_id":"r","source":"models:/x","tags":{"c":"d"},"version":"1"}`,
		`model_version_tag.set {"key":"x","name":"m","value":"1","version":"1"}`, `model_version_tag.set {"key":"y","name":"m","value":"2","version":"1"}`,
		`model_version_tag.deleted {"key":"x","name":"m","version":"1"}`,
		`model_version_alias.created {"alias":"best","name":"n","version":"1"}`, `model_version_alias.deleted {"alias":"best","name":"n"}`,
		`prompt.created {"description":"","name":"p","tags":{"k":"v"}}`, `prompt_version.created {"description":null,"name":"p","tags":{},"template":"Hi {{x}}","version":"1"}`,
		`prompt_tag.set {"key":"k","name":"p","value":"w"}`, `prompt_alias.created {"alias":"best","name":"p","version":"1"}`,
	} {
		m := all.next(t)
		if got := m.says(t); got != want {
			t.Errorf("told %s\nwant %s", got, want)
		}
		mac := hmac.New(sha256.New, []byte("key of all"))
		fmt.Fprintf(mac, "%s.%s.%s", m.id, m.at, m.body)
		if m.signature != "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)) || ids[m.id] || len(m.id) != 36 {
			t.Errorf("%+v", m)
		}
		ids[m.id] = true
	}
	if got := some.next(t).says(t); !strings.HasPrefix(got, "model_version.created") {
		t.Error(got)
	}
	for _, d := range h.ended("all", 11) {
		if !d.Delivered || d.Attempts != 1 || d.Status != 200 || !ids[d.DeliveryID] {
			t.Errorf("%+v", d)
		}
	}
	if n := len(all.got) + len(some.got); n != 0 {
		t.Errorf("%d more messages", n)
	}
}

// TestMessengerTriesAgain: what may pass is tried again, with the same id and body, and given up after some attempts; what will not pass
// is not; and who does not answer holds up nobody.
func TestMessengerTriesAgain(t *testing.T) {
	h := newHooks(t)
	stuck := make(chan struct{})
	dead := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		<-stuck
	}))
	h.create("dead", dead.URL, "registered_model.created")
	flaky := newEndpoint(t, func(n int) int { return []int{200, 503, 429}[n%3] })
	down := newEndpoint(t, func(int) int { return 500 })
	gone := newEndpoint(t, func(int) int { return 404 })
	moved := newEndpoint(t, func(int) int { return 302 })
	for id, e := range map[string]*endpoint{"flaky": flaky, "down": down, "gone": gone, "moved": moved} {
		h.create(id, e.URL, "registered_model.created")
	}
	_, stop := h.messenger(true)
	h.Do(&commands.RegisterModel{Name: "a"})
	h.Do(&commands.RegisterModel{Name: "b"})
	for id, want := range map[string]events.WebhookDelivery{"flaky": {Attempts: 3, Status: 200}, "down": {Attempts: 5, Status: 500, Error: "Internal Server Error"},
		"gone": {Attempts: 1, Status: 404, Error: "Not Found"}, "moved": {Attempts: 1, Status: 302, Error: "Found"}} {
		for _, d := range h.ended(id, 2) {
			if d.Attempts != want.Attempts || d.Status != want.Status || d.Error != want.Error || d.Delivered != (id == "flaky") {
				t.Errorf("%s: %+v", id, d)
			}
		}
	}
	first, second := flaky.next(t), flaky.next(t)
	if first.id != second.id || first.body != second.body {
		t.Errorf("another attempt is another message: %+v, %+v", first, second)
	}
	stop() // while the dead one is being told
	close(stuck)
	dead.Close()
}

// TestMessengerGoesOn: what was not told when it ended is told by the next one, at worst twice under one id; and what a webhook was not to be
// told is not.
func TestMessengerGoesOn(t *testing.T) {
	h := newHooks(t)
	e := newEndpoint(t, func(int) int { return 200 })
	h.create("w", e.URL, "registered_model.created")
	h.Do(&commands.RegisterModel{Name: "a"})
	_, stop := h.messenger(true)
	h.ended("w", 1)
	stop()
	yes, no := true, false
	h.Do(&commands.RegisterModel{Name: "b"})
	h.Do(&commands.UpdateWebhook{WebhookID: "w", Disabled: &yes})
	h.Do(&commands.RegisterModel{Name: "c"})
	h.Do(&commands.UpdateWebhook{WebhookID: "w", Disabled: &no})
	h.Do(&commands.RegisterModel{Name: "d"})
	h.Do(&commands.RegisterModel{Name: "e"})
	h.messenger(true)
	var told []string
	for range h.ended("w", 3) {
		told = append(told, e.next(t).says(t)[:len(`registered_model.created {"description":"","name":"a"`)])
	}
	for i, name := range []string{"a", "d", "e"} {
		if !strings.HasSuffix(told[i], `"`+name+`"`) {
			t.Errorf("told %q", told)
		}
	}
}

// TestMessengerAddresses: nothing is sent to an address that is not public, whatever leads there.
func TestMessengerAddresses(t *testing.T) {
	h := newHooks(t)
	e := newEndpoint(t, func(int) int { return 200 })
	h.create("w", strings.Replace(e.URL, "http://", "https://", 1), "registered_model.created")
	m, _ := h.messenger(false)
	h.Do(&commands.RegisterModel{Name: "a"})
	if d := h.ended("w", 1)[0]; d.Delivered || d.Attempts != 1 || !strings.Contains(d.Error, "no public address") {
		t.Errorf("%+v", d)
	}
	if len(e.got) != 0 {
		t.Error("it was sent")
	}
	for _, address := range []string{"http://example.com/", "https://127.0.0.1/", "https://[::1]:5000/", "https://10.1.2.3/", "https://192.168.0.1/", "https://169.254.169.254/latest/meta-data", "https://[fd00::1]/",
		"https://[fe80::1]/", "https://0.0.0.0/", "https://100.64.1.1/", "https://[::ffff:127.0.0.1]/", "https://[64:ff9b::7f00:1]/", "https://localhost/", "https://224.0.0.1/", "ftp://8.8.8.8/"} {
		if err := m.Check(t.Context(), address); err == nil {
			t.Errorf("%s is allowed", address)
		}
	}
	for _, address := range []string{"https://8.8.8.8/", "https://[2606:4700:4700::1111]/hook"} {
		if err := m.Check(t.Context(), address); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
	sent := m.Test(t.Context(), &projections.Webhook{WebhookCreated: events.WebhookCreated{URL: "https://169.254.169.254/", Events: []string{"prompt.created"}}}, "")
	if sent.OK() || sent.Err == nil || errors.Is(sent.Err, context.DeadlineExceeded) {
		t.Errorf("%+v", sent)
	}
}
