package projections

import (
	"iter"
	"slices"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// LoggedModels is the models that runs have logged, those of the registry apart.
//
//	d id -> LoggedModel      x experiment created id -> id
type LoggedModels struct{ r fold.Reader }

// NewLoggedModels makes the view "logged-models".
func NewLoggedModels() *LoggedModels { return &LoggedModels{} }

// LoggedModel is files that a run, or somebody, has made, with what they were made by.
type LoggedModel struct {
	events.LoggedModelCreated
	Status    string     `json:"status,omitempty"` // READY or FAILED; "" while its files are awaited
	Artifacts []Artifact `json:"artifacts,omitempty"`
	Deleted   bool       `json:"deleted,omitempty"`
	fold.Stamp
}

var loggedModelDocs = fold.Documents[LoggedModel]{
	Table: 'd',
	ID: func(in *fold.Input) (string, bool) {
		switch x := in.Event.Data.(type) {
		case *events.LoggedModelCreated:
			return x.ModelID, true
		case *events.LoggedModelFinalized:
			return x.ModelID, true
		case *events.LoggedModelParamsLogged:
			return x.ModelID, true
		case *events.LoggedModelTagsSet:
			return x.ModelID, true
		case *events.LoggedModelTagRemoved:
			return x.ModelID, true
		case *events.LoggedModelArtifactLogged:
			return x.ModelID, true
		case *events.LoggedModelDeleted:
			return x.ModelID, true
		}
		return "", false
	},
	Fold: func(m *LoggedModel, in *fold.Input) {
		switch x := in.Event.Data.(type) {
		case *events.LoggedModelCreated:
			params, tags := m.Params, m.Tags
			m.LoggedModelCreated = *x
			m.Params, m.Tags = merged(params, x.Params), merged(tags, x.Tags)
		case *events.LoggedModelFinalized:
			m.ModelID, m.Status = x.ModelID, x.Status
		case *events.LoggedModelParamsLogged:
			m.ModelID, m.Params = x.ModelID, merged(m.Params, x.Params)
		case *events.LoggedModelTagsSet:
			m.ModelID, m.Tags = x.ModelID, merged(m.Tags, x.Tags)
		case *events.LoggedModelTagRemoved:
			m.ModelID = x.ModelID
			delete(m.Tags, x.Key)
		case *events.LoggedModelArtifactLogged:
			m.ModelID = x.ModelID
			m.Artifacts = withArtifact(m.Artifacts, Artifact{x.Path, x.Blob, x.Bytes, in.Event.Time.UnixMilli()})
		case *events.LoggedModelDeleted:
			m.ModelID, m.Deleted = x.ModelID, true
		}
	},
	Index: func(m *LoggedModel) []fold.Key {
		return []fold.Key{fold.Table('x').Str(m.ExperimentID).Millis(m.CreatedMillis).Str(m.ModelID)}
	},
	Stamp: func(m *LoggedModel) *fold.Stamp { return &m.Stamp },
}

// withArtifact has the file among those there are; a path that is there already is replaced.
func withArtifact(all []Artifact, a Artifact) []Artifact {
	if i := slices.IndexFunc(all, func(b Artifact) bool { return b.Path == a.Path }); i >= 0 {
		all[i] = a
		return all
	}
	return append(all, a)
}

func (*LoggedModels) Spec() fold.Spec {
	return fold.Spec{Name: "logged-models", Format: 1, Topics: fold.LedgerTopics, Indexed: true}
}

func (v *LoggedModels) Open(r fold.Reader) error { v.r = r; return nil }
func (*LoggedModels) Flush(fold.Writer) error    { return nil }
func (*LoggedModels) Apply(w fold.Writer, in []fold.Input) error {
	return loggedModelDocs.Apply(w, in)
}

// Model reads one logged model, a deleted one too.
func (v *LoggedModels) Model(id string) (LoggedModel, bool, error) {
	return loggedModelDocs.Get(v.r, id)
}

// Models pages through the logged models of an experiment, newest first, deleted ones among them.
func (v *LoggedModels) Models(experimentID string, q fold.PageQuery) (fold.Page[LoggedModel], error) {
	return loggedModelDocs.Paginate(v.r, fold.Table('x').Str(experimentID), true, q, nil)
}

// FoldLoggedModel folds what at admits of a "logged-model/ID" stream; false when that is nothing.
func FoldLoggedModel(commits iter.Seq2[*streams.Committed, error], at fold.At) (LoggedModel, bool, error) {
	return loggedModelDocs.FoldStream(commits, at)
}
