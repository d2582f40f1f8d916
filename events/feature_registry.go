package events

import "strings"

// What is declared through Feast's registry, under a project: what features are of, views whose values are computed
// elsewhere and pushed, services, and the sources they come from.

// FeatureMeta is what each of them says beside what it is.
type FeatureMeta struct {
	Project     string            `json:"project"`
	Description string            `json:"description,omitempty"`
	Owner       string            `json:"owner,omitempty"`
	Tags        map[string]string `json:"tags,omitempty"`
	// Spec is the message of Feast's registry as it was applied, so that its clients get back what they gave; none of
	// what was declared elsewhere.
	Spec []byte `json:"spec,omitempty"`
}

// FeatureField is a feature of a view, or a join key.
type FeatureField struct {
	Name        string `json:"name"`
	Type        string `json:"type"` // as package features spells it: "int64", "string_list"
	Description string `json:"description,omitempty"`
}

// FeatureProjectApplied declares a project. Stream "feature-project/NAME".
type FeatureProjectApplied struct{ FeatureMeta }

func (*FeatureProjectApplied) EventType() string { return "feature_project.applied" }

// FeatureProjectDeleted takes a project away.
type FeatureProjectDeleted struct {
	Project string `json:"project"`
}

func (*FeatureProjectDeleted) EventType() string { return "feature_project.deleted" }

// FeatureEntityApplied declares what features are of, in the place of what was declared under its name.
// Stream "feature-entity/PROJECT.NAME".
type FeatureEntityApplied struct {
	Entity  string `json:"entity"`
	JoinKey string `json:"join_key"`
	Type    string `json:"type,omitempty"` // of the join key; "" is not said
	FeatureMeta
}

func (*FeatureEntityApplied) EventType() string { return "feature_entity.applied" }

// FeatureEntityDeleted takes such a declaration away.
type FeatureEntityDeleted struct {
	Entity  string `json:"entity"`
	Project string `json:"project"`
}

func (*FeatureEntityDeleted) EventType() string { return "feature_entity.deleted" }

// FeatureSourceID is a source as part of a stream's name: its own may be the path of a file.
func FeatureSourceID(project, name string) string { return project + "." + sourceEscaper.Replace(name) }

var sourceEscaper = strings.NewReplacer("%", "%25", "/", "%2F")

// FeatureSourceApplied declares where values come from. Stream "feature-source/PROJECT.NAME".
type FeatureSourceApplied struct {
	Source string `json:"source"`
	Push   bool   `json:"push,omitempty"` // values are pushed to it
	FeatureMeta
}

func (*FeatureSourceApplied) EventType() string { return "feature_source.applied" }

// FeatureSourceDeleted takes such a declaration away.
type FeatureSourceDeleted struct {
	Source  string `json:"source"`
	Project string `json:"project"`
}

func (*FeatureSourceDeleted) EventType() string { return "feature_source.deleted" }

// FeatureViewApplied declares a view whose values are pushed, in the place of what was declared under its name.
// Stream "feature-view/NAME".
type FeatureViewApplied struct {
	View       string         `json:"feature_view"`
	Entities   []string       `json:"entities"`
	JoinKeys   []FeatureField `json:"join_keys"` // whose values name one of whom the features are
	Features   []FeatureField `json:"features"`
	TTLMillis  int64          `json:"ttl_millis,omitempty"` // 0: values do not expire
	PushSource string         `json:"push_source,omitempty"`
	TimeColumn string         `json:"time_column,omitempty"`    // of the event time, in what is pushed; "" is event_timestamp
	CreatedIn  string         `json:"created_column,omitempty"` // of when values were computed; "" is created
	Stream     bool           `json:"stream,omitempty"`         // declared as one of a stream
	FeatureMeta
}

func (*FeatureViewApplied) EventType() string { return "feature_view.applied" }

// FeatureViewDeleted takes such a declaration away. What was pushed stays in the log.
type FeatureViewDeleted struct {
	View    string `json:"feature_view"`
	Project string `json:"project"`
}

func (*FeatureViewDeleted) EventType() string { return "feature_view.deleted" }

// FeatureServiceApplied declares a named choice of features, in the place of what was declared under its name.
// Stream "feature-service/NAME".
type FeatureServiceApplied struct {
	Service  string   `json:"feature_service"`
	Features []string `json:"features"` // view:feature
	FeatureMeta
}

func (*FeatureServiceApplied) EventType() string { return "feature_service.applied" }

// FeatureServiceDeleted takes such a declaration away.
type FeatureServiceDeleted struct {
	Service string `json:"feature_service"`
	Project string `json:"project"`
}

func (*FeatureServiceDeleted) EventType() string { return "feature_service.deleted" }

// DeclaredName is what a thing is called among all of its kind.
func (e *FeatureProjectApplied) DeclaredName() string { return e.Project }
func (e *FeatureEntityApplied) DeclaredName() string  { return e.Project + "." + e.Entity }
func (e *FeatureSourceApplied) DeclaredName() string  { return FeatureSourceID(e.Project, e.Source) }
func (e *FeatureViewApplied) DeclaredName() string    { return e.View }
func (e *FeatureServiceApplied) DeclaredName() string { return e.Service }
