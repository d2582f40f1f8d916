package projections

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// Audit is every event of the ledger: what happened, to what, who wanted it and what led to it.
//
//	p offset index -> AuditEntry
//	a actor, c correlation, s stream, t type, k cause; then offset index -> (nothing)
//	e event id -> offset index
type Audit struct{ r fold.Reader }

// NewAudit makes the view "audit".
func NewAudit() *Audit { return &Audit{} }

// AuditEntry is one event of the ledger.
type AuditEntry struct {
	Type     string           `json:"type"`
	Stream   string           `json:"stream"`
	Revision streams.Revision `json:"revision"`
	Index    int              `json:"index"` // in its commit
	Summary  string           `json:"summary"`
	Cause    string           `json:"cause,omitempty"` // where the fact stands that led to it, "topic/partition@offset"
	fold.Origin
}

// AuditFilter keeps the entries that fit every field that is set.
type AuditFilter struct {
	Actor        string
	Type         string
	Correlation  string
	Stream       string // exactly
	StreamPrefix string // "model/"
	FromMillis   int64  // event time, inclusive
	ToMillis     int64  // event time, exclusive; 0 is no end
	FromOffset   int64  // in the ledger, inclusive
	ToOffset     int64  // exclusive; 0 is no end
	At           fold.At
}

func (*Audit) Spec() fold.Spec {
	return fold.Spec{Name: "audit", Format: 2, Topics: fold.LedgerTopics}
}

func (v *Audit) Open(r fold.Reader) error { v.r = r; return nil }
func (*Audit) Flush(fold.Writer) error    { return nil }

func (*Audit) Apply(w fold.Writer, in []fold.Input) error {
	for i := range in {
		if in[i].Event == nil {
			continue
		}
		if err := applyAudit(w, &in[i]); err != nil {
			return fold.PoisonAt(&in[i], err)
		}
	}
	return nil
}

func applyAudit(w fold.Writer, in *fold.Input) error {
	ev := in.Event
	e := AuditEntry{ev.Type(), ev.Subject, in.Revision, in.Index, summary(ev.Data), causeOf(ev.Data), fold.OriginOf(in)}
	if err := fold.SetJSON(w, fold.Table('p').Entry(in), &e); err != nil {
		return err
	}
	for _, ix := range []struct {
		table byte
		value string
	}{{'a', ev.Actor}, {'c', ev.Correlation}, {'s', ev.Subject}, {'t', e.Type}} {
		if ix.value != "" {
			if err := w.Set(fold.Table(ix.table).Str(ix.value).Entry(in), nil); err != nil {
				return err
			}
		}
	}
	if ev.Causation != "" {
		if err := w.Set(fold.Table('k').ID(ev.Causation).Entry(in), nil); err != nil {
			return err
		}
	}
	return w.Set(fold.Table('e').ID(ev.ID), fold.Key(nil).Entry(in))
}

// Entries pages through the entries that fit, newest first.
func (v *Audit) Entries(f AuditFilter, q fold.PageQuery) (fold.Page[AuditEntry], error) {
	var prefix fold.Key // the index that leaves the fewest, as a rule
	switch {
	case f.Correlation != "":
		prefix = fold.Table('c').Str(f.Correlation)
	case f.Stream != "":
		prefix = fold.Table('s').Str(f.Stream)
	case f.Actor != "":
		prefix = fold.Table('a').Str(f.Actor)
	case f.Type != "":
		prefix = fold.Table('t').Str(f.Type)
	default:
		prefix = fold.Table('p')
	}
	q.Lo = slices.Clone(prefix).U64(uint64(f.FromOffset))
	if f.ToOffset != 0 {
		q.Hi = slices.Clone(prefix).U64(uint64(f.ToOffset))
	}
	if len(prefix) == 1 {
		return fold.PageJSON(v.r, prefix, true, q, f.keeps)
	}
	return fold.Paginate(v.r, prefix, true, q, func(r fold.Reader, kv fold.KV) (e AuditEntry, ok bool, err error) {
		place := kv.Key[len(prefix):]
		if ok, err = fold.GetJSON(r, append(fold.Table('p'), place...), &e); ok {
			ok, err = f.keeps(&e)
		}
		return e, ok, err
	})
}

