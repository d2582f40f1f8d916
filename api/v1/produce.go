package v1

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
)

func (s *Surface) produceRoutes(r *api.Routes) {
	r.Handle("POST /api/v1/log/topics/{topic}/records", s.produce)
}

// produce publishes values as any Kafka client would: the body has a JSON value a line, each in the flat form that is
// documented for the topic. All of them are taken, or none.
func (s *Surface) produce(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("topic")
	topic, ok := events.TopicOf(name)
	switch {
	case !ok:
		return fault.New(fault.NotFound, "no topic %q", api.Short(name)).WithHint("GET /api/v1/log/topics lists them")
	case topic.Plain == "":
		return fault.Field("topic", "%s has what commands were decided into; nobody writes to it", name)
	}
	m, err := api.MetaOf(r)
	if err != nil {
		return err
	}
	body, err := api.ReadBody(w, r, api.BodyBytesMax)
	if err != nil {
		return err
	}
	var facts []commands.Fact
	var faults []error
	for i, line := range bytes.Split(body, []byte{'\n'}) {
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		fact, err := s.fact(topic, line)
		if err != nil {
			faults = append(faults, within(fmt.Sprintf("line %d", i+1), err)...)
			continue
		}
		facts = append(facts, fact)
	}
	switch {
	case len(faults) > 0:
		return errors.Join(faults...)
	case len(facts) == 0:
		return fault.New(fault.Invalid, "the body is empty; want a JSON value a line")
	case len(facts) > interactionsMax:
		return fault.New(fault.TooLarge, "the body has %d values; the most is %d", len(facts), interactionsMax).WithHint("send them in several requests")
	}
	p, err := s.Dispatcher.Publish(r.Context(), facts, m)
	if err != nil {
		return err
	}
	answers := make([]factAnswer, len(facts))
	for i := range facts {
		answers[i] = factAnswer{EventID: p.Events[i].ID, Position: p.Positions[i].String(), Time: events.FormatTime(p.Events[i].Time), Duplicate: p.Duplicate}
	}
	return api.WriteJSON(w, http.StatusOK, struct {
		Items []factAnswer `json:"items"`
	}{answers})
}

// fact reads a value of a topic.
func (s *Surface) fact(topic events.Topic, value []byte) (commands.Fact, error) {
	var ev events.Event
	err := events.DecodePlain(topic, value, &ev, nil)
	if err == nil && !ev.Time.IsZero() {
		err = ev.CheckTime(s.Now())
	}
	if err != nil {
		var field *events.FieldError
		if errors.As(err, &field) {
			return nil, fault.Field(field.Field, "%s", field.Message)
		}
		return nil, fault.New(fault.Invalid, "%v", err)
	}
	fact, ok := commands.FactOf(ev.Data)
	if !ok {
		return nil, fault.New(fault.Internal, "%s has no command", ev.Type())
	}
	return fact, nil
}
