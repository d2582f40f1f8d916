package workflow

import (
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/events"
)

const triggered = "name: w\nparams: [{name: a, type: whole}]\ntasks: [{name: t, operator: plain}]\ntriggers:\n  - "

// TestTriggerFaults: what cannot fire as it says is refused, with its place and the remedy.
func TestTriggerFaults(t *testing.T) {
	for text, want := range map[string]string{
		"{name: x}":                       "is no type of event",
		"{name: x, event: model.drifted}": "model.drift",
		"{event: model.drift}":            "triggers[0].name",
		"{name: x, event: model.drift, when: event.score > 1}":                                               "drift_score",
		"{name: x, event: model.drift, when: params.a > 1}":                                                  "is not of the event",
		"{name: x, event: model.drift, when: event.drift_score >}":                                           "ends too early",
		"{name: x, event: model.drift, when: event.metrics > 1}":                                             "metrics.NAME",
		"{name: x, event: model.drift, by: event.model_name}":                                                "hysteresis",
		"{name: x, event: model.drift, hysteresis: true}":                                                    "add when",
		"{name: x, event: model.drift, hysteresis: true, when: event.drift_score > 1, count: 3}":             "leave one of them out",
		"{name: x, event: model.drift, hysteresis: soon, when: event.drift_score > 1}":                       "is not a duration",
		"{name: x, event: model.drift, count: 0}":                                                            "triggers[0].count",
		"{name: x, event: model.drift, cooldown: 2}":                                                         "triggers[0].cooldown",
		"{name: x, event: model.drift, budget: many}":                                                        "4 per 1d",
		"{name: x, event: model.drift, budget: 4 per day}":                                                   "is not a duration",
		"{name: x, event: model.drift, budget: 101 per 1d}":                                                  "up to 100",
		"{name: x, event: model.drift, conf: {b: 1}}":                                                        "is not a param",
		"{name: x, event: model.drift, conf: {a: x}}":                                                        "whole number",
		"{name: x, event: model.drift, conf: {a: '{{ event.nothing }}'}}":                                    "event.nothing",
		"{name: x, event: model.drift, after: 1}":                                                            "after",
		"{name: x, event: model.drift}\n  - {name: x, event: model.drift}":                                   "is taken",
		"{name: x, event: user.interaction, when: event.rating > 3, hysteresis: true, by: event.movie_id.x}": "movie_id",
	} {
		_, err := Parse([]byte(triggered+text+"\n"), operators())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", text, err, want)
		}
	}
	if _, err := Parse([]byte("name: w\ntasks: [{name: t, operator: plain, when: event.x == 1}]\n"), operators()); err == nil || !strings.Contains(err.Error(), "of a trigger alone") {
		t.Errorf("an event in a task: %v", err)
	}
}

// TestTriggerValues: conditions and templates know the fields of every kind, those of maps, and the envelope.
func TestTriggerValues(t *testing.T) {
	d, err := Parse([]byte(`name: w
params: [{name: what}]
tasks: [{name: t, operator: plain}]
triggers:
  - {name: x, event: model.drift, when: event.metrics.drop > 0.5 and event.model_version == "7" and not event.metrics.none, conf: {what: "{{ event.model_name }} {{ event.position }} {{ event.id }}"}}
`), operators())
	if err != nil {
		t.Fatal(err)
	}
	w := Watch{}
	take := func(drop float64) {
		ev := &events.Event{ID: "e1", Data: &events.ModelDrift{ModelName: "als", ModelVersion: "7", Metrics: map[string]float64{"drop": drop}}}
		w.Take(&d.Triggers[0], Seen{Event: ev, Position: at("model-drift-alerts/0@3"), Recorded: time.UnixMilli(5)}, true)
		w.Settle()
	}
	take(.4)
	if c := w.Due(&d.Triggers[0]); c != nil || w.Last.Word != VerdictFalse {
		t.Fatalf("%+v", c)
	}
	take(.6)
	if c := w.Due(&d.Triggers[0]); c == nil || c.Conf["what"] != "als model-drift-alerts/0@3 e1" || w.Last.Word != VerdictCounted {
		t.Errorf("%+v", c)
	}
	for _, name := range events.Types() {
		if _, err := Parse([]byte("name: w\ntasks: [{name: t, operator: plain}]\ntriggers: [{name: x, event: "+name+", when: event.type == '"+name+"'}]\n"), operators()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

type at string

func (a at) String() string { return string(a) }
