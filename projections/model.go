package projections

import (
	"cmp"
	"context"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// Registry is the registered models with their versions, stages and aliases.
//
//	d key -> Model
//	b blob key version -> key         r run key version -> key
//	s logged model key version -> key, of versions that are one
//	n name key -> key                 k key name -> key: of those that are called otherwise
type Registry struct{ r fold.Reader }

// NewRegistry makes the view "registry".
func NewRegistry() *Registry { return &Registry{} }

// Model is one registered model. Versions are in order of registration. What refers to it does so by its key.
type Model struct {
	Name        string            `json:"name"` // at present
	Key         string            `json:"key"`
	Description string            `json:"description,omitempty"`
	Versions    []ModelVersion    `json:"versions"`
	Aliases     map[string]int    `json:"aliases,omitempty"` // to a version
	Tags        map[string]string `json:"tags,omitempty"`
	Deleted     bool              `json:"deleted,omitempty"` // it is only known that it was there
	// ChangedMillis is the event time of its last change as MLflow counts them: name, description, its versions, their
	// stages; no tags, no aliases.
	ChangedMillis int64 `json:"changed_millis,omitempty"`
	fold.Stamp
}

// ModelVersion is a version as it was registered, and the stage it is in. Of one that was made elsewhere Source says
// where its files are, and how it was trained is not known.
type ModelVersion struct {
	events.ModelVersionRegistered
	Source        string            `json:"source,omitempty"`
	RunLink       string            `json:"run_link,omitempty"`
	Location      string            `json:"location,omitempty"` // of its files, where Source is a way to them
	Description   string            `json:"description,omitempty"`
	Tags          map[string]string `json:"tags,omitempty"`
	Stage         string            `json:"stage"` // None, Staging, Production or Archived
	StageReason   string            `json:"stage_reason,omitempty"`
	StagedMillis  int64             `json:"staged_millis,omitempty"`  // event time of the last change of stage
	UpdatedMillis int64             `json:"updated_millis,omitempty"` // event time of the last change of stage, description or name
	fold.Origin
}

// StageNone is the stage of a version that was never staged.
const StageNone = "None"

// modelKey is the key of the model that an event is of; false for an event of none.
func modelKey(in *fold.Input) (string, bool) {
	switch x := in.Event.Data.(type) {
	case *events.ModelRegistered:
		return cmp.Or(x.Key, x.Name), true
	case *events.ModelRenamed:
		return x.Name, true
	case *events.ModelNameClaimed:
		return x.Name, true // of the stream it is in, though it is another's
	case *events.ModelVersionRegistered:
		return x.Name, true
	case *events.ModelVersionAdded:
		return x.Name, true
	case *events.ModelDescribed:
		return x.Name, true
	case *events.ModelTagsSet:
		return x.Name, true
	case *events.ModelTagRemoved:
		return x.Name, true
	case *events.ModelVersionStaged:
		return x.Name, true
	case *events.ModelAliasSet:
		return x.Name, true
	case *events.ModelAliasRemoved:
		return x.Name, true
	case *events.ModelDeployed:
		return x.Model, in.Event.Subject == "model/"+x.Model // nothing changes but the revision, of which older logs had another stream's
	case *events.ModelVersionDeleted:
		return x.Name, true
	case *events.ModelDeleted:
		return x.Name, true
	}
	return "", false
}

var modelDocs = fold.Documents[Model]{
	Table: 'd',
	ID:    modelKey,
	Fold: func(m *Model, in *fold.Input) {
		if m.Key == "" {
			m.Key, _ = modelKey(in)
			m.Name = m.Key
			_, m.Deleted = in.Event.Data.(*events.ModelNameClaimed) // there is none yet
		}
		switch x := in.Event.Data.(type) {
		case *events.ModelRegistered:
			m.Name, m.Description, m.Deleted = x.Name, x.Description, false
			m.CreatedMillis = in.Event.Time.UnixMilli()
		case *events.ModelRenamed:
			m.rename(x.To, in.Event.Time.UnixMilli())
		case *events.ModelVersionRegistered:
			v := m.version(x.Version)
			v.ModelVersionRegistered, v.Origin = *x, fold.OriginOf(in)
			v.Name = m.Name
		case *events.ModelVersionStaged:
			v := m.version(x.Version)
			v.Name, v.Stage, v.StageReason, v.StagedMillis = m.Name, x.To, x.Reason, in.Event.Time.UnixMilli()
			v.UpdatedMillis = v.StagedMillis
		case *events.ModelVersionAdded:
			v := m.version(x.Version)
			v.Name, v.RunID, v.Source, v.RunLink, v.Location, v.Origin = m.Name, x.RunID, x.Source, x.RunLink, x.Location, fold.OriginOf(in)
		case *events.ModelDescribed:
			*m.about(x.Version, in).what = x.Description
		case *events.ModelTagsSet:
			tags := m.about(x.Version, in).tags
			*tags = merged(*tags, x.Tags)
		case *events.ModelTagRemoved:
			delete(*m.about(x.Version, in).tags, x.Key)
		case *events.ModelAliasSet:
			if m.Aliases == nil {
				m.Aliases = map[string]int{}
			}
			m.Aliases[x.Alias] = x.Version
		case *events.ModelAliasRemoved:
			delete(m.Aliases, x.Alias)
		case *events.ModelVersionDeleted:
			m.Versions = slices.DeleteFunc(m.Versions, func(v ModelVersion) bool { return v.Version == x.Version })
			maps.DeleteFunc(m.Aliases, func(_ string, n int) bool { return n == x.Version })
		case *events.ModelDeleted:
			*m = Model{Name: m.Name, Key: m.Key, Deleted: true, Stamp: m.Stamp}
		}
		if m.Versions == nil {
			m.Versions = []ModelVersion{}
		}
		if changesModel(in.Event.Data) {
			m.ChangedMillis = in.Event.Time.UnixMilli()
		}
	},
	Index: func(m *Model) []fold.Key {
		keys := make([]fold.Key, 0, 2+2*len(m.Versions))
		if !m.Deleted {
			keys = append(keys, fold.Table('n').Str(m.Name).Str(m.Key))
			if m.Name != m.Key {
				keys = append(keys, fold.Table('k').Str(m.Key).Str(m.Name))
			}
		}
		for i := range m.Versions {
			v := &m.Versions[i]
			if v.Blob != "" {
				keys = append(keys, fold.Table('b').Str(v.Blob).Str(m.Key).U64(uint64(v.Version)))
			}
			if id, ok := strings.CutPrefix(v.Source, loggedModelScheme); ok {
				keys = append(keys, fold.Table('s').Str(id).Str(m.Key).U64(uint64(v.Version)))
			}
			if v.RunID != "" {
				keys = append(keys, fold.Table('r').Str(v.RunID).Str(m.Key).U64(uint64(v.Version)))
			}
		}
		return keys
	},
	Stamp: func(m *Model) *fold.Stamp { return &m.Stamp },
}

// changesModel says whether an event changes a model itself.
func changesModel(d events.Data) bool {
	switch x := d.(type) {
	case *events.ModelDescribed:
		return x.Version == 0
	case *events.ModelRegistered, *events.ModelRenamed, *events.ModelVersionRegistered, *events.ModelVersionAdded, *events.ModelVersionStaged, *events.ModelVersionDeleted:
		return true
	}
	return false
}

// rename gives the model and its versions another name.
func (m *Model) rename(to string, millis int64) {
	m.Name = to
	for i := range m.Versions {
		m.Versions[i].Name, m.Versions[i].UpdatedMillis = to, millis
	}
}

// version is the version's entry, made if it is not there.
func (m *Model) version(n int) *ModelVersion {
	if v := m.Version(n); v != nil {
		return v
	}
	v := ModelVersion{Stage: StageNone}
	v.Version = n
	m.Versions = append(m.Versions, v)
	return &m.Versions[len(m.Versions)-1]
}

// said is what is said of a model or a version, in words and tags.
type said struct {
	what *string
	tags *map[string]string
}

// about is what is said of a version, or with 0 of the model itself, to be changed by an event.
func (m *Model) about(version int, in *fold.Input) said {
	if version == 0 {
		return said{&m.Description, &m.Tags}
	}
	v := m.version(version)
	if v.Name = m.Name; in.Event.Data.EventType() == (*events.ModelDescribed)(nil).EventType() {
		v.UpdatedMillis = in.Event.Time.UnixMilli()
	}
	return said{&v.Description, &v.Tags}
}

// Version is the version of that number, or nil.
func (m *Model) Version(n int) *ModelVersion {
	if i := slices.IndexFunc(m.Versions, func(v ModelVersion) bool { return v.Version == n }); i >= 0 {
		return &m.Versions[i]
	}
	return nil
}

// Alias is the version an alias points at, or nil.
func (m *Model) Alias(alias string) *ModelVersion {
	n, ok := m.Aliases[alias]
	if !ok {
		return nil
	}
	return m.Version(n)
}

// Latest is the highest version in each stage.
func (m *Model) Latest() map[string]ModelVersion {
	latest := map[string]ModelVersion{}
	for _, v := range m.Versions {
		if old, ok := latest[v.Stage]; !ok || v.Version > old.Version {
			latest[v.Stage] = v
		}
	}
	return latest
}

func (*Registry) Spec() fold.Spec {
	return fold.Spec{Name: "registry", Format: 8, Topics: fold.LedgerTopics, Indexed: true}
}

func (v *Registry) Open(r fold.Reader) error                 { v.r = r; return nil }
func (*Registry) Flush(fold.Writer) error                    { return nil }
func (*Registry) Apply(w fold.Writer, in []fold.Input) error { return modelDocs.Apply(w, in) }

// Model reads the registered model of a name.
func (v *Registry) Model(name string) (Model, bool, error) {
	return there(modelDocs.First(v.r, fold.Table('n').Str(name)))
}

// ModelOf reads the registered model of a key.
func (v *Registry) ModelOf(key string) (Model, bool, error) { return there(modelDocs.Get(v.r, key)) }

// NameOf is what the model of a key is called, for people to read; of one that is not there the key.
func (v *Registry) NameOf(key string) (string, error) {
	prefix := fold.Table('k').Str(key)
	for kv, err := range v.r.Scan(prefix, prefix.End()) {
		if err != nil {
			return "", err
		}
		p := fold.PartsOf(kv.Key[len(prefix):])
		return p.Str(), p.Err()
	}
	return key, nil
}

// there is a model, unless it is deleted.
func there(m Model, ok bool, err error) (Model, bool, error) {
	if m.Deleted {
		return Model{}, false, err
	}
	return m, ok, err
}

// Models pages through the registered models by name.
func (v *Registry) Models(q fold.PageQuery) (fold.Page[Model], error) {
	return modelDocs.Paginate(v.r, fold.Table('n'), false, q, nil)
}

// Version reads one version of a model.
func (v *Registry) Version(name string, n int) (ModelVersion, bool, error) {
	return pick(func(m *Model) *ModelVersion { return m.Version(n) })(v.Model(name))
}

// VersionOf reads one version of the model of a key.
func (v *Registry) VersionOf(key string, n int) (ModelVersion, bool, error) {
	return pick(func(m *Model) *ModelVersion { return m.Version(n) })(v.ModelOf(key))
}

// ByAlias reads the version an alias points at.
func (v *Registry) ByAlias(name, alias string) (ModelVersion, bool, error) {
	return pick(func(m *Model) *ModelVersion { return m.Alias(alias) })(v.Model(name))
}

// pick picks a version of a model that was read.
func pick(of func(*Model) *ModelVersion) func(Model, bool, error) (ModelVersion, bool, error) {
	return func(m Model, ok bool, err error) (ModelVersion, bool, error) {
		if err != nil || !ok {
			return ModelVersion{}, false, err
		}
		if found := of(&m); found != nil {
			return *found, true, nil
		}
		return ModelVersion{}, false, nil
	}
}

// ByBlob finds the versions with these weights, by name and version.
func (v *Registry) ByBlob(blob string) ([]ModelVersion, error) {
	return v.find(fold.Table('b').Str(blob))
}

// ByRun finds the versions a run made, by name and version.
func (v *Registry) ByRun(run string) ([]ModelVersion, error) { return v.find(fold.Table('r').Str(run)) }

// loggedModelScheme begins the source of a version that is a logged model.
const loggedModelScheme = "models:/m-"

// ByLoggedModel finds the versions that a logged model became, by name and version.
func (v *Registry) ByLoggedModel(id string) ([]ModelVersion, error) {
	return v.find(fold.Table('s').Str(strings.TrimPrefix(id, "m-")))
}

func (v *Registry) find(prefix fold.Key) ([]ModelVersion, error) {
	found := []ModelVersion{}
	for kv, err := range v.r.Scan(prefix, prefix.End()) {
		if err != nil {
			return nil, err
		}
		k := fold.PartsOf(kv.Key[len(prefix):])
		key, n := k.Str(), int(k.U64())
		if k.Err() != nil {
			return nil, k.Err()
		}
		version, ok, err := v.VersionOf(key, n)
		if err != nil {
			return nil, err
		}
		if ok {
			found = append(found, version)
		}
	}
	return found, nil
}

// FoldModel folds what at admits of a "model/KEY" stream; false when that is nothing.
func FoldModel(commits iter.Seq2[*streams.Committed, error], at fold.At) (Model, bool, error) {
	return there(modelDocs.FoldStream(commits, at))
}

// ModelNamed folds the model that had a name at a moment, from its stream; false when none had.
func ModelNamed(ctx context.Context, l streams.Ledger, name string, at fold.At) (Model, bool, error) {
	return calledSo(ctx, l, "model/"+name, at, FoldModel, func(m *Model) bool { return m.Name == name })
}
