package projections

import (
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/projections/fold"
)

// Drift is the alerts of drift, and how many there are.
//
//	a millis partition offset -> DriftAlert        m MODEL millis partition offset -> DriftAlert
//	c -> driftCounts
type Drift struct{ r fold.Reader }

// NewDrift makes the view "drift".
func NewDrift() *Drift { return &Drift{} }

// DriftAlert is one alert of drift.
type DriftAlert struct {
	events.ModelDrift
	fold.Origin
}

func (*Drift) Spec() fold.Spec {
	return fold.Spec{Name: "drift", Format: 2, Indexed: true, Topics: []string{events.DriftAlertsTopic}}
}

func (v *Drift) Open(r fold.Reader) error { v.r = r; return nil }
func (*Drift) Flush(fold.Writer) error    { return nil }

func (*Drift) Apply(w fold.Writer, in []fold.Input) error {
	for i := range in {
		x, ok := in[i].Event.Data.(*events.ModelDrift)
		if !ok {
			continue
		}
		if err := applyDrift(w, &in[i], x); err != nil {
			return fold.PoisonAt(&in[i], err)
		}
	}
	return nil
}

// driftCounts is the number of alerts whose score had reached its threshold, and of the others.
type driftCounts struct {
	Reached int64 `json:"reached"`
	Others  int64 `json:"others"`
}

func applyDrift(w fold.Writer, in *fold.Input, x *events.ModelDrift) error {
	millis, alert := in.Event.Time.UnixMilli(), &DriftAlert{*x, fold.OriginOf(in)}
	key := fold.Table('a').Fact(in, millis)
	if _, known, err := w.Get(key); err != nil || known {
		return err
	}
	for _, k := range []fold.Key{key, fold.Table('m').ID(x.ModelName).Fact(in, millis)} {
		if err := fold.SetJSON(w, k, alert); err != nil {
			return err
		}
	}
	var n driftCounts
	if _, err := fold.GetJSON(w, fold.Table('c'), &n); err != nil {
		return err
	}
	if x.DriftScore >= x.Threshold {
		n.Reached++
	} else {
		n.Others++
	}
	return fold.SetJSON(w, fold.Table('c'), &n)
}

// Counts are the number of alerts whose score had reached its threshold, and of the others.
func (v *Drift) Counts() (reached, others int64, err error) {
	var n driftCounts
	_, err = fold.GetJSON(v.r, fold.Table('c'), &n)
	return n.Reached, n.Others, err
}

// Alerts pages through the alerts of a model ("": of all), newest first by event time.
func (v *Drift) Alerts(model string, q fold.PageQuery) (fold.Page[DriftAlert], error) {
	prefix := fold.Table('a')
	if model != "" {
		prefix = fold.Table('m').ID(model)
	}
	return fold.PageJSON[DriftAlert](v.r, prefix, true, q, nil)
}
