package commands

import (
	"fmt"
	"strings"

	"github.com/projectionist/projectionist/events"
)

// RegisterModel opens a registered model. Commands say by its name which model they mean.
type RegisterModel struct {
	Name        string            `json:"name"`
	Description string            `json:"description,omitempty"`
	Tags        map[string]string `json:"tags,omitempty"`
}

func (*RegisterModel) CommandType() string { return "model.register" }
func (c *RegisterModel) Stream() string    { return modelStream(c.Name) }

func (c *RegisterModel) Validate() error {
	var f faults
	f.modelName("name", c.Name)
	f.text("description", c.Description, TextBytesMax)
	f.pairs("tags", c.Tags, PairsMax, ModelTagBytesMax)
	return f.err()
}

// RenameModel gives a model another name, if nobody has that.
type RenameModel struct {
	Name string `json:"name"`
	To   string `json:"to"`
}

func (*RenameModel) CommandType() string { return "model.rename" }
func (c *RenameModel) Stream() string    { return modelStream(c.Name) }

// NameStream is the stream in which the new name is claimed.
func (c *RenameModel) NameStream() string { return modelStream(c.To) }

func (c *RenameModel) Validate() error {
	var f faults
	f.modelName("name", c.Name)
	f.modelName("to", c.To)
	return f.err()
}

// RegisterModelVersion adds the next version of a registered model; the stream counts it.
type RegisterModelVersion struct {
	Name         string            `json:"name"`
	RunID        string            `json:"run_id"`
	Algorithm    string            `json:"algorithm"`
	Params       map[string]string `json:"params"`
	Seed         uint64            `json:"seed"`
	CodeVersion  string            `json:"code_version"`
	DatasetID    string            `json:"dataset_id"`
	DatasetCut   string            `json:"dataset_cut"`
	FeaturesHash string            `json:"features_hash"`
	Blob         string            `json:"blob"`
	Bytes        int64             `json:"bytes"`
	Slot         string            `json:"slot,omitempty"` // it can serve: "production"; "" for none
	FeatureViews []events.ViewRead `json:"feature_views"`  // it was trained on; null where that is not known
}

func (*RegisterModelVersion) CommandType() string { return "model.register_version" }
func (c *RegisterModelVersion) Stream() string    { return modelStream(c.Name) }

func (c *RegisterModelVersion) Validate() error {
	var f faults
	f.modelName("name", c.Name)
	f.runID(c.RunID)
	f.required("algorithm", c.Algorithm, NameBytesMax)
	f.pairs("params", c.Params, PairsMax, ParamBytesMax)
	f.required("code_version", c.CodeVersion, NameBytesMax)
	f.id("dataset_id", c.DatasetID)
	f.required("dataset_cut", c.DatasetCut, TextBytesMax)
	f.sha256("features_hash", c.FeaturesHash)
	f.sha256("blob", c.Blob)
	f.atLeast("bytes", c.Bytes, 1)
	if c.Slot != "" {
		f.id("slot", c.Slot)
	}
	for i, v := range c.FeatureViews {
		f.required(fmt.Sprintf("feature_views[%d].feature_view", i), v.View, events.FeatureViewBytesMax)
		f.sha256(fmt.Sprintf("feature_views[%d].hash", i), v.Hash)
	}
	return f.err()
}

// AddModelVersion adds the next version of a registered model, one that was made elsewhere: it cannot serve a slot, nor be
// trained again from the log.
type AddModelVersion struct {
	Name        string            `json:"name"`
	Source      string            `json:"source"` // URI of its files
	RunID       string            `json:"run_id,omitempty"`
	RunLink     string            `json:"run_link,omitempty"`
	Location    string            `json:"location,omitempty"` // URI of the files themselves, where Source is a way to them
	Description string            `json:"description,omitempty"`
	Tags        map[string]string `json:"tags,omitempty"`
}

