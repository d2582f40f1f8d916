package events

// ImportStarted opens the import of one data set. Stream "import/ID".
type ImportStarted struct {
	ImportID string `json:"import_id"`
	Dataset  string `json:"dataset"`
	Digest   string `json:"digest"` // SHA-256 of the files, or of the simulation's parameters
	Path     string `json:"path,omitempty"`
}

func (*ImportStarted) EventType() string { return "import.started" }

// ImportCompleted closes an import: every fact of the data set is in the log.
type ImportCompleted struct {
	ImportID       string `json:"import_id"`
	MoviesAdded    int64  `json:"movies_added"`
	FactsAdded     int64  `json:"facts_added"`
	FactsDuplicate int64  `json:"facts_duplicate"` // already in the log
}

func (*ImportCompleted) EventType() string { return "import.completed" }

// ImportFailed closes an import that could not be finished; what it added stays, and a new import
// of the same data set goes on after it.
type ImportFailed struct {
	ImportID string `json:"import_id"`
	Reason   string `json:"reason"`
}

func (*ImportFailed) EventType() string { return "import.failed" }
