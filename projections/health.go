package projections

import (
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// Health is what services last said of theirs, and the alerts of drift.
//
//	s SERVICE -> ServiceHealth
//	a millis partition offset -> DriftAlert        m MODEL millis partition offset -> DriftAlert
type Health struct{ r fold.Reader }

// NewHealth makes the view "health".
func NewHealth() *Health { return &Health{} }

// ServiceHealth is the last word of a service: the last the log took, as clocks of services differ.
type ServiceHealth struct {
	events.SystemHealth
	fold.Origin
}

// DriftAlert is one alert of drift.
type DriftAlert struct {
	events.ModelDrift
	fold.Origin
}

func (*Health) Spec() fold.Spec {
	return fold.Spec{Name: "health", Format: 1, Indexed: true, Topics: []string{events.SystemHealthTopic, events.DriftAlertsTopic}}
}

func (v *Health) Open(r fold.Reader) error { v.r = r; return nil }
func (*Health) Flush(fold.Writer) error    { return nil }

func (*Health) Apply(w fold.Writer, in []fold.Input) error {
	for i := range in {
		if in[i].Event == nil {
			continue
		}
		var err error
		switch x := in[i].Event.Data.(type) {
		case *events.SystemHealth:
			err = applyHealth(w, &in[i], x)
		case *events.ModelDrift:
			millis := in[i].Event.Time.UnixMilli()
			for _, k := range []fold.Key{fold.Table('a').Fact(&in[i], millis), fold.Table('m').ID(x.ModelName).Fact(&in[i], millis)} {
				if err == nil {
					err = fold.SetJSON(w, k, &DriftAlert{*x, fold.OriginOf(&in[i])})
				}
			}
		}
		if err != nil {
			return fold.PoisonAt(&in[i], err)
		}
	}
	return nil
}

// applyHealth keeps the service's latest word. Latest is by recorded time, then place in the log, so
// that the order in which partitions are folded does not matter.
func applyHealth(w fold.Writer, in *fold.Input, x *events.SystemHealth) error {
	key := fold.Table('s').ID(x.ServiceName)
	var old ServiceHealth
	known, err := fold.GetJSON(w, key, &old)
	if err != nil {
		return err
	}
	if known {
		p, err := streams.ParsePosition(old.Position)
		if err != nil {
			return fault.Wrap(fault.Corrupt, err, "a stored position does not read")
		}
		if old.RecordedMillis > in.RecordedMillis || old.RecordedMillis == in.RecordedMillis &&
			(p.Partition > in.Position.Partition || p.Partition == in.Position.Partition && p.Offset >= in.Position.Offset) {
			return nil
		}
	}
	return fold.SetJSON(w, key, &ServiceHealth{*x, fold.OriginOf(in)})
}

// Service reads the last word of one service.
func (v *Health) Service(name string) (s ServiceHealth, ok bool, err error) {
	ok, err = fold.GetJSON(v.r, fold.Table('s').ID(name), &s)
	return s, ok, err
}

// Services pages through the last word of every service, by name.
func (v *Health) Services(q fold.PageQuery) (fold.Page[ServiceHealth], error) {
	return fold.PageJSON[ServiceHealth](v.r, fold.Table('s'), false, q, nil)
}

// Alerts pages through the alerts of drift of a model ("": of all), newest first by event time.
func (v *Health) Alerts(model string, q fold.PageQuery) (fold.Page[DriftAlert], error) {
	prefix := fold.Table('a')
	if model != "" {
		prefix = fold.Table('m').ID(model)
	}
	return fold.PageJSON[DriftAlert](v.r, prefix, true, q, nil)
}
