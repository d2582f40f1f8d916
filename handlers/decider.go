package handlers

import (
	"strings"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

// decider is the state of one stream, as far as its rules need it.
type decider interface {
	// evolve folds the next event of the stream into the state. Events without a rule leave it as it is.
	evolve(events.Data)
	// decide turns a command into events, or refuses it. It changes nothing; no events and no error say
	// that the state is as the command wants it.
	decide(c commands.Command, now time.Time) ([]events.Data, error)
}

// deaf is a decider whose rules go by its own program's events alone, whatever else is in the stream.
type deaf interface{ deaf() }

// newDecider is the state of a stream before its first event; nil for a kind of stream without rules.
func newDecider(stream string) decider {
	kind, id, _ := strings.Cut(stream, "/")
	switch kind {
	case "movie":
		return &movie{listed: map[string]contentHash{}}
	case "user":
		return &user{sets: map[string]events.User{}}
	case "import":
		return &importing{refused: map[string]bool{}}
	case "features":
		return &features{}
	case "signals":
		return &signals{}
	case "feature-project", "feature-entity", "feature-source", "feature-view", "feature-service":
		return &declared{}
	case "dataset":
		return &dataset{}
	case "training-set":
		return &trainingSet{blobs: map[string]string{}}
	case "experiment":
		return &experiment{id: id, tags: map[string]string{}}
	case "run":
		return &run{params: map[string]string{}, tags: map[string]string{}, artifacts: map[string]string{}, given: map[input]bool{}, made: map[events.ModelOutput]bool{}}
	case "logged-model":
		return &loggedModel{params: map[string]string{}, tags: map[string]string{}, artifacts: map[string]string{}}
	case "artifacts":
		return artifacts{}
	case "model":
		return &model{id: id, tags: map[string]string{}, aliases: map[string]int{}, deployed: map[string]int{}}
	case "webhook":
		return &webhook{}
	case "workflow":
		return &definedWorkflow{}
	case "workflow-run":
		return &workflowRun{tasks: map[string]task{}, missed: map[string]bool{}, logs: map[triedTask]bool{}}
	case "backfill":
		return &backfill{}
	case "pool":
		return &pool{}
	case "variable":
		return &variable{}
	case "view":
		return &view{skipped: map[string]bool{}}
	case "operation":
		return &operation{}
	case "dead-letter":
		return &deadLetter{}
	case "quality":
		return &quality{judged: map[streams.TP]int64{}}
	case "quarantine":
		return &quarantined{}
	case "refusal":
		return refusals{}
	}
	return nil
}

func noRule(c commands.Command) error {
	return fault.New(fault.Internal, "stream %s has no rule for command %s", c.Stream(), c.CommandType())
}

func one(d events.Data) ([]events.Data, error) { return []events.Data{d}, nil }

func refuse(code fault.Code, field, format string, args ...any) ([]events.Data, error) {
	e := fault.New(code, format, args...)
	e.Field = field
	return nil, e
}