func (*AddModelVersion) CommandType() string { return "model.add_version" }
func (c *AddModelVersion) Stream() string    { return modelStream(c.Name) }

func (c *AddModelVersion) Validate() error {
	var f faults
	f.modelName("name", c.Name)
	f.required("source", c.Source, TextBytesMax)
	if c.RunID != "" {
		f.id("run_id", c.RunID)
	}
	f.line("run_link", c.RunLink, TextBytesMax)
	f.line("location", c.Location, TextBytesMax)
	f.text("description", c.Description, TextBytesMax)
	f.pairs("tags", c.Tags, PairsMax, ModelTagBytesMax)
	return f.err()
}

// DescribeModel says what a model, or one of its versions, is. The same words again are no event.
type DescribeModel struct {
	Name        string `json:"name"`
	Version     int    `json:"version,omitempty"` // 0: the model itself
	Description string `json:"description"`
}

func (*DescribeModel) CommandType() string { return "model.describe" }
func (c *DescribeModel) Stream() string    { return modelStream(c.Name) }

func (c *DescribeModel) Validate() error {
	var f faults
	f.modelName("name", c.Name)
	f.atLeast("version", int64(c.Version), 0)
	f.text("description", c.Description, TextBytesMax)
	return f.err()
}

// SetModelTags sets tags of a model, or of one of its versions.
type SetModelTags struct {
	Name    string            `json:"name"`
	Version int               `json:"version,omitempty"` // 0: the model itself
	Tags    map[string]string `json:"tags"`
}

func (*SetModelTags) CommandType() string { return "model.set_tags" }
func (c *SetModelTags) Stream() string    { return modelStream(c.Name) }

func (c *SetModelTags) Validate() error {
	var f faults
	f.modelName("name", c.Name)
	f.atLeast("version", int64(c.Version), 0)
	f.somePairs("tags", c.Tags, PairsMax, ModelTagBytesMax)
	return f.err()
}

// RemoveModelTag removes a tag of a model, or of one of its versions; one that is not set is no event.
type RemoveModelTag struct {
	Name    string `json:"name"`
	Version int    `json:"version,omitempty"` // 0: the model itself
	Key     string `json:"key"`
}

func (*RemoveModelTag) CommandType() string { return "model.remove_tag" }
func (c *RemoveModelTag) Stream() string    { return modelStream(c.Name) }

func (c *RemoveModelTag) Validate() error {
	var f faults
	f.modelName("name", c.Name)
	f.atLeast("version", int64(c.Version), 0)
	f.required("key", c.Key, KeyBytesMax)
	return f.err()
}

// StageModelVersion moves a version to a stage: None, Staging, Production or Archived, in any case.
// With archive_existing the other versions in that stage are archived in the same commit; that is for
// Staging and Production only. A version that was made for a slot serves it once it is in Production.
type StageModelVersion struct {
	Name            string `json:"name"`
	Version         int    `json:"version"`
	Stage           string `json:"stage"`
	ArchiveExisting bool   `json:"archive_existing,omitempty"`
	Reason          string `json:"reason,omitempty"`
	Served          Served `json:"-"`
}

func (*StageModelVersion) CommandType() string { return "model.stage_version" }
func (c *StageModelVersion) Stream() string    { return modelStream(c.Name) }

// The stages of a model version, as MLflow spells them.
const (
	StageNone       = "None"
	StageStaging    = "Staging"
	StageProduction = "Production"
	StageArchived   = "Archived"
)

// CanonicalStage is MLflow's spelling of a stage given in any case, or "" if there is no such stage.
func CanonicalStage(s string) string {
	for _, stage := range []string{StageNone, StageStaging, StageProduction, StageArchived} {
		if strings.EqualFold(s, stage) {
			return stage
		}
	}
	return ""
}

