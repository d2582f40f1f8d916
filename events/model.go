package events

import "encoding/json"

// ModelRegistered opens a registered model. Stream "model/KEY": the key is what the model is for good, whatever it is
// called later, and what every other event of models, slots among them, has as its name.
type ModelRegistered struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	Key         string `json:"key,omitempty"` // "" is the name; of one that took a name another was registered under, NAME:2, NAME:3 …
}

// withoutKey makes schema 2 of schema 1, in which a model's name was its key.
func withoutKey(raw json.RawMessage) (json.RawMessage, error) { return raw, nil }

func (*ModelRegistered) EventType() string { return "model.registered" }

// ModelNameClaimed says which model is to have a name. Stream "model/NAME". The model has it once its own stream says so,
// as its naming of that number; if that is another, the claim has come to nothing.
type ModelNameClaimed struct {
	Name   string `json:"name"`
	Key    string `json:"key"`    // of the model
	Naming int    `json:"naming"` // 1 is its registration
	// Registered and Tags are what it begins with, where it does.
	Registered *ModelRegistered  `json:"registered,omitempty"`
	Tags       map[string]string `json:"tags,omitempty"`
}

func (*ModelNameClaimed) EventType() string { return "model.name_claimed" }

// ModelRenamed gives a model another name. What it was is free for others.
type ModelRenamed struct {
	Name   string `json:"name"` // its key
	To     string `json:"to"`
	Naming int    `json:"naming"` // of the model, counted by its stream
}

func (*ModelRenamed) EventType() string { return "model.renamed" }

// ModelVersionRegistered adds a version: everything needed to train it again, bit for bit.
type ModelVersionRegistered struct {
	Name         string            `json:"name"`
	Version      int               `json:"version"` // 1, 2, 3 …, counted by the stream
	RunID        string            `json:"run_id"`
	Algorithm    string            `json:"algorithm"` // name of the recipe; "" in versions of before they stated it
	Params       map[string]string `json:"params"`
	Seed         uint64            `json:"seed"`
	CodeVersion  string            `json:"code_version"` // of the trainer, with the arithmetic kernel it used
	DatasetID    string            `json:"dataset_id"`
	DatasetCut   string            `json:"dataset_cut"`
	FeaturesHash string            `json:"features_hash"` // of all definitions in force at the cut
	Blob         string            `json:"blob"`          // SHA-256 of the weights
	Bytes        int64             `json:"bytes"`
	Slot         string            `json:"slot,omitempty"` // it can serve, "" for none
	FeatureViews []ViewRead        `json:"feature_views"`  // it was trained on: none of a recipe that reads none; null says nothing of it
}

// ViewRead is a feature view that something was made of, as it was defined then.
type ViewRead struct {
	View string `json:"feature_view"`
	Hash string `json:"hash"` // SHA-256 of its definition
}

// withoutViews makes the schema that states feature views of the one before, which said nothing of them.
func withoutViews(raw json.RawMessage) (json.RawMessage, error) { return raw, nil }

// withSlot makes schema 2 of schema 1, in which every version was a recommender.
func withSlot(raw json.RawMessage) (json.RawMessage, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, err
	}
	fields["slot"] = json.RawMessage(`"` + ProductionSlot + `"`)
	return json.Marshal(fields)
}

func (*ModelVersionRegistered) EventType() string { return "model.version_registered" }

// ModelVersionStaged moves a version to a stage.
type ModelVersionStaged struct {
	Name    string `json:"name"`
	Version int    `json:"version"`
	From    string `json:"from"` // None, Staging, Production, Archived
	To      string `json:"to"`
	Reason  string `json:"reason,omitempty"`
}

func (*ModelVersionStaged) EventType() string { return "model.version_staged" }

// ModelAliasSet points an alias ("champion") at a version.
type ModelAliasSet struct {
	Name    string `json:"name"`
	Alias   string `json:"alias"`
	Version int    `json:"version"`
}

func (*ModelAliasSet) EventType() string { return "model.alias_set" }

// ModelAliasRemoved removes an alias.
type ModelAliasRemoved struct {
	Name  string `json:"name"`
	Alias string `json:"alias"`
}

func (*ModelAliasRemoved) EventType() string { return "model.alias_removed" }

// ModelVersionAdded adds a version that was made elsewhere: where its files are, rather than how to train it again. It
// counts among the versions of [ModelVersionRegistered].
type ModelVersionAdded struct {
	Name    string `json:"name"`
	Version int    `json:"version"`
	Source  string `json:"source"`             // URI of its files
	RunID   string `json:"run_id,omitempty"`   // that made it
	RunLink string `json:"run_link,omitempty"` // to that run, where it is another server's
	// Location is the URI of the files themselves, where Source is a way to them that may change: another version, or
	// a logged model.
	Location string `json:"location,omitempty"`
}

// withoutDetour makes schema 2 of schema 1, in which a version's source was where its files are.
func withoutDetour(raw json.RawMessage) (json.RawMessage, error) { return raw, nil }

func (*ModelVersionAdded) EventType() string { return "model.version_added" }

// ModelDescribed says what a model, or one of its versions, is.
type ModelDescribed struct {
	Name        string `json:"name"`
	Version     int    `json:"version,omitempty"` // 0: the model itself
	Description string `json:"description"`
}

func (*ModelDescribed) EventType() string { return "model.described" }

// ModelTagsSet sets tags of a model, or of one of its versions.
type ModelTagsSet struct {
	Name    string            `json:"name"`
	Version int               `json:"version,omitempty"` // 0: the model itself
	Tags    map[string]string `json:"tags"`
}

func (*ModelTagsSet) EventType() string { return "model.tags_set" }

// ModelTagRemoved removes a tag of a model, or of one of its versions.
type ModelTagRemoved struct {
	Name    string `json:"name"`
	Version int    `json:"version,omitempty"` // 0: the model itself
	Key     string `json:"key"`
}

func (*ModelTagRemoved) EventType() string { return "model.tag_removed" }

// ModelVersionDeleted takes a version out of the registry, with the aliases that point at it. Its number is not given again.
type ModelVersionDeleted struct {
	Name    string `json:"name"`
	Version int    `json:"version"`
}

func (*ModelVersionDeleted) EventType() string { return "model.version_deleted" }

// ModelDeleted takes a model out of the registry with all it has. One that is registered under its name later goes on
// counting versions.
type ModelDeleted struct {
	Name string `json:"name"`
}

func (*ModelDeleted) EventType() string { return "model.deleted" }
