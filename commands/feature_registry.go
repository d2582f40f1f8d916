package commands

import (
	"fmt"
	"regexp"

	"github.com/projectionist/projectionist/events"
)

// Commands of Feast's registry. A declaration that is there already, word for word, is no event.

const (
	// FeatureSpecBytesMax bounds a message of Feast's registry.
	FeatureSpecBytesMax = 256 << 10
	featureJoinKeysMax  = 16
	featureFieldsMax    = events.FeatureValuesMax
)

var projectPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$`)

func (f *faults) featureMeta(m *events.FeatureMeta) {
	f.project(m.Project)
	f.text("description", m.Description, TextBytesMax)
	f.line("owner", m.Owner, NameBytesMax)
	f.pairs("tags", m.Tags, PairsMax, TagBytesMax)
	if len(m.Spec) > FeatureSpecBytesMax {
		f.add("spec", "has %d bytes; the most is %d", len(m.Spec), FeatureSpecBytesMax)
	}
}

func (f *faults) project(name string) {
	if !projectPattern.MatchString(name) {
		f.add("project", "%q is not the name of a project: want letters, digits, _ and -, at most 100", name)
	}
}

func (f *faults) featureFields(field string, all []events.FeatureField, least, most int) {
	if len(all) < least || len(all) > most {
		f.add(field, "has %d entries; want %d to %d", len(all), least, most)
		return
	}
	seen := map[string]bool{}
	for i, x := range all {
		at := fmt.Sprintf("%s[%d]", field, i)
		f.id(at+".name", x.Name)
		f.required(at+".type", x.Type, IDBytesMax)
		f.text(at+".description", x.Description, TextBytesMax)
		if seen[x.Name] {
			f.add(at+".name", "%q is there twice", x.Name)
		}
		seen[x.Name] = true
	}
}

// ApplyFeatureProject declares a project.
type ApplyFeatureProject struct{ events.FeatureProjectApplied }

func (*ApplyFeatureProject) CommandType() string { return "feature_project.apply" }
func (c *ApplyFeatureProject) Stream() string    { return "feature-project/" + c.Project }

func (c *ApplyFeatureProject) Validate() error {
	var f faults
	f.featureMeta(&c.FeatureMeta)
	return f.err()
}

// DeleteFeatureProject takes a project away.
type DeleteFeatureProject struct{ events.FeatureProjectDeleted }

func (*DeleteFeatureProject) CommandType() string { return "feature_project.delete" }
func (c *DeleteFeatureProject) Stream() string    { return "feature-project/" + c.Project }

func (c *DeleteFeatureProject) Validate() error {
	var f faults
	f.project(c.Project)
	return f.err()
}

// ApplyFeatureEntity declares what features are of.
type ApplyFeatureEntity struct{ events.FeatureEntityApplied }

func (*ApplyFeatureEntity) CommandType() string { return "feature_entity.apply" }
func (c *ApplyFeatureEntity) Stream() string    { return "feature-entity/" + c.Project + "." + c.Entity }

func (c *ApplyFeatureEntity) Validate() error {
	var f faults
	f.id("entity", c.Entity)
	f.id("join_key", c.JoinKey)
	f.line("type", c.Type, IDBytesMax)
	f.featureMeta(&c.FeatureMeta)
	return f.err()
}

// DeleteFeatureEntity takes such a declaration away.
type DeleteFeatureEntity struct{ events.FeatureEntityDeleted }

func (*DeleteFeatureEntity) CommandType() string { return "feature_entity.delete" }
func (c *DeleteFeatureEntity) Stream() string    { return "feature-entity/" + c.Project + "." + c.Entity }

func (c *DeleteFeatureEntity) Validate() error {
	var f faults
	f.id("entity", c.Entity)
	f.project(c.Project)
	return f.err()
}

// ApplyFeatureSource declares where values come from.
type ApplyFeatureSource struct{ events.FeatureSourceApplied }

func (*ApplyFeatureSource) CommandType() string { return "feature_source.apply" }
func (c *ApplyFeatureSource) Stream() string    { return sourceStream(c.Project, c.Source) }

// sourceStream is the stream of a source, whose name may be the path of a file.
func sourceStream(project, name string) string {
	return "feature-source/" + events.FeatureSourceID(project, name)
}

func (c *ApplyFeatureSource) Validate() error {
	var f faults
	f.required("source", c.Source, 2*NameBytesMax)
	f.featureMeta(&c.FeatureMeta)
	return f.err()
}

// DeleteFeatureSource takes such a declaration away.
type DeleteFeatureSource struct{ events.FeatureSourceDeleted }

func (*DeleteFeatureSource) CommandType() string { return "feature_source.delete" }
func (c *DeleteFeatureSource) Stream() string    { return sourceStream(c.Project, c.Source) }

func (c *DeleteFeatureSource) Validate() error {
	var f faults
	f.required("source", c.Source, 2*NameBytesMax)
	f.project(c.Project)
	return f.err()
}

// ApplyFeatureView declares a view whose values are pushed.
type ApplyFeatureView struct{ events.FeatureViewApplied }

func (*ApplyFeatureView) CommandType() string { return "feature_view.apply" }
func (c *ApplyFeatureView) Stream() string    { return "feature-view/" + c.View }

func (c *ApplyFeatureView) Validate() error {
	var f faults
	f.id("feature_view", c.View)
	if len(c.Entities) > featureJoinKeysMax {
		f.add("entities", "has %d entries; the most is %d", len(c.Entities), featureJoinKeysMax)
	} else {
		for i, e := range c.Entities {
			f.id(fmt.Sprintf("entities[%d]", i), e)
		}
	}
	f.featureFields("join_keys", c.JoinKeys, 1, featureJoinKeysMax)
	f.featureFields("features", c.Features, 1, featureFieldsMax)
	f.atLeast("ttl_millis", c.TTLMillis, 0)
	f.line("push_source", c.PushSource, 2*NameBytesMax)
	f.line("time_column", c.TimeColumn, IDBytesMax)
	f.line("created_column", c.CreatedIn, IDBytesMax)
	f.featureMeta(&c.FeatureMeta)
	return f.err()
}

// DeleteFeatureView takes such a declaration away.
type DeleteFeatureView struct{ events.FeatureViewDeleted }

func (*DeleteFeatureView) CommandType() string { return "feature_view.delete" }
func (c *DeleteFeatureView) Stream() string    { return "feature-view/" + c.View }

func (c *DeleteFeatureView) Validate() error {
	var f faults
	f.id("feature_view", c.View)
	f.project(c.Project)
	return f.err()
}

// ApplyFeatureService declares a named choice of features.
type ApplyFeatureService struct{ events.FeatureServiceApplied }

func (*ApplyFeatureService) CommandType() string { return "feature_service.apply" }
func (c *ApplyFeatureService) Stream() string    { return "feature-service/" + c.Service }

func (c *ApplyFeatureService) Validate() error {
	var f faults
	f.id("feature_service", c.Service)
	if len(c.Features) == 0 || len(c.Features) > featureFieldsMax {
		f.add("features", "has %d entries; want 1 to %d", len(c.Features), featureFieldsMax)
	} else {
		for i, ref := range c.Features {
			f.required(fmt.Sprintf("features[%d]", i), ref, 2*IDBytesMax+1)
		}
	}
	f.featureMeta(&c.FeatureMeta)
	return f.err()
}

// DeleteFeatureService takes such a declaration away.
type DeleteFeatureService struct{ events.FeatureServiceDeleted }

func (*DeleteFeatureService) CommandType() string { return "feature_service.delete" }
func (c *DeleteFeatureService) Stream() string    { return "feature-service/" + c.Service }

func (c *DeleteFeatureService) Validate() error {
	var f faults
	f.id("feature_service", c.Service)
	f.project(c.Project)
	return f.err()
}