func (f *AuditFilter) keeps(e *AuditEntry) (bool, error) {
	if f.Actor != "" && e.Actor != f.Actor ||
		f.Type != "" && e.Type != f.Type ||
		f.Correlation != "" && e.Correlation != f.Correlation ||
		f.Stream != "" && e.Stream != f.Stream ||
		!strings.HasPrefix(e.Stream, f.StreamPrefix) ||
		e.EventMillis < f.FromMillis ||
		f.ToMillis != 0 && e.EventMillis >= f.ToMillis {
		return false, nil
	}
	return e.AdmittedBy(f.At)
}

// Latest are the newest entries of some types that stand from an offset of the ledger to before another, oldest first, at most n of
// them, and how many older ones there are. Of these the index is read alone.
func (v *Audit) Latest(types []string, from, to int64, n int) (latest []AuditEntry, older int, err error) {
	var places []fold.Key // of the newest of each type
	for _, t := range types {
		prefix := fold.Table('t').Str(t)
		kept := 0
		for kv, err := range v.r.ScanBack(slices.Clone(prefix).U64(uint64(from)), slices.Clone(prefix).U64(uint64(to))) {
			if err != nil {
				return nil, 0, err
			}
			if kept++; kept > n {
				older++
				continue
			}
			places = append(places, slices.Clone(fold.Key(kv.Key[len(prefix):])))
		}
	}
	slices.SortFunc(places, func(a, b fold.Key) int { return bytes.Compare(a, b) })
	if more := len(places) - n; more > 0 {
		places, older = places[more:], older+more
	}
	for _, place := range places {
		var e AuditEntry
		if _, err := fold.GetJSON(v.r, append(fold.Table('p'), place...), &e); err != nil {
			return nil, 0, err
		}
		latest = append(latest, e)
	}
	return latest, older, nil
}

