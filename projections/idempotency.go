package projections

import (
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// keyedMax is how many facts of a partition are remembered: some 30 MB, and days of clients that repeat what they had
// no answer to.
const keyedMax = 1 << 18

// Idempotency is where the last facts with an idempotency key stand in the log, so that one that comes again is known by
// its event id, which derives from the key. Of facts with one id in a partition it has the first.
//
//	i ID TOPIC partition -> offset
//	r TOPIC partition place -> ID, in a ring of the last ones
//	n TOPIC partition -> how many there were
type Idempotency struct {
	r   fold.Reader
	max uint64 // of a partition
}

// NewIdempotency makes the view "idempotency".
func NewIdempotency() *Idempotency { return &Idempotency{max: keyedMax} }

func (*Idempotency) Spec() fold.Spec {
	return fold.Spec{Name: "idempotency", Format: 2, Indexed: true, Topics: []string{events.UserEventsTopic, events.RecommendationsTopic, events.DriftAlertsTopic, events.SystemHealthTopic, events.FeatureValuesTopic}}
}

func (v *Idempotency) Open(r fold.Reader) error { v.r = r; return nil }
func (*Idempotency) Flush(fold.Writer) error    { return nil }

func (v *Idempotency) Apply(w fold.Writer, in []fold.Input) error {
	for i := range in {
		if in[i].Event == nil || !events.Derived(in[i].Event.ID) {
			continue
		}
		if err := v.add(w, in[i].Event.ID, in[i].Position); err != nil {
			return fold.PoisonAt(&in[i], err)
		}
	}
	return nil
}

func (v *Idempotency) add(w fold.Writer, id string, at streams.Position) error {
	of := func(k fold.Key) fold.Key { return k.Str(at.Topic).U32(uint32(at.Partition)) }
	entry := of(fold.Table('i').Str(id))
	if _, known, err := w.Get(entry); known || err != nil {
		return err
	}
	counter := of(fold.Table('n'))
	n, err := number(w, counter)
	if err != nil {
		return err
	}
	place := of(fold.Table('r')).U64(n % v.max)
	if before, ok, err := w.Get(place); err != nil {
		return err
	} else if ok {
		if err := w.Delete(of(fold.Table('i').Str(string(before)))); err != nil {
			return err
		}
	}
	if err := w.Set(place, []byte(id)); err != nil {
		return err
	}
	if err := w.Set(counter, fold.Key{}.U64(n+1)); err != nil {
		return err
	}
	return w.Set(entry, fold.Key{}.U64(uint64(at.Offset)))
}

// number is a stored number, 0 where there is none.
func number(r fold.Reader, key []byte) (uint64, error) {
	b, ok, err := r.Get(key)
	if err != nil || !ok {
		return 0, err
	}
	parts := fold.PartsOf(b)
	return parts.U64(), parts.Err()
}

// Find is where the facts with these event ids stand, of those that are remembered.
func (v *Idempotency) Find(ids []string) (map[string]streams.Position, error) {
	found := map[string]streams.Position{}
	for _, id := range ids {
		prefix := fold.Table('i').Str(id)
		for kv, err := range v.r.Scan(prefix, prefix.End()) {
			if err != nil {
				return nil, err
			}
			key, value := fold.PartsOf(kv.Key[len(prefix):]), fold.PartsOf(kv.Value)
			at := streams.Position{TP: streams.TP{Topic: key.Str(), Partition: int32(key.U32())}, Offset: int64(value.U64())}
			if key.Err() != nil || value.Err() != nil {
				return nil, fold.ErrKey
			}
			found[id] = at
			break
		}
	}
	return found, nil
}
