package commands

import (
	"fmt"
	"slices"
	"time"

	"github.com/projectionist/projectionist/events"
)

// QualityActsMax bounds the acts of one command, and qualitySourcesMax what ranked them.
const (
	QualityActsMax    = 500
	qualitySourcesMax = 64
)

// JudgeQuality records where what serves would have put the films of acts. Acts that are recorded already, or come before such, are left out.
type JudgeQuality struct{ events.QualityJudged }

func (*JudgeQuality) CommandType() string { return "quality.judge" }
func (c *JudgeQuality) Stream() string    { return "quality/" + c.Hour }

func (c *JudgeQuality) Validate() error {
	var f faults
	hour, err := time.Parse(events.HourLayout, c.Hour)
	if err != nil {
		f.add("hour", "is %q; want an hour such as 2024-01-15T10", c.Hour)
	}
	f.line("model_name", c.ModelName, keyBytesMax)
	f.atLeast("model_version", int64(c.ModelVersion), 0)
	if n := len(c.Sources); n == 0 || n > qualitySourcesMax || c.Sources[0] != events.SourceServed {
		f.add("sources", "are %d, or do not begin with %s; want 1 to %d", n, events.SourceServed, qualitySourcesMax)
	}
	for i, name := range c.Sources {
		f.required("sources", name, NameBytesMax)
		if slices.Contains(c.Sources[:i], name) {
			f.add("sources", "name %s twice", name)
		}
	}
	if n := len(c.Acts); n == 0 || n > QualityActsMax {
		f.add("acts", "are %d; want 1 to %d", n, QualityActsMax)
		return f.err()
	}
	for i := range c.Acts {
		a, at := &c.Acts[i], fmt.Sprintf("acts[%d]", i)
		f.required(at+".position", a.Position, NameBytesMax)
		if err == nil && !time.UnixMilli(a.TimeMillis).UTC().Truncate(time.Hour).Equal(hour) {
			f.add(at+".time_millis", "is %d, which is not in the hour %s", a.TimeMillis, c.Hour)
		}
		f.atLeast(at+".of", int64(a.Of), 1)
		f.atLeast(at+".films", int64(a.Films), 1)
		if len(a.Ranks) != len(c.Sources) {
			f.add(at+".ranks", "are %d of %d sources", len(a.Ranks), len(c.Sources))
		}
		for _, rank := range a.Ranks {
			if rank < 0 || rank > a.Films {
				f.add(at+".ranks", "have %d; want 0 to %d, the number of films", rank, a.Films)
			}
		}
	}
	return f.err()
}
