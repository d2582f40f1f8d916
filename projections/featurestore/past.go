package featurestore

import (
	"iter"
	"math"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml/features"
	"github.com/projectionist/projectionist/projections"
)

// heldBytesMax bounds what is held of one entity's values that are seen later than their event times say.
const heldBytesMax = 64 << 20

// past is what was pushed of an entity, of one part of a selection, as the rows of a join reach it in ascending time.
type past struct {
	j     *joining
	part  *pushedPart
	next  func() (projections.PushedValues, error, bool)
	stop  func()
	ahead *projections.PushedValues // read, and not reached yet
	ended bool

	// held are what rows to come may see, in the order in which one counts over the other, and each seen later than those
	// before it: the last that a row sees is its own. There is one, unless rows see only what was recorded by their time.
	held  []seen
	bytes int
}

// seen is values that rows from a time on may see.
type seen struct {
	from  int64
	event int64 // when they were so
	row   projections.PushedValues
	text  []byte // in the form of a scratch file; nil until it is needed
}

// size is what it takes, where all are held as text.
func (s *seen) size() int { return 160 + len(s.text) }

func (j *joining) past(f *Store, part *pushedPart, key string) *past {
	p := &past{j: j, part: part}
	p.next, p.stop = iter.Pull2(f.Pushed(part.view, key, j.h.At))
	return p
}

// from is the earliest row time at which values may be seen, by their event time alone and as the join asks for it.
func (p *past) from(row *projections.PushedValues) (event, from int64) {
	event = row.EventMillis
	if p.j.h.Exclusive && event < math.MaxInt64 {
		event++
	}
	if p.j.h.AtRow {
		return event, max(event, row.RecordedMillis)
	}
	return event, event
}

// at appends the values as of a row's time; none is before that of the row before.
func (p *past) at(dst []byte, millis int64) ([]byte, error) {
	for n := 1; !p.ended; n++ {
		if n%checkEvery == 0 && p.j.ctx.Err() != nil {
			return dst, p.j.ctx.Err()
		}
		if p.ahead == nil {
			row, err, ok := p.next()
			if err != nil {
				return dst, err
			}
			if p.ended = !ok; p.ended {
				break
			}
			p.ahead = &row
		}
		event, from := p.from(p.ahead)
		if event > millis {
			break
		}
		if err := p.hold(seen{from: from, event: p.ahead.EventMillis, row: *p.ahead}); err != nil {
			return dst, err
		}
		p.ahead = nil
		p.forget(millis)
	}
	p.forget(millis)
	none := features.NotFound
	if len(p.held) > 0 && p.held[0].from <= millis {
		s := &p.held[0]
		if !expired(p.part.view, s.event, millis) {
			if err := p.text(s); err != nil {
				return dst, err
			}
			return append(dst, s.text...), nil
		}
		none = features.OutsideMaxAge
	}
	for range p.part.fields {
		dst = appendValue(dst, &features.Value{Status: none})
	}
	return dst, nil
}

// hold takes values that count over all before, which are not seen any more where these are.
func (p *past) hold(s seen) error {
	for n := len(p.held); n > 0 && p.held[n-1].from >= s.from; n-- {
		p.bytes -= p.held[n-1].size()
		p.held = p.held[:n-1]
	}
	if p.j.h.AtRow {
		if err := p.text(&s); err != nil {
			return err
		}
		if p.bytes += s.size(); p.bytes > heldBytesMax {
			return fault.New(fault.TooLarge, "of one entity of %s more than %d bytes of values were recorded after their event times", p.part.view.Name, heldBytesMax).
				WithHint("ask for fewer features, or with known_at in the place of known_at_row")
		}
	}
	p.held = append(p.held, s)
	return nil
}

// forget lets go of what rows from a time on cannot see any more.
func (p *past) forget(millis int64) {
	n := 0
	for n+1 < len(p.held) && p.held[n+1].from <= millis {
		p.bytes -= p.held[n].size()
		n++
	}
	clear(p.held[:n])
	p.held = p.held[n:]
}

// text has the values in the form of a scratch file.
func (p *past) text(s *seen) (err error) {
	if s.text != nil {
		return nil
	}
	s.text = []byte{}
	for _, f := range p.part.fields {
		v := pushedValue(f, &s.row)
		if s.text, err = p.j.put(s.text, &v, nil); err != nil {
			return err
		}
	}
	s.row = projections.PushedValues{}
	return nil
}

// pushedValue is a row's value of a feature, as the one function of pushed values has it ([coerced]).
func pushedValue(f *events.FeatureField, row *projections.PushedValues) features.Value {
	form, ok := coerced(f, row)
	if !ok {
		return features.Value{Name: f.Name, Type: features.Type(f.Type), Status: features.NullValue}
	}
	return features.ValueOf(f, form)
}
