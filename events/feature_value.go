package events

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// FeatureValues are values of features that were computed elsewhere and pushed: of one entity, at one time. Topic
// "feature-values". Of several of one entity and view the one of the newest event time counts, and of those of one time
// the last in the log, by offset and then by partition.
type FeatureValues struct {
	EntityKey string                     `json:"entity_key"`   // whose, such as "movie_id=42": see features.EntityKey
	View      string                     `json:"feature_view"` // that declares them
	Values    map[string]json.RawMessage `json:"values"`       // by feature; null says that there is none
	Timestamp string                     `json:"timestamp"`
	Created   string                     `json:"created,omitempty"` // when they were computed, as their producer says
	Offline   bool                       `json:"offline,omitempty"` // for training alone: they are not served
}

func (*FeatureValues) EventType() string { return "feature.values_pushed" }

func (v *FeatureValues) stamp() *string { return &v.Timestamp }

// Limits of one row of values.
const (
	EntityKeyBytesMax   = 1024
	FeatureValuesMax    = 2000
	FeatureViewBytesMax = 128
)

// Validate reports every fault at once, each a [*FieldError]. What features the view has, and of which types, it does
// not know: facts and declarations are in no order.
func (v *FeatureValues) Validate() error {
	var errs []error
	wrong := func(field, format string, args ...any) {
		errs = append(errs, &FieldError{field, fmt.Sprintf(format, args...)})
	}
	for _, f := range []struct {
		name, text string
		max        int
	}{{"entity_key", v.EntityKey, EntityKeyBytesMax}, {"feature_view", v.View, FeatureViewBytesMax}} {
		switch {
		case f.text == "":
			wrong(f.name, "must not be empty")
		case len(f.text) > f.max:
			wrong(f.name, "has %d bytes; the most is %d", len(f.text), f.max)
		default:
			if fault := unusualIDFault(f.text); fault != "" {
				wrong(f.name, "%s", fault)
			}
		}
	}
	if n := len(v.Values); n == 0 || n > FeatureValuesMax {
		wrong("values", "has %d features; want 1 to %d", n, FeatureValuesMax)
	} else {
		for _, name := range slices.Sorted(maps.Keys(v.Values)) {
			if !flat(v.Values[name]) {
				wrong("values."+name, "want a number, a text, true, false, null, or a list of such")
			}
		}
	}
	if _, fault := timestampFault(v.Timestamp); fault != "" {
		wrong("timestamp", "%s", fault)
	}
	if v.Created != "" {
		if _, fault := timestampFault(v.Created); fault != "" {
			wrong("created", "%s", fault)
		}
	}
	return errors.Join(errs...)
}

// flat says whether JSON is a scalar or a list of scalars.
func flat(raw json.RawMessage) bool {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || raw[0] == '{' {
		return false
	}
	if raw[0] != '[' {
		return json.Valid(raw)
	}
	var items []json.RawMessage
	if json.Unmarshal(raw, &items) != nil {
		return false
	}
	return !slices.ContainsFunc(items, func(item json.RawMessage) bool { return item[0] == '[' || item[0] == '{' })
}
