package workflow

import "slices"

// Rule is what must have become of the tasks that a task needs, for it to start: Airflow's trigger rules
// (https://airflow.apache.org/docs/apache-airflow/stable/core-concepts/dags.html#trigger-rules).
type Rule string

// The rules.
const (
	AllSuccess              Rule = "all_success"
	AllFailed               Rule = "all_failed"
	AllDone                 Rule = "all_done"
	AllSkipped              Rule = "all_skipped"
	OneFailed               Rule = "one_failed"
	OneSuccess              Rule = "one_success"
	OneDone                 Rule = "one_done"
	NoneFailed              Rule = "none_failed"
	NoneFailedMinOneSuccess Rule = "none_failed_min_one_success"
	NoneSkipped             Rule = "none_skipped"
	Always                  Rule = "always"
)

// Rules are all there are.
var Rules = []Rule{AllSuccess, AllFailed, AllDone, AllSkipped, OneFailed, OneSuccess, OneDone, NoneFailed, NoneFailedMinOneSuccess, NoneSkipped, Always}

// State is what has become of a task of a run, in Airflow's words.
type State string

// The states. What the log has no event of is [None], [Queued], [Skipped] or [UpstreamFailed], and follows from the rest.
const (
	None           State = ""                // waits for tasks before it
	Queued         State = "queued"          // may start
	Running        State = "running"         // somebody has it
	UpForRetry     State = "up_for_retry"    // a try has failed, another follows
	Success        State = "success"         // over, as are those that follow
	Failed         State = "failed"          //
	Skipped        State = "skipped"         // its condition does not hold, or its rule asks for what cannot be any more
	UpstreamFailed State = "upstream_failed" // it cannot start any more
)

// Over says whether nothing becomes of it any more by itself.
func (s State) Over() bool {
	return s == Success || s == Failed || s == Skipped || s == UpstreamFailed
}

// Outcome is what the log says of a task: [Running], [UpForRetry], [Success], [Failed] or [Skipped], and its output; or
// nothing, [None].
type Outcome struct {
	State  State
	Output map[string]string
}

// Run is what a run is, as far as its tasks depend on it.
type Run struct {
	Told map[string]string // by [RunNames]
	Conf map[string]string
	// Variables are those that the arguments of a task name, by key; needed by [Task.Args] alone.
	Variables map[string]string
	Outcome   func(task string) Outcome
	// Secrets are those that they name, likewise.
	Secrets map[string]string
}

// Value is what a reference stands for in the run.
func (r *Run) Value(ref Reference) string {
	switch ref.Root {
	case "params":
		return r.Conf[ref.Name]
	case "run":
		return r.Told[ref.Name]
	case secretRoot:
		return r.Secrets[ref.Name]
	case variableRoot:
		return r.Variables[ref.Variable()]
	}
	return r.Outcome(ref.Task).Output[ref.Name]
}

// States are those of all tasks of a run.
func (d *Definition) States(r *Run) map[string]State {
	all := make(map[string]State, len(d.Tasks))
	for i := range d.Tasks {
		t := &d.Tasks[i]
		state := r.Outcome(t.Name).State
		if state == None {
			state = t.Rule.decide(t.Needs, all)
		}
		if state == Queued && t.When != nil && r.Outcome(t.Name).State == None && !t.When.Holds(r.Value) {
			state = Skipped
		}
		all[t.Name] = state
	}
	return all
}

// decide says what a task is of which the log says nothing, by the states of those it needs.
func (rule Rule) decide(needs []string, states map[string]State) State {
	n := map[State]int{}
	over := 0
	for _, name := range needs {
		s := states[name]
		n[s]++
		if s.Over() {
			over++
		}
	}
	return rule.of(len(needs), over, n[Success], n[Failed]+n[UpstreamFailed], n[Failed], n[Skipped])
}

// of decides by how many tasks there are before, how many of them are over, and how: failed counts those that cannot
// start any more too, didFail those that did.
func (rule Rule) of(all, over, success, failed, didFail, skipped int) State {
	if all == 0 || rule == Always {
		return Queued
	}
	done := over == all
	state := func(is bool, s State) State {
		if is {
			return s
		}
		return None
	}
	var never, ready State
	switch rule {
	case AllSuccess:
		never, ready = first(state(failed > 0, UpstreamFailed), state(skipped > 0, Skipped)), state(success == all, Queued)
	case AllFailed:
		never, ready = state(success+skipped > 0, Skipped), state(failed == all, Queued)
	case AllDone:
		ready = state(done, Queued)
	case AllSkipped:
		never, ready = state(success+failed > 0, Skipped), state(skipped == all, Queued)
	case OneFailed:
		never, ready = state(done && failed == 0, Skipped), state(failed > 0, Queued)
	case OneSuccess:
		never, ready = first(state(skipped == all, Skipped), state(done && success == 0, UpstreamFailed)), state(success > 0, Queued)
	case OneDone:
		never, ready = state(done && success+didFail == 0, Skipped), state(success+didFail > 0, Queued)
	case NoneFailed:
		never, ready = state(failed > 0, UpstreamFailed), state(done, Queued)
	case NoneFailedMinOneSuccess:
		never, ready = first(state(failed > 0, UpstreamFailed), state(skipped == all, Skipped)), state(done, Queued)
	case NoneSkipped:
		never, ready = state(skipped > 0, Skipped), state(done, Queued)
	}
	return first(never, ready)
}

func first(states ...State) State {
	if i := slices.IndexFunc(states, func(s State) bool { return s != None }); i >= 0 {
		return states[i]
	}
	return None
}

// Ended says what a run has come to by the states of its tasks: [Success] or [Failed], or [None] while it goes on. As
// in Airflow the tasks that no other needs decide: one of them that failed, or could not start, fails the run; reason
// names the first task that failed.
func (d *Definition) Ended(states map[string]State) (state State, reason string) {
	state = Success
	for i := range d.Tasks {
		t := &d.Tasks[i]
		s := states[t.Name]
		if !s.Over() {
			return None, ""
		}
		if s == Failed && reason == "" {
			reason = t.Name
		}
		if len(d.after[t.Name]) == 0 && (s == Failed || s == UpstreamFailed) {
			state = Failed
		}
	}
	if state == Success {
		reason = ""
	}
	return state, reason
}
