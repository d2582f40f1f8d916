package v1_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/streams"
)

// A halted view says where, and which reads are answered from it; they go on to be answered, of before.
func TestHaltedViewNamesItsReads(t *testing.T) {
	w := newFixture(t)
	w.train()
	views := func() map[string]map[string]any {
		var p struct{ Items []map[string]any }
		w.get("/api/v1/views").want(200).into(&p)
		out := map[string]map[string]any{}
		for _, v := range p.Items {
			out[v["view"].(string)] = v
		}
		return out
	}
	for view, path := range map[string]string{"registry": "/api/v1/models/{model}", "runs": "/api/v1/runs", "online": "/api/v1/recommendations", "audit": "/api/v1/log/histogram", "engagement": "/api/v1/engagement"} {
		v := views()[view]
		if paths, ok := v["answers"].([]any); !ok || !slices.Contains(paths, any(path)) || v["halted_at"] != nil {
			t.Errorf("%v; want %s answered from it", v, path)
		}
	}
	ev, err := events.ReadForeign(json.RawMessage(`{"specversion":"1.0","id":"f","source":"/other","type":"trial.begun","time":"2024-02-29T12:00:00Z","schemaversion":1,"data":{}}`))
	w.must(err)
	r, err := w.log.Ledger().Append(t.Context(), streams.Commit{ID: "f", Stream: "model/als", Expected: streams.AnyRevision, Events: []events.Event{ev}})
	w.must(err)
	if err := w.core.Views.Wait(t.Context(), r.Position, "registry"); err == nil {
		t.Fatal("it is folded")
	}
	if v := views(); v["registry"]["halted_at"] != r.Position.String() || v["registry"]["unread"] != true || v["health"]["halted_at"] != nil {
		t.Errorf("%v; %v", v["registry"], v["health"])
	}
	w.get("/api/v1/models/als").want(200)
	w.post("/api/v1/views/*/skip", `{"position":"`+r.Position.String()+`","reason":"a check"}`).want(200)
	w.folded(r.Position)
	if v := views()["registry"]; v["halted_at"] != nil {
		t.Errorf("%v", v)
	}
}
