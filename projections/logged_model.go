package projections

import (
	"iter"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// LoggedModels is the models that runs have logged, those of the registry apart.
//
//	d id -> LoggedModel      x experiment created id -> id
//	f id path -> Artifact
//	v id, metric, timestamp, step, run -> LoggedMetric: every value ever logged of it
type LoggedModels struct{ r fold.Reader }

// NewLoggedModels makes the view "logged-models".
func NewLoggedModels() *LoggedModels { return &LoggedModels{} }

// LoggedModel is files that a run, or somebody, has made, with what they were made by.
type LoggedModel struct {
	events.LoggedModelCreated
	Status    string     `json:"status,omitempty"`    // READY or FAILED; "" while its files are awaited
	Artifacts []Artifact `json:"artifacts,omitempty"` // of [FoldLoggedModel] alone: the view has them as rows
	Deleted   bool       `json:"deleted,omitempty"`
	DeletedAt int64      `json:"deleted_millis,omitempty"` // event time
	Purged    bool       `json:"purged,omitempty"`         // it is only known that it was there
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
		case *events.LoggedModelArtifactDeleted:
			return x.ModelID, true
		case *events.LoggedModelPurged:
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
		case *events.LoggedModelDeleted:
			m.ModelID, m.Deleted, m.DeletedAt = x.ModelID, true, in.Event.Time.UnixMilli()
		case *events.LoggedModelArtifactDeleted:
			m.ModelID = x.ModelID
		case *events.LoggedModelPurged:
			*m = LoggedModel{Deleted: true, Purged: true, Stamp: m.Stamp}
			m.ModelID = x.ModelID
		}
	},
	Index: func(m *LoggedModel) []fold.Key {
		if m.Purged {
			return nil
		}
		return []fold.Key{fold.Table('x').Str(m.ExperimentID).Millis(m.CreatedMillis).Str(m.ModelID)}
	},
	Stamp: func(m *LoggedModel) *fold.Stamp { return &m.Stamp },
}

func (*LoggedModels) Spec() fold.Spec {
	return fold.Spec{Name: "logged-models", Format: 2, Topics: fold.LedgerTopics, Indexed: true}
}

func (v *LoggedModels) Open(r fold.Reader) error { v.r = r; return nil }
func (*LoggedModels) Flush(fold.Writer) error    { return nil }
func (*LoggedModels) Apply(w fold.Writer, in []fold.Input) error {
	if err := loggedModelDocs.Apply(w, in); err != nil {
		return err
	}
	for i := range in {
		if in[i].Event == nil {
			continue
		}
		if err := applyLoggedFiles(w, &in[i]); err != nil {
			return fold.PoisonAt(&in[i], err)
		}
		if x, ok := in[i].Event.Data.(*events.RunMetricsLogged); ok {
			if err := setLogged(w, x); err != nil {
				return fold.PoisonAt(&in[i], err)
			}
		}
	}
	return nil
}

func applyLoggedFiles(w fold.Writer, in *fold.Input) error {
	switch x := in.Event.Data.(type) {
	case *events.LoggedModelArtifactLogged:
		return setFile(w, x.ModelID, &Artifact{x.Path, x.Blob, x.Bytes, in.Event.Time.UnixMilli()})
	case *events.LoggedModelArtifactDeleted:
		return deleteFiles(w, x.ModelID, x.Path)
	case *events.LoggedModelPurged:
		for _, rows := range []fold.Key{fold.Table('v').Str(x.ModelID), fileRows(x.ModelID)} {
			if err := fold.DeleteAll(w, rows); err != nil {
				return err
			}
		}
	}
	return nil
}

// Files are those of a logged model.
func (v *LoggedModels) Files(id string) Files { return Files{v.r, fileRows(id)} }

// LoggedMetric is a value that a run has measured of a logged model.
type LoggedMetric struct {
	events.Metric
	RunID string `json:"run_id"`
}

