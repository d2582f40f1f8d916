package v1_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/streams"
)

func operationID(digit string) string { return strings.Repeat(digit, 32) }

// What the log knows of who works for it: nodes, each start on them, their roles, and what they hold, now and at a moment.
func TestNodes(t *testing.T) {
	w := newFixture(t, func(c *setup) { c.own.Holder = "n1/p2/operations" })
	w.defineWorkflows()
	if got := w.get("/api/v1/nodes").want(200); string(got.Body) != "{\"items\":[],\"runs_looked_at\":0}\n" {
		t.Errorf("of nobody: %s", got.Body)
	}
	w.dispatch(&commands.RequestWorkflowRun{RunID: "r1", Workflow: "movie_training_pipeline", RunType: "manual"})
	task := func() string {
		t.Helper()
		return w.get("/api/v1/workflows/movie_training_pipeline").want(200).at("tasks.0.name")
	}()
	w.dispatch(&commands.StartTask{RunID: "r1", Task: task, Holder: "n1/p1/reader", LeaseMillis: 30_000})
	then := w.dispatch(&commands.StartOperation{OperationID: operationID("1"), Kind: "backup", Holder: "n1/p1/operations"}).Position
	type answer struct {
		Items []struct {
			Node      string
			Here      bool
			Processes []struct {
				Process string
				Here    bool
				Roles   []string
			}
			Holds []struct {
				Kind, Task, Pool, Operation, Work, Process, Role string
				Run                                              string `json:"workflow_run"`
				Slots                                            int    `json:"pool_slots"`
				Since                                            int64  `json:"since_millis"`
				Until                                            int64  `json:"until_millis"`
			}
		}
		Looked int `json:"runs_looked_at"`
	}
	ask := func(query string) (a answer) {
		t.Helper()
		w.get("/api/v1/nodes" + query).want(200).into(&a)
		return a
	}
	a := ask("")
	if len(a.Items) != 1 || a.Looked != 1 || a.Items[0].Node != "n1" || !a.Items[0].Here || len(a.Items[0].Processes) != 1 || a.Items[0].Processes[0].Here || len(a.Items[0].Processes[0].Roles) != 2 || len(a.Items[0].Holds) != 2 {
		t.Fatalf("%+v", a)
	}
	held, op := a.Items[0].Holds[0], a.Items[0].Holds[1]
	if held.Kind != "task" {
		held, op = op, held
	}
	if held.Task != task || held.Run != "r1" || held.Pool != "default_pool" || held.Slots != 1 || held.Process != "p1" || held.Role != "reader" || held.Until != held.Since+30_000 {
		t.Errorf("the task's lease: %+v", held)
	}
	if op.Operation != operationID("1") || op.Work != "backup" || op.Role != "operations" || op.Until != 0 {
		t.Errorf("the operation: %+v", op)
	}
	// The task ends, the next start says that the operation did, and works itself; so does another node.
	w.clock.set(day0.Add(1000))
	w.dispatch(&commands.SucceedTask{RunID: "r1", Task: task, Try: 1, Holder: "n1/p1/reader"})
	w.dispatch(&commands.EndOperation{OperationID: operationID("1"), State: commands.OperationInterrupted})
	w.dispatch(&commands.StartOperation{OperationID: operationID("2"), Kind: "verify", Holder: "n1/p2/operations"})
	w.dispatch(&commands.StartOperation{OperationID: operationID("3"), Kind: "verify", Holder: "odd"})
	b := ask("")
	if len(b.Items) != 2 {
		t.Fatalf("%+v", b)
	}
	for _, n := range b.Items {
		switch n.Node {
		case "n1":
			if len(n.Holds) != 1 || n.Holds[0].Operation != operationID("2") || len(n.Processes) != 2 || !n.Here || n.Processes[0].Here == n.Processes[1].Here {
				t.Errorf("%+v", n)
			}
		case "odd":
			if len(n.Holds) != 1 || n.Here || n.Processes[0].Process != "" {
				t.Errorf("%+v", n)
			}
		default:
			t.Errorf("%+v", n)
		}
	}
	if was := ask("?known_at=" + then.String()); len(was.Items) != 1 || len(was.Items[0].Holds) != 2 {
		t.Errorf("then: %+v", was)
	}
	w.get("/api/v1/nodes?role=x").problem(400, "role")
}

// What others say of a holder is no word from it: of who is gone the last is what it began, or said itself to have ended.
func TestNodesThatAreGone(t *testing.T) {
	w := newFixture(t, func(c *setup) { c.own.Holder = "n2/p1/operations" })
	w.defineWorkflows()
	w.dispatch(&commands.RequestWorkflowRun{RunID: "r1", Workflow: "movie_training_pipeline", RunType: "manual"})
	task := w.get("/api/v1/workflows/movie_training_pipeline").want(200).at("tasks.0.name")
	last := func(want time.Time) {
		t.Helper()
		if a := w.get("/api/v1/nodes").want(200); a.at("items.0.node") != "n1" || a.at("items.0.last_millis") != fmt.Sprint(want.UnixMilli()) || a.at("items.0.processes.0.last_millis") != fmt.Sprint(want.UnixMilli()) {
			t.Errorf("want %d: %s", want.UnixMilli(), a.Body)
		}
	}
	w.dispatch(&commands.StartTask{RunID: "r1", Task: task, Holder: "n1/p1/reader", LeaseMillis: 30_000})
	w.dispatch(&commands.StartOperation{OperationID: operationID("1"), Kind: "backup", Holder: "n1/p1/operations"})
	w.clock.set(day0.Add(time.Hour))
	w.dispatch(&commands.FailTask{RunID: "r1", Task: task, Try: 1, Holder: "n2/p1/watcher", Error: "it is gone"})
	w.dispatch(&commands.EndOperation{OperationID: operationID("1"), State: commands.OperationInterrupted})
	last(day0)
	w.clock.set(day0.Add(2 * time.Hour))
	w.dispatch(&commands.StartOperation{OperationID: operationID("2"), Kind: "backup", Holder: "n1/p1/operations"})
	w.clock.set(day0.Add(3 * time.Hour))
	w.dispatch(&commands.EndOperation{OperationID: operationID("2"), State: commands.OperationSuccess})
	last(day0.Add(3 * time.Hour))
}

// Partitions tell what they take on the disk, where that is known, and as they are now alone.
func TestTopicsTellBytes(t *testing.T) {
	w := newFixture(t, func(c *setup) {
		c.own.LogBytes = func(tp streams.TP) (int64, error) { return int64(len(tp.Topic))*100 + int64(tp.Partition), nil }
	})
	a := w.get("/api/v1/log/topics").want(200)
	if a.at("items.1.topic") != "user-events" || a.at("items.1.partitions.2.bytes") != "1102" {
		t.Errorf("%s", a.Body)
	}
	if then := w.get("/api/v1/log/topics?known_at=2024-06-01T12:00:00Z").want(200); then.at("items.1.partitions.2.bytes") != "null" {
		t.Errorf("%s", then.Body)
	}
	if a := newFixture(t).get("/api/v1/log/topics").want(200); a.at("items.1.partitions.2.bytes") != "null" {
		t.Errorf("%s", a.Body)
	}
}
