package projections

import (
	"strings"
	"sync"

	"github.com/projectionist/projectionist/handlers/workflow"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections/fold"
)

// DefinedWorkflows reads the workflows that are defined in the log, by the operators that this program has. It is safe for
// concurrent use.
type DefinedWorkflows struct {
	Views     *fold.Runner // with the view workflows
	Operators workflow.Operators

	mu    sync.Mutex
	read  map[string]readDefinition // by hash
	force map[string][]inForce      // by workflow, oldest first, as far as they were read
}

// inForce is a definition with the offset that puts it in force.
type inForce struct {
	offset int64
	readDefinition
}

type readDefinition struct {
	*workflow.Definition
	err error
}

// readMax bounds the definitions that are kept, read.
const readMax = 4096

// KnownWorkflow is a workflow with its definition in force, which this program may not be able to use.
type KnownWorkflow struct {
	Workflow
	Definition *workflow.Definition // nil with Err
	Err        error
}

// All are all workflows, by name.
func (w *DefinedWorkflows) All() ([]KnownWorkflow, error) {
	view := fold.Of[*Workflows](w.Views)
	var all []KnownWorkflow
	for q := (fold.PageQuery{Limit: fold.PageLimitMax}); ; {
		p, err := view.Workflows(q)
		if err != nil {
			return nil, err
		}
		for i := range p.Items {
			known, err := w.known(view, p.Items[i])
			if err != nil {
				return nil, err
			}
			all = append(all, known)
		}
		if q.Cursor = p.Next; q.Cursor == "" {
			return all, nil
		}
	}
}

func (w *DefinedWorkflows) known(view *Workflows, doc Workflow) (KnownWorkflow, error) {
	k := KnownWorkflow{Workflow: doc}
	d, ok, err := view.DefinitionAt(doc.Name, doc.DefinedOffset+1)
	if err != nil || !ok {
		return k, err
	}
	k.Definition, k.Err = w.parse(d.Source, d.Hash)
	return k, nil
}

func (w *DefinedWorkflows) parse(source, hash string) (*workflow.Definition, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	read, ok := w.read[hash]
	if !ok {
		read.Definition, read.err = workflow.Parse([]byte(source), w.Operators)
		if w.read == nil || len(w.read) >= readMax {
			w.read = map[string]readDefinition{}
		}
		w.read[hash] = read
	}
	return read.Definition, read.err
}

// Of is the workflow of a name. The error is fault.NotFound for none.
func (w *DefinedWorkflows) Of(name string) (KnownWorkflow, error) {
	view := fold.Of[*Workflows](w.Views)
	doc, ok, err := view.Workflow(name)
	if err != nil {
		return KnownWorkflow{}, err
	}
	if !ok || doc.Hash == "" {
		all, err := w.All()
		if err != nil {
			return KnownWorkflow{}, err
		}
		e := fault.New(fault.NotFound, "no workflow %q", name[:min(len(name), 100)])
		if len(all) == 0 {
			return KnownWorkflow{}, e.WithHint("none is defined yet")
		}
		var names []string
		for i := range all[:min(len(all), 20)] {
			names = append(names, all[i].Name)
		}
		return KnownWorkflow{}, e.WithHint("there are %s", strings.Join(names, ", "))
	}
	return w.known(view, doc)
}

// Under is the definition that a run goes by. The error is fault.NotFound where its workflow was never defined, and
// fault.Invalid where this program cannot use it.
func (w *DefinedWorkflows) Under(run *WorkflowRun) (*workflow.Definition, error) {
	found, err := w.inForceAt(run.Workflow, run.RequestedOffset)
	if err == nil && found == nil {
		err = fault.New(fault.NotFound, "the workflow %s of this run is not defined", run.Workflow)
	}
	if err != nil {
		return nil, err
	}
	return found.Definition, found.err
}

// inForceAt is the definition that was in force at an offset; of a run from before there were any, the first; nil without any.
func (w *DefinedWorkflows) inForceAt(name string, offset int64) (*inForce, error) {
	known, err := w.upTo(name, offset)
	return forceAt(known, offset), err
}

func forceAt(known []inForce, offset int64) *inForce {
	if len(known) == 0 {
		return nil
	}
	at := &known[0]
	for i := range known {
		if known[i].offset < offset {
			at = &known[i]
		}
	}
	return at
}

// upTo are the definitions of a workflow, those before an offset at least. None is ever taken back: only newer ones are looked
// for, and these only for what comes after them.
func (w *DefinedWorkflows) upTo(name string, offset int64) ([]inForce, error) {
	w.mu.Lock()
	known := w.force[name]
	w.mu.Unlock()
	if len(known) > 0 && known[len(known)-1].offset >= offset {
		return known, nil
	}
	doc, ok, err := fold.Of[*Workflows](w.Views).Workflow(name)
	if err != nil || !ok {
		return nil, err
	}
	if len(known) == 0 || known[len(known)-1].offset < doc.DefinedOffset {
		return w.readForce(name)
	}
	return known, nil
}

func (w *DefinedWorkflows) readForce(name string) (all []inForce, err error) {
	for d, err := range fold.Of[*Workflows](w.Views).Definitions(name) {
		if err != nil {
			return nil, err
		}
		one := inForce{offset: d.Offset}
		one.Definition, one.err = w.parse(d.Source, d.Hash)
		all = append(all, one)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.force == nil || len(w.force) >= readMax {
		w.force = map[string][]inForce{}
	}
	w.force[name] = all
	return all, nil
}

// Conf is what a run of a workflow would go by, checked. Errors: those of [workflow.Definition.Conf].
func (w *DefinedWorkflows) Conf(k *KnownWorkflow, conf map[string]string) (map[string]string, error) {
	if k.Err != nil {
		return nil, k.Err
	}
	return k.Definition.Conf(conf, w.Operators)
}
