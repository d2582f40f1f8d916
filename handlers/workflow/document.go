package workflow

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/projectionist/projectionist/internal/document"
	"github.com/projectionist/projectionist/internal/fault"
)

// Bounds of a definition.
const (
	tasksMax      = 200
	paramsMax     = 64
	retriesMax    = 100
	activeRunsMax = 1000
	slotsMax      = 1000
	priorityMax   = 1_000_000
	timeoutMax    = 30 * 24 * time.Hour
	delayMax      = 24 * time.Hour
	backoffMax    = 100
)

// namePattern is that of workflows, tasks and pools: they are in addresses, streams and files.
var namePattern = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,99}$`)

// Parse reads a definition (YAML, of which JSON is a part) of tasks that are made of operators. Its error joins every
// fault found, each a fault.Invalid that names the path, such as tasks[1].needs[0], the line, and the remedy.
func Parse(source []byte, operators Operators) (*Definition, error) {
	root, err := document.Parse("workflow", source)
	if err != nil {
		return nil, err
	}
	c := &checker{operators: operators, lines: map[string]*document.Node{}}
	d := &Definition{source: string(source), hash: hashOf(string(source)), after: map[string][]string{}}
	if c.Mapping("", root, "name", "description", "tags", "params", "max_active_runs", "timeout", "schedule", "timezone", "catchup", "triggers", "sla", "tasks") {
		d.Name = c.name("name", root, root.Field("name"))
		d.Description = c.Text("description", root.Field("description"))
		d.Tags = c.Texts("tags", root.Field("tags"))
		d.Params = c.params(root.Field("params"))
		d.MaxActiveRuns = c.whole("max_active_runs", root.Field("max_active_runs"), MaxActiveRunsDefault, 1, activeRunsMax)
		d.Timeout = c.duration("timeout", root.Field("timeout"), RunTimeoutDefault, timeoutMax)
		d.SLA = c.duration("sla", root.Field("sla"), 0, timeoutMax)
		c.schedule(d, root)
		c.tasks(d, root)
		c.takesAny = slices.ContainsFunc(d.Tasks, func(t Task) bool { o := operators[t.Operator]; return o != nil && o.Conf != nil })
		c.triggers(d, root.Field("triggers"))
	}
	if len(c.Errs) > 0 {
		return nil, errors.Join(c.Errs...)
	}
	return d, nil
}

func messageOf(err error) string {
	if f, ok := err.(*fault.Error); ok {
		return f.Message
	}
	return err.Error()
}

// checker collects the faults of a definition.
type checker struct {
	document.Checker
	operators Operators
	lines     map[string]*document.Node // of tasks, by name
	takesAny  bool                      // an operator among the tasks takes entries of a conf that are not declared
}

func (c *checker) fail(path string, n *document.Node, hint, format string, args ...any) {
	c.Fail(document.At(path, n, format, args...).WithHint("%s", hint))
}

func (c *checker) name(path string, in, n *document.Node) string {
	if n == nil {
		c.fail(path, in, "add it", "is missing")
		return ""
	}
	name := c.Text(path, n)
	if n.Kind == "text" && !namePattern.MatchString(name) {
		c.fail(path, n, "use letters, digits, _ and -, a letter first, at most 100", "%q is not a name", name)
	}
	return name
}

func (c *checker) whole(path string, n *document.Node, otherwise, least, most int) int {
	if n == nil {
		return otherwise
	}
	x := c.Number(path, n, float64(least), float64(most))
	if x != float64(int(x)) {
		c.fail(path, n, "write a whole number", "is %q", n.Text)
	}
	return int(x)
}

func (c *checker) duration(path string, n *document.Node, otherwise, most time.Duration) time.Duration {
	if n == nil {
		return otherwise
	}
	return c.Duration(path, n, most, "write a duration such as 30s, 10m, 2h or 1d")
}

// scalar is a text, number or boolean as it is written.
func (c *checker) scalar(path string, n *document.Node) string {
	switch n.Kind {
	case "text", "number", "boolean":
		return n.Text
	}
	c.fail(path, n, "write a text or a number", "is a %s", n.Kind)
	return ""
}

func (c *checker) params(list *document.Node) (all []Param) {
	items := c.List("params", list)
	if len(items) > paramsMax {
		c.fail("params", list, fmt.Sprintf("declare at most %d", paramsMax), "has %d params", len(items))
		return nil
	}
	for i, n := range items {
		path := fmt.Sprintf("params[%d]", i)
		if !c.Mapping(path, n, "name", "type", "description", "default", "minimum", "maximum", "enum") {
			continue
		}
		p := Param{Name: c.Text(document.Join(path, "name"), n.Field("name")), Type: Text, Description: c.Text(document.Join(path, "description"), n.Field("description"))}
		switch {
		case !valueName.MatchString(p.Name):
			c.fail(document.Join(path, "name"), n, "give it a name of letters, digits, _ and .", "%q is not a name", p.Name)
		case paramOf(all, p.Name) != nil:
			c.fail(document.Join(path, "name"), n, "choose another name", "%q is taken", p.Name)
		}
		if t := n.Field("type"); t != nil {
			if p.Type = Type(c.Text(document.Join(path, "type"), t)); !slices.Contains(types, p.Type) {
				c.fail(document.Join(path, "type"), t, "the types are text, whole, number and boolean", "%q is not a type", p.Type)
			}
		}
		p.Least, p.Most = c.bound(path, "minimum", n, p.Type), c.bound(path, "maximum", n, p.Type)
		for j, item := range c.List(document.Join(path, "enum"), n.Field("enum")) {
			p.OneOf = append(p.OneOf, c.scalar(fmt.Sprintf("%s.enum[%d]", path, j), item))
		}
		if v := n.Field("default"); v != nil {
			value := c.scalar(document.Join(path, "default"), v)
			p.Default = &value
			if err := p.check(document.Join(path, "default"), value); err != nil {
				c.fail(document.Join(path, "default"), v, "give a default that a run may have", "%s", messageOf(err))
			}
		}
		all = append(all, p)
	}
	return all
}

func (c *checker) bound(path, name string, in *document.Node, t Type) *float64 {
	n := in.Field(name)
	if n == nil {
		return nil
	}
	if t != Whole && t != Number {
		c.fail(document.Join(path, name), n, "give bounds to numbers alone", "does not apply to %s", t)
		return nil
	}
	const most = 1e300
	x := c.Number(document.Join(path, name), n, -most, most)
	return &x
}

func (c *checker) schedule(d *Definition, root *document.Node) {
	n, zone, catchup := root.Field("schedule"), root.Field("timezone"), root.Field("catchup")
	if n == nil {
		for name, other := range map[string]*document.Node{"timezone": zone, "catchup": catchup} {
			if other != nil {
				c.fail(name, other, "give a schedule, or leave it out", "is of a schedule, and there is none")
			}
		}
		return
	}
	text, where := c.Text("schedule", n), c.Text("timezone", zone)
	if n.Kind == "text" {
		s, err := ParseSchedule(text, where)
		var f *fault.Error
		switch {
		case errors.As(err, &f) && f.Field == "timezone":
			c.fail("timezone", zone, f.Hint, "%s", f.Message)
		case errors.As(err, &f):
			c.fail("schedule", n, f.Hint, "%s", f.Message)
		}
		d.Schedule = s
	}
	if catchup != nil {
		if d.Catchup = catchup.Text == "true"; catchup.Kind != "boolean" {
			c.fail("catchup", catchup, "write true or false", "is a %s", catchup.Kind)
		}
	}
}

func (c *checker) tasks(d *Definition, root *document.Node) {
	list := root.Field("tasks")
	items := c.List("tasks", list)
	if len(items) == 0 || len(items) > tasksMax {
		c.fail("tasks", list, fmt.Sprintf("list 1 to %d", tasksMax), "has %d tasks", len(items))
		return
	}
	paths := map[string]string{}
	for i, n := range items {
		path := fmt.Sprintf("tasks[%d]", i)
		t := c.task(path, n)
		if d.Task(t.Name) != nil && t.Name != "" {
			c.fail(document.Join(path, "name"), n, "choose another name", "%q is taken", t.Name)
		}
		d.Tasks, paths[t.Name], c.lines[t.Name] = append(d.Tasks, t), path, n
	}
	if len(c.Errs) > 0 {
		return // what follows would say the same again
	}
	c.order(d, paths)
	if len(c.Errs) > 0 {
		return
	}
	for i := range d.Tasks {
		for _, n := range d.Tasks[i].Needs {
			d.after[n] = append(d.after[n], d.Tasks[i].Name)
		}
	}
	for i := range d.Tasks {
		t := &d.Tasks[i]
		c.inputs(d, t, paths[t.Name])
		c.references(d, t, paths[t.Name])
	}
}

func (c *checker) task(path string, n *document.Node) (t Task) {
	if !c.Mapping(path, n, "name", "operator", "description", "needs", "trigger_rule", "when", "with", "retries", "retry_delay",
		"retry_backoff", "timeout", "sla", "pool", "pool_slots", "priority") {
		return t
	}
	at := func(name string) (string, *document.Node) { return document.Join(path, name), n.Field(name) }
	t.Name = c.name(document.Join(path, "name"), n, n.Field("name"))
	t.Operator = c.Text(at("operator"))
	if c.operators[t.Operator] == nil {
		where := n.Field("operator")
		if where == nil {
			where = n
		}
		c.fail(document.Join(path, "operator"), where, "the operators are "+strings.Join(c.operators.Names(), ", "), "%q is not an operator", t.Operator)
	}
	t.Description, t.Needs, t.Rule, t.Pool = c.Text(at("description")), c.Texts(at("needs")), AllSuccess, PoolDefault
	if p, rule := at("trigger_rule"); rule != nil {
		if t.Rule = Rule(c.Text(p, rule)); !slices.Contains(Rules, t.Rule) {
			c.fail(p, rule, fmt.Sprintf("the rules are %v", Rules), "%q is not a rule", t.Rule)
		}
	}
	if p, pool := at("pool"); pool != nil {
		t.Pool = c.name(p, n, pool)
	}
	whole := func(name string, otherwise, least, most int) int {
		p, v := at(name)
		return c.whole(p, v, otherwise, least, most)
	}
	duration := func(name string, otherwise, most time.Duration) time.Duration {
		p, v := at(name)
		return c.duration(p, v, otherwise, most)
	}
	t.Retries, t.PoolSlots = whole("retries", RetriesDefault, 0, retriesMax), whole("pool_slots", 1, 1, slotsMax)
	t.Priority = whole("priority", 0, -priorityMax, priorityMax)
	t.RetryDelay, t.Timeout = duration("retry_delay", RetryDelayDefault, delayMax), duration("timeout", TaskTimeoutDefault, timeoutMax)
	t.SLA = duration("sla", 0, timeoutMax)
	t.RetryBackoff = RetryBackoffDefault
	if p, v := at("retry_backoff"); v != nil {
		t.RetryBackoff = c.Number(p, v, 1, backoffMax)
	}
	if p, v := at("when"); v != nil {
		when, wrong := parseCondition(c.Text(p, v))
		if t.When = when; wrong != "" {
			c.fail(p, v, `write a condition such as tasks.evaluate.ndcg > 0.2 and params.kind == "full"`, "%s", wrong)
		}
	}
	if p, v := at("with"); v != nil {
		t.With = c.with(p, v, c.operators[t.Operator])
	}
	return t
}

// with reads the arguments of a task.
func (c *checker) with(path string, n *document.Node, o *Operator) map[string]Template {
	if n.Kind != "mapping" || o == nil {
		c.fail(path, n, "write NAME: value", "is a %s, expected a mapping", n.Kind)
		return nil
	}
	all := map[string]Template{}
	for _, f := range n.Fields {
		p := document.Join(path, f.Name)
		arg := paramOf(o.Args, f.Name)
		if arg == nil && !slices.Contains(o.Inputs, f.Name) && !(o.OpenArgs && valueName.MatchString(f.Name)) {
			c.fail(p, f.Value, "its arguments are "+argsOf(o), "is not an argument of operator %s", o.Name)
			continue
		}
		if arg != nil && arg.Type == Mapping {
			c.mapping(p, f.Value, arg, all)
			continue
		}
		t := c.argument(p, f.Value, arg)
		if arg != nil && len(t.references) == 0 {
			if err := arg.check(p, t.text); err != nil {
				c.fail(p, f.Value, "give a value that it may have", "%s", messageOf(err))
			}
		}
		all[f.Name] = t
	}
	return all
}

// mapping reads an argument of several values into all.
func (c *checker) mapping(path string, n *document.Node, arg *Param, all map[string]Template) {
	if n.Kind != "mapping" {
		c.fail(path, n, "write NAME: value", "is a %s, expected a mapping", n.Kind)
		return
	}
	for _, f := range n.Fields {
		p := document.Join(path, f.Name)
		if !valueName.MatchString(f.Name) {
			c.fail(p, f.Value, "use letters, digits, _ and -", "%q is not a name", f.Name)
			continue
		}
		all[arg.Name+"."+f.Name] = c.argument(p, f.Value, arg)
	}
}

// argument reads a value of an argument, which is nil for one that the operator does not declare.
func (c *checker) argument(path string, n *document.Node, arg *Param) Template {
	text := c.scalar(path, n)
	if arg != nil && arg.Literal {
		if inBraces.MatchString(text) {
			c.fail(path, n, "put the value into env, and use it from there", "takes no references, since it is code: {{ }}")
		}
		return Template{text: text}
	}
	t, wrong := parseTemplate(text)
	if wrong != "" {
		c.fail(path, n, "a reference is params.NAME, tasks.TASK.OUTPUT, run.NAME, var.value.KEY or, where it is taken, secret.NAME", "%s", wrong)
		return Template{text: text}
	}
	for _, r := range t.references {
		if r.Root == secretRoot && (arg == nil || !arg.Secret) {
			c.fail(path, n, "name secrets only where an operator takes them, such as headers of http and env of command", "%s may not stand here", r)
		}
	}
	return t
}

// Secrets are the names of those that the arguments of the task name, each once.
func (t *Task) Secrets() (names []string) {
	for _, given := range t.With {
		for _, r := range given.references {
			if r.Root == secretRoot && !slices.Contains(names, r.Name) {
				names = append(names, r.Name)
			}
		}
	}
	slices.Sort(names)
	return names
}

func argsOf(o *Operator) string {
	var names []string
	for i := range o.Args {
		names = append(names, o.Args[i].Name)
	}
	if names = append(names, o.Inputs...); len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// order puts each task after those it needs, and finds what needs itself.
func (c *checker) order(d *Definition, paths map[string]string) {
	for i := range d.Tasks {
		t := &d.Tasks[i]
		for j, name := range t.Needs {
			if d.Task(name) == nil || name == t.Name {
				c.fail(fmt.Sprintf("%s.needs[%d]", paths[t.Name], j), c.lines[t.Name], "name a task of this workflow, and not the task itself", "%q is no task before it", name)
			}
		}
	}
	if len(c.Errs) > 0 {
		return
	}
	placed := map[string]bool{}
	var ordered []Task
	for len(ordered) < len(d.Tasks) {
		before := len(ordered)
		for i := range d.Tasks {
			t := &d.Tasks[i]
			if !placed[t.Name] && !slices.ContainsFunc(t.Needs, func(n string) bool { return !placed[n] }) {
				placed[t.Name] = true
				ordered = append(ordered, *t)
			}
		}
		if len(ordered) == before {
			cycle := cycleOf(d, placed)
			c.fail(paths[cycle[0]]+".needs", c.lines[cycle[0]], "take one of these needs away", "is a cycle: %s", strings.Join(append(cycle, cycle[0]), " needs "))
			return
		}
	}
	d.Tasks = ordered
}

// cycleOf is tasks that need each other in a circle, among those that could not be placed.
func cycleOf(d *Definition, placed map[string]bool) []string {
	var path []string
	at := ""
	for i := range d.Tasks {
		if !placed[d.Tasks[i].Name] {
			at = d.Tasks[i].Name
			break
		}
	}
	for {
		if i := slices.Index(path, at); i >= 0 {
			return path[i:]
		}
		path = append(path, at)
		needs := d.Task(at).Needs
		at = needs[slices.IndexFunc(needs, func(n string) bool { return !placed[n] })]
	}
}

// inputs finds, for each operator whose outputs a task reads, the one task before it that is made of it, unless the
// task names one.
func (c *checker) inputs(d *Definition, t *Task, path string) {
	o := c.operators[t.Operator]
	before := d.before(t.Name)
	t.Inputs = map[string]string{}
	for _, name := range o.Inputs {
		var made []string
		for i := range d.Tasks {
			if before[d.Tasks[i].Name] && d.Tasks[i].Operator == name {
				made = append(made, d.Tasks[i].Name)
			}
		}
		if given, ok := t.With[name]; ok {
			if !slices.Contains(made, given.text) {
				c.fail(document.Join(path, "with."+name), c.lines[t.Name], fmt.Sprintf("tasks of operator %s before it: %s", name, strings.Join(made, ", ")), "%q is no task of operator %s before it", given.text, name)
			}
			made = []string{given.text}
			delete(t.With, name)
		}
		switch len(made) {
		case 1:
			t.Inputs[name] = made[0]
		case 0:
			c.fail(path, c.lines[t.Name], fmt.Sprintf("let it need a task of operator %s", name), "reads what operator %s puts out, and no task before it is one", name)
		default:
			c.fail(path, c.lines[t.Name], fmt.Sprintf("say which: with: {%s: TASK}", name), "reads what operator %s puts out, and %s before it are such", name, strings.Join(made, " and "))
		}
	}
	for i := range o.Args {
		if a := &o.Args[i]; a.Default == nil {
			if _, given := t.With[a.Name]; !given {
				c.fail(document.Join(path, "with."+a.Name), c.lines[t.Name], "add it", "is missing: operator %s needs it", o.Name)
			}
		}
	}
}

// references finds what names nothing.
func (c *checker) references(d *Definition, t *Task, path string) {
	before := d.before(t.Name)
	look := func(where string, r Reference) {
		wrong, hint := "", ""
		switch r.Root {
		case "params":
			if paramOf(d.Params, r.Name) == nil {
				wrong, hint = "is no param of this workflow", "declare it under params"
			}
		case "event":
			wrong, hint = "is of a trigger alone", "hand it on as a param: triggers[0].conf"
		case secretRoot: // which ones there are the environment of the run says
			if where == "when" {
				wrong, hint = "may not stand in a condition", "name secrets only where an operator takes them"
			}
		case "run":
			if !slices.Contains(RunNames, r.Name) {
				wrong, hint = "is not known of a run", "known are "+strings.Join(RunNames, ", ")
			}
		case variableRoot:
			if where == "when" {
				wrong, hint = "may change while the run goes on", "use it in an argument; what decides whether a task runs is a param, or an output"
			}
		default:
			from := d.Task(r.Task)
			switch {
			case from == nil || !before[r.Task]:
				wrong, hint = "is of no task before it", "let it need task "+r.Task
			case !c.operators[from.Operator].OpenOutputs && !slices.Contains(c.operators[from.Operator].Outputs, r.Name):
				wrong, hint = "is put out by no task", fmt.Sprintf("operator %s puts out %s", from.Operator, strings.Join(c.operators[from.Operator].Outputs, ", "))
			}
		}
		if wrong != "" {
			c.fail(document.Join(path, where), c.lines[t.Name], hint, "%s %s", r, wrong)
		}
	}
	if t.When != nil {
		for _, r := range t.When.references {
			look("when", r)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.With)) {
		for _, r := range t.With[name].references {
			look("with."+name, r)
		}
	}
}

// Variables are the keys of the variables that the arguments of a task name.
func (t *Task) Variables() (keys []string) {
	for _, given := range t.With {
		for _, r := range given.references {
			if key := r.Variable(); key != "" && !slices.Contains(keys, key) {
				keys = append(keys, key)
			}
		}
	}
	slices.Sort(keys)
	return keys
}

// Args are the arguments of a task in a run: what it says, with the values in place, and the defaults of its operator.
// Errors: fault.Invalid for a value that the operator does not take, under "with.NAME".
func (t *Task) Args(o *Operator, r *Run) (map[string]string, error) {
	var errs []error
	all := map[string]string{}
	for i := range o.Args {
		a := &o.Args[i]
		if a.Default != nil {
			all[a.Name] = *a.Default
		}
		if given, ok := t.With[a.Name]; ok {
			all[a.Name] = given.Fill(r.Value)
			errs = append(errs, a.check("with."+a.Name, all[a.Name]))
		}
	}
	for name, given := range t.With {
		if _, declared := all[name]; !declared {
			all[name] = given.Fill(r.Value)
		}
	}
	return all, errors.Join(errs...)
}
