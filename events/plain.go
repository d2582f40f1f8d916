package events

import (
	"time"
	"unicode/utf8"
)

// plain is data that come often and that JSON keeps as they are, where plain says so: numbers, and texts.
type plain interface {
	Data
	plain() bool
}

var _ = []plain{&RunMetricsLogged{}, &WorkflowRunRequested{}, &TaskStarted{}, &TaskLeaseRenewed{}, &TaskSucceeded{}, &TaskFailed{}, &TaskLogKept{}, &WorkflowRunEnded{}}

// Plain says whether an event of a commit is the very one that reading it will give, but for [Event.Raw], so that it can stand
// for it: values of metrics and what comes of workflow runs, whose texts and time JSON keeps as they are. Whoever is given it changes nothing of it.
func (e *Event) Plain() bool {
	x, ok := e.Data.(plain)
	return ok && e.Schema == SchemaOf(x.EventType()) && e.Time.Equal(TimeOf(e.Time.UnixMilli())) && e.Time.Location() == time.UTC &&
		areTexts(e.ID, e.Source, e.Subject, e.Actor, e.Correlation, e.Causation) && x.plain()
}

// areTexts says whether JSON keeps these.
func areTexts(all ...string) bool {
	for _, text := range all {
		if !utf8.ValidString(text) {
			return false
		}
	}
	return true
}

// areEntries says whether JSON keeps a map that it leaves out when there is nothing in it.
func areEntries(all map[string]string) bool {
	for name, value := range all {
		if !areTexts(name, value) {
			return false
		}
	}
	return all == nil || len(all) > 0
}

func (x *WorkflowRunRequested) plain() bool {
	t := x.Triggered
	return areTexts(x.RunID, x.Workflow, x.RunType, x.Note) && areEntries(x.Conf) && (t == nil || areTexts(t.Trigger, t.EventID, t.Type, t.Position, t.Cut))
}

func (x *TaskStarted) plain() bool { return areTexts(x.RunID, x.Task, x.Holder) }

func (x *TaskLeaseRenewed) plain() bool { return areTexts(x.RunID, x.Task, x.Holder, x.Checkpoint) }

func (x *TaskSucceeded) plain() bool { return areTexts(x.RunID, x.Task) && areEntries(x.Output) }

func (x *TaskFailed) plain() bool { return areTexts(x.RunID, x.Task, x.Error) }

func (x *TaskLogKept) plain() bool { return areTexts(x.RunID, x.Task, x.Log) }

func (x *WorkflowRunEnded) plain() bool { return areTexts(x.RunID, x.State, x.Reason) }
