package projections

import (
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// Health is what services last said of theirs.
//
//	s SERVICE -> ServiceHealth
type Health struct{ r fold.Reader }

// NewHealth makes the view "health".
func NewHealth() *Health { return &Health{} }

// ServiceHealth is the last word of a service: the last the log took, as clocks of services differ.
type ServiceHealth struct {
	events.SystemHealth
	fold.Origin
}

func (*Health) Spec() fold.Spec {
	return fold.Spec{Name: "health", Format: 2, Indexed: true, Topics: []string{events.SystemHealthTopic}}
}

func (v *Health) Open(r fold.Reader) error { v.r = r; return nil }
func (*Health) Flush(fold.Writer) error    { return nil }

func (*Health) Apply(w fold.Writer, in []fold.Input) error {
	for i := range in {
		if in[i].Event == nil {
			continue
		}
		if x, ok := in[i].Event.Data.(*events.SystemHealth); ok {
			if err := applyHealth(w, &in[i], x); err != nil {
				return fold.PoisonAt(&in[i], err)
			}
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
