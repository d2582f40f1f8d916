package events

import (
	"encoding/json"
	"fmt"
	"sort"
	"time"
)

// Upcast turns the JSON of one schema version into that of the next.
type Upcast func(json.RawMessage) (json.RawMessage, error)

// kind is one registered event type.
type kind struct {
	name    string
	schema  int // newest version
	make    func() Data
	upcasts []Upcast // upcasts[i] goes from version i+1 to i+2; len = schema-1
}

// kinds are all event types that were ever written, by wire name. To change a payload: add an upcast
// here and a golden file for the new version; never touch the old goldens.
var kinds = map[string]kind{}

func register[T any, P interface {
	*T
	Data
}](upcasts ...Upcast) {
	var zero T
	name := P(&zero).EventType()
	kinds[name] = kind{
		name:    name,
		schema:  len(upcasts) + 1,
		make:    func() Data { return P(new(T)) },
		upcasts: upcasts,
	}
}

func init() {
	register[MovieListed]()
	register[MovieFetched]()
	register[MovieHidden]()
	register[MovieUnhidden]()
	register[UserDescribed]()
	register[ImportStarted]()
	register[ImportCompleted]()
	register[ImportFailed]()
	register[FeaturesDefined]()
	register[FeatureProjectApplied]()
	register[FeatureProjectDeleted]()
	register[FeatureEntityApplied]()
	register[FeatureEntityDeleted]()
	register[FeatureSourceApplied]()
	register[FeatureSourceDeleted]()
	register[FeatureViewApplied]()
	register[FeatureViewDeleted]()
	register[FeatureServiceApplied]()
	register[FeatureServiceDeleted]()
	register[SignalsDefined]()
	register[DatasetBuilt]()
	register[TrainingSetVersioned](withoutViews)
	register[ExperimentCreated](withoutLocation)
	register[ExperimentNameClaimed]()
	register[ExperimentRenamed]()
	register[ExperimentDeleted]()
	register[ExperimentRestored]()
	register[ExperimentTagsSet]()
	register[ExperimentTagRemoved]()
	register[ExperimentPurged]()
	register[RunStarted](withoutUser)
	register[RunMetricsLogged](onlyNumbers, ofRunAlone)
	register[RunParamsLogged]()
	register[RunTagsSet]()
	register[RunArtifactLogged]()
	register[RunEnded]()
	register[RunResumed]()
	register[RunRenamed]()
	register[RunTagRemoved]()
	register[RunDeleted]()
	register[RunRestored]()
	register[RunArtifactDeleted]()
	register[RunPurged]()
	register[RunInputsLogged]()
	register[RunOutputsLogged]()
	register[LoggedModelCreated]()
	register[LoggedModelFinalized]()
	register[LoggedModelParamsLogged]()
	register[LoggedModelTagsSet]()
	register[LoggedModelTagRemoved]()
	register[LoggedModelArtifactLogged]()
	register[LoggedModelDeleted]()
	register[LoggedModelArtifactDeleted]()
	register[LoggedModelPurged]()
	register[ArtifactStored]()
	register[ArtifactDeleted]()
	register[ModelRegistered](withoutKey)
	register[ModelNameClaimed]()
	register[ModelRenamed]()
	register[ModelVersionRegistered](withSlot, withoutViews)
	register[ModelVersionAdded](withoutDetour)
	register[ModelDescribed]()
	register[ModelTagsSet]()
	register[ModelTagRemoved]()
	register[ModelVersionStaged]()
	register[ModelAliasSet]()
	register[ModelAliasRemoved]()
	register[ModelVersionDeleted]()
	register[ModelDeleted]()
	register[ModelDeployed]()
	register[WebhookCreated]()
	register[WebhookRenamed]()
	register[WebhookDescribed]()
	register[WebhookMoved]()
	register[WebhookSubscribed]()
	register[WebhookSecretSet]()
	register[WebhookEnabled]()
	register[WebhookDisabled]()
	register[WebhookDeleted]()
	register[WebhookDelivered]()
	register[WebhookDeliveryFailed]()
	register[WorkflowDefined]()
	register[WorkflowPaused]()
	register[WorkflowUnpaused]()
	register[WorkflowDeleted]()
	register[SlotsMissed]()
	register[WorkflowRunRequested](withoutSlot, withoutTrigger)
	register[TaskStarted]()
	register[TaskLeaseRenewed]()
	register[TaskSucceeded]()
	register[TaskFailed]()
	register[TasksCleared]()
	register[TaskMarked]()
	register[TaskHastened]()
	register[WorkflowSLAMissed]()
	register[TaskLogKept]()
	register[WorkflowNoted]()
	register[WorkflowRunEnded]()
	register[BackfillRequested](withoutBackfillConf)
	register[BackfillPaused]()
	register[BackfillUnpaused]()
	register[BackfillEnded]()
	register[PoolDefined]()
	register[PoolRemoved]()
	register[WorkflowRunDeleted]()
	register[VariableSet]()
	register[VariableDeleted]()
	register[ViewEventSkipped]()
	register[OperationStarted]()
	register[OperationEnded]()
	register[DeadLettered]()
	register[DeadLetterResolved]()
	register[FactRefused]()
	register[QuarantineResolved]()
	register[QualityJudged]()
	register[Interaction]()
	register[RecommendationServed](withoutPlaces)
	register[ModelDrift]()
	register[SystemHealth]()
	register[FeatureValues]()
}

