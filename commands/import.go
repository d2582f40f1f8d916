package commands

const importIDDigits = 32

// BadRowsMax is the most lines of one import that can be set aside: a file with more is another than it was
// taken for, and each is a commit of the ledger.
const BadRowsMax = 10_000

// StartImport opens the import of a data set, or goes on with one that was cut off. Its id derives
// from the digest, so one data set has one stream however often it is imported. A data set that was
// completed is not started again: the command then decides no event.
type StartImport struct {
	Dataset string `json:"dataset"`
	Digest  string `json:"digest"` // SHA-256 of the files, or of the simulation's parameters
	Path    string `json:"path,omitempty"`
}

func (*StartImport) CommandType() string { return "import.start" }
func (c *StartImport) Stream() string    { return importStream(c.ImportID()) }

// ImportID is the id of the data set's import: the first 32 hex digits of its digest.
func (c *StartImport) ImportID() string { return c.Digest[:min(importIDDigits, len(c.Digest))] }

func (c *StartImport) Validate() error {
	var f faults
	f.required("dataset", c.Dataset, NameBytesMax)
	f.sha256("digest", c.Digest)
	f.text("path", c.Path, TextBytesMax)
	return f.err()
}

// RefuseRow notes a line of a running import's files that cannot be read, or holds what the log would not take.
// A line that was noted before is no event.
type RefuseRow struct {
	ImportID string `json:"import_id"`
	Topic    string `json:"topic"` // for which it was
	File     string `json:"file"`  // its name within the data set
	Line     int64  `json:"line"`  // from 1
	Reason   string `json:"reason"`
	Text     []byte `json:"text,omitempty"` // of the line, cut off where it is long
}

func (*RefuseRow) CommandType() string { return "import.refuse_row" }
func (c *RefuseRow) Stream() string    { return importStream(c.ImportID) }

func (c *RefuseRow) Validate() error {
	var f faults
	f.importID(c.ImportID)
	f.id("topic", c.Topic)
	f.trace("file", c.File)
	f.atLeast("line", c.Line, 1)
	f.trace("reason", c.Reason)
	f.refused("text", c.Text)
	return f.err()
}

// CompleteImport closes an import: every fact of the data set is in the log.
type CompleteImport struct {
	ImportID       string `json:"import_id"`
	MoviesAdded    int64  `json:"movies_added"`
	FactsAdded     int64  `json:"facts_added"`
	FactsDuplicate int64  `json:"facts_duplicate"`
}

func (*CompleteImport) CommandType() string { return "import.complete" }
func (c *CompleteImport) Stream() string    { return importStream(c.ImportID) }

func (c *CompleteImport) Validate() error {
	var f faults
	f.importID(c.ImportID)
	f.atLeast("movies_added", c.MoviesAdded, 0)
	f.atLeast("facts_added", c.FactsAdded, 0)
	f.atLeast("facts_duplicate", c.FactsDuplicate, 0)
	return f.err()
}

// FailImport closes an import that could not be finished.
type FailImport struct {
	ImportID string `json:"import_id"`
	Reason   string `json:"reason"`
}

func (*FailImport) CommandType() string { return "import.fail" }
func (c *FailImport) Stream() string    { return importStream(c.ImportID) }

func (c *FailImport) Validate() error {
	var f faults
	f.importID(c.ImportID)
	f.trace("reason", c.Reason)
	return f.err()
}

func importStream(id string) string { return "import/" + id }

func (f *faults) importID(id string) { f.hex("import_id", id, importIDDigits, "an import's id") }
