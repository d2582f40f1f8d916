package commands

import (
	"maps"
	"slices"

	"github.com/projectionist/projectionist/events"
)

// PublishDrift publishes an alert of drift of a model.
type PublishDrift struct{ events.ModelDrift }

func (*PublishDrift) FactType() string  { return "model.drift" }
func (*PublishDrift) Topic() string     { return events.DriftAlertsTopic }
func (c *PublishDrift) Key() string     { return c.ModelName }
func (c *PublishDrift) Subject() string { return modelStream(c.ModelName) }
func (c *PublishDrift) Time() string    { return c.Timestamp }

func (c *PublishDrift) Event(timestamp string) events.Data {
	d := c.ModelDrift
	d.Timestamp = timestamp
	return &d
}

func (c *PublishDrift) Validate() error {
	var f faults
	f.modelName("model_name", c.ModelName)
	f.line("model_version", c.ModelVersion, IDBytesMax)
	f.nonNegative("drift_score", c.DriftScore)
	f.nonNegative("threshold", c.Threshold)
	f.timestamp("timestamp", c.Timestamp)
	f.figures("metrics", c.Metrics)
	return f.err()
}

// figures wants finite numbers under keys as metrics have them.
func (f *faults) figures(field string, m map[string]float64) {
	if len(m) > BatchMax {
		f.add(field, "has %d entries; the most is %d", len(m), BatchMax)
		return
	}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		f.key(field, k)
		f.finite(keyField(field, k), m[k])
	}
}
