package projections

import (
	"slices"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
)

// Served is what people were shown, by what model and why.
//
//	u USER millis partition offset -> ServedRecommendation
//	r REQUEST partition offset -> key of the above
type Served struct{ r Reader }

// NewServed makes the view "served".
func NewServed() *Served { return &Served{} }

// ServedRecommendation is one answer to a request, as it was given.
type ServedRecommendation struct {
	events.RecommendationServed
	Origin
}

func (*Served) Spec() Spec {
	return Spec{Name: "served", Format: 1, Topics: []string{events.RecommendationsTopic}}
}

func (v *Served) Open(r Reader) error { v.r = r; return nil }
func (*Served) Flush(Writer) error    { return nil }

func (*Served) Apply(w Writer, in []Input) error {
	for i := range in {
		if in[i].Event == nil {
			continue
		}
		x, ok := in[i].Event.Data.(*events.RecommendationServed)
		if !ok {
			continue
		}
		key := in[i].appendFactKey(Table('u').ID(events.CanonicalUser(x.UserID)), in[i].Event.Time.UnixMilli())
		if err := setJSON(w, key, &ServedRecommendation{*x, originOf(&in[i])}); err != nil {
			return PoisonAt(&in[i], err)
		}
		if x.RequestID == "" {
			continue
		}
		request := Table('r').ID(x.RequestID).Number(uint64(in[i].Position.Partition)).Number(uint64(in[i].Position.Offset))
		if err := w.Set(request, key); err != nil {
			return PoisonAt(&in[i], err)
		}
	}
	return nil
}

// At reads what a person had last been shown at a moment; false if nothing.
func (v *Served) At(user string, at At) (ServedRecommendation, bool, error) {
	p, err := v.ByUser(user, at, PageQuery{Limit: 1})
	for err == nil && len(p.Items) == 0 && p.Next != "" {
		p, err = v.ByUser(user, at, PageQuery{Limit: 1, Cursor: p.Next})
	}
	if err != nil || len(p.Items) == 0 {
		return ServedRecommendation{}, false, err
	}
	return p.Items[0], true, nil
}

// ByUser pages through what a person was shown, newest first by event time.
func (v *Served) ByUser(user string, at At, q PageQuery) (Page[ServedRecommendation], error) {
	prefix := Table('u').ID(events.CanonicalUser(user))
	if as := at.EventMillis; as != 0 && q.Cursor == "" { // start there, not at the newest
		q.Cursor = cursorOf(slices.Clone(prefix).Millis(as + 1))
	}
	return page(v.r, prefix, true, q, func(kv KV) (s ServedRecommendation, ok bool, err error) {
		if err := decodeJSON(kv.Value, &s); err != nil {
			return s, false, err
		}
		if ok, err = s.admitted(at); !ok || err != nil {
			return s, false, err
		}
		twice, err := v.twice(kv.Key, len(prefix), &s, at)
		return s, !twice, err
	})
}

// twice says whether the same event stands before the key within its millisecond: it was published again.
func (v *Served) twice(key []byte, prefix int, s *ServedRecommendation, at At) (bool, error) {
	const millisBytes = 8
	if len(key) < prefix+millisBytes {
		return false, fault.Wrap(fault.Corrupt, errKey, "a stored key of view served does not read")
	}
	for kv, err := range v.r.Scan(slices.Clone(key[:prefix+millisBytes]), slices.Clone(key)) {
		var t ServedRecommendation
		if err == nil {
			err = decodeJSON(kv.Value, &t)
		}
		if err != nil {
			return false, err
		}
		if t.EventID != s.EventID || t.Source != s.Source {
			continue
		}
		if ok, err := t.admitted(at); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

// ByRequest reads the answer to a request.
func (v *Served) ByRequest(id string) (s ServedRecommendation, ok bool, err error) {
	prefix := Table('r').ID(id)
	for kv, err := range v.r.Scan(prefix, prefix.End()) {
		if err != nil {
			return s, false, err
		}
		ok, err = getJSON(v.r, slices.Clone(kv.Value), &s)
		return s, ok, err
	}
	return s, false, nil
}
