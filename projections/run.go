package projections

import (
	"iter"
	"maps"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// Runs is the experiments and their runs.
//
//	e id -> Experiment     N -> number of experiments     E name id -> id     a created id -> id     p id -> id: purged
//	r id -> Run            n -> number of runs            s start id -> id    x experiment start id -> id
//	h run, metric, step, timestamp, value -> a mark if it is a stray: every value ever logged; one logged twice is one
//	t run, metric, timestamp, step, value -> (nothing): of the strays, see metric.go
//	r id 'l' -> latest values of its metrics   r id 'i' name, digest -> events.Dataset
//	r id 'm' logged model -> (nothing)         r id 'o' logged model, step -> (nothing)
//	c experiment, stage, column, start, run -> cell: what runs are searched by, see [Column]
//
// A run is stored without its metrics, which are many, and change with every value.
type Runs struct{ r fold.Reader }

// NewRuns makes the view "runs".
func NewRuns() *Runs { return &Runs{} }

// Run is one training or evaluation.
type Run struct {
	RunID        string                   `json:"run_id"`
	ExperimentID string                   `json:"experiment_id"`
	Name         string                   `json:"name"`
	Status       string                   `json:"status"` // RUNNING, SCHEDULED, FINISHED, FAILED or KILLED
	Deleted      bool                     `json:"deleted,omitempty"`
	DeletedAt    int64                    `json:"deleted_millis,omitempty"` // event time
	Purged       bool                     `json:"purged,omitempty"`         // it is only known that it was there
	Reason       string                   `json:"reason,omitempty"`
	Actor        string                   `json:"actor,omitempty"` // who started it
	StartMillis  int64                    `json:"start_millis,omitempty"`
	EndMillis    int64                    `json:"end_millis,omitempty"`
	Params       map[string]string        `json:"params,omitempty"`
	Tags         map[string]string        `json:"tags,omitempty"`
	Metrics      map[string]events.Metric `json:"metrics,omitempty"`   // the latest value of each: highest step, then timestamp, then value
	Artifacts    []Artifact               `json:"artifacts,omitempty"` // of [FoldRun] alone: the view has them as rows
	DatasetID    string                   `json:"dataset_id,omitempty"`
	WorkflowRun  string                   `json:"workflow_run,omitempty"`
	fold.Stamp
}

// RunRunning is the status of a run that has not ended; the others come with events.RunEnded.
const RunRunning = "RUNNING"

const runTable = 'r'

var runDocs = fold.Documents[Run]{
	Table: runTable, Count: 'n', ID: runOf, Fold: (*Run).fold,
	Index: func(r *Run) []fold.Key {
		if r.Purged {
			return nil
		}
		return []fold.Key{
			fold.Table('x').Str(r.ExperimentID).Millis(r.StartMillis).Str(r.RunID),
			fold.Table('s').Millis(r.StartMillis).Str(r.RunID),
		}
	},
	Stamp:  func(r *Run) *fold.Stamp { return &r.Stamp },
	Beside: setBeside,
}

// runOf is the run an event is of.
func runOf(in *fold.Input) (string, bool) {
	switch x := in.Event.Data.(type) {
	case *events.RunStarted:
		return x.RunID, true
	case *events.RunMetricsLogged:
		return x.RunID, true
	case *events.RunParamsLogged:
		return x.RunID, true
	case *events.RunTagsSet:
		return x.RunID, true
	case *events.RunArtifactLogged:
		return x.RunID, true
	case *events.RunEnded:
		return x.RunID, true
	case *events.RunResumed:
		return x.RunID, true
	case *events.RunRenamed:
		return x.RunID, true
	case *events.RunTagRemoved:
		return x.RunID, true
	case *events.RunDeleted:
		return x.RunID, true
	case *events.RunArtifactDeleted:
		return x.RunID, true
	case *events.RunPurged:
		return x.RunID, true
	case *events.RunRestored:
		return x.RunID, true
	}
	return "", false
}

// fold folds an event into the run, metrics and files left out.
func (r *Run) fold(in *fold.Input) {
	millis := in.Event.Time.UnixMilli()
	switch x := in.Event.Data.(type) {
	case *events.RunStarted:
		r.RunID, r.ExperimentID, r.Name = x.RunID, x.ExperimentID, x.Name
		r.DatasetID, r.WorkflowRun, r.Actor = x.DatasetID, x.WorkflowRun, in.Event.Actor
		r.Status, r.StartMillis = RunRunning, millis
		r.Params, r.Tags = merged(r.Params, x.Params), merged(r.Tags, x.Tags)
	case *events.RunMetricsLogged:
		r.RunID = x.RunID
	case *events.RunParamsLogged:
		r.RunID, r.Params = x.RunID, merged(r.Params, x.Params)
	case *events.RunTagsSet:
		r.RunID, r.Tags = x.RunID, merged(r.Tags, x.Tags)
	case *events.RunArtifactLogged:
		r.RunID = x.RunID
	case *events.RunEnded:
		r.RunID, r.Status, r.Reason, r.EndMillis = x.RunID, x.Status, x.Reason, millis
	case *events.RunResumed:
		r.RunID, r.Status, r.Reason, r.EndMillis = x.RunID, x.Status, "", 0
	case *events.RunRenamed:
		r.RunID, r.Name = x.RunID, x.Name
	case *events.RunTagRemoved:
		r.RunID = x.RunID
		delete(r.Tags, x.Key)
	case *events.RunDeleted:
		r.RunID, r.Deleted, r.DeletedAt = x.RunID, true, millis
	case *events.RunRestored:
		r.RunID, r.Deleted, r.DeletedAt = x.RunID, false, 0
	case *events.RunArtifactDeleted:
		r.RunID = x.RunID
	case *events.RunPurged:
		*r = Run{RunID: x.RunID, Deleted: true, Purged: true, Stamp: r.Stamp}
	}
}

// wholeRun folds runs with their metrics and files.
var wholeRun = fold.Documents[Run]{
	ID: runOf,
	Fold: func(r *Run, in *fold.Input) {
		r.fold(in)
		switch x := in.Event.Data.(type) {
		case *events.RunMetricsLogged:
			for _, m := range x.Metrics {
				r.setMetric(m)
			}
		case *events.RunArtifactLogged:
			r.Artifacts = withArtifact(r.Artifacts, Artifact{x.Path, x.Blob, x.Bytes, in.Event.Time.UnixMilli()})
		case *events.RunArtifactDeleted:
			r.Artifacts = withoutArtifacts(r.Artifacts, x.Path)
		}
	},
	Stamp: func(r *Run) *fold.Stamp { return &r.Stamp },
}

// setMetric takes a value in, unless as late a one is known.
func (r *Run) setMetric(m events.Metric) {
	if r.Metrics == nil {
		r.Metrics = map[string]events.Metric{}
	}
	if old, ok := r.Metrics[m.Key]; !ok || later(&m, &old) {
		r.Metrics[m.Key] = m.OfRun()
	}
}

func merged(into, from map[string]string) map[string]string {
	if len(from) == 0 {
		return into
	}
	if into == nil {
		into = make(map[string]string, len(from))
	}
	maps.Copy(into, from)
	return into
}

func (*Runs) Spec() fold.Spec {
	return fold.Spec{Name: "runs", Format: 6, Topics: fold.LedgerTopics, Indexed: true}
}

func (v *Runs) Open(r fold.Reader) error { v.r = r; return nil }
func (*Runs) Flush(fold.Writer) error    { return nil }

func (*Runs) Apply(w fold.Writer, in []fold.Input) error {
	for i := range in {
		if err := experimentDocs.Apply(w, in[i:i+1]); err != nil {
			return err
		}
		if err := runDocs.Apply(w, in[i:i+1]); err != nil {
			return err
		}
		if in[i].Event == nil {
			continue
		}
		if err := applyRunData(w, &in[i]); err != nil {
			return fold.PoisonAt(&in[i], err)
		}
		if x, ok := in[i].Event.Data.(*events.RunPurged); ok {
			if err := purgeRun(w, x.RunID); err != nil {
				return fold.PoisonAt(&in[i], err)
			}
		}
	}
	return nil
}

// purgeRun removes the rows of a run, but for its document and its cells, which have gone with what it had.
func purgeRun(w fold.Writer, id string) error {
	for _, rows := range []fold.Key{fileRows(id), fold.Table('h').Str(id), fold.Table('t').Str(id), beside(id, 'l'), beside(id, 'i'), beside(id, 'm'), beside(id, 'o')} {
		if err := fold.DeleteAll(w, rows); err != nil {
			return err
		}
	}
	return nil
}

// Files are those of a run.
func (v *Runs) Files(id string) Files { return Files{v.r, fileRows(id)} }

// Run reads one run, without its files.
func (v *Runs) Run(id string) (Run, bool, error) { return loadRun(v.r, id) }

func loadRun(r fold.Reader, id string) (Run, bool, error) {
	run, ok, err := unpurged(runDocs.Get(r, id))
	if err != nil || !ok {
		return run, ok, err
	}
	latest, err := latestOf(r, id)
	for i := range latest {
		run.setMetric(latest[i].Metric)
	}
	return run, true, err
}

// unpurged is a run, unless it is purged.
func unpurged(r Run, ok bool, err error) (Run, bool, error) {
	if r.Purged {
		return Run{}, false, err
	}
	return r, ok, err
}

// Count is the number of runs.
func (v *Runs) Count() (int64, error) { return runDocs.Number(v.r) }

// Runs pages through the runs of an experiment ("": of all), newest first.
func (v *Runs) Runs(experimentID string, q fold.PageQuery) (fold.Page[Run], error) {
	prefix := fold.Table('s')
	if experimentID != "" {
		prefix = fold.Table('x').Str(experimentID)
	}
	return fold.Paginate(v.r, prefix, true, q, func(r fold.Reader, kv fold.KV) (Run, bool, error) { return loadRun(r, string(kv.Value)) })
}

// FoldRun folds what at admits of a "run/ID" stream; false when that is nothing.
func FoldRun(commits iter.Seq2[*streams.Committed, error], at fold.At) (Run, bool, error) {
	return unpurged(wholeRun.FoldStream(commits, at))
}
