package projections

import (
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/projections/fold"
)

// Drift is the alerts of drift.
//
//	a millis partition offset -> DriftAlert        m MODEL millis partition offset -> DriftAlert
type Drift struct{ r fold.Reader }

// NewDrift makes the view "drift".
func NewDrift() *Drift { return &Drift{} }

// DriftAlert is one alert of drift.
type DriftAlert struct {
	events.ModelDrift
	fold.Origin
}

func (*Drift) Spec() fold.Spec {
	return fold.Spec{Name: "drift", Format: 1, Topics: []string{events.DriftAlertsTopic}}
}

func (v *Drift) Open(r fold.Reader) error { v.r = r; return nil }
func (*Drift) Flush(fold.Writer) error    { return nil }

func (*Drift) Apply(w fold.Writer, in []fold.Input) error {
	for i := range in {
		x, ok := in[i].Event.Data.(*events.ModelDrift)
		if !ok {
			continue
		}
		millis := in[i].Event.Time.UnixMilli()
		for _, k := range []fold.Key{fold.Table('a').Fact(&in[i], millis), fold.Table('m').ID(x.ModelName).Fact(&in[i], millis)} {
			if err := fold.SetJSON(w, k, &DriftAlert{*x, fold.OriginOf(&in[i])}); err != nil {
				return fold.PoisonAt(&in[i], err)
			}
		}
	}
	return nil
}

// Alerts pages through the alerts of a model ("": of all), newest first by event time.
func (v *Drift) Alerts(model string, q fold.PageQuery) (fold.Page[DriftAlert], error) {
	prefix := fold.Table('a')
	if model != "" {
		prefix = fold.Table('m').ID(model)
	}
	return fold.PageJSON[DriftAlert](v.r, prefix, true, q, nil)
}
