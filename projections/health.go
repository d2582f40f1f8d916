package projections

import (
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// Health is what services last said of theirs, and every alert: a word that is not ok.
//
//	s SERVICE -> ServiceHealth        a millis partition offset -> ServiceHealth
//	c STATUS -> number of alerts
type Health struct{ r fold.Reader }

// NewHealth makes the view "health".
func NewHealth() *Health { return &Health{} }

// ServiceHealth is a word of a service. Its last is the last the log took, as clocks of services differ.
type ServiceHealth struct {
	events.SystemHealth
	fold.Origin
}

func (*Health) Spec() fold.Spec {
	return fold.Spec{Name: "health", Format: 3, Indexed: true, Topics: []string{events.SystemHealthTopic}}
}

func (v *Health) Open(r fold.Reader) error { v.r = r; return nil }
func (*Health) Flush(fold.Writer) error    { return nil }

func (*Health) Apply(w fold.Writer, in []fold.Input) error {
	for i := range in {
		if in[i].Event == nil {
			continue
		}
		if x, ok := in[i].Event.Data.(*events.SystemHealth); ok {
			err := applyHealth(w, &in[i], x)
			if err == nil && x.Status != statusOK {
				err = applyAlert(w, &in[i], x)
			}
			if err != nil {
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

// statusOK is the word that is no alert.
const statusOK = "ok"

// alertCount is how many alerts there are of a status.
type alertCount struct {
	Alerts int64 `json:"alerts"`
}

func applyAlert(w fold.Writer, in *fold.Input, x *events.SystemHealth) error {
	alert := fold.Table('a').Fact(in, in.Event.Time.UnixMilli())
	if _, known, err := w.Get(alert); err != nil || known {
		return err
	}
	if err := fold.SetJSON(w, alert, &ServiceHealth{*x, fold.OriginOf(in)}); err != nil {
		return err
	}
	var n alertCount
	key := fold.Table('c').Str(x.Status)
	if _, err := fold.GetJSON(w, key, &n); err != nil {
		return err
	}
	n.Alerts++
	return fold.SetJSON(w, key, &n)
}

// Alerts pages through the alerts of all services, newest first by event time.
func (v *Health) Alerts(q fold.PageQuery) (fold.Page[ServiceHealth], error) {
	return fold.PageJSON[ServiceHealth](v.r, fold.Table('a'), true, q, nil)
}

// AlertCounts are the numbers of alerts by status; a status without any is left out.
func (v *Health) AlertCounts() (map[string]int64, error) {
	counts := map[string]int64{}
	for kv, err := range v.r.Scan(fold.Table('c'), fold.Table('c').End()) {
		var n alertCount
		if err == nil {
			err = fold.DecodeJSON(kv.Value, &n)
		}
		if err != nil {
			return nil, err
		}
		counts[fold.Parts(kv.Key).Str()] = n.Alerts
	}
	return counts, nil
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