// summary says in a few words what an event says.
func summary(data events.Data) string {
	switch x := data.(type) {
	case *events.MovieListed:
		return fmt.Sprintf("%s lists %s", x.Dataset, title(&x.Movie))
	case *events.MovieFetched:
		return fmt.Sprintf("details fetched of %s", title(&x.Movie))
	case *events.MovieHidden:
		return short("hidden from lists: " + x.Reason)
	case *events.MovieUnhidden:
		return "on lists again"
	case *events.UserDescribed:
		return short(cmp.Or(x.Dataset, "somebody") + " describes person " + x.UserID)
	case *events.ImportStarted:
		return fmt.Sprintf("import of %s started", x.Dataset)
	case *events.ImportCompleted:
		return fmt.Sprintf("import completed: %d films and %d facts added, %d facts known", x.MoviesAdded, x.FactsAdded, x.FactsDuplicate)
	case *events.ImportFailed:
		return short("import failed: " + x.Reason)
	case *events.FeaturesDefined:
		return "feature definitions " + abbreviated(x.Hash) + " in force"
	case *events.FeatureProjectApplied, *events.FeatureProjectDeleted, *events.FeatureEntityApplied, *events.FeatureEntityDeleted, *events.FeatureSourceApplied,
		*events.FeatureSourceDeleted, *events.FeatureViewApplied, *events.FeatureViewDeleted, *events.FeatureServiceApplied, *events.FeatureServiceDeleted:
		return short(declaration(x))
	case *events.SignalsDefined:
		return "what acts mean: definition " + abbreviated(x.Hash) + " in force"
	case *events.DatasetBuilt:
		return fmt.Sprintf("data set of %d interactions of %d users with %d items, %d rows", x.Interactions, x.Users, x.Items, x.Rows)
	case *events.TrainingSetVersioned:
		return short(fmt.Sprintf("training set %s, version %d: %d rows with %d features", x.Name, x.Version, x.Rows, len(x.Columns)))
	case *events.QualityJudged:
		return fmt.Sprintf("%d acts of the hour %s: where what served had their films", len(x.Acts), x.Hour)
	case *events.ExperimentCreated:
		return short("experiment " + x.Name + " created")
	case *events.ExperimentNameClaimed:
		return short(fmt.Sprintf("experiment %s claims the name %s", x.ExperimentID, x.Name))
	case *events.ExperimentRenamed:
		return short("experiment " + x.ExperimentID + " renamed to " + x.Name)
	case *events.ExperimentDeleted:
		return short("experiment " + x.ExperimentID + " deleted")
	case *events.ExperimentPurged:
		return short("experiment " + x.ExperimentID + " purged")
	case *events.ExperimentRestored:
		return short("experiment " + x.ExperimentID + " restored")
	case *events.ExperimentTagsSet:
		return fmt.Sprintf("%d tags set", len(x.Tags))
	case *events.ExperimentTagRemoved:
		return short("tag " + x.Key + " removed")
	case *events.RunStarted:
		return short(fmt.Sprintf("run %s started in experiment %s", x.Name, x.ExperimentID))
	case *events.RunMetricsLogged:
		keys := make([]string, 0, len(x.Metrics))
		for _, m := range x.Metrics {
			keys = append(keys, fmt.Sprintf("%s=%.6g", m.Key, float64(m.Value)))
		}
		return short("metrics " + strings.Join(keys, ", "))
	case *events.RunParamsLogged:
		return fmt.Sprintf("%d parameters logged", len(x.Params))
	case *events.RunTagsSet:
		return fmt.Sprintf("%d tags set", len(x.Tags))
	case *events.RunArtifactLogged:
		return short(fmt.Sprintf("artifact %s of %d bytes", x.Path, x.Bytes))
	case *events.RunEnded:
		return short(because("run "+x.Status, x.Reason))
	case *events.RunResumed:
		return "run goes on: " + x.Status
	case *events.RunRenamed:
		return short("run renamed to " + x.Name)
	case *events.RunTagRemoved:
		return short("tag " + x.Key + " removed")
	case *events.RunDeleted:
		return "run deleted"
	case *events.RunArtifactDeleted:
		return short("artifact " + cmp.Or(x.Path, "of every path") + " deleted")
	case *events.RunPurged:
		return "run purged"
	case *events.RunRestored:
		return "run restored"
	case *events.RunInputsLogged:
		return short(fmt.Sprintf("%d data sets and %d models given", len(x.Datasets), len(x.Models)))
	case *events.RunOutputsLogged:
		return fmt.Sprintf("%d models made", len(x.Models))
	case *events.LoggedModelCreated:
		return short("logged model " + x.Name + " created")
	case *events.LoggedModelFinalized:
		return "logged model " + x.Status
	case *events.LoggedModelParamsLogged:
		return fmt.Sprintf("%d parameters logged", len(x.Params))
	case *events.LoggedModelTagsSet:
		return fmt.Sprintf("%d tags set", len(x.Tags))
	case *events.LoggedModelTagRemoved:
		return short("tag " + x.Key + " removed")
	case *events.LoggedModelArtifactLogged:
		return short(fmt.Sprintf("artifact %s of %d bytes", x.Path, x.Bytes))
	case *events.LoggedModelArtifactDeleted:
		return short("artifact " + cmp.Or(x.Path, "of every path") + " deleted")
	case *events.LoggedModelPurged:
		return "logged model purged"
	case *events.LoggedModelDeleted:
		return "logged model deleted"
	case *events.ModelRegistered:
		return short("model " + x.Name + " registered")
	case *events.ModelNameClaimed:
		return short(fmt.Sprintf("model %s claims the name %s", x.Key, x.Name))
	case *events.ModelRenamed:
		return short(fmt.Sprintf("model %s renamed to %s", x.Name, x.To))
	case *events.ModelVersionRegistered:
		return short(fmt.Sprintf("%s version %d (%s) registered from run %s", x.Name, x.Version, x.Algorithm, abbreviated(x.RunID)))
	case *events.ModelVersionAdded:
		return short(fmt.Sprintf("%s version %d added, its files at %s", x.Name, x.Version, x.Source))
	case *events.ModelDescribed:
		return short(because(versioned(x.Name, x.Version)+" described", x.Description))
	case *events.ModelTagsSet:
		return short(fmt.Sprintf("%d tags of %s set", len(x.Tags), versioned(x.Name, x.Version)))
	case *events.ModelTagRemoved:
		return short(fmt.Sprintf("tag %s of %s removed", x.Key, versioned(x.Name, x.Version)))
	case *events.ModelVersionStaged:
		return short(because(fmt.Sprintf("%s version %d: %s to %s", x.Name, x.Version, x.From, x.To), x.Reason))
	case *events.ModelAliasSet:
		return short(fmt.Sprintf("%s@%s is version %d", x.Name, x.Alias, x.Version))
	case *events.ModelAliasRemoved:
		return short(fmt.Sprintf("%s@%s removed", x.Name, x.Alias))
	case *events.ModelVersionDeleted:
		return short(fmt.Sprintf("%s version %d deleted", x.Name, x.Version))
	case *events.ModelDeleted:
		return short("model " + x.Name + " deleted")
	case *events.ModelDeployed:
		return short(because(fmt.Sprintf("%s version %d serves %s", x.Model, x.Version, x.Slot), x.Reason))
	case *events.WebhookCreated:
		return short(fmt.Sprintf("webhook %s created, told of %s", x.Name, strings.Join(x.Events, ", ")))
	case *events.WebhookRenamed:
		return short("webhook renamed to " + x.Name)
	case *events.WebhookDescribed:
		return short("webhook described: " + x.Description)
	case *events.WebhookMoved:
		return "webhook has another URL"
	case *events.WebhookSubscribed:
		return short("webhook told of " + strings.Join(x.Events, ", "))
	case *events.WebhookSecretSet:
		return "webhook has another secret"
	case *events.WebhookEnabled:
		return "webhook enabled"
	case *events.WebhookDisabled:
		return "webhook disabled"
	case *events.WebhookDeleted:
		return "webhook deleted"
	case *events.WebhookDelivered:
		return fmt.Sprintf("%s told at attempt %d", x.Event, x.Attempts)
	case *events.WebhookDeliveryFailed:
		return short(because(fmt.Sprintf("%s not told in %d attempts", x.Event, x.Attempts), x.Error))
	case *events.WorkflowRunRequested:
		return short(fmt.Sprintf("%s run of %s requested", x.RunType, x.Workflow))
	case *events.TaskStarted:
		return short(fmt.Sprintf("task %s, try %d, started by %s", x.Task, x.Try, x.Holder))
	case *events.TaskLeaseRenewed:
		return short(fmt.Sprintf("task %s, try %d, goes on at %s", x.Task, x.Try, x.Holder))
	case *events.TaskSucceeded:
		return short(fmt.Sprintf("task %s succeeded at try %d", x.Task, x.Try))
	case *events.TaskFailed:
		return short(because(fmt.Sprintf("task %s failed at try %d", x.Task, x.Try), x.Error))
	case *events.WorkflowDefined:
		return short(fmt.Sprintf("workflow %s defined anew, %.12s", x.Workflow, x.Hash))
	case *events.WorkflowPaused:
		return short("workflow " + x.Workflow + " paused")
	case *events.WorkflowUnpaused:
		return short("workflow " + x.Workflow + " goes on")
	case *events.SlotsMissed:
		return short(fmt.Sprintf("nobody was there for %d slots of %s, from %s to %s", x.Count, x.Workflow, events.FormatTime(time.UnixMilli(x.FromMillis)), events.FormatTime(time.UnixMilli(x.ThroughMillis))))
	case *events.WorkflowDeleted:
		return short("workflow " + x.Workflow + " deleted")
	case *events.WorkflowRunDeleted:
		return "workflow run deleted"
	case *events.ArtifactStored:
		return short(fmt.Sprintf("file %s, %d bytes", x.Path, x.Bytes))
	case *events.ArtifactDeleted:
		return short("file " + x.Path + " deleted")
	case *events.VariableSet:
		return short("variable " + x.Key + " set")
	case *events.VariableDeleted:
		return short("variable " + x.Key + " deleted")
	case *events.TasksCleared:
		return short(because("to be done again: "+strings.Join(x.Tasks, ", "), x.Note))
	case *events.TaskMarked:
		return short(because(fmt.Sprintf("task %s marked as %s", x.Task, x.State), x.Note))
	case *events.TaskHastened:
		return short(fmt.Sprintf("task %s is tried again at once after try %d", x.Task, x.Try))
	case *events.WorkflowSLAMissed:
		return short(fmt.Sprintf("%s of %s is not over in %v", cmp.Or(x.Task, "the run"), x.Workflow, time.Duration(x.SLAMillis)*time.Millisecond))
	case *events.TaskLogKept:
		return short(fmt.Sprintf("log of task %s, try %d, kept, %d bytes", x.Task, x.Try, x.Bytes))
	case *events.WorkflowNoted:
		return short("noted: " + x.Note)
	case *events.WorkflowRunEnded:
		return short(because("workflow run ended: "+x.State, x.Reason))
	case *events.BackfillRequested:
		return short(fmt.Sprintf("backfill of %s from %s to %s, %d at once", x.Workflow, events.FormatTime(time.UnixMilli(x.FromMillis)), events.FormatTime(time.UnixMilli(x.ToMillis)), x.MaxActive))
	case *events.BackfillPaused:
		return "backfill paused"
	case *events.BackfillUnpaused:
		return "backfill goes on"
	case *events.BackfillEnded:
		return short(because("backfill "+x.State, x.Reason))
	case *events.PoolDefined:
		return short(fmt.Sprintf("pool %s has %d slots", x.Pool, x.Slots))
	case *events.PoolRemoved:
		return short("pool " + x.Pool + " removed")
	case *events.ViewEventSkipped:
		who := "view " + x.View + " passes"
		if x.View == events.AllViews {
			who = "all who cannot read it pass"
		}
		return short(because(who+" over "+x.Position, x.Reason))
	case *events.OperationStarted:
		return x.Kind + " started"
	case *events.OperationEnded:
		return short(because("ended: "+x.State, x.Error))
	case *events.DeadLettered:
		return short(because(fmt.Sprintf("%s gave up on %s after %d attempts", x.Reactor, x.Position, x.Attempts), x.Error))
	case *events.DeadLetterResolved:
		return short(because("dead letter "+x.Resolution, x.Reason))
	case *events.QuarantineResolved:
		if x.By != "" {
			return short(because("replaced by "+x.By, x.Reason))
		}
		return short(because("record in quarantine "+x.Resolution, x.Reason))
	case *events.FactRefused:
		return short(because(fmt.Sprintf("%d records for %s refused", x.Count, x.Topic), x.Reason))
	}
	if data == nil {
		return ""
	}
	return data.EventType()
}

func title(m *events.Movie) string {
	if m.Year == 0 {
		return short(m.Title)
	}
	return fmt.Sprintf("%s (%d)", short(m.Title), m.Year)
}

// versioned names a model, or one of its versions where that is not 0.
func versioned(name string, version int) string {
	if version == 0 {
		return name
	}
	return fmt.Sprintf("%s version %d", name, version)
}

func because(what, why string) string {
	if why == "" {
		return what
	}
	return what + ": " + why
}

// short cuts a summary to what fits a line.
func short(s string) string {
	const runesMax = 160
	if r := []rune(s); len(r) > runesMax {
		return string(r[:runesMax-1]) + "…"
	}
	return s
}

// abbreviated is the start of a hash or id, enough to recognise it.
func abbreviated(id string) string { return id[:min(len(id), 12)] }
