package projections

import (
	"slices"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections/fold"
)

// Served is what people were shown, by what model and why.
//
//	u USER millis partition offset -> ServedRecommendation
//	r REQUEST partition offset -> key of the above
type Served struct{ r fold.Reader }

// NewServed makes the view "served".
func NewServed() *Served { return &Served{} }

// ServedRecommendation is one answer to a request, as it was given.
type ServedRecommendation struct {
	events.RecommendationServed
	fold.Origin
}

func (*Served) Spec() fold.Spec {
	return fold.Spec{Name: "served", Format: 3, Topics: []string{events.RecommendationsTopic}}
}

func (v *Served) Open(r fold.Reader) error { v.r = r; return nil }
func (*Served) Flush(fold.Writer) error    { return nil }

func (*Served) Apply(w fold.Writer, in []fold.Input) error {
	for i := range in {
		if in[i].Event == nil {
			continue
		}
		x, ok := in[i].Event.Data.(*events.RecommendationServed)
		if !ok {
			continue
		}
		key := fold.Table('u').ID(events.CanonicalUser(x.UserID)).Fact(&in[i], in[i].Event.Time.UnixMilli())
		if err := fold.SetJSON(w, key, &ServedRecommendation{*x, fold.OriginOf(&in[i])}); err != nil {
			return fold.PoisonAt(&in[i], err)
		}
		if x.RequestID == "" {
			continue
		}
		request := fold.Table('r').ID(x.RequestID).Number(uint64(in[i].Position.Partition)).Number(uint64(in[i].Position.Offset))
		if err := w.Set(request, key); err != nil {
			return fold.PoisonAt(&in[i], err)
		}
	}
	return nil
}

// At reads what a person had last been shown at a moment; false if nothing.
func (v *Served) At(user string, at fold.At) (ServedRecommendation, bool, error) {
	p, err := v.ByUser(user, at, fold.PageQuery{Limit: 1})
	for err == nil && len(p.Items) == 0 && p.Next != "" {
		p, err = v.ByUser(user, at, fold.PageQuery{Limit: 1, Cursor: p.Next})
	}
	if err != nil || len(p.Items) == 0 {
		return ServedRecommendation{}, false, err
	}
	return p.Items[0], true, nil
}

// ByUser pages through what a person was shown, newest first by event time.
func (v *Served) ByUser(user string, at fold.At, q fold.PageQuery) (fold.Page[ServedRecommendation], error) {
	prefix := fold.Table('u').ID(events.CanonicalUser(user))
	if as := at.EventMillis; as != 0 && q.Cursor == "" { // start there, not at the newest
		q.Cursor = fold.PageCursor(slices.Clone(prefix).Millis(as + 1))
	}
	return fold.Paginate(v.r, prefix, true, q, func(_ fold.Reader, kv fold.KV) (s ServedRecommendation, ok bool, err error) {
		if err := fold.DecodeJSON(kv.Value, &s); err != nil {
			return s, false, err
		}
		if ok, err = s.AdmittedBy(at); !ok || err != nil {
			return s, false, err
		}
		twice, err := v.twice(kv.Key, len(prefix), &s, at)
		return s, !twice, err
	})
}

// twice says whether the same event stands before the key within its millisecond: it was published again.
func (v *Served) twice(key []byte, prefix int, s *ServedRecommendation, at fold.At) (bool, error) {
	const millisBytes = 8
	if len(key) < prefix+millisBytes {
		return false, fault.Wrap(fault.Corrupt, fold.ErrKey, "a stored key of view served does not read")
	}
	for kv, err := range v.r.Scan(slices.Clone(key[:prefix+millisBytes]), slices.Clone(key)) {
		var t ServedRecommendation
		if err == nil {
			err = fold.DecodeJSON(kv.Value, &t)
		}
		if err != nil {
			return false, err
		}
		if t.EventID != s.EventID || t.Source != s.Source {
			continue
		}
		if ok, err := t.AdmittedBy(at); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

// ByRequest reads the answer to a request.
func (v *Served) ByRequest(id string) (s ServedRecommendation, ok bool, err error) {
	prefix := fold.Table('r').ID(id)
	for kv, err := range v.r.Scan(prefix, prefix.End()) {
		if err != nil {
			return s, false, err
		}
		ok, err = fold.GetJSON(v.r, slices.Clone(kv.Value), &s)
		return s, ok, err
	}
	return s, false, nil
}
