package roles

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/handlers/react"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// Messenger tells webhooks what the view says they are to be told, each in order and by itself: one that does not answer holds up
// nobody else. What has come of it is an event, so that after a crash it goes on where it was; at worst the same is told again, under
// the same delivery id.
//
// It is signed, and it is sent nowhere but to public addresses, as by MLflow 3.17 (mlflow/webhooks/delivery.py).
type Messenger struct {
	Ledger     streams.Ledger
	Views      *fold.Runner // runs, with the view webhooks
	Dispatcher react.Dispatcher
	Here       func() bool                                          // whether this node is the one that tells
	Unseal     func(webhook, sealed string) (string, error)         // a secret
	Private    bool                                                 // http, and addresses that are not public, are allowed
	Now        func() time.Time                                     // default time.Now
	Pause      func(attempt int, asked time.Duration) time.Duration // before the next attempt; default grows from a second
	Logger     *slog.Logger                                         // default slog.Default

	once    sync.Once
	client  *http.Client
	mu      sync.Mutex
	telling map[string]bool
	going   sync.WaitGroup
}

const nameMessenger = "messenger"

const (
	// messageAttempts is how often a message is sent at most: over half a minute without an answer, something is wrong that
	// takes longer.
	messageAttempts = 5
	messageTimeout  = 10 * time.Second
	// pauseAskedMax bounds what Retry-After can ask for.
	pauseAskedMax = time.Minute
	// answerBytesMax is how much of an answer is read.
	answerBytesMax = 64 << 10
	// hereAgain is how often a node on which another one tells asks whether it still does.
	hereAgain = 5 * time.Second
)

// messenger is a role without events of its own: where nodes share a log it is one node's, and that one tells.
func (c *Config) messenger() react.Role {
	return react.Role{Name: nameMessenger, Tasks: map[string]react.TaskFunc{opNotify: c.task(notify)}, Slots: notifySlots, Wants: func(*events.Event) bool { return false }, Handle: func(context.Context, *react.Reaction) error { return nil }}
}

// MessengerHere says whether the role is this node's.
func MessengerHere(stats []react.Stat) bool { return here(stats, nameMessenger) }

func here(stats []react.Stat, role string) bool {
	for _, s := range stats {
		if s.Reactor == role {
			return s.Here
		}
	}
	return false
}

func (m *Messenger) setup() {
	m.once.Do(func() {
		if m.Now == nil {
			m.Now = time.Now
		}
		if m.Pause == nil {
			m.Pause = func(attempt int, asked time.Duration) time.Duration {
				return max(min(asked, pauseAskedMax), time.Second<<(attempt-1))
			}
		}
		if m.Logger == nil {
			m.Logger = slog.Default()
		}
		m.Logger = m.Logger.With("reactor", nameMessenger)
		m.telling = map[string]bool{}
		dialer := net.Dialer{Timeout: messageTimeout, Control: m.control}
		m.client = &http.Client{
			Timeout:       messageTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Transport:     &http.Transport{DialContext: dialer.DialContext, TLSHandshakeTimeout: messageTimeout, MaxIdleConnsPerHost: 1, IdleConnTimeout: time.Minute}, // no proxy: its address would be judged
		}
	})
}

// Run tells until ctx ends.
func (m *Messenger) Run(ctx context.Context) {
	m.setup()
	defer m.client.CloseIdleConnections()
	defer m.going.Wait()
	ledger := streams.TP{Topic: events.LedgerTopic}
	for ctx.Err() == nil {
		if m.Here() {
			if err := m.begin(ctx); err != nil {
				m.Logger.Error("what webhooks are to be told cannot be read; it is tried again", "error", err)
			}
		}
		next := m.Views.FoldedTo("webhooks", ledger)
		wait, cancel := context.WithTimeout(ctx, hereAgain)
		if m.Ledger.Wait(wait, next) == nil {
			_ = m.Views.Wait(wait, streams.Position{TP: ledger, Offset: next}, "webhooks") // if it is halted, the next turn finds the same
		}
		cancel()
	}
}

