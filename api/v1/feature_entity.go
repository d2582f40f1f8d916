package v1

import (
	"cmp"
	"encoding/json"
	"net/http"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml/features"
	"github.com/projectionist/projectionist/projections/featurestore"
)

// ofEntity is features of a view of one entity, as a request asks for them: the view in its path, the entity by the view's join keys as parameters.
type ofEntity struct {
	featurestore.OfEntity
	m    api.Moment
	keys []events.FeatureField
	name string // of the view
}

// ofEntity finds the view of a request that may have these parameters too. The entity is read by [ofEntity.named], behind other parameters.
func (s *Surface) ofEntity(r *http.Request, params ...string) (*ofEntity, *api.Query, error) {
	m, reg, err := s.momentFirst(r)
	if err != nil {
		return nil, nil, err
	}
	o := &ofEntity{m: m, name: r.PathValue("view")}
	o.Registry, o.View, o.External = reg, reg.View(o.name), reg.ExternalNamed(o.name)
	switch {
	case o.View != nil:
		o.keys = []events.FeatureField{{Name: string(o.View.Entity) + "_id", Type: string(features.String)}}
	case o.External != nil:
		o.keys = o.External.JoinKeys
	default:
		return nil, nil, unknownView(o.name)
	}
	known := append([]string{"features"}, params...)
	for _, k := range o.keys {
		known = append(known, k.Name)
	}
	return o, api.QueryOf(r, known...), nil
}

// named reads which features are asked for, and of whom. The error is all that is wrong with the parameters.
func (o *ofEntity) named(q *api.Query) error {
	o.Names = q.List("features")
	for _, f := range o.Names {
		if o.View != nil && o.View.Feature(f) == nil || o.External != nil && o.External.Feature(f) == nil {
			q.Add(unknownFeature("features", "view %s has no feature %q", o.name, api.Short(f)))
		}
	}
	err := q.Err()
	if err != nil {
		return err
	}
	if o.External != nil {
		o.Key, err = entityKeyOf(o.External, q)
		return err
	}
	key := o.keys[0].Name
	id := q.Str(key)
	if id == "" {
		return fault.Field(key, "is missing").WithHint("say whose features are asked for: %s=…", key)
	}
	o.ID = canonical(o.View.Entity, id)
	return api.CheckID(key, id)
}

// featureRow is features of an entity as of a moment, as a row of a join has them, with the last event that changed each.
func (s *Surface) featureRow(w http.ResponseWriter, r *http.Request) error {
	o, q, err := s.ofEntity(r, api.AsOfParam, api.KnownAtParam)
	if err == nil {
		err = o.named(q)
	}
	if err != nil {
		return err
	}
	at := o.m.Millis(s.Now().UnixMilli())
	row, err := s.Features.PointInTime(r.Context(), o.OfEntity, o.m.At, at, s.ScratchDir)
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, struct {
		View            string `json:"feature_view"`
		Entity          string `json:"entity_key"` // canonical
		AtMillis        int64  `json:"at_millis"`
		KnownMillis     int64  `json:"known_millis,omitempty"`
		DefinitionsHash string `json:"definitions_hash"`
		*featurestore.PointInTime
	}{o.name, cmp.Or(o.ID, o.Key), at, o.m.KnownMillis, o.Registry.Hash(), row})
}

// featuresLate is what a row of features does not have that was known by known_after: what had happened by as_of, or by then, and was recorded later.
func (s *Surface) featuresLate(w http.ResponseWriter, r *http.Request) error {
	o, q, err := s.ofEntity(r, api.AsOfParam, api.KnownAtParam, knownAfterParam)
	if err == nil {
		err = o.named(q)
	}
	if err != nil {
		return err
	}
	if q.Str(knownAfterParam) == "" {
		return fault.Field(knownAfterParam, "is needed").WithHint("say what was known: a time, a position or a cut")
	}
	before, err := s.momentAfter(r.Context(), q.Str(knownAfterParam))
	if err != nil {
		return err
	}
	late, err := s.Features.TooLate(r.Context(), o.OfEntity, o.m.At, before.At, cmp.Or(o.m.EventMillis, before.KnownMillis))
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, late)
}

// seriesFeature is a feature's values at the times of a series.
type seriesFeature struct {
	Feature string            `json:"feature"`
	Type    features.Type     `json:"type"`
	Values  []json.RawMessage `json:"values"` // null is none
}

// series is features of an entity over event time.
type series struct {
	View            string          `json:"feature_view"`
	Times           []int64         `json:"times"` // Unix milliseconds
	Features        []seriesFeature `json:"features"`
	DefinitionsHash string          `json:"definitions_hash"`
}

// featureSeries is features of an entity at times with equal steps between: from the first thing that happened to it, unless from says otherwise, to now, or to=. Each
// is what a row of a join of that time has; with known_at_row=true, of what was recorded by then.
func (s *Surface) featureSeries(w http.ResponseWriter, r *http.Request) error {
	o, q, err := s.ofEntity(r, api.KnownAtParam, "from", "to", "points", "known_at_row")
	if err != nil {
		return err
	}
	from, to, points, atRow := q.Millis("from"), q.Millis("to"), q.Number("points", 0, 1, seriesPointsMax), q.Flag("known_at_row")
	if err := o.named(q); err != nil {
		return err
	}
	if to == 0 {
		to = o.m.Millis(s.Now().UnixMilli())
	}
	if from == 0 {
		first, ok, err := s.Features.First(o.OfEntity, o.m.At)
		if err != nil {
			return err
		}
		if from = to; ok {
			from = min(first, to)
		}
	}
	if from > to {
		return fault.Field("from", "is after to")
	}
	n := int64(max(1, len(o.FeatureNames())))
	if points == 0 {
		points = max(1, min(seriesPointsDefault, seriesValuesMax/n))
	}
	if points*n > seriesValuesMax {
		return fault.Field("points", "of %d features are more than %d values", n, seriesValuesMax).WithHint("ask for fewer points, or name the features: features=…")
	}
	out := series{View: o.name, Times: timesBetween(from, to, points), Features: []seriesFeature{}, DefinitionsHash: o.Registry.Hash()}
	sel, rows, err := s.Features.Series(r.Context(), o.OfEntity, o.m.At, atRow, s.ScratchDir, out.Times)
	if err != nil {
		return err
	}
	for _, v := range sel.Unknown() {
		out.Features = append(out.Features, seriesFeature{Feature: v.Name, Type: v.Type, Values: make([]json.RawMessage, 0, len(out.Times))})
	}
	size := 0
	for values, err := range rows {
		if err != nil {
			return err
		}
		for i := range values {
			value := values[i].AppendJSON(nil)
			if size += len(value); size > seriesBytesMax {
				return fault.Field("points", "of these features are more than %d bytes", seriesBytesMax).WithHint("ask for fewer points, or name other features: features=…")
			}
			out.Features[i].Values = append(out.Features[i].Values, value)
		}
	}
	return api.WriteJSON(w, http.StatusOK, out)
}

// timesBetween are n times, of which the first and the last are given; where they are closer than that, each millisecond once.
func timesBetween(from, to, n int64) []int64 {
	if n = min(n, to-from+1); n == 1 {
		return []int64{to}
	}
	times := make([]int64, n)
	for i := range n {
		times[i] = from + (to-from)*i/(n-1)
	}
	return times
}
