package commands

import (
	"maps"

	"github.com/projectionist/projectionist/events"
)

// PushFeatureValues publishes values of features that were computed elsewhere. Without a timestamp they are of now.
type PushFeatureValues struct{ events.FeatureValues }

func (*PushFeatureValues) FactType() string  { return "feature.values_pushed" }
func (*PushFeatureValues) Topic() string     { return events.FeatureValuesTopic }
func (c *PushFeatureValues) Key() string     { return c.EntityKey }
func (c *PushFeatureValues) Subject() string { return "entity/" + c.EntityKey }
func (c *PushFeatureValues) Time() string    { return c.Timestamp }

func (c *PushFeatureValues) Event(timestamp string) events.Data {
	v := c.FeatureValues
	v.Timestamp, v.Values = timestamp, maps.Clone(v.Values)
	return &v
}

func (c *PushFeatureValues) Validate() error {
	v := c.FeatureValues
	if v.Timestamp == "" {
		v.Timestamp = "1970-01-01T00:00:00Z" // the publisher's clock fills it in; the rest is checked
	}
	return fieldFaults(v.Validate())
}
