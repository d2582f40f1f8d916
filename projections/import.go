package projections

import (
	"iter"
	"strings"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// Imports is the imports of data sets, and of the simulated world.
//
//	d id -> Import       c -> number of them      s started id -> id      g digest started id -> id
type Imports struct{ r fold.Reader }

// NewImports makes the view "imports".
func NewImports() *Imports { return &Imports{} }

// States of an import.
const (
	ImportRunning   = "running"
	ImportCompleted = "completed"
	ImportFailed    = "failed"
)

// Import is one import. All times are event times; 0 is not yet.
type Import struct {
	ImportID       string `json:"import_id"`
	Dataset        string `json:"dataset"`
	Digest         string `json:"digest"`
	Path           string `json:"path,omitempty"`
	Actor          string `json:"actor,omitempty"`
	State          string `json:"state"`
	Reason         string `json:"reason,omitempty"` // why it failed
	MoviesAdded    int64  `json:"movies_added"`
	FactsAdded     int64  `json:"facts_added"`
	FactsDuplicate int64  `json:"facts_duplicate"`
	BadRows        int64  `json:"bad_rows,omitempty"` // lines in quarantine
	StartedMillis  int64  `json:"started_millis"`
	EndedMillis    int64  `json:"ended_millis,omitempty"`
	fold.Stamp
}

var importDocs = fold.Documents[Import]{
	Table: 'd', Count: 'c',
	ID: func(in *fold.Input) (string, bool) {
		switch x := in.Event.Data.(type) {
		case *events.ImportStarted:
			return x.ImportID, true
		case *events.ImportCompleted:
			return x.ImportID, true
		case *events.ImportFailed:
			return x.ImportID, true
		case *events.FactRefused: // a line of its files, or what a Kafka client sent
			return strings.CutPrefix(in.Event.Subject, "import/")
		}
		return "", false
	},
	Fold: func(m *Import, in *fold.Input) {
		millis := in.Event.Time.UnixMilli()
		switch x := in.Event.Data.(type) {
		case *events.ImportStarted:
			m.ImportID, m.Dataset, m.Digest, m.Path = x.ImportID, x.Dataset, x.Digest, x.Path
			m.Actor, m.StartedMillis = in.Event.Actor, millis
			m.State, m.Reason, m.EndedMillis = ImportRunning, "", 0
		case *events.ImportCompleted:
			m.ImportID, m.State, m.EndedMillis = x.ImportID, ImportCompleted, millis
			m.MoviesAdded, m.FactsAdded, m.FactsDuplicate = x.MoviesAdded, x.FactsAdded, x.FactsDuplicate
		case *events.ImportFailed:
			m.ImportID, m.State, m.Reason, m.EndedMillis = x.ImportID, ImportFailed, x.Reason, millis
		case *events.FactRefused:
			m.BadRows += x.Count
		}
	},
	Index: func(m *Import) []fold.Key {
		return []fold.Key{
			fold.Table('s').Millis(m.StartedMillis).Str(m.ImportID),
			fold.Table('g').Str(m.Digest).Millis(m.StartedMillis).Str(m.ImportID),
		}
	},
	Stamp: func(m *Import) *fold.Stamp { return &m.Stamp },
}

func (*Imports) Spec() fold.Spec {
	return fold.Spec{Name: "imports", Format: 1, Topics: fold.LedgerTopics, Indexed: true}
}

func (v *Imports) Open(r fold.Reader) error                 { v.r = r; return nil }
func (*Imports) Flush(fold.Writer) error                    { return nil }
func (*Imports) Apply(w fold.Writer, in []fold.Input) error { return importDocs.Apply(w, in) }

// Import reads one import.
func (v *Imports) Import(id string) (Import, bool, error) { return importDocs.Get(v.r, id) }

// Count is the number of imports.
func (v *Imports) Count() (int64, error) { return importDocs.Number(v.r) }

// List pages through the imports, newest first.
func (v *Imports) List(q fold.PageQuery) (fold.Page[Import], error) {
	return importDocs.Paginate(v.r, fold.Table('s'), true, q, nil)
}

// ByDigest pages through the imports of one data set, newest first.
func (v *Imports) ByDigest(digest string, q fold.PageQuery) (fold.Page[Import], error) {
	return importDocs.Paginate(v.r, fold.Table('g').Str(digest), true, q, nil)
}

// FoldImport folds what at admits of an "import/ID" stream; false when that is nothing.
func FoldImport(commits iter.Seq2[*streams.Committed, error], at fold.At) (Import, bool, error) {
	return importDocs.FoldStream(commits, at)
}
