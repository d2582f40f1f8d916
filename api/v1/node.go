package v1

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

func (s *Surface) nodeRoutes(r *api.Routes) {
	s.then(r, "GET /api/v1/nodes", (*Surface).nodes, "workflows", "operations")
}

// Kinds of what a process holds.
const (
	holdsTask      = "task"
	holdsOperation = "operation"
)

// nodesLookedAt is how many of the newest runs of workflows, and of the newest operations, are looked through for who worked on them, beside all that have
// not ended.
const nodesLookedAt = 200

// nodesAnswer is the nodes, and how many runs were looked through.
type nodesAnswer struct {
	Items      []*node `json:"items"`
	RunsLooked int     `json:"runs_looked_at"`
}

// node is a data folder whose processes work on tasks and operations, as far as the log knows.
type node struct {
	Node       string    `json:"node"`           // its name, which begins that of every holder
	Here       bool      `json:"here,omitempty"` // the process that answers is on it
	LastMillis int64     `json:"last_millis"`    // event time of the newest that was begun there, or that its holder itself has ended
	Processes  []process `json:"processes"`      // the one that was heard of last first
	Holds      []lease   `json:"holds"`          // the oldest first
}

// process is one on a node: each start is another.
type process struct {
	Process     string   `json:"process"`
	Here        bool     `json:"here,omitempty"`
	Roles       []string `json:"roles"`
	FirstMillis int64    `json:"first_millis"`
	LastMillis  int64    `json:"last_millis"`
}

// lease is what a process works on. A task's is for a time, on its holder's clock, and renewed; an operation is its holder's until it ends.
type lease struct {
	Kind        string `json:"kind"`
	WorkflowRun string `json:"workflow_run,omitempty"`
	Workflow    string `json:"workflow,omitempty"`
	Task        string `json:"task,omitempty"`
	Try         int    `json:"try,omitempty"`
	Pool        string `json:"pool,omitempty"` // of which it has so many slots; "" where the definition cannot be used
	PoolSlots   int    `json:"pool_slots,omitempty"`
	Operation   string `json:"operation,omitempty"` // its id
	Work        string `json:"work,omitempty"`      // its kind
	Process     string `json:"process"`
	Role        string `json:"role"`
	SinceMillis int64  `json:"since_millis"`
	UntilMillis int64  `json:"until_millis,omitempty"`
}

// nodes tells who works for this log, and who holds which task, slot and operation: by the tasks' leases and the operations in the log, not by asking them. Runs
// and operations that have not ended are looked through, and the newest of the others.
func (s *Surface) nodes(w http.ResponseWriter, r *http.Request) error {
	if err := api.QueryOf(r).Err(); err != nil {
		return err
	}
	all := held{here: s.Holder, nodes: map[string]*node{}}
	view := fold.Of[*projections.Workflows](s.Views)
	runs, err := view.Active()
	if err != nil {
		return err
	}
	last, err := view.Runs("", "", fold.PageQuery{Limit: nodesLookedAt})
	if err != nil {
		return err
	}
	for i := range runs {
		all.run(&runs[i])
		s.taskLeases(&all, &runs[i])
	}
	looked := len(runs)
	for i := range last.Items {
		if last.Items[i].Ended() {
			all.run(&last.Items[i])
			looked++
		}
	}
	operations := fold.Of[*projections.Operations](s.Views)
	for q := (fold.PageQuery{Limit: fold.PageLimitMax}); ; {
		p, err := operations.Running(q)
		if err != nil {
			return err
		}
		for i := range p.Items {
			all.operation(&p.Items[i])
		}
		if q.Cursor = p.Next; q.Cursor == "" {
			break
		}
	}
	done, err := operations.List("", fold.PageQuery{Limit: nodesLookedAt})
	if err != nil {
		return err
	}
	for i := range done.Items {
		if done.Items[i].State != projections.OperationRunning {
			all.operation(&done.Items[i])
		}
	}
	return api.WriteJSON(w, http.StatusOK, nodesAnswer{all.list(), looked})
}

