package projections

import (
	"iter"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/streams"
)

// Imports is the imports of data sets, and of the simulated world.
//
//	d id -> Import       c -> number of them      s started id -> id      g digest started id -> id
type Imports struct{ r Reader }

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
	StartedMillis  int64  `json:"started_millis"`
	EndedMillis    int64  `json:"ended_millis,omitempty"`
	Stamp
}

var importDocs = docs[Import]{
	table: 'd', count: 'c',
	id: func(in *Input) (string, bool) {
		switch x := in.Event.Data.(type) {
		case *events.ImportStarted:
			return x.ImportID, true
		case *events.ImportCompleted:
			return x.ImportID, true
		case *events.ImportFailed:
			return x.ImportID, true
		}
		return "", false
	},
	fold: func(m *Import, in *Input) {
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
		}
	},
	index: func(m *Import) []Key {
		return []Key{
			Table('s').Millis(m.StartedMillis).Str(m.ImportID),
			Table('g').Str(m.Digest).Millis(m.StartedMillis).Str(m.ImportID),
		}
	},
	stamp: func(m *Import) *Stamp { return &m.Stamp },
}

func (*Imports) Spec() Spec {
	return Spec{Name: "imports", Format: 1, Topics: ledgerTopics, Indexed: true}
}

func (v *Imports) Open(r Reader) error            { v.r = r; return nil }
func (*Imports) Flush(Writer) error               { return nil }
func (*Imports) Apply(w Writer, in []Input) error { return importDocs.apply(w, in) }

// Import reads one import.
func (v *Imports) Import(id string) (Import, bool, error) { return importDocs.get(v.r, id) }

// Count is the number of imports.
func (v *Imports) Count() (int64, error) { return importDocs.number(v.r) }

// List pages through the imports, newest first.
func (v *Imports) List(q PageQuery) (Page[Import], error) {
	return importDocs.page(v.r, Table('s'), true, q, nil)
}

// ByDigest pages through the imports of one data set, newest first.
func (v *Imports) ByDigest(digest string, q PageQuery) (Page[Import], error) {
	return importDocs.page(v.r, Table('g').Str(digest), true, q, nil)
}

// FoldImport folds what at admits of an "import/ID" stream; false when that is nothing.
func FoldImport(commits iter.Seq2[*streams.Committed, error], at At) (Import, bool, error) {
	return importDocs.foldStream(commits, at)
}
