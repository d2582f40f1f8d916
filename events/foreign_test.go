package events_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/projectionist/projectionist/events"
)

func TestReadForeign(t *testing.T) {
	const whole = `{"specversion":"1.0","id":"x","source":"/s","type":"trial.begun","subject":"trial/1","time":"2024-02-29T13:00:00+01:00","schemaversion":3,"actor":"a","correlationid":"c","causationid":"d","data":{"n":1},"extra":2}`
	at := time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name, envelope string
		want           events.Event // without Data and Raw
		kind, data     string
		readable       bool
	}{
		{"unknown type", whole, events.Event{ID: "x", Source: "/s", Subject: "trial/1", Time: at, Schema: 3, Actor: "a", Correlation: "c", Causation: "d"}, "trial.begun", `{"n":1}`, false},
		{"wrong shape", `{"specversion":"1.0","id":"x","type":"model.registered","time":"2024-02-29T12:00:00Z","schemaversion":1,"data":[1,2,3]}`,
			events.Event{ID: "x", Time: at, Schema: 1}, "model.registered", `[1,2,3]`, false},
		{"wrong attributes", `{"specversion":"1.0","subject":[],"actor":7,"type":"model.registered","time":"2024-02-29T12:00:00Z","schemaversion":"1","data":7}`,
			events.Event{Time: at}, "model.registered", `7`, false},
		{"readable", `{"specversion":"1.0","type":"model.registered","time":"2024-02-29T12:00:00Z","schemaversion":1,"data":{"name":"als"}}`,
			events.Event{Time: at, Schema: 1}, "model.registered", `{"name":"als"}`, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := events.ReadForeign(json.RawMessage(c.envelope))
			if err != nil {
				t.Fatal(err)
			}
			f, ok := got.Data.(*events.Foreign)
			if !ok || got.Type() != c.kind || string(got.Raw) != c.data || (f.Err == nil) != c.readable {
				t.Errorf("read %+v, %+v", got, f)
			}
			if b, err := json.Marshal(got); err != nil || string(b) != c.envelope {
				t.Errorf("written again as %s, %v", b, err)
			}
			got.Data, got.Raw = nil, nil
			if got.ID != c.want.ID || got.Source != c.want.Source || got.Subject != c.want.Subject || !got.Time.Equal(c.want.Time) || got.Schema != c.want.Schema ||
				got.Actor != c.want.Actor || got.Correlation != c.want.Correlation || got.Causation != c.want.Causation {
				t.Errorf("read %+v; want %+v", got, c.want)
			}
		})
	}
	for _, none := range []string{"", "7", "[]", "null", "{}", `{"specversion":"1.0","type":7,"time":"2024-02-29T12:00:00Z","data":7}`,
		`{"type":"a","time":"2024-02-29T12:00:00Z","data":7}`, `{"specversion":"1.0","type":"","time":"2024-02-29T12:00:00Z","data":7}`,
		`{"specversion":"1.0","type":"a","time":"noon","data":7}`, `{"specversion":"1.0","type":"a","time":"2024-02-29T12:00:00Z"}`,
		`{"specversion":"1.0","type":"a","time":"2024-02-29T12:00:00Z","data":null}`, `{"specversion":"1.0","id":7,"type":"a","time":"2024-02-29T12:00:00Z","data":7}`} {
		if ev, err := events.ReadForeign(json.RawMessage(none)); err == nil {
			t.Errorf("%q is read as %+v", none, ev)
		}
	}
}