func (c *StageModelVersion) Validate() error {
	var f faults
	f.modelName("name", c.Name)
	f.atLeast("version", int64(c.Version), 1)
	switch stage := CanonicalStage(c.Stage); {
	case stage == "":
		f.add("stage", "is %q; want one of None, Staging, Production, Archived", c.Stage)
	case c.ArchiveExisting && stage != StageStaging && stage != StageProduction:
		f.add("archive_existing", "is for the stages Staging and Production, not %s", stage)
	}
	f.text("reason", c.Reason, TextBytesMax)
	return f.err()
}

// SetModelAlias points an alias at a version of the model. Where that is [AliasChampion] and the version was made
// for a slot, it serves it.
type SetModelAlias struct {
	Name    string `json:"name"`
	Alias   string `json:"alias"`
	Version int    `json:"version"`
	Served  Served `json:"-"`
}

func (*SetModelAlias) CommandType() string { return "model.set_alias" }
func (c *SetModelAlias) Stream() string    { return modelStream(c.Name) }

func (c *SetModelAlias) Validate() error {
	var f faults
	f.modelName("name", c.Name)
	f.alias(c.Alias)
	f.atLeast("version", int64(c.Version), 1)
	return f.err()
}

// RemoveModelAlias removes an alias; one that is not set is no event.
type RemoveModelAlias struct {
	Name   string `json:"name"`
	Alias  string `json:"alias"`
	Served Served `json:"-"`
}

func (*RemoveModelAlias) CommandType() string { return "model.remove_alias" }
func (c *RemoveModelAlias) Stream() string    { return modelStream(c.Name) }

func (c *RemoveModelAlias) Validate() error {
	var f faults
	f.modelName("name", c.Name)
	f.alias(c.Alias)
	return f.err()
}

// DeleteModelVersion takes a version out of the registry. One that serves is refused.
type DeleteModelVersion struct {
	Name    string `json:"name"`
	Version int    `json:"version"`
	Served  Served `json:"-"`
}

func (*DeleteModelVersion) CommandType() string { return "model.delete_version" }
func (c *DeleteModelVersion) Stream() string    { return modelStream(c.Name) }

func (c *DeleteModelVersion) Validate() error {
	var f faults
	f.modelName("name", c.Name)
	f.atLeast("version", int64(c.Version), 1)
	return f.err()
}

// DeleteModel takes a model out of the registry with all its versions. One of which a version serves is refused.
type DeleteModel struct {
	Name   string `json:"name"`
	Served Served `json:"-"`
}

func (*DeleteModel) CommandType() string { return "model.delete" }
func (c *DeleteModel) Stream() string    { return modelStream(c.Name) }

func (c *DeleteModel) Validate() error {
	var f faults
	f.modelName("name", c.Name)
	return f.err()
}

// keyBytesMax has room for a model's key: its first name, and which of those called so it is.
const keyBytesMax = NameBytesMax + 20

func modelStream(name string) string { return "model/" + name }

// modelName wants a name that MLflow's model URIs (models:/name/version) can hold.
func (f *faults) modelName(field, v string) {
	f.required(field, v, NameBytesMax)
	if strings.ContainsAny(v, "/:") {
		f.add(field, "must not hold a slash or a colon")
	}
	f.addressable(field, v)
}

// alias wants what MLflow takes: letters, digits, _ and -, neither "latest" nor a version such as v12.
func (f *faults) alias(v string) {
	f.required("alias", v, KeyBytesMax)
	for i := 0; i < len(v); i++ {
		if c := v[i] | 0x20; (c < 'a' || c > 'z') && (v[i] < '0' || v[i] > '9') && v[i] != '_' && v[i] != '-' {
			f.add("alias", "may hold letters, digits, _ and - only")
			break
		}
	}
	if strings.EqualFold(v, "latest") {
		f.add("alias", `"latest" is reserved for the newest version`)
	}
	if digits := strings.TrimLeft(v, "vV"); len(digits) == len(v)-1 && digits != "" && strings.Trim(digits, "0123456789") == "" {
		f.add("alias", "%q reads as a version number; choose another", v)
	}
}
