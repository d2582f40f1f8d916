package projections

import (
	"errors"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/streams"
)

// Quarantine is the facts from outside that could not be read, kept whole, so that none is lost.
//
//	q topic partition offset -> QuarantinedFact        a recorded topic partition offset -> key of it
//	c topic partition -> quarantineCount
type Quarantine struct{ r Reader }

// NewQuarantine makes the view "quarantine".
func NewQuarantine() *Quarantine { return &Quarantine{} }

// QuarantinedFact is one record that could not be read, as it came.
type QuarantinedFact struct {
	Topic          string              `json:"topic"`
	Partition      int32               `json:"partition"`
	Offset         int64               `json:"offset"`
	Position       string              `json:"position"`
	RecordedMillis int64               `json:"recorded_millis"`
	Reason         string              `json:"reason"`
	Key            []byte              `json:"key"`   // base64 in JSON, as it may hold anything
	Value          []byte              `json:"value"` // likewise
	Headers        []QuarantinedHeader `json:"headers,omitempty"`
}

// QuarantinedHeader is a header of a record.
type QuarantinedHeader struct {
	Key   string `json:"key"`
	Value []byte `json:"value"`
}

// quarantineCount counts the facts of one partition up to an offset; partitions never share a counter,
// so the order between them does not matter.
type quarantineCount struct {
	Facts  int64 `json:"facts"`
	Offset int64 `json:"offset"`
}

func (*Quarantine) Spec() Spec {
	return Spec{Name: "quarantine", Format: 1, Indexed: true, Malformed: true, Topics: []string{
		events.UserEventsTopic, events.RecommendationsTopic, events.DriftAlertsTopic, events.SystemHealthTopic}}
}

func (v *Quarantine) Open(r Reader) error { v.r = r; return nil }
func (*Quarantine) Flush(Writer) error    { return nil }

func (*Quarantine) Apply(w Writer, in []Input) error {
	for i := range in {
		if in[i].Malformed == nil {
			continue
		}
		if err := applyQuarantine(w, &in[i]); err != nil {
			return PoisonAt(&in[i], err)
		}
	}
	return nil
}

func applyQuarantine(w Writer, in *Input) error {
	if in.Record == nil {
		return errors.New("a malformed fact came without its record")
	}
	p := in.Position
	counter := Table('c').Str(p.Topic).U32(uint32(p.Partition))
	var n quarantineCount
	known, err := getJSON(w, counter, &n)
	if err != nil || known && n.Offset >= p.Offset {
		return err
	}
	f := QuarantinedFact{Topic: p.Topic, Partition: p.Partition, Offset: p.Offset, Position: p.String(),
		RecordedMillis: in.RecordedMillis, Reason: in.Malformed.Error(), Key: in.Record.Key, Value: in.Record.Value}
	for _, h := range in.Record.Headers {
		f.Headers = append(f.Headers, QuarantinedHeader{h.Key, h.Value})
	}
	key := quarantineKey(p)
	if err := setJSON(w, key, &f); err != nil {
		return err
	}
	if err := w.Set(append(Table('a').Millis(f.RecordedMillis), key[1:]...), key); err != nil {
		return err
	}
	return setJSON(w, counter, quarantineCount{n.Facts + 1, p.Offset})
}

func quarantineKey(p streams.Position) Key {
	return Table('q').Str(p.Topic).U32(uint32(p.Partition)).U64(uint64(p.Offset))
}

// Fact reads the quarantined fact at a position.
func (v *Quarantine) Fact(p streams.Position) (f QuarantinedFact, ok bool, err error) {
	ok, err = getJSON(v.r, quarantineKey(p), &f)
	return f, ok, err
}

// Facts pages through the quarantined facts of a topic ("": of all), last recorded first.
func (v *Quarantine) Facts(topic string, q PageQuery) (Page[QuarantinedFact], error) {
	return page(v.r, Table('a'), true, q, func(kv KV) (f QuarantinedFact, ok bool, err error) {
		if topic != "" && Parts(kv.Value).Str() != topic {
			return f, false, nil
		}
		ok, err = getJSON(v.r, Key(kv.Value), &f)
		return f, ok, err
	})
}

// Counts are the numbers of quarantined facts by topic; a topic without any is left out.
func (v *Quarantine) Counts() (map[string]int64, error) {
	counts := map[string]int64{}
	for kv, err := range v.r.Scan(Table('c'), Table('c').End()) {
		var n quarantineCount
		if err == nil {
			err = decodeJSON(kv.Value, &n)
		}
		if err != nil {
			return nil, err
		}
		counts[Parts(kv.Key).Str()] += n.Facts
	}
	return counts, nil
}
