package workflow

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/document"
)

// triggers reads what a workflow runs at. The params must have been read.
func (c *checker) triggers(d *Definition, list *document.Node) {
	items := c.List("triggers", list)
	if len(items) > triggersMax {
		c.fail("triggers", list, fmt.Sprintf("write at most %d", triggersMax), "has %d", len(items))
		return
	}
	for i, n := range items {
		path := fmt.Sprintf("triggers[%d]", i)
		if !c.Mapping(path, n, "name", "event", "when", "by", "hysteresis", "count", "cooldown", "budget", "conf") {
			continue
		}
		t := Trigger{fields: map[Reference]field{}}
		t.Name = c.name(document.Join(path, "name"), n, n.Field("name"))
		if d.Trigger(t.Name) != nil && t.Name != "" {
			c.fail(document.Join(path, "name"), n, "choose another name", "%q is taken", t.Name)
		}
		c.trigger(d, &t, path, n)
		d.Triggers = append(d.Triggers, t)
	}
}

func (c *checker) trigger(d *Definition, t *Trigger, path string, n *document.Node) {
	at := func(name string) (string, *document.Node) { return document.Join(path, name), n.Field(name) }
	p, v := at("event")
	t.Event = c.Text(p, v)
	data, known := events.Blank(t.Event)
	if !known {
		if v == nil {
			v = n
		}
		c.fail(p, v, "the types are "+strings.Join(events.Types(), ", "), "%q is no type of event", t.Event)
		return
	}
	look := func(where string, node *document.Node, refs ...Reference) {
		for _, r := range refs {
			c.ofEvent(t, reflect.TypeOf(data), where, node, r)
		}
	}
	if p, v := at("when"); v != nil {
		when, wrong := parseCondition(c.Text(p, v))
		if t.When = when; wrong != "" {
			c.fail(p, v, "write a condition such as event.drift_score >= event.threshold", "%s", wrong)
		} else {
			look(p, v, when.references...)
		}
	}
	if p, v := at("by"); v != nil {
		r, ok := parseReference(c.Text(p, v))
		if t.By = &r; !ok {
			c.fail(p, v, "write whose condition it is, such as event.model_name", "names nothing by %q", v.Text)
		} else {
			look(p, v, r)
		}
	}
	c.pace(t, path, n)
	if p, v := at("conf"); v != nil {
		t.Conf = c.triggerConf(d, p, v, look)
	}
}

// pace reads when a trigger holds back.
func (c *checker) pace(t *Trigger, path string, n *document.Node) {
	at := func(name string) (string, *document.Node) { return document.Join(path, name), n.Field(name) }
	p, v := at("count")
	t.Count = int64(c.whole(p, v, 1, 1, countMax))
	if p, v := at("hysteresis"); v != nil {
		if v.Kind == "boolean" {
			t.Hysteresis = v.Text == "true"
		} else {
			t.Hysteresis, t.Lapse = true, c.Duration(p, v, cooldownMax, "write true, or after how long without a word the condition has ceased to hold, such as 1h")
		}
		if t.Hysteresis && n.Field("when") == nil {
			c.fail(p, v, "add when", "is of a condition, and there is none")
		}
		if t.Hysteresis && n.Field("count") != nil {
			c.fail(p, v, "leave one of them out", "is of a condition's beginning, and count of events")
		}
	}
	if p, v := at("by"); v != nil && !t.Hysteresis {
		c.fail(p, v, "add hysteresis, or leave it out", "says whose condition it is, for hysteresis alone")
	}
	p, v = at("cooldown")
	t.Cooldown = c.duration(p, v, 0, cooldownMax)
	t.Budget, t.Per = BudgetDefault, PerDefault
	if p, v := at("budget"); v != nil {
		number, per, several := strings.Cut(v.Text, " per ")
		if v.Kind == "number" {
			t.Budget = c.whole(p, v, 0, 1, budgetMax)
			return
		}
		x, err := strconv.Atoi(strings.TrimSpace(number))
		if v.Kind != "text" || !several || err != nil || x < 1 || x > budgetMax {
			c.fail(p, v, fmt.Sprintf("write how many runs at most, up to %d, such as 4 per 1d", budgetMax), "is %q", v.Text)
			return
		}
		duration := *v
		duration.Text = strings.TrimSpace(per)
		t.Budget, t.Per = x, c.Duration(p, &duration, cooldownMax, "write such as 4 per 1d")
	}
}

// ofEvent finds what of an event a reference stands for.
func (c *checker) ofEvent(t *Trigger, data reflect.Type, where string, n *document.Node, r Reference) {
	if r.Root != "event" {
		c.fail(where, n, "write event.NAME", "%s is not of the event", r)
		return
	}
	if f, ok := fieldOf(data, r.Name); ok {
		t.fields[r] = f
	} else if !slices.Contains(EnvelopeNames, r.Name) {
		c.fail(where, n, "it has "+strings.Join(fieldNames(data), ", ")+"; and of every event "+strings.Join(EnvelopeNames, ", "), "%s is no text, number or boolean of a %s", r, t.Event)
	}
}

// fieldNames are those of a type of data, in its order.
func fieldNames(t reflect.Type) (names []string) {
	for _, f := range reflect.VisibleFields(t.Elem()) {
		if tag, _, _ := strings.Cut(f.Tag.Get("json"), ","); f.IsExported() && tag != "" && tag != "-" {
			if f.Type.Kind() == reflect.Map {
				tag += ".NAME"
			}
			names = append(names, tag)
		}
	}
	return names
}

// triggerConf reads what a run is asked for with.
func (c *checker) triggerConf(d *Definition, path string, n *document.Node, look func(string, *document.Node, ...Reference)) map[string]Template {
	if n.Kind != "mapping" {
		c.fail(path, n, "write NAME: value", "is a %s, expected a mapping", n.Kind)
		return nil
	}
	all := map[string]Template{}
	for _, f := range n.Fields {
		p := document.Join(path, f.Name)
		t, wrong := parseTemplate(c.scalar(p, f.Value))
		if wrong != "" {
			c.fail(p, f.Value, "a reference is event.NAME", "%s", wrong)
			continue
		}
		look(p, f.Value, t.references...)
		if declared := paramOf(d.Params, f.Name); declared == nil && !c.takesAny {
			c.fail(p, f.Value, "its params are "+strings.Join(slices.Sorted(maps.Keys(paramNames(d.Params))), ", "), "is not a param of this workflow")
		} else if declared != nil && len(t.references) == 0 {
			if err := declared.check(p, t.text); err != nil {
				c.fail(p, f.Value, "give a value that it may have", "%s", messageOf(err))
			}
		}
		all[f.Name] = t
	}
	return all
}

func paramNames(all []Param) map[string]bool {
	names := map[string]bool{}
	for i := range all {
		names[all[i].Name] = true
	}
	return names
}
