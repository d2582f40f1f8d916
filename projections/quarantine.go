package projections

import (
	"errors"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// Quarantine is the facts from outside that could not be read, kept whole, so that none is lost; and samples
// of those that were refused before they were in the log, at the position of the event that says so: by the
// door, or as lines of an import's files.
//
//	q topic partition offset -> QuarantinedFact        a recorded topic partition offset -> key of it
//	c topic partition -> quarantineCount               r topic -> quarantineCount of the refused
//	d POSITION -> QuarantineDecision, whether the record is there by then or not
type Quarantine struct{ r fold.Reader }

// NewQuarantine makes the view "quarantine".
func NewQuarantine() *Quarantine { return &Quarantine{} }

// QuarantinedFact is one record that could not be read, as it came.
type QuarantinedFact struct {
	Topic          string              `json:"topic"`
	Partition      int32               `json:"partition"`
	Offset         int64               `json:"offset"`
	Position       string              `json:"position"`
	Refused        int64               `json:"refused,omitempty"` // as many such records, of which this is the first; 0: it is in the log
	RecordedMillis int64               `json:"recorded_millis"`
	Reason         string              `json:"reason"`
	Key            []byte              `json:"key"`   // base64 in JSON, as it may hold anything
	Value          []byte              `json:"value"` // likewise
	Headers        []QuarantinedHeader `json:"headers,omitempty"`
	State          string              `json:"state"` // open, or how it was resolved
	Decision       *QuarantineDecision `json:"decision,omitempty"`
}

// QuarantineOpen is the state of a record of which nothing was decided; after that it is the resolution, replaced or dropped.
const QuarantineOpen = "open"

// QuarantineDecision is what was decided of a record in quarantine.
type QuarantineDecision struct {
	Resolution string `json:"resolution"`
	By         string `json:"by,omitempty"` // position of the fact that was published in its place
	Reason     string `json:"reason,omitempty"`
	fold.Origin
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

func (*Quarantine) Spec() fold.Spec {
	return fold.Spec{Name: "quarantine", Format: 5, Indexed: true, Malformed: true, Topics: []string{
		events.LedgerTopic, events.UserEventsTopic, events.RecommendationsTopic, events.DriftAlertsTopic, events.SystemHealthTopic, events.FeatureValuesTopic}}
}

func (v *Quarantine) Open(r fold.Reader) error { v.r = r; return nil }
func (*Quarantine) Flush(fold.Writer) error    { return nil }

func (*Quarantine) Apply(w fold.Writer, in []fold.Input) error {
	for i := range in {
		var err error
		switch x, d := refusalOf(&in[i]), decisionOf(&in[i]); {
		case x != nil:
			err = applyRefusal(w, &in[i], x)
		case d != nil: // the stream's rule has it once
			err = fold.SetJSON(w, fold.Table('d').Str(d.Position), QuarantineDecision{d.Resolution, d.By, d.Reason, fold.OriginOf(&in[i])})
		case in[i].Malformed != nil:
			err = applyQuarantine(w, &in[i])
		}
		if err != nil {
			return fold.PoisonAt(&in[i], err)
		}
	}
	return nil
}

func refusalOf(in *fold.Input) *events.FactRefused {
	if in.Malformed != nil || in.Event == nil {
		return nil
	}
	x, _ := in.Event.Data.(*events.FactRefused)
	return x
}

func decisionOf(in *fold.Input) *events.QuarantineResolved {
	if in.Malformed != nil || in.Event == nil {
		return nil
	}
	x, _ := in.Event.Data.(*events.QuarantineResolved)
	return x
}

func applyRefusal(w fold.Writer, in *fold.Input, x *events.FactRefused) error {
	p := in.Position
	counter := fold.Table('r').Str(x.Topic)
	var n quarantineCount
	known, err := fold.GetJSON(w, counter, &n)
	if err != nil || known && n.Offset >= p.Offset {
		return err
	}
	f := QuarantinedFact{Topic: x.Topic, Partition: p.Partition, Offset: p.Offset, Position: p.String(), Refused: x.Count,
		RecordedMillis: in.RecordedMillis, Reason: x.Reason, Key: x.Key, Value: x.Value}
	if err := putQuarantined(w, p, &f); err != nil {
		return err
	}
	return fold.SetJSON(w, counter, quarantineCount{n.Facts + x.Count, p.Offset})
}

// putQuarantined writes a fact and its place among all.
func putQuarantined(w fold.Writer, p streams.Position, f *QuarantinedFact) error {
	key := quarantineKey(p)
	if err := fold.SetJSON(w, key, f); err != nil {
		return err
	}
	return w.Set(append(fold.Table('a').Millis(f.RecordedMillis), key[1:]...), key)
}

func applyQuarantine(w fold.Writer, in *fold.Input) error {
	if in.Record == nil {
		return errors.New("a malformed fact came without its record")
	}
	p := in.Position
	counter := fold.Table('c').Str(p.Topic).U32(uint32(p.Partition))
	var n quarantineCount
	known, err := fold.GetJSON(w, counter, &n)
	if err != nil || known && n.Offset >= p.Offset {
		return err
	}
	f := QuarantinedFact{Topic: p.Topic, Partition: p.Partition, Offset: p.Offset, Position: p.String(),
		RecordedMillis: in.RecordedMillis, Reason: in.Malformed.Error(), Key: in.Record.Key, Value: in.Record.Value}
	for _, h := range in.Record.Headers {
		f.Headers = append(f.Headers, QuarantinedHeader{h.Key, h.Value})
	}
	if err := putQuarantined(w, p, &f); err != nil {
		return err
	}
	return fold.SetJSON(w, counter, quarantineCount{n.Facts + 1, p.Offset})
}

func quarantineKey(p streams.Position) fold.Key {
	return fold.Table('q').Str(p.Topic).U32(uint32(p.Partition)).U64(uint64(p.Offset))
}

// Fact reads the quarantined fact at a position; of a refused one, that of the event that says so.
func (v *Quarantine) Fact(p streams.Position) (f QuarantinedFact, ok bool, err error) {
	return readQuarantined(v.r, p, "")
}

// readQuarantined is a fact with what was decided of it, if it is in a state ("": in any). What was decided is read first: a fact may take a megabyte.
func readQuarantined(r fold.Reader, p streams.Position, state string) (f QuarantinedFact, ok bool, err error) {
	var d QuarantineDecision
	decided, err := fold.GetJSON(r, fold.Table('d').Str(p.String()), &d)
	is := QuarantineOpen
	if decided {
		is = d.Resolution
	}
	if err != nil || state != "" && state != is {
		return f, false, err
	}
	if ok, err = fold.GetJSON(r, quarantineKey(p), &f); err != nil || !ok {
		return f, false, err
	}
	if f.State = is; decided {
		f.Decision = &d
	}
	return f, true, nil
}

// Facts pages through the quarantined facts of a topic and in a state ("": of all), last recorded first.
func (v *Quarantine) Facts(topic, state string, q fold.PageQuery) (fold.Page[QuarantinedFact], error) {
	return fold.Paginate(v.r, fold.Table('a'), true, q, func(r fold.Reader, kv fold.KV) (f QuarantinedFact, ok bool, err error) {
		key := fold.Parts(kv.Key)
		key.Millis()
		p := streams.Position{TP: streams.TP{Topic: key.Str(), Partition: int32(key.U32())}, Offset: int64(key.U64())}
		if key.Err() != nil {
			return f, false, key.Err()
		}
		if refused := p.Topic == events.LedgerTopic; topic != "" && topic != p.Topic && !refused { // the topic of what was refused stands in it
			return f, false, nil
		}
		f, ok, err = readQuarantined(r, p, state)
		return f, ok && (topic == "" || f.Topic == topic), err
	})
}

// Counts are the numbers of quarantined facts by topic; a topic without any is left out.
func (v *Quarantine) Counts() (map[string]int64, error) { return v.counts(fold.Table('c')) }

// Refused are the numbers of refused records by topic; a topic without any is left out.
func (v *Quarantine) Refused() (map[string]int64, error) { return v.counts(fold.Table('r')) }

func (v *Quarantine) counts(table fold.Key) (map[string]int64, error) {
	counts := map[string]int64{}
	for kv, err := range v.r.Scan(table, table.End()) {
		var n quarantineCount
		if err == nil {
			err = fold.DecodeJSON(kv.Value, &n)
		}
		if err != nil {
			return nil, err
		}
		counts[fold.Parts(kv.Key).Str()] += n.Facts
	}
	return counts, nil
}
