package projections

import (
	"encoding/binary"
	"maps"
	"slices"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections/fold"
)

// FeatureFreshness is when the newest of what features are made of happened: of those that are computed from what people do, and of
// each view whose values are pushed. What is dated after the log took it happened when the log took it, so that one broken clock does
// not make what is old look fresh.
//
//	c -> millis        p VIEW -> millis
type FeatureFreshness struct{ r fold.Reader }

// NewFeatureFreshness makes the view "feature-freshness".
func NewFeatureFreshness() *FeatureFreshness { return &FeatureFreshness{} }

func (*FeatureFreshness) Spec() fold.Spec {
	return fold.Spec{Name: "feature-freshness", Format: 1, Indexed: true, Topics: []string{events.UserEventsTopic, events.FeatureValuesTopic}}
}

func (v *FeatureFreshness) Open(r fold.Reader) error { v.r = r; return nil }
func (*FeatureFreshness) Flush(fold.Writer) error    { return nil }

// Apply writes once for all inputs of a view of features: there are thousands at a time, of a few views.
func (*FeatureFreshness) Apply(w fold.Writer, in []fold.Input) error {
	newest := map[string]int64{} // by key
	for i := range in {
		if in[i].Event == nil {
			continue
		}
		key := ""
		switch x := in[i].Event.Data.(type) {
		case *events.Interaction:
			key = computedFreshness
		case *events.FeatureValues:
			key = string(pushedFreshness(x.View))
		default:
			continue
		}
		millis := min(in[i].Event.Time.UnixMilli(), in[i].RecordedMillis)
		if was, ok := newest[key]; !ok || millis > was {
			newest[key] = millis
		}
	}
	for _, key := range slices.Sorted(maps.Keys(newest)) {
		was, ok, err := freshness(w, []byte(key))
		if err != nil {
			return err
		}
		if ok && was >= newest[key] {
			continue
		}
		if err := w.Set([]byte(key), binary.BigEndian.AppendUint64(nil, uint64(newest[key]))); err != nil {
			return err
		}
	}
	return nil
}

const computedFreshness = "c"

func pushedFreshness(view string) fold.Key { return fold.Table('p').Str(view) }

func freshness(r fold.Reader, key []byte) (millis int64, ok bool, err error) {
	raw, ok, err := r.Get(key)
	if err != nil || !ok {
		return 0, false, err
	}
	if len(raw) != 8 {
		return 0, false, fault.Wrap(fault.Corrupt, fold.ErrKey, "a stored time of view feature-freshness does not read")
	}
	return int64(binary.BigEndian.Uint64(raw)), true, nil
}

// Computed is when the newest act happened, which every computed feature knows; false where nobody has done anything.
func (v *FeatureFreshness) Computed() (millis int64, ok bool, err error) {
	return freshness(v.r, []byte(computedFreshness))
}

// Pushed is the newest time of the values of a view; false where nothing was pushed to it.
func (v *FeatureFreshness) Pushed(view string) (millis int64, ok bool, err error) {
	return freshness(v.r, pushedFreshness(view))
}
