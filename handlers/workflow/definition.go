package workflow

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
)

// Definition is a workflow: its tasks, and what each waits for. It does not change after [Parse], and may be used from
// several goroutines.
type Definition struct {
	Name          string        `json:"name"`
	Description   string        `json:"description"`
	Tags          []string      `json:"tags"`
	Params        []Param       `json:"params"`
	MaxActiveRuns int           `json:"max_active_runs"` // at once: others wait, in their order
	Timeout       time.Duration `json:"timeout"`         // of a run
	SLA           time.Duration `json:"-"`               // in which a run is to be over, from its slot or request on; 0: any
	Tasks         []Task        `json:"tasks"`           // each after those it needs, else as they are written

	Schedule *Schedule `json:"-"`                  // when it runs by itself; nil: only when it is asked to
	Triggers []Trigger `json:"triggers,omitempty"` // events that it runs at
	Catchup  bool      `json:"catchup"`            // slots that were missed are made up for, all of them; else the last one alone

	source, hash string
	after        map[string][]string // tasks that need one
}

// Task is one step of a workflow.
type Task struct {
	Name        string              `json:"name"`
	Operator    string              `json:"operator"`
	Description string              `json:"description"`
	Needs       []string            `json:"needs"`        // tasks before it
	Rule        Rule                `json:"trigger_rule"` // what must have become of them
	When        *Condition          `json:"-"`            // nil: always; where it does not hold the task is skipped
	With        map[string]Template `json:"-"`            // arguments by name
	Inputs      map[string]string   `json:"inputs"`       // the task whose outputs it reads, by operator

	Retries      int           `json:"retries"` // after the first try
	RetryDelay   time.Duration `json:"retry_delay"`
	RetryBackoff float64       `json:"retry_backoff"` // the delay's factor from try to try
	Timeout      time.Duration `json:"timeout"`       // of a try
	SLA          time.Duration `json:"-"`             // in which it is to be over, from the run's slot or request on; 0: any
	Pool         string        `json:"pool"`
	PoolSlots    int           `json:"pool_slots"`
	Priority     int           `json:"priority"` // the greater first, of those that wait for a slot
}

// Defaults of what a definition leaves out.
const (
	MaxActiveRunsDefault = 16
	RunTimeoutDefault    = 24 * time.Hour
	TaskTimeoutDefault   = 12 * time.Hour
	RetriesDefault       = 2
	RetryDelayDefault    = 2 * time.Second
	RetryBackoffDefault  = 4
	PoolDefault          = events.PoolDefault
)

// Source is the text of the definition as it was written.
func (d *Definition) Source() string { return d.source }

// Hash is the SHA-256 of the source, in hex: what a run says it ran.
func (d *Definition) Hash() string { return d.hash }

func hashOf(source string) string {
	sum := sha256.Sum256([]byte(source))
	return hex.EncodeToString(sum[:])
}

// Task is the task of a name, or nil.
func (d *Definition) Task(name string) *Task {
	if i := slices.IndexFunc(d.Tasks, func(t Task) bool { return t.Name == name }); i >= 0 {
		return &d.Tasks[i]
	}
	return nil
}

// Timed says whether anything of a run is to be over in some time.
func (d *Definition) Timed() bool {
	return d.SLA > 0 || slices.ContainsFunc(d.Tasks, func(t Task) bool { return t.SLA > 0 })
}

// Index is the place of a task among those of the definition; -1 for none.
func (d *Definition) Index(task string) int {
	return slices.IndexFunc(d.Tasks, func(t Task) bool { return t.Name == task })
}

// After are the tasks that need a task, in the order of the definition.
func (d *Definition) After(task string) []string { return d.after[task] }

// Downstream are the tasks given and all that need them, directly or not, in the order of the definition.
func (d *Definition) Downstream(tasks ...string) []string {
	in := map[string]bool{}
	for _, t := range tasks {
		in[t] = true
	}
	var all []string
	for i := range d.Tasks { // in which a task stands after what it needs
		t := &d.Tasks[i]
		if in[t.Name] || slices.ContainsFunc(t.Needs, func(n string) bool { return in[n] }) {
			in[t.Name] = true
			all = append(all, t.Name)
		}
	}
	return all
}

// before says which tasks a task needs, directly or not.
func (d *Definition) before(task string) map[string]bool {
	all := map[string]bool{}
	var walk func(string)
	walk = func(name string) {
		t := d.Task(name)
		if t == nil {
			return
		}
		for _, n := range t.Needs {
			if !all[n] {
				all[n] = true
				walk(n)
			}
		}
	}
	walk(task)
	return all
}

// Defaults is a run's conf with the defaults of the params that it leaves out.
func (d *Definition) Defaults(conf map[string]string) map[string]string {
	all := map[string]string{}
	for i := range d.Params {
		if p := &d.Params[i]; p.Default != nil {
			all[p.Name] = *p.Default
		}
	}
	maps.Copy(all, conf)
	return all
}

// Conf is what a run goes by: conf with the defaults of the declared params. Errors: fault.Invalid for a value that is
// out of its bounds, one that is not given and has no default, and an entry that is neither declared nor of an operator
// among the tasks, each under "conf.NAME".
func (d *Definition) Conf(conf map[string]string, operators Operators) (map[string]string, error) {
	var errs []error
	all, rest := map[string]string{}, maps.Clone(conf)
	for i := range d.Params {
		p := &d.Params[i]
		value, given := conf[p.Name]
		delete(rest, p.Name)
		switch {
		case given:
			if err := p.check("conf."+p.Name, value); err != nil {
				errs = append(errs, err)
			}
			all[p.Name] = value
		case p.Default != nil:
			all[p.Name] = *p.Default
		default:
			errs = append(errs, fault.Field("conf."+p.Name, "is missing, and has no default"))
		}
	}
	if len(rest) > 0 || len(errs) == 0 {
		errs = append(errs, d.undeclared(conf, rest, operators))
	}
	maps.Copy(all, rest)
	return all, errors.Join(errs...)
}

// ConfOf is what of a run's conf is for an operator that takes undeclared entries: these, and those that are named as its
// arguments are.
func (d *Definition) ConfOf(o *Operator, conf map[string]string) map[string]string {
	taken := map[string]string{}
	for name, value := range conf {
		if paramOf(d.Params, name) == nil || paramOf(o.Args, name) != nil {
			taken[name] = value
		}
	}
	return taken
}

// undeclared has those entries of a conf that are not declared checked by the operators that take any.
func (d *Definition) undeclared(conf, rest map[string]string, operators Operators) error {
	var errs []error
	takes := false
	seen := map[string]bool{}
	for i := range d.Tasks {
		o := operators[d.Tasks[i].Operator]
		if o == nil || o.Conf == nil || seen[o.Name] {
			continue
		}
		seen[o.Name], takes = true, true
		errs = append(errs, o.Conf(d.ConfOf(o, conf)))
	}
	if takes {
		return errors.Join(errs...)
	}
	for _, name := range slices.Sorted(maps.Keys(rest)) {
		errs = append(errs, d.unknown(name))
	}
	return errors.Join(errs...)
}

func (d *Definition) unknown(name string) error {
	e := fault.Field("conf."+name, "is not a param of workflow %s", d.Name)
	if len(d.Params) == 0 {
		return e.WithHint("it has none")
	}
	names := ""
	for i := range d.Params {
		names += ", " + d.Params[i].Name
	}
	return e.WithHint("its params are %s", names[2:])
}