// begin sees to it that every webhook is being told that there is something for.
func (m *Messenger) begin(ctx context.Context) error {
	view := fold.Of[*projections.Webhooks](m.Views)
	for h, err := range view.All() {
		if err != nil {
			return err
		}
		due, err := view.Due(h.WebhookID, fold.PageQuery{Limit: 1})
		if err != nil {
			return err
		}
		m.mu.Lock()
		if len(due.Items) > 0 && !m.telling[h.WebhookID] {
			m.telling[h.WebhookID] = true
			m.going.Go(func() { m.tell(ctx, h.WebhookID) })
		}
		m.mu.Unlock()
	}
	return nil
}

// tell tells a webhook all there is for it.
func (m *Messenger) tell(ctx context.Context, id string) {
	defer func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.telling, id)
	}()
	for attempt := 1; ctx.Err() == nil; attempt++ {
		more, err := m.tellNext(ctx, id)
		switch {
		case err == nil && !more:
			return
		case err == nil:
			attempt = 0
		case ctx.Err() == nil:
			m.Logger.Error("a webhook cannot be told; it is tried again", "webhook", id, "error", err)
			sleep(ctx, m.Pause(min(attempt, messageAttempts), 0))
		}
	}
}

// tellNext tells a webhook the next there is for it, until it is told or given up; more is false when there was nothing.
func (m *Messenger) tellNext(ctx context.Context, id string) (more bool, err error) {
	view := fold.Of[*projections.Webhooks](m.Views)
	page, err := view.Due(id, fold.PageQuery{Limit: 1})
	if err != nil || len(page.Items) == 0 {
		return false, err
	}
	due := &page.Items[0]
	end := &commands.EndDelivery{WebhookDelivery: events.WebhookDelivery{WebhookID: id, DeliveryID: due.DeliveryID, Event: due.Event, Offset: due.Offset, Index: due.Index, Part: due.Part}}
	for end.Attempts < messageAttempts {
		h, ok, err := view.Webhook(id) // as it is now: it may have been mended
		if err != nil || !ok || h.Disabled {
			return false, err
		}
		end.Attempts++
		sent := m.send(ctx, &h, due)
		if ctx.Err() != nil {
			return false, ctx.Err() // it is told again after the next start
		}
		end.Status, end.Error, end.Delivered = sent.Status, sent.fault(), sent.OK()
		if end.Delivered || !sent.again || end.Attempts == messageAttempts {
			break
		}
		sleep(ctx, m.Pause(end.Attempts, sent.after))
	}
	if !end.Delivered {
		m.Logger.Warn("a webhook was not told", "webhook", id, "event", due.Event, "delivery", due.DeliveryID, "attempts", end.Attempts, "status", end.Status, "error", end.Error)
	}
	res, err := m.Dispatcher.Dispatch(ctx, end, handlers.Meta{Actor: "reactor:" + nameMessenger})
	if fault.Is(err, fault.NotFound) { // it was deleted meanwhile
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, m.Views.Wait(ctx, res.Position, "webhooks")
}

// Sent is what came of a message.
type Sent struct {
	Status int // of the answer; 0 without one
	Body   string
	Err    error

	again bool          // another attempt may help
	after time.Duration // which the answer asks for
}

// OK says that the webhook has been told.
func (s *Sent) OK() bool { return s.Err == nil && s.Status < 300 }

func (s *Sent) fault() string {
	if s.OK() {
		return ""
	}
	text := http.StatusText(s.Status)
	if s.Err != nil {
		text = s.Err.Error()
	}
	return strings.ToValidUTF8(text[:min(len(text), briefBytesMax)], "")
}

// Test sends a webhook an example of an event, or of the first that it is told of.
func (m *Messenger) Test(ctx context.Context, h *projections.Webhook, event string) Sent {
	m.setup()
	if event == "" {
		event = h.Events[0]
	}
	now := m.Now()
	return m.send(ctx, h, &projections.Due{DeliveryID: react.HashID("webhook test", h.WebhookID, strconv.FormatInt(now.UnixNano(), 10)), Event: event, EventMillis: now.UnixMilli(), Data: example(event)})
}

// send sends a message once.
func (m *Messenger) send(ctx context.Context, h *projections.Webhook, due *projections.Due) Sent {
	body, err := due.Body()
	if err != nil {
		return Sent{Err: err}
	}
	if err := m.checkURL(h.URL); err != nil {
		return Sent{Err: err}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, h.URL, bytes.NewReader(body))
	if err != nil {
		return Sent{Err: err}
	}
	at := strconv.FormatInt(m.Now().Unix(), 10)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-MLflow-Delivery-Id", due.DeliveryID)
	r.Header.Set("X-MLflow-Timestamp", at)
	if h.Secret != "" {
		secret, err := m.Unseal(h.WebhookID, h.Secret)
		if err != nil {
			return Sent{Err: err, again: true} // the key may be put in place
		}
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte(due.DeliveryID + "." + at + "." + string(body)))
		r.Header.Set("X-MLflow-Signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	resp, err := m.client.Do(r)
	if err != nil {
		var own *fault.Error
		if errors.As(err, &own) {
			return Sent{Err: own}
		}
		var in *url.Error
		if errors.As(err, &in) {
			err = in.Err // without the URL, which may hold a token
		}
		return Sent{Err: err, again: true}
	}
	defer resp.Body.Close() //nolint:errcheck // read only
	text, _ := io.ReadAll(io.LimitReader(resp.Body, answerBytesMax))
	s := Sent{Status: resp.StatusCode, Body: strings.ToValidUTF8(string(text), "�")}
	s.again = s.Status == http.StatusTooManyRequests || s.Status >= 500
	if n, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && n > 0 {
		s.after = time.Duration(min(n, int(pauseAskedMax/time.Second))) * time.Second
	}
	return s
}

// Check refuses a URL that leads to addresses that are not public. That a name is not known now refuses nothing.
func (m *Messenger) Check(ctx context.Context, address string) error {
	m.setup()
	if err := m.checkURL(address); err != nil || m.Private {
		return err
	}
	u, err := url.Parse(address)
	if err != nil {
		return fault.Field("url", "%v", err)
	}
	ctx, cancel := context.WithTimeout(ctx, messageTimeout)
	defer cancel()
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", u.Hostname())
	if err != nil {
		return nil // names come and go; what it is then, is judged when it is connected to
	}
	for _, ip := range found {
		if !public(ip) {
			return fault.Field("url", "must not resolve to a non-public IP address; %q resolves to %s", u.Hostname(), ip)
		}
	}
	return nil
}

func (m *Messenger) checkURL(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && !(m.Private && u.Scheme == "http") {
		return fault.Field("url", "must begin with https://").WithHint("http and private addresses are for development: PROJECTIONIST_WEBHOOKS_PRIVATE=true allows them")
	}
	return nil
}

// control judges the address itself that is about to be connected to, whatever a name resolved to before.
func (m *Messenger) control(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if !m.Private && !public(at.Addr()) {
		return fault.Field("url", "leads to %s, which is no public address", at.Addr())
	}
	return nil
}

// special are addresses that look public, and are not (IANA's registries of special-purpose addresses).
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"), netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("192.88.99.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("100::/64"), netip.MustParsePrefix("2001::/23"), netip.MustParsePrefix("2001:db8::/32"),
	netip.MustParsePrefix("2002::/16"), netip.MustParsePrefix("fec0::/10"),
}

func public(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	if !ip.IsGlobalUnicast() || ip.IsPrivate() {
		return false
	}
	for _, p := range special {
		if p.Contains(ip) {
			return false
		}
	}
	return true
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// example is what an event would say of something that there is not.
func example(event string) map[string]any {
	entity, action, _ := strings.Cut(event, ".")
	data := map[string]any{"name": "example_model"}
	if strings.HasPrefix(entity, "prompt") {
		data["name"] = "example_prompt"
	}
	switch {
	case action == "created" && strings.HasSuffix(entity, "_alias"), entity == "prompt_alias":
		data["alias"] = "example_alias"
	case action == "created":
		data["tags"], data["description"] = map[string]string{"example_key": "example_value"}, "An example "+strings.ReplaceAll(entity, "_", " ")
	case action == "set":
		data["key"], data["value"] = "example_key", "example_value"
	case entity == "model_version_alias":
		data["alias"] = "example_alias"
	default:
		data["key"] = "example_key"
	}
	if strings.Contains(entity, "version") && !(entity == "model_version_alias" && action == "deleted") || entity == "prompt_alias" && action == "created" {
		data["version"] = "1"
	}
	switch event {
	case "model_version.created":
		data["source"], data["run_id"] = "models:/123", "abcd1234abcd5678"
	case "prompt_version.created":
		data["template"] = "Hello {{name}}!"
	}
	return data
}
