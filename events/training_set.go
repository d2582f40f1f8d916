package events

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
)

// TrainingSetVersioned names a table of rows joined point in time with features, as its set's next version. What it is
// follows from its identity: the definitions, the rows that were joined, and the cut of the log, with what of the
// definitions was asked for and how. Stream "training-set/NAME".
type TrainingSetVersioned struct {
	Name         string   `json:"name"`
	Version      int      `json:"version"`  // 1, 2, …
	Identity     string   `json:"identity"` // see [TrainingSetVersioned.Identify]
	FeaturesHash string   `json:"features_hash"`
	EntitiesHash string   `json:"entities_hash"` // SHA-256 of the rows as they were given
	Cut          string   `json:"cut"`
	Columns      []string `json:"columns"` // of the features, in order
	KnownAtRow   bool     `json:"known_at_row,omitempty"`
	Exclusive    bool     `json:"exclusive,omitempty"`
	Blob         string   `json:"blob"` // SHA-256 of the joined rows, in CSV
	Bytes        int64    `json:"bytes"`
	Rows         int64    `json:"rows"`

	// FeatureViews are those that were read, none where it is not known: sets of before did not say.
	FeatureViews []ViewJoined `json:"feature_views,omitempty"`
	// References are the features of the columns as view:feature, where any of them names a version: view@v2:feature. They are part of the identity then.
	References []string `json:"references,omitempty"`
}

// ViewJoined is a feature view that rows were joined with, as it was defined at the cut, or as the version that was asked for was.
type ViewJoined struct {
	ViewRead
	Version int `json:"version"`
}

func (*TrainingSetVersioned) EventType() string { return "training_set.versioned" }

// Identify is the SHA-256 of what the rows follow from.
func (e *TrainingSetVersioned) Identify() string {
	what := []any{e.FeaturesHash, e.EntitiesHash, e.Cut, e.Columns, e.KnownAtRow, e.Exclusive}
	if len(e.References) > 0 { // else the columns and the definitions say it
		what = append(what, e.References)
	}
	b, err := json.Marshal(what)
	if err != nil {
		panic(err) // texts
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
