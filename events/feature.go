package events

// FeaturesDefined replaces the feature definitions in force. Stream "features/definitions".
type FeaturesDefined struct {
	Definitions string `json:"definitions"` // the definitions file, as applied (YAML)
	Hash        string `json:"hash"`        // SHA-256 of its canonical form; models refuse another
}

func (*FeaturesDefined) EventType() string { return "features.defined" }

// DatasetBuilt names a training set: the log up to a cut, joined point in time. Stream "dataset/ID".
type DatasetBuilt struct {
	DatasetID    string `json:"dataset_id"`
	Cut          string `json:"cut"`           // streams.Cut: the position in the log that IS the data set
	FeaturesHash string `json:"features_hash"` // of the definitions it was joined with
	Blob         string `json:"blob"`          // SHA-256 of the materialised rows
	Users        int    `json:"users"`
	Items        int    `json:"items"`
	Interactions int    `json:"interactions"`
	Rows         int    `json:"rows"` // point-in-time feature rows
}

func (*DatasetBuilt) EventType() string { return "dataset.built" }
