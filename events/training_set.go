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
}

func (*TrainingSetVersioned) EventType() string { return "training_set.versioned" }

// Identify is the SHA-256 of what the rows follow from.
func (e *TrainingSetVersioned) Identify() string {
	b, err := json.Marshal([]any{e.FeaturesHash, e.EntitiesHash, e.Cut, e.Columns, e.KnownAtRow, e.Exclusive})
	if err != nil {
		panic(err) // texts
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
