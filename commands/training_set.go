package commands

import (
	"fmt"

	"github.com/projectionist/projectionist/events"
)

// TrainingSetColumnsMax bounds the features of a training set.
const TrainingSetColumnsMax = 4000

// VersionTrainingSet makes a joined table the next version of a set. One of the same identity is no event.
type VersionTrainingSet struct {
	Name         string   `json:"name"`
	FeaturesHash string   `json:"features_hash"`
	EntitiesHash string   `json:"entities_hash"`
	Cut          string   `json:"cut"`
	Columns      []string `json:"columns"`
	KnownAtRow   bool     `json:"known_at_row,omitempty"`
	Exclusive    bool     `json:"exclusive,omitempty"`
	Blob         string   `json:"blob"`
	Bytes        int64    `json:"bytes"`
	Rows         int64    `json:"rows"`

	FeatureViews []events.ViewJoined `json:"feature_views,omitempty"` // that were read
	References   []string            `json:"references,omitempty"`    // of the columns, where any of them names a version of a view
}

func (*VersionTrainingSet) CommandType() string { return "training_set.version" }
func (c *VersionTrainingSet) Stream() string    { return "training-set/" + c.Name }

func (c *VersionTrainingSet) Validate() error {
	var f faults
	f.id("name", c.Name)
	f.sha256("features_hash", c.FeaturesHash)
	f.sha256("entities_hash", c.EntitiesHash)
	f.required("cut", c.Cut, TextBytesMax)
	if n := len(c.Columns); n == 0 || n > TrainingSetColumnsMax {
		f.add("columns", "are %d; want 1 to %d", n, TrainingSetColumnsMax)
	}
	for _, name := range c.Columns {
		f.required("columns", name, TextBytesMax)
	}
	f.sha256("blob", c.Blob)
	f.atLeast("bytes", c.Bytes, 1)
	f.atLeast("rows", c.Rows, 0)
	for i, v := range c.FeatureViews {
		f.required(fmt.Sprintf("feature_views[%d].feature_view", i), v.View, events.FeatureViewBytesMax)
		f.sha256(fmt.Sprintf("feature_views[%d].hash", i), v.Hash)
		f.atLeast(fmt.Sprintf("feature_views[%d].version", i), int64(v.Version), 1)
	}
	if n := len(c.References); n > 0 && n != len(c.Columns) {
		f.add("references", "are %d of %d columns", n, len(c.Columns))
	}
	for _, ref := range c.References {
		f.required("references", ref, TextBytesMax)
	}
	return f.err()
}