// Types are the wire names of all event types, sorted.
func Types() []string {
	names := make([]string, 0, len(kinds))
	for name := range kinds {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// Blank is an empty payload of a type; false for an unknown type.
func Blank(eventType string) (Data, bool) {
	k, ok := kinds[eventType]
	if !ok {
		return nil, false
	}
	return k.make(), true
}

// TypeNamed is the wire name that the bytes spell, as a string: of a registered type, without an allocation.
func TypeNamed(name []byte) string {
	if k, ok := kinds[string(name)]; ok {
		return k.name
	}
	return string(name)
}

// SchemaOf is the newest schema version of a type; 0 for an unknown type.
func SchemaOf(eventType string) int { return kinds[eventType].schema }

// Decode turns the JSON of a payload, written under the given type and schema version, into the newest
// form of its type. An unknown type, or a version newer than this program knows, is an error.
func Decode(eventType string, schema int, raw json.RawMessage) (Data, error) {
	k, ok := kinds[eventType]
	if !ok {
		return nil, fmt.Errorf("unknown event type %q", eventType)
	}
	if schema < 1 || schema > k.schema {
		return nil, fmt.Errorf("event type %q has schema version %d; this program knows 1 to %d", eventType, schema, k.schema)
	}
	var err error
	for v := schema; v < k.schema; v++ {
		if raw, err = k.upcasts[v-1](raw); err != nil {
			return nil, fmt.Errorf("upcast %s from schema %d: %w", eventType, v, err)
		}
	}
	data := k.make()
	if p, ok := data.(interface{ parse(json.RawMessage) error }); ok {
		err = p.parse(raw) // a type with reading rules of its own
	} else {
		err = json.Unmarshal(raw, data)
	}
	if err != nil {
		return nil, payloadError(eventType, schema, err)
	}
	return data, nil
}

// envelope is the event in CloudEvents structured JSON. Extension attributes are lower case without
// separators, as the specification demands.
type envelope struct {
	SpecVersion string          `json:"specversion"`
	ID          string          `json:"id"`
	Source      string          `json:"source"`
	Type        string          `json:"type"`
	Subject     string          `json:"subject,omitempty"`
	Time        string          `json:"time"`
	Schema      int             `json:"schemaversion"`
	Actor       string          `json:"actor,omitempty"`
	Correlation string          `json:"correlationid,omitempty"`
	Causation   string          `json:"causationid,omitempty"`
	Data        json.RawMessage `json:"data,omitempty"` // written by itself, since it is what is large
}

// MarshalJSON writes the event as CloudEvents 1.0 structured JSON, always at the newest schema; one that this program
// cannot read as it was.
func (e Event) MarshalJSON() ([]byte, error) { return e.AppendJSON(nil) }

// AppendJSON appends what [Event.MarshalJSON] gives. It is in the form that encoding/json gives everything, so that it need not be
// read once more to bring it into that.
func (e *Event) AppendJSON(b []byte) ([]byte, error) {
	if f, ok := e.Data.(*Foreign); ok {
		return appendCompact(b, f.Envelope)
	}
	if e.Data == nil {
		return b, fmt.Errorf("event %s has no data", e.ID)
	}
	schema := e.Schema
	if e.Raw == nil {
		schema = SchemaOf(e.Type())
	}
	head, err := json.Marshal(envelope{"1.0", e.ID, e.Source, e.Type(), e.Subject, FormatTime(e.Time), schema, e.Actor, e.Correlation, e.Causation, nil})
	if err != nil {
		return b, err
	}
	b = append(append(b, head[:len(head)-1]...), `,"data":`...)
	raw := e.Raw
	if raw == nil {
		raw, err = json.Marshal(e.Data)
		b = append(b, raw...)
	} else {
		b, err = appendCompact(b, raw)
	}
	return append(b, '}'), err
}

// appendCompact appends JSON in the form that encoding/json gives it.
func appendCompact(b []byte, raw json.RawMessage) ([]byte, error) {
	compact, err := json.Marshal(raw)
	return append(b, compact...), err
}

// UnmarshalJSON reads CloudEvents 1.0 structured JSON and decodes the payload to its newest form.
func (e *Event) UnmarshalJSON(b []byte) error {
	var v envelope
	if err := json.Unmarshal(b, &v); err != nil {
		return err
	}
	if v.SpecVersion != "1.0" {
		return fmt.Errorf("specversion %q: want 1.0", v.SpecVersion)
	}
	t, err := time.Parse(time.RFC3339Nano, v.Time)
	if err != nil {
		return fmt.Errorf("time %q: want RFC 3339", v.Time)
	}
	data, err := Decode(v.Type, v.Schema, v.Data)
	if err != nil {
		return err
	}
	*e = Event{ID: v.ID, Source: v.Source, Subject: v.Subject, Time: t.UTC(), Schema: v.Schema,
		Actor: v.Actor, Correlation: v.Correlation, Causation: v.Causation, Data: data, Raw: v.Data}
	return nil
}