// taskLeases adds what of a run is worked on.
func (s *Surface) taskLeases(all *held, run *projections.WorkflowRun) {
	defined, err := s.Workflows.Under(run)
	for i := range run.Tasks {
		t := &run.Tasks[i]
		if t.State != projections.StateRunning || t.Holder == "" {
			continue
		}
		l := lease{Kind: holdsTask, WorkflowRun: run.RunID, Workflow: run.Workflow, Task: t.Task, Try: t.Try, SinceMillis: t.StartedMillis, UntilMillis: t.LeaseUntilMillis}
		if err == nil {
			if d := defined.Task(t.Task); d != nil {
				l.Pool, l.PoolSlots = d.Pool, d.PoolSlots
			}
		}
		all.holds(t.Holder, l)
	}
}

// held is nodes, while what they did is looked through.
type held struct {
	here  string // the holder that this process is
	nodes map[string]*node
}

// holderParts are the node, the process and the role that a holder's name is made of.
func holderParts(holder string) (node, process, role string) {
	node, rest, _ := strings.Cut(holder, "/")
	process, role, _ = strings.Cut(rest, "/")
	return node, process, role
}

// did notes that a holder began something at a moment, or ended it.
func (h *held) did(holder string, millis int64) *node {
	name, process, role := holderParts(holder)
	hereNode, hereProcess, _ := holderParts(h.here)
	n := h.nodes[name]
	if n == nil {
		n = &node{Node: name, Here: name == hereNode, Holds: []lease{}}
		h.nodes[name] = n
	}
	n.LastMillis = max(n.LastMillis, millis)
	p := n.process(process, millis)
	p.Here = n.Here && process == hereProcess
	p.FirstMillis, p.LastMillis = min(p.FirstMillis, millis), max(p.LastMillis, millis)
	if at, ok := slices.BinarySearch(p.Roles, role); !ok {
		p.Roles = slices.Insert(p.Roles, at, role)
	}
	return n
}

// process is the one of a name.
func (n *node) process(name string, millis int64) *process {
	if i := slices.IndexFunc(n.Processes, func(p process) bool { return p.Process == name }); i >= 0 {
		return &n.Processes[i]
	}
	n.Processes = append(n.Processes, process{Process: name, Roles: []string{}, FirstMillis: millis, LastMillis: millis})
	return &n.Processes[len(n.Processes)-1]
}

func (h *held) holds(holder string, l lease) {
	n := h.did(holder, l.SinceMillis)
	_, l.Process, l.Role = holderParts(holder)
	n.Holds = append(n.Holds, l)
}

func (h *held) run(r *projections.WorkflowRun) {
	for i := range r.Tasks {
		for _, y := range r.Tasks[i].Tries {
			if y.Holder == "" {
				continue
			}
			h.did(y.Holder, y.StartedMillis)
			if y.State == projections.StateSuccess { // that one has failed, others say too, of a holder that is gone
				h.did(y.Holder, y.EndedMillis)
			}
		}
	}
}

func (h *held) operation(o *projections.Operation) {
	if o.State == projections.OperationRunning {
		h.holds(o.Holder, lease{Kind: holdsOperation, Operation: o.OperationID, Work: o.Kind, SinceMillis: o.StartedMillis})
		return
	}
	h.did(o.Holder, o.StartedMillis)
	if o.State != commands.OperationInterrupted { // which others say of a holder that is gone
		h.did(o.Holder, o.EndedMillis)
	}
}

// list is the nodes, the one that was heard of last first.
func (h *held) list() []*node {
	all := []*node{}
	for _, n := range h.nodes {
		slices.SortFunc(n.Processes, func(a, b process) int {
			return cmp.Or(cmp.Compare(b.LastMillis, a.LastMillis), strings.Compare(a.Process, b.Process))
		})
		slices.SortFunc(n.Holds, func(a, b lease) int {
			return cmp.Or(cmp.Compare(a.SinceMillis, b.SinceMillis), strings.Compare(a.WorkflowRun, b.WorkflowRun), strings.Compare(a.Task, b.Task), strings.Compare(a.Operation, b.Operation))
		})
		all = append(all, n)
	}
	slices.SortFunc(all, func(a, b *node) int {
		return cmp.Or(cmp.Compare(b.LastMillis, a.LastMillis), strings.Compare(a.Node, b.Node))
	})
	return all
}
