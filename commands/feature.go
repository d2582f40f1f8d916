package commands

// DefineFeatures replaces the feature definitions in force. The definitions in force again are no event.
type DefineFeatures struct {
	Definitions string `json:"definitions"` // YAML
	Hash        string `json:"hash"`        // SHA-256 of the canonical form
}

func (*DefineFeatures) CommandType() string { return "features.define" }
func (*DefineFeatures) Stream() string      { return "features/definitions" }

func (c *DefineFeatures) Validate() error {
	var f faults
	if c.Definitions == "" {
		f.add("definitions", "must not be empty")
	}
	f.text("definitions", c.Definitions, DocumentBytesMax)
	f.sha256("hash", c.Hash)
	return f.err()
}

// RecordDataset names a training set that was built. The same again is no event; another under the
// same id is refused.
type RecordDataset struct {
	DatasetID    string `json:"dataset_id"`
	Cut          string `json:"cut"`
	FeaturesHash string `json:"features_hash"`
	Blob         string `json:"blob"`
	Users        int    `json:"users"`
	Items        int    `json:"items"`
	Interactions int    `json:"interactions"`
	Rows         int    `json:"rows"`
}

func (*RecordDataset) CommandType() string { return "dataset.record" }
func (c *RecordDataset) Stream() string    { return "dataset/" + c.DatasetID }

func (c *RecordDataset) Validate() error {
	var f faults
	f.id("dataset_id", c.DatasetID)
	f.required("cut", c.Cut, TextBytesMax)
	f.sha256("features_hash", c.FeaturesHash)
	f.sha256("blob", c.Blob)
	f.atLeast("users", int64(c.Users), 0)
	f.atLeast("items", int64(c.Items), 0)
	f.atLeast("interactions", int64(c.Interactions), 0)
	f.atLeast("rows", int64(c.Rows), 0)
	return f.err()
}