func setLogged(w fold.Writer, x *events.RunMetricsLogged) error {
	for _, m := range x.Metrics {
		if m.ModelID == "" {
			continue
		}
		key := loggedMetric(m.ModelID, m.Key).Millis(m.TimestampMillis).Millis(m.Step).Str(x.RunID)
		if err := fold.SetJSON(w, key, LoggedMetric{m, x.RunID}); err != nil {
			return err
		}
	}
	return nil
}

func loggedMetric(model, metric string) fold.Key { return fold.Table('v').Str(model).Str(metric) }

// Metrics yields the values of a logged model's metric, by timestamp, step and run; of "" those of all its metrics, by name.
func (v *LoggedModels) Metrics(model, metric string) iter.Seq2[LoggedMetric, error] {
	prefix := fold.Table('v').Str(model)
	if metric != "" {
		prefix = loggedMetric(model, metric)
	}
	return func(yield func(LoggedMetric, error) bool) {
		for kv, err := range v.r.Scan(prefix, prefix.End()) {
			var m LoggedMetric
			if err == nil {
				err = fold.DecodeJSON(kv.Value, &m)
			}
			if !yield(m, err) || err != nil {
				return
			}
		}
	}
}

// LastMetrics are the values of a logged model: all, or where there are more than most, the last of each metric, up to most.
func (v *LoggedModels) LastMetrics(model string, most int) (all []LoggedMetric, err error) {
	for m, err := range v.Metrics(model, "") {
		if err != nil {
			return nil, err
		}
		if all = append(all, m); len(all) > most {
			return v.lastOfEach(model, most)
		}
	}
	return all, nil
}

func (v *LoggedModels) lastOfEach(model string, most int) (all []LoggedMetric, err error) {
	prefix := fold.Table('v').Str(model)
	for from := prefix; len(all) < most; {
		key, err := v.metricFrom(from, prefix.End())
		if err != nil || key == "" {
			return all, err
		}
		values := loggedMetric(model, key)
		for kv, err := range v.r.ScanBack(values, values.End()) {
			var m LoggedMetric
			if err == nil {
				err = fold.DecodeJSON(kv.Value, &m)
			}
			if err != nil {
				return nil, err
			}
			all = append(all, m)
			break
		}
		from = values.End()
	}
	return all, nil
}

// metricFrom is the first metric that has a value there; "" for none.
func (v *LoggedModels) metricFrom(from, to fold.Key) (string, error) {
	for kv, err := range v.r.Scan(from, to) {
		if err != nil {
			return "", err
		}
		k := fold.Parts(kv.Key)
		k.Str()
		return k.Str(), k.Err()
	}
	return "", nil
}

// Model reads one logged model, a deleted one too.
func (v *LoggedModels) Model(id string) (LoggedModel, bool, error) {
	return stillThere(loggedModelDocs.Get(v.r, id))
}

// stillThere is a logged model, unless it is purged.
func stillThere(m LoggedModel, ok bool, err error) (LoggedModel, bool, error) {
	if m.Purged {
		return LoggedModel{}, false, err
	}
	return m, ok, err
}

// Models pages through the logged models of an experiment, newest first, deleted ones among them.
func (v *LoggedModels) Models(experimentID string, q fold.PageQuery) (fold.Page[LoggedModel], error) {
	return loggedModelDocs.Paginate(v.r, fold.Table('x').Str(experimentID), true, q, nil)
}

// FoldLoggedModel folds what at admits of a "logged-model/ID" stream; false when that is nothing.
func FoldLoggedModel(commits iter.Seq2[*streams.Committed, error], at fold.At) (LoggedModel, bool, error) {
	whole := fold.Documents[LoggedModel]{ID: loggedModelDocs.ID, Stamp: loggedModelDocs.Stamp, Fold: func(m *LoggedModel, in *fold.Input) {
		loggedModelDocs.Fold(m, in)
		switch x := in.Event.Data.(type) {
		case *events.LoggedModelArtifactLogged:
			m.Artifacts = withArtifact(m.Artifacts, Artifact{x.Path, x.Blob, x.Bytes, in.Event.Time.UnixMilli()})
		case *events.LoggedModelArtifactDeleted:
			m.Artifacts = withoutArtifacts(m.Artifacts, x.Path)
		}
	}}
	return stillThere(whole.FoldStream(commits, at))
}
