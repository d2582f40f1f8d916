package events

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
)

// ticketSold is registered by the test only: schema 1 had "price" in whole units, schema 2 in cents,
// schema 3 knows the currency.
type ticketSold struct {
	Cents    int    `json:"cents"`
	Currency string `json:"currency"`
}

func (*ticketSold) EventType() string { return "test.ticket_sold" }

func registerTicket(t *testing.T) {
	t.Helper()
	register[ticketSold](
		func(raw json.RawMessage) (json.RawMessage, error) {
			var v struct{ Price int }
			if err := json.Unmarshal(raw, &v); err != nil {
				return nil, err
			}
			if v.Price < 0 {
				return nil, errors.New("negative price")
			}
			return json.Marshal(map[string]int{"cents": v.Price * 100})
		},
		func(raw json.RawMessage) (json.RawMessage, error) {
			v := ticketSold{Currency: "EUR"}
			if err := json.Unmarshal(raw, &v); err != nil {
				return nil, err
			}
			return json.Marshal(v)
		})
	t.Cleanup(func() { delete(kinds, "test.ticket_sold") })
}

func TestUpcast(t *testing.T) {
	registerTicket(t)
	if got := SchemaOf("test.ticket_sold"); got != 3 {
		t.Fatalf("newest schema is %d", got)
	}
	for _, c := range []struct {
		schema int
		raw    string
		want   ticketSold
	}{
		{1, `{"price":12}`, ticketSold{1200, "EUR"}},
		{2, `{"cents":1250}`, ticketSold{1250, "EUR"}},
		{3, `{"cents":1250,"currency":"JPY"}`, ticketSold{1250, "JPY"}},
	} {
		data, err := Decode("test.ticket_sold", c.schema, json.RawMessage(c.raw))
		if err != nil {
			t.Fatal(err)
		}
		if got := *data.(*ticketSold); got != c.want {
			t.Errorf("schema %d: %+v, want %+v", c.schema, got, c.want)
		}
	}
}

// An old event that is read and written on (copied, relayed, shown) stays as it was written.
func TestUpcastKeepsRaw(t *testing.T) {
	registerTicket(t)
	written := `{"specversion":"1.0","id":"1","source":"/test","type":"test.ticket_sold","time":"2024-01-15T10:30:00.000Z","schemaversion":1,"data":{"price":12}}`
	var e Event
	if err := json.Unmarshal([]byte(written), &e); err != nil {
		t.Fatal(err)
	}
	if e.Schema != 1 || e.Data.(*ticketSold).Cents != 1200 {
		t.Fatalf("%+v %+v", e, e.Data)
	}
	again, err := json.Marshal(e)
	if err != nil || string(again) != written {
		t.Fatalf("%v\n%s\n%s", err, again, written)
	}
}

func TestDecodeErrors(t *testing.T) {
	registerTicket(t)
	for _, c := range []struct {
		eventType string
		schema    int
		raw       string
		want      string
	}{
		{"no.such", 1, `{}`, `unknown event type "no.such"`},
		{"test.ticket_sold", 0, `{}`, "this program knows 1 to 3"},
		{"test.ticket_sold", 4, `{}`, "this program knows 1 to 3"},
		{"test.ticket_sold", 1, `{"price":-1}`, "from schema 1: negative price"},
		{"test.ticket_sold", 3, `{"cents":"x"}`, "payload of test.ticket_sold (schema 3)"},
		{"user.interaction", 1, `{"rating":"x"}`, "rating: must be a number"},
	} {
		if _, err := Decode(c.eventType, c.schema, json.RawMessage(c.raw)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s schema %d %s: error %v, want %q", c.eventType, c.schema, c.raw, err, c.want)
		}
	}
}

func TestEventNeedsData(t *testing.T) {
	if _, err := json.Marshal(Event{ID: "x", Time: time.Unix(0, 0)}); err == nil {
		t.Fatal("an event without data was written")
	}
}
