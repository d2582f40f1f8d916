package handlers

import (
	"fmt"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

// quality knows up to where the acts of its hour are judged: the offset of the last, by partition. A process that was killed, and the
// nodes of one log, may judge an act once more.
type quality struct{ judged map[streams.TP]int64 }

func (s *quality) evolve(d events.Data) {
	if e, ok := d.(*events.QualityJudged); ok {
		for i := range e.Acts {
			if at, err := streams.ParsePosition(e.Acts[i].Position); err == nil {
				s.judged[at.TP] = at.Offset
			}
		}
	}
}

func (s *quality) decide(c commands.Command, _ time.Time) ([]events.Data, error) {
	v, ok := c.(*commands.JudgeQuality)
	if !ok {
		return nil, noRule(c)
	}
	e := v.QualityJudged
	e.Acts = nil
	last := map[streams.TP]int64{}
	for i := range v.Acts {
		at, err := streams.ParsePosition(v.Acts[i].Position)
		if err == nil && at.Topic != events.UserEventsTopic {
			err = fmt.Errorf("is of the topic %s; want %s", at.Topic, events.UserEventsTopic)
		}
		if err != nil {
			return refuse(fault.Invalid, fmt.Sprintf("acts[%d].position", i), "%v", err)
		}
		before, known := last[at.TP]
		if !known {
			before, known = s.judged[at.TP]
		}
		if known && at.Offset <= before {
			continue
		}
		last[at.TP] = at.Offset
		e.Acts = append(e.Acts, v.Acts[i])
	}
	if len(e.Acts) == 0 {
		return nil, nil
	}
	return one(&e)
}
